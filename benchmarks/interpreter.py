"""How many instructions of threads the simulated card runs in a second: `python -m benchmarks.interpreter`."""

from __future__ import annotations

import time

import numpy as np

import tinyalex as ta
from tinyalex import sim
from tinyalex.sim import settings

CODE = """
extern "C" __global__ void product(const float* a, const float* b, float* c, int n) {
    __shared__ float as[16][16], bs[16][16];
    int tx = threadIdx.x, ty = threadIdx.y, x = blockIdx.x * 16 + tx, y = blockIdx.y * 16 + ty;
    float sum = 0.f;
    for (int t = 0; t < n; t += 16) {
        as[ty][tx] = y < n && t + tx < n ? a[y * n + t + tx] : 0.f;
        bs[ty][tx] = x < n && t + ty < n ? b[(t + ty) * n + x] : 0.f;
        __syncthreads();
        for (int i = 0; i < 16; ++i) sum += as[ty][i] * bs[i][tx];
        __syncthreads();
    }
    if (y < n && x < n) c[y * n + x] = sum;
}
extern "C" __global__ void lrn(const float* x, float* y, int channels, int pixels, int total) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= total) return;
    int pixel = i % pixels, channel = i / pixels % channels, first = i / (pixels * channels) * channels;
    float sum = 0.f;
    for (int j = max(0, channel - 2); j <= min(channels - 1, channel + 2); ++j) {
        float v = x[(first + j) * pixels + pixel];
        sum += v * v;
    }
    y[i] = x[i] * powf(2.f + 2e-5f * sum, -0.75f);
}
"""


def speed(name: str, size: int, races: bool) -> float:
    """Million instructions of threads in a second, for a product of `size` x `size` or LRN of `size` images of 96 x 27 x 27."""
    card, rng = ta.get_device("sim:0"), np.random.default_rng(0)
    kernel = sim.RawModule(code=CODE).get_function(name)
    if name == "product":
        blocks = -(-size // 16)
        a, b = (card.asarray(rng.standard_normal((size, size), np.float32)) for _ in range(2))
        launch = ((blocks, blocks), (16, 16), (a, b, card.asarray(np.zeros((size, size), np.float32)), np.int32(size)))
    else:
        x = rng.standard_normal((size, 96, 27, 27), np.float32)
        launch = ((-(-x.size // 128),), (128,), (card.asarray(x), card.asarray(np.zeros_like(x)), *np.int32([96, 27 * 27, x.size])))
    best = 0.0
    for _ in range(3):
        before, start = settings.current().instructions, time.perf_counter()
        with sim.races(races):
            kernel(*launch)
        best = max(best, (settings.current().instructions - before) / (time.perf_counter() - start) / 1e6)
    return best


def table(product: int = 256, images: int = 16) -> str:
    """The speeds as text."""
    lines = [f"{'kernel':32}{'with the log of accesses':>26}{'without':>10}  (million instructions of threads a second, best of 3)"]
    names = {"product": f"product of {product} x {product}", "lrn": f"LRN of {images} x 96 x 27 x 27"}
    for (name, words), size in zip(names.items(), (product, images), strict=True):
        lines.append(f"{words:32}{speed(name, size, True):26.0f}{speed(name, size, False):10.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
