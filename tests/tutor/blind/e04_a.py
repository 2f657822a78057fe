# MISTAKE in conv_forward: Filter k is put into group k % G (dealt out like cards) where the parts are consecutive: k //
# (K / G).
# TEACHER: You deal the filters out to the groups in turn; the parts are consecutive: filter k belongs to part k // (K //
# G).
import numpy as np


def conv_forward(x, weight, bias, stride, padding, groups):
    n_images, channels, height, width = x.shape
    filters, part, kh, kw = weight.shape
    sheet = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    oh = (height + 2 * padding - kh) // stride + 1
    ow = (width + 2 * padding - kw) // stride + 1
    out = np.zeros((n_images, filters, oh, ow))
    for k in range(filters):
        first = k % groups * part
        for y in range(oh):
            for z in range(ow):
                window = sheet[:, first:first + part, y * stride:y * stride + kh, z * stride:z * stride + kw]
                out[:, k, y, z] = (window * weight[k]).sum(axis=(1, 2, 3)) + bias[k]
    return out
