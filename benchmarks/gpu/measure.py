"""Times on a card: the host waits for the card before the clock starts and before it stops."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.devices import Device

WARM_UP, LEAST, MOST = 2, 3, 30


def seconds_of(work: Callable[[], Any], wait: Callable[[], Any], budget: float, before: Callable[[], Any] = lambda: None) -> list[float]:
    """The seconds of each of 3 to 30 calls of `work`, as many as fit into `budget` seconds. `before` is called before each, untimed."""
    for _ in range(WARM_UP):
        before()
        work()
    wait()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < LEAST or (len(times) < MOST and time.perf_counter() - began < budget):
        before()
        wait()
        start = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - start)
    return times


def median(times: list[float]) -> float:
    """The median."""
    return statistics.median(times)


def sgemm_rate(device: Device, size: int, budget: float) -> float:
    """Operations a second of the card's own product of two float32 matrices."""
    with device.activate():
        a, b = (device.asarray(np.random.default_rng(i).standard_normal((size, size), np.float32)) for i in (0, 1))
        out = device.empty((size, size))
        times = seconds_of(lambda: device.xp.matmul(a, b, out=out), device.synchronize, budget)
    return 2.0 * size**3 / median(times)


def copy_rate(device: Device, nbytes: int, budget: float) -> float:
    """Bytes a second that a copy within the card reads and writes together."""
    with device.activate():
        source, target = device.zeros((nbytes // 4,)), device.zeros((nbytes // 4,))

        def copy() -> None:
            target[...] = source

        times = seconds_of(copy, device.synchronize, budget)
    return 2.0 * nbytes / median(times)


def difference(found: Any, expected: Any) -> float:
    """The largest difference, relative to the largest expected value. NaN counts as infinite."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        return float("inf")
    largest = float(np.abs(expected).max(initial=0.0)) or 1.0
    worst = float(np.abs(found - expected).max(initial=0.0)) / largest
    return worst if worst == worst else float("inf")


def in_ms(seconds: float) -> str:
    """Such as `12.3 ms`."""
    return f"{seconds * 1e3:.3g} ms"
