"""Rows of the engine as layers of Caffe, each kind by a function of its own.

Some rows become several layers: a batch normalization and its scale; the paper's dropout, which scales while testing, and a factor; a
normalization in groups, in slices that are joined again; a convolution whose last windows reach over the edge, behind a convolution that
only adds the missing rows of zeros. `tinyalex.formats.caffe.convert` makes the same rows of them again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import CheckpointError
from tinyalex.formats.caffe.blobs import statistics_blobs
from tinyalex.formats.caffe.convert import PAD, SCALE_ALONE
from tinyalex.formats.caffe.fillers import filler_of
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.schema import BY_NAME
from tinyalex.geometry import Windows, check_padding, windows_of
from tinyalex.init import Gaussian, ones, zeros
from tinyalex.models.rows import Row, Shape

Array = npt.NDArray[Any]
Settings = Sequence[tuple[str, Any]]
REMEDY = "write the net to another format, such as ONNX"


def layer(kind: str, name: str, bottoms: Sequence[str], tops: Sequence[str] = (), **parts: Settings) -> Message:
    """A layer. tops: the values that it gives; its name if none are named. parts: the fields of its messages of parameters."""
    found = Message("Layer")
    found.add("name", name)
    found.add("type", kind)
    for bottom in bottoms:
        found.add("bottom", bottom)
    for top in tops or (name,):
        found.add("top", top)
    for field, settings in parts.items():
        part = Message(BY_NAME["Layer"][field].kind)
        for key, value in settings:
            part.add(key, value)
        if settings:
            found.add(field, part)
    return found


class Maker:
    """What the functions below share.

    multipliers: the factors of the rate and the decay, by the names of arrays. arrays: of the net, None if no blobs are written.
    shapes: of the values, as the engine has them. square: the values that have two more axes of length 1 in Caffe.
    """

    def __init__(self, multipliers: Mapping[str, tuple[float, float]], arrays: Mapping[str, Array] | None = None) -> None:
        self.multipliers, self.arrays = multipliers, arrays
        self.shapes: dict[str, Shape] = {}
        self.square: set[str] = set()

    def free(self, wanted: str) -> str:
        """A name that no value has."""
        name, number = wanted, 1
        while name in self.shapes:
            number += 1
            name = f"{wanted}.{number}"
        self.shapes[name] = ()
        return name

    def refuse(self, row: Row, rule: str, got: object) -> CheckpointError:
        """The error that Caffe cannot do what a row says."""
        return CheckpointError(f"caffe: {row.name} must be {rule}, got {got}; {REMEDY}")

    def array(self, name: str, shape: Shape) -> Array:
        """An array of the net. CheckpointError: it is not there, or has another shape."""
        found = (self.arrays or {}).get(name)
        if found is None or tuple(found.shape) != tuple(shape):
            got = "none" if found is None else found.shape
            raise CheckpointError(f"caffe: the array {name} must be there with the shape {shape}, got {got}; import the weights too")
        return found

    def learns(self, found: Message, row: str, keys: Sequence[str]) -> None:
        """Add the factors of the rate and the decay, if one is not 1."""
        pairs = [self.multipliers.get(f"{row}.{key}", (1.0, 1.0)) for key in keys]
        if any(pair != (1, 1) for pair in pairs):
            fixed(found, pairs)

    def blobs(self, found: Message, *arrays: Array | tuple[Array, Array | None]) -> None:
        """Add blobs, each an array, or one in float32 and the same in float64."""
        for each in arrays:
            array, exact = each if isinstance(each, tuple) else (each, None)
            blob, shape = Message("Blob"), Message("Shape")
            for side in array.shape:
                shape.add("dim", side)
            blob.add("shape", shape)
            blob.add("data", array)
            if exact is not None:
                blob.add("double_data", exact)
            found.add("blobs", blob)


def fixed(found: Message, pairs: Sequence[tuple[float, float]]) -> None:
    """Add the factors of the rate and the decay of each blob."""
    for rate, decay in pairs:
        param = Message("Param")
        param.add("lr_mult", rate)
        param.add("decay_mult", decay)
        found.add("param", param)


def both(name: str, pair: tuple[int, int], high: str, wide: str, default: int | None = None) -> list[tuple[str, int]]:
    """A setting of height and width: one field if they are equal, none if they are the default."""
    if pair[0] != pair[1]:
        return [(high, pair[0]), (wide, pair[1])]
    return [] if pair[0] == default else [(name, pair[0])]


def geometry(windows: Windows, pad: tuple[int, int]) -> list[tuple[str, int]]:
    """Kernel, stride and padding."""
    return [
        *both("kernel_size", windows.kernel, "kernel_h", "kernel_w"),
        *both("pad", pad, "pad_h", "pad_w", 0),
        *both("stride", windows.stride, "stride_h", "stride_w", 1),
    ]


def fillers(row: Row, shape: Shape, bias: bool) -> list[tuple[str, Any]]:
    """The initial values of weight and bias, as far as Caffe has their distributions."""
    found = [("weight_filler", filler_of(row.settings.get("weight_init", Gaussian()), shape))]
    if bias:
        found.append(("bias_filler", filler_of(row.settings.get("bias_init", zeros), shape)))
    return [(name, filler) for name, filler in found if filler is not None]


def images(maker: Maker, row: Row, value: str) -> tuple[int, int, int]:
    """The shape of a value that must be (C, H, W)."""
    shape = maker.shapes[value]
    if len(shape) != 3:
        raise maker.refuse(row, "behind images (C, H, W)", f"a vector {shape}")
    return shape[0], shape[1], shape[2]


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
        weight = np.zeros((c, 1, *kernel), np.float32)
        weight[:, :, -1, -1] = 1
        maker.blobs(found, weight)
    return found


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


def pool(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """Pooling, whose windows must be those that Caffe counts."""
    (x,) = inputs
    c, h, w = images(maker, row, x)
    padding = row.settings.get("padding", 0)
    stride, ceil = row.settings.get("stride") or row["kernel_size"], row.settings.get("ceil_mode", False)
    windows = windows_of(row.name, (h, w), row["kernel_size"], stride, padding, ceil, inside=True)
    maker.shapes[row.name] = (c, *windows.out)
    pad, mean = windows.before, row.kind == "mean_pool"
    sides = check_padding(row.name, padding)
    if mean and any(pad) and (not row.settings.get("count_padding", False) or isinstance(sides, str) or sides[::2] != sides[1::2]):
        raise maker.refuse(row, "a mean in which padding counts, the same on both sides", f"padding {padding}")
    if mean and not any(pad) and sides not in ((0, 0, 0, 0), "valid") and row.settings.get("count_padding", False):
        raise maker.refuse(row, "a mean with the same padding on both sides", f"padding {padding}")
    settings: list[tuple[str, Any]] = [("pool", "AVE" if mean else "MAX"), *geometry(windows, pad)]
    up, down = (
        windows_of(row.name, (h, w), windows.kernel, windows.stride, (pad[0], pad[0], pad[1], pad[1]), ceil, inside=True).out
        for ceil in (True, False)
    )
    if windows.out not in (up, down):
        raise maker.refuse(row, "pooling with the same padding on both sides", f"padding {padding}")
    if windows.out != up:
        settings.append(("round_mode", "FLOOR"))
    return [layer("Pooling", row.name, (x,), pooling_param=settings)]


def global_pool(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """The mean of each channel, which has two axes of length 1 in Caffe."""
    c, _, _ = images(maker, row, inputs[0])
    maker.shapes[row.name] = (c,)
    maker.square.add(row.name)
    return [layer("Pooling", row.name, inputs, pooling_param=[("pool", "AVE"), ("global_pooling", True)])]


def norm(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """Response normalization across channels; with groups, each group is a slice of its own."""
    (x,) = inputs
    c, h, w = images(maker, row, x)
    maker.shapes[row.name] = (c, h, w)
    n, groups = row.settings.get("n", 5), row.settings.get("groups", 1)
    if n % 2 == 0:
        raise maker.refuse(row, "over an odd number of channels", n)
    alpha = row.settings.get("alpha", 1e-4)
    if not row.settings.get("alpha_over_n", False):
        alpha = _times(alpha, n)
    settings = [("local_size", n), ("alpha", alpha), ("beta", row.settings.get("beta", 0.75)), ("k", row.settings.get("k", 2.0))]
    if groups == 1:
        return [layer("LRN", row.name, inputs, lrn_param=settings)]
    name = maker.free(f"{row.name}/slice")
    tops = [maker.free(f"{row.name}/slice{i}") for i in range(1, groups + 1)]
    normed = [maker.free(f"{row.name}/{i}") for i in range(1, groups + 1)]
    points = [("slice_point", c // groups * i) for i in range(1, groups)]
    return [
        layer("Slice", name, (x,), tops, slice_param=points),
        *(layer("LRN", out, (top,), lrn_param=settings) for top, out in zip(tops, normed, strict=True)),
        layer("Concat", row.name, normed),
    ]


def rnorm(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """Response normalization within a channel, in which Caffe has k = 1 and an odd window."""
    maker.shapes[row.name] = images(maker, row, inputs[0])
    n, k, alpha = row.settings.get("n", 3), row.settings.get("k", 1.0), row.settings.get("alpha", 5e-5)
    if n % 2 == 0 or k != 1:
        raise maker.refuse(row, "over an odd window with k = 1", f"n {n} and k {k:g}")
    if not row.settings.get("alpha_over_area", True):
        alpha = _times(alpha, n**2)
    settings = [("local_size", n), ("alpha", alpha), ("beta", row.settings.get("beta", 0.75)), ("norm_region", "WITHIN_CHANNEL")]
    return [layer("LRN", row.name, inputs, lrn_param=settings)]


def _times(alpha: float, n: int) -> float:
    """The number nearest to alpha n that gives alpha again when it is divided by n."""
    product = alpha * n
    near = (product, math.nextafter(product, 0), math.nextafter(product, math.inf))
    return next((value for value in near if value / n == alpha), product)


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
        alone = not mean.any() and bool((var == 1).all())
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


def dropout(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """Dropout; where it scales while testing, with a factor behind it, because Caffe's scales while training."""
    maker.shapes[row.name] = maker.shapes[inputs[0]]
    p = row.settings.get("p", 0.5)
    if row.settings.get("scale", "test") == "train":
        return [layer("Dropout", row.name, inputs, dropout_param=[("dropout_ratio", p)])]
    name = maker.free(f"{row.name}/dropped")
    dropped = layer("Dropout", row.name, inputs, (name,), dropout_param=[("dropout_ratio", p)])
    return [dropped, layer("Power", maker.free(f"{row.name}/factor"), (name,), (row.name,), power_param=[("scale", 1 - p)])]


