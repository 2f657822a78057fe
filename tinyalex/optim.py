"""Stochastic gradient descent with momentum and weight decay, as in section 5 of the paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from tinyalex.devices import Array, Scratch
from tinyalex.devices.threads import at_once
from tinyalex.errors import CallOrderError, OutOfMemory, ShapeError, require_float, show
from tinyalex.fast.table import function
from tinyalex.layers.base import Layer
from tinyalex.layers.leaves import require_leaves
from tinyalex.parameters import require_thawed

DEFAULT_LR = 0.01
LEAST = 1 << 16  # fewest elements of a block, because with fewer a second thread, or another block on a GPU, is not worth it


class SGD:
    """v <- momentum * v - weight_decay * lr * w - lr * dL/dw,  w <- w + v.

    Paper: section 5, where dL/dw is the mean over the batch.

    A step allocates nothing (the gradient array is its scratch space and is zeroed at the end), so it cannot run out of
    memory after updating half of the parameters. If something else, such as Ctrl-C, stops a step halfway, every gradient is set to
    zero, and the next step raises: see `whole`.

    The velocity contains the rates of the past steps. So after the rate is divided by 10, the old velocity fades over about ten
    steps. In `torch.optim.SGD` the rate multiplies the whole velocity, so there the steps become smaller at once.

    Parameters
    ----------
    net: a layer or a network, whose parameters are all updated.
    lr: the learning rate, at least 0; may be assigned between steps. None: 0.01, or in a `Trainer` the rate of its schedule.
    momentum: from 0 to below 1. weight_decay: at least 0. Both may be assigned between steps.
    multipliers: factors of lr and of weight_decay, at least 0, for the parameters whose names match a pattern; the last match counts.
        The authors' code has {"*.bias": (2, 0)}. With a factor 0 of lr a parameter and its velocity never change.
    constant: patterns of the names of parameters whose learning rate stays at the first one when a schedule lowers it; their factors
        count too. The authors' run lowered the rate of the weights and kept that of the biases: ("*.bias",).

    Attributes
    ----------
    velocity: the velocities, by names such as "conv1.weight". factors: by the same names, the factors of lr and of weight_decay.
    chosen_lr: the rate that the user gave or assigned; None if there is none. `follow` does not change it.
    first_lr: the first rate of the schedule, or the rate that was assigned; parameters of `constant` follow it.
    steps: how many steps were completed. whole: whether the last step was completed; False after a step that was stopped halfway.

    Raises
    ------
    ShapeError: `net` is not a layer, a setting is outside these ranges, or a pattern matches no parameter.
    CallOrderError: a step after a step that was stopped halfway, or while a parameter is frozen.

    Example
    -------
    >>> import numpy as np, tinyalex as ta
    >>> net = ta.Sequential([ta.Linear(2, 2, rng=np.random.default_rng(0))])
    >>> sgd = SGD(net, lr=0.01, multipliers={"*.bias": (2, 0)})
    >>> sgd.step()
    """

    def __init__(
        self,
        net: Layer,
        lr: float | None = None,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        multipliers: Mapping[str, tuple[float, float]] | None = None,
        *,
        constant: Sequence[str] = (),
    ) -> None:
        if not isinstance(net, Layer):
            got = f"a dict of {len(net)} arrays; pass the net itself, SGD(net)" if isinstance(net, dict) else show(net)
            raise ShapeError(f"sgd: net must be a layer or a network, got {got}")
        net.require_built()
        require_leaves("sgd", net)
        self.net, self.momentum, self.weight_decay = net, momentum, weight_decay
        self.steps, self.whole = 0, True
        self.chosen_lr: float | None = None
        self._lr = self.first_lr = DEFAULT_LR
        if lr is not None:
            self.lr = lr
        self.velocity: dict[str, Array] = {}
        self._parameters: list[tuple[str, Layer, str]] = []
        self.factors: dict[str, tuple[float, float]] = {}
        for leaf in net.leaves():
            for key, weight in leaf.params.items():
                name = f"{leaf.name}.{key}"
                try:
                    self.velocity[name] = leaf.device.zeros(weight.shape, leaf.dtype)
                except OutOfMemory as error:
                    raise error.inside(leaf.name) from None
                self._parameters.append((name, leaf, key))
                self.factors[name] = (1.0, 1.0)
        if not self.velocity:
            raise ShapeError(f"sgd: net must have parameters, got {net!r}")
        if multipliers is not None and not isinstance(multipliers, Mapping):
            raise ShapeError(f"sgd: multipliers must be a dict of patterns, such as {{'*.bias': (2, 0)}}, got {show(multipliers)}")
        for pattern, factors in (multipliers or {}).items():
            self._multiply(pattern, factors)
        if isinstance(constant, str) or not isinstance(constant, Sequence):
            raise ShapeError(f"sgd: constant must be a sequence of patterns, such as ('*.bias',), got {show(constant)}")
        self.constant = frozenset(name for pattern in constant for name in self._matching("constant", pattern))

    def _multiply(self, pattern: str, factors: tuple[float, float]) -> None:
        names = self._matching("multipliers", pattern)
        if not isinstance(factors, (tuple, list)) or len(factors) != 2:
            raise ShapeError(f"sgd: the multipliers of {pattern!r} must be two numbers, for lr and for weight_decay, got {show(factors)}")
        of_lr, of_decay = (
            _at_least_0(f"a multiplier of {pattern!r}", factor) for factor in factors
        )
        self.factors |= dict.fromkeys(names, (of_lr, of_decay))

    def _matching(self, what: str, pattern: str) -> list[str]:
        names = [name for name in self.velocity if fnmatchcase(name, pattern)] if isinstance(pattern, str) else []
        if not names:
            raise ShapeError(f"sgd: a pattern of {what} must match one of {', '.join(self.velocity)}, got {show(pattern)}")
        return names

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = self.chosen_lr = self.first_lr = _at_least_0("lr", value)

    def follow(self, lr: float, first: float | None = None) -> None:
        """Set `lr` to the rate of a schedule, and `first_lr` to that schedule's first rate; `chosen_lr` stays the same."""
        self._lr = _at_least_0("lr", lr)
        if first is not None:
            self.first_lr = _at_least_0("lr", first)

    @property
    def momentum(self) -> float:
        """The factor of the old velocity in the next step, from 0 to below 1."""
        return self._momentum

    @momentum.setter
    def momentum(self, value: float) -> None:
        self._momentum = require_float("sgd", "momentum", value, "from 0 to below 1", lambda v: 0 <= v < 1)

    @property
    def weight_decay(self) -> float:
        """The weight decay of the next step, at least 0."""
        return self._weight_decay

    @weight_decay.setter
    def weight_decay(self, value: float) -> None:
        self._weight_decay = _at_least_0("weight_decay", value)

    def require_whole(self) -> None:
        """Raise CallOrderError if a step was stopped halfway, after it had updated only some of the parameters."""
        if not self.whole:
            raise CallOrderError(
                "sgd: the parameters must all have the same steps, got a step that was stopped halfway; "
                "load a checkpoint or saved weights and make a new SGD(net), or make the new SGD(net) alone to accept the difference"
            )

    def step(self) -> None:
        """Update every parameter and set its gradient to zero. Devices compute at the same time."""
        self.require_whole()
        for _, leaf, _ in self._parameters:
            require_thawed("sgd", leaf)
        self.whole = False
        try:
            self._step()
        except BaseException:
            self.net.zero_grad()  # a gradient array may already hold changes of w, to which backward must not add
            raise
        self.whole, self.steps = True, self.steps + 1

    def _step(self) -> None:
        of_device: dict[int, list[tuple[str, Layer, str]]] = {}
        for parameter in self._parameters:
            of_device.setdefault(id(parameter[1].device), []).append(parameter)
        self._update_groups(list(of_device.values()))

    def _update_groups(self, groups: list[list[tuple[str, Layer, str]]]) -> None:
        """Update the parameters of every device, each on a thread of its own."""
        first, *others = groups
        if others:
            at_once(lambda: self._update_all(first), lambda: self._update_groups(others))
        else:
            self._update_all(first)

    def _update_all(self, parameters: list[tuple[str, Layer, str]]) -> None:
        with parameters[0][1].device.activate():  # once for all parameters, which are on one device
            for name, leaf, key in parameters:
                of_lr, of_decay = self.factors[name]
                if of_lr > 0:
                    lr = self.first_lr if name in self.constant else self.lr
                    self._update(leaf, key, self.velocity[name], lr * of_lr, self.weight_decay * of_decay)
                else:
                    leaf.grads[key].fill(0)

    def _update(self, leaf: Layer, key: str, velocity: Array, lr: float, decay: float) -> None:
        update = function(sgd_step, leaf.device, leaf.dtype)
        w, grad, v = (array.reshape(-1) for array in (leaf.params[key], leaf.grads[key], velocity))

        def block(piece: slice, scratch: Scratch) -> None:
            update(w[piece], grad[piece], v[piece], lr, self.momentum, decay, scratch.xp)

        size = leaf.device.block_size(w.size, 3 * w.dtype.itemsize)  # a block reads three arrays
        leaf.device.map_blocks(block, w.size, size=max(size, LEAST))


def sgd_step(w: Array, dw: Array, v: Array, lr: float, momentum: float, decay: float, xp: Any = np) -> None:
    """v <- momentum v - lr dw - lr decay w, w <- w + v, dw <- 0, all in place. Arrays (F,); paper 5."""
    change = dw
    change *= lr
    v *= momentum
    v -= change
    if decay > 0:
        xp.multiply(w, lr * decay, out=change)  # paper 5: the present rate multiplies the decay and the gradient
        v -= change
    w += v
    change.fill(0)


def _at_least_0(quantity: str, value: float) -> float:
    return require_float("sgd", quantity, value, "a finite number of at least 0", lambda v: 0 <= v < math.inf)
