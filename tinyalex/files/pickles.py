"""A reader for the pickle files of CIFAR-10 that is safe for files from unknown sources.

A pickle is a program for a small stack machine, and `pickle.load` lets this program call any function. The machine in this file knows
only the instructions of protocols 2 to 5 that build dicts, lists, tuples, texts and integers, and the few globals that Python 2 and 3
and NumPy 1 and 2 need for arrays of bytes. It imports nothing: a global is only a name, and each allowed name stands for a function
of this file. Everything else is refused. The file is one class with its tables; it is long because each instruction is short.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from tinyalex.errors import DataError

MOST_STEPS = 3_000_000  # an official batch has 30,000 to 120,000 instructions, each of which makes at most one small object
LONGEST_NAME = 100


@dataclasses.dataclass(frozen=True)
class Global:
    """The name of an attribute of a module."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module[:LONGEST_NAME]}.{self.name[:LONGEST_NAME]}"


class DType:
    """Stands for one of NumPy's integer types, such as uint8; other types are not allowed.

    Parameters
    ----------
    code : the code of the type in NumPy, such as "u1" or "i8". The state of the type, which follows later, holds the byte order.
    """

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "|" if code.endswith("1") else ""


class RawArray:
    """Stands for an array that was created but whose state, which holds type, shape and bytes, has not been read yet."""

    array: Any = None  # the array, after its state was read


INTEGERS = tuple(kind + size for kind in "ui" for size in "1248")


