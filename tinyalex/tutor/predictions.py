"""Predictions: before a lesson shows a number you write down what you expect. The number itself is computed, not stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyalex.errors import ShapeError, require_choice, require_float

Array = npt.NDArray[np.float64]

_guesses: dict[str, float] = {}


@dataclass(frozen=True)
class Prediction:
    """A question with a number for an answer.

    question: what is asked, with its unit. answer: computes the number. means: what the number says.
    """

    question: str
    answer: Callable[[], float]
    means: str


def _slope_of_the_difference() -> float:
    return float(((1 + 0.1) ** 3 - (1 - 0.1) ** 3) / (2 * 0.1))


def _dead_units() -> float:
    x = np.random.default_rng(0).standard_normal(100_000)
    return float(100 * (x <= 0).mean())


def _shared() -> float:
    x, h = 3.0, 1e-6
    return float(((x + h) * (x + h) - (x - h) * (x - h)) / (2 * h))


def _conv1_columns() -> float:
    return 11 * 11 * 3 * 55 * 55 / (224 * 224 * 3)


def _conv1_windows() -> float:
    return float(1 + -(-(224 - 11) // 4))


def _most_copies() -> float:
    copies = np.zeros((6, 8))
    for top, left in np.ndindex(2, 3):
        copies[2 * top : 2 * top + 3, 2 * left : 2 * left + 4] += 1
    return float(copies.max())


def _seen_twice() -> float:
    reads = np.zeros(55, int)
    for start in range(0, 53, 2):
        reads[start : start + 3] += 1
    return float(100 * (np.multiply.outer(reads, reads) > 1).mean())


def _winners_of_noise(maps: int = 40) -> tuple[npt.NDArray[np.int64], Array]:
    """Noise of 55 x 55 pixels pooled with kernel 3 and stride 2: which pixel won each window, and a random gradient of the window."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((maps, 55, 55))
    seen = np.lib.stride_tricks.sliding_window_view(noise, (3, 3), (1, 2))[:, ::2, ::2].reshape(maps, 27, 27, 9)
    i, j = np.divmod(seen.argmax(axis=-1), 3)
    line, column = 2 * np.arange(27)[:, None] + i, 2 * np.arange(27) + j
    return (np.arange(maps)[:, None, None] * 55 + line) * 55 + column, rng.standard_normal((maps, 27, 27))


def _won_twice() -> float:
    wins = np.bincount(_winners_of_noise()[0].ravel())
    return float(100 * (wins > 1).sum() / (wins > 0).sum())


def _lost_by_overwriting() -> float:
    winner, dout = _winners_of_noise()
    right, wrong = np.zeros((2, winner.max() + 1))
    np.add.at(right, winner, dout)
    wrong[winner] = dout
    return float(100 * np.linalg.norm(right - wrong) / np.linalg.norm(right))


def _lrn_alone() -> float:
    return float(10.0 / (2 + 1e-4 * 10.0**2) ** 0.75)


def _chance_loss() -> float:
    return float(np.log(1000))


def _steady_velocity() -> float:
    v = 0.0
    for _ in range(1000):
        v = 0.9 * v + 1
    return v


def _ten_steps_after_the_cut() -> float:
    v, paper = 10.0, 0.0  # the steady velocity, in units of the old rate
    for _ in range(10):
        v = 0.9 * v + 0.1
        paper += v
    return paper / (10 * 10 * 0.1)


def _last_ten_gradients() -> float:
    return float(100 * (0.9 ** np.arange(10)).sum() / (0.9 ** np.arange(1000)).sum())


def _masks() -> float:
    return float(len(str(2**4096)))


def _pieces() -> float:
    return float(sum(2 for _ in np.ndindex(256 - 224 + 1, 256 - 224 + 1)))


def _geometric_and_halved() -> float:
    rng = np.random.default_rng(8)
    h, weight = np.abs(rng.standard_normal(10)), rng.standard_normal((5, 10))
    masks = ((np.arange(1024)[:, None] >> np.arange(10)) & 1).astype(np.float64)

    def answers(outputs: Array) -> Array:
        p = np.exp(outputs @ weight.T)
        return np.asarray(p / p.sum(axis=-1, keepdims=True), np.float64)

    geometric = np.exp(np.log(answers(masks * h)).mean(axis=0))
    return round(100 * float(np.abs(geometric / geometric.sum() - answers(0.5 * h)).max()), 9)


def _eigenvalue_for_its_root() -> float:
    return float(0.1 * 121.78006099**2)  # the largest deviation of ImageNet's colors in cuda-convnet2


def _fc_share() -> float:
    fc = 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    return 100 * fc / 60_965_224


def _sent_bytes() -> float:
    return 234_496 / (224 * 224 * 3)


