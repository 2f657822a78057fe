# MISTAKE in conv_backward_groups: The dx of the groups are stacked, (G, N, C / G, H, W), and reshaped to (N, C, H, W)
# without moving the axis of groups behind N: images and groups are mixed. Right for N = 1 or G = 1.
# TEACHER: You reshape (G, N, C/G, H, W) to (N, C, H, W), which mixes images with groups; join the parts along the
# channels: np.concatenate(parts, axis=1).
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
    parts = [
        conv_backward(d, a, w, stride, padding)
        for d, a, w in zip(np.split(dout, groups, axis=1), np.split(x, groups, axis=1), np.split(weight, groups), strict=True)
    ]
    dx = np.stack([part[0] for part in parts]).reshape(x.shape)
    dweight = np.stack([part[1] for part in parts]).reshape(weight.shape)
    dbias = np.stack([part[2] for part in parts]).reshape(-1)
    return dx, dweight, dbias
