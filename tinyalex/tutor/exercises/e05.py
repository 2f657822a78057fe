"""E05: convolution, backward (paper 3.5), and with groups (paper 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Forward, Function, Mistake, Probe
from tinyalex.tutor.exercises.e04 import CALLS, COUNTED, GROUPS, PUBLIC, correlate, padded, sizes, stacked, whole
from tinyalex.tutor.windows import before_the_edge, without_a_rest

Gradients = tuple[Array, Array, Array]


def conv_backward(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Gradients:
    """The gradients of the loss with respect to x, weight and bias, from that with respect to the output of `conv_forward`.

    With out[n, k, y, z] = bias[k] + sum over c, i, j of weight[k, c, i, j] sheet[n, c, stride y + i, stride z + j] (paper 3.5; one
    group) each gradient sums dout[n, k, y, z] over all the places where its number is used, times what it is multiplied with there.
    The sheet is x with `padding` lines and columns of zeros on each side; the gradients of these zeros are dropped. Nothing is divided
    by the number of images: the loss has done so. Your function must also work with padding 0 and with a stride above 1, and where the
    last lines or columns of the sheet lie in no window: there dx is 0.

    Parameters
    ----------
    dout: (N, K, OH, OW), the gradient of the loss with respect to the output, OH = (H + 2 padding - KH) // stride + 1, OW likewise
        from W and KW.
    x: (N, C, H, W), the input of the forward pass, without padding.
    weight: (K, C, KH, KW), the filters; KH and KW may differ.
    stride, padding: integers, as in `conv_forward`, at least 1 and at least 0.

    Returns
    -------
    dx: (N, C, H, W), dweight: (K, C, KH, KW) and dbias: (K,), new arrays, in this order. dout, x and weight are left as they are.
    """
    dweight = np.zeros_like(weight)
    for y, z, window in _windows(dout, padded(x, padding), weight, stride):
        dweight += np.einsum("nk,ncij->kcij", dout[:, :, y, z], window)
    return _cut(_sheet(dout, x, weight, stride, padding), x, padding), dweight, dout.sum((0, 2, 3))


def conv_backward_groups(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Gradients:
    """The same with groups, as in AlexNet's conv2, conv4 and conv5 (paper 3.2). You may call your `conv_backward`.

    The K filters and the C channels are cut into G equal parts, in order; a filter of part g sees only the channels of part g, and
    so dx of these channels comes from the filters of part g alone. With one group it is `conv_backward`.

    Parameters
    ----------
    dout: (N, K, OH, OW), the gradient of the loss with respect to the output.
    x: (N, C, H, W), the input of the forward pass, without padding.
    weight: (K, C / G, KH, KW), the filters.
    stride, padding: integers, as in `conv_forward`, at least 1 and at least 0.
    groups: G, an integer of at least 1 that divides C and K.

    Returns
    -------
    dx: (N, C, H, W), dweight: (K, C / G, KH, KW) and dbias: (K,), new arrays, in this order. dout, x and weight are left as they are.
    """
    parts = _parts(dout, x, weight, stride, padding, groups)
    return np.concatenate([dx for dx, _, _ in parts], 1), np.concatenate([dw for _, dw, _ in parts]), dout.sum((0, 2, 3))


def _windows(dout: Array, sheet: Array, weight: Array, stride: int) -> Iterator[tuple[int, int, Array]]:
    """Every window of the sheet, as a view (N, C, KH, KW), with its line and column in dout."""
    kh, kw = weight.shape[2:]
    for y, z in np.ndindex(dout.shape[2:]):
        yield y, z, sheet[:, :, y * stride : y * stride + kh, z * stride : z * stride + kw]


def _sheet(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """The gradient with respect to the sheet: x with its padding."""
    dsheet = np.zeros_like(padded(x, padding))
    for y, z, window in _windows(dout, dsheet, weight, stride):
        window += np.einsum("nk,kcij->ncij", dout[:, :, y, z], weight)
    return dsheet


def _cut(dsheet: Array, x: Array, padding: int) -> Array:
    return dsheet[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]].copy()


def _parts(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> list[Gradients]:
    """What `conv_backward` gives for each group."""
    cut = zip(np.split(dout, groups, 1), np.split(x, groups, 1), np.split(weight, groups), strict=True)
    return [conv_backward(d, seen, filters, stride, padding) for d, seen, filters in cut]


class Call(NamedTuple):
    """The arguments of one call, and what can be made of them."""

    dout: Array
    x: Array
    weight: Array
    stride: int
    padding: int
    groups: int = 1

    def right(self, **changed: Any) -> Gradients:
        """The right gradients of a call in which some arguments are others."""
        return conv_backward_groups(*self._replace(**changed))

    def last(self, *index: Any) -> Array:
        """dout, zero but at that index."""
        only = np.zeros_like(self.dout)
        only[index] = self.dout[index]
        return only

    @property
    def dsheet(self) -> Array:
        """The right gradient with respect to the sheet."""
        return _sheet(*self[:5])

    def reached(self) -> Array:
        """The part of dsheet that the windows reach: the last lines and columns may be missing."""
        (oh, ow), (kh, kw) = self.dout.shape[2:], self.weight.shape[2:]
        return self.dsheet[:, :, : (oh - 1) * self.stride + kh, : (ow - 1) * self.stride + kw]

    def inside(self, sheet: Array) -> Array:
        """A sheet without `padding` lines and columns on each of its sides."""
        p, (h, w) = self.padding, sheet.shape[2:]
        return sheet[:, :, p : h - p, p : w - p]


Way = Callable[..., Gradients]


def _all(make: Callable[[Call], Gradients]) -> Way:
    """A function of the arguments of `conv_backward` from one of a call."""
    return lambda dout, x, weight, stride, padding: make(Call(dout, x, weight, stride, padding))


def _grouped(make: Callable[[Call], Any]) -> Way:
    """The same for `conv_backward_groups`."""
    return lambda dout, x, weight, stride, padding, groups: make(Call(dout, x, weight, stride, padding, groups))


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


def windows_overwrite(call: Call, columns_first: bool = False) -> Array:
    """`=` in a loop over windows; with the columns in the outer loop another window is the last to write."""
    dsheet = np.zeros_like(call.dsheet)
    windows = [*_windows(call.dout, dsheet, call.weight, call.stride)]
    for y, z, window in sorted(windows, key=lambda one: one[1]) if columns_first else windows:
        window[...] = np.einsum("nk,kcij->ncij", call.dout[:, :, y, z], call.weight)
    return _cut(dsheet, call.x, call.padding)


def cells_overwrite(call: Call) -> Array:
    """`=` in col2im: a loop over the cells of a window, for all windows at once."""
    dsheet, (oh, ow) = np.zeros_like(call.dsheet), call.dout.shape[2:]
    for i, j in np.ndindex(call.weight.shape[2:]):
        at = np.s_[:, :, i : i + call.stride * oh : call.stride, j : j + call.stride * ow : call.stride]
        part = np.einsum("nkyz,kc->ncyz", call.dout, call.weight[:, :, i, j])
        dsheet[at] = part[:, :, : dsheet[at].shape[2], : dsheet[at].shape[3]]
    return _cut(dsheet, call.x, call.padding)


def dx_without_padding(call: Call) -> Array:
    """Windows of dx and not of a sheet: they are cut at the edge."""
    dx = np.zeros_like(call.x)
    for y, z, window in _windows(call.dout, dx, call.weight, call.stride):
        window += np.einsum("nk,kcij->ncij", call.dout[:, :, y, z], call.weight)
    return dx


def padded_by_one(call: Call) -> Gradients:
    """A sheet with one line and column of zeros on each side, whatever the padding. Raises ValueError where windows are cut."""
    dsheet = np.zeros_like(padded(call.x, 1))
    for y, z, window in _windows(call.dout, dsheet, call.weight, call.stride):
        window += np.einsum("nk,kcij->ncij", call.dout[:, :, y, z], call.weight)
    return _cut(dsheet, call.x, 1), sum_over_windows(call, padded(call.x, 1), call.stride), call.right()[2]


def dout_not_spread_apart(call: Call) -> Array:
    """The full correlation of dout with the kernels turned round, without zeros between the elements of dout."""
    (n, _, oh, ow), (_, c, kh, kw) = call.dout.shape, call.weight.shape
    small = np.zeros((n, c, oh + kh - 1 - 2 * call.padding, ow + kw - 1 - 2 * call.padding))
    return call.right(x=small, stride=1)[0]


def sum_over_windows(call: Call, sheet: Array, stride: int) -> Array:
    """dweight from other windows. Raises ValueError where they are cut at the edge."""
    dweight = np.zeros_like(call.weight)
    for y, z, window in _windows(call.dout, sheet, call.weight, stride):
        dweight += np.einsum("nk,ncij->kcij", call.dout[:, :, y, z], window)
    return dweight


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


def windows_kh_by_kh(call: Call) -> Gradients:
    """A square window and a kernel that is not square."""
    kh = call.weight.shape[2]
    np.zeros((kh, kh)) * call.weight[0, 0]  # raises ValueError where the kernel is not square
    return call.right()


def filters_first(dout: Array) -> Array:
    """dout.reshape(K, -1) in place of the filters moved to the front."""
    n, k, oh, ow = dout.shape
    return dout.reshape(k, n, oh, ow).swapaxes(0, 1)


def filters_last(dout: Array) -> Array:
    """dout.reshape(-1, K) in place of the filters moved to the end."""
    n, k, oh, ow = dout.shape
    return dout.reshape(n, oh, ow, k).transpose(0, 3, 1, 2)


def groups_not_used(call: Call) -> Gradients:
    call.weight + call.x[:1, :, :1, :1]  # raises ValueError where there are several groups
    return call.right()


def in_the_first_group(call: Call) -> Gradients:
    """Every group reads and writes the first C / G channels."""
    dx, first = np.zeros_like(call.x), call.x[:, : call.weight.shape[1]]
    dx[:, : call.weight.shape[1]], dweight, dbias = call.right(x=first, groups=1)
    return dx, dweight, dbias


def dealt_out(number: int, groups: int) -> tuple[Array, Array]:
    """The order in which the number i belongs to group i % G, and the order that undoes it."""
    order = np.argsort(np.arange(number) % groups, kind="stable")
    return order, np.argsort(order)


def filters_dealt_out(call: Call) -> Gradients:
    """Filter k belongs to group k % G."""
    order, back = dealt_out(len(call.weight), call.groups)
    dx, dweight, dbias = call.right(dout=call.dout[:, order], weight=call.weight[order])
    return dx, dweight[back], dbias[back]


def channels_dealt_out(call: Call) -> Gradients:
    """Group g reads the channels g, g + G, g + 2 G ..."""
    order, back = dealt_out(call.x.shape[1], call.groups)
    dx, dweight, dbias = call.right(x=call.x[:, order])
    return dx[:, back], dweight, dbias


NO_PADDING = (
    ((2, 12, 8, 9), (6, 4, 3, 2), 2, 0, 3), ((4, 6, 9, 10), (9, 2, 4, 3), 3, 0, 3),
    ((2, 9, 7, 11), (6, 3, 2, 4), 2, 0, 3), ((3, 8, 10, 7), (12, 2, 4, 3), 2, 0, 4),
)  # fmt: skip


def probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `conv_backward`, in whole numbers, so that one gradient can be computed by hand."""
    says = {"conv1": "padding 0 and stride {stride}, as in AlexNet's conv1"}
    return [_probe(rng, key, says.get(key, text), *sets[sizes]) for key, (text, sets) in CALLS.items()]


