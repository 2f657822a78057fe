"""A run that was stopped, by a signal or by a kill at any moment, goes on as if it had not been."""

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tests.training.small_run import PER_EPOCH, make_net, make_trainer, random_data, refuses_run, without_times
from tinyalex.errors import CheckpointError, Interrupted
from tinyalex.models import cifar_alexnet
from tinyalex.training import RunLog, load_checkpoint, parameters_sha256
from tinyalex.training.checkpoint import checkpoint_files
from tinyalex.training.config import LATER
from tinyalex.training.resume import run_config

ROOT = Path(__file__).parents[2]
on_each_place = pytest.mark.usefixtures("place")


def start(folder, epochs, save_every_s=0.0, slow_write_s=0.0, workers=0):
    """The small run as a process of its own, that has come as far as its trainer."""
    command = [sys.executable, "-m", "tests.training.small_run", *map(str, (folder, epochs, save_every_s, slow_write_s, workers))]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out.strip(), err


def stop_after(trainer, steps):
    """Let the trainer get a SIGINT in its step number `steps`."""
    step, left = trainer.sgd.step, iter(range(steps - 1, -1, -1))

    def counted():
        step()
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGINT)

    trainer.sgd.step = counted
    return trainer


def log_without_times(folder):
    times = ("wall_s", "images_per_s", "wait_s", "time")
    return [{key: value for key, value in line.items() if key not in times} for line in RunLog(Path(folder) / "log.jsonl").read()]


@on_each_place
def test_finished_run_is_returned_again_without_training(whole):
    trainer = make_trainer(whole[0])
    assert trainer.run(2) == whole[1]
    assert parameters_sha256(trainer.net) == whole[2]


@on_each_place
def test_longer_run_goes_on_from_a_shorter_one(whole, tmp_path):
    assert make_trainer(tmp_path).run(1)[0].epoch == 1
    trainer = make_trainer(tmp_path)
    assert without_times(trainer.run(2)) == without_times(whole[1])
    assert parameters_sha256(trainer.net) == whole[2]
    assert log_without_times(tmp_path) == log_without_times(whole[0])


@on_each_place
@pytest.mark.parametrize("steps", [1, 3, PER_EPOCH, PER_EPOCH + 1])
def test_run_interrupted_after_any_step_goes_on_exactly(whole, tmp_path, steps):
    with refuses_run(Interrupted, f"stopped by Ctrl-C after step {steps} and saved in {tmp_path}") as caught:
        stop_after(make_trainer(tmp_path, save_every_s=1e9), steps).run(2)
    assert caught.value.exit_code == 130 and caught.value.folder == tmp_path
    other = make_net(seed=9)  # its weights must all come from the checkpoint
    trainer = make_trainer(tmp_path, net=other)
    assert without_times(trainer.run(2)) == without_times(whole[1])
    assert parameters_sha256(trainer.net) == whole[2]
    assert log_without_times(tmp_path) == log_without_times(whole[0])


@on_each_place
def test_stop_during_evaluation_repeats_only_the_evaluation(whole, tmp_path):
    trainer = make_trainer(tmp_path, save_every_s=1e9)
    forward = trainer.net.forward

    def interrupting(x, *, train=False):
        if not train:
            signal.raise_signal(signal.SIGTERM)
        return forward(x, train=train)

    trainer.net.forward = interrupting
    with refuses_run(Interrupted, f"stopped by SIGTERM after step {PER_EPOCH} ") as caught:
        trainer.run(2)
    assert caught.value.exit_code == 143
    again = make_trainer(tmp_path)
    assert again.position.batch == PER_EPOCH
    assert without_times(again.run(2)) == without_times(whole[1])
    assert parameters_sha256(again.net) == whole[2]


