"""E06: overlapping max pooling, forward and backward (paper 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Forward, Function, Mistake, Probe
from tinyalex.tutor.guard import call
from tinyalex.tutor.windows import before_the_edge, image_flat_by_the_height, out_flat_by_the_height, without_a_rest


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
    return _windows(x, kernel, stride).max((-2, -1))


def max_pool_backward(dout: Array, x: Array, kernel: int, stride: int) -> Array:
    """The gradient of the loss with respect to x, from that with respect to the output of `max_pool`.

    Which pixel won each window is not given: look again. Where several pixels of a window are equal, as whole windows of zeros are
    after ReLU, one of them gets the gradient of the window, or all share it; the sum of dx is the sum of dout.

    Parameters
    ----------
    dout: (N, C, OH, OW), the gradient of the loss with respect to the output.
    x: (N, C, H, W), the input of the forward pass.
    kernel, stride: as in `max_pool`.

    Returns
    -------
    dx: (N, C, H, W), a new array. dout and x are left as they are.
    """
    dx = np.zeros_like(x)
    for n, c, y, z, window, at in _places(x, kernel, stride):
        dx[n, c][at][np.unravel_index(window.argmax(), window.shape)] += dout[n, c, y, z]
    return dx


def _places(
    x: Array, kernel: int, stride: int, columns_first: bool = False
) -> Iterator[tuple[int, int, int, int, Array, tuple[slice, slice]]]:
    """Every window: its image, channel, line and column, its cells, and where they lie on the image."""
    n, c, h, w = x.shape
    oh, ow = (h - kernel) // stride + 1, (w - kernel) // stride + 1
    for i in np.ndindex(n, c, *((ow, oh) if columns_first else (oh, ow))):
        i = (*i[:2], *i[:1:-1]) if columns_first else i
        at = slice(i[2] * stride, i[2] * stride + kernel), slice(i[3] * stride, i[3] * stride + kernel)
        yield *i, x[i[0], i[1]][at], at


def _windows(x: Array, kernel: int, stride: int) -> Array:
    """(N, C, OH, OW, kernel, kernel)."""
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]


Pooling = Callable[[Array, int, int], Array]
Backward = Callable[[Array, Array, int, int], Array]
Size = Callable[[int, int, int], int]  # the size of a side, kernel, stride -> the number of windows
Step = Callable[[Array, tuple[slice, slice], Array, Any], None]


def _loop(step: Step, columns_first: bool = False) -> Backward:
    """A loop over the windows: step(dx of the image and channel, where the window lies, its pixels, its gradient)."""

    def backward(dout: Array, x: Array, kernel: int, stride: int) -> Array:
        dx = np.zeros_like(x)
        for n, c, y, z, window, at in _places(x, kernel, stride, columns_first):
            step(dx[n, c], at, window, dout[n, c, y, z])
        return dx

    return backward


def _won(window: Array) -> tuple[Any, ...]:
    return np.unravel_index(window.argmax(), window.shape)


def _winner(dx: Array, at: tuple[slice, slice], window: Array, gradient: Any) -> None:
    dx[at][_won(window)] = gradient


def _window(dx: Array, at: tuple[slice, slice], window: Array, gradient: Any) -> None:
    dx[at] = gradient * (window == window.max())


def _adds(part: Callable[[Array, Any], Any]) -> Backward:
    """Every pixel of a window gets something added: part(the window, its gradient)."""

    def step(dx: Array, at: tuple[slice, slice], window: Array, gradient: Any) -> None:
        dx[at] += part(window, gradient)

    return _loop(step)


def _of_the_corner(dx: Array, at: tuple[slice, slice], window: Array, gradient: Any) -> None:
    dx[_won(window)] += gradient


def overwrites_the_winner(dout: Array, x: Array, kernel: int, stride: int) -> Array:
    return _loop(_winner)(dout, x, kernel, stride)


def window_as_large_as_the_stride(dout: Array, x: Array, kernel: int, stride: int) -> Array:
    dx = np.zeros_like(x)
    for n, c, y, z, window, at in _places(x, kernel, stride):
        dx[n, c][at][_won(window[:stride, :stride])] += dout[n, c, y, z]
    return dx


def _loops_over(size: Size, sides: tuple[int, int] = (2, 3)) -> Backward:
    """Loops over another number of windows, of the sides of x that stand for the height and the width.

    IndexError where they run past dout.
    """

    def backward(dout: Array, x: Array, kernel: int, stride: int) -> Array:
        (oh, ow), part = (size(x.shape[side], kernel, stride) for side in sides), np.zeros_like(dout)
        dout[:, :, oh - 1, ow - 1]  # raises
        part[:, :, :oh, :ow] = dout[:, :, :oh, :ow]
        return max_pool_backward(part, x, kernel, stride)

    return backward


def _fit(size: int, kernel: int, stride: int) -> int:
    """How many windows lie wholly on a side."""
    return (size - kernel) // stride + 1


def _tiles(size: int, kernel: int, stride: int) -> int:
    """How many kernels fit on a side, whatever the stride is."""
    return size // kernel


def _without_the_last(size: int, kernel: int, stride: int) -> int:
    return (size - kernel) // stride


def _by_steps(step: Callable[[int, int], int]) -> Backward:
    """Windows of the backward pass other steps apart; ValueError where nothing is left of one."""

    def backward(dout: Array, x: Array, kernel: int, stride: int) -> Array:
        dx, by = np.zeros_like(x), step(kernel, stride)
        for n, c, y, z in np.ndindex(dout.shape):
            part = np.s_[n, c, y * by : y * by + kernel, z * by : z * by + kernel]
            dx[part][_won(x[part])] += dout[n, c, y, z]
        return dx

    return backward


def _one_winner(axes: tuple[int, ...]) -> Backward:
    """The largest pixel of each window sought over more axes than the window's own."""

    def backward(dout: Array, x: Array, kernel: int, stride: int) -> Array:
        dx = np.zeros_like(x)
        for y, z in np.ndindex(dout.shape[2:]):
            at = np.s_[:, :, y * stride : y * stride + kernel, z * stride : z * stride + kernel]
            dx[at] += dout[:, :, y, z, None, None] * (x[at] == x[at].max(axes, keepdims=True))
        return dx

    return backward


