# MISTAKE in conv_forward: np.pad(x, padding) pads the image and channel axes too; image 0 is then zeros.
# TEACHER: You pad all four axes; right for padding 0.
import numpy as np


def conv_forward(x, weight, bias, stride, padding, groups):
    N, C, H, W = x.shape
    K, CG, KH, KW = weight.shape
    sheet = np.pad(x, padding)
    OH = (H + 2 * padding - KH) // stride + 1
    OW = (W + 2 * padding - KW) // stride + 1
    out = np.zeros((N, K, OH, OW))
    for n in range(N):
        for k in range(K):
            first = k // (K // groups) * CG
            for y in range(OH):
                for z in range(OW):
                    window = sheet[n, first:first + CG, stride * y:stride * y + KH, stride * z:stride * z + KW]
                    out[n, k, y, z] = np.sum(window * weight[k]) + bias[k]
    return out