def scale(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """A fixed factor."""
    maker.shapes[row.name] = maker.shapes[inputs[0]]
    return [layer("Power", row.name, inputs, power_param=[("scale", row["factor"])])]


def abs_tanh(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """|tanh(x)|."""
    maker.shapes[row.name] = maker.shapes[inputs[0]]
    name = maker.free(f"{row.name}/tanh")
    return [layer("TanH", row.name, inputs, (name,)), layer("AbsVal", maker.free(f"{row.name}/abs"), (name,), (row.name,))]


def flatten(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """A vector of images."""
    maker.shapes[row.name] = (math.prod(maker.shapes[inputs[0]]),)
    return [layer("Flatten", row.name, inputs)]


def simple(kind: str) -> Callable[[Maker, Row, Sequence[str]], list[Message]]:
    """A layer of this type without settings."""

    def make(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
        maker.shapes[row.name] = maker.shapes[inputs[0]]
        maker.square |= {row.name} if inputs[0] in maker.square else set()
        return [layer(kind, row.name, inputs)]

    return make


def join(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """A concat or a sum. Where only some inputs have two axes of length 1, these lose them."""
    found: list[Message] = []
    names = list(inputs)
    if len({value in maker.square for value in inputs}) > 1:
        for i, value in enumerate(inputs):
            if value in maker.square:
                names[i] = maker.free(f"{row.name}/flat{i + 1}")
                found.append(layer("Flatten", names[i], (value,)))
    elif inputs[0] in maker.square:
        maker.square.add(row.name)
    shapes = [maker.shapes[value] for value in inputs]
    concat = row.kind == "concat"
    maker.shapes[row.name] = (sum(shape[0] for shape in shapes), *shapes[0][1:]) if concat else shapes[0]
    return [*found, layer("Concat" if concat else "Eltwise", row.name, names)]


def product(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """Images times a gate."""
    image, gate = inputs
    found: list[Message] = []
    if gate in maker.square:
        flat = maker.free(f"{row.name}/flat")
        found.append(layer("Flatten", flat, (gate,)))
        gate = flat
    maker.shapes[row.name] = maker.shapes[image]
    return [*found, layer("Scale", row.name, (image, gate), scale_param=[("axis", 0)])]


KINDS: Mapping[str, Callable[[Maker, Row, Sequence[str]], list[Message]]] = {
    "conv": conv, "linear": linear, "pool": pool, "mean_pool": pool, "global_pool": global_pool, "norm": norm, "rnorm": rnorm,
    "bn": batch_norm, "dropout": dropout, "scale": scale, "abstanh": abs_tanh, "flatten": flatten, "relu": simple("ReLU"),
    "tanh": simple("TanH"), "sigmoid": simple("Sigmoid"), "concat": join, "sum": join, "product": product,
}  # fmt: skip


def made(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """The layers of a row. CheckpointError: Caffe has none that compute the same."""
    if row.kind not in KINDS:
        raise maker.refuse(row, f"of a kind that Caffe has, {', '.join(KINDS)}", row.kind)
    return KINDS[row.kind](maker, row, inputs)
