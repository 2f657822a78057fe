# MISTAKE in plan: macs of a grouped conv with all C channels.
# TEACHER: macs are G times too many with groups; a filter reads C/G.
import numpy as np


def plan(layers, in_shape):
    c, h, w = in_shape
    shapes = []
    parameters = []
    macs = []
    for l in layers:
        if l["type"] == "conv":
            k = l["kernel"]
            oh = int(np.ceil((h + 2 * l["padding"] - k) / l["stride"])) + 1
            ow = int(np.ceil((w + 2 * l["padding"] - k) / l["stride"])) + 1
            parameters.append(l["filters"] * (c // l["groups"] * k * k + 1))
            macs.append(l["filters"] * c * k * k * oh * ow)
            c, h, w = l["filters"], oh, ow
        elif l["type"] == "pool":
            h = int(np.ceil((h - l["kernel"]) / l["stride"])) + 1
            w = int(np.ceil((w - l["kernel"]) / l["stride"])) + 1
            parameters.append(0)
            macs.append(0)
        elif l["type"] == "linear":
            parameters.append(l["units"] * (c * h * w + 1))
            macs.append(l["units"] * c * h * w)
            c, h, w = l["units"], 1, 1
        else:
            parameters.append(0)
            macs.append(0)
        shapes.append((c, h, w))
    return shapes, parameters, macs
