"""Both passes layer by layer, and what the page holds of them."""

from __future__ import annotations

import base64
import json
import re
import zlib

import numpy as np
import pytest

from tests.contract import refuses
from tests.explore.pages import page_of
from tinyalex.analysis.inside import without_heads
from tinyalex.errors import DataError, ShapeError
from tinyalex.explore.collect import described, kind_of, numbers_of, weights_of
from tinyalex.explore.page import packed, spelled, written
from tinyalex.explore.passes import passes_of
from tinyalex.explore.selection import parse_channels, selected
from tinyalex.layers import AbsTanh, AvgPool2d, BatchNorm2d, Both, Branches, Conv2d, Dropout, Flatten, Linear, Sequential, Sum
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models import build

FEW = {"conv1": (0, 1, 20), "conv2": (3, 40), "conv3": (7,), "conv4": (9, 100), "conv5": (0, 33), "fc6": (1, 2, 200)}


def test_passes_are_those_of_the_whole_net(explored):
    """Without dropout a training step of the whole net, with its fused layers, gives the same outputs and gradients, to the bit."""
    net = Sequential([layer for layer in explored.net.layers if not isinstance(layer, Dropout)], explored.net.in_shape)
    for k, label in enumerate((7, 2)):
        x = explored.images[k : k + 1]
        one = passes_of(net, x, label)
        loss = SoftmaxCrossEntropy()
        net.zero_grad()
        logits = net.forward(x, train=True)
        assert one.loss == float(loss.forward(logits, np.array([label]), train=True)) and one.label == label
        net.backward(loss.backward())
        assert np.array_equal(one.values[-1], logits[0]) and np.array_equal(one.values[0], x[0])
        assert set(one.grads) == set(net.grads)
        assert all(np.array_equal(one.grads[name], grad) for name, grad in net.grads.items())
        net.zero_grad()


def test_net_is_left_as_it_was(explored):
    before = {name: array.copy() for name, array in explored.net.params.items()}
    passes_of(explored.net, explored.images[:1], None)
    assert all(np.array_equal(before[name], array) for name, array in explored.net.params.items())
    assert not any(grad.any() for grad in explored.net.grads.values()) and all(leaf._cache is None for leaf in explored.net.leaves())


def test_values_are_those_of_the_test_and_the_label_is_the_most_probable_class(explored):
    one, x = explored.passes[1], explored.images[1:]
    assert np.array_equal(one.values[-1], explored.net.forward(x)[0])
    assert one.label == np.argmax(one.values[-1]) and one.probabilities.sum() == pytest.approx(1)
    assert one.loss == pytest.approx(-np.log(one.probabilities[one.label]), rel=1e-5)


def test_gradient_of_every_value_is_the_slope_of_the_loss():
    """The net from each layer on, in float64: the loss is measured on both sides of a random step; dropout halves."""
    rng = np.random.default_rng(0)
    net = build("cifar-alexnet", seed=4, input_size=12)
    one = passes_of(net, rng.standard_normal((1, 3, 12, 12)).astype(np.float32), 3)
    same = build("cifar-alexnet", seed=4, input_size=12, dtype=np.float64)

    def loss(at, value):
        x = value[None]
        for layer in same.layers[at:]:
            x = layer.forward(x)
        return float(SoftmaxCrossEntropy(dtype=np.float64).forward(x, np.array([3])))

    for at, (value, dout) in enumerate(zip(one.values, one.douts, strict=True)):
        noise = rng.standard_normal(value.shape)  # along dout alone, a gradient in a wrong direction would pass
        step = 1e-6 * (dout / np.linalg.norm(dout) + noise / np.linalg.norm(noise)) * (value != 0)  # zeros of a ReLU tie in the pool
        slope = loss(at, value + step) - loss(at, value - step)
        assert slope == pytest.approx(2 * (dout * step).sum(), rel=1e-3), at


LATER = {"resnet20": {"width": 1 / 4}, "vgg11-bn": {"width": 1 / 32}, "googlenet-heads": {"width": 1 / 8, "input_size": 80}}


def later_net(name, dtype=np.float32):
    """The net with running statistics that a few batches moved."""
    net = build(name, num_classes=10, dtype=dtype, **{"input_size": 32} | LATER[name])
    for seed in range(2):
        x = np.random.default_rng(seed).standard_normal((4, *net.in_shape))
        net.forward(x.astype(dtype), train=True)
        net.reset()
    return net