def flat_by_the_height(dout: Array, x: Array, kernel: int, stride: int) -> Array:
    """The winner's place in a flat image as line * H + column. Raises IndexError where H is larger than W."""
    n, c, h, w = x.shape
    dx = np.zeros((n, c, h * w))
    for b, d, y, z, window, _ in _places(x, kernel, stride):
        i, j = _won(window)
        dx[b, d, (y * stride + i) * h + z * stride + j] += dout[b, d, y, z]
    return dx.reshape(x.shape)


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


def tiles_where_they_fit(x: Array, kernel: int, stride: int) -> Array:
    """A fast way for windows that lie side by side, taken wherever the kernel divides the image."""
    fits = x.shape[2] % kernel == 0 == x.shape[3] % kernel
    return max_pool(x, kernel, kernel if fits else stride)


def tiles_everywhere(x: Array, kernel: int, stride: int) -> Array:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // kernel, kernel, w // kernel, kernel).max((3, 5))  # raises ValueError where the kernel does not divide


def columns_of_the_lines_reshaped(x: Array, kernel: int, stride: int) -> Array:
    """The right maxima, reshaped as (N, C, OH, OH). Raises ValueError: OH is not OW."""
    out = max_pool(x, kernel, stride)
    return out.reshape(*out.shape[:3], out.shape[2])


def _before_the_edge(out: Array, x: Array, kernel: int, stride: int) -> Array:
    return before_the_edge(out, x, np.zeros((1, 1, kernel, kernel)), stride, 0)


