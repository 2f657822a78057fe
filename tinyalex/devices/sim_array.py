"""The arrays of a simulated GPU: they hold a NumPy array, and allow only what CuPy allows too.

They refuse what works in NumPy and fails on a real GPU: operands on the host or on another device, an implicit conversion to
NumPy, and names and keywords that CuPy does not have. `cupy_api.json` lists what both have. Every array holds a `Block`, the
memory of the device that the array, or the array of which it is a view, takes.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from tinyalex.devices.sim_index import arrays_in, check_repeats, count_masks, refused_if_outside
from tinyalex.errors import DeviceError

if TYPE_CHECKING:
    from tinyalex.devices.sim import SimDevice

HostArray = np.ndarray[Any, Any]
API: dict[str, Any] = json.loads(files("tinyalex.devices").joinpath("cupy_api.json").read_text("utf-8"))
CUPY = f"CuPy {API['versions']['cupy']}"
UFUNC_KEYWORDS = frozenset(("out", "dtype", "casting"))
NUMBERS = (int, float, complex, np.generic)  # types that may be combined with an array in an operation


class Block:
    """Memory of a device. It is counted until the last array that uses it is freed."""

    __slots__ = ("__weakref__", "nbytes")

    def __init__(self, device: SimDevice, nbytes: int) -> None:
        self.nbytes = nbytes
        device.take(self)


class Life(weakref.ref[Block]):
    """A weak reference to a block. It stores the size, so that the device can subtract it when the block is freed."""

    nbytes: int  # bytes that the device counts for the block
    __hash__, __eq__ = object.__hash__, object.__eq__


class Flags(NamedTuple):
    """Whether the elements are contiguous, in C order or in Fortran order."""

    c_contiguous: bool
    f_contiguous: bool


class SimArray:
    """An array of a simulated GPU."""

    __slots__ = ("__weakref__", "_a", "_block", "device")
    __hash__ = None  # type: ignore[assignment]  # arrays of NumPy and CuPy cannot be hashed either

    def __init__(self, a: HostArray, device: SimDevice, block: Block) -> None:
        self._a, self.device, self._block = a, device, block
        if device.counter.float32_only:
            device.counter.check_dtype(a)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(f"{self.device.name}: implicit conversion to a NumPy array is not allowed; use device.to_numpy(x)")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **keywords: Any) -> Any:
        f = getattr(self.device.xp, ufunc.__name__)
        return (f if method == "__call__" else getattr(f, method))(*args, **keywords)

    def __array_function__(self, f: Callable[..., Any], types: Any, args: Any, keywords: Any) -> Any:
        return getattr(self.device.xp, f.__name__)(*args, **keywords)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self.device.name}: an attribute of an array must be one that NumPy and {CUPY} share, got {name!r}")

    def __getitem__(self, key: Any) -> Any:
        key = raw(key, self.device)
        if not (arrays := arrays_in(key)):
            part = self._a[key]
            if isinstance(part, np.generic):  # in CuPy one element is a view too, with no axes
                part = self._a[(*(key if type(key) is tuple else (key,)), ...)]
            return wrap(part, self.device, (self,))
        count_masks(self.device, arrays)
        with refused_if_outside(self.device, "an array"):
            return wrap(self._a[key], self.device, (self,))

    def __setitem__(self, key: Any, value: Any) -> None:
        key, value = raw(key, self.device), operand(value, self.device)
        launched(self.device)
        if arrays := arrays_in(key):
            count_masks(self.device, arrays)
            with refused_if_outside(self.device, "an assignment"):
                self._a[key]
            if isinstance(value, np.ndarray):
                check_repeats(self.device, self.shape, key, arrays)
        self._a[key] = value

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __copy__(self) -> Any:
        return wrap(self._a.copy(), self.device)

    def __deepcopy__(self, memo: Any) -> Any:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return _on_device, (self.device, read(self))

    def __bool__(self) -> bool:
        return bool(read(self))

    def __int__(self) -> int:
        return int(read(self))

    def __float__(self) -> float:
        return float(read(self))

    def __complex__(self) -> complex:
        return complex(read(self))

    def __repr__(self) -> str:
        return f"{np.array2string(read(self), prefix='array(', separator=', ', threshold=100)} on {self.device.name}"

    @property
    def flags(self) -> Flags:
        """Whether the array is contiguous. NumPy's other flags mean nothing on a GPU."""
        return Flags(self._a.flags.c_contiguous, self._a.flags.f_contiguous)

    def __imatmul__(self, other: Any) -> NoReturn:
        raise TypeError(f"{self.device.name}: {CUPY} has no @= of arrays; use xp.matmul(a, b, out=a)")


def _on_device(device: SimDevice, host: HostArray) -> SimArray:
    """The array that a pickled array becomes."""
    return wrap(host.copy("K"), device)


def operand(x: Any, device: SimDevice) -> Any:
    """The NumPy array in an operand; a number is returned as it is, any other type is refused."""
    if type(x) is SimArray:
        if x.device is not device:
            raise DeviceError(f"{device.name}: an operand must be on {device.name}, got an array on {x.device.name}; use device.copy_from")
        return x._a
    if isinstance(x, NUMBERS):
        return x
    raise TypeError(f"{device.name}: Unsupported type {type(x)}; an operand must be a number or an array of the device, see device.asarray")


