"""The planted bugs. Each is a small edit of the right run: a class of the engine with one method changed, or a setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lessons.wall.run import BATCH, GUESS, SEED, STEPS, Curve, Run, Set
from tinyalex.devices import Array, Scratch
from tinyalex.geometry import Windows
from tinyalex.init import Constant, Gaussian
from tinyalex.layers import MaxPool2d, ReLU
from tinyalex.layers.columns import cells, unpadded
from tinyalex.layers.pool import max_pool
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.optim import SGD

RIGHT = Run()


@dataclass(frozen=True)
class Twin:
    """A run whose curve cannot be told from that of a bug. name: of the run, with a small first letter. told: what tells them apart."""

    name: str
    run: Run
    told: str


@dataclass(frozen=True)
class Bug:
    """A planted bug.

    key: a word for files and tests. name: what is wrong. run: the right run with the bug in it.
    shows: what the curve shows, a sentence.
    holds: whether a curve shows it, given the right run's; false for every other curve of the wall.
    why: the reason, in two or three sentences. like: the keys of the two bugs that it is easily taken for.
    sure: the check that separates it from these.
    heard: what is to be said of the Trainer's own words. twin: a run that has the same curve; None where we know none.
    """

    key: str
    name: str
    run: Run
    shows: str
    holds: Callable[[Curve, Curve], bool]
    why: str
    like: tuple[str, str]
    sure: str
    heard: str
    twin: Twin | None = None


class SumLoss(SoftmaxCrossEntropy):
    """The sum over the batch in place of the mean, forward and backward."""

    def forward(self, logits: Array, labels: Any, *, train: bool = False) -> Array:
        return super().forward(logits, labels, train=train) * np.float32(len(logits))

    def backward(self) -> Array:
        mean = super().backward()
        return mean * np.float32(len(mean))


class OpenReLU(ReLU):
    """The gradient also passes where the input was negative."""

    def derivative(self, out: Array, dx: Array, scratch: Scratch) -> None:
        dx.fill(1)


def overwrites(dout: Array, winner: Array, windows: Windows, xp: Any = np) -> Array:
    """`max_pool_backward` with `=` in place of `+=`: a pixel that won several windows keeps only the gradient of the last one."""
    dsheet = xp.zeros((*dout.shape[:2], *windows.sheet), dout.dtype)
    for i, j, at in cells(windows):
        dsheet[at] = xp.where(winner == i + windows.kernel[0] * j, dout, dsheet[at])
    return unpadded(dsheet, windows, xp)


class OverwritingPool(MaxPool2d):
    """Max pooling whose backward overwrites."""

    plain = (max_pool, overwrites)


class KeepingSGD(SGD):
    """The gradients are not set to zero after a step: each step uses the sum of all gradients so far."""

    def step(self) -> None:
        total: dict[str, Array] = self.__dict__.setdefault("total", {})
        for leaf in self.net.leaves():
            for key, grad in leaf.grads.items():
                name = f"{leaf.name}.{key}"
                grad += total.get(name, 0)
                total[name] = grad.copy()
        super().step()


def shuffled(data: Set) -> Set:
    """The labels in a random order, the images in their own."""
    return data[0], data[1][np.random.default_rng(0).permutation(len(data[1]))]


def next_label(data: Set) -> Set:
    """Every label is one too large; the largest becomes 0."""
    return data[0], (data[1] + 1) % (data[1].max() + 1)


def one_batch(data: Set) -> Set:
    """The first batch, as often as there are batches."""
    times = len(data[1]) // BATCH
    return np.concatenate([data[0][:BATCH]] * times), np.concatenate([data[1][:BATCH]] * times)


def by_label(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The order of the labels."""
    return np.argsort(labels, kind="stable")


def whole(curve: Curve) -> bool:
    """Whether the run came to its end."""
    return len(curve.loss) == STEPS


