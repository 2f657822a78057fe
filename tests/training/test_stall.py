"""Nets that do not begin to learn for a reason that was planted: the examination names the reason."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.data import Standardize, synthetic_dataset
from tinyalex.data.source import ArraySource
from tinyalex.errors import DataError
from tinyalex.models.options import alexnet
from tinyalex.training import Trainer, load_checkpoint, watch as watch_module
from tinyalex.training.checkpoint import checkpoint_files
from tinyalex.training.diagnose import entropy_of
from tinyalex.training.fits import labels_fit
from tinyalex.training.stall import are_mixed, examine, is_stalled
from tinyalex.training.watch import LOOK_EVERY, Watch

DATA = synthetic_dataset(600, 10)
LABELS = DATA.train_labels[:24]
PIXELS = np.repeat(np.repeat(DATA.train_images[:24], 3, axis=2), 3, axis=3)[:, :, :67, :67] - np.float32(120)  # of -120 to 135
UNIT = PIXELS / np.float32(60)
LOSS = ta.SoftmaxCrossEntropy()


def net(**options):
    return alexnet(**{"width": 1 / 8, "num_classes": 10, "input_size": 67, **options})


def good():
    return net(weight_std="fan-in", hidden_bias=0)


def dead():
    made = good()
    made["conv3"].params["bias"].fill(-1e3)
    return made


def empty():
    made = good()
    made["conv3"].params["weight"].fill(0)
    return made


def towers():
    return net(towers=2, devices="cpu:0,cpu:1")


@pytest.mark.parametrize(
    ("make", "x", "lr", "fits", "cause", "remedy"),
    [
        (net, PIXELS, 0.01, True, "the biases of conv2 are 1, larger than what the images add to them", "--hidden-bias 0.1"),
        (towers, PIXELS, 0.01, None, "the biases of conv2a are 1, larger than what the images add to them", "--hidden-bias 0.1"),
        (net, PIXELS / np.float32(255), 0.01, True, "the first weights are made for pixels of 0 to 255", "--pixels mean-image"),
        (dead, UNIT, 0.01, True, "the biases of conv3 are -1e+03, and without them", "biases that are not negative (--hidden-bias 0.1)"),
        (empty, UNIT, 0.01, True, "all weights of conv3 are 0, so that its outputs are the same for every image", "FanIn(2**0.5)"),
        (good, UNIT * 0, 0.01, True, "all inputs are one and the same number", "how the images are read"),
        (good, UNIT, 1e-7, True, "a step changes the weights of no layer by more than", "a higher learning rate, such as 1e-06 for 1e-07"),
        (good, UNIT * 400, 0.01, True, "times that of a guess, and the inputs have a standard deviation of", "--pixels standardize"),
        (good, UNIT, 0.01, False, "a linear classifier cannot tell the labels from the images", "were shuffled against each other"),
        (good, UNIT, 0.01, True, "images reach the output and gradients reach every layer", "wait longer"),
        (lambda: net(weight_std=1e-5, hidden_bias=0), UNIT, 0.01, True, "the signal shrinks from layer to layer", "FanIn(2**0.5)"),
    ],
    ids=[
        "bias and std",
        "two towers",
        "pixels of 0 to 1",
        "negative biases",
        "weights of 0",
        "black images",
        "rate too low",
        "inputs too large",
        "shuffled",
        "nothing",
        "weights",
    ],
)
def test_planted_reason_is_named(make, x, lr, fits, cause, remedy):
    made = make()
    before = {name: array.copy() for name, array in made.params.items()}
    found = examine(made, LOSS, x.astype(np.float32), LABELS, lr, fits)
    assert cause in found.cause and remedy in found.remedy, found.lines()[0]
    assert all(np.array_equal(array, before[name]) for name, array in made.params.items())
    assert not any(array.any() for array in made.grads.values())


def test_a_rate_that_is_too_high_is_told_by_the_units_it_killed():
    made = good()
    sgd = ta.SGD(made, lr=3.0)
    for _ in range(2):
        LOSS.forward(made.forward(UNIT, train=True), LABELS, train=True)
        made.backward(LOSS.backward())
        sgd.step()
    found = examine(made, LOSS, UNIT, LABELS, 3.0, True)
    assert "are dead: they are 0 for every image of a batch" in found.cause and "such as 0.3 for 3" in found.remedy


def spoilt(change):
    made = good()
    change(made["conv2"].params)
    return examine(made, LOSS, UNIT, LABELS, 0.01, True)


def test_dead_units_are_blamed_on_what_killed_them():
    """Biases that differ may have been learned; weights that are negative were. Then the rate is named, and the biases beside it."""
    rng = np.random.default_rng(0)
    differ = spoilt(lambda params: params["bias"].__isub__(rng.uniform(500, 1500, params["bias"].shape).astype(np.float32)))
    assert "units of relu2 are dead" in differ.cause and "the biases of conv2 are -" in differ.cause
    assert differ.remedy.startswith("begin again with a lower learning rate, such as 0.001 for 0.01; if the biases were negative")
    weights = spoilt(lambda params: np.negative(np.abs(params["weight"]), out=params["weight"]))
    assert "units of relu2 are dead" in weights.cause and "biases" not in weights.cause
    assert weights.remedy == "begin again with a lower learning rate, such as 0.001 for 0.01"


def test_the_first_dead_layer_is_named():
    made = good()
    for name in ("conv2", "conv4"):
        made[name].params["bias"].fill(-1e3)
    assert "relu2" in examine(made, LOSS, UNIT, LABELS, 0.01, True).cause


def test_the_loss_of_images_of_one_class_is_held_beside_that_of_all_labels():
    """Their own entropy is 0, and every loss would be infinitely many times as large."""
    one = np.zeros(24, int)
    for entropy in (None, math.log(10)):
        assert "times that of a guess" not in examine(good(), LOSS, UNIT, one, 0.01, True, entropy).cause
    assert "times that of a guess" in examine(good(), LOSS, UNIT * 400, one, 0.01, True, math.log(10)).cause


def test_images_that_are_sorted_by_class_are_examined_in_all_classes(monkeypatch):
    order = np.argsort(DATA.train_labels, kind="stable")
    made = ta.Sequential([ta.Flatten(name="flat"), ta.Linear(3072, 10, name="fc")], in_shape=(3, 32, 32), seed=0)
    data, prepare = (DATA.train_images[order], DATA.train_labels[order]), Standardize.fit(DATA.train_images)
    trainer = Trainer(made, ta.SGD(made, lr=1e-9), train=data, prepare=prepare, progress=False)
    monkeypatch.setattr(trainer.batches, "order", lambda epoch: np.arange(600))  # as a run without shuffling has it
    seen = []
    monkeypatch.setattr(watch_module, "examine", lambda *args: seen.append(args) or examine(*args))
    lines = Watch(made, trainer.loss, trainer.sgd, trainer.batches, prepare, True)._why("it guesses")
    assert len(seen[0][3]) == 64 and len(set(seen[0][3].tolist())) == 10 and seen[0][6] == pytest.approx(entropy_of(DATA.train_labels))
    assert lines[1] == "  the images come sorted: each batch holds images of few classes; shuffle them in every epoch"


@pytest.mark.parametrize(("classes", "batch"), [(10, 60), (10, 8), (1000, 128), (2, 4), (1000, 1)])
def test_random_batches_are_mixed_and_sorted_ones_are_not(classes, batch):
    labels = np.random.default_rng(0).integers(0, classes, 200 * classes)
    assert are_mixed(labels, batch) and are_mixed(np.zeros(30, int), batch)
    assert are_mixed(np.sort(labels), batch) == (batch == 1)


def test_the_table_has_a_line_for_each_layer_and_the_numbers_of_a_layer_by_hand():
    made = ta.Sequential([ta.Flatten(name="flat"), ta.Linear(2, 2, name="fc1"), ta.ReLU(name="relu1"), ta.Linear(2, 2, name="fc2")])
    made["fc1"].params["weight"][...] = [[1, 0], [0, -1]]
    made["fc1"].params["bias"].fill(0)
    made["fc2"].params["weight"][...] = [[3, 0], [0, 4]]
    x = np.array([[1, 1], [3, 2]], np.float32).reshape(2, 2, 1, 1)
    fc1, relu1, fc2 = examine(made, LOSS, x, np.array([0, 1]), 0.1).layers
    assert [state.name for state in (fc1, relu1, fc2)] == ["fc1", "relu1", "fc2"]
    assert fc1.size == pytest.approx(math.sqrt((1 + 9 + 1 + 4) / 4)) and fc1.differs == pytest.approx((1 + 0.5) / 2 / fc1.size)
    assert (fc1.dead, relu1.dead, relu1.weight) == (None, 0.5, None) and fc2.weight == pytest.approx(math.sqrt((9 + 16) / 4))
    lines = examine(made, LOSS, x, np.array([0, 1]), 0.1).lines()
    assert len(lines) == 5 and len({len(line) for line in lines[1:]}) == 1


def test_labels_of_synthetic_images_are_told_and_shuffled_ones_are_not():
    shuffled = np.random.default_rng(0).permutation(DATA.train_labels)
    assert labels_fit(DATA.train_images, DATA.train_labels) is True
    assert labels_fit(DATA.train_images, shuffled) is False


def test_a_look_at_many_large_images_needs_little_memory():
    images = DATA.train_images.repeat(4, axis=2).repeat(4, axis=3)
    tracemalloc.start()
    labels_fit(images, DATA.train_labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < images.size  # all images as floats are four times as many bytes


def test_few_images_say_nothing_about_labels():
    assert labels_fit(DATA.train_images[:20], DATA.train_labels[:20]) is None
    assert labels_fit(DATA.train_images[:90], np.random.default_rng(0).permutation(DATA.train_labels[:90])) is None
    assert labels_fit(DATA.train_images, np.zeros(600, int)) is None
    assert labels_fit(DATA.train_images[:, :, :8, :8], DATA.train_labels) is None


@pytest.mark.parametrize(
    ("labels", "entropy"), [([0, 1, 2, 3], math.log(4)), ([0, 0, 0, 1], 0.75 * math.log(4 / 3) + 0.25 * math.log(4)), ([5, 5], 0)]
)
def test_a_stall_is_the_loss_of_a_guess(labels, entropy):
    assert entropy_of(np.array(labels)) == pytest.approx(entropy)
    assert is_stalled(entropy * 0.99, entropy) == (entropy > 0) and not is_stalled(entropy * 0.97, entropy)


def watched(labels, on=True):
    prepare = Standardize.fit(DATA.train_images)
    made = ta.Sequential([ta.Flatten(name="flat"), ta.Linear(3072, 10, name="fc")], in_shape=(3, 32, 32), seed=0)
    trainer = Trainer(made, ta.SGD(made, lr=1e-9), train=(DATA.train_images, labels), prepare=prepare, hints=on, progress=False)
    return Watch(made, trainer.loss, trainer.sgd, trainer.batches, prepare, on), trainer.position


def test_a_long_epoch_is_looked_at_every_500_steps_and_told_once():
    watch, position = watched(np.random.default_rng(0).permutation(DATA.train_labels))
    position.images, position.loss_sum, position.step = 100, 100 * math.log(10), 700
    position.batch = LOOK_EVERY - 1
    assert watch.after_step(position) == []
    position.batch = LOOK_EVERY
    lines = watch.after_step(position)
    guess = f"{entropy_of(DATA.train_labels):.4f}"
    assert lines[0] == f"trainer: after step 700 the net still guesses: its mean loss is 2.3026, that of a guess {guess}"
    assert "shuffled against each other" in lines[1] and watch.after_step(position) == []


def test_a_net_that_learns_and_a_watch_that_is_off_say_nothing():
    for on, loss in ((True, 2.2), (False, math.log(10))):
        watch, position = watched(DATA.train_labels, on)
        position.images, position.loss_sum, position.batch = 100, 100 * loss, LOOK_EVERY
        assert watch.after_step(position) == []


class Worn(ArraySource):
    """A source whose last image cannot be read: the batches of this test do not reach it, the look at many images does."""

    def read(self, indices):
        if len(DATA.train_images) - 1 in np.arange(len(self))[indices]:
            raise DataError("worn: picture 599 must be a JPEG, got zeros", "replace it")
        return super().read(indices)


def test_a_picture_that_only_the_look_at_a_stall_reads_does_not_lose_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("tinyalex.training.watch.LOOK_EVERY", 2)
    source = Worn(DATA.train_images, np.random.default_rng(0).permutation(DATA.train_labels))
    made = ta.Sequential([ta.Flatten(name="flat"), ta.Linear(3072, 10, name="fc")], in_shape=(3, 32, 32), seed=0)
    settings = {"batch_size": 8, "evaluate_train": False, "progress": False}
    trainer = Trainer(made, ta.SGD(made, lr=1e-9), train=source, prepare=Standardize.fit(DATA.train_images), folder=tmp_path, **settings)
    with refuses(DataError, "worn: picture 599 must be a JPEG, got zeros; replace it; the run is saved in"):
        trainer.run(1)
    assert trainer.position.step == load_checkpoint(checkpoint_files(tmp_path)[-1]).position.step == 2
