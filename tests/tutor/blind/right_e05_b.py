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
