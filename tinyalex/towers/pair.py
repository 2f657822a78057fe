"""The layer that computes on both devices of a split network at the same time (paper 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from textwrap import indent
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device, get_device
from tinyalex.devices.threads import at_once
from tinyalex.errors import DeviceError, ShapeError, cut_off, show
from tinyalex.layers.base import Layer

Halves = tuple[Array, Array]  # the value of tower a and that of tower b
Devices = Sequence[str | Device]  # the device of tower a and that of tower b


def two_devices(who: str, devices: Devices) -> tuple[Device, Device]:
    """Two devices of one kind; they may be the same device. Raises DeviceError."""
    if not isinstance(devices, (tuple, list)) or len(devices) != 2:
        raise DeviceError(f"{who}: devices must be two, one for each tower, got {show(devices)}")
    a, b = get_device(devices[0], who), get_device(devices[1], who)
    if a.kind != b.kind:
        raise DeviceError(f"{who}: devices must be of one kind, got {a.name} and {b.name}; use {a.name} for both or two of {a.kind}:K")
    return a, b


class Pair(Layer):
    """Two layers that compute at the same time: `left` on tower a's half of the value, `right` on tower b's half.

    Paper: section 3.2, the layers whose units see only the channels on their own device: conv1, conv2, conv4, conv5 and all other
    layers between two links. Each tower has a thread, and on a CPU each device has workers of its own.

    Parameters
    ----------
    left, right: layers, usually `Sequential`, on two devices of one kind or on one device.

    Raises
    ------
    DeviceError: devices of different kinds. ShapeError: left or right is not a layer.

    Cache: none of its own.

    Gradient: out_a depends on x_a alone and out_b on x_b alone, so dx_a is what `left` returns and dx_b what `right` returns.

    Example
    -------
    >>> from tinyalex.layers import ReLU
    >>> Pair(ReLU(name="relu1a"), ReLU(name="relu1b")).output_shape(((48, 55, 55), (48, 55, 55)))
    ((48, 55, 55), (48, 55, 55))
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"left", "right", "devices", "input_gradient"}

    def __init__(self, left: Layer, right: Layer, *, name: str = "pair") -> None:
        if not isinstance(left, Layer) or not isinstance(right, Layer):
            raise ShapeError(f"{name}: left and right must be layers, got {show(left)} and {show(right)}")
        self.devices = two_devices(name, (left.device, right.device))
        super().__init__(name, left.device, left.dtype)
        self.left, self.right, self.input_gradient = left, right, left.gives_dx and right.gives_dx
        self.takes, self.gives = left.takes + right.takes, left.gives + right.gives

    def leaves(self) -> Iterator[Layer]:
        yield from (*self.left.leaves(), *self.right.leaves())

    def inside(self, in_shape: Any = None) -> Iterator[tuple[Layer, Any]]:
        a, b = (None, None) if in_shape is None else check_two(self, "x", in_shape)
        yield from ((self.left, a), (self.right, b))

    def forward(self, x: Halves, *, train: bool = False) -> Halves:
        return self._both(lambda layer, half: layer.forward(half, train=train), check_two(self, "x", x), train)

    def backward(self, dout: Halves) -> tuple[Array | None, Array | None]:
        return self._both(lambda layer, half: layer.backward(half), check_two(self, "dout", dout), True)

    def _both(self, run: Callable[[Layer, Array], Any], value: Halves, train: bool) -> tuple[Any, Any]:
        def tower(layer: Layer, half: Array) -> Any:
            with layer.device.activate():  # each thread has its own current GPU
                return run(layer, half)

        try:
            return at_once(lambda: tower(self.left, value[0]), lambda: tower(self.right, value[1]))
        except BaseException as error:
            if train and cut_off(error):
                self.reset()  # one tower may have finished and the other may not
            raise

    @property
    def unbuilt(self) -> bool:
        return self.left.unbuilt or self.right.unbuilt

    def build(self, in_shape: tuple[Any, ...] | None = None, rng: np.random.Generator | int = 0) -> None:
        """Build both layers, each with its half of `in_shape` if that is known."""
        a, b = (None, None) if in_shape is None else check_two(self, "x", in_shape)
        self.left.build(a, rng)
        self.right.build(b, rng)

    def output_shape(self, in_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        a, b = check_two(self, "x", in_shape)
        return self.left.output_shape(a), self.right.output_shape(b)

    def __repr__(self) -> str:
        return f"Pair({self.name!r}, [\n" + indent(f"{self.left!r},\n{self.right!r},\n", "    ") + "])"


def check_two(layer: Layer, quantity: str, value: Any) -> tuple[Any, Any]:
    """The two halves of `value`. Raises ShapeError if it is not a pair of arrays or of shapes."""
    if not isinstance(value, tuple) or len(value) != 2 or not all(hasattr(half, "__len__") for half in value):
        raise ShapeError(f"{layer.name}: {quantity} must be a pair (a, b), as between Split and Gather, got {show(value)}")
    return value[0], value[1]
