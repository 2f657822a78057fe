"""`python -m benchmarks.algorithms`: times each convolution by columns and by Winograd's algorithm, in turns.

`Conv2d(algorithm="auto")` chooses by this measurement. "Columns" are those of `im2col`, for conv1 in strips. Times are medians in
milliseconds an image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.workload import SEED
from tinyalex.devices import CpuDevice
from tinyalex.layers import Conv2d

SHAPES = {  # name: height and width, channels, filters, kernel, and the rest
    "conv1": (227, 3, 96, 11, {"stride": 4, "input_gradient": False}),
    "conv2": (27, 96, 256, 5, {"padding": 2, "groups": 2}),
    "conv3": (13, 256, 384, 3, {"padding": 1}),
    "conv4": (13, 384, 384, 3, {"padding": 1, "groups": 2}),
    "conv5": (13, 384, 256, 3, {"padding": 1, "groups": 2}),
    "figure1 conv2": (16, 32, 32, 5, {"padding": 2}),
    "figure1 conv3": (8, 32, 64, 5, {"padding": 2}),
}
BATCHES = (1, 8, 32, 128)
REPEATS = 5


def passes(conv: Conv2d, n: int, size: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Functions that run forward and backward of a layer on n images of one size."""
    x = np.random.default_rng(SEED).standard_normal((n, conv.in_channels, size, size), np.float32)
    out = conv.forward(x, train=True)
    cache, dout = conv.kept(), np.ones_like(out)

    def backward() -> None:
        conv.keep(*cache)  # so that only backward is timed, without forward
        conv.backward(dout)

    return lambda: conv.forward(x), backward


def rows() -> Iterator[tuple[str, int, list[float]]]:
    """For each layer: its name, the images, and four times in ms: forward by columns, by Winograd, backward by columns, by Winograd."""
    device = CpuDevice("cpu", workers=2)
    for name, (size, *shape, rest) in SHAPES.items():
        for n in BATCHES:
            made = {"rng": np.random.default_rng(SEED), "device": device, **rest}
            convs = [Conv2d(*shape, algorithm=a, **made) for a in ("strips" if name == "conv1" else "im2col", "winograd")]
            works = [work for both in zip(*(passes(conv, n, size) for conv in convs), strict=True) for work in both]
            times = np.array([[_seconds(work) for work in works] for _ in range(REPEATS + 1)])[1:]
            yield name, n, list(np.median(times, axis=0) * 1e3 / n)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    print("| layer | images | forward: columns | Winograd | | backward: columns | Winograd | |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, n, (a, b, c, d) in rows():
        print(f"| {name} | {n} | {a:.3f} | {b:.3f} | {a / b:.2f} | {c:.3f} | {d:.3f} | {c / d:.2f} |", flush=True)


if __name__ == "__main__":
    main()
