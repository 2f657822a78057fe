"""Figure 1 on the card: epochs and seconds to 25 % training error, with what CIFAR-10 there is, else with synthetic images."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.gpu.plan import Context, Finding
from benchmarks.gpu.stub import PRELUDE

SPARE = 15.0  # seconds that drawing what there is takes
QUICK = ["--train-images", "8", "--epochs", "1", "--rates", "0.01", "--activations", "relu", "--setup", "2012"]


def run(context: Context) -> Iterator[Finding]:
    """Train until the target or until the time is over, and report what the runs reached."""
    with tempfile.TemporaryDirectory(prefix="tinyalex-gpu-") as name:
        folder = Path(name) / "figure1"
        options = [*QUICK, "--data", "synthetic"] if context.quick else ["--data", "auto", "--setup", "fan-in"]
        command = ["figure1", *options, "--seeds", "1", "--device", context.devices[0], "--out", str(folder), "--json"]
        began = time.monotonic()
        done, text = within(tinyalex(context, command), max(1.0, context.left() - SPARE))
        seconds = time.monotonic() - began
        if not done:
            _, text = within(tinyalex(context, ["figure1", "--plot-only", str(folder), "--json"]), SPARE)
        yield told(text, done, seconds)


def tinyalex(context: Context, arguments: list[str]) -> list[str]:
    """The command line that runs tinyalex, with the stub in the place of CuPy if there is one."""
    code = (PRELUDE if context.stub else "") + "import sys; from tinyalex import cli; sys.exit(cli.main(sys.argv[1:]))"
    return [sys.executable, "-c", code, *arguments]


def within(command: list[str], seconds: float) -> tuple[bool, str]:
    """Whether the command ended in this time, and what it printed. If not, it is ended."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=seconds, text=True, check=False)
    except subprocess.TimeoutExpired:
        return False, ""
    return True, done.stdout


def told(text: str, done: bool, seconds: float) -> Finding:
    """The finding from the JSON document that the command printed."""
    try:
        document: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        return Finding("figure1", f"no result after {seconds:.0f} s", False if done else None)
    from tinyalex.experiments.figure1.result import sentences

    ended = "" if done else "; ended when its time was over"
    data = document["dataset"]
    images = "synthetic images" if data["synthetic"] else data["name"]
    said = f"{seconds:.0f} s on {document['train_images']:,} {images}{ended}: {'; '.join(sentences(document))}"
    return Finding("figure1", said, None, {"seconds": seconds, "document": document})