def group_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `conv_backward_groups`."""
    return [
        _probe(rng, "one group", "one group", *CALLS["oblong"][1][sizes], 1),
        _probe(rng, "groups", "{groups} groups", *GROUPS[sizes]),
        _probe(rng, "padding 0", "{groups} groups and padding 0", *NO_PADDING[sizes]),
    ]


def _probe(
    rng: np.random.Generator, key: str, says: str, x: tuple[int, ...], weight: tuple[int, ...], stride: int, padding: int, groups: int = 0
) -> Probe:
    images, filters = whole(rng, x), whole(rng, weight)
    dout = whole(rng, (x[0], weight[0], *sizes(images, filters, stride, padding)))
    given = {"dout": dout, "x": images, "weight": filters, "stride": stride, "padding": padding}
    return Probe(key, says, given | ({"groups": groups} if groups else {}))


ADDS = "oreilly-japan/deep-learning-from-scratch#27"
REST = "microsoft/onnxscript#1707"
CHANNEL = "NervanaSystems/neon#111"
TRANSPOSED = "nntrainer/nntrainer#705"
FORWARD = Forward(
    "E04", "conv_forward", {"dx": "x", "dweight": "weight", "dbias": "bias"},
    lambda dout, x, weight, stride, padding, groups=1: {
        "x": x, "weight": weight, "bias": np.zeros(len(weight)), "stride": stride, "padding": padding, "groups": groups},
)  # fmt: skip
E05 = Exercise("E05", "convolution, backward", "03", 35, (
    Function("conv_backward", conv_backward, ("dx", "dweight", "dbias"), probes, (
        Mistake("cut from the end", _dx(lambda c: c.dsheet[:, :, c.padding : -c.padding, c.padding : -c.padding]), COUNTED, (42, 88)),
        Mistake("cut from the end into dx",
                _dx(lambda c: into_dx(c, c.dsheet[:, :, c.padding : -c.padding, c.padding : -c.padding])), COUNTED, (42, 88)),
        Mistake("cut by one", _dx(lambda c: c.dsheet[:, :, 1:-1, 1:-1]), COUNTED, (4, 88)),
        Mistake("cut by one into dx", _dx(lambda c: into_dx(c, c.dsheet[:, :, 1:-1, 1:-1])), COUNTED, (4, 88)),
        Mistake("nothing written", _all(lambda c: (0 * c.x, 0 * c.weight, np.zeros(len(c.weight)))), COUNTED),
        Mistake("windows overwrite", _dx(windows_overwrite), ADDS),
        Mistake("windows overwrite/columns first", _dx(lambda c: windows_overwrite(c, True)), ADDS),
        Mistake("windows of the last filter",
                _dx(lambda c: windows_overwrite(c._replace(dout=c.dout[:, -1:], weight=c.weight[-1:]))), ADDS),
        Mistake("cells overwrite", _dx(cells_overwrite), ADDS),
        Mistake("dx of the last filter", _dx(lambda c: c.right(dout=c.dout[:, -1:], weight=c.weight[-1:])[0]), "inferred"),
        Mistake("dx of the last window", _dx(lambda c: c.right(dout=c.last(..., -1, -1))[0]), "inferred"),
        Mistake("rest missing", _dx(lambda c: c.inside(c.reached())), REST),
        Mistake("rest cut off", _dx(lambda c: _cut(c.reached(), c.x, c.padding)), REST),
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
        Mistake("corner of the sheet", _dx(lambda c: _cut(c.dsheet, c.x, 0)), "inferred"),
        Mistake("cut by the height", _dx(cut_by_the_height), "inferred"),
        Mistake("dx with steps of one", _dx(lambda c: _cut(c._replace(stride=1).dsheet, c.x, c.padding)), "inferred"),
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
        Mistake("windows KH by KH", _all(windows_kh_by_kh), "inferred"),
        Mistake("dweight of the last window", _dweight(lambda c: c.right(dout=c.last(..., -1, -1))[1]), "inferred"),
        Mistake("dweight of the last window and image", _dweight(lambda c: c.right(dout=c.last(-1, ..., -1, -1))[1]), "inferred"),
        Mistake("dweight of the last image", _dweight(lambda c: c.right(dout=c.dout[-1:], x=c.x[-1:])[1]), "inferred",
                given=lambda dout, x, **_: {"dout": dout[-1:], "x": x[-1:]}),
        Mistake("dweight with steps of one", _dweight(lambda c: sum_over_windows(c, padded(c.x, c.padding), 1)), "inferred"),
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
    ), linear=("dout",), forward=FORWARD),
    Function("conv_backward_groups", conv_backward_groups, ("dx", "dweight", "dbias"), group_probes, (
        Mistake("first group alone", _grouped(lambda c: c.right(dout=c.last(np.s_[:], np.s_[: len(c.weight) // c.groups]))), "inferred"),
        Mistake("last group alone", _grouped(lambda c: c.right(dout=c.last(np.s_[:], np.s_[-len(c.weight) // c.groups :]))), "inferred"),
        Mistake("channels of the first group", _grouped(in_the_first_group), "inferred"),
        Mistake("dx of the groups added",  # dx of the shape (N, C / G, H, W)
                _grouped(lambda c: (sum(np.split(c.right()[0], c.groups, 1)), *c.right()[1:])), "inferred"),
        Mistake("groups not used", _grouped(groups_not_used), "apache/mxnet#3348"),
        Mistake("filters dealt out", _grouped(filters_dealt_out), "inferred"),
        Mistake("channels dealt out", _grouped(channels_dealt_out), "inferred"),
        Mistake("dweight side by side",
                _grouped(lambda c: (c.right()[0], np.concatenate(np.split(c.right()[1], c.groups), 1), c.right()[2])), "inferred"),
        Mistake("groups stacked", _grouped(lambda c: (stacked(c.right()[0], c.groups), *c.right()[1:])), "inferred"),
        Mistake("over the groups", _grouped(lambda c: tuple(gradient / c.groups for gradient in c.right())), "inferred"),
        Mistake("groups cut from the end",
                _grouped(lambda c: (c.right()[0] if c.padding else c.x[:, :, :0, :0], *c.right()[1:])), "inferred"),
    ), linear=("dout",), forward=FORWARD),
))  # fmt: skip
