import math

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tests.formats.caffe.samples import written
from tinyalex.errors import CheckpointError, DataError, ShapeError
from tinyalex.formats.caffe import read_prototxt, read_solver
from tinyalex.formats.caffe.solver import net_beside
from tinyalex.models.later.rows import build_net
from tinyalex.training.recipes import Recipe, recipe_of

ALEXNET = """
net: "models/bvlc_alexnet/train_val.prototxt"
test_iter: 1000  test_interval: 1000
base_lr: 0.01  lr_policy: "step"  gamma: 0.1  stepsize: 100000
display: 20  max_iter: 450000  momentum: 0.9  weight_decay: 0.0005
snapshot: 10000  snapshot_prefix: "models/here"  solver_mode: GPU
"""
CIFAR = "net: 'train_test.prototxt' base_lr: 0.001 momentum: 0.9 weight_decay: 0.004 lr_policy: 'fixed' max_iter: 60000 solver_mode: GPU"


def read(folder, text):
    return read_solver(written(folder, text, "solver.prototxt"))


def test_the_solver_of_bvlc_alexnet_is_our_recipe_of_caffe(tmp_path):
    solver = read(tmp_path, ALEXNET)
    recipe = Recipe(**solver.recipe_fields(1_281_167, 256, biases=(2.0, 0.0)))
    assert recipe.divide_by == pytest.approx(10) and recipe.with_fields(divide_by=10.0) == recipe_of("caffe")
    assert solver.net == "models/bvlc_alexnet/train_val.prototxt" and solver.notes == ()


def test_the_solver_of_the_cifar_example(tmp_path):
    recipe = Recipe(**read(tmp_path, CIFAR).recipe_fields(50_000, 100, "figure1"))
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.weight_decay, recipe.schedule) == (120, 100, 0.001, 0.004, "constant")


@pytest.mark.parametrize(
    ("policy", "rates"),
    [
        ("'fixed'", {0: 1, 99: 1}),
        ("'step' gamma: 0.5 stepsize: 10", {0: 1, 9: 1, 10: 0.5, 25: 0.25}),
        ("'multistep' gamma: 0.5 stepvalue: 10 stepvalue: 15", {9: 1, 10: 0.5, 14: 0.5, 15: 0.25, 99: 0.25}),
        ("'exp' gamma: 0.9", {0: 1, 1: 0.9, 2: 0.81}),
        ("'inv' gamma: 0.5 power: 2", {0: 1, 1: 1 / 2.25, 2: 0.25}),
        ("'poly' power: 0.5", {0: 1, 75: 0.5, 99: 0.1, 100: 0}),
    ],
)
def test_rates(tmp_path, policy, rates):
    solver = read(tmp_path, f"base_lr: 1 max_iter: 100 lr_policy: {policy}")
    for iteration, rate in rates.items():
        assert solver.rate(iteration) == pytest.approx(rate)
    schedule = solver.schedule(50, 10)  # 5 iterations an epoch
    assert schedule.lr == solver.rate(0)
    for epoch in range(1, 20):
        assert schedule.end_epoch() == solver.rate(5 * epoch)
    assert schedule.end_epoch() == solver.rate(99)  # the run has ended


def test_an_iteration_of_several_batches(tmp_path):
    solver = read(tmp_path, "base_lr: 1 max_iter: 100 lr_policy: 'step' gamma: 0.1 stepsize: 50 iter_size: 4")
    recipe = Recipe(**solver.recipe_fields(1000, 5))
    assert (recipe.batch_size, recipe.epochs, recipe.drop_after, recipe.momentum) == (20, 2, (1,), 0)


def test_a_rate_that_falls_without_end_is_no_recipe(tmp_path):
    solver = read(tmp_path, "base_lr: 1 max_iter: 2147483647 lr_policy: 'step' gamma: 0.5 stepsize: 1")
    with refuses(DataError, "solver: lr_policy must lower the rate at most 1,000 times for a recipe, got more; use solver.schedule"):
        solver.recipe_fields(1, 1)


