"""`python -m benchmarks.errors`: how far float32 is from float64, for each algorithm of a convolution.

The largest difference over the largest value, of output and gradients, on images that are 0 or above as after a ReLU.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.workload import SEED
from tinyalex.layers import Conv2d

SHAPES = {  # name: images, channels, filters, kernel, height and width, groups
    "conv2": (4, 96, 256, 5, 27, 2),
    "conv3": (8, 256, 384, 3, 13, 1),
    "conv4": (8, 384, 384, 3, 13, 2),
    "conv5": (8, 384, 256, 3, 13, 2),
    "figure1 conv2": (32, 32, 32, 5, 16, 1),
    "figure1 conv3": (32, 32, 64, 5, 8, 1),
}
RESULTS = ("output", "dx", "dweight", "dbias")


def results(shape: tuple[int, ...], algorithm: str, dtype: type) -> list[np.ndarray]:
    """Output and gradients of the layer."""
    n, c, k, kernel, size, groups = shape
    rng = np.random.default_rng(SEED)
    conv = Conv2d(c, k, kernel, padding=kernel // 2, groups=groups, rng=rng, algorithm=algorithm, dtype=dtype)
    x = np.maximum(rng.standard_normal((n, c, size, size)), 0)
    out = conv.forward(x.astype(dtype), train=True)
    dx = conv.backward(rng.standard_normal(out.shape).astype(dtype))
    assert dx is not None
    return [out, dx, conv.grads["weight"], conv.grads["bias"]]


def rows() -> Iterator[tuple[str, str, list[float]]]:
    """(layer, algorithm, an error for each of `RESULTS`)."""
    for name, shape in SHAPES.items():
        exact = results(shape, "im2col", np.float64)
        for algorithm in ("im2col", "winograd"):
            found = results(shape, algorithm, np.float32)
            yield name, algorithm, [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, exact, strict=True)]


def main() -> None:
    """Print the table."""
    print("| layer | algorithm | " + " | ".join(RESULTS) + " |\n|---|---|" + "--:|" * len(RESULTS))
    for layer, algorithm, errors in rows():
        print(f"| {layer} | {algorithm} | " + " | ".join(f"{error:.0e}" for error in errors) + " |")


if __name__ == "__main__":
    main()
