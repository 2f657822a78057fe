"""The CPU device: every row once, the same bits for any number of workers, and nothing left over after an error."""

import gc
import os
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given, strategies as st

import tinyalex as ta
from tinyalex.devices.cpu import SHARES, SMALL
from tinyalex.devices.workers import cores


@pytest.fixture
def device():
    device = ta.CpuDevice("cpu", workers=3)
    yield device
    device.close()


@given(n=st.integers(1, 200), size=st.one_of(st.none(), st.integers(1, 250)), workers=st.integers(1, 5), nbytes=st.integers(0, 4000))
def test_every_row_is_covered_exactly_once(n, size, workers, nbytes):
    device = ta.CpuDevice("cpu", workers=workers, cache=8000)
    covered = np.zeros(n, int)

    def block(rows, scratch):
        assert rows.start < rows.stop <= n and (size is None or rows.stop - rows.start <= size)
        covered[rows] += 1

    device.map_blocks(block, n, nbytes, size)
    device.close()
    assert (covered == 1).all()


@pytest.mark.parametrize("n", [1, 2, 5, 33, 128])
def test_sums_are_the_same_bits_for_any_number_of_workers(n):
    x = np.random.default_rng(0).standard_normal((n, 50)).astype(np.float32)
    sums = []
    for workers in (1, 2, 3, 7, 40):
        device = ta.CpuDevice("cpu", workers=workers)
        for _ in range(3):
            (total,) = device.map_blocks(lambda rows, scratch: (x[rows].sum(axis=0),), n, size=1)
            sums.append(total.tobytes())
        device.close()
    assert len(set(sums)) == 1
    np.testing.assert_allclose(np.frombuffer(sums[0], np.float32), x.sum(axis=0), rtol=1e-4, atol=1e-4)


def test_the_sum_is_in_the_order_of_the_rows_whichever_worker_ends_first():
    """In float32 (1 + 1e8) - 1e8 is 0, and (1e8 - 1e8) + 1 is 1."""
    device, terms, others = ta.CpuDevice(workers=2), np.array([1, 1e8, -1e8, 0], np.float32), threading.Event()

    def block(rows, scratch):
        if rows.start == 0:
            assert others.wait(30)
        elif rows.start == 3:  # this worker has given rows 1 and 2 by now
            others.set()
        return (terms[rows].copy(),)

    (total,) = device.map_blocks(block, 4, size=1)
    device.close()
    assert total.tolist() == [0]


@pytest.mark.parametrize("n", [2, 32], ids=["in two shares", "in one share"])
def test_blocks_that_return_different_numbers_of_terms_raise(n):
    with pytest.raises(ValueError, match="is longer than argument 1"):
        ta.CpuDevice(workers=1).map_blocks(lambda rows, scratch: (np.ones(1),) * (1 + rows.start % 2), n, size=1)


def test_terms_may_be_scratch(device):
    def block(rows, scratch):
        term = scratch((2,), np.float64)
        term.fill(rows.stop - rows.start)
        return (term, term.sum(keepdims=True))

    total, doubled = device.map_blocks(block, 100, size=3)
    assert total.tolist() == [100, 100] and doubled.tolist() == [200]


