"""Three sets of wrong backward passes of batch normalization (E13), by somebody who had not read the tutor's code for it.

Each has the name of the finding today, what the tutor said at first sight, and what a teacher would say. The second set was written with
the first, and tried only when the tutor had been mended for that. The third was written and tried when it had been mended for both, by
somebody who had read the list of mistakes by then; it looks for what is not on the list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Wrong(NamedTuple):
    """A wrong function; `which` is the set, `now` the key of the finding, `first` how the tutor did before it was mended for the set."""

    which: str
    now: str
    first: str
    teacher: str
    function: Callable[..., Any]


SET: list[Wrong] = []


def wrong(which: str, now: str, first: str, teacher: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def note(function: Callable[..., Any]) -> Callable[..., Any]:
        SET.append(Wrong(which, now, first, teacher, function))
        return function

    return note


@wrong(
    "first", "E13.statistics_constant", "named",
    "You treat mean and s as constants; they depend on x, so two of the three ways are missing.",
)  # fmt: skip
def constants(dout, x, mean, s, weight):
    xhat = (x - mean[None, :, None, None]) * s[None, :, None, None]
    dweight = np.sum(dout * xhat, axis=(0, 2, 3))
    dbias = np.sum(dout, axis=(0, 2, 3))
    return dout * weight[None, :, None, None] * s[None, :, None, None], dweight, dbias


@wrong("first", "E13.mean_path_missing", "named", "The way through the mean is missing: subtract the mean of dout.")
def no_mean(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    m = N * H * W
    xhat = (x - mean.reshape(1, C, 1, 1)) * s.reshape(1, C, 1, 1)
    dgamma = (dout * xhat).sum((0, 2, 3))
    dbeta = dout.sum((0, 2, 3))
    dx = (weight * s).reshape(1, C, 1, 1) * (dout - xhat * dgamma.reshape(1, C, 1, 1) / m)
    return dx, dgamma, dbeta


@wrong("first", "E13.variance_path_missing", "named", "The way through the variance is missing.")
def no_variance(dout, x, mean, s, weight):
    xhat = (x - mean[:, None, None]) * s[:, None, None]
    dgamma, dbeta = (dout * xhat).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    dx = (weight * s)[:, None, None] * (dout - dout.mean(axis=(0, 2, 3), keepdims=True))
    return dx, dgamma, dbeta


@wrong("first", "E13.weight_missing", "named", "weight is missing in dx: out = weight y + bias, so dy = weight dout.")
def no_weight(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dw = np.einsum("nchw,nchw->c", dout, y)
    db = np.einsum("nchw->c", dout)
    return s[:, None, None] * (dout - db[:, None, None] / m - y * dw[:, None, None] / m), dw, db


@wrong(
    "first", "E13.weight_in_the_first_term_alone", "named",
    "weight multiplies only the first of the three terms; it belongs to all of them.",
)  # fmt: skip
def weight_in_the_first_term(dout, x, mean, s, weight):
    y = (x - mean[:, None, None]) * s[:, None, None]
    dy = dout * weight[:, None, None]
    axes = (0, 2, 3)
    dx = s[:, None, None] * (dy - dout.mean(axes, keepdims=True) - y * (dout * y).mean(axes, keepdims=True))
    return dx, (dout * y).sum(axes), dout.sum(axes)


@wrong("first", "E13.dweight_from_x", "named", "dweight needs the normalized y, not x.")
def dweight_of_x(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dx = (s * weight)[:, None, None] * (
        dout - dout.sum(axis=(0, 2, 3), keepdims=True) / m - y * (dout * y).sum(axis=(0, 2, 3), keepdims=True) / m
    )
    return dx, (dout * x).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong("first", "E13.dweight_from_d", "named", "dweight needs y = (x - mean) s; the factor s is missing.")
def dweight_without_s(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    d = x - mean[:, None, None]
    y = d * s[:, None, None]
    dweight = (dout * d).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    dx = (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m)
    return dx, dweight, dbias


@wrong(
    "first", "E13.means_for_sums", "half right",
    "weight is used at m places and its gradients add: sum, not mean (dx is right, for it uses the means).",
)  # fmt: skip
def dweight_is_a_mean(dout, x, mean, s, weight):
    y = (x - mean[:, None, None]) * s[:, None, None]
    a, b = (dout * y).mean(axis=(0, 2, 3)), dout.mean(axis=(0, 2, 3))
    dx = (s * weight)[:, None, None] * (dout - b[:, None, None] - y * a[:, None, None])
    return dx, a, dout.sum(axis=(0, 2, 3))


@wrong("first", "E13.means_for_sums", "half right", "dbias is a sum over all places, not their mean.")
def dbias_is_a_mean(dout, x, mean, s, weight):
    y = (x - mean[:, None, None]) * s[:, None, None]
    a, b = (dout * y).mean(axis=(0, 2, 3)), dout.mean(axis=(0, 2, 3))
    dx = (s * weight)[:, None, None] * (dout - b[:, None, None] - y * a[:, None, None])
    return dx, (dout * y).sum(axis=(0, 2, 3)), b


@wrong("first", "transform.over_N", "named", "dweight and dbias are divided by N; the division is in dout already. (dx is right.)")
def parameters_averaged_over_images(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    y = (x - mean[:, None, None]) * s[:, None, None]
    a, b = (dout * y).mean(axis=(0, 2, 3)), dout.mean(axis=(0, 2, 3))
    dx = (s * weight)[:, None, None] * (dout - b[:, None, None] - y * a[:, None, None])
    return dx, (dout * y).sum(axis=(2, 3)).mean(axis=0), dout.sum(axis=(2, 3)).mean(axis=0)


@wrong("first", "E13.divided_by_N", "named", "m is N H W, the values of a channel, not the number of images N.")
def m_is_n(dout, x, mean, s, weight):
    m = len(x)
    mean, s, weight = mean.reshape(-1, 1, 1), s.reshape(-1, 1, 1), weight.reshape(-1, 1, 1)
    xhat = (x - mean) * s
    dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
    dgamma = (dout * xhat).sum(axis=(0, 2, 3), keepdims=True)
    dx = weight * s / m * (m * dout - dbeta - xhat * dgamma)
    return dx, dgamma.ravel(), dbeta.ravel()


@wrong("first", "E13.divided_by_all", "named", "m is N H W: x.size counts all channels too.")
def m_is_all(dout, x, mean, s, weight):
    m = x.size
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("first", "E13.unbiased", "named", "The variance here is the plain mean of squares: divide by m, not m - 1.")
def m_less_one(dout, x, mean, s, weight):
    m = x.size // x.shape[1] - 1
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("first", "E13.unbiased", "named", "The way through the variance is divided by m - 1; the forward pass divided by m.")
def variance_less_one(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    m = N * H * W
    mu, inv, g = mean.reshape(1, C, 1, 1), s.reshape(1, C, 1, 1), weight.reshape(1, C, 1, 1)
    dxhat = dout * g
    dvar = np.sum(dxhat * (x - mu) * -0.5 * inv**3, axis=(0, 2, 3), keepdims=True)
    dmu = np.sum(-dxhat * inv, axis=(0, 2, 3), keepdims=True)
    dx = dxhat * inv + dvar * 2 * (x - mu) / (m - 1) + dmu / m
    return dx, np.sum(dout * (x - mu) * inv, axis=(0, 2, 3)), np.sum(dout, axis=(0, 2, 3))


@wrong("first", "E13.divided_by_H_W", "named", "m is N H W; you left out the images: H W only.")
def m_is_hw(dout, x, mean, s, weight):
    m = x.shape[2] * x.shape[3]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("first", "E13.not_divided", "named", "dx subtracts the sums themselves; it must be their means, divided by m.")
def sums_not_means(dout, x, mean, s, weight):
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] - y * dweight[:, None, None]), dweight, dbias


@wrong(
    "first", "E13.over_the_channels", "weak symptom",
    "This is layer normalization: your means go over the channels of one image, not over one channel of all images.",
)  # fmt: skip
def layer_norm(dout, x, mean, s, weight):
    y = (x - mean[:, None, None]) * s[:, None, None]
    dy = dout * weight[:, None, None]
    a = dy.mean(axis=(1, 2, 3), keepdims=True)
    b = (dy * y).mean(axis=(1, 2, 3), keepdims=True)
    return s[:, None, None] * (dy - a - y * b), (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong(
    "first", "E13.each_image_by_itself", "named",
    "Your means are of each image by itself (instance normalization); they go over all images of the batch.",
)  # fmt: skip
def instance_norm(dout, x, mean, s, weight):
    y = (x - mean[:, None, None]) * s[:, None, None]
    dy = dout * weight[:, None, None]
    a = dy.mean(axis=(2, 3), keepdims=True)
    b = (dy * y).mean(axis=(2, 3), keepdims=True)
    return s[:, None, None] * (dy - a - y * b), (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong(
    "first", "E13.over_the_images_alone", "named",
    "Your means are over the images alone, for each place; for a convolution they go over the places too.",
)  # fmt: skip
def only_axis_zero(dout, x, mean, s, weight):
    m = x.shape[0]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dy = dout * weight[:, None, None]
    dx = s[:, None, None] / m * (m * dy - dy.sum(axis=0) - y * (dy * y).sum(axis=0))
    return dx, (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong("first", "E13.s_for_the_root", "named", "s is 1 over the root already: multiply by s, do not divide by it.")
def divided_by_s(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    std = s[:, None, None]
    xhat = (x - mean[:, None, None]) / std
    dgamma = (dout * xhat).sum(axis=(0, 2, 3))
    dbeta = dout.sum(axis=(0, 2, 3))
    dx = weight[:, None, None] / std * (dout - dbeta[:, None, None] / m - xhat * dgamma[:, None, None] / m)
    return dx, dgamma, dbeta


@wrong("first", "E13.s_for_the_variance", "weak symptom", "s is not the variance; it is (var + eps)^(-1/2) already. Use it as it is.")
def s_is_the_variance(dout, x, mean, s, weight):
    eps = 1e-5
    m = x.size // x.shape[1]
    inv = 1 / np.sqrt(s[:, None, None] + eps)
    xhat = (x - mean[:, None, None]) * inv
    dgamma = (dout * xhat).sum(axis=(0, 2, 3))
    dbeta = dout.sum(axis=(0, 2, 3))
    dx = weight[:, None, None] * inv * (dout - dbeta[:, None, None] / m - xhat * dgamma[:, None, None] / m)
    return dx, dgamma, dbeta


@wrong(
    "first", "E13.own_s", "named",
    "You compute the variance again and guess eps = 1e-5; s is given and holds the eps of the forward pass.",
)  # fmt: skip
def own_variance(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    inv = 1 / np.sqrt(x.var(axis=(0, 2, 3)) + 1e-5)
    y = (x - mean[:, None, None]) * inv[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (inv * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("first", "E13.d_for_y", "named", "The derivative of (var + eps)^(-1/2) has the power -3/2, which is s^3, not s^2.")
def s_squared(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    m = N * H * W
    mu, inv, g = mean.reshape(1, C, 1, 1), s.reshape(1, C, 1, 1), weight.reshape(1, C, 1, 1)
    dxhat = dout * g
    dvar = np.sum(dxhat * (x - mu), axis=(0, 2, 3), keepdims=True) * -0.5 * inv**2
    dmu = np.sum(-dxhat * inv, axis=(0, 2, 3), keepdims=True)
    dx = dxhat * inv + dvar * 2 * (x - mu) / m + dmu / m
    return dx, np.sum(dout * (x - mu) * inv, axis=(0, 2, 3)), np.sum(dout, axis=(0, 2, 3))


@wrong(
    "first", "E13.variance_added", "named",
    "The derivative of a power -1/2 is negative: the way through the variance has the wrong sign.",
)  # fmt: skip
def dvar_positive(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    m = N * H * W
    mu, inv, g = mean.reshape(1, C, 1, 1), s.reshape(1, C, 1, 1), weight.reshape(1, C, 1, 1)
    dxhat = dout * g
    dvar = np.sum(dxhat * (x - mu), axis=(0, 2, 3), keepdims=True) * 0.5 * inv**3
    dmu = np.sum(-dxhat * inv, axis=(0, 2, 3), keepdims=True)
    dx = dxhat * inv + dvar * 2 * (x - mu) / m + dmu / m
    return dx, np.sum(dout * (x - mu) * inv, axis=(0, 2, 3)), np.sum(dout, axis=(0, 2, 3))


@wrong(
    "first", "E13.variance_path_twice", "named",
    "The exponent -1/2 comes down: the factor 1/2 is missing in the way through the variance, which counts twice.",
)  # fmt: skip
def half_missing(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    m = N * H * W
    mu, inv, g = mean.reshape(1, C, 1, 1), s.reshape(1, C, 1, 1), weight.reshape(1, C, 1, 1)
    dxhat = dout * g
    dvar = -np.sum(dxhat * (x - mu) * inv**3, axis=(0, 2, 3), keepdims=True)
    dmu = -np.sum(dxhat * inv, axis=(0, 2, 3), keepdims=True)
    dx = dxhat * inv + 2 * dvar * (x - mu) / m + dmu / m
    return dx, np.sum(dout * (x - mu) * inv, axis=(0, 2, 3)), np.sum(dout, axis=(0, 2, 3))


@wrong(
    "first", "E13.variance_path_halved", "named",
    "The derivative of a square has a 2: the way through the variance is half as large as is right.",
)  # fmt: skip
def two_missing(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    m = N * H * W
    mu, inv, g = mean.reshape(1, C, 1, 1), s.reshape(1, C, 1, 1), weight.reshape(1, C, 1, 1)
    dxhat = dout * g
    dvar = np.sum(-0.5 * dxhat * (x - mu) * inv**3, axis=(0, 2, 3), keepdims=True)
    dmu = np.sum(-dxhat * inv, axis=(0, 2, 3), keepdims=True)
    dx = dxhat * inv + dvar * (x - mu) / m + dmu / m
    return dx, np.sum(dout * (x - mu) * inv, axis=(0, 2, 3)), np.sum(dout, axis=(0, 2, 3))


@wrong("first", "E13.mean_added", "named", "d = x - mean: the way through the mean has a minus.")
def dmean_positive(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    s_, mu = s[:, None, None], mean[:, None, None]
    dxhat = dout * weight[:, None, None]
    dvar = (dxhat * (x - mu)).sum(axis=(0, 2, 3)) * -0.5 * s**3
    dmean = (dxhat * s_).sum(axis=(0, 2, 3))
    dx = dxhat * s_ + dvar[:, None, None] * 2 * (x - mu) / m + dmean[:, None, None] / m
    return dx, (dout * (x - mu) * s_).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong("first", "E13.variance_path_twice", "named", "The way through the variance is counted twice.")
def variance_twice(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    dx = (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - 2 * y * dweight[:, None, None] / m)
    return dx, dweight, dbias


@wrong(
    "first", "E13.not_divided", "half right",
    "The mean is a sum over m divided by m: the division by m of the way through the mean is missing.",
)  # fmt: skip
def mean_not_divided(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    s_, mu = s[:, None, None], mean[:, None, None]
    dxhat = dout * weight[:, None, None]
    dvar = (dxhat * (x - mu)).sum(axis=(0, 2, 3)) * -0.5 * s**3
    dmean = -(dxhat * s_).sum(axis=(0, 2, 3))
    dx = dxhat * s_ + dvar[:, None, None] * 2 * (x - mu) / m + dmean[:, None, None]
    return dx, (dout * (x - mu) * s_).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong("first", "contract.input_changed", "named", "Your function changes x, which belongs to the caller: `x -= mean` works in place.")
def changes_x(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    x -= mean[:, None, None]
    x *= s[:, None, None]
    dweight = (dout * x).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - x * dweight[:, None, None] / m), dweight, dbias


@wrong(
    "first", "contract.input_changed", "named",
    "dout *= weight changes dout, and so dweight and dbias get the factor weight too (and the caller's dout is changed).",
)  # fmt: skip
def dout_times_weight_first(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dout *= weight[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return s[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("first", "E13.axes_kept", "named", "dweight and dbias must have the shape (C,); keepdims leaves (1, C, 1, 1).")
def keepdims_left(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3), keepdims=True)
    dbias = dout.sum(axis=(0, 2, 3), keepdims=True)
    return (s * weight)[:, None, None] * (dout - dbias / m - y * dweight / m), dweight, dbias


@wrong("first", "contract.order", "named", "dweight and dbias are returned in the wrong order.")
def outputs_swapped(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dbias, dweight


@wrong(
    "first", "E13.not_over_the_images", "symptom",
    "dweight and dbias are summed over the places alone; one weight serves all images, so sum over N too.",
)  # fmt: skip
def not_over_images(dout, x, mean, s, weight):
    y = (x - mean[:, None, None]) * s[:, None, None]
    a, b = (dout * y).mean(axis=(0, 2, 3), keepdims=True), dout.mean(axis=(0, 2, 3), keepdims=True)
    return (s * weight)[:, None, None] * (dout - b - y * a), (dout * y).sum(axis=(2, 3)), dout.sum(axis=(2, 3))


@wrong("first", "symptom.rounded", "weak symptom", "Your arrays are float32, so you lose half of the digits; keep the dtype of x.")
def in_float32(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = np.zeros(x.shape, dtype=np.float32)
    y[:] = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("first", "E13.weight_in_y", "misleading", "y must not contain weight: y = (x - mean) s. weight comes behind y.")
def weight_in_y(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * (s * weight)[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("first", "E13.brackets_missing", "weak symptom", "A bracket is missing: s weight multiplies all three terms, not the first alone.")
def no_bracket(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m, dweight, dbias


@wrong("first", "E13.first_term_divided", "weak symptom", "In the form (1/m)(m dout - dbias - y dweight) the first term needs its m.")
def m_missing_before_dout(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight = (dout * y).sum(axis=(0, 2, 3))
    dbias = dout.sum(axis=(0, 2, 3))
    return (s * weight / m)[:, None, None] * (dout - dbias[:, None, None] - y * dweight[:, None, None]), dweight, dbias


@wrong("first", "argument.changed", "named", "reshape(-1, C) does not bring the channels behind: transpose first, (0, 2, 3, 1).")
def reshaped_without_transpose(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    x2, d2 = x.reshape(-1, C), dout.reshape(-1, C)
    xhat = (x2 - mean) * s
    dgamma = (d2 * xhat).sum(axis=0)
    dbeta = d2.sum(axis=0)
    dx = weight * s / len(x2) * (len(x2) * d2 - dbeta - xhat * dgamma)
    return dx.reshape(N, C, H, W), dgamma, dbeta


@wrong(
    "first", "transform.reshaped", "named",
    "On the way back the axes are not transposed again: reshape (N, H, W, C), then transpose (0, 3, 1, 2).",
)  # fmt: skip
def not_transposed_back(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    x2, d2 = x.transpose(0, 2, 3, 1).reshape(-1, C), dout.transpose(0, 2, 3, 1).reshape(-1, C)
    xhat = (x2 - mean) * s
    dgamma = (d2 * xhat).sum(axis=0)
    dbeta = d2.sum(axis=0)
    dx = weight * s / len(x2) * (len(x2) * d2 - dbeta - xhat * dgamma)
    return dx.reshape(N, C, H, W), dgamma, dbeta


@wrong("second", "E13.over_the_channels", "named", "You take one sum over all channels; each channel has its own.")
def one_sum_for_all(dout, x, mean, s, weight):
    m = x.size
    y = (x - mean[:, None, None]) * s[:, None, None]
    dy = dout * weight[:, None, None]
    dx = s[:, None, None] * (dy - dy.sum() / m - y * (dy * y).sum() / m)
    return dx, (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong("second", "E13.x_for_y", "named", "The third term needs y, not x.")
def x_in_the_third_term(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - x * dweight[:, None, None] / m), dweight, dbias


@wrong("second", "E13.d_for_y", "named", "The third term needs y = (x - mean) s; the s is missing.")
def d_in_the_third_term(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    d = x - mean[:, None, None]
    dweight, dbias = (dout * d * s[:, None, None]).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - d * dweight[:, None, None] / m), dweight, dbias


@wrong("second", "E13.s_missing", "named", "s is missing in front of the bracket.")
def s_missing(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return weight[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("second", "E13.variance_added", "named", "The way through the variance is subtracted, not added.")
def plus_variance(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m + y * dweight[:, None, None] / m), dweight, dbias


@wrong("second", "E13.sums_exchanged_in_dx", "weak symptom", "dbias and dweight have changed places inside the bracket.")
def sums_swapped(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dweight[:, None, None] / m - y * dbias[:, None, None] / m), dweight, dbias


@wrong("second", "E13.last_image_alone", "weak symptom", "The loop overwrites dweight and dbias; only the last image is left: add with +=.")
def last_image_only(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = np.zeros(C), np.zeros(C)
    for n in range(N):
        for c in range(C):
            dweight[c] = np.sum(dout[n, c] * y[n, c])
            dbias[c] = np.sum(dout[n, c])
    a, b = (dout * y).mean(axis=(0, 2, 3)), dout.mean(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - b[:, None, None] - y * a[:, None, None]), dweight, dbias


@wrong("second", "E13.divided_by_other_sizes", "weak symptom", "m is N H W; N C H is the product of the wrong sizes.")
def m_of_wrong_sizes(dout, x, mean, s, weight):
    m = x.shape[0] * x.shape[1] * x.shape[2]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("second", "E13.not_divided", "named", "The third term is divided by m, the second is not.")
def only_one_divided(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] - y * dweight[:, None, None] / m), dweight, dbias


@wrong("second", "E13.over_the_channels", "named", "The sums go over axis 1, which holds the channels; they must go over 0, 2 and 3.")
def means_over_channels(dout, x, mean, s, weight):
    y = (x - mean[:, None, None]) * s[:, None, None]
    dy = dout * weight[:, None, None]
    dx = s[:, None, None] * (dy - dy.mean(axis=1, keepdims=True) - y * (dy * y).mean(axis=1, keepdims=True))
    return dx, (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong("second", "E13.mean_along_y", "weak symptom", "You treat s as a constant and take the mean away from y, not from dout.")
def mean_of_y(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - y * dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("second", "E13.weight_twice", "named", "weight is taken twice: dy = weight dout already, and then again in front.")
def weight_twice(dout, x, mean, s, weight):
    y = (x - mean[:, None, None]) * s[:, None, None]
    dy = dout * weight[:, None, None]
    a, b = (dy * y).mean(axis=(0, 2, 3)), dy.mean(axis=(0, 2, 3))
    dx = (s * weight)[:, None, None] * (dy - b[:, None, None] - y * a[:, None, None])
    return dx, (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong("second", "E13.sums_of_dy", "named", "dweight and dbias contain weight: they are of dout, not of dy = weight dout.")
def parameters_of_dy(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dout = dout * weight[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return s[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("second", "E13.power_of_s", "weak symptom", "The power of s in the staged way: s^(-3) in place of s^3.")
def power_upside_down(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    s_, mu = s[:, None, None], mean[:, None, None]
    dxhat = dout * weight[:, None, None]
    dvar = (dxhat * (x - mu)).sum(axis=(0, 2, 3)) * -0.5 * s ** (-1.5)
    dmean = -(dxhat * s_).sum(axis=(0, 2, 3))
    dx = dxhat * s_ + dvar[:, None, None] * 2 * (x - mu) / m + dmean[:, None, None] / m
    return dx, (dout * (x - mu) * s_).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong("second", "E13.own_path_missing", "weak symptom", "The forgotten first way: only the mean and the variance send something back.")
def first_way_missing(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (-dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("second", "E13.eps_added_to_s", "weak symptom", "eps is added again: s holds it.")
def eps_again(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    s = 1 / (1 / s + 1e-5)
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("third", "E13.another_y", "weak symptom", "The third term needs y, not y^2.")
def y_squared(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y**2 * dweight[:, None, None] / m), dweight, dbias


@wrong(
    "third", "E13.statistics_of_each_image", "weak symptom",
    "mean and s are computed again per image; use those that are given, of the whole batch.",
)  # fmt: skip
def own_statistics_of_each_image(dout, x, mean, s, weight):
    mu = x.mean(axis=(2, 3), keepdims=True)
    inv = 1 / np.sqrt(x.var(axis=(2, 3), keepdims=True) + 1e-5)
    y = (x - mu) * inv
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    m = x.size // x.shape[1]
    dx = inv * weight[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m)
    return dx, dweight, dbias


@wrong("third", "argument.changed", "named", "range(N - 1) leaves the last image out of dweight and dbias.")
def range_too_short(dout, x, mean, s, weight):
    N, C, H, W = x.shape
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = np.zeros(C), np.zeros(C)
    for n in range(N - 1):
        dweight += (dout[n] * y[n]).sum(axis=(1, 2))
        dbias += dout[n].sum(axis=(1, 2))
    a, b = (dout * y).mean(axis=(0, 2, 3)), dout.mean(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - b[:, None, None] - y * a[:, None, None]), dweight, dbias


@wrong("third", "E13.another_y", "weak symptom", "abs(x - mean) in place of x - mean.")
def distance_without_sign(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = np.abs(x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("third", "E13.another_y", "weak symptom", "y is (x - mean) s; you add the mean.")
def mean_plus(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x + mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("third", "E13.another_y", "weak symptom", "A bracket is missing: y = (x - mean) s, not x s - mean.")
def mean_outside(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = x * s[:, None, None] - mean[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong("third", "E13.divided_by_weight", "weak symptom", "weight divides where it should multiply: out = weight y.")
def divided_by_weight(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    return (s / weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


@wrong(
    "third", "E13.dy_alone", "half right",
    "You return dy (the gradient at y) for dx: only weight dout, no step through the normalization.",
)  # fmt: skip
def only_dy(dout, x, mean, s, weight):
    y = (x - mean[:, None, None]) * s[:, None, None]
    return weight[:, None, None] * dout, (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong(
    "third", "E13.power_of_s", "weak symptom",
    "The staged way through the variance uses s, not -1/2 s^3: the derivative of the root is forgotten.",
)  # fmt: skip
def no_derivative_of_the_root(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    mu, inv = mean[:, None, None], s[:, None, None]
    dxhat = dout * weight[:, None, None]
    dvar = (dxhat * (x - mu)).sum(axis=(0, 2, 3), keepdims=True)
    dmean = -(dxhat * inv).sum(axis=(0, 2, 3), keepdims=True)
    dx = dxhat * inv + dvar * 2 * (x - mu) / m + dmean / m
    return dx, (dout * (x - mu) * inv).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong("third", "E13.divided_twice", "weak symptom", "The means are divided by m already, and you divide them again.")
def mean_divided_twice(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    a, b = (dout * y).mean(axis=(0, 2, 3)), dout.mean(axis=(0, 2, 3))
    dx = (s * weight)[:, None, None] * (dout - b[:, None, None] / m - y * a[:, None, None] / m)
    return dx, (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@wrong("third", "transform.over_N", "named", "dx is divided by N: the mean over the batch is in dout already.")
def dx_over_n(dout, x, mean, s, weight):
    m = x.size // x.shape[1]
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    dx = (s * weight)[:, None, None] * (dout - dbias[:, None, None] / m - y * dweight[:, None, None] / m) / len(x)
    return dx, dweight, dbias


@wrong("third", "E13.divided_by_N", "named", "Two mistakes: m is N, and weight is missing.")
def two_at_once(dout, x, mean, s, weight):
    m = len(x)
    y = (x - mean[:, None, None]) * s[:, None, None]
    dweight, dbias = (dout * y).mean(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    sums = (dout * y).sum(axis=(0, 2, 3))
    return s[:, None, None] * (dout - dbias[:, None, None] / m - y * sums[:, None, None] / m), dweight, dbias
