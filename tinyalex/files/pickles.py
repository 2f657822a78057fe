"""A reader for the pickle files of CIFAR-10 that is safe for files from unknown sources.

It allows dicts, lists and tuples of texts and integers, and the few globals that Python 2 and 3 and NumPy 1 and 2 need for arrays of
integers. See `tinyalex.files.pickle_machine` for why nothing in a file is run.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyalex.files.pickle_machine import Allowed, Function, Global, Machine, Unfinished, load_pickle_at


class DType(Unfinished):
    """Stands for one of NumPy's integer types, such as uint8; other types are not allowed.

    Parameters
    ----------
    code : the code of the type in NumPy, such as "u1" or "i8". The state of the type, which follows later, holds the byte order.
    """

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "|" if code.endswith("1") else ""

    def finish(self, machine: Machine, state: Any) -> DType:
        """Set the byte order: "|", "<" or ">". The other parts of the state must be those of a plain integer type."""
        own = _plain(state) if isinstance(state, tuple) else None
        for order in ("|",) if self.code.endswith("1") else ("<", ">"):
            if own == (3, order, None, None, None, -1, -1, 0):
                self.order = order
                return self
        machine.fail("the state of an array's type must be that of an integer", "another")


class RawArray(Unfinished):
    """Stands for an array that was created but whose state, which holds type, shape and bytes, has not been read yet."""

    def finish(self, machine: Machine, state: Any) -> Any:
        """The array."""
        if not isinstance(state, tuple) or len(state) != 5 or _plain(state[:1]) != (1,) or not isinstance(state[3], bool):
            machine.fail("the state of an array must be version 1, shape, type, order and bytes", "another")
        self.value = array(machine, state[4], state[2], state[1], "F" if state[3] else "C")
        return self.value


INTEGERS = tuple(kind + size for kind in "ui" for size in "1248")


def load_pickle(data: bytes, who: str) -> Any:
    """The object in `data`: dict, list, tuple, str, bytes, int, float, bool, None, or an array of integers (read-only, not copied).

    Parameters
    ----------
    data : a complete pickle of protocol 2 to 5.
    who : the name of the file in messages.

    Raises
    ------
    DataError : a global, an instruction or the type of an array is not allowed, or the pickle is truncated or malformed.

    Example
    -------
    >>> import pickle
    >>> load_pickle(pickle.dumps({"labels": [3, 1]}), "labels")
    {'labels': [3, 1]}
    """
    return load_pickle_at(data, 0, who, ARRAYS)[0]


def array(machine: Machine, data: object, dtype: object, shape: object, order: str) -> Any:
    """A read-only view of bytes as an array. Allocates no memory, even if the shape is very large."""
    if not isinstance(dtype, DType) or not dtype.order:
        machine.fail("the type of arrays must be one of integers", "another")
    if not isinstance(shape, tuple) or not 1 <= len(shape) <= 4 or not all(type(n) is int and 1 <= n < 2**31 for n in shape):
        machine.fail("the shape of arrays must be 1 to 4 sizes from 1 to 2**31 - 1", "another")
    nbytes = math.prod(shape) * int(dtype.code[1])
    if not isinstance(data, bytes) or len(data) != nbytes:
        got = f"{len(data):,}" if isinstance(data, bytes) else type(data).__name__
        machine.fail(f"an array of shape {shape} must hold {nbytes:,} bytes", got)
    return np.frombuffer(data, np.dtype(dtype.order + dtype.code)).reshape(shape, order="F" if order == "F" else "C")


def _plain(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """`values` in a form that can be compared: bytes, which a str of Python 2 is read as, as str; other objects only as their type."""
    texts = (value.decode("latin-1") if isinstance(value, bytes) else value for value in values)
    return tuple(value if isinstance(value, (int, str, Global)) or value is None else type(value) for value in texts)


def _reconstruct(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> RawArray:
    """`_reconstruct(ndarray, (0,), b"b")`: an array whose state follows; before that its shape and type mean nothing."""
    if len(arguments) != 3 or _plain(arguments[:1]) != (NDARRAY,):
        machine.fail(f"the arguments of {function} must be ndarray, a shape and a type", "others")
    return RawArray()


def _frombuffer(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> Any:
    """`_frombuffer(bytes, dtype, shape, order)`: an array in protocol 5."""
    if len(arguments) != 4 or not isinstance(arguments[3], str) or arguments[3] not in ("C", "F"):
        machine.fail(f"the arguments of {function} must be bytes, type, shape and order", "others")
    return array(machine, *arguments)


def _dtype(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> DType:
    """`dtype("u1", False, True)`: a type, whose state follows."""
    code = _plain(arguments[:1])[0] if len(arguments) == 3 else None
    if code not in INTEGERS:
        machine.fail("the type of arrays must be one of integers", "another")
    return DType(code)


def _scalar(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> int:
    """`scalar(dtype, bytes)`: a NumPy integer."""
    if len(arguments) != 2:
        machine.fail(f"the arguments of {function} must be a type and bytes", "others")
    return int(array(machine, arguments[1], arguments[0], (1,), "C")[0])


def _encode(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> bytes:
    """`encode(text, "latin1")`: bytes, as Python 3 writes them in a pickle for Python 2."""
    if len(arguments) != 2 or not isinstance(arguments[0], str) or _plain(arguments[1:]) != ("latin1",):
        machine.fail(f"the arguments of {function} must be a text and latin1", "others")
    machine.to_encode -= len(arguments[0])
    if machine.to_encode < 0:
        machine.fail("the bytes encoded must be fewer than the file's", "more")
    try:
        return arguments[0].encode("latin-1")
    except UnicodeEncodeError:
        machine.malformed("a text that is no latin1")


def _only_empty(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> bytes:
    """`bytes()`: empty bytes, as Python 3 writes them in a pickle for Python 2. `ndarray` may be named but not called."""
    if arguments or function == NDARRAY:
        machine.fail(f"{function} must not be called with arguments", f"{len(arguments)}")
    return b""


NDARRAY = Global("numpy", "ndarray")
GLOBALS: dict[Global, Function] = {
    NDARRAY: _only_empty,
    Global("numpy", "dtype"): _dtype,
    Global("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # NumPy 1
    Global("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # NumPy 2
    Global("numpy.core.numeric", "_frombuffer"): _frombuffer,
    Global("numpy._core.numeric", "_frombuffer"): _frombuffer,
    Global("numpy.core.multiarray", "scalar"): _scalar,
    Global("numpy._core.multiarray", "scalar"): _scalar,
    Global("_codecs", "encode"): _encode,
    Global("__builtin__", "bytes"): _only_empty,
}
ARRAYS = Allowed(GLOBALS, "those of an array of bytes", "get the data again, and from a source that you trust")
