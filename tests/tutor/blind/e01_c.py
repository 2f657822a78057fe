# MISTAKE in numerical_gradient: `flat = x.ravel()` is a view only if x lies in C order; for a Fortran-ordered (or
# strided) x it is a copy, f(x) never sees the step, the gradient is 0.
# TEACHER: Does your step reach x itself? For a transposed array ravel gives a copy.
import numpy as np


def numerical_gradient(f, x, h):
    x = np.asarray(x, dtype=np.float64)
    flat = x.ravel()
    dx = np.zeros(flat.size)
    for i in range(flat.size):
        old = flat[i]
        flat[i] = old + h
        fplus = f(x)
        flat[i] = old - h
        fminus = f(x)
        flat[i] = old
        dx[i] = (fplus - fminus) / (2 * h)
    return dx.reshape(x.shape)
