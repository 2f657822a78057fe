"""E11 in other styles: windows counted one by one, a table of functions, recursion with match, arrays."""

import math

import numpy as np

from lessons.solutions.e11 import plan as of_the_lesson


def counted(layers, in_shape):
    """Windows, weights and products are counted, not computed."""

    def places(size, k, s, p):
        n = 1
        while (n - 1) * s + k < size + 2 * p:
            n += 1
        return n

    shapes, parameters, macs, now = [], [], [], tuple(in_shape)
    for layer in layers:
        kind, total = layer["type"], 0
        if kind == "conv":
            reads = now[0] // layer["groups"] * layer["kernel"] * layer["kernel"]
            total = sum(reads + 1 for _ in range(layer["filters"]))
            now = (layer["filters"], *[places(size, layer["kernel"], layer["stride"], layer["padding"]) for size in now[1:]])
            macs.append((total - layer["filters"]) * now[1] * now[2])
        elif kind == "linear":
            total = layer["units"] * (now[0] * now[1] * now[2] + 1)
            now = (layer["units"], 1, 1)
            macs.append(total - layer["units"])
        else:
            if kind == "pool":
                now = (now[0], *[places(size, layer["kernel"], layer["stride"], 0) for size in now[1:]])
            macs.append(0)
        shapes.append(list(now))
        parameters.append(total)
    return shapes, parameters, macs


def _conv(shape, filters, kernel, stride, padding, groups):
    c, *sides = shape
    after = [filters] + [(side + 2 * padding - kernel + stride - 1) // stride + 1 for side in sides]
    weights = filters * c * kernel**2 // groups
    return after, weights + filters, weights * after[1] * after[2]


def _pool(shape, kernel, stride):
    return [shape[0]] + [(side - kernel + stride - 1) // stride + 1 for side in shape[1:]], 0, 0


def _linear(shape, units):
    return [units, 1, 1], units * (math.prod(shape) + 1), units * math.prod(shape)


def table(layers, in_shape):
    rules, rows, shape = {"conv": _conv, "pool": _pool, "linear": _linear}, [], list(in_shape)
    for layer in layers:
        settings = {key: value for key, value in layer.items() if key != "type"}
        row = rules.get(layer["type"], lambda shape: (shape, 0, 0))(shape, **settings)
        shape = row[0]
        rows.append(row)
    return tuple(list(column) for column in zip(*rows, strict=True))


def recursive(layers, in_shape):
    if not layers:
        return [], [], []
    match layers[0]:
        case {"type": "conv", "filters": k, "kernel": f, "stride": s, "padding": p, "groups": g}:
            shape, own, macs = _conv(in_shape, k, f, s, p, g)
        case {"type": "linear", "units": k}:
            shape, own, macs = _linear(in_shape, k)
        case {"type": "pool", "kernel": f, "stride": s}:
            shape, own, macs = _pool(in_shape, f, s)
        case _:
            shape, own, macs = in_shape, 0, 0
    shapes, parameters, products = recursive(layers[1:], shape)
    return [tuple(shape), *shapes], [own, *parameters], [macs, *products]


def arrays(layers, in_shape):
    shapes, parameters, macs = (np.zeros(size, np.int64) for size in ((len(layers), 3), len(layers), len(layers)))
    shape = np.array(in_shape)
    for i, layer in enumerate(layers):
        if layer["type"] in ("conv", "pool"):
            room = shape[1:] + 2 * layer.get("padding", 0) - layer["kernel"]
            sides = np.ceil(room / layer["stride"]).astype(int) + 1
            if layer["type"] == "conv":
                one = shape[0] / layer["groups"] * layer["kernel"] ** 2
                parameters[i] = layer["filters"] * (one + 1)
                macs[i] = layer["filters"] * one * sides.prod()
            shape = np.array([layer.get("filters", shape[0]), *sides])
        elif layer["type"] == "linear":
            parameters[i], macs[i] = layer["units"] * (shape.prod() + 1), layer["units"] * shape.prod()
            shape = np.array([layer["units"], 1, 1])
        shapes[i] = shape
    return shapes, parameters, macs


STYLES = {"plan": [of_the_lesson, counted, table, recursive, arrays]}
