"""`RawModule` and `RawKernel` as CuPy has them, for simulated cards: NVRTC compiles the text, and an interpreter runs the PTX."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinyalex.devices.sim_array import SimArray, owner
from tinyalex.errors import DeviceError, KernelError, ShapeError, did_you_mean
from tinyalex.sim import settings
from tinyalex.sim.nvrtc import compile_ptx
from tinyalex.sim.ptx.kernel import Kernel
from tinyalex.sim.ptx.memory import FIRST, GAP, Allocation, GlobalMemory, bytes_at, place_arrays
from tinyalex.sim.ptx.parse import Parameter, Text, parse
from tinyalex.sim.ptx.run import Launch
from tinyalex.sim.ptx.types import TYPES

MOST_THREADS = 1024  # of a block
MOST_SHARED = 48 * 1024  # bytes of shared memory of a block, unless the kernel asks for more
PYTHON: dict[type, Any] = {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}
FLOATS = {"f32": np.dtype("f4"), "b32": np.dtype("f4"), "f64": np.dtype("f8")}
MOST_GRID = (2**31 - 1, 65535, 65535)
MOST_BLOCK = (1024, 1024, 64)


class RawModule:
    """Kernels in CUDA C++, as `cupy.RawModule`.

    Parameters
    ----------
    code: the text. Kernels are declared `extern "C" __global__ void`. options: of the compiler, such as ("-DTILE=16",).
    path: a file with PTX, or PTX in the place of `code` (it begins with "//" and has ".version").

    Raises
    ------
    CompileError: the text has an error. KernelError: NVRTC is missing, or a kernel has an instruction that is not known.

    Example
    -------
    This needs the extra `kernels`:

        code = 'extern "C" __global__ void add1(float* x, int n) { int i = threadIdx.x; if (i < n) x[i] += 1.0f; }'
        x = ta.get_device("sim:0").asarray(np.zeros(3, np.float32))
        sim.RawModule(code=code).get_function("add1")((1,), (32,), (x, np.int32(3)))
    """

    def __init__(
        self, *, code: str | None = None, path: str | None = None, options: tuple[str, ...] = (), backend: str = "nvrtc", **others: Any
    ) -> None:
        if (code is None) == (path is None):
            raise TypeError("RawModule: exactly one of code and path must be given")
        if backend != "nvrtc" or any(others.values()):
            raise TypeError(f"RawModule: the options of a simulated card must be code, path and options, got {backend!r} and {others}")
        self.options = tuple(options)
        self.code = code
        if path is not None:
            with open(path, encoding="utf-8") as file:
                self.code = file.read()
        self._text: Text | None = None
        self._kernels: dict[str, RawKernel] = {}
        self._globals: list[Allocation] = []
        self._symbols: dict[str, int] = {}

    def compile(self) -> None:
        """Compile now. Otherwise the first `get_function` does."""
        if self._text is None:
            assert self.code is not None
            ptx = self.code if ".version" in self.code and ".target" in self.code else compile_ptx(self.code, self.options)
            text = parse(ptx)
            memory = [one for one in text.variables if one.space in ("global", "const")]
            blocks = [np.frombuffer(bytearray(one.init.ljust(max(one.size, 1), b"\0")), np.uint8) for one in memory]
            arrays: list[Any] = [(block, 0, f"the variable {one.name}", None) for one, block in zip(memory, blocks, strict=True)]
            self._globals, addresses = place_arrays(arrays, FIRST // 2)
            self._symbols = dict(zip((one.name for one in memory), addresses, strict=True))
            self._text = text

    def get_function(self, name: str) -> RawKernel:
        """The kernel of this name."""
        self.compile()
        assert self._text is not None
        if name not in self._kernels:
            function = self._text.functions.get(name)
            if function is None or not function.entry:
                names = [one.name for one in self._text.functions.values() if one.entry]
                rule = f"RawModule: a kernel must be one of {', '.join(names) or '(none)'}, got {name!r}"
                raise KernelError(rule, did_you_mean(name, names))
            self._kernels[name] = RawKernel._of(self, Kernel(function, self._text, self._symbols))
        return self._kernels[name]

    def get_global(self, name: str) -> np.ndarray[Any, Any]:
        """The bytes of a variable of the module (`__device__` or `__constant__`), which may be changed."""
        self.compile()
        if name not in self._symbols:
            raise KernelError(f"RawModule: a variable must be one of {', '.join(self._symbols) or '(none)'}, got {name!r}")
        return next(one.memory for one in self._globals if one.low == self._symbols[name])


class RawKernel:
    """One kernel, as `cupy.RawKernel`. `kernel(grid, block, args, shared_mem=0)` runs it.

    name: of the function. The other attributes are as CuPy's; num_regs is the number in PTX, which a card's assembler makes smaller.
    """

    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc", **others: Any) -> None:
        self.module = RawModule(code=code, options=options, backend=backend, **others)
        self.name = name
        self.max_dynamic_shared_size_bytes = MOST_SHARED
        self._kernel: Kernel | None = None

    @classmethod
    def _of(cls, module: RawModule, kernel: Kernel) -> RawKernel:
        made = cls.__new__(cls)
        made.module, made.name, made._kernel, made.max_dynamic_shared_size_bytes = module, kernel.name, kernel, MOST_SHARED
        return made

    def compile(self) -> None:
        """Compile now. Otherwise the first launch does."""
        if self._kernel is None:
            self._kernel = self.module.get_function(self.name)._kernel

    @property
    def kernel(self) -> Kernel:
        """The kernel as the interpreter has it: its instructions, its basic blocks."""
        self.compile()
        assert self._kernel is not None
        return self._kernel

    @property
    def shared_size_bytes(self) -> int:
        """Bytes of shared memory of a block, without those that a launch adds."""
        return self.kernel.shared

    @property
    def local_size_bytes(self) -> int:
        """Bytes of memory of each thread."""
        return self.kernel.local

    @property
    def num_regs(self) -> int:
        """Registers of the PTX."""
        return len(self.kernel.types)

    @property
    def max_threads_per_block(self) -> int:
        """1024, or fewer if the kernel says so with `__launch_bounds__`."""
        return self.kernel.most_threads or MOST_THREADS

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: Iterable[Any], *, shared_mem: int = 0, **others: Any) -> None:
        """Run the kernel.

        grid, block: how many blocks, and how many threads each has, in one to three directions. args: arrays of one simulated card,
        and NumPy scalars of the types that the kernel has. shared_mem: bytes for `extern __shared__`.

        Raises
        ------
        KernelError: an access outside of the arrays, a race, a barrier that only some threads reach, with line and thread.
        ShapeError: a launch that a card refuses. DeviceError, TypeError: an argument of a wrong type.
        """
        kernel, who = self.kernel, self.name
        if any(others.values()):
            raise TypeError(f"{who}: keywords of a launch must be shared_mem, got {', '.join(others)}")
        sizes = _sizes(who, "grid", grid, MOST_GRID), _sizes(who, "block", block, MOST_BLOCK)
        threads = math.prod(sizes[1])
        if threads > self.max_threads_per_block:
            raise ShapeError(f"{who}: threads of a block must be at most {self.max_threads_per_block}, got {threads} in block {sizes[1]}")
        if kernel.shared + shared_mem > max(MOST_SHARED, self.max_dynamic_shared_size_bytes):
            raise ShapeError(f"{who}: shared memory of a block must be at most {MOST_SHARED:,} bytes, got {kernel.shared + shared_mem:,}")
        values, pointers, memory, device = _arguments(kernel, tuple(args), self.module._globals)
        chosen = settings.current()
        launch = Launch(kernel, *sizes, values, pointers, memory, shared_mem, chosen.races, chosen.profile)
        launch.run()
        settings.count(launch)
        if device is not None and hasattr(device, "count_launch"):
            device.count_launch()


def _sizes(who: str, quantity: str, value: Any, most: tuple[int, int, int]) -> tuple[int, int, int]:
    """One to three sizes as three."""
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    whole = all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) for size in sizes)
    if not (whole and 1 <= len(sizes) <= 3 and all(1 <= size <= limit for size, limit in zip(sizes, most, strict=False))):
        raise ShapeError(f"{who}: {quantity} must be one to three sizes of at least 1 and at most {most}, got {value!r}")
    x, y, z = (*(int(size) for size in sizes), 1, 1)[:3]
    return x, y, z


def _arguments(
    kernel: Kernel, args: tuple[Any, ...], variables: list[Allocation]
) -> tuple[dict[str, bytes], dict[str, Allocation], GlobalMemory, Any]:
    """The bytes of each parameter, the array behind each pointer, all memory, and the device."""
    who = kernel.name
    if len(args) != len(kernel.parameters):
        raise ShapeError(f"{who}: args must have {len(kernel.parameters)} values, as the kernel has parameters, got {len(args)}")
    values: dict[str, bytes] = {}
    arrays: list[Any] = []
    names: list[str] = []
    device: Any = None
    for i, (parameter, value) in enumerate(zip(kernel.parameters, args, strict=True)):
        if isinstance(value, SimArray):
            if device is not None and value.device is not device:
                got = f"argument {i} on {value.device.name}; use device.copy_from"
                raise DeviceError(f"{who}: all arrays must be on {device.name}, got {got}")
            device = value.device
            if parameter.type not in ("u64", "b64") or parameter.size != 8:
                raise TypeError(f"{who}: argument {i} must be a number of {parameter.size} bytes, got an array")
            shape = "x".join(str(size) for size in value._a.shape) or "one number"
            arrays.append(_bytes_of(value._a, f"argument {i} ({value._a.dtype}, {shape})"))
            names.append(parameter.name)
        else:
            values[parameter.name] = _number(who, i, parameter, value)
    first = max([FIRST, *(one.high + GAP for one in variables)])
    allocations, addresses = place_arrays(arrays, first)
    values.update({name: np.uint64(address).tobytes() for name, address in zip(names, addresses, strict=True)})
    pointers = {
        name: next(one for one in allocations if one.low <= address and address + len(array[0]) <= one.high)
        for name, address, array in zip(names, addresses, arrays, strict=True)
    }
    variables = [Allocation(one.memory, one.low, one.label) for one in variables]  # what a launch logs is its own
    named = {one.label.removeprefix("the variable "): one for one in variables}
    _check_floats(kernel, pointers)
    return values, {**pointers, **named}, GlobalMemory([*allocations, *variables]), device


def _bytes_of(a: np.ndarray[Any, Any], label: str) -> tuple[Any, int, str, Any]:
    """The memory that an array spans, and how far it lies behind the start of its block of memory."""
    low, high = np.lib.array_utils.byte_bounds(a)
    whole = owner(a)
    start = whole.ctypes.data if isinstance(whole, np.ndarray) else low
    if a.size and a.flags.c_contiguous:
        return a.reshape(-1).view(np.uint8), low - start, label, a.dtype
    if not a.size:
        return np.zeros(0, np.uint8), 0, label, a.dtype
    return bytes_at(low, high - low, a), low - start, label, a.dtype


def _number(who: str, i: int, parameter: Parameter, value: Any) -> bytes:
    """The bytes of a number. Its size must be that of the parameter, because a card does not convert."""
    if isinstance(value, np.ndarray):
        raise TypeError(f"{who}: Unsupported type {type(value)} of argument {i}; a kernel takes arrays of the device, see device.asarray")
    if type(value) in PYTHON:  # as CuPy does it
        value = PYTHON[type(value)](value)
    if not isinstance(value, np.generic):
        raise TypeError(f"{who}: Unsupported type {type(value)} of argument {i}; a kernel takes arrays of the device and NumPy scalars")
    dtype = TYPES.get(parameter.type)
    wanted = f"{parameter.size} bytes"
    wrong = value.nbytes != parameter.size
    if dtype is not None and parameter.size == dtype.itemsize and parameter.type[0] != "b":
        wrong = wrong or (dtype.kind == "f") != (value.dtype.kind == "f")
        wanted = f"np.{'float' if dtype.kind == 'f' else 'int'}{8 * dtype.itemsize}"
    if wrong:
        raise TypeError(f"{who}: argument {i} must be {wanted}, got {value.dtype} {value!r}; a card does not convert numbers")
    return value.tobytes()


def _check_floats(kernel: Kernel, pointers: dict[str, Allocation]) -> None:
    """Raise where the kernel reads or writes float32 in an array of float64, or the reverse.

    Some versions of NVRTC say f32 for a float and s32 for an integer, others b32 for both; b32 is taken for a float here. But b64
    may also be two floats at once, so nothing is said about it.
    """
    for position, access in kernel.accesses.items():
        found = [pointers[name] for name in kernel.origins[position] if name in pointers]
        if access.kind not in FLOATS or len(found) != 1:
            continue
        own, wanted = found[0].dtype, FLOATS[access.kind]
        if own is not None and own.kind == "f" and own != wanted:
            who, label = f"{kernel.name}{kernel.where(position)}", found[0].label.partition(" (")[0]
            raise TypeError(f"{who}: {label} must be {wanted}, got {own}; a card does not convert arrays")
