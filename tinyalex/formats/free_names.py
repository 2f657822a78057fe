"""Names that nothing else in a file has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


class FreeNames:
    """The names that are taken. A file may give one name to a hundred thousand layers: each call of `free` counts on from the last one.

    Parameters
    ----------
    taken: the names that are taken already. between: what stands between a name and the number that is added to it.

    Example
    -------
    >>> names = FreeNames(["sum"])
    >>> names.free("sum"), names.free("sum"), names.free("relu")
    ('sum.2', 'sum.3', 'relu')
    """

    def __init__(self, taken: Iterable[str] = (), between: str = ".") -> None:
        self.taken, self.between = set(taken), between
        self._given: Counter[str] = Counter()

    def free(self, wanted: str) -> str:
        """`wanted`, or that name and a number from 2 on if it is taken. The name is taken then."""
        name = wanted
        while name in self.taken:
            self._given[wanted] += 1
            name = f"{wanted}{self.between}{self._given[wanted] + 1}"
        self.taken.add(name)
        return name
