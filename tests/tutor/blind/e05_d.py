# MISTAKE in conv_backward: dx by full correlation with the kernel not turned round.
# TEACHER: When sliding the filter over dout, the kernel must be flipped in both axes.
import numpy as np


def conv_backward(dout, x, weight, stride, padding):
    N, C, H, W = x.shape
    K, _, KH, KW = weight.shape
    OH, OW = dout.shape[2:]
    Hp, Wp = H + 2 * padding, W + 2 * padding
    xp = np.zeros((N, C, Hp, Wp))
    xp[:, :, padding:padding + H, padding:padding + W] = x
    dweight = np.zeros(weight.shape)
    for i in range(KH):
        for j in range(KW):
            patch = xp[:, :, i:i + stride * (OH - 1) + 1:stride, j:j + stride * (OW - 1) + 1:stride]
            dweight[:, :, i, j] = np.tensordot(dout, patch, axes=([0, 2, 3], [0, 2, 3]))
    dbias = dout.sum(axis=(0, 2, 3))
    # dx: put stride - 1 zeros between the numbers of dout, KH - 1 zeros around it, and slide the filters over it
    wide = np.zeros((N, K, Hp + KH - 1, Wp + KW - 1))
    wide[:, :, KH - 1:KH - 1 + stride * (OH - 1) + 1:stride, KW - 1:KW - 1 + stride * (OW - 1) + 1:stride] = dout
    dxp = np.zeros((N, C, Hp, Wp))
    for y in range(Hp):
        for z in range(Wp):
            dxp[:, :, y, z] = np.tensordot(wide[:, :, y:y + KH, z:z + KW], weight, axes=([1, 2, 3], [0, 2, 3]))
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
