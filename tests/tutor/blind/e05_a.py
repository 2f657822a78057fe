# MISTAKE in conv_backward: dx is computed as a full convolution of the spread-out dout with the turned kernel, but
# weight[:, :, ::-1] turns it only upside down and not left to right.
# TEACHER: In dx your kernel is turned upside down but not left to right: turn both axes, weight[:, :, ::-1, ::-1].
import numpy as np


def conv_backward(dout, x, weight, stride, padding):
    n_images, channels, height, width = x.shape
    filters, _, kh, kw = weight.shape
    oh, ow = dout.shape[2:]
    sheet = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dweight = np.zeros(weight.shape)
    for i in range(kh):
        for j in range(kw):
            part = sheet[:, :, i:i + stride * (oh - 1) + 1:stride, j:j + stride * (ow - 1) + 1:stride]
            dweight[:, :, i, j] = np.einsum("nkyz,ncyz->kc", dout, part)
    # zeros between the numbers of dout, and kernel - 1 zeros around
    spread = np.zeros((n_images, filters, sheet.shape[2] + kh - 1, sheet.shape[3] + kw - 1))
    spread[:, :, kh - 1:kh + stride * (oh - 1):stride, kw - 1:kw + stride * (ow - 1):stride] = dout
    turned = weight[:, :, ::-1]
    dsheet = np.zeros(sheet.shape)
    for y in range(sheet.shape[2]):
        for z in range(sheet.shape[3]):
            dsheet[:, :, y, z] = np.einsum("nkij,kcij->nc", spread[:, :, y:y + kh, z:z + kw], turned)
    dx = dsheet[:, :, padding:padding + height, padding:padding + width].copy()
    return dx, dweight, dout.sum(axis=(0, 2, 3))


def conv_backward_groups(dout, x, weight, stride, padding, groups):
    dx, dweight, dbias = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(weight.shape[0])
    kg, cg = weight.shape[0] // groups, weight.shape[1]
    for g in range(groups):
        ks, cs = slice(g * kg, (g + 1) * kg), slice(g * cg, (g + 1) * cg)
        dx[:, cs], dweight[ks], dbias[ks] = conv_backward(dout[:, ks], x[:, cs], weight[ks], stride, padding)
    return dx, dweight, dbias
