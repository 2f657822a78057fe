"""One layer of Caffe as nodes of the engine's graph, for each type that the engine has.

What is special in Caffe: LRN divides alpha by the size of its window, and k is 1 where none is given. Pooling rounds up, but its last
window starts inside the image or its padding; a mean counts padded cells. Dropout scales while training. A batch normalization has its
scale and shift in the layer behind it. Averaging all of an image leaves two axes of length 1, which the engine does not keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tinyalex.errors import DataError, ShapeError, show
from tinyalex.formats.caffe.message import CaffeLayer
from tinyalex.formats.caffe.slots import Graph, Value, count, images, padding, plain, require, require_whole, sides
from tinyalex.formats.caffe.weighted import batch_norm, convolution, flattened, inner_product, product, scale
from tinyalex.geometry import windows_of
from tinyalex.models.rows import Row

Convert = Callable[[Graph, CaffeLayer, tuple[Value, ...], tuple[Value, ...]], None]


def pooling(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Pooling: the maximum or the mean."""
    (x,), (out, *others) = bottoms, tops
    p = layer.part("pooling_param", "Pooling")
    method = p.one("pool", "MAX")
    if method == "STOCHASTIC" or others:
        raise layer.error("pool", "MAX or AVE with one output", method if not others else "a second output", at=p.line_of("pool"))
    c, *size = images(layer, x)
    name = graph.name(layer.name)
    if p.one("global_pooling", False) and method == "AVE":
        graph.add(layer, Row("global_pool", name), (x,), out, (c,))
        return
    if p.one("global_pooling", False):
        kernel, stride, pad = (size[0], size[1]), (1, 1), (0, 0)
    else:
        kernel, stride = sides(layer, p, "kernel_size", "kernel_h", "kernel_w", None), sides(layer, p, "stride", "stride_h", "stride_w", 1)
        pad = sides(layer, p, "pad", "pad_h", "pad_w", 0, 0)
    ceil = p.one("round_mode", "CEIL") == "CEIL"
    settings = {"kernel_size": plain(kernel), "stride": plain(stride), "padding": padding(pad), "ceil_mode": ceil}
    for n, k, s, one in zip(size, kernel, stride, pad, strict=True):
        if ceil and pad == (0, 0) and k <= n and -(-(n - k) // s) * s >= n + one:
            raise layer.error("stride", f"so small that no window of {k} lies outside of the image of {n}", s, at=p.line_of("stride"))
    windows = windows_of(layer.name, (size[0], size[1]), kernel, stride, settings["padding"], ceil, inside=True)
    kind = "pool" if method == "MAX" else "mean_pool"
    if kind == "mean_pool":
        settings["count_padding"] = True
    graph.add(layer, Row(kind, name, settings), (x,), out, (c, *windows.out))


def lrn(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """LRN across channels or within each channel; also that of a slice, see `join_slices`."""
    (x,), (out,) = bottoms, tops
    p = layer.part("lrn_param", "LRN")
    n = count(layer, p, "local_size", 5)
    if n % 2 == 0:
        raise layer.error("local_size", "odd", n, at=p.line_of("local_size"))
    numbers: dict[str, Any] = {"n": n, "k": p.one("k", 1.0), "alpha": p.one("alpha", 1.0), "beta": p.one("beta", 0.75)}
    within = p.one("norm_region", "ACROSS_CHANNELS") == "WITHIN_CHANNEL"
    if within:
        if numbers["k"] != 1:
            graph.notes.append(f"{layer.name}: k {numbers['k']:g} counts as 1, because Caffe reads none within a channel")
        row = Row("rnorm", layer.name, {**numbers, "k": 1.0, "alpha_over_area": True})
    else:
        row = Row("norm", layer.name, {**numbers, "alpha_over_n": True})
    if x.name in graph.slices and not within:
        source, index, pieces, _ = graph.slices.pop(x.name)
        graph.slices[out.name] = (source, index, pieces, row)
        out.shape = x.shape
        return
    images(layer, x)
    graph.add(layer, Row(row.kind, graph.name(layer.name), row.settings), (x,), out, x.shape)


def slices(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Slice into equal parts, of which each is normalized and which are then joined: normalization in groups."""
    (x,) = bottoms
    p = layer.part("slice_param", "Slice")
    require(layer, p, "axis", 1, 1)
    c, h, w = images(layer, x)
    pieces = len(tops)
    points = p.all("slice_point") or [c // pieces * i for i in range(1, pieces)]
    if c % pieces or points != [c // pieces * i for i in range(1, pieces)]:
        raise layer.error("slice_point", f"{pieces} equal parts of {c} channels", points, at=p.line_of("slice_point"))
    for index, top in enumerate(tops):
        top.shape = (c // pieces, h, w)
        graph.slices[top.name] = (x, index, pieces, None)


def join_slices(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], out: Value) -> bool:
    """Whether the inputs are the normalized slices of one value, in order; then they become one normalization with groups."""
    found = [graph.slices.get(value.name) for value in bottoms]
    if not any(found):
        return False
    rows = [each[3] for each in found if each is not None]
    sources = {each[0].name for each in found if each is not None}
    order = [each[1] for each in found if each is not None]
    alike = rows and all(row is not None and row.settings == rows[0].settings for row in rows if rows[0] is not None)
    if len(sources) != 1 or order != list(range(len(bottoms))) or not alike or rows[0] is None or found[0] is None:
        return False
    if found[0][2] != len(order):
        return False
    source = found[0][0]
    for value in bottoms:
        del graph.slices[value.name]
    row = Row("norm", graph.name(layer.name), {**rows[0].settings, "groups": len(bottoms)})
    graph.add(layer, row, (source,), out, source.shape)
    return True


def concat(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Concat along the channels."""
    (out,) = tops
    p = layer.part("concat_param", "Concat")
    require(layer, p, "axis", 1, 1)
    require(layer, p, "concat_dim", 1, 1)
    if join_slices(graph, layer, bottoms, out):
        return
    require_whole(graph, layer, bottoms)
    if len({value.shape[1:] for value in bottoms}) != 1:
        raise layer.error("the inputs", "of one height and width", " and ".join(str(value.shape) for value in bottoms))
    shape = (sum(value.shape[0] for value in bottoms), *bottoms[0].shape[1:])
    if len(bottoms) == 1:
        graph.same(bottoms[0], out)
        return
    graph.add(layer, Row("concat", graph.name(layer.name)), bottoms, out, shape)


def eltwise(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Eltwise: a sum, each input times a number."""
    (out,) = tops
    p = layer.part("eltwise_param", "Eltwise")
    require(layer, p, "operation", "SUM", "SUM", "only a product of images with one number a channel is there, as in Scale and Axpy")
    if len({value.shape for value in bottoms}) != 1 or len(bottoms) < 2:
        raise layer.error("the inputs", "at least 2 of one shape", " and ".join(str(value.shape) for value in bottoms))
    factors = p.all("coeff") or [1.0] * len(bottoms)
    if len(factors) != len(bottoms) or 0 in factors:
        raise layer.error("coeff", "one number other than 0 for each input", factors, at=p.line_of("coeff"))
    terms = []
    for number, (value, factor) in enumerate(zip(bottoms, factors, strict=True), 1):
        if factor != 1:
            term = Value(f"{out.name} term {number}", (), 1)
            graph.add(layer, Row("scale", graph.name(f"{layer.name}.{number}"), {"factor": float(factor)}), (value,), term, value.shape)
            value = term
        terms.append(value)
    graph.add(layer, Row("sum", graph.name(layer.name)), tuple(terms), out, bottoms[0].shape)


def axpy(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Axpy of SENet's authors: the first input, a gate, times the second one, plus the third one."""
    (gate, image, other), (out,) = bottoms, tops
    scaled = Value(f"{out.name} scaled", (), 1)
    product(graph, layer, image, gate, scaled, f"{layer.name}.product")
    if other.shape != image.shape:
        raise layer.error("the third input", f"of the shape {image.shape}", str(other.shape))
    graph.add(layer, Row("sum", graph.name(layer.name)), (scaled, other), out, image.shape)


def power(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Power: a factor. Behind a dropout of p, the factor 1 - p makes it the paper's, which scales while testing; tanh takes factors too."""
    (x,), (out,) = bottoms, tops
    p = layer.part("power_param", "Power")
    require(layer, p, "power", 1, 1.0)
    require(layer, p, "shift", 0, 0.0)
    factor = p.one("scale", 1.0)
    turned = graph.behind(x, "tanh")
    if turned is not None and "a" not in turned.row.settings and factor != 0:
        graph.change(x, out, Row("tanh", turned.row.name, {**turned.row.settings, "a": float(factor)}))
        return
    node = graph.behind(x, "dropout")
    if node is not None and node.row["scale"] == "train" and factor == 1 - node.row["p"]:
        graph.change(x, out, node.row.having(scale="test"))
        return
    if factor == 1:
        graph.same(x, out)
        return
    if factor == 0:
        raise layer.error("scale", "a number other than 0", factor, at=p.line_of("scale"))
    graph.add(layer, Row("scale", graph.name(layer.name), {"factor": float(factor)}), (x,), out, x.shape)


def dropout(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Dropout, which scales while training."""
    (x,), (out,) = bottoms, tops
    p = layer.part("dropout_param", "Dropout")
    ratio = p.one("dropout_ratio", 0.5)
    if not 0 <= ratio < 1:
        raise layer.error("dropout_ratio", "at least 0 and below 1", ratio, at=p.line_of("dropout_ratio"))
    graph.add(layer, Row("dropout", graph.name(layer.name), {"p": float(ratio), "scale": "train"}), (x,), out, x.shape)


def tanh(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """TanH, with the factor of its input if there is one in front."""
    (x,), (out,) = bottoms, tops
    node = graph.behind(x, "scale")
    if node is None:
        graph.add(layer, Row("tanh", graph.name(layer.name)), (x,), out, x.shape)
    else:
        graph.change(x, out, Row("tanh", graph.name(layer.name), {"b": node.row["factor"]}))


def abs_val(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """AbsVal, which the engine has behind tanh alone."""
    (x,), (out,) = bottoms, tops
    node = graph.behind(x, "tanh")
    if node is None:
        raise layer.error("the layer in front", "a TanH that nothing else reads", "another one")
    graph.change(x, out, Row("abstanh", node.row.name, node.row.settings))


def flatten(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Flatten and Reshape into a vector."""
    (x,), (out,) = bottoms, tops
    if layer.type == "Flatten":
        p = layer.part("flatten_param", "Flatten")
        require(layer, p, "axis", 1, 1)
        if p.one("end_axis", -1) not in (-1, 3):
            raise layer.error("end_axis", "-1", p.one("end_axis"), at=p.line_of("end_axis"))
    else:
        p = layer.part("reshape_param", "Reshape")
        require(layer, p, "axis", 0, 0)
        require(layer, p, "num_axes", -1, -1)
        dims = p.part("shape", "Shape").all("dim")
        size = 1
        for side in x.shape:
            size *= side
        channels = (0,) if x.shape[0] == size else ()  # 0 keeps the number of channels
        if len(dims) < 2 or dims[0] not in (0, 1, -1) or dims[1] not in (-1, size, *channels) or any(dim != 1 for dim in dims[2:]):
            raise layer.error("shape", f"0 and -1, which makes a vector of {size:,}", dims, at=p.line_of("shape"))
    if len(x.shape) == 1:
        graph.same(x, out)
    else:
        flattened(graph, layer, x, out, layer.name)


def split(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Split, which Caffe inserts where a value is read several times."""
    for out in tops:
        graph.same(bottoms[0], out)
    bottoms[0].readers += len(tops) - 1


def activation(kind: str) -> Convert:
    """A layer without settings of this kind."""

    def convert(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
        (x,), (out,) = bottoms, tops
        if kind == "relu":
            require(layer, layer.part("relu_param", "ReLU"), "negative_slope", 0, 0.0)
        graph.add(layer, Row(kind, graph.name(layer.name)), (x,), out, x.shape)

    return convert


TYPES: Mapping[str, tuple[Convert, int, int]] = {  # the function, the fewest and the most inputs
    "Convolution": (convolution, 1, 1),
    "InnerProduct": (inner_product, 1, 1),
    "Pooling": (pooling, 1, 1),
    "LRN": (lrn, 1, 1),
    "Slice": (slices, 1, 1),
    "Concat": (concat, 1, 4096),
    "Eltwise": (eltwise, 1, 4096),
    "Axpy": (axpy, 3, 3),
    "BatchNorm": (batch_norm, 1, 1),
    "Scale": (scale, 1, 2),
    "Power": (power, 1, 1),
    "Dropout": (dropout, 1, 1),
    "AbsVal": (abs_val, 1, 1),
    "Flatten": (flatten, 1, 1),
    "Reshape": (flatten, 1, 1),
    "Split": (split, 1, 1),
    "ReLU": (activation("relu"), 1, 1),
    "Sigmoid": (activation("sigmoid"), 1, 1),
    "TanH": (tanh, 1, 1),
}


def convert(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Append the nodes of one layer. DataError: the engine cannot do what it does; the message names the line."""
    if not layer.name.isprintable():  # it could change a terminal
        raise layer.error("the name", "made of characters that can be printed", show(layer.name))
    if layer.type not in TYPES:
        raise layer.error("the type", f"one that the engine has, {', '.join(TYPES)}", layer.type)
    function, fewest, most = TYPES[layer.type]
    if not fewest <= len(bottoms) <= most or not tops or (len(tops) > 1 and layer.type not in ("Slice", "Split", "Pooling")):
        rule = f"from {fewest} to {most} and 1" if most > fewest else f"{fewest} and 1"
        raise layer.error("the numbers of bottoms and tops", rule, f"{len(bottoms)} and {len(tops)}")
    if layer.type not in ("LRN", "Concat"):
        require_whole(graph, layer, bottoms)
    try:
        function(graph, layer, bottoms, tops)
    except ShapeError as error:
        raise DataError(f"{layer.where}: layer {show(layer.name)}: {error}") from None