def test_a_rate_that_falls_twice_an_epoch_is_no_recipe(tmp_path):
    solver = read(tmp_path, "base_lr: 1 max_iter: 1000 lr_policy: 'multistep' gamma: 0.5 stepvalue: 50 stepvalue: 60")
    with refuses(DataError, "must lower the rate at most once an epoch for a recipe, got two drops in epoch 1, of 100 iterations"):
        solver.recipe_fields(1000, 10)
    assert solver.recipe_fields(100, 10)["drop_after"] == (5, 6)


@pytest.mark.parametrize("policy", ["'exp' gamma: 0.9", "'inv' gamma: 1 power: 1", "'poly' power: 1", "'step' gamma: 2 stepsize: 3"])
def test_policies_that_a_recipe_does_not_have(tmp_path, policy):
    solver = read(tmp_path, f"base_lr: 1 max_iter: 100 lr_policy: {policy}")
    with refuses(DataError, "for a recipe, got"):
        solver.recipe_fields(100, 10)
    with refuses(ShapeError, "batch_size must be an integer of at least 1, got 0"):
        solver.schedule(100, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type: 'Adam'", "line 2: type must be SGD, the optimizer of the engine, got Adam"),
        ("solver_type: NESTEROV", "line 2: solver_type must be SGD, the optimizer of the engine, got NESTEROV"),
        ("regularization_type: 'L1'", "line 2: regularization_type must be L2, got L1"),
        ("lr_policy: 'sigmoid'", "line 2: lr_policy must be one of fixed, step, multistep, exp, inv, poly, got sigmoid"),
        ("lr_policy: 'step' gamma: 0.1", "stepsize must be a whole number from 1 to 2,147,483,647, got none"),
        ("lr_policy: 'step' stepsize: 1", "gamma must be a finite number of at least 0, got none"),
        ("lr_policy: 'step' gamma: -1 stepsize: 1", "gamma must be a finite number of at least 0, got -1"),
        ("momentum: 1", "line 2: momentum must be at least 0 and below 1, got 1"),
        ("weight_decay: nan", "line 2: weight_decay must be a finite number of at least 0, got nan"),
        ("iter_size: 0", "line 2: iter_size must be a whole number from 1 to"),
        ("stepvalue: 3 stepvalue: 2", "line 2: stepvalue must be whole numbers above 0 in rising order, got [3, 2]"),
        ("learning_rate: 1", "line 2: a field must be one of those that Caffe has in a solver, got 'learning_rate'"),
    ],
)
def test_what_the_engine_cannot_do(tmp_path, text, said):
    start = "base_lr: 1 max_iter: 9 " + ("" if "lr_policy" in text else "lr_policy: 'fixed'")
    with refuses(DataError, said):
        read(tmp_path, f"{start}\n{text}")


def test_the_net_of_a_solver_lies_beside_it_or_below(tmp_path):
    folder = tmp_path / "here"
    (folder / "below").mkdir(parents=True)
    for place in (tmp_path / "net.prototxt", folder / "net.prototxt", folder / "below" / "deep.prototxt"):
        place.write_text("")
    found = {"a/b/net.prototxt": "net.prototxt", "below/deep.prototxt": "below/deep.prototxt", "../net.prototxt": "net.prototxt"}
    for name, file in found.items():
        assert net_beside(written(folder, f"net: '{name}'", "solver.prototxt")) == folder / file
    (folder / "net.prototxt").unlink()
    lost = {f"net: '{tmp_path}/net.prototxt'": "", "train_net: '../net.prototxt'": "'../net.prototxt'", "": "none"}
    for text, got in lost.items():  # of a long path a message shows the beginning alone
        with refuses(CheckpointError, "net must be a file beside the solver, got "):
            net_beside(written(folder, text, "solver.prototxt"))
        with refuses(CheckpointError, got + "; name it too, as net.prototxt,solver.prototxt"):
            net_beside(folder / "solver.prototxt")


def test_clipping_is_said(tmp_path):
    assert read(tmp_path, CIFAR + " clip_gradients: 35").notes == ("gradients are not clipped, where Caffe limits their length to 35",)
    with refuses(DataError, "base_lr must be a finite number above 0, got none"):
        read(tmp_path, "lr_policy: 'fixed' max_iter: 1")


