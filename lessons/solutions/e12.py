"""E12: two towers and what they exchange, as section 3.2 of the paper describes it."""

import math

import numpy as np


def exchange(a, b):
    ya = np.concatenate([a, b], axis=1)  # b's channels are copied to the device of a
    yb = np.concatenate([a, b], axis=1)  # a's channels are copied to the device of b; the order is the same
    return ya, yb


def exchange_backward(dya, dyb, channels):
    # Every channel of a was read twice, by tower a and by tower b: its gradient is the sum of both, and so it is for b.
    da = dya[:, :channels] + dyb[:, :channels]  # the second part is sent from b to a
    db = dyb[:, channels:] + dya[:, channels:]  # the second part is sent from a to b
    return da, db


def exchange_bytes(a_shape, b_shape, itemsize, backward):
    a, b = math.prod(a_shape) * itemsize, math.prod(b_shape) * itemsize
    if backward:
        return a, b  # each device gets the gradient of its own channels, as the other one has it
    return b, a  # each device gets the channels that it does not have
