"""Windows that slide over an image: where they lie, and the matrix whose columns they are.

Convolution, pooling and locally connected layers all look at an image through windows. This file knows how many
windows there are, where they begin, and how to copy them out (`im2col`) and add them back (`col2im`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyalex.devices import NEW_ARRAYS, Array, Scratch
from tinyalex.geometry import Windows

LARGE = 1 << 15  # numbers of an image that is worth a copy of its own
GAP = 16  # numbers between the rows of a `matrix`
SMALL_PRODUCT = 10**6  # so few multiplications OpenBLAS does without copying its operands first


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

    Line by line memory comes several times as fast as number by number, so a large image is copied as it is and then turned in cache.
    """
    room = scratch((1, *x.shape[1:]), x.dtype) if x[0].size > LARGE else None
    for images in _at_once(x):
        part = x[images]
        if room is not None:
            room[...] = part
            part = room
        out[:, :, images] = part.transpose(2, 3, 0, 1)


def _at_once(x: Array) -> list[slice]:
    """A CPU turns large images faster one by one; small ones are not worth a call each."""
    at_once = 1 if x[0].size > LARGE else 8
    return [slice(first, first + at_once) for first in range(0, len(x), at_once)]


def images_first(wide: Array, bias: Any, out: Array, xp: Any) -> None:
    """out[i] = wide[..., i] + bias: the image index becomes the outermost again, and the copy is the bias's addition, if there is one."""
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


def copy_windows(sheet: Array, windows: Windows, out: Array, scratch: Scratch) -> None:
    """out (..., C, KH, KW, L, OW, B) = the windows of L lines; sheet (..., C, rows, SW, B) are the rows that those lines see.

    In two steps: first the KW shifts along the width, then the KH shifts along the height of those. The second,
    larger step then copies whole rows, and with the images innermost so does the first.
    """
    (kh, kw), (sh, sw), (*channels, height, _, b), (lines, ow) = windows.kernel, windows.stride, sheet.shape, out.shape[-3:-1]
    rows = scratch((*channels, kw, height, ow, b), sheet.dtype)  # (..., C, KW, rows, OW, B)
    for j in range(kw):
        rows[..., j, :, :, :] = sheet[..., j : j + sw * (ow - 1) + 1 : sw, :]
    for i in range(kh):
        out[..., i, :, :, :, :] = rows[..., i : i + sh * (lines - 1) + 1 : sh, :, :]


def im2col(x: Array, windows: Windows, groups: int = 1, scratch: Scratch = NEW_ARRAYS, out: Array | None = None) -> Array:
    """Every window of x as a column: (G, C/G * KH * KW, OH * OW * B), image index innermost; written into `out` if it is there."""
    (b, c), (oh, ow), (kh, kw) = x.shape[:2], windows.out, windows.kernel
    sheet = lay_sheet(x, windows, scratch((c, *windows.sheet, b), x.dtype))
    col = matrix(c * kh * kw, oh * ow * b, x.dtype, scratch) if out is None else out
    copy_windows(sheet, windows, col.reshape(c, kh, kw, oh, ow, b), scratch)  # into a view
    return col.reshape(groups, c // groups * kh * kw, oh * ow * b)


def col2im(col: Array, windows: Windows, dx: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """The transpose of im2col: dx = every column added back to where it was copied from. dx is (B, C, H, W)."""
    (b, c), (oh, ow), (kh, kw), (sh, sw) = dx.shape[:2], windows.out, windows.kernel, windows.stride
    (height, width), (h, w), (top, left) = windows.sheet, windows.seen, windows.before
    col = col.reshape(c, kh, kw, oh, ow, b)
    rows = scratch((c, kw, height, ow, b), dx.dtype)  # (C, KW, SH, OW, B)
    rows.fill(0)
    for i in range(kh):
        rows[:, :, i : i + sh * (oh - 1) + 1 : sh] += col[:, i]
    sheet = scratch((c, height, width, b), dx.dtype)  # (C, SH, SW, B)
    sheet.fill(0)
    for j in range(kw):
        sheet[:, :, j : j + sw * (ow - 1) + 1 : sw] += rows[:, j]
    if (h, w) != windows.size:
        dx.fill(0)  # what no window sees has no gradient
    images_first(sheet[:, top : top + h, left : left + w], None, dx[:, :, :h, :w], scratch.xp)
