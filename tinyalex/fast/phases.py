"""A convolution of stride s as one of stride 1, on more channels and with a smaller kernel.

Write place i of a window as i = s p + q with 0 <= q < s. Window y then sees pixel s y + i = s (y + p) + q: pixel y + p of the
image's phase q, which is every s-th pixel from q on. Height and width have s phases each; each is a channel of its own, and
a kernel of r places becomes one of ceil(r / s) for each phase, zeros standing in for the places that it does not have.
So conv1, 11x11 with stride 4 on 3 channels, is 3x3 with stride 1 on 48, for which Winograd's algorithm has a form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyalex.devices import Array, Scratch
from tinyalex.fast.layout import channels_last, matrix
from tinyalex.geometry import Windows


def phases(windows: Windows) -> Windows:
    """The windows on the phases of the image, whose padding is laid out with them; the same windows if the stride is 1."""
    if windows.stride == (1, 1):
        return windows
    (oh, ow), (kh, kw) = windows.out, phase_kernel(windows.kernel, windows.stride)
    return Windows((oh + kh - 1, ow + kw - 1), (kh, kw), (1, 1), (0, 0), windows.out)


def phase_kernel(kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a kernel's phases."""
    return -(-kernel[0] // stride[0]), -(-kernel[1] // stride[1])


def lay_phases(x: Array, windows: Windows, groups: int, out: Array, scratch: Scratch) -> None:
    """out (PH, PW, B, G, SH, C/G, SW) = the phases of the images x (B, C, H, W), channels innermost.

    Each image first becomes lines of PW * SW numbers with its padding, every line of all channels, which are then dealt out.
    """
    (ph, pw, _, _, sh, _, sw), c = out.shape, x.shape[1]
    room, of_image, of_room = _room(x, windows, ph * sh, pw * sw, scratch)
    lines, phased = _runs(room.reshape(ph, sh, groups, c // groups, pw, sw)), _runs(out)
    for i, image in enumerate(x):
        room[of_room] = image[of_image].swapaxes(0, 1)
        phased[:, :, i] = lines.transpose(0, 4, 2, 1, 3, 5)


def take_phases(phased: Array, windows: Windows, groups: int, out: Array, scratch: Scratch) -> None:
    """The transpose of `lay_phases`: out (B, C, H, W) from phased (PH, PW, B, G, SH, C/G, SW), zero where no window sees."""
    (ph, pw, _, _, sh, _, sw), c = phased.shape, out.shape[1]
    room, of_image, of_room = _room(out, windows, ph * sh, pw * sw, scratch)
    lines, phased = _runs(room.reshape(ph, sh, groups, c // groups, pw, sw)), _runs(phased)
    if windows.seen != windows.size:
        out.fill(0)
    for i, image in enumerate(out):
        lines[...] = phased[:, :, i].transpose(0, 3, 2, 4, 1, 5)
        image[of_image] = room[of_room].swapaxes(0, 1)


def _runs(a: Array) -> Array:
    """The last axis as one element, which NumPy then copies at once: (..., S) as (..., 1)."""
    return a.view(np.dtype((np.void, a.shape[-1] * a.itemsize))) if isinstance(a, np.ndarray) else a


def _room(x: Array, windows: Windows, height: int, width: int, scratch: Scratch) -> tuple[Array, Any, Any]:
    """Zeros for the lines of an image, (height, C, width), the part of the image that windows see, and where it stands in them."""
    room = scratch((height, x.shape[1], width), x.dtype)
    room.fill(0)
    (h, w), (top, left) = windows.seen, windows.before
    return room, (slice(None), slice(h), slice(w)), (slice(top, top + h), slice(None), slice(left, left + w))


def kernel_phases(weight: Array, stride: tuple[int, int], empty: Any) -> Array:
    """weight (K, C/G, KH, KW) as kernels of the phases: (K, SH * C/G * SW, ceil(KH / SH), ceil(KW / SW))."""
    if stride == (1, 1):
        return weight
    (k, c, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, phase_kernel(weight.shape[2:], stride)
    whole = empty((k, c, ph * sh, pw * sw), weight.dtype)
    whole.fill(0)
    whole[:, :, :kh, :kw] = weight
    return whole.reshape(k, c, ph, sh, pw, sw).transpose(0, 3, 1, 5, 2, 4).reshape(k, sh * c * sw, ph, pw)


def whole_kernels(phased: Array, shape: tuple[int, ...], stride: tuple[int, int]) -> Array:
    """The transpose of `kernel_phases` for a gradient (PH, PW, K * SH * C/G * SW): (K, C/G, KH, KW), the given shape."""
    (k, c, kh, kw), (sh, sw), (ph, pw) = shape, stride, phased.shape[:2]
    whole = phased.reshape(ph, pw, k, sh, c, sw).transpose(2, 4, 0, 3, 1, 5).reshape(k, c, ph * sh, pw * sw)
    return whole[:, :, :kh, :kw]


def inputs_of(x: Array, windows: Windows, groups: int, scratch: Scratch) -> Array:
    """The images x (B, C, H, W), or their phases if the stride is above 1, with channels innermost: (H, W, B * C)."""
    if windows.stride == (1, 1):
        return sheet_of(x, scratch)
    (h, w), (sh, sw), (b, c) = phases(windows).size, windows.stride, x.shape[:2]
    sheet = matrix(h * w, b * c * sh * sw, x.dtype, scratch)
    lay_phases(x, windows, groups, sheet.reshape(h, w, b, groups, sh, c // groups, sw), scratch)
    return sheet.reshape(h, w, b * c * sh * sw)


def out_of_inputs(sheet: Array, windows: Windows, groups: int, out: Array, scratch: Scratch) -> None:
    """The transpose of `inputs_of`: out (B, C, H, W)."""
    if windows.stride == (1, 1):
        return out_of_sheet(sheet, out)
    (b, c), (sh, sw) = out.shape[:2], windows.stride
    take_phases(sheet.reshape(*sheet.shape[:2], b, groups, sh, c // groups, sw), windows, groups, out, scratch)


def sheet_of(x: Array, scratch: Scratch) -> Array:
    """x (B, C, H, W) with channels innermost: (H, W, B * C)."""
    b, c, h, w = x.shape
    sheet = matrix(h * w, b * c, x.dtype, scratch)
    channels_last(x, sheet.reshape(h, w, b, c), scratch)
    return sheet.reshape(h, w, b * c)


def out_of_sheet(sheet: Array, out: Array) -> None:
    """The transpose of `sheet_of`: out (B, C, H, W)."""
    b, c, h, w = out.shape
    out.transpose(2, 3, 0, 1)[...] = sheet.reshape(h, w, b, c)
