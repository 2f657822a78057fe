"""The backward pass of E05: convolution (paper 3.5), also with groups (paper 3.2), and the calls it is tried with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Probe
from tinyalex.tutor.exercises.e04_forward import CALLS, GROUPS, padded, sizes, whole

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
    for y, z, window in windows_of(dout, padded(x, padding), weight, stride):
        dweight += np.einsum("nk,ncij->kcij", dout[:, :, y, z], window)
    return image_of(sheet_of(dout, x, weight, stride, padding), x, padding), dweight, dout.sum((0, 2, 3))


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


def windows_of(dout: Array, sheet: Array, weight: Array, stride: int) -> Iterator[tuple[int, int, Array]]:
    """Every window of the sheet, as a view (N, C, KH, KW), with its line and column in dout."""
    kh, kw = weight.shape[2:]
    for y, z in np.ndindex(dout.shape[2:]):
        yield y, z, sheet[:, :, y * stride : y * stride + kh, z * stride : z * stride + kw]


def sheet_of(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """The gradient with respect to the sheet: x with its padding."""
    dsheet = np.zeros_like(padded(x, padding))
    for y, z, window in windows_of(dout, dsheet, weight, stride):
        window += np.einsum("nk,kcij->ncij", dout[:, :, y, z], weight)
    return dsheet


def image_of(dsheet: Array, x: Array, padding: int) -> Array:
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
        return sheet_of(*self[:5])

    def reached(self) -> Array:
        """The part of dsheet that the windows reach: the last lines and columns may be missing."""
        (oh, ow), (kh, kw) = self.dout.shape[2:], self.weight.shape[2:]
        return self.dsheet[:, :, : (oh - 1) * self.stride + kh, : (ow - 1) * self.stride + kw]

    def inside(self, sheet: Array) -> Array:
        """A sheet without `padding` lines and columns on each of its sides."""
        p, (h, w) = self.padding, sheet.shape[2:]
        return sheet[:, :, p : h - p, p : w - p]


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
