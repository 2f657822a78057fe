

def plan(layers, in_shape):
    C, H, W = in_shape
    shapes, parameters, macs = [], [], []
    for layer in layers:
        kind = layer["type"]
        par = mac = 0
        if kind == "conv":
            k, s, p, K, G = layer["kernel"], layer["stride"], layer["padding"], layer["filters"], layer["groups"]
            par = K * (C // G) * k * k + K
            H = -(-(H + 2 * p - k) // s) + 1
            W = -(-(W + 2 * p - k) // s) + 1
            mac = K * (C // G) * k * k * H * W
            C = K
        elif kind == "pool":
            H = -(-(H - layer["kernel"]) // layer["stride"]) + 1
            W = -(-(W - layer["kernel"]) // layer["stride"]) + 1
        elif kind == "linear":
            mac = layer["units"] * C * H * W
            par = mac + layer["units"]
            C, H, W = layer["units"], 1, 1
        shapes.append((C, H, W))
        parameters.append(par)
        macs.append(mac)
    return shapes, parameters, macs
