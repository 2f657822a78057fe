"""The requests that layers make to the table, which are the same for every row, and the class of a row."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tinyalex.devices import Array, Device, Scratch
from tinyalex.geometry import Windows

Then: TypeAlias = Callable[[Array, Array, Scratch], None]  # an activation function (x, out, scratch) that fills `out`
Grads: TypeAlias = MutableMapping[str, Array]  # the gradients "weight" and "bias", to which backward adds


@dataclass(frozen=True, eq=False)
class Convolution:
    """A request for the convolution of images x (N, C, H, W) with K filters that `layers.conv.conv2d` defines.

    plain: `conv2d` and `conv2d_backward`, whose results every row must equal.
    weight: (K, C/G, KH, KW). bias: (K,) or None. windows, groups: as in `conv2d`.
    input_gradient: whether backward must return dx.
    innermost: whether the next layer is pooling, which is fast on images that are CHWN in memory.
    prepared: of a frozen layer, a dict in which a row stores arrays that it computed from the weights alone; None if the weights may
        change.
    """

    plain: tuple[Callable[..., Any], Callable[..., Any]]
    weight: Array
    bias: Array | None
    windows: Windows
    groups: int = 1
    input_gradient: bool = True
    innermost: bool = False
    prepared: dict[Any, Any] | None = None

    @property
    def channels(self) -> int:
        """C, the number of channels of the images."""
        return int(self.weight.shape[1]) * self.groups

    @property
    def filters(self) -> int:
        """K, the number of filters and of channels of the output."""
        return len(self.weight)

    def out_shape(self, n: int) -> tuple[int, ...]:
        """The shape of the output for n images."""
        return (n, self.filters, *self.windows.out)

    def x_shape(self, n: int) -> tuple[int, ...]:
        """The shape of n images."""
        return (n, self.channels, *self.windows.size)


@dataclass(frozen=True, eq=False)
class Pooling:
    """A request for a pooling of images x (N, C, H, W) that `layers.pool` defines.

    plain: `max_pool` and `max_pool_backward`, or `avg_pool` and `avg_pool_backward`.
    channels: C. itemsize: bytes of an element. train: whether backward may follow.
    remembers: whether forward must keep which cell of each window won: True for the maximum, False for the mean.
    innermost: whether x is CHWN in memory, see `layout`.
    """

    plain: tuple[Callable[..., Any], Callable[..., Any]]
    windows: Windows
    channels: int
    itemsize: int
    remembers: bool
    train: bool = True
    innermost: bool = False

    def out_shape(self, n: int) -> tuple[int, ...]:
        """The shape of the output for n images."""
        return (n, self.channels, *self.windows.out)

    def x_shape(self, n: int) -> tuple[int, ...]:
        """The shape of n images."""
        return (n, self.channels, *self.windows.size)


@dataclass(frozen=True, eq=False)
class Product:
    """A request for the product of x (N, C) and weight (K, C/G) that `layers.linear.linear` defines.

    plain: `linear` and `linear_backward`. groups, input_gradient: as in `Convolution`.
    """

    plain: tuple[Callable[..., Any], Callable[..., Any]]
    weight: Array
    bias: Array
    groups: int = 1
    input_gradient: bool = True

    @property
    def features(self) -> int:
        """C, the number of inputs."""
        return int(self.weight.shape[1]) * self.groups

    def out_shape(self, n: int) -> tuple[int, ...]:
        """The shape of the output for n images."""
        return (n, len(self.weight))


@dataclass(frozen=True)
class Keeps:
    """What a layer keeps between forward and backward, for one image.

    x, out: whether the input and the output are kept. They are counted apart, because another layer may keep the same array.
    own: bytes of the other arrays that are kept.
    """

    x: bool = False
    out: bool = False
    own: int = 0


def always(*_: Any) -> bool:
    """True, for a row that has no condition."""
    return True


@dataclass(frozen=True)
class Row:
    """One way to compute a request; `asked` is the request.

    Parameters
    ----------
    name: the name of the row for `algorithm=` and in the output of `tinyalex net --algorithms`.
    forward: (asked, x, device, then) -> (out, kept). `then`, unless it is None, is applied in place to each block of the output.
    backward: (asked, kept, dout, device, grads) -> dx, or None if the request asks for no dx. Adds the gradients of weight and bias
        to `grads`.
    pays: (asked, n) -> whether measurements found this row faster for n images than the rows below it in the table.
    fits: asked -> whether the row can serve the request at all. needs: the condition of `fits` in words, for a message.
    file: the .cu file whose kernels the row launches; "" for a row of array functions.
    keeps: asked -> a description of `kept`. scratch: (asked, n, backward, workers) -> bytes of working memory for all blocks that
        `workers` threads compute at the same time; workers=None counts one block of one image.
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    keeps: Callable[[Any], Keeps]
    scratch: Callable[[Any, int, bool, int | None], int]
    pays: Callable[[Any, int], bool] = always
    fits: Callable[[Any], bool] = always
    needs: str = ""
    file: str = ""


def apply(then: Then | None, out: Array, scratch: Scratch) -> None:
    """Apply the activation `then` to `out` in place, unless `then` is None."""
    if then is not None:
        then(out, out, scratch)


def add_gradients(grads: Grads, dweight: Array, dbias: Array, device: Device) -> None:
    """Add both to `grads`; dbias only if there is a bias. Each gradient has as many elements as its parameter, in the same order."""
    with device.activate():
        grads["weight"] += dweight.reshape(grads["weight"].shape)
        if "bias" in grads:
            grads["bias"] += dbias.reshape(grads["bias"].shape)


def keeps_x(asked: Any) -> Keeps:
    """The `keeps` of a row that keeps only its input."""
    return Keeps(x=True)


def columns_of_image(windows: Windows, channels: int) -> int:
    """How many elements the columns of one image need with the arrays that lead to them: the sheet, its shifts, the columns."""
    (height, width), (oh, ow), (kh, kw) = windows.sheet, windows.out, windows.kernel
    return channels * (height * width + kw * height * ow + kh * kw * oh * ow)


def size_of(array: Array) -> int:
    """How many elements an array has; it may be an array of the `dry` device, which has a shape but no memory."""
    return math.prod(array.shape)
