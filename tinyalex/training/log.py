"""The log of a run: one JSON object a line. The first line describes the run and the machine, each other line an epoch.

Each line ends with a check: the first 16 digits of SHA-256 over the bytes of the line before the check. With it a single
altered digit is noticed. Logs of tinyalex 0.1 have no checks; they are read without, and get checks when their run continues.
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
    """The result of one epoch. Errors are fractions, 0 to 1.

    wall_s: seconds from the start of the run to the end of this epoch, with evaluation, without the time between a stop
        and its continuation.
    loss, running_error: means over the epoch's batches. Each batch is measured before its own update, with dropout.
    train_error, val_error: errors of all training and validation images after the epoch; None if they were not computed.
    lr: the learning rate during the epoch. images_per_s: images a second in the training steps, without evaluation.
    wait_s: seconds that the steps waited for images; without workers this is the time of reading and preparing them. None in older logs.
    """

    epoch: int
    wall_s: float
    loss: float
    running_error: float
    train_error: float | None
    val_error: float | None
    lr: float
    images_per_s: float
    wait_s: float | None = None


def read_epochs(path: Path, lines: Sequence[Mapping[str, Any]]) -> list[EpochResult]:
    """The results of the epochs in the lines of a log; `path` is named in errors.

    Raises
    ------
    CheckpointError: the epochs are not 1, 2, ... in order, or a field of an epoch is missing or out of its range.
    """
    results = []
    for line in lines:
        if line.get("kind") == "epoch":
            line = {"wait_s": None, **line}
            values = {field.name: _number(path, line, field.name, "None" in str(field.type)) for field in fields(EpochResult)}
            results.append(EpochResult(**values))
            if values["epoch"] != len(results):
                raise CheckpointError(
                    f"{path}: epochs must be 1, 2, ... in order, got {values['epoch']} in place of {len(results)}; the file was altered"
                )
    return results


def _number(path: Path, line: Mapping[str, Any], key: str, may_be_none: bool) -> Any:
    value, is_error = line.get(key), key.endswith("_error")
    small = isinstance(value, float) or (type(value) is int and abs(value) < 2**53)  # a larger int may not fit a float
    if value is not None and small and (0 <= value <= 1 if is_error else math.isfinite(value)):
        return value
    if value is None and may_be_none and key in line:
        return None
    rule, got = "from 0 to 1" if is_error else "a finite number", show(value) if key in line else "nothing"
    raise CheckpointError(f"{path}: {key} of an epoch must be {rule}, got {got}; the file was altered")


class RunLog:
    """A log file: it grows by one line after each epoch, and can be shortened to an earlier epoch.

    Raises
    ------
    CheckpointError: the file cannot be read, a line is not a JSON object, or a line does not agree with its check. If the
        last line has no end, because a kill came while it was written, it is ignored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        """The objects of all complete lines; an empty list if there is no file."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            got = error.strerror or error
            raise CheckpointError(f"{self.path}: the log must be a file that can be read, got {got}; use another folder") from None
        *lines, torn = text.split(b"\n")  # after the last newline there is no complete line
        checks = [CHECKED.fullmatch(line) for line in lines]
        entries = [self._parse(number, line) for number, line in enumerate(lines, 1)]
        if any(checks):  # if no line has a check, it is a log of tinyalex 0.1
            for number, (line, match, entry) in enumerate(zip(lines, checks, entries, strict=True), 1):
                if match is None or _check(match[1]) != match[2] or entry.pop("check", None) is None:
                    raise CheckpointError(f"{self.path}: line {number} must agree with its check, got {line[:60]!r}; the file was altered")
        return entries

    def cut(self, config: Mapping[str, Any], epoch: int) -> None:
        """Shorten the log to its first line and the lines of `epoch` epochs. A log without a first line gets one from `config`."""
        lines = self.read()
        first = lines[0] if lines and lines[0].get("kind") == "config" else {"kind": "config", **config}
        epochs = [line for line in lines if line.get("kind") == "epoch"][:epoch]
        write_bytes(self.path, b"".join(map(_line, [first, *epochs])))

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add a line. When the call returns, the line is on the disk."""
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
                        file.truncate(size)  # otherwise half a line would stand before the next line
                    raise
        except OSError as error:
            raise write_error(self.path, len(line), error) from None

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            entry = json.loads(line)
            json.dumps(entry, allow_nan=False)  # the entry will be written again, and JSON has no NaN
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            raise CheckpointError(f"{self.path}: line {number} must be a JSON object, got {line[:60]!r}; the file was altered")
        return entry


def describe_run(config: Mapping[str, Any], device: Device, seed: int) -> dict[str, Any]:
    """The first line of a log: config, versions, BLAS, device, workers, seed, machine, time."""
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
    """The entry as a line that ends with its check."""
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
