"""E02: the slopes of ReLU and of tanh, backward (paper 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Function, Mistake, Probe
from tinyalex.tutor.guard import call


def relu_backward(dout: Array, x: Array) -> Array:
    """The gradient of the loss with respect to x, from that with respect to out = max(x, 0) (paper 3.1).

    dx = dout where x > 0, and 0 where x < 0, element by element

    Parameters
    ----------
    dout: floats of any shape: the gradient of the loss with respect to the output.
    x: floats of the same shape: the input of the forward pass, of both signs.

    Returns
    -------
    dx: a new array of floats of that shape. dout and x are left as they are. At x = 0 there is no slope; 0, dout
        and any number between them are accepted there.
    """
    return np.where(x > 0, dout, 0.0)


def tanh_backward(dout: Array, out: Array) -> Array:
    """The gradient of the loss with respect to x, from that with respect to out = tanh(x) (paper 3.1).

    dx = dout (1 - out^2), element by element: the slope of tanh at x is 1 - tanh(x)^2, and tanh(x) is what the forward pass kept

    Parameters
    ----------
    dout: floats of any shape: the gradient of the loss with respect to the output.
    out: floats of the same shape, from -1 to 1: the OUTPUT of the forward pass, and not its input.

    Returns
    -------
    dx: a new array of floats of that shape. dout and out are left as they are. Where out is 1 or -1 exactly, dx is 0.
    """
    return dout * (1 - out * out)


def lets_all_through(dout: Array, x: Array) -> Array:
    return dout * (np.maximum(x, 0) >= 0)


def lets_the_others_through(dout: Array, x: Array) -> Array:
    return dout * (x < 0)


def without_dout(dout: Array, x: Array) -> Array:
    return (x > 0).astype(float)


def looks_at_dout(dout: Array, x: Array) -> Array:
    return dout * (dout > 0)


def looks_at_both(dout: Array, x: Array) -> Array:
    return dout * ((dout > 0) & (x > 0))


def exchanged(dout: Array, x: Array) -> Array:
    return relu_backward(x, dout)


def forward_again(dout: Array, x: Array) -> Array:
    return np.maximum(x, 0)


def times_the_output(dout: Array, x: Array) -> Array:
    return dout * np.maximum(x, 0)


def times_x(dout: Array, x: Array) -> Array:
    return dout * x


def by_its_sign(dout: Array, x: Array) -> Array:
    return dout * np.sign(x)


def leaky(dout: Array, x: Array) -> Array:
    return dout * np.where(x > 0, 1, 0.01)


def above_one(dout: Array, x: Array) -> Array:
    return dout * (x > 1)


def _number_for_the_mask(number: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """The gradient times a number that grows with x, in the place of 0 or 1."""
    return lambda dout, x: dout * number(x)


def one_sign_an_image(dout: Array, x: Array) -> Array:
    return dout * (x.reshape(len(x), -1).sum(1).reshape(-1, *[1] * (x.ndim - 1)) > 0)


def out_taken_for_x(dout: Array, out: Array) -> Array:
    return dout * (1 - np.tanh(out) ** 2)


def slope_alone(dout: Array, out: Array) -> Array:
    return 1 - out * out


def no_square(dout: Array, out: Array) -> Array:
    return dout * (1 - out)


def of_the_sigmoid(dout: Array, out: Array) -> Array:
    return dout * out * (1 - out)


def square_alone(dout: Array, out: Array) -> Array:
    return dout * out * out


def plus(dout: Array, out: Array) -> Array:
    return dout * (1 + out * out)


def no_parentheses(dout: Array, out: Array) -> Array:
    return dout * 1 - out * out


def square_of_the_bracket(dout: Array, out: Array) -> Array:
    return dout * (1 - out) ** 2


def doubled_and_not_squared(dout: Array, out: Array) -> Array:
    return dout * (1 - 2 * out)


def slope_at_dout(dout: Array, out: Array) -> Array:
    return out * (1 - dout * dout)


def square_of_dout(dout: Array, out: Array) -> Array:
    return dout * (1 - dout * dout)


def root(dout: Array, out: Array) -> Array:
    return dout * np.sqrt(1 - out * out)


def sigmoid_of_out(dout: Array, out: Array) -> Array:
    sigmoid = 1 / (1 + np.exp(-out))
    return dout * sigmoid * (1 - sigmoid)


def slope_of_out_alone(dout: Array, out: Array) -> Array:
    return 1 - np.tanh(out) ** 2


def of_relu(dout: Array, out: Array) -> Array:
    return dout * (out > 0)


SIZES = (  # a matrix, maps, a matrix, one image; one line for each size set
    ((3, 4), (2, 3, 4, 5), (4, 7), (1, 5)),
    ((2, 5), (3, 2, 5, 4), (6, 3), (1, 7)),
    ((4, 3), (4, 2, 3, 6), (5, 8), (1, 4)),
    ((3, 5), (2, 5, 3, 4), (7, 4), (1, 6)),
)


def relu_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Inputs of both signs and of many sizes, none of them 0."""
    matrix, maps, large, one = SIZES[sizes]
    return [
        Probe("matrix", "arrays of shape {x}", {"dout": _quarters(rng, *matrix), "x": _quarters(rng, *matrix)}),
        Probe("maps", "arrays of shape {x}", {"dout": rng.normal(size=maps), "x": rng.normal(size=maps)}),
        Probe("large", "an x of hundreds and of thousandths", {"dout": rng.normal(size=large), "x": _scales(rng, *large)}),
        Probe("one image", "one image of shape {dout}", {"dout": _quarters(rng, *one), "x": rng.normal(size=one)}),
    ]


