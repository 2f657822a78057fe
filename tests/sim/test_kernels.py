"""Kernels of CUDA C++, compiled by NVRTC and run by the interpreter, against NumPy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.contract import refuses
from tests.sim.ptx_text import device, needs_nvrtc
from tinyalex import sim
from tinyalex.errors import KernelError

pytestmark = needs_nvrtc
CODE = Path(__file__).with_name("kernels.cu").read_text("utf-8")
MODULE = sim.RawModule(code='#line 1 "kernels.cu"\n' + CODE)


def launch(name: str, grid: tuple[int, ...], block: tuple[int, ...], *args: Any, shared_mem: int = 0) -> None:
    """Run a kernel; arrays of the host are copied to the card and back."""
    card = device()
    there = [card.asarray(arg) if isinstance(arg, np.ndarray) else arg for arg in args]
    MODULE.get_function(name)(grid, block, tuple(there), shared_mem=shared_mem)
    for arg, array in zip(args, there, strict=True):
        if isinstance(arg, np.ndarray):
            arg[...] = card.to_numpy(array)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(max_examples=15)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
def test_a_tiled_product_is_exact(m: int, n: int, k: int) -> None:
    a, b = (rng(i).integers(-9, 9, shape).astype(np.float32) for i, shape in enumerate(((m, k), (k, n))))
    c = np.full((m, n), np.nan, np.float32)
    launch("product", (-(-n // 16), -(-m // 16)), (16, 16), a, b, c, *np.int32([m, n, k]))
    assert np.array_equal(c, a @ b)


def test_sums_by_shuffles_and_atomic_addition_are_exact() -> None:
    x, sums = rng().integers(-9, 9, (70, 1000)).astype(np.float32), np.zeros(70, np.float32)
    launch("row_sums", (70,), (256,), x, sums, np.int32(1000))
    assert np.array_equal(sums, x.sum(1))


@pytest.mark.parametrize("threads", [1, 2, 32, 64, 512])
def test_sums_by_a_tree_in_shared_memory(threads: int) -> None:
    x, sums = rng().integers(-(2**30), 2**30, (9, threads)).astype(np.int32), np.zeros(9, np.int32)
    launch("tree_sums", (9,), (threads,), x, sums, shared_mem=4 * threads)
    assert np.array_equal(sums, x.sum(1, dtype=np.int32))


def test_a_running_sum_in_each_warp() -> None:
    x, y = rng().integers(-99, 99, (6, 32)).astype(np.int32), np.zeros((6, 32), np.int32)
    launch("warp_scan", (2,), (96,), x, y)
    assert np.array_equal(y, np.cumsum(x, 1))


@pytest.mark.parametrize(("h", "w"), [(1, 1), (16, 16), (33, 50), (50, 7)])
def test_a_transposition(h: int, w: int) -> None:
    x, y = rng().standard_normal((h, w)), np.zeros((w, h))
    launch("transposed", (-(-w // 16), -(-h // 16)), (16, 16), x, y, *np.int32([h, w]))
    assert np.array_equal(y, x.T)


def test_atomic_addition_counts_and_says_what_was_there() -> None:
    x, counts, order = rng().integers(0, 11, 5000).astype(np.uint8), np.zeros(11, np.uint32), np.zeros(5000, np.uint32)
    launch("histogram", (20,), (256,), x, counts, order, np.int32(5000))
    assert np.array_equal(counts, np.bincount(x, minlength=11))
    for value in range(11):
        assert np.array_equal(np.sort(order[x == value]), np.arange(counts[value]))  # each number was given once


def test_other_atomic_operations() -> None:
    x = rng().integers(-(2**20), 2**20, 700).astype(np.int32)
    results, largest = np.array([2**30, -(2**30), 0, -1, 0], np.int32), np.array([-np.inf], np.float32)
    launch("extremes", (6,), (128,), x, results, largest, np.int32(700))
    expected = [x.min(), x.max(), np.bitwise_or.reduce(x), np.bitwise_and.reduce(x), np.bitwise_xor.reduce(x)]
    assert results.tolist() == expected and largest[0] == x.max()


def _functions(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    v = x.astype(np.longdouble)
    away = np.copysign(np.floor(np.abs(v) + np.longdouble(0.5)), v)
    third, power = x.dtype.type(3.3), np.longdouble(-0.75)
    return np.stack((np.exp(v), np.log(v), v**power, np.tanh(v), np.sin(v), np.sqrt(v), v / third, 1 / np.sqrt(v), away, np.log1p(v)))


@pytest.mark.parametrize(("dtype", "name"), [(np.float32, "functions32"), (np.float64, "functions64")])
def test_functions_of_the_library_are_right_to_a_few_bits(dtype: Any, name: str) -> None:
    x = np.concatenate((rng().uniform(1e-3, 20, 500), 10.0 ** rng(1).uniform(-30, 1.8, 500))).astype(dtype)
    y = np.zeros((10, 1000), dtype)
    launch(name, (8,), (128,), x, y, np.int32(1000))
    expected = _functions(x)
    error = np.abs(y - expected) / np.spacing(np.abs(expected).astype(dtype))
    assert (error.max(1) <= np.array([2, 1, 4, 2, 2, 0.51, 0.51, 2, 0, 2])).all(), error.max(1)


def test_functions_at_the_edges() -> None:
    x = np.array([0, -0.0, np.inf, -1, np.nan, 1e-40, 100], np.float32)
    y = np.zeros((10, 7), np.float32)
    launch("functions32", (1,), (32,), x, y, np.int32(7))
    with np.errstate(all="ignore"):
        expected = [np.exp(x), np.log(x), x ** np.float32(-0.75), np.tanh(x), np.sin(x), np.sqrt(x)]
    for row, wanted in zip(y, expected, strict=False):
        assert np.allclose(row, wanted, rtol=1e-6, equal_nan=True), (row, wanted)


def test_the_language() -> None:
    """Vectors of four, a struct, constants, a variable of the module, a call, a local array, a switch, 64-bit integers."""
    n, first = 200, 10**12
    x, y = rng().uniform(0, 1, (n, 4)).astype(np.float32), np.zeros((n, 4), np.float32)
    line = np.array((2.0, 0.5, 3), np.dtype([("slope", "f4"), ("offset", "f4"), ("power", "i4")]))[()]
    before = int(MODULE.get_global("calls").view(np.int32)[0])
    launch("language", (2,), (128,), x, y, line, np.int64(first), np.bool_(True), np.int32(n))
    assert MODULE.get_global("calls").view(np.int32)[0] == before + n
    i = np.arange(n)
    mixed = np.stack([x[i, 3 - (k + i) % 4] for k in range(3)], 1)
    every = (2 * x[:, 0] + np.float32(0.5)) ** 3 * np.float32([1, 10, 100, 1000])[i % 4]
    every = np.choose(i % 5, [every + 1, every * 2, -every, (first + i) // 7 % 11, every**2])
    assert np.array_equal(y[:, :3], mixed) and np.allclose(y[:, 3], every, rtol=1e-5)


def test_constants_may_be_changed_between_launches() -> None:
    module = sim.RawModule(
        code='__constant__ float k[2] = {1.f, 2.f}; extern "C" __global__ void f(float* y) { y[threadIdx.x] = k[threadIdx.x & 1]; }'
    )
    card = device()
    y = card.asarray(np.zeros(4, np.float32))
    module.get_function("f")((1,), (4,), (y,))
    assert card.to_numpy(y).tolist() == [1, 2, 1, 2]
    module.get_global("k").view(np.float32)[:] = [5, 6]
    module.get_function("f")((1,), (4,), (y,))
    assert card.to_numpy(y).tolist() == [5, 6, 5, 6]


def test_votes_of_a_warp_and_of_a_block() -> None:
    x = rng().integers(-3, 9, 64).astype(np.int32)
    y = np.zeros((4, 64), np.uint32)
    launch("votes", (1,), (64,), x, y)
    for warp in (slice(0, 32), slice(32, 64)):
        v = x[warp]
        bits = np.uint64(1) << np.arange(32, dtype=np.uint64)
        assert (y[0, warp] == bits[v > 0].sum()).all()
        assert (y[1, warp] == (int((v == 7).any()) | 2 | int((x > 0).sum()) << 2)).all()
        assert y[2, warp].tolist() == [int(bits[v == one].sum()) for one in v]
        assert (y[3, warp] == np.uint32(int(v.sum()) & 0xFFFFFFFF)).all()


def test_the_halves_of_a_warp_may_shuffle_apart() -> None:
    x, y = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    launch("split_warp", (1,), (64,), x, y)
    lane, warp = x % 32, x // 32 * 32
    assert np.array_equal(y, np.where(lane < 16, (x ^ 1) + 1000, warp + 16))


def test_blocks_of_three_directions() -> None:
    code = """extern "C" __global__ void f(int* y) {
        int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
        int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
        int place = blockIdx.z * 100 + blockIdx.y * 10 + blockIdx.x, inside = threadIdx.z * 100 + threadIdx.y * 10 + threadIdx.x;
        y[block * blockDim.x * blockDim.y * blockDim.z + thread] = inside * 1000 + place;
    }"""
    card = device()
    y = card.asarray(np.zeros(2 * 3 * 4 * 5 * 2 * 3, np.int32))
    sim.RawModule(code=code).get_function("f")((2, 3, 4), (5, 2, 3), (y,))
    bz, by, bx, tz, ty, tx = np.unravel_index(np.arange(720), (4, 3, 2, 3, 2, 5))
    assert np.array_equal(card.to_numpy(y), tz * 100000 + ty * 10000 + tx * 1000 + bz * 100 + by * 10 + bx)


@settings(max_examples=20)
@given(st.integers(1, 70), st.integers(1, 5), st.integers(1, 300))
def test_threads_that_take_different_ways_come_together(threads: int, blocks: int, seed: int) -> None:
    """A loop whose length differs from thread to thread, with a branch inside."""
    code = """extern "C" __global__ void f(const int* x, int* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x, v = x[i], steps = 0;
        while (v != 1 && steps < 40) { if (v & 1) v = 3 * v + 1; else v /= 2; ++steps; if (v > n) break; }
        y[i] = v * 100 + steps;
    }"""
    x = rng(seed).integers(1, 1000, threads * blocks).astype(np.int32)
    card = device()
    y = card.asarray(np.zeros_like(x))
    sim.RawModule(code=code).get_function("f")((blocks,), (threads,), (card.asarray(x), y, np.int32(5000)))
    expected = []
    for v in x.tolist():
        steps = 0
        while v != 1 and steps < 40:
            v = 3 * v + 1 if v & 1 else v // 2
            steps += 1
            if v > 5000:
                break
        expected.append(v * 100 + steps)
    assert card.to_numpy(y).tolist() == expected


def test_blocks_pass_barriers_at_different_times() -> None:
    code = """extern "C" __global__ void f(int* y) {
        __shared__ int s[64];
        int i = threadIdx.x, v = i;
        for (unsigned k = 0; k < blockIdx.x; ++k) {
            s[i] = v;
            __syncthreads();
            v = s[(i + 1) % blockDim.x];
            __syncthreads();
        }
        y[blockIdx.x * blockDim.x + i] = v;
    }"""
    y = device().asarray(np.zeros((7, 50), np.int32))
    sim.RawModule(code=code).get_function("f")((7,), (50,), (y,))
    assert np.array_equal(device().to_numpy(y), (np.arange(50) + np.arange(7)[:, None]) % 50)
    wrong = code.replace("            __syncthreads();\n        }", "        }")
    with refuses(KernelError, "then a write by thread"):
        sim.RawModule(code=wrong).get_function("f")((7,), (50,), (y,))


def test_shared_memory_of_the_kernel_and_of_the_launch() -> None:
    code = """extern "C" __global__ void f(int* y) {
        extern __shared__ int more[];
        __shared__ int own[32];
        __shared__ double wide[32];
        int i = threadIdx.x;
        more[i] = i; own[i] = 100 * i; wide[i] = 0.5 * i;
        __syncthreads();
        y[i] = more[i ^ 1] + own[i ^ 2] + (int)(2 * wide[i ^ 3]);
    }"""
    y = device().asarray(np.zeros(32, np.int32))
    sim.RawModule(code=code).get_function("f")((1,), (32,), (y,), shared_mem=128)
    i = np.arange(32)
    assert np.array_equal(device().to_numpy(y), (i ^ 1) + 100 * (i ^ 2) + (i ^ 3))


def test_shared_memory_of_a_function_is_one_for_all_calls() -> None:
    code = """__device__ __noinline__ int turned(int v, int by) {
        __shared__ int s[32];
        s[threadIdx.x] = v;
        __syncthreads();
        int other = s[(threadIdx.x + by) % 32];
        __syncthreads();
        return other;
    }
    extern "C" __global__ void f(int* y) { y[threadIdx.x] = turned(turned(threadIdx.x, 1), 2); }"""
    y, made = device().asarray(np.zeros(32, np.int32)), sim.RawModule(code=code).get_function("f")
    made((1,), (32,), (y,))
    assert made.shared_size_bytes == 128
    assert np.array_equal(device().to_numpy(y), (np.arange(32) + 3) % 32)


def test_a_text_without_optimization_runs_too() -> None:
    """-G keeps every call, and passes vectors through memory."""
    x, results = rng().uniform(0, 1, (64, 4)).astype(np.float32), []
    line = np.array((2.0, 0.5, 3), np.dtype([("slope", "f4"), ("offset", "f4"), ("power", "i4")]))[()]
    card = device()
    for options in ((), ("-G",)):
        y = card.asarray(np.zeros((64, 4), np.float32))
        kernel = sim.RawModule(code=CODE, options=options).get_function("language")
        kernel((2,), (32,), (card.asarray(x), y, line, np.int64(9), np.bool_(True), np.int32(64)))
        results.append(card.to_numpy(y))
    assert np.allclose(*results, rtol=1e-6)


LIBRARY: dict[str, Any] = {  # the function in C++, in Python, and the type; each must be right to two units in the last place
    "sin": (np.sin, "float"), "cos": (np.cos, "double"), "tan": (np.tan, "double"), "erf": (np.vectorize(math.erf), "float"),
    "tgamma": (np.vectorize(math.gamma), "float"), "atan": (np.arctan, "float"), "cbrt": (np.cbrt, "double"),
    "exp2": (np.exp2, "float"), "log1p": (np.log1p, "double"), "rint": (np.rint, "float"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_of_the_compiler(name: str) -> None:
    """Also sines of large angles, which are reduced with 1024 bits of 2 / pi, in functions that NVRTC does not write inline."""
    f, kind = LIBRARY[name]
    code = f"""extern "C" __global__ void f(const {kind}* x, {kind}* y, int n) {{
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = {name}(x[i]);
    }}"""
    dtype = np.float32 if kind == "float" else np.float64
    x = rng().uniform(0.1, 5, 1000)
    if name in ("sin", "cos", "tan"):
        x = np.concatenate((rng().uniform(-1e6, 1e6, 500), 10.0 ** rng(1).uniform(3, 35, 500)))
    x = x.astype(dtype)
    card = device()
    y = card.asarray(np.zeros_like(x))
    sim.RawModule(code=code).get_function("f")((8,), (128,), (card.asarray(x), y, np.int32(1000)))
    expected = f(x.astype(np.float64))
    error = np.abs(card.to_numpy(y) - expected) / np.spacing(np.abs(expected).astype(dtype))
    assert error.max() <= 2
