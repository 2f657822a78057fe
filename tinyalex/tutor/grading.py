"""Marks for one submission or a folder of them: each exercise in a process of its own; what is done is not done again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Collection, Generator, Mapping
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import tinyalex
from tinyalex.errors import CheckpointError, show
from tinyalex.files.atomic import write_json
from tinyalex.tutor.checking import sizes_of_grade
from tinyalex.tutor.exercise import Exercise
from tinyalex.tutor.finding import catalogue
from tinyalex.tutor.processes import Limits, Processes, Task
from tinyalex.tutor.result import POINTS, Result, not_written, problem_of, result_of, text_of_finding
from tinyalex.tutor.runner import names_of_all
from tinyalex.tutor.source import KINDS, SubmissionError
from tinyalex.tutor.submission import read

FORMAT = 1
RESULTS = "tinyalex-grades.json"
NO_SANDBOX = catalogue("en")["grade.no_sandbox"]


@dataclass(frozen=True)
class Handed:
    """A file that was handed in.

    name: of the submission in all reports. path: None where it is not clear which file counts, which `problem` then says.
    helpers: whether the file has a folder of its own, from which it may import others. files: all that the marks may depend on.
    """

    name: str
    path: Path | None
    helpers: bool
    files: tuple[Path, ...]
    problem: SubmissionError | None = None


@dataclass(frozen=True)
class Graded:
    """The marks of a submission.

    digest: of its bytes and of how it was graded. problem: the sentence that says why the file cannot be used, empty where it can.
    """

    name: str
    digest: str
    results: tuple[Result, ...]
    problem: str = ""

    @property
    def points(self) -> float:
        """The sum over the exercises."""
        return round(sum(result.points for result in self.results), 2)

    @property
    def most(self) -> int:
        """The points of a submission in which all is right."""
        return POINTS * len(self.results)

    @property
    def passed(self) -> bool:
        """Whether every exercise is right."""
        return not self.problem and all(result.status == "right" for result in self.results)


@dataclass(frozen=True)
class Way:
    """How a submission is graded: what the marks depend on beside the file itself."""

    exercises: tuple[Exercise, ...]
    seed: int
    limits: Limits
    language: str = "en"

    def digest(self, files: Collection[Path]) -> str:
        """Names the bytes of the files and everything here."""
        found = hashlib.sha256()
        keys = [exercise.key for exercise in self.exercises]
        found.update(repr((tinyalex.__version__, np.__version__, keys, self.seed, self.limits, self.language)).encode())
        for file in sorted(files):
            with contextlib.suppress(OSError):  # what cannot be read is said when it is read
                found.update(hashlib.sha256(file.read_bytes()).digest())
        return found.hexdigest()


def handed_in(place: Path) -> list[Handed]:
    """The submissions in a folder, by name: its files, and one file of each folder in it; or the one file that `place` is.

    In a folder of one student the only .py or .ipynb counts, or the one that is called mine.

    Raises
    ------
    SubmissionError: no such file, or a folder without submissions.
    """
    if not place.is_dir():
        return [Handed(place.name, place, True, (place,))]
    found = [Handed(file.name, file, False, (file,)) for file in _files(place)]
    for folder in sorted(place.iterdir()):
        if folder.is_dir() and folder.name[0] not in "._":
            files = _files(folder)
            named = [file for file in files if file.stem == "mine"] if len(files) > 1 else files
            problem = None if len(named) == 1 or not files else SubmissionError("several", file=folder.name, got=len(files))
            if files:
                found.append(Handed(folder.name, named[0] if problem is None else None, True, tuple(files), problem))
    if not found:
        raise SubmissionError("none_found", file=str(place))
    return sorted(found, key=lambda one: one.name)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in KINDS and file.name[0] not in "._" and file.is_file())


class Told(Protocol):
    """Is told of each exercise that was run."""

    def __call__(self, name: str, last: bool, of: int) -> object:
        """name: of the submission. last: whether this was its last exercise. of: how many exercises there are to run in all."""


def grade(handed: Collection[Handed], way: Way, known: Mapping[str, Graded], workers: int, told: Told) -> Generator[Graded, None, None]:
    """The marks of every submission, in the order in which they are known: first those that were known before.

    Parameters
    ----------
    known: marks of an earlier run, by name; they count where the digest is the same.
    workers: how many processes at a time.
    """
    digests = {one.name: way.digest(one.files) for one in handed}
    left = []
    for one in handed:
        if one.name in known and known[one.name].digest == digests[one.name]:
            yield known[one.name]
        else:
            left.append(one)
    results: dict[str, dict[str, Result]] = {}
    started: dict[Future[Result], str] = {}
    with Processes(workers, way.limits) as processes:
        for one in left:
            tasks, found = _tasks(one, way)
            if isinstance(found, Graded) or not tasks:
                marks = found if isinstance(found, Graded) else _marks(one.name, found, way)
                yield replace(marks, digest=digests[one.name])
                continue
            results[one.name] = found
            started |= {processes.start(task): one.name for task in tasks}
        for future in as_completed(started):
            name, result = started[future], future.result()
            results[name][result.exercise] = result
            last = len(results[name]) == len(way.exercises)
            told(name, last, len(started))
            if last:
                yield replace(_marks(name, results[name], way), digest=digests[name])


def _marks(name: str, results: Mapping[str, Result], way: Way) -> Graded:
    ordered = tuple(results[exercise.key] for exercise in way.exercises)
    problem = problem_of(ordered)
    return Graded(name, "", ordered, "" if problem is None else text_of_finding(problem, way.language))


def _tasks(one: Handed, way: Way) -> tuple[list[Task], dict[str, Result] | Graded]:
    """What is to be run for a submission, and the results of exercises that it has not begun; or its marks where it cannot be used."""
    try:
        if one.path is None:
            raise one.problem or SubmissionError("missing", file=one.name)
        submission = read(one.path, names_of_all(), one.name)
    except SubmissionError as error:
        return [], Graded(one.name, "", tuple(not_written(exercise) for exercise in way.exercises), str(error.said_in(way.language)))
    begun = [exercise for exercise in way.exercises if any(submission.begun(function.name) for function in exercise.functions)]
    tasks = [Task(exercise, one.path, one.name, way.seed, sizes_of_grade(way.seed), one.helpers, every=True) for exercise in begun]
    return tasks, {exercise.key: not_written(exercise) for exercise in way.exercises if exercise not in begun}


def document_of(graded: Collection[Graded], way: Way) -> dict[str, Any]:
    """Everything, as JSON has it."""
    return {
        "format": FORMAT,
        "tinyalex": tinyalex.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": platform.platform(),
        "seed": way.seed,
        "sizes": sizes_of_grade(way.seed),
        "limits": vars(way.limits),
        "note": NO_SANDBOX,
        "passed": all(one.passed for one in graded),
        "submissions": [
            {
                "name": one.name,
                "digest": one.digest,
                "points": one.points,
                "max": one.most,
                "problem": one.problem,
                "exercises": [result.document(way.language) for result in one.results],
            }
            for one in sorted(graded, key=lambda one: one.name)
        ],
    }


def save(path: Path, graded: Collection[Graded], way: Way) -> None:
    """Write the marks that are known, atomically, for a later run to go on with."""
    write_json(path, document_of(graded, way))


def load_known(path: Path) -> dict[str, Graded]:
    """The marks of an earlier run, by the name of the submission; none where there is no file.

    Raises
    ------
    CheckpointError: the file is not of this format.
    """
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise CheckpointError(f"{path}: the format must be {FORMAT}, got {show(document['format'])}; move the file away")
        return {
            one["name"]: Graded(one["name"], one["digest"], tuple(map(result_of, one["exercises"])), one["problem"])
            for one in document["submissions"]
        }
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: the file must hold the marks of an earlier run, got other contents; move it away") from None
