"""What ranks can do together: add arrays, copy an array to all, and send one from a rank to another.

Everything else in this folder is written with these calls. So it runs unchanged on threads of one process (`threads.py`), on processes that
mpiexec has started (`mpi.py`), and on GPUs that NCCL connects (`nccl.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

from tinyalex.devices import Array


class Sum(Protocol):
    """A sum over all ranks that has begun. Its array must not be read or written before the sum is done."""

    def done(self) -> bool:
        """Whether the sum is done; the call also lets the sum go on, and returns at once."""

    def wait(self) -> None:
        """Return when the sum is done."""


class Group(ABC):
    """The ranks of one training run, as one of them sees it.

    Every rank must call the same methods in the same order, each with arrays of the same shapes and dtypes. Arrays are contiguous and on
    the device of the rank. For a given number of ranks the terms of a sum are always added in the same order.

    Attributes
    ----------
    rank: the number of this rank, from 0 to size - 1. size: how many ranks there are.
    """

    rank: int
    size: int

    @abstractmethod
    def begin_sum(self, array: Array) -> Sum:
        """Begin to replace `array` on every rank by the sum of the arrays of all ranks."""

    def sum(self, array: Array) -> None:
        """Replace `array` on every rank by the sum of the arrays of all ranks."""
        self.begin_sum(array).wait()

    @abstractmethod
    def broadcast(self, array: Array, root: int = 0) -> None:
        """Replace `array` on every rank by the array of the rank `root`."""

    @abstractmethod
    def send(self, array: Array, to: int) -> None:
        """Send `array` to another rank, which must call `receive`. The array may be written again when the call returns."""

    @abstractmethod
    def receive(self, array: Array, source: int) -> None:
        """Fill `array` with the array that the rank `source` sends."""

    @abstractmethod
    def collect(self, value: Any) -> list[Any]:
        """The values of all ranks, in the order of the ranks. `value` is None, a number, a string, or a list or dict of these."""

    @abstractmethod
    def twin(self) -> Group:
        """A group of the same ranks whose calls are independent of this group's. All ranks must call it together.

        Two kinds of calls that may come in different orders on different ranks need a group each.
        """


class Done:
    """A sum that is done."""

    def done(self) -> bool:
        return True

    def wait(self) -> None:
        pass


class Alone(Group):
    """The group of a single rank: a sum has one term."""

    rank, size = 0, 1

    def begin_sum(self, array: Array) -> Sum:
        return Done()

    def broadcast(self, array: Array, root: int = 0) -> None:
        pass

    def send(self, array: Array, to: int) -> None:
        raise ValueError("a single rank has nobody to send to")

    def receive(self, array: Array, source: int) -> None:
        raise ValueError("a single rank has nobody to receive from")

    def collect(self, value: Any) -> list[Any]:
        return [value]

    def twin(self) -> Group:
        return self
