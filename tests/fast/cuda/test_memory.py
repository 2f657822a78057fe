"""How the kernels use memory, counted by the simulated card: coalesced accesses, and no conflicts of banks."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import values
from tests.fast.cuda import ways
from tinyalex import sim
from tinyalex.fast.cuda import loader

pytestmark = pytest.mark.skipif(ways.REASONS["ptx"] is not None, reason=f"kernels as ptx: {ways.REASONS['ptx']}")
F = np.float32
# The least part of the moved bytes that a warp needs. 1 is a coalesced access; below it stands the reason.
LEAST = {
    "col2im": 0.8,  # windows at the edges are missing
    "max_pool": 0.4,  # a stride of 2 leaves out every second pixel, which the next cell reads from the cache
    "avg_pool": 0.4,
    "avg_pool_backward": 0.7,  # two neighbors read the same dout
    "max_pool_backward": 0.5,  # only pixels that won read dout
    "kept_units": 0.1,  # a thread writes 8 single bytes, and the card joins them in its cache
}


def used(run):
    """By kernel: the least efficiency of its accesses to global memory, and its bank conflicts."""
    with sim.races(False), sim.profile() as counts:
        run()
    found = {}
    for one in counts.traffic:
        least, conflicts = found.get(one.kernel, (1.0, 0))
        found[one.kernel] = (min(least, one.efficiency) if one.space == "global" else least, conflicts + one.conflicts)
    return found


def pass_through(layer, device, shape=(1, 16, 16, 32)):
    x = device.asarray(values(shape, 1, F))
    layer.backward(layer.forward(x, train=True))


def conv(filters):
    return lambda device: pass_through(ta.Conv2d(16, filters, 3, padding=1, rng=np.random.default_rng(0), device=device), device)


def end(device):
    loss, linear = ta.SoftmaxCrossEntropy(device=device), ta.Linear(64, 1000, rng=np.random.default_rng(0), device=device)
    loss.forward(linear.forward(device.asarray(values((8, 64), 1, F)), train=True), np.arange(8), train=True)
    linear.backward(loss.backward())
    ta.SGD(linear).step()


RUNS = {
    "tiles": conv(32),
    "columns": conv(96),
    "pool": lambda device: pass_through(ta.MaxPool2d(3, stride=2, device=device), device),
    "mean": lambda device: pass_through(ta.AvgPool2d(3, stride=2, device=device), device),
    "lrn": lambda device: pass_through(ta.LocalResponseNorm(device=device), device),
    "relu": lambda device: pass_through(ta.ReLU(device=device), device),
    "dropout": lambda device: pass_through(ta.Dropout(device=device), device),
    "end": end,
}


@pytest.fixture(autouse=True)
def kernels_run(monkeypatch):
    monkeypatch.setenv("TINYALEX_KERNELS", "1")


def test_every_access_is_coalesced_and_no_bank_is_in_demand_twice():
    found = {}
    for run in RUNS.values():
        found |= used(lambda run=run: run(ways.PtxDevice(9)))
    assert set(found) == {kernel for entry in ("columns", "pool", "lrn", "bias", "loss", "dropout", "sgd", "conv")
                          for kernel in loader.kernels_in(f"{entry}.cu")}  # fmt: skip
    for kernel, (least, conflicts) in found.items():
        assert least >= LEAST.get(kernel, 0.99) and conflicts == 0, (kernel, least, conflicts)


PLANTED = [
    # One line that makes neighbors read or write far apart, or banks collide: what runs, the file, the old text, the new text, the kernel.
    ("columns", "bias.cu", "int p = index % P, k = index / P % K, n = index / (P * K);",
     "int k = index % K, p = index / K % P, n = index / (P * K);", "add_bias"),
    ("lrn", "lrn.cu", "+ index % pixels;  // of the group's channel 0", "+ index % 32 * 16 + index / 32 % 16;", "lrn_forward"),
    ("end", "loss.cu", "for (int j = threadIdx.x; j < classes; j += blockDim.x) p[j] /= total;",
     "for (int j = threadIdx.x * 8; j < classes; j += blockDim.x * 8) for (int e = j; e < j + 8; ++e) p[e] /= total;", "softmax_loss"),
    ("tiles", "conv.cu", "__shared__ real weights[STEP][TILE + 2];", "__shared__ real weights[STEP][TILE];", "conv_forward"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "file", "old", "new", "kernel"), PLANTED, ids=[entry[4] for entry in PLANTED])
def test_a_planted_access_that_is_not_coalesced_is_noticed(run, file, old, new, kernel, monkeypatch):
    own = loader.source
    assert own(file).count(old) == 1
    monkeypatch.setattr(loader, "source", lambda name: own(name).replace(old, new))
    least, conflicts = used(lambda: RUNS[run](ways.PtxDevice(9)))[kernel]
    assert least < 0.5 or conflicts > 0
