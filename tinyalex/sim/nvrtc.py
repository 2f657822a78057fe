"""CUDA C++ to PTX by NVRTC, the compiler in NVIDIA's wheel. It needs no card, no driver and no CuPy.

PTX is the assembly language of NVIDIA's cards: a text with one instruction a line. The wheel is the extra `kernels`:
`pip install "tinyalex[kernels]"`.
"""

from __future__ import annotations

import ctypes
import re
import sys
from functools import lru_cache
from pathlib import Path

from tinyalex.errors import CompileError, KernelError

ARCHITECTURE = "compute_80"  # PTX for which cards, unless the options say another
LIBRARIES = ("nvidia/cu13/lib/libnvrtc.so.13", "nvidia/cuda_nvrtc/lib/libnvrtc.so.12", "nvidia/cu13/bin/x86_64/nvrtc64_130_0.dll")
INSTALL = 'pip install "tinyalex[kernels]"'
NO_HEADERS = 'the wheel of NVRTC has no headers of CUDA; name the folder that has it, as in options=("-I/usr/local/cuda/include",)'
FIRST_ERROR = re.compile(r"^(?P<file>[^\n(]*)\((?P<line>\d+)\): (?:catastrophic )?error: (?P<text>[^\n]*)", re.MULTILINE)


def find_library() -> Path | None:
    """The file of NVRTC in the installed wheels; None if no wheel is installed."""
    return next((file for folder in sys.path for name in LIBRARIES if (file := Path(folder or ".") / name).is_file()), None)


def why_no_nvrtc() -> str | None:
    """Why kernels cannot be compiled here, in one sentence; None if they can."""
    try:
        _library()
    except KernelError as error:
        return str(error)
    return None


def available() -> bool:
    """Whether NVRTC is installed, so that kernels can be compiled."""
    return why_no_nvrtc() is None


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    file = find_library()
    if file is None:
        raise KernelError(f"sim: NVRTC must be installed to compile kernels, got no wheel of it; {INSTALL}")
    try:
        return ctypes.CDLL(str(file))
    except OSError as error:
        raise KernelError(f"sim: NVRTC must load, got {error}; {INSTALL}") from None


def version() -> tuple[int, int]:
    """The version of NVRTC, such as (13, 0)."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


@lru_cache(maxsize=256)
def compile_ptx(code: str, options: tuple[str, ...] = (), name: str = "kernel.cu") -> str:
    """The PTX of a text in CUDA C++, with the lines of the source in it.

    options: as for `nvrtcCompileProgram`, such as "-DTILE=16". name: how messages call the text; `#line 1 "lrn.cu"` in the text says
    it too.

    Raises
    ------
    CompileError: the text has an error; the message has the first one, `log` all. KernelError: NVRTC is not installed.
    """
    return _compile(code, ("-lineinfo", *options), name, "PTX", ARCHITECTURE)[0].decode()


def compile_cubin(code: str, options: tuple[str, ...] = (), architecture: str = "sm_80", name: str = "kernel.cu") -> tuple[bytes, str]:
    """The machine code for one kind of card, and the log: registers, bytes of memory and spills of each kernel.

    Raises
    ------
    CompileError: the text has an error, or NVRTC does not know the card. KernelError: NVRTC is not installed.
    """
    return _compile(code, ("--ptxas-options=-v", *options), name, "CUBIN", architecture)


def _compile(code: str, options: tuple[str, ...], name: str, result: str, architecture: str) -> tuple[bytes, str]:
    nvrtc, program = _library(), ctypes.c_void_p()
    if not any(option.startswith(("-arch", "--gpu-architecture")) for option in options):
        options = (f"--gpu-architecture={architecture}", *options)
    if not any(option.startswith(("-std", "--std")) for option in options):
        options = ("--std=c++17", *options)
    if nvrtc.nvrtcCreateProgram(ctypes.byref(program), code.encode(), name.encode(), 0, None, None):
        raise CompileError(f"{name}: NVRTC must take the text, got a refusal")
    try:
        words = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        failed = nvrtc.nvrtcCompileProgram(program, len(options), words)
        log = _get(nvrtc, program, "ProgramLog").rstrip(b"\0").decode()
        if failed:
            raise CompileError(_sentence(name, log), NO_HEADERS if "open source file" in log else None, log=log)
        return _get(nvrtc, program, result), log
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _get(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{what}")(program, text)
    return text.raw[: size.value] if what == "CUBIN" else text.raw[: size.value].rstrip(b"\0")


def _sentence(name: str, log: str) -> str:
    """The first error of NVRTC's log as one sentence."""
    found = FIRST_ERROR.search(log)
    if found is None:
        first = next((line.strip() for line in log.splitlines() if line.strip()), "no log")
        return f"{name}: the kernels must compile, got {first}"
    return f"{found['file'] or name}: the kernels must compile, got an error in line {found['line']}: {found['text'].strip()}"
