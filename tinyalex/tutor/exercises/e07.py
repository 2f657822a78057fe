"""E07: local response normalization, forward and backward (paper 3.3)."""

from __future__ import annotations

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Function, Mistake, Probe


def lrn(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """Each activity divided by a power of the summed squares of its neighbors, the channels around it (paper 3.3).

    s[i] = k + alpha * sum of a[j]^2 over j = max(0, i - n // 2) ... min(C - 1, i + (n - 1) // 2),      b[i] = a[i] / s[i]^beta

    i and j number the channels; image, line and column are the same in all terms. For n = 5 these are the channel, two below and two
    above; for an even n there is one more below than above. At the first and the last channels fewer terms exist: those that do are
    summed, and n may be larger than C. alpha is not divided by n, as it is not in the paper, though some libraries do so.

    Parameters
    ----------
    a: (N, C, H, W), floats of both signs.
    n: channels in a window, an integer of at least 1.
    k: above 0; alpha: at least 0; beta: a number. The paper takes n = 5, k = 2, alpha = 1e-4, beta = 0.75.

    Returns
    -------
    b: (N, C, H, W), a new array. a is left as it is.
    """
    return a / scales(a, n, k, alpha) ** beta


def lrn_backward(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """The gradient of the loss with respect to a, from that with respect to the output of `lrn` (paper 3.3).

    a[i] enters the output b[i] twice, above and below the line of the fraction, and it enters the output b[j] of every other channel j
    whose window holds i. dx[i] is the sum over all these outputs of dout[j] times the derivative of b[j] with respect to a[i].

    Parameters
    ----------
    dout: (N, C, H, W), the gradient of the loss with respect to the output b.
    a: (N, C, H, W), the input of the forward pass.
    n, k, alpha, beta: as in `lrn`; for an even n the channels whose window holds i are not those that the window of i holds.

    Returns
    -------
    dx: (N, C, H, W), a new array. dout and a are left as they are.
    """
    return gradient(dout, a, scales(a, n, k, alpha), holds(a.shape[1], n), alpha, beta)


def holds(c: int, n: int) -> Array:
    """holds[i, j]: 1.0 where the window of channel i holds channel j."""
    i, j = np.indices((c, c))
    return ((j >= i - n // 2) & (j <= i + (n - 1) // 2)).astype(float)


def over(window: Array, a: Array) -> Array:
    """The sum over the channels of each window: out[:, i] = sum over j of window[i, j] a[:, j]."""
    return np.einsum("ij,njhw->nihw", window, a)


def scales(a: Array, n: int, k: float, alpha: float) -> Array:
    """k + alpha * the sum of squares in the window of each channel."""
    return k + alpha * over(holds(a.shape[1], n), a**2)


def gradient(dout: Array, a: Array, s: Array, window: Array, alpha: float, beta: float) -> Array:
    """The gradient for any scales and windows."""
    return dout * s**-beta - 2 * alpha * beta * a * over(window.T, dout * a * s ** (-beta - 1))


# Windows of other kinds, (C, C) as `holds` gives them.


def _last_missing(c: int, n: int) -> Array:
    i, j = np.indices((c, c))
    return ((j >= i - n // 2) & (j < i + (n - 1) // 2)).astype(float)


def _half_exclusive(c: int, n: int) -> Array:
    """i + n // 2 as an end that does not belong to the slice: right for an even n."""
    i, j = np.indices((c, c))
    return ((j >= i - n // 2) & (j < i + n // 2)).astype(float)


def _without_the_last(window: Array) -> Array:
    """C - 1 as an end that does not belong to the slice: the last channel is in no window."""
    return window * (np.arange(len(window)) < len(window) - 1)


def _first_missing(c: int, n: int) -> Array:
    i, j = np.indices((c, c))
    return ((j > i - n // 2) & (j <= i + (n - 1) // 2)).astype(float)


def _both_sides(c: int, n: int) -> Array:
    i, j = np.indices((c, c))
    return (abs(i - j) <= n // 2).astype(float)


def _one_more_above(c: int, n: int) -> Array:
    i, j = np.indices((c, c))
    return ((j >= i - (n - 1) // 2) & (j <= i + n // 2)).astype(float)


def _radius(c: int, n: int) -> Array:
    i, j = np.indices((c, c))
    return (abs(i - j) <= n).astype(float)


def _filled(c: int, n: int) -> Array:
    """At the edges the window is moved inside, so that it holds n channels as long as there are so many."""
    window = np.zeros((c, c))
    for i in range(c):
        first = max(0, min(i - n // 2, c - n))
        window[i, first : first + n] = 1
    return window


def _round(c: int, n: int) -> Array:
    """The neighbors of the first channel are the last ones."""
    return sum((np.roll(np.eye(c), step, 1) for step in range(-(n // 2), (n - 1) // 2 + 1)), np.zeros((c, c)))


def _negative(c: int, n: int) -> Array:
    """a[:, i - n // 2 : ...] where i - n // 2 is negative: counted from the end."""
    window = np.zeros((c, c))
    for i in range(c):
        window[i, i - n // 2 : i + (n - 1) // 2 + 1] = 1
    return window


def _edge_repeated(c: int, n: int) -> Array:
    window = np.zeros((c, c))
    for i in range(c):
        for j in range(i - n // 2, i + (n - 1) // 2 + 1):
            window[i, min(max(j, 0), c - 1)] += 1
    return window


def _blocks(c: int, n: int) -> Array:
    """Channels 0 ... n - 1 are one window, the next n the next."""
    i, j = np.indices((c, c))
    return (i // n == j // n).astype(float)


def _only_below(c: int, n: int) -> Array:
    i, j = np.indices((c, c))
    return ((j > i - n) & (j <= i)).astype(float)


def _with(window: Array, a: Array, k: float, alpha: float, beta: float) -> Array:
    """The forward pass with other windows."""
    return a / (k + alpha * over(window, a**2)) ** beta


def alpha_over_n(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a, n, k, alpha / n, beta)


def alpha_over_existing(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """The mean of the squares that exist."""
    window = holds(a.shape[1], n)
    return _with(window / window.sum(1, keepdims=True), a, k, alpha, beta)


def k_is_one(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a, n, 1, alpha, beta)


def no_k(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a, n, 0, alpha, beta)


def no_beta(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a, n, k, alpha, 1)


def no_alpha(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a, n, k, 1, beta)


def fixed_beta(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a, n, k, alpha, 0.75)


def over_the_batch(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a.swapaxes(0, 1), n, k, alpha, beta).swapaxes(0, 1)


def over_lines(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a.swapaxes(2, 1), n, k, alpha, beta).swapaxes(2, 1)


def over_columns(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a.swapaxes(3, 1), n, k, alpha, beta).swapaxes(3, 1)


def over_the_image(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """n x n pixels of the same channel."""
    lines, columns = holds(a.shape[2], n), holds(a.shape[3], n)
    return a / (k + alpha * np.einsum("hi,wj,ncij->nchw", lines, columns, a**2)) ** beta


def all_channels(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a / (k + alpha * (a**2).sum(1, keepdims=True)) ** beta


def own_square_alone(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a / (k + alpha * a**2) ** beta


def own_square_for_each_neighbor(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """a[i] where a[j] is meant."""
    return a / (k + alpha * a**2 * holds(a.shape[1], n).sum(1).reshape(1, -1, 1, 1)) ** beta


def n_times_the_own_square(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a / (k + alpha * n * a**2) ** beta


def without_itself(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(holds(a.shape[1], n) - np.eye(a.shape[1]), a, k, alpha, beta)


def edge_filled(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_filled(a.shape[1], n), a, k, alpha, beta)


def edge_repeated(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_edge_repeated(a.shape[1], n), a, k, alpha, beta)


def wraps_around(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_round(a.shape[1], n), a, k, alpha, beta)


def negative_start(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_negative(a.shape[1], n), a, k, alpha, beta)


def n_as_the_radius(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_radius(a.shape[1], n), a, k, alpha, beta)


def last_neighbor_missing(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_last_missing(a.shape[1], n), a, k, alpha, beta)


def last_neighbor_missing_for_odd_n(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_half_exclusive(a.shape[1], n), a, k, alpha, beta)


def last_channel_never(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_without_the_last(holds(a.shape[1], n)), a, k, alpha, beta)


def last_channel_and_neighbor(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_without_the_last(_last_missing(a.shape[1], n)), a, k, alpha, beta)


def last_channel_and_neighbor_for_odd_n(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_without_the_last(_half_exclusive(a.shape[1], n)), a, k, alpha, beta)


def over_all_pixels(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """`sum` without an axis."""
    return a / (k + alpha * over(holds(a.shape[1], n), (a**2).sum((0, 2, 3), keepdims=True))) ** beta


def over_all_pixels_of_an_image(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a / (k + alpha * over(holds(a.shape[1], n), (a**2).sum((2, 3), keepdims=True))) ** beta


def as_in_some_libraries(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a, n, 1, alpha / n, beta)


def first_neighbor_missing(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_first_missing(a.shape[1], n), a, k, alpha, beta)


def blocks_of_n(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_blocks(a.shape[1], n), a, k, alpha, beta)


def only_below(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_only_below(a.shape[1], n), a, k, alpha, beta)


def even_n_on_both_sides(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_both_sides(a.shape[1], n), a, k, alpha, beta)


def even_n_mirrored(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _with(_one_more_above(a.shape[1], n), a, k, alpha, beta)


def no_square(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a / (k + alpha * over(holds(a.shape[1], n), a)) ** beta


def absolute_values(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a / (k + alpha * over(holds(a.shape[1], n), np.abs(a))) ** beta


def square_of_the_sum(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a / (k + alpha * over(holds(a.shape[1], n), a) ** 2) ** beta


def times_the_power(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn(a, n, k, alpha, -beta)


def plus_the_power(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a + scales(a, n, k, alpha) ** -beta


def over_the_sum(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a / over(holds(a.shape[1], n), a)


def power_of_the_sum_alone(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a / (k + alpha * over(holds(a.shape[1], n), a**2) ** beta)


def power_without_k(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return a / (k + (alpha * over(holds(a.shape[1], n), a**2)) ** beta)


def scale_alone(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return scales(a, n, k, alpha)


def k_for_each_neighbor(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """k inside of the sum."""
    return a / over(holds(a.shape[1], n), k + alpha * a**2) ** beta


def neighbors_already_normalized(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """The channels are overwritten one after the other, and the next ones see the new numbers."""
    out, window = a.copy(), holds(a.shape[1], n)
    for i in range(a.shape[1]):
        out[:, i] = _with(window, out, k, alpha, beta)[:, i]
    return out


# Backward.


def cross_term_missing(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return dout * scales(a, n, k, alpha) ** -beta


def cross_term_alone(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn_backward(dout, a, n, k, alpha, beta) - dout * scales(a, n, k, alpha) ** -beta


def cross_term_added(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return 2 * dout * scales(a, n, k, alpha) ** -beta - lrn_backward(dout, a, n, k, alpha, beta)


def own_channel_alone(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return gradient(dout, a, scales(a, n, k, alpha), np.eye(a.shape[1]), alpha, beta)


def own_channel_missing(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    c = a.shape[1]
    return gradient(dout, a, scales(a, n, k, alpha), holds(c, n) - np.eye(c), alpha, beta)


def beta_missing(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _cross_times(1 / beta, dout, a, n, k, alpha, beta)


def alpha_missing(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _cross_times(1 / alpha, dout, a, n, k, alpha, beta)


def two_missing(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _cross_times(1 / 2, dout, a, n, k, alpha, beta)


def _cross_times(factor: float, dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """The second term times a factor."""
    direct = dout * scales(a, n, k, alpha) ** -beta
    return direct + factor * (lrn_backward(dout, a, n, k, alpha, beta) - direct)


def old_power(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """s^-beta in the second term too, whose power is one less."""
    s = scales(a, n, k, alpha)
    return dout * s**-beta - 2 * alpha * beta * a * over(holds(a.shape[1], n).T, dout * a * s**-beta)


def power_one_more(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    s = scales(a, n, k, alpha)
    return dout * s**-beta - 2 * alpha * beta * a * over(holds(a.shape[1], n).T, dout * a * s ** (1 - beta))


def own_scale(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """s[i] where s[j] is meant."""
    s = scales(a, n, k, alpha)
    return dout * s**-beta - 2 * alpha * beta * a * s ** (-beta - 1) * over(holds(a.shape[1], n).T, dout * a)


def own_dout(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """dout[i] where dout[j] is meant."""
    s = scales(a, n, k, alpha)
    return dout * (s**-beta - 2 * alpha * beta * a * over(holds(a.shape[1], n).T, a * s ** (-beta - 1)))


def own_activity_squared(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """a[i] a[i] where a[i] a[j] is meant."""
    s = scales(a, n, k, alpha)
    return dout * s**-beta - 2 * alpha * beta * a**2 * over(holds(a.shape[1], n).T, dout * s ** (-beta - 1))


def neighbor_squared(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """a[j] a[j] where a[i] a[j] is meant."""
    s = scales(a, n, k, alpha)
    return dout * s**-beta - 2 * alpha * beta * over(holds(a.shape[1], n).T, dout * a**2 * s ** (-beta - 1))


def derivative_of_own_output(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """dout[i] times the derivatives of b[i] with respect to all a[j] in its window."""
    s = scales(a, n, k, alpha)
    return dout * (s**-beta - 2 * alpha * beta * a * s ** (-beta - 1) * over(holds(a.shape[1], n), a))


def activity_missing(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """The inner derivative 2 a[i] without a[i]."""
    s = scales(a, n, k, alpha)
    return dout * s**-beta - 2 * alpha * beta * over(holds(a.shape[1], n).T, dout * a * s ** (-beta - 1))


def window_not_mirrored(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return gradient(dout, a, scales(a, n, k, alpha), holds(a.shape[1], n).T, alpha, beta)


def _both(window: Array, dout: Array, a: Array, k: float, alpha: float, beta: float) -> Array:
    """The right derivative of a forward pass with other windows."""
    return gradient(dout, a, k + alpha * over(window, a**2), window, alpha, beta)


def forward_over_n(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn_backward(dout, a, n, k, alpha / n, beta)


def forward_with_k_one(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn_backward(dout, a, n, 1, alpha, beta)


def back_over_the_batch(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn_backward(dout.swapaxes(0, 1), a.swapaxes(0, 1), n, k, alpha, beta).swapaxes(0, 1)


def back_with_the_edge_filled(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _both(_filled(a.shape[1], n), dout, a, k, alpha, beta)


def back_with_the_edge_around(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _both(_round(a.shape[1], n), dout, a, k, alpha, beta)


def back_without_the_last_neighbor(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _both(_last_missing(a.shape[1], n), dout, a, k, alpha, beta)


def back_without_the_last_neighbor_for_odd_n(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _both(_half_exclusive(a.shape[1], n), dout, a, k, alpha, beta)


def back_without_the_last_channel(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _both(_without_the_last(holds(a.shape[1], n)), dout, a, k, alpha, beta)


def back_as_in_some_libraries(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return lrn_backward(dout, a, n, 1, alpha / n, beta)


def cross_without_the_last_neighbor(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return gradient(dout, a, scales(a, n, k, alpha), _last_missing(a.shape[1], n).T, alpha, beta)


def back_with_n_as_the_radius(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _both(_radius(a.shape[1], n), dout, a, k, alpha, beta)


def back_even_n_on_both_sides(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _both(_both_sides(a.shape[1], n), dout, a, k, alpha, beta)


def back_even_n_mirrored(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    return _both(_one_more_above(a.shape[1], n), dout, a, k, alpha, beta)


def forward_probes(rng: np.random.Generator) -> list[Probe]:
    """Calls of `lrn`, in which the scales are far from k."""
    return [
        _probe(rng, "usual", "n = 5 and 8 channels", (2, 8, 3, 4), 5, 2.0, 0.3, 0.75, 1),
        _probe(rng, "other numbers", "n = 3, k = 1.5, alpha = 0.7 and beta = 0.6", (4, 6, 2, 5), 3, 1.5, 0.7, 0.6, 1),
        _probe(rng, "paper", "the paper's numbers and activities of about 100", (2, 9, 4, 3), 5, 2.0, 1e-4, 0.75, 100),
        _probe(rng, "even", "an even n of 4", (3, 7, 2, 5), 4, 1.7, 0.5, 0.8, 1),
        _probe(rng, "large n", "n = 9 above the number of channels", (2, 5, 4, 3), 9, 3.0, 0.2, 0.65, 1),
        _probe(rng, "one image", "one image", (1, 6, 3, 2), 5, 2.0, 0.4, 0.75, 1),
    ]


def backward_probes(rng: np.random.Generator) -> list[Probe]:
    """Calls of `lrn_backward`."""
    return [
        Probe(probe.key, probe.says, {"dout": rng.standard_normal(probe.arguments["a"].shape)} | dict(probe.arguments))
        for probe in forward_probes(rng)
    ]


def _probe(
    rng: np.random.Generator, key: str, says: str, shape: tuple[int, ...], n: int, k: float, alpha: float, beta: float, size: float
) -> Probe:
    a = size * rng.uniform(0.5, 2, shape) * rng.choice([-1.0, 1.0], shape)
    return Probe(key, says, {"a": a, "n": n, "k": k, "alpha": alpha, "beta": beta})


E07 = Exercise("E07", "local response normalization", "05", 35, (
    Function("lrn", lrn, ("b",), forward_probes, (
        Mistake("alpha over n", alpha_over_n, "BVLC/caffe#1453, heuritech/convnets-keras#6",
                given=lambda alpha, n, **_: {"alpha": alpha / n}),
        Mistake("alpha over existing", alpha_over_existing, "inferred"),
        Mistake("k is one", k_is_one, "apache/mxnet#6781", given=lambda **_: {"k": 1.0}),
        Mistake("as in some libraries", as_in_some_libraries, "BVLC/caffe#1453, apache/mxnet#6781",
                given=lambda alpha, n, **_: {"alpha": alpha / n, "k": 1.0}),
        Mistake("no k", no_k, "inferred"),
        Mistake("no beta", no_beta, "inferred", given=lambda **_: {"beta": 1.0}),
        Mistake("fixed beta", fixed_beta, "inferred"),
        Mistake("no alpha", no_alpha, "inferred", given=lambda **_: {"alpha": 1.0}),
        Mistake("own square for each neighbor", own_square_for_each_neighbor, "SnailTyan/deep-learning-papers-translation#7"),
        Mistake("n times the own square", n_times_the_own_square, "SnailTyan/deep-learning-papers-translation#7"),
        Mistake("own square alone", own_square_alone, "inferred"),
        Mistake("without itself", without_itself, "inferred"),
        Mistake("over the batch", over_the_batch, "onnx/onnx#7805"),
        Mistake("over lines", over_lines, "inferred"),
        Mistake("over columns", over_columns, "inferred"),
        Mistake("over the image", over_the_image, "inferred"),
        Mistake("all channels", all_channels, "inferred"),
        Mistake("edge filled", edge_filled, "FluxML/Flux.jl#720"),
        Mistake("edge repeated", edge_repeated, "inferred"),
        Mistake("wraps around", wraps_around, "inferred"),
        Mistake("negative start", negative_start, "inferred"),
        Mistake("n as the radius", n_as_the_radius, "inferred", given=lambda n, **_: {"n": 2 * n + 1}),
        Mistake("last neighbor missing/any n", last_neighbor_missing, "inferred"),
        Mistake("last neighbor missing/odd n", last_neighbor_missing_for_odd_n, "inferred"),
        Mistake("last channel never", last_channel_never, "inferred"),
        Mistake("last channel and neighbor/any n", last_channel_and_neighbor, "inferred"),
        Mistake("last channel and neighbor/odd n", last_channel_and_neighbor_for_odd_n, "inferred"),
        Mistake("over all pixels/images", over_all_pixels, "inferred"),
        Mistake("over all pixels/image", over_all_pixels_of_an_image, "inferred"),
        Mistake("first neighbor missing", first_neighbor_missing, "inferred"),
        Mistake("blocks of n", blocks_of_n, "inferred"),
        Mistake("only below", only_below, "inferred"),
        Mistake("even n on both sides", even_n_on_both_sides, "inferred", given=lambda n, **_: {"n": n // 2 * 2 + 1}),
        Mistake("even n mirrored", even_n_mirrored, "inferred"),
        Mistake("no square", no_square, "inferred"),
        Mistake("absolute values", absolute_values, "inferred"),
        Mistake("square of the sum", square_of_the_sum, "inferred"),
        Mistake("times the power", times_the_power, "inferred"),
        Mistake("plus the power", plus_the_power, "geek-tips.imtqy.com 555324"),
        Mistake("over the sum", over_the_sum, "a public walk through the network: divided by the sum of five maps"),
        Mistake("power of the sum alone", power_of_the_sum_alone, "inferred"),
        Mistake("power without k", power_without_k, "inferred"),
        Mistake("k for each neighbor", k_for_each_neighbor, "inferred"),
        Mistake("scale alone", scale_alone, "inferred"),
        Mistake("neighbors already normalized", neighbors_already_normalized, "inferred"),
    )),
    Function("lrn_backward", lrn_backward, ("dx",), backward_probes, (
        Mistake("cross term missing", cross_term_missing, "inferred"),
        Mistake("own channel alone", own_channel_alone, "inferred"),
        Mistake("own channel missing", own_channel_missing, "inferred"),
        Mistake("beta missing", beta_missing, "xingdi-eric-yuan/conv-net-version-3#5"),
        Mistake("two missing", two_missing, "inferred"),
        Mistake("alpha missing", alpha_missing, "inferred"),
        Mistake("cross term added", cross_term_added, "inferred"),
        Mistake("cross term alone", cross_term_alone, "inferred"),
        Mistake("old power", old_power, "inferred"),
        Mistake("power one more", power_one_more, "inferred"),
        Mistake("own scale", own_scale, "inferred"),
        Mistake("own dout", own_dout, "inferred"),
        Mistake("derivative of own output", derivative_of_own_output, "inferred"),
        Mistake("own activity squared", own_activity_squared, "SnailTyan/deep-learning-papers-translation#7"),
        Mistake("neighbor squared", neighbor_squared, "inferred"),
        Mistake("activity missing", activity_missing, "inferred"),
        Mistake("window not mirrored", window_not_mirrored, "inferred"),
        Mistake("forward over n", forward_over_n, "BVLC/caffe#1453, heuritech/convnets-keras#6",
                given=lambda alpha, n, **_: {"alpha": alpha / n}),
        Mistake("forward with k one", forward_with_k_one, "apache/mxnet#6781", given=lambda **_: {"k": 1.0}),
        Mistake("back as in some libraries", back_as_in_some_libraries, "BVLC/caffe#1453, apache/mxnet#6781",
                given=lambda alpha, n, **_: {"alpha": alpha / n, "k": 1.0}),
        Mistake("back over the batch", back_over_the_batch, "onnx/onnx#7805"),
        Mistake("back with the edge filled", back_with_the_edge_filled, "FluxML/Flux.jl#720"),
        Mistake("back with the edge around", back_with_the_edge_around, "inferred"),
        Mistake("back without the last neighbor/any n", back_without_the_last_neighbor, "inferred"),
        Mistake("back without the last neighbor/odd n", back_without_the_last_neighbor_for_odd_n, "inferred"),
        Mistake("back without the last channel", back_without_the_last_channel, "inferred"),
        Mistake("cross without the last neighbor", cross_without_the_last_neighbor, "inferred"),
        Mistake("back with n as the radius", back_with_n_as_the_radius, "inferred", given=lambda n, **_: {"n": 2 * n + 1}),
        Mistake("back even n on both sides", back_even_n_on_both_sides, "inferred", given=lambda n, **_: {"n": n // 2 * 2 + 1}),
        Mistake("back even n mirrored", back_even_n_mirrored, "inferred"),
    ), linear=("dout",)),
))  # fmt: skip
