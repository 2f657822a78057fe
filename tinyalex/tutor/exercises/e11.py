"""E11: a network on paper: the shape, the parameters and the multiply-adds of each layer (paper 3.5, Figure 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyalex.tutor.exercise import Exercise, Function, Mistake, Probe

Layer = dict[str, Any]
Shape = tuple[int, int, int]
Plan = tuple[list[Shape], list[int], list[int]]


def plan(layers: Sequence[Layer], in_shape: Shape) -> Plan:
    """The shape that each layer of a network gives, its parameters and its multiplications, before it is built (paper 3.5, Figure 2).

    windows along a side of `size` pixels = ceil((size + 2 padding - kernel) / stride) + 1

    The equation holds for conv and for pool; a pool has padding 0. It rounds up, as the program of 2012 did: a last window may hang over
    the edge, and so the paper's 224 pixels give 55. E04 and E06 take only windows that lie wholly on the sheet, and round down.

    Parameters
    ----------
    layers: dicts, in order, each with exactly the entries shown here:
        {"type": "conv", "filters": K, "kernel": k, "stride": s, "padding": p, "groups": G}: the kernel is k x k. The channels are
            split into G groups, and so are the filters; a filter reads the C / G channels of its own group. One bias a filter.
        {"type": "pool", "kernel": k, "stride": s}: each channel alone.
        {"type": "linear", "units": K}: every unit reads all C H W numbers. One bias a unit.
        {"type": "relu"}, {"type": "lrn"}, {"type": "dropout"}: they change no shape.
    in_shape: (C, H, W) of one image.

    Returns
    -------
    shapes: for each layer the (C, H, W) of what it gives for one image; (K, 1, 1) for a linear layer with K units.
    parameters: for each layer the number of its weights and biases; 0 where it has none.
    macs: for each layer how often a weight is multiplied with a number, for one image. Windows at an edge count in full, a bias is
        an addition and does not count. 0 where a layer has no weights.

    All three are lists (or arrays) with one entry a layer; all numbers are whole: integers, or floats such as 96.0. `layers` is
    left as it is. In AlexNet the parameters sum to 60,965,224 and the macs to 724,406,816.
    """
    return _walk(layers, in_shape)


def _windows(size: int, kernel: int, stride: int, padding: int) -> int:
    return -(-(size + 2 * padding - kernel) // stride) + 1


def _down(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - kernel) // stride + 1


def _walk(
    layers: Sequence[Layer],
    in_shape: Shape,
    windows: Callable[[int, int, int, int], int] = _windows,
    pool: Callable[[int, int, int], int] | None = None,
    kernels: Callable[[Layer, int], float] = lambda layer, c: layer["kernel"] ** 2 * c / layer["groups"],
    inputs: Callable[[int, int, int], int] = lambda c, h, w: c * h * w,
    biases: Callable[[Layer, int, int], int] = lambda layer, oh, ow: int(layer.get("filters") or layer["units"]),
    macs: Callable[[Layer, int, Any, Any], int] = lambda layer, weights, before, after: weights * after[1] * after[2],
) -> Plan:
    """Layer after layer. Each rule can be exchanged for one that somebody gets wrong."""
    shapes: list[Shape] = []
    parameters, products = [], []
    for layer in layers:
        before = c, h, w = shapes[-1] if shapes else in_shape
        after, own, multiplied = before, 0, 0
        if layer["type"] == "conv":
            oh, ow = (windows(side, layer["kernel"], layer["stride"], layer["padding"]) for side in (h, w))
            after, own = (layer["filters"], oh, ow), round(layer["filters"] * kernels(layer, c))
        elif layer["type"] == "pool":
            way = pool or (lambda side, kernel, stride: windows(side, kernel, stride, 0))
            after = c, way(h, layer["kernel"], layer["stride"]), way(w, layer["kernel"], layer["stride"])
        elif layer["type"] == "linear":
            after, own = (layer["units"], 1, 1), layer["units"] * inputs(c, h, w)
        if own:
            multiplied = macs(layer, own, before if layer["type"] == "conv" else after, after)
            own += biases(layer, *after[1:])
        shapes.append(after)
        parameters.append(own)
        products.append(multiplied)
    return shapes, parameters, products


def _with(**rules: Any) -> Callable[[Sequence[Layer], Shape], Plan]:
    """A plan by other rules."""
    return lambda layers, in_shape: _walk(layers, in_shape, **rules)


def _of_windows(key: str, windows: Callable[[int, int, int, int], Any], source: str = "inferred") -> list[Mistake]:
    """Another number of windows: in conv and pool alike, and in one of them alone."""

    def right(size: int, kernel: int, stride: int) -> int:
        return _windows(size, kernel, stride, 0)

    def of_pool(size: int, kernel: int, stride: int) -> Any:
        return windows(size, kernel, stride, 0)

    return [
        Mistake(key, _with(windows=windows), source, words={"kinds": "conv and pool"}),
        Mistake(f"{key}/in conv alone", _with(windows=windows, pool=right), source, words={"kinds": "conv"}),
        Mistake(f"{key}/in pool alone", _with(pool=of_pool), source, words={"kinds": "pool"}),
    ]


def _of_weights(key: str, **rules: Callable[..., Any]) -> list[Mistake]:
    """Another rule for layers with weights: for conv and linear alike, and for one of them alone."""
    usual: dict[str, Callable[..., Any]] = {
        "biases": lambda layer, oh, ow: int(layer.get("filters") or layer["units"]),
        "macs": lambda layer, weights, before, after: weights * after[1] * after[2],
    }

    def for_one(kind: str, name: str) -> Callable[..., Any]:
        return lambda layer, *others: (rules if layer["type"] == kind else usual)[name](layer, *others)

    alone = [(kind, _with(**{name: for_one(kind, name) for name in rules})) for kind in ("conv", "linear")]
    return [
        Mistake(key, _with(**rules), "inferred", words={"kinds": "conv and linear"}),
        *(Mistake(f"{key}/in {kind} alone", way, "inferred", words={"kinds": kind}) for kind, way in alone),
    ]


def _after(change: Callable[[list[Shape], list[int], list[int]], Any]) -> Callable[[Sequence[Layer], Shape], Any]:
    """What is made of the right plan in the end."""
    return lambda layers, in_shape: change(*_walk(layers, in_shape))


def width_from_height(layers: Sequence[Layer], in_shape: Shape) -> Plan:
    return _walk(layers, (in_shape[0], in_shape[1], in_shape[1]))


def channels_of_the_image(layers: Sequence[Layer], in_shape: Shape) -> Plan:
    return _walk(layers, in_shape, kernels=lambda layer, c: layer["kernel"] ** 2 * in_shape[0] / layer["groups"])


def padding_of_the_last_conv(layers: Sequence[Layer], in_shape: Shape) -> Plan:
    """A variable that a convolution has set is still there when a pool comes."""
    last = [0]

    def windows(size: int, kernel: int, stride: int, padding: int) -> int:
        last[0] = padding
        return _windows(size, kernel, stride, padding)

    return _walk(layers, in_shape, windows, lambda size, kernel, stride: _windows(size, kernel, stride, last[0]))


def shapes_before_the_layers(layers: Sequence[Layer], in_shape: Shape) -> Plan:
    shapes, own, macs = _walk(layers, in_shape)
    return [in_shape, *shapes[:-1]], own, macs


def image_among_the_shapes(layers: Sequence[Layer], in_shape: Shape) -> Plan:
    shapes, own, macs = _walk(layers, in_shape)
    return [in_shape, *shapes], own, macs


def layers_without_weights_left_out(layers: Sequence[Layer], in_shape: Shape) -> Plan:
    kept = [at for at, layer in enumerate(layers) if layer["type"] not in ("relu", "lrn", "dropout")]
    return tuple([part[at] for at in kept] for part in _walk(layers, in_shape))  # type: ignore[return-value]


def conv(filters: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1) -> Layer:
    """A layer's dict."""
    return {"type": "conv", "filters": filters, "kernel": kernel, "stride": stride, "padding": padding, "groups": groups}