@on_each_place
def test_stop_while_the_last_epoch_is_saved_is_not_lost(whole, tmp_path, monkeypatch):
    trainer, replace, sent = make_trainer(tmp_path, save_every_s=1e9), os.replace, []

    def interrupting(source, destination):
        if Path(destination).name == f"checkpoint-{2 * PER_EPOCH:06d}.safetensors" and not sent:
            sent.append(signal.raise_signal(signal.SIGTERM))
        replace(source, destination)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", interrupting)
        with refuses_run(Interrupted, f"stopped by SIGTERM after step {2 * PER_EPOCH} and saved in {tmp_path}"):
            trainer.run(2)
    assert without_times(make_trainer(tmp_path).run(2)) == without_times(whole[1])


def test_run_in_the_authors_order_goes_on_in_it_and_in_no_other(tmp_path):
    whole = make_trainer(segment=20)
    wanted = whole.run(2)
    assert [len(whole.batches.order(1)[whole.batches.part(batch)]) for batch in range(8)] == [8, 8, 4, 8, 8, 4, 8, 3]
    make_trainer(tmp_path, segment=20).run(1)
    for other in ({}, {"segment": 10}):
        with refuses(CheckpointError, "the config of a run that goes on must be the first run's, got trainer.segment = "):
            make_trainer(tmp_path, **other)
    again = make_trainer(tmp_path, segment=20)
    assert without_times(again.run(2)) == without_times(wanted) and parameters_sha256(again.net) == parameters_sha256(whole.net)


def test_wall_time_adds_up_over_a_resume(tmp_path):
    (first,) = make_trainer(tmp_path).run(1)
    second = make_trainer(tmp_path).run(2)[1]
    assert second.wall_s > first.wall_s > 0
    assert first.images_per_s >= 51 / first.wall_s


def test_speed_of_an_epoch_is_taken_from_its_own_steps():
    trainer = make_trainer(val=None, evaluate_train=False, hints=False)
    seconds = []

    def until(result):
        seconds.append(trainer.position.train_s)  # the next epoch's, before it begins
        return False

    trainer.run(3, until=until)
    assert seconds == [0.0, 0.0]


@on_each_place
def test_interrupted_without_a_folder_says_that_nothing_is_saved():
    with refuses_run(Interrupted, "nothing is saved without a folder") as caught:
        stop_after(make_trainer(), 2).run(1)
    assert caught.value.folder is None


def other_pixel(data):
    images = data[0].copy()
    images[3, 1, 2, 0] ^= 1
    return images, data[1]


def other_label(data):
    labels = data[1].copy()
    labels[3] = (labels[3] + 1) % 10
    return data[0], labels


@pytest.mark.parametrize("change", [other_pixel, other_label])
def test_other_pixels_or_labels_in_data_of_the_same_size_are_refused(tmp_path, change):
    train, val = random_data(51), random_data(20, seed=1)
    make_trainer(tmp_path, train=train, val=val).run(1)
    with refuses(CheckpointError, "the config of a run that goes on must be the first run's, got trainer.train_sha256 = "):
        make_trainer(tmp_path, train=change(train), val=val)
    with refuses(CheckpointError, "got trainer.val_sha256 = "):
        make_trainer(tmp_path, train=train, val=change(val))
    narrow = val[0], val[1].astype(np.int32)
    assert make_trainer(tmp_path, train=train, val=narrow).position.epoch == 1  # the same labels in a smaller type


def as_made_before(*parts):
    """The config as tinyalex 0.1 had it first: without fingerprints of the data, and nothing of the net."""
    whole = run_config(*parts)
    return {**whole, "trainer": {key: value for key, value in whole["trainer"].items() if key not in LATER}}


