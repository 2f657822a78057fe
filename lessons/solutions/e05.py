"""E05: convolution, backward, the gradients of what section 3.5 of the paper uses; with groups, of section 3.2."""

import numpy as np


def conv_backward(dout, x, weight, stride, padding):
    n, c, h, w = x.shape
    kh, kw = weight.shape[2:]

    # The sheet that the windows of the forward pass slid over, and a sheet of zeros for its gradient.
    sheet = np.zeros((n, c, h + 2 * padding, w + 2 * padding), x.dtype)
    sheet[:, :, padding : padding + h, padding : padding + w] = x
    dsheet, dweight = np.zeros_like(sheet), np.zeros_like(weight)

    for f in range(dout.shape[1]):
        for y in range(dout.shape[2]):
            for z in range(dout.shape[3]):
                at = np.s_[:, :, y * stride : y * stride + kh, z * stride : z * stride + kw]  # the window of all images
                d = dout[:, f, y, z].reshape(n, 1, 1, 1)  # how much the loss grows with this output, one number an image
                # The output is a sum of weight * pixel: each of the two gets the other one times d. Both were used in
                # other windows as well, so the gradients are added.
                dweight[f] += (d * sheet[at]).sum(axis=0)
                dsheet[at] += d * weight[f]

    # Each bias was added to every output of its filter.
    dbias = dout.sum(axis=(0, 2, 3))

    # The border is cut from the front and then as long as x is. `padding:-padding` would be empty with padding 0.
    dx = dsheet[:, :, padding : padding + h, padding : padding + w]
    return dx, dweight, dbias


def conv_backward_groups(dout, x, weight, stride, padding, groups):
    c, k = x.shape[1] // groups, len(weight) // groups  # channels and filters of a group
    dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros(len(weight), x.dtype)
    for g in range(groups):
        channels, filters = slice(g * c, (g + 1) * c), slice(g * k, (g + 1) * k)
        # A group is a convolution of its own: nobody else sees its channels or uses its filters.
        parts = conv_backward(dout[:, filters], x[:, channels], weight[filters], stride, padding)
        dx[:, channels], dweight[filters], dbias[filters] = parts
    return dx, dweight, dbias
