"""The contestants (a library with its settings each), and the child process in which each of them works.

Settings of threads and of the allocator are read when a process starts, and two libraries in one process would share threads and
memory. So each contestant has a separate process, which waits for messages.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.workload import Workload
from tinyalex.errors import TinyalexError

KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "40000000000", "MALLOC_TOP_PAD_": "4000000000"}
# Settings of torch.compile: no helper processes; in inference the weights are constants, so that it may change their layout.
COMPILE = {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_FREEZING": "1"}
# By default torch.compile may choose channels_last inside. Then gradients of pooling were 0. This setting prevents it.
STAY_NCHW = {"TORCHINDUCTOR_LAYOUT_OPTIMIZATION": "0"}
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ContestantError(TinyalexError):
    """The process of a contestant ended too early. reason: its last line of output."""

    exit_code = 1

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Contestant:
    """A library with its settings.

    Parameters
    ----------
    name: its name in tables. side: the key in `Workload.sides`, or "sgemm" or "copy".
    layout, compiled: see `workload.Setting`.
    environment: environment variables of its process. By default glibc gives large blocks back to the system when they are
        freed, and each new block costs page faults again. With `KEEP_MEMORY` glibc keeps them.
    optional: whether the benchmark continues without it if its process ends too early or its answer differs. torch.compile is
        optional: it needs a C++ compiler, and its answer may be wrong where PyTorch without it is right.
    """

    name: str
    side: str
    layout: str = "nchw"
    compiled: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False


TINYALEX = Contestant("tinyalex", "tinyalex")
SGEMM = Contestant("sgemm", "sgemm")
COPY = Contestant("copy", "copy")
RIVALS: dict[str, list[Contestant]] = {
    "torch": [
        Contestant("torch", "torch"),
        Contestant("torch channels_last", "torch", "channels_last"),
        Contestant("torch, memory kept", "torch", environment=KEEP_MEMORY),
        Contestant("torch channels_last, memory kept", "torch", "channels_last", environment=KEEP_MEMORY),
        Contestant("torch.compile, memory kept", "torch", "nchw", True, {**KEEP_MEMORY, **COMPILE, **STAY_NCHW}, optional=True),
        Contestant("torch.compile channels_last, memory kept", "torch", "channels_last", True, {**KEEP_MEMORY, **COMPILE}, optional=True),
    ],
    "onnxruntime": [Contestant("onnxruntime", "onnxruntime")],
    "self": [Contestant("tinyalex on one core", "one core"), Contestant("tinyalex, two towers", "two towers")],
}


def taking_part(workload: Workload, rivals: Sequence[Contestant]) -> list[Contestant]:
    """The rivals that have a side in the workload and no setting that changes nothing there."""

    def differs(who: Contestant) -> bool:
        return not (who.layout in workload.same or (who.compiled and "compiled" in workload.same))

    return [who for who in rivals if who.side in workload.sides and differs(who)]


class Child:
    """The process of a contestant, a context manager. The process ends with the `with` block."""

    def __init__(self, contestant: Contestant, threads: int) -> None:
        self.contestant = contestant
        own = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}  # without the caller's own
        environment = {**own, **dict.fromkeys(THREAD_SETTINGS, str(threads)), **contestant.environment}
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.child"],
            cwd=Path(__file__).parent.parent,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # Ctrl-C reaches only the parent, which then ends its children
        )

    def ask(self, **message: Any) -> dict[str, Any]:
        """Send a message of `child.serve` and wait for its answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps(message), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise self._ended() from None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return json.loads(line)

    def _ended(self) -> ContestantError:
        code = self._process.wait()
        self._errors.seek(0)
        reason = last_words(self._errors.read().decode(errors="replace"))
        said = f", which said last: {reason}" if reason else ""
        message = f"{self.contestant.name}: the process must live until it is told to end, got exit code {code}{said}"
        return ContestantError(message, reason or f"exit code {code}")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()  # it has nothing to save
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                pass  # a message that the ended process has not read
        self._errors.close()


def last_words(errors: str) -> str:
    """The line of the output that names the error; lines of advice may follow it."""
    lines = errors.strip().splitlines()
    named = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(: |$)", line)]
    return (named or lines or [""])[-1].strip()
