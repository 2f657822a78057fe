"""How the outputs of the paths of `Branches` become one value, and what each path gets back. dy is the gradient of the loss at y.

    a value read in k places:  y_i = x                so    dx = dy_1 + ... + dy_k                  `Branches` itself
    a sum of k values:         y = x_1 + ... + x_k    so    dx_i = dy                               `Sum`
    values side by side:       y = [x_1, ..., x_k]    so    dx_i = its own part of dy               `Concat`
    a product of two:          y = x_1 x_2            so    dx_1 = dy x_2  and  dx_2 = dy x_1       `Product`
    a tuple:                   y = (x_1, ..., x_k)    so    dx_i = dy_i                             `Both`
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.errors import ShapeError, show
from tinyalex.fast.request import Keeps, Then, apply
from tinyalex.fast.sharing import Maps, map_maps
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts
from tinyalex.parameters import check_owner

Parts = tuple[Array, ...]  # the outputs of the paths, in order
Shapes = tuple[tuple[int, ...], ...]  # their shapes, without the batch axis


def sum_of(parts: Parts, device: Device, then: Then | None = None) -> Array:
    """The sum of arrays of one shape, in a new array: the parts may be read by others.

    then: an activation that is applied to each block of the sum at once, None for none; see `tinyalex.fast.fuse`.
    """
    out = device.empty(parts[0].shape, parts[0].dtype)

    def block(at: Maps, scratch: Scratch) -> None:
        total = out[at]
        if len(parts) == 1:
            total[...] = parts[0][at]
        else:
            scratch.xp.add(parts[0][at], parts[1][at], out=total)
        for part in parts[2:]:
            total += part[at]
        apply(then, total, scratch)

    map_maps(device, block, out.shape, out.dtype.itemsize)
    return out


class Merge(Layer):
    """A layer whose input is a tuple of arrays, the outputs of paths, and whose backward returns the tuple of their gradients.

    Raises
    ------
    ShapeError: outputs whose shapes do not fit together; the message names the path and both shapes.
    """

    least = 1  # the fewest paths

    def __init__(self, *, name: str = "", device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        super().__init__(name or type(self).__name__.lower(), device, dtype)

    def paths(self, train: bool, count: int) -> int:
        """How many of `count` paths compute; those behind do not."""
        return count

    def check(self, parts: Any) -> Parts:
        """Return `parts`; raise unless they are a tuple of arrays of the layer's device and dtype whose shapes fit together."""
        if not isinstance(parts, tuple) or len(parts) < self.least:
            raise ShapeError(f"{self.name}: x must be a tuple of at least {self.least} arrays, one a path, got {show(parts)}")
        for part in parts:
            self.check_x(part)
        self.output_shape(tuple(part.shape[1:] for part in parts))
        for number, part in enumerate(parts[1:], 2):
            if len(part) != len(parts[0]):
                rule = f"{self.name}: outputs of paths must be of one batch, {len(parts[0])} images as in path 1"
                raise ShapeError(f"{rule}, got {len(part)} in path {number}; let all paths read one x")
        return parts

    def facts(self, in_shape: Any, n: int = 1) -> Facts:
        return Facts(keeps=Keeps())

    def scratch_bytes(self, in_shape: Any, n: int, backward: bool, workers: int | None) -> int:
        return 0


class Concat(Merge):
    """The outputs of the paths side by side along the channels: y = [x_1, ..., x_k].

    Paper: after AlexNet: GoogLeNet's modules (Szegedy et al. 2014), DenseNet (Huang et al. 2016).

    Raises
    ------
    ShapeError: outputs of different heights, widths or numbers of axes.

    Cache: the numbers of channels.

    Gradient: each output is at its own place in y, so dx_i is that part of dy.

    Example
    -------
    >>> Concat().output_shape(((2, 8, 8), (3, 8, 8)))
    (5, 8, 8)
    """

    def forward(self, x: Any, *, train: bool = False) -> Array:
        parts = self.check(x)
        out = self.device.empty((len(parts[0]), *self.output_shape(tuple(part.shape[1:] for part in parts))), self.dtype)
        ends = tuple(accumulate(part.shape[1] for part in parts))

        def block(images: slice, scratch: Scratch) -> None:
            for part, end in zip(parts, ends, strict=True):
                out[images, end - part.shape[1] : end] = part[images]

        self.device.map_blocks(block, len(out), out[:1].nbytes)
        if train:
            self.keep(out.shape, ends)
        return out

    def backward(self, dout: Array) -> Any:
        (ends,) = self.take(dout)
        return tuple(dout[:, start:end] for start, end in zip((0, *ends[:-1]), ends, strict=True))

    def output_shape(self, in_shape: Any) -> tuple[int, ...]:
        first = in_shape[0]
        for number, shape in enumerate(in_shape[1:], 2):
            if shape[1:] != first[1:]:
                rule = f"{self.name}: outputs of paths must have one height and width, {first} as path 1"
                raise ShapeError(f"{rule}, got {shape} from path {number}; give both the same strides and paddings")
        return (sum(shape[0] for shape in in_shape), *first[1:])