def tanh_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Outputs of tanh, a few of them exactly 1 and -1 in one call."""
    matrix, maps, large, one = SIZES[sizes]
    flat = np.tanh(3 * rng.normal(size=large))
    flat[0, :2], flat[-1, -2] = (1, -1), -1
    return [
        Probe("matrix", "arrays of shape {out}", {"dout": _quarters(rng, *matrix), "out": _tenths(rng, *matrix)}),
        Probe("maps", "arrays of shape {out}", {"dout": rng.normal(size=maps), "out": np.tanh(rng.normal(size=maps))}),
        Probe("flat", "outputs of 1, of -1 and near them", {"dout": rng.normal(size=large), "out": flat}),
        Probe("one image", "one image of shape {dout}", {"dout": _quarters(rng, *one), "out": _tenths(rng, *one)}),
    ]


def at_zero(student: Callable[..., Any], rng: np.random.Generator, sizes: int) -> tuple[str, dict[str, Any]] | None:
    """Where x is 0, every number from 0 to dout is accepted, and nothing else is."""
    shape = SIZES[sizes][0]
    x, dout = _quarters(rng, *shape), _quarters(rng, *shape)
    x[0, 1:3] = 0.0, -0.0
    outcome = call(student, {"dout": dout.copy(), "x": x.copy()})
    if outcome.error is not None or np.shape(outcome.value) != shape:
        return "not at zero", {"yours": outcome.says or "another shape", "right": "0"}
    for at in ((0, 1), (0, 2)):
        if not 0 <= outcome.value[at] / dout[at] <= 1:
            return "not at zero", {"yours": f"{outcome.value[at]:.6g}", "right": "0"}
    return None


def _quarters(rng: np.random.Generator, *shape: int) -> Array:
    """Multiples of 1/4 from -4 to 4, no two equal and none 0, in random order."""
    return _some(rng, [quarter / 4 for quarter in range(-16, 17) if quarter], shape)


def _tenths(rng: np.random.Generator, *shape: int) -> Array:
    """Multiples of 1/10 from -0.9 to 0.9, no two equal and none 0, in random order."""
    return _some(rng, [tenth / 10 for tenth in range(-9, 10) if tenth], shape)


def _some(rng: np.random.Generator, values: list[float], shape: tuple[int, ...]) -> Array:
    return rng.choice(values, int(np.prod(shape)), replace=False).reshape(shape)


def _scales(rng: np.random.Generator, *shape: int) -> Array:
    """Numbers of both signs from thousandths to hundreds."""
    return rng.choice([-1.0, 1.0], shape) * 10 ** rng.uniform(-3, 3, shape)


COUNTED = "counted in public solutions"
E02 = Exercise("E02", "the slopes of ReLU and tanh", "01", 15, (
    Function("relu_backward", relu_backward, ("dx",), relu_probes, (
        Mistake("lets all through", lets_all_through, "iamtrask/Grokking-Deep-Learning#13"),
        Mistake("looks at dout", looks_at_dout, "inferred"),
        Mistake("looks at both", looks_at_both, "inferred"),
        Mistake("without dout", without_dout, "inferred"),
        Mistake("times the output", times_the_output, "dragen1860/Deep-Learning-with-TensorFlow-book#217"),
        Mistake("lets the others through", lets_the_others_through, "inferred"),
        Mistake("forward again", forward_again, "inferred"),
        Mistake("times x", times_x, "inferred"),
        Mistake("by its sign", by_its_sign, "inferred"),
        Mistake("leaky", leaky, "inferred"),
        Mistake("above one", above_one, "inferred"),
        Mistake("exchanged", exchanged, "inferred"),
        Mistake("one sign an image", one_sign_an_image, "inferred"),
        Mistake("number for the mask/clip", _number_for_the_mask(lambda x: np.clip(x, 0, 1)), "inferred"),
        Mistake("number for the mask/ceil", _number_for_the_mask(lambda x: np.ceil(np.maximum(x, 0))), "inferred"),
        Mistake("number for the mask/round", _number_for_the_mask(lambda x: np.clip(np.round(x), 0, 1)), "inferred"),
        Mistake("number for the mask/sigmoid", _number_for_the_mask(lambda x: 1 / (1 + np.exp(-x))), "inferred"),
        Mistake("number for the mask/tanh", _number_for_the_mask(lambda x: np.tanh(np.maximum(x, 0))), "inferred"),
        Mistake("not at zero", lambda dout, x: dout * (x / np.abs(x) + 1) / 2, "inferred"),
    ), linear=("dout",), judge=at_zero, seen={"input changed dout": (34, 135), "input changed x": (6, 135)}),
    Function("tanh_backward", tanh_backward, ("dx",), tanh_probes, (
        Mistake("out taken for x", out_taken_for_x, "scikit-learn/scikit-learn#14244"),
        Mistake("slope alone", slope_alone, "inferred"),
        Mistake("no square", no_square, "inferred"),
        Mistake("of the sigmoid", of_the_sigmoid, "inferred"),
        Mistake("square alone", square_alone, "inferred"),
        Mistake("plus", plus, "inferred"),
        Mistake("no parentheses", no_parentheses, "inferred"),
        Mistake("square of the bracket", square_of_the_bracket, "inferred"),
        Mistake("doubled and not squared", doubled_and_not_squared, "inferred"),
        Mistake("slope at dout", slope_at_dout, "inferred"),
        Mistake("square of dout", square_of_dout, "inferred"),
        Mistake("root", root, "inferred"),
        Mistake("sigmoid of out", sigmoid_of_out, "inferred"),
        Mistake("slope of out alone", slope_of_out_alone, "inferred"),
        Mistake("of relu", of_relu, "inferred"),
    ), linear=("dout",)),
))  # fmt: skip
