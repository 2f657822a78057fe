"""The simulated GPU as a device: it counts memory, copies and waiting, and layers run on it."""

import gc
import signal
import threading
import time

import numpy as np
import pytest

import tinyalex as ta
from tinyalex.devices.sim import SimDevice, current_device


def test_two_numbers_of_one_name_are_two_devices():
    with pytest.raises(ta.DeviceError):
        SimDevice(0).zeros((1,)) + SimDevice(0).zeros((1,))


def test_memory_in_use_is_counted_by_owner_not_by_view():
    sim = SimDevice(0)
    a = sim.empty((10, 10), np.float32)
    views = [a[0], a.T, a.reshape(-1)[::2], sim.xp.broadcast_to(a, (5, 10, 10)), *sim.xp.split(a, 2), sim.xp.moveaxis(a, 0, 1)]
    assert sim.used == 400
    del a
    assert sim.used == 400
    del views
    assert sim.used == 0 and sim.peak == 400
    assert not sim._lives  # nothing is kept of arrays that are freed


def test_temporaries_count_toward_the_peak():
    sim = SimDevice(0)
    a = sim.zeros((100,), np.float64)
    b = (a + 1) * 2  # while the product is made, the sum lives
    assert sim.used == 1600 and sim.peak == 2400
    sim.peak = 0
    a += b
    assert sim.used == 1600 and sim.peak == 0


def test_more_than_the_memory_raises_and_leaves_the_device_usable():
    sim = SimDevice(2, memory=1000)
    a = sim.zeros((200,), np.float32)
    text = r"sim:2: an array of 800 bytes does not fit, 200 of 1,000 bytes are left; use a smaller batch or split the net over two devices"
    for ask in (lambda: sim.empty((200,)), lambda: a + a, lambda: sim.asarray(np.zeros(100)), lambda: a.copy(), lambda: sim.xp.exp(a)):
        with pytest.raises(ta.OutOfMemory, match=text):
            ask()
    assert sim.used == 800
    with pytest.raises(ta.OutOfMemory):
        sim.empty((10**6, 10**6, 10**6))
    a += 1
    a = None
    assert sim.zeros((250,)).nbytes == 1000


def test_peak_does_not_count_what_was_freed_before():
    sim = SimDevice(0, memory=10_000)
    for _ in range(3):
        sim.empty((100,))
    assert sim.peak == 400


def test_memory_in_reference_cycles_is_collected_before_an_error():
    sim = SimDevice(0, memory=1000)
    gc.disable()
    try:
        cycle = [sim.zeros((200,))]
        cycle.append(cycle)
        del cycle
        assert sim.zeros((200,)).nbytes == 800
    finally:
        gc.enable()


def test_threads_count_memory_together():
    sim = SimDevice(0)

    def work():
        for _ in range(300):
            a = sim.zeros((10,))
            a = a + a[:5].sum()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sim.used == 0 and sim.peak >= 80


def test_a_block_takes_a_quarter_of_what_is_free():
    sim = SimDevice(0, memory=4000)
    assert sim.block_size(1, 0) == sim.block_size(0, 0) == 1 and SimDevice().name == "sim:0"
    assert [sim.block_size(64, nbytes) for nbytes in (0, 1, 100, 400, 5000)] == [64, 64, 10, 2, 1]
    a = sim.empty((500,))
    assert sim.block_size(64, 100) == 5 and a.nbytes == 2000
    rows = []
    sim.map_blocks(lambda part, scratch: rows.append(part.stop - part.start), 12, 100)
    assert rows == [5, 5, 2]


def test_waiting_for_results_is_counted(sim, x):
    one = x[0, 1]
    conversions = [lambda: sim.to_numpy(x), lambda: float(one), lambda: int(one), lambda: bool(one), one.item, x.tolist]
    for i, wait in enumerate([*conversions, lambda: repr(x), sim.synchronize]):
        assert sim.synchronizations == i
        wait()
    count = sim.synchronizations
    y = x * 2 + x.sum()
    y[0] = x[1]
    sim.map_blocks(lambda rows, scratch: (x[rows],), 2, size=1)
    assert sim.synchronizations == count and float(one) == 1.0 and complex(one) == 1


