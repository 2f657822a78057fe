"""The arena: memory is used again when nobody looks at it any more, never before."""

import re
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinyalex as ta
from tinyalex.devices.arena import GRAIN, Arena, Place, Region

MB = 1 << 20  # the smallest that comes from the arena; a multiple of its grain
SHAPE = (3, 300_000)  # 3.6 MB of float32
SIZE = -(-3_600_000 // GRAIN) * GRAIN  # what it takes in the arena


def address(a):
    return a.__array_interface__["data"][0]


def test_a_dead_array_serves_the_next_of_its_size():
    arena = Arena()
    a = arena.empty(SHAPE, np.float32)
    at = address(a)
    del a
    b = arena.empty((300_000, 3), np.int32)
    assert address(b) == at and arena.allocations == 1 and arena.nbytes == SIZE


@pytest.mark.parametrize(
    "view",
    [lambda a: a[1], lambda a: a[:, ::7], lambda a: a.T, lambda a: a.reshape(-1)[5:6], lambda a: a.view(np.uint8), lambda a: memoryview(a)],
    ids=["row", "steps", "transpose", "element", "type", "memoryview"],
)
def test_memory_is_kept_while_a_view_lives(view):
    arena = Arena()
    a = arena.empty(SHAPE, np.float32)
    a.fill(7)
    part, before = view(a), bytes(view(a)[:1])
    del a
    b = arena.empty(SHAPE, np.float32)
    b.fill(0)
    assert arena.allocations == 2 and bytes(part[:1]) == before
    del part
    c = arena.empty(SHAPE, np.float32)
    assert arena.allocations == 2 and not np.shares_memory(b, c)


def test_arrays_are_contiguous_aligned_and_writeable():
    a = Arena().empty(SHAPE, np.float64)
    assert a.flags.c_contiguous and a.flags.aligned and a.flags.writeable and a.shape == SHAPE and a.dtype == np.float64


def test_small_arrays_do_not_come_from_the_pool():
    arena = Arena(smallest=100)
    arena.empty((24,), np.float32)
    assert arena.allocations == 0
    arena.empty((25,), np.float32)
    assert arena.allocations == 1


def test_smaller_arrays_share_the_place_of_a_dead_one():
    arena = Arena()
    large = arena.empty((12 * MB,), np.uint8)
    at = address(large)
    del large
    parts = [arena.empty((4 * MB,), np.uint8) for _ in range(3)]
    assert [address(part) - at for part in parts] == [0, 4 * MB, 8 * MB]
    del parts[1]
    assert address(arena.empty((2 * MB,), np.uint8)) == at + 4 * MB
    del parts
    whole = arena.empty((12 * MB,), np.uint8)  # neighbors that have died are one place again
    assert address(whole) == at and arena.allocations == 1 and arena.nbytes == 12 * MB


def test_the_smallest_place_that_fits_is_taken():
    arena = Arena()
    arrays = [arena.empty((size * MB,), np.uint8) for size in (6, 2, 4, 8)]  # the second region holds the next two
    holes = address(arrays[2]), address(arrays[0])
    arrays[0] = arrays[2] = None
    taken = arena.empty((3 * MB,), np.uint8), arena.empty((5 * MB,), np.uint8)
    assert (address(taken[0]), address(taken[1])) == holes


def test_memory_that_was_touched_is_taken_before_memory_that_was_not():
    """A new region is larger than the array that needs it. Its rest is not resident until an array is put there."""
    arena = Arena()
    first, second = arena.empty((8 * MB,), np.uint8), arena.empty((1 * MB,), np.uint8)  # the second region has 4 MB, 3 untouched
    at = address(first)
    first = None
    again = arena.empty((2 * MB,), np.uint8)  # the untouched 3 MB would be the smallest part that fits
    assert address(again) == at and arena.allocations == 2
    assert address(second) not in range(at, at + 8 * MB)
    large = arena.empty((7 * MB,), np.uint8)  # 6 MB of the first region are left
    assert arena.allocations == 3 and large.nbytes == 7 * MB


def test_a_region_merges_what_is_free_on_either_side():
    region, array = Region(10), np.ones(1)
    places = [Place(array) for _ in range(5)]
    for start, place in zip((0, 2, 4, 6, 8), places, strict=True):
        place.start, place.stop, place.taken = start, start + 2, False
        region.take(place)
        assert place.taken
    assert region.free == []
    region.give(places[1])
    region.give(places[3])
    assert region.free == [(2, 4), (6, 8)] and not region.unused
    region.give(places[2])
    region.give(places[2])  # once more changes nothing
    assert region.free == [(2, 8)]
    region.give(places[4])
    region.give(places[0])
    assert region.free == [(0, 10)] and region.unused


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_live_arrays_never_overlap(data):
    arena, live = Arena(smallest=1), {}
    for turn in range(data.draw(st.integers(1, 40))):
        if live and data.draw(st.booleans()):
            del live[data.draw(st.sampled_from(sorted(live)))]
        else:
            live[turn] = arena.empty((data.draw(st.integers(1, 6)) * GRAIN,), np.uint8)
            live[turn].fill(turn)
        assert all((array == turn).all() for turn, array in live.items())
    assert arena.nbytes >= sum(array.size for array in live.values())
    live.clear()
    arena.empty_cache()
    assert arena.nbytes == 0


def test_a_new_region_is_half_as_large_as_all_before():
    arena = Arena()
    arrays = [arena.empty((8 * MB,), np.uint8) for _ in range(3)]
    assert arena.nbytes == 24 * MB and arena.allocations == 3
    arrays += [arena.empty((4 * MB,), np.uint8) for _ in range(3)]
    assert arena.nbytes == 36 * MB and arena.allocations == 4


def test_used_and_peak_count_the_arrays_alone():
    arena = Arena()
    assert arena.used == arena.peak == arena.nbytes == 0
    arrays = [arena.empty((8 * MB,), np.uint8), arena.empty((2 * MB,), np.uint8)]
    assert arena.nbytes == 12 * MB and arena.used == arena.peak == 10 * MB
    del arrays[0]
    arrays.append(arena.empty((MB,), np.uint8))
    assert arena.used == 3 * MB and arena.peak == 10 * MB


@pytest.mark.parametrize("sizes", [range(1, 60), range(60, 0, -1), (1, 2, 4, 8, 16, 32, 33), (60, 1, 61, 2, 62, 3)], ids=str)
def test_what_is_kept_is_at_most_twice_what_arrays_took_at_one_time(sizes):
    arena, most = Arena(), 0
    for size in sizes:
        pair = arena.empty((size * MB,), np.uint8), arena.empty((size * MB,), np.uint8)
        del pair
        most = max(most, 2 * size * MB)
        assert arena.peak == most and arena.nbytes <= 2 * most


def test_exactly_twice_is_still_kept():
    arena = Arena()
    pair = arena.empty((4 * MB,), np.uint8), arena.empty((4 * MB,), np.uint8)
    del pair
    assert arena.empty((8 * MB,), np.uint8).size == 8 * MB and arena.nbytes == 16 * MB


def test_shapes_that_take_turns_are_served_from_what_is_kept():
    arena = Arena()

    def turn():
        for size in (3, 9, 5):
            arrays = [arena.empty((size * MB,), np.uint8) for _ in range(3)]
            del arrays[1]
            arrays.append(arena.empty((MB,), np.uint8))

    for _ in range(2):
        turn()
    allocations = arena.allocations
    for _ in range(5):
        turn()
    assert arena.allocations == allocations


def test_limit_refuses_and_says_what_is_left():
    arena = Arena("cpu:1", limit=SIZE + MB)
    a = arena.empty(SHAPE, np.float32)
    text = f"cpu:1: an array of {SIZE:,} bytes does not fit, {MB:,} of {SIZE + MB:,} bytes are left; use a smaller batch or a higher limit"
    with pytest.raises(ta.OutOfMemory, match=re.escape(text)):
        arena.empty(SHAPE, np.float32)
    assert arena.nbytes == SIZE
    del a
    assert arena.empty(SHAPE, np.float32).shape == SHAPE


def test_limit_gives_kept_memory_back_first():
    arena = Arena(limit=6 * MB)
    arena.empty(SHAPE, np.float32)
    assert arena.empty((6 * MB,), np.uint8).size == 6 * MB
    assert arena.allocations == 2 and arena.nbytes == 6 * MB


def test_what_fits_exactly_into_the_limit_gives_nothing_back():
    arena = Arena(limit=3 * MB)
    arena.empty((MB,), np.uint8)
    assert arena.empty((2 * MB,), np.uint8).size == 2 * MB
    assert arena.allocations == 2 and arena.nbytes == 3 * MB


def test_an_array_takes_a_whole_number_of_pieces_of_64_kib():
    arena = Arena(smallest=1)
    assert [arena.empty((size,), np.uint8).base is not None and arena.peak for size in (1, 65_537)] == [65_536, 131_072]


def test_a_region_is_no_larger_than_the_limit_leaves():
    arena = Arena(limit=10 * MB)
    kept = arena.empty((8 * MB,), np.uint8), arena.empty((MB,), np.uint8)
    assert arena.nbytes == 10 * MB
    assert arena.empty((MB,), np.uint8).size == MB and len(kept) == arena.allocations == 2


def test_a_region_is_what_is_needed_where_the_system_has_no_more(monkeypatch):
    arena, empty = Arena(), np.empty
    kept = arena.empty((8 * MB,), np.uint8)

    def scarce(shape, dtype):
        if shape > 2 * MB:
            raise MemoryError
        return empty(shape, dtype)

    monkeypatch.setattr(np, "empty", scarce)
    assert arena.empty((2 * MB,), np.uint8).size == 2 * MB
    assert kept.nbytes == 8 * MB and arena.nbytes == 10 * MB


def test_empty_cache_keeps_what_is_in_use():
    arena = Arena()
    a = arena.empty(SHAPE, np.float32)
    b = arena.empty((SIZE,), np.uint8)
    assert arena.nbytes == 2 * SIZE
    del b
    arena.empty_cache()
    assert arena.nbytes == SIZE
    del a
    arena.empty_cache()
    assert arena.nbytes == 0


def test_more_than_the_machine_has_is_out_of_memory():
    with pytest.raises(ta.OutOfMemory, match="arena: the system has no .* bytes left; use a smaller batch"):
        Arena().empty((2**55,), np.float32)


def test_threads_share_a_pool():
    arena, wrong = Arena(limit=64 * MB), []

    def work(value):
        for _ in range(40):
            a = arena.empty((MB,), np.uint8)
            a[::4096] = value
            arena.empty_cache()
            if (a[::4096] != value).any():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arena.empty_cache()
    assert not wrong and arena.nbytes == 0


def test_forked_child_gets_an_open_lock():
    arena, held, ended = Arena(), threading.Event(), threading.Event()

    def hold():
        with arena._lock:
            held.set()
            ended.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    arena.after_fork()  # the child's view: the thread that holds the lock is not there
    asked = threading.Thread(target=arena.empty, args=(SHAPE, np.float32), daemon=True)
    asked.start()
    asked.join(5)
    waits = asked.is_alive()
    ended.set()
    holder.join()
    assert not waits
