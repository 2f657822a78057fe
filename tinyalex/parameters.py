"""The arrays of a layer or a network by name, and where their initial values come from."""

from __future__ import annotations

import hashlib
import weakref
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tinyalex.devices import Array
from tinyalex.errors import CallOrderError, DeviceError, ShapeError, require_choice, require_int, show

if TYPE_CHECKING:
    from tinyalex.layers.base import Layer

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Parameters(dict[str, Array]):
    """The arrays of a layer or a network by name. Reading is a dict's; an assignment copies into the array that is there.

    `net.params["fc.weight"] = w` casts `w` and copies it. The arrays themselves live as long as the layer: nothing can be removed,
    and only a layer's own dict takes new names, until a network holds the layer. A copy without the layer is a dict like any other.

    A layer holds its parameters, and these know the layer by a weak reference only: a net that nobody uses any more is freed at once,
    with all its arrays, not when Python next looks for circles.

    Raises
    ------
    ShapeError: an unknown name, another shape, or for a parameter elements that are not finite. CallOrderError: a frozen layer.
    KeyError: reading a name that is not there, with the names that are.
    """

    def __init__(self, layer: Layer | None = None, finite: bool = True) -> None:
        super().__init__()
        self.finite, self.closed = finite, False
        self.owners: dict[str, Layer] = {}  # of a network's arrays, the layers that they belong to
        self._layer: weakref.ref[Layer] | None = None
        if layer is not None:
            self.belong(layer)

    def belong(self, layer: Layer) -> None:
        """Be the arrays of `layer`."""
        self._layer = weakref.ref(layer)

    @property
    def layer(self) -> Layer | None:
        """The layer or network that holds these arrays; None where it is gone."""
        return None if self._layer is None else self._layer()

    def place(self, key: str, array: Array, owner: Layer) -> None:
        """Hold `array`, which belongs to the layer `owner`, under a name."""
        super().__setitem__(key, array)
        if owner is not self.layer:
            self.owners[key] = owner

    def __setitem__(self, key: str, value: Array) -> None:
        owner = self.owners.get(key, self.layer)
        if owner is None:
            super().__setitem__(key, value)
        elif key in self:
            if value is not self[key]:  # after `params[key] *= 2` it is the same array
                self._write(key, value, owner)
        elif self.closed:
            raise ShapeError(f"{self._who}: {self._what} must be one of {', '.join(self) or 'none'}, got {show(key)}")
        elif not owner.device.owns(value):
            check_owner(owner, key, value)
        else:
            self.place(key, value, owner)

    def _write(self, key: str, value: Any, owner: Layer) -> None:
        array = self[key]
        if self.finite and owner.frozen:
            require_thawed(self._who, owner)
        if not owner.device.owns(value):
            if not isinstance(value, (np.ndarray, list, tuple, int, float)):
                check_owner(owner, key, value)
            value = np.asarray(value)
        if value.dtype.kind not in "fiub" or value.shape != array.shape:
            rule = f"have shape {tuple(array.shape)} and hold real numbers"
            raise ShapeError(f"{self._who}: {key} must {rule}, got {show(value)}; the array is copied into the layer's own")
        with owner.device.activate(), np.errstate(over="ignore"):
            cast = value.astype(owner.dtype)
        host = owner.device.to_numpy(cast) if owner.device.owns(cast) else cast
        if self.finite and not np.isfinite(host).all():
            raise ShapeError(f"{self._who}: {key} must hold finite numbers only, got {show(value)} with others")
        with owner.device.activate():
            array[...] = owner.device.asarray(cast, owner.dtype)

    @property
    def _who(self) -> str:
        return "params" if self.layer is None else self.layer.name

    @property
    def _what(self) -> str:
        return "parameter" if self.finite else "gradient"

    def __missing__(self, key: str) -> NoReturn:
        if self.layer is not None:
            self.layer.require_built()
        raise KeyError(f"{self._who}: {self._what} must be one of {', '.join(self) or 'none'}, got {show(key)}")

    def _kept(self, *_: Any, **__: Any) -> NoReturn:
        raise ShapeError(f"{self._who}: every {self._what} must stay as long as the layer, got a removal; make a layer without it")

    __delitem__ = pop = popitem = clear = _kept

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Assign each of the values, as `[]` does."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Array:
        """The array of that name, which is first assigned where there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def __ior__(self, other: Any) -> Parameters:  # type: ignore[override,misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        state = self.__dict__ | {"_layer": None}  # the layer's own state says which arrays belong to it
        return type(self), (), (dict(self), state)  # else pickle would assign the items before the owners are there

    def __setstate__(self, state: tuple[dict[str, Array], dict[str, Any]]) -> None:
        items, attributes = state
        dict.update(self, items)
        self.__dict__.update(attributes)


def require_rng(who: str, rng: Any) -> None:
    """Raise unless `rng` is a generator."""
    if not isinstance(rng, np.random.Generator):
        raise ShapeError(f"{who}: rng must be a numpy.random.Generator, got {show(rng)}; use np.random.default_rng(seed)")


def generator(seed: int, name: str) -> np.random.Generator:
    """What a layer of that name draws its parameters from: a function of seed and name alone, whatever stands around the layer."""
    seed = require_int(name, "seed", seed, least=0)
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(f"{seed} {name}".encode(), digest_size=16).digest(), "little"))


def last_given(who: str, **sizes: Any) -> list[Any]:
    """Sizes of which the first, that of the input, may be left out: `Linear(10)` gives [None, 10] and `Linear(4, 10)` gives [4, 10]."""
    given = [size for size in sizes.values() if size is not None]
    missing = len(sizes) - len(given)
    if missing > 1:
        raise ShapeError(f"{who}: {' and '.join(list(sizes)[1:])} must be given, got {show(tuple(given))}")
    return [None] * missing + given


def multiple_of(groups: int, who: str, quantity: str, value: Any) -> int:
    """`value` as an int of at least 1 that `groups` divides."""
    number = require_int(who, quantity, value)
    if number % groups:
        raise ShapeError(f"{who}: {quantity} must be a multiple of groups={groups}, got {number}")
    return number


def require_dtype(who: str, dtype: Any) -> np.dtype[Any]:
    """float32 or float64 as a NumPy type."""
    try:
        given = None if dtype is None else np.dtype(dtype)  # to NumPy None is float64
    except TypeError:
        given = None
    if given is None:
        raise ShapeError(f"{who}: dtype must be float32 or float64, got {show(dtype)}")
    return np.dtype(require_choice(who, "dtype", given, FLOATS))


def check_owner(layer: Layer, quantity: str, x: Any) -> None:
    """Raise unless `x` lives on the layer's device."""
    if not layer.device.owns(x):
        if isinstance(x, (list, int, float)):
            use = f"use np.asarray({quantity}, np.{layer.dtype})"
            raise DeviceError(f"{layer.name}: {quantity} must be on {layer.device.name}, got {type(x).__name__}; {use}")
        raise DeviceError(
            f"{layer.name}: {quantity} must be on {layer.device.name}, got {layer.device.where(x)}; "
            f"use device.asarray({quantity}) or, from another device, device.copy_from"
        )


def require_thawed(who: str, net: Layer) -> None:
    """Raise if a parameter of the net may not be written."""
    for leaf in net.leaves():
        if leaf.frozen:
            rule = "must not be frozen when its parameters are written"
            raise CallOrderError(f"{who}: {leaf.name} {rule}, got a frozen layer; call thaw() of the net first")
