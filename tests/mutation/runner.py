"""Runs the tests that execute a changed line on each change, in a copy of the tree and a process of its own."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.mutation.changes import Change, changes
from tests.mutation.choice import Chooser, Records, files_of_tests, first_of, lines_of

AREAS = ("loss", "optim", "schedule", "init", "data", "training", "models", "analysis", "devices")
PACKAGE = "tinyalex"
LOADED = (
    *("numpy", "hypothesis", "hypothesis.extra.numpy", "hypothesis.stateful", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("PIL.Image", "tqdm", "safetensors.numpy", "threadpoolctl", "ctypes", "http.server", "urllib.request", "tarfile"),
)  # what the package and its tests import, and takes long
ALSO = {"layers": ("tests/test_contract.py",)}  # a folder of the package -> tests that are near its files and lie elsewhere
TOGETHER = 8  # so many changes that nothing has noticed yet are tried at once with all tests near them
Made = tuple[str, Change]  # a file and its change
Outcome = tuple[str, float, str]  # "noticed", "time", "survived" or, so far, "passed"; seconds; the test that noticed it
LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", ".venv", ".*_cache", ".hypothesis", "*.egg-info", "build")


@dataclass(frozen=True)
class Result:
    """What became of one change. outcome: "noticed", "time" (a limit passed, which is noticed too) or "survived"; by: which test."""

    file: str
    sha: str
    key: str
    line: int
    outcome: str
    seconds: float
    by: str = ""


def files_of(root: Path, areas: Iterable[str] = AREAS) -> list[str]:
    """The files of the areas, each a module or a folder of the package, as paths below `root`.

    Raises
    ------
    ValueError: there is no such area.
    """
    found = []
    for area in areas:
        path = root / PACKAGE / area
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        if not files or not files[0].exists():
            raise ValueError(f"mutation: area must be a module or folder of {PACKAGE}, got {area!r}")
        found += [file.relative_to(root).as_posix() for file in files]
    return found


def near_tests(root: Path, file: str) -> list[str]:
    """tinyalex/x/y.py -> tests/x/test_y*.py, then all of tests/x and what is `ALSO` near; for tinyalex/y.py only tests/test_y*.py."""
    module = Path(file).relative_to(PACKAGE)
    folder = Path("tests") / module.parent
    near = sorted((root / folder).glob(f"test_{module.stem}.py")) + sorted((root / folder).glob(f"test_{module.stem}_*.py"))
    found = [path.relative_to(root).as_posix() for path in near]
    if module.parent != Path(".") and (root / folder).is_dir():
        found.append(folder.as_posix())
    return found + [test for test in ALSO.get(module.parts[0], ()) if (root / test).exists()]


def units_of(near: Iterable[str]) -> list[str]:
    """The files and folders of tests, each once, without the files that are in one of the folders."""
    folders = {place for place in near if not place.endswith(".py")}
    return list(dict.fromkeys(place for place in near if not any(place.startswith(f"{folder}/") for folder in folders)))


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """A copy of the tree in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(root, Path(folder).resolve() / "tree", ignore=LEFT_OUT))


class Server:
    """`tests.mutation.server` for one tree."""

    def __init__(self, tree: Path) -> None:
        here = Path(__file__).parents[2]
        command = [sys.executable, "-m", "tests.mutation.server", *LOADED]
        environment = {**os.environ, "PYTHONPATH": str(here), "MUTATION_ROOT": str(here)}
        self.tree = tree
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=here)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Run the tests of files; see `run_child`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps({"tree": str(self.tree), **request}), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def run(self, tests: list[str], seconds: dict[str, float], whole: list[str] | None = None) -> dict[str, Any]:
        """Run tests in their order until one fails, then all others of the places `whole`."""
        if not tests:
            return {"outcome": "passed", "tests": [], "seconds": 0.0}
        answer = self.ask(files=whole or files_of_tests(tests), seconds={test: seconds[test] for test in tests}, whole=whole is not None)
        if answer["outcome"] == "broken":
            last = answer["tests"][-1:]
            raise RuntimeError(f"mutation: the tests must end by themselves, got a broken process after {last}; run them by pytest")
        return answer


