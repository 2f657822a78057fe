"""Races and missing barriers that are planted in kernels, beside kernels that are alike and right."""

from __future__ import annotations

import numpy as np

from tests.contract import refuses
from tests.sim.planted import CODE, card_arrays, line_of, planted, product, run
from tests.sim.ptx_text import device, needs_nvrtc
from tinyalex import sim
from tinyalex.errors import KernelError


@needs_nvrtc
def test_a_missing_barrier_before_the_reads() -> None:
    rule = "product (kernels.cu, line 10): an element of shared memory that one thread writes must not be used by another"
    with refuses(KernelError, f"{rule} without a barrier between, got a write by thread (0, 0, 0) (kernels.cu, line"):
        product(planted("        __syncthreads();\n        for", "        for"))


@needs_nvrtc
def test_a_missing_barrier_before_the_next_writes() -> None:
    with refuses(KernelError, f"a read by thread (15, 0, 0) {line_of('sum += as')}, then a write by thread (2, 0, 0) of block (0, 0, 0)"):
        product(planted("        __syncthreads();\n    }", "    }"))


@needs_nvrtc
def test_a_tree_without_its_barrier() -> None:
    x, sums = card_arrays(np.ones(256, np.int32), np.zeros(2, np.int32))
    sim.RawModule(code=CODE).get_function("tree_sums")((2,), (128,), (x, sums), shared_mem=512)
    wrong = planted("        __syncthreads();\n        if (threadIdx.x < d) part", "        if (threadIdx.x < d) part")
    with refuses(KernelError, "is a __syncthreads() missing?"):
        wrong.get_function("tree_sums")((2,), (128,), (x, sums), shared_mem=512)


@needs_nvrtc
def test_a_race_within_a_block() -> None:
    x, sums = card_arrays(np.ones((3, 1000), np.float32), np.zeros(3, np.float32))
    wrong = planted("atomicAdd(sums + blockIdx.x, sum)", "sums[blockIdx.x] += sum")
    wanted = "an element of argument 1 (float32, 3) that one thread writes must not be used by another without a barrier between"
    with refuses(KernelError, f"row_sums {line_of('atomicAdd(sums')}: {wanted}, got a read by thread ("):
        wrong.get_function("row_sums")((3,), (256,), (x, sums, np.int32(1000)))
    wrong.get_function("row_sums")((3,), (32,), (x, sums, np.int32(1000)))  # one warp a block: one thread writes


@needs_nvrtc
def test_a_race_between_blocks() -> None:
    """Also between blocks that the interpreter runs one after the other."""
    code = 'extern "C" __global__ void f(float* y) { if (blockIdx.x % LAST == 0) y[threadIdx.x] = 1 + blockIdx.x; }'
    (y,) = card_arrays(np.zeros(1024, np.float32))
    with refuses(KernelError, "two blocks need two launches, or atomic operations"):
        run(code.replace("LAST", "1"), 2, 32, y)
    first = "a write by thread (0, 0, 0) of block (0, 0, 0) (slip.cu, line 1)"
    with refuses(KernelError, f"{first}, then a write by thread (0, 0, 0) of block (299, 0, 0)"):
        run(code.replace("LAST", "299"), 300, 1024, y)


@needs_nvrtc
def test_a_barrier_does_not_order_two_blocks() -> None:
    code = """extern "C" __global__ void f(float* y) {
        if (blockIdx.x == 0) y[threadIdx.x] = 1;
        __syncthreads();
        if (blockIdx.x == 1) y[threadIdx.x + 32] = y[threadIdx.x];
    }"""
    with refuses(KernelError, "block (0, 0, 0) (slip.cu, line 2), then a read by thread (0, 0, 0) of block (1, 0, 0)"):
        run(code, 2, 32, *card_arrays(np.zeros(64, np.float32)))


