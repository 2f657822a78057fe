"""Windows that slide over an image: where they lie, and the matrix whose columns they are.

Convolution, pooling and locally connected layers all look at an image through windows. This file knows how many
windows there are, where they begin, and how to copy them out (`im2col`) and add them back (`col2im`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinyalex.devices import NEW_ARRAYS, Array, Scratch
from tinyalex.errors import ShapeError, require_int, show
from tinyalex.layers.base import pair

Pair = tuple[int, int]
LARGE = 1 << 15  # numbers of an image that is worth a copy of its own
GAP = 16  # numbers between the rows of a `matrix`
SMALL_PRODUCT = 10**6  # so few multiplications OpenBLAS does without copying its operands first


@dataclass(frozen=True)
class Windows:
    """Where the windows of a layer lie on images of one size. Each pair is (height, width).

    Parameters
    ----------
    size: H, W of the image.
    kernel: KH, KW of a window.
    stride: steps between windows.
    before: rows of padding above the image, columns to its left.
    out: OH, OW, how many windows there are each way.

    The windows cover the `sheet`: the image with its padding, as far as windows reach.
    """

    size: Pair
    kernel: Pair
    stride: Pair
    before: Pair
    out: Pair

    @property
    def sheet(self) -> Pair:
        """Height and width of what the windows cover."""
        (oh, ow), (sh, sw), (kh, kw) = self.out, self.stride, self.kernel
        return (oh - 1) * sh + kh, (ow - 1) * sw + kw

    @property
    def seen(self) -> Pair:
        """Rows and columns of the image that lie on the sheet; a stride that does not divide may leave some out."""
        (height, width), (top, left), (h, w) = self.sheet, self.before, self.size
        return max(0, min(h, height - top)), max(0, min(w, width - left))

    def column_bytes(self, channels: int, itemsize: int) -> int:
        """Bytes of the columns that `im2col` makes of one image."""
        (oh, ow), (kh, kw) = self.out, self.kernel
        return channels * kh * kw * oh * ow * itemsize

    def turned(self) -> Windows:
        """The windows through which the input gradient of a stride-1 convolution looks at `dout`."""
        (kh, kw), (top, left) = self.kernel, self.before
        return Windows(self.out, self.kernel, (1, 1), (kh - 1 - top, kw - 1 - left), self.size)


def check_padding(who: str, padding: Any) -> str | tuple[int, int, int, int]:
    """Padding as the four sides (top, bottom, left, right), or "same" or "valid" as they are."""
    if isinstance(padding, str) and padding in ("same", "valid"):
        return padding
    sides = (padding,) * 4 if not isinstance(padding, (tuple, list, str)) else padding
    if isinstance(sides, str) or len(sides) != 4:
        rule = "an integer, 'same', 'valid' or four sides (top, bottom, left, right)"
        raise ShapeError(f"{who}: padding must be {rule}, got {show(padding)}")
    top, bottom, left, right = (require_int(who, "padding", side, least=0) for side in sides)
    return top, bottom, left, right


def windows_of(
    who: str, size: Pair, kernel: Any, stride: Any = 1, padding: Any = 0, ceil_mode: bool = False, inside: bool = False
) -> Windows:
    """The windows of a layer on images of `size`.

    Parameters
    ----------
    size: H, W of the image.
    kernel, stride: an integer, or (height, width).
    padding: rows and columns of padding on every side; or (top, bottom, left, right); "valid" for none; "same" for
        as much as gives ceil(size / stride) windows, the odd one at the bottom and on the right.
    ceil_mode: count a last window that hangs over the edge: 1 + ceil((H + padding - KH) / stride), as in the 2012
        code, where most others take the floor.
    inside: (pooling) drop windows that would see nothing but padding.

    Raises
    ------
    ShapeError: no window fits, or (inside) the padding is as large as the window.
    """
    kernel, stride, padding = pair(who, "kernel_size", kernel), pair(who, "stride", stride), check_padding(who, padding)
    before, out = [], []
    for axis, (n, k, s) in enumerate(zip(size, kernel, stride, strict=True)):
        if padding == "same":
            total = max((-(-n // s) - 1) * s + k - n, 0)
            first, last = total // 2, total - total // 2
        else:
            first, last = (0, 0) if padding == "valid" else (int(padding[2 * axis]), int(padding[2 * axis + 1]))
        extra = first + last + n - k
        side = ("height", "width")[axis]
        if extra < 0:
            raise ShapeError(f"{who}: input {side} with padding must be at least {k}, the kernel's, got {first + last + n}")
        count = 1 + (-(-extra // s) if ceil_mode and padding != "same" else extra // s)
        if inside:
            if max(first, last) >= k:
                raise ShapeError(f"{who}: padding must be below {k}, the kernel's {side}, got {max(first, last)}")
            while (count - 1) * s >= first + n:
                count -= 1
        before.append(first)
        out.append(count)
    return Windows(size, kernel, stride, (before[0], before[1]), (out[0], out[1]))


def shifts(windows: Windows, axis: int) -> list[tuple[slice, slice]]:
    """For each place in a window along `axis` (0 height, 1 width): (windows whose place is inside the image, those places).

    A place in the padding belongs to no pair, so a padded cell can neither win a maximum nor count in an average.
    """
    n, k, s = windows.size[axis], windows.kernel[axis], windows.stride[axis]
    before, count = windows.before[axis], windows.out[axis]
    pairs = []
    for i in range(k):
        first = max(0, -(-(before - i) // s))  # the first window whose place i is not above the image
        last = min(count - 1, (n - 1 + before - i) // s)  # the last whose place i is not below it
        start = first * s + i - before
        inside = (slice(first, last + 1), slice(start, start + (last - first) * s + 1, s))
        pairs.append(inside if first <= last else (slice(0, 0), slice(0, 0)))
    return pairs


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
