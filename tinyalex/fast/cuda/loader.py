"""Compiles the .cu files of this folder for a device, and says whether a device runs kernels.

`TINYALEX_KERNELS` decides. "auto", the default: GPUs run kernels; where a file does not compile, its array functions go on, and one
warning says why. "0": no device runs kernels. "1": simulated GPUs run them too, slowly, and a file that does not compile raises.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.devices import Array, CpuDevice, Device
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import DeviceError, TinyalexError, require_choice

VARIABLE = "TINYALEX_KERNELS"
TYPES = {"float32": "float", "float64": "double"}
MOST = 1 << 30  # elements of an array that a kernel is given at once, because its indices are ints
THREADS = 256  # of a block of a kernel whose threads each have an element of their own


class Kernels:
    """The kernels of one device. Each file is compiled when its first kernel is asked for, once for each dtype and set of macros."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.failed: dict[tuple[Any, ...], str] = {}  # by file, dtype and macros: the first error of the compiler
        self._functions: dict[tuple[Any, ...], Any] = {}
        self._modules: dict[tuple[Any, ...], Any] = {}
        self._lock = threading.Lock()

    def function(self, file: str, name: str, dtype: Any, **macros: int) -> Any:
        """The kernel `name` of `file`, to be called as in CuPy: kernel(grid, block, arguments).

        dtype: what `real` stands for, float32 or float64. macros: constants that the file is compiled with.

        Raises DeviceError, with the compiler's first error, if the file does not compile.
        """
        key = (file, np.dtype(dtype).name, *sorted(macros.items()))
        found = self._functions.get((name, *key))
        if found is None:
            with self._lock, self.device.activate():
                found = self._functions[(name, *key)] = self._compiled(key).get_function(name)
        return found

    def _compiled(self, key: tuple[Any, ...]) -> Any:
        if key not in self._modules:
            file, dtype, *macros = key
            options = (f"-Dreal={TYPES[dtype]}", *(f"-D{macro}={value}" for macro, value in macros))
            try:
                module = self.device.raw_module(code=source(file), options=options)
                module.get_function(first_kernel(file))  # CuPy compiles only now
            except MemoryError:
                raise
            except Exception as error:  # of NVRTC, or of the driver that loads the module
                self.failed[key] = first_error(error)
                rule = f"{self.device.name}: {file} must compile, got {self.failed[key]}"
                raise DeviceError(rule, f"set {VARIABLE}=0, so that the array functions compute") from None
            self._modules[key] = module
        return self._modules[key]

    def ready(self, file: str, dtype: Any, **macros: int) -> bool:
        """Whether the file compiles. If it does not, with TINYALEX_KERNELS=1 this raises; else the first failure of a file is a warning."""
        key = (file, np.dtype(dtype).name, *sorted(macros.items()))
        if key in self._modules:
            return True
        if key in self.failed and setting() != "1":
            return False
        known = any(failed[0] == file for failed in self.failed)
        try:
            with self._lock, self.device.activate():
                self._compiled(key)
        except DeviceError as error:
            if setting() == "1":
                raise
            if not known:
                warnings.warn(f"{error.sentence}; the array functions compute in its place", RuntimeWarning, stacklevel=2)
            return False
        return True

    def launch(self, file: str, name: str, size: int, *arguments: Any, dtype: Any = None, **macros: int) -> None:
        """Start the kernel with a thread for each of `size` elements. A Python int becomes an int32, a float becomes the dtype.

        dtype: float32 or float64; the default is the dtype of the first argument.
        """
        self.start(file, name, (-(-size // THREADS),), THREADS, *arguments, dtype=dtype, **macros)

    def start(self, file: str, name: str, grid: tuple[int, ...], threads: int, *arguments: Any, dtype: Any = None, **macros: int) -> None:
        """As `launch`, with a grid of blocks of so many threads."""
        dtype = arguments[0].dtype if dtype is None else np.dtype(dtype)
        kernel = self.function(file, name, dtype, **macros)
        with self.device.activate():  # a kernel starts on the GPU that is current
            kernel(grid, (threads,), scalars(arguments, dtype))


def scalars(arguments: tuple[Any, ...], dtype: Any) -> tuple[Any, ...]:
    """The arguments of a kernel: each Python int as an int32, each float as a number of the dtype, arrays as they are."""
    kinds: dict[type, Callable[[Any], Any]] = {int: np.int32, bool: np.int32, float: np.dtype(dtype).type}
    return tuple(kinds[type(a)](a) if type(a) in kinds else a for a in arguments)


def setting() -> str:
    """The value of TINYALEX_KERNELS: "0", "auto" or "1". Raises ShapeError for any other value."""
    value: str = require_choice("kernels", VARIABLE, os.environ.get(VARIABLE, "auto"), ("0", "auto", "1"))
    return value


def kernels_of(device: Device) -> Kernels | None:
    """The kernels of a device; None if it runs none. Raises DeviceError where TINYALEX_KERNELS=1 and there is no compiler."""
    if isinstance(device, CpuDevice | DryDevice):
        return None
    wanted = setting()
    if wanted == "0" or (wanted == "auto" and device.kind != "cuda"):
        return None
    if device.raw_module is None:
        if wanted == "1":
            raise DeviceError(f"{device.name}: {VARIABLE}=1 must have a compiler of kernels, got none", "pip install 'tinyalex[kernels]'")
        return None
    if device.kernels is None:
        device.kernels = Kernels(device)
    found: Kernels = device.kernels
    return found


def source(file: str) -> str:
    """The text that is compiled for a .cu file of this folder, after `common.cuh`. The compiler names lines of the file itself."""
    from importlib.resources import files  # it imports much, which only a device with kernels needs

    folder = files("tinyalex.fast.cuda")
    return "\n".join(f'#line 1 "{name}"\n{folder.joinpath(name).read_text("utf-8")}' for name in ("common.cuh", file))


def kernels_in(file: str) -> list[str]:
    """The names of the kernels of a file, in order."""
    import re

    return re.findall(r'extern "C" __global__ void(?: __launch_bounds__\(.*\))?\s+(\w+)\(', source(file))


def first_kernel(file: str) -> str:
    """The name of the first kernel of a file."""
    return kernels_in(file)[0]


def first_error(error: BaseException) -> str:
    """The first line of the compiler's log that names an error; without one, the first line of the message."""
    if isinstance(error, TinyalexError):  # of the simulated GPU's compiler, whose sentence ends with what the compiler found
        return error.sentence.partition(" got ")[2] or str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else type(error).__name__)


def contiguous(x: Array, device: Device) -> Array:
    """`x`, or if it is not in C order a copy that is: kernels compute addresses for that order."""
    return x if x.flags.c_contiguous else device.xp.ascontiguousarray(x)
