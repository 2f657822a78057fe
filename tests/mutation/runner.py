"""Runs the tests near a file on each of its changes, in a copy of the tree and a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutation.changes import Change, changes

AREAS = ("loss", "optim", "schedule", "init", "data", "training", "models", "analysis", "devices")
PACKAGE = "tinyalex"
LEAST_LIMIT, SLOWER = 20.0, 5  # seconds; tests of a changed file may take so many times as long as those of the shipped one
LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", ".venv", ".*_cache", ".hypothesis", "*.egg-info")


@dataclass(frozen=True)
class Result:
    """What became of one change. outcome: "noticed", "time" (the limit passed, which is noticed too) or "survived"."""

    file: str
    sha: str
    key: str
    line: int
    outcome: str
    seconds: float


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
    """tinyalex/x/y.py -> tests/x/test_y*.py, then all of tests/x; for tinyalex/y.py only tests/test_y*.py."""
    module = Path(file).relative_to(PACKAGE)
    folder = Path("tests") / module.parent
    near = sorted((root / folder).glob(f"test_{module.stem}.py")) + sorted((root / folder).glob(f"test_{module.stem}_*.py"))
    found = [path.relative_to(root).as_posix() for path in near]
    if module.parent != Path(".") and (root / folder).is_dir():
        found.append(folder.as_posix())
    return found


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """A copy of the tree in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(root, Path(folder) / "tree", ignore=LEFT_OUT))


def run_tests(tree: Path, tests: list[str], limit: float | None = None) -> tuple[str, float]:
    """("passed", "failed" or "time", seconds) of the tests in a process of its own, which ends with all that it started."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", *tests]  # slow ones hang on the load
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}
    begun = time.monotonic()
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=tree, env=environment, start_new_session=True, **quiet)  # type: ignore[call-overload]
    try:
        outcome = "passed" if process.wait(limit) == 0 else "failed"
    except subprocess.TimeoutExpired:
        outcome = "time"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
            process.wait()
    return outcome, time.monotonic() - begun


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


def run(root: Path, chosen: Iterable[tuple[str, Change]], out: Path | None, again: bool = False) -> Iterator[Result]:
    """The result of each chosen change, from `out` where a run before wrote it, else from its tests; new ones are added to `out`.

    again: whether changes that survived before are tried once more, since tests were added.

    Raises
    ------
    RuntimeError: the tests near a file fail without any change, or there are none.
    """
    known, limits = read_results(out), dict[str, float]()
    with copied(root) as tree:
        for file, change in chosen:
            source = (tree / file).read_text("utf-8")
            old = known.get((file, sha_of(source), change.key))
            if old is not None and not (again and old.outcome == "survived"):
                yield old
                continue
            tests = near_tests(root, file)
            if file not in limits:
                limits[file] = _limit(tree, file, tests)
            try:
                (tree / file).write_text(change.apply(source), "utf-8")
                outcome, seconds = run_tests(tree, tests, limits[file])
            finally:
                (tree / file).write_text(source, "utf-8")
            outcome = {"passed": "survived", "failed": "noticed"}.get(outcome, outcome)
            result = Result(file, sha_of(source), change.key, change.line, outcome, round(seconds, 2))
            if out is not None:
                with out.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
            yield result


def _limit(tree: Path, file: str, tests: list[str]) -> float:
    """Seconds that the tests of a changed file may take."""
    if not tests:
        raise RuntimeError(f"mutation: {file} must have tests near it, got none; write tests/{'/'.join(Path(file).parts[1:-1])}")
    outcome, seconds = run_tests(tree, tests)
    if outcome != "passed":
        raise RuntimeError(f"mutation: the tests near {file} must pass without any change, got a failure; run pytest {' '.join(tests)}")
    return max(LEAST_LIMIT, SLOWER * seconds)


def all_changes(root: Path, files: Iterable[str]) -> list[tuple[str, Change]]:
    """Every change of every file."""
    return [(file, change) for file in files for change in changes((root / file).read_text("utf-8"))]
