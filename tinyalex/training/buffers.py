"""The running statistics of a net around a forward pass that must not move them: they move in forward, layer after layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from tinyalex.devices import Array
from tinyalex.layers.base import Layer

Copies: TypeAlias = list[tuple[Layer, Array, Array]]  # the layer, its buffer, and a copy of that


def copies_of(net: Layer) -> Copies:
    """Copies of all buffers of the net, each on the device of its layer."""
    copies = []
    for leaf in net.leaves():
        for array in leaf.buffers.values():
            with leaf.device.activate():
                copies.append((leaf, array, leaf.device.copy(array)))
    return copies


def put_back(copies: Copies) -> None:
    """Give the buffers the values that they had when they were copied."""
    for leaf, array, kept in copies:
        with leaf.device.activate():
            array[...] = kept


@contextmanager
def kept(net: Layer) -> Iterator[None]:
    """In the block, training passes may move the buffers of the net; afterwards they are what they were before."""
    copies = copies_of(net)
    try:
        yield
    finally:
        put_back(copies)
