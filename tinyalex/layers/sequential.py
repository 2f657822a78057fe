"""A network: layers one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import indent

from tinyalex.devices import Array
from tinyalex.errors import OutOfMemory, ShapeError, show
from tinyalex.layers.base import Layer


class Sequential(Layer):
    """Layers one after the other; itself a layer, so it may stand inside another.

    Parameters
    ----------
    layers: at least one; the names of all, also of those inside others, must differ.
    in_shape: the shape of one input, without the batch axis. Given it, the shapes are walked through here and now, so
        that a net whose layers do not fit fails before any compute; `shapes` then lists them.

    Raises
    ------
    ShapeError: no layers, two of one name, or a layer that does not fit the one before.

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
        super().__init__(name, layers[0].device, layers[0].dtype)
        self.layers, self.in_shape = list(layers), in_shape
        seen: set[str] = set()
        for leaf in self.leaves():
            if leaf.name in seen:
                raise ShapeError(f"{name}: layer names must differ, got two layers named {leaf.name!r}")
            seen.add(leaf.name)
            if leaf.dtype != self.dtype:
                raise ShapeError(f"{name}: layers must be of one dtype, {self.dtype} as the first is, got {leaf.dtype} in {leaf.name!r}")
            self.params |= {f"{leaf.name}.{key}": array for key, array in leaf.params.items()}
            self.grads |= {f"{leaf.name}.{key}": array for key, array in leaf.grads.items()}
        self.shapes = [] if in_shape is None else self._walk(in_shape)

    def leaves(self) -> Iterator[Layer]:
        for layer in self.layers:
            yield from layer.leaves()

    def zero_grad(self) -> None:
        for leaf in self.leaves():  # each on its own device
            leaf.zero_grad()

    def forward(self, x: Array, *, train: bool = False) -> Array:
        for layer in self.layers:
            try:
                x = layer.forward(x, train=train)
            except OutOfMemory as error:
                raise error.inside(layer.name) from None
        return x

    def backward(self, dout: Array) -> Array | None:
        dx: Array | None = dout
        for layer in reversed(self.layers):
            if dx is None:
                got = f"False in the one after {layer.name!r}"
                raise ShapeError(f"{self.name}: input_gradient must be True but in the first layer, got {got}")
            try:
                dx = layer.backward(dx)
            except OutOfMemory as error:
                raise error.inside(layer.name) from None
        return dx

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._walk(in_shape)[-1]

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
