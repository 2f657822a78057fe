# MISTAKE in conv_forward: The loops run over range(0, sheet height - KH, stride): the + 1 is missing, so the last window
# is never filled when it ends exactly at the edge; its output stays 0.
# TEACHER: Your loop stops one window early: the last line and the last column of out are still the zeros that you began
# with.
import numpy as np


def conv_forward(x, weight, bias, stride, padding, groups):
    n_images, channels, height, width = x.shape
    filters, part, kh, kw = weight.shape
    sheet = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    oh = (height + 2 * padding - kh) // stride + 1
    ow = (width + 2 * padding - kw) // stride + 1
    out = np.zeros((n_images, filters, oh, ow))
    per_group = filters // groups
    for k in range(filters):
        first = k // per_group * part
        for top in range(0, sheet.shape[2] - kh, stride):
            for left in range(0, sheet.shape[3] - kw, stride):
                window = sheet[:, first:first + part, top:top + kh, left:left + kw]
                out[:, k, top // stride, left // stride] = (window * weight[k]).sum(axis=(1, 2, 3)) + bias[k]
    return out
