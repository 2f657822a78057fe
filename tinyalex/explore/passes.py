"""What a forward and a backward pass hold, layer by layer: what `Sequential` throws away when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.devices import Array
from tinyalex.errors import DataError, ShapeError
from tinyalex.layers import (
    BatchNorm2d,
    Both,
    Branches,
    Conv2d,
    Dropout,
    Layer,
    LocalResponseNorm,
    MaxPool2d,
    Sequential,
    SpatialResponseNorm,
)
from tinyalex.layers.conv import conv2d_backward
from tinyalex.layers.lrn import lrn_scale
from tinyalex.layers.pool import max_pool
from tinyalex.layers.spatial import spatial_scale
from tinyalex.loss import SoftmaxCrossEntropy

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pass:
    """All numbers of one image that goes through a net of L layers and back. Arrays have no batch axis.

    values: the image as the net reads it, and the output of each layer, L + 1 arrays. douts: the gradient of the loss with respect to
    each of them. grads: the gradients of the parameters, such as grads["conv1.weight"]. winners: for each max pooling layer which cell
    won, i + KH j. scales: for each response normalization, across channels or within them, the scale s of each element. loss,
    probabilities: of the softmax.
    """

    values: tuple[Floats, ...]
    douts: tuple[Floats, ...]
    grads: dict[str, Floats]
    winners: dict[str, npt.NDArray[np.int32]]
    scales: dict[str, Floats]
    loss: float
    probabilities: Floats
    label: int


@contextmanager
def _as_in_a_test(net: Sequential) -> Iterator[None]:
    """In the block, batch normalization uses the running statistics and leaves them as they are, also in a forward pass that trains."""
    norms = [leaf for leaf in net.leaves() if isinstance(leaf, BatchNorm2d)]
    before = [norm.statistics for norm in norms]
    try:
        for norm in norms:
            norm.statistics = "running"
        yield
    finally:
        for norm, statistics in zip(norms, before, strict=True):
            norm.statistics = statistics


def passes_of(net: Sequential, x: Array, label: int | None) -> Pass:
    """One image through the net and back, each layer by its own `forward` and `backward`; the gradients of the net are zero afterwards.

    The net computes as it does in a test: dropout draws no mask but multiplies by its factor, and so does its gradient; batch
    normalization takes the running statistics, as constants.

    Parameters
    ----------
    net: a chain of layers on one device, see `tinyalex.analysis.inside.without_heads`. x: float32 (1, C, H, W).
    label: the class whose loss is taken; None for the most probable one.

    Raises
    ------
    ShapeError: the net has towers on two devices, auxiliary heads, or dropout in a path of branches.
    DataError: the outputs of the net are not finite.
    """
    if any(len(layer.takes) != 1 or len(layer.gives) != 1 for layer in net.layers):
        raise ShapeError(f"explore: the net must be on one device, got {net.name} on two; load it with one device, which computes the same")
    for layer in net.layers:
        if isinstance(layer, Branches):
            _check_paths(layer)
    net.reset()
    with _as_in_a_test(net):
        return _passes(net, x, label)


def _check_paths(branches: Branches) -> None:
    """Raise for what a training pass of paths would compute and a test would not."""
    for leaf in branches.leaves():
        if isinstance(leaf, Both):
            rule = f"explore: {branches.name} must have no auxiliary head"
            raise ShapeError(f"{rule}, got {leaf.name}; take tinyalex.analysis.inside.without_heads(net)")
        if isinstance(leaf, Dropout):
            rule = f"explore: {branches.name} must have no dropout in its paths, which draws a mask there"
            raise ShapeError(f"{rule}, got {leaf.name}; leave it out of the net: its test factor is {leaf.test_factor:g}")


def _passes(net: Sequential, x: Array, label: int | None) -> Pass:
    values, backwards = [_copy(x)], []
    winners, scales = {}, {}
    for layer in net.layers:
        if isinstance(layer, MaxPool2d):
            winners[layer.name] = max_pool(values[-1][None], layer.windows(values[-1].shape))[1][0]
        if isinstance(layer, LocalResponseNorm):
            scale = np.empty_like(values[-1][None])
            scales[layer.name] = lrn_scale(values[-1][None], layer.k, layer.alpha_each, layer.window, scale)[0]
        if isinstance(layer, SpatialResponseNorm):
            down, along = (np.asarray(band, np.float32) for band in layer.bands(*values[-1].shape[1:]))
            scale = np.empty_like(values[-1][None])
            scales[layer.name] = spatial_scale(values[-1][None], down, along, layer.k, layer.factor, scale)[0]
        x, backward = _through(layer, x)
        backwards.append(backward)
        values.append(_copy(x))
    if not np.isfinite(values[-1]).all():
        raise DataError("explore: the outputs of the net must be finite, got a NaN or an infinity; its training has diverged")
    loss = SoftmaxCrossEntropy(dtype=net.dtype)
    chosen = int(np.argmax(values[-1])) if label is None else label
    cost = float(loss.forward(x, np.array([chosen]), train=True))
    dout: Any = loss.backward()
    douts = [_copy(dout)]
    for backward in reversed(backwards):
        dout = backward(dout)
        douts.append(_copy(dout))
    grads = {name: np.array(grad, order="C") for name, grad in net.grads.items()}
    net.zero_grad()
    shifted = np.exp(values[-1] - values[-1].max())
    return Pass(tuple(values), tuple(reversed(douts)), grads, winners, scales, cost, shifted / shifted.sum(), chosen)


def _through(layer: Layer, x: Array) -> tuple[Array, Callable[[Array], Array | None]]:
    """The layer's output, and the function that goes back through it."""
    if isinstance(layer, Dropout):
        factor = layer.dtype.type(layer.test_factor)
        return layer.forward(x), lambda dout: dout * factor
    out = layer.forward(x, train=True)
    if layer.gives_dx:
        return out, layer.backward
    if not isinstance(layer, Conv2d):
        rule = f"explore: {layer.name} must be a convolution if it returns no gradient of its input, got {type(layer).__name__}"
        raise ShapeError(f"{rule}; in Python build the net with input_gradient=True")

    def first(dout: Array) -> Array:
        layer.backward(dout)
        windows = layer.asked(x.shape[1:]).windows
        return conv2d_backward(x, layer.params["weight"], dout, windows, layer.groups)[0]  # the derivation: training never needs this

    return out, first


def _copy(x: Any) -> Floats:
    """The only image of a batch, in memory of its own: a layer may write over what it returned."""
    return np.array(x[0], np.float32, order="C")
