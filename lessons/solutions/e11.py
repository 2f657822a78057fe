"""E11: a network on paper, as section 3.5 and Figure 2 of the paper draw AlexNet."""

import math


def windows(size, kernel, stride, padding=0):
    return math.ceil((size + 2 * padding - kernel) / stride) + 1


def plan(layers, in_shape):
    c, h, w = in_shape
    shapes, parameters, macs = [], [], []
    for layer in layers:
        weights, biases = 0, 0
        if layer["type"] == "conv":
            k, stride, padding = layer["kernel"], layer["stride"], layer["padding"]
            weights = layer["filters"] * (c // layer["groups"]) * k * k  # each filter reads the channels of its group
            biases = layer["filters"]
            c, h, w = layer["filters"], windows(h, k, stride, padding), windows(w, k, stride, padding)
        elif layer["type"] == "pool":
            h, w = windows(h, layer["kernel"], layer["stride"]), windows(w, layer["kernel"], layer["stride"])
        elif layer["type"] == "linear":
            weights = layer["units"] * c * h * w  # each unit reads everything
            biases = layer["units"]
            c, h, w = layer["units"], 1, 1
        shapes.append((c, h, w))
        parameters.append(weights + biases)
        macs.append(weights * h * w)  # every weight is used once for each pixel of the result
    return shapes, parameters, macs
