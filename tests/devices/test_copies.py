"""Devices are shared, never copied, and travel between processes by name or by their settings."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import tinyalex as ta
from tinyalex.devices.arena import Arena
from tinyalex.devices.dry import DryDevice
from tinyalex.devices.sim import SimDevice

BY_HAND = [
    ta.CpuDevice("cpu:3", workers=3, cache=1000, memory=1 << 22, small=0),
    ta.CpuDevice("laptop", workers=2),
    SimDevice(2, memory=5000),
    DryDevice("card 0", stands_for="cuda"),
]
by_hand = pytest.mark.parametrize("device", BY_HAND, ids=repr)
IN_ANOTHER_PROCESS = """
import pickle, sys
one, again, known = pickle.load(sys.stdin.buffer)
import tinyalex as ta
assert one is again and known is ta.get_device("cpu:1")
print((type(one).__name__, one.name, one.kind, sorted(one.settings().items())))
"""


@pytest.mark.parametrize("name", ["cpu", "cpu:1", "sim:0"])
def test_a_device_known_by_name_comes_back_as_itself(name):
    device = ta.get_device(name)
    assert pickle.loads(pickle.dumps(device)) is device
    assert copy.deepcopy(device) is device and copy.copy(device) is device


@by_hand
def test_a_copy_is_the_device_itself(device):
    assert copy.deepcopy({"both": [device, device]}) == {"both": [device, device]} and copy.copy(device) is device


@by_hand
def test_a_device_made_by_hand_has_the_same_settings_in_another_process(device):
    sent = pickle.dumps([device, device, ta.get_device("cpu:1")])
    done = subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS], input=sent, capture_output=True, check=True)
    assert done.stdout.decode().strip() == str((type(device).__name__, device.name, device.kind, sorted(device.settings().items())))


@pytest.mark.parametrize("device", [ta.CpuDevice("cpu:0", workers=3), SimDevice(1)], ids=repr)
def test_threads_memory_and_the_log_stay_behind(device):
    kept = device.empty((1 << 20,))
    device.map_blocks(lambda rows, scratch: None, 64, size=1)
    device.copy_from(np.ones(3), ta.get_device("cpu"))
    sent = pickle.dumps(device)
    assert len(sent) < 500 and kept.nbytes == 4 << 20
    got = pickle.loads(sent)
    assert got is not device and got.received.nbytes == 0 and not got.received.entries
    (total,) = got.map_blocks(lambda rows, scratch: (got.zeros((1,)) + 1,), 64, size=1)
    assert float(total[0]) == 64


def test_a_subclass_with_arguments_of_its_own_names_them():
    got = pickle.loads(pickle.dumps(Slow(5)))
    assert type(got) is Slow and got.seconds == 5 and got.name == "slow"


class Slow(ta.CpuDevice):
    def __init__(self, seconds):
        super().__init__("slow", workers=1)
        self.seconds = seconds

    def settings(self):
        return {"seconds": self.seconds}


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, lambda a: pickle.loads(pickle.dumps(a))], ids=["deepcopy", "copy", "pickle"])
def test_a_copy_of_an_array_from_the_arena_is_an_ordinary_array(again):
    arena = Arena()
    a = arena.empty((3, 1 << 20), np.float32)
    a.fill(3)
    b = again(a)
    a.fill(4)
    assert type(b) is np.ndarray and b.flags.writeable and (b == 3).all()
    del a
    arena.empty_cache()
    assert arena.nbytes == 0


def test_arrays_of_a_simulated_card_are_copied_on_their_card():
    sim = SimDevice(0)
    x = sim.asarray(np.arange(6.0).reshape(2, 3).T)
    used = sim.used
    y = copy.deepcopy([x, sim])[0]
    x[...] = 0
    assert y.device is sim and sim.to_numpy(y).tolist() == [[0, 3], [1, 4], [2, 5]] and sim.used == 2 * used


def test_arrays_of_a_simulated_card_travel_with_their_device():
    sim, known = SimDevice(0, memory=4000), ta.get_device("sim:0")
    x, y = sim.asarray(np.arange(3.0)), known.zeros((2,))
    device, got, there = pickle.loads(pickle.dumps((sim, x, y)))
    assert got.device is device and device is not sim and device.memory == 4000 and device.used == 24
    assert device.to_numpy(got).tolist() == [0, 1, 2] and there.device is known
