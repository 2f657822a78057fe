"""What a layer asks of the table: the same for every row. Also what a row is."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tinyalex.devices import Array, Device, Scratch
from tinyalex.geometry import Windows

Then: TypeAlias = Callable[[Array, Array, Scratch], None]  # an activation function (x, out, scratch) that fills `out`
Grads: TypeAlias = MutableMapping[str, Array]  # gradients by "weight" and "bias", which backward adds into


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution of images x (N, C, H, W) with K filters, as `layers.conv.conv2d` defines it.

    plain: `conv2d` and `conv2d_backward`, the functions that every row equals.
    weight: (K, C/G, KH, KW). bias: (K,), or None for none. windows, groups: see there.
    input_gradient: whether backward returns dx.
    innermost: whether the layer that follows reads images that lie innermost in memory, as pooling does.
    kept: where a frozen layer keeps what a row has made of its weights alone; None where the weights may change.
    """

    plain: tuple[Callable[..., Any], Callable[..., Any]]
    weight: Array
    bias: Array | None
    windows: Windows
    groups: int = 1
    input_gradient: bool = True
    innermost: bool = False
    kept: dict[Any, Any] | None = None

    @property
    def channels(self) -> int:
        """C, the channels of the images."""
        return int(self.weight.shape[1]) * self.groups

    @property
    def filters(self) -> int:
        """K, the channels of the output."""
        return len(self.weight)

    def out_shape(self, n: int) -> tuple[int, ...]:
        """The shape of the output for n images."""
        return (n, self.filters, *self.windows.out)

    def x_shape(self, n: int) -> tuple[int, ...]:
        """The shape of n images."""
        return (n, self.channels, *self.windows.size)


@dataclass(frozen=True, eq=False)
class Pooling:
    """A pooling of images x (N, C, H, W), as `layers.pool` defines it.

    plain: `max_pool` and `max_pool_backward`, or `avg_pool` and `avg_pool_backward`.
    channels: C. itemsize: bytes of an element. train: whether backward will follow.
    remembers: whether forward must remember which cell of a window won, as a maximum must and a mean need not.
    innermost: whether the images of x lie innermost in memory.
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
    """The product of a fully connected layer, x (N, C) with weight (K, C/G), as `layers.linear.linear` defines it.

    plain: `linear` and `linear_backward`. groups, input_gradient: see `Convolution`.
    """

    plain: tuple[Callable[..., Any], Callable[..., Any]]
    weight: Array
    bias: Array
    groups: int = 1
    input_gradient: bool = True

    @property
    def features(self) -> int:
        """C, the inputs."""
        return int(self.weight.shape[1]) * self.groups

    def out_shape(self, n: int) -> tuple[int, ...]:
        """The shape of the output for n images."""
        return (n, len(self.weight))


@dataclass(frozen=True)
class Keeps:
    """What is kept between forward and backward, for one image.

    x, out: whether it is the input or the output itself: an array that another layer may keep too.
    own: bytes of arrays that only this layer has.
    """

    x: bool = False
    out: bool = False
    own: int = 0


def always(*_: Any) -> bool:
    """True: the condition of a row that serves every request."""
    return True


@dataclass(frozen=True)
class Row:
    """One way to compute what is asked.

    Parameters
    ----------
    name: what `algorithm=` and `tinyalex net --algorithms` call it.
    forward: (asked, x, device, then) -> (out, kept); `then` is applied in place to each block of the output, None for nothing.
    backward: (asked, kept, dout, device, grads) -> dx, or None where none is asked for; adds the gradients of weight and bias
        into `grads`.
    pays: (asked, n) -> whether n images were measured faster this way than by the rows below it.
    fits: asked -> whether the row can do it at all. needs: the same in words, for a message.
    keeps: asked -> what `kept` is. scratch: (asked, n, backward, workers) -> bytes of working memory of the blocks that `workers`
        threads work on together; workers None: of a block of one image.
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    keeps: Callable[[Any], Keeps]
    scratch: Callable[[Any, int, bool, int | None], int]
    pays: Callable[[Any, int], bool] = always
    fits: Callable[[Any], bool] = always
    needs: str = ""


def apply(then: Then | None, out: Array, scratch: Scratch) -> None:
    """The function, if there is one, in place."""
    if then is not None:
        then(out, out, scratch)


def add_gradients(grads: Grads, dweight: Array, dbias: Array, device: Device) -> None:
    """Add both into `grads`; each has as many elements as its parameter, in the parameter's order."""
    with device.activate():
        grads["weight"] += dweight.reshape(grads["weight"].shape)
        grads["bias"] += dbias.reshape(grads["bias"].shape)


def keeps_x(asked: Any) -> Keeps:
    """The input is kept, and nothing else."""
    return Keeps(x=True)


def columns_of_image(windows: Windows, channels: int) -> int:
    """Elements that the columns of one image take while they are made: the sheet, its shifts along the width, the columns."""
    (height, width), (oh, ow), (kh, kw) = windows.sheet, windows.out, windows.kernel
    return channels * (height * width + kw * height * ow + kh * kw * oh * ow)


def size_of(array: Array) -> int:
    """Elements of an array, which may have no numbers behind it."""
    return math.prod(array.shape)
