"""E02 in other styles: masks, copies, loops over elements, choices, hyperbolic functions."""

import numpy as np

from lessons.solutions import e02 as solution


def mask(dout, x):
    dx = dout.copy()
    dx[x <= 0] = 0
    return dx


def elements(dout, x):
    dx = np.zeros_like(dout)
    for at in np.ndindex(x.shape):
        if x[at] >= 0:
            dx[at] = dout[at]
    return dx


def select(dout, x):
    return np.select([x > 0, x < 0], [dout, 0.0 * dout], default=dout)


def heaviside(dout, x):
    return np.einsum("...,...->...", dout, np.heaviside(x, 0.5))


def through_the_output(dout, x):
    return (np.maximum(x, 0) > 0) * dout


def factors(dout, out):
    return dout * (1 - out) * (1 + out)


def elements_of_tanh(dout, out):
    dx = np.empty(out.shape)
    for at, value in np.ndenumerate(out):
        dx[at] = dout[at] - dout[at] * value * value
    return dx


def in_place_of_a_copy(dout, out):
    dx = np.square(out)
    np.subtract(1.0, dx, out=dx)
    dx *= dout
    return dx


def by_einsum(dout, out):
    return dout - np.einsum("...,...,...->...", dout, out, out)


STYLES = {
    "relu_backward": [solution.relu_backward, mask, elements, select, heaviside, through_the_output],
    "tanh_backward": [solution.tanh_backward, factors, elements_of_tanh, in_place_of_a_copy, by_einsum],
}
