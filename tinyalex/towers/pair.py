"""A network split over two devices (paper 3.2): what computes on both at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from textwrap import indent
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device, get_device
from tinyalex.devices.threads import at_once
from tinyalex.errors import DeviceError, ShapeError, show
from tinyalex.layers.base import Layer, cut_off

Both = tuple[Array, Array]
Places = Sequence[str | Device]


def two_devices(who: str, devices: Places) -> tuple[Device, Device]:
    """Two devices of one kind; they may be the same."""
    if not isinstance(devices, (tuple, list)) or len(devices) != 2:
        raise DeviceError(f"{who}: devices must be two, one a tower, got {show(devices)}")
    a, b = get_device(devices[0], who), get_device(devices[1], who)
    if a.kind != b.kind:
        raise DeviceError(f"{who}: devices must be of one kind, got {a.name} and {b.name}; use {a.name} for both or two of {a.kind}:K")
    return a, b


class Pair(Layer):
    """Two layers that run at the same time, `left` on a's half of the value and `right` on b's.

    Paper: section 3.2, the layers in which a device sees nothing of the other: conv1, conv2, conv4, conv5, and all that is
    between two links. "At the same time" is a thread for each tower and, on a CPU, workers of each device.

    Parameters
    ----------
    left, right: layers, mostly `Sequential`; on devices of one kind, or on the same.

    Raises
    ------
    DeviceError: devices of different kinds. ShapeError: what is no layer.

    Cache: none of its own.

    Gradient: out_a depends on x_a alone and out_b on x_b, so dx_a and dx_b are those of the two layers.

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

    def forward(self, x: Both, *, train: bool = False) -> Both:
        return self._both(lambda layer, half: layer.forward(half, train=train), check_two(self, "x", x), train)

    def backward(self, dout: Both) -> tuple[Array | None, Array | None]:
        return self._both(lambda layer, half: layer.backward(half), check_two(self, "dout", dout), True)

    def _both(self, run: Callable[[Layer, Array], Any], value: Both, train: bool) -> tuple[Any, Any]:
        def tower(layer: Layer, half: Array) -> Any:
            with layer.device.activate():  # the current card is a matter of each thread
                return run(layer, half)

        try:
            return at_once(lambda: tower(self.left, value[0]), lambda: tower(self.right, value[1]))
        except BaseException as error:
            if train and cut_off(error):
                self.reset()  # one tower may be done and the other not
            raise

    @property
    def unbuilt(self) -> bool:
        return self.left.unbuilt or self.right.unbuilt

    def build(self, in_shape: tuple[Any, ...] | None = None, rng: np.random.Generator | int = 0) -> None:
        """Build both layers: with the halves of `in_shape`, where it is known."""
        a, b = (None, None) if in_shape is None else check_two(self, "x", in_shape)
        self.left.build(a, rng)
        self.right.build(b, rng)

    def output_shape(self, in_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        a, b = check_two(self, "x", in_shape)
        return self.left.output_shape(a), self.right.output_shape(b)

    def __repr__(self) -> str:
        return f"Pair({self.name!r}, [\n" + indent(f"{self.left!r},\n{self.right!r},\n", "    ") + "])"


def check_two(layer: Layer, quantity: str, value: Any) -> tuple[Any, Any]:
    """`value` as its two halves."""
    if not isinstance(value, tuple) or len(value) != 2 or not all(hasattr(half, "__len__") for half in value):
        raise ShapeError(f"{layer.name}: {quantity} must be a pair (a, b), as between Split and Gather, got {show(value)}")
    return value[0], value[1]
