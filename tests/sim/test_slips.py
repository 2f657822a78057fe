"""Slips that are planted in kernels, each of which the simulated card must name; the kernel without the slip runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contract import refuses
from tests.sim.ptx_text import device, kernel, module, needs_nvrtc
from tinyalex import sim
from tinyalex.errors import KernelError

CODE = '#line 1 "kernels.cu"\n' + Path(__file__).with_name("kernels.cu").read_text("utf-8")


def planted(right: str, wrong: str, times: int = -1) -> Any:
    """The module of kernels.cu with one piece replaced."""
    assert right in CODE
    return sim.RawModule(code=CODE.replace(right, wrong, times))


def line_of(text: str, nth: int = 1) -> str:
    """The line of kernels.cu with the text, as messages name it."""
    numbers = [i for i, line in enumerate(CODE.splitlines()) if text in line]
    return f"(kernels.cu, line {numbers[nth - 1]})"


def card_arrays(*arrays: np.ndarray[Any, Any]) -> list[Any]:
    return [device().asarray(array) for array in arrays]


def product(made: Any) -> None:
    """Run the tiled product 40 x 60 of matrices of 40 x 50 and 50 x 60."""
    a, b, c = card_arrays(np.ones((40, 50), np.float32), np.ones((50, 60), np.float32), np.zeros((40, 60), np.float32))
    made.get_function("product")((4, 3), (16, 16), (a, b, c, *np.int32([40, 60, 50])))
    assert (device().to_numpy(c) == 50).all()


def run(code: str, grid: int, block: int, *args: Any) -> None:
    sim.RawModule(code='#line 1 "slip.cu"\n' + code).get_function("f")((grid,), (block,), args)


@needs_nvrtc
def test_the_kernels_without_slips_run() -> None:
    product(sim.RawModule(code=CODE))


@needs_nvrtc
def test_a_write_past_the_end() -> None:
    rule = f"product {line_of('c[y * n + x] = sum')}: a write of 4 bytes must be inside of argument 2 (float32, 40x60)"
    with refuses(KernelError, f"{rule}, got directly behind its end, by thread (0, 8, 0) of block (0, 2, 0)"):
        product(planted("if (y < m && x < n)", "if (y <= m && x < n)"))


@needs_nvrtc
def test_a_read_before_the_start() -> None:
    code = 'extern "C" __global__ void f(float* y, const float* x) { y[threadIdx.x] = x[(int)threadIdx.x - 2]; }'
    rule = "f (slip.cu, line 1): a read of 4 bytes must be inside of argument 1 (float32, 32)"
    with refuses(KernelError, f"{rule}, got 8 bytes before its start, by thread (0, 0, 0)"):
        run(code, 1, 32, *card_arrays(np.zeros(32, np.float32), np.ones(32, np.float32)))


@needs_nvrtc
def test_an_access_that_is_only_partly_inside() -> None:
    code = 'extern "C" __global__ void f(double* y, const float* x) { y[threadIdx.x] = ((const double*)x)[threadIdx.x]; }'
    x = np.ones(7, np.float32)
    with pytest.raises(TypeError, match=r"argument 1 must be float64, got float32"):
        run(code, 1, 4, *card_arrays(np.zeros(4), x))
    code = code.replace("double", "long long").replace("float", "int")
    with refuses(KernelError, "got 4 of the 8 bytes behind its end, by thread (3, 0, 0)"):
        run(code, 1, 4, *card_arrays(np.zeros(4, np.int64), np.ones(7, np.int32)))


@needs_nvrtc
def test_a_pointer_that_runs_into_another_array() -> None:
    """The address is inside of memory, but not of the array that the pointer is of."""
    code = 'extern "C" __global__ void f(float* y, const float* x, long long far) { y[threadIdx.x] = x[threadIdx.x + far]; }'
    y, x = card_arrays(np.zeros(32, np.float32), np.ones(32, np.float32))
    with refuses(KernelError, "must be inside of argument 1 (float32, 32), got"):
        run(code, 1, 32, y, x, np.int64((1 << 20) // 4))


@needs_nvrtc
def test_two_views_of_one_array_are_told_apart_from_what_lies_between() -> None:
    whole = device().asarray(np.ones(100, np.float32))
    code = 'extern "C" __global__ void f(float* y, const float* x, int n) { int i = threadIdx.x; if (i < n) y[i] = 2 * x[i]; }'
    run(code, 1, 64, whole[:20], whole[50:70], np.int32(20))
    assert device().to_numpy(whole).tolist() == [2] * 20 + [1] * 80
    with refuses(KernelError, "must be inside of argument 1 (float32, 20), got directly behind its end, by thread (20, 0, 0)"):
        run(code, 1, 64, whole[:30], whole[50:70], np.int32(21))


@needs_nvrtc
def test_an_address_that_is_no_multiple() -> None:
    code = 'extern "C" __global__ void f(float4* y, const float* x) { y[threadIdx.x] = *(const float4*)(x + threadIdx.x); }'
    with refuses(KernelError, "the address of a read of 16 bytes must be a multiple of 16, got 0x"):
        run(code, 1, 4, *card_arrays(np.zeros((4, 4), np.float32), np.ones(99, np.float32)))


@needs_nvrtc
def test_an_index_past_the_end_of_a_shared_array_that_lands_in_the_next_one() -> None:
    wrong = planted("i < TILE; ++i", "i < TILE + 1; ++i")
    with pytest.raises(KernelError, match="must be inside of the shared array [ab]s, got directly behind the end of its 1,024 bytes"):
        product(wrong)


@needs_nvrtc
def test_a_launch_without_the_shared_memory_that_the_kernel_uses() -> None:
    x, sums = card_arrays(np.ones(64, np.int32), np.zeros(2, np.int32))
    made = sim.RawModule(code=CODE).get_function("tree_sums")
    with refuses(KernelError, "must be inside of the shared array part, got a launch without shared memory, by thread (0, 0, 0)"):
        made((2,), (32,), (x, sums))
    with refuses(KernelError, "got directly behind the end of its 64 bytes, by thread (16, 0, 0)"):
        made((2,), (32,), (x, sums), shared_mem=64)


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
def test_a_barrier_that_only_some_threads_reach() -> None:
    wanted = "a barrier must be reached by all threads of its block, got 128 of 256 threads of block (0, 2, 0) there, 128 wait"
    with refuses(KernelError, wanted):
        product(planted("        __syncthreads();\n    }", "        if (y < m) __syncthreads();\n    }"))


@needs_nvrtc
def test_a_barrier_behind_a_return() -> None:
    code = 'extern "C" __global__ void f(int* y, int n) {\n int i = threadIdx.x;\n if (i >= n) return;\n __syncthreads();\n y[i] = i; }'
    (y,) = card_arrays(np.zeros(64, np.int32))
    run(code, 1, 64, y, np.int32(64))
    with refuses(KernelError, "f (slip.cu, line 4): a barrier must be reached by all threads of its block, got 50 of 64 threads"):
        run(code, 1, 64, y, np.int32(50))


@needs_nvrtc
def test_a_shuffle_whose_mask_names_threads_that_do_not_come() -> None:
    (y,) = card_arrays(np.zeros(64, np.int32))
    code = 'extern "C" __global__ void f(int* y) { int i = threadIdx.x; if (i & 1) y[i] = __shfl_xor_sync(MASK, i, 2); }'
    run(code.replace("MASK", "0xaaaaaaaau"), 1, 64, y)
    with refuses(KernelError, "an instruction of a warp must be reached by all threads of its mask"):
        run(code.replace("MASK", "~0u").replace("if (i & 1)", "if (i & 1) y[i] = __shfl_sync(~0u, i, 1); else"), 1, 64, y)
    with refuses(KernelError, "the mask must have the bit of each thread that calls, got mask 0x0000ffff"):
        run(code.replace("MASK", "0x0000ffffu").replace("if (i & 1) ", ""), 1, 64, y)
    with refuses(KernelError, "a shuffle must read from a thread that takes part in it, got lane 0 of the warp, by thread (1, 0, 0)"):
        run(code.replace("MASK", "0xaaaaaaaau").replace("i, 2)", "i, 1)"), 1, 64, y)


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


def test_an_unknown_instruction_is_refused_by_its_name_before_anything_runs() -> None:
    rule = "k (line 20 of the PTX): an instruction must be one that the simulated card knows"
    with refuses(KernelError, f"{rule}, got wgmma.fence.sync.aligned in"):
        module(kernel("    st.global.u32 [%rd0], %i;\n\n    wgmma.fence.sync.aligned;")).get_function("k")
    with refuses(KernelError, "got add.sat.s32 in 'add.sat.s32 %t, %i, %i'; write it another way"):  # a word that it does not know
        module(kernel("    add.sat.s32 %t, %i, %i;")).get_function("k")
    with refuses(KernelError, "got operand %clock64"):
        module(kernel("    mov.u64 %rd1, %clock64;")).get_function("k")


@needs_nvrtc
def test_a_call_of_printf_is_refused() -> None:
    with refuses(KernelError, "f: a kernel must call only functions of its own file, got call.uni (retval0), vprintf"):
        run('extern "C" __global__ void f(int* y) { printf("%d", y[0]); }', 1, 1, *card_arrays(np.zeros(1, np.int32)))


@needs_nvrtc
def test_shared_memory_is_not_zero_before_the_first_write() -> None:
    code = """extern "C" __global__ void f(float* y) {
        __shared__ float s[64];
        if (threadIdx.x) s[threadIdx.x] = 1;
        y[threadIdx.x] = s[threadIdx.x]; }"""
    (y,) = card_arrays(np.zeros(64, np.float32))
    run(code, 1, 64, y)
    assert np.isnan(device().to_numpy(y)).tolist() == [True] + [False] * 63


@needs_nvrtc
def test_arrays_are_unharmed_beside_a_faulty_write() -> None:
    """What a kernel wrote before the fault stays; what lies outside of its arrays never changes."""
    whole = device().asarray(np.zeros(96, np.float32))
    code = 'extern "C" __global__ void f(float* y) { y[threadIdx.x] = 1; }'
    with refuses(KernelError, "must be inside of argument 0 (float32, 32), got directly behind its end, by thread (32, 0, 0)"):
        run(code, 1, 64, whole[32:64])
    assert (device().to_numpy(whole)[64:] == 0).all()
