# MISTAKE in numerical_gradient: the step is h*max(1,|x_i|), not h.
# TEACHER: Where |x| is above 1 you step farther than h; use the h you were given.
import numpy as np


def numerical_gradient(f, x, h):
    dx = np.zeros(x.shape)
    for idx in np.ndindex(x.shape):
        # relative step, so that large numbers get a step of the right size
        step = h * max(1.0, abs(float(x[idx])))
        xp = x.astype(np.float64)
        xm = x.astype(np.float64)
        xp[idx] += step
        xm[idx] -= step
        dx[idx] = (f(xp) - f(xm)) / (2 * step)
    return dx
