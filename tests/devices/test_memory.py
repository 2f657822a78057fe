"""After the first training step nothing large is asked of the system any more."""

import tracemalloc

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import rng, values
from tinyalex.devices import CpuDevice
from tinyalex.layers import Conv2d, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU
from tinyalex.loss import SoftmaxCrossEntropy

IMAGES, SIZE = 64, 24
SMALLEST, MOST = 1 << 13, 1 << 18  # the pool serves smaller arrays than it does elsewhere; every map of this net is larger than MOST


def layers(device, algorithm, first):
    at = {"rng": rng(), "device": device}
    relu, norm, pool = ReLU(name="relu1", device=device), LocalResponseNorm(device=device), MaxPool2d(3, stride=2, device=device)
    return [
        Conv2d(3, 16, 5, padding=2, input_gradient=first == "im2col", algorithm=first, name="conv1", **at),
        *((pool, relu) if first == "lines" else (relu, norm, pool)),  # as in the nets of Figure 1 and of the paper
        Conv2d(16, 24, 3, padding=1, groups=2, algorithm=algorithm, name="conv2", **at),
        ReLU(name="relu2", device=device),
        Flatten(name="flatten", device=device),
        Linear(24 * 11 * 11, 10, name="fc", **at),  # no dropout, whose mask is drawn anew on the host
    ]


@pytest.mark.parametrize("first", ["im2col", "lines"])
@pytest.mark.parametrize("algorithm", ["im2col", "strips", "winograd"])
def test_training_steps_after_the_first_allocate_nothing_large(algorithm, first):
    device = CpuDevice(workers=1)  # of several, each makes its working memory when it first has a block of that layer
    device.arena.smallest = SMALLEST
    net, loss = ta.Sequential(layers(device, algorithm, first), in_shape=(3, SIZE, SIZE)), SoftmaxCrossEntropy(device=device)
    sgd, x, labels = ta.SGD(net, lr=0.01), values((IMAGES, 3, SIZE, SIZE), 1, np.float32), np.arange(IMAGES) % 10

    def step():
        loss.forward(net.forward(x, train=True), labels, train=True)
        net.backward(loss.backward())
        sgd.step()

    step()
    allocations = device.arena.allocations
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(3):
        step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    device.close()
    assert device.arena.allocations == allocations
    assert peak - before < MOST, f"{peak - before:,} bytes"
