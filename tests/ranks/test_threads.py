"""Ranks in one process do what `Group` promises."""

import threading

import numpy as np
import pytest

from tinyalex.ranks.group import Alone
from tinyalex.ranks.threads import run_ranks


def everything(group):
    total, copied = np.arange(3.0) + group.rank, np.full(2, group.rank)
    group.sum(total)
    group.broadcast(copied, root=group.size - 1)
    got = np.full(2, group.rank)
    if group.size > 1:  # each sends to the next one
        group.send(got, (group.rank + 1) % group.size)
        group.receive(got, (group.rank - 1) % group.size)
    other, twice = group.twin(), np.ones(1)
    other.sum(twice)
    return total.tolist(), copied.tolist(), got.tolist(), twice.tolist(), group.collect([group.rank])


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_every_call_does_what_it_promises(size):
    for rank, (total, copied, got, twice, all_of_them) in enumerate(run_ranks(size, everything)):
        assert total == [sum(range(size)) + i * size for i in range(3)]
        assert copied == [size - 1] * 2 and got == [(rank - 1) % size] * 2 and twice == [size]
        assert all_of_them == [[rank] for rank in range(size)]


def test_a_single_rank_needs_no_thread():
    assert everything(Alone()) == run_ranks(1, everything)[0]


@pytest.mark.parametrize("waits", [lambda g: g.sum(np.ones(1)), lambda g: g.receive(np.ones(1), 1), lambda g: g.twin().collect(0)])
def test_the_error_of_one_rank_ends_the_others(waits):
    def work(group):
        if group.rank == 1:
            raise OSError("no disk")
        waits(group)

    before = threading.active_count()
    with pytest.raises(OSError, match="no disk"):
        run_ranks(3, work)
    assert threading.active_count() == before


def test_the_terms_of_a_sum_have_one_order():
    terms = np.random.default_rng(0).standard_normal((4, 1000)).astype(np.float32)

    def work(group):
        array = terms[group.rank].copy()
        group.sum(array)
        return array

    expected = ((terms[0] + terms[1]) + terms[2]) + terms[3]
    for _ in range(3):
        assert all(np.array_equal(got, expected) for got in run_ranks(4, work))
