"""Stochastic gradient descent with momentum and weight decay, as section 5 of the paper writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase

from tinyalex.devices import Array, Scratch
from tinyalex.errors import ShapeError, require_float, show
from tinyalex.layers.at_once import at_once
from tinyalex.layers.base import Layer, require_leaves, require_thawed

LEAST = 1 << 16  # parameters of a block: fewer are not worth a second thread, or a block of their own on a full card


class SGD:
    """v <- momentum * v - weight_decay * lr * w - lr * dL/dw,  w <- w + v.

    Paper: section 5, with dL/dw the mean over the batch.

    A step makes no arrays, so it cannot run out of memory halfway: the gradient, zero in the end, holds the change.

    The velocity keeps the scale of the rate it was made with: after the rate is divided by 10 it dies out over some ten
    steps, where `torch.optim.SGD`, which multiplies the whole velocity by the rate, would shrink it at once.

    Parameters
    ----------
    net: a layer or a network; every parameter of it is updated.
    lr: the learning rate, at least 0; may be assigned between steps.
    momentum: from 0 to below 1. weight_decay: at least 0.
    multipliers: for parameters whose name matches a pattern, factors of lr and of weight_decay; the last match counts.
        The authors' code: {"*.bias": (2, 0)}. A factor 0 of lr leaves a parameter and its velocity as they are.

    Raises
    ------
    ShapeError: what is no layer, a setting outside these ranges, or a pattern that matches no parameter.

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
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        multipliers: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        if not isinstance(net, Layer):
            raise ShapeError(f"sgd: net must be a layer or a network, got {show(net)}")
        net.require_built()
        require_leaves("sgd", net)
        self.net, self.lr = net, lr
        self.momentum = require_float("sgd", "momentum", momentum, "from 0 to below 1", lambda v: 0 <= v < 1)
        self.weight_decay = require_float("sgd", "weight_decay", weight_decay, "a finite number of at least 0", lambda v: 0 <= v < math.inf)
        self.velocity: dict[str, Array] = {}
        self._parameters: list[tuple[str, Layer, str]] = []
        self._factors: dict[str, tuple[float, float]] = {}
        for leaf in net.leaves():
            for key, weight in leaf.params.items():
                name = f"{leaf.name}.{key}"
                self.velocity[name] = leaf.device.zeros(weight.shape, leaf.dtype)
                self._parameters.append((name, leaf, key))
                self._factors[name] = (1.0, 1.0)
        if not self.velocity:
            raise ShapeError(f"sgd: net must have parameters, got {net!r}")
        if multipliers is not None and not isinstance(multipliers, Mapping):
            raise ShapeError(f"sgd: multipliers must be a dict of patterns, such as {{'*.bias': (2, 0)}}, got {show(multipliers)}")
        for pattern, factors in (multipliers or {}).items():
            self._multiply(pattern, factors)

    def _multiply(self, pattern: str, factors: tuple[float, float]) -> None:
        names = [name for name in self.velocity if fnmatchcase(name, pattern)] if isinstance(pattern, str) else []
        if not names:
            raise ShapeError(f"sgd: a pattern of multipliers must match one of {', '.join(self.velocity)}, got {show(pattern)}")
        if not isinstance(factors, (tuple, list)) or len(factors) != 2:
            raise ShapeError(f"sgd: the multipliers of {pattern!r} must be two numbers, for lr and for weight_decay, got {show(factors)}")
        of_lr, of_decay = (
            require_float("sgd", f"a multiplier of {pattern!r}", factor, "a finite number of at least 0", lambda v: 0 <= v < math.inf)
            for factor in factors
        )
        self._factors |= dict.fromkeys(names, (of_lr, of_decay))

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = require_float("sgd", "lr", value, "a finite number of at least 0", lambda v: 0 <= v < math.inf)

    def step(self) -> None:
        """Update every parameter and set its gradient to zero, in one pass over memory; two devices work at the same time."""
        for _, leaf, _ in self._parameters:
            require_thawed("sgd", leaf)
        here = self._parameters[0][1].device
        there = [parameter for parameter in self._parameters if parameter[1].device is not here]
        if there:
            at_once(lambda: self._update_all([p for p in self._parameters if p[1].device is here]), lambda: self._update_all(there))
        else:
            self._update_all(self._parameters)

    def _update_all(self, parameters: list[tuple[str, Layer, str]]) -> None:
        with parameters[0][1].device.activate():  # once for all
            for name, leaf, key in parameters:
                of_lr, of_decay = self._factors[name]
                if of_lr > 0:
                    self._update(leaf, key, self.velocity[name], self.lr * of_lr, self.weight_decay * of_decay)
                else:
                    leaf.grads[key].fill(0)

    def _update(self, leaf: Layer, key: str, velocity: Array, lr: float, decay: float) -> None:
        xp = leaf.device.xp
        w, grad, v = (array.reshape(-1) for array in (leaf.params[key], leaf.grads[key], velocity))

        def block(piece: slice, scratch: Scratch) -> None:
            change = grad[piece]
            change *= lr
            v[piece] *= self.momentum
            v[piece] -= change
            if decay > 0:
                xp.multiply(w[piece], lr * decay, out=change)  # paper 5: both terms are scaled by the present rate
                v[piece] -= change
            w[piece] += v[piece]
            change.fill(0)

        size = leaf.device.block_size(w.size, 3 * w.dtype.itemsize)  # three arrays pass through the cache
        leaf.device.map_blocks(block, w.size, size=max(size, LEAST))
