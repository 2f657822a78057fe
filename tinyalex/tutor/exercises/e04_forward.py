"""The forward pass of E04: convolution (paper 3.5; groups: 3.2), and the calls it is tried with."""

from __future__ import annotations

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Probe


def conv_forward(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Array:
    """Every filter, laid on every window of every image (paper 3.5; groups: 3.2).

    out[n, k, y, z] = bias[k] + sum over c, i, j of weight[k, c, i, j] sheet[n, first + c, stride y + i, stride z + j]

    `first` is the number of the first channel that filter k sees: 0 where there is one group.
    The sheet is x with `padding` lines of zeros above and below and as many columns of zeros on the left and on the right. The kernel
    is not turned round. With one group, c runs over all channels. With G groups, the K filters and the C channels are cut into G equal
    parts, in order: a filter of part g sees only the channels of part g, so that first = g C / G for g = 0 ... G - 1.

    Parameters
    ----------
    x: (N, C, H, W), the images.
    weight: (K, C / G, KH, KW), the filters; KH and KW may differ.
    bias: (K,), one number for each filter.
    stride: how far the next window is, in lines and in columns, an integer of at least 1.
    padding: lines and columns of zeros on each side, an integer of at least 0.
    groups: G, an integer of at least 1 that divides C and K.

    Returns
    -------
    out: (N, K, OH, OW), a new array, OH = (H + 2 padding - KH) // stride + 1 and OW likewise from W and KW: only windows that lie
        wholly on the sheet. x, weight and bias are left as they are.
    """
    return correlate(padded(x, padding), weight, bias, (stride, stride), sizes(x, weight, stride, padding), groups)


def padded(x: Array, padding: int) -> Array:
    """The sheet: x with so many lines and columns of zeros on each side."""
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def sizes(x: Array, weight: Array, stride: int, padding: int) -> tuple[int, int]:
    """How many windows there are along the height and along the width."""
    (h, w), (kh, kw) = x.shape[2:], weight.shape[2:]
    return (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1


def correlate(sheet: Array, weight: Array, bias: Array, steps: tuple[int, int], size: tuple[int, int], groups: int = 1) -> Array:
    """The filters on `size` windows of the sheet, `steps` apart. Raises ValueError where a window runs past the edge."""
    n, k, c, (kh, kw) = len(sheet), len(weight), weight.shape[1], weight.shape[2:]
    out = np.zeros((n, k, *size))
    for y, z in np.ndindex(size):
        window = sheet[:, None, :, y * steps[0] : y * steps[0] + kh, z * steps[1] : z * steps[1] + kw]
        for g in range(groups):
            part = slice(g * k // groups, (g + 1) * k // groups)
            seen = window if groups == 1 else window[:, :, g * c : (g + 1) * c]
            out[:, part, y, z] = (seen * weight[part]).sum((2, 3, 4)) + bias[part]
    return out


Sizes = tuple[tuple[int, ...], tuple[int, ...], int, int]
CALLS: dict[str, tuple[str, tuple[Sizes, ...]]] = {  # x, weight, stride and padding, one for each size set; E05 has them too
    "usual": ("a square kernel, stride 1 and padding 1", (
        ((2, 4, 5, 6), (7, 4, 3, 3), 1, 1), ((3, 2, 6, 5), (4, 2, 3, 3), 1, 1),
        ((2, 4, 6, 5), (5, 4, 3, 3), 1, 1), ((4, 2, 5, 6), (6, 2, 3, 3), 1, 1))),
    "conv1": ("stride {stride} and padding 0", (
        ((2, 5, 11, 9), (6, 5, 3, 3), 2, 0), ((3, 4, 13, 9), (6, 4, 5, 5), 4, 0),
        ((2, 3, 10, 7), (5, 3, 4, 4), 3, 0), ((4, 3, 13, 9), (6, 3, 5, 5), 2, 0))),
    "oblong": ("a kernel of {weight[2]} lines and {weight[3]} columns and stride {stride}", (
        ((2, 4, 7, 10), (6, 4, 2, 3), 2, 1), ((3, 5, 8, 12), (4, 5, 3, 6), 2, 1),
        ((2, 3, 9, 14), (5, 3, 2, 4), 3, 1), ((4, 2, 6, 9), (5, 2, 3, 4), 2, 1))),
    "tall": ("a kernel of {weight[2]} lines and {weight[3]} columns, stride {stride} and padding {padding}", (
        ((2, 5, 12, 6), (7, 5, 4, 3), 3, 2), ((3, 2, 11, 5), (6, 2, 5, 3), 3, 2),
        ((2, 3, 13, 7), (6, 3, 5, 2), 4, 2), ((4, 3, 10, 5), (7, 3, 5, 2), 2, 2))),
    "rest": ("a last line and column that no window reaches", (
        ((2, 6, 8, 11), (4, 6, 3, 2), 2, 0), ((3, 2, 9, 13), (5, 2, 4, 3), 3, 0),
        ((4, 3, 10, 11), (5, 3, 4, 2), 4, 0), ((2, 5, 9, 13), (6, 5, 4, 2), 2, 0))),
    "one image": ("one image, padding 0 and stride 1", (
        ((1, 2, 6, 5), (4, 2, 2, 3), 1, 0), ((1, 3, 5, 8), (6, 3, 4, 2), 1, 0),
        ((1, 4, 7, 6), (5, 4, 3, 2), 1, 0), ((1, 2, 7, 5), (6, 2, 3, 4), 1, 0))),
}  # fmt: skip
GROUPS = (  # the same, and groups
    ((3, 8, 7, 9), (6, 4, 3, 2), 2, 1, 2), ((2, 9, 6, 11), (6, 3, 2, 4), 3, 1, 3),
    ((4, 6, 9, 5), (8, 3, 4, 2), 2, 1, 2), ((2, 12, 5, 8), (9, 4, 2, 3), 2, 1, 3),
)  # fmt: skip


def probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `conv_forward`, in whole numbers, so that one output can be computed by hand."""
    usual = [_probe(rng, key, says, *sets[sizes], 1) for key, (says, sets) in CALLS.items()]
    return [*usual[:-1], _probe(rng, "groups", "{groups} groups", *GROUPS[sizes]), usual[-1]]


def _probe(
    rng: np.random.Generator, key: str, says: str, x: tuple[int, ...], weight: tuple[int, ...], stride: int, padding: int, groups: int
) -> Probe:
    bias = 10 * (1 + rng.permutation(weight[0]))
    given = {"x": whole(rng, x), "weight": whole(rng, weight), "bias": bias.astype(float)}
    return Probe(key, says, given | {"stride": stride, "padding": padding, "groups": groups})


def whole(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Whole numbers from -9 to 9 but 0, as floats."""
    return rng.integers(1, 10, shape) * rng.choice([-1.0, 1.0], shape)
