"""`python -m benchmarks.errors`: the difference between float32 and float64 for each algorithm of a convolution.

For the output and each gradient it is the largest difference divided by the largest value. The images are at least 0, as after a
ReLU.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.algorithms import SHAPES
from benchmarks.workload import SEED
from tinyalex.layers import Conv2d

IMAGES = {"conv1": 2, "conv2": 4, "conv3": 8, "conv4": 8, "conv5": 8, "figure1 conv2": 32, "figure1 conv3": 32}
RESULTS = ("output", "dx", "dweight", "dbias")


def results(name: str, n: int, algorithm: str, dtype: type) -> list[np.ndarray]:
    """Output and gradients of a layer of `algorithms.SHAPES` on n images."""
    size, *shape, rest = SHAPES[name]
    rng = np.random.default_rng(SEED)
    conv = Conv2d(*shape, rng=rng, algorithm=algorithm, dtype=dtype, **{**rest, "input_gradient": True})
    x = np.maximum(rng.standard_normal((n, conv.in_channels, size, size)), 0)
    out = conv.forward(x.astype(dtype), train=True)
    dx = conv.backward(rng.standard_normal(out.shape).astype(dtype))
    assert dx is not None
    return [out, dx, conv.grads["weight"], conv.grads["bias"]]


def rows() -> Iterator[tuple[str, str, list[float]]]:
    """For each layer and algorithm: their names, and an error for each of `RESULTS`."""
    for name, n in IMAGES.items():
        exact = results(name, n, "im2col", np.float64)
        for algorithm in ("im2col", "winograd"):
            found = results(name, n, algorithm, np.float32)
            yield name, algorithm, [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, exact, strict=True)]


def main() -> None:
    """Print the table."""
    print("| layer | algorithm | " + " | ".join(RESULTS) + " |\n|---|---|" + "--:|" * len(RESULTS))
    for layer, algorithm, errors in rows():
        print(f"| {layer} | {algorithm} | " + " | ".join(f"{error:.0e}" for error in errors) + " |")


if __name__ == "__main__":
    main()