RELU, LRN, DROPOUT, POOL = {"type": "relu"}, {"type": "lrn"}, {"type": "dropout"}, {"type": "pool", "kernel": 3, "stride": 2}
ALEXNET: tuple[Layer, ...] = (
    conv(96, 11, 4), RELU, LRN, POOL,
    conv(256, 5, 1, 2, 2), RELU, LRN, POOL,
    conv(384, 3, 1, 1), RELU,
    conv(384, 3, 1, 1, 2), RELU,
    conv(256, 3, 1, 1, 2), RELU, POOL,
    {"type": "linear", "units": 4096}, RELU, DROPOUT,
    {"type": "linear", "units": 4096}, RELU, DROPOUT,
    {"type": "linear", "units": 1000},
)  # fmt: skip


def _pool(kernel: int, stride: int) -> Layer:
    return {"type": "pool", "kernel": kernel, "stride": stride}


def _linear(units: int) -> Layer:
    return {"type": "linear", "units": units}


def _networks(more: int) -> tuple[tuple[tuple[Layer, ...], Shape], ...]:
    """For each size set six networks and the image that each reads; `more` of 0, 1 or 2 makes them larger."""
    return (
        ((conv(6 + 2 * more, 3, 2, 1, 2),), (4, 9, 14)),
        ((conv(7, 5, 1, 2),), (3, 8 + more, 13)),
        ((conv(5 + more, 3, 2), RELU, _pool(3, 2), _linear(8 + more)), (3, 20, 27 + 4 * more)),
        ((conv(6, 5, 3, 1, 2), LRN, conv(9, 3, 1, 2, 3), _pool(3, 4), _linear(11), DROPOUT, _linear(7)), (4, 32, 22 + 3 * more)),
        ((conv(4 + 2 * more, 5, 2, 1, 2), RELU, _pool(3, 2), conv(9, 3, 1, 1)), (6, 17, 24)),
        ((_linear(7 + more), RELU, _linear(5)), (2, 3, 4)),

        ((conv(9 + 3 * more, 5, 3, 1, 3),), (6, 12, 19)),
        ((conv(8, 7, 1, 2),), (5, 11 + more, 16)),
        ((conv(7 + more, 5, 3), RELU, _pool(3, 2), _linear(9 + more)), (2, 31, 25 + 3 * more)),
        ((conv(8, 5, 3, 2, 2), LRN, conv(12, 3, 1, 2, 4), _pool(4, 5), _linear(13), DROPOUT, _linear(6)), (6, 33, 45 + 3 * more)),
        ((conv(6 + 3 * more, 3, 2, 1, 3), RELU, _pool(4, 3), conv(8, 3, 1, 1)), (3, 21, 26)),
        ((_linear(8 + more), RELU, _linear(3)), (3, 2, 5)),

        ((conv(10 + 2 * more, 3, 2, 1, 2),), (6, 15, 10)),
        ((conv(9, 5, 1, 2),), (4, 14 + more, 9)),
        ((conv(8 + more, 3, 2), RELU, _pool(3, 2), _linear(12 + more)), (5, 28, 19 + 4 * more)),
        ((conv(10, 5, 3, 1, 2), LRN, conv(15, 3, 1, 2, 5), _pool(3, 4), _linear(14), DROPOUT, _linear(9)), (8, 41, 31 + 3 * more)),
        ((conv(6 + 2 * more, 5, 3, 2, 2), RELU, _pool(3, 2), conv(7, 3, 1, 1)), (4, 25, 18)),
        ((_linear(6 + more), RELU, _linear(9)), (4, 5, 2)),

        ((conv(8 + 4 * more, 5, 3, 2, 4),), (8, 14, 23)),
        ((conv(11, 7, 1, 2),), (2, 15 + more, 12)),
        ((conv(9 + more, 5, 3), RELU, _pool(3, 2), _linear(7 + more)), (4, 37, 29 + 3 * more)),
        ((conv(12, 5, 3, 2, 2), LRN, conv(8, 3, 1, 2, 4), _pool(4, 5), _linear(9), DROPOUT, _linear(5)), (10, 45, 33 + 3 * more)),
        ((conv(8 + 4 * more, 3, 2, 1, 4), RELU, _pool(4, 3), conv(5, 3, 1, 1)), (8, 19, 28)),
        ((_linear(11 + more), RELU, _linear(4)), (5, 4, 3)),
    )  # fmt: skip


