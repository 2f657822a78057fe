"""A run small enough to be killed many times; also a program: python small_run.py FOLDER EPOCHS SAVE_EVERY_S SLOW_WRITE_S WORKERS."""

from __future__ import annotations

import os
import re
import sys
import time

import numpy as np

import tinyalex as ta
from tests.places import device_of
from tinyalex.data.batches import SubtractMean
from tinyalex.training import Trainer, parameters_sha256

PER_EPOCH = 7  # batches: six of 8 images and one of 3
PLACE = "cpu"  # or "card", where a test asks for it


def head(net):
    """The loss on the device of the net."""
    return ta.SoftmaxCrossEntropy(device=net.device)


def on_host(net, array):
    """An array of the net's device as a NumPy array."""
    return net.device.to_numpy(array)


def make_net(width=4, seed=0, dtype=np.float32, init=None, drop=None, act=ta.ReLU):
    rng, device = np.random.default_rng(seed), device_of(PLACE, workers=2)
    common = {"device": device, "dtype": dtype}
    init = {"rng": rng, "weight_init": init or ta.FanIn(), **common}
    return ta.Sequential(
        [
            ta.Conv2d(3, width, 3, padding=1, name="conv1", input_gradient=False, **init),
            act(name="relu1", **common),
            ta.MaxPool2d(2, name="pool1", **common),
            ta.Flatten(name="flatten", **common),
            ta.Dropout(**({"p": 0.5} | (drop or {})), name="drop2", **common),
            ta.Linear(16 * width, 10, name="fc2", **init),
        ],
        in_shape=(3, 8, 8),
    )


def random_data(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 3, 8, 8), np.uint8), rng.integers(0, 10, n)


def learnable_data(n, seed=0):
    """Ten fixed patterns, a class each, with noise."""
    patterns = np.random.default_rng(99).integers(0, 206, (10, 3, 8, 8))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    return (patterns[labels] + rng.integers(0, 50, (n, 3, 8, 8))).astype(np.uint8), labels


def make_trainer(folder=None, *, net=None, lr=0.001, schedule=None, train=None, val="random", sgd=None, prepare=None, **settings):
    net = make_net() if net is None else net
    train = random_data(51) if train is None else train
    val = random_data(20, seed=1) if isinstance(val, str) else val
    schedule = ta.Steps(lr, after=(1, 3), factor=2.0) if schedule is None else schedule
    settings = {"batch_size": 8, "save_every_s": 0.0, "config": {"net": {"width": 4}, "tags": ["a", "b"]}, "seed": 3} | settings
    return Trainer(
        net,
        sgd or ta.SGD(net),
        schedule,
        ta.SoftmaxCrossEntropy(device=net.device, dtype=net.dtype),
        train=train,
        val=val,
        prepare=prepare or SubtractMean.fit(train[0]),
        folder=folder,
        **settings,
    )


def without_times(results):
    return [(r.epoch, r.loss, r.running_error, r.train_error, r.val_error, r.lr) for r in results]


def refuses_run(error, text):
    import pytest  # not above: the processes that are killed need not load it

    return pytest.raises(error, match="trainer: .*" + re.escape(text))


def slow_down_writing(seconds):
    """Every file now lies half done for `seconds`, and once more before it gets its name."""
    fsync, replace = os.fsync, os.replace

    def slow_fsync(handle):
        time.sleep(seconds)
        fsync(handle)

    def slow_replace(source, destination):
        time.sleep(seconds)
        replace(source, destination)

    os.fsync, os.replace = slow_fsync, slow_replace


def main(folder, epochs, save_every_s, slow_write_s, workers):
    if float(slow_write_s):
        slow_down_writing(float(slow_write_s))
    try:
        print("ready", flush=True)
        trainer = make_trainer(folder, save_every_s=float(save_every_s), progress=False, hints=False, workers=int(workers))
        trainer.run(int(epochs))
    except ta.TinyalexError as error:
        print(error, flush=True)
        return error.exit_code
    print(parameters_sha256(trainer.net), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
