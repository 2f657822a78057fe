"""The questions of the lessons that have a number for an answer. The number is computed, not stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


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


def _error_of_the_difference(h: float) -> float:
    """How far the centered difference of sin at 1 is from cos(1)."""
    return float(abs((np.sin(1 + h) - np.sin(1 - h)) / (2 * h) - np.cos(1.0)))


def _power_of_the_error() -> float:
    return float(np.log10(_error_of_the_difference(1e-5)))


def _best_power() -> float:
    return -float(1 + np.argmin([_error_of_the_difference(10.0**-power) for power in range(1, 16)]))


def _dead_units() -> float:
    x = np.random.default_rng(0).standard_normal(100_000)
    return float(100 * (x <= 0).mean())


def _parts_of_a_slope() -> float:
    x = np.linspace(-5, 5, 1001)
    out = 1 / (1 + np.exp(-x))
    return float((1 / (out * (1 - out)).max()) ** 8)


def _shared() -> float:
    x, h = 3.0, 1e-6
    return float(((x + h) * (x + h) - (x - h) * (x - h)) / (2 * h))


def _cost_of_backward(n: int = 7, c: int = 5, k: int = 4) -> float:
    forward, dx, dweight = n * k * c, n * c * k, k * c * n
    return (dx + dweight) / forward


def _last_use(x: float = 2.0) -> float:
    dx = 0.0
    for sent_back in (x, x, 3.0):
        dx = sent_back
    return dx


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


def _window_sums(a: Array) -> Array:
    """The sums over the windows of five channels on axis 1, which end at the first and the last channel."""
    return np.stack([a[:, max(0, i - 2) : i + 3].sum(axis=1) for i in range(a.shape[1])], axis=1)


def _lrn_factor(std: float) -> float:
    a = std * np.random.default_rng(0).standard_normal((2000, 96))
    return float(np.median((2 + 1e-4 * _window_sums(a * a)) ** -0.75))


def _cross_term_missing() -> float:
    a, dout = np.random.default_rng(0).standard_normal((2, 2000, 96))
    scale = 2 + 1e-4 * _window_sums(a * a)
    direct = dout * scale**-0.75
    cross = 2 * 1e-4 * 0.75 * a * _window_sums(direct * a / scale)
    return float(100 * np.linalg.norm(cross) / np.linalg.norm(direct - cross))


def _chance_loss() -> float:
    return float(np.log(1000))


def _three_classes() -> Array:
    e = np.exp([2.0, 0.5, -3.0])
    return np.asarray(e / e.sum(), np.float64)


def _loss_of_three() -> float:
    return float(-np.log(_three_classes()[0]))


def _slope_of_three() -> float:
    return float(_three_classes()[0] - 1)


def _hopeless() -> float:
    z = np.array([10_000.0, 0.0])
    return float(z.max() + np.log(np.exp(z - z.max()).sum()) - z[1])


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


def _alexnet() -> tuple[Array, Array]:
    """The weights of AlexNet's five convolutions and three fully connected layers, and how often each weight is used for an image."""
    channels, filters, kernel = np.array([3, 48, 256, 192, 192]), np.array([96, 256, 384, 384, 256]), np.array([11, 5, 3, 3, 3])
    full = np.array([9216 * 4096, 4096 * 4096, 4096 * 1000])
    side = np.array([55, 27, 13, 13, 13, 1, 1, 1])
    return np.append(filters * channels * kernel**2, full).astype(float), side.astype(float) ** 2


def _fc_share() -> float:
    parameters = _alexnet()[0] + [96, 256, 384, 384, 256, 4096, 4096, 1000]
    return float(100 * parameters[5:].sum() / parameters.sum())


def _conv_share() -> float:
    macs = np.multiply(*_alexnet())
    return float(100 * macs[:5].sum() / macs.sum())


def _field_of_pool5() -> float:
    size, jump = 1, 1
    for kernel, stride in ((11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)):
        size, jump = size + (kernel - 1) * jump, stride * jump
    return float(size)


def _link_bytes() -> dict[str, int]:
    """Bytes of float32 that both cards together would send in front of a layer that reads both halves, for one image, forward."""
    numbers = {"conv2": 96 * 27 * 27, "conv3": 256 * 13 * 13, "conv4": 384 * 13 * 13, "conv5": 384 * 13 * 13}
    return {name: 4 * n for name, n in (numbers | {"fc6": 256 * 6 * 6, "fc7": 4096, "fc8": 2048}).items()}


def _sent_bytes() -> float:
    sent = _link_bytes()
    return sum(sent[name] for name in ("conv3", "fc6", "fc7", "fc8")) / (224 * 224 * 3)


def _all_links() -> float:
    return sum(_link_bytes().values()) / (224 * 224 * 3) / _sent_bytes()


def _not_sent_back() -> float:
    own, other = np.random.default_rng(0).standard_normal((2, 100_000))
    return float(100 * np.linalg.norm(other) / np.linalg.norm(own + other))


