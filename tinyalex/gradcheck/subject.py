"""The function that a gradient check examines: its input and parameters can be changed, each on the device where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device
from tinyalex.errors import ShapeError, show
from tinyalex.layers.base import Layer
from tinyalex.layers.leaves import require_leaves
from tinyalex.loss import SoftmaxCrossEntropy, SquaredError

Host = np.ndarray[Any, Any]


class Subject:
    """A function of x and of the parameters of a layer, network or loss, and the backward of this function.

    Parameters
    ----------
    of: the layer, network or loss whose gradients are checked, of dtype float64. A network may be on several devices; each parameter
        is read and written on the device of its layer.
    x: an input on the host, float64. It is copied to the device of `of`.
    forward, backward: functions of arrays on this device.

    Attributes
    ----------
    values: the original value of each tensor, by its name: "x" or the name of a parameter. cotangent: the argument of backward.

    Raises
    ------
    ShapeError: `of` or x is not float64.
    """

    def __init__(
        self,
        of: Layer | SoftmaxCrossEntropy | SquaredError,
        x: Host,
        forward: Callable[[Array], Array],
        backward: Callable[[Array], Array | None],
    ) -> None:
        if of.dtype != np.float64 or getattr(x, "dtype", None) != np.float64:
            raise ShapeError(f"gradcheck: {of.name} and x must be float64, got {of.dtype} and {show(x)}; float32 is too coarse for a check")
        if isinstance(of, Layer):
            of.require_built()
            require_leaves("gradcheck", of)  # otherwise the check would pass without checking the forgotten parameters
        self._leaves = list(of.leaves()) if isinstance(of, Layer) else []
        self.params: dict[str, tuple[Device, Array, Array]] = {}  # device, parameter, gradient
        for leaf in self._leaves:
            for key, param in leaf.params.items():
                self.params[key if leaf is of else f"{leaf.name}.{key}"] = leaf.device, param, leaf.grads[key]
        self.device: Device = of.device
        self.values = {"x": x} | {what: np.array(device.to_numpy(param)) for what, (device, param, _) in self.params.items()}
        self.has_dx = not isinstance(of, Layer) or of.gives_dx
        self.x, self.cotangent = self.device.asarray(x), np.array(1.0)
        self._forward, self._backward = forward, backward
        self._masks = [(leaf, leaf.step) for leaf in self._leaves if hasattr(leaf, "step")]
        self._buffers = [(leaf, key, np.array(leaf.device.to_numpy(b))) for leaf in self._leaves for key, b in leaf.buffers.items()]

    def write(self, what: str, value: Host) -> None:
        """Set a tensor to `value`."""
        if what == "x":
            self.x = self.device.asarray(value)
            return
        device, param, _ = self.params[what]
        with device.activate():
            param[...] = device.asarray(value)

    def run(self) -> Host:
        """The output for the present tensors. Each `step` of dropout and each buffer is restored, so all runs compute the same."""
        try:
            return self.device.to_numpy(self._forward(self.x))
        finally:
            for leaf, step in self._masks:
                leaf.step = step
            for leaf, key, value in self._buffers:
                leaf.buffers[key] = value

    def at(self, what: str, value: Host) -> Host:
        """The output after one tensor is set to `value`."""
        self.write(what, value)
        return self.run()

    def backward(self) -> dict[str, Host]:
        """The gradients that backward computes, by tensor. If backward returns no dx although it should, dx counts as zeros."""
        dx = self._backward(self.device.asarray(self.cotangent))
        gradients = {what: np.array(device.to_numpy(grad)) for what, (device, _, grad) in self.params.items()}
        if self.has_dx:
            gradients["x"] = np.zeros_like(self.values["x"]) if dx is None else np.array(self.device.to_numpy(dx))
        return gradients

    def scale(self, what: str) -> float:
        """The largest magnitude in a tensor, or 1 if all its elements are zero."""
        return float(np.abs(self.values[what]).max()) or 1.0

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        for leaf in self._leaves:
            leaf.zero_grad()
