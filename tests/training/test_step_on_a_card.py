"""A training step on simulated GPUs: it hardly waits, stays in float32, activates its devices, and leaves all as it was if it fails."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

import tinyalex as ta
from tinyalex.data.batches import SubtractMean
from tinyalex.devices.sim import SimDevice
from tinyalex.layers.dropout import Dropout
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.cifar_alexnet import cifar_alexnet
from tinyalex.training import Trainer, load_checkpoint, parameters_sha256
from tinyalex.training.checkpoint import checkpoint_files

STEPS, N = 12, 1


def trainer_on(devices, steps=1, **settings):
    """A trainer of the small AlexNet, with one tower or two, for epochs of so many steps."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (steps * N, 3, 24, 24), np.uint8), rng.integers(0, 10, steps * N)
    net = cifar_alexnet(len(devices), devices=devices if len(devices) > 1 else devices[0])
    prepare = SubtractMean.fit(images)
    settings = {"val": None, "evaluate_train": False, "progress": False, "hints": False} | settings
    return Trainer(net, ta.SGD(net), train=(images, labels), prepare=prepare, batch_size=N, **settings)


def counts_by_step(trainer, devices, **limits):
    """Train for an epoch, each step inside `limits`, and return the counts of each step on each device."""
    seen, step = [], trainer._step

    def limited(images, labels):
        with ExitStack() as stack:
            blocks = [stack.enter_context(device.limits(**limits)) for device in devices]
            step(images, labels)
        seen.append([block.counts for block in blocks])

    trainer._step = limited
    trainer.run(1)
    return seen


towers = pytest.mark.parametrize("towers", [1, 2])
STRICT = {"synchronizations": 1, "float64": False, "activated": True}


@towers
def test_a_step_waits_once_where_losses_are_read_and_else_never(towers):
    devices = [SimDevice(3 + i) for i in range(towers)]
    seen = counts_by_step(trainer_on(devices, STEPS), devices, **STRICT)
    waits = [sum(count.synchronizations for count in step) for step in seen]
    assert waits == [0] * 9 + [1] + [0] + [1] and len(waits) == STEPS  # after ten steps and after the last
    fetched = [sum(count.bytes_to_host for count in step) for step in seen]
    assert fetched == [0] * 9 + [4 * 2 * 10] + [0] + [4 * 2 * 2]  # a loss and a count of each step, in float32
    assert all(count.launches > 0 for step in seen for count in step)
    assert len({count.launches for step in seen[:9] for count in step[:1]}) == 1  # every step does the same


def test_each_of_two_cards_gets_the_batch_from_the_host_and_the_run_is_the_one_with_a_copy_between_them(monkeypatch):
    def run(devices):
        trainer = trainer_on(devices, 3, val=(np.zeros((2, 3, 24, 24), np.uint8), [0, 1]))
        seen, (result,) = counts_by_step(trainer, devices), trainer.results
        labels = {entry.label for device in devices for entry in device.received.entries}
        return [[count.bytes_to_device for count in step] for step in seen], labels, result.loss, parameters_sha256(trainer.net)

    links, image = {"conv3_link", "fc6_link", "fc8_link"}, 3 * 24 * 24 * 4
    sent, labels, *found = run([SimDevice(3), SimDevice(4)])
    assert labels == links and all(a > b >= image for a, b in sent)  # the labels go to the first device too
    monkeypatch.setattr(SimDevice, "uploader", lambda self, *others: self.asarray)  # then Split copies
    less, labels, *expected = run([SimDevice(3), SimDevice(4)])
    assert labels == {"split", *links} and [[a, b - image] for a, b in sent] == less and found == expected


def slip_synchronization(monkeypatch):
    forward = SoftmaxCrossEntropy.forward
    monkeypatch.setattr(SoftmaxCrossEntropy, "forward", lambda *args, **keywords: (loss := forward(*args, **keywords), float(loss))[0])


def slip_float64(monkeypatch):
    monkeypatch.setattr(Dropout, "train_factor", np.float64(1.0))
    multiply = Dropout._multiply
    monkeypatch.setattr(Dropout, "_multiply", lambda self, x, mask, factor: multiply(self, x * factor, mask, 1.0))


def slip_numpy_operand(monkeypatch):
    monkeypatch.setattr(Dropout, "mask", lambda self, shape: np.ones(shape, bool))


def slip_where(monkeypatch):
    monkeypatch.setattr(ta.ReLU, "function", lambda self, x, out, scratch: scratch.xp.multiply(x, 0, out=out, where=x < 0))


