"""A student's function is called so that neither it nor its mistakes harm the program around it. This is no security sandbox."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import itertools
import math
import os
import random
import re
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np

LIMIT_S = 10.0
SLOWER = 6  # a call that waits, or that other programs keep from computing, may take so many times longer by the clock
SOON_S = 0.01  # at least so long is waited before the clocks are read again
AGAIN_S = 0.1  # a function that swallowed the end of its time is told again so many seconds later
SHOWN = 500  # characters of what a function printed
CALLS = itertools.count()
CELL = re.compile(r"cell \d+$")  # how the file name of a notebook's code ends

_limit: ContextVar[float] = ContextVar("_limit", default=LIMIT_S)


class TimeUp(BaseException):
    """Raised inside a call that takes too long. No Exception, so that `except Exception` in a loop does not hold it."""


@dataclass(frozen=True)
class Outcome:
    """What a call came to: a value, or the error that ended it.

    printed: the first characters that it wrote. line: where in the student's file the error was raised, None where unknown.
    """

    value: Any = None
    error: BaseException | None = None
    printed: str = ""
    line: tuple[str, int] | None = None

    @property
    def says(self) -> str:
        """The first characters of the error and its type, empty where there is none."""
        try:
            return "" if self.error is None else f"{type(self.error).__name__}: {self.error}"[:200]
        except Exception:  # an error of the student's own, whose text cannot be made
            return type(self.error).__name__

    @property
    def where(self) -> str:
        """The line as a message names it: "line 7", in a notebook's code "cell 3, line 7"."""
        if self.line is None:
            return "a function that it calls"
        cell = CELL.search(self.line[0])
        return f"{cell[0]}, line {self.line[1]}" if cell else f"line {self.line[1]}"


class FirstCharacters(io.TextIOBase):
    """A stream that keeps the first characters written to it and forgets the others."""

    def __init__(self) -> None:
        self.text = ""

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, text: str) -> int:
        """Keep what still fits."""
        self.text += text[: SHOWN - len(self.text)]
        return len(text)


@contextlib.contextmanager
def time_limit_of_calls(seconds: float) -> Iterator[None]:
    """Inside the block, every `call` that names no limit of its own has this one."""
    token = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(token)


def time_limit() -> float:
    """The seconds that a `call` may take where it names no limit of its own."""
    return _limit.get()