def end(curve: Curve) -> npt.NDArray[Any]:
    """The losses of the last quarter."""
    return curve.loss[-STEPS // 4 :]


def settled(curve: Curve) -> bool:
    """Whether all losses of the second half are within 0.03 of a guess's."""
    return whole(curve) and bool((np.abs(curve.loss[STEPS // 2 :] - GUESS) < 0.03).all())


def same_loss(curve: Curve, right: Curve) -> bool:
    """Whether every step has the loss of the right run."""
    return bool(np.array_equal(curve.loss, right.loss))


BUGS = (
    Bug(
        "rate", "The learning rate is ten times too high", replace(RIGHT, lr=10 * RIGHT.lr),
        "The loss begins at ln 10, jumps up within the first steps, and then stays near ln 10 for ever. It never lies still.",
        lambda c, r: whole(c) and c.loss[0] < 2.4 < c.loss[:20].max() and 2.2 < end(c).mean() < 2.6
        and end(c).std() > 0.012 and c.train_error[0] < 0.945,
        "The steps jump over the valley, until the ReLUs of a hidden layer land where they are 0 for every image. No gradient passes a "
        "dead "
        "ReLU, so what is left is the bias of the last layer. It is thrown about by each batch, because its steps are too long as well.",
        ("bias", "dead"),
        "Train again from the same first weights with a tenth of the rate. Only this run is mended by it. The other two stay at ln 10.",
        "It is right about the dead units and about the remedy, a lower rate.",
    ),
    Bug(
        "batch", "Every step sees the same batch", replace(RIGHT, train=one_batch),
        "The training error falls toward 0, much sooner than in the right run, and the test error hardly moves.",
        lambda c, r: whole(c) and c.train_error.min() < 0.12 and c.test_error.min() > 0.6,
        "The loader begins each epoch anew and never gets past its first 60 images. The net learns these by heart. With 600 images the "
        "right run needs longer, and its test error falls with its training error.",
        ("test", "labels"),
        "Count the different images of an epoch: `len(np.unique(images, axis=0))` of all batches must be the number of training images.",
        "It looks at the training loss only, and that is very good.",
    ),
    Bug(
        "dead", "All ReLUs are dead", replace(RIGHT, bias=Constant(-3.0)),
        "The loss lies at ln 10 from the first step to the last, within 0.03. It does not even jump.",
        lambda c, r: settled(c) and bool((np.abs(c.loss - GUESS) < 0.03).all()),
        "The first biases of the hidden layers are -3, so that nearly all inputs of the ReLUs are negative, and those of relu2 all of "
        "them. What reaches the output says nothing of the image. Only the last bias learns, and the best it can say is how frequent "
        "each class is.",
        ("bias", "rate"),
        "Before the first step, pass one batch forward and count the outputs of each ReLU above 0. Here relu2 has "
        "none at all. In the other two runs the units die only later.",
        "It is right about the dead units, about what keeps them dead, and about the remedy. A lower rate would not wake units that were "
        "never awake.",
        Twin(
            "all weights of the hidden layers are zero", replace(RIGHT, weight=Constant(0.0)),
            "Print a weight: there it is 0, here it is not. Of that run the Trainer says so itself, of this one that the biases are -2.9.",
        ),
    ),
    Bug(
        "sum", "The loss is not divided by N", replace(RIGHT, loss=SumLoss),
        "The loss begins at N times ln 10, here 60 times 2.3 = 138, before anything was learned.",
        lambda c, r: abs(c.loss[0] / BATCH - GUESS) < 0.1,
        "The sum over the batch is N times the mean, and so is its gradient. The run has a rate that is 60 times too high, and its ReLUs "
        "die in the first steps.",
        ("zero", "rate"),
        "Look at the very first loss, which no rate and no gradient has touched yet: a net that knows nothing must begin at ln 10. Or "
        "double the batch: a mean stays, a sum doubles.",
        "It is right about the dead units. It compares a sum with the mean of a guess, and cannot know that.",
    ),
    Bug(
        "momentum", "The momentum is lost", replace(RIGHT, momentum=0.0),
        "The loss falls from the start, smoothly, and far too slowly. Training and test error fall together.",
        lambda c, r: whole(c) and 1.7 < end(c).mean() < 2.26 and c.loss.max() < 2.37 and c.test_error[-1] < 0.79,
        "With momentum 0.9 a steady gradient makes steps of 1 / (1 - 0.9) = 10 times the rate, as lesson 07 shows. Without it the net "
        "walks a tenth as far in the same time.",
        ("labels", "rate"),
        "Give the optimizer the same gradient twice. The second step must be 1.9 times the first; here both are equal. With shuffled "
        "labels the test error would not fall, and a rate that is too high is not smooth.",
        "It is silent at the end, because the net is better than a guess by then.",
        Twin(
            "the learning rate is ten times too low", replace(RIGHT, lr=RIGHT.lr / 10),
            "Print the rate, or give the optimizer the same gradient twice: there the second step is 1.9 times the first.",
        ),
    ),
    Bug(
        "zero", "The gradients are not set to zero", replace(RIGHT, sgd=KeepingSGD),
        "The loss begins at ln 10, and then climbs in ever larger waves.",
        lambda c, r: len(c.loss) > 75 and c.loss[0] < 2.4 and end(c).mean() > 5,
        "Each step adds all gradients of the past, and these never fade. It is a momentum of 1 on top of the other: the weights run "
        "past the valley, are called back too late, and run past it farther on the other side.",
        ("sum", "rate"),
        "Take two steps with a rate of 0, the same batch and no dropout. The optimizer must use equal gradients in both. Here the second "
        "is twice "
        "the first.",
        "It is right about the dead units. The lower rate that it proposes only makes the waves slower: with a tenth the loss ends at 2.5.",
    ),
    Bug(
        "order", "The images come sorted by class", replace(RIGHT, order=by_label),
        "The loss has teeth, one for each new class, and the training error of the first epoch is far above that of a guess.",
        lambda c, r: whole(c) and c.train_error[0] > 0.945 and c.loss[:10].max() > 2.5,
        "Each batch holds one class. The net learns to say this class whatever it sees, and then the next batch holds another one. The "
        "error of a guess is 90 %; here it is near 100 % at first, because the net bets on the class that has just ended.",
        ("rate", "labels"),
        "Print the labels of the first batch. Nothing else is needed.",
        "It is right. It looks at the labels of each batch, in the order in which they come.",
    ),
    Bug(
        "bias", "The first biases are 1, and the first weights small", replace(RIGHT, weight=Gaussian(0.01), bias=Constant(1.0)),
        "The loss rises a little in the first ten steps, comes back to ln 10, and from then on lies still.",
        lambda c, r: settled(c) and c.loss[:20].max() > GUESS + 0.05,
        "With the paper's weights of 0.01 the images change the hidden outputs far less than the biases do, so every image gives nearly "
        "the same "
        "outputs. Then all images pull the units the same way. The first steps push the last hidden layer below 0 as a whole, and it dies. "
        "The paper's inputs of 0 to 255 are much larger than ours, and its rate is a sixth of ours.",
        ("dead", "rate"),
        "Before the first step, compare the outputs of fc3 for ten images. Here they differ by a twentieth of a percent. All of them "
        "are above 0, so no unit is dead yet.",
        "It is right that the units of relu3 are dead, and does not see why they died. Asked before the first step, it says that the "
        "outputs of conv2 hardly differ from image to image, and asks for larger weights or pixels of 0 to 255. That is the cause.",
    ),
    Bug(
        "pool", "Pooling's backward has = in place of +=", replace(RIGHT, pool=OverwritingPool, pooling="plain"),
        "Nothing. The curve is a good one, only not the right one to the last digit.",
        lambda c, r: whole(c) and not same_loss(c, r) and end(c).mean() < 1.6 and c.test_error[-1] < 0.6,
        "Windows of 3 with stride 2 overlap, and a pixel that wins in two of them keeps one gradient and loses the other. What is left "
        "still points downhill. A net learns with a gradient that is roughly right, so a curve does not prove a gradient.",
        ("momentum", "test"),
        "The gradient check, with windows that overlap: `tinyalex gradcheck --layer MaxPool2d` for the engine, lesson 04 for your own. A "
        "curve "
        "cannot do it.",
        "From outside nothing can be said.",
        Twin("the right run, with another seed", replace(RIGHT, seed=SEED + 1), "The gradient check tells them apart."),
    ),
    Bug(
        "labels", "The labels are shuffled against the images", replace(RIGHT, train=shuffled),
        "The training loss falls a little, and late. The test error stays near that of a guess.",
        lambda c, r: whole(c) and 1.9 < end(c).mean() < 2.25 and c.train_error[-1] < 0.85 and c.test_error.min() > 0.79,
        "There is nothing in an image that tells its label, so the net can only learn image by image. It does: the training error falls, "
        "slowly. What it learns is of no use for other images.",
        ("momentum", "rate"),
        "Look at ten training images with their labels. Without eyes: fit a linear classifier to them, as `tinyalex/training/fits.py` "
        "does.",
        "It is silent at the end, because the training loss is better than that of a guess by then. Where it speaks, it tries the linear "
        "classifier itself.",
    ),
    Bug(
        "mask", "ReLU's mask is missing in backward", replace(RIGHT, relu=OpenReLU),
        "The run learns like the right one, and then explodes within a few steps.",
        lambda c, r: len(c.loss) < 75 and c.loss[:30].max() < 3 and c.loss.min() < 2.25,
        "Units whose output is 0 are pushed on, although the loss cannot answer: after 40 steps the lowest input of relu3 is several "
        "times as far below 0 as in the right run. The layers below learn for these units as well. Their weights grow, and in the end "
        "the outputs grow with them.",
        ("zero", "rate"),
        "The gradient check of ReLU with inputs of both signs. With positive inputs alone it passes.",
        "It stops the run, names the layer in which the first number broke, and proposes a lower rate. Within these 160 steps that hides "
        "the bug: with a tenth of the rate the run "
        "does not explode.",
    ),
    Bug(
        "test", "The labels of the test set are shifted by one", replace(RIGHT, test=next_label),
        "The training loss is the right one to the last digit. The test error rises above that of a guess.",
        lambda c, r: same_loss(c, r) and c.test_error.max() > 0.93,
        "The training is right. The better the net knows the classes, the more surely it says something else than the shifted label. An "
        "error above a guess's needs knowledge: who knows nothing is right in one of ten cases.",
        ("batch", "labels"),
        "Draw the table of true against said classes for the test images. All its weight lies beside the diagonal. Or compute the error of "
        "the training images by the function that is used for the test images.",
        "It looks at the training loss, which is right.",
    ),
)  # fmt: skip


def letter(bug: Bug) -> str:
    """A for the first curve of the wall, B for the second."""
    return "ABCDEFGHIJKL"[BUGS.index(bug)]