def sha_of(source: str) -> str:
    """A short name of a file's contents: results of other contents do not count."""
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def read_results(path: Path | None) -> dict[tuple[str, str, str], Result]:
    """The results of runs before, by file, contents and key; a last line that was cut off is left out."""
    found = {}
    for line in path.read_text("utf-8").splitlines() if path is not None and path.exists() else ():
        try:
            result = Result(**json.loads(line))
        except ValueError:
            continue
        found[result.file, result.sha, result.key] = result
    return found


def record(server: Server, units: list[str], kept: Path | None) -> Records:
    """What the tests of the units (files or folders of tests) execute; read from `kept` where neither they nor the package changed.

    Without the `coverage` package nothing is seen: then each test may execute every line of the files near it.

    Raises
    ------
    RuntimeError: a test fails without any change.
    """
    tree, records = server.tree, Records()
    server.ask(files=list(units), compile=True)  # the tests' modules, once for all runs
    known = json.loads(kept.read_text("utf-8")) if kept is not None and kept.exists() else {}
    for unit in units:
        sources = [*sorted((tree / PACKAGE).rglob("*.py")), *sorted((tree / "tests").glob("*.py"))]
        sources += sorted((tree / unit).rglob("*.py")) if (tree / unit).is_dir() else []
        sha = sha_of("".join(source.read_text("utf-8") for source in sources))
        if unit not in known or known[unit]["sha"] != sha:
            document = server.tree.parent / "record.json"
            answer = server.ask(files=[unit], record=str(document))
            if not document.exists():
                said = answer["outcome"]
                raise RuntimeError(f"mutation: {unit} must have tests that run without any change, got {said}; run pytest {unit}")
            known[unit] = {"sha": sha, **json.loads(document.read_text("utf-8"))}
            document.unlink()
            failed = known[unit]["failed"]  # while recorded, since that takes its time and memory
            for test in failed:
                answer = server.run([test], {test: 10.0})
                if answer["outcome"] != "passed":
                    raise RuntimeError(f"mutation: tests must pass without any change, got a failure of {test}; run pytest {unit}")
            known[unit]["tests"] |= {test: 1.0 for test in failed}
            known[unit]["starts"] += range(len(known[unit]["tests"]) - len(failed), len(known[unit]["tests"]))
            if kept is not None:
                kept.write_text(json.dumps(known), "utf-8")
        records.add(known[unit])
    return records


class Runner:
    """Makes changes in a tree and asks the tests."""

    def __init__(self, server: Server, records: Records) -> None:
        self.server, self.tree, self.records, self.chooser = server, server.tree, records, Chooser(records)

    @contextmanager
    def made(self, chosen: list[Made]) -> Iterator[None]:
        """The tree with some changes, which do not overlap; the compiled files stay those of the shipped tree."""
        before = {}
        for file, change in sorted(chosen, key=lambda one: -one[1].start):
            path = self.tree / file
            before.setdefault(path, (path.read_text("utf-8"), path.stat().st_mtime_ns, _compiled(path)))
            path.write_text(change.apply(path.read_text("utf-8")), "utf-8")
        try:
            yield
        finally:
            for path, (source, mtime, compiled) in before.items():
                path.write_text(source, "utf-8")
                os.utime(path, ns=(mtime, mtime))
                for name, content in compiled.items():
                    name.write_bytes(content)

    def first(self, file: str, change: Change) -> Outcome:
        """The outcome with tests that execute the change: "noticed", "time" or "passed"."""
        source = (self.tree / file).read_bytes()
        column = change.start - (source.rfind(b"\n", 0, change.start) + 1)
        tests = self.chooser.choose(file, lines_of(ast.parse(source), change.line, column), near_tests(self.tree, file))
        begun = first_of(tests)
        rest = [test for test in tests if test not in set(begun)]
        seconds, answer = 0.0, {"outcome": "passed"}
        with self.made([(file, change)]):
            for part in (begun, rest):
                if answer["outcome"] == "passed":
                    answer = self.server.run(part, self.records.seconds)
                    seconds += answer["seconds"]
                    last = answer["tests"][-1] if answer["tests"] else "import"
                    by = None if answer["outcome"] == "passed" else last
                    self.chooser.learn(file, answer["tests"], by if answer["tests"] else None)
        return "noticed" if answer["outcome"] == "failed" else answer["outcome"], seconds, by or ""

    def all_near(self, chosen: list[Made]) -> list[Outcome]:
        """The outcome of each change with all tests near it: many at once, and apart only where these do not pass."""
        near = list(dict.fromkeys(place for file, _ in chosen for place in near_tests(self.tree, file)))
        tests = self.chooser.near(near)
        with self.made(chosen):  # the folder itself, since a change may give tests other names
            answer = self.server.run(tests, self.records.seconds, near)
        if answer["outcome"] == "passed":
            return [("survived", answer["seconds"] / len(chosen), "")] * len(chosen)
        if len(chosen) > 1:
            middle = len(chosen) // 2
            return self.all_near(chosen[:middle]) + self.all_near(chosen[middle:])
        by = answer["tests"][-1] if answer["tests"] else "import"
        return [("time" if answer["outcome"] == "time" else "noticed", answer["seconds"], by)]


