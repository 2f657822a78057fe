"""Slips that are planted in kernels, each of which the simulated card must name; the kernel without the slip runs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract import refuses
from tests.sim.planted import CODE, card_arrays, line_of, planted, product, run
from tests.sim.ptx_text import device, kernel, module, needs_nvrtc
from tinyalex import sim
from tinyalex.errors import KernelError


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


@needs_nvrtc
def test_an_instruction_of_a_header_is_refused_with_the_line_of_the_user() -> None:
    """A texture's access is written in a header of NVRTC, which calls itself; `value` is a function of the user's text."""
    code = """#line 1 "textures.cu"
__device__ float value(cudaTextureObject_t t, int i) {
    return tex1Dfetch<float>(t, i);
}
extern "C" __global__ void k(cudaTextureObject_t t, float* out) {
    out[threadIdx.x] = value(t, threadIdx.x);
}"""
    rule = "an instruction must be one that the simulated card knows, got tex.1d.v4.f32.s32 in "
    with refuses(KernelError, f"k (textures.cu, line 2): {rule}"):
        sim.RawModule(code=code).get_function("k")
