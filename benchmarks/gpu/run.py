"""Runs the stages one after the other, each in a process of its own, and writes what is there after every finding.

A kernel that hangs, a driver that ends the process and a stage that is too slow cost that stage alone: its process is ended when its
time is over, and the findings that it had printed stay. A stage that is too slow is "out of time", which is no failed check. One whose
process does not even end when it is asked to is "hung", which is.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.gpu import ending
from benchmarks.gpu.plan import Stage, deadlines
from benchmarks.gpu.report import HUNG, LATE, markdown
from tinyalex.files.atomic import write_atomically

GRACE = 2.0  # seconds for a process to end after its last line
LAST_LINES = 3


@dataclass(frozen=True)
class Job:
    """A whole run. path: the JSON file; the table lies beside it with the ending .md. seconds: for all stages."""

    stages: Sequence[Stage]
    devices: tuple[str, ...]
    quick: bool
    stub: bool
    seconds: float
    path: Path
    tell: Callable[[str], Any]

    def run(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Run every stage for which there is time, and return the document."""
        document = facts | {"quick": self.quick, "seconds_given": self.seconds, "stages": []}
        began = time.monotonic()
        spare = min(ending.PATIENCE, self.seconds / 4)  # for a last stage that hangs
        for stage, end in zip(self.stages, deadlines(self.stages, self.seconds - spare), strict=True):
            entry: dict[str, Any] = {"name": stage.name, "title": stage.title, "state": "running", "findings": []}
            document["stages"].append(entry)
            self.one(stage, entry, began + end, document)
            self.tell(f"{stage.name}: {entry['state']}, {entry['seconds']:.0f} s")
        document["seconds"] = time.monotonic() - began
        self.write(document)
        return document

    def one(self, stage: Stage, entry: dict[str, Any], ends: float, document: dict[str, Any]) -> None:
        """Run one stage until it ends or its time is over."""
        started = time.monotonic()
        with tempfile.TemporaryFile("w+") as errors:
            command = command_of(stage, ends - started, self.devices, self.quick, self.stub)
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
            assert process.stdout is not None
            lines: queue.Queue[str | None] = queue.Queue()
            reader = threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True)
            reader.start()
            try:
                entry["state"] = self.listen(process, lines, entry, ends, document) or _reason(errors, process.returncode)
            except KeyboardInterrupt:
                entry["state"] = "interrupted"
                self.write(document)
                raise
            finally:
                _end(process)
                reader.join(GRACE)
        entry["seconds"] = time.monotonic() - started
        self.write(document)

    def listen(
        self, process: subprocess.Popen[str], lines: queue.Queue[str | None], entry: dict[str, Any], ends: float, document: dict[str, Any]
    ) -> str:
        """Take the findings as they come. Returns the state of the stage, "" if its process failed."""
        while True:
            try:
                line = lines.get(timeout=max(0.0, ends - time.monotonic()))
            except queue.Empty:
                return LATE if ending.ends_when_asked(process, group=True) else f"{HUNG}, and did not end when asked to"
            if line is None:
                process.wait(GRACE)
                return "" if process.returncode else "finished"
            entry["findings"].append(json.loads(line))
            self.tell(f"  {entry['findings'][-1]['name']}: {entry['findings'][-1]['said']}")
            self.write(document)

    def write(self, document: dict[str, Any]) -> None:
        """Write the JSON file and the table."""
        for path, text in ((self.path, json.dumps(document, indent=1)), (self.path.with_suffix(".md"), markdown(document))):
            data = text.encode()
            write_atomically(path, [data], len(data))


def command_of(stage: Stage, seconds: float, devices: Sequence[str], quick: bool, stub: bool) -> list[str]:
    """The command line of a stage's process."""
    words = ["quick"] * quick + ["stub"] * stub
    return [sys.executable, "-m", "benchmarks.gpu.work", stage.name, f"{seconds:.1f}", ",".join(devices), *words]


def _pump(pipe: IO[str], lines: queue.Queue[str | None]) -> None:
    with pipe:
        for line in pipe:
            lines.put(line)
    lines.put(None)


def _reason(errors: IO[str], code: int | None) -> str:
    errors.seek(0)
    last = " ".join(errors.read().strip().splitlines()[-LAST_LINES:])
    return f"failed with exit code {code}: {last}"


def _end(process: subprocess.Popen[str]) -> None:
    """End the process of a stage and whatever that started, which is in the same group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
