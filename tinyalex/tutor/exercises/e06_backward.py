"""The backward pass of E06: overlapping max pooling (paper 3.4), the calls it is tried with, and its mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Mistake, Probe
from tinyalex.tutor.exercises.e06_forward import (
    CALLS,
    COUNTED,
    PUBLIC,
    Size,
    distinct,
    fit,
    forward_probes,
    max_pool,
    stops_before_the_edge,
    tiles,
    without_the_last,
)  # fmt: skip
from tinyalex.tutor.guard import call

Backward = Callable[[Array, Array, int, int], Array]
Step = Callable[[Array, tuple[slice, slice], Array, Any], None]


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
    for n, c, y, z, window, at in places_of(x, kernel, stride):
        dx[n, c][at][np.unravel_index(window.argmax(), window.shape)] += dout[n, c, y, z]
    return dx


def places_of(
    x: Array, kernel: int, stride: int, columns_first: bool = False
) -> Iterator[tuple[int, int, int, int, Array, tuple[slice, slice]]]:
    """Every window: its image, channel, line and column, its cells, and where they lie on the image."""
    n, c, h, w = x.shape
    oh, ow = (h - kernel) // stride + 1, (w - kernel) // stride + 1
    for i in np.ndindex(n, c, *((ow, oh) if columns_first else (oh, ow))):
        i = (*i[:2], *i[:1:-1]) if columns_first else i
        at = slice(i[2] * stride, i[2] * stride + kernel), slice(i[3] * stride, i[3] * stride + kernel)
        yield *i, x[i[0], i[1]][at], at


def _loop(step: Step, columns_first: bool = False) -> Backward:
    """A loop over the windows: step(dx of the image and channel, where the window lies, its pixels, its gradient)."""

    def backward(dout: Array, x: Array, kernel: int, stride: int) -> Array:
        dx = np.zeros_like(x)
        for n, c, y, z, window, at in places_of(x, kernel, stride, columns_first):
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


def _taken_apart(by: Callable[[Array, Array, int], int]) -> Backward:
    """The place of the winner in its window, taken apart by another number than the kernel. IndexError where it lies past the edge."""

    def backward(dout: Array, x: Array, kernel: int, stride: int) -> Array:
        dx = np.zeros_like(x)
        for n, c, y, z, window, _ in places_of(x, kernel, stride):
            i, j = divmod(int(window.argmax()), by(dout, x, stride))
            dx[n, c, y * stride + i, z * stride + j] += dout[n, c, y, z]
        return dx

    return backward


def _shared_by_all(axes: tuple[int, ...]) -> Backward:
    """Each gradient divided by the number of winners, counted over more axes than the window's own."""

    def backward(dout: Array, x: Array, kernel: int, stride: int) -> Array:
        dx = np.zeros_like(x)
        for y, z in np.ndindex(dout.shape[2:]):
            at = np.s_[:, :, y * stride : y * stride + kernel, z * stride : z * stride + kernel]
            won = x[at] == x[at].max((2, 3), keepdims=True)
            dx[at] += won * dout[:, :, y, z, None, None] / won.sum(axes, keepdims=True)
        return dx

    return backward


def window_as_large_as_the_stride(dout: Array, x: Array, kernel: int, stride: int) -> Array:
    dx = np.zeros_like(x)
    for n, c, y, z, window, at in places_of(x, kernel, stride):
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
    for b, d, y, z, window, _ in places_of(x, kernel, stride):
        i, j = _won(window)
        dx[b, d, (y * stride + i) * h + z * stride + j] += dout[b, d, y, z]
    return dx.reshape(x.shape)


def backward_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `max_pool_backward`: the same images, and a gradient for each window."""
    return [
        Probe(probe.key, probe.says, {"dout": distinct(rng, *max_pool(**probe.arguments).shape)} | dict(probe.arguments))
        for probe in forward_probes(rng, sizes)
    ]


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


MISTAKES = (
    Mistake("overwrites the winner", overwrites_the_winner, COUNTED, (18, 89)),
    Mistake("overwrites the window", _loop(_window), COUNTED, (16, 89)),
    Mistake("overwrites the winner/columns first", _loop(_winner, True), COUNTED, (18, 89)),
    Mistake("overwrites the window/columns first", _loop(_window, True), COUNTED, (16, 89)),
    Mistake("window as large as the stride", window_as_large_as_the_stride, COUNTED, (1, 89)),
    Mistake("steps of one", _by_steps(lambda kernel, stride: 1), PUBLIC),
    Mistake("steps of the kernel", _by_steps(lambda kernel, stride: kernel), "inferred"),
    Mistake("flat by the height", flat_by_the_height, PUBLIC),
    Mistake("as many columns as lines", _loops_over(fit, (2, 2)), PUBLIC),
    Mistake("as many lines as columns", _loops_over(fit, (3, 3)), PUBLIC),
    Mistake("height and width exchanged", _loops_over(fit, (3, 2)), "inferred"),
    Mistake("size from the kernel", _loops_over(tiles), PUBLIC),
    Mistake("no last window", _loops_over(without_the_last), "inferred"),
    Mistake("maximum for the mask", _adds(lambda window, gradient: gradient * window.max()), PUBLIC),
    Mistake("spreads", _adds(lambda window, gradient: gradient / window.size), "inferred"),
    Mistake("whole window", _adds(lambda window, gradient: gradient), "inferred"),
    Mistake("times the maximum", _adds(lambda window, gradient: gradient * window * (window == window.max())), "inferred"),
    Mistake("smallest wins", lambda dout, x, kernel, stride: max_pool_backward(dout, -x, kernel, stride), "inferred"),
    Mistake("index of the window", _loop(_of_the_corner), "inferred"),
    Mistake("taken apart/by the stride", _taken_apart(lambda dout, x, stride: stride), "inferred"),
    Mistake("taken apart/by the windows", _taken_apart(lambda dout, x, stride: dout.shape[3]), "inferred"),
    Mistake("taken apart/by the image", _taken_apart(lambda dout, x, stride: x.shape[3]), "inferred"),
    Mistake("shared by all/images and channels", _shared_by_all((0, 1, 2, 3)), "inferred"),
    Mistake("shared by all/channels", _shared_by_all((1, 2, 3)), "inferred"),
    Mistake("shared by all/images", _shared_by_all((0, 2, 3)), "inferred"),
    Mistake("one winner for all/channels", _one_winner((1, 2, 3)), "inferred"),
    Mistake("one winner for all/channels and images", _one_winner((0, 1, 2, 3)), "inferred"),
    Mistake("before the edge", lambda dout, x, kernel, stride:
            max_pool_backward(stops_before_the_edge(dout, x, kernel, stride), x, kernel, stride), "inferred"),
)  # fmt: skip
