"""E09 in other styles: one line, elements, ufuncs with out, a copy that is written back."""

import numpy as np

from lessons.solutions import e09 as solution


def one_line(weight, grad, velocity, lr, momentum, weight_decay):
    velocity[:] = momentum * velocity - lr * (grad + weight_decay * weight)
    return velocity + weight


def elements(weight, grad, velocity, lr, momentum, weight_decay):
    new = np.empty_like(weight)
    for at in np.ndindex(weight.shape):
        velocity[at] = momentum * velocity[at] - weight_decay * lr * weight[at] - lr * grad[at]
        new[at] = weight[at] + velocity[at]
    return new


def ufuncs(weight, grad, velocity, lr, momentum, weight_decay):
    np.multiply(velocity, momentum, out=velocity)
    np.subtract(velocity, lr * grad + lr * weight_decay * weight, out=velocity)
    return np.add(weight, velocity)


def written_back(weight, grad, velocity, lr, momentum, weight_decay):
    v = velocity.copy()
    v = momentum * v
    v += -lr * grad
    v += -weight_decay * lr * weight
    np.copyto(velocity, v)
    return weight + v


def by_einsum(weight, grad, velocity, lr, momentum, weight_decay):
    parts = np.stack([velocity, weight, grad])
    velocity.flat = np.einsum("i,i...->...", np.array([momentum, -weight_decay * lr, -lr]), parts).ravel()
    return weight.copy() + velocity


STYLES = {"sgd_step": [solution.sgd_step, one_line, elements, ufuncs, written_back, by_einsum]}
