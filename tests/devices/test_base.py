"""What all devices share: names, scratch, the log of copies, and sums over blocks."""

import re
import threading
import weakref

import numpy as np
import pytest

import tinyalex as ta
from tinyalex.devices import KEPT, NEW_ARRAYS, Transfer
from tinyalex.devices.sim import SimDevice


@pytest.fixture(params=["cpu", "sim"])
def device(request):
    return ta.CpuDevice("cpu", workers=2) if request.param == "cpu" else SimDevice(0)


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "cpu:1", "sim:0", "sim:3"])
def test_a_name_always_gives_the_same_device(name):
    device = ta.get_device(name)
    assert device is ta.get_device(name) and device.name == name and repr(device) == f"<device {name}>"


def test_zeros_before_the_number_change_nothing():
    assert ta.get_device("sim:00") is ta.get_device("sim:0") and ta.get_device("cpu:01") is ta.get_device("cpu:1")


def test_two_threads_get_the_same_device():
    got, start = [], threading.Barrier(4)
    threads = [threading.Thread(target=lambda: (start.wait(), got.append(ta.get_device("sim:7")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(device) for device in got}) == 1 and len(got) == 4


def test_a_device_passes_through():
    device = SimDevice(5)
    assert ta.get_device(device) is device


@pytest.mark.parametrize("name", ["gpu", "", "sim", "cuda", "cpu:", "sim:", "cpu:x", "sim:-1", "cuda: 0", "CPU", "sim:\u0663", None])
def test_unknown_names_raise(name):
    text = f"get_device: device must be 'cpu', 'cpu:K', 'sim:K' or 'cuda:K' with K = 0, 1, ..., got {name!r}"
    with pytest.raises(ta.DeviceError, match=re.escape(text)):
        ta.get_device(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("gpu", "cuda:0"), ("cuda", "cuda:0"), ("sim", "sim:0"), ("CPU", "cpu"), ("cpu0", "cpu:0"), ("", None), (None, None)],
)
def test_unknown_name_is_answered_with_the_name_that_was_probably_meant(name, meant):
    with pytest.raises(ta.DeviceError) as caught:
        ta.get_device(name)
    assert caught.value.remedy == (f"did you mean {meant}?" if meant else None)


def test_plain_scratch_is_new_at_each_request():
    first, second = NEW_ARRAYS((2, 3), np.float32), NEW_ARRAYS((2, 3), np.float32)
    assert first.shape == (2, 3) and first.dtype == np.float32 and not np.shares_memory(first, second)


def test_zeros_and_empty_have_shape_and_type(device):
    zeros, empty = device.zeros((2, 3), np.float64), device.empty((4, 0))
    assert np.array_equal(device.to_numpy(zeros), np.zeros((2, 3))) and zeros.dtype == np.float64
    assert empty.shape == (4, 0) and empty.dtype == np.float32
    assert device.owns(zeros) and device.owns(empty)


def test_blocks_that_return_nothing_have_no_sum(device):
    assert device.map_blocks(lambda rows, scratch: None, 5, size=2) is None
    assert device.map_blocks(lambda rows, scratch: (), 5, size=2) == ()


def test_work_without_scratch_is_one_block_on_a_full_card_too():
    card, blocks = SimDevice(0, memory=8), []
    full = card.empty((2,))
    card.map_blocks(lambda rows, scratch: blocks.append((rows.start, rows.stop)), 5)
    assert blocks == [(0, 5)] and full.nbytes == card.memory


@pytest.mark.parametrize("nbytes", [0, 100])
def test_no_rows_no_calls(device, nbytes):
    calls = []
    assert device.map_blocks(lambda rows, scratch: calls.append(rows), 0, nbytes) is None and calls == []


def test_the_sum_does_not_change_what_blocks_return(device):
    term = device.asarray(np.ones(3))
    (total,) = device.map_blocks(lambda rows, scratch: (term,), 5, size=1)
    assert device.to_numpy(total).tolist() == [5, 5, 5] and device.to_numpy(term).tolist() == [1, 1, 1]


def test_copies_between_kinds_are_logged(device):
    source = SimDevice(1) if device.kind == "cpu" else ta.CpuDevice("cpu:0", workers=1)
    x = source.asarray(np.arange(6.0).reshape(2, 3))
    got = device.copy_from(x, source, "conv3")
    assert device.owns(got) and np.array_equal(device.to_numpy(got), source.to_numpy(x))
    assert list(device.received.entries) == [Transfer(source.name, device.name, 48, "conv3")] and device.received.nbytes == 48
    device.received.clear()
    assert not device.received.entries and device.received.nbytes == 0


def test_the_log_keeps_the_last_ten_thousand_and_all_bytes():
    log = SimDevice(0).received
    for i in range(10_005):
        log.add(Transfer("a", "b", 2, str(i)))
    assert len(log.entries) == 10_000 and log.entries[0].label == "5" and log.nbytes == 20_010


def test_where_names_the_place_of_an_array(device):
    assert device.where(np.ones(1)) == "a NumPy array"
    assert device.where(SimDevice(2).zeros((1,))) == "an array on sim:2"
    assert device.where([1]) == "list"


@pytest.mark.parametrize("device, kind", [(ta.CpuDevice("laptop"), "cpu"), (ta.get_device("cpu:1"), "cpu"), (SimDevice(3), "sim")])
def test_kind_says_how_a_device_computes_whatever_its_name(device, kind):
    assert device.kind == kind


def test_devices_that_nobody_uses_are_forgotten_and_used_ones_are_not():
    used, unused = ta.get_device("cpu:900"), weakref.ref(ta.get_device("cpu:901"))
    for number in range(902, 902 + KEPT):
        ta.get_device(f"cpu:{number}")
    assert unused() is None and ta.get_device("cpu:900") is used


def test_the_devices_asked_for_last_are_kept_while_nobody_uses_them():
    kept = weakref.ref(ta.get_device("cpu:900"))
    for number in range(902, 902 + 2 * KEPT):
        ta.get_device(f"cpu:{number}")
        ta.get_device("cpu:900")
    assert kept() is not None


def test_a_device_asked_for_often_takes_the_place_of_one_only():
    kept = weakref.ref(ta.get_device("cpu:900"))
    for _ in range(2 * KEPT):
        ta.get_device("cpu:901")
    assert kept() is not None
