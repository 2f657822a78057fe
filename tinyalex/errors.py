"""What tinyalex raises, and the checks that raise it.

Every message is one sentence: `<who>: <quantity> must be <rule>, got <value>`, then the remedy where there is one.
The command line prints it without a traceback and leaves with the class's `exit_code`.
"""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import numpy as np


class TinyalexError(Exception):
    """Something the user can mend; `exit_code` is what the command line leaves with."""

    exit_code = 2


class ShapeError(TinyalexError, ValueError):
    """A wrong shape, type or range of an array or of a layer's setting."""


class DeviceError(TinyalexError, RuntimeError):
    """An unknown device, one that is absent, or an array that lives on another one."""


class OutOfMemory(DeviceError, MemoryError):  # noqa: N818 - the field's own term
    """A device has no room: the message names who asked, the bytes wanted and the bytes left.

    Attributes
    ----------
    layer: the name of the layer that asked, None where no network did.
    """

    exit_code = 1
    layer: str | None = None

    def inside(self, layer: str) -> OutOfMemory:
        """This error with the name of the layer that asked in front; the first name stays, it is the innermost layer's."""
        if self.layer is None:
            self.layer, self.args = layer, (f"{layer}: {self}",)
        return self


class DataError(TinyalexError, ValueError):
    """A data set that is missing, truncated or altered, or a label outside its range."""


class CheckpointError(TinyalexError, ValueError):
    """A checkpoint that is truncated, altered, of a newer format or of another network."""


class DiskFull(TinyalexError, OSError):  # noqa: N818 - the condition's own name
    """No room for a file: the message names the bytes wanted and the bytes left. What was there before is untouched."""

    exit_code = 1


class DivergedError(TinyalexError, ArithmeticError):
    """Training met a loss that is not a finite number."""

    exit_code = 1


class Interrupted(TinyalexError):  # noqa: N818 - not a mistake of anybody's
    """A signal ended a run after a whole step; the message says how to go on.

    Parameters
    ----------
    message: for the user. exit_code: 128 + the signal's number. folder: where the run was saved, None if nowhere.
    """

    def __init__(self, message: str, exit_code: int = 130, folder: Path | None = None) -> None:
        super().__init__(message)
        self.exit_code, self.folder = exit_code, folder


class CallOrderError(TinyalexError, RuntimeError):
    """backward() without a forward(train=True) of its own before it."""


def show(value: object) -> str:
    """A value as an error message names it: arrays by shape and type, never by their contents."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None and shape != ():
        return f"{dtype} array of shape {tuple(shape)}"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to write out very large ones
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def require_int(who: str, quantity: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """`value` as an int of at least `least` and at most `most`; True and 2.0 are not integers here."""
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
    """`value` as a Python float (a NumPy scalar would promote float32 arrays) for which `holds(value)` is true."""
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
    """`value` as a Python bool; 1 and "no" are not truth values here."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ShapeError(f"{who}: {quantity} must be True or False, got {show(value)}")


def require_choice(who: str, quantity: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """The one of `choices` that `value` is; a NumPy integer may stand for an int."""
    for choice in choices:
        alike = type(value) is type(choice) or (isinstance(value, np.integer) and type(choice) is int)
        if value is choice or (alike and value == choice):
            return choice
    raise ShapeError(f"{who}: {quantity} must be one of {', '.join(map(repr, choices))}, got {show(value)}")


def pair(who: str, quantity: str, value: Any, least: int = 1) -> tuple[int, int]:
    """An integer, or two for height and width, as two."""
    values = value if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2:
        raise ShapeError(f"{who}: {quantity} must be one integer or two (height, width), got {show(value)}")
    return require_int(who, quantity, values[0], least), require_int(who, quantity, values[1], least)


def show_pair(value: tuple[int, int]) -> str:
    """`3` for (3, 3), `3x5` for (3, 5)."""
    return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"
