"""The two ways in which neighboring layers of a net save time together.

An activation is applied to each block of the output of the layer before it, while the block is in the cache. A convolution before
max pooling may leave its output CHWN in memory. Only `Sequential` does this; layers that are called one by one compute the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinyalex.devices import Array
from tinyalex.layers.activation import Activation
from tinyalex.layers.base import Layer
from tinyalex.layers.batch_norm import BatchNorm2d
from tinyalex.layers.conv import Conv2d
from tinyalex.layers.pool import MaxPool2d, Pool2d


class Step:
    """A layer of a net and, unless it is None, the activation that is applied to each block of the layer's output."""

    def __init__(self, layer: Layer, activation: Activation | None = None) -> None:
        self.layer, self.activation = layer, activation

    def forward(self, x: Array, train: bool) -> Array:
        """The output of the layer, or of the activation if there is one."""
        layer, activation = self.layer, self.activation
        if activation is None:
            return layer.forward(x, train=train)
        if "forward" in vars(activation) or "forward" in vars(layer):  # a user has replaced `forward` of this object
            return activation.forward(layer.forward(x, train=train), train=train)
        assert isinstance(layer, (Conv2d, Pool2d, BatchNorm2d))
        return activation.applied(layer.forward(x, train=train, then=activation.function), train)


def steps_of(layers: Sequence[Layer]) -> list[Step]:
    """The layers as steps, in order. Sets `before_pooling` of each convolution that max pooling follows."""
    steps: list[Step] = []
    for layer in layers:
        before = steps[-1] if steps else None
        if before is not None and before.activation is None and isinstance(layer, Activation) and can_fuse(before.layer, layer):
            before.activation = layer
            continue
        if before is not None and before.activation is None and type(layer) is MaxPool2d and type(before.layer) is Conv2d:
            before.layer.before_pooling = True
        steps.append(Step(layer))
    return steps


def can_fuse(layer: Layer, activation: Activation) -> bool:
    """Whether `layer` may apply `activation` to its output. No if a subclass has its own `forward`, which must be called."""
    return (
        activation.in_place
        and type(activation).forward is Activation.forward
        and type(activation).applied is Activation.applied
        and type(layer).forward in (Conv2d.forward, Pool2d.forward, BatchNorm2d.forward)
        and layer.dtype == activation.dtype
    )
