# MISTAKE in numerical_gradient: The loop runs over the first axis only, so whole rows move at once: with a matrix each
# element holds the sum of its row's slopes.
# TEACHER: range(len(x)) walks over the rows of a matrix: you move a whole row and store its sum in every element; move
# one element at a time.
import numpy as np


def numerical_gradient(f, x, h):
    dx = np.zeros(x.shape)
    for i in range(len(x)):
        up, down = x.astype(float), x.astype(float)
        up[i] += h
        down[i] -= h
        dx[i] = (f(up) - f(down)) / (2 * h)
    return dx
