"""A student's function is called so that neither it nor its mistakes harm the program around it. This is no security sandbox."""

from __future__ import annotations

import contextlib
import ctypes
import io
import itertools
import random
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

LIMIT_S = 10.0
SHOWN = 500  # characters of what a function printed
CALLS = itertools.count()


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


def call(function: Callable[..., Any], arguments: dict[str, Any], limit_s: float = LIMIT_S) -> Outcome:
    """Call `function(*arguments)`; whatever happens inside, an `Outcome` comes back and the program is as it was before.

    Ctrl-C of the user, which comes from outside, is raised again.
    """
    printed = FirstCharacters()
    with _as_it_was(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            with _time_limit(limit_s):
                value = function(*arguments.values())
        except KeyboardInterrupt as error:
            if not _raised_in(function, error):
                raise
            return Outcome(error=error, printed=printed.text, line=_line_of(function, error))
        except BaseException as error:
            return Outcome(error=error, printed=printed.text, line=_line_of(function, error))
    return Outcome(value, printed=printed.text)


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Afterwards random states, error settings, warnings and the depth of recursion are as before.

    Inside, NumPy's global generator has other numbers at each call, so that who draws from it is seen to.
    """
    numbers, own, depth = np.random.get_state(), random.getstate(), sys.getrecursionlimit()  # noqa: NPY002 - the global state is kept
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        np.random.seed(next(CALLS) % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(numbers)  # noqa: NPY002
            random.setstate(own)
            sys.setrecursionlimit(depth)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeUp in the calling thread after so many seconds, and again every second until the block has ended.

    It comes between two lines of Python: one long call of NumPy ends first.
    """
    caller, ended = threading.get_ident(), threading.Event()

    def watch() -> None:
        wait = seconds
        while not ended.wait(wait):
            with lock:
                if not ended.is_set():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(caller), ctypes.py_object(TimeUp))
            wait = 1.0

    lock = threading.Lock()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        with lock:
            ended.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(caller), None)  # one that was sent and has not come


def _raised_in(function: Callable[..., Any], error: BaseException) -> bool:
    return _line_of(function, error) is not None and "KeyboardInterrupt" in (traceback.extract_tb(error.__traceback__)[-1].line or "")


def _line_of(function: Callable[..., Any], error: BaseException) -> tuple[str, int] | None:
    """The file and the line of the student's code in which the error came up: the innermost one of the file of the function."""
    own = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return frames[-1] if frames else None
