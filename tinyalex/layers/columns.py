"""im2col and col2im: what windows see as columns, and the transpose of that. Convolution is a product with these columns.

A window of KH x KW cells lies over the image at each of OH x OW places. im2col writes what each window sees into a column of its
own, so one pixel is copied into every window that sees it. col2im is the transpose: it adds every column back to where it was
copied from, since a value that was used in several places gets the sum of their gradients.

These are the plain functions. The faster ones, with another order in memory, are in `tinyalex.fast.columns`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyalex.devices import Array
from tinyalex.geometry import Windows


def padded(x: Array, windows: Windows, fill: float, xp: Any = np) -> Array:
    """The image on the sheet that the windows cover, with `fill` around it. x (N, C, H, W), result (N, C, SH, SW)."""
    (height, width), (h, w), (top, left) = windows.sheet, windows.seen, windows.before
    sheet = xp.full((*x.shape[:2], height, width), fill, x.dtype)
    sheet[:, :, top : top + h, left : left + w] = x[:, :, :h, :w]
    return sheet


def unpadded(dsheet: Array, windows: Windows, xp: Any = np) -> Array:
    """The transpose of `padded`: the image's part of the sheet, and 0 where no window looks. Result (N, C, H, W)."""
    (h, w), (top, left) = windows.seen, windows.before
    dx = xp.zeros((*dsheet.shape[:2], *windows.size), dsheet.dtype)
    dx[:, :, :h, :w] = dsheet[:, :, top : top + h, left : left + w]
    return dx


def cells(windows: Windows) -> Iterator[tuple[int, int, tuple[Any, slice, slice]]]:
    """For each cell (i, j) of a window, column by column: the index of the pixels of a sheet that this cell sees, over all windows."""
    (oh, ow), (kh, kw), (sh, sw) = windows.out, windows.kernel, windows.stride
    for j in range(kw):
        for i in range(kh):
            yield i, j, (..., slice(i, i + sh * (oh - 1) + 1, sh), slice(j, j + sw * (ow - 1) + 1, sw))


def im2col(x: Array, windows: Windows, xp: Any = np) -> Array:
    """col[n, c, i, j, y, z] = sheet[n, c, sh y + i, sw z + j]: what cell (i, j) of the window (y, z) sees.

    x (N, C, H, W), result (N, C, KH, KW, OH, OW).
    """
    sheet = padded(x, windows, 0, xp)
    col = xp.empty((*x.shape[:2], *windows.kernel, *windows.out), x.dtype)
    for i, j, at in cells(windows):
        col[:, :, i, j] = sheet[at]
    return col


def col2im(dcol: Array, windows: Windows, xp: Any = np) -> Array:
    """The transpose of im2col: what was copied out of a pixel is added back into it. Result (N, C, H, W)."""
    dsheet = xp.zeros((*dcol.shape[:2], *windows.sheet), dcol.dtype)
    for i, j, at in cells(windows):
        dsheet[at] += dcol[:, :, i, j]
    return unpadded(dsheet, windows, xp)
