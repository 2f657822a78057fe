"""Two towers with batch or group normalization: they compute what one net with grouped convolutions does, and files fit both."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tests.places import every_place, two_devices_of
from tinyalex.data.batches import SubtractMean
from tinyalex.errors import CheckpointError, Interrupted
from tinyalex.models import join_state
from tinyalex.models.build import build_rows, places_of
from tinyalex.models.halves import half
from tinyalex.models.rows import bn, conv, flatten, gn, linear, norm, parameters, pool, relu
from tinyalex.models.weights import load_weights, save_weights, state_on_host
from tinyalex.training import Trainer, parameters_sha256

HE = ta.FanIn(2**0.5)
NORMS = {
    "bn": lambda i: bn(f"norm{i}"),
    "bn as in Caffe": lambda i: bn(f"norm{i}", convention="caffe"),
    "gn": lambda i: gn(f"norm{i}", 4),
    "gn of two": lambda i: gn(f"norm{i}", 2),
}
each_norm = pytest.mark.parametrize("kind", [kind for kind in NORMS if kind != "gn of two"])


def rows(kind):
    """Four convolutions, of which the third reads both towers; two have no biases, which the normalization would take away."""
    of = NORMS[kind]
    return (
        conv("conv1", 8, 3, padding=1, weight=HE, bias=None), of(1), relu("relu1"), pool("pool1"),
        conv("conv2", 8, 3, padding=1, groups=2, weight=HE), of(2), relu("relu2"),
        conv("conv3", 8, 3, padding=1, weight=HE, bias=None), relu("relu3"), of(3),
        conv("conv4", 8, 3, groups=2, weight=HE), of(4), relu("relu4"), flatten("flatten4"),
        linear("fc5", 10, weight=HE),
    )  # fmt: skip


def made(kind, places, dtype=np.float32, seed=3):
    return build_rows(rows(kind), (3, 8, 8), "small", places, seed=seed, dtype=dtype)


def one(kind, **settings):
    return made(kind, [ta.CpuDevice(workers=1)], **settings)


def losses(net, steps=4, n=6):
    head, sgd = ta.SoftmaxCrossEntropy(device=net.device, dtype=net.dtype), ta.SGD(net, lr=0.02)
    found = []
    for step in range(steps):
        logits = net.forward(net.device.asarray(values((n, 3, 8, 8), step, net.dtype)), train=True)
        found.append(float(head.forward(logits, np.arange(n), train=True)))
        net.backward(head.backward())
        sgd.step()
    return found


@every_place
@each_norm
def test_two_towers_train_and_predict_as_one_net_with_groups(kind, place):
    whole, two = one(kind, dtype=np.float64), made(kind, two_devices_of(place), np.float64)
    assert parameters(rows(kind), (3, 8, 8)) == sum(array.size for array in whole.params.values())
    assert np.allclose(losses(two), losses(whole), rtol=1e-10, atol=0)
    wanted, joined = state_on_host(whole), join_state(state_on_host(two))
    assert joined.keys() == wanted.keys()
    assert all(wanted[name].all() for name in wanted if name.endswith("running_mean"))
    for name, array in wanted.items():
        assert np.abs(joined[name] - array).max() <= 1e-9 * max(np.abs(array).max(), 1e-3), name  # a bias in front of bn gets no gradient
    x = values((3, 3, 8, 8), 9)
    for frozen in (False, True):  # a frozen net folds each normalization into the convolution in front of it
        whole.freeze(frozen), two.freeze(frozen)
        out = two.device.to_numpy(two.forward(two.device.asarray(x)))
        assert np.allclose(out, whole.forward(x), rtol=1e-9, atol=1e-9)


@each_norm
def test_weights_and_statistics_of_one_tower_load_into_two_and_back(kind, tmp_path):
    whole, two = one(kind), made(kind, places_of("small", 2, "cpu:0,cpu:1"), seed=8)
    losses(whole)
    save_weights(tmp_path / "one", whole)
    load_weights(tmp_path / "one", two)
    if kind != "gn":
        halves = [two.buffers[f"norm2{tower}.running_var"] for tower in "ab"]
        assert np.array_equal(np.concatenate(halves), whole.buffers["norm2.running_var"]) and (halves[0] != 1).all()
    save_weights(tmp_path / "two", two)
    again = one(kind, seed=9)
    load_weights(tmp_path / "two", again)
    assert parameters_sha256(again) == parameters_sha256(whole)  # over the buffers too


def trainer(net, folder=None, stop_after=None):
    rng = np.random.default_rng(1)
    data = rng.integers(0, 256, (24, 3, 8, 8), np.uint8), rng.integers(0, 10, 24)
    head = ta.SoftmaxCrossEntropy(device=net.device, dtype=net.dtype)
    found = Trainer(net, ta.SGD(net, lr=0.01), None, head, train=data, val=data, prepare=SubtractMean.fit(data[0]), folder=folder,
                    batch_size=8, save_every_s=0.0, seed=3, hints=False, progress=False)  # fmt: skip
    step, left = found.sgd.step, iter(range(stop_after or 0, -1, -1))

    def counted():
        step()
        if stop_after and next(left) == 0:
            os.kill(os.getpid(), signal.SIGINT)

    found.sgd.step = counted
    return found


@every_place
@each_norm
def test_stopped_run_of_two_towers_goes_on_to_the_same_bytes(kind, place, tmp_path):
    whole = trainer(made(kind, two_devices_of(place)))
    whole.run(2)
    with pytest.raises(Interrupted):
        trainer(made(kind, two_devices_of(place)), tmp_path, stop_after=3).run(2)
    again = trainer(made(kind, two_devices_of(place), seed=8), tmp_path)
    again.run(2)
    assert parameters_sha256(again.net) == parameters_sha256(whole.net)


@pytest.mark.parametrize(
    ("kind", "changed", "other"),
    [("bn", "bn as in Caffe", ("momentum = 0.999", "0.1")), ("gn", "gn of two", ("groups = 2", "4"))],
    ids=["bn", "gn"],
)
@pytest.mark.parametrize("first", [1, 2])
def test_run_of_one_tower_goes_on_on_two_and_back_but_not_with_other_settings(kind, changed, other, first, tmp_path):
    def give(towers, kind=kind):
        return trainer(made(kind, places_of("small", towers, None)), tmp_path)

    give(first).run(1)
    assert give(3 - first).run(2)[-1].epoch == 2
    assert give(first).position.epoch == 2
    got, had = other
    for towers in (1, 2):
        with refuses(CheckpointError, f"got trainer.layers.norm1.{got} where that had {had}"):
            give(towers, changed)


def test_what_two_towers_cannot_share_is_refused_with_the_layer():
    whole = "groups must be an even number for two towers, of which each has half, got"
    for row, text in (
        (gn("norm1", 1), f"norm1: {whole} 1; use groups=2, or one tower"),
        (gn("norm1", 3), f"norm1: {whole} 3; use groups=6, or one tower"),
        (norm("norm1"), f"norm1: {whole} 1; use groups=2, or one tower"),  # across channels of both towers
        (conv("conv2", 6, 3, groups=3), f"conv2: {whole} 3; use groups=6, or one tower"),
        (conv("conv2", 7, 3), "conv2: filters or units must be an even number for two towers, got 7"),
        (bn("norm"), "rows: the name of a layer with parameters must end with a digit for two towers, 'norm1' and the like, got 'norm'"),
    ):
        with refuses(ta.ShapeError, text):
            half(row, 0)
    rows = conv("conv1", 8, 3), gn("norm1", 6), flatten("flatten1"), linear("fc2", 10)
    with refuses(ta.ShapeError, "norm1a: channels must be a multiple of groups=3, got 4"):
        build_rows(rows, (3, 8, 8), "net", places_of("net", 2, "cpu"))
