"""Windows that slide over an image: how many there are, and which pixels each of them sees.

Convolution, pooling and locally connected layers all see an image through windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from tinyalex.errors import ShapeError, pair, require_int, show

Pair = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """The windows of a layer on images of one size. Each pair is (height, width), in pixels or windows.

    Parameters
    ----------
    size: (H, W), the size of the image.
    kernel: (KH, KW), the size of a window. The elements that a window sees are its cells (i, j).
    stride: the distance between neighboring windows.
    before: the padding above the image and to its left.
    out: (OH, OW), how many windows there are along each axis.
    counted: (top, bottom, left, right), how many padded cells beyond each edge a mean counts as zeros; only average pooling reads this.

    The `sheet` is the image with its padding, as far as windows reach.
    """

    size: Pair
    kernel: Pair
    stride: Pair
    before: Pair
    out: Pair
    counted: tuple[int, int, int, int] = (0, 0, 0, 0)

    @cached_property
    def sheet(self) -> Pair:
        """(SH, SW), the size of the sheet."""
        (oh, ow), (sh, sw), (kh, kw) = self.out, self.stride, self.kernel
        return (oh - 1) * sh + kh, (ow - 1) * sw + kw

    @cached_property
    def seen(self) -> Pair:
        """Height and width of the part of the image that is on the sheet. With a stride above 1 windows may miss the last pixels."""
        (height, width), (top, left), (h, w) = self.sheet, self.before, self.size
        return max(0, min(h, height - top)), max(0, min(w, width - left))

    def column_bytes(self, channels: int, itemsize: int) -> int:
        """How many bytes the columns have that `im2col` computes from one image."""
        (oh, ow), (kh, kw) = self.out, self.kernel
        return channels * kh * kw * oh * ow * itemsize

    def turned(self) -> Windows:
        """The windows on `dout` of the convolution that computes dx, if the stride is 1."""
        (kh, kw), (top, left) = self.kernel, self.before
        return Windows(self.out, self.kernel, (1, 1), (kh - 1 - top, kw - 1 - left), self.size)


def check_padding(who: str, padding: Any) -> str | tuple[int, int, int, int]:
    """The padding of the four sides, (top, bottom, left, right), or the string "same" or "valid". Raises ShapeError."""
    if isinstance(padding, str) and padding in ("same", "valid"):
        return padding
    sides = (padding,) * 4 if not isinstance(padding, (tuple, list, str)) else padding
    if isinstance(sides, str) or len(sides) != 4:
        rule = "an integer, 'same', 'valid' or four sides (top, bottom, left, right)"
        raise ShapeError(f"{who}: padding must be {rule}, got {show(padding)}")
    top, bottom, left, right = (require_int(who, "padding", side, least=0) for side in sides)
    return top, bottom, left, right


def padding_of(size: Pair, kernel: Pair, stride: Pair, padding: str | tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The padding of the four sides in pixels, (top, bottom, left, right), for a padding that `check_padding` returned."""
    if padding == "valid":
        return 0, 0, 0, 0
    if not isinstance(padding, str):
        return padding
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride, strict=True)]
    (above, below), (left, right) = ((total // 2, total - total // 2) for total in totals)
    return above, below, left, right


def windows_of(
    who: str, size: Pair, kernel: Any, stride: Any = 1, padding: Any = 0, ceil_mode: bool = False, inside: bool = False
) -> Windows:
    """The windows of a layer on images of `size`.

    Parameters
    ----------
    who: the name of the layer, for messages. size: (H, W), the size of the image.
    kernel, stride: an integer, or (height, width), at least 1.
    padding: pixels on every side, at least 0; or (top, bottom, left, right); "valid" for none; "same" for as much as is needed for
        ceil(size / stride) windows. If "same" needs an odd number of pixels, the bottom and the right side get one more.
    ceil_mode: whether a last window that reaches beyond the edge counts: 1 + ceil((H + padding - KH) / stride), as in the authors'
        code of 2012. Otherwise the quotient is rounded down, as in most other libraries.
    inside: (for pooling) whether windows that would see only padding are dropped.

    Raises
    ------
    ShapeError: no window fits, or with `inside` the padding is as large as the kernel.
    """
    kernel, stride, padding = pair(who, "kernel_size", kernel), pair(who, "stride", stride), check_padding(who, padding)
    before, out = [], []
    for axis, (n, k, s) in enumerate(zip(size, kernel, stride, strict=True)):
        first, last = padding_of(size, kernel, stride, padding)[2 * axis : 2 * axis + 2]
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


kept_windows = lru_cache(maxsize=512)(windows_of)  # for layers, which ask at every call; all arguments must be hashable


def shifts(windows: Windows, axis: int) -> list[tuple[slice, slice]]:
    """For each i from 0 to kernel - 1 along `axis` (0 height, 1 width): the windows whose cell i lies on the image, and its pixels there.

    The two slices have the same length. A padded cell is in no slice, so it can neither win a maximum nor count in a mean.
    """
    n, k, s = windows.size[axis], windows.kernel[axis], windows.stride[axis]
    before, count = windows.before[axis], windows.out[axis]
    pairs = []
    for i in range(k):
        first = max(0, -(-(before - i) // s))  # the first window whose cell i is not before the image
        last = min(count - 1, (n - 1 + before - i) // s)  # the last window whose cell i is not behind the image
        start = first * s + i - before
        inside = (slice(first, last + 1), slice(start, start + (last - first) * s + 1, s))
        pairs.append(inside if first <= last else (slice(0, 0), slice(0, 0)))
    return pairs
