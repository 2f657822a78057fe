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

from benchmarks.gpu.ending import LISTENS, PATIENCE, ends_when_asked
from benchmarks.gpu.plan import Context, Finding
from benchmarks.gpu.stub import PRELUDE

DRAWING = 15.0  # seconds that drawing what there is takes
QUICK = ["--train-images", "8", "--epochs", "1", "--rates", "0.01", "--activations", "relu", "--setup", "2012"]


def run(context: Context) -> Iterator[Finding]:
    """Train until the target or until the time is over, and report what the runs reached."""
    with tempfile.TemporaryDirectory(prefix="tinyalex-gpu-") as name:
        folder = Path(name) / "figure1"
        options = [*QUICK, "--data", "synthetic"] if context.quick else ["--data", "auto", "--setup", "fan-in"]
        command = ["figure1", *options, "--seeds", "1", "--device", context.devices[0], "--out", str(folder), "--json"]
        began = time.monotonic()
        done, text = within(tinyalex(context, command), max(1.0, context.left() - DRAWING - PATIENCE))
        seconds = time.monotonic() - began
        if not done:
            _, text = within(tinyalex(context, ["figure1", "--plot-only", str(folder), "--json"]), DRAWING)
        yield told(text, done, seconds)


def tinyalex(context: Context, arguments: list[str]) -> list[str]:
    """The command line that runs tinyalex, with the stub in the place of CuPy if there is one."""
    code = LISTENS + (PRELUDE if context.stub else "") + "import sys; from tinyalex import cli; sys.exit(cli.main(sys.argv[1:]))"
    return [sys.executable, "-c", code, *arguments]


def within(command: list[str], seconds: float) -> tuple[bool | None, str]:
    """Whether the command ended in this time, and what it printed. If not, it is ended; None: it hung, and did not end when asked to."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        return True, process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        return (False if ends_when_asked(process) else None), ""
    finally:
        process.kill()
        process.communicate()


def told(text: str, done: bool | None, seconds: float) -> Finding:
    """The finding from the JSON document that the command printed. done: see `within`."""
    how, ok = ("hung, and was killed", False) if done is None else ("ended when its time was over", None)
    try:
        document: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        said = f"no result after {seconds:.0f} s"
        return Finding("figure1", said, False) if done else Finding("figure1", f"{said}; {how}", ok, {"ended": True})
    from tinyalex.experiments.figure1.result import sentences

    ended = "" if done else f"; {how}"
    data = document["dataset"]
    images = "synthetic images" if data["synthetic"] else data["name"]
    said = f"{seconds:.0f} s on {document['train_images']:,} {images}{ended}: {'; '.join(sentences(document))}"
    return Finding("figure1", said, None if done else ok, {"seconds": seconds, "document": document} | ({} if done else {"ended": True}))
