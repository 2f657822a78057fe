"""im2col copies each window of an image into a column, and col2im is its transpose. Convolution is a product with these columns.

A window of KH x KW cells lies over the image at each of OH x OW positions. im2col copies what each window sees into one column of a
matrix, so a pixel is copied once for every window that sees it. col2im is the transpose: it adds each element of a column to the
gradient of the pixel that was copied there, because a pixel that was used several times gets the sum of the gradients.

These are the plain functions. `tinyalex.fast.columns` has the faster ones, which order the columns differently in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyalex.devices import Array
from tinyalex.geometry import Windows


def padded(x: Array, windows: Windows, fill: float, xp: Any = np) -> Array:
    """The images with their padding, whose value is `fill`, as far as windows reach. x (N, C, H, W), result (N, C, SH, SW)."""
    (height, width), (h, w), (top, left) = windows.sheet, windows.seen, windows.before
    sheet = xp.full((*x.shape[:2], height, width), fill, x.dtype)
    sheet[:, :, top : top + h, left : left + w] = x[:, :, :h, :w]
    return sheet


def unpadded(dsheet: Array, windows: Windows, xp: Any = np) -> Array:
    """The transpose of `padded`: dsheet without the padding, and 0 for pixels that no window sees. Result (N, C, H, W)."""
    (h, w), (top, left) = windows.seen, windows.before
    dx = xp.zeros((*dsheet.shape[:2], *windows.size), dsheet.dtype)
    dx[:, :, :h, :w] = dsheet[:, :, top : top + h, left : left + w]
    return dx


def cells(windows: Windows) -> Iterator[tuple[int, int, tuple[Any, slice, slice]]]:
    """For each cell of a window, i varying fastest: i, j, and the index of the sheet's elements that cell (i, j) sees in all windows."""
    (oh, ow), (kh, kw), (sh, sw) = windows.out, windows.kernel, windows.stride
    for j in range(kw):
        for i in range(kh):
            yield i, j, (..., slice(i, i + sh * (oh - 1) + 1, sh), slice(j, j + sw * (ow - 1) + 1, sw))


def im2col(x: Array, windows: Windows, xp: Any = np) -> Array:
    """col[n, c, i, j, y, z] = sheet[n, c, sh y + i, sw z + j]: what cell (i, j) of window (y, z) sees.

    x (N, C, H, W), sheet = padded(x), (sh, sw) = the stride, result (N, C, KH, KW, OH, OW).
    """
    sheet = padded(x, windows, 0, xp)
    col = xp.empty((*x.shape[:2], *windows.kernel, *windows.out), x.dtype)
    for i, j, at in cells(windows):
        col[:, :, i, j] = sheet[at]
    return col


def col2im(dcol: Array, windows: Windows, xp: Any = np) -> Array:
    """The transpose of im2col: dx of a pixel is the sum of dcol over all its copies. dcol is (N, C, KH, KW, OH, OW), dx (N, C, H, W)."""
    dsheet = xp.zeros((*dcol.shape[:2], *windows.sheet), dcol.dtype)
    for i, j, at in cells(windows):
        dsheet[at] += dcol[:, :, i, j]
    return unpadded(dsheet, windows, xp)
