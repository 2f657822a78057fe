"""Paths that leave from one value and meet again: GoogLeNet's modules, residual blocks, gates, auxiliary heads.

**Derivation.** Every path reads the same x: y_i = f_i(x). A gradient adds where a value is used more than once, so

    dx = df_1 + ... + df_k,        where df_i is what path i sends back for its own output.

What becomes of the y_i is the matter of `merge`, which is a layer with a derivative of its own. A path of no layers passes x on, and
sends its gradient back as it is: in y = f(x) + x, the residual block, dx = dy + df. Where f changes the shape, the second path is a
projection p, a convolution of 1x1 and a normalization (`block` of `tinyalex.models.later.resnet`): y = f(x) + p(x), dx = df + dp.

`backward` makes three steps: `merge.backward` splits the gradient; each path, from its last layer to its first, makes df_i of its part;
`sum_of` adds the df_i. An activation behind the sum is a layer of its own behind the `Branches`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import numpy as np

from tinyalex.devices import Array
from tinyalex.errors import DeviceError, ShapeError, cut_off, show
from tinyalex.fast.request import Then
from tinyalex.layers.base import Layer
from tinyalex.layers.merge import Merge, Sum, sum_of
from tinyalex.layers.sequential import Sequential


class Path(Sequential):
    """The layers of one path. The net around it numbers their names and lists their parameters."""

    def _number(self) -> None:
        pass

    def _adopt(self) -> None:
        pass


class Branches(Layer):
    """x goes into every path, and a `Merge` makes one value of their outputs.

    Paper: after AlexNet; see the layers of `tinyalex.layers.merge`. With `Concat` it is GoogLeNet's module or DenseNet's layer, with
    `Sum` a residual block, with `Product` squeeze-and-excitation, with `Both` a head that works in training alone.

    Parameters
    ----------
    paths: at least one list of layers; an empty list passes x on. All layers are on one device.
    merge: Concat(), Sum(), Product() or Both().

    Raises
    ------
    ShapeError: no paths, something else than layers, outputs that do not join, or first layers of which only some return dx.
    DeviceError: a path on another device.

    Cache: none of its own.

    Gradient: dx is the sum of what the paths send back, see above.

    Example
    -------
    >>> from tinyalex.layers import Conv2d, ReLU, Sum
    >>> block = Branches([[Conv2d(8, 3, padding=1), ReLU(), Conv2d(8, 3, padding=1)], []], Sum())
    >>> Sequential([block, ReLU()], in_shape=(8, 6, 6)).shapes[-1]
    (8, 6, 6)
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"paths", "merge", "input_gradient"}

    def __init__(self, paths: Sequence[Sequence[Layer]], merge: Merge, *, name: str = "branches") -> None:
        if not isinstance(merge, Merge):
            raise ShapeError(f"{name}: merge must be Concat(), Sum(), Product() or Both(), got {show(merge)}")
        if not isinstance(paths, (list, tuple)) or len(paths) < merge.least or not all(isinstance(path, (list, tuple)) for path in paths):
            rule = f"{name}: paths must be a list of at least {merge.least}, each a list of layers, which may be empty"
            raise ShapeError(f"{rule}, got {show(paths)}")
        super().__init__(name, merge.device, merge.dtype)
        self.paths = tuple(Path(path, name=f"path {i}") if path else None for i, path in enumerate(paths, 1))
        self.merge = merge
        first = [path is None or path.gives_dx for path in self.paths]
        for i, path in enumerate(self.paths, 1):
            if path is None:
                continue
            if path.dtype != self.dtype:
                raise ShapeError(f"{name}: layers must be of one dtype, {self.dtype} as the merge is, got {path.dtype} in path {i}")
            if path.takes != self.takes or path.gives != self.gives:
                there = " and ".join(device.name for device in path.takes)
                raise DeviceError(f"{name}: every path must be on {self.device.name}, as the merge is, got path {i} on {there}")
        if any(first) != all(first):
            rule = f"{name}: all paths or none must return the gradient of x"
            raise ShapeError(f"{rule}, got input_gradient=False in path {first.index(False) + 1} alone")
        self.input_gradient = all(first)

    @property
    def maker(self) -> Layer:
        return self.merge if type(self).forward is Branches.forward else self

    def leaves(self) -> Iterator[Layer]:
        for path in self.paths:
            if path is not None:
                yield from path.leaves()
        yield self.merge

    def inside(self, in_shape: Any = None) -> Iterator[tuple[Layer, Any]]:
        for path in self.paths:
            if path is not None:
                yield path, in_shape
        yield self.merge, None if in_shape is None else self.shapes_of(in_shape)

    def forward(self, x: Array, *, train: bool = False, then: Then | None = None) -> Any:
        try:
            paths = self.paths[: self.merge.paths(train, len(self.paths))]
            parts = tuple(x if path is None else path.forward(x, train=train) for path in paths)
            return self.merge.forward(parts, train=train) if then is None else cast(Sum, self.merge).forward(parts, train=train, then=then)
        except BaseException as error:
            if train and cut_off(error):
                self.reset()
            raise

    def backward(self, dout: Any) -> Array | None:
        douts: Any = self.merge.backward(dout)
        try:
            dx = tuple(part if path is None else path.backward(part) for path, part in zip(self.paths, douts, strict=True))
            return sum_of(dx, self.device) if self.input_gradient else None
        except BaseException:
            self.reset()
            raise

    @property
    def unbuilt(self) -> bool:
        return any(path is not None and path.unbuilt for path in self.paths)

    def build(self, in_shape: tuple[int, ...] | None = None, rng: np.random.Generator | int = 0) -> None:
        """Build every path, in order, for inputs of shape `in_shape` if that is known."""
        for path in self.paths:
            if path is not None:
                path.build(in_shape, rng)

    def shapes_of(self, in_shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """The shapes of the outputs of all paths, for one input of shape `in_shape`."""
        return tuple(tuple(in_shape) if path is None else path.output_shape(in_shape) for path in self.paths)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        shapes: Any = self.shapes_of(in_shape)
        return self.merge.output_shape(shapes)

    def settings(self) -> str:
        return f"{len(self.paths)} paths, {type(self.merge).__name__}"
