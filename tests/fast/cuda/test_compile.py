"""NVRTC compiles every file for every architecture, and its log says how many registers a thread has. No card is needed."""

import re

import numpy as np
import pytest

from tests.fast.cuda import ways
from tests.fast.cuda.test_loader import FILES
from tinyalex.errors import CompileError
from tinyalex.fast.cuda import loader

REGISTERS = {"conv.cu": 128}  # most of a thread, with which 65,536 registers serve two blocks of 256 threads
OTHERS = 64  # most of the other files: four blocks of 256 threads
COMPILED = pytest.mark.skipif(ways.REASONS["ptx"] is not None, reason=f"kernels compiled by NVRTC: {ways.REASONS['ptx']}")
FUNCTION = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
WHOLE = re.compile(r"Used (\d+) registers")


def compile_for(architecture, file, dtype, *options):
    from tinyalex import sim

    return sim.compile_cubin(loader.source(file), (f"-Dreal={loader.TYPES[np.dtype(dtype).name]}", *options), architecture)


def check(file, log):
    """Each kernel has few registers, and none of its values is spilled to memory."""
    kernels, used = loader.kernels_in(file), [int(number) for number in WHOLE.findall(log)]
    assert len(used) == len(kernels) and all(f"entry function '{kernel}'" in log for kernel in kernels), log
    assert max(used) <= REGISTERS.get(file, OTHERS), log
    functions = FUNCTION.findall(log)
    assert len(functions) >= len(kernels) and set(functions) == {("0", "0", "0")}, log


@COMPILED
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(("architecture", "dtype"), [(f"sm_{n}", np.float32) for n in (75, 80, 90, 120)] + [("sm_80", np.float64)])
def test_file_compiles_with_few_registers_and_no_spills(architecture, dtype, file):
    try:
        cubin, log = compile_for(architecture, file, dtype)
    except CompileError as error:
        if "gpu-architecture" not in error.log:
            raise
        pytest.skip(f"this NVRTC does not know {architecture}")
    assert cubin[:4] == b"\x7fELF"
    check(file, log)


@COMPILED
def test_a_spill_is_noticed(monkeypatch):
    text = loader.source("conv.cu")
    monkeypatch.setattr(loader, "source", lambda file: text.replace("(SIDE* SIDE)", "(SIDE* SIDE, 8)"))  # 8 blocks: 32 registers a thread
    _, log = compile_for("sm_80", "conv.cu", np.float32)
    with pytest.raises(AssertionError, match="spill"):
        check("conv.cu", log)


@COMPILED
def test_windows_of_lrn_as_wide_as_the_kernel_takes_compile():
    from tinyalex.fast.cuda.functions import WIDEST

    cubin, _ = compile_for("sm_80", "lrn.cu", np.float32, f"-DBEFORE={WIDEST // 2}", f"-DAFTER={WIDEST // 2}")
    assert cubin[:4] == b"\x7fELF"
