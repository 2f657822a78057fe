"""What the engine does when it runs: planted inputs whose results show one number of the paper at a time. Nothing is trained."""

from __future__ import annotations

import argparse
import io
import math
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from tinyalex.analysis.nearest import Nearest
from tinyalex.commands import neighbors, predict
from tinyalex.data.augment import Crops
from tinyalex.data.color import IMAGENET_COLORS, color_axes
from tinyalex.data.imagenet.pictures import square
from tinyalex.layers import Dropout, Flatten, LocalResponseNorm, ReLU, Sequential, Sigmoid
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.variants import VARIANTS
from tinyalex.training.evaluate import evaluate
from tinyalex.training.recipes import recipe_of

Array = np.ndarray[Any, Any]
DRAWS = 100_000


def relu_of_negative() -> float:
    """The largest output of ReLU for inputs below 0."""
    return float(ReLU().forward(-np.arange(1.0, 9, dtype=np.float32)[None]).max())


def formula_of_sigmoid() -> tuple[float, float]:
    """c and p, where the sigmoid is (c + e^-x)^p."""
    x = np.array([[-30.0, 0.0]])
    far, middle = Sigmoid(dtype=np.float64).forward(x)[0]
    power = math.log(far) / 30
    return middle ** (1 / power) - 1, round(power, 12)


def _norm(variant: str) -> LocalResponseNorm:
    row = next(row for row in VARIANTS[variant].rows if row.kind == "norm")
    return LocalResponseNorm(**row.settings, name=row.name, dtype=np.float64)


def _root(activity: float, variant: str = "paper", beta: float = 1.0) -> float:
    """(a / b)^(1 / beta) for one activity a among 96 channels whose others are 0: where beta is the layer's, k + alpha a^2."""
    a = np.zeros((1, 96, 1, 1))
    a[0, 10] = activity
    return math.pow(activity / float(_norm(variant).forward(a)[0, 10, 0, 0]), 1 / beta)


def norm_beta() -> float:
    """beta: for large activities the divisor grows with their power 2 beta."""
    return math.log10(_root(1e12) / _root(1e11)) / 2


def norm_k() -> float:
    """k: what is left of the bracket where the activity is next to nothing."""
    return _root(1e-6, beta=norm_beta())


def norm_alpha(variant: str = "paper") -> float:
    """alpha: what an activity of 100 adds to the bracket, divided by its square."""
    return (_root(100.0, variant, norm_beta()) - _root(1e-6, variant, norm_beta())) / 1e4


def _moved(channel: int) -> Array:
    """The channels that have another output when the activity of one channel is moved."""
    a = np.ones((1, 96, 1, 1))
    before = _norm("paper").forward(a)
    a[0, channel] = 5
    return np.flatnonzero(_norm("paper").forward(a) != before)


def norm_n(channel: int = 10) -> int:
    """n: how many channels have another output when the activity of one channel is moved."""
    return len(_moved(channel))


def norm_reach() -> int:
    """How far the farthest of these channels is away."""
    return int(abs(_moved(10) - 10).max())


def _dropout() -> Dropout:
    row = next(row for row in VARIANTS["paper"].rows if row.kind == "dropout")
    return Dropout(**row.settings, name=row.name)


def dropped_share() -> float:
    """The share of 409,600 units that dropout sets to 0 in training."""
    return float((_dropout().forward(np.ones((100, 4096), np.float32), train=True) == 0).mean())


def kept_at_test() -> float:
    """What a unit of 1 becomes in testing."""
    return float(_dropout().forward(np.ones((1, 1), np.float32)).item())


def resized() -> tuple[int, int]:
    """Height and width of what becomes of a picture of 300 x 500 pixels."""
    width, height = _square(500, 300, 0).size
    return height, width


def shorter_side() -> float:
    """The pixels that the shorter side of a picture of 300 x 600 pixels becomes: twice the lines of its upper half."""
    picture = np.asarray(_square(600, 300, 150))
    return 2.0 * float((picture[:, 128, 0] > 127).sum())


