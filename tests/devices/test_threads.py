"""Several threads on one call: nobody is at work any more when an error or Ctrl-C comes out."""

import gc
import os
import signal
import threading
import time

import numpy as np
import pytest
import threadpoolctl

import tinyalex as ta
from tinyalex.devices import threads
from tinyalex.devices.threads import Threads, at_once, together


class StopError(Exception):
    pass


@pytest.fixture
def interrupt():
    """A function that sends Ctrl-C to the main thread, as KeyboardInterrupt."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def blas():
    """BLAS on two threads: a function that tells how many it has."""
    controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
    with controller.limit(limits=2):
        yield lambda: {library["num_threads"] for library in controller.info()}


class Work:
    """Counts who is at work; the main thread's part is short, the others' lasts until `interrupt` was called `times` times."""

    def __init__(self, interrupt, times=1, in_main=False):
        self.interrupt, self.times, self.in_main = interrupt, times, in_main
        self.running, self.begun, self.sent, self.lock = 0, [], threading.Event(), threading.Lock()

    def __call__(self, number):
        with self.lock:
            self.running += 1
            self.begun.append(number)
        try:
            if threading.current_thread() is threading.main_thread():
                if self.in_main:
                    assert self.sent.wait(30)
                    time.sleep(30)
            elif not self.sent.is_set():
                for _ in range(self.times):
                    time.sleep(0.02)  # by now the main thread waits
                    self.interrupt()
                    self.sent.set()
                time.sleep(0.05)  # the caller must not go on meanwhile
        finally:
            with self.lock:
                self.running -= 1


@pytest.mark.parametrize("in_main", [False, True])
@pytest.mark.parametrize("times", [1, 3])
def test_interrupted_blocks_have_all_stopped_and_no_more_begin(interrupt, times, in_main):
    device, work, meet = ta.CpuDevice(workers=3), Work(interrupt, times, in_main), threading.Barrier(3, timeout=30)

    def block(rows, scratch):
        if rows.start < 3:
            meet.wait()
        work(rows.start)

    with pytest.raises(KeyboardInterrupt):
        device.map_blocks(block, 16, size=1)
    assert work.running == 0
    begun = len(work.begun)
    time.sleep(0.05)
    assert len(work.begun) == begun
    (total,) = device.map_blocks(lambda rows, scratch: (np.ones(1),), 16, size=1)
    assert total.tolist() == [16] and device.scratch().next == 0
    device.close()


@pytest.mark.parametrize("in_main", [False, True])
@pytest.mark.parametrize("times", [1, 3])
def test_interrupted_pair_has_stopped_on_both_sides(interrupt, times, in_main):
    work, meet = Work(interrupt, times, in_main), threading.Barrier(2, timeout=30)
    with pytest.raises(KeyboardInterrupt):
        at_once(lambda: (meet.wait(), work(0)), lambda: (meet.wait(), work(1)))
    assert work.running == 0 and len(work.begun) == 2
    assert at_once(lambda: 1, lambda: 2) == (1, 2)


def test_no_interruption_at_any_time_leaves_somebody_at_work():
    device, running = ta.CpuDevice(workers=3), []

    def block(rows, scratch):
        if threading.current_thread() is threading.main_thread():
            return time.sleep(0.0002)
        running.append(rows.start)  # the alarm does not come here
        time.sleep(0.0005)
        running.remove(rows.start)

    def stop(number, frame):
        raise StopError

    def call():
        at_once(lambda: device.map_blocks(block, 6, size=1), lambda: None)

    call()  # starts the threads
    stopped, before = 0, signal.signal(signal.SIGALRM, stop)
    gc.disable()  # Python drops an error that is raised in somebody's callback of the collector
    try:
        for microseconds in range(50, 2050, 50):
            end = time.monotonic() + 1
            try:
                signal.setitimer(signal.ITIMER_REAL, microseconds / 1e6)
                while time.monotonic() < end:  # Python drops an error that is raised in a destructor
                    call()
            except StopError:
                stopped += 1
            assert running == [], microseconds
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert stopped
    assert device.map_blocks(lambda rows, scratch: (np.ones(1),), 16, size=1)[0].tolist() == [16]
    device.close()


def test_no_interruption_at_any_time_leaves_state_behind(blas):
    device, other = ta.CpuDevice("cpu:0", workers=2), ta.CpuDevice("cpu:1", workers=1)

    def inner(rows, scratch):
        scratch((10,), np.float32)

    def block(rows, scratch):
        scratch((10,), np.float32)
        device.empty((1 << 20,))
        device.map_blocks(inner, 2, size=1)
        other.map_blocks(inner, 2, size=1)

    def stop(number, frame):
        raise KeyboardInterrupt

    device.map_blocks(block, 6, size=1)  # starts the threads
    kept, before = [], signal.signal(signal.SIGALRM, stop)
    gc.disable()  # Python drops an error that is raised in a destructor or in somebody's callback of the collector
    try:
        for microseconds in range(30, 1530, 7):
            end = time.monotonic() + 1
            try:
                signal.setitimer(signal.ITIMER_REAL, microseconds / 1e6)
                while time.monotonic() < end:
                    device.map_blocks(block, 6, size=1)
            except KeyboardInterrupt as error:
                kept.append(error)  # with the frames, as a notebook keeps them
            for one in (device, other):
                assert one.scratch().next == 0 and not one._local.inside
            other.map_blocks(inner, 1)
            assert blas() == {2}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert len(kept) > 100
    kept.clear()
    gc.collect()
    device.arena.empty_cache()
    assert device.arena.nbytes == 0
    device.close()


def test_who_has_not_begun_when_an_error_comes_does_not_begin():
    begun, free, stopped = [], threading.Event(), []

    def mine():
        raise StopError("mine")

    threads = Threads(1, "busy")
    threads.submit(lambda: free.wait(30))  # the only thread has other work
    with pytest.raises(StopError, match="mine"):
        together(threads, mine, [lambda: begun.append(1)], stop=lambda: stopped.append(1))
    free.set()
    threads.shutdown()
    assert begun == [] and stopped == [1]


def test_no_more_threads_are_started_than_were_asked_for():
    before, threads, done = set(threading.enumerate()), Threads(2, "few"), threading.Barrier(3, timeout=20)
    for _ in range(2):
        threads.submit(done.wait)
    assert len(set(threading.enumerate()) - before) == 2
    done.wait()
    threads.shutdown()


@pytest.fixture
def no_thread(monkeypatch):
    """A system that starts no thread, as WebAssembly, and says so for the first time."""

    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(threads, "_said", [])


SAID = "cpu: the system must start a thread for each worker, got \"can't start new thread\"; fewer threads do the same work"


def test_without_threads_the_caller_makes_all_calls_and_it_is_said_once(no_thread):
    helpers, made = Threads(2, "no"), []
    with pytest.warns(RuntimeWarning, match="fewer threads") as warned:
        for _ in range(2):
            assert together(helpers, lambda: made.append(0) or 0, [lambda: 1, lambda: 2], stop=lambda: None) == [0, 1, 2]
            assert at_once(lambda: 3, lambda: 4) == (3, 4)
    assert [str(one.message) for one in warned] == [f"{SAID}, with the same results"] and made == [0, 0]


def test_without_threads_an_error_ends_the_calls(no_thread, recwarn):
    made = []

    def fails():
        made.append("fails")
        raise StopError

    for calls in ([fails, lambda: made.append(1)], [lambda: made.append(0), fails, lambda: made.append(2)]):
        with pytest.raises(StopError):
            together(Threads(2, "no"), calls[0], calls[1:], lambda: None)
    assert made == ["fails", 0, "fails"]


def test_without_threads_a_call_keeps_its_settings_of_numpy_to_itself(no_thread, recwarn):
    at_once(lambda: None, lambda: np.seterr(over="raise"))
    assert np.geterr()["over"] == "warn"


def test_fewer_threads_than_wanted_do_all_the_work(monkeypatch):
    real, started = threading.Thread.start, []

    def start(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(threads, "_said", [])
    helpers = Threads(3, "few")
    with pytest.warns(RuntimeWarning, match="must start a thread for each worker"):
        assert together(helpers, lambda: 0, [lambda: 1, lambda: 2, lambda: 3], stop=lambda: None) == [0, 1, 2, 3]
    assert helpers.count == 1
    helpers.shutdown()


def test_without_threads_four_workers_give_the_bits_of_one(no_thread, recwarn):
    x = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    device = ta.CpuDevice("cpu:7", workers=4, small=0, cache=1)
    alone = ta.CpuDevice("cpu:8", workers=1, small=0, cache=1)
    sums = [one.map_blocks(lambda rows, scratch: (x[rows].sum(axis=0),), 64, 64)[0] for one in (device, alone)]
    assert sums[0].tobytes() == sums[1].tobytes()
