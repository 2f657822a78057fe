"""The forward pass of E06: overlapping max pooling (paper 3.4), the calls it is tried with, and its mistakes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Mistake, Probe
from tinyalex.tutor.windows import before_the_edge, image_flat_by_the_height, out_flat_by_the_height, without_a_rest

Pooling = Callable[[Array, int, int], Array]
Size = Callable[[int, int, int], int]  # the size of a side, kernel, stride -> the number of windows


def max_pool(x: Array, kernel: int, stride: int) -> Array:
    """The largest pixel of each window (paper 3.4, "overlapping" pooling).

    out[n, c, y, z] = max over i, j of x[n, c, stride y + i, stride z + j],   i, j = 0 ... kernel - 1

    Parameters
    ----------
    x: (N, C, H, W), floats of both signs.
    kernel, stride: integers of at least 1; windows overlap where the stride is smaller than the kernel.

    Returns
    -------
    out: (N, C, OH, OW), a new array, OH = (H - kernel) // stride + 1: only windows that lie wholly on the image. x is left as it is.
    """
    return windows_of(x, kernel, stride).max((-2, -1))


def windows_of(x: Array, kernel: int, stride: int) -> Array:
    """(N, C, OH, OW, kernel, kernel)."""
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]


def fit(size: int, kernel: int, stride: int) -> int:
    """How many windows lie wholly on a side."""
    return (size - kernel) // stride + 1


def tiles(size: int, kernel: int, stride: int) -> int:
    """How many kernels fit on a side, whatever the stride is."""
    return size // kernel


def without_the_last(size: int, kernel: int, stride: int) -> int:
    return (size - kernel) // stride


def _of_size(size: Size, sides: tuple[int, int] = (2, 3)) -> Pooling:
    """Another number of windows, of the sides of x that stand for the height and the width.

    Windows are cut at the edge; ValueError where nothing is left of one.
    """

    def pooled(x: Array, kernel: int, stride: int) -> Array:
        oh, ow = (size(x.shape[side], kernel, stride) for side in sides)
        out = np.zeros((*x.shape[:2], oh, ow))
        for y, z in np.ndindex(oh, ow):
            out[:, :, y, z] = x[:, :, y * stride : y * stride + kernel, z * stride : z * stride + kernel].max((2, 3))
        return out

    return pooled


def _windows_of(kernel_and_stride: Callable[[int, int], tuple[int, int]]) -> Pooling:
    """Other windows, as many of them as the right ones where there are so many; the others stay zero."""

    def pooled(x: Array, kernel: int, stride: int) -> Array:
        out, found = np.zeros_like(max_pool(x, kernel, stride)), max_pool(x, *kernel_and_stride(kernel, stride))
        part = tuple(slice(min(a, b)) for a, b in zip(found.shape, out.shape, strict=True))
        out[part] = found[part]
        return out

    return pooled


def _over(axes: tuple[int, ...]) -> Pooling:
    """The maximum over more axes than the window's own."""
    return lambda x, kernel, stride: max_pool(x, kernel, stride).max(axes, keepdims=True) + 0 * max_pool(x, kernel, stride)


STARTS = (-1.0, -10.0, -100.0, -999.0, -1e3, -9999.0, -1e4, -99999.0, -1e5, -1e6, -1e7, -1e8, -1e9, -1e10, -1e12, -1e15)  # of a maximum


def _starting_from(start: float) -> Pooling:
    """A maximum that begins at a number which a pixel may be below."""
    return lambda x, kernel, stride: np.maximum(max_pool(x, kernel, stride), start)


def tiles_where_they_fit(x: Array, kernel: int, stride: int) -> Array:
    """A fast way for windows that lie side by side, taken wherever the kernel divides the image."""
    fits = x.shape[2] % kernel == 0 == x.shape[3] % kernel
    return max_pool(x, kernel, kernel if fits else stride)


def steps_apart(x: Array, kernel: int, lines: int, columns: int, stride: int) -> Array:
    """As many windows as are right, so many lines and columns apart."""
    oh, ow = max_pool(x, kernel, stride).shape[2:]
    every = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))
    return every[:, :, : lines * oh : lines, : columns * ow : columns].max((-2, -1))


def tiles_everywhere(x: Array, kernel: int, stride: int) -> Array:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // kernel, kernel, w // kernel, kernel).max((3, 5))  # raises ValueError where the kernel does not divide


def columns_of_the_lines_reshaped(x: Array, kernel: int, stride: int) -> Array:
    """The right maxima, reshaped as (N, C, OH, OH). Raises ValueError: OH is not OW."""
    out = max_pool(x, kernel, stride)
    return out.reshape(*out.shape[:3], out.shape[2])


def stops_before_the_edge(out: Array, x: Array, kernel: int, stride: int) -> Array:
    return before_the_edge(out, x, np.zeros((1, 1, kernel, kernel)), stride, 0)


