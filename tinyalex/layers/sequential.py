"""A network: layers one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from textwrap import indent
from typing import Any

from tinyalex.devices import Array, Device
from tinyalex.errors import DeviceError, OutOfMemory, ShapeError, require_int, show
from tinyalex.fast.fuse import steps_of
from tinyalex.layers.base import Layer


class Sequential(Layer):
    """Layers one after the other; itself a layer, so it may stand inside another.

    Parameters
    ----------
    layers: at least one; the names of all, also of those inside others, must differ. Each takes its input where the one
        before leaves its output. Only the first may have input_gradient=False, and the one after a Split that has it.
    in_shape: the shape of one input, without the batch axis, each size at least 1. Given it, the shapes are walked through
        here and now, so that a net whose layers do not fit fails before any compute; `shapes` then lists them.

    Raises
    ------
    ShapeError: no layers, two of one name, or a layer that does not fit the one before. DeviceError: one on another device.
    OutOfMemory: in `forward` and `backward`, with the layer's name; `backward` sets every gradient to zero first, so that a
        smaller batch may follow.

    Gradient: out = f_L(... f_2(f_1(x))), so by the chain rule each layer turns the gradient of its output into that of
    its input, the last layer first.

    Example
    -------
    >>> import numpy as np
    >>> from tinyalex.layers import Flatten, Linear
    >>> net = Sequential([Flatten(), Linear(12, 10, rng=np.random.default_rng(0))], in_shape=(3, 2, 2))
    >>> list(net.params)
    ['linear.weight', 'linear.bias']
    """

    def __init__(self, layers: Sequence[Layer], in_shape: tuple[int, ...] | None = None, *, name: str = "net") -> None:
        if not isinstance(layers, (list, tuple)) or not layers:
            raise ShapeError(f"{name}: layers must be a list of at least one layer, got {show(layers)}")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise ShapeError(f"{name}: layers must hold layers alone, got {show(layer)}")
        super().__init__(name, layers[0].device, layers[0].dtype)
        self.layers, self.in_shape = list(layers), None if in_shape is None else require_shape(name, in_shape)
        seen: set[str] = set()
        for leaf in self.leaves():
            if leaf.name in seen:
                raise ShapeError(f"{name}: layer names must differ, got two layers named {leaf.name!r}")
            seen.add(leaf.name)
            if leaf.dtype != self.dtype:
                raise ShapeError(f"{name}: layers must be of one dtype, {self.dtype} as the first is, got {leaf.dtype} in {leaf.name!r}")
            self.params |= {f"{leaf.name}.{key}": array for key, array in leaf.params.items()}
            self.grads |= {f"{leaf.name}.{key}": array for key, array in leaf.grads.items()}
        for before, layer in pairwise(self.layers):
            self._check_link(before, layer)
        self._steps = steps_of(self.layers)
        self.takes, self.gives = self.layers[0].takes, self.layers[-1].gives
        self.input_gradient, self.needs_dout = self.layers[0].gives_dx, self.layers[-1].needs_dout
        self.shapes = [] if self.in_shape is None else self._walk(self.in_shape)

    def _check_link(self, before: Layer, layer: Layer) -> None:
        if len(before.gives) != len(layer.takes) or any(a is not b for a, b in zip(before.gives, layer.takes, strict=True)):
            here, there = _places(before.gives), _places(layer.takes)
            raise DeviceError(
                f"{self.name}: the input of {layer.name!r} must be on {here}, where {before.name!r} leaves it, got a layer for "
                f"{'another device named ' if here == there else ''}{there}; only Split, Exchange and Gather copy between devices"
            )
        if before.needs_dout and not layer.gives_dx:
            stops = next(leaf.name for leaf in layer.leaves() if not leaf.gives_dx)
            raise ShapeError(f"{self.name}: input_gradient must be True but in the first layer, got False in {stops!r}")

    def leaves(self) -> Iterator[Layer]:
        for layer in self.layers:
            yield from layer.leaves()

    def forward(self, x: Array, *, train: bool = False) -> Array:
        with self.device.activate():  # once for all layers
            for step in self._steps:
                try:
                    x = step.forward(x, train)
                except OutOfMemory as error:
                    raise error.inside(step.layer.name) from None
        return x

    def backward(self, dout: Array) -> Array | None:
        dx: Array | None = dout
        with self.device.activate():
            for layer in reversed(self.layers):
                if dx is None:
                    raise ShapeError(f"{self.name}: the gradient of the output of {layer.name!r} must be an array, got None")
                try:
                    dx = layer.backward(dx)
                except OutOfMemory as error:
                    self.zero_grad()  # else the next backward would add to the half that is done
                    raise error.inside(layer.name) from None
        return dx

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._walk(require_shape(self.name, in_shape))[-1]

    def _walk(self, in_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        shapes = []
        for layer in self.layers:
            in_shape = layer.output_shape(in_shape)
            shapes.append(in_shape)
        return shapes

    def __getitem__(self, name: str) -> Layer:
        for leaf in self.leaves():
            if leaf.name == name:
                return leaf
        raise KeyError(f"{self.name}: layer must be one of {', '.join(leaf.name for leaf in self.leaves())}, got {name!r}")

    def __repr__(self) -> str:
        return f"Sequential({self.name!r}, [\n" + indent("".join(f"{layer!r},\n" for layer in self.layers), "    ") + "])"


def require_shape(who: str, shape: Any) -> tuple[Any, ...]:
    """`shape` with every size an int of at least 1; it may be two shapes, where a network begins with a pair."""
    if not isinstance(shape, (tuple, list)) or not shape:
        raise ShapeError(f"{who}: in_shape must be a tuple of sizes, such as (3, 224, 224), got {show(shape)}")
    return tuple(
        require_shape(who, part) if isinstance(part, (tuple, list)) else require_int(who, "every size of in_shape", part) for part in shape
    )


def _places(devices: tuple[Device, ...]) -> str:
    return " and ".join(device.name for device in devices)