def load_pickle(data: bytes, who: str) -> Any:
    """The object in `data`: dict, list, tuple, str, bytes, int, bool, None, or an array of integers (read-only, not copied).

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
    return _Machine(data, who).run()


class _Machine:
    """The stack machine. `run` reads instructions of one byte, each followed by its operand."""

    def __init__(self, data: bytes, who: str) -> None:
        self.data, self.who, self.at = data, who, 0
        self.stack: list[Any] = []  # the objects above the last mark
        self.below: list[list[Any]] = []  # the objects below each mark
        self.memo: dict[int, Any] = {}
        self.to_encode = len(data)  # how many more characters may be encoded to bytes, because a text can be encoded many times

    def run(self) -> Any:
        if not (self.data[:1] == b"\x80" and self.data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")):
            self.fail("the file must be a pickle of protocol 2, 3, 4 or 5", f"a file that begins with {self.data[:2]!r}")
        self.at = 2
        for _ in range(MOST_STEPS):
            code = self.take(1)
            if code == b".":
                if len(self.stack) != 1 or self.below:
                    self.malformed("more or fewer objects than one")
                return self.pop()
            if code not in INSTRUCTIONS:
                self.fail("instructions must be those that build arrays, lists and dicts", f"{code!r} at byte {self.at - 1:,}")
            INSTRUCTIONS[code](self)
        self.fail(f"the number of instructions must be at most {MOST_STEPS:,}", "more")

    def fail(self, rule: str, got: str) -> NoReturn:
        raise DataError(f"{self.who}: {rule}, got {got}; get the data again, and from a source that you trust")

    def malformed(self, got: str) -> NoReturn:
        self.fail("the pickle must be whole and well-formed", f"{got} before byte {self.at:,}")

    def take(self, count: int) -> bytes:
        piece = self.data[self.at : self.at + count]
        if len(piece) != count:
            self.fail("the pickle must be whole", f"its end at byte {len(self.data):,}, where {count:,} more must follow byte {self.at:,}")
        self.at += count
        return piece

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + LONGEST_NAME)
        if end < 0:
            self.malformed("a name without its end")
        return self.utf8(self.take(end + 1 - self.at)[:-1])

    def utf8(self, data: bytes) -> str:
        return data.decode("utf-8", "replace")

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self, kind: type | tuple[type, ...] = object) -> Any:
        if not self.stack:
            self.malformed("an empty stack")
        if not isinstance(value := self.stack.pop(), kind):
            self.malformed(f"an unexpected value of type {type(value).__name__}")
        return value

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list[Any]:
        if not self.below:
            self.malformed("no mark")
        items, self.stack = self.stack, self.below.pop()
        return items

    def top(self, kind: type = object) -> Any:
        self.push(value := self.pop(kind))
        return value

    def remember(self, key: int) -> None:
        self.memo[key] = self.top()

    def recall(self, key: int) -> None:
        if key not in self.memo:
            self.malformed(f"memo {key}, which nothing was put in")
        value = self.memo[key]
        self.push(value.array if isinstance(value, RawArray) and value.array is not None else value)

    def pop_some(self, count: int, kind: type = object) -> tuple[Any, ...]:
        return tuple([self.pop(kind) for _ in range(count)][::-1])

    def append(self, items: Sequence[Any]) -> None:
        self.top(list).extend(items)

    def set_items(self, items: Sequence[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2:
            self.malformed("a key without its value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, (bytes, str)):  # hashing a deeply nested tuple would overflow the C stack
                self.malformed(f"a key of type {type(key).__name__}")
            target[key] = value

    def push_global(self, module: str, name: str) -> None:
        wanted = Global(module, name)
        if wanted not in GLOBALS:
            self.fail("pickled globals must be those of an array of bytes", str(wanted))
        self.push(wanted)

    def reduce(self) -> None:
        """Call the function of this file that stands for a global."""
        arguments, function = self.pop(tuple), self.pop(Global)
        self.push(GLOBALS[function](self, function, arguments))

    def build(self) -> None:
        """Give an object its state."""
        state, target = self.pop(tuple), self.pop((DType, RawArray))
        if isinstance(target, DType):
            target.order = self.byte_order(target, _plain(state))
            self.push(target)
            return
        if len(state) != 5 or _plain(state[:1]) != (1,) or not isinstance(state[3], bool):
            self.fail("the state of an array must be version 1, shape, type, order and bytes", "another")
        target.array = self.array(state[4], state[2], state[1], "F" if state[3] else "C")
        self.push(target.array)

    def byte_order(self, dtype: DType, state: tuple[Any, ...]) -> str:
        """"|", "<" or ">", from the state of an integer type; the other parts of the state must be those of a plain integer type."""
        allowed = ("|",) if dtype.code.endswith("1") else ("<", ">")
        for order in allowed:
            if state == (3, order, None, None, None, -1, -1, 0):
                return order
        self.fail("the state of an array's type must be that of an integer", "another")

    def array(self, data: object, dtype: object, shape: object, order: str) -> Any:
        """A read-only view of bytes as an array. Allocates no memory, even if the shape is very large."""
        if not isinstance(dtype, DType) or not dtype.order:
            self.fail("the type of arrays must be one of integers", "another")
        if not isinstance(shape, tuple) or not 1 <= len(shape) <= 4 or not all(type(n) is int and 1 <= n < 2**31 for n in shape):
            self.fail("the shape of arrays must be 1 to 4 sizes from 1 to 2**31 - 1", "another")
        nbytes = math.prod(shape) * int(dtype.code[1])
        if not isinstance(data, bytes) or len(data) != nbytes:
            got = f"{len(data):,}" if isinstance(data, bytes) else type(data).__name__
            self.fail(f"an array of shape {shape} must hold {nbytes:,} bytes", got)
        return np.frombuffer(data, np.dtype(dtype.order + dtype.code)).reshape(shape, order="F" if order == "F" else "C")


def _plain(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """`values` in a form that can be compared: bytes, which a str of Python 2 is read as, as str; other objects only as their type."""
    texts = (value.decode("latin-1") if isinstance(value, bytes) else value for value in values)
    return tuple(value if isinstance(value, (int, str, Global)) or value is None else type(value) for value in texts)


def _reconstruct(machine: _Machine, function: Global, arguments: tuple[Any, ...]) -> RawArray:
    """`_reconstruct(ndarray, (0,), b"b")`: an array whose state follows; before that its shape and type mean nothing."""
    if len(arguments) != 3 or _plain(arguments[:1]) != (NDARRAY,):
        machine.fail(f"the arguments of {function} must be ndarray, a shape and a type", "others")
    return RawArray()


def _frombuffer(machine: _Machine, function: Global, arguments: tuple[Any, ...]) -> Any:
    """`_frombuffer(bytes, dtype, shape, order)`: an array in protocol 5."""
    if len(arguments) != 4 or not isinstance(arguments[3], str) or arguments[3] not in ("C", "F"):
        machine.fail(f"the arguments of {function} must be bytes, type, shape and order", "others")
    return machine.array(*arguments)


def _dtype(machine: _Machine, function: Global, arguments: tuple[Any, ...]) -> DType:
    """`dtype("u1", False, True)`: a type, whose state follows."""
    code = _plain(arguments[:1])[0] if len(arguments) == 3 else None
    if code not in INTEGERS:
        machine.fail("the type of arrays must be one of integers", "another")
    return DType(code)


def _scalar(machine: _Machine, function: Global, arguments: tuple[Any, ...]) -> int:
    """`scalar(dtype, bytes)`: a NumPy integer."""
    if len(arguments) != 2:
        machine.fail(f"the arguments of {function} must be a type and bytes", "others")
    return int(machine.array(arguments[1], arguments[0], (1,), "C")[0])


def _encode(machine: _Machine, function: Global, arguments: tuple[Any, ...]) -> bytes:
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


def _only_empty(machine: _Machine, function: Global, arguments: tuple[Any, ...]) -> bytes:
    """`bytes()`: empty bytes, as Python 3 writes them in a pickle for Python 2. `ndarray` may be named but not called."""
    if arguments or function == NDARRAY:
        machine.fail(f"{function} must not be called with arguments", f"{len(arguments)}")
    return b""


NDARRAY = Global("numpy", "ndarray")
GLOBALS: dict[Global, Callable[[_Machine, Global, tuple[Any, ...]], Any]] = {
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

INSTRUCTIONS: dict[bytes, Callable[[_Machine], object]] = {
    b"(": lambda m: m.mark(),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"K": lambda m: m.push(m.number(1)),
    b"M": lambda m: m.push(m.number(2)),
    b"J": lambda m: m.push(int.from_bytes(m.take(4), "little", signed=True)),
    b"\x8a": lambda m: m.push(int.from_bytes(m.take(m.number(1)), "little", signed=True)),
    # A str of Python 2, bytes of Python 3, or a bytearray, which is read as bytes because nothing here changes it.
    **dict.fromkeys((b"U", b"C"), lambda m: m.push(m.take(m.number(1)))),
    **dict.fromkeys((b"T", b"B"), lambda m: m.push(m.take(m.number(4)))),
    **dict.fromkeys((b"\x8e", b"\x96"), lambda m: m.push(m.take(m.number(8)))),
    b"X": lambda m: m.push(m.utf8(m.take(m.number(4)))),
    b"\x8c": lambda m: m.push(m.utf8(m.take(m.number(1)))),
    b"\x8d": lambda m: m.push(m.utf8(m.take(m.number(8)))),
    b")": lambda m: m.push(()),
    b"\x85": lambda m: m.push(m.pop_some(1)),
    b"\x86": lambda m: m.push(m.pop_some(2)),
    b"\x87": lambda m: m.push(m.pop_some(3)),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"]": lambda m: m.push([]),
    b"a": lambda m: m.append(m.pop_some(1)),
    b"e": lambda m: m.append(m.pop_to_mark()),
    b"}": lambda m: m.push({}),
    b"s": lambda m: m.set_items(m.pop_some(2)),
    b"u": lambda m: m.set_items(m.pop_to_mark()),
    b"q": lambda m: m.remember(m.number(1)),
    b"r": lambda m: m.remember(m.number(4)),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"h": lambda m: m.recall(m.number(1)),
    b"j": lambda m: m.recall(m.number(4)),
    b"c": lambda m: m.push_global(m.line(), m.line()),
    b"\x93": lambda m: m.push_global(*m.pop_some(2, str)),
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
    b"\x95": lambda m: m.take(8),  # the length of the frame that follows, which this machine does not need
}
