"""What a gradient check moves: the input and the parameters of a layer, each on the device it lives on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device
from tinyalex.errors import ShapeError, show
from tinyalex.layers.base import Layer
from tinyalex.layers.leaves import require_leaves
from tinyalex.loss import SoftmaxCrossEntropy

Host = np.ndarray[Any, Any]


class Subject:
    """A function of x and of a layer's parameters, all of which can be written, and its backward.

    Parameters
    ----------
    of: the layer, network or loss whose gradients are in question, of dtype float64. A network may lie on several devices:
        each parameter is written and read on its own layer's.
    x: an input, float64, on the host; it goes to the device of `of`, where the output is expected too.
    forward, backward: functions of arrays of that device.

    Attributes
    ----------
    values: by tensor, "x" and the parameters' names, what it held at first. cotangent: what backward is given.

    Raises
    ------
    ShapeError: another dtype.
    """

    def __init__(
        self, of: Layer | SoftmaxCrossEntropy, x: Host, forward: Callable[[Array], Array], backward: Callable[[Array], Array | None]
    ) -> None:
        if of.dtype != np.float64 or getattr(x, "dtype", None) != np.float64:
            raise ShapeError(f"gradcheck: {of.name} and x must be float64, got {of.dtype} and {show(x)}; float32 is too coarse for a check")
        if isinstance(of, Layer):
            of.require_built()
            require_leaves("gradcheck", of)  # else the check would pass without the parameters inside
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

    def write(self, what: str, value: Host) -> None:
        """Set a tensor to `value`."""
        if what == "x":
            self.x = self.device.asarray(value)
            return
        device, param, _ = self.params[what]
        with device.activate():
            param[...] = device.asarray(value)

    def run(self) -> Host:
        """The output for what is written, with the same dropout masks each time: a mask is that of the layer's `step`."""
        try:
            return self.device.to_numpy(self._forward(self.x))
        finally:
            for leaf, step in self._masks:
                leaf.step = step

    def at(self, what: str, value: Host) -> Host:
        """The output where one tensor is `value`."""
        self.write(what, value)
        return self.run()

    def backward(self) -> dict[str, Host]:
        """What backward says, by tensor. A layer that gives no dx, and was not told so, says that dx is zero."""
        dx = self._backward(self.device.asarray(self.cotangent))
        said = {what: np.array(device.to_numpy(grad)) for what, (device, _, grad) in self.params.items()}
        if self.has_dx:
            said["x"] = np.zeros_like(self.values["x"]) if dx is None else np.array(self.device.to_numpy(dx))
        return said

    def scale(self, what: str) -> float:
        """The largest magnitude of a tensor, or 1 where it is zero throughout."""
        return float(np.abs(self.values[what]).max()) or 1.0

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        for leaf in self._leaves:
            leaf.zero_grad()
