"""Who takes part, and the child process in which each of them lives.

Settings of threads and of the allocator are read when a process starts, and two libraries in one process would share
threads and memory; so each contestant has a process of its own, which waits at a pipe until it is told to work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tinyalex.errors import TinyalexError

KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "40000000000", "MALLOC_TOP_PAD_": "4000000000"}
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ContestantError(TinyalexError):
    """A contestant's process ended before its time."""

    exit_code = 1


@dataclass(frozen=True)
class Contestant:
    """A library with its settings.

    Parameters
    ----------
    name: what tables call it. side: the key in `Workload.sides`, or "sgemm".
    layout: see `workload.Setting`.
    environment: variables of its process. By default glibc gives large blocks back to the system when they are freed, and
        each new one costs its page faults again; `KEEP_MEMORY` makes it keep them.
    """

    name: str
    side: str
    layout: str = "nchw"
    environment: Mapping[str, str] = field(default_factory=dict)


TINYALEX = Contestant("tinyalex", "tinyalex")
SGEMM = Contestant("sgemm", "sgemm")
RIVALS: dict[str, list[Contestant]] = {
    "torch": [
        Contestant("torch", "torch"),
        Contestant("torch channels_last", "torch", "channels_last"),
        Contestant("torch, memory kept", "torch", "nchw", KEEP_MEMORY),
        Contestant("torch channels_last, memory kept", "torch", "channels_last", KEEP_MEMORY),
    ]
}


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
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        said = f", which said last: {lines[-1]}" if lines else ""
        return ContestantError(f"{self.contestant.name}: the process must live until it is told to end, got exit code {code}{said}")

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
