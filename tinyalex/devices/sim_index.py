"""Indices of a simulated array: what CuPy takes without a word and NumPy would not is refused, and a mask counts as a synchronization."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from tinyalex.devices.sim import SimDevice

HostArray: TypeAlias = "np.ndarray[Any, Any]"


@contextmanager
def refused_if_outside(device: SimDevice, what: str) -> Iterator[None]:
    """Say of an IndexError in the block that a real GPU raises none: CuPy takes an index modulo the length, and computes a wrong result."""
    try:
        yield
    except IndexError as error:
        rule = f"{device.name}: indices of {what} must lie inside the array, got one outside, {error}"
        raise IndexError(f"{rule}; CuPy would take it modulo the length without a word") from None


def arrays_in(key: Any) -> list[HostArray]:
    """The arrays and lists of an index, which is what NumPy gets. None of them makes the result a view."""
    parts = key if type(key) is tuple else (key,)
    return [np.asarray(part) for part in parts if isinstance(part, (np.ndarray, list))]


def count_masks(device: SimDevice, arrays: list[HostArray]) -> None:
    """Count the synchronization of a boolean mask, whose number of True decides a shape. IndexError: there are two masks."""
    masks = sum(array.dtype.kind == "b" for array in arrays)
    if masks > 1:
        rule = f"{device.name}: an index must have at most one boolean mask, got {masks}"
        raise IndexError(f"{rule}; combine them with &, or use xp.where")
    if masks:
        device.counter.synchronize("a boolean mask as an index (xp.where needs none)")


def check_repeats(device: SimDevice, shape: tuple[int, ...], key: Any, arrays: list[HostArray]) -> None:
    """Raise IndexError if integer indices of an assignment name an element twice: on a GPU it is undefined which value stays."""
    if any(array.dtype.kind in "iu" for array in arrays):
        places = np.arange(int(np.prod(shape))).reshape(shape)[key]
        if np.unique(places).size < places.size:
            rule = f"{device.name}: indices of an assignment must differ, got an element twice, whose value is undefined on a GPU"
            raise IndexError(f"{rule}; use xp.add.at to add, or indices without repeats")
