"""What people get wrong in the gradient of batch normalization (E13)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Mistake
from tinyalex.tutor.exercises.e13_backward import Three
from tinyalex.tutor.exercises.e13_pieces import Back, Way, another_dweight, another_dweight_in_dx, another_dx, of_call, summed, wide

OTHER_SIZES = ("C", "H", "W", "N C", "N H", "N W", "C H", "C W", "N C H", "N C W", "C H W")
BOTH_SUMS, BOTH_PATHS = "dweight and dbias", "the mean and the variance"


def _sums(key: str, make: Callable[[Back, Array], Array], source: str = "inferred") -> tuple[Mistake, ...]:
    """A mistake in one of the two sums, or in both. make: takes the terms (N, C, H, W) of a sum and returns what stands in its place."""
    return (
        Mistake(f"{key}/dweight", another_dweight(lambda c: make(c, c.dout * c.y)), source, words={"kinds": "dweight"}),
        Mistake(f"{key}/dbias", of_call(lambda c: (c.dx(), c.dweight, make(c, c.dout))), source, words={"kinds": "dbias"}),
        Mistake(key, of_call(lambda c: (c.dx(), make(c, c.dout * c.y), make(c, c.dout))), source, words={"kinds": BOTH_SUMS}),
    )


def _over_axes(*axes: int) -> Way:
    """dx whose means are taken over these axes."""

    def make(c: Back) -> Array:
        dy = c.dout * wide(c.weight)
        return wide(c.s) * (dy - dy.mean(axis=axes, keepdims=True) - c.y * (dy * c.y).mean(axis=axes, keepdims=True))

    return another_dx(make)


def _path(path: str, factor: Callable[[Back], Array] | None = None) -> Way:
    """A mistake in the sums of dx, alone or with another one in front of them."""
    return another_dx(lambda c: PATHS[path](c, None if factor is None else factor(c)))


def _divided(key: str, number: Callable[[Back], float], source: str = "inferred") -> tuple[Mistake, ...]:
    """Another number in the place of m, in one of the two paths or in both."""
    return (
        Mistake(key, _path(key), source, words={"kinds": BOTH_PATHS}),
        Mistake(f"{key}/of the mean", another_dx(lambda c: c.over(number(c), c.m)), "inferred", words={"kinds": "the mean"}),
        Mistake(f"{key}/of the variance", another_dx(lambda c: c.over(c.m, number(c))), "inferred", words={"kinds": "the variance"}),
    )


def _own_s(make: Callable[[Back], Array]) -> Way:
    """An s that is computed anew, in place of the given one."""
    return of_call(lambda c: c.right(s=make(c)))


def _by_sizes(sizes: str) -> Way:
    """dx with a product of these sizes in the place of m."""

    def make(c: Back) -> Array:
        number = math.prod(c.x.shape["NCHW".index(size)] for size in sizes.split())
        return c.over(number, number)

    return another_dx(make)


def _power(power: float, times: float = 1) -> Way:
    """dx with another power of s than 3 in the derivative of s, and another factor."""
    return another_dx(lambda c: c.dx(along=times * c.y * wide(c.dweight * c.s ** (power - 3)) / c.m))


def _more_eps(eps: float, outside: bool = False) -> Callable[[Back], Array]:
    """s with one more eps, under the root or outside of it."""
    return (lambda c: 1 / (1 / c.s + eps)) if outside else (lambda c: (c.s**-2 + eps) ** -0.5)


def _another_y(y: Callable[[Back], Array]) -> Way:
    """Something else in the place of y, in dweight and in dx."""

    def make(c: Back) -> Three:
        dweight = summed(c.dout * y(c))
        return c.dx(along=y(c) * wide(dweight) / c.m), dweight, c.dbias

    return of_call(make)


def _of_each_image(eps: float, *, means: bool) -> Way:
    """Statistics of each image, computed anew. means: whether those of the gradient are of each image too."""

    def make(c: Back) -> Three:
        places = (2, 3)
        s = (c.x.var(axis=places, keepdims=True) + eps) ** -0.5
        y = (c.x - c.x.mean(axis=places, keepdims=True)) * s
        over = places if means else (0, *places)
        sums = c.dout.mean(axis=over, keepdims=True) + y * (c.dout * y).mean(axis=over, keepdims=True)
        return wide(c.weight) * s * (c.dout - sums), summed(c.dout * y), c.dbias

    return of_call(make)


def _root_of_s(eps: float) -> Callable[[Back], Array]:
    """What comes of s where it is taken for the variance."""
    return lambda c: (c.s + eps) ** -0.5


def first_term_alone(c: Back) -> Three:
    return wide(c.s) * (wide(c.weight) * c.dout - c.sums), c.dweight, c.dbias


def weight_twice_with_its_sums(c: Back) -> Three:
    return c.dx(factor=c.s * c.weight**2), c.dweight * c.weight, c.dbias * c.weight


def fourth_path(c: Back) -> Three:
    """The way through the mean into the variance, with x in the place of d, whose sum is not 0."""
    return c.dx(wide(c.dbias - c.s * c.mean * c.dweight) / c.m), c.dweight, c.dbias


def each_image(c: Back) -> Three:
    center = c.dout.mean(axis=(2, 3), keepdims=True)
    return c.dx(center, c.y * (c.dout * c.y).mean(axis=(2, 3), keepdims=True)), c.dweight, c.dbias


def one_number(c: Back) -> Three:
    return c.dx(), np.sum(c.dout * c.y), np.sum(c.dout)


def one_number_everywhere(c: Back) -> Three:
    return c.dx(c.dout.mean(), c.y * (c.dout * c.y).mean()), np.sum(c.dout * c.y), np.sum(c.dout)


def one_number_filled_in(c: Back) -> Three:
    return c.dx(), np.full_like(c.weight, (c.dout * c.y).sum()), np.full_like(c.weight, c.dout.sum())


def images_alone(c: Back) -> Three:
    return c.dx(c.dout.mean(axis=0), c.y * (c.dout * c.y).mean(axis=0)), (c.dout * c.y).sum(axis=0), c.dout.sum(axis=0)


def images_alone_in_dx(c: Back) -> Three:
    return c.dx(c.dout.mean(axis=0), c.y * (c.dout * c.y).mean(axis=0)), c.dweight, c.dbias


def last_image_in_dx(c: Back) -> Three:
    dweight, dbias = (c.dout * c.y)[-1].sum(axis=(1, 2)), c.dout[-1].sum(axis=(1, 2))
    return c.dx(wide(dbias) / c.m, c.y * wide(dweight) / c.m), dweight, dbias


def means_divided_again(c: Back) -> Three:
    return c.over(c.m**2, c.m**2), c.dweight / c.m, c.dbias / c.m


def eps_outside(c: Back) -> Three:
    """The derivative of 1 / (std + eps), in which the standard deviation alone stands below the line."""
    return c.dx(along=c.d * wide(c.dweight / c.std) / c.m), c.dweight, c.dbias


ANOTHER_Y: dict[str, Callable[[Back], Array]] = {
    "x s": lambda c: c.x * wide(c.s),
    "x s - mean": lambda c: c.x * wide(c.s) - wide(c.mean),
    "(x + mean) s": lambda c: (c.x + wide(c.mean)) * wide(c.s),
    "abs(x - mean) s": lambda c: np.abs(c.y),
    "x - mean s": lambda c: c.x - wide(c.mean * c.s),
    "y^2": lambda c: c.y**2,
}

OWN_S: dict[str, Callable[[Back], Array]] = {
    "without eps": lambda c: 1 / c.std,
    "eps outside": lambda c: 1 / (c.std + 1e-5),
    "eps outside, larger": lambda c: 1 / (c.std + 1e-3),
    "eps of its own": lambda c: (c.std**2 + 1e-5) ** -0.5,
    "larger eps of its own": lambda c: (c.std**2 + 1e-3) ** -0.5,
    "tiny eps of its own": lambda c: (c.std**2 + 1e-8) ** -0.5,
    "unbiased": lambda c: (c.std**2 * c.m / (c.m - 1) + 1e-5) ** -0.5,
}

PATHS: dict[str, Callable[[Back, Array | None], Array]] = {  # mistakes in the sums of dx, with any factor in front
    "statistics constant": lambda c, factor: c.dx(0, 0, factor),
    "mean path missing": lambda c, factor: c.dx(0, None, factor),
    "variance path missing": lambda c, factor: c.dx(None, 0, factor),
    "divided by N": lambda c, factor: c.over(len(c.x), len(c.x), factor),
    "divided by H W": lambda c, factor: c.over(c.m / len(c.x), c.m / len(c.x), factor),
    "divided by all": lambda c, factor: c.over(c.x.size, c.x.size, factor),
    "divided twice": lambda c, factor: c.over(c.m**2, c.m**2, factor),
    "not divided": lambda c, factor: c.over(1, 1, factor),
}
FACTORS: dict[str, Callable[[Back], Array]] = {  # mistakes in front of the bracket of dx
    "without weight": lambda c: c.s,
    "weight twice": lambda c: c.s * c.weight**2,
    "without s": lambda c: c.weight,
    "s twice": lambda c: c.weight * c.s**2,
}

MISTAKES = (
    Mistake("statistics constant", _path("statistics constant"), "mlpack/mlpack#1327"),
    Mistake("mean path missing", _path("mean path missing"), "inferred"),
    Mistake("variance path missing", _path("variance path missing"), "inferred"),
    *_divided("divided by N", lambda c: len(c.x), "pjreddie/darknet#1634"),
    *_divided("divided by H W", lambda c: c.m / len(c.x)),
    *_divided("divided by all", lambda c: c.x.size),
    *_divided("divided twice", lambda c: c.m**2),
    *_divided("not divided", lambda c: 1),
    *(Mistake(f"divided by other sizes/{sizes}", _by_sizes(sizes), "inferred", words={"kinds": sizes}) for sizes in OTHER_SIZES),
    Mistake("first term divided", another_dx(lambda c: c.over(1, 1, c.s * c.weight / c.m)), "inferred"),
    Mistake("unbiased", another_dx(lambda c: c.over(c.m, c.m - 1)), "pytorch/pytorch#60528"),
    Mistake("unbiased/both", another_dx(lambda c: c.over(c.m - 1, c.m - 1)), "pytorch/pytorch#60528"),
    Mistake("eps outside", of_call(eps_outside), "Tencent/ncnn#311"),
    *(Mistake(f"own s/{key}", _own_s(s), "inferred") for key, s in OWN_S.items()),
    *(Mistake(f"eps added to s/{eps:g} outside", _own_s(_more_eps(eps, outside=True)), "inferred") for eps in (1e-8, 1e-5, 1e-3)),
    *(Mistake(f"eps added to s/{eps:g}", _own_s(_more_eps(eps)), "inferred") for eps in (1e-8, 1e-5, 1e-3)),
    Mistake("s for the root", of_call(lambda c: c.right(s=1 / c.s)), "inferred"),
    Mistake("s for the root/with eps", of_call(lambda c: c.right(s=1 / (c.s + 1e-5))), "inferred"),
    Mistake("s for the root/in y", _another_y(lambda c: c.d / wide(c.s)), "inferred"),
    Mistake("s for the root/in front", another_dx(lambda c: c.dx(factor=c.weight / c.s)), "inferred"),
    *(Mistake(f"s for the variance/eps {eps:g}", _own_s(_root_of_s(eps)), "inferred") for eps in (0, 1e-8, 1e-5, 1e-3)),
    Mistake("dweight from x", another_dweight(lambda c: summed(c.dout * c.x)), "inferred"),
    Mistake("dweight from x/in dx too", another_dweight_in_dx(lambda c: summed(c.dout * c.x)), "inferred", shows="dweight"),
    Mistake("dweight from d", another_dweight(lambda c: summed(c.dout * c.d)), "inferred"),
    Mistake("dweight from d/in dx too", another_dweight_in_dx(lambda c: summed(c.dout * c.d)), "inferred", shows="dweight"),
    Mistake("x for y", another_dx(lambda c: c.dx(along=c.x * wide(c.dweight) / c.m)), "inferred"),
    Mistake("x for y/times s", another_dx(lambda c: c.dx(along=c.x * wide(c.s * c.dweight) / c.m)), "inferred"),
    Mistake("x for y/in the sum", another_dx(lambda c: c.dx(along=c.y * wide(summed(c.dout * c.x)) / c.m)), "inferred"),
    Mistake("fourth path", of_call(fourth_path), "inferred"),
    Mistake("d for y", another_dx(lambda c: c.dx(along=c.d * wide(c.dweight) / c.m)), "inferred"),
    Mistake("old power", another_dx(lambda c: c.dx(along=c.d * wide(summed(c.dout * c.d)) / c.m)), "inferred"),
    *(Mistake(f"power of s/{power:g}", _power(power), "inferred") for power in (-3, -1.5, -1, -0.5, 0, 0.5, 1.5, 4, 5, 6)),
    *(Mistake(f"power of s/{power} times {times:g}", _power(power, times), "inferred")
      for power in (0, 1, 2) for times in (-2, -1, 0.5, 2)),
    *(Mistake(f"another y/{y}", _another_y(ANOTHER_Y[y]), "inferred", words={"kinds": y}) for y in ANOTHER_Y),
    Mistake("another y/y^2 in dx alone", another_dx(lambda c: c.dx(along=c.y**2 * wide(c.dweight) / c.m)), "inferred",
            words={"kinds": "y^2"}),
    *(Mistake(f"statistics of each image/{eps:g} {means}", _of_each_image(eps, means=means), "inferred")
      for eps in (1e-8, 1e-5, 1e-3) for means in (False, True)),
    Mistake("sums exchanged in dx", another_dx(lambda c: c.dx(wide(c.dweight) / c.m, c.y * wide(c.dbias) / c.m)), "inferred"),
    Mistake("one sum for both/dbias", another_dx(lambda c: c.dx(along=c.y * wide(c.dbias) / c.m)), "inferred", words={"kinds": "dbias"}),
    Mistake("one sum for both/dweight", another_dx(lambda c: c.dx(center=wide(c.dweight) / c.m)), "inferred", words={"kinds": "dweight"}),
    Mistake("mean along y", another_dx(lambda c: c.dx(center=c.y * wide(c.dbias) / c.m)), "inferred"),
    Mistake("variance path without y", another_dx(lambda c: c.dx(along=wide(c.dweight) / c.m)), "inferred"),
    Mistake("own path missing", another_dx(lambda c: -wide(c.s * c.weight) * c.sums), "inferred"),
    Mistake("divided by weight", another_dx(lambda c: c.dx(factor=c.s / c.weight)), "inferred"),
    Mistake("dy alone", another_dx(lambda c: wide(c.weight) * c.dout), "inferred"),
    Mistake("weight missing", another_dx(lambda c: c.dx(factor=c.s)), "denizyuret/Knet.jl#288"),
    Mistake("weight in the first term alone", of_call(first_term_alone), "inferred"),
    Mistake("weight missing in one path/of the mean", another_dx(lambda c: c.dx(center=wide(c.dbias / c.weight) / c.m)), "inferred"),
    Mistake("weight missing in one path/of the variance", another_dx(
        lambda c: c.dx(along=c.y * wide(c.dweight / c.weight) / c.m)), "inferred"),
    Mistake("weight twice", another_dx(lambda c: c.dx(factor=c.s * c.weight**2)), "inferred"),
    Mistake("weight twice/with its sums", of_call(weight_twice_with_its_sums), "inferred", shows="dx"),
    Mistake("weight in y", of_call(
        lambda c: (c.dx(along=c.y * wide(c.weight**2 * c.dweight) / c.m), c.dweight * c.weight, c.dbias)), "inferred", shows="dx"),
    Mistake("weight in y/in dx alone", another_dx(lambda c: c.dx(along=c.y * wide(c.weight**2 * c.dweight) / c.m)), "inferred"),
    Mistake("weight in y/once", another_dx(lambda c: c.dx(along=c.y * wide(c.weight * c.dweight) / c.m)), "inferred"),
    *_sums("sums of dy", lambda c, terms: summed(terms * wide(c.weight))),
    Mistake("brackets missing", another_dx(lambda c: wide(c.s * c.weight) * c.dout - c.sums), "inferred"),
    Mistake("brackets missing/behind the second term", another_dx(
        lambda c: wide(c.s * c.weight) * (c.dout - wide(c.dbias) / c.m) - c.y * wide(c.dweight) / c.m), "inferred"),
    Mistake("brackets missing/s alone", another_dx(lambda c: wide(c.weight) * (wide(c.s) * c.dout - c.sums)), "inferred"),
    Mistake("s missing", another_dx(lambda c: c.dx(factor=c.weight)), "inferred"),
    Mistake("s twice", another_dx(lambda c: c.dx(factor=c.weight * c.s**2)), "inferred"),
    Mistake("mean added", another_dx(lambda c: c.dx(center=-wide(c.dbias) / c.m)), "inferred"),
    Mistake("variance added", another_dx(lambda c: c.dx(along=-c.y * wide(c.dweight) / c.m)), "inferred"),
    Mistake("paths added", another_dx(lambda c: c.over(-c.m, -c.m)), "inferred"),
    Mistake("variance path twice", another_dx(lambda c: c.over(c.m, c.m / 2)), "inferred"),
    Mistake("variance path halved", another_dx(lambda c: c.over(c.m, 2 * c.m)), "inferred"),
    Mistake("own place alone", another_dx(lambda c: c.dx(c.dout / c.m, c.dout * c.y**2 / c.m)), "inferred"),
    Mistake("own place alone/of the variance", another_dx(lambda c: c.dx(along=c.dout * c.y**2 / c.m)), "inferred"),
    Mistake("each image by itself", of_call(each_image), "inferred"),
    *(Mistake(f"over the channels/{axes}", _over_axes(*axes), "inferred") for axes in ((1, 2, 3), (1,), (0, 1), (0, 1, 2, 3))),
    *(Mistake(f"an axis left out/{axes}", _over_axes(*axes), "inferred") for axes in ((0, 2), (0, 3))),
    Mistake("over the images alone", of_call(images_alone), "inferred"),
    Mistake("over the images alone/in dx", of_call(images_alone_in_dx), "inferred"),
    Mistake("one number for all channels", of_call(one_number), "inferred"),
    Mistake("one number for all channels/in dx too", of_call(one_number_everywhere), "inferred"),
    Mistake("one number for all channels/filled in", of_call(one_number_filled_in), "inferred"),
    *_sums("sums of an image", lambda c, terms: terms.sum(axis=(1, 2, 3))),
    *_sums("not over the images", lambda c, terms: terms.sum(axis=(2, 3))),
    *_sums("last image alone", lambda c, terms: terms[-1].sum(axis=(1, 2))),
    Mistake("last image alone/in dx too", of_call(last_image_in_dx), "inferred", shows="dweight", words={"kinds": BOTH_SUMS}),
    *_sums("means for sums", lambda c, terms: summed(terms) / c.m, "wjbKimberly/cs231n_spring_2017_assignment#7"),
    Mistake("means for sums/divided again", of_call(means_divided_again), "wjbKimberly/cs231n_spring_2017_assignment#7",
            shows="dweight", words={"kinds": BOTH_SUMS}),
    *_sums("axes kept", lambda c, terms: wide(summed(terms))[None]),
    *(Mistake(f"{path}/{factor}", _path(path, of), "inferred", words={"kinds": BOTH_PATHS})
      for path in PATHS for factor, of in FACTORS.items() if (path, factor) != ("statistics constant", "without s")),  # that is dy alone
)  # fmt: skip
