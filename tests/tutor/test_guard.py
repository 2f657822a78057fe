"""Whatever a function does, its call ends, and the program around it is as it was."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from tinyalex.tutor import guard
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.guard import SHOWN, TimeUp, call, time_limit_of_calls

E06 = EXERCISES["E06"]


def spins(x):
    while True:
        pass


def swallows_exceptions(x):
    while True:
        try:
            x.sum()
        except Exception:
            pass


def swallows_everything(x):
    while True:
        try:
            time.sleep(0.002)
        except:  # noqa: E722
            pass


def swallows_in_two_layers(x):
    while True:
        try:
            try:
                time.sleep(0.002)
            except BaseException:
                pass
        except BaseException:
            x.sum()


def swallows_in_a_function(x):
    def work():
        try:
            time.sleep(0.002)
        except BaseException:
            return 1

    while True:
        work()


def goes_on_in_finally(x):
    while True:
        try:
            time.sleep(0.002)
        finally:
            continue  # noqa: B012


def suppresses(x):
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(0.002)


def prints(x):
    while True:
        print("again")


ENDLESS = [spins, swallows_exceptions, swallows_everything, swallows_in_two_layers, swallows_in_a_function, goes_on_in_finally,
           suppresses, prints]  # fmt: skip


@pytest.mark.parametrize("function", ENDLESS, ids=lambda function: function.__name__)
def test_endless_loop_ends_and_nothing_comes_later(function, capfd):
    start, threads = time.perf_counter(), set(threading.enumerate())  # threads of tests before this one may end meanwhile
    outcome = call(function, {"x": np.ones(3)}, limit_s=0.2)
    assert isinstance(outcome.error, TimeUp) and time.perf_counter() - start < 2
    assert outcome.line is not None and outcome.line[0] == __file__
    assert len(outcome.printed) <= SHOWN and capfd.readouterr() == ("", "")
    assert sys.gettrace() is None
    time.sleep(3 * guard.AGAIN_S)
    assert set(threading.enumerate()) <= threads


def test_limit_of_a_block_and_its_sentence():
    from tinyalex.tutor.checking import examine

    with time_limit_of_calls(0.2):
        finding = examine(E06, E06.functions[0], lambda x, kernel, stride: spins(x))
    assert finding.key == "contract.endless" and "did not come to an end within 0.2 seconds" in finding.text()
    assert guard.time_limit() == 10


def test_other_thread_is_guarded_too():
    found = []
    thread = threading.Thread(target=lambda: found.append(call(spins, {"x": 1}, limit_s=0.1)))
    thread.start()
    thread.join(5)
    assert isinstance(found[0].error, TimeUp)


def changes_everything(x):
    np.seterr(all="raise")
    np.seterrcall(print)
    np.set_printoptions(precision=1)
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    warnings.simplefilter("error")


def state():
    return {
        "errors": np.geterr(), "error call": np.geterrcall(), "printing": np.get_printoptions(), "filters": list(warnings.filters),
        "numbers": np.random.get_state()[1].tolist(), "own": random.getstate(), "depth": sys.getrecursionlimit(),  # noqa: NPY002
        "folder": os.getcwd(), "environment": dict(os.environ), "streams": (sys.stdin, sys.stdout, sys.stderr), "path": list(sys.path),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()}, "collector": gc.isenabled(),
        "trace": sys.gettrace(), "profile": sys.getprofile(), "switch": sys.getswitchinterval(),
    }  # fmt: skip


CHANGES = {
    "NumPy, random numbers, warnings": changes_everything,
    "recursion limit": lambda x: sys.setrecursionlimit(12345),
    "folder": lambda x: os.chdir(os.sep),
    "environment": lambda x: (os.environ.update(NEW="1"), os.environ.pop("PATH", None)),
    "standard output": lambda x: setattr(sys, "stdout", None),
    "standard input": lambda x: setattr(sys, "stdin", None),
    "import path": lambda x: sys.path.clear(),
    "signal handler": lambda x: signal.signal(signal.SIGINT, signal.SIG_IGN),
    "garbage collector": lambda x: gc.disable(),
    "trace": lambda x: sys.settrace(lambda *a: None),
    "profile": lambda x: sys.setprofile(lambda *a: None),
    "switch interval": lambda x: sys.setswitchinterval(0.1),
}


@pytest.mark.parametrize("ends", ["returns", "raises"])
@pytest.mark.parametrize("what", CHANGES)
def test_what_a_function_changes_is_as_before(what, ends):
    def student(x):
        CHANGES[what](x)
        if ends == "raises":
            raise ValueError

    before = state()
    outcome = call(student, {"x": 1})
    assert (type(outcome.error) is ValueError) == (ends == "raises")
    assert state() == before


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="this system has no alarm")
def test_alarm_that_a_function_set_does_not_ring_later():
    call(lambda x: signal.alarm(100), {"x": 1})
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def recurses(x):
    return recurses(x)


def deep_and_swallowed(x):
    try:
        return deep_and_swallowed(x)
    except RecursionError:
        return x


def leaves(x):
    sys.exit(3)


def asks(x):
    return input("a number? ")


def presses_ctrl_c(x):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("function", "error"),
    [(recurses, RecursionError), (leaves, SystemExit), (asks, EOFError), (presses_ctrl_c, KeyboardInterrupt)],
    ids=lambda value: value.__name__,
)
def test_error_comes_back_with_its_line(function, error):
    outcome = call(function, {"x": 1})
    assert type(outcome.error) is error
    assert outcome.line[1] == function.__code__.co_firstlineno + 1 and outcome.where == f"line {outcome.line[1]}"
    assert call(deep_and_swallowed, {"x": 4}).value == 4


def test_ctrl_c_of_the_user_is_raised_again():
    before = state()
    with pytest.raises(KeyboardInterrupt):
        call(lambda x: time.sleep(0) or signal.raise_signal(signal.SIGINT), {"x": 1})
    assert state() == before


def test_line_in_a_notebook_names_its_cell():
    space = {}
    exec(compile("def helper(x):\n    return x.nothing", "mine.ipynb, cell 2", "exec"), space)
    exec(compile("\n\ndef student(x):\n    return helper(x)", "mine.ipynb, cell 5", "exec"), space)
    assert call(space["student"], {"x": 1}).where == "cell 2, line 2"


def test_where_no_thread_starts_a_call_has_no_limit_and_works(monkeypatch):
    """As in WebAssembly, which also may lack the list of signals."""

    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.delattr(signal, "valid_signals")
    assert call(lambda x: x + 1, {"x": 1}).value == 2
