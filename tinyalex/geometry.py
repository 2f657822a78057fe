"""Windows that slide over an image: how many there are and where they lie. Nothing is computed here but sizes.

Convolution, pooling and locally connected layers all look at an image through windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinyalex.errors import ShapeError, pair, require_int, show

Pair = tuple[int, int]


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
