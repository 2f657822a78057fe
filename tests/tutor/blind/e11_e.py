# MISTAKE in plan: ceil((size+2p-k+1)/s) is the floor form in disguise.
# TEACHER: A last window which hangs over is lost: +1 stands outside of the ceil.
import numpy as np


def windows(size, kernel, stride, padding):
    return int(np.ceil((size + 2 * padding - kernel + 1) / stride))


def plan(layers, in_shape):
    C, H, W = in_shape
    shapes, parameters, macs = [], [], []
    for layer in layers:
        kind = layer["type"]
        par = mac = 0
        if kind == "conv":
            k, s, p, K, G = layer["kernel"], layer["stride"], layer["padding"], layer["filters"], layer["groups"]
            par = K * (C // G) * k * k + K
            H = windows(H, k, s, p)
            W = windows(W, k, s, p)
            mac = K * (C // G) * k * k * H * W
            C = K
        elif kind == "pool":
            H = windows(H, layer["kernel"], layer["stride"], 0)
            W = windows(W, layer["kernel"], layer["stride"], 0)
        elif kind == "linear":
            mac = layer["units"] * C * H * W
            par = mac + layer["units"]
            C, H, W = layer["units"], 1, 1
        shapes.append((C, H, W))
        parameters.append(par)
        macs.append(mac)
    return shapes, parameters, macs