@pytest.mark.parametrize("name", LATER)
def test_networks_after_alexnet_are_shown_as_they_are_tested(name):
    net, x = later_net(name), np.random.default_rng(9).standard_normal((1, 3, 80, 80)).astype(np.float32)
    x = x[:, :, : net.in_shape[1], : net.in_shape[2]]
    before, shown = {key: array.copy() for key, array in net.buffers.items()}, without_heads(net)
    one = passes_of(shown, x, 3)
    np.testing.assert_allclose(one.values[-1], net.forward(x)[0], rtol=1e-5, atol=1e-5)
    assert all(np.array_equal(array, net.buffers[key]) for key, array in before.items())
    assert all(leaf._cache is None for leaf in net.leaves()) and not any(grad.any() for grad in net.grads.values())
    assert {leaf.statistics for leaf in net.leaves() if isinstance(leaf, BatchNorm2d)} <= {"batch"}
    channels = selected(shown, {})
    assert [layer["shape"][0] for layer in described(shown, channels)] == [len(chosen) for chosen in channels[1:]]
    assert page_of(shown, [one], channels)


def test_gradient_of_every_value_of_a_residual_net_is_the_slope_of_the_loss():
    net, same = (later_net("resnet20", dtype) for dtype in (np.float32, np.float64))
    one = passes_of(net, np.random.default_rng(9).standard_normal((1, 3, 32, 32)).astype(np.float32), 3)
    rng = np.random.default_rng(0)

    def loss(at, value):
        x = value[None]
        for layer in same.layers[at:]:
            x = layer.forward(x)
        return float(SoftmaxCrossEntropy(dtype=np.float64).forward(x, np.array([3])))

    for at, (value, dout) in enumerate(zip(one.values, one.douts, strict=True)):
        noise = rng.standard_normal(value.shape)
        step = 1e-6 * (dout / np.linalg.norm(dout) + noise / np.linalg.norm(noise)) * (value != 0)
        slope = loss(at, value + step) - loss(at, value - step)
        assert slope == pytest.approx(2 * (dout * step).sum(), rel=2e-3), at


def test_what_would_compute_otherwise_in_training_is_refused_inside_of_paths():
    def inside(path, merge):
        return Sequential([Branches([path, []], merge, name="paths"), Flatten()], in_shape=(2, 3, 3))

    x = np.ones((1, 2, 3, 3), np.float32)
    with refuses(ShapeError, "explore: paths must have no dropout in its paths, which draws a mask there, got dropout; leave it out"):
        passes_of(inside([Dropout()], Sum()), x, 0)
    with refuses(ShapeError, "explore: paths must have no auxiliary head, got both; take tinyalex.analysis.inside.without_heads(net)"):
        passes_of(inside([], Both()), x, 0)
    columns = build("ciresan-columns", width=0.1)
    with refuses(ShapeError, "if it returns no gradient of its input, got Branches; in Python build the net with input_gradient=True"):
        passes_of(columns, np.ones((1, 3, 32, 32), np.float32), 0)


def test_mean_that_counts_padding_is_not_taken_apart():
    assert [kind_of(AvgPool2d(2, count_padding=counts)) for counts in (False, True)] == ["mean", "other"]


def test_scale_of_normalization_within_a_channel(normalized):
    one, layer = normalized.passes[0], normalized.net["rnorm1"]
    np.testing.assert_allclose(one.values[1] / one.scales["rnorm1"] ** layer.beta, one.values[2], rtol=1e-5)


def test_other_layers_too():
    rng = np.random.default_rng(0)
    layers = [
        Conv2d(2, 4, 3, rng=rng, input_gradient=False), AbsTanh(), AvgPool2d(3, stride=2, ceil_mode=True), Flatten(),
        Linear(4 * 4 * 4, 3, rng=rng),
    ]  # fmt: skip
    net = Sequential(layers, in_shape=(2, 10, 10))
    one = passes_of(net, rng.standard_normal((1, 2, 10, 10)).astype(np.float32), 0)
    assert [value.shape for value in one.values] == [(2, 10, 10), (4, 8, 8), (4, 8, 8), (4, 4, 4), (64,), (3,)]
    found = described(net, selected(net, {}))
    assert [layer["kind"] for layer in found] == ["conv", "function", "mean", "flatten", "linear"] and found[1]["function"] == "abstanh"