def call(function: Callable[..., Any], arguments: dict[str, Any], limit_s: float | None = None) -> Outcome:
    """Call `function(*arguments)`; whatever happens inside, an `Outcome` comes back and the program is as it was before.

    As before are the random states, error settings, warnings, print options, depth of recursion, current folder, environment,
    import path, streams, trace functions and signal handlers. What the function printed is cut, and it can read no input.
    Ctrl-C of the user, which comes from outside, is raised again.

    Parameters
    ----------
    limit_s: seconds of computing after which `TimeUp` is raised inside the function, ten where nothing else is said; or SLOWER times
        as many by the clock, so that a busy machine stops no function that is right. Where the system does not say how long a thread
        has computed, the seconds are those of the clock. It comes between two lines of Python: one long call of NumPy ends first.
    """
    printed = FirstCharacters()
    with _as_it_was(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        sys.stdin = io.StringIO()
        try:
            with _stopped_after(time_limit() if limit_s is None else limit_s):
                value = _run(function, arguments)
        except KeyboardInterrupt as error:
            if not _raised_in(function, error):
                raise
            return Outcome(error=error, printed=printed.text, line=_line_of(function, error))
        except BaseException as error:
            return Outcome(error=error, printed=printed.text, line=_line_of(function, error))
    return Outcome(value, printed=printed.text)


def _run(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The student's frames lie above the frame of this function, the guard's own below."""
    trace, profile = sys.gettrace(), sys.getprofile()
    try:
        return function(*arguments.values())
    finally:  # no call of a Python function stands here: a trace function would be asked about it
        if sys.gettrace() is not trace:
            sys.settrace(trace)
        if sys.getprofile() is not profile:
            sys.setprofile(profile)


def _signals() -> dict[int, Any]:
    if threading.current_thread() is not threading.main_thread():
        return {}  # no other thread may set one
    if not hasattr(signal, "valid_signals"):
        return {}  # WebAssembly outside of a browser has none
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _set_signals(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _timer() -> float:
    return signal.getitimer(signal.ITIMER_REAL)[0] if hasattr(signal, "getitimer") else 0.0


def _set_timer(before: float) -> None:
    if before == 0 != _timer():
        signal.setitimer(signal.ITIMER_REAL, 0)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # somebody has deleted it
        return None


def _set_environment(before: dict[str, str]) -> None:
    if before != dict(os.environ):
        os.environ.clear()
        os.environ.update(before)


def _set_import_path(before: list[str]) -> None:
    sys.path[:] = before


KEPT: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (  # how to read what a function may change, and how to set it again
    (np.random.get_state, np.random.set_state),  # the global state
    (random.getstate, random.setstate),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (sys.getswitchinterval, sys.setswitchinterval),
    (lambda: sys.stdin, lambda before: setattr(sys, "stdin", before)),
    (lambda: list(sys.path), _set_import_path),
    (gc.isenabled, lambda before: gc.enable() if before else gc.disable()),
    (_folder, lambda before: os.chdir(before) if before is not None and before != _folder() else None),
    (lambda: dict(os.environ), _set_environment),
    (_timer, _set_timer),
    (_signals, _set_signals),
)


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Afterwards everything in `KEPT`, NumPy's settings and the filters of warnings are as before.

    Inside, NumPy's global generator has other numbers at each call, so that a function that draws from it is found out.
    """
    before = [(put, read()) for read, put in KEPT]
    with warnings.catch_warnings(), np.errstate(all="ignore"), np.printoptions():
        warnings.simplefilter("ignore")
        np.random.seed(next(CALLS) % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            for put, value in before:
                with contextlib.suppress(OSError):  # a folder that is no more
                    put(value)


@contextlib.contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    """Raise TimeUp in the calling thread after so many seconds of computing, and again and again until the block has ended."""
    caller, ended, lock = threading.get_ident(), threading.Event(), threading.Lock()
    computed, latest = _clock_of(caller), time.perf_counter() + SLOWER * seconds
    end = computed() + seconds
    sent = 0

    class Sent(TimeUp):
        def __init__(self) -> None:  # Python makes it in the thread that it is raised in, before a handler has it
            nonlocal sent
            super().__init__()
            _raise_after_events(sys._getframe(1), sent % 12)
            sent += 1

    def watch() -> None:
        wait = seconds
        while not ended.wait(wait):
            if (wait := min(end - computed(), latest - time.perf_counter())) > 0:
                wait = max(wait, SOON_S)
                continue
            with lock:
                if not ended.is_set():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(caller), ctypes.py_object(Sent))
            wait = AGAIN_S

    with contextlib.suppress(RuntimeError):  # in a browser no thread starts, so nothing ends the call but the user
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        while not ended.is_set():
            with contextlib.suppress(TimeUp), lock:  # one may come even here
                ended.set()
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(caller), None)  # one that was sent and has not come


def _clock_of(thread: int) -> Callable[[], float]:
    """Says how many seconds a thread has computed, where the system knows it; else what the clock says."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.perf_counter
    clock = time.pthread_getcpuclockid(thread)

    def seconds() -> float:
        try:
            return time.clock_gettime(clock)
        except OSError:  # the thread is no more
            return math.inf

    return seconds


def _raise_after_events(frame: FrameType | None, events: int) -> None:
    """Raise TimeUp once more, so many steps of the student's code from now.

    A loop around `try: ... except: pass` would swallow every exception that hits its inside. The second one comes while the first
    is handled, which is outside of that `try`; where handlers lie in each other, a few steps later.
    """
    frames = []
    while frame is not None and frame.f_code is not _run.__code__:
        frames.append(frame)
        frame = frame.f_back
    if frame is None or not frames:
        return

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal events
        if event in ("line", "call"):  # the others come while an exception leaves a function, which needs no second one
            events -= 1
            if events < 0:
                raise TimeUp  # Python then forgets the trace function
        return trace

    sys.settrace(trace)
    for above in frames:
        above.f_trace = trace


def _raised_in(function: Callable[..., Any], error: BaseException) -> bool:
    return _line_of(function, error) is not None and "KeyboardInterrupt" in (traceback.extract_tb(error.__traceback__)[-1].line or "")


def _line_of(function: Callable[..., Any], error: BaseException) -> tuple[str, int] | None:
    """The file and the line of the student's code in which the error came up: the innermost one of the file of the function."""
    own = getattr(getattr(function, "__code__", None), "co_filename", None)
    if own is None:
        return None
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if CELL.sub("", frame.f_code.co_filename) == CELL.sub("", own):
            found = frame.f_code.co_filename, line
    return found
