# MISTAKE in numerical_gradient: loops over len(x) only, so that whole rows are moved together; right for 1-D.
# TEACHER: For two axes you move a row at once; every element needs its own step.
import numpy as np


def numerical_gradient(f, x, h):
    dx = np.zeros(x.shape, dtype=np.float64)
    for i in range(len(x)):
        x1 = x.astype(np.float64)
        x2 = x.astype(np.float64)
        x1[i] += h
        x2[i] -= h
        dx[i] = (f(x1) - f(x2)) / (2 * h)
    return dx
