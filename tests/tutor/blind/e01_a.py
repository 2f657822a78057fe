# MISTAKE in numerical_gradient: The step is scaled with the element: h * max(1, |x[i]|), as numerical libraries do. Equal
# to h only where |x[i]| <= 1.
# TEACHER: Your step grows with the size of x[i]; use the h that was given for every element.
import numpy as np


def numerical_gradient(f, x, h):
    x = np.array(x, dtype=float)
    dx = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        old = x[i]
        step = h * max(1.0, abs(old))
        x[i] = old + step
        up = f(x)
        x[i] = old - step
        down = f(x)
        x[i] = old
        dx[i] = (up - down) / (2 * step)
    return dx