def slip_forgotten_copy(monkeypatch):
    def to_one_alone(self, *others):
        return lambda host, dtype: (x := self.asarray(host, dtype), x)

    monkeypatch.setattr(SimDevice, "uploader", to_one_alone)


def slip_forgotten_copy_at_a_link(monkeypatch):
    monkeypatch.setattr(ta.Exchange, "bring", lambda self, x, to: x)


def slip_not_activated(monkeypatch):
    at = SimDevice.activate
    monkeypatch.setattr(SimDevice, "activate", lambda self: at(SimDevice(9)) if self.number == 4 else at(self))


SLIPS = {
    slip_synchronization: (ta.DeviceError, "synchronizations must be at most 1 in this block, got one more, a copy to the host"),
    slip_float64: (ta.DeviceError, "arrays must be float32 in this block, got float64 array of shape"),
    slip_numpy_operand: (TypeError, "Unsupported type <class 'numpy.ndarray'>"),
    slip_where: (TypeError, "keywords of multiply must be among casting, dtype, out, as in CuPy 14"),
    slip_forgotten_copy: (ta.DeviceError, "split: x must be on sim:3 and sim:4, got an array on sim:3 and an array on sim:3"),
    slip_forgotten_copy_at_a_link: (ta.DeviceError, "an operand must be on sim:3, got an array on sim:4"),
    slip_not_activated: (ta.DeviceError, "the current device must be sim:4, got sim:9"),
}


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.__name__)
def test_a_planted_slip_is_caught(slip, monkeypatch):
    devices = [SimDevice(3), SimDevice(4)]
    slip(monkeypatch)  # before the trainer asks for the function that uploads its batches
    trainer = trainer_on(devices)
    error, text = SLIPS[slip]
    with pytest.raises(error) as caught:
        counts_by_step(trainer, devices, **STRICT)
    assert text in str(caught.value)


@towers
def test_memory_that_ends_in_the_middle_of_a_step_leaves_all_as_it_was_and_names_layer_and_device(tmp_path, towers):
    roomy = [SimDevice(i) for i in range(towers)]
    trainer, layers = trainer_on(roomy), set()
    before = [device.used for device in roomy]
    for device in roomy:
        device.peak = 0
    trainer.run(1)
    needs = [device.peak - used for device, used in zip(roomy, before, strict=True)]
    for part in (0.6, 0.4, 0.2, 0):
        devices = [SimDevice(i) for i in range(towers)]
        trainer = trainer_on(devices, folder=tmp_path / str(part))
        start = parameters_sha256(trainer.net)
        for device, need in zip(devices, needs, strict=True):
            device.limit_memory(device.used + int(part * need))
        with pytest.raises(ta.OutOfMemory, match=r"^[\w ]+: sim:[01]: an array of [\d,]+ bytes does not fit, .* are left; use a") as caught:
            trainer.run(1)
        layers.add(caught.value.layer)
        assert parameters_sha256(trainer.net) == start and trainer.position.step == 0 and trainer.position.images == 0
        assert load_checkpoint(checkpoint_files(trainer.folder)[-1]).position.step == 0 and ta.OutOfMemory.exit_code == 1
        assert not any(np.any(leaf.device.to_numpy(grad)) for leaf in trainer.net.leaves() for grad in leaf.grads.values())
        for device in devices:
            device.limit_memory(1 << 30)
        trainer.run(1)  # with enough memory the same trainer goes on
        assert trainer.position.epoch == 1
    assert len(layers) >= 2


def test_losses_that_are_read_together_are_those_of_the_steps():
    on_card, on_cpu = trainer_on([SimDevice(0)], 3), trainer_on([ta.CpuDevice(workers=1)], 3)
    (card,), (cpu,) = on_card.run(1), on_cpu.run(1)
    assert card.loss == pytest.approx(cpu.loss, rel=1e-6) and card.running_error == cpu.running_error


@towers
def test_a_loss_that_is_not_finite_is_reported_at_its_own_step(towers):
    trainer = trainer_on([SimDevice(i) for i in range(towers)], STEPS)
    step = trainer.sgd.step

    def spoiled():
        step()
        if trainer.position.step == 4:  # the fifth step: from the sixth on the loss is no number
            trainer.net["fc8"].bias[0] = np.inf
            trainer.net["fc8"].bias[1] = np.inf

    trainer.sgd.step = spoiled
    with pytest.raises(ta.DivergedError, match="loss must be finite, got nan at step 6, epoch 1; the first bad elements 4 steps later"):
        trainer.run(1)
