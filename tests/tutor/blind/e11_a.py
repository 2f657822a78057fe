# MISTAKE in plan: c is overwritten with the number of filters before the weights are counted: parameters and macs of a
# conv use the filters as channels.
# TEACHER: You count the weights with the channels of the output: c was overwritten one line too early.
import math


def plan(layers, in_shape):
    c, h, w = in_shape
    shapes, parameters, macs = [], [], []
    for layer in layers:
        kind = layer["type"]
        count = multiplications = 0
        if kind in ("conv", "pool"):
            k, s, p = layer["kernel"], layer["stride"], layer.get("padding", 0)
            h = math.ceil((h + 2 * p - k) / s) + 1
            w = math.ceil((w + 2 * p - k) / s) + 1
            if kind == "conv":
                c = layer["filters"]
                per_filter = c // layer["groups"] * k * k
                count = c * per_filter + c
                multiplications = c * per_filter * h * w
        elif kind == "linear":
            units = layer["units"]
            multiplications = units * c * h * w
            count = multiplications + units
            c, h, w = units, 1, 1
        shapes.append((c, h, w))
        parameters.append(count)
        macs.append(multiplications)
    return shapes, parameters, macs
