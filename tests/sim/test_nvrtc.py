"""The compiler: PTX and machine code for each kind of card, errors as one sentence, and what is said where it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract import refuses
from tests.sim.ptx_text import needs_nvrtc
from tinyalex import sim
from tinyalex.errors import CompileError, KernelError
from tinyalex.sim import nvrtc

CODE = Path(__file__).with_name("kernels.cu").read_text("utf-8")


@needs_nvrtc
def test_the_version() -> None:
    assert nvrtc.version() >= (12, 0) and sim.available()


@needs_nvrtc
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90", "sm_120"])
def test_machine_code_with_its_log(architecture: str) -> None:
    code, log = sim.compile_cubin(CODE, architecture=architecture)
    assert code[:4] == b"\x7fELF"
    assert log.count("registers") >= 12 and "0 bytes spill stores" in log


@needs_nvrtc
def test_ptx_has_the_lines_of_the_source() -> None:
    ptx = sim.compile_ptx('#line 7 "lrn.cu"\n' + CODE, ("-DUNUSED=1",))
    assert ".target sm_80" in ptx and 'lrn.cu"' in ptx
    assert ".target sm_90" in sim.compile_ptx(CODE, ("-arch=compute_90", "--std=c++14"))


@needs_nvrtc
def test_errors_are_one_sentence() -> None:
    with refuses(CompileError, 'k.cu: the kernels must compile, got an error in line 1: identifier "y" is undefined'):
        sim.compile_ptx("__global__ void f(float* x) { x[0] = y; }", name="k.cu")
    with refuses(CompileError, "kernel.cu: the kernels must compile, got nvrtc: error: invalid value for --gpu-architecture"):
        sim.compile_cubin(CODE, architecture="sm_1")
    with refuses(CompileError, 'the kernels must compile, got an error in line 1: cannot open source file "none.h"'):
        sim.compile_ptx('#include "none.h"')


@needs_nvrtc
def test_a_header_that_is_not_found_says_how_to_name_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mma.h").write_text("typedef float tile;")
    with refuses(CompileError, 'options=("-I/usr/local/cuda/include",)'):
        sim.compile_ptx("#include <mma.h>")
    assert "tile" not in sim.compile_ptx("#include <mma.h>\n__global__ void f(tile* x) { *x = 1; }", (f"-I{tmp_path}",))


def test_a_log_without_an_error() -> None:
    assert nvrtc._sentence("k.cu", "\n  \n") == "k.cu: the kernels must compile, got no log"


def test_a_library_that_does_not_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "nvidia" / "cu13" / "lib" / "libnvrtc.so.13"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no library")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    nvrtc._library.cache_clear()
    assert nvrtc.find_library() == broken
    with refuses(KernelError, "sim: NVRTC must load, got "):
        nvrtc.compile_ptx("int unique_text;")
    nvrtc._library.cache_clear()
