"""Kernels compiled by g++ for the host, under AddressSanitizer and UndefinedBehaviorSanitizer; with CuPy's calls.

A file of kernels becomes a program, which runs as a process of its own: what a sanitizer finds ends that process, and its report is
the text of the error. Each array lies in memory of exactly its own size, so that the first element outside of it is noticed.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
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
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fsanitize-sections=*"]  # also of shared memory
FLAGS = ["-std=c++17", "-O1", "-g1", "-fno-omit-frame-pointer", *SANITIZERS, "-include", str(HERE / "shim.h"), "-I", str(HERE)]
SANITIZED = os.environ | {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=0"}


@cache
def why_not() -> str | None:
    """The reason why kernels cannot be compiled here; None if they can."""
    return None if shutil.which("g++") else "there is no g++"


class KernelFault(AssertionError):  # noqa: N818 - a failed check, not an error of the test
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
        request = struct.pack(f"{len(numbers)}q", *numbers) + self.name.encode() + b"".join([*(b.tobytes() for b in buffers), *scalars])
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
    """The program for this code. It is made once, for all processes of this test run and of later ones."""
    names = re.findall(r'extern "C" __global__ void(?: __launch_bounds__\(.*\))?\s+(\w+)\(', code)
    macros = "".join(f"#define {option[2:].replace('=', ' ')}\n" for option in options if option.startswith("-D"))
    host = made("host.o", (HERE / "host.cpp").read_text("utf-8"), "-c")
    return made("program", macros + code + "\n" + "".join(f"KERNEL({name})\n" for name in names), host)


def made(what: str, text: str, *options: str) -> str:
    """The file that g++ makes of a text."""
    folder = Path(tempfile.gettempdir()) / f"tinyalex-kernels-{getpass.getuser()}"
    folder.mkdir(exist_ok=True)
    parts = [text, (HERE / "shim.h").read_text("utf-8"), *FLAGS, *options]
    file = folder / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}-{what}"
    if not file.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            source, there = Path(work, "kernels.cpp"), Path(work, what)
            source.write_text(text, "utf-8")
            command = ["g++", *FLAGS, "-o", str(there), str(source), *options]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if run.returncode:
                raise RuntimeError(run.stderr)
            os.replace(there, file)
    return str(file)


class HostDevice(SimDevice):
    """A simulated GPU whose kernels run on the host as C++. TINYALEX_KERNELS must be 1."""

    raw_module = HostModule
