"""E04 in other styles: single loops, im2col and a matrix product, strided views, einsum, a shift for each cell, the engine."""

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from lessons.solutions.e04 import conv_forward as solution
from tinyalex.geometry import windows_of
from tinyalex.layers.conv import conv2d


def size(n, kernel, stride, padding):
    return (n + 2 * padding - kernel) // stride + 1


def pad(x, p):
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), mode="constant")


def loops(x, weight, bias, stride, padding, groups):
    """A loop for every index of the equation."""
    (n, _, h, w), (k, cg, kh, kw) = x.shape, weight.shape
    out = np.empty((n, k, size(h, kh, stride, padding), size(w, kw, stride, padding)))
    for b, f, y, z in np.ndindex(out.shape):
        total = bias[f]
        for q in range(cg):
            for i in range(kh):
                for j in range(kw):
                    line, column = y * stride + i - padding, z * stride + j - padding
                    if 0 <= line < h and 0 <= column < w:
                        total = total + x[b, f // (k // groups) * cg + q, line, column] * weight[f, q, i, j]
        out[b, f, y, z] = total
    return out


def matrix_product(x, weight, bias, stride, padding, groups):
    """im2col by a loop over windows, one product a group, then the axes in order."""
    n, k, (cg, kh, kw) = len(x), len(weight), weight.shape[1:]
    oh, ow = size(x.shape[2], kh, stride, padding), size(x.shape[3], kw, stride, padding)
    sheet, outs = pad(x, padding), []
    for group in range(groups):
        part = sheet[:, group * cg : (group + 1) * cg]
        filters = weight[group * k // groups : (group + 1) * k // groups].reshape(k // groups, -1)
        rows = [
            part[:, :, y * stride : y * stride + kh, z * stride : z * stride + kw].reshape(n, -1) for y in range(oh) for z in range(ow)
        ]
        product = np.stack(rows, 1).reshape(n * oh * ow, -1) @ filters.T
        outs.append(product.reshape(n, oh, ow, -1).transpose(0, 3, 1, 2))
    return np.concatenate(outs, 1) + bias.reshape(1, -1, 1, 1)


def strided(x, weight, bias, stride, padding, groups):
    """Views by as_strided, one tensordot a group."""
    sheet, (kh, kw) = pad(x, padding), weight.shape[2:]
    n, c = x.shape[:2]
    oh, ow = size(x.shape[2], kh, stride, padding), size(x.shape[3], kw, stride, padding)
    s = sheet.strides
    views = as_strided(sheet, (n, c, oh, ow, kh, kw), (s[0], s[1], s[2] * stride, s[3] * stride, s[2], s[3]))
    parts = zip(np.split(views, groups, 1), np.split(weight, groups), strict=True)
    out = np.concatenate([np.tensordot(v, f, ((1, 4, 5), (1, 2, 3))) for v, f in parts], -1) + bias
    return np.ascontiguousarray(out.transpose(0, 3, 1, 2))


def einsum(x, weight, bias, stride, padding, groups):
    n, k, (kh, kw) = len(x), len(weight), weight.shape[2:]
    views = sliding_window_view(pad(x, padding), (kh, kw), (2, 3))[:, :, ::stride, ::stride]
    views = views.reshape(n, groups, -1, *views.shape[2:])
    out = np.einsum("ngcyzij,gkcij->ngkyz", views, weight.reshape(groups, k // groups, -1, kh, kw))
    return out.reshape(n, k, *out.shape[3:]) + bias[None, :, None, None]


def shifts(x, weight, bias, stride, padding, groups):
    """One multiplication for each cell of the kernel, added to the whole output."""
    kh, kw = weight.shape[2:]
    oh, ow = size(x.shape[2], kh, stride, padding), size(x.shape[3], kw, stride, padding)
    out = np.zeros((len(x), len(weight), oh, ow)) + bias[:, np.newaxis, np.newaxis]
    k, c, sheet = len(weight) // groups, weight.shape[1], pad(x, padding)
    for g in range(groups):
        for i in range(kh):
            for j in range(kw):
                cell = sheet[:, g * c : g * c + c, i : i + stride * (oh - 1) + 1 : stride, j : j + stride * (ow - 1) + 1 : stride]
                out[:, g * k : g * k + k] += np.einsum("ncyz,kc->nkyz", cell, weight[g * k : g * k + k, :, i, j])
    return out


def engine(x, weight, bias, stride, padding, groups):
    return conv2d(x, weight, bias, windows_of("conv", x.shape[2:], weight.shape[2:], stride, padding), groups)


STYLES = {"conv_forward": [solution, loops, matrix_product, strided, einsum, shifts, engine]}
