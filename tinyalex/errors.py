"""The errors that tinyalex raises, and checks that raise them.

Every message is one sentence: `<who>: <quantity> must be <rule>, got <value>`. If there is a remedy, `; <remedy>` follows.
The command line prints the message without a traceback and exits with the error's `exit_code`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np


class TinyalexError(Exception):
    """An error that the user can correct. All errors of tinyalex are subclasses.

    Parameters
    ----------
    message: the message for the user. remedy: what the user should do; it is appended to the message after "; ". If it is None, the
        remedy is the text after the first "; " of the message.

    Attributes
    ----------
    exit_code: the exit code of the command line. sentence: the message without the remedy. remedy: None if there is no remedy.

    Example
    -------
    >>> error = TinyalexError("conv1: stride must be at least 1, got 0", remedy="use 1")
    >>> str(error), error.remedy
    ('conv1: stride must be at least 1, got 0; use 1', 'use 1')
    """

    exit_code = 2

    def __init__(self, message: object = "", remedy: str | None = None) -> None:
        super().__init__(message if remedy is None else f"{message}; {remedy}")
        self._remedy = remedy

    @property
    def remedy(self) -> str | None:
        """What the user should do."""
        return self._remedy or str(self).partition("; ")[2] or None

    @property
    def sentence(self) -> str:
        """The message without the remedy."""
        return str(self) if self.remedy is None else str(self).removesuffix(f"; {self.remedy}")


class ShapeError(TinyalexError, ValueError):
    """An array or a setting with a wrong shape, type or value."""


class DeviceError(TinyalexError, RuntimeError):
    """A device that is unknown or absent, or an array that is on the wrong device."""


class OutOfMemory(DeviceError, MemoryError):  # noqa: N818 - the usual term
    """A device has not enough memory. The message names the layer, the bytes it needs and the bytes left.

    Attributes
    ----------
    layer: the name of the layer that needs the memory; None outside of networks.
    """

    exit_code = 1
    layer: str | None = None

    def inside(self, layer: str) -> OutOfMemory:
        """This error, with the name of the layer in front of the message unless there is one. The innermost layer calls this first."""
        if self.layer is None:
            self.layer, self.args = layer, (f"{layer}: {self}",)
        return self


class KernelError(DeviceError):
    """A kernel that cannot run, or that does what is undefined on a card: an access outside of its arrays, a race, a lost barrier."""


class CompileError(KernelError):
    """The text of a kernel has an error. The message has the first one, with its line; `log` is all that the compiler says."""

    def __init__(self, message: object = "", remedy: str | None = None, log: str = "") -> None:
        super().__init__(message, remedy)
        self.log = log


def cut_off(error: BaseException) -> bool:
    """Whether `error` may have stopped a layer in the middle of its work. A layer that refuses its input has not begun."""
    return isinstance(error, OutOfMemory) or not isinstance(error, TinyalexError)


class DataError(TinyalexError, ValueError):
    """A data set that is missing, truncated or altered, or a label outside the allowed range."""


class LoaderError(TinyalexError, RuntimeError):
    """A worker process of the data loader that ended, or could not start. The message names the worker and what it was doing."""

    exit_code = 1


class CheckpointError(TinyalexError, ValueError):
    """A checkpoint that is truncated or altered, has a newer format, or belongs to another network."""


class DiskFull(TinyalexError, OSError):  # noqa: N818 - the usual term
    """The disk has no space for a file. The message names the bytes needed and the bytes left. An older file is unchanged."""

    exit_code = 1


class DivergedError(TinyalexError, ArithmeticError):
    """The loss in training is not a finite number."""

    exit_code = 1


class Interrupted(TinyalexError):  # noqa: N818 - this is not an error of the user
    """A signal ended a run after a complete step. The message says how to continue the run.

    Parameters
    ----------
    message, remedy: see `TinyalexError`. exit_code: 128 + the number of the signal. folder: where the run was saved, or None.
    """

    def __init__(self, message: str, exit_code: int = 130, folder: Path | None = None, remedy: str | None = None) -> None:
        super().__init__(message, remedy)
        self.exit_code, self.folder = exit_code, folder


class CallOrderError(TinyalexError, RuntimeError):
    """A method was called too early or too late, such as `backward` without a `forward(train=True)` before it."""


def show(value: object) -> str:
    """The text of a value for an error message: the dtype and shape of an array, the length of a long list, otherwise its `repr`."""
    if isinstance(value, np.dtype):
        return str(value)
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None and shape != ():
        kind = {np.ma.MaskedArray: "masked array", np.matrix: "matrix"}.get(type(value), "array")
        return f"{dtype} {kind} of shape {tuple(shape)}"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to convert very large integers to text
    if isinstance(value, (list, tuple, set, dict)) and (not _is_small(value) or len(repr(value)) > LONGEST):
        return f"a {type(value).__name__} of {len(value):,} element{'s' * (len(value) != 1)}"
    text = repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def said(value: object) -> str:
    """A value for an error message: words as they are, unless they could change a terminal or are long; other values as by `show`."""
    return value if isinstance(value, str) and value.isprintable() and 0 < len(value) <= LONGEST else show(value)


LONGEST = 80  # most characters of a shown value


def _is_small(value: object) -> bool:
    """Whether a list has few elements, with those of the lists in it. The `repr` of a list of lists of lists may have no end."""
    waiting, count = [value], 0
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, (list, tuple, set, dict)):
            count += len(inner)
            if count > LONGEST:  # each has at least one character
                return False
            waiting += [*inner, *inner.values()] if isinstance(inner, dict) else inner
        elif isinstance(inner, int) and inner.bit_length() > 256:
            return False
    return True


def show_choices(choices: Iterable[object]) -> str:
    """The text that lists the allowed values in a message: `float32 or float64`, or `steps, plateau or constant`."""
    *others, last = [choice if isinstance(choice, str) else show(choice) for choice in choices]
    return f"{', '.join(others)} or {last}" if others else last


def did_you_mean(value: object, choices: Iterable[object]) -> str | None:
    """The remedy `did you mean NAME?`, where NAME is the choice that is most similar to `value`; None if no choice is similar.

    Example
    -------
    >>> did_you_mean("cifar-10", ["auto", "cifar10"])
    'did you mean cifar10?'
    """
    if not isinstance(value, str) or len(value) > LONGEST:
        return None
    # Names of a file may be long, which would take minutes, or have characters that change a terminal.
    names = {_bare(name): name for name in choices if isinstance(name, str) and len(name) <= LONGEST and name.isprintable()}
    import difflib  # here, because only a run that ends needs it

    near = difflib.get_close_matches(_bare(value), names, 1)
    return f"did you mean {names[near[0]]}?" if near else None


def _bare(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")


def require_int(who: str, quantity: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """`value` as an int from `least` to `most` (None: no limit). Raises ShapeError, also for True and 2.0."""
    if not isinstance(value, bool):
        try:
            number = operator.index(value)
        except TypeError:
            pass
        else:
            if most is not None and number > most:
                raise ShapeError(f"{who}: {quantity} must be at most {most:,}, got {show(number)}; use fewer")
            if number >= least:
                return number
    raise ShapeError(f"{who}: {quantity} must be an integer of at least {least}, got {show(value)}")


def require_float(who: str, quantity: str, value: Any, rule: str, holds: Any) -> float:
    """`value` as a Python float, because a NumPy scalar would promote float32 arrays. Raises ShapeError unless `holds(value)` is true.

    rule: the condition of `holds` in words.
    """
    if not isinstance(value, (bool, str)):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            pass
        else:
            if holds(number):
                return number
    raise ShapeError(f"{who}: {quantity} must be {rule}, got {show(value)}")


def require_bool(who: str, quantity: str, value: Any) -> bool:
    """`value` as a Python bool. Raises ShapeError for every other type, such as the integer 1."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ShapeError(f"{who}: {quantity} must be True or False, got {show(value)}")


