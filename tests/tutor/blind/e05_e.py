# MISTAKE in conv_backward_groups: filters of a group sliced by C/G not K/G.
# TEACHER: There are K/G filters in a group, C/G channels; right only if C = K.
import numpy as np


def conv_backward(dout, x, weight, stride, padding):
    N, C, H, W = x.shape
    K, _, KH, KW = weight.shape
    OH, OW = dout.shape[2:]
    sheet = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dsheet = np.zeros(sheet.shape)
    dweight = np.zeros(weight.shape)
    for y in range(OH):
        for z in range(OW):
            d = dout[:, :, y, z]
            rows = slice(y * stride, y * stride + KH)
            cols = slice(z * stride, z * stride + KW)
            dweight += np.einsum('nk,ncij->kcij', d, sheet[:, :, rows, cols])
            dsheet[:, :, rows, cols] += np.einsum('nk,kcij->ncij', d, weight)
    dx = dsheet[:, :, padding:padding + H, padding:padding + W].copy()
    return dx, dweight, dout.sum(axis=(0, 2, 3))


def conv_backward_groups(dout, x, weight, stride, padding, groups):
    cg = x.shape[1] // groups
    dx = np.zeros(x.shape)
    dweight = np.zeros(weight.shape)
    dbias = np.zeros(weight.shape[0])
    for g in range(groups):
        s = slice(g * cg, (g + 1) * cg)
        dxg, dwg, dbg = conv_backward(dout[:, s], x[:, s], weight[s], stride, padding)
        dx[:, s] = dxg
        dweight[s] = dwg
        dbias[s] = dbg
    return dx, dweight, dbias
