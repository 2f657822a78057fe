"""The array module `xp` of a simulated GPU: the functions that NumPy and CuPy share, each with the keywords that CuPy has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinyalex.devices.sim_array import API, CUPY, UFUNC_KEYWORDS, SimArray, check_keywords, finish, operand, raw
from tinyalex.devices.sim_index import refused_if_outside

if TYPE_CHECKING:
    from tinyalex.devices.sim import SimDevice


class Namespace:
    """The module `xp` of one device. It has the names that NumPy and CuPy share; each is made when it is first used."""

    def __init__(self, device: SimDevice) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Any:
        device = self._device
        if name in API["values"]:
            value = getattr(np, name)
        elif name == "ndarray":
            value = SimArray
        elif name in API["ufuncs"]:
            value = Ufunc(device, name, getattr(np, name), API["ufuncs"][name])
        elif name in API["functions"]:
            value = _function(device, name)
        else:
            raise AttributeError(f"{device.name}: a name in xp must be one that NumPy and {CUPY} share, got {name!r}")
        setattr(self, name, value)
        return value

    def empty(self, shape: Any, dtype: Any = float) -> Any:
        """An uninitialized array."""
        return self._device.empty(shape, dtype)

    def zeros(self, shape: Any, dtype: Any = float) -> Any:
        """An array of zeros."""
        return self._device.zeros(shape, dtype)

    def asarray(self, a: Any, dtype: Any = None) -> Any:
        """`a`, an array of the host or of this device, as an array of this device."""
        return self._device.asarray(a, dtype)

    def array(self, a: Any, dtype: Any = None) -> Any:
        """A new array with the contents of `a`."""
        out = self._device.asarray(a, dtype)
        return out.copy() if out is a else out

    def __repr__(self) -> str:
        return f"<xp of {self._device.name}>"


class Ufunc:
    """A universal function of a device, with only the methods (`reduce`, `at`, ...) that CuPy has."""

    def __init__(self, device: SimDevice, name: str, f: np.ufunc, methods: list[str]) -> None:
        self._device, self._name, self._f, self._methods = device, name, f, methods

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        device, f = self._device, self._f
        operands = [operand(x, device) for x in args]
        if not keywords:
            out = args[f.nin :] or None
            return finish(f(*operands), out, device, ())
        check_keywords(device, self._name, keywords, UFUNC_KEYWORDS)
        out = keywords.get("out")
        return finish(f(*operands, **_raw_values(keywords, device)), out, device, ())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._methods:
            raise NotImplementedError(
                f"{self._device.name}: the method of {self._name} must be one that {CUPY} has ({', '.join(self._methods)}), got {name!r}"
            )
        method, device = getattr(self._f, name), self._device

        def call(*args: Any, **keywords: Any) -> Any:
            check_keywords(device, f"{self._name}.{name}", keywords, frozenset(("axis", "dtype", "out", "keepdims")))
            with refused_if_outside(device, f"{self._name}.{name}"):
                result = method(*raw(args, device), **_raw_values(keywords, device))
            return finish(result, keywords.get("out"), device, ())

        return call


TAKES_ARRAY = {"a", "arr", "ary", "m", "x"}  # names of a first parameter that must be an array of the device
TAKES_ANYTHING = {"min_scalar_type", "ndim", "shape", "size"}
RETURNS_ARRAY = {"allclose", "array_equal", "array_equiv", "count_nonzero"}  # they return Python numbers in NumPy, arrays in CuPy


def _function(device: SimDevice, name: str) -> Any:
    f, keywords_of = getattr(np, name), API["functions"][name]
    allowed = frozenset(keywords_of)
    array_first = name not in TAKES_ANYTHING and bool(keywords_of) and keywords_of[0] in TAKES_ARRAY

    def function(*args: Any, **keywords: Any) -> Any:
        check_keywords(device, name, keywords, allowed)
        if array_first and args and type(args[0]) is not SimArray:
            raise TypeError(f"{device.name}: Unsupported type {type(args[0])}; {name} needs an array of the device, see device.asarray")
        if name in API["synchronizing"]["functions"] or (name == "where" and len(args) + len(keywords) == 1):
            device.counter.synchronize(name)
        with refused_if_outside(device, name):
            result = f(*raw(args, device), **_raw_values(keywords, device))
        if name in RETURNS_ARRAY:
            result = np.asarray(result)
        return finish(result, keywords.get("out"), device, (*args, *keywords.values()))

    return function


def _raw_values(keywords: dict[str, Any], device: SimDevice) -> dict[str, Any]:
    return {key: raw(value, device) for key, value in keywords.items()}
