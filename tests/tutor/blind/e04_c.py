# MISTAKE in conv_forward: the group of filter k is k % groups, not k // (K/groups).
# TEACHER: Groups are cut in order: the first K/G filters belong to group 0; yours go round in turn.
import numpy as np


def conv_forward(x, weight, bias, stride, padding, groups):
    N, C, H, W = x.shape
    K, cg, KH, KW = weight.shape
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    OH = (H + 2 * padding - KH) // stride + 1
    OW = (W + 2 * padding - KW) // stride + 1
    out = np.zeros((N, K, OH, OW))
    for k in range(K):
        g = k % groups
        part = xp[:, g * cg:(g + 1) * cg]
        for y in range(OH):
            for z in range(OW):
                win = part[:, :, y * stride:y * stride + KH, z * stride:z * stride + KW]
                out[:, k, y, z] = (win * weight[k]).sum(axis=(1, 2, 3)) + bias[k]
    return out
