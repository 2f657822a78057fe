"""A network: layers that compute one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, ClassVar, overload

import numpy as np

from tinyalex.devices import Array, Device
from tinyalex.errors import DeviceError, OutOfMemory, ShapeError, cut_off, require_int, show
from tinyalex.fast.fuse import steps_of
from tinyalex.layers.base import Layer
from tinyalex.layers.leaves import require_leaves
from tinyalex.parameters import Parameters
from tinyalex.shown import table_of


class Sequential(Layer):
    """Layers that compute one after the other. A Sequential is a layer too, so a Sequential may contain another one.

    Parameters
    ----------
    layers: at least one. The names of all layers, at any depth, must differ. Each layer must be on the device that holds the output of
        the layer before it. Only the first layer may have input_gradient=False, or the one after a Split with input_gradient=False.
    in_shape: the shape of one input, without the batch axis, each size at least 1. If it is given, all shapes are computed at once:
        layers that do not fit are refused before anything else is computed, `shapes` lists the output shapes, and `forward` refuses
        inputs of another shape. Layers that were made without the size of their input, such as `Linear(10)`, need it.
    seed: an integer of at least 0, for layers that were made without `rng`. Each draws its parameters from a generator that depends on
        the seed and its name alone. None means the seed of the Sequential around this one, or 0 if there is none.

    Names
    -----
    A layer that was made without a name gets the default of its class, such as "relu". If several layers of this net, at any depth,
    have the same default name, they are numbered in order, relu1, relu2, ...; numbers that other layers' names use are skipped. The
    parameters' names, the dropout masks and the values drawn from `seed` depend on the names. The first Sequential that holds a
    layer decides its name, which then stays the same.

    A net is a sequence: `for layer in net`, `len(net)` and `net[0]` work, and `net[1:3]` is a new Sequential that shares the layers.
    `net["conv1"]` finds a layer by its name at any depth, `"conv1" in net` tells whether it exists, and `net(x)` is `net.forward(x)`.

    Raises
    ------
    ShapeError: no layers, two layers of one name, or a layer that does not fit the one before it.
    DeviceError: a layer that is not on the device of the output before it.
    OutOfMemory: in `forward` and `backward`; the message names the layer. After an error or Ctrl-C in the middle of a training pass all
        gradients are zero and all slots are empty, so the next batch may follow.

    Gradient: out = f_L(... f_2(f_1(x))), so by the chain rule each layer computes the gradient of its input from the gradient of its
    output, beginning with the last layer.

    Example
    -------
    >>> import numpy as np
    >>> from tinyalex.layers import Flatten, Linear
    >>> net = Sequential([Flatten(), Linear(12, 10, rng=np.random.default_rng(0))], in_shape=(3, 2, 2))
    >>> list(net.params)
    ['linear.weight', 'linear.bias']
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"layers", "in_shape", "shapes", "seed", "input_gradient", "needs_dout"}

    def __init__(
        self, layers: Sequence[Layer], in_shape: tuple[int, ...] | None = None, *, seed: int | None = None, name: str = "net"
    ) -> None:
        if not isinstance(layers, (list, tuple)) or not layers:
            raise ShapeError(f"{name}: layers must be a list of at least one layer, got {show(layers)}")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise ShapeError(f"{name}: layers must hold only layers, got {show(layer)}")
        super().__init__(name, layers[0].device, layers[0].dtype)
        self.layers, self.in_shape = tuple(layers), None if in_shape is None else require_shape(name, in_shape)
        self.seed = None if seed is None else require_int(name, "seed", seed, least=0)
        self.shapes: tuple[tuple[int, ...], ...] = ()
        self._complete = False
        for layer in layers:
            require_leaves(name, layer)
        self._number()
        for leaf in self.leaves():
            if leaf.dtype != self.dtype:
                raise ShapeError(f"{name}: layers must be of one dtype, {self.dtype} as the first is, got {leaf.dtype} in {leaf.name!r}")
        for before, layer in pairwise(self.layers):
            self._check_link(before, layer)
        self._steps = steps_of(self.layers)
        self.takes, self.gives, self.reads = self.layers[0].takes, self.layers[-1].gives, self.layers[0].reads
        self.input_gradient, self.needs_dout = self.layers[0].gives_dx, self.layers[-1].needs_dout
        self.build(self.in_shape)

    def _number(self) -> None:
        """Append a number to the name of each leaf that was made without a name and has the same name as another leaf."""
        leaves = list(self.leaves())
        shared = Counter(leaf.name for leaf in {id(leaf): leaf for leaf in leaves}.values())
        taken, last = set(shared), Counter[str]()
        for leaf in leaves:
            if not leaf._named and shared[leaf.name] > 1:
                first = leaf.name
                while leaf.name in taken:
                    last[first] += 1
                    leaf.settle(name=f"{first}{last[first]}")
                taken.add(leaf.name)
            leaf._named = True
        seen: set[str] = set()
        for leaf in leaves:
            if leaf.name in seen:
                use = "make a new layer for each position, each with its own name"
                raise ShapeError(f"{self.name}: layer names must differ, got two layers named {leaf.name!r}; {use}")
            seen.add(leaf.name)

    @property
    def unbuilt(self) -> bool:
        return not self._complete

    def build(self, in_shape: tuple[int, ...] | None = None, rng: np.random.Generator | int = 0) -> None:
        """Build every layer, and compute all shapes if `in_shape` is known. Then `params` and `buffers` hold the arrays of all layers."""
        if self._complete and (in_shape is None or self.shapes or in_shape != self.in_shape):
            return
        shapes, rng = [], rng if self.seed is None else self.seed
        for layer in self.layers:
            layer.build(in_shape, rng)
            if in_shape is not None:
                in_shape = layer.output_shape(in_shape)
                shapes.append(in_shape)
        if self.in_shape is not None:
            self.settle(shapes=tuple(shapes))
        if any(leaf.unbuilt for leaf in self.leaves()):
            return
        self._adopt()
        self._complete = True

    def _adopt(self) -> None:
        """List the arrays of all layers in `params`, `grads` and `buffers`."""
        for leaf in self.leaves():
            for mine, arrays in ((self.params, leaf.params), (self.grads, leaf.grads), (self.buffers, leaf.buffers)):
                assert isinstance(mine, Parameters) and isinstance(arrays, Parameters)
                arrays.closed = mine.closed = True
                for key, array in arrays.items():
                    mine.add(f"{leaf.name}.{key}", array, leaf)

    def instead_of(self, key: str) -> str:
        return {
            "layers": "make a new net that shares the layers, such as Sequential(net.layers[:-1])",
            "in_shape": "make a new net that shares the layers, Sequential(net.layers, in_shape=...)",
        }.get(key, "make a new net")

    def _check_link(self, before: Layer, layer: Layer) -> None:
        if len(before.gives) != len(layer.takes) or any(a is not b for a, b in zip(before.gives, layer.takes, strict=True)):
            here, there = _names(before.gives), _names(layer.takes)
            raise DeviceError(
                f"{self.name}: the input of {layer.name!r} must be on {here}, like the output of {before.name!r}, got a layer on "
                f"{'another device named ' if here == there else ''}{there}; only Split, Exchange and Gather copy between devices"
            )
        if before.needs_dout and not layer.gives_dx:
            stops = next(leaf.name for leaf in layer.leaves() if not leaf.gives_dx)
            raise ShapeError(f"{self.name}: input_gradient must be True except in the first layer, got False in {stops!r}")

    def leaves(self) -> Iterator[Layer]:
        for layer in self.layers:
            yield from layer.leaves()

    def forward(self, x: Array, *, train: bool = False) -> Array:
        if not self._complete:
            self.require_built()
        if self.in_shape is not None and getattr(x, "shape", None) is not None:
            self._check_shape(x)
        try:
            with self.device.activate():  # once for all layers
                for step in self._steps:
                    try:
                        x = step.forward(x, train)
                    except OutOfMemory as error:
                        raise error.inside(step.layer.name) from None
        except BaseException as error:
            if train and cut_off(error):
                self.reset()
            raise
        return x

    def _check_shape(self, x: Array) -> None:
        """Raise ShapeError unless each input has the shape `in_shape`."""
        shape = tuple(x.shape)
        if shape[1:] == self.in_shape or self.in_shape is None or len(shape) != len(self.in_shape) + 1 or 0 in shape:
            return  # the first layer refuses a wrong number of axes and an empty array with a better message
        kind = "images" if len(self.in_shape) == 3 else "inputs"
        use = f"crop or resize them, or make the net with in_shape={tuple(x.shape[1:])}"
        raise ShapeError(f"{self.name}: x must hold {kind} of the net's in_shape {self.in_shape}, got {show(x)}; {use}")

    def backward(self, dout: Array) -> Array | None:
        dx: Array | None = dout
        begun = False
        try:
            with self.device.activate():
                for layer in reversed(self.layers):
                    if dx is None:
                        raise ShapeError(f"{self.name}: the gradient of the output of {layer.name!r} must be an array, got None")
                    try:
                        dx = layer.backward(dx)
                    except OutOfMemory as error:
                        raise error.inside(layer.name) from None
                    begun = True
        except BaseException as error:
            if begun or cut_off(error):  # otherwise the next backward would add to gradients of this unfinished pass
                self.reset()
            raise
        return dx

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._walk(require_shape(self.name, in_shape))[-1]

    def _walk(self, in_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        shapes = []
        for layer in self.layers:
            in_shape = layer.output_shape(in_shape)
            shapes.append(in_shape)
        return shapes

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __contains__(self, layer: object) -> bool:
        leaves = (*self.layers, *self.leaves())
        return any(layer == leaf.name if isinstance(layer, str) else layer is leaf for leaf in leaves)

    @overload
    def __getitem__(self, key: str | int) -> Layer: ...

    @overload
    def __getitem__(self, key: slice) -> Sequential: ...

    def __getitem__(self, key: str | int | slice) -> Layer:
        if isinstance(key, slice):
            start, _, step = key.indices(len(self))
            shape = (self.in_shape, *self.shapes)[start] if self.shapes and step == 1 and self.layers[key] else None
            return Sequential(self.layers[key], shape, seed=self.seed, name=self.name)
        if not isinstance(key, str):
            index = require_int(self.name, "the index of a layer", key, least=-len(self))
            if index >= len(self):
                raise IndexError(f"{self.name}: the index of a layer must be below {len(self)}, got {index}")
            return self.layers[index]
        for layer in (*self.leaves(), *self.layers):
            if layer.name == key:
                return layer
        raise KeyError(f"{self.name}: layer must be one of {', '.join(leaf.name for leaf in self.leaves())}, got {key!r}")

    def inside(self, in_shape: Any = None) -> Iterator[tuple[Layer, Any]]:
        for layer in self.layers:
            yield layer, in_shape
            in_shape = None if in_shape is None else layer.output_shape(in_shape)

    def __repr__(self) -> str:
        return table_of(self, self.in_shape if self.shapes else None)


def require_shape(who: str, shape: Any) -> tuple[Any, ...]:
    """`shape` as a tuple of integers of at least 1, or of two such tuples for a network whose input is a pair. Raises ShapeError."""
    if not isinstance(shape, (tuple, list)) or not shape:
        raise ShapeError(f"{who}: in_shape must be a tuple of sizes, such as (3, 224, 224), got {show(shape)}")
    return tuple(
        require_shape(who, part) if isinstance(part, (tuple, list)) else require_int(who, "every size of in_shape", part) for part in shape
    )


def _names(devices: tuple[Device, ...]) -> str:
    return " and ".join(device.name for device in devices)
