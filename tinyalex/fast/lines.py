"""The first convolution of a net, line by line: a block is some lines of the output of all images, which are CHWN in memory.

Only the shifts along the width are copied: shifted[line, c, j, z] = sheet[c, line, sw z + j] for all images. What the windows of
output line y see is then shifted[sh y : sh y + KH], which is already a matrix of columns with KH * C * KW rows. Each line of the
sheet has one more row, of ones; for the first line of a window its weight is the bias, for the other lines 0.

The product of a line, (K, KH * C * KW) @ (KH * C * KW, OW * N), writes directly to the output and reads dout directly. No array is
copied from CHWN to NCHW or back, because the max pooling that follows reads and writes CHWN too.
"""

from __future__ import annotations

from tinyalex.devices import Array, Device, Scratch
from tinyalex.devices.cpu import CACHE, SHARES
from tinyalex.fast.layout import chwn, empty_chwn, lay_sheet
from tinyalex.fast.machine import GAP, LEAST_INNERMOST, SMALL_PRODUCT
from tinyalex.fast.request import Convolution, Grads, Keeps, Then, add_gradients, apply, size_of
from tinyalex.geometry import Windows


def fits(asked: Convolution) -> bool:
    """Whether the request asks for no dx, which this row cannot compute."""
    return not asked.input_gradient


def pays(asked: Convolution, n: int) -> bool:
    """Whether the row fits, pooling follows, and the batch is so large that runs of its length are fast."""
    return fits(asked) and asked.innermost and n >= LEAST_INNERMOST


def lay_sheets(x: Array, windows: Windows, device: Device) -> Array:
    """All images x (N, C, H, W) with their padding, as far as windows reach: (C, SH, SW, N)."""
    sheet = device.empty((x.shape[1], *windows.sheet, len(x)), x.dtype)

    def block(images: slice, _: Scratch) -> None:
        lay_sheet(x[images], windows, sheet[..., images])

    device.map_blocks(block, len(x), size=device.few_blocks(len(x), sheet[..., :1].nbytes))
    return sheet


