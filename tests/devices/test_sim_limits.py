"""What the simulated GPU counts, what a block of code may not do, and the slips that it catches although NumPy would take them."""

import sys
import threading
import types

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.devices.sim import Counts, SimDevice


def counted(sim, work):
    before = sim.counts()
    work()
    return sim.counts() - before


@pytest.mark.parametrize(
    "work, launches",
    [
        (lambda x, xp: x + 1, 1),
        (lambda x, xp: x.__iadd__(1), 1),
        (lambda x, xp: -x, 1),
        (lambda x, xp: xp.exp(x), 1),
        (lambda x, xp: xp.exp(x, out=x), 1),
        (lambda x, xp: xp.add(x, x, x), 1),
        (lambda x, xp: x.sum(), 1),
        (lambda x, xp: x.fill(0), 1),
        (lambda x, xp: x.__setitem__(0, 1), 1),
        (lambda x, xp: xp.copyto(x, x), 1),
        (lambda x, xp: x.astype(np.float64), 1),
        (lambda x, xp: x.T.reshape(-1), 1),  # a copy, because the elements are not in this order
        (lambda x, xp: xp.zeros(3), 1),
        (lambda x, xp: (x * 2).max(), 2),
        (lambda x, xp: x[0], 0),
        (lambda x, xp: x.T, 0),
        (lambda x, xp: x.reshape(3, 2), 0),
        (lambda x, xp: xp.broadcast_to(x, (4, 2, 3)), 0),
        (lambda x, xp: xp.split(x, 3, axis=1), 0),
        (lambda x, xp: xp.empty((3,)), 0),
        (lambda x, xp: xp.asarray(x), 0),
    ],
)
def test_launches_are_calls_that_compute(sim, x, work, launches):
    assert counted(sim, lambda: work(x, sim.xp)) == Counts(launches=launches)


@pytest.mark.parametrize(
    "work",
    [
        lambda x, xp: x[x > 2],
        lambda x, xp: x.__setitem__(x > 2, 0.0),
        lambda x, xp: x.nonzero(),
        lambda x, xp: x.reshape(-1).compress(x.reshape(-1) > 2),
        lambda x, xp: xp.nonzero(x),
        lambda x, xp: xp.where(x),
        lambda x, xp: xp.flatnonzero(x),
        lambda x, xp: xp.unique(x),
        lambda x, xp: xp.bincount(x.reshape(-1).astype(np.int64)),
        lambda x, xp: x.device.synchronize(),
        lambda x, xp: bool(x.sum()),
        lambda x, xp: x.tolist(),
    ],
)
def test_what_must_wait_for_values_is_counted_and_refused_where_none_is_allowed(sim, x, work):
    assert counted(sim, lambda: work(x, sim.xp)).synchronizations == 1
    with sim.limits(synchronizations=0), refuses(ta.DeviceError, "sim:0: synchronizations must be at most 0 in this block, got one more, "):
        work(x, sim.xp)


def test_gathers_and_where_do_not_wait(sim, x):
    def work():
        sim.xp.where(x > 2, x, 0)
        x[:, sim.asarray([2, 0])]
        x.take(sim.asarray([1]), axis=0)
        sim.xp.add.at(x, sim.asarray([0, 0]), 1)

    assert counted(sim, work).synchronizations == 0


def test_copies_are_counted_with_their_bytes(sim, x):
    cpu = ta.get_device("cpu")
    seen = counted(sim, lambda: (sim.asarray(np.zeros(10)), sim.copy_from(np.zeros(2), cpu), sim.to_numpy(x), float(x[0, 0])))
    assert (seen.to_device, seen.bytes_to_device, seen.to_host, seen.bytes_to_host, seen.synchronizations) == (2, 96, 2, 28, 2)
    assert counted(sim, lambda: SimDevice(1).copy_from(x, sim)) == Counts()  # between two devices: see `received`


def test_a_block_allows_a_number_of_synchronizations_and_says_what_it_counted(sim, x):
    with sim.limits(synchronizations=2) as outer:
        float(x[0, 0])
        with sim.limits() as inner:
            x += 1
            float(x[0, 0])
        with refuses(ta.DeviceError, "at most 2 in this block, got one more, a copy to the host; keep the result on the device"):
            float(x[0, 0])
    float(x[0, 0])  # after both blocks, so it counts in neither
    assert inner.counts == Counts(launches=1, synchronizations=1, to_host=inner.counts.to_host, bytes_to_host=inner.counts.bytes_to_host)
    assert outer.counts.synchronizations == 3
    with refuses(ta.ShapeError, "sim:0: synchronizations must be an integer of at least 0, got -1"), sim.limits(synchronizations=-1):
        pass


@pytest.mark.parametrize(
    "leak",
    [
        lambda x: x * np.sqrt(2),
        lambda x: x * np.float64(3),
        lambda x: x.astype(float),
        lambda x: x.mean(dtype=np.float64),
        lambda x: x.device.xp.zeros(3),
        lambda x: x.device.asarray(np.zeros(3)),
        lambda x: x.device.xp.arange(3) * 1.0,
        lambda x: x.astype(np.complex128),
    ],
)
def test_float64_is_found_where_a_block_allows_none(sim, x, leak):
    assert leak(x).dtype.itemsize >= 8
    with sim.limits(float64=False):
        x * 3.0 + x.sum()
        with refuses(ta.DeviceError, "sim:0: arrays must be float32 in this block, got "):
            leak(x)


