"""The machine: the speed of its matrix product and of its copy, its processor, and the memory of a process."""

from __future__ import annotations

import contextlib
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workload import SEED, Job


def sgemm_size(quick: bool) -> int:
    """The number of rows, and of columns, of the matrices of `sgemm`."""
    return 256 if quick else 2048


def sgemm(size: int) -> Job:
    """The product of two square float32 matrices by NumPy's BLAS. It shows how fast this machine can multiply."""
    a, b = np.random.default_rng(SEED).standard_normal((2, size, size), np.float32)
    c = np.empty_like(a)
    return Job(lambda: np.matmul(a, b, out=c), answer=lambda: {"c": a @ b})


def copy_size(quick: bool) -> int:
    """The bytes that `copy` reads, and writes as well. A cache is far smaller."""
    return 1 << (20 if quick else 28)


def copy(size: int, threads: int) -> Job:
    """A copy of `size` bytes, each thread copies a part. It shows how many bytes a second the memory can move."""
    source, destination = np.ones(size // 4, np.float32), np.empty(size // 4, np.float32)
    parts = list(zip(np.array_split(source, threads), np.array_split(destination, threads), strict=True))
    pool = ThreadPoolExecutor(threads)

    def work() -> None:
        for _ in pool.map(lambda part: np.copyto(part[1], part[0]), parts):
            pass

    return Job(work, answer=lambda: {"copy": source.copy()})


def machine() -> dict[str, Any]:
    """The processor, its cores and the system."""
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "platform": platform.platform()}


def cpu_name(cpuinfo: str = "/proc/cpuinfo") -> str:
    """The name of the processor."""
    try:
        lines = Path(cpuinfo).read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")


def peak_rss(status: str = "/proc/self/status") -> int | None:
    """The peak memory of this process since `forget_peak`, in bytes; None if the system does not say.

    `getrusage` is not used: on Linux its value includes the peak of the process that started this one.
    """
    try:
        lines = Path(status).read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def forget_peak(refs: str = "/proc/self/clear_refs") -> None:
    """Let the peak memory count from now on. If the system cannot do that, it counts from the start of the process."""
    with contextlib.suppress(OSError):
        Path(refs).write_text("5")