def require_choice(who: str, quantity: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """The element of `choices` that equals `value`; a NumPy integer may equal an int. Raises ShapeError, which names a similar choice."""
    for choice in choices:
        alike = type(value) is type(choice) or (isinstance(value, np.integer) and type(choice) is int)
        if value is choice or (alike and value == choice):
            return choice
    raise ShapeError(f"{who}: {quantity} must be {show_choices(choices)}, got {show(value)}", did_you_mean(value, choices))


def require_keywords(who: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise ShapeError unless every name in `given` is in `known`. For functions that pass on `**settings`."""
    known = tuple(known)
    for name in given:
        if name not in known:
            raise ShapeError(f"{who}: settings must be among {', '.join(known)}, got {name}", did_you_mean(name, known))


def pair(who: str, quantity: str, value: Any, least: int = 1) -> tuple[int, int]:
    """`value` as (height, width); a single integer stands for both. Raises ShapeError unless both are at least `least`."""
    values = value if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2:
        raise ShapeError(f"{who}: {quantity} must be one integer or two (height, width), got {show(value)}")
    return require_int(who, quantity, values[0], least), require_int(who, quantity, values[1], least)


def show_pair(value: tuple[int, int]) -> str:
    """The text of a pair: `3` for (3, 3), `3x5` for (3, 5)."""
    return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"
