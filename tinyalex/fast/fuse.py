"""The three ways in which neighboring layers of a net save time together. Only `Sequential` does this.

An activation is applied to each block of the output of the layer before it, while the block is in the cache; this may be a sum of paths.
A convolution before max pooling may leave its output CHWN in memory. Layers that are called one by one compute the same bits.

In a frozen net, batch normalization behind a convolution is folded into it: with factor = weight s of the normalization,

    factor (conv(x) - mean) + shift = conv with the weights factor_k W_k and the biases factor_k (b_k - mean_k) + shift_k,

because a convolution is linear in its weights. The folded net rounds otherwise, so it is equal to about 1e-6 in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tinyalex.devices import Array
from tinyalex.layers.activation import Activation
from tinyalex.layers.base import Layer
from tinyalex.layers.batch_norm import BatchNorm2d
from tinyalex.layers.conv import Conv2d
from tinyalex.layers.merge import Sum
from tinyalex.layers.pool import MaxPool2d, Pool2d


class Step:
    """A layer of a net and, unless it is None, the activation that is applied to each block of the layer's output.

    norm: the batch normalization between the two, if the layer is a convolution and one follows it.
    """

    def __init__(self, layer: Layer, activation: Activation | None = None) -> None:
        self.layer, self.activation = layer, activation
        self.norm: BatchNorm2d | None = None

    def forward(self, x: Array, train: bool) -> Array:
        """The output of the last of these layers."""
        layer, activation = self.layer, self.activation
        if self.norm is not None:
            assert isinstance(layer, Conv2d)
            folds = not train and layer.frozen and self.norm.frozen
            if folds and not any("forward" in vars(each) for each in (layer, self.norm)):
                return self._through(activation, partial(layer.forward, instead=folded(layer, self.norm)), x, train)
            return self._through(activation, self.norm.forward, layer.forward(x, train=train), train, "forward" in vars(self.norm))
        return self._through(activation, layer.forward, x, train, any("forward" in vars(each) for each in (layer, layer.maker)))

    def _through(self, activation: Activation | None, forward: Callable[..., Array], x: Array, train: bool, changed: bool = False) -> Array:
        if activation is None:
            return forward(x, train=train)
        if changed or "forward" in vars(activation):  # a user has replaced `forward` of this object
            return activation.forward(forward(x, train=train), train=train)
        return activation.applied(forward(x, train=train, then=activation.function), train)


def folded(conv: Layer, norm: BatchNorm2d) -> tuple[Array, Array, dict[Any, Any]]:
    """The weights and biases of the convolution that does the work of both layers, and a dict for what is computed from them alone."""
    if "folded" not in norm.prepared:
        xp = norm.device.xp
        with norm.device.activate():
            factor = norm.params["weight"] / xp.sqrt(norm.buffers["running_var"] + norm.eps)
            shift = norm.params["bias"] - factor * norm.buffers["running_mean"]
            if "bias" in conv.params:
                shift = shift + factor * conv.params["bias"]
            norm.prepared["folded"] = conv.params["weight"] * factor[:, None, None, None], shift, {}
    found: tuple[Array, Array, dict[Any, Any]] = norm.prepared["folded"]
    return found


def steps_of(layers: Sequence[Layer]) -> list[Step]:
    """The layers as steps, in order. Sets `before_pooling` of each convolution that max pooling follows."""
    steps: list[Step] = []
    for layer in layers:
        before = steps[-1] if steps and steps[-1].activation is None else None
        if before is not None and isinstance(layer, Activation) and can_fuse(before.norm or before.layer, layer):
            before.activation = layer
            continue
        if before is not None and type(before.layer) is Conv2d and before.norm is None:
            if type(layer) is BatchNorm2d:
                before.norm = layer
                continue
            if type(layer) is MaxPool2d:
                before.layer.before_pooling = True
        steps.append(Step(layer))
    return steps


def can_fuse(layer: Layer, activation: Activation) -> bool:
    """Whether `layer` may apply `activation` to its output. No if a subclass has its own `forward`, which must be called."""
    return (
        activation.in_place
        and type(activation).forward is Activation.forward
        and type(activation).applied is Activation.applied
        and type(layer.maker).forward in (Conv2d.forward, Pool2d.forward, BatchNorm2d.forward, Sum.forward)
        and layer.dtype == activation.dtype
    )
