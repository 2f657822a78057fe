"""Parameters and checkpoints of one tower for two, and back."""


import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tinyalex.models import alexnet, join_state, match_state, split_state
from tinyalex.training.checkpoint import Position, load_checkpoint, save_checkpoint

SMALL = {"width": 1 / 16, "num_classes": 10, "input_size": 67}


def nets(**options):
    return alexnet(**SMALL, **options), alexnet(towers=2, **SMALL, **options)


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("options", [{}, {"exchange": ()}, {"variant": "authors", "sixth": True}, {"remove": ("conv3", "fc7")}], ids=str)
def test_one_seed_gives_both_the_same_weights(options):
    one, two = nets(**options)
    assert equal(split_state(one.params), {name: two.params[name] for name in split_state(one.params)})
    assert equal(join_state(two.params), {name: one.params[name] for name in join_state(two.params)})


def test_joining_undoes_splitting():
    one, two = nets()
    assert equal(join_state(split_state(one.params)), one.params)
    assert equal(split_state(join_state(two.params)), two.params)


def test_names_that_only_look_like_halves_stay():
    state = {"conv1a.weight": np.arange(4), "tab.weight": np.arange(2), "fc8.bias": np.arange(3)}
    assert equal(join_state(state), state)


def test_state_is_matched_to_either_net():
    one, two = nets()
    for state in (one.params, two.params):
        for net in (one, two):
            assert equal(match_state(state, net.params), net.params)


def test_other_classifiers_stay_whole():
    state = {"fc6.weight": np.zeros((4, 2)), "fc10.weight": np.zeros((3, 4))}
    halves = match_state(state, ["fc6a.weight", "fc6b.weight", "fc10.weight"])
    assert {name: array.shape for name, array in halves.items()} == {"fc6a.weight": (2, 2), "fc6b.weight": (2, 2), "fc10.weight": (3, 4)}


def train(net, sgd, steps, first=0):
    head, losses = ta.SoftmaxCrossEntropy(), []
    for number in range(first, first + steps):
        for leaf in net.leaves():
            if hasattr(leaf, "step"):
                leaf.step = number  # as the trainer does
        losses.append(float(head.forward(net.forward(values((3, 3, 67, 67), number, np.float32), train=True), np.array([1, 2, 3]), train=True)))
        net.backward(head.backward())
        sgd.step()
    return losses


@pytest.mark.parametrize("writer", [0, 1])
def test_checkpoint_of_either_goes_on_in_the_other(writer, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    first, other = nets()[writer], nets(seed=5)[1 - writer]
    sgd, sgd_there = ta.SGD(first, lr=0.01), ta.SGD(other, lr=0.01)
    train(first, sgd, 2)
    save_checkpoint(path, first, sgd, ta.Steps(0.01), Position(step=2), {})
    assert load_checkpoint(path).restore(other, sgd_there, ta.Steps(0.01)).step == 2
    for leaf in other.leaves():
        if hasattr(leaf, "seed"):
            leaf.seed = 0  # the masks of the first run
    assert train(other, sgd_there, 2, first=2) == pytest.approx(train(first, sgd, 2, first=2), rel=1e-5)


def test_checkpoint_of_another_architecture_names_the_tensor_and_both_shapes(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    one, columnar = alexnet(**SMALL), alexnet(towers=2, exchange=(), **SMALL)
    save_checkpoint(path, one, ta.SGD(one), ta.Steps(0.01), Position(), {})
    with refuses(ta.CheckpointError, "param conv3a.weight must have shape (12, 8, 3, 3), got (12, 16, 3, 3)"):
        load_checkpoint(path).restore(columnar, ta.SGD(columnar), ta.Steps(0.01))
