"""The log of a run: one JSON object a line. The first says what was run and on which machine, the others are an epoch each.

Each line ends with a check, the first 16 digits of SHA-256 over the line's bytes before it, so that one altered digit is
found. Logs of tinyalex 0.1 have no checks; they are read as they are, and get checks when their run goes on.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import platform
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex import __version__
from tinyalex.devices import Device
from tinyalex.devices.workers import cores
from tinyalex.errors import CheckpointError, show
from tinyalex.files.atomic import write_bytes, write_error

NAME = "log.jsonl"
CHECKED = re.compile(rb'(.*), "check": "([^"]*)"}', re.DOTALL)


@dataclass(frozen=True)
class EpochResult:
    """One epoch. Errors are fractions in [0, 1]; `lr` is the rate it was trained with.

    loss, running_error: means over the epoch's batches, each taken before its update and with dropout.
    train_error, val_error: of the whole sets after the epoch; None where not evaluated.
    wall_s: seconds since the run's start, evaluation included, pauses between two processes not.
    images_per_s: of the training steps alone.
    """

    epoch: int
    wall_s: float
    loss: float
    running_error: float
    train_error: float | None
    val_error: float | None
    lr: float
    images_per_s: float


def read_epochs(path: Path, lines: Sequence[Mapping[str, Any]]) -> list[EpochResult]:
    """The epochs among the lines of the log `path`.

    Raises
    ------
    CheckpointError: epochs that are not 1, 2, ... in order, or one without a number that belongs to it.
    """
    results = []
    for line in lines:
        if line.get("kind") == "epoch":
            values = {field.name: _number(path, line, field.name, "None" in str(field.type)) for field in fields(EpochResult)}
            results.append(EpochResult(**values))
            if values["epoch"] != len(results):
                raise CheckpointError(
                    f"{path}: epochs must be 1, 2, ... in order, got {values['epoch']} in place of {len(results)}; the file was altered"
                )
    return results


def _number(path: Path, line: Mapping[str, Any], key: str, may_be_none: bool) -> Any:
    value, is_error = line.get(key), key.endswith("_error")
    small = isinstance(value, float) or (type(value) is int and abs(value) < 2**53)  # others need not fit a float
    if value is not None and small and (0 <= value <= 1 if is_error else math.isfinite(value)):
        return value
    if value is None and may_be_none and key in line:
        return None
    rule, got = "from 0 to 1" if is_error else "a finite number", show(value) if key in line else "nothing"
    raise CheckpointError(f"{path}: {key} of an epoch must be {rule}, got {got}; the file was altered")


class RunLog:
    """A file of JSON lines that grows by an epoch at a time and can be cut back to one.

    Raises
    ------
    CheckpointError: the file cannot be read, or a line is not a JSON object or differs from its check. A last line without
        an end, which a kill leaves, is dropped.
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
        checks = [CHECKED.fullmatch(line) for line in lines]
        entries = [self._parse(number, line) for number, line in enumerate(lines, 1)]
        if any(checks):  # else it is a log of tinyalex 0.1
            for number, (line, match, entry) in enumerate(zip(lines, checks, entries, strict=True), 1):
                if match is None or _check(match[1]) != match[2] or entry.pop("check", None) is None:
                    raise CheckpointError(f"{self.path}: line {number} must agree with its check, got {line[:60]!r}; the file was altered")
        return entries

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
            with open(self.path, "ab", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                try:
                    if file.write(line) != len(line):
                        raise OSError(errno.ENOSPC, "No space left on device")
                    os.fsync(file.fileno())
                except BaseException:
                    with contextlib.suppress(OSError):
                        file.truncate(size)  # half a line would spoil the next one
                    raise
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
    """The entry as a line with its check."""
    body = json.dumps(entry, allow_nan=False).encode()[:-1]
    return body + b', "check": "' + _check(body) + b'"}\n'


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode()


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
