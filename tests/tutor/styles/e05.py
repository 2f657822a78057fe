"""E05 in other styles: a loop for every index, im2col and col2im, strided views, full correlation, einsum, the engine."""

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from lessons.solutions.e05 import conv_backward as solution, conv_backward_groups as solution_groups
from tinyalex.geometry import windows_of
from tinyalex.layers.conv import conv2d_backward


def pad(x, p):
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), mode="constant")


def loops(dout, x, weight, stride, padding):
    """A loop for every index but the images; no sheet: pixels outside of the image are passed over."""
    dx, dweight, dbias = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(len(weight))
    k, c, kh, kw = weight.shape
    for f, y, z in np.ndindex(dout.shape[1:]):
        dbias[f] += dout[:, f, y, z].sum()
        for q, i, j in np.ndindex(c, kh, kw):
            line, column = stride * y + i - padding, stride * z + j - padding
            if 0 <= line < x.shape[2] and 0 <= column < x.shape[3]:
                dx[:, q, line, column] += weight[f, q, i, j] * dout[:, f, y, z]
                dweight[f, q, i, j] += (x[:, q, line, column] * dout[:, f, y, z]).sum()
    return dx, dweight, dbias


def columns(dout, x, weight, stride, padding):
    """im2col, two matrix products, col2im."""
    (n, k, oh, ow), (_, c, h, w), (kh, kw) = dout.shape, x.shape, weight.shape[2:]
    sheet = pad(x, padding)
    col = np.empty((n, c, kh, kw, oh, ow))
    for i in range(kh):
        for j in range(kw):
            col[:, :, i, j] = sheet[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride][:, :, :oh, :ow]
    col = col.transpose(0, 4, 5, 1, 2, 3).reshape(n * oh * ow, -1)
    d = dout.transpose(0, 2, 3, 1).reshape(-1, k)
    dcol = (d @ weight.reshape(k, -1)).reshape(n, oh, ow, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    back = np.zeros((n, c, h + 2 * padding + stride - 1, w + 2 * padding + stride - 1))
    for i in range(kh):
        for j in range(kw):
            back[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride] += dcol[:, :, i, j]
    return back[:, :, padding : h + padding, padding : w + padding], (d.T @ col).reshape(weight.shape), d.sum(axis=0)


def strided(dout, x, weight, stride, padding):
    """Views of windows by as_strided for dweight; windows of dsheet are added to one after the other."""
    sheet, (kh, kw) = pad(x, padding), weight.shape[2:]
    s, (n, c), (oh, ow) = sheet.strides, x.shape[:2], dout.shape[2:]
    views = as_strided(sheet, (n, c, oh, ow, kh, kw), (s[0], s[1], s[2] * stride, s[3] * stride, s[2], s[3]), writeable=False)
    dweight = np.tensordot(dout, views, ((0, 2, 3), (0, 2, 3)))
    dsheet, dcol = np.zeros_like(sheet), np.tensordot(dout, weight, (1, 0))  # (N, OH, OW, C, KH, KW)
    for b, y, z in np.ndindex(n, oh, ow):
        dsheet[b, :, y * stride : y * stride + kh, z * stride : z * stride + kw] += dcol[b, y, z]
    if padding:
        dsheet = dsheet[:, :, padding:-padding, padding:-padding]
    return dsheet, dweight, dout.sum((0, 2, 3))


def full_correlation(dout, x, weight, stride, padding):
    """dout spread apart by zeros and padded, correlated with the kernels turned round."""
    (n, k, oh, ow), (h, w), (kh, kw) = dout.shape, x.shape[2:], weight.shape[2:]
    apart = np.zeros((n, k, h + 2 * padding + kh - 1, w + 2 * padding + kw - 1))
    apart[:, :, kh - 1 : kh - 1 + stride * oh : stride, kw - 1 : kw - 1 + stride * ow : stride][:, :, :oh, :ow] = dout
    views = sliding_window_view(apart, (kh, kw), (2, 3))
    dsheet = np.einsum("nkyzij,kcij->ncyz", views, weight[:, :, ::-1, ::-1])
    seen = sliding_window_view(pad(x, padding), (kh, kw), (2, 3))[:, :, ::stride, ::stride]
    dweight = np.einsum("nkyz,ncyzij->kcij", dout, seen)
    return dsheet[:, :, padding : padding + h, padding : padding + w], dweight, np.einsum("nkyz->k", dout)


def add_at(dout, x, weight, stride, padding):
    """Indices of every cell of every window, np.add.at for the sum."""
    (kh, kw), (oh, ow) = weight.shape[2:], dout.shape[2:]
    lines = (stride * np.arange(oh))[:, None, None, None] + np.arange(kh)[None, None, :, None]
    places = (stride * np.arange(ow))[None, :, None, None] + np.arange(kw)[None, None, None, :]
    sheet = pad(x, padding)
    dweight = np.einsum("nkyz,ncyzij->kcij", dout, sheet[:, :, lines, places], optimize=True)
    dsheet = np.zeros(sheet.shape)
    np.add.at(dsheet, (slice(None), slice(None), lines, places), np.einsum("nkyz,kcij->ncyzij", dout, weight))
    return dsheet[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]], dweight, dout.sum(3).sum(2).sum(0)


def engine(dout, x, weight, stride, padding):
    return conv2d_backward(x, weight, dout, windows_of("conv", x.shape[2:], weight.shape[2:], stride, padding))


def in_turn(back):
    """The groups one after the other, each by a backward pass without groups."""

    def grouped(dout, x, weight, stride, padding, groups):
        parts = zip(np.split(dout, groups, 1), np.split(x, groups, 1), np.split(weight, groups), strict=True)
        dx, dweight, dbias = zip(*[back(*part, stride, padding) for part in parts], strict=True)
        return np.concatenate(dx, 1), np.concatenate(dweight), np.concatenate(dbias)

    grouped.__name__ = f"{back.__name__}_in_turn"
    return grouped


def whole_filters(dout, x, weight, stride, padding, groups):
    """Filters of all C channels, zero where a filter sees nothing; the blocks are cut from dweight afterwards."""
    k, c = len(weight) // groups, weight.shape[1]
    full = np.zeros((len(weight), x.shape[1], *weight.shape[2:]))
    for g in range(groups):
        full[g * k : (g + 1) * k, g * c : (g + 1) * c] = weight[g * k : (g + 1) * k]
    dx, dfull, dbias = columns(dout, x, full, stride, padding)
    return dx, np.concatenate([dfull[g * k : (g + 1) * k, g * c : (g + 1) * c] for g in range(groups)]), dbias


def engine_groups(dout, x, weight, stride, padding, groups):
    return conv2d_backward(x, weight, dout, windows_of("conv", x.shape[2:], weight.shape[2:], stride, padding), groups)


STYLES = {
    "conv_backward": [solution, loops, columns, strided, full_correlation, add_at, engine],
    "conv_backward_groups": [solution_groups, in_turn(columns), in_turn(full_correlation), whole_filters, engine_groups],
}
