"""Two towers on `cuda:0,cuda:1`, on the stand-in for CuPy: NumPy computes; copies are counted, and streams that do not wait are races."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import values
from tests.devices import cupy_stub
from tests.devices.cupy_stub import card_now
from tinyalex.data.batches import SubtractMean
from tinyalex.devices.cuda import CudaDevice
from tinyalex.models import join_state
from tinyalex.models.cifar_alexnet import cifar_alexnet
from tinyalex.training import Trainer, parameters_sha256

N, STEPS = 4, 3
BYTES = 12_032  # an image and direction as float32: conv3 64*36 and fc6 576, both ways; fc8 128, one way; 4 bytes each


@pytest.fixture
def cards(monkeypatch):
    """Both cards of a stand-in with as much memory as the net takes."""
    monkeypatch.setenv("TINYALEX_KERNELS", "0")
    stub = cupy_stub.install()
    yield stub, [CudaDevice(0), CudaDevice(1)]
    cupy_stub.remove()


def on_host(net, what):
    return {f"{leaf.name}.{key}": leaf.device.to_numpy(array) for leaf in net.leaves() for key, array in getattr(leaf, what).items()}


def close(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.abs(found[name] - array).max() <= 1e-12 * np.abs(array).max(), name


def test_two_cards_are_their_one_device_twin_and_send_what_is_counted(cards):
    cupy, devices = cards
    nets = [cifar_alexnet(devices=ta.CpuDevice(workers=1), dtype=np.float64), cifar_alexnet(2, devices=devices, dtype=np.float64)]
    heads = [ta.SoftmaxCrossEntropy(device=net.device, dtype=np.float64) for net in nets]
    sgds = [ta.SGD(net, lr=0.05) for net in nets]
    cupy.calls.clear()
    for step in range(STEPS):
        losses = []
        for net, head in zip(nets, heads, strict=True):
            losses.append(float(head.forward(net.forward(values((N, 3, 24, 24), step), train=True), np.arange(N), train=True)))
            net.backward(head.backward())
        assert losses[1] == pytest.approx(losses[0], rel=1e-12)
        close(join_state(on_host(nets[1], "grads")), on_host(nets[0], "grads"))
        for sgd in sgds:
            sgd.step()
    close(join_state(on_host(nets[1], "params")), on_host(nets[0], "params"))
    assert sum(device.received.nbytes for device in devices) == STEPS * N * 2 * 2 * BYTES == 577_536  # float64, forward and backward
    by_link = Counter(entry.label for device in devices for entry in device.received.entries)
    assert by_link == {"conv3_link": 4 * STEPS, "fc6_link": 4 * STEPS, "fc8_link": 2 * STEPS}
    assert Counter(call[0] for call in cupy.calls if call[0] in ("record", "wait")) == {"record": 20 * STEPS, "wait": 20 * STEPS}


def test_layers_stand_on_their_card_and_the_thread_goes_back(cards):
    _, devices = cards
    net = cifar_alexnet(2, devices=devices)
    for leaf in net.leaves():
        assert leaf.device is devices[leaf.name.endswith("b")]
        assert all(leaf.device.owns(array) for array in (*leaf.params.values(), *leaf.grads.values()))
    net.forward(values((N, 3, 24, 24), dtype=np.float32))
    assert card_now() == 0


def test_room_that_ends_on_one_card_names_layer_and_card(cards):
    _, devices = cards
    net = cifar_alexnet(2, devices=devices)
    for device in devices:
        device.limit_memory(sum(a.nbytes for leaf in net.leaves() if leaf.device is device for a in leaf.params.values()) * 2 + (1 << 17))
    with pytest.raises(ta.OutOfMemory, match=r"^\w+: cuda:[01]: an array does not fit, [\d,]+ of [\d,]+ bytes are left; use a smaller"):
        net.forward(values((N, 3, 24, 24), dtype=np.float32), train=True)


def trainer_on(devices, steps):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (steps, 3, 24, 24), np.uint8), rng.integers(0, 10, steps)
    net, prepare = cifar_alexnet(len(devices), devices=devices if len(devices) > 1 else devices[0]), SubtractMean.fit(data[0])
    return Trainer(net, ta.SGD(net), train=data, prepare=prepare, batch_size=1, progress=False, hints=False)


@pytest.mark.parametrize("towers", [1, 2])
def test_a_run_on_cards_waits_for_them_every_few_steps_and_is_that_of_a_cpu(cards, monkeypatch, towers):
    monkeypatch.setattr("tinyalex.training.trainer.READ_EVERY", 3)
    cupy, devices = cards
    trainer, waits = trainer_on(devices[:towers], 5), []
    step = trainer._step

    def counted(images, labels):
        cupy.calls.clear()
        step(images, labels)
        waits.append(Counter(entry[0] for entry in cupy.calls))

    trainer._step = counted
    (card,), (cpu,) = trainer.run(1), trainer_on([ta.CpuDevice(workers=1)] * towers, 5).run(1)
    assert [count["to host"] for count in waits] == [0, 0, 1, 0, 1] and not any(count["synchronize"] for count in waits)
    assert [count["upload"] for count in waits] == [towers] * 5  # from the host to each card
    assert [count["host waits"] for count in waits] == [0, 0, *[towers] * 3]  # for the copy of two batches ago, not for the computation
    assert not any(entry.label == "split" for device in devices for entry in device.received.entries)  # and none from card to card
    assert card.loss == pytest.approx(cpu.loss, rel=1e-5) and card.train_error == cpu.train_error


@pytest.mark.parametrize("part", [0.5, 0.2, 0])
def test_memory_that_ends_in_the_middle_of_a_step_leaves_the_parameters(cards, part):
    cupy, devices = cards
    trainer_on(devices, 1).run(1)
    most = list(cupy.held)
    cupy_stub.remove()
    stub = cupy_stub.install()
    trainer = trainer_on([CudaDevice(0), CudaDevice(1)], 1)
    start, used = parameters_sha256(trainer.net), list(stub.used)
    stub.limits[:] = [used[i] + int(part * (most[i] - used[i])) for i in range(2)]
    with pytest.raises(ta.OutOfMemory, match=r"^[\w ]+: cuda:[01]: an array does not fit, [\d,]+ of [\d,]+ bytes are left; use") as caught:
        trainer.run(1)
    assert caught.value.layer is not None and parameters_sha256(trainer.net) == start and trainer.position.step == 0
    stub.limits[:] = [0, 0]
    trainer.run(1)
    assert trainer.position.epoch == 1
