# MISTAKE in conv_backward: dx cut from the covered part only; shape too small where last lines are reached by no window.
# TEACHER: dx is smaller than x where windows don't reach the edge; make the sheet H + 2p.
import numpy as np


def conv_backward(dout, x, weight, stride, padding):
    N, C, H, W = x.shape
    K, _, KH, KW = weight.shape
    OH, OW = dout.shape[2], dout.shape[3]
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    # the part of the sheet that the windows cover
    dxp = np.zeros((N, C, stride * (OH - 1) + KH, stride * (OW - 1) + KW))
    dweight = np.zeros(weight.shape)
    for i in range(KH):
        for j in range(KW):
            rows = slice(i, i + stride * (OH - 1) + 1, stride)
            cols = slice(j, j + stride * (OW - 1) + 1, stride)
            dweight[:, :, i, j] = np.einsum('nkyz,ncyz->kc', dout, xp[:, :, rows, cols])
            dxp[:, :, rows, cols] += np.einsum('nkyz,kc->ncyz', dout, weight[:, :, i, j])
    dbias = dout.sum(axis=(0, 2, 3))
    dx = dxp[:, :, padding:padding + H, padding:padding + W].copy()
    return dx, dweight, dbias


def conv_backward_groups(dout, x, weight, stride, padding, groups):
    K, CG = weight.shape[:2]
    KG = K // groups
    dx = np.zeros(x.shape)
    dweight = np.zeros(weight.shape)
    dbias = np.zeros(K)
    for g in range(groups):
        c = slice(g * CG, (g + 1) * CG)
        k = slice(g * KG, (g + 1) * KG)
        dx[:, c], dweight[k], dbias[k] = conv_backward(dout[:, k], x[:, c], weight[k], stride, padding)
    return dx, dweight, dbias
