# MISTAKE in conv_forward: bias added once per channel.
# TEACHER: Bias is added C/G times; once is enough; look at where the loop over channels is.
import numpy as np


def conv_forward(x, weight, bias, stride, padding, groups):
    N, C, H, W = x.shape
    K, CG, KH, KW = weight.shape
    OH = (H + 2 * padding - KH) // stride + 1
    OW = (W + 2 * padding - KW) // stride + 1
    sheet = np.zeros((N, C, H + 2 * padding, W + 2 * padding))
    sheet[:, :, padding:padding + H, padding:padding + W] = x
    out = np.zeros((N, K, OH, OW))
    for k in range(K):
        first = (k * groups // K) * (C // groups)
        for c in range(CG):
            image = sheet[:, first + c]
            plane = np.zeros((N, OH, OW))
            for i in range(KH):
                for j in range(KW):
                    plane += weight[k, c, i, j] * image[:, i:i + stride * OH:stride, j:j + stride * OW:stride][:, :OH, :OW]
            out[:, k] += plane + bias[k]
    return out
