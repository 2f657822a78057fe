# MISTAKE in plan: height used for both sides.
# TEACHER: Width is computed from the height; try a non-square image.


def plan(layers, in_shape):
    import math
    shape = tuple(in_shape)
    shapes, parameters, macs = [], [], []
    for layer in layers:
        C, H, W = shape
        params = mults = 0
        if layer["type"] == "conv":
            k = layer["kernel"]
            size = math.ceil((H + 2 * layer["padding"] - k) / layer["stride"]) + 1
            weights = layer["filters"] * (C // layer["groups"]) * k * k
            params = weights + layer["filters"]
            mults = weights * size * size
            shape = (layer["filters"], size, size)
        elif layer["type"] == "pool":
            size = math.ceil((H - layer["kernel"]) / layer["stride"]) + 1
            shape = (C, size, size)
        elif layer["type"] == "linear":
            mults = C * H * W * layer["units"]
            params = mults + layer["units"]
            shape = (layer["units"], 1, 1)
        shapes.append(shape)
        parameters.append(params)
        macs.append(mults)
    return shapes, parameters, macs
