"""What runs in a process of its own: a student's file is loaded, one exercise is tried, and one line tells what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from tinyalex.tutor.checking import calls_of, examine
from tinyalex.tutor.exercise import Exercise, Function
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import Finding
from tinyalex.tutor.guard import time_limit_of_calls
from tinyalex.tutor.result import Result
from tinyalex.tutor.source import SubmissionError
from tinyalex.tutor.submission import Loaded, load, read


def try_exercise(exercise: Exercise, path: Path, name: str, seed: int, sizes: int, every: bool) -> Result:
    """Load a file and try the functions of one exercise.

    Parameters
    ----------
    name: what messages call the file. seed, sizes: of the calls.
    every: whether to go on behind the first finding, as marks need it.
    """
    start, wanted = time.perf_counter(), [function.name for function in exercise.functions]
    states, found, calls = dict.fromkeys(wanted, "not looked at"), list[Finding](), 0
    try:
        links = {function.name: function.forward.function for function in exercise.functions if function.forward is not None}
        loaded = load(read(path, names_of_all(), name), [*wanted, *(other for other in links.values() if other not in wanted)])
        for function in exercise.functions:
            states[function.name], finding = _try(exercise, function, loaded, seed, sizes, links.get(function.name, function.name))
            calls += calls_of(function) if states[function.name] == "right" else 0
            found += [] if finding is None else [finding]
            if found and not every:
                break
    except SubmissionError as error:
        found.append(error.finding(exercise.key))
    return Result(exercise.key, states, calls, tuple(found), round(time.perf_counter() - start, 3))


def _try(exercise: Exercise, function: Function, loaded: Loaded, seed: int, sizes: int, link: str) -> tuple[str, Finding | None]:
    """link: the name of the forward pass that the function belongs to, or its own."""
    try:
        student = loaded.function(function.name)
    except SubmissionError as error:
        return "finding", error.finding(exercise.key, function.name)
    if student is None:
        return "todo", None
    forward = None if link == function.name else loaded.names.get(link)
    finding = examine(exercise, function, student, seed, sizes, forward if callable(forward) else None)
    if finding is None:
        return "right", None
    if str(finding.numbers.get("error", "")).startswith("NotImplementedError"):
        return "todo", None
    return "finding", loaded.explained(finding)


def names_of_all() -> list[str]:
    """The names of the functions of all exercises."""
    return [function.name for exercise in EXERCISES.values() for function in exercise.functions]


def limit_this_process(cpu_s: float, memory: int) -> None:
    """Let the system end this process after so many seconds of computing, and refuse it more memory; where it can, which Windows cannot."""
    try:
        import resource
    except ImportError:
        return
    limits = {
        resource.RLIMIT_CPU: int(cpu_s) + 1,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: 100 * 2**20,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        later = most + (kind == resource.RLIMIT_CPU)  # at the first the system says why it ends the process, at the second it does not
        with contextlib.suppress(ValueError, OSError):  # macOS refuses a limit of the address space
            resource.setrlimit(kind, (most, later) if hard == resource.RLIM_INFINITY or later <= hard else (hard, hard))


def begin(job: Mapping[str, Any]) -> int:
    """Get ready to run a student's code, and return the descriptor of what was standard output, to which the answer goes.

    From now on standard input and outputs lead nowhere, so nothing that the student prints gets between.
    """
    results, nowhere = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    limit_this_process(job["exercise_s"], job["memory"])
    if job["folder"] is not None:
        sys.path.append(job["folder"])
    return results


def say(results: int, job: Mapping[str, Any], what: Any) -> None:
    """Tell the program that waits for the answer something before it."""
    os.write(results, b"\n" + job["nonce"].encode() + b"+" + json.dumps(what).encode() + b"\n")


def answer(results: int, job: Mapping[str, Any], document: Any) -> NoReturn:
    """Give the answer, in a line that begins with the job's nonce, and end the process."""
    with open(results, "wb") as stream_of_results:
        stream_of_results.write(b"\n" + job["nonce"].encode() + json.dumps(document).encode() + b"\n")
    os._exit(0)  # threads that the student has left do not keep it


def main(job: Mapping[str, Any]) -> None:
    """Try the exercise that `job` names, answer with the result, and end the process."""
    results = begin(job)
    with time_limit_of_calls(job["call_s"]):
        result = try_exercise(EXERCISES[job["exercise"]], Path(job["path"]), job["name"], job["seed"], job["sizes"], job["every"])
    answer(results, job, result.document())