def launched(device: SimDevice) -> None:
    """Count a call that computes. DeviceError: a block demands that its device is activated, and it is not."""
    counter = device.counter
    if counter.activated_only:
        counter.check_activated(device)
    counter.launch()


def raw(x: Any, device: SimDevice) -> Any:
    """`x` with each array of the device replaced by its NumPy array, also in tuples and lists. Arrays of the host are refused."""
    kind = type(x)
    if kind is tuple or kind is list:
        return kind([raw(part, device) for part in x])
    return operand(x, device) if kind is SimArray or isinstance(x, np.ndarray) else x


def wrap(result: Any, device: SimDevice, sources: tuple[Any, ...] = ()) -> Any:
    """A result of NumPy as CuPy would return it: an array or scalar becomes an array of the device; a view shares its memory."""
    if isinstance(result, np.ndarray):
        base = result.base
        if base is None:
            launched(device)
            return SimArray(result, device, Block(device, result.nbytes))
        base = owner(base)
        for source in sources:
            if type(source) is SimArray and (source._a is base or owner(source._a) is base):
                return SimArray(result, device, source._block)
        launched(device)
        return SimArray(result, device, Block(device, getattr(base, "nbytes", result.nbytes)))
    if isinstance(result, np.generic):
        return wrap(np.array(result), device)
    if isinstance(result, (tuple, list)):
        return type(result)(wrap(part, device, sources) for part in result)
    return result


def owner(a: Any) -> Any:
    """The array whose memory `a` is a view of."""
    while getattr(a, "base", None) is not None:
        a = a.base
    return a


def read(x: SimArray) -> HostArray:
    """The elements on the host. It counts as a synchronization, because on a GPU the host would wait."""
    x.device.counter.fetched(x._a.nbytes)
    return x._a


def check_keywords(device: SimDevice, name: str, keywords: dict[str, Any], allowed: frozenset[str]) -> None:
    """Raise unless CuPy accepts the keywords."""
    if not keywords.keys() <= allowed:
        wrong = ", ".join(sorted(keywords.keys() - allowed))
        raise TypeError(f"{device.name}: keywords of {name} must be among {', '.join(sorted(allowed))}, as in {CUPY}, got {wrong}")


def finish(result: Any, out: Any, device: SimDevice, sources: tuple[Any, ...]) -> Any:
    """The array that was passed as `out`, or if there was none, the wrapped result."""
    if out is None:
        if result is None:  # it changed an array in place
            launched(device)
        return wrap(result, device, sources)
    launched(device)
    return out[0] if type(out) is tuple and len(out) == 1 else out


def _operator(name: str, f: np.ufunc) -> Any:
    def binary(self: SimArray, other: Any) -> Any:
        return wrap(f(self._a, operand(other, self.device)), self.device)

    def reflected(self: SimArray, other: Any) -> Any:
        return wrap(f(operand(other, self.device), self._a), self.device)

    def in_place(self: SimArray, other: Any) -> Any:
        f(self._a, operand(other, self.device), out=self._a)
        launched(self.device)
        return self

    def unary(self: SimArray) -> Any:
        return wrap(f(self._a), self.device)

    if f.nin == 1:
        return unary
    return {"r": reflected, "i": in_place}.get(name[0], binary)


def _method(name: str, allowed: frozenset[str]) -> Any:
    f = getattr(np.ndarray, name)

    def method(self: SimArray, *args: Any, **keywords: Any) -> Any:
        device = self.device
        check_keywords(device, name, keywords, allowed)
        if name in API["synchronizing"]["methods"]:
            device.counter.synchronize(name)
        with refused_if_outside(device, name):
            result = f(self._a, *raw(args, device), **{key: raw(value, device) for key, value in keywords.items()})
        return finish(result, keywords.get("out"), device, (self,))

    def synchronizing(self: SimArray, *args: Any, **keywords: Any) -> Any:
        check_keywords(self.device, name, keywords, allowed)
        return f(read(self), *args, **keywords)

    return synchronizing if name in ("item", "tolist", "tobytes") else method


def _attribute(name: str) -> property:
    if name in ("T", "mT", "real", "imag"):
        return property(lambda self: wrap(getattr(self._a, name), self.device, (self,)))
    return property(lambda self: getattr(self._a, name))


OPERATORS: dict[str, np.ufunc] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "pow": np.power, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "lshift": np.left_shift, "rshift": np.right_shift,
}  # fmt: skip
OTHERS: dict[str, np.ufunc] = {
    "matmul": np.matmul, "rmatmul": np.matmul, "divmod": np.divmod, "rdivmod": np.divmod,
    "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal, "gt": np.greater, "ge": np.greater_equal,
    "neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert,
}  # fmt: skip


def _complete(cls: type) -> None:
    """Give the class its operators, and the methods and attributes that NumPy and CuPy share."""
    for name, ufunc in OPERATORS.items():
        for prefix in ("", "r", "i"):
            setattr(cls, f"__{prefix}{name}__", _operator(prefix or "-", ufunc))
    for name, ufunc in OTHERS.items():
        setattr(cls, f"__{name}__", _operator(name if name[:1] == "r" else "-", ufunc))
    for name, allowed in API["methods"].items():
        setattr(cls, name, _method(name, frozenset(allowed)))
    for name in API["attributes"]:
        setattr(cls, name, _attribute(name))


_complete(SimArray)