def _compiled(path: Path) -> dict[Path, bytes]:
    """The compiled forms of a file, which are taken away: a change in the same second may leave the size as it was."""
    found = {name: name.read_bytes() for name in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")}
    for name in found:
        name.unlink()
    return found


def run(root: Path, chosen: Iterable[Made], out: Path | None, again: bool = False) -> Iterator[Result]:
    """The result of each chosen change, from `out` where a run before wrote it, else from its tests; new ones are added to `out`.

    A change that none of the tests which execute it notices is tried once more with all tests near it, several such changes at
    once; so results come in another order. again: whether changes that survived before are tried once more, since tests were added.

    Raises
    ------
    RuntimeError: the tests near a file fail without any change, or there are none.
    """
    chosen, known = list(chosen), read_results(out)
    shas = {file: sha_of((root / file).read_text("utf-8")) for file in {file for file, _ in chosen}}
    left = []
    for file, change in chosen:
        old = known.get((file, shas[file], change.key))
        if old is not None and not (again and old.outcome == "survived"):
            yield old
        else:
            left.append((file, change))
    if not left:
        return
    near = {file: near_tests(root, file) for file, _ in left}
    for file, tests in near.items():
        if not tests:
            raise RuntimeError(f"mutation: {file} must have tests near it, got none; write tests/{'/'.join(Path(file).parts[1:-1])}")
    units = units_of([test for tests in near.values() for test in tests])
    with copied(root) as tree, Server(tree) as server:
        kept = None if out is None else out.with_suffix(".lines.json")
        runner = Runner(server, record(server, units, kept))
        for (file, change), (outcome, seconds, by) in _outcomes(runner, left):
            result = Result(file, shas[file], change.key, change.line, outcome, round(seconds, 2), by)
            if out is not None:
                with out.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
            yield result


def _outcomes(runner: Runner, chosen: list[Made]) -> Iterator[tuple[Made, Outcome]]:
    """What becomes of each change. Those that are not noticed at first wait until there are some that can be made together."""
    waiting: list[Made] = []
    for file, change in chosen:
        outcome = runner.first(file, change)
        if outcome[0] != "passed":
            yield (file, change), outcome
            continue
        if len(waiting) == TOGETHER or not all(_fit(file, change, *other) for other in waiting):
            yield from zip(waiting, runner.all_near(waiting), strict=True)
            waiting = []
        waiting.append((file, change))
    if waiting:
        yield from zip(waiting, runner.all_near(waiting), strict=True)


def _fit(file: str, change: Change, other: str, one: Change) -> bool:
    """Whether two changes can be made together: the same tests are near them, and they do not overlap."""
    apart = file != other or change.stop <= one.start or one.stop <= change.start
    return apart and Path(file).parent == Path(other).parent


def all_changes(root: Path, files: Iterable[str]) -> list[Made]:
    """Every change of every file."""
    return [(file, change) for file in files for change in changes((root / file).read_text("utf-8"))]


def shuffled(chosen: list[Made], seed: int) -> list[Made]:
    """The changes in an order drawn at random, so that those that ran before a stop are a fair sample."""
    return random.Random(seed).sample(chosen, len(chosen))
