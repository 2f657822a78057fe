"""The pool: memory is used again when nobody looks at it any more, never before."""

import threading

import numpy as np
import pytest

import tinyalex as ta
from tinyalex.devices.pool import PAGE, Pool

SHAPE = (3, 300_000)  # 3.6 MB of float32: two pages


def address(a):
    return a.__array_interface__["data"][0]


def test_a_dead_array_serves_the_next_of_its_size():
    pool = Pool()
    a = pool.empty(SHAPE, np.float32)
    at = address(a)
    del a
    b = pool.empty((300_000, 3), np.int32)
    assert address(b) == at and pool.allocations == 1 and pool.nbytes == 2 * PAGE


@pytest.mark.parametrize(
    "view",
    [lambda a: a[1], lambda a: a[:, ::7], lambda a: a.T, lambda a: a.reshape(-1)[5:6], lambda a: a.view(np.uint8), lambda a: memoryview(a)],
    ids=["row", "steps", "transpose", "element", "type", "memoryview"],
)
def test_memory_is_kept_while_a_view_lives(view):
    pool = Pool()
    a = pool.empty(SHAPE, np.float32)
    a.fill(7)
    part, before = view(a), bytes(view(a)[:1])
    del a
    b = pool.empty(SHAPE, np.float32)
    b.fill(0)
    assert pool.allocations == 2 and bytes(part[:1]) == before
    del part
    c = pool.empty(SHAPE, np.float32)
    assert pool.allocations == 2 and not np.shares_memory(b, c)


def test_arrays_are_contiguous_aligned_and_writeable():
    a = Pool().empty(SHAPE, np.float64)
    assert a.flags.c_contiguous and a.flags.aligned and a.flags.writeable and a.shape == SHAPE and a.dtype == np.float64


def test_small_arrays_do_not_come_from_the_pool():
    pool = Pool(smallest=100)
    pool.empty((24,), np.float32)
    assert pool.allocations == 0
    pool.empty((25,), np.float32)
    assert pool.allocations == 1


def test_a_dead_array_serves_smaller_ones_down_to_a_tenth_of_its_size():
    pool = Pool()
    large, small = pool.empty((40 * PAGE,), np.uint8), pool.empty((30 * PAGE,), np.uint8)
    at = address(large), address(small)
    del large, small
    a = pool.empty((20 * PAGE,), np.uint8)  # the smallest that will do
    b = pool.empty((4 * PAGE,), np.uint8)
    assert (address(b), address(a)) == at and pool.allocations == 2
    c = pool.empty((20 * PAGE,), np.uint8)
    del a, b
    d = pool.empty((2 * PAGE,), np.uint8)  # less than a tenth of either
    assert pool.allocations == 4 and pool.nbytes == 92 * PAGE
    del c, d
    e = pool.empty((40 * PAGE,), np.uint8)
    assert address(e) == at[0] and pool.allocations == 4


def test_limit_refuses_and_says_what_is_left():
    pool = Pool("cpu:1", limit=3 * PAGE)
    a = pool.empty(SHAPE, np.float32)
    text = rf"cpu:1: an array of {2 * PAGE:,} bytes does not fit, {PAGE:,} of {3 * PAGE:,} bytes are left; use a smaller batch or a higher"
    with pytest.raises(ta.OutOfMemory, match=text):
        pool.empty(SHAPE, np.float32)
    assert pool.nbytes == 2 * PAGE
    del a
    assert pool.empty(SHAPE, np.float32).shape == SHAPE


def test_limit_gives_kept_memory_back_first():
    pool = Pool(limit=3 * PAGE)
    pool.empty(SHAPE, np.float32)
    assert pool.empty((3 * PAGE,), np.uint8).size == 3 * PAGE
    assert pool.allocations == 2 and pool.nbytes == 3 * PAGE


def test_empty_cache_keeps_what_is_in_use():
    pool = Pool()
    a = pool.empty(SHAPE, np.float32)
    pool.empty((PAGE,), np.uint8)
    assert pool.nbytes == 3 * PAGE
    pool.empty_cache()
    assert pool.nbytes == 2 * PAGE
    del a
    pool.empty_cache()
    assert pool.nbytes == 0


def test_more_than_the_machine_has_is_out_of_memory():
    with pytest.raises(ta.OutOfMemory, match="pool: the system has no .* bytes left; use a smaller batch"):
        Pool().empty((2**55,), np.float32)


def test_threads_share_a_pool():
    pool, wrong = Pool(limit=64 * PAGE), []

    def work(value):
        for _ in range(40):
            a = pool.empty((PAGE,), np.uint8)
            a[::4096] = value
            pool.empty_cache()
            if (a[::4096] != value).any():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.empty_cache()
    assert not wrong and pool.nbytes == 0