@needs_nvrtc
def test_a_barrier_orders_the_threads_of_one_block_in_global_memory() -> None:
    code = """extern "C" __global__ void f(float* y) {
        y[threadIdx.x] = threadIdx.x; BARRIER;
        float v = y[(threadIdx.x + 32) % blockDim.x]; BARRIER;
        y[threadIdx.x] = v; }"""
    (y,) = card_arrays(np.zeros(64, np.float32))
    run(code.replace("BARRIER", "__syncthreads()"), 1, 64, y)
    assert device().to_numpy(y).tolist() == [*range(32, 64), *range(32)]
    with refuses(KernelError, "then a read by thread"):
        run(code.replace("BARRIER", "__syncwarp()"), 1, 64, y)


@needs_nvrtc
def test_a_barrier_of_one_block_does_not_help_another() -> None:
    code = """extern "C" __global__ void f(int* y) {
        __shared__ int s[64];
        s[threadIdx.x] = threadIdx.x;
        __syncthreads();
        int v = s[threadIdx.x ^ 1];
        if (blockIdx.x <= LAST) __syncthreads();
        s[threadIdx.x] = v + 1;
        y[blockIdx.x * 64 + threadIdx.x] = s[threadIdx.x]; }"""
    (y,) = card_arrays(np.zeros(128, np.int32))
    run(code.replace("LAST", "1"), 2, 64, y)
    with refuses(KernelError, "then a write by thread (0, 0, 0) of block (1, 0, 0); is a __syncthreads() missing?"):
        run(code.replace("LAST", "0"), 2, 64, y)


@needs_nvrtc
def test_a_barrier_of_a_warp_orders_the_threads_of_the_warp() -> None:
    code = """extern "C" __global__ void f(int* y) {
        __shared__ int s[64];
        s[threadIdx.x] = threadIdx.x; BARRIER;
        y[threadIdx.x] = s[threadIdx.x ^ OTHER]; }"""
    (y,) = card_arrays(np.zeros(64, np.int32))
    run(code.replace("BARRIER", "__syncwarp()").replace("OTHER", "5"), 1, 64, y)
    assert np.array_equal(device().to_numpy(y), np.arange(64) ^ 5)
    for barrier, other in (("__syncwarp()", "32"), ("__threadfence()", "5")):
        with refuses(KernelError, "an element of shared memory that one thread writes must not be used by another"):
            run(code.replace("BARRIER", barrier).replace("OTHER", other), 1, 64, y)


@needs_nvrtc
def test_two_threads_that_write_different_values_into_one_element() -> None:
    code = 'extern "C" __global__ void f(int* y) { y[threadIdx.x / 2] = VALUE; }'
    (y,) = card_arrays(np.zeros(64, np.int32))
    run(code.replace("VALUE", "7"), 1, 64, y)  # the same value: it does not matter who is last
    with refuses(KernelError, "got a write by thread (1, 0, 0) (slip.cu, line 1), then a write by thread (0, 0, 0)"):
        run(code.replace("VALUE", "threadIdx.x"), 1, 64, y)


@needs_nvrtc
def test_bytes_beside_each_other_do_not_race() -> None:
    code = 'extern "C" __global__ void f(unsigned char* y, unsigned int* z) { y[threadIdx.x] = threadIdx.x; z[threadIdx.x] = 1; }'
    y, z = card_arrays(np.zeros(64, np.uint8), np.zeros(64, np.uint32))
    run(code, 1, 64, y, z)
    with refuses(KernelError, "an element of argument 0"):  # the same memory as bytes and as words
        run(code.replace("z[threadIdx.x] = 1", "((unsigned int*)y)[threadIdx.x / 8] = 1"), 1, 64, y, z)


@needs_nvrtc
def test_a_plain_read_beside_an_atomic_operation() -> None:
    code = 'extern "C" __global__ void f(int* y, int* z) { atomicAdd(y, 1); z[threadIdx.x] = READ; }'
    y, z = card_arrays(np.zeros(1, np.int32), np.zeros(64, np.int32))
    run(code.replace("READ", "atomicAdd(y, 0)"), 1, 64, y, z)
    with refuses(KernelError, "got an atomic operation by thread"):
        run(code.replace("READ", "*y"), 1, 64, y, z)


@needs_nvrtc
def test_without_the_log_a_race_is_not_seen() -> None:
    with sim.races(False):
        run('extern "C" __global__ void f(float* y) { y[0] = threadIdx.x; }', 1, 64, *card_arrays(np.zeros(1, np.float32)))
