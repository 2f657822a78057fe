"""The numerical proof of a gradient: what backward returns against what forward does when one number moves a little.

**The centered difference.** Taylor's formula at x + h and at x - h gives

    f(x + h) - f(x - h)  =  2 h f'(x) + h^3 f'''(x) / 3 + ...,    so    (f(x + h) - f(x - h)) / 2h  =  f'(x) + h^2 f'''(x) / 6 + ...

The even terms cancel, which is why it is centered: the one-sided (f(x + h) - f(x)) / h is wrong by h f''(x) / 2.

**The step.** A smaller h makes that error smaller, but f is known to a relative eps only, so the difference carries a rounding
error of about eps |f| / h. The sum h^2 + eps / h is least near h = eps^(1/3).

**Why float64.** There eps is 2.2e-16, so h is near 6e-6 (here: 1e-5 of the largest magnitude in the tensor), and truncation and
rounding each leave about 1e-10. In float32, with eps 1.2e-7, the best h leaves 1e-5: too much noise to tell a small error from none.

**Why a random cotangent.** A layer has many outputs and the check needs one number, so it takes f(x) = sum(c * forward(x)),
whose gradient backward(c) claims to be. With c = 1 whole classes of error are invisible: the outputs of a softmax sum to 1
whatever x is, so its true gradient under ones is zero, and a backward that returns zeros would pass.

**Kinks.** Where a ReLU turns or a maximum changes its winner there is no derivative; `kink_free` makes inputs that stay away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tinyalex.devices import Array
from tinyalex.errors import ShapeError, require_float, require_int, show
from tinyalex.gradsubject import Subject
from tinyalex.layers.base import Layer
from tinyalex.loss import SoftmaxCrossEntropy

STEP = 1e-5  # of the tensor's scale
NETWORK_STEPS = (1e-5, 1e-6, 1e-7)
TOLERANCE = 1e-6

Host = np.ndarray[Any, Any]
Steps = Sequence[float]


@dataclass(frozen=True)
class Check:
    """One tensor's gradient, analytic against numerical.

    Parameters
    ----------
    what: "x", or the parameter: "weight", "bias". "weight twice" is its gradient after a second round that was added to the first.
    error: max|a - n| / max(max|a|, max|n|) over the tensor; infinite where both are zero throughout or one is not finite.
    where: the index of the worst element, and analytic, numerical: the two values there.
    passed: whether error is at or below TOLERANCE, 1e-6.
    """

    what: str
    error: float
    where: tuple[int, ...]
    analytic: float
    numerical: float
    passed: bool


def numerical_gradient(f: Callable[[Host], Any], x: Host, step: float, cotangent: Any = 1.0, elements: Host | None = None) -> Host:
    """The gradient of sum(cotangent * f(x)) by centered differences, of the shape of x.

    The outputs are subtracted before they are summed: those that x does not reach drop out exactly.

    Parameters
    ----------
    f: a function of an array like x; it is given a copy of x of which one element is moved.
    x: float64, of any shape. step: the h of the difference, above 0, in the units of x.
    cotangent: a number, or an array of the shape of f(x).
    elements: flat indices; given them, the gradient of these elements only, in one row.

    Example
    -------
    >>> numerical_gradient(lambda x: x**3, np.array([1.0, 2.0]), 1e-5).round(6).tolist()
    [3.0, 12.0]
    """
    moved = np.array(x, np.float64)
    flat = moved.reshape(-1)
    chosen = np.arange(flat.size) if elements is None else elements
    gradient = np.empty(len(chosen))
    for place, i in enumerate(chosen):
        value = flat[i]
        flat[i] = value + step
        above = np.array(f(moved))  # a copy: f may return the memory that it writes on next time
        flat[i] = value - step
        below = np.array(f(moved))
        flat[i] = value
        gradient[place] = np.sum((above - below) * cotangent) / (2 * step)
    return gradient.reshape(moved.shape) if elements is None else gradient


def compare(what: str, analytic: Host, numerical: Host) -> Check:
    """The check of one tensor. Two gradients of zeros fail: they agree, and prove nothing."""
    difference = np.abs(analytic - numerical)
    worst = int(np.argmax(difference))  # a NaN counts as the largest
    size = max(float(np.abs(analytic).max()), float(np.abs(numerical).max()))
    error = float(difference.flat[worst]) / size if 0 < size < math.inf else math.inf
    return Check(what, error, _index(worst, analytic.shape), float(analytic.flat[worst]), float(numerical.flat[worst]), error <= TOLERANCE)


def kink_free(shape: Sequence[int], rng: np.random.Generator) -> Host:
    """Values for a check: half of them negative, magnitudes from 0.1 to 1 in random order, 0.9 / size apart.

    No two are equal, not even in magnitude, and none is near 0: no maximum is tied and no ReLU sits on its kink.

    Raises ShapeError for more than 9000 elements, which would lie nearer together than ten steps of the check.
    """
    size = math.prod(shape)
    if not 1 <= size <= 9000:
        raise ShapeError(f"kink_free: the number of elements must be from 1 to 9000, got {size}")
    magnitude = 0.1 + 0.9 * (np.arange(size) + 0.5) / size
    sign = np.where(np.arange(size) % 2, 1.0, -1.0)
    return rng.permutation(magnitude * sign).reshape(tuple(shape))


def check_layer(
    layer: Layer, x: Host, *, seed: int = 0, steps: Steps = (STEP,), elements: int | None = None
) -> list[Check]:
    """Check backward of a layer, or of a network as one function, in its input and in every parameter.

    Afterwards the parameters and the dropout steps are what they were, to the bit, and the gradients are zero.
    A layer made with input_gradient=False has no gradient of x, and gets no check of it.

    Parameters
    ----------
    layer: of dtype float64, on any device or devices. x: an input, a NumPy array of float64, away from the layer's kinks.
    seed: of the cotangent and of the choice of elements.
    steps: h in parts of the tensor's largest magnitude, above 0, at least one; a later one is tried where all before it failed,
        and the best counts.
    elements: check only so many of each tensor, at least 1: the one of the largest gradient and others drawn at random.

    Raises ShapeError for another dtype, a setting outside its range, and a gradient of another shape than its tensor's.

    Example
    -------
    >>> from tinyalex.layers import ReLU
    >>> [check.passed for check in check_layer(ReLU(dtype=np.float64), np.array([[-1.0, 2.0]]))]
    [True]
    """
    rng, probe = _probe(seed, elements)
    subject = Subject(layer, x, lambda value: layer.forward(value, train=True), layer.backward)
    subject.cotangent = np.asarray(rng.standard_normal(subject.run().shape))
    return _check(subject, probe, steps)


def check_network(
    net: Layer, loss: SoftmaxCrossEntropy, x: Host, labels: Any, *, seed: int = 0, steps: Steps = NETWORK_STEPS, elements: int | None = None
) -> list[Check]:
    """Check the gradient of the loss through a whole network. The settings are those of `check_layer`.

    A network has kinks inside, too many to stay away from: where a step fails, a smaller one passes fewer of them.
    """
    return _check(_of_network(net, loss, x, labels), _probe(seed, elements)[1], steps)


def check_directions(
    net: Layer, loss: SoftmaxCrossEntropy, x: Host, labels: Any, *, seed: int = 0, steps: Steps = NETWORK_STEPS
) -> list[Check]:
    """Check each tensor along one random direction v: sum(gradient * v) against the change of the loss along v.

    Two forward passes a tensor and step, however large it is: for AlexNet whole. `where` is empty, as an error may lie
    anywhere in the tensor; `check_network(elements=...)` looks for it.
    """
    return _check(_of_network(net, loss, x, labels), partial(_by_direction, np.random.default_rng(seed)), steps)


def check_loss(loss: SoftmaxCrossEntropy, logits: Host, labels: Any) -> list[Check]:
    """Check the gradient of the loss in its logits."""
    subject = Subject(loss, logits, lambda value: loss.forward(value, labels), lambda dout: loss.backward())
    return _check(subject, partial(_by_elements, None, np.random.default_rng(0)), (STEP,))


def _of_network(net: Layer, loss: SoftmaxCrossEntropy, x: Host, labels: Any) -> Subject:
    def forward(value: Array) -> Array:
        return loss.forward(net.forward(value, train=True), labels)

    return Subject(net, x, forward, lambda dout: net.backward(loss.backward()))


_Probe = Callable[[Subject, str, Host], Callable[[float], Check]]  # (subject, tensor, its gradient by backward) -> check of a step


def _check(subject: Subject, probe: _Probe, steps: Steps) -> list[Check]:
    """Each tensor by the probe; then each parameter's gradient after two rounds, which must be twice that after one."""
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
            raise ShapeError(f"gradcheck: the gradient of {what} must be of shape {value.shape}, got {show(analytic[what])}")
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


