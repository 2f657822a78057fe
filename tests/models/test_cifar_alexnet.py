"""AlexNet in small, with one tower and two."""

from __future__ import annotations

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import values
from tests.places import card
from tinyalex.analysis.count import count, totals
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import DeviceError, ShapeError
from tinyalex.models import join_state
from tinyalex.models.cifar_alexnet import WIDTHS, cifar_alexnet

TWO = {
    "cpu:0,cpu:1": lambda: (ta.CpuDevice("cpu:0", workers=1), ta.CpuDevice("cpu:1", workers=1)),
    "sim:0,sim:1": lambda: (card(0), card(1)),
    "one cpu": lambda: (ta.CpuDevice("cpu", workers=1),) * 2,
}


def losses(net, steps=4, n=6):
    """Loss of a few steps with dropout, momentum and decay."""
    head, sgd = ta.SoftmaxCrossEntropy(device=net.device, dtype=net.dtype), ta.SGD(net, lr=0.02)
    found = []
    for step in range(steps):
        logits = net.forward(net.device.asarray(values((n, 3, 24, 24), step, net.dtype)), train=True)
        found.append(float(head.forward(logits, np.arange(n), train=True)))
        net.backward(head.backward())
        sgd.step()
    return found


def on_host(net):
    return {f"{leaf.name}.{key}": leaf.device.to_numpy(array) for leaf in net.leaves() for key, array in leaf.params.items()}


@pytest.fixture(scope="module")
def one_tower():
    """The twin after its steps, and their losses."""
    net = cifar_alexnet(devices=ta.CpuDevice(workers=1), dtype=np.float64, seed=5)
    return net, losses(net)


@pytest.mark.parametrize("place", TWO)
def test_two_towers_have_the_curve_of_their_one_tower_twin(place, one_tower):
    one, expected = one_tower
    two = cifar_alexnet(towers=2, devices=TWO[place](), dtype=np.float64, seed=5)
    assert np.allclose(losses(two), expected, rtol=1e-10, atol=0)
    joined = join_state(on_host(two))
    for name, array in on_host(one).items():
        assert np.abs(joined[name] - array).max() <= 1e-10 * np.abs(array).max(), name


def test_both_start_with_the_same_weights_and_another_seed_with_others():
    one, two = cifar_alexnet(seed=1), cifar_alexnet(towers=2, seed=1)
    joined = join_state(on_host(two))
    assert all(np.array_equal(joined[name], array) for name, array in on_host(one).items())
    assert not np.array_equal(one.params["conv1.weight"], cifar_alexnet(seed=2).params["conv1.weight"])


@pytest.mark.parametrize("towers", [1, 2])
def test_counts(towers):
    sums = totals(count(cifar_alexnet(towers, devices=[DryDevice(f"cpu:{i}") for i in range(towers)])))
    by_hand = {
        "conv1": (32 * 75 + 32, 24 * 24 * 32 * 75),
        "conv2": (64 * 16 * 25 + 64, 12 * 12 * 64 * 16 * 25),
        "conv3": (128 * 64 * 9 + 128, 6 * 6 * 128 * 64 * 9),
        "conv4": (128 * 64 * 9 + 128, 6 * 6 * 128 * 64 * 9),
        "conv5": (64 * 64 * 9 + 64, 6 * 6 * 64 * 64 * 9),
        "fc6": (256 * 576 + 256, 256 * 576),
        "fc8": (10 * 256 + 10, 10 * 256),
    }
    assert sums.parameters == sum(parameters for parameters, _ in by_hand.values()) == 363_018
    assert sums.macs == sum(macs for _, macs in by_hand.values()) == 11_854_336
    assert 2 * sums.parameters < 1_000_000  # bytes as float16
    assert sums.forward_bytes == (12_032 if towers == 2 else 0)  # conv3 64*36, fc6 576, both ways; fc8 128, one way; 4 bytes each


def test_structure_is_alexnets():
    names = [leaf.name for leaf in cifar_alexnet(devices=DryDevice()).leaves()]
    assert names == [
        *("conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2", "conv3", "relu3", "conv4", "relu4"),
        *("conv5", "relu5", "pool5", "flatten5", "fc6", "relu6", "drop6", "fc8"),
    ]
    net = cifar_alexnet(devices=DryDevice())
    assert [net[f"conv{i}"].groups for i in range(1, 6)] == [1, 2, 1, 2, 2] and net["norm1"].groups == net["norm2"].groups == 2
    assert {layer: len(net[layer].params["weight"]) for layer in WIDTHS} == WIDTHS


def test_initial_values_and_normalization_are_those_of_inputs_of_unit_variance():
    net = cifar_alexnet(seed=2)
    for layer in (*WIDTHS, "fc8"):
        weight, bias = net.params[f"{layer}.weight"], net.params[f"{layer}.bias"]
        fan_in = weight[0].size
        assert weight.std() == pytest.approx(((1 if layer == "fc8" else 2) / fan_in) ** 0.5, rel=0.05) and not bias.any()
    for norm in (net["norm1"], net["norm2"]):
        assert (norm.alpha_each, norm.k, norm.n, norm.beta) == (1e-4 * 64**2, 2, 5, 0.75)


def test_dtype_is_that_of_all_parameters():
    assert {weight.dtype for weight in cifar_alexnet(dtype=np.float64).params.values()} == {np.dtype(np.float64)}


def test_signal_neither_dies_nor_explodes_at_the_start():
    net = cifar_alexnet(seed=0)
    logits = net.forward(np.random.default_rng(0).standard_normal((32, 3, 24, 24)).astype(np.float32))
    assert 0.02 < logits.std() < 2


def test_whole_images_and_other_classes_build():
    net = cifar_alexnet(input_size=32, num_classes=100, devices=DryDevice())
    assert net.in_shape == (3, 32, 32) and net["fc8"].params["weight"].shape == (100, 256) and totals(count(net)).macs < 25_000_000


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"towers": 3}, ShapeError, "^cifar-alexnet: towers must be 1 or 2, got 3"),
        ({"seed": -1}, ShapeError, "^cifar-alexnet: seed must be an integer of at least 0, got -1"),
        ({"num_classes": 1}, ShapeError, "^cifar-alexnet: num_classes must be an integer of at least 2, got 1"),
        ({"input_size": 0}, ShapeError, "^cifar-alexnet: input_size must be an integer of at least 1, got 0"),
        ({"input_size": 7}, ShapeError, r"^cifar-alexnet: input_size must be at least \d+, got 7 \(pool"),
        ({"num_classes": 10**9}, ShapeError, "^cifar-alexnet: .* must give at most 4,294,967,296 parameters, got "),
        ({"devices": "gpu"}, DeviceError, "^cifar-alexnet: device must be 'cpu', .*, got 'gpu'"),
        ({"towers": 2, "devices": "cpu:0,sim:0"}, DeviceError, "^cifar-alexnet: devices must be of one kind, got cpu:0 and sim:0"),
        ({"devices": "cpu:0,cpu:1"}, DeviceError, "^cifar-alexnet: devices must be one for one tower, got 2"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_setting_raises(settings, error, text):
    with pytest.raises(error, match=text):
        cifar_alexnet(**settings)