def test_towers_and_who_reads_both(explored):
    found = {layer["name"]: layer for layer in described(explored.net, explored.channels)}
    assert {name for name, layer in found.items() if layer["towers"] == 1} == {"fc8"}
    assert {name for name, layer in found.items() if layer.get("reads") == "both"} == {"conv3", "fc6", "fc8"}
    alone = build("figure1")
    assert {layer["towers"] for layer in described(alone, selected(alone, {}))} == {1}


def test_chosen_channels_and_the_rest_make_the_whole_sum(explored):
    net, one, chosen = explored.net, explored.passes[0], selected(explored.net, FEW)
    weights, numbers = weights_of(net, chosen), numbers_of(net, chosen, one, 0)
    names = [layer.name for layer in net.layers]
    for name, channels in (("conv2", FEW["conv2"]), ("conv3", FEW["conv3"]), ("fc6", FEW["fc6"]), ("fc8", range(10))):
        at = names.index(name)
        layer, x, held = net.layers[at], one.values[at].astype(np.float64), chosen[at]
        weight, groups, count = layer.params["weight"], layer.groups, layer.params["weight"].shape[1]
        for row, k in enumerate(channels):
            first = k // (len(weight) // groups) * count
            inside = held[(held >= first) & (held < first + count)]
            assert np.array_equal(weights[f"w:{name}"][row, : len(inside)], weight[k, inside - first])
            assert np.array_equal(numbers[f"p0:dw:{name}"][row, : len(inside)], one.grads[f"{name}.weight"][k, inside - first])
            kept = np.zeros_like(x)
            kept[inside] = x[inside]
            part = layer.forward(kept[None].astype(np.float32))[0, k]  # with the bias
            assert part + numbers[f"p0:rest:{name}"][row] == pytest.approx(one.values[at + 1][k], rel=1e-4, abs=1e-4)
    assert np.array_equal(numbers["p0:v3"], one.values[3][list(FEW["conv1"])]) and "p0:rest:conv1" not in numbers
    assert len(page_of(net, [one], chosen)) < len(explored.page) / 5


def test_arrays_come_back_from_the_page_as_they_were(explored):
    content = json.loads(re.search(r'id="content">(.*?)</script>', explored.page.decode(), re.DOTALL)[1])
    pack = content["arrays"]["p1:d5"]
    planes = np.frombuffer(zlib.decompress(base64.b64decode(pack["data"])), np.uint8).reshape(4, -1)
    back = np.ascontiguousarray(planes.T).view("<f4").reshape(pack["shape"])
    assert np.array_equal(back, explored.passes[1].douts[5])


@pytest.mark.parametrize("text", ["", "conv1", "0,1", "conv1=", "conv1=x", "=1", "conv1=1,,2", "conv1=-1", "conv1=1.5"])
def test_channels_in_another_form(text):
    with refuses(ShapeError, "explore: --channels must be like conv1=0,5,conv3=7, got "):
        parse_channels(text)


def test_refusals(explored):
    net, x = explored.net, explored.images[:1]
    with refuses(ShapeError, "conv5, fc6, fc8, got 'conv9'; did you mean conv5?"):
        selected(net, {"conv9": (0,)})
    with refuses(ShapeError, "explore: --channels of conv1 must be from 0 to 31, got 32"):
        selected(net, {"conv1": (0, 32)})
    with refuses(ShapeError, "explore: the net must be on one device, got cifar-alexnet on two"):
        passes_of(build("cifar-alexnet", towers=2), x, 0)
    with np.errstate(all="ignore"), refuses(DataError, "explore: the outputs of the net must be finite"):
        passes_of(net, np.full_like(x, np.nan), 0)
    large = {"p0:dw:fc6": np.zeros(3000, np.float32), "v0": np.zeros(1, np.float32)}
    with refuses(
        ShapeError,
        "at most 2,000 bytes before they are compressed, got 12,004, of which the largest array, ",
    ):
        written({"title": ""}, large, most=500)
    with refuses(ShapeError, "explore: the page must have at most 9,000 bytes, got "):
        written({"title": ""}, large, most=9000)


def test_names_of_arrays_in_words():
    assert [spelled(name) for name in ("w:conv1", "p3:v2", "p0:d4", "p0:win:pool1", "p0:rest:fc6", "v:bn1")] == [
        "the weights of conv1", "the output of layer 2", "the gradient of layer 4", "the winners of pool1", "the other channels of fc6",
        "the running variances of bn1",
    ]  # fmt: skip
    assert packed(np.zeros((2, 3), np.float32))["kind"] == "f4"
