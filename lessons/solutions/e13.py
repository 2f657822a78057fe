"""E13: batch normalization, backward, as lesson 15 derives it."""


def batch_norm_backward(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))  # weight is used at every place of its channel
    dbias = dout.sum(axis=(0, 2, 3))
    center, along = dbias[:, None, None] / m, y * dweight[:, None, None] / m  # through the mean, and through the variance
    return (s * weight)[:, None, None] * (dout - center - along), dweight, dbias
