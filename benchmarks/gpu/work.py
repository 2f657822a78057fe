"""The process of one stage: prints each finding as one line of JSON as soon as it has it. `run.py` starts it and ends it."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.gpu.ending import listen
from benchmarks.gpu.plan import Context


def main(argv: Sequence[str]) -> int:
    """argv: the stage, the seconds it has, the devices with commas between, and any of `quick` and `stub`."""
    listen()
    stage, seconds, devices, *words = argv
    lines, sys.stdout = sys.stdout, sys.stderr  # whatever else prints must not come between the findings
    if "stub" in words:
        from benchmarks.gpu.stub import install

        install(kernels=stage == "oracles")  # the interpreter is too slow for the others
    context = Context(tuple(devices.split(",")), "quick" in words, "stub" in words, time.monotonic() + float(seconds))
    for finding in importlib.import_module(f"benchmarks.gpu.{stage}").run(context):
        print(json.dumps(asdict(finding)), file=lines, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