CALLS: dict[str, tuple[str, tuple[tuple[tuple[int, ...], int, int], ...]]] = {  # x, kernel and stride, one for each size set
    "overlap": ("kernel {kernel} and stride {stride}",
        (((2, 3, 7, 9), 3, 2), ((3, 2, 11, 8), 4, 3), ((2, 4, 9, 13), 5, 2), ((4, 3, 8, 10), 4, 2))),
    "below zero": ("negative pixels alone, all far below 0",
        (((2, 3, 5, 7), 3, 2), ((4, 2, 7, 10), 4, 3), ((3, 4, 9, 5), 3, 2), ((2, 3, 6, 8), 4, 2))),
    "rest": ("a last line that no window reaches",
        (((3, 2, 8, 10), 3, 2), ((2, 3, 9, 12), 4, 3), ((4, 3, 8, 12), 5, 2), ((3, 2, 9, 7), 4, 2))),
    "apart": ("stride {stride} above the kernel {kernel}",
        (((2, 3, 8, 11), 2, 3), ((3, 2, 10, 7), 2, 4), ((2, 4, 13, 9), 3, 5), ((3, 2, 12, 8), 3, 4))),
    "tiles": ("an image that the kernel {kernel} divides, and stride {stride}",
        (((2, 4, 9, 6), 3, 2), ((3, 2, 8, 12), 4, 3), ((4, 3, 10, 15), 5, 3), ((3, 2, 6, 9), 3, 2))),
    "side by side": ("stride {stride} and kernel {kernel} alike",
        (((2, 3, 7, 10), 2, 2), ((3, 2, 11, 6), 3, 3), ((2, 5, 9, 14), 4, 4), ((2, 3, 8, 5), 2, 2))),
    "one image": ("one image",
        (((1, 3, 7, 5), 3, 1), ((1, 2, 6, 8), 4, 1), ((1, 4, 5, 8), 2, 1), ((1, 3, 6, 9), 4, 1))),
}  # fmt: skip


FAR = 1e18  # how far below 0 pixels lie in one call: a maximum that begins at a number, however low, shows there


def forward_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `max_pool`. No two pixels are equal."""
    made = []
    for key, (says, sets) in CALLS.items():
        shape, kernel, stride = sets[sizes]
        x = distinct(rng, *shape)
        made.append(Probe(key, says, {"x": FAR * (x - 3) if key == "below zero" else x, "kernel": kernel, "stride": stride}))
    return made


def distinct(rng: np.random.Generator, *shape: int) -> Array:
    """Numbers of both signs, no two equal and none near 0, in random order."""
    size = int(np.prod(shape))
    values = (np.arange(size) - size // 2 + 0.5) * 2 / size
    return rng.permutation(values).reshape(shape) * rng.uniform(0.9, 1.1)


COUNTED, PUBLIC = "counted in public solutions", "seen in public solutions"
MISTAKES = (
    Mistake("padded with zeros", lambda x, kernel, stride: np.maximum(max_pool(x, kernel, stride), 0), "inferred"),
    Mistake("mean", lambda x, kernel, stride: windows_of(x, kernel, stride).mean((-2, -1)), "inferred"),
    Mistake("minimum", lambda x, kernel, stride: -max_pool(-x, kernel, stride), "inferred"),
    Mistake("steps of the kernel", _windows_of(lambda kernel, stride: (kernel, kernel)), COUNTED, (1, 89)),
    Mistake("steps of one", _windows_of(lambda kernel, stride: (kernel, 1)), "inferred"),
    Mistake("stride for lines alone", lambda x, kernel, stride: steps_apart(x, kernel, stride, 1, stride), "inferred"),
    Mistake("stride for columns alone", lambda x, kernel, stride: steps_apart(x, kernel, 1, stride, stride), "inferred"),
    Mistake("size from the kernel", _of_size(tiles), COUNTED, (1, 89)),
    Mistake("rounded up", _of_size(lambda size, kernel, stride: -(-(size - kernel) // stride) + 1), PUBLIC),
    Mistake("rounded up/whatever the kernel", _of_size(lambda size, kernel, stride: (size + 1) // stride), PUBLIC),
    Mistake("one added to the stride", _of_size(lambda size, kernel, stride: (size - kernel) // (stride + 1)), "inferred"),
    *(Mistake(f"start value/{start:g}", _starting_from(start), "inferred") for start in STARTS),
    Mistake("no last window", _of_size(without_the_last), "inferred"),
    Mistake("as many columns as lines", _of_size(fit, (2, 2)), PUBLIC),
    Mistake("as many columns as lines/reshaped", columns_of_the_lines_reshaped, PUBLIC),
    Mistake("as many lines as columns", _of_size(fit, (3, 3)), PUBLIC),
    Mistake("height and width exchanged", _of_size(fit, (3, 2)), PUBLIC),
    Mistake("flat by the height", lambda x, kernel, stride: out_flat_by_the_height(max_pool(x, kernel, stride)), PUBLIC),
    Mistake("flat by the height/image", lambda x, kernel, stride:
            image_flat_by_the_height(x, lambda moved: max_pool(moved, kernel, stride)), PUBLIC),
    Mistake("refuses a rest", lambda x, kernel, stride:
            without_a_rest(max_pool(x, kernel, stride), x, np.zeros((1, 1, kernel, kernel)), stride, 0), PUBLIC),
    Mistake("window of the stride", _windows_of(lambda kernel, stride: (stride, stride)), COUNTED, (1, 89)),
    Mistake("first image", lambda x, kernel, stride: np.repeat(max_pool(x[:1], kernel, stride), len(x), 0),
            "a convolutional net from scratch, issue 1"),
    Mistake("over channels", _over((1,)), "inferred"),
    Mistake("over channels/and images", _over((0, 1)), "inferred"),
    Mistake("tiles where they fit", tiles_where_they_fit, "inferred"),
    Mistake("tiles where they fit/or an error", tiles_everywhere, PUBLIC),
    Mistake("before the edge", lambda x, kernel, stride: stops_before_the_edge(max_pool(x, kernel, stride), x, kernel, stride), "inferred"),
)  # fmt: skip
