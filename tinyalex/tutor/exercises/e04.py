"""E04: convolution, forward (paper 3.5)."""

from __future__ import annotations

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Function, Mistake, Probe


def conv_forward(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    """Every filter, laid on every window of every image (paper 3.5; groups: 3.2).

    out[n, k, y, z] = bias[k] + sum over c, i, j of weight[k, c, i, j] sheet[n, first + c, stride y + i, stride z + j]

    The sheet is x with `padding` lines of zeros above and below and as many columns of zeros on the left and on the right. The kernel
    is not turned round. With one group first = 0, and c runs over all channels. With G groups the K filters and the C channels are
    cut into G equal parts, in order: a filter of part g sees only the channels of part g, so that first = g C / G.

    Parameters
    ----------
    x: (N, C, H, W), the images.
    weight: (K, C / G, KH, KW), the filters; KH and KW may differ.
    bias: (K,), one number for each filter.
    stride: how far the next window is, in lines and in columns, an integer of at least 1.
    padding: lines and columns of zeros on each side, an integer of at least 0.
    groups: G, an integer of at least 1 that divides C and K.

    Returns
    -------
    out: (N, K, OH, OW), a new array, OH = (H + 2 padding - KH) // stride + 1 and OW likewise from W and KW: only windows that lie
        wholly on the sheet. x, weight and bias are left as they are.
    """
    return correlate(padded(x, padding), weight, bias, (stride, stride), sizes(x, weight, stride, padding), groups)


def padded(x: Array, padding: int) -> Array:
    """The sheet: x with so many lines and columns of zeros on each side."""
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def sizes(x: Array, weight: Array, stride: int, padding: int) -> tuple[int, int]:
    """How many windows there are along the height and along the width."""
    (h, w), (kh, kw) = x.shape[2:], weight.shape[2:]
    return (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1


def correlate(sheet: Array, weight: Array, bias: Array, steps: tuple[int, int], size: tuple[int, int], groups: int = 1) -> Array:
    """The filters on `size` windows of the sheet, `steps` apart. Raises ValueError where a window runs past the edge."""
    n, k, c, (kh, kw) = len(sheet), len(weight), weight.shape[1], weight.shape[2:]
    out = np.zeros((n, k, *size))
    for y, z in np.ndindex(size):
        window = sheet[:, None, :, y * steps[0] : y * steps[0] + kh, z * steps[1] : z * steps[1] + kw]
        for g in range(groups):
            part = slice(g * k // groups, (g + 1) * k // groups)
            seen = window if groups == 1 else window[:, :, g * c : (g + 1) * c]
            out[:, part, y, z] = (seen * weight[part]).sum((2, 3, 4)) + bias[part]
    return out


def steps_of_one(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return correlate(padded(x, padding), weight, bias, (1, 1), sizes(x, weight, stride, padding), groups)


def stride_for_lines_alone(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return correlate(padded(x, padding), weight, bias, (stride, 1), sizes(x, weight, stride, padding), groups)


def stride_for_columns_alone(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return correlate(padded(x, padding), weight, bias, (1, stride), sizes(x, weight, stride, padding), groups)


def end_without_the_stride(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    """Windows from y * stride to y + KH: their shape fits with stride 1 alone."""
    out, (kh, kw) = conv_forward(x, weight, bias, stride, padding, groups), weight.shape[2:]
    for y, z in np.ndindex(out.shape[2:]):
        window = padded(x, padding)[:, : weight.shape[1], y * stride : y + kh, z * stride : z + kw]
        window * weight[0]  # raises ValueError where the window is too small
    return out


def as_many_columns_as_the_height_gives(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    size = sizes(x, weight, stride, padding)[0], sizes(x.swapaxes(2, 3), weight, stride, padding)[1]
    return correlate(padded(x, padding), weight, bias, (stride, stride), size, groups)


def as_many_lines_as_the_width_gives(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    size = sizes(x.swapaxes(2, 3), weight, stride, padding)[0], sizes(x, weight, stride, padding)[1]
    return correlate(padded(x, padding), weight, bias, (stride, stride), size, groups)


def as_many_columns_as_lines(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    size = (sizes(x, weight, stride, padding)[0],) * 2
    return correlate(padded(x, padding), weight, bias, (stride, stride), size, groups)


def height_and_width_exchanged(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    size = sizes(x.swapaxes(2, 3), weight, stride, padding)
    return correlate(padded(x, padding), weight, bias, (stride, stride), size, groups)


def kernel_height_in_the_number_of_columns(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    size = sizes(x, weight, stride, padding)[0], sizes(x, weight.swapaxes(2, 3), stride, padding)[1]
    return correlate(padded(x, padding), weight, bias, (stride, stride), size, groups)


def windows_kh_by_kh(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    """A square window times a kernel that is not square."""
    kh = weight.shape[2]
    np.zeros((kh, kh)) * weight[0, 0]  # raises ValueError where the kernel is not square
    return conv_forward(x, weight, bias, stride, padding, groups)


def first_channel_alone(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x[:, :: weight.shape[1]], weight[:, :1], bias, stride, padding, groups)


def last_channel_alone(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    c = weight.shape[1]
    return conv_forward(x[:, c - 1 :: c], weight[:, -1:], bias, stride, padding, groups)


def first_channel_for_all(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    c = weight.shape[1]
    return conv_forward(np.repeat(x[:, ::c], c, 1), weight, bias, stride, padding, groups)


def no_bias(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, weight, 0 * bias, stride, padding, groups)


def bias_for_every_channel(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, weight, weight.shape[1] * bias, stride, padding, groups)


def bias_in_every_cell(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, weight, weight[0].size * bias, stride, padding, groups)


def first_bias_for_all(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, weight, np.full_like(bias, bias[0]), stride, padding, groups)


def kernel_turned(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, weight[:, :, ::-1, ::-1], bias, stride, padding, groups)


def mean_of_the_products(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, weight / weight[0].size, bias, stride, padding, groups)


def padding_ignored(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, weight, bias, stride, 0, groups)


def size_without_padding(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return correlate(padded(x, padding), weight, bias, (stride, stride), sizes(x, weight, stride, 0), groups)


def padding_counted_once(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    half = x[:, :, : x.shape[2] - padding, : x.shape[3] - padding]
    return correlate(padded(x, padding), weight, bias, (stride, stride), sizes(half, weight, stride, padding), groups)


def padding_behind_alone(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    sheet = np.pad(x, ((0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding)))
    return conv_forward(sheet, weight, bias, stride, 0, groups)


def padding_on_every_axis(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    sheet = np.pad(x, padding)[: len(x)]  # images and channels of zeros as well
    return correlate(sheet[:, : x.shape[1]], weight, bias, (stride, stride), sizes(x, weight, stride, padding), groups)


def one_window_too_many(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    """The size rounded up, and zeros where the last window hangs over the edge."""
    sheet = np.pad(padded(x, padding), ((0, 0), (0, 0), (0, stride - 1), (0, stride - 1)))
    return conv_forward(sheet, weight, bias, stride, 0, groups)


def window_past_the_edge(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    """The size rounded up, and windows that are cut at the edge."""
    (h, w), (kh, kw) = x.shape[2:], weight.shape[2:]
    size = 1 - (kh - h - 2 * padding) // stride, 1 - (kw - w - 2 * padding) // stride
    return correlate(padded(x, padding), weight, bias, (stride, stride), size, groups)


def cells_before_channels(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    """Columns in the order (i, j, c) times weights that lie in the order (c, i, j)."""
    k, c, kh, kw = weight.shape
    return conv_forward(x, weight.reshape(k, kh, kw, c).transpose(0, 3, 1, 2), bias, stride, padding, groups)


def filters_last_reshaped(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    out = conv_forward(x, weight, bias, stride, padding, groups)
    return out.transpose(0, 2, 3, 1).reshape(out.shape)


def filters_first_reshaped(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    out = conv_forward(x, weight, bias, stride, padding, groups)
    return out.swapaxes(0, 1).reshape(out.shape)


def out_lines_and_columns_exchanged(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, weight, bias, stride, padding, groups).swapaxes(2, 3)


def filters_last(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, weight, bias, stride, padding, groups).transpose(0, 2, 3, 1)


def first_image_alone(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    out = conv_forward(x, weight, bias, stride, padding, groups)
    out[1:] = 0
    return out


def first_channels_for_every_group(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x[:, : weight.shape[1]], weight, bias, stride, padding, 1)


def all_channels(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, np.tile(weight, (1, groups, 1, 1)), bias, stride, padding, 1)


def groups_not_used(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    return conv_forward(x, weight, bias, stride, padding, 1)  # raises ValueError where there are several groups


def filters_dealt_out(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    """Filter k sees the channels of group k % G."""
    order = np.argsort(np.arange(len(weight)) % groups, kind="stable")
    out = conv_forward(x, weight[order], bias[order], stride, padding, groups)
    return out[:, np.argsort(order)]


def channels_dealt_out(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    """Group g sees the channels g, g + G, g + 2 G ..."""
    order = np.argsort(np.arange(x.shape[1]) % groups, kind="stable")
    return conv_forward(x[:, order], weight, bias, stride, padding, groups)


def probes(rng: np.random.Generator) -> list[Probe]:
    """Calls of `conv_forward`, in whole numbers, so that one output can be computed by hand."""
    return [
        _probe(rng, "usual", "a square kernel, stride 1 and padding 1", (4, 2, 5, 7), (6, 2, 3, 3), 1, 1),
        _probe(rng, "conv1", "stride 2 and padding 0", (2, 5, 11, 9), (6, 5, 3, 3), 2, 0),
        _probe(rng, "oblong", "a kernel of 2 lines and 3 columns and stride 2", (2, 4, 7, 9), (6, 4, 2, 3), 2, 1),
        _probe(rng, "tall", "a kernel of 4 lines and 3 columns, stride 3 and padding 2", (2, 5, 12, 6), (7, 5, 4, 3), 3, 2),
        _probe(rng, "rest", "a last line and column that no window reaches", (2, 6, 8, 11), (4, 6, 3, 2), 2, 0),
        _probe(rng, "groups", "2 groups", (3, 8, 7, 9), (6, 4, 3, 2), 2, 1, 2),
        _probe(rng, "one image", "one image", (1, 2, 6, 5), (4, 2, 2, 3), 1, 0),
    ]


def _probe(
    rng: np.random.Generator, key: str, says: str, x: tuple[int, ...], weight: tuple[int, ...], stride: int, padding: int, groups: int = 1
) -> Probe:
    bias = 10 * (1 + rng.permutation(weight[0]))
    given = {"x": whole(rng, x), "weight": whole(rng, weight), "bias": bias.astype(float)}
    return Probe(key, says, given | {"stride": stride, "padding": padding, "groups": groups})


def whole(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Whole numbers from -9 to 9 but 0, as floats."""
    return rng.integers(1, 10, shape) * rng.choice([-1.0, 1.0], shape)


COUNTED = "counted in public solutions"
E04 = Exercise("E04", "convolution, forward", "03", 30, (
    Function("conv_forward", conv_forward, ("out",), probes, (
        Mistake("steps of one", steps_of_one, "a solution on scribd.com, 462428733"),
        Mistake("stride for lines alone", stride_for_lines_alone, "a solution on scribd.com, 462428733"),
        Mistake("stride for columns alone", stride_for_columns_alone, "a solution on scribd.com, 462428733"),
        Mistake("end without the stride", end_without_the_stride, "a solution on scribd.com, 462428733"),
        Mistake("as many columns as lines", as_many_columns_as_lines, COUNTED, (6, 88)),
        Mistake("as many columns as the height gives", as_many_columns_as_the_height_gives, COUNTED, (6, 88)),
        Mistake("as many lines as the width gives", as_many_lines_as_the_width_gives, COUNTED, (6, 88)),
        Mistake("height and width exchanged", height_and_width_exchanged, COUNTED, (6, 88)),
        Mistake("kernel height in the number of columns", kernel_height_in_the_number_of_columns, COUNTED, (7, 88)),
        Mistake("windows KH by KH", windows_kh_by_kh, COUNTED, (7, 88)),
        Mistake("no bias", no_bias, "Kulbear/deep-learning-coursera#48", given=lambda bias, **_: {"bias": 0 * bias}),
        Mistake("bias for every channel", bias_for_every_channel, "inferred",
                given=lambda bias, weight, **_: {"bias": weight.shape[1] * bias}),
        Mistake("bias in every cell", bias_in_every_cell, "inferred", given=lambda bias, weight, **_: {"bias": weight[0].size * bias}),
        Mistake("first bias for all", first_bias_for_all, "inferred"),
        Mistake("first channel alone", first_channel_alone, "community.deeplearning.ai/t/884990"),
        Mistake("last channel alone", last_channel_alone, "community.deeplearning.ai/t/884990"),
        Mistake("first channel for all", first_channel_for_all, "community.deeplearning.ai/t/884990"),
        Mistake("kernel turned", kernel_turned, "a question on a public NumPy network: why is the kernel rotated?",
                given=lambda weight, **_: {"weight": weight[:, :, ::-1, ::-1]}),
        Mistake("padding ignored", padding_ignored, "inferred", given=lambda **_: {"padding": 0}),
        Mistake("size without padding", size_without_padding, "inferred"),
        Mistake("padding counted once", padding_counted_once, "inferred"),
        Mistake("padding behind alone", padding_behind_alone, "inferred"),
        Mistake("padding on every axis", padding_on_every_axis, "inferred"),
        Mistake("one window too many", one_window_too_many, "inferred"),
        Mistake("window past the edge", window_past_the_edge, "inferred"),
        Mistake("mean of the products", mean_of_the_products, "inferred"),
        Mistake("cells before channels", cells_before_channels, "inferred"),
        Mistake("filters last reshaped", filters_last_reshaped, "inferred"),
        Mistake("filters first reshaped", filters_first_reshaped, "inferred"),
        Mistake("filters last", filters_last, "inferred"),
        Mistake("out lines and columns exchanged", out_lines_and_columns_exchanged, "inferred"),
        Mistake("first image alone", first_image_alone, "a convolutional net from scratch, issue 1"),
        Mistake("groups not used", groups_not_used, "inferred"),
        Mistake("first channels for every group", first_channels_for_every_group, "inferred"),
        Mistake("all channels", all_channels, "apache/mxnet#3348"),
        Mistake("filters dealt out", filters_dealt_out, "inferred"),
        Mistake("channels dealt out", channels_dealt_out, "inferred"),
    )),
))  # fmt: skip
