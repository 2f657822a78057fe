"""The two orders of a batch of images in memory, NCHW and CHWN, and the copies from one order to the other.

In the order CHWN, which the authors' code of 2012 has, the images lie innermost: the elements of all images at one channel and
position are adjacent in memory. The shape of such an array is still (N, C, H, W); only its strides show the order, and every layer
accepts both orders. CHWN is fast for work that compares or adds neighbors, because it processes runs as long as the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.machine import GAP, LARGE
from tinyalex.geometry import Windows


def matrix(rows: int, columns: int, dtype: Any, empty: Callable[[tuple[int, ...], Any], Array]) -> Array:
    """An uninitialized (rows, columns) matrix for a product, whose rows have a gap of `GAP` elements between them.

    `empty` allocates it: (shape, dtype) -> array, as a scratch or `device.empty`. Rows that begin a multiple of 4096 bytes apart
    compete for the same lines of the cache. Images of 16 x 16 pixels in blocks of 8 have such rows: without the gap their products
    take 1.4 times as long.
    """
    return empty((rows, columns + GAP), dtype)[:, :columns]


def images_last(x: Array, out: Array) -> None:
    """Copy NCHW to CHWN: out[..., i] = x[i]. x (B, C, H, W), out (C, H, W, B)."""
    for images in _at_once(x):
        out[..., images] = x[images].transpose(1, 2, 3, 0)


def channels_last(x: Array, out: Array, scratch: Scratch) -> None:
    """Copy x (B, C, H, W) to out (H, W, B, C), whose channels lie innermost.

    A large image is first copied to a buffer in the cache, because memory is read several times as fast in order as element by
    element.
    """
    buffer = scratch((1, *x.shape[1:]), x.dtype) if x[0].size > LARGE else None
    for images in _at_once(x):
        part = x[images]
        if buffer is not None:
            buffer[...] = part
            part = buffer
        out[:, :, images] = part.transpose(2, 3, 0, 1)


def _at_once(x: Array) -> list[slice]:
    """Slices of the images that are copied in one call each: single images if they are large, which is faster, otherwise 8."""
    at_once = 1 if x[0].size > LARGE else 8
    return [slice(first, first + at_once) for first in range(0, len(x), at_once)]


def images_first(wide: Array, bias: Any, out: Array, xp: Any) -> None:
    """Copy CHWN to NCHW and add the bias unless it is None: out[i] = wide[..., i] + bias. wide (C, H, W, B), out (B, C, H, W)."""
    if bias is None:
        out[...] = wide.transpose(3, 0, 1, 2)
    else:
        xp.add(wide.transpose(3, 0, 1, 2), bias, out=out)


def lay_sheet(x: Array, windows: Windows, sheet: Array) -> Array:
    """Copy the pixels of x (B, C, H, W) that windows see to sheet (C, SH, SW, B), whose other elements, the padding, become 0."""
    (height, width), (h, w), (top, left) = windows.sheet, windows.seen, windows.before
    if (h, w) != (height, width):
        sheet.fill(0)
    images_last(x[:, :, :h, :w], sheet[:, top : top + h, left : left + w])
    return sheet


def chwn(x: Array) -> Array:
    """A view of x (N, C, H, W) with the axes (C, H, W, N)."""
    return x.transpose(1, 2, 3, 0)


def empty_chwn(device: Device, shape: tuple[int, ...], dtype: Any) -> Array:
    """An uninitialized array of shape (N, C, H, W) that is CHWN in memory."""
    n, c, h, w = shape
    return matrix(c, h * w * n, dtype, device.empty).reshape(c, h, w, n).transpose(3, 0, 1, 2)


def is_chwn(x: Array) -> bool:
    """Whether x (N, C, H, W) is CHWN in memory, without gaps inside a channel. False for a single image."""
    n, _, h, w = x.shape
    of_image, _, of_line, of_pixel = (stride // x.itemsize for stride in x.strides)
    return n > 1 and of_image == 1 and (w == 1 or of_pixel == n) and (h == 1 or of_line == w * n)
