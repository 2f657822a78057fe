"""Two computations at the same time: their results, their errors, their settings."""

import threading

import numpy as np
import pytest

import tinyalex as ta
from tinyalex.devices.threads import at_once


def test_both_run_at_the_same_time():
    meeting = threading.Barrier(2)
    assert sorted(at_once(lambda: meeting.wait(30), lambda: meeting.wait(30))) == [0, 1]


def test_thread_is_kept():
    threads = {at_once(threading.get_ident, threading.get_ident) for _ in range(3)}
    assert len(threads) == 1 and len(set(threads.pop())) == 2


def test_error_of_the_right_is_raised_when_the_left_has_stopped():
    failed, done = threading.Event(), []

    def left():
        assert failed.wait(30)
        done.append("left")

    def right():
        failed.set()
        raise ta.OutOfMemory("b: no room")

    with pytest.raises(ta.OutOfMemory, match="b: no room"):
        at_once(left, right)
    assert done == ["left"]


def test_error_of_the_left_is_raised_when_the_right_has_stopped():
    begun, failed, done = threading.Event(), threading.Event(), []

    def left():
        assert begun.wait(30)
        failed.set()
        raise ta.OutOfMemory("a: no room")

    def right():
        begun.set()
        assert failed.wait(30)
        done.append("right")
        raise ta.OutOfMemory("b: no room")

    with pytest.raises(ta.OutOfMemory, match="a: no room"):
        at_once(left, right)
    assert done == ["right"]


def test_both_towers_see_the_callers_error_settings():
    with np.errstate(over="raise"):
        assert at_once(np.geterr, np.geterr)[1]["over"] == "raise"
    assert at_once(np.geterr, np.geterr)[1]["over"] == "warn"
