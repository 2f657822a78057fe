"""A machine that reads pickles without running anything: the ground of every reader of files that Python programs wrote.

A pickle is a program for a small stack machine, and `pickle.load` lets this program call any function. The machine in this file knows
only the instructions of protocols 2 to 5 that build dicts, lists, tuples, texts and numbers. It imports nothing: a global is only a name,
and a table says which names a kind of file may have and which function of tinyalex stands for each. Everything else is refused. The file
is one class with its tables; it is long because each instruction is short.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from tinyalex.errors import DataError, TinyalexError

MOST_STEPS = 3_000_000  # an official batch has 30,000 to 120,000 instructions, each of which makes at most one small object
MOST_NUMBERS = 10_000  # integers as keys, such as those of an optimizer's state; their hashes are known, so that many could be made equal
LONGEST_NAME = 100
PROTOCOLS = (b"\x02", b"\x03", b"\x04", b"\x05")


NOTHING = object()  # stands in the memo where nothing was put


@dataclasses.dataclass(frozen=True)
class Global:
    """The name of an attribute of a module."""

    module: str
    name: str

    def __str__(self) -> str:
        text = f"{self.module[:LONGEST_NAME]}.{self.name[:LONGEST_NAME]}"
        return text if text.isprintable() else repr(text)  # it could change a terminal


class Unfinished:
    """An object that was created, and whose state follows in the pickle."""

    value: Any = None  # what the memo gives in its place after the state was read, if that is not None

    def finish(self, machine: Machine, state: Any) -> Any:
        """What stands on the stack after the state was read."""
        raise NotImplementedError


Function = Callable[["Machine", Global, tuple[Any, ...]], Any]


@dataclasses.dataclass(frozen=True)
class Allowed:
    """What a kind of file may contain.

    Parameters
    ----------
    globals: the function that stands for each name. what: these names in words, for messages.
    remedy: what to do about a file with another name. error: the class of all errors.
    persistent: makes an object of a persistent id, by which a pickle refers to something outside of it; None where there are none.
    """

    globals: Mapping[Global, Function]
    what: str
    remedy: str
    error: type[TinyalexError] = DataError
    persistent: Callable[[Machine, Any], Any] | None = None


def load_pickle_at(data: bytes, at: int, who: str, allowed: Allowed) -> tuple[Any, int]:
    """The object whose pickle begins at byte `at` of `data`, and the byte behind its end.

    Parameters
    ----------
    who: the name of the file in messages. allowed: what the file may contain.

    Raises
    ------
    The error of `allowed`: a global or an instruction is not allowed, or the pickle is truncated or malformed.
    """
    machine = Machine(data, at, who, allowed)
    return machine.run(), machine.at


class Machine:
    """The stack machine. `run` reads instructions of one byte, each followed by its operand."""

    def __init__(self, data: bytes, at: int, who: str, allowed: Allowed) -> None:
        self.data, self.who, self.at, self.allowed = data, who, at, allowed
        self.stack: list[Any] = []  # the objects above the last mark
        self.below: list[list[Any]] = []  # the objects below each mark
        self.memo: list[Any] = []  # no dict, because a file could choose keys of equal hashes
        self.to_encode = len(data)  # how many more characters may be encoded to bytes, because a text can be encoded many times
        self.to_copy = MOST_STEPS  # how many more elements may be copied, because a list can be copied many times
        self.numbers = 0  # integers that were keys

    def run(self) -> Any:
        """The one object of the pickle; `at` is then the byte behind its end."""
        begin = self.data[self.at : self.at + 2]
        if not (begin[:1] == b"\x80" and begin[1:] in PROTOCOLS):
            place = "a file" if self.at == 0 else f"one at byte {self.at:,}"
            self.fail("the file must be a pickle of protocol 2, 3, 4 or 5", f"{place} that begins with {begin!r}")
        self.at += 2
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

    def fail(self, rule: str, got: str, remedy: str = "") -> NoReturn:
        """Refuse the file."""
        raise self.allowed.error(f"{self.who}: {rule}, got {got}; {remedy or 'get the data again, and from a source that you trust'}")

    def malformed(self, got: str) -> NoReturn:
        """Refuse the file because its instructions do not fit together."""
        self.fail("the pickle must be whole and well-formed", f"{got} before byte {self.at:,}")

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        piece = self.data[self.at : self.at + count]
        if len(piece) != count:
            self.fail("the pickle must be whole", f"its end at byte {len(self.data):,}, where {count:,} more must follow byte {self.at:,}")
        self.at += count
        return piece

    def number(self, count: int) -> int:
        """The integer in the next `count` bytes."""
        return int.from_bytes(self.take(count), "little")

    def line(self) -> str:
        """The text up to the end of the line."""
        end = self.data.find(b"\n", self.at, self.at + LONGEST_NAME)
        if end < 0:
            self.malformed("a name without its end")
        return self.utf8(self.take(end + 1 - self.at)[:-1])

    def utf8(self, data: bytes) -> str:
        """Bytes as text."""
        return data.decode("utf-8", "replace")

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self, kind: type | tuple[type, ...] = object) -> Any:
        """Take the last value, which must be of this kind, from the stack."""
        if not self.stack:
            self.malformed("an empty stack")
        if not isinstance(value := self.stack.pop(), kind):
            self.malformed(f"an unexpected value of type {type(value).__name__}")
        return value

    def mark(self) -> None:
        """Begin a list of values on the stack."""
        self.below.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list[Any]:
        """The values since the last mark, which leave the stack."""
        if not self.below:
            self.malformed("no mark")
        items, self.stack = self.stack, self.below.pop()
        return items

    def top(self, kind: type = object) -> Any:
        """The last value, which must be of this kind and stays on the stack."""
        self.push(value := self.pop(kind))
        return value

    def remember(self, key: int) -> None:
        """Put the last value into the memo."""
        if key > min(self.at, MOST_STEPS):  # each number is of an object, which has a byte of its own
            self.malformed(f"memo {key:,}")
        self.memo += [NOTHING] * (key + 1 - len(self.memo))
        self.memo[key] = self.top()

    def recall(self, key: int) -> None:
        """Put a value of the memo on the stack."""
        value = self.memo[key] if key < len(self.memo) else NOTHING
        if value is NOTHING:
            self.malformed(f"memo {key}, which nothing was put in")
        self.push(value.value if isinstance(value, Unfinished) and value.value is not None else value)

    def pop_some(self, count: int, kind: type = object) -> tuple[Any, ...]:
        """The last `count` values, in their order."""
        return tuple([self.pop(kind) for _ in range(count)][::-1])

    def append(self, items: Sequence[Any]) -> None:
        """Add values to the list on the stack."""
        self.top(list).extend(items)

    def set_items(self, items: Sequence[Any]) -> None:
        """Add keys and values in turn to the dict on the stack."""
        target = self.top(dict)
        if len(items) % 2:
            self.malformed("a key without its value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self.checked_key(key)] = value

    def checked_key(self, key: Any) -> Any:
        """A key of a dict."""
        if not isinstance(key, (bytes, str, int)):  # hashing a deeply nested tuple would overflow the C stack
            self.malformed(f"a key of type {type(key).__name__}")
        self.numbers += isinstance(key, int)
        if self.numbers > MOST_NUMBERS:
            self.fail(f"at most {MOST_NUMBERS:,} keys must be integers", "more")
        return key

    def copied(self, items: Sequence[Any]) -> Sequence[Any]:
        """A list that a function copies. One instruction copies all of it, so the elements of all copies are counted."""
        self.to_copy -= len(items)
        if self.to_copy < 0:
            self.fail(f"the elements of lists that are copied must be at most {MOST_STEPS:,}", "more")
        return items

    def push_global(self, module: str, name: str) -> None:
        """Put a name on the stack, if this kind of file may have it."""
        wanted = Global(module, name)
        if wanted not in self.allowed.globals:
            self.fail(f"pickled globals must be {self.allowed.what}", str(wanted), self.allowed.remedy)
        self.push(wanted)

    def push_persistent(self) -> None:
        """Put what a persistent id stands for on the stack."""
        if self.allowed.persistent is None:
            self.fail("instructions must be those that build arrays, lists and dicts", f"{b'Q'!r} at byte {self.at - 1:,}")
        self.push(self.allowed.persistent(self, self.pop()))

    def reduce(self) -> None:
        """Call the function of tinyalex that stands for a global."""
        arguments, function = self.pop(tuple), self.pop(Global)
        self.push(self.allowed.globals[function](self, function, arguments))

    def build(self) -> None:
        """Give an object its state."""
        state, target = self.pop(), self.pop(Unfinished)
        self.push(target.finish(self, state))


INSTRUCTIONS: dict[bytes, Callable[[Machine], object]] = {
    b"(": lambda m: m.mark(),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"K": lambda m: m.push(m.number(1)),
    b"M": lambda m: m.push(m.number(2)),
    b"J": lambda m: m.push(int.from_bytes(m.take(4), "little", signed=True)),
    b"G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
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
    b"Q": lambda m: m.push_persistent(),
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
    b"\x95": lambda m: m.take(8),  # the length of the frame that follows, which this machine does not need
}
