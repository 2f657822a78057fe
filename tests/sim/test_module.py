"""`RawModule` and `RawKernel`: CuPy's calls, and what they refuse."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tests.sim.ptx_text import device, kernel, module, needs_nvrtc
from tinyalex import sim
from tinyalex.errors import CompileError, DeviceError, KernelError, ShapeError

SCALE = """extern "C" __global__ void scale(float* x, float by, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= by;
}"""


def scale() -> Any:
    return sim.RawModule(code=SCALE).get_function("scale")


@needs_nvrtc
def test_a_kernel_is_launched_as_in_cupy() -> None:
    x = device().asarray(np.arange(10, dtype=np.float32))
    scale()((1,), (32,), (x, np.float32(2), np.int32(10)))
    sim.RawKernel(SCALE, "scale")((1, 1), (32, 1, 1), (x, np.float32(2), np.int32(10)), shared_mem=0)
    assert device().to_numpy(x).tolist() == [4 * i for i in range(10)]


@needs_nvrtc
def test_arguments_of_each_type() -> None:
    types: dict[str, Any] = {"signed char": np.int8, "unsigned short": np.uint16, "bool": np.bool_, "long long": np.int64}
    types.update({"float": np.float32, "double": np.float64})
    code = "\n".join(f'extern "C" __global__ void f{i}({name}* y, {name} x) {{ *y = x; }}' for i, name in enumerate(types))
    made = sim.RawModule(code=code)
    for i, dtype in enumerate(types.values()):
        y = device().asarray(np.zeros(1, dtype))
        made.get_function(f"f{i}")((1,), (1,), (y, dtype(1)))
        assert device().to_numpy(y) == [1]


@needs_nvrtc
def test_a_number_of_another_type_is_refused_because_a_card_does_not_convert() -> None:
    x = device().asarray(np.ones(10, np.float32))
    two, ten = np.float32(2), np.int32(10)
    for by, n in ((2.0, ten), (np.float64(2), ten), (two, 10), (two, np.int64(10)), (np.int32(2), ten), (two, np.float32(10))):
        with pytest.raises(TypeError, match=r"scale: argument [12] must be np\.(float|int)32, got"):
            scale()((1,), (32,), (x, by, n))
    with pytest.raises(TypeError, match=r"Unsupported type <class 'str'> of argument 1"):
        scale()((1,), (32,), (x, "2", np.int32(10)))


@needs_nvrtc
def test_arrays_that_a_card_cannot_take() -> None:
    x = device().asarray(np.ones(10, np.float32))
    with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy.ndarray'> of argument 0; a kernel takes arrays of the device"):
        scale()((1,), (32,), (np.ones(10, np.float32), np.float32(2), np.int32(10)))
    with pytest.raises(TypeError, match=r"argument 1 must be a number of 4 bytes, got an array"):
        scale()((1,), (32,), (x, x, np.int32(10)))
    with pytest.raises(TypeError, match=r"scale \(kernel.cu, line 3\): argument 0 must be float32, got float64; a card does not convert"):
        scale()((1,), (32,), (device().asarray(np.ones(10)), np.float32(2), np.int32(10)))


@needs_nvrtc
def test_arrays_of_two_cards_are_refused() -> None:
    code = 'extern "C" __global__ void add(float* x, const float* y) { x[threadIdx.x] += y[threadIdx.x]; }'
    x, y = (ta.get_device(name).asarray(np.ones(4, np.float32)) for name in ("sim:0", "sim:1"))
    with refuses(DeviceError, "add: all arrays must be on sim:0, got argument 1 on sim:1; use device.copy_from"):
        sim.RawModule(code=code).get_function("add")((1,), (4,), (x, y))


@needs_nvrtc
def test_launches_that_a_card_refuses() -> None:
    x = device().asarray(np.ones(10, np.float32))
    args = (x, np.float32(2), np.int32(10))
    grids = ((0,), (1, 1, 1, 1), (1, 65536), (1.5,), (True,), (), "1")
    for grid, block in (*((grid, (32,)) for grid in grids), ((1,), (1025,)), ((1,), (1, 1, 65))):
        with refuses(ShapeError, "must be one to three sizes of at least 1 and at most"):
            scale()(grid, block, args)
    with refuses(ShapeError, "scale: threads of a block must be at most 1024, got 2048 in block (64, 32, 1)"):
        scale()((1,), (64, 32), args)
    with refuses(ShapeError, "scale: shared memory of a block must be at most 49,152 bytes, got 50,000"):
        scale()((1,), (32,), args, shared_mem=50_000)
    with refuses(ShapeError, "scale: args must have 3 values, as the kernel has parameters, got 2"):
        scale()((1,), (32,), args[:2])
    with pytest.raises(TypeError, match="stream"):
        scale()((1,), (32,), args, stream=1)


@needs_nvrtc
def test_a_kernel_that_bounds_its_blocks() -> None:
    code = 'extern "C" __global__ void __launch_bounds__(256) f(int* y) { y[0] = 1; }'
    made, y = sim.RawModule(code=code).get_function("f"), device().asarray(np.zeros(1, np.int32))
    assert made.max_threads_per_block == 256
    made((1,), (16, 16), (y,))
    with refuses(ShapeError, "f: threads of a block must be at most 256, got 512 in block (16, 32, 1)"):
        made((1,), (16, 32), (y,))


@needs_nvrtc
def test_more_shared_memory_after_it_was_asked_for() -> None:
    code = 'extern "C" __global__ void f(int* y) { extern __shared__ int s[]; s[20000] = 5; *y = s[20000]; }'
    kernel, y = sim.RawModule(code=code).get_function("f"), device().asarray(np.zeros(1, np.int32))
    kernel.max_dynamic_shared_size_bytes = 100_000
    kernel((1,), (1,), (y,), shared_mem=100_000)
    assert int(y[0]) == 5


@needs_nvrtc
def test_a_text_that_does_not_compile() -> None:
    with refuses(CompileError, 'lrn.cu: the kernels must compile, got an error in line 8: identifier "y" is undefined') as _:
        sim.RawModule(code='#line 7 "lrn.cu"\nextern "C" __global__ void f(float* x) {\n x[0] = y; }').get_function("f")
    with pytest.raises(CompileError) as caught:
        sim.RawModule(code="int;;; float").get_function("f")
    assert "error" in caught.value.log


@needs_nvrtc
def test_a_wrong_name_and_a_wrong_option() -> None:
    with refuses(KernelError, "RawModule: a kernel must be one of scale, got 'scales'; did you mean scale?"):
        sim.RawModule(code=SCALE).get_function("scales")
    with refuses(KernelError, "RawModule: a variable must be one of (none), got 'k'"):
        sim.RawModule(code=SCALE).get_global("k")
    with refuses(CompileError, "the kernels must compile, got nvrtc: error: unrecognized option --fast found"):
        sim.RawModule(code=SCALE, options=("--fast",)).compile()


@needs_nvrtc
def test_options_and_names_of_lines() -> None:
    made = sim.RawModule(code='extern "C" __global__ void f(int* y) { *y = SIZE; }', options=("-DSIZE=5", "-std=c++17"))
    y = device().asarray(np.zeros(1, np.int32))
    made.get_function("f")((1,), (1,), (y,))
    assert int(y[0]) == 5 and made.get_function("f") is made.get_function("f")


@needs_nvrtc
def test_attributes_of_a_kernel() -> None:
    code = """extern "C" __global__ void f(int* y, int n) {
        __shared__ double s[10];
        int a[8];
        for (int i = 0; i < 8; ++i) a[i] = y[i];
        s[n] = a[n];
        y[n] = s[0];
    }"""
    made = sim.RawKernel(code, "f")
    assert (made.shared_size_bytes, made.local_size_bytes, made.max_threads_per_block) == (80, 32, 1024)
    assert made.num_regs > 5


def test_arguments_of_the_module() -> None:
    with pytest.raises(TypeError, match="exactly one of code and path"):
        sim.RawModule()
    with pytest.raises(TypeError, match="must be code, path and options, got 'nvcc'"):
        sim.RawModule(code=SCALE, backend="nvcc")
    with pytest.raises(TypeError, match="enable_cooperative_groups"):
        sim.RawModule(code=SCALE, enable_cooperative_groups=True)


def test_ptx_needs_no_compiler(tmp_path: Any) -> None:
    text = kernel("    st.global.u32 [%rd0], 7;")
    y = device().asarray(np.zeros(1, np.int32))
    module(text).get_function("k")((1,), (1,), (y,))
    assert int(y[0]) == 7
    file = tmp_path / "k.ptx"
    file.write_text(text.replace("7;", "8;"), "utf-8")
    sim.RawModule(path=str(file)).get_function("k")((1,), (1,), (y,))
    assert int(y[0]) == 8


def test_arrays_that_are_not_contiguous_are_passed_as_their_memory() -> None:
    """As in CuPy, a kernel gets the address of the first element; here also what lies between the elements."""
    whole = device().asarray(np.zeros((4, 6), np.int32))
    k = module(kernel("    mul.wide.u32 %rd1, %i, 4;\n    add.u64 %rd1, %rd0, %rd1;\n    st.global.u32 [%rd1], 7;")).get_function("k")
    k((1,), (3,), (whole[1:, 2:],))
    assert device().to_numpy(whole).tolist() == [[0] * 6, [0, 0, 7, 7, 7, 0], [0] * 6, [0] * 6]
    with refuses(KernelError, "must be inside of argument 0 (int32, 3x4), got directly behind its end"):
        k((1,), (17,), (whole[1:, 2:],))


def test_an_array_with_one_byte_more_at_its_start() -> None:
    whole = device().asarray(np.zeros(9, np.uint8))
    k = module(kernel("    st.global.u32 [%rd0+3], 0x04030201;")).get_function("k")
    k((1,), (1,), (whole[1:],))
    assert device().to_numpy(whole).tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 0]
    with refuses(KernelError, "the address of a write of 4 bytes must be a multiple of 4"):
        k((1,), (1,), (whole,))


def test_arrays_without_elements() -> None:
    y = device().asarray(np.zeros((0, 3), np.float32))
    module(kernel("    mov.u32 %t, 0;")).get_function("k")((1,), (1,), (y,))
    with refuses(KernelError, "must be inside of argument 0 (float32, 0x3), got directly behind its end"):
        module(kernel("    st.global.u32 [%rd0], 7;")).get_function("k")((1,), (1,), (y,))


def test_the_same_array_twice() -> None:
    y = device().asarray(np.arange(4, dtype=np.int32))
    text = kernel("    ld.global.u32 %t, [%rd0+4];\n    st.global.u32 [%rd1], %t;", arrays=2)
    module(text).get_function("k")((1,), (1,), (y, y))
    module(text).get_function("k")((1,), (1,), (y[1:], y[2:]))
    assert device().to_numpy(y).tolist() == [1, 1, 2, 3]


def test_a_launch_is_counted_by_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    card, calls = device(), []
    monkeypatch.setattr(type(card), "count_launch", lambda self: calls.append(self), raising=False)
    module(kernel("    mov.u32 %t, 0;")).get_function("k")((1,), (1,), (card.asarray(np.zeros(1)),))
    assert calls == [card]


def test_without_the_compiler_the_reason_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinyalex.sim import nvrtc

    nvrtc._library.cache_clear()
    monkeypatch.setattr(nvrtc, "find_library", lambda: None)
    reason = sim.why_no_nvrtc()
    assert reason == 'sim: NVRTC must be installed to compile kernels, got no wheel of it; pip install "tinyalex[kernels]"'
    with refuses(KernelError, "NVRTC must be installed"):
        sim.RawModule(code=SCALE.replace("scale", "other")).compile()
    assert not sim.available()


def test_the_parameters_are_cupys() -> None:
    """The names and defaults of CuPy 14.2.0, of which more are refused with their names."""
    assert list(inspect.signature(sim.RawModule).parameters) == ["code", "path", "options", "backend", "others"]
    assert list(inspect.signature(sim.RawKernel).parameters) == ["code", "name", "options", "backend", "others"]
