"""Rows with weights as layers of Caffe: convolutions, fully connected layers, batch normalization, and shortcuts as convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinyalex.formats.caffe.blobs import statistics_blobs
from tinyalex.formats.caffe.fillers import filler_of
from tinyalex.formats.caffe.maker import Maker, both, fillers, fixed, geometry, images, layer
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.slots import PAD, SCALE_ALONE, ZEROS, fixed_weight
from tinyalex.geometry import windows_of
from tinyalex.init import ones, zeros
from tinyalex.models.rows import Row


def conv(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """A convolution; if padding below or to the right is larger than above or to the left, behind one that adds the difference."""
    (x,) = inputs
    c, h, w = images(maker, row, x)
    padding = row.settings.get("padding", 0)
    windows = windows_of(row.name, (h, w), row["kernel_size"], row.settings.get("stride", 1), padding, row.settings.get("ceil_mode", False))
    before, filters, groups = windows.before, row["out_channels"], row.settings.get("groups", 1)
    more = [max(0, sheet - one - n - one) for sheet, one, n in zip(windows.sheet, before, (h, w), strict=True)]
    floor = windows_of(row.name, (h + more[0], w + more[1]), windows.kernel, windows.stride, (before[0], before[0], before[1], before[1]))
    if floor.out != windows.out:
        raise maker.refuse(row, "a convolution with the same padding on both sides", f"padding {padding}")
    found: list[Message] = []
    if any(more):
        x = maker.free(f"{row.name}{PAD}")
        found.append(_pad(maker, x, inputs[0], c, (more[0], more[1])))
    bias, shape = row.settings.get("bias", True), (filters, c // groups, *windows.kernel)
    maker.shapes[row.name] = (filters, *windows.out)
    settings = [("num_output", filters), *([] if bias else [("bias_term", False)]), *geometry(windows, before)]
    settings += [("group", groups)] if groups > 1 else []
    made = layer("Convolution", row.name, (x,), convolution_param=[*settings, *fillers(row, shape, bias)])
    maker.learns(made, row.name, ("weight", "bias") if bias else ("weight",))
    if maker.arrays is not None:
        maker.blobs(made, maker.array(f"{row.name}.weight", shape))
        if bias:
            maker.blobs(made, maker.array(f"{row.name}.bias", shape[:1]))
    return [*found, made]


def _pad(maker: Maker, name: str, x: str, c: int, more: tuple[int, int]) -> Message:
    """A convolution that copies its images and adds `more` rows of zeros below and columns to the right.

    Its windows begin `more` pixels in front of the image, and their last cell alone, whose weight is 1, is copied.
    """
    kernel = (more[0] + 1, more[1] + 1)
    settings = [("num_output", c), ("bias_term", False), ("group", c), *both("kernel_size", kernel, "kernel_h", "kernel_w")]
    found = layer("Convolution", name, (x,), convolution_param=[*settings, *both("pad", more, "pad_h", "pad_w")])
    fixed(found, [(0.0, 0.0)])
    if maker.arrays is not None:
        maker.blobs(found, fixed_weight("pad", (c, 1, *kernel)))
    return found


def shortcut(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """Every s-th pixel, and channels of zeros: a convolution of 1x1 whose weights are fixed."""
    c, h, w = images(maker, row, inputs[0])
    channels, stride, where = row["channels"], row.settings.get("stride", 1), row.settings.get("zeros", "behind")
    maker.shapes[row.name] = (channels, -(-h // stride), -(-w // stride))
    settings = [("num_output", channels), ("bias_term", False), ("kernel_size", 1), ("stride", stride)]
    (end,) = (end for end, zeros in ZEROS.items() if zeros == where)
    found = layer("Convolution", maker.free(f"{row.name}{end}"), inputs, (row.name,), convolution_param=settings)
    fixed(found, [(0.0, 0.0)])
    if maker.arrays is not None:
        maker.blobs(found, fixed_weight(where, (channels, c, 1, 1)))
    return [found]


def linear(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """A fully connected layer."""
    (x,) = inputs
    if row.settings.get("groups", 1) != 1:
        raise maker.refuse(row, "one group", row["groups"])
    shape = (row["out_features"], math.prod(maker.shapes[x]))
    maker.shapes[row.name] = shape[:1]
    found = layer("InnerProduct", row.name, (x,), inner_product_param=[("num_output", shape[0]), *fillers(row, shape, True)])
    maker.learns(found, row.name, ("weight", "bias"))
    if maker.arrays is not None:
        maker.blobs(found, maker.array(f"{row.name}.weight", shape), maker.array(f"{row.name}.bias", shape[:1]))
    return [found]


def batch_norm(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """A batch normalization and its scale, or a scale alone."""
    (x,) = inputs
    c, h, w = images(maker, row, x)
    maker.shapes[row.name] = (c, h, w)
    get = row.settings.get
    filler = [("filler", filler_of(get("weight_init", ones), (c,))), ("bias_filler", filler_of(get("bias_init", zeros), (c,)))]
    settings = [("bias_term", True), *((name, each) for name, each in filler if each is not None)]
    keys = ("running_mean", "running_var")
    alone = all(get(key) == value for key, value in SCALE_ALONE.items())
    if alone and maker.arrays is not None:
        mean, var = (maker.array(f"{row.name}.{key}", (c,)) for key in keys)
        if mean.any() or not (var == 1).all():
            raise maker.refuse(row, "of mean 0 and variance 1, as its eps of 1e-30 says that it only scales", "others")
    found = []
    if not alone:
        convention, momentum = get("convention", "pytorch"), get("momentum")
        momentum = {"pytorch": 0.1, "tensorflow": 0.9, "caffe": 0.999}[convention] if momentum is None else momentum
        fraction = 1 - momentum if convention == "pytorch" else momentum
        own = [("moving_average_fraction", fraction), ("eps", get("eps", 1e-5))]
        own += [("use_global_stats", True)] if get("statistics", "batch") == "running" else []
        name = maker.free(f"{row.name}/statistics")
        found.append(layer("BatchNorm", row.name, (x,), (name,), batch_norm_param=own))
        fixed(found[0], [(0.0, 0.0)] * 3)
        if maker.arrays is not None:
            mean, var = (maker.array(f"{row.name}.{key}", (c,)) for key in keys)
            batches = maker.array(f"{row.name}.batches", (c,)) if convention == "caffe" else None
            maker.blobs(found[0], *statistics_blobs(mean, var, batches))
        x = name
    made = layer("Scale", row.name if alone else maker.free(f"{row.name}/scale"), (x,), (row.name,), scale_param=settings)
    maker.learns(made, row.name, ("weight", "bias"))
    if maker.arrays is not None:
        maker.blobs(made, maker.array(f"{row.name}.weight", (c,)), maker.array(f"{row.name}.bias", (c,)))
    return [*found, made]
