"""How good is the tutor? One figure a line, for tests/tutor/README.md.

    python -m tests.tutor.measure                     all five, with 200 seeds: an hour
    python -m tests.tutor.measure alarms --seeds 20   one of: alarms, planted, time, loop, blind
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import platform
import statistics
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercise import SIZE_SETS, as_outputs, slug
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.guard import LIMIT_S
from tinyalex.tutor.runner import try_exercise

BLIND = Path(__file__).parent / "blind"
LOOP = """
import time
from tinyalex import tutor
def max_pool(x, kernel, stride):
    while True:
        try:
            x.max()
        except Exception:
            pass
start = time.perf_counter()
report = tutor.check("E06", max_pool)
print("seconds", round(time.perf_counter() - start, 2), report.finding.key)
"""


def alarms(seeds: int) -> None:
    """Right answers of all styles, with so many seeds each; every seed has one of the size sets."""
    for exercise in EXERCISES.values():
        styles = importlib.import_module(f"tests.tutor.styles.{exercise.key.lower()}").STYLES
        runs = found = 0
        for function in exercise.functions:
            for student in (function.right, *styles[function.name]):
                for seed in range(seeds):
                    runs += 1
                    found += examine(exercise, function, student, seed, seed % SIZE_SETS) is not None
        print(f"alarms {exercise.key}: {found} in {runs} runs", flush=True)


def planted(seeds: int) -> None:
    """Every planted mistake on every size set: is it named by its own name?"""
    for exercise in EXERCISES.values():
        named, count = 0, sum(len(function.mistakes) for function in exercise.functions)
        for function in exercise.functions:
            for mistake in function.mistakes:
                keys = {getattr(examine(exercise, function, mistake.compute, sizes, sizes), "key", "") for sizes in range(SIZE_SETS)}
                named += keys == {f"{exercise.key}.{slug(mistake.key)}"}
        print(f"planted {exercise.key}: {named} of {count} named on all {SIZE_SETS} size sets", flush=True)


def times(seeds: int) -> None:
    """The seconds of computing of a `check`: a solution, each of the planted mistakes, and one for which everything is tried."""
    for exercise in EXERCISES.values():
        solution = importlib.import_module(f"lessons.solutions.{exercise.key.lower()}")
        right = [_seconds(lambda: [examine(exercise, f, getattr(solution, f.name)) for f in exercise.functions]) for _ in range(5)]  # noqa: B023
        wrong = [_seconds(lambda: examine(exercise, f, m.compute)) for f in exercise.functions for m in f.mistakes]  # noqa: B023
        unknown = [_seconds(lambda: examine(exercise, f, _unknown(f.right))) for f in exercise.functions]  # noqa: B023
        print(
            f"time {exercise.key}: solution median {statistics.median(right):.2f} s, worst {max(right):.2f} s; "
            f"a mistake median {statistics.median(wrong):.2f} s, worst {max(wrong):.2f} s; "
            f"an unknown one worst {max(unknown):.2f} s",
            flush=True,
        )


def _unknown(right: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is nearly right, in a way that no list holds."""

    def student(*arguments: Any) -> Any:
        first, *others = as_outputs(right(*arguments))
        off = np.asarray(first) * (1.0 + 0.01 * np.cos(np.arange(np.size(first))).reshape(np.shape(first)))
        return (off, *others) if others else off

    return student


def _seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def loop(seeds: int) -> None:
    """An endless loop that swallows every exception: it ends after LIMIT_S, and the kernel goes on."""
    try:
        from jupyter_client.manager import start_new_kernel
    except ImportError:
        code = LOOP + "print('alive', 6 * 7)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=6 * LIMIT_S, check=True)
        print(f"loop: no jupyter_client here, so in a Python of its own: {' '.join(done.stdout.split()[-5:])}")
        return
    manager, client = start_new_kernel(kernel_name="python3")
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told):
            client.execute_interactive(LOOP, timeout=6 * LIMIT_S)
            client.execute_interactive("print('alive', 6 * 7)", timeout=LIMIT_S)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    print(f"loop: in a kernel of ipykernel {importlib.import_module('ipykernel').__version__}: {' '.join(told.getvalue().split()[-5:])}")


def blind(seeds: int) -> None:
    """The two sets of mistakes of tests/tutor/blind: judged at first sight, and found today."""
    expected = tomllib.loads((BLIND / "expected.toml").read_text("utf-8"))
    for which, ends in (("first", "ab"), ("second", "cde")):
        entries = {name: entry for name, entry in expected.items() if name[-1] in ends}
        first, now = Counter(entry["first"] for entry in entries.values()), Counter[str]()
        for name, entry in entries.items():
            path = BLIND / f"{name}.py"
            found = {one.function: one for one in try_exercise(EXERCISES[name[:3].upper()], path, path.name, 0, 0, True).findings}
            finding = found.get(entry["function"])
            now["missed" if finding is None else "symptom" if finding.layer == "symptom" else "named"] += 1
        print(f"blind, {which} set: at first sight {dict(first)}, now {dict(now)}, of {len(entries)}", flush=True)


WHAT = {"alarms": alarms, "planted": planted, "time": times, "loop": loop, "blind": blind}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.tutor.measure", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"some of {', '.join(WHAT)} (default: all)")
    parser.add_argument("--seeds", type=int, default=200, help="of `alarms` (default: %(default)s)")
    args = parser.parse_args()
    print(f"{time.strftime('%d %B %Y')}, Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}", flush=True)
    for what in args.what or WHAT:
        WHAT[what](args.seeds)


if __name__ == "__main__":
    main()
