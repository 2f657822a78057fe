"""What people do otherwise in `conv_backward` of E05: each mistake as a function that makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Mistake
from tinyalex.tutor.exercises.e04_forward import correlate, padded, sizes
from tinyalex.tutor.exercises.e04_mistakes import COUNTED, PUBLIC
from tinyalex.tutor.exercises.e05_backward import Call, Gradients, image_of, windows_of
from tinyalex.tutor.windows import before_the_edge, without_a_rest

Way = Callable[..., Gradients]


def _all(make: Callable[[Call], Gradients]) -> Way:
    """A function of the arguments of `conv_backward` from one of a call."""
    return lambda dout, x, weight, stride, padding: make(Call(dout, x, weight, stride, padding))


def _dx(make: Callable[[Call], Array]) -> Way:
    """Another dx, with the right dweight and dbias."""
    return _all(lambda call: (make(call), *call.right()[1:]))


def _dweight(make: Callable[[Call], Array]) -> Way:
    """Another dweight, with the right dx and dbias."""
    return _all(lambda call: (call.right()[0], make(call), call.right()[2]))


def _dbias(make: Callable[[Array], Any]) -> Way:
    """Another dbias, of dout, with the right dx and dweight."""
    return _all(lambda call: (*call.right()[:2], make(call.dout)))


def first_channel(a: Array) -> Array:
    """The first channel in the place of every one."""
    return np.repeat(a[:, :1], a.shape[1], 1)


def into_dx(call: Call, part: Array) -> Array:
    """A part of the sheet, written into zeros of the shape of x. Raises ValueError where it is smaller or larger."""
    dx = np.zeros_like(call.x)
    dx[...] = part
    return dx


def cut_by_the_height(call: Call) -> Array:
    end = call.padding + call.x.shape[2]
    return call.dsheet[:, :, call.padding : end, call.padding : end]


def placed_by_one(call: Call) -> Gradients:
    """x laid on the sheet from line and column 1 on. Raises ValueError unless the padding is 1."""
    sheet, (h, w) = np.zeros_like(padded(call.x, call.padding)), call.x.shape[2:]
    sheet[:, :, 1 : h + call.padding, 1 : w + call.padding] = call.x
    return call.right()


def every_axis_cut_from_the_end(call: Call) -> Gradients:
    """np.pad on every axis, and the images and channels of zeros cut off as padding:-padding. Raises ValueError with padding 0."""
    every = np.pad(call.x, call.padding)[call.padding : -call.padding, call.padding : -call.padding]
    for y, z, window in windows_of(call.dout, np.zeros_like(every), call.weight, call.stride):
        window += np.einsum("nk,kcij->ncij", call.dout[:, :, y, z], call.weight)  # raises where nothing is left
    return call.right()


def windows_overwrite(call: Call, columns_first: bool = False) -> Array:
    """`=` in a loop over windows; with the columns in the outer loop another window is the last to write."""
    dsheet = np.zeros_like(call.dsheet)
    windows = [*windows_of(call.dout, dsheet, call.weight, call.stride)]
    for y, z, window in sorted(windows, key=lambda one: one[1]) if columns_first else windows:
        window[...] = np.einsum("nk,kcij->ncij", call.dout[:, :, y, z], call.weight)
    return image_of(dsheet, call.x, call.padding)


def cells_overwrite(call: Call) -> Array:
    """`=` in col2im: a loop over the cells of a window, for all windows at once."""
    dsheet, (oh, ow) = np.zeros_like(call.dsheet), call.dout.shape[2:]
    for i, j in np.ndindex(call.weight.shape[2:]):
        at = np.s_[:, :, i : i + call.stride * oh : call.stride, j : j + call.stride * ow : call.stride]
        part = np.einsum("nkyz,kc->ncyz", call.dout, call.weight[:, :, i, j])
        dsheet[at] = part[:, :, : dsheet[at].shape[2], : dsheet[at].shape[3]]
    return image_of(dsheet, call.x, call.padding)


def dx_without_padding(call: Call) -> Array:
    """Windows of dx and not of a sheet: they are cut at the edge."""
    dx = np.zeros_like(call.x)
    for y, z, window in windows_of(call.dout, dx, call.weight, call.stride):
        window += np.einsum("nk,kcij->ncij", call.dout[:, :, y, z], call.weight)
    return dx


def padded_by_one(call: Call) -> Gradients:
    """A sheet with one line and column of zeros on each side, whatever the padding. Raises ValueError where windows are cut."""
    dsheet = np.zeros_like(padded(call.x, 1))
    for y, z, window in windows_of(call.dout, dsheet, call.weight, call.stride):
        window += np.einsum("nk,kcij->ncij", call.dout[:, :, y, z], call.weight)
    return image_of(dsheet, call.x, 1), sum_over_windows(call, padded(call.x, 1), call.stride), call.right()[2]


def dout_not_spread_apart(call: Call) -> Array:
    """The full correlation of dout with the kernels turned round, without zeros between the elements of dout."""
    (n, _, oh, ow), (_, c, kh, kw) = call.dout.shape, call.weight.shape
    small = np.zeros((n, c, oh + kh - 1 - 2 * call.padding, ow + kw - 1 - 2 * call.padding))
    return call.right(x=small, stride=1)[0]


def sum_over_windows(call: Call, sheet: Array, stride: int) -> Array:
    """dweight from other windows. Raises ValueError where they are cut at the edge."""
    dweight = np.zeros_like(call.weight)
    for y, z, window in windows_of(call.dout, sheet, call.weight, stride):
        dweight += np.einsum("nk,ncij->kcij", call.dout[:, :, y, z], window)
    return dweight


def in_the_corner(call: Call) -> Array:
    """The sheet with x in its first lines and columns, and all of its zeros behind."""
    return np.pad(call.x, ((0, 0), (0, 0), (0, 2 * call.padding), (0, 2 * call.padding)))


def dweight_with_the_rest(call: Call) -> Array:
    """The sheet correlated with dout spread apart: one line too many for each line that no window reaches."""
    (n, k, oh, ow), stride = call.dout.shape, call.stride
    apart = np.zeros((n, k, (oh - 1) * stride + 1, (ow - 1) * stride + 1))
    apart[:, :, ::stride, ::stride] = call.dout
    return _correlated(call, apart, 1)


def _correlated(call: Call, dout: Array, stride: int) -> Array:
    """The sheet correlated with gradients, (K, C, ...)."""
    images, filters = padded(call.x, call.padding).swapaxes(0, 1), dout.swapaxes(0, 1)
    return correlate(images, filters, np.zeros(len(filters)), (stride, stride), sizes(images, filters, stride, 0)).swapaxes(0, 1)


def loops_over(call: Call, lines: int, columns: int) -> Gradients:
    """Loops over another number of windows: IndexError where they run past dout."""
    for y, z in np.ndindex(lines, columns):
        call.dout[0, 0, y, z]  # raises
    return call.right(dout=call.last(..., slice(lines), slice(columns)))


def height_and_width_exchanged(call: Call) -> Gradients:
    """Lines taken for columns in the loops, so that windows are KW by KH. Raises in all calls: no two sizes in them are equal."""
    dsheet, (oh, ow), (kh, kw), s = np.zeros_like(call.dsheet), call.dout.shape[2:], call.weight.shape[2:], call.stride
    for n, k, z, y in np.ndindex(*call.dout.shape[:2], oh, ow):
        dsheet[n, :, s * y : s * y + kw, s * z : s * z + kh] += call.dout[n, k, y, z] * call.weight[k]
    return call.right()


def square_windows(call: Call, side: int) -> Gradients:
    """Windows as high and as wide as one side of the kernel: 2 for its height, 3 for its width, as `f, f = weight.shape[2:]` gives."""
    size = call.weight.shape[side]
    np.zeros((size, size)) * call.weight[0, 0]  # raises ValueError where the kernel is not square
    return call.right()


def filters_first(dout: Array) -> Array:
    """dout.reshape(K, -1) in place of the filters moved to the front."""
    n, k, oh, ow = dout.shape
    return dout.reshape(k, n, oh, ow).swapaxes(0, 1)


def filters_last(dout: Array) -> Array:
    """dout.reshape(-1, K) in place of the filters moved to the end."""
    n, k, oh, ow = dout.shape
    return dout.reshape(n, oh, ow, k).transpose(0, 3, 1, 2)


ADDS = "oreilly-japan/deep-learning-from-scratch#27"
REST = "microsoft/onnxscript#1707"
CHANNEL = "NervanaSystems/neon#111"
TRANSPOSED = "nntrainer/nntrainer#705"
MISTAKES = (
    Mistake("cut from the end", _dx(lambda c: c.dsheet[:, :, c.padding : -c.padding, c.padding : -c.padding]), COUNTED, (42, 88)),
    Mistake("cut from the end into dx",
            _dx(lambda c: into_dx(c, c.dsheet[:, :, c.padding : -c.padding, c.padding : -c.padding])), COUNTED, (42, 88)),
    Mistake("cut from the end into dx/every axis", _all(every_axis_cut_from_the_end), PUBLIC),
    Mistake("cut by one", _dx(lambda c: c.dsheet[:, :, 1:-1, 1:-1]), COUNTED, (4, 88)),
    Mistake("cut by one into dx", _dx(lambda c: into_dx(c, c.dsheet[:, :, 1:-1, 1:-1])), COUNTED, (4, 88)),
    Mistake("cut by one into dx/placed", _all(placed_by_one), PUBLIC),
    Mistake("nothing written", _all(lambda c: (0 * c.x, 0 * c.weight, np.zeros(len(c.weight)))), COUNTED),
    Mistake("windows overwrite", _dx(windows_overwrite), ADDS),
    Mistake("windows overwrite/columns first", _dx(lambda c: windows_overwrite(c, True)), ADDS),
    Mistake("windows of the last filter",
            _dx(lambda c: windows_overwrite(c._replace(dout=c.dout[:, -1:], weight=c.weight[-1:]))), ADDS),
    Mistake("cells overwrite", _dx(cells_overwrite), ADDS),
    Mistake("dx of the last filter", _dx(lambda c: c.right(dout=c.dout[:, -1:], weight=c.weight[-1:])[0]), "inferred"),
    Mistake("dx of the last window", _dx(lambda c: c.right(dout=c.last(..., -1, -1))[0]), "inferred"),
    Mistake("rest missing", _dx(lambda c: c.inside(c.reached())), REST),
    Mistake("rest cut off", _dx(lambda c: image_of(c.reached(), c.x, c.padding)), REST),
    Mistake("without padding/both",
            _all(lambda c: (dx_without_padding(c), sum_over_windows(c, c.x, c.stride), c.right()[2])), "inferred"),
    Mistake("without padding/dweight", _dweight(lambda c: sum_over_windows(c, c.x, c.stride)), "inferred"),
    Mistake("first image alone", _all(lambda c: c.right(dout=c.last(0))), "a convolutional net from scratch, issue 1"),
    Mistake("dout reshaped/filters first", _all(lambda c: c.right(dout=filters_first(c.dout))), "inferred"),
    Mistake("dout reshaped/filters last", _all(lambda c: c.right(dout=filters_last(c.dout))), "inferred"),
    Mistake("padded by one", _all(padded_by_one), PUBLIC),
    Mistake("before the edge",
            _all(lambda c: c.right(dout=before_the_edge(c.dout, c.x, c.weight, c.stride, c.padding))), "inferred"),
    Mistake("border left on", _dx(lambda c: c.dsheet), "inferred"),
    Mistake("corner of the sheet", _dx(lambda c: image_of(c.dsheet, c.x, 0)), "inferred"),
    Mistake("cut by the height", _dx(cut_by_the_height), "inferred"),
    Mistake("dx with steps of one", _dx(lambda c: image_of(c._replace(stride=1).dsheet, c.x, c.padding)), "inferred"),
    Mistake("dout not spread apart", _dx(dout_not_spread_apart), "inferred"),
    Mistake("dx with the kernel turned", _dx(lambda c: c.right(weight=c.weight[:, :, ::-1, ::-1])[0]), "inferred",
            given=lambda weight, **_: {"weight": weight[:, :, ::-1, ::-1]}),
    Mistake("dx of the first channel", _dx(lambda c: c.right(weight=first_channel(c.weight))[0]), CHANNEL,
            given=lambda weight, **_: {"weight": first_channel(weight)}),
    Mistake("as many columns as lines", _all(lambda c: loops_over(c, *c.dout.shape[2:3] * 2)), "inferred"),
    Mistake("as many lines as columns", _all(lambda c: loops_over(c, *c.dout.shape[3:] * 2)), "inferred"),
    Mistake("height and width exchanged", _all(height_and_width_exchanged), PUBLIC),
    Mistake("as many windows as pixels", _all(lambda c: loops_over(c, *c.x.shape[2:])), PUBLIC),
    Mistake("refuses a rest", _all(lambda c: without_a_rest(c.right(), c.x, c.weight, c.stride, c.padding)), PUBLIC),
    Mistake("windows KH by KH", _all(lambda c: square_windows(c, 2)), "inferred"),
    Mistake("windows KH by KH/KW by KW", _all(lambda c: square_windows(c, 3)), PUBLIC),
    Mistake("dweight of the last window", _dweight(lambda c: c.right(dout=c.last(..., -1, -1))[1]), "inferred"),
    Mistake("dweight of the last window and image", _dweight(lambda c: c.right(dout=c.last(-1, ..., -1, -1))[1]), "inferred"),
    Mistake("dweight of the last image", _dweight(lambda c: c.right(dout=c.dout[-1:], x=c.x[-1:])[1]), "inferred",
            given=lambda dout, x, **_: {"dout": dout[-1:], "x": x[-1:]}),
    Mistake("dweight with steps of one", _dweight(lambda c: sum_over_windows(c, padded(c.x, c.padding), 1)), "inferred"),
    Mistake("dweight of the corner", _dweight(lambda c: sum_over_windows(c, in_the_corner(c), c.stride)), "inferred"),
    Mistake("dweight turned", _dweight(lambda c: c.right()[1][:, :, ::-1, ::-1]),
            "a course's own code, end-to-end-machine-learning.teachable.com"),
    Mistake("dweight channels first", _dweight(lambda c: c.right()[1].swapaxes(0, 1)), TRANSPOSED),
    Mistake("dweight lines and columns exchanged", _dweight(lambda c: c.right()[1].swapaxes(2, 3)), TRANSPOSED),
    Mistake("dweight reshaped",  # (C KH KW, K), the product of columns and dout, given the shape of the filters
            _dweight(lambda c: c.right()[1].reshape(len(c.weight), -1).T.reshape(c.weight.shape)), TRANSPOSED),
    Mistake("dweight of the first channel", _dweight(lambda c: c.right(x=first_channel(c.x))[1]), CHANNEL,
            given=lambda x, **_: {"x": first_channel(x)}),
    Mistake("dweight mean over windows", _dweight(lambda c: c.right()[1] / c.dout[0, 0].size), "LBANN/lbann#1022"),
    Mistake("dweight with the rest", _dweight(dweight_with_the_rest), REST),
    Mistake("dweight by steps of the stride", _dweight(lambda c: _correlated(c, c.dout, c.stride)), "inferred"),
    Mistake("dbias of the last image", _dbias(lambda dout: dout[-1].sum((1, 2))), "inferred"),
    Mistake("dbias of the last window", _dbias(lambda dout: dout[-1, :, -1, -1].copy()), "inferred"),
    Mistake("dbias one number", _dbias(lambda dout: np.full(dout.shape[1], dout.sum())), "rasbt/stat453-deep-learning-ss21#5"),
    Mistake("dbias over all axes", _dbias(lambda dout: dout.sum()), "rasbt/stat453-deep-learning-ss21#5"),
    Mistake("dbias mean", _dbias(lambda dout: dout.mean((0, 2, 3))), "kvfrans/notes#5"),
    Mistake("dbias mean over windows", _dbias(lambda dout: dout.sum(0).mean((1, 2))), "kvfrans/notes#5"),
    Mistake("dbias for each image", _dbias(lambda dout: dout.sum((2, 3))), "inferred"),
    Mistake("dbias for each window", _dbias(lambda dout: dout.sum(0)), "inferred"),
    Mistake("dbias over the filters", _dbias(lambda dout: dout.sum((1, 2, 3))), "inferred"),
)  # fmt: skip
