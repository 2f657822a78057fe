"""The tests of the package that have their GPUs as a parameter: both towers on one card, and on two cards if there are two."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks.gpu.ending import LISTENS, PATIENCE, ends_when_asked
from benchmarks.gpu.plan import Context, Finding
from benchmarks.gpu.stub import PRELUDE

SPARE = 5.0 + PATIENCE  # seconds for pytest to end, and for what comes afterwards
VARIABLE = "TINYALEX_TEST_DEVICES"  # of `tests/places.py`: the GPUs of tests whose devices are a parameter, such as cuda:0,cuda:1
ON_DEVICES = [
    "tests/test_contract.py", "tests/gradcheck/test_check.py", "tests/towers/test_towers.py", "tests/models/test_on_a_card.py",
    "tests/models/test_cifar_alexnet.py", "tests/models/test_alexnet_towers.py", "tests/training/test_step_on_a_card.py",
    "tests/training/test_trainer.py", "tests/training/test_checkpoint.py", "tests/training/test_evaluate.py",
    "tests/training/test_diagnose.py", "tests/training/test_resume.py", "tests/layers/test_conv.py", "tests/layers/test_pool.py",
    "tests/layers/test_lrn.py", "tests/layers/test_linear.py", "tests/layers/test_dropout.py", "tests/layers/test_activation.py",
]  # fmt: skip
SHORT = ["tests/training/test_step_on_a_card.py", "tests/models/test_on_a_card.py"]  # with --quick
PYTEST = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
COUNT = re.compile(r"(\d+) (passed|failed|skipped|error|errors|deselected)")


def run(context: Context) -> Iterator[Finding]:
    """The tests whose GPUs are a parameter, on each place for two towers."""
    for pair in context.pairs():
        where = ",".join(pair)
        yield tests(f"tests on {where}", [*(SHORT if context.quick else ON_DEVICES), "-k", "card or sim"], {VARIABLE: where}, context)


def tests(name: str, arguments: list[str], variables: dict[str, str], context: Context) -> Finding:
    """Run pytest until it ends or the time is over. No test at all is no failure, and is said."""
    code = LISTENS + PRELUDE * context.stub + PYTEST
    command = [sys.executable, "-c", code, "-q", "--no-header", "-p", "no:cacheprovider", *arguments]
    began, seconds = time.monotonic(), max(1.0, context.left() - SPARE)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | variables, text=True)
        hung, ended = False, None
        try:
            ended = process.wait(seconds)
        except subprocess.TimeoutExpired:
            hung = not ends_when_asked(process)
        finally:
            process.kill()
        output.seek(0)
        text = output.read()
    return judged(name, ended, text, time.monotonic() - began, hung)


def judged(name: str, code: int | None, text: str, seconds: float, hung: bool = False) -> Finding:
    """The finding for what pytest printed. code: its exit code, None if it was ended. hung: whether it did not end when asked to."""
    failures = re.findall(r"^(?:FAILED|ERROR) .*", text, re.MULTILINE)
    if code is None:
        dots = "".join(re.findall(r"^[.sFExX]+(?= *(?:\[|$))", text, re.MULTILINE))
        how = "hung, and killed" if hung else "ended when the time was over,"
        said = f"{how} after {seconds:.0f} s: {dots.count('.')} passed, {dots.count('F') + dots.count('E')} failed"
        bad = hung or "F" in dots or "E" in dots
        return Finding(name, said, False if bad else None, {"seconds": seconds, "failures": failures, "ended": True})
    counts = {kind: int(n) for n, kind in COUNT.findall(text.strip().rpartition("\n")[2])}
    said = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "no test"
    numbers = {"seconds": seconds, "counts": counts, "failures": failures}
    if code == 5:  # pytest found no test
        return Finding(name, f"no test was found ({said})", None, numbers)
    return Finding(name, f"{said} in {seconds:.0f} s" + "".join(f"; {line}" for line in failures[:3]), code == 0, numbers)
