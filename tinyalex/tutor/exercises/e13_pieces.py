"""The pieces of the gradient of batch normalization, of which the mistakes of E13 are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercises.e13_backward import Three, batch_norm_backward

Way = Callable[..., Three]


def wide(values: Array) -> Array:
    """One number a channel, beside (N, C, H, W)."""
    return values[:, None, None]


def summed(values: Array) -> Array:
    """The sum of each channel."""
    out: Array = values.sum(axis=(0, 2, 3))
    return out


class Back(NamedTuple):
    """The arguments of one call, and the pieces of the gradient."""

    dout: Array
    x: Array
    mean: Array
    s: Array
    weight: Array

    @property
    def m(self) -> int:
        """Values of a channel."""
        return self.x.size // self.x.shape[1]

    @property
    def d(self) -> Array:
        """x - mean."""
        return self.x - wide(self.mean)

    @property
    def y(self) -> Array:
        """What is scaled and shifted."""
        return self.d * wide(self.s)

    @property
    def dbias(self) -> Array:
        """The right one."""
        return summed(self.dout)

    @property
    def dweight(self) -> Array:
        """The right one."""
        return summed(self.dout * self.y)

    @property
    def sums(self) -> Array:
        """What is taken from dout: the two paths through the statistics."""
        out: Array = wide(self.dbias) / self.m + self.y * wide(self.dweight) / self.m
        return out

    @property
    def std(self) -> Array:
        """The standard deviation of each channel, without eps."""
        out: Array = self.x.std(axis=(0, 2, 3))
        return out

    def dx(self, center: Any = None, along: Any = None, factor: Array | None = None) -> Array:
        """factor (dout - center - along); what is not given is right: s weight, dbias / m and y dweight / m."""
        center = wide(self.dbias) / self.m if center is None else center
        along = self.y * wide(self.dweight) / self.m if along is None else along
        return wide(self.s * self.weight if factor is None else factor) * (self.dout - center - along)

    def over(self, center: float, along: float, factor: Array | None = None) -> Array:
        """dx with other numbers in the place of m, of the mean's path and of the variance's."""
        return self.dx(wide(self.dbias) / center, self.y * wide(self.dweight) / along, factor)

    def right(self, **changed: Any) -> Three:
        """The right gradients of a call in which some arguments are others."""
        return batch_norm_backward(*self._replace(**changed))


def of_call(make: Callable[[Back], Three]) -> Way:
    """A mistake as a function of the arguments of a call, made of one of their pieces."""
    return lambda dout, x, mean, s, weight: make(Back(dout, x, mean, s, weight))


def another_dx(make: Callable[[Back], Array]) -> Way:
    """Another dx, and all else right."""
    return of_call(lambda c: (make(c), c.dweight, c.dbias))


def another_dweight(make: Callable[[Back], Array]) -> Way:
    """Another dweight, and all else right."""
    return of_call(lambda c: (c.dx(), make(c), c.dbias))


def another_dweight_in_dx(make: Callable[[Back], Array]) -> Way:
    """Another dweight, which then stands in dx as well."""
    return of_call(lambda c: (c.dx(along=c.y * wide(make(c)) / c.m), make(c), c.dbias))