DESCRIBED = {
    "one conv": "one convolution with groups, a stride and padding",
    "padding": "one convolution with padding 2",
    "small": "conv, relu, pool, linear",
    "two": "two convolutions with groups and two linear layers",
    "convolutions": "two convolutions and a pool",
    "linear": "two linear layers",
    "alexnet": "AlexNet",
}


def probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Networks from one layer to AlexNet; lines and columns differ, and windows hang over edges.

    Two calls have convolutions with groups and no linear layer, and one has no convolution: of two mistakes, one in each, either shows
    alone.
    """
    networks = (*_networks(int(rng.integers(3)))[6 * sizes : 6 * sizes + 6], (ALEXNET, (3, 224, 224)))
    return [
        Probe(key, says, {"layers": [dict(layer) for layer in net], "in_shape": shape})
        for (key, says), (net, shape) in zip(DESCRIBED.items(), networks, strict=True)
    ]


STATS = "a question at stats.stackexchange.com, 132897"
DIGITS = "NVIDIA/DIGITS#1301, apache/mxnet#3348"
E11 = Exercise("E11", "AlexNet on paper: shapes, parameters, multiply-adds", "09", 25, (
    Function("plan", plan, ("shapes", "parameters", "macs"), probes, (
        Mistake("groups left out", _with(kernels=lambda layer, c: layer["kernel"] ** 2 * c), DIGITS),
        *_of_windows("rounded down", _down, STATS),
        *_of_windows("rounded to the nearest", lambda size, k, s, p: round((size + 2 * p - k) / s) + 1),
        *_of_windows("not rounded", lambda size, k, s, p: (size + 2 * p - k) / s + 1),
        *_of_weights("no biases", biases=lambda layer, oh, ow: 0),
        Mistake("pool forgotten", _with(pool=lambda size, k, s: size), "a summary of the paper whose list of layers has no pool5"),
        *_of_weights("two operations", macs=lambda layer, weights, before, after: 2 * weights * after[1] * after[2]),
        Mistake("half everywhere", _with(kernels=lambda layer, c: layer["kernel"] ** 2 * c / 2), "inferred"),
        Mistake("padding once", _with(windows=lambda size, k, s, p: _windows(size + p, k, s, 0)), "inferred"),
        Mistake("padding left out", _with(windows=lambda size, k, s, p: _windows(size, k, s, 0)), "inferred"),
        *_of_windows("no last window", lambda size, k, s, p: _windows(size, k, s, p) - 1),
        *_of_windows("size over stride", lambda size, k, s, p: -(-size // s), "a summary of the paper, on SAME padding"),
        *_of_windows("stride left out", lambda size, k, s, p: _windows(size, k, 1, p)),
        *_of_windows("kernel left out", lambda size, k, s, p: -(-(size + 2 * p) // s) + 1),
        *_of_windows("without brackets", lambda size, k, s, p: size + 2 * p - k // s + 1),
        Mistake("pool side by side", _with(pool=lambda size, k, s: _windows(size, k, k, 0)), "inferred"),
        Mistake("linear reads channels", _with(inputs=lambda c, h, w: c), "inferred"),
        Mistake("linear reads one channel", _with(inputs=lambda c, h, w: h * w), "inferred"),
        Mistake("one group alone", _with(kernels=lambda layer, c: layer["kernel"] ** 2 * c / layer["groups"] ** 2), DIGITS),
        Mistake("a bias a pixel", _with(biases=lambda layer, oh, ow: (layer.get("filters") or layer["units"]) * oh * ow), "inferred"),
        *_of_weights("one bias a layer", biases=lambda layer, oh, ow: 1),
        *_of_weights("biases multiplied", macs=lambda layer, weights, before, after: (weights + after[0]) * after[1] * after[2]),
        Mistake("one pixel", _with(macs=lambda layer, weights, before, after: weights), "inferred"),
        Mistake("pixels of the input", _with(macs=lambda layer, weights, before, after: weights * before[1] * before[2]), "inferred"),
        Mistake("channels not summed", _with(kernels=lambda layer, c: layer["kernel"] ** 2), "inferred"),
        Mistake("kernel not squared", _with(kernels=lambda layer, c: layer["kernel"] * c / layer["groups"]), "inferred"),
        Mistake("filters for channels",
                _with(kernels=lambda layer, c: layer["kernel"] ** 2 * layer["filters"] / layer["groups"]), "inferred"),
        Mistake("padding of the last conv", padding_of_the_last_conv, "inferred"),
        Mistake("channels of the image", channels_of_the_image, "inferred"),
        Mistake("width from height", width_from_height, "inferred"),
        Mistake("height and width exchanged", _after(lambda shapes, own, macs: ([(c, w, h) for c, h, w in shapes], own, macs)), "inferred"),
        Mistake("channels last", _after(lambda shapes, own, macs: ([(h, w, c) for c, h, w in shapes], own, macs)), "inferred"),
        Mistake("shapes before the layers", shapes_before_the_layers, "inferred"),
        Mistake("image among the shapes", image_among_the_shapes, "inferred"),
        Mistake("totals", _after(lambda shapes, own, macs: (shapes, sum(own), sum(macs))), "inferred"),
        Mistake("groups left out/and biases", _with(kernels=lambda layer, c: layer["kernel"] ** 2 * c, biases=lambda *_: 0), DIGITS),
        Mistake("layers without weights left out", layers_without_weights_left_out, "inferred"),
        Mistake("running total", _after(lambda shapes, own, macs: (shapes, np.cumsum(own), np.cumsum(macs))), "inferred"),
    )),
))  # fmt: skip
