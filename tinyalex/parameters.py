"""The arrays of a layer or a network by name, and checks of layers' arguments that concern them."""

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
    """The arrays of a layer or a network by name: a dict in which an assignment copies into the existing array.

    `net.params["fc.weight"] = w` casts `w` and copies it. The arrays stay the same as long as the layer exists: no array can be removed,
    and new names can be added only to the dict of a layer that is in no network. A copy without its layer is an ordinary dict.

    The dict refers to its layer only by a weak reference. So a net that is no longer used is freed at once, with all its arrays, and
    not when Python next searches for reference cycles.

    Raises
    ------
    ShapeError: an unknown name, a wrong shape, or, for parameters, elements that are not finite.
    CallOrderError: an assignment to a parameter of a frozen layer. KeyError: an unknown name is read; the message lists the names.
    """

    def __init__(self, layer: Layer | None = None, finite: bool = True) -> None:
        super().__init__()
        self.finite, self.closed = finite, False
        self.owners: dict[str, Layer] = {}  # in a network: the layer to which each array belongs
        self._layer: weakref.ref[Layer] | None = None
        if layer is not None:
            self.belong(layer)

    def belong(self, layer: Layer) -> None:
        """Make these the arrays of `layer`."""
        self._layer = weakref.ref(layer)

    @property
    def layer(self) -> Layer | None:
        """The layer or network that holds these arrays; None if it no longer exists."""
        return None if self._layer is None else self._layer()

    def add(self, key: str, array: Array, owner: Layer) -> None:
        """Add `array`, which belongs to the layer `owner`, by the name `key`."""
        super().__setitem__(key, array)
        if owner is not self.layer:
            self.owners[key] = owner

    def __setitem__(self, key: str, value: Array) -> None:
        owner = self.owners.get(key, self.layer)
        if owner is None:
            super().__setitem__(key, value)
        elif key in self:
            if value is not self[key]:  # `params[key] *= 2` assigns the array that is there already
                self._write(key, value, owner)
        elif self.closed:
            raise ShapeError(f"{self._who}: {self._what} must be one of {', '.join(self) or 'none'}, got {show(key)}")
        elif not owner.device.owns(value):
            check_owner(owner, key, value)
        else:
            self.add(key, value, owner)

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
            raise ShapeError(f"{self._who}: {key} must hold finite numbers only, got {show(value)} with NaN or infinity")
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

    def _refuse_removal(self, *_: Any, **__: Any) -> NoReturn:
        raise ShapeError(f"{self._who}: every {self._what} must stay as long as the layer, got a removal; make a layer without it")

    __delitem__ = pop = popitem = clear = _refuse_removal

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Assign each value as `self[key] = value` does."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Array:
        """The array named `key`; if there is none, `default` is assigned first."""
        if key not in self:
            self[key] = default
        return self[key]

    def __ior__(self, other: Any) -> Parameters:  # type: ignore[override,misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        state = self.__dict__ | {"_layer": None}  # unpickling the layer calls `belong` again
        return type(self), (), (dict(self), state)  # else pickle would assign the items before the owners are there

    def __setstate__(self, state: tuple[dict[str, Array], dict[str, Any]]) -> None:
        items, attributes = state
        dict.update(self, items)
        self.__dict__.update(attributes)


def require_rng(who: str, rng: Any) -> None:
    """Raise ShapeError unless `rng` is a numpy.random.Generator."""
    if not isinstance(rng, np.random.Generator):
        raise ShapeError(f"{who}: rng must be a numpy.random.Generator, got {show(rng)}; use np.random.default_rng(seed)")


def generator(seed: int, name: str) -> np.random.Generator:
    """The generator from which the layer `name` draws its parameters. It depends on seed (at least 0) and name alone."""
    seed = require_int(name, "seed", seed, least=0)
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(f"{seed} {name}".encode(), digest_size=16).digest(), "little"))


def last_given(who: str, **sizes: Any) -> list[Any]:
    """The sizes of a layer, where the first, the size of the input, may be left out: [None, 10] for `Linear(10)`.

    sizes: by name, in the order of the arguments; those that were not given are None, and they are the last ones.
    Raises ShapeError if more than one size is missing.
    """
    given = [size for size in sizes.values() if size is not None]
    missing = len(sizes) - len(given)
    if missing > 1:
        raise ShapeError(f"{who}: {' and '.join(list(sizes)[1:])} must be given, got {show(tuple(given))}")
    return [None] * missing + given


def multiple_of(groups: int, who: str, quantity: str, value: Any) -> int:
    """`value` as an int of at least 1. Raises ShapeError unless it is a multiple of `groups`."""
    number = require_int(who, quantity, value)
    if number % groups:
        fits = [n for n in range(1, number + 1) if number % n == 0] if number < 100_000 else [1]
        near = " or ".join(map(str, [n for n in fits if n < groups][-1:] + [n for n in fits if n > groups][:1]))
        raise ShapeError(f"{who}: {quantity} must be a multiple of groups={groups}, got {number}; {number} can have {near} groups")
    return number


def require_dtype(who: str, dtype: Any) -> np.dtype[Any]:
    """`dtype` as a NumPy dtype. Raises ShapeError unless it is float32 or float64."""
    try:
        given = None if dtype is None else np.dtype(dtype)  # np.dtype(None) would be float64
    except TypeError:
        given = None
    if given is None:
        raise ShapeError(f"{who}: dtype must be float32 or float64, got {show(dtype)}")
    return np.dtype(require_choice(who, "dtype", given, FLOATS))


def check_owner(layer: Layer, quantity: str, x: Any) -> None:
    """Raise DeviceError unless `x` is an array on the layer's device."""
    if not layer.device.owns(x):
        if isinstance(x, (list, int, float)):
            use = f"use np.asarray({quantity}, np.{layer.dtype})"
            raise DeviceError(f"{layer.name}: {quantity} must be on {layer.device.name}, got {type(x).__name__}; {use}")
        raise DeviceError(
            f"{layer.name}: {quantity} must be on {layer.device.name}, got {layer.device.where(x)}; "
            f"use device.asarray({quantity}) or, from another device, device.copy_from"
        )


def check_dtype(layer: Layer, x: Array) -> None:
    """Raise ShapeError unless `x` has the layer's dtype."""
    if x.dtype != layer.dtype:
        pixels = x.dtype == np.uint8  # bytes from 0 to 255 are far too large for the initial weights
        use = "prepare images first, see tinyalex.data" if pixels else f"use x.astype({str(layer.dtype)!r})"
        raise ShapeError(f"{layer.name}: x must be {layer.dtype}, got {show(x)}; {use}")


def require_thawed(who: str, net: Layer) -> None:
    """Raise CallOrderError if a layer of the net is frozen, so that its parameters must not be changed."""
    for leaf in net.leaves():
        if leaf.frozen:
            rule = "must not be frozen when its parameters are written"
            raise CallOrderError(f"{who}: {leaf.name} {rule}, got a frozen layer; call thaw() of the net first")
