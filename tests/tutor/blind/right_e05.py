import numpy as np


def conv_backward(dout, x, weight, stride, padding):
    height, width = x.shape[2:]
    kh, kw = weight.shape[2:]
    oh, ow = dout.shape[2:]
    sheet = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dsheet = np.zeros(sheet.shape)
    dweight = np.zeros(weight.shape)
    for i in range(kh):
        for j in range(kw):
            rows, cols = slice(i, i + stride * oh, stride), slice(j, j + stride * ow, stride)
            # i + stride * oh may lie past the sheet; a slice stops there by itself, at the same count of lines
            dweight[:, :, i, j] = np.einsum("nkyz,ncyz->kc", dout, sheet[:, :, rows, cols])
            dsheet[:, :, rows, cols] += np.einsum("nkyz,kc->ncyz", dout, weight[:, :, i, j])
    dx = dsheet[:, :, padding:padding + height, padding:padding + width].copy()
    return dx, dweight, dout.sum(axis=(0, 2, 3))


def conv_backward_groups(dout, x, weight, stride, padding, groups):
    dx, dweight, dbias = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(weight.shape[0])
    kg, cg = weight.shape[0] // groups, weight.shape[1]
    for g in range(groups):
        ks, cs = slice(g * kg, (g + 1) * kg), slice(g * cg, (g + 1) * cg)
        dx[:, cs], dweight[ks], dbias[ks] = conv_backward(dout[:, ks], x[:, cs], weight[ks], stride, padding)
    return dx, dweight, dbias
