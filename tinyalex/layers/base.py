"""What every layer is: parameters, their gradients, and one slot that forward fills and backward takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, get_device
from tinyalex.errors import CallOrderError, DeviceError, ShapeError, require_choice, show
from tinyalex.fast.sharing import bytes_of_blocks
from tinyalex.init import Init
from tinyalex.layers.facts import Facts, elements

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Layer:
    """A function of one array with parameters, and its hand-derived derivative.

    `forward(x, train=True)` keeps in `_cache` what `backward` needs; `backward` takes it out again, so each backward
    belongs to exactly one forward. With `train=False` nothing is kept. The mode is an argument of each call.

    Parameters
    ----------
    name: what messages, parameter names and dropout masks call the layer; unique in its network.
    device: a name for `get_device`, or a Device. Fixed: a layer never moves data between devices.
    dtype: float32, or float64 for gradient checks.

    Attributes
    ----------
    params, grads: arrays by "weight" and "bias", allocated once and kept for life. `backward` adds into `grads`.
    takes, gives: where the input must be and where the output is: one device, or two of which each holds half.
    needs_dout: whether `backward` reads its argument.
    frozen: see `freeze`. made: what a frozen layer has made of its parameters alone.
    """

    needs_dout = True

    def __init__(self, name: str, device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        self.name, self.device = name, get_device(device, name)
        self.dtype = require_dtype(name, dtype)
        self.takes: tuple[Device, ...] = (self.device,)
        self.gives: tuple[Device, ...] = (self.device,)
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self.frozen = False
        self.made: dict[Any, Any] = {}
        self._cache: tuple[Any, ...] | None = None

    def forward(self, x: Array, *, train: bool = False) -> Array:
        """The layer's output for `x`, which is never written on. Between `Split` and `Gather` both are pairs.

        With train=True the layer may keep `x` and the output for `backward`: until then the caller must write on neither.
        """
        raise NotImplementedError

    def backward(self, dout: Array) -> Array | None:
        """The gradient of the loss with respect to `x`, from that with respect to the output; adds into `grads`."""
        raise NotImplementedError

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the output for one input of `in_shape`, both without the batch axis; computes nothing."""
        return in_shape

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        """What the layer tells of itself for images of `in_shape` in batches of n; by default: it keeps x, and uses each weight once."""
        return Facts(macs=math.prod(self.params["weight"].shape) if "weight" in self.params else 0)

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        """Bytes of working memory of the blocks that `workers` threads work on together; None: of a block of one image on a card."""
        return bytes_of_blocks(3 * elements(in_shape) * self.dtype.itemsize, 0, n, workers)

    @property
    def places(self) -> tuple[Device, ...]:
        """The devices that the layer computes on, in the order of the towers."""
        return tuple(dict.fromkeys((*self.takes, *self.gives)))

    @property
    def gives_dx(self) -> bool:
        """Whether `backward` returns a gradient: not with input_gradient=False."""
        return getattr(self, "input_gradient", True) is not False  # in LocalResponseNorm a method

    def leaves(self) -> Iterator[Layer]:
        """The layers with mathematics of their own: this one, or those inside it."""
        yield self

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        for leaf in self.leaves():
            with leaf.device.activate():
                for grad in leaf.grads.values():
                    grad.fill(0)

    def freeze(self) -> None:
        """Make the parameters read-only until `thaw`: what a layer makes of them alone, such as Winograd's weights, it then makes once.

        For inference on few images, where that is a good part of the work. A step of SGD and the loading of weights raise meanwhile.
        """
        self._freeze(True)

    def thaw(self) -> None:
        """The end of `freeze`."""
        self._freeze(False)

    def _freeze(self, frozen: bool) -> None:
        for leaf in self.leaves():
            leaf.frozen = frozen
            leaf.made.clear()
            for array in leaf.params.values():
                if isinstance(array, np.ndarray):  # a GPU's arrays are never read-only
                    array.flags.writeable = not frozen

    def add_param(self, key: str, value: np.ndarray[Any, Any]) -> None:
        """Place a parameter, and a gradient of zeros beside it, on the device."""
        if value.shape == () or not np.all(np.isfinite(value)):
            raise ShapeError(f"{self.name}: {key} must hold finite numbers only, got {show(value)} with others")
        self.params[key] = self.device.empty(value.shape, self.dtype)
        with self.device.activate():
            self.params[key][...] = self.device.asarray(value, self.dtype)
        self.grads[key] = self.device.zeros(value.shape, self.dtype)

    def check_x(self, x: Any, axes: str | None = None) -> None:
        """Raise unless `x` lives here, is of the layer's type, is not empty and has the axes, such as "N C H W"."""
        check_owner(self, "x", x)
        self.check_dtype(x)
        if axes is not None and x.ndim != len(axes.split()):
            raise ShapeError(f"{self.name}: x must have {len(axes.split())} axes ({', '.join(axes.split())}), got {show(x)}")
        if x.ndim < 2 or math.prod(x.shape) == 0:
            raise ShapeError(f"{self.name}: x must hold at least one image on its first axis and be nowhere empty, got {show(x)}")

    def check_dtype(self, x: Array) -> None:
        """Raise unless `x` is of the layer's type."""
        if x.dtype != self.dtype:
            raise ShapeError(f"{self.name}: x must be {self.dtype}, got {show(x)}; use x.astype({str(self.dtype)!r})")

    def add_grad(self, key: str, value: Array) -> None:
        """Add to a gradient; `value` has as many elements as the parameter, in its order."""
        with self.device.activate():
            self.grads[key] += value.reshape(self.grads[key].shape)

    def draw_param(self, key: str, shape: tuple[int, ...], init: Init, rng: np.random.Generator) -> None:
        """Add a parameter of `shape` with the initial values that `init` draws from `rng`."""
        if not isinstance(rng, np.random.Generator):
            raise ShapeError(f"{self.name}: rng must be a numpy.random.Generator, got {show(rng)}; use np.random.default_rng(seed)")
        if not callable(init):
            raise ShapeError(f"{self.name}: {key}_init must be a function (shape, rng) -> array, got {show(init)}; see tinyalex.init")
        value = self.device.draw(init, shape, rng)
        if getattr(value, "shape", None) != shape:
            raise ShapeError(f"{self.name}: {key}_init must return an array of shape {shape}, got {show(value)}")
        self.add_param(key, value)

    def keep(self, *cache: Any) -> None:
        """Fill the slot for backward."""
        self._cache = cache

    def take(self, dout: Any) -> tuple[Any, ...]:
        """Empty the slot; its first entry is the shape that `dout` must have."""
        (shape, *cache) = self.kept()
        check_owner(self, "dout", dout)
        if dout.shape != shape or dout.dtype != self.dtype:
            raise ShapeError(f"{self.name}: dout must be a {self.dtype} array of shape {shape}, got {show(dout)}")
        self._cache = None
        return tuple(cache)

    def kept(self) -> tuple[Any, ...]:
        """What is in the slot; raises where it is empty."""
        if self._cache is None:
            raise CallOrderError(f"{self.name}: backward must follow a forward(train=True) of its own, got none since the last backward")
        return self._cache

    def settings(self) -> str:
        """What `repr` shows between name and device."""
        return ""

    def __repr__(self) -> str:
        parts = [repr(self.name), self.settings(), self.device.name]
        return f"{type(self).__name__}({', '.join(part for part in parts if part)})"


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