PREDICTIONS = {
    "00-a": Prediction("The centered difference of x**3 at x = 1 with h = 0.1: which number comes out, where the slope is 3?",
                       _slope_of_the_difference, "The error is h**2 times a sixth of the third derivative: 0.01."),
    "00-b": Prediction("The centered difference of sin at x = 1 with h = 1e-5: its error is about 10 to which power?",
                       _power_of_the_error, "h**2 / 6 and 1e-16 / h, from rounding, are both about 1e-11: ten digits are right."),
    "00-c": Prediction("The same with h = 0.1, 0.01 and so on to 1e-15: 10 to which power is the best of these steps?",
                       _best_power, "Below about 1e-5 the differences are so small that mostly rounding errors are left of them."),
    "01-a": Prediction("ReLU on 100,000 numbers from a normal distribution with mean 0: how many percent are zero afterwards?",
                       _dead_units, "Half of a distribution around zero is negative."),
    "01-b": Prediction("A net with small random weights chooses among 10 classes: what is its loss before it has learned anything?",
                       lambda: float(np.log(10)), "Each class gets a probability of about 1/10, and -log(1/10) is 2.303."),
    "01-c": Prediction("A slope goes back through 8 sigmoids. At most one part in how many is left of it?",
                       _parts_of_a_slope, "The slope of a sigmoid is at most 1/4, and 4 to the power of 8 is 65,536."),
    "02-a": Prediction("y = x * x with x = 3, where x is used twice: what is the slope of y?",
                       _shared, "Each use sends back 3, and a gradient adds where a value is used more than once."),
    "02-b": Prediction("A fully connected layer: backward (dx, dweight, dbias) multiplies how many times as often as forward?",
                       _cost_of_backward, "One product forward, two of the same size backward, however many weights there are."),
    "02-c": Prediction("y = x * x + 3 * x at x = 2. Each use of x, from left to right, writes dx = ..., and does not add. What is left?",
                       _last_use, "The last use alone. The right slope is 2 + 2 + 3 = 7: each use adds its part."),
    "03-a": Prediction("im2col writes out all windows of conv1: how many numbers does it write for each number of the 224 x 224 image?",
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
    "05-b": Prediction("Noise of standard deviation 1 in 96 channels, the same constants: what is the median of output over input?",
                       lambda: _lrn_factor(1), "The squares are too small for alpha = 0.0001. Only k is left: 2 to the power of -0.75."),
    "05-c": Prediction("The same noise with standard deviation 100: what is the median of output over input?",
                       lambda: _lrn_factor(100), "AlexNet's first layer reaches this scale. The squares matter more than k."),
    "05-d": Prediction("Standard deviation 1, and the cross term is forgotten: by how many percent (its norm) is the gradient wrong?",
                       _cross_term_missing, "So little that a loose gradient check passes it. At standard deviation 100 it is 44 percent."),
    "06-a": Prediction("A net that guesses among 1,000 classes, all alike: what is its cross-entropy loss?",
                       _chance_loss, "It is log(1000). A first loss far from it means that something is scaled badly."),
    "06-b": Prediction("Three classes with the logits 2, 0.5 and -3, and the first one is right: what is the loss?",
                       _loss_of_three, "The softmax gives the first class 0.813, and the loss is minus the natural logarithm of this."),
    "06-c": Prediction("The same three: what is the slope of the loss with respect to the first logit?",
                       _slope_of_three, "What the net said minus what is true: 0.813 - 1."),
    "06-d": Prediction("Two classes with the logits 10,000 and 0, and the second one is right: what is the loss?",
                       _hopeless, "The distance between the logits. A program that computes exp(10000) gets infinity or NaN here."),
    "07-a": Prediction("Momentum 0.9, and a gradient that stays 1: how many times as large as the learning rate does the velocity become?",
                       _steady_velocity, "1 / (1 - 0.9): momentum multiplies a steady step by ten."),
    "07-b": Prediction("The rate is divided by 10. The paper's form goes how many times as far as PyTorch's form, in the next ten steps?",
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
    "09-b": Prediction("How many percent of AlexNet's multiplications are in its five convolutions?",
                       _conv_share, "A convolution uses a weight in every window, a fully connected layer uses it once."),
    "09-c": Prediction("On how many of the 224 pixels of a line does one number of AlexNet's last pooling layer depend?",
                       _field_of_pool5, "No kernel is larger than 11, but strides multiply, and with them grows what a number sees."),
    "10-a": Prediction("How many bytes cross between the two cards for each byte of the image, forward?",
                       _sent_bytes, "The cards meet in conv3, fc6 and fc7 and at the end, and nowhere else."),
    "10-b": Prediction("If conv2, conv4 and conv5 read both cards too: how many times as many bytes would cross?",
                       _all_links, "The maps in front of conv2 are large: this link alone would send more than the paper's four together."),
    "10-c": Prediction("Neither card sends back the gradient of what it received: how many percent of the gradient's norm are lost?",
                       _not_sent_back, "Half of the square. Nothing stops, and the loss still falls, so the mistake is easily overlooked."),
}  # fmt: skip
