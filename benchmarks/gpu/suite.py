"""The tests of the package that run on a card, both towers on one card, and on two cards if there are two."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks.gpu.plan import Context, Finding

VARIABLE = "TINYALEX_TEST_DEVICES"  # on which devices the tests put the halves of a net, such as cuda:0,cuda:1
ON_DEVICES = ["tests/devices", "tests/layers", "tests/models", "tests/training", "tests/towers"]
COUNT = re.compile(r"(\d+) (passed|failed|skipped|error|errors|deselected)")


def run(context: Context) -> Iterator[Finding]:
    """The tests that need a card, then those that have their devices as a parameter, on each place for two towers."""
    if context.stub:
        yield tests("tests of the device `cuda` against the stub", ["tests/devices/test_cuda.py"], {}, context)
        return
    yield tests("tests that need a card", ["-m", "gpu", "tests"], {VARIABLE: ",".join(context.devices)}, context)
    for pair in context.pairs():
        where = ",".join(pair)
        yield tests(f"tests with their devices as a parameter, on {where}", [*ON_DEVICES, "-m", "not slow"], {VARIABLE: where}, context)


def tests(name: str, arguments: list[str], variables: dict[str, str], context: Context) -> Finding:
    """Run pytest until it ends or the time is over. No test at all is no failure, and is said."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *existing(arguments)]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        try:
            code = subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=max(1.0, context.left() - 5),
                env=os.environ | variables,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
        output.seek(0)
        text = output.read()
    return judged(name, code, text, time.monotonic() - began)


def judged(name: str, code: int | None, text: str, seconds: float) -> Finding:
    """The finding for what pytest printed. code: its exit code, None if it was ended."""
    failures = re.findall(r"^(?:FAILED|ERROR) .*", text, re.MULTILINE)
    if code is None:
        dots = "".join(re.findall(r"^[.sFExX]+(?= *(?:\[|$))", text, re.MULTILINE))
        said = f"ended when the time was over, after {seconds:.0f} s: {dots.count('.')} passed, {dots.count('F') + dots.count('E')} failed"
        return Finding(name, said, False if "F" in dots or "E" in dots else None, {"seconds": seconds, "failures": failures})
    counts = {kind: int(n) for n, kind in COUNT.findall(text.strip().rpartition("\n")[2])}
    said = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "no test"
    numbers = {"seconds": seconds, "counts": counts, "failures": failures}
    if code == 5:  # pytest found no test
        return Finding(name, f"no test was found ({said})", None, numbers)
    return Finding(name, f"{said} in {seconds:.0f} s" + "".join(f"; {line}" for line in failures[:3]), code == 0, numbers)


def existing(arguments: list[str]) -> list[str]:
    """The arguments without folders that are not there."""
    return [each for each in arguments if not each.startswith("tests/") or os.path.exists(each)]