PREDICTIONS = {
    "00-a": Prediction("The centered difference of x**3 at x = 1 with h = 0.1: which number comes out, where the slope is 3?",
                       _slope_of_the_difference, "The error is h**2 times a sixth of the third derivative: 0.01."),
    "01-a": Prediction("ReLU on 100,000 numbers from a normal distribution with mean 0: how many percent are zero afterwards?",
                       _dead_units, "Half of a distribution around zero is negative."),
    "02-a": Prediction("y = x * x with x = 3, where x is used twice: what is the slope of y?",
                       _shared, "Each use sends back 3, and a gradient adds where a value is used more than once."),
    "03-a": Prediction("All windows of conv1, written out as columns, hold how many times as many numbers as the 224 x 224 image?",
                       _conv1_columns, "Windows of 11 with stride 4 overlap, so that most pixels are written several times."),
    "03-b": Prediction("An image 224 pixels wide, a kernel of 11 and a stride of 4: how many windows side by side has conv1 in the paper?",
                       _conv1_windows, "(224 - 11) / 4 + 1 is 54.25. The program of 2012 rounds up, and reads zeros beyond the edge."),
    "03-c": Prediction("An image of ones, 6 x 8, kernel 3 x 4, stride 2: what is the largest number in col2im(im2col(image))?",
                       _most_copies, "col2im adds what im2col copied, so each pixel comes back once for every window that sees it."),
    "04-a": Prediction("Pooling 55 x 55 with kernel 3 and stride 2: how many percent of the pixels lie in two windows or more?",
                       _seen_twice, "So many pixels may win more than once, and then their gradients add."),
    "04-b": Prediction("Noise of 55 x 55 pixels, the same pooling: of the pixels that win a window, how many percent win two or more?",
                       _won_twice, "A large number wins wherever it is seen. Each further win brings one more gradient."),
    "04-c": Prediction("Windows that overwrite with = where they should add with +=: how many percent of the gradient (its norm) is lost?",
                       _lost_by_overwriting, "What is lost are the gradients of all windows but one, at the pixels that matter most."),
    "05-a": Prediction("Response normalization (k = 2, alpha = 1e-4, beta = 0.75) of an activity of 10 alone: what is left?",
                       _lrn_alone, "With these constants k does nearly all of it: even a strong unit is hardly damped by itself."),
    "06-a": Prediction("A net that guesses among 1,000 classes, all alike: what is its cross-entropy loss?",
                       _chance_loss, "It is log(1000). A first loss far from it means that something is scaled badly."),
    "07-a": Prediction("Momentum 0.9, and a gradient that stays 1: to how many times the learning rate does the velocity grow, in size?",
                       _steady_velocity, "1 / (1 - 0.9): momentum multiplies a steady step by ten."),
    "07-b": Prediction("The rate is divided by 10. In the next ten steps, how many times as far goes the paper's form as PyTorch's form?",
                       _ten_steps_after_the_cut, "In the paper each old gradient keeps the rate of its own step, and fades slowly."),
    "07-c": Prediction("Momentum 0.9, and a gradient that stays 1: how many percent of the velocity come from the last ten gradients?",
                       _last_ten_gradients, "1 - 0.9**10. The other third is older."),
    "08-a": Prediction("How many digits has the number of different dropout masks of one layer of 4,096 units?",
                       _masks, "Two to the power of 4,096: more nets than could ever be trained."),
    "08-b": Prediction("Pieces of 224 x 224 out of an image of 256 x 256, each also mirrored: how many different ones are there?",
                       _pieces, "33 places in each direction, and two reflections. The paper says 2,048, which is 32 * 32 * 2."),
    "08-c": Prediction("10 hidden units, 1,024 masks: how far is the geometric mean of all nets from the halved net, in percentage points?",
                       _geometric_and_halved, "Nothing at all: the logits are linear in the mask, so the halved net is this mean."),
    "08-d": Prediction("Color noise with the eigenvalue, as the paper's text says: by how many gray levels do ImageNet's pixels move?",
                       _eigenvalue_for_its_root, "An eigenvalue is a variance. Its root gives 12 gray levels, as in the authors' program."),
    "09-a": Prediction("How many percent of AlexNet's 61 million parameters are in its three fully connected layers?",
                       _fc_share, "Nearly all of the parameters, and hardly a tenth of the multiplications."),
    "10-a": Prediction("How many bytes cross between the two cards for each byte of the image, forward?",
                       _sent_bytes, "The cards meet in conv3, fc6 and fc7 and at the end, and nowhere else."),
}  # fmt: skip


def predict(name: str, guess: float) -> None:
    """Write down what you expect; `reveal` shows it beside the number.

    name: such as "04-a". guess: a number.
    """
    require_choice("predict", "name", name, tuple(PREDICTIONS))
    _guesses[name] = require_float("predict", "guess", guess, "a finite number", np.isfinite)
    print(f"{PREDICTIONS[name].question}\nYou expect {guess:g}. When you have thought about it: reveal({name!r})")


def reveal(name: str) -> float:
    """Print the number beside your guess, and return it.

    Raises
    ------
    ShapeError: nothing was predicted: a number that was only read is soon forgotten.
    """
    one = PREDICTIONS[require_choice("reveal", "name", name, tuple(PREDICTIONS))]
    if name not in _guesses:
        raise ShapeError(f"reveal: {name} must be predicted first, got no guess", f"predict({name!r}, your_number)")
    answer = one.answer()
    print(f"{one.question}\nYou expected {_guesses[name]:g}; it is {answer:.4g}.\n{one.means}")
    return answer
