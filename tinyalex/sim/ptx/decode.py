"""Instructions to Python functions: each gets a group of threads and changes its registers.

`OPERATIONS` maps an opcode and the kind of its type ("float", "int", or "any") to a builder. The builder reads the text of one
instruction once, when the module is loaded, and returns the function that runs it:

    @operation("selp", "any")
    def select(d, instruction, kind):
        a, b, p = (d.read(operand, t) for operand, t in zip(instruction.operands[1:], (kind, kind, "pred")))
        put = d.write(instruction.operands[0], kind)
        return lambda group: put(group, np.where(p(group), a(group), b(group)))
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tinyalex.sim.ptx.group import Group
from tinyalex.sim.ptx.parse import Function, Instruction
from tinyalex.sim.ptx.types import TYPES, Unknown, Values, constant

Run: TypeAlias = Callable[[Group], None]
Read: TypeAlias = Callable[[Group], Values]
Write: TypeAlias = Callable[[Group, Values], None]
Builder: TypeAlias = Callable[["Decoder", Instruction, str], Run]

ADDRESS = re.compile(r"\[?\s*([\w$%.@+]+?)\s*(?:\+\s*(-?\w+))?\s*\]?")
NUMBER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+U?|0[fFdD][0-9a-fA-F]+|\d+U?)")
SPECIAL = {
    **{f"%{name}.{axis}": "u32" for name in ("tid", "ntid", "ctaid", "nctaid") for axis in "xyz"},
    **{f"%{name}": "u32" for name in ("laneid", "warpid", "nwarpid", "dynamic_smem_size", "total_smem_size")},
    **{f"%lanemask_{name}": "u32" for name in ("eq", "lt", "le", "gt", "ge")},
}


@dataclass(frozen=True)
class Operation:
    """A builder, and the words that may stand in the opcode beside the type."""

    build: Builder
    words: frozenset[str]


OPERATIONS: dict[tuple[str, str], Operation] = {}


def operation(opcodes: str, kind: str, words: str = "") -> Callable[[Builder], Builder]:
    """Enter a builder in `OPERATIONS`. All words of an opcode that are not its types must be in `words`; other words are refused."""

    def enter(build: Builder) -> Builder:
        for opcode in opcodes.split():
            OPERATIONS[opcode, kind] = Operation(build, frozenset(words.split()))
        return build

    return enter


@dataclass
class Uses:
    """What one instruction reads and writes: numbers of registers, and the names of parameters and variables.

    pointers: the registers and names of which it makes an address. access: its access to memory; None if it has none. arrive: for
    an instruction of threads together, which of the threads need not wait any longer; None stands for all.
    """

    reads: set[int] = field(default_factory=set)
    writes: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    pointers: set[int | str] = field(default_factory=set)
    access: Access | None = None
    arrive: Callable[[Group], Values | None] | None = None


@dataclass(frozen=True)
class Access:
    """What an instruction does to memory. space: "" stands for an address of all memory. size: bytes of one of `count` elements.

    kind: the type of an element. way: "read", "write" or "atomic". generic: whether the address is one of all memory, although the
    space is known.
    """

    space: str
    size: int
    count: int
    kind: str
    way: str
    generic: bool = False

    @property
    def name(self) -> str:
        """Such as "a read of 4 bytes"."""
        words = "an atomic operation" if self.way == "atomic" else f"a {self.way}"
        return f"{words} of {self.size * self.count} byte{'s' * (self.size * self.count > 1)}"


class Decoder:
    """Builds the functions of one kernel.

    symbols: the address of each variable. numbers: the number of each register. types: the type of each register, by its number.
    uses: of the instruction that is built now.
    """

    def __init__(self, kernel: Function, symbols: dict[str, int]) -> None:
        self.kernel, self.symbols = kernel, symbols
        self.numbers = {name: i for i, name in enumerate(kernel.registers)}
        self.types = [TYPES[kind] for kind in kernel.registers.values()]
        self.specials: dict[str, int] = {}
        self.uses = Uses()
        self.position = 0

    def build(self, instruction: Instruction, position: int) -> tuple[Run, Uses]:
        """The function of one instruction, and what it uses. Raises Unknown."""
        self.uses, self.position = Uses(), position
        opcode, kind = instruction.parts[0], instruction.parts[-1]
        family = "float" if kind[0] == "f" and kind in TYPES else "int"
        found = OPERATIONS.get((opcode, family)) or OPERATIONS.get((opcode, "any"))
        words = [word for word in instruction.parts[1:] if word not in TYPES]
        if found is None or not found.words.issuperset(words):
            raise Unknown(".".join(instruction.parts))
        return found.build(self, instruction, kind), self.uses

    def number(self, name: str) -> int | None:
        """The number of a register; None if the name is not one."""
        if name in self.numbers:
            return self.numbers[name]
        if name in SPECIAL:
            self.numbers[name] = self.specials[name] = len(self.types)
            self.types.append(TYPES[SPECIAL[name]])
            return self.numbers[name]
        return None

    def read(self, operand: str, kind: str) -> Read:
        """A function that returns the values of an operand as an array of the type."""
        dtype = TYPES[kind]
        if operand.startswith("!"):
            inner = self.read(operand[1:], "pred")
            return lambda group: ~inner(group)
        number = self.number(operand)
        if number is not None:
            self.uses.reads.add(number)
            if self.types[number].itemsize < dtype.itemsize:
                raise Unknown(f"{operand} as {kind}")

            def register(group: Group) -> Values:
                values = group.registers[number]
                return values if values.dtype is dtype else _seen_as(values, dtype)

            return register
        if NUMBER.fullmatch(operand):
            value = constant(operand, dtype)
            return lambda group: value
        return self._address_of(operand, dtype)

    def _address_of(self, operand: str, dtype: np.dtype[Any]) -> Read:
        """The address of a variable, or a place behind it."""
        found = ADDRESS.fullmatch(operand)
        name = found[1] if found else operand
        if found is None or name not in self.symbols:
            raise Unknown(f"operand {operand}")
        self.uses.names.add(name)
        value = constant(str(self.symbols[name] + int(found[2] or "0", 0)), dtype)
        return lambda group: value

    def address(self, operand: str, kind: str = "u64") -> Read:
        """A function that returns the addresses of an operand in brackets: [%rd1+16], [name], [name+4]."""
        found = ADDRESS.fullmatch(operand)
        if found is None:
            raise Unknown(f"address {operand}")
        name, offset = found[1], int(found[2] or "0", 0)
        if name not in self.numbers:
            self.uses.pointers.add(name)
            return self.read(f"{name}+{offset}" if offset else name, kind)
        self.uses.pointers.add(self.numbers[name])
        kind = "u32" if self.types[self.numbers[name]].itemsize == 4 else "u64"
        base = self.read(name, kind)
        if not offset:
            return base
        shift = constant(str(offset), TYPES[kind])
        return lambda group: base(group) + shift

    def write(self, operand: str, kind: str) -> Write:
        """A function that stores values of the type in a register. Narrow values are widened as the type says."""
        if operand == "_":
            return lambda group, values: None
        number, dtype = self.number(operand), TYPES[kind]
        if number is None:
            raise Unknown(f"result {operand}")
        self.uses.writes.add(number)
        own = self.types[number]
        if own.itemsize == dtype.itemsize or own.kind == "b":

            def store(group: Group, values: Values) -> None:
                group.registers[number] = values

            return store
        wide = np.dtype(f"{'i' if dtype.kind == 'i' else 'u'}{own.itemsize}")

        def widen(group: Group, values: Values) -> None:
            bits = values.view(f"u{values.itemsize}") if dtype.kind == "f" else values
            group.registers[number] = bits.astype(wide)

        return widen


def _seen_as(values: Values, dtype: np.dtype[Any]) -> Values:
    """The low bits of a register as another type."""
    if values.itemsize == dtype.itemsize:
        return values.view(dtype)
    return values.view(f"u{values.itemsize}").astype(f"u{dtype.itemsize}").view(dtype)