@pytest.mark.parametrize("nbytes, n, rows", [(0, 160, 10), (0, 3, 1), (SMALL, 160, 1), (SMALL // 100, 1600, 4), (SMALL // 50, 64, 2)])
def test_a_block_fits_the_cache_and_leaves_every_worker_something(nbytes, n, rows):
    assert ta.CpuDevice("cpu", workers=1, cache=4 * (SMALL // 100)).block_size(n, nbytes) == rows


def test_little_work_is_one_block():
    device = ta.CpuDevice("cpu", workers=4)
    assert device.block_size(64, SMALL // 64) == 64 and device.block_size(64, SMALL // 64 + 1) == 64 // SHARES


def test_one_row_and_no_row_are_a_block_of_one():
    device = ta.CpuDevice("cpu", workers=4)
    assert [device.block_size(n, nbytes) for n in (0, 1) for nbytes in (0, 8, 2 * SMALL)] == [1] * 6


def test_rows_of_one_byte_fill_the_cache():
    assert ta.CpuDevice("cpu", workers=1, cache=8, small=0).few_blocks(100, 1) == 8


def test_every_image_is_a_block_where_no_work_is_small():
    device = ta.CpuDevice("cpu", workers=1, small=0, cache=1)
    assert [device.block_size(3, nbytes) for nbytes in (0, 1, 8, 4000)] == [1, 1, 1, 1]


def test_the_device_chooses_blocks_by_rows_and_bytes():
    device, rows = ta.CpuDevice("cpu", workers=1, cache=500, small=0), []
    device.map_blocks(lambda part, scratch: rows.append(part.stop - part.start), 32, 250)
    assert rows == [2] * 16


@pytest.mark.parametrize(
    "n, nbytes, summed, rows",
    [(60, 1, False, 10), (61, 1, False, 11), (60, 0, False, 10), (60, 1, True, 8), (60, 2000, False, 5), (320, 500, True, 20)],
)
def test_few_blocks_are_two_a_worker_or_eight_for_a_sum_and_fit_the_cache(n, nbytes, summed, rows):
    assert ta.CpuDevice("cpu", workers=3, cache=10_000, small=0).few_blocks(n, nbytes, summed) == rows


def test_scratch_lies_where_it_lay_in_the_block_before():
    device, seen = ta.CpuDevice("cpu", workers=1), []

    def block(rows, scratch):
        a, b = scratch((4, 4), np.float32), scratch((3,), np.float64)
        seen.append((a.__array_interface__["data"][0], b.__array_interface__["data"][0]))
        assert not np.shares_memory(a, b)

    device.map_blocks(block, 10, size=1)
    device.map_blocks(block, 10, size=1)
    assert len(seen) == 20 and len(set(seen)) == 1


def test_workers_have_scratch_of_their_own(device):
    start = threading.Barrier(3, timeout=30)

    def block(rows, scratch):
        a = scratch((1000,), np.int64)
        start.wait()  # three blocks at once
        a.fill(rows.start)
        start.wait()
        return (np.array([(a == rows.start).all()], int),)

    (right,) = device.map_blocks(block, 3, size=1)
    assert right.tolist() == [3]


@pytest.mark.parametrize("name", ["cpu", "cpu:1"])
def test_scratch_too_large_is_out_of_memory(name):
    with pytest.raises(ta.OutOfMemory, match=f"^{name}: a block's working array of .* does not fit; use a smaller batch or one worker"):
        ta.CpuDevice(name, workers=1).map_blocks(lambda rows, scratch: scratch((2**55,), np.float64), 1)


class BoomError(Exception):
    pass


@pytest.mark.parametrize("bad", [0, 7, 31])
def test_an_error_in_a_block_comes_out_and_the_device_works_on(device, bad):
    running, lock = [0], threading.Lock()

    def block(rows, scratch):
        with lock:
            running[0] += 1
        try:
            scratch((10,), np.float32)
            if rows.start <= bad < rows.stop:
                raise BoomError("row of its own")
        finally:
            with lock:
                running[0] -= 1

    with pytest.raises(BoomError, match="row of its own"):
        device.map_blocks(block, 32, size=1)
    assert running == [0]  # no worker is still busy
    (total,) = device.map_blocks(lambda rows, scratch: (np.ones(1),), 32, size=1)
    assert total.tolist() == [32]
    assert device.scratch().next == 0


def test_no_share_starts_after_an_error():
    device, starts = ta.CpuDevice("cpu", workers=1), []

    def block(rows, scratch):
        starts.append(rows.start)
        raise BoomError

    with pytest.raises(BoomError):
        device.map_blocks(block, 32, size=1)
    assert starts == [0]


def test_no_share_starts_after_an_error_of_another_worker():
    device, starts, raising = ta.CpuDevice("cpu", workers=2), [], threading.Event()
    caller, others = threading.get_ident(), []

    def block(rows, scratch):
        starts.append(rows.start)
        if threading.get_ident() != caller:
            others.append(threading.get_ident())
            raising.set()
            raise BoomError
        assert raising.wait(30)
        while any(frame.f_code.co_name == "work" for frame, _ in traceback.walk_stack(sys._current_frames()[others[0]])):
            time.sleep(0.001)

    with pytest.raises(BoomError):
        device.map_blocks(block, 32, size=1)
    assert len(starts) <= 3  # the row of the error, and the two rows of the share that the caller had begun


def test_rows_of_a_share_are_added_before_the_shares_are():
    """In float64 2**53 + 1 is 2**53, and 2**53 + 2 is more."""
    terms = np.ones(2 * SHARES)
    terms[:2] = 2.0**53, 0
    (total,) = ta.CpuDevice("cpu", workers=1).map_blocks(lambda rows, scratch: (terms[rows].sum(),), len(terms), size=1)
    assert total == 2.0**53 + 2 * (SHARES - 1)


def test_a_block_inside_a_block_runs_where_it_is_and_keeps_the_outer_scratch(device):
    def outer(rows, scratch):
        mine, thread = scratch((50,), np.float64), threading.get_ident()
        mine.fill(rows.start)

        def inner(inner_rows, scratch):
            assert threading.get_ident() == thread
            scratch((50,), np.float64).fill(-1)
            return (np.ones(1),)

        (count,) = device.map_blocks(inner, 5, size=1)
        assert (mine == rows.start).all()
        assert not np.shares_memory(scratch((50,), np.float64), mine)
        return (count,)

    (total,) = device.map_blocks(outer, 20, size=2)
    assert total.tolist() == [50]


def test_an_error_in_an_inner_block_comes_out(device):
    def inner(rows, scratch):
        raise BoomError("inner")

    with pytest.raises(BoomError, match="inner"):
        device.map_blocks(lambda rows, scratch: device.map_blocks(inner, 3), 8, size=1)
    (total,) = device.map_blocks(lambda rows, scratch: (np.ones(1),), 8, size=1)
    assert total.tolist() == [8]


def test_two_devices_work_at_the_same_time():
    meet = threading.Barrier(2, timeout=30)
    devices = [ta.CpuDevice(f"cpu:{k}", workers=1) for k in (0, 1)]
    threads = [threading.Thread(target=device.map_blocks, args=(lambda rows, scratch: (meet.wait(), None)[1], 1)) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not meet.broken


def test_close_ends_the_threads_and_the_device_starts_them_again():
    before = set(threading.enumerate())
    device = ta.CpuDevice("cpu", workers=4)
    device.map_blocks(lambda rows, scratch: None, 64, size=1)
    device.empty((1 << 20,))
    assert set(threading.enumerate()) - before and device.arena.nbytes > 0
    device.close()
    assert set(threading.enumerate()) == before and device.arena.nbytes == 0
    (total,) = device.map_blocks(lambda rows, scratch: (np.ones(1),), 64, size=1)
    assert total.tolist() == [64]
    device.close()
    device.close()
    assert set(threading.enumerate()) == before


def test_threads_of_a_device_end_with_it():
    before = set(threading.enumerate())
    for _ in range(5):
        device = ta.CpuDevice("cpu", workers=4)
        device.map_blocks(lambda rows, scratch: None, 64, size=1)
        own = set(threading.enumerate()) - before
        assert own
        del device
        gc.collect()
        for thread in own:
            thread.join(30)
            assert not thread.is_alive()


def blas_threads():
    return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]


def test_blas_uses_one_thread_within_blocks_and_the_callers_setting_after(device):
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        before, within = blas_threads(), []
        device.map_blocks(lambda rows, scratch: within.extend(blas_threads()), 4, size=1)
        assert before and set(within) == {1} and blas_threads() == before

        def block(rows, scratch):
            raise BoomError

        with pytest.raises(BoomError):
            device.map_blocks(block, 4, size=1)
        assert blas_threads() == before


def test_blas_stays_on_one_thread_until_the_last_device_is_done(device):
    other, within = ta.CpuDevice("cpu:1", workers=1), []

    def block(rows, scratch):
        other.map_blocks(lambda rows, scratch: None, 1)
        within.extend(blas_threads())

    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        device.map_blocks(block, 1)
        assert set(within) == {1} and blas_threads() == before


@pytest.mark.parametrize("quantity, least", [("workers", 1), ("cache", 1), ("memory", 1), ("small", 0)])
@pytest.mark.parametrize("value", [-5, 1.5, True, "1GB"])
def test_bad_settings_raise(quantity, least, value):
    with pytest.raises(ta.ShapeError, match=f"^cpu: {quantity} must be an integer of at least {least}, got {value!r}$"):
        ta.CpuDevice("cpu", **{quantity: value})


def test_no_workers_no_cache_and_no_memory_raise():
    for quantity in ("workers", "cache", "memory"):
        with pytest.raises(ta.ShapeError, match=f"^cpu: {quantity} must be an integer of at least 1, got 0$"):
            ta.CpuDevice("cpu", **{quantity: 0})


def test_workers_without_end_raise():
    assert ta.CpuDevice("cpu", workers=1024).workers == 1024
    with pytest.raises(ta.ShapeError, match="^cpu: workers must be at most 1,024, got 1025; use fewer$"):
        ta.CpuDevice("cpu", workers=1025)


def test_memory_of_a_device_is_limited():
    device = ta.CpuDevice("cpu", workers=1, memory=4 << 20)
    with pytest.raises(ta.OutOfMemory, match="cpu: an array of 8,388,608 bytes does not fit, 4,194,304 of 4,194,304 bytes are left"):
        device.empty((2 << 20,))


def test_cpu_uses_all_cores_and_numbered_ones_half():
    assert ta.get_device("cpu").workers == cores() and ta.get_device("cpu:0").workers == max(1, cores() // 2)


def test_workers_keep_the_callers_errstate():
    device = ta.CpuDevice(workers=2)
    largest, both = np.full(1, 3e38, np.float32), threading.Barrier(2, timeout=10)

    def block(rows, scratch):
        both.wait()  # each of the two shares has a thread of its own
        return (largest * np.float32(10),)

    with np.errstate(over="ignore"):
        (total,) = device.map_blocks(block, 2, size=1)
    assert np.isinf(total[0])
    with pytest.raises(FloatingPointError), np.errstate(over="raise"):
        device.map_blocks(block, 2, size=1)


IN_A_FORKED_CHILD = """
import os, signal, sys, threading
import numpy as np
import threadpoolctl
import tinyalex as ta
from tinyalex.devices.threads import at_once

def blas_threads():
    return {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}

def total(device):
    both = threading.Barrier(2, timeout=20)
    def block(rows, scratch):
        if rows.start in (0, 2):  # the first two shares
            both.wait()
        return (np.ones(1),)
    return device.map_blocks(block, 32, size=1)[0].item()

devices = [ta.get_device("cpu:0"), ta.CpuDevice(workers=2)]
threadpoolctl.threadpool_limits(limits=2, user_api="blas")
free = blas_threads()
assert total(devices[1]) == 32 and at_once(lambda: 1, lambda: 2) == (1, 2)
inside, go = threading.Event(), threading.Event()
def busy(rows, scratch):
    inside.set()
    go.wait(30)
other = threading.Thread(target=ta.CpuDevice(workers=1).map_blocks, args=(busy, 1))
other.start()  # holds BLAS on one thread while the process forks
inside.wait(30)
locked = threading.Thread(target=devices[1].arena._lock.acquire)
locked.start()  # ends without opening the lock
locked.join()
child = os.fork()
if child == 0:
    signal.alarm(30)
    assert blas_threads() == free, blas_threads()
    assert total(devices[1]) == 32
    assert blas_threads() == free, blas_threads()
    devices[1].empty((1 << 20,))
    assert at_once(lambda: 1, lambda: 2) == (1, 2)
    devices[1].close()
    print("child done", flush=True)
    os._exit(0)
go.set()
other.join()
assert os.waitpid(child, 0)[1] == 0
assert total(devices[1]) == 32 and at_once(lambda: 1, lambda: 2) == (1, 2)
print("parent done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_child_starts_threads_of_its_own():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", IN_A_FORKED_CHILD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stderr == "" and done.returncode == 0
    assert done.stdout.split("\n") == ["child done", "parent done", ""]


def test_blas_uses_one_thread_whichever_thread_works():
    """Two towers work in two threads, and either may begin."""
    device, found = ta.CpuDevice(workers=1), []
    before = blas_threads()

    def block(rows, scratch):
        found.extend(blas_threads())

    for begin in (lambda work: work(), in_a_thread, lambda work: work(), in_a_thread):
        begin(lambda: device.map_blocks(block, 1))
        assert blas_threads() == before
    assert len(found) >= 4 and set(found) == {1}


def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_few_blocks_are_those_of_blocks_without_sums_where_nothing_is_said():
    device = ta.CpuDevice(workers=8, cache=1 << 30, small=0)
    assert device.few_blocks(1600, 10) == device.few_blocks(1600, 10, summed=False) == 100 != device.few_blocks(1600, 10, summed=True)
