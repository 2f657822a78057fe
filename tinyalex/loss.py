"""The loss: softmax and cross-entropy in one, as neither is safe alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, get_device
from tinyalex.errors import CallOrderError, DataError, DeviceError, ShapeError, show
from tinyalex.layers.base import require_dtype


class SoftmaxCrossEntropy:
    """The mean over the batch of -log p(label), p being the softmax of the logits.

    Paper: section 3.5, "maximizes the multinomial logistic regression objective".

    p_j = exp(z_j) / sum_i exp(z_i), so -log p_label = log(sum_i exp(z_i)) - z_label. Subtracting the largest logit from
    all changes neither, and then no exp overflows and the sum is at least 1: right at logits of 1e4.

    Raises
    ------
    ShapeError: logits that are not (N, classes) of the dtype with N >= 1; DataError: labels that are not N integers
    from 0 to classes - 1.

    Cache: probs (N, classes) and the labels as ones and zeros.

    Gradient: d/dz_j of (log sum_i exp(z_i) - z_label) is p_j - [j = label]; the mean divides it by N.

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

    def forward(self, logits: Array, labels: Any, *, train: bool = True) -> Array:
        """The loss as a 0-d array of the device; float() of it waits for a GPU.

        logits: (N, classes), on the device. labels: N integers on the host. train: False keeps nothing for backward.
        """
        xp = self.device.xp
        if not self.device.owns(logits):
            raise DeviceError(f"{self.name}: logits must be on {self.device.name}, got {self.device.where(logits)}")
        if logits.ndim != 2 or 0 in logits.shape or logits.dtype != self.dtype:
            raise ShapeError(f"{self.name}: logits must be a {self.dtype} array (N, classes) with N of at least 1, got {show(logits)}")
        n, classes = logits.shape
        labels = self._checked(labels, n, classes)
        one_hot = self.device.asarray((labels[:, None] == np.arange(classes)).astype(self.dtype))  # (N, classes)
        with self.device.activate():
            z = logits - logits.max(axis=1, keepdims=True)
            probs = xp.exp(z)
            total = probs.sum(axis=1, keepdims=True)  # (N, 1)
            probs /= total
            if train:
                self._cache = (probs, one_hot)
            return (xp.log(total[:, 0]) - (z * one_hot).sum(axis=1)).mean()

    def backward(self) -> Array:
        """The gradient with respect to the logits, (N, classes)."""
        if self._cache is None:
            raise CallOrderError(f"{self.name}: backward must follow a forward of its own, got none since the last backward")
        (probs, one_hot), self._cache = self._cache, None
        with self.device.activate():
            return (probs - one_hot) / len(probs)

    def _checked(self, labels: Any, n: int, classes: int) -> np.ndarray[Any, Any]:
        if isinstance(labels, (list, tuple)):
            try:
                labels = np.asarray(labels)
            except ValueError:  # rows of different lengths
                pass
        if not isinstance(labels, np.ndarray) or labels.shape != (n,) or labels.dtype.kind not in "iu":
            raise DataError(f"{self.name}: labels must be {n} integers in a NumPy array, one for each row of logits, got {show(labels)}")
        if labels.min() < 0 or labels.max() >= classes:
            bad = labels[(labels < 0) | (labels >= classes)][0]
            raise DataError(f"{self.name}: labels must be from 0 to {classes - 1}, got {bad}")
        return labels