@on_each_place
def test_run_of_an_older_config_goes_on_and_has_all_of_it_then(whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("tinyalex.training.trainer.run_config", as_made_before)
        make_trainer(tmp_path).run(1)
    older = load_checkpoint(checkpoint_files(tmp_path)[-1]).config["trainer"]
    assert set(older) == {"batch_size", "seed", "train_images", "val_images", "prepare", "schedule", "first_lr", "momentum", "weight_decay"}
    trainer = make_trainer(tmp_path)
    assert without_times(trainer.run(2)) == without_times(whole[1]) and parameters_sha256(trainer.net) == whole[2]
    assert load_checkpoint(checkpoint_files(tmp_path)[-1]).config == trainer.config
    with refuses(CheckpointError, "got trainer.train_sha256 = "):
        make_trainer(tmp_path, train=other_pixel(random_data(51)))
    with refuses(CheckpointError, "got trainer.layers.relu1.type = "):
        make_trainer(tmp_path, net=make_net(act=ta.Tanh))


class Shift:
    """A prepare with a setting of its own."""

    def __init__(self, by):
        self.by = by

    def __call__(self, images, rng=None):
        return images.astype(np.float32) - self.by


class Leaky(ta.ReLU):
    """A user's layer with a setting of its own."""

    def __init__(self, slope=0.1, **common):
        super().__init__(**common)
        self.slope = slope


def swapped(net):
    """The same layers with pool1 in front of relu1."""
    conv, relu, pool, *rest = net.layers
    return ta.Sequential([conv, pool, relu, *rest], in_shape=(3, 8, 8))


@on_each_place
@pytest.mark.parametrize(
    ("first", "other", "text"),
    [
        ({}, {"net": make_net(act=ta.Tanh)}, 'layers.relu1.type = "Tanh" where that had "ReLU"'),
        ({"net": make_net(act=partial(ta.Tanh, 1.7))}, {"net": make_net(act=partial(ta.Tanh, 1.6))}, "layers.relu1.a = 1.6 where that had"),
        ({"net": make_net(act=Leaky)}, {"net": make_net(act=partial(Leaky, 0.2))}, "layers.relu1.slope = 0.2 where that had 0.1"),
        ({}, {"net": make_net(drop={"p": 0.25})}, "layers.drop2.p = 0.25 where that had 0.5"),
        ({}, {"net": make_net(drop={"scale": "train"})}, 'layers.drop2.scale = "train" where that had "test"'),
        ({}, {"net": make_net(drop={"seed": 1})}, "layers.drop2.seed = 1 where that had 0"),
        ({}, {"net": swapped(make_net())}, "order = "),
        ({}, {"multipliers": {"*.bias": (2, 0)}}, "multipliers.conv1.bias = [2.0, 0.0] where that had nothing"),
        ({"schedule": ta.Plateau(0.001, 3)}, {"schedule": ta.Plateau(0.001, 4)}, "schedule_settings.patience = 4 where that had 3"),
        ({"schedule": ta.Plateau(0.001, 3)}, {"schedule": ta.Plateau(0.001, 3, 5)}, "schedule_settings.factor = 5.0 where that had 10.0"),
        ({}, {"schedule": ta.Steps(0.001, (1, 4), 2.0)}, "schedule_settings.after = [1, 4] where that had [1, 3]"),
        ({"prepare": Shift(1)}, {"prepare": Shift(2)}, "prepare_settings.by = 2 where that had 1"),
        ({}, {"momentum": 0.8}, "momentum = 0.8 where that had 0.9"),
        ({}, {"weight_decay": 0.0}, "weight_decay = 0.0 where that had 0.0005"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_everything_that_decides_the_result_is_compared(first, other, text, tmp_path):
    def give(settings):
        made = dict(settings)
        net = made.pop("net", None) or make_net()
        sgd = {key: made.pop(key) for key in ("multipliers", "momentum", "weight_decay") if key in made}
        return make_trainer(tmp_path, net=net, sgd=ta.SGD(net, **sgd), **made)

    give(first).run(1)
    net = other.get("net") or make_net()
    before = parameters_sha256(net)
    with refuses(CheckpointError, f"the config of a run that goes on must be the first run's, got trainer.{text}"):
        give({"net": net} | other)
    assert parameters_sha256(net) == before


def test_algorithm_and_workers_may_be_others(whole, tmp_path):
    make_trainer(tmp_path).run(1)
    net = make_net()
    net["conv1"].settle(algorithm="im2col")
    assert make_trainer(tmp_path, net=net).position.epoch == 1


@pytest.mark.parametrize("first", [1, 2])
def test_run_of_one_tower_goes_on_on_two_and_back_but_not_with_another_dropout(first, tmp_path):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (8, 3, 24, 24), np.uint8), rng.integers(0, 10, 8)

    def give(towers, **settings):
        net = cifar_alexnet(towers=towers)
        for leaf in net.leaves():
            for key, value in settings.items():
                if hasattr(leaf, key):
                    setattr(leaf, key, value)
        sgd = ta.SGD(net, multipliers={"*.bias": (2, 0)})
        return make_trainer(tmp_path, net=net, sgd=sgd, train=data, val=None, evaluate_train=False, prepare=crop)

    def crop(images, rng=None):
        return images / np.float32(64)

    give(first).run(1)
    assert give(3 - first).run(2)[-1].epoch == 2
    assert give(first).position.epoch == 2
    with refuses(CheckpointError, "got trainer.layers.drop6.p = 0.25 where that had 0.5"):
        give(3 - first, p=0.25)
    with refuses(CheckpointError, "got trainer.layers.norm1.alpha = 1"):
        give(first, alpha=1)


def test_first_line_of_the_log_names_the_data(whole):
    config = RunLog(whole[0] / "log.jsonl").read()[0]["config"]["trainer"]
    assert len(config["train_sha256"]) == len(config["val_sha256"]) == 16 and config["train_sha256"] != config["val_sha256"]


def test_signal_handlers_are_restored():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    make_trainer().run(1)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with pytest.raises(Interrupted):
        stop_after(make_trainer(), 1).run(1)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize(("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_signal_ends_a_process_saved_and_with_its_code(tmp_path, number, code, name):
    process = start(tmp_path, 100_000, save_every_s=1e9)
    while not (tmp_path / "log.jsonl").exists():
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(number)
    returncode, out, err = finish(process)
    assert returncode == code and err == ""
    assert f"stopped by {name} after step" in out and out.endswith("run the same command again to go on")
    step = int(out.split("after step ")[1].split()[0])
    assert load_checkpoint(checkpoint_files(tmp_path)[-1]).position.step == step


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path):
    """SIGKILL at random moments, half of them in runs that spend most of their time in the middle of writing."""
    epochs, moments, torn, longest = 130, random.Random(5), 0, 0.25
    reference, killed = tmp_path / "reference", tmp_path / "killed"
    returncode, sha256, err = finish(start(reference, epochs, save_every_s=1e9))
    assert returncode == 0, err
    for number in range(20):
        process = start(killed, epochs, slow_write_s=(0.001, 0.02)[number % 2])
        time.sleep(moments.uniform(0, longest))
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
        torn += killed.is_dir() and len(list(killed.glob(".*"))) > 0
        begun = any(load_checkpoint(path).position.step for path in checkpoint_files(killed))
        longest = 0.25 if begun else 1.5 * longest  # where other work slows the machine, no run has come to a step yet
    assert torn >= 3  # kills did land inside a write
    assert 0 < load_checkpoint(checkpoint_files(killed)[-1]).position.step < epochs * PER_EPOCH
    assert finish(start(killed, epochs)) == (0, sha256, "")
    assert log_without_times(killed) == log_without_times(reference)
    assert not list(killed.glob(".*")) and len(checkpoint_files(killed)) == 2


@on_each_place
def test_signal_before_a_run_with_no_epoch_left_to_train_is_not_lost(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path)
    trainer.run(1)
    start = trainer._start_folder
    monkeypatch.setattr(trainer, "_start_folder", lambda: (start(), signal.raise_signal(signal.SIGTERM)))
    with refuses_run(Interrupted, f"stopped by SIGTERM after step {PER_EPOCH} and saved in {tmp_path}"):
        trainer.run(1)


@on_each_place
def test_signal_while_an_epoch_is_saved_stops_the_run_before_the_next_step(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path)
    end = trainer._end_epoch
    monkeypatch.setattr(trainer, "_end_epoch", lambda: (end(), signal.raise_signal(signal.SIGTERM)))
    with refuses_run(Interrupted, f"stopped by SIGTERM after step {PER_EPOCH} and saved in {tmp_path}"):
        trainer.run(2)
    assert load_checkpoint(checkpoint_files(tmp_path)[-1]).position.step == PER_EPOCH
