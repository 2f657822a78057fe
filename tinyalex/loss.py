"""The losses: softmax and cross-entropy together, because computed separately they overflow or lose accuracy; and the squared error."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tinyalex.devices import Array, Device, get_device
from tinyalex.errors import CallOrderError, DataError, DeviceError, ShapeError, TinyalexError, require_float, show
from tinyalex.fast.table import function
from tinyalex.parameters import require_dtype

HEAD = 0.3  # by how much the loss of an auxiliary head counts where nobody says it, as in GoogLeNet (Szegedy et al. 2014, section 5)


class SoftmaxCrossEntropy:
    """The mean over the batch of -log p(label), where p is the softmax of the logits.

    Paper: section 3.5, "maximizes the multinomial logistic regression objective".

    p_j = exp(z_j) / sum_i exp(z_i), so -log p_label = log(sum_i exp(z_i)) - z_label. Both sides stay the same if the largest
    logit is subtracted from all logits. Then no exp overflows and the sum is at least 1. So the loss is correct even for logits
    of 1e4. It is correct too where the logit of a class other than the label is -inf: the probability of that class is 0.

    Raises
    ------
    ShapeError: logits that are not an array (N, classes) of the dtype with N of at least 1, or are a masked array.
    DataError: labels that are not N integers from 0 to classes - 1, or are a masked array.
    CallOrderError: `backward` without a `forward(train=True)` before it.

    Cache: probs (N, classes), and the labels (N,) on the device. Only `forward(train=True)` fills the slot, so
    a `forward(train=False)` before `backward` does not change the gradient.

    Gradient: d/dz_j of (log sum_i exp(z_i) - z_label) is p_j - [j = label]; the mean divides this by N.

    Example
    -------
    >>> loss = SoftmaxCrossEntropy()
    >>> round(float(loss.forward(np.array([[2.0, 0.5, -3.0]], np.float32), np.array([0]))), 4)
    0.2069
    """

    def __init__(self, *, name: str = "loss", device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        self.name, self.device = name, get_device(device, name)
        self.dtype = require_dtype(name, dtype)
        self._cache: tuple[Array, Array] | None = None

    def forward(self, logits: Array, labels: Any, *, train: bool = False) -> Array:
        """The loss as a 0-d array on the device. float() of the loss waits until a GPU has computed it.

        logits: (N, classes), on the device. labels: N integers from 0 to classes - 1 on the host, in an array or a list.
        train: whether `backward` may follow.
        """
        xp = self.device.xp
        if isinstance(logits, tuple):
            use = f"use WeightedHeads with {len(logits) - 1} weights, such as 0.3" if len(logits) > 1 else "take its only element"
            raise ShapeError(f"{self.name}: logits must be one array, got {show(logits)}, as a net with auxiliary heads gives; {use}")
        logits = plain(f"{self.name}: logits", logits, ShapeError)
        if not self.device.owns(logits):
            raise DeviceError(f"{self.name}: logits must be on {self.device.name}, got {self.device.where(logits)}")
        if logits.ndim != 2 or 0 in logits.shape or logits.dtype != self.dtype:
            raise ShapeError(f"{self.name}: logits must be a {self.dtype} array (N, classes) with N of at least 1, got {show(logits)}")
        n, classes = logits.shape
        labels = self._checked(labels, n, classes)
        there = self.device.asarray(labels.astype(np.int32))
        with self.device.activate():
            loss, probs = function(softmax_loss, self.device, self.dtype)(logits, there, xp)
            if train:
                self._cache = (probs, there)
            return loss.mean()

    def backward(self) -> Array:
        """The gradient of the loss with respect to the logits, (N, classes)."""
        if self._cache is None:
            text = "backward must follow a forward(train=True) of its own, got none since the last backward"
            raise CallOrderError(f"{self.name}: {text}; call forward(logits, labels, train=True) first")
        (probs, labels), self._cache = self._cache, None
        with self.device.activate():
            return function(softmax_loss_backward, self.device, self.dtype)(probs, labels, self.device.xp)

    def _checked(self, labels: Any, n: int, classes: int) -> np.ndarray[Any, Any]:
        labels = plain(f"{self.name}: labels", labels, DataError)
        if isinstance(labels, (list, tuple)):
            try:
                labels = np.asarray(labels)
            except ValueError:  # nested lists of different lengths
                pass
        if not isinstance(labels, np.ndarray) or labels.shape != (n,) or labels.dtype.kind not in "iu":
            raise DataError(f"{self.name}: labels must be {n} integers in a NumPy array, one for each row of logits, got {show(labels)}")
        if labels.min() < 0 or labels.max() >= classes:
            bad = labels[(labels < 0) | (labels >= classes)][0]
            raise DataError(f"{self.name}: labels must be from 0 to {classes - 1}, got {bad}")
        return labels


def softmax_loss(logits: Array, labels: Array, xp: Any = np) -> tuple[Array, Array]:
    """-log p_label of each image, (N,), and the probabilities p, (N, classes). logits (N, classes), labels (N,) int32."""
    with np.errstate(over="ignore"):  # z may be -inf, which is correct
        z = logits - logits.max(axis=1, keepdims=True)
    probs = xp.exp(z)
    total = probs.sum(axis=1, keepdims=True)  # (N, 1)
    probs /= total
    z_label = xp.where(is_label(labels, probs, xp), z, 0).sum(axis=1)  # not a product, because -inf * 0 is NaN
    return xp.log(total[:, 0]) - z_label, probs


def softmax_loss_backward(probs: Array, labels: Array, xp: Any = np) -> Array:
    """(p_j - [j = label]) / N: the gradient of the mean of the losses with respect to the logits, (N, classes)."""
    one_hot = is_label(labels, probs, xp).astype(probs.dtype)
    return (probs - one_hot) / len(probs)


def is_label(labels: Array, probs: Array, xp: Any) -> Array:
    """[j = label], bools (N, classes)."""
    return labels[:, None] == xp.arange(probs.shape[1], dtype=labels.dtype)


class WeightedHeads:
    """The loss of a net with auxiliary heads: that of the main output, and that of each head times its weight.

    Paper: after AlexNet: GoogLeNet (Szegedy et al. 2014, section 5), whose two heads count 0.3 each while training.

    Parameters
    ----------
    weights: one a head, in the order of `tinyalex.layers.Both`, at least 0.

    Raises
    ------
    ShapeError: a weight outside its range, or, in training, another number of outputs than 1 + the number of weights.

    Cache: that of a `SoftmaxCrossEntropy` for each output.

    Gradient: the gradient of a sum is the sum of the gradients, so each output gets its own, times its weight.

    Example
    -------
    >>> loss, zero = WeightedHeads([0.3]), np.zeros((1, 2), np.float32)
    >>> round(float(loss.forward((zero, zero), np.array([0]), train=True)) / math.log(2), 4)
    1.3
    """

    def __init__(self, weights: Sequence[float], *, name: str = "loss", device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        if not isinstance(weights, (list, tuple)) or not weights:
            raise ShapeError(f"{name}: weights must be a list of one number for each head, such as [0.3, 0.3], got {show(weights)}")
        rule = "a finite number of at least 0"
        self.weights = [1.0, *(require_float(name, "a head's weight", w, rule, lambda v: 0 <= v < math.inf) for w in weights)]
        self.losses = [SoftmaxCrossEntropy(name=name, device=device, dtype=dtype) for _ in self.weights]
        self.name, self.device, self.dtype = name, self.losses[0].device, self.losses[0].dtype

    def forward(self, logits: Any, labels: Any, *, train: bool = False) -> Array:
        """The weighted sum, as a 0-d array on the device; with train=False the loss of the main output alone.

        logits: in training a tuple (main, head, ...) of arrays (N, classes), otherwise the main one or such a tuple.
        """
        if not train:
            return self.losses[0].forward(main_of(logits), labels)
        if not isinstance(logits, tuple) or len(logits) != len(self.weights):
            rule = f"{self.name}: logits must be a tuple of {len(self.weights)}, the main output and {len(self.weights) - 1} heads"
            use = "a net with heads gives them in forward(train=True), and one without takes SoftmaxCrossEntropy"
            if isinstance(logits, tuple):
                use = f"give one weight for each of the {len(logits) - 1} heads"
            raise ShapeError(f"{rule}, got {show(logits)}; {use}")
        terms = [loss.forward(part, labels, train=True) for loss, part in zip(self.losses, logits, strict=True)]
        with self.device.activate():
            total = terms[0]
            for weight, term in zip(self.weights[1:], terms[1:], strict=True):
                total = total + weight * term
            return total

    def backward(self) -> tuple[Array, ...]:
        """The gradient with respect to each output, a tuple of arrays (N, classes)."""
        gradients = [loss.backward() for loss in self.losses]
        with self.device.activate():
            for weight, gradient in zip(self.weights[1:], gradients[1:], strict=True):
                gradient *= weight
        return tuple(gradients)


Loss: TypeAlias = SoftmaxCrossEntropy | WeightedHeads  # of a net that tells classes apart


def main_of(outputs: Any) -> Array:
    """The main output of a net, which may give a tuple of it and of auxiliary heads."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


