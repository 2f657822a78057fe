"""Training of the networks after AlexNet: running statistics are part of a run, and auxiliary heads train with the main output."""

import os
import signal

import numpy as np
import pytest

import tinyalex as ta
from tests.training.small_run import random_data, without_times
from tinyalex.data.batches import SubtractMean
from tinyalex.errors import Interrupted
from tinyalex.models.later.cifar_resnet import cifar_resnet
from tinyalex.models.later.rows import branches, build_net, conv_bn_relu, narrow, row
from tinyalex.training import Trainer, parameters_sha256
from tinyalex.training.config import layer_config
from tinyalex.training.expected import seconds_an_epoch
from tinyalex.training.stall import examine

CLASSES = (row("global_pool", "pool"), row("linear", "fc", out_features=10))
HEAD = (row("global_pool", "aux.pool"), row("dropout", "aux.drop", p=0.7, scale="train"), row("linear", "aux.fc", out_features=10))


def residual():
    return build_net(narrow(cifar_resnet(8), 1 / 4), (3, 8, 8), "resnet8")


def with_head():
    """A net with an auxiliary head and dropout in it."""
    rows = (*conv_bn_relu("conv1", 4, 3), branches("head", "both", (*conv_bn_relu("conv2", 6, 3, 2), *CLASSES), HEAD))
    return build_net(rows, (3, 8, 8), "with a head")


NETS = {"residual": (residual, None), "with a head": (with_head, lambda: ta.WeightedHeads([0.3]))}
each_net = pytest.mark.parametrize(("make", "loss"), NETS.values(), ids=NETS)


def trainer_of(make, loss=None, folder=None, **settings):
    net, train = make(), random_data(51)
    settings = {"batch_size": 8, "save_every_s": 0.0, "seed": 3, "hints": False, "progress": False} | settings
    made = None if loss is None else loss()
    return Trainer(net, ta.SGD(net, lr=0.01), None, made, train=train, val=random_data(20, 1), prepare=SubtractMean.fit(train[0]),
                   folder=folder, **settings)  # fmt: skip


def statistics(net):
    return {key: np.array(buffer) for key, buffer in net.buffers.items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@each_net
def test_run_that_was_stopped_in_an_epoch_goes_on_to_the_same_bytes(make, loss, tmp_path):
    whole = trainer_of(make, loss)
    wanted = whole.run(2)
    stopped = trainer_of(make, loss, tmp_path / "run")
    step, left = stopped.sgd.step, iter(range(4, -1, -1))

    def counted():
        step()
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGINT)

    stopped.sgd.step = counted
    with pytest.raises(Interrupted):
        stopped.run(2)
    again = trainer_of(make, loss, tmp_path / "run")
    assert same(statistics(again.net), statistics(stopped.net)) and any(again.net.buffers[key].any() for key in again.net.buffers)
    seconds_an_epoch(again)  # `tinyalex train` measures the time at every start
    assert without_times(again.run(2)) == without_times(wanted)
    assert parameters_sha256(again.net) == parameters_sha256(whole.net)  # over the buffers too


@each_net
@pytest.mark.parametrize("when", ["in forward", "in backward"])
def test_step_that_is_cut_off_leaves_running_statistics_as_they_were(make, loss, when, monkeypatch):
    trainer = trainer_of(make, loss)
    trainer.run(1)
    before = statistics(trainer.net)

    def stop(*_args, **_settings):
        assert when == "in backward" or not same(statistics(trainer.net), before)  # half of them have moved
        raise KeyboardInterrupt

    last = [leaf for leaf in trainer.net.leaves() if isinstance(leaf, ta.GlobalAvgPool2d)][-1]
    monkeypatch.setattr(last, "forward" if when == "in forward" else "backward", stop)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(2)
    monkeypatch.undo()
    assert same(statistics(trainer.net), before)
    whole = trainer_of(make, loss)
    whole.run(2)
    trainer.run(2)
    assert parameters_sha256(trainer.net) == parameters_sha256(whole.net)


@each_net
def test_timing_and_examination_move_no_running_statistics(make, loss):
    trainer = trainer_of(make, loss)
    before, x = statistics(trainer.net), np.random.default_rng(0).standard_normal((8, 3, 8, 8)).astype(np.float32)
    seconds_an_epoch(trainer)
    found = examine(trainer.net, trainer.loss, x, np.arange(8), 0.01)
    assert same(statistics(trainer.net), before)
    inside = {leaf.name for leaf in trainer.net.leaves() if leaf.params and not leaf.name.startswith("aux")}
    assert {state.name for state in found.layers} >= inside  # layers of paths are examined too; a head computes in training alone


def test_head_learns_with_its_weight_and_the_error_is_that_of_the_main_output():
    fed = {}
    for weight in (0.0, 0.3):
        trainer = trainer_of(with_head, lambda weight=weight: ta.WeightedHeads([weight]))
        start = {key: np.array(param) for key, param in trainer.net.params.items()}
        result = trainer.run(1)[0]
        moved = {key for key, param in trainer.net.params.items() if not np.array_equal(param, start[key])}
        assert ("aux.fc.bias" in moved) == (weight > 0) and "conv1.weight" in moved
        fed[weight] = result.loss
        assert 0 <= result.running_error <= 1 and result.val_error is not None
    assert fed[0.3] > fed[0.0] + 0.3  # the loss of ten classes is about 2.3


def test_weights_of_heads_are_in_the_config():
    configs = [trainer_of(with_head, lambda weight=weight: ta.WeightedHeads([weight])).config["trainer"]["loss"] for weight in (0.3, 0.4)]
    assert configs[0] != configs[1] and trainer_of(residual).config["trainer"]["loss"] == "SoftmaxCrossEntropy"


def test_run_from_before_padding_could_count_can_be_continued():
    assert "count_padding" not in layer_config(ta.AvgPool2d(3, padding=1))
    assert layer_config(ta.AvgPool2d(3, padding=1, count_padding=True))["count_padding"] is True
