"""Kernels compiled by g++ for the host, under AddressSanitizer and UndefinedBehaviorSanitizer; with CuPy's calls.

A file of kernels becomes a program, which runs as a process of its own: what a sanitizer finds ends that process, and its report is
the text of the error. Each array lies in memory of exactly its own size, so that the first element outside of it is noticed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.devices.sim import SimDevice
from tinyalex.devices.sim_array import SimArray

HERE = Path(__file__).parent
FLAGS = ["-std=c++17", "-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fsanitize-sections=*"]
FLAGS += ["-include", str(HERE / "shim.h"), "-I", str(HERE), "-Wno-unknown-pragmas"]
SANITIZED = os.environ | {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=0"}


@cache
def why_not() -> str | None:
    """The reason why kernels cannot be compiled here; None if they can."""
    return None if shutil.which("g++") else "there is no g++"


class KernelFault(AssertionError):
    """A sanitizer or the shim stopped a kernel."""


class HostModule:
    """As `cupy.RawModule`."""

    order = 1  # the seed of the order of blocks and threads

    def __init__(self, code: str, options: tuple[str, ...] = ()) -> None:
        self.program = compiled(code, options)
        self._process: subprocess.Popen[bytes] | None = None

    def get_function(self, name: str) -> HostKernel:
        return HostKernel(self, name)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running program; a new one after a fault."""
        if self._process is None or self._process.poll() is not None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen([self.program], stdin=pipe, stdout=pipe, stderr=pipe, env=SANITIZED)
        return self._process

    def close(self) -> None:
        """End the program."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    __del__ = close


class HostKernel:
    """As the functions of `cupy.RawModule`."""

    def __init__(self, module: HostModule, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], shared_mem: int = 0) -> None:
        assert shared_mem == 0, "the shim has no dynamic shared memory"
        buffers: list[np.ndarray[Any, Any]] = []
        kinds, scalars = [], []
        for arg in args:
            if isinstance(arg, (SimArray, np.ndarray)):
                array = arg._a if isinstance(arg, SimArray) else arg
                assert array.flags.c_contiguous and array.dtype.kind in "fiub", (self.name, array.flags, array.dtype)
                kinds += [0, index_of(buffers, array)]
            else:
                assert isinstance(arg, np.generic), (self.name, type(arg))
                kinds += [arg.nbytes, 0]
                scalars.append(arg.tobytes())
        sizes = [len(self.name), *(tuple(grid) + (1, 1, 1))[:3], *(tuple(block) + (1, 1, 1))[:3], self.module.order]
        numbers = [*sizes, len(buffers), *(b.nbytes for b in buffers), len(kinds) // 2, *kinds]
        request = struct.pack(f"{len(numbers)}q", *numbers) + self.name.encode() + b"".join(b.tobytes() for b in buffers) + b"".join(scalars)
        process = self.module.process
        try:
            process.stdin.write(request)
            process.stdin.flush()
            found = process.stdout.read(sum(b.nbytes for b in buffers))
        except BrokenPipeError:
            found = b""
        if len(found) < sum(b.nbytes for b in buffers) or process.poll() is not None:
            report = process.stderr.read().decode(errors="replace")
            self.module.close()
            raise KernelFault(report)
        at = 0
        for buffer in buffers:
            buffer[...] = np.frombuffer(found[at : at + buffer.nbytes], buffer.dtype).reshape(buffer.shape)
            at += buffer.nbytes


def index_of(buffers: list[np.ndarray[Any, Any]], array: np.ndarray[Any, Any]) -> int:
    """The number of the array in `buffers`, to which it is added unless the same memory is there."""
    for number, other in enumerate(buffers):
        if np.may_share_memory(array, other):
            same = array.nbytes == other.nbytes and array.ctypes.data == other.ctypes.data
            assert same, "two arrays overlap in part"
            return number
    buffers.append(array)
    return len(buffers) - 1


def compiled(code: str, options: tuple[str, ...]) -> str:
    """The program for this code, made once for all processes of a test run and later ones."""
    import re

    names = re.findall(r'extern "C" __global__ void(?: __launch_bounds__\(.*\))?\s+(\w+)\(', code)
    macros = "".join(f"#define {option[2:].replace('=', ' ')}\n" for option in options if option.startswith("-D"))
    text = "#pragma GCC diagnostic ignored \"-Wunused\"\n" + macros + code + "\n" + "".join(f"KERNEL({name})\n" for name in names)
    parts = [text, (HERE / "shim.h").read_text("utf-8"), (HERE / "host.cpp").read_text("utf-8"), " ".join(FLAGS)]
    folder = Path(tempfile.gettempdir()) / f"tinyalex-kernels-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    program = folder / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    if not program.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            source, made = Path(work, "kernels.cpp"), Path(work, "program")
            source.write_text(text, "utf-8")
            run = subprocess.run(
                ["g++", *FLAGS, "-o", str(made), str(source), str(HERE / "host.cpp")], capture_output=True, text=True, check=False
            )
            if run.returncode:
                raise RuntimeError(run.stderr)
            os.replace(made, program)
    return str(program)


class HostDevice(SimDevice):
    """A simulated GPU whose kernels run on the host as C++. TINYALEX_KERNELS must be 1."""

    raw_module = HostModule
