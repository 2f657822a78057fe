"""What any answer may have gone through on its way: a factor, a transposition, a shift. They combine with every known mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Transform = Callable[[Array, int], Array]  # the right output and the number of images -> the output that a student may have


def _drop(axis: int, at: int) -> Transform:
    """The first or last line along an axis is zero."""

    def dropped(a: Array, n: int) -> Array:
        if a.ndim <= axis:
            return a
        out = a.copy()
        np.moveaxis(out, axis, 0)[at] = 0
        return out

    return dropped


def _drop_all_but(a: Array, at: int) -> Array:
    """One entry along the first axis, zeros for the others."""
    out = np.zeros_like(a)
    out[at] = a[at]
    return out


def _swapped(a: Array, n: int) -> Array:
    """The contents of the last two axes exchanged, in an array of the right shape: rows read where columns are meant."""
    return a.swapaxes(-1, -2).reshape(a.shape) if a.ndim >= 2 else a


def _reshaped(order: Callable[[int], list[int]], back: bool) -> Transform:
    """An array whose axes were moved into that order, and not back before `reshape`; or which was reshaped, and moved back from it."""

    def reshaped(a: Array, n: int) -> Array:
        axes = order(a.ndim)
        if not back:
            return a.transpose(axes).reshape(a.shape)
        return a.reshape([a.shape[axis] for axis in axes]).transpose(np.argsort(axes))

    return reshaped


ORDERS: Mapping[str, Callable[[int], list[int]]] = {  # the number of axes -> an order of them
    "turned round": lambda d: [*range(d)][::-1],
    "each image turned round": lambda d: [*range(1), *range(d - 1, 0, -1)],
    "first two": lambda d: [1, 0, *range(2, d)][:d] if d > 1 else [0],
    "second last": lambda d: [0, *range(2, d), 1][:d] if d > 1 else [0],
    "first last": lambda d: [*range(1, d), 0],
    "last first": lambda d: [d - 1, *range(d - 1)],
}


TRANSFORMS: Mapping[str, Transform] = {
    "times N": lambda a, n: a * n,
    "over N": lambda a, n: a / n,
    "sign": lambda a, n: -a,
    "twice": lambda a, n: 2 * a,
    "half": lambda a, n: a / 2,
    "swapped": _swapped,
    "transposed": lambda a, n: a.swapaxes(-1, -2) if a.ndim >= 2 else a,
    "flipped height": lambda a, n: np.flip(a, -2) if a.ndim >= 2 else a,
    "flipped width": lambda a, n: np.flip(a, -1),
    "flipped both": lambda a, n: np.flip(a, (-2, -1)) if a.ndim >= 2 else a,
    "shifted height": lambda a, n: np.roll(a, 1, -2) if a.ndim >= 2 else a,
    "shifted width": lambda a, n: np.roll(a, 1, -1),
    "last image missing": _drop(0, -1),
    "first channel alone": lambda a, n: np.repeat(a[:, :1], a.shape[1], 1) if a.ndim >= 2 else a,
    "last line missing": lambda a, n: _drop(a.ndim - 2, -1)(a, n) if a.ndim >= 3 else a,
    "last column missing": lambda a, n: _drop(a.ndim - 1, -1)(a, n) if a.ndim >= 2 else a,
    "zeros": lambda a, n: np.zeros_like(a),
    "ones": lambda a, n: np.ones_like(a),
    "mean over images": lambda a, n: np.broadcast_to(a.mean(0), a.shape) if a.ndim >= 2 else a,
    "sum over images": lambda a, n: np.broadcast_to(a.sum(0), a.shape) if a.ndim >= 2 else a,
    "absolute": lambda a, n: np.abs(a),
    "first image alone": lambda a, n: np.repeat(a[:1], len(a), 0),
    "second image alone": lambda a, n: np.repeat(a[1][None], len(a), 0),  # raises IndexError where there is one image
    "last image kept": lambda a, n: _drop_all_but(a, -1),
    "first image kept": lambda a, n: _drop_all_but(a, 0),
    "last line and column missing": lambda a, n: _drop(a.ndim - 2, -1)(_drop(a.ndim - 1, -1)(a, n), n) if a.ndim >= 3 else a,
    **{f"reshaped/{name}": _reshaped(order, False) for name, order in ORDERS.items()},
    **{f"reshaped back/{name}": _reshaped(order, True) for name, order in ORDERS.items()},
}