def _square(width: int, height: int, white: int) -> Image.Image:
    """The square of a black picture whose uppermost lines are white."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:white] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return square(file.getvalue()).image


def _places() -> Array:
    """An image of 256 x 256 pixels that knows its places: line, column and 0."""
    line, column = np.mgrid[:256, :256]
    return np.stack([line, column, 0 * line])[None].astype(np.uint8)


def _crops(offsets: str) -> Crops:
    return Crops(np.zeros((3, 256, 256), np.float32), VARIANTS["paper"].input_size, offsets)


def crop_size() -> tuple[int, ...]:
    """Height and width of a random piece."""
    return tuple(_crops("paper")(_places(), np.random.default_rng(0)).shape[2:])


def pieces(offsets: str) -> int:
    """How many pieces an image has, with reflections: "paper" as it counts them, "code" as the authors' program cuts them."""
    return _crops(offsets).variants


def _views() -> list[tuple[int, int, bool]]:
    """Line, column and mirroring of each of the views in testing."""
    views = _crops("code").views(_places())
    return [(int(v[0, 0, 0]), int(v[1, 0].min()), bool(v[1, 0, 0] > v[1, 0, -1])) for v in views]


def views() -> int:
    """How many different views of an image are averaged in testing."""
    return len(set(_views()))


def views_not_mirrored() -> int:
    """How many of them are not mirrored."""
    return sum(not mirrored for _, _, mirrored in _views())


def corners() -> int:
    """How many of these lie in a corner of the image."""
    last = 256 - crop_size()[0]
    return sum(not mirrored and {line, column} <= {0, last} for line, column, mirrored in _views())


def _noisy() -> Crops:
    return Crops(np.zeros((3, 256, 256), np.float32), color=IMAGENET_COLORS, strength=recipe_of("paper").color_noise)


@cache
def _alphas() -> Array:
    """Random numbers alpha, each drawn by our recipe's noise and divided again by its axis's deviation, (N, 3)."""
    deviations, directions = IMAGENET_COLORS
    alphas: Array = _noisy().shifts(DRAWS, np.random.default_rng(0)) @ np.asarray(directions) / np.asarray(deviations)
    return alphas


def shifts_of_an_image() -> int:
    """How many different colors the noise makes of a black image."""
    noisy = _noisy()(np.zeros((1, 3, 256, 256), np.uint8), np.random.default_rng(0))[0]
    return len(np.unique(noisy.reshape(3, -1), axis=1).T)


def noise_deviation() -> tuple[float, ...]:
    """The standard deviations of alpha_1 to alpha_3."""
    return tuple(map(float, _alphas().std(axis=0)))


def noise_mean() -> tuple[float, ...]:
    """The means of alpha_1 to alpha_3."""
    return tuple(map(float, _alphas().mean(axis=0)))


def shift(by_eigenvalue: bool) -> float:
    """The standard deviation of the shift along the first axis in gray levels: with its deviation, or with its square, the eigenvalue."""
    deviation = max(IMAGENET_COLORS[0])
    return float(recipe_of("paper").color_noise * deviation ** (2 if by_eigenvalue else 1))


def axes() -> tuple[int, ...]:
    """The shape of the matrix of axes that are found for color images."""
    _, directions = color_axes(np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8))
    return tuple(directions.shape)


def ranks_that_count(error: str) -> int:
    """For how many ranks of the right label an image counts as right: for "error", top-1, and for "top5_error"."""
    net, logits = Sequential([Flatten()], in_shape=(20, 1, 1)), -np.arange(20, dtype=np.float32).reshape(1, 20, 1, 1)
    found = [evaluate(net, SoftmaxCrossEntropy(), [(logits, np.array([rank]))]) for rank in range(20)]
    return sum(getattr(one, error) == 0 for one in found)


def guesses() -> int:
    """How many classes `tinyalex predict` names for a picture."""
    return int(_default(predict, "top"))


def neighbors_found() -> int:
    """How many neighbors a search among 20 vectors finds with the default of `tinyalex neighbors`."""
    search = Nearest(np.eye(20)[:1], int(_default(neighbors, "nearest")))
    search.add(np.eye(20))
    return int(search.places.shape[1])


def queries_drawn() -> int:
    """How many test images `tinyalex neighbors` draws with their neighbors."""
    return neighbors.DRAWN


def _default(command: ModuleType, option: str) -> Any:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.get_default(option)
