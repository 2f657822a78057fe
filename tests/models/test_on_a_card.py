"""Every net of the registry, in small, computes on a GPU what it computes on a CPU, also in training steps with dropout."""

from __future__ import annotations

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import values
from tests.places import device_of, host
from tinyalex.models.registry import GROUPS, build

SMALL = {"width": 1 / 16, "num_classes": 10, "input_size": 67}  # of AlexNets, of which each layer must remain


def small(name, device):
    """The net in float64; torchvision's AlexNet reads 63x63 at least, and the small nets are as they are."""
    return build(name, devices=device, seed=3, dtype=np.float64, **(SMALL if name.startswith("alexnet") else {}))


def trained(net, steps=2, n=2):
    """Losses of two steps, the gradients of the second, and the parameters after it, on the host."""
    device, head, sgd, losses, grads = net.device, ta.SoftmaxCrossEntropy(device=net.device, dtype=np.float64), ta.SGD(net), [], {}
    for step in range(steps):
        x = device.asarray(values((n, *net.in_shape), step))
        losses.append(float(head.forward(net.forward(x, train=True), np.arange(n), train=True)))
        net.backward(head.backward())
        grads = {key: host(device, grad) for key, grad in net.grads.items()}
        sgd.step()
    return losses, grads, {key: host(device, weight) for key, weight in net.params.items()}


@pytest.mark.parametrize("name", GROUPS["AlexNet and small nets"])
def test_net_trains_on_a_gpu_as_on_a_cpu(name):
    (losses, grads, params), (wanted, its_grads, its_params) = (trained(small(name, device_of(place))) for place in ("card", "cpu"))
    assert losses == pytest.approx(wanted, rel=1e-12)
    for found, expected in ((grads, its_grads), (params, its_params)):
        for key, array in expected.items():
            assert np.abs(found[key] - array).max() <= 1e-11 * np.abs(array).max(), key
    assert any(grad.any() for grad in its_grads.values())