CALLS: dict[str, tuple[str, tuple[tuple[tuple[int, ...], int, int], ...]]] = {  # x, kernel and stride, one for each size set
    "overlap": ("kernel {kernel} and stride {stride}",
        (((2, 3, 7, 9), 3, 2), ((3, 2, 11, 8), 4, 3), ((2, 4, 9, 13), 5, 2), ((4, 3, 8, 10), 4, 2))),
    "below zero": ("negative pixels alone",
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


def forward_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `max_pool`. No two pixels are equal."""
    made = []
    for key, (says, sets) in CALLS.items():
        shape, kernel, stride = sets[sizes]
        made.append(Probe(key, says, {"x": distinct(rng, *shape) - 3 * (key == "below zero"), "kernel": kernel, "stride": stride}))
    return made


def backward_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `max_pool_backward`: the same images, and a gradient for each window."""
    return [
        Probe(probe.key, probe.says, {"dout": distinct(rng, *max_pool(**probe.arguments).shape)} | dict(probe.arguments))
        for probe in forward_probes(rng, sizes)
    ]


def distinct(rng: np.random.Generator, *shape: int) -> Array:
    """Numbers of both signs, no two equal and none near 0, in random order."""
    size = int(np.prod(shape))
    values = (np.arange(size) - size // 2 + 0.5) * 2 / size
    return rng.permutation(values).reshape(shape) * rng.uniform(0.9, 1.1)


def ties(student: Callable[..., Any], rng: np.random.Generator, sizes: int) -> tuple[str, dict[str, Any]] | None:
    """After ReLU whole windows are 0: the gradient of such a window must go to one cell."""
    shape, kernel, stride = CALLS["overlap"][1][sizes]
    x = np.zeros(shape)
    dout = distinct(rng, *max_pool(x, kernel, stride).shape) + 2
    outcome = call(student, {"dout": dout, "x": x, "kernel": kernel, "stride": stride})
    dx, right = outcome.value, float(dout.sum())
    if not isinstance(dx, np.ndarray) or dx.shape != x.shape:
        return "ties", {"sum": "nothing", "right": f"{right:.6g}"}
    if abs(dx.sum() - right) <= 1e-9 * right:
        return None
    every = abs(dx.sum() - kernel**2 * right) <= 1e-6 * right
    return ("every tied cell" if every else "ties"), {"sum": f"{dx.sum():.6g}", "right": f"{right:.6g}"}


COUNTED, PUBLIC = "counted in public solutions", "seen in public solutions"
E06 = Exercise("E06", "overlapping max pooling", "04", 25, (
    Function("max_pool", max_pool, ("out",), forward_probes, (
        Mistake("padded with zeros", lambda x, kernel, stride: np.maximum(max_pool(x, kernel, stride), 0), "inferred"),
        Mistake("mean", lambda x, kernel, stride: _windows(x, kernel, stride).mean((-2, -1)), "inferred"),
        Mistake("minimum", lambda x, kernel, stride: -max_pool(-x, kernel, stride), "inferred"),
        Mistake("steps of the kernel", _windows_of(lambda kernel, stride: (kernel, kernel)), COUNTED, (1, 89)),
        Mistake("steps of one", _windows_of(lambda kernel, stride: (kernel, 1)), "inferred"),
        Mistake("size from the kernel", _of_size(_tiles), COUNTED, (1, 89)),
        Mistake("rounded up", _of_size(lambda size, kernel, stride: -(-(size - kernel) // stride) + 1), PUBLIC),
        Mistake("rounded up/whatever the kernel", _of_size(lambda size, kernel, stride: (size + 1) // stride), PUBLIC),
        Mistake("no last window", _of_size(_without_the_last), "inferred"),
        Mistake("as many columns as lines", _of_size(_fit, (2, 2)), PUBLIC),
        Mistake("as many columns as lines/reshaped", columns_of_the_lines_reshaped, PUBLIC),
        Mistake("as many lines as columns", _of_size(_fit, (3, 3)), PUBLIC),
        Mistake("height and width exchanged", _of_size(_fit, (3, 2)), PUBLIC),
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
        Mistake("before the edge", lambda x, kernel, stride: _before_the_edge(max_pool(x, kernel, stride), x, kernel, stride), "inferred"),
    )),
    Function("max_pool_backward", max_pool_backward, ("dx",), backward_probes, (
        Mistake("overwrites the winner", overwrites_the_winner, COUNTED, (18, 89)),
        Mistake("overwrites the window", _loop(_window), COUNTED, (16, 89)),
        Mistake("overwrites the winner/columns first", _loop(_winner, True), COUNTED, (18, 89)),
        Mistake("overwrites the window/columns first", _loop(_window, True), COUNTED, (16, 89)),
        Mistake("window as large as the stride", window_as_large_as_the_stride, COUNTED, (1, 89)),
        Mistake("steps of one", _by_steps(lambda kernel, stride: 1), PUBLIC),
        Mistake("steps of the kernel", _by_steps(lambda kernel, stride: kernel), "inferred"),
        Mistake("flat by the height", flat_by_the_height, PUBLIC),
        Mistake("as many columns as lines", _loops_over(_fit, (2, 2)), PUBLIC),
        Mistake("as many lines as columns", _loops_over(_fit, (3, 3)), PUBLIC),
        Mistake("height and width exchanged", _loops_over(_fit, (3, 2)), "inferred"),
        Mistake("size from the kernel", _loops_over(_tiles), PUBLIC),
        Mistake("no last window", _loops_over(_without_the_last), "inferred"),
        Mistake("maximum for the mask", _adds(lambda window, gradient: gradient * window.max()), PUBLIC),
        Mistake("spreads", _adds(lambda window, gradient: gradient / window.size), "inferred"),
        Mistake("whole window", _adds(lambda window, gradient: gradient), "inferred"),
        Mistake("times the maximum", _adds(lambda window, gradient: gradient * window * (window == window.max())), "inferred"),
        Mistake("smallest wins", lambda dout, x, kernel, stride: max_pool_backward(dout, -x, kernel, stride), "inferred"),
        Mistake("index of the window", _loop(_of_the_corner), "inferred"),
        Mistake("one winner for all/channels", _one_winner((1, 2, 3)), "inferred"),
        Mistake("one winner for all/channels and images", _one_winner((0, 1, 2, 3)), "inferred"),
        Mistake("before the edge", lambda dout, x, kernel, stride:
                max_pool_backward(_before_the_edge(dout, x, kernel, stride), x, kernel, stride), "inferred"),
    ), linear=("dout",), judge=ties, forward=Forward("E06", "max_pool", {"dx": "x"}, lambda dout, **given: given)),
))  # fmt: skip