class Sum(Merge):
    """The sum of the outputs of the paths: y = x_1 + ... + x_k.

    Paper: after AlexNet: the residual block (He et al. 2015), where one path passes x on: y = f(x) + x. Then dx = dy + what f sends back.
    In the nets of 2016 nothing else is on the way past f, so dy reaches the layers below unchanged, however many blocks are between. In
    those of 2015 a ReLU behind each sum sets a part of dy to 0. Where f changes the shape, a projection of x takes the place of x.

    Raises
    ------
    ShapeError: outputs of different shapes.

    Cache: how many paths there are.

    Gradient: dx_i = dy. All paths get the same array, which they may read because no layer writes into its dout.

    Example
    -------
    >>> Sum().forward((np.ones((1, 2), np.float32), np.ones((1, 2), np.float32))).tolist()
    [[2.0, 2.0]]
    """

    def forward(self, x: Any, *, train: bool = False, then: Then | None = None) -> Array:
        parts = self.check(x)
        out = sum_of(parts, self.device, then)
        if train:
            self.keep(out.shape, len(parts))
        return out

    def backward(self, dout: Array) -> Any:
        (count,) = self.take(dout)
        return (dout,) * count

    def output_shape(self, in_shape: Any) -> tuple[int, ...]:
        first: tuple[int, ...] = in_shape[0]
        for number, shape in enumerate(in_shape[1:], 2):
            if shape != first:
                rule = f"{self.name}: outputs of paths must have one shape, {first} as path 1"
                raise ShapeError(f"{rule}, got {shape} from path {number}; a shortcut whose shape changes needs a projection")
        return first


class Product(Merge):
    """The first path's output times a gate, one number a channel, which the second path computes: y_nchw = x_nchw gate_nc.

    Paper: after AlexNet: squeeze-and-excitation (Hu et al. 2017). The gate is multiplied, not added.

    Raises
    ------
    ShapeError: not two paths, or a gate that is not (N, C) for x (N, C, H, W).

    Cache: x (N, C, H, W) and the gate (N, C).

    Gradient: dx = dy gate. One number of the gate is used at all places of its channel, so dgate_nc = sum over h, w of dy x.

    Example
    -------
    >>> Product().output_shape(((16, 8, 8), (16,)))
    (16, 8, 8)
    """

    least = 2

    def forward(self, x: Any, *, train: bool = False) -> Array:
        image, gate = self.check(x)
        out = self.device.empty(image.shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            scratch.xp.multiply(image[images], gate[images][:, :, None, None], out=out[images])

        self.device.map_blocks(block, len(out), out[:1].nbytes)
        if train:
            self.keep(out.shape, image, gate)
        return out

    def backward(self, dout: Array) -> Any:
        image, gate = self.take(dout)
        dimage, dgate = self.device.empty(image.shape, self.dtype), self.device.empty(gate.shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            product = scratch.xp.multiply(dout[images], image[images], out=dimage[images])
            dgate[images] = product.sum(axis=(2, 3))
            scratch.xp.multiply(dout[images], gate[images][:, :, None, None], out=dimage[images])

        self.device.map_blocks(block, len(dout), dimage[:1].nbytes)
        return dimage, dgate

    def facts(self, in_shape: Any, n: int = 1) -> Facts:
        return Facts(keeps=Keeps(x=True))

    def output_shape(self, in_shape: Any) -> tuple[int, ...]:
        if len(in_shape) != 2 or len(in_shape[0]) != 3 or in_shape[1] != in_shape[0][:1]:
            rule = f"{self.name}: paths must be two, images (C, H, W) and a gate (C,)"
            raise ShapeError(f"{rule}, got {' and '.join(map(str, in_shape))}; end the second path with GlobalAvgPool2d and Linear")
        first: tuple[int, ...] = in_shape[0]
        return first


class Both(Merge):
    """The main output and, while training, that of an auxiliary head: a tuple of both. Otherwise the head does not compute.

    Paper: after AlexNet: GoogLeNet (Szegedy et al. 2014, section 5) adds the losses of two such heads with the weight 0.3, so that
    a gradient of few layers reaches the lower layers. `tinyalex.loss.WeightedHeads` adds the losses.

    The first path may have such a head of its own, so that its output is a tuple. Then the outputs of the other paths are appended to it,
    and the main output stays the first.

    Cache: the number of heads.

    Gradient: the outputs are not changed, so each path gets back its own entry of dout.
    """

    least = 1

    def paths(self, train: bool, count: int) -> int:
        return count if train else 1

    def forward(self, x: Any, *, train: bool = False) -> Any:
        main, *heads = x
        if not train:
            return main
        outputs = (*main, *heads) if isinstance(main, tuple) else (main, *heads)
        self.keep(outputs[0].shape, len(heads))
        return outputs

    def backward(self, dout: Any) -> Any:
        _, heads = self.kept()
        if not isinstance(dout, tuple) or len(dout) <= heads:
            rule = f"{self.name}: dout must be a tuple of the gradients of the main output and of each head"
            raise ShapeError(f"{rule}, got {show(dout)}; train with tinyalex.loss.WeightedHeads")
        for part in dout:
            check_owner(self, "dout", part)
        self._cache = None
        main = dout[: len(dout) - heads]
        return (main[0] if len(main) == 1 else main, *dout[len(dout) - heads :])

    def output_shape(self, in_shape: Any) -> tuple[int, ...]:
        first: tuple[int, ...] = in_shape[0]
        return first
