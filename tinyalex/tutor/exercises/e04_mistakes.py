"""What people do otherwise in E04, convolution, forward: each mistake as a function that makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Arguments, Mistake
from tinyalex.tutor.exercises.e04_forward import conv_forward, correlate, padded, sizes
from tinyalex.tutor.windows import before_the_edge, image_flat_by_the_height, out_flat_by_the_height, without_a_rest


class Call(NamedTuple):
    """The arguments of one call of `conv_forward`."""

    x: Array
    weight: Array
    bias: Array
    stride: int
    padding: int
    groups: int

    def right(self, **changed: Any) -> Array:
        """The right answer to a call in which some arguments are others."""
        return conv_forward(*self._replace(**changed))

    def windows(self, size: tuple[int, int] | None = None, steps: tuple[int, int] | None = None) -> Array:
        """The right filters on another number of windows, or on windows other steps apart."""
        size = size or self.sizes()
        return correlate(padded(self.x, self.padding), self.weight, self.bias, steps or (self.stride,) * 2, size, self.groups)

    def sizes(self, **changed: Any) -> tuple[int, int]:
        """The number of windows along the height and the width of a call in which some arguments are others."""
        other = self._replace(**changed)
        return sizes(other.x, other.weight, other.stride, other.padding)

    def turned(self, name: str) -> tuple[int, int]:
        """The number of windows where height and width of `x` or of `weight` are exchanged."""
        return self.sizes(**{name: getattr(self, name).swapaxes(2, 3)})


Way = Callable[[Array, Array, Array, int, int, int], Array]


def _way(make: Callable[[Call], Array]) -> Way:
    """A function of the exercise's arguments from one of a call."""
    return lambda x, weight, bias, stride, padding, groups: make(Call(x, weight, bias, stride, padding, groups))


def _instead(key: str, given: Callable[..., Arguments], source: str, seen: tuple[int, int] | None = None) -> Mistake:
    """A mistake that comes down to other arguments."""
    return Mistake(key, _way(lambda call: call.right(**given(**call._asdict()))), source, seen, given=given)


def end_without_the_stride(call: Call) -> Array:
    """Windows from y * stride to y + KH: their shape fits with stride 1 alone."""
    out, (kh, kw) = call.right(), call.weight.shape[2:]
    for y, z in np.ndindex(out.shape[2:]):
        window = padded(call.x, call.padding)[:, : call.weight.shape[1], y * call.stride : y + kh, z * call.stride : z + kw]
        window * call.weight[0]  # raises ValueError where the window is too small
    return out


def square_windows(call: Call, side: int) -> Array:
    """Windows as high and as wide as one side of the kernel: 2 for its height, 3 for its width, as `f, f = weight.shape[2:]` gives."""
    size = call.weight.shape[side]
    np.zeros((size, size)) * call.weight[0, 0]  # raises ValueError where the kernel is not square
    return call.right()


def one_channel(call: Call, channel: int) -> Array:
    """One channel of each filter, and the channel of x that it sees."""
    c = call.weight.shape[1]
    return call.right(x=call.x[:, channel % c :: c], weight=call.weight[:, [channel]])


def padding_counted_once(call: Call) -> Array:
    h, w = (size - call.padding for size in call.x.shape[2:])
    return call.windows(call.sizes(x=call.x[:, :, :h, :w]))


def padding_behind_alone(call: Call) -> Array:
    return call.right(x=np.pad(call.x, ((0, 0), (0, 0), (0, 2 * call.padding), (0, 2 * call.padding))), padding=0)


def padding_on_every_axis(call: Call) -> Array:
    """Images and channels of zeros as well."""
    n, c = call.x.shape[:2]
    return call.right(x=np.pad(call.x, call.padding)[:n, :c], padding=0)


def one_window_too_many(call: Call, lines: bool = True, columns: bool = True) -> Array:
    """The size rounded up, and zeros where the last window hangs over the edge."""
    more = call.stride - 1
    return call.right(x=np.pad(padded(call.x, call.padding), ((0, 0), (0, 0), (0, more * lines), (0, more * columns))), padding=0)


