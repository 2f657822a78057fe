import numpy as np


def numerical_gradient(f, x, h):
    dx = np.zeros(x.shape)
    work = np.array(x, dtype=np.float64)
    for i in np.ndindex(x.shape):
        old = work[i]
        work[i] = old + h
        up = f(work)
        work[i] = old - h
        down = f(work)
        work[i] = old
        dx[i] = (up - down) / (2 * h)
    return dx
