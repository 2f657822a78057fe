"""The check that nobody forgets a layer inside another layer."""

from __future__ import annotations

from collections.abc import Iterator

from tinyalex.errors import ShapeError
from tinyalex.layers.base import Layer
from tinyalex.parameters import Parameters


def layers_inside(layer: Layer) -> Iterator[Layer]:
    """The layers that are attributes of `layer`, or elements of a list, tuple or dict that is an attribute of `layer`."""
    for value in vars(layer).values():
        if isinstance(value, Layer):
            yield value
        elif isinstance(value, (list, tuple, dict)) and not isinstance(value, Parameters):
            yield from (inner for inner in (value.values() if isinstance(value, dict) else value) if isinstance(inner, Layer))


def require_leaves(who: str, layer: Layer, seen: frozenset[int] = frozenset()) -> None:
    """Raise ShapeError if `layer` holds another layer that its `leaves()` omits: the parameters of that one would never be trained."""
    if id(layer) in seen:
        return
    listed = {id(leaf) for leaf in layer.leaves()}
    for inner in layers_inside(layer):
        if any(id(leaf) not in listed for leaf in inner.leaves()):
            rule = f"leaves() of {layer.name!r} must yield the layers inside it"
            use = "write `def leaves(self): yield from self.INNER.leaves()` for each layer inside"
            raise ShapeError(f"{who}: {rule}, got none for {inner.name!r}, which would not be trained; {use}")
        require_leaves(who, inner, seen | {id(layer)})
