import numpy as np


def conv_forward(x, weight, bias, stride, padding, groups):
    N, C, H, W = x.shape
    K, CG, KH, KW = weight.shape
    sheet = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    OH = (H + 2 * padding - KH) // stride + 1
    OW = (W + 2 * padding - KW) // stride + 1
    out = np.zeros((N, K, OH, OW))
    KG = K // groups
    for g in range(groups):
        part = sheet[:, g * CG:(g + 1) * CG]
        filters = weight[g * KG:(g + 1) * KG]
        for y in range(OH):
            for z in range(OW):
                window = part[:, :, y * stride:y * stride + KH, z * stride:z * stride + KW]
                out[:, g * KG:(g + 1) * KG, y, z] = np.einsum('ncij,kcij->nk', window, filters)
    return out + bias[None, :, None, None]