def _probe(seed: int, elements: int | None) -> tuple[np.random.Generator, _Probe]:
    rng = np.random.default_rng(seed)
    count = None if elements is None else require_int("gradcheck", "elements", elements)
    return rng, partial(_by_elements, count, rng)


def _by_elements(elements: int | None, rng: np.random.Generator, subject: Subject, what: str, analytic: Host) -> Callable[[float], Check]:
    value, chosen = subject.values[what], None
    if elements is not None and elements < value.size:
        chosen = rng.choice(value.size, elements, replace=False)
        chosen[0] = np.argmax(np.abs(analytic))  # so that the error is a part of the same value as in a check of all elements

    def at_step(step: float) -> Check:
        numerical = numerical_gradient(partial(subject.at, what), value, step * subject.scale(what), subject.cotangent, chosen)
        if chosen is None:
            return compare(what, analytic, numerical)
        check = compare(what, analytic.flat[chosen], numerical)
        return replace(check, where=_index(chosen[check.where[0]], value.shape))

    return at_step


def _by_direction(rng: np.random.Generator, subject: Subject, what: str, analytic: Host) -> Callable[[float], Check]:
    value = subject.values[what]
    direction = rng.standard_normal(value.shape)
    direction /= np.abs(direction).max()

    def along(distance: Host) -> Host:
        return subject.at(what, value + distance * direction)

    def at_step(step: float) -> Check:
        numerical = numerical_gradient(along, np.zeros(()), step * subject.scale(what), subject.cotangent)
        return compare(what, np.array(np.sum(analytic * direction)), numerical)

    return at_step


def _index(flat: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape))
