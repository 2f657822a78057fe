"""E09: one step of stochastic gradient descent, with momentum and weight decay as section 5 of the paper writes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Function, Mistake, Probe


def sgd_step(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    """One step of gradient descent with momentum and weight decay (paper, section 5).

    v <- momentum v - weight_decay lr w - lr g;   w <- w + v,   element by element

    On the right of the first arrow stand the old velocity and the old weight, on the right of the second the new velocity. In the
    paper momentum is 0.9, weight_decay 0.0005 and lr 0.01 at first.

    Parameters
    ----------
    weight: w, floats of any shape with at least one axis. It is left as it is.
    grad: g, of the same shape: the derivative of the mean loss of the batch with respect to the weight. It is left as it is.
    velocity: v, of the same shape. It is CHANGED IN PLACE: after the call the array that was given holds the new velocity.
    lr: the learning rate, above 0. momentum: from 0 to below 1. weight_decay: at least 0. Three floats.

    Returns
    -------
    weight: the new weight alone, in a new array, which is not the memory of an argument.
    """
    velocity[...] = momentum * velocity - weight_decay * lr * weight - lr * grad
    return weight + velocity


def _step(weight: Array, velocity: Array, new: Array) -> Array:
    """Store a new velocity, and go by it."""
    velocity[...] = new
    return weight + velocity


def rate_on_the_whole(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    velocity[...] = momentum * velocity - weight_decay * weight - grad
    return weight + lr * velocity


def of_another_library(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    velocity[...] = momentum * velocity + weight_decay * weight + grad
    return weight - lr * velocity


def velocity_uphill(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    velocity[...] = momentum * velocity + weight_decay * lr * weight + lr * grad
    return weight - velocity


def decay_beside(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return _step(weight, velocity, momentum * velocity - lr * grad) - weight_decay * lr * weight


def decay_of_the_new(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return (1 - weight_decay * lr) * _step(weight, velocity, momentum * velocity - lr * grad)


def decay_without_lr(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return _step(weight, velocity, momentum * velocity - weight_decay * weight - lr * grad)


def decay_without_weight(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return _step(weight, velocity, momentum * velocity - weight_decay * lr - lr * grad)


def decay_of_the_velocity(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return _step(weight, velocity, momentum * velocity - weight_decay * lr * velocity - lr * grad)


def no_decay(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return _step(weight, velocity, momentum * velocity - lr * grad)


def decay_twice(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return sgd_step(weight, grad, velocity, lr, momentum, 2 * weight_decay)


def decay_grows(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return sgd_step(weight, grad, velocity, lr, momentum, -weight_decay)


def exponential_mean(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return sgd_step(weight, grad, velocity, (1 - momentum) * lr, momentum, weight_decay)


def mean_of_the_gradient(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return _step(weight, velocity, momentum * velocity - weight_decay * lr * weight - (1 - momentum) * lr * grad)


def mean_then_rate(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    velocity[...] = momentum * velocity - (1 - momentum) * (grad + weight_decay * weight)
    return weight + lr * velocity


def mean_and_uphill(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    velocity[...] = momentum * velocity + (1 - momentum) * (grad + weight_decay * weight)
    return weight - lr * velocity


def uphill(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return sgd_step(weight, -grad, velocity, lr, momentum, weight_decay)


def uphill_with_the_decay(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return sgd_step(weight, grad, velocity, -lr, momentum, weight_decay)


def weight_in_the_velocity(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    sgd_step(weight, grad, velocity, lr, momentum, weight_decay)
    new_weight = velocity
    new_weight += weight
    return new_weight


def velocity_subtracted(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    sgd_step(weight, grad, velocity, lr, momentum, weight_decay)
    return weight - velocity


def velocity_not_stored(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return sgd_step(weight, grad, velocity.copy(), lr, momentum, weight_decay)


def no_momentum(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return sgd_step(weight, grad, velocity, lr, 0, weight_decay)


def old_velocity_kept(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return sgd_step(weight, grad, velocity, lr, 1, weight_decay)


def goes_by_the_old(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    old = velocity.copy()
    sgd_step(weight, grad, velocity, lr, momentum, weight_decay)
    return weight + old


def look_ahead(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    sgd_step(weight, grad, velocity, lr, momentum, weight_decay)
    return weight + momentum * velocity - lr * (grad + weight_decay * weight)


def gradient_twice(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    return sgd_step(weight, grad, velocity, lr, momentum, weight_decay) - lr * grad


def returns_the_velocity(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Array:
    sgd_step(weight, grad, velocity, lr, momentum, weight_decay)
    return velocity.copy()


Step = tuple[tuple[int, ...], float, float, float]
CALLS: dict[str, tuple[str, tuple[Step, ...]]] = {  # shape, lr, momentum and weight_decay, one for each size set
    "by hand": ("lr {lr}, momentum {momentum} and weight_decay {weight_decay}",
        (((2, 3), 0.25, 0.8, 0.1), ((3, 4), 0.125, 0.6, 0.2), ((4, 2), 0.5, 0.7, 0.3), ((3, 5), 0.25, 0.9, 0.2))),
    "of the paper": ("lr {lr}, momentum {momentum} and weight_decay {weight_decay}",
        tuple((shape, 0.01, 0.9, 5e-4) for shape in ((3, 2, 5, 4), (2, 4, 3, 5), (4, 3, 2, 5), (2, 5, 3, 4)))),
    "first step": ("a velocity of zeros",
        (((5, 4), 0.2, 0.8, 0.03), ((3, 6), 0.3, 0.7, 0.04), ((4, 7), 0.15, 0.6, 0.05), ((6, 5), 0.35, 0.75, 0.02))),
    "no momentum": ("momentum 0",
        (((4, 3), 0.3, 0.0, 0.02), ((2, 5), 0.2, 0.0, 0.05), ((5, 3), 0.4, 0.0, 0.03), ((3, 7), 0.15, 0.0, 0.04))),
    "no decay": ("weight_decay 0",
        (((7,), 0.1, 0.6, 0.0), ((9,), 0.2, 0.7, 0.0), ((6,), 0.3, 0.85, 0.0), ((8,), 0.15, 0.65, 0.0))),
    "again no decay": ("weight_decay 0 and lr {lr}",
        (((2, 6), 0.4, 0.85, 0.0), ((4, 5), 0.3, 0.6, 0.0), ((3, 8), 0.25, 0.7, 0.0), ((5, 2), 0.35, 0.8, 0.0))),
    "one weight": ("a single weight",
        (((1,), 0.1, 0.7, 0.05), ((1,), 0.2, 0.6, 0.03), ((1,), 0.3, 0.8, 0.02), ((1,), 0.4, 0.85, 0.04))),
}  # fmt: skip


def probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Numbers that can be followed by hand, then the paper's. momentum is not 0.5, as 1 - momentum would be the same.

    Two calls are blind to the decay and two to the momentum, so that of two mistakes at once either shows alone in two calls.
    """
    made = []
    for key, (says, sets) in CALLS.items():
        given = _arguments(rng, _whole if key == "by hand" else _normal, *sets[sizes])
        made.append(Probe(key, says, given | ({"velocity": 0 * given["velocity"]} if key == "first step" else {})))
    return made


