"""The two orders of images in memory, (N, C, H, W) and (C, H, W, N), and how one is turned into the other.

In the second order, that of the authors' code of 2012, images lie innermost. The shape of an array is (N, C, H, W) all the same:
only its strides tell, and every layer takes it. Work that compares or adds neighbors then has runs as long as the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.machine import GAP, LARGE
from tinyalex.geometry import Windows


def matrix(rows: int, columns: int, dtype: Any, empty: Callable[[tuple[int, ...], Any], Array]) -> Array:
    """An uninitialized (rows, columns) matrix for a product, made by `empty` as a scratch or a device does, its rows set a little apart.

    Rows that begin a multiple of 4096 bytes after one another compete for the same places in the cache, and 16 x 16
    images in blocks of 8 make just such rows: without the gap their products take 1.4 times as long.
    """
    return empty((rows, columns + GAP), dtype)[:, :columns]


def images_last(x: Array, out: Array) -> None:
    """out[..., i] = x[i]: the image index becomes the innermost."""
    for images in _at_once(x):
        out[..., images] = x[images].transpose(1, 2, 3, 0)


def channels_last(x: Array, out: Array, scratch: Scratch) -> None:
    """out[:, :, i] = the pixels of x[i] with their channels innermost: x (B, C, H, W), out (H, W, B, C).

    Memory read line by line is several times as fast as element by element, so a large image is copied first and then turned in
    the cache.
    """
    room = scratch((1, *x.shape[1:]), x.dtype) if x[0].size > LARGE else None
    for images in _at_once(x):
        part = x[images]
        if room is not None:
            room[...] = part
            part = room
        out[:, :, images] = part.transpose(2, 3, 0, 1)


def _at_once(x: Array) -> list[slice]:
    """How many images are turned in one call: a CPU turns large images faster one by one; small ones are not worth a call each."""
    at_once = 1 if x[0].size > LARGE else 8
    return [slice(first, first + at_once) for first in range(0, len(x), at_once)]


def images_first(wide: Array, bias: Any, out: Array, xp: Any) -> None:
    """out[i] = wide[..., i] + bias: the image index becomes the outermost again. The bias, None for none, is added by the same copy."""
    if bias is None:
        out[...] = wide.transpose(3, 0, 1, 2)
    else:
        xp.add(wide.transpose(3, 0, 1, 2), bias, out=out)


def lay_sheet(x: Array, windows: Windows, sheet: Array) -> Array:
    """The part of the images x (B, C, H, W) that windows see, with zeros around it, on the sheet (C, SH, SW, B)."""
    (height, width), (h, w), (top, left) = windows.sheet, windows.seen, windows.before
    if (h, w) != (height, width):
        sheet.fill(0)
    images_last(x[:, :, :h, :w], sheet[:, top : top + h, left : left + w])
    return sheet


def chwn(x: Array) -> Array:
    """x (N, C, H, W) seen as (C, H, W, N), a view."""
    return x.transpose(1, 2, 3, 0)


def empty_chwn(device: Device, shape: tuple[int, ...], dtype: Any) -> Array:
    """An uninitialized array of shape (N, C, H, W) whose images lie innermost."""
    n, c, h, w = shape
    return matrix(c, h * w * n, dtype, device.empty).reshape(c, h, w, n).transpose(3, 0, 1, 2)


def is_chwn(x: Array) -> bool:
    """Whether the images of x (N, C, H, W) lie innermost, with nothing between the pixels of a channel."""
    n, _, h, w = x.shape
    of_image, _, of_row, of_pixel = (stride // x.itemsize for stride in x.strides)
    return n > 1 and of_image == 1 and (w == 1 or of_pixel == n) and (h == 1 or of_row == w * n)