def of_counts(call: Call, count: Callable[[int, int, int], int], lines: bool = True, columns: bool = True) -> Array:
    """Other numbers of windows, count(side of the sheet, side of the kernel, stride); ValueError where one is cut at the edge."""
    sides = zip(call.x.shape[2:], call.weight.shape[2:], call.sizes(), (lines, columns), strict=True)
    h, w = (count(size + 2 * call.padding, k, call.stride) if changed else right for size, k, right, changed in sides)
    return call.windows((h, w))


def rounded_up(size: int, kernel: int, stride: int) -> int:
    """The number of windows of which the last may hang over the edge."""
    return 1 - (kernel - size) // stride


def over_the_images(call: Call) -> Array:
    """The products summed over the images as well."""
    out = call.right(bias=0 * call.bias)
    return np.broadcast_to(out.sum(0), out.shape) + call.bias[:, None, None]


def groups_by_division(call: Call, filters: Callable[[Call], int]) -> Array:
    """Filter k on the channels of group k // filters; ValueError where there are none."""
    c, out = call.weight.shape[1], np.zeros_like(call.right())
    for k, weight in enumerate(call.weight):
        first = k // filters(call) * c
        part = call._replace(x=call.x[:, first : first + c], weight=weight[None], bias=call.bias[k : k + 1], groups=1)
        out[:, k : k + 1] = part.right()
    return out


def cells_before_channels(call: Call) -> Array:
    """Columns in the order (i, j, c) times weights that lie in the order (c, i, j)."""
    k, c, kh, kw = call.weight.shape
    return call.right(weight=call.weight.reshape(k, kh, kw, c).transpose(0, 3, 1, 2))


def first_image_alone(call: Call) -> Array:
    out = call.right()
    out[1:] = 0
    return out


def filters_dealt_out(call: Call) -> Array:
    """Filter k sees the channels of group k % G."""
    order = np.argsort(np.arange(len(call.weight)) % call.groups, kind="stable")
    return call.right(weight=call.weight[order], bias=call.bias[order])[:, np.argsort(order)]


def channels_dealt_out(call: Call) -> Array:
    """Group g sees the channels g, g + G, g + 2 G ..."""
    order = np.argsort(np.arange(call.x.shape[1]) % call.groups, kind="stable")
    return call.right(x=call.x[:, order])