def test_copies_between_cards_are_logged_and_nobody_waits(sim, x):
    other = SimDevice(1)
    got = other.copy_from(x.T, sim, "conv3")
    assert other.owns(got) and got.flags.c_contiguous and np.array_equal(other.to_numpy(got), sim.to_numpy(x).T)
    (entry,) = other.received.entries
    assert (entry.source, entry.destination, entry.nbytes, entry.label) == ("sim:0", "sim:1", 24, "conv3")
    assert sim.synchronizations == 1 and other.used == got.nbytes
    x[...] = 0
    assert float(got[2, 1]) == 5


def test_activation_is_per_thread_and_ends_with_an_error(sim):
    other, seen = SimDevice(1), []
    with pytest.raises(KeyError), sim.activate():
        with other.activate():
            assert current_device() is other
        assert current_device() is sim
        thread = threading.Thread(target=lambda: seen.append(current_device()))
        thread.start()
        thread.join()
        raise KeyError
    assert current_device() is None and seen == [None]


def test_blocks_run_with_the_device_current(sim):
    seen = []
    sim.map_blocks(lambda rows, scratch: seen.append(current_device()), 1)
    assert seen == [sim]


def test_no_interruption_at_any_time_leaves_memory_counted():
    sim, interrupted = SimDevice(0), 0

    def stop(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    gc.disable()  # Python drops an error that is raised in somebody's callback of the collector
    try:
        for microseconds in range(30, 830, 4):
            end = time.monotonic() + 1
            try:
                signal.setitimer(signal.ITIMER_REAL, microseconds / 1e6)
                while time.monotonic() < end:
                    a = sim.zeros((10,))
                    a = a + a[:5].sum()
            except KeyboardInterrupt:
                interrupted += 1
            a = None
            assert sim.used == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert interrupted > 100


@pytest.mark.parametrize("groups, stride, memory", [(1, 1, 2**30), (2, 1, 2**30), (2, 2, 2**30), (1, 1, 120_000)])
def test_convolution_agrees_with_the_cpu(groups, stride, memory):
    rng, sim = np.random.default_rng(0), SimDevice(0, memory=memory)

    def conv(device):
        return ta.Conv2d(4, 6, 3, stride=stride, padding=1, groups=groups, rng=np.random.default_rng(1), device=device, dtype=np.float64)

    here, there = conv("cpu"), conv(sim)
    x = rng.standard_normal((5, 4, 6, 7))
    out = here.forward(x, train=True)
    got = there.forward(sim.asarray(x), train=True)
    np.testing.assert_allclose(sim.to_numpy(got), out, rtol=0, atol=1e-12)
    dout = rng.standard_normal(out.shape)
    np.testing.assert_allclose(sim.to_numpy(there.backward(sim.asarray(dout))), here.backward(dout), rtol=0, atol=1e-12)
    for key in here.grads:
        np.testing.assert_allclose(sim.to_numpy(there.grads[key]), here.grads[key], rtol=0, atol=1e-12)


def test_a_batch_too_large_for_the_card_says_so():
    sim = SimDevice(0, memory=300_000)
    relu, x = ta.ReLU(device=sim), sim.zeros((4, 3, 64, 64))
    with pytest.raises(ta.OutOfMemory, match="sim:0: an array of 196,608 bytes does not fit, 103,392 of 300,000 bytes are left"):
        relu.forward(x)


@pytest.mark.parametrize("number", [-1, 1.5, True])
def test_bad_numbers_and_memory_raise(number):
    with pytest.raises(ta.ShapeError, match=f"sim: number must be an integer of at least 0, got {number}"):
        SimDevice(number)
    with pytest.raises(ta.ShapeError, match="sim:0: memory must be an integer of at least 1, got 0"):
        SimDevice(0, memory=0)


def test_end_of_the_hosts_memory_names_device_and_bytes(sim, monkeypatch):
    def none_left(shape, dtype):
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(ta.OutOfMemory, match="sim:0: the host has no 24 bytes left for it; use a smaller"):
        patch.setattr(np, "empty", none_left)
        sim.empty((2, 3))
    assert sim.used == 0


def test_namespace_makes_arrays_of_its_device(sim, x):
    xp = sim.xp
    assert xp.asarray(x) is x and xp.array(x) is not x and repr(xp) == "<xp of sim:0>"
    for made in (xp.asarray([1, 2], np.float64), xp.array([1, 2], np.float64), xp.zeros(2), xp.empty((2,))):
        assert sim.owns(made) and made.shape == (2,) and made.dtype == np.float64
    assert not hasattr(xp.exp, "__wrapped__")  # which copy, pickle and inspect ask every object for
