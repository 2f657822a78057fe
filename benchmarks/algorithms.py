"""`python -m benchmarks.algorithms`: each convolution by im2col and by Winograd's algorithm, in turns.

This is the measurement that `Conv2d(algorithm="auto")` follows. Times are medians, in milliseconds an image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.workload import SEED
from tinyalex.devices import CpuDevice
from tinyalex.layers import Conv2d

SHAPES = {  # name: channels, filters, kernel, height and width, groups
    "conv2": (96, 256, 5, 27, 2),
    "conv3": (256, 384, 3, 13, 1),
    "conv4": (384, 384, 3, 13, 2),
    "conv5": (384, 256, 3, 13, 2),
    "figure1 conv2": (32, 32, 5, 16, 1),
    "figure1 conv3": (32, 64, 5, 8, 1),
}
BATCHES = (1, 8, 32, 128)
REPEATS = 5


def passes(conv: Conv2d, n: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Forward and backward of a layer on n images."""
    c, (kernel, _) = conv.in_channels, conv.kernel_size
    size = next(shape[3] for shape in SHAPES.values() if shape[:3] == (c, conv.out_channels, kernel))
    x = np.random.default_rng(SEED).standard_normal((n, c, size, size), np.float32)
    out = conv.forward(x, train=True)
    cache, dout = conv.kept(), np.ones_like(out)

    def backward() -> None:
        conv.keep(*cache)  # so that forward stays outside the clock
        conv.backward(dout)

    return lambda: conv.forward(x), backward


def rows() -> Iterator[tuple[str, int, list[float]]]:
    """(layer, images, ms an image: forward by im2col and Winograd, backward by im2col and Winograd)."""
    device = CpuDevice("cpu", workers=2)
    for name, (c, k, kernel, _, groups) in SHAPES.items():
        for n in BATCHES:
            made = {"padding": kernel // 2, "groups": groups, "device": device}
            convs = [Conv2d(c, k, kernel, rng=np.random.default_rng(SEED), algorithm=a, **made) for a in ("im2col", "winograd")]
            works = [work for both in zip(*(passes(conv, n) for conv in convs), strict=True) for work in both]
            times = np.array([[_seconds(work) for work in works] for _ in range(REPEATS + 1)])[1:]
            yield name, n, list(np.median(times, axis=0) * 1e3 / n)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    print("| layer | images | forward: im2col | Winograd | | backward: im2col | Winograd | |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, n, (a, b, c, d) in rows():
        print(f"| {name} | {n} | {a:.3f} | {b:.3f} | {a / b:.2f} | {c:.3f} | {d:.3f} | {c / d:.2f} |", flush=True)


if __name__ == "__main__":
    main()
