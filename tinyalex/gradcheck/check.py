"""Checks of a layer, of a network and of the loss: the gradient of every tensor is compared with its numerical gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tinyalex.devices import Array
from tinyalex.errors import ShapeError, require_float, require_int, show
from tinyalex.gradcheck.difference import Check, Host, compare, index_of, numerical_gradient
from tinyalex.gradcheck.subject import Subject
from tinyalex.layers.base import Layer
from tinyalex.loss import SoftmaxCrossEntropy, SquaredError
from tinyalex.parameters import generator

STEP = 1e-5  # h as a fraction of the largest magnitude in the tensor
NETWORK_STEPS = (1e-5, 1e-6, 1e-7)

Steps = Sequence[float]


def check_layer(
    layer: Layer, x: Host, *, seed: int = 0, steps: Steps = (STEP,), elements: int | None = None
) -> list[Check]:
    """Check the gradients that backward of a layer or a network computes: of the input and of every parameter.

    Afterwards the parameters and the dropout steps are the same as before, to the bit, and all gradients are zero.
    For a layer with input_gradient=False, which returns no gradient of x, this gradient is not checked.

    Parameters
    ----------
    layer: a layer of dtype float64, on any devices. x: an input, a NumPy array of float64, away from the layer's kinks.
    seed: decides the cotangent and which elements are chosen, each drawn from a stream of its own. So they are not the numbers of
        `np.random.default_rng(seed)`, of which x may be made: for a cotangent that is x itself, some mistakes do not show.
    steps: one or more values of h, above 0, as fractions of the largest magnitude in the tensor. A later one is tried only if all
        before it failed; the smallest error counts.
    elements: how many elements of each tensor are checked, at least 1: the one with the largest gradient, and others chosen at
        random. None: all.

    Raises ShapeError if the dtype is not float64, a setting is outside its range, or a gradient's shape differs from its tensor's.

    Example
    -------
    >>> from tinyalex.layers import ReLU
    >>> [check.passed for check in check_layer(ReLU(dtype=np.float64), np.array([[-1.0, 2.0]]))]
    [True]
    """
    probe = _probe(seed, elements)
    subject = Subject(layer, x, lambda value: layer.forward(value, train=True), layer.backward)
    subject.cotangent = np.asarray(_stream(seed, "the cotangent").standard_normal(subject.run().shape))
    return _check(subject, probe, steps)


def check_network(
    net: Layer, loss: SoftmaxCrossEntropy, x: Host, labels: Any, *, seed: int = 0, steps: Steps = NETWORK_STEPS, elements: int | None = None
) -> list[Check]:
    """Check the gradient of the loss through a whole network. The settings are those of `check_layer`.

    A network has so many kinks inside that no input avoids them all. If a step fails, a smaller one crosses fewer kinks.
    """
    return _check(_of_network(net, loss, x, labels), _probe(seed, elements), steps)


def check_directions(
    net: Layer, loss: SoftmaxCrossEntropy, x: Host, labels: Any, *, seed: int = 0, steps: Steps = NETWORK_STEPS
) -> list[Check]:
    """Check each tensor along one random direction v: sum(gradient * v) is compared with the change of the loss along v.

    This takes two forward passes for each tensor and step, however large the tensor is, so it can check a whole AlexNet. `where` is
    empty, because a mistake may be anywhere in the tensor; `check_network(elements=...)` can find it. Each direction is drawn from a
    stream of its own, as in `check_layer`: along x itself a net with batch normalization does not change, whatever backward returns.
    """
    return _check(_of_network(net, loss, x, labels), partial(_by_direction, seed), steps)


def check_loss(loss: SoftmaxCrossEntropy | SquaredError, logits: Host, labels: Any) -> list[Check]:
    """Check the gradient of the loss with respect to its logits or outputs, a NumPy array (N, classes) of float64."""
    subject = Subject(loss, logits, lambda value: loss.forward(value, labels, train=True), lambda dout: loss.backward())
    return _check(subject, partial(_by_elements, None, 0), (STEP,))


def _of_network(net: Layer, loss: SoftmaxCrossEntropy, x: Host, labels: Any) -> Subject:
    def forward(value: Array) -> Array:
        return loss.forward(net.forward(value, train=True), labels, train=True)

    return Subject(net, x, forward, lambda dout: net.backward(loss.backward()))


_Probe = Callable[[Subject, str, Host], Callable[[float], Check]]  # (subject, tensor, its analytic gradient) -> (step -> Check)


def _check(subject: Subject, probe: _Probe, steps: Steps) -> list[Check]:
    """Check each tensor with the probe; then check that each parameter's gradient after two passes is twice that after one."""
    if not isinstance(steps, (tuple, list)) or not steps:
        raise ShapeError(f"gradcheck: steps must be a tuple of at least one number above 0, got {show(steps)}")
    for step in steps:
        require_float("gradcheck", "each of steps", step, "a finite number above 0", lambda v: 0 < v < math.inf)
    subject.zero_grad()
    subject.run()
    analytic = subject.backward()
    subject.run()
    twice = subject.backward()
    checks = []
    for what, value in subject.values.items():
        if what not in analytic:
            continue
        if analytic[what].shape != value.shape:
            raise ShapeError(f"gradcheck: the gradient of {what} must have shape {value.shape}, got {show(analytic[what])}")
        try:
            at_step, tried = probe(subject, what, analytic[what]), []
            for step in steps:
                tried.append(at_step(step))
                if tried[-1].passed:
                    break
        finally:
            subject.write(what, value)
        checks.append(min(tried, key=lambda check: check.error))
    checks += [compare(f"{what} twice", twice[what], 2 * analytic[what]) for what in subject.params]
    subject.backward()  # empties the slot that the last forward filled
    subject.zero_grad()
    return checks


def _probe(seed: int, elements: int | None) -> _Probe:
    count = None if elements is None else require_int("gradcheck", "elements", elements)
    return partial(_by_elements, count, seed)


def _stream(seed: int, what: str) -> np.random.Generator:
    """A generator of seed and name, whose numbers are not those of `np.random.default_rng(seed)`."""
    return generator(require_int("gradcheck", "seed", seed, least=0), f"gradcheck of {what}")


def _by_elements(elements: int | None, seed: int, subject: Subject, what: str, analytic: Host) -> Callable[[float], Check]:
    value, chosen = subject.values[what], None
    if elements is not None and elements < value.size:
        chosen = _stream(seed, what).choice(value.size, elements, replace=False)
        chosen[0] = np.argmax(np.abs(analytic))  # then the error is relative to the same magnitude as in a check of all elements

    def at_step(step: float) -> Check:
        numerical = numerical_gradient(partial(subject.at, what), value, step * subject.scale(what), subject.cotangent, chosen)
        if chosen is None:
            return compare(what, analytic, numerical)
        check = compare(what, analytic.flat[chosen], numerical)
        return replace(check, where=index_of(chosen[check.where[0]], value.shape))

    return at_step


def _by_direction(seed: int, subject: Subject, what: str, analytic: Host) -> Callable[[float], Check]:
    value = subject.values[what]
    direction = _stream(seed, what).standard_normal(value.shape)
    direction /= np.abs(direction).max()

    def along(distance: Host) -> Host:
        return subject.at(what, value + distance * direction)

    def at_step(step: float) -> Check:
        numerical = numerical_gradient(along, np.zeros(()), step * subject.scale(what), subject.cotangent)
        return compare(what, np.array(np.sum(analytic * direction)), numerical)

    return at_step