class SquaredError:
    """Half the squared distance of each output to its target, as the mean over the batch: for nets that give back their input.

    Paper: section 6.1 proposes autoencoders; reference [14] trains them with this loss.

    loss = 1 / (2 N) * sum_n |out_n - target_n|^2.

    Raises
    ------
    ShapeError: outputs or targets that are not arrays (N, F) of the dtype and of one shape, with N of at least 1.
    CallOrderError: `backward` without a `forward(train=True)` before it.

    Cache: out - target, (N, F). Only `forward(train=True)` fills the slot.

    Gradient: only the term of out_nf in the sum depends on out_nf, so dloss/dout_nf = 1 / (2 N) * 2 (out_nf - target_nf), which is
    (out_nf - target_nf) / N.

    Example
    -------
    >>> float(SquaredError().forward(np.array([[1, 2]], np.float32), np.array([[1, 0]], np.float32)))
    2.0
    """

    def __init__(self, *, name: str = "loss", device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        self.name, self.device = name, get_device(device, name)
        self.dtype = require_dtype(name, dtype)
        self._cache: Array | None = None

    def forward(self, out: Array, target: Array, *, train: bool = False) -> Array:
        """The loss as a 0-d array on the device. out, target: (N, F), on the device. train: whether `backward` may follow."""
        for what, array in (("out", out), ("target", target)):
            if not self.device.owns(array):
                raise DeviceError(f"{self.name}: {what} must be on {self.device.name}, got {self.device.where(array)}")
            if array.ndim != 2 or 0 in array.shape or array.dtype != self.dtype:
                raise ShapeError(f"{self.name}: {what} must be a {self.dtype} array (N, F) with N of at least 1, got {show(array)}")
        if out.shape != target.shape:
            raise ShapeError(f"{self.name}: target must have the shape of out, {out.shape}, got {target.shape}")
        with self.device.activate():
            apart = out - target
            if train:
                self._cache = apart
            return (apart**2).sum() / (2 * len(out))

    def backward(self) -> Array:
        """The gradient of the loss with respect to the outputs, (N, F)."""
        if self._cache is None:
            text = "backward must follow a forward(train=True) of its own, got none since the last backward"
            raise CallOrderError(f"{self.name}: {text}; call forward(out, target, train=True) first")
        apart, self._cache = self._cache, None
        with self.device.activate():
            return apart / len(apart)


def plain(what: str, array: Any, error: type[TinyalexError]) -> Any:
    """Return `array`, but an np.matrix as a plain array. Raise `error` for a masked array, because its mask would be ignored."""
    masked = sys.modules.get("numpy.ma")  # where nobody imported it there is no masked array; importing it here would cost 1 MB
    if masked is not None and isinstance(array, masked.MaskedArray):
        raise error(f"{what} must be a plain array, got a masked one, whose mask would be ignored; select the rows first, array[rows].data")
    return np.asarray(array) if isinstance(array, np.matrix) else array