def shifted_lines(sheet: Array, windows: Windows, groups: int, lines: slice, scratch: Scratch) -> Array:
    """The shifts of the sheet's lines that some output lines see: (G, lines of the sheet, C/G * KW + 1, OW * N), the last of ones."""
    (c, _, _, n), ow, (kh, kw), (sh, sw) = sheet.shape, windows.out[1], windows.kernel, windows.stride
    seen = sheet[:, lines.start * sh : (lines.stop - 1) * sh + kh]
    shifted = scratch((groups, seen.shape[1], c // groups * kw + 1, ow * n + GAP), sheet.dtype)[..., : ow * n]
    shifted[:, :, -1].fill(1)
    by_shift = shifted[:, :, :-1].reshape(groups, -1, c // groups, kw, ow, n)  # a view
    of_group = seen.reshape(groups, c // groups, *seen.shape[1:]).swapaxes(1, 2)
    for j in range(kw):
        by_shift[:, :, :, j] = of_group[:, :, :, j : j + sw * (ow - 1) + 1 : sw]
    return shifted


def line_weights(weight: Array, bias: Array | None, groups: int, device: Device) -> Array:
    """The matrix (G, K/G, KH * (C/G * KW + 1)) that multiplies such lines: the weights, and the bias as a weight of the first line."""
    k, c, kh, kw = weight.shape
    with device.activate():
        both = device.zeros((groups, k // groups, kh, c * kw + 1), weight.dtype)
        both[..., :-1] = weight.transpose(0, 2, 1, 3).reshape(groups, k // groups, kh, c * kw)
        both[:, :, 0, -1] = 0 if bias is None else bias.reshape(groups, -1)
    return both.reshape(groups, k // groups, -1)


def pieces_of_line(width: int, product: int) -> int:
    """How many pieces a line is cut into, so that OpenBLAS does not copy its operands.

    width: OW. product: how many multiplications one position of the line needs.
    """
    return next(n for n in range(1, width + 1) if width % n == 0 and (n == width or width // n * product <= SMALL_PRODUCT))


def in_pieces(lines: Array, pieces: int) -> Array:
    """A view of lines (G, A, B, L) as matrices (pieces, G, A * B, L / pieces)."""
    g, a, b, length = lines.shape
    return lines.reshape(g, a * b, pieces, length // pieces).transpose(2, 0, 1, 3)


def line_bytes(asked: Convolution, n: int) -> int:
    """Bytes of working memory for one line of the output of n images."""
    windows = asked.windows
    return (asked.channels * windows.kernel[1] + asked.groups) * windows.out[1] * n * asked.weight.dtype.itemsize * windows.stride[0]


def forward(asked: Convolution, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """The output, which is CHWN in memory, and the images with their padding, (C, SH, SW, N)."""
    windows, groups, (sh, _), (kh, _) = asked.windows, asked.groups, asked.windows.stride, asked.windows.kernel
    weights = line_weights(asked.weight, asked.bias, groups, device)
    pieces = pieces_of_line(windows.out[1], weights[0].size * len(x))
    sheet, out = lay_sheets(x, windows, device), empty_chwn(device, asked.out_shape(len(x)), x.dtype)

    def block(lines: slice, scratch: Scratch) -> None:
        shifted = shifted_lines(sheet, windows, groups, lines, scratch)
        for i in range(lines.stop - lines.start):
            seen = in_pieces(shifted[:, i * sh : i * sh + kh], pieces)
            of_line = in_pieces(chwn(out)[:, lines.start + i].reshape(groups, -1, 1, shifted.shape[3]), pieces)
            scratch.xp.matmul(weights, seen, out=of_line)
        apply(then, chwn(out)[:, lines], scratch)

    device.map_blocks(block, windows.out[0], size=device.few_blocks(windows.out[0], line_bytes(asked, len(x))))
    return out, sheet


def backward(asked: Convolution, sheet: Array, dout: Array, device: Device, grads: Grads) -> None:
    """Add the gradients of weight and bias, which are rows of col @ dout^T. Returns no dx."""
    windows, groups, d, (sh, _), (kh, kw) = asked.windows, asked.groups, chwn(dout), asked.windows.stride, asked.windows.kernel
    c, k = asked.weight.shape[1], asked.filters // groups

    def block(lines: slice, scratch: Scratch) -> tuple[Array]:
        shifted = shifted_lines(sheet, windows, groups, lines, scratch)
        sums, of_line = (scratch((groups, kh * (c * kw + 1), k), dout.dtype) for _ in range(2))
        for i in range(lines.stop - lines.start):
            seen = shifted[:, i * sh : i * sh + kh].reshape(groups, -1, shifted.shape[3])
            dout_t = d[:, lines.start + i].reshape(groups, k, -1).swapaxes(1, 2)
            scratch.xp.matmul(seen, dout_t, out=of_line if i else sums)
            if i:
                sums += of_line
        return (sums,)

    (sums,) = device.map_blocks(block, windows.out[0], size=device.few_blocks(windows.out[0], line_bytes(asked, len(dout)), summed=True))
    sums = sums.reshape(groups, kh, c * kw + 1, k)
    dweight = sums[:, :, :-1].reshape(groups, kh, c, kw, k).transpose(0, 4, 2, 1, 3)
    add_gradients(grads, dweight, sums[:, 0, -1], device)


def keeps(asked: Convolution) -> Keeps:
    """The images with their padding."""
    height, width = asked.windows.sheet
    return Keeps(own=asked.channels * height * width * asked.weight.dtype.itemsize)


def scratch_bytes(asked: Convolution, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`."""
    (kh, _), (sh, _), oh, line = asked.windows.kernel, asked.windows.stride, asked.windows.out[0], line_bytes(asked, n)
    sums = 2 * (size_of(asked.weight) + asked.filters * kh) * asked.weight.dtype.itemsize
    lines = 1 if workers is None else max(1, min(CACHE // line, -(-2 * oh // SHARES)))
    return (workers or 1) * ((lines * sh + kh - sh) * (line // sh) + sums) + sums
