"""Who takes part, and the child process in which each of them lives.

Settings of threads and of the allocator are read when a process starts, and two libraries in one process would share
threads and memory; so each contestant has a process of its own, which waits at a pipe until it is told to work.
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
# Of torch.compile: no helper processes, and in inference the weights count as constants, to be laid out anew.
COMPILE = {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_FREEZING": "1"}
# On its own it may choose channels_last inside, and then gradients of pooling have come out as 0; so "nchw" means it.
STAY_NCHW = {"TORCHINDUCTOR_LAYOUT_OPTIMIZATION": "0"}
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ContestantError(TinyalexError):
    """A contestant's process ended before its time; `reason` is what it said last."""

    exit_code = 1

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Contestant:
    """A library with its settings.

    Parameters
    ----------
    name: what tables call it. side: the key in `Workload.sides`, or "sgemm" or "copy".
    layout, compiled: see `workload.Setting`.
    environment: variables of its process. By default glibc gives large blocks back to the system when they are freed, and
        each new one costs its page faults again; `KEEP_MEMORY` makes it keep them.
    optional: if its process ends early or its answer is another, that is noted, and the others go on: torch.compile needs a
        C++ compiler, and may be mistaken where PyTorch without it is not.
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
    """Those of the rivals who have a side in the workload and settings that matter there."""

    def differs(who: Contestant) -> bool:
        return not (who.layout in workload.same or (who.compiled and "compiled" in workload.same))

    return [who for who in rivals if who.side in workload.sides and differs(who)]


class Child:
    """A contestant's process. Use it in a `with`, at whose end it is gone."""

    def __init__(self, contestant: Contestant, threads: int) -> None:
        self.contestant = contestant
        own = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}  # all start from the same
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
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends its children in order
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
        self._process.kill()  # it keeps nothing
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                pass  # a message that a dead process never read
        self._errors.close()


def last_words(errors: str) -> str:
    """The line that names the error: advice may follow it."""
    lines = errors.strip().splitlines()
    named = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(: |$)", line)]
    return (named or lines or [""])[-1].strip()
