"""The log of a run: one JSON object a line, first what was run and on what, then a line an epoch."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex import __version__
from tinyalex.devices import Device
from tinyalex.devices.workers import cores
from tinyalex.errors import CheckpointError
from tinyalex.files.atomic import write_bytes, write_error

NAME = "log.jsonl"


class RunLog:
    """A file of JSON lines that grows by an epoch at a time and can be cut back to one.

    Raises
    ------
    CheckpointError: the file cannot be read, or a line other than the last is not a JSON object. A torn last line, which a
        kill leaves, is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """The objects of all whole lines; none where there is no file."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            got = error.strerror or error
            raise CheckpointError(f"{self.path}: the log must be a file that can be read, got {got}; use another folder") from None
        *lines, torn = text.split(b"\n")  # what follows the last newline is no whole line
        return [self._parse(number, line) for number, line in enumerate(lines, 1)]

    def cut(self, config: Mapping[str, Any], epoch: int) -> None:
        """Keep the first line, or make it of `config`, and the lines of epochs up to `epoch`."""
        lines = self.read()
        first = lines[0] if lines and lines[0].get("kind") == "config" else {"kind": "config", **config}
        epochs = [line for line in lines if line.get("kind") == "epoch"][:epoch]
        write_bytes(self.path, b"".join(map(_line, [first, *epochs])))

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add a line; it is on the disk when this returns."""
        line = _line(entry)
        try:
            with open(self.path, "ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise write_error(self.path, len(line), error) from None

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            entry = json.loads(line)
            json.dumps(entry, allow_nan=False)  # what is read here is written again, and NaN is no JSON
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            raise CheckpointError(f"{self.path}: line {number} must be a JSON object, got {line[:60]!r}; the file was altered")
        return entry


def describe_run(config: Mapping[str, Any], device: Device, seed: int) -> dict[str, Any]:
    """What the first line of a log says: config, versions, BLAS, workers, seed, machine, time."""
    return {
        "config": config,
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "tinyalex": __version__},
        "blas": _blas(),
        "device": device.name,
        "workers": getattr(device, "workers", None),
        "seed": seed,
        "machine": {"processor": _processor(), "cores": cores()},
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, allow_nan=False).encode() + b"\n"


def _blas() -> dict[str, str | None]:
    import threadpoolctl

    found = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]
    info = found[0] if found else {}
    return {"library": info.get("internal_api"), "version": info.get("version"), "kernel": info.get("architecture")}


def _processor() -> str:
    if sys.platform == "linux" and os.path.exists("/proc/cpuinfo"):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
