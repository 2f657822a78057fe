"""Parameters and checkpoints of one tower for two, and back."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tinyalex.models import alexnet, join_state, match_state, split_state
from tinyalex.models.weights import check_tensors, load_weights, parameters_sha256, save_weights
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
        logits = net.forward(values((3, 3, 67, 67), number, np.float32), train=True)
        losses.append(float(head.forward(logits, np.array([1, 2, 3]), train=True)))
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


def small(classes=10, seed=0, last="fc2"):
    rng = np.random.default_rng(seed)
    return ta.Sequential([ta.Linear(6, 5, rng=rng, name="fc1"), ta.ReLU(), ta.Linear(5, classes, rng=rng, name=last)])


def test_the_rest_is_loaded_where_the_classes_are_others(tmp_path):
    path, ten, five = tmp_path / "w", small(), small(5, seed=1)
    save_weights(path, ten)
    head = five["fc2"].params["weight"].copy()
    with refuses(ta.CheckpointError, "param fc2.weight must have shape (5, 5), got (10, 5); load the rest with skip=('fc2.*',)"):
        load_weights(path, five)
    assert load_weights(path, five, skip=("fc2.*",)) == ("fc2.weight", "fc2.bias")
    assert np.array_equal(five["fc1"].params["weight"], ten["fc1"].params["weight"])
    assert np.array_equal(five["fc2"].params["weight"], head)
    assert load_weights(path, small(seed=2)) == ()


def test_a_head_of_another_name_is_left_out_of_the_net_and_of_the_file(tmp_path):
    save_weights(tmp_path / "w", small())
    left_out = load_weights(tmp_path / "w", small(5, last="fc9"), skip=("fc9.*", "fc2.*"))
    assert left_out == ("fc9.weight", "fc9.bias", "fc2.weight", "fc2.bias")


@pytest.mark.parametrize(
    ("skip", "text"),
    [
        (("fc3.*",), "a pattern of skip must match one of fc1.weight, fc1.bias, fc2.weight, fc2.bias, got 'fc3.*'"),
        ((3,), "a pattern of skip must match one of fc1.weight, fc1.bias, fc2.weight, fc2.bias, got 3"),
        ("*", "skip must leave a parameter to load, got ('*',), which match all"),
    ],
)
def test_pattern_that_leaves_out_nothing_or_everything_is_refused(skip, text, tmp_path):
    net = small(seed=3)
    save_weights(tmp_path / "w", small())
    before = parameters_sha256(net)
    with refuses(ta.ShapeError, f"load_weights: {text}"):
        load_weights(tmp_path / "w", net, skip)
    assert parameters_sha256(net) == before


def test_halves_of_two_towers_can_be_left_out(tmp_path):
    one, two = nets()
    save_weights(tmp_path / "w", one)
    assert load_weights(tmp_path / "w", two, skip="fc7?.*") == ("fc7a.weight", "fc7a.bias", "fc7b.weight", "fc7b.bias")
    assert np.array_equal(two["fc6b"].params["bias"], one["fc6"].params["bias"][len(two["fc6b"].params["bias"]) :])


def test_sha256_does_not_depend_on_the_order_of_layers():
    fc1, fc2 = (ta.Linear(3, 3, rng=np.random.default_rng(seed), name=f"fc{seed}") for seed in (1, 2))
    sha = parameters_sha256(ta.Sequential([fc1, fc2]))
    assert sha == parameters_sha256(ta.Sequential([fc2, fc1]))
    fc2.params["bias"][1] += 1
    assert sha != parameters_sha256(ta.Sequential([fc1, fc2]))


def test_frozen_net_takes_no_weights_and_no_checkpoint(tmp_path):
    net = ta.models.figure1_net(dtype=np.float64)
    save_weights(tmp_path / "w.safetensors", net, dtype="float32")
    save_checkpoint(tmp_path / "c.safetensors", net, ta.SGD(net), ta.Schedule(), Position(), {})
    sgd, before = ta.SGD(net), parameters_sha256(net)
    net.freeze()
    for load in (
        lambda: load_weights(tmp_path / "w.safetensors", net),
        lambda: load_checkpoint(tmp_path / "c.safetensors").restore(net, sgd, ta.Schedule()),
    ):
        with refuses(ta.CallOrderError, ".safetensors: conv1 must not be frozen when its parameters are written, got a frozen layer"):
            load()
    assert parameters_sha256(net) == before


def test_type_of_stored_weights_is_one_of_two(tmp_path):
    with refuses(ta.ShapeError, "save_weights: dtype must be float16 or float32, got 'float64'"):
        save_weights(tmp_path / "w.safetensors", ta.models.figure1_net(), dtype="float64")
    assert not list(tmp_path.iterdir())


def test_net_without_a_seed_is_that_of_seed_0():
    assert parameters_sha256(ta.models.figure1_net()) == parameters_sha256(ta.models.figure1_net(seed=0))
    assert parameters_sha256(ta.models.figure1_net()) != parameters_sha256(ta.models.figure1_net(seed=1))


def test_checkpoint_of_another_dtype_is_refused_and_says_which_to_make(tmp_path):
    path, net, other = tmp_path / "checkpoint.safetensors", ta.models.figure1_net(dtype=np.float64), ta.models.figure1_net()
    save_checkpoint(path, net, ta.SGD(net), ta.Schedule(), Position(), {})
    with refuses(ta.CheckpointError, "param conv1.weight must be float32, got float64; make the network with dtype='float64'"):
        load_checkpoint(path).restore(other, ta.SGD(other), ta.Schedule())


def test_tensors_of_a_file_and_of_the_net_have_the_same_names():
    here, there = {"fc8.bias": np.zeros(3)}, {"fc9.bias": np.zeros(3)}
    check_tensors("file: param", here, here, exact=True)
    with refuses(ta.CheckpointError, "file: param fc8.bias must be in the file, got none of that name; was it made by"):
        check_tensors("file: param", here, {}, exact=True)
    with refuses(ta.CheckpointError, "file: param fc9.bias must be a parameter of the network, got none of that name; was it made by"):
        check_tensors("file: param", here, here | there, exact=True)