def begin_on_the_image(call: Call, left: Array | float = 0.0, fails: bool = False) -> Array:
    """range(0, H, stride) without the padding: windows that begin in the last lines of zeros are never filled in.

    left: what stands there. fails: whether windows that begin on the last lines of x and do not fit are looked at, which raises.
    """
    out, (h, w), (c, kh, kw) = call.right(), (-(-size // call.stride) for size in call.x.shape[2:]), call.weight.shape[1:]
    for y, z in np.ndindex((h, w) if fails else (0, 0)):
        (top, left_side), sheet = (y * call.stride, z * call.stride), padded(call.x[:1, :c], call.padding)
        sheet[0, :, top : top + kh, left_side : left_side + kw] * call.weight[0], out[0, 0, y, z]
    out[:, :, h:] = left
    out[:, :, :, w:] = left
    return out


def columns_by_the_kernel_height(call: Call) -> Array:
    """The number of columns comes from KH; the windows are right, one after the other. Raises IndexError where they are too many."""
    right, columns = call.right(), call.turned("weight")[1]
    n, k, rows, _ = right.shape
    out = np.tile(call.bias[:, None], (n, 1, rows * columns))
    for at, window in enumerate(np.moveaxis(right.reshape(n, k, -1), 2, 0)):
        out[:, :, at] = window
    return out.reshape(n, k, rows, columns)


def cut_from_the_end(call: Call) -> Array:
    """np.pad on every axis, and the images and channels of zeros cut off as padding:-padding. Raises ValueError with padding 0."""
    every = np.pad(call.x, call.padding)[call.padding : -call.padding, call.padding : -call.padding]
    (n, c), (kh, kw) = call.x.shape[:2], call.weight.shape[2:]
    np.dot(every[:, :, :kh, :kw].reshape(n, -1), np.zeros((c * kh * kw, len(call.weight))))  # raises where nothing is left
    return call.right()


def placed_by_one(call: Call) -> Array:
    """x laid on the sheet from line and column 1 on. Raises ValueError unless the padding is 1."""
    sheet, (h, w) = np.zeros_like(padded(call.x, call.padding)), call.x.shape[2:]
    sheet[:, :, 1 : h + call.padding, 1 : w + call.padding] = call.x
    return call.right()


def stacked(a: Array, groups: int) -> Array:
    """The parts of the groups stacked as (G, N, C / G, ...) and reshaped, which mixes images and groups."""
    return np.stack(np.split(a, groups, 1)).reshape(a.shape)


COUNTED = "counted in public solutions"
PUBLIC = "seen in public solutions"
SCRIBD = "a solution on scribd.com, 462428733"
SLICES = "community.deeplearning.ai/t/884990"
ROTATED = "a question on a public NumPy network: why is the kernel rotated?"
MISTAKES = (
    Mistake("steps of one", _way(lambda c: c.windows(steps=(1, 1))), SCRIBD),
    Mistake("stride for lines alone", _way(lambda c: c.windows(steps=(c.stride, 1))), SCRIBD),
    Mistake("stride for columns alone", _way(lambda c: c.windows(steps=(1, c.stride))), SCRIBD),
    Mistake("end without the stride", _way(end_without_the_stride), SCRIBD),
    Mistake("as many columns as lines", _way(lambda c: c.windows((c.sizes()[0],) * 2)), COUNTED, (6, 88)),
    Mistake("as many columns as the height gives", _way(lambda c: c.windows((c.sizes()[0], c.turned("x")[1]))), COUNTED, (6, 88)),
    Mistake("as many lines as the width gives", _way(lambda c: c.windows((c.turned("x")[0], c.sizes()[1]))), COUNTED, (6, 88)),
    Mistake("height and width exchanged", _way(lambda c: c.windows(c.turned("x"))), COUNTED, (6, 88)),
    Mistake("kernel height in the number of columns",
            _way(lambda c: c.windows((c.sizes()[0], c.turned("weight")[1]))), COUNTED, (7, 88)),
    Mistake("kernel height in the number of columns/in order", _way(columns_by_the_kernel_height), COUNTED, (7, 88)),
    Mistake("windows KH by KH", _way(lambda c: square_windows(c, 2)), COUNTED, (7, 88)),
    Mistake("windows KH by KH/KW by KW", _way(lambda c: square_windows(c, 3)), PUBLIC),
    Mistake("refuses a rest", _way(lambda c: without_a_rest(c.right(), c.x, c.weight, c.stride, c.padding)), PUBLIC),
    _instead("no bias", lambda bias, **_: {"bias": 0 * bias}, "Kulbear/deep-learning-coursera#48"),
    _instead("bias for every channel", lambda bias, weight, **_: {"bias": weight.shape[1] * bias}, "inferred"),
    _instead("bias in every cell", lambda bias, weight, **_: {"bias": weight[0].size * bias}, "inferred"),
    Mistake("first bias for all", _way(lambda c: c.right(bias=np.full_like(c.bias, c.bias[0]))), "inferred"),
    Mistake("first channel alone", _way(lambda c: one_channel(c, 0)), SLICES),
    Mistake("last channel alone", _way(lambda c: one_channel(c, -1)), SLICES),
    Mistake("first channel for all",
            _way(lambda c: c.right(x=np.repeat(c.x[:, :: c.weight.shape[1]], c.weight.shape[1], 1))), SLICES),
    _instead("kernel turned", lambda weight, **_: {"weight": weight[:, :, ::-1, ::-1]}, ROTATED),
    _instead("padding ignored", lambda **_: {"padding": 0}, "inferred"),
    Mistake("size without padding", _way(lambda c: c.windows(c.sizes(padding=0))), "inferred"),
    Mistake("padding counted once", _way(padding_counted_once), "inferred"),
    Mistake("padded by one", _way(lambda c: correlate(
        padded(c.x, 1), c.weight, c.bias, (c.stride, c.stride), c.sizes(), c.groups)), PUBLIC),
    Mistake("padded by one/placed", _way(placed_by_one), PUBLIC),
    Mistake("cut from the end", _way(cut_from_the_end), PUBLIC),
    Mistake("padding behind alone", _way(padding_behind_alone), "inferred"),
    Mistake("padding on every axis", _way(padding_on_every_axis), "inferred"),
    Mistake("one window too many", _way(one_window_too_many), "inferred"),
    Mistake("one window too many/lines", _way(lambda c: one_window_too_many(c, columns=False)), "inferred"),
    Mistake("one window too many/columns", _way(lambda c: one_window_too_many(c, lines=False)), "inferred"),
    Mistake("window past the edge", _way(lambda c: of_counts(c, rounded_up)), "inferred"),
    Mistake("window past the edge/lines", _way(lambda c: of_counts(c, rounded_up, columns=False)), "inferred"),
    Mistake("window past the edge/columns", _way(lambda c: of_counts(c, rounded_up, lines=False)), "inferred"),
    Mistake("no last window", _way(lambda c: of_counts(c, lambda size, kernel, stride: (size - kernel) // stride)), "inferred"),
    Mistake("no brackets in the size", _way(lambda c: of_counts(c, lambda size, kernel, stride: size - kernel // stride + 1)), "inferred"),
    Mistake("one added to the stride",
            _way(lambda c: of_counts(c, lambda size, kernel, stride: (size - kernel) // (stride + 1))), "inferred"),
    Mistake("over the images", _way(over_the_images), "inferred"),
    Mistake("mean of the products", _way(lambda c: c.right(weight=c.weight / c.weight[0].size)), "inferred"),
    Mistake("before the edge", _way(lambda c: before_the_edge(c.right(), c.x, c.weight, c.stride, c.padding)), "inferred"),
    Mistake("begin on the image", _way(begin_on_the_image), PUBLIC),
    Mistake("begin on the image/bias alone", _way(lambda c: begin_on_the_image(c, c.bias[:, None, None])), PUBLIC),
    Mistake("begin on the image/or an error", _way(lambda c: begin_on_the_image(c, fails=True)), PUBLIC),
    Mistake("flat by the height", _way(lambda c: out_flat_by_the_height(c.right())), PUBLIC),
    Mistake("flat by the height/image",
            _way(lambda c: image_flat_by_the_height(padded(c.x, c.padding), lambda x: c.right(x=x, padding=0))), PUBLIC),
    Mistake("cells before channels", _way(cells_before_channels), "inferred"),
    Mistake("filters last reshaped", _way(lambda c: c.right().transpose(0, 2, 3, 1).reshape(c.right().shape)), "inferred"),
    Mistake("filters first reshaped", _way(lambda c: c.right().swapaxes(0, 1).reshape(c.right().shape)), "inferred"),
    Mistake("filters last", _way(lambda c: c.right().transpose(0, 2, 3, 1)), "inferred"),
    Mistake("out lines and columns exchanged", _way(lambda c: c.right().swapaxes(2, 3)), "inferred"),
    Mistake("first image alone", _way(first_image_alone), "a convolutional net from scratch, issue 1"),
    Mistake("groups not used", _way(lambda c: c.right(groups=1)), "inferred"),  # raises ValueError where there are several
    Mistake("first channels for every group", _way(lambda c: c.right(x=c.x[:, : c.weight.shape[1]], groups=1)), "inferred"),
    Mistake("all channels", _way(lambda c: c.right(weight=np.tile(c.weight, (1, c.groups, 1, 1)), groups=1)), "apache/mxnet#3348"),
    Mistake("another group/by the channels", _way(lambda c: groups_by_division(c, lambda call: call.weight.shape[1])), "inferred"),
    Mistake("another group/by the groups", _way(lambda c: groups_by_division(c, lambda call: call.groups)), "inferred"),
    Mistake("filters dealt out", _way(filters_dealt_out), "inferred"),
    Mistake("channels dealt out", _way(channels_dealt_out), "inferred"),
    Mistake("groups stacked", _way(lambda c: stacked(c.right(), c.groups)), "inferred"),
)  # fmt: skip