def test_a_device_that_is_not_activated_is_found_where_a_block_demands_it():
    second = SimDevice(1)
    x = second.zeros((3,))
    with second.limits(activated=True):
        x[1:].reshape(1, 2)
        with second.activate():
            x += 1
        for work in (lambda: x + 1, lambda: x.sum(), lambda: second.xp.exp(x, out=x), lambda: x.__setitem__(0, 0)):
            with refuses(ta.DeviceError, "sim:1: the current device must be sim:1, got none; compute inside `with device.activate():`"):
                work()
        with SimDevice(0).activate(), refuses(ta.DeviceError, "got sim:0"):
            x + 1
    x + 1


INDICES = [
    lambda x, i, xp: x[i],
    lambda x, i, xp: x[..., i],
    lambda x, i, xp: x.__setitem__(i, 0.0),
    lambda x, i, xp: x.take(i, axis=0),
    lambda x, i, xp: xp.take(x, i, axis=1),
    lambda x, i, xp: xp.add.at(x, i, 1.0),
    lambda x, i, xp: xp.take_along_axis(x, i[None], axis=1),
    lambda x, i, xp: x[[0, int(i[0])]],
]


@pytest.mark.parametrize("take", INDICES)
@pytest.mark.parametrize("index", [3, 100, -4])
def test_an_index_that_cupy_would_wrap_is_refused(sim, x, take, index):
    inside, outside = sim.asarray(np.array([1])), sim.asarray(np.array([index]))
    take(x, inside, sim.xp)
    with pytest.raises(IndexError, match=r"^sim:0: indices of [\w. ]+ must lie inside the array, got one outside, .*; CuPy would take "):
        take(x, outside, sim.xp)


def test_repeated_indices_of_an_assignment_are_refused(sim, x):
    twice, values = sim.asarray(np.array([1, -1])), sim.asarray(np.ones((2, 3), np.float32))
    with pytest.raises(IndexError, match="^sim:0: indices of an assignment must differ, got an element twice, .*; use xp.add.at to add"):
        x[twice] = values
    with pytest.raises(IndexError, match="got an element twice"):
        x[twice] += 1
    x[sim.asarray(np.array([1, 0]))] = values * 2
    x[twice] = 3  # one value for all
    assert sim.to_numpy(x).tolist() == [[2, 2, 2], [3, 3, 3]]


def test_two_masks_in_an_index_are_refused(sim, x):
    mask = sim.asarray(np.array([True, False]))
    with pytest.raises(IndexError, match="sim:0: an index must have at most one boolean mask, got 2; combine them with &"):
        x[mask, sim.asarray(np.array([True, False, False]))]


def test_threads_count_together(sim, x):
    def work():
        for _ in range(200):
            x + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    seen = counted(sim, lambda: ([t.start() for t in threads], [t.join() for t in threads]))
    assert seen.launches == 800


def test_memory_can_be_limited_later():
    sim = SimDevice(0)
    kept = sim.zeros((100,))
    sim.limit_memory(1000)
    with pytest.raises(ta.OutOfMemory, match="sim:0: an array of 800 bytes does not fit, 600 of 1,000 bytes are left"):
        sim.zeros((200,))
    assert kept.nbytes == 400 and sim.settings() == {"number": 0, "memory": 1000}
    with refuses(ta.ShapeError, "sim:0: memory must be an integer of at least 1, got 0"):
        sim.limit_memory(0)
    with refuses(ta.DeviceError, "cpu: the memory limit must be of a GPU, simulated or real, got cpu; use sim:0 or cuda:0"):
        ta.get_device("cpu").limit_memory(1000)


def test_kernels_run_on_it_where_the_compiler_is_there(sim, monkeypatch):
    stand_in = types.ModuleType("tinyalex.sim")
    stand_in.RawModule, reason = object(), None
    stand_in.why_no_nvrtc = lambda: reason
    monkeypatch.setitem(sys.modules, "tinyalex.sim", stand_in)
    assert sim.raw_module is stand_in.RawModule
    reason = "nvidia-cuda-nvrtc is not installed"
    assert sim.raw_module is None and ta.get_device("cpu").raw_module is None


def test_batch_that_is_held_too_long_is_no_longer_there(sim):
    upload = sim.uploader()
    first, part = (x := upload(np.ones((2, 3)), np.float32)), x[1:]
    second = upload(np.ones((2, 3)), np.float32)
    assert first.dtype == np.float32 and float(first.sum()) == float(second.sum()) == 6
    del x, first
    third = upload(np.ones((1, 3)), np.float32)
    assert np.isnan(sim.to_numpy(part)).all() and float(second.sum()) == 6 and float(third.sum()) == 3
    del part, second
    assert sim.used == 12  # the uploader itself holds nothing


def test_memory_that_does_not_hold_a_parameter_or_its_velocity_names_the_layer():
    def linear(sim):
        return ta.Linear(4, 6, rng=np.random.default_rng(0), device=sim, name="fc1")

    with pytest.raises(ta.OutOfMemory, match="^fc1: sim:0: an array of 96 bytes does not fit, 4 of 100 bytes are left"):
        linear(SimDevice(0, memory=100))
    net = linear(SimDevice(0))
    net.device.limit_memory(net.device.used + 100)
    with pytest.raises(ta.OutOfMemory, match="^fc1: sim:0: an array of 24 bytes does not fit, 4 of 340 bytes are left"):
        ta.SGD(net)
