"""Rows of the engine as layers of Caffe, each kind by a function of its own.

Some rows become several layers: a batch normalization and its scale; the paper's dropout, which scales while testing, and a factor; a
normalization in groups, in slices that are joined again; a convolution whose last windows reach over the edge, behind a convolution that
only adds the missing rows of zeros. A shortcut without parameters becomes a convolution whose weights are fixed.
`tinyalex.formats.caffe.convert` makes the same rows of them again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinyalex.formats.caffe.maker import Maker, geometry, images, layer
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.weighted_rows import batch_norm, conv, linear, shortcut
from tinyalex.geometry import check_padding, windows_of
from tinyalex.models.rows import Row


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


def tanh(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """a tanh(b x), or its absolute value: a factor in front and one behind, where they are not 1."""
    a, b = row.settings.get("a", 1.0), row.settings.get("b", 1.0)
    maker.shapes[row.name] = maker.shapes[inputs[0]]
    steps: list[tuple[str, str, dict[str, Any]]] = [("TanH", row.name, {})]
    if b != 1:
        steps.insert(0, ("Power", f"{row.name}/b", {"power_param": [("scale", b)]}))
    if a != 1:
        steps.append(("Power", f"{row.name}/a", {"power_param": [("scale", a)]}))
    if row.kind == "abstanh":
        steps.append(("AbsVal", f"{row.name}/abs", {}))
    found: list[Message] = []
    x = inputs[0]
    for number, (kind, name, parts) in enumerate(steps, 1):
        out = row.name if number == len(steps) else maker.free(f"{row.name}/{number}")
        found.append(layer(kind, name if name == row.name else maker.free(name), (x,), (out,), **parts))
        x = out
    return found


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
    "bn": batch_norm, "dropout": dropout, "scale": scale, "abstanh": tanh, "flatten": flatten, "relu": simple("ReLU"),
    "tanh": tanh, "sigmoid": simple("Sigmoid"), "concat": join, "sum": join, "product": product,
    "shortcut": shortcut,
}  # fmt: skip


SETTINGS: Mapping[str, str] = {  # which settings of each kind the functions above read; others of which nothing depends are in NOTHING
    "conv": "out_channels kernel_size stride padding groups bias ceil_mode weight_init bias_init",
    "linear": "out_features groups weight_init bias_init",
    "pool": "kernel_size stride padding ceil_mode",
    "mean_pool": "kernel_size stride padding ceil_mode count_padding",
    "norm": "n k alpha beta groups alpha_over_n",
    "rnorm": "n k alpha beta alpha_over_area",
    "bn": "momentum eps convention statistics weight_init bias_init",
    "dropout": "p scale",
    "scale": "factor",
    "shortcut": "channels stride zeros",
    "tanh": "a b",
    "abstanh": "a b",
}
NOTHING = frozenset({"algorithm", "input_gradient", "seed", "part"})


def made(maker: Maker, row: Row, inputs: Sequence[str]) -> list[Message]:
    """The layers of a row. CheckpointError: Caffe has none that compute the same."""
    if row.kind not in KINDS:
        raise maker.refuse(row, f"of a kind that Caffe has, {', '.join(KINDS)}", row.kind)
    other = row.settings.keys() - NOTHING - set(SETTINGS.get(row.kind, "").split())
    if other:
        raise maker.refuse(row, f"without settings that Caffe's {row.kind} does not have", ", ".join(sorted(other)))
    return KINDS[row.kind](maker, row, inputs)