def test_the_momentum_of_caffe_is_the_papers(tmp_path):
    """Caffe: v = momentum v + lr (g + decay w), w = w - v; also when the rate falls, and with its factors for biases."""
    text = "input: 'data' input_shape { dim: 1 dim: 1 dim: 1 dim: 2 } layer { name: 'f' type: 'InnerProduct' bottom: 'data' top: 'f' " \
        "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 } inner_product_param { num_output: 3 } }"
    net = read_prototxt(written(tmp_path, text))
    made = ta.Sequential([ta.Flatten(), ta.Linear(2, 3, name="f", rng=np.random.default_rng(0), dtype=np.float64)][1:])
    sgd = ta.SGD(made, 0.1, 0.9, 0.01, net.multipliers)
    w = {name: array.copy() for name, array in made.params.items()}
    v = {name: np.zeros_like(array) for name, array in w.items()}
    for step, lr in enumerate((0.1, 0.1, 0.01, 0.01)):
        sgd.follow(lr)
        for name, array in made.grads.items():
            array[...] = math.sin(step + len(name))
        sgd.step()
        for name, (of_lr, of_decay) in {"f.weight": (1, 1), "f.bias": (2, 0)}.items():
            v[name] = 0.9 * v[name] + lr * of_lr * (math.sin(step + len(name)) + 0.01 * of_decay * w[name])
            w[name] = w[name] - v[name]
            np.testing.assert_allclose(made.params[name], w[name], rtol=1e-14)


QUICK = """
name: "quick"
layer { name: "cifar" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        transform_param { mean_file: "mean.binaryproto" } data_param { source: "train" batch_size: 100 backend: LMDB } }
layer { name: "cifar" type: "Data" top: "data" top: "label" include { phase: TEST }
        transform_param { mean_file: "mean.binaryproto" } data_param { source: "test" batch_size: 50 backend: LMDB } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } param { lr_mult: 2 }
        convolution_param { num_output: 32 pad: 2 kernel_size: 5 weight_filler { type: "gaussian" std: 0.0001 } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "pool1" top: "pool1" }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" param { lr_mult: 1 } param { lr_mult: 2 }
        convolution_param { num_output: 32 pad: 2 kernel_size: 5 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "conv3" type: "Convolution" bottom: "pool2" top: "conv3" param { lr_mult: 1 } param { lr_mult: 2 }
        convolution_param { num_output: 64 pad: 2 kernel_size: 5 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "relu3" type: "ReLU" bottom: "conv3" top: "conv3" }
layer { name: "pool3" type: "Pooling" bottom: "conv3" top: "pool3" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool3" top: "ip1" param { lr_mult: 1 } param { lr_mult: 2 }
        inner_product_param { num_output: 64 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" param { lr_mult: 1 } param { lr_mult: 2 }
        inner_product_param { num_output: 10 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""


def test_the_net_of_the_cifar_example_trains(tmp_path):
    """The small net for CIFAR-10 with 145,578 parameters: three convolutions and two fully connected layers."""
    net = read_prototxt(written(tmp_path, QUICK), phase="TRAIN", in_shape=(3, 32, 32))
    made = build_net(net.rows, net.in_shape, net.name)
    assert sum(weight.size for weight in made.params.values()) == 145_578
    assert net.data == {"batch_size": 100, "source": "train", "mean_file": "mean.binaryproto"}
    sgd = Recipe(**read(tmp_path, CIFAR).recipe_fields(50_000, net.data["batch_size"])).optimizer_for(made, net.multipliers)
    assert sgd.factors["conv1.bias"] == (2, 1) and sgd.factors["conv1.weight"] == (1, 1)
    loss, x, labels = ta.SoftmaxCrossEntropy(), 50 * values((8, 3, 32, 32), 0, np.float32), np.arange(8)
    losses = []
    for _ in range(12):
        losses.append(float(loss.forward(made.forward(x, train=True), labels, train=True)))
        made.backward(loss.backward())
        sgd.step()
    assert losses[-1] < losses[0]