def _arguments(
    rng: np.random.Generator, draw: Any, shape: tuple[int, ...], lr: float, momentum: float, weight_decay: float
) -> dict[str, Any]:
    drawn = {key: draw(rng, shape) for key in ("weight", "grad", "velocity")}
    return {**drawn, "lr": lr, "momentum": momentum, "weight_decay": weight_decay}


def _whole(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Even numbers from 2 to 40 of both signs, no two equal, as floats."""
    size = rng.choice(np.arange(2, 42, 2), int(np.prod(shape)), replace=False).reshape(shape)
    return size * rng.choice([-1.0, 1.0], shape)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.normal(size=shape)


COUNTED = "counted in public solutions"
E09 = Exercise("E09", "a step of gradient descent", "07", 15, (
    Function("sgd_step", sgd_step, ("weight",), probes, (
        Mistake("rate on the whole", rate_on_the_whole, "pytorch/pytorch#1099"),
        Mistake("of another library", of_another_library, "pytorch/pytorch#44917"),
        Mistake("velocity uphill", velocity_uphill, "the Caffe form, velocity and step of the opposite sign"),
        Mistake("velocity not stored", velocity_not_stored, "prof.lexailabs.com, whose exercise warns of it"),
        Mistake("decay beside", decay_beside, "pytorch/pytorch#13801"),
        Mistake("no decay", no_decay, "inferred"),
        Mistake("decay of the new", decay_of_the_new, "pytorch/pytorch#13801"),
        Mistake("decay without lr", decay_without_lr, "jettify/pytorch-optimizer#433"),
        Mistake("decay without weight", decay_without_weight, "jettify/pytorch-optimizer#454"),
        Mistake("decay of the velocity", decay_of_the_velocity, "inferred"),
        Mistake("decay twice", decay_twice, "inferred"),
        Mistake("decay grows", decay_grows, "inferred"),
        Mistake("exponential mean", exponential_mean, "HIPS/autograd#289"),
        Mistake("mean of the gradient", mean_of_the_gradient, "HIPS/autograd#289"),
        Mistake("mean then rate", mean_then_rate, "HIPS/autograd#289"),
        Mistake("mean and uphill", mean_and_uphill, "the form of a well-known course on deep learning"),
        Mistake("uphill", uphill, "inferred"),
        Mistake("uphill/with the decay", uphill_with_the_decay, "inferred"),
        Mistake("weight in the velocity", weight_in_the_velocity, "inferred"),
        Mistake("velocity subtracted", velocity_subtracted, "inferred"),
        Mistake("no momentum", no_momentum, "inferred"),
        Mistake("old velocity kept", old_velocity_kept, "inferred"),
        Mistake("goes by the old", goes_by_the_old, "inferred"),
        Mistake("look ahead", look_ahead, "inferred"),
        Mistake("gradient twice", gradient_twice, "inferred"),
        Mistake("returns the velocity", returns_the_velocity, "inferred"),
    ), changes=("velocity",), seen={"input changed weight": (14, 127)}),
))  # fmt: skip
