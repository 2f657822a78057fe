"""E04: convolution, forward, as section 3.5 of the paper uses it."""

import numpy as np


def conv_forward(x, weight, bias, stride, padding, groups):
    n, c, h, w = x.shape
    k, _, kh, kw = weight.shape

    # The sheet that the windows slide over: zeros, with the image in the middle.
    sheet = np.zeros((n, c, h + 2 * padding, w + 2 * padding), x.dtype)
    sheet[:, :, padding : padding + h, padding : padding + w] = x

    # Only windows that lie wholly on the sheet: the division is rounded down.
    oh = (h + 2 * padding - kh) // stride + 1
    ow = (w + 2 * padding - kw) // stride + 1
    out = np.zeros((n, k, oh, ow), x.dtype)

    for f in range(k):
        # The group of this filter, and the channels that the group sees.
        group = f // (k // groups)
        first, last = group * (c // groups), (group + 1) * (c // groups)
        for y in range(oh):
            for z in range(ow):
                # The stride moves where a window begins; its size is the kernel's.
                top, left = y * stride, z * stride
                window = sheet[:, first:last, top : top + kh, left : left + kw]  # (N, C / G, KH, KW)
                # One number for each image: products summed over channels, lines and columns, and the bias once.
                out[:, f, y, z] = (window * weight[f]).sum(axis=(1, 2, 3)) + bias[f]
    return out
