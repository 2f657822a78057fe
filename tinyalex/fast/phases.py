"""A convolution of stride s, computed as a convolution of stride 1 on more channels with a smaller kernel.

Along one axis, write cell i of a window as i = s p + q with 0 <= q < s. Window y sees pixel s y + i = s (y + p) + q. Phase q of an
image consists of every s-th pixel, beginning with pixel q. So window y sees pixel y + p of phase q. Height and width have s phases
each, and each pair of phases is a channel. A kernel of r cells becomes a kernel of ceil(r / s) cells for each phase; where i = s p + q
is not below r, its weight is 0. So conv1, 11x11 with stride 4 on 3 channels, becomes 3x3 with stride 1 on 48 channels, to which
Winograd's algorithm applies. In this file SH and SW are the stride, and PH and PW are height and width of one phase.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyalex.devices import Array, Scratch
from tinyalex.fast.layout import channels_last, matrix
from tinyalex.geometry import Windows


def phases(windows: Windows) -> Windows:
    """The windows on the phases of the image with its padding; if the stride is 1, `windows` themselves."""
    if windows.stride == (1, 1):
        return windows
    (oh, ow), (kh, kw) = windows.out, phase_kernel(windows.kernel, windows.stride)
    return Windows((oh + kh - 1, ow + kw - 1), (kh, kw), (1, 1), (0, 0), windows.out)


def phase_kernel(kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the kernels of the phases."""
    return -(-kernel[0] // stride[0]), -(-kernel[1] // stride[1])


def lay_phases(x: Array, windows: Windows, groups: int, out: Array, scratch: Scratch) -> None:
    """Copy the phases of the images x (B, C, H, W) to out (PH, PW, B, G, SH, C/G, SW).

    Each image is first copied with its padding to a buffer (PH * SH, C, PW * SW), and from there to its phases.
    """
    (ph, pw, _, _, sh, _, sw), c = out.shape, x.shape[1]
    buffer, of_image, of_buffer = _buffer(x, windows, ph * sh, pw * sw, scratch)
    lines, phased = _runs(buffer.reshape(ph, sh, groups, c // groups, pw, sw)), _runs(out)
    for i, image in enumerate(x):
        buffer[of_buffer] = image[of_image].swapaxes(0, 1)
        phased[:, :, i] = lines.transpose(0, 4, 2, 1, 3, 5)


def take_phases(phased: Array, windows: Windows, groups: int, out: Array, scratch: Scratch) -> None:
    """The transpose of `lay_phases`: copy phased (PH, PW, B, G, SH, C/G, SW) to out (B, C, H, W); 0 for pixels that no window sees."""
    (ph, pw, _, _, sh, _, sw), c = phased.shape, out.shape[1]
    buffer, of_image, of_buffer = _buffer(out, windows, ph * sh, pw * sw, scratch)
    lines, phased = _runs(buffer.reshape(ph, sh, groups, c // groups, pw, sw)), _runs(phased)
    if windows.seen != windows.size:
        out.fill(0)
    for i, image in enumerate(out):
        lines[...] = phased[:, :, i].transpose(0, 3, 2, 4, 1, 5)
        image[of_image] = buffer[of_buffer].swapaxes(0, 1)


def _runs(a: Array) -> Array:
    """A view (..., 1) of a (..., S) whose elements are the runs along the last axis, because NumPy copies such elements faster."""
    return a.view(np.dtype((np.void, a.shape[-1] * a.itemsize))) if isinstance(a, np.ndarray) else a


def _buffer(x: Array, windows: Windows, height: int, width: int, scratch: Scratch) -> tuple[Array, Any, Any]:
    """A buffer of zeros (height, C, width); the index of the pixels that windows see in an image (C, H, W), and in the buffer."""
    buffer = scratch((height, x.shape[1], width), x.dtype)
    buffer.fill(0)
    (h, w), (top, left) = windows.seen, windows.before
    return buffer, (slice(None), slice(h), slice(w)), (slice(top, top + h), slice(None), slice(left, left + w))


def kernel_phases(weight: Array, stride: tuple[int, int], empty: Any) -> Array:
    """The kernels of the phases, (K, SH * C/G * SW, ceil(KH / SH), ceil(KW / SW)), from weight (K, C/G, KH, KW)."""
    if stride == (1, 1):
        return weight
    (k, c, kh, kw), (sh, sw), (ph, pw) = weight.shape, stride, phase_kernel(weight.shape[2:], stride)
    whole = empty((k, c, ph * sh, pw * sw), weight.dtype)
    whole.fill(0)
    whole[:, :, :kh, :kw] = weight
    return whole.reshape(k, c, ph, sh, pw, sw).transpose(0, 3, 1, 5, 2, 4).reshape(k, sh * c * sw, ph, pw)


def whole_kernels(phased: Array, shape: tuple[int, ...], stride: tuple[int, int]) -> Array:
    """The transpose of `kernel_phases`: a gradient (PH, PW, K * SH * C/G * SW) as an array of `shape`, (K, C/G, KH, KW)."""
    (k, c, kh, kw), (sh, sw), (ph, pw) = shape, stride, phased.shape[:2]
    whole = phased.reshape(ph, pw, k, sh, c, sw).transpose(2, 4, 0, 3, 1, 5).reshape(k, c, ph * sh, pw * sw)
    return whole[:, :, :kh, :kw]


def inputs_of(x: Array, windows: Windows, groups: int, scratch: Scratch) -> Array:
    """The images x (B, C, H, W), or their phases if the stride is above 1, with the channels innermost: (H, W, B * C)."""
    if windows.stride == (1, 1):
        return sheet_of(x, scratch)
    (h, w), (sh, sw), (b, c) = phases(windows).size, windows.stride, x.shape[:2]
    sheet = matrix(h * w, b * c * sh * sw, x.dtype, scratch)
    lay_phases(x, windows, groups, sheet.reshape(h, w, b, groups, sh, c // groups, sw), scratch)
    return sheet.reshape(h, w, b * c * sh * sw)


def out_of_inputs(sheet: Array, windows: Windows, groups: int, out: Array, scratch: Scratch) -> None:
    """The transpose of `inputs_of`: copy sheet (H, W, B * C) to out (B, C, H, W)."""
    if windows.stride == (1, 1):
        return out_of_sheet(sheet, out)
    (b, c), (sh, sw) = out.shape[:2], windows.stride
    take_phases(sheet.reshape(*sheet.shape[:2], b, groups, sh, c // groups, sw), windows, groups, out, scratch)


def sheet_of(x: Array, scratch: Scratch) -> Array:
    """A copy of x (B, C, H, W) with the channels innermost: (H, W, B * C)."""
    b, c, h, w = x.shape
    sheet = matrix(h * w, b * c, x.dtype, scratch)
    channels_last(x, sheet.reshape(h, w, b, c), scratch)
    return sheet.reshape(h, w, b * c)


def out_of_sheet(sheet: Array, out: Array) -> None:
    """The transpose of `sheet_of`: copy sheet (H, W, B * C) to out (B, C, H, W)."""
    b, c, h, w = out.shape
    out.transpose(2, 3, 0, 1)[...] = sheet.reshape(h, w, b, c)
