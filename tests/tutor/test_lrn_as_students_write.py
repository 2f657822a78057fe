"""Response normalization as students write it: brackets that are missing, numbers of the paper in the place of arguments, two terms."""

import numpy as np
import pytest

from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES

E07 = EXERCISES["E07"]


def windows(c, n):
    return [slice(max(0, i - n // 2), i + (n - 1) // 2 + 1) for i in range(c)]


def scales(a, n, k, alpha):
    return np.stack([k + alpha * (a[:, window] ** 2).sum(1) for window in windows(a.shape[1], n)], 1)


def backward(first, inside, s=scales, factor=lambda alpha, beta: 2 * alpha * beta):
    """A gradient of two terms: first(dout, s, beta) and the sum of inside(dout, a, s, beta)."""

    def lrn_backward(dout, a, n, k, alpha, beta):
        scale = s(a, n, k, alpha)
        dx = first(dout, scale, beta)
        summed = inside(dout, a, scale, beta)
        for j, window in enumerate(windows(a.shape[1], n)):
            dx[:, window] -= factor(alpha, beta) * a[:, window] * summed[:, j : j + 1]
        return dx

    return lrn_backward


def direct(dout, s, beta):
    return dout * s**-beta


def product(dout, a, s, beta):
    return dout * a * s ** (-beta - 1)


def filled_by_images(a, n, k, alpha, beta):
    sums = np.zeros_like(a)
    for i in range(len(a)):
        sums[:, i] = (a[:, max(0, i - n // 2) : i + (n - 1) // 2 + 1] ** 2).sum(1)
    return a / (k + alpha * sums) ** beta


def test_the_pattern_is_right():
    assert examine(E07, E07.function("lrn_backward"), backward(direct, product)) is None


@pytest.mark.parametrize(
    ("student", "key", "says"),
    [
        (backward(direct, lambda dout, a, s, beta: dout * a * (s**-beta - 1)), "power_without_brackets", "your first term is right"),
        (backward(direct, lambda dout, a, s, beta: dout * a / s**beta + 1), "power_without_brackets", "the 1 does not belong to the power"),
        (backward(direct, product, lambda a, n, k, alpha: scales(a, n, k, alpha / n)), "scale_over_n", "the alpha in your s is divided"),
        (backward(direct, product, factor=lambda alpha, beta: 2 * alpha / 5 * beta), "factor_over_n", "your s is right"),
        (backward(direct, product, factor=lambda alpha, beta: 1.5 * alpha), "fixed_beta_in_a_factor", "0.75, or 1.75"),
        (backward(direct, lambda dout, a, s, beta: dout * a * s**-1.75, factor=lambda alpha, beta: 1.5 * alpha),
         "fixed_beta_in_a_factor", "where beta should stand"),
        (backward(lambda dout, s, beta: dout / s, product), "other_first_term", "your second term is right"),
        (backward(direct, lambda dout, a, s, beta: dout * np.sin(a)), None, "Right are the calls with alpha = 0."),
    ],
)  # fmt: skip
def test_backward(student, key, says):
    finding = examine(E07, E07.function("lrn_backward"), student)
    assert finding is not None and says in finding.text() and finding.text().count("\n") < 6, finding.text()
    assert finding.layer == "symptom" if key is None else finding.key == f"E07.{key}", finding.text()


@pytest.mark.parametrize(
    ("student", "key"),
    [
        (lambda a, n, k, alpha, beta: a / scales(a, n, 2.0, alpha) ** beta, "fixed_k"),
        (lambda a, n, k, alpha, beta: a / scales(a, 5, k, alpha) ** beta, "fixed_n"),
        (lambda a, n, k, alpha, beta: a / scales(a, n, k, 1e-4) ** beta, "fixed_alpha"),
        (lambda a, n, k, alpha, beta: a / k + (scales(a, n, 0, alpha)) ** beta, "brackets_missing"),
        (lambda a, n, k, alpha, beta: (a / scales(a, n, k, alpha)) ** beta, "power_of_the_quotient"),
        (filled_by_images, "as_many_channels_as_images"),
    ],
)
def test_forward(student, key):
    finding = examine(E07, E07.function("lrn"), student)
    assert finding is not None and finding.key == f"E07.{key}", finding and finding.text()
    assert finding.text().count("\n") < 6
