"""Which layers of a net work hand in hand: an activation applied where its input was made, images left innermost for pooling.

Only `Sequential` asks. Each layer alone computes the same, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinyalex.devices import Array
from tinyalex.layers.activation import Activation
from tinyalex.layers.base import Layer
from tinyalex.layers.conv import Conv2d
from tinyalex.layers.pool import MaxPool2d, Pool2d


class Step:
    """A layer of a net, and the activation that is applied to each block of its output before the block leaves the cache, if any."""

    def __init__(self, layer: Layer, activation: Activation | None = None) -> None:
        self.layer, self.activation = layer, activation

    def forward(self, x: Array, train: bool) -> Array:
        """The output of both."""
        layer, activation = self.layer, self.activation
        if activation is None:
            return layer.forward(x, train=train)
        if "forward" in vars(activation) or "forward" in vars(layer):  # somebody has put a function of their own there
            return activation.forward(layer.forward(x, train=train), train=train)
        assert isinstance(layer, (Conv2d, Pool2d))
        return activation.applied(layer.forward(x, train=train, then=activation.function), train)


def steps_of(layers: Sequence[Layer]) -> list[Step]:
    """The layers in order as steps. A convolution that pooling follows is told so."""
    steps: list[Step] = []
    for layer in layers:
        before = steps[-1] if steps else None
        if before is not None and before.activation is None and can_fuse(before.layer, layer):
            before.activation = layer  # type: ignore[assignment]
            continue
        if before is not None and before.activation is None and type(layer) is MaxPool2d and type(before.layer) is Conv2d:
            before.layer.before_pooling = True
        steps.append(Step(layer))
    return steps


def can_fuse(layer: Layer, activation: Layer) -> bool:
    """Whether both compute as this library wrote them: a subclass with a `forward` of its own is called, never skipped."""
    return (
        isinstance(activation, Activation)
        and activation.in_place
        and type(activation).forward is Activation.forward
        and type(activation).applied is Activation.applied
        and type(layer).forward in (Conv2d.forward, Pool2d.forward)
        and layer.dtype == activation.dtype
    )
