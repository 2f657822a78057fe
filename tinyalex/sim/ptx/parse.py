"""The text of PTX to functions: parameters, registers, variables, and a list of instructions.

A function of PTX looks like this. `%r` and `%f` are registers; `[...]` is an address; `@%p1` is a guard, which lets only the
threads do the instruction whose predicate is true:

    .visible .entry scale(.param .u64 scale_param_0, .param .u32 scale_param_1)
    {
        .reg .pred  %p<2>;
        .reg .f32   %f<3>;
        .loc        1 12 5
        ld.param.u32    %r1, [scale_param_1];
        @%p1 bra        $L__BB0_2;
    $L__BB0_2:
        ret;
    }
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tinyalex.errors import KernelError
from tinyalex.sim.ptx.types import TYPES, constant

TO_END_OF_LINE = re.compile(r"\.(?:version|target|address_size|file|loc|section|b8|b16|b32|b64)\b")
SPACE = re.compile(r"\s*")
END = ";"  # of a statement
LABEL = re.compile(r"([\w$%.]+):(?!:)")
HEADER = re.compile(r"(?:\.(?:visible|extern|weak)\s+)*\.(?:entry|func)\b")
PARAMETER = re.compile(r"\.param\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\b.*?([\w$]+)(?:\[(\d+)\])?\s*", re.DOTALL)
VARIABLE = re.compile(
    r"(?:\.(?:visible|extern|weak)\s+)*\.(?P<space>shared|local|const|global)\s+(?:\.attribute\(.*?\)\s+)?(?:\.align\s+(?P<align>\d+)\s+)?"
    r"\.(?P<type>\w+)\s+(?P<name>[\w$]+)(?P<dims>(?:\[\d*\])*)(?:\s*=\s*(?P<init>.*))?$",
    re.DOTALL,
)
WORD = re.compile(r"[%$\w]+(?:\.[xyz]\b)?")  # the name of a register, variable, parameter or label
REGISTER = re.compile(r"(%?[\w$]+)(?:<(\d+)>)?")
MOST_THREADS = re.compile(r"\.maxntid\s+(\d+)")  # NVRTC writes the product of the three directions into x
INLINED = re.compile(r"\.loc\s+(\d+)\s+(\d+)\s+(\d+)(?:.*?inlined_at\s+(\d+)\s+(\d+)\s+(\d+))?")
OF_NVRTC = re.compile(  # in the path of a header that is not the user's: built into NVRTC, or of NVIDIA's wheel or toolkit
    r"(?:^|[/\\])(?:__nv_|(?:nvidia[/\\]cu\w*|cuda(?:-[\d.]+)?|CUDA[/\\]+v[\d.]+)[/\\]+(?:targets/[\w-]+/)?include[/\\])"
)
FILE = re.compile(r'^\s*\.file\s+(\d+)\s+"([^"]*)"', re.MULTILINE)


@dataclass(frozen=True)
class Variable:
    """Memory with a name. size: in bytes; 0 for `extern __shared__`, whose size the launch gives. init: its first bytes."""

    name: str
    space: str
    size: int
    align: int
    init: bytes = b""
    extern: bool = False


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function. type: of PTX, such as u64 for a pointer. size: in bytes."""

    name: str
    type: str
    size: int
    align: int


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    parts: the opcode, cut at its dots. operands: as in the text. guard: a predicate that must be true, with "!" in front for one
    that must be false. line: in the PTX. source: the number of the file of the source, and the line; None if it is not known. For
    what a header of NVRTC does, such as a texture's access, it is the line of the user's text that called it.
    """

    text: str
    parts: tuple[str, ...]
    operands: tuple[str, ...]
    guard: str | None
    line: int
    source: tuple[int, int] | None


@dataclass
class Function:
    """A kernel (entry), or a function that kernels call.

    labels: the number of the instruction behind each label. most_threads: of a block, as `__launch_bounds__` says; 0 if it does not.
    """

    name: str
    entry: bool
    parameters: list[Parameter]
    results: list[Parameter]
    registers: dict[str, str] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    defined: bool = False
    most_threads: int = 0


@dataclass
class Text:
    """A parsed module. files: names of the sources by their numbers."""

    functions: dict[str, Function]
    variables: list[Variable]
    files: dict[int, str]


def parse(text: str) -> Text:
    """The functions and variables of a text in PTX."""
    functions: dict[str, Function] = {}
    variables: list[Variable] = []
    files = {int(number): name for number, name in FILE.findall(text)}
    headers = {number for number, name in files.items() if OF_NVRTC.search(name)}
    callers: dict[tuple[int, ...], tuple[int, ...]] = {}  # file, line and column of what was written inline to those of its call
    inside: Function | None = None
    scopes: list[dict[str, str]] = []  # one for each open brace: registers that hide those of the same name outside, with new names
    source = None
    for statement, line in _statements(_without_comments(text)):
        if statement == "{":
            scopes.append({})
        elif statement == "}":
            scopes.pop()
            inside = inside if scopes else None
        elif HEADER.match(statement):
            inside = _header(statement.rstrip("{;"))
            inside.defined = statement.endswith("{")
            if inside.defined or inside.name not in functions:
                functions[inside.name] = inside
            scopes, inside, source = ([{}], inside, None) if inside.defined else ([], None, None)
        elif statement.split()[0] == ".loc":
            source = _source(statement, callers, headers) or source
        elif found := VARIABLE.match(statement):
            (variables if inside is None else inside.variables).append(_variable(found))
        elif inside is not None and statement.startswith(".reg"):
            found_registers = _registers(statement)
            if len(scopes) > 1:
                scopes[-1].update({name: f"{name}$s{len(inside.registers)}" for name in found_registers})
            inside.registers.update({scopes[-1].get(name, name): kind for name, kind in found_registers.items()})
        elif inside is not None and statement.startswith(".param"):
            pass  # the place of an argument of a call; `inline` gives it a register
        elif statement.startswith("."):
            pass  # what else begins with a dot says nothing about what is computed
        elif inside is not None and statement.endswith(":"):
            inside.labels[statement[:-1]] = len(inside.instructions)
        elif inside is not None:
            hidden = {name: new for scope in scopes for name, new in scope.items()}
            inside.instructions.append(_instruction(statement, line, source, hidden))
    return Text(functions, variables, files)


def _source(statement: str, callers: dict[tuple[int, ...], tuple[int, ...]], headers: set[int]) -> tuple[int, int] | None:
    """File and line of a `.loc`; for a header, those of the call outside of all headers. `callers` grows. None: the line is 0."""
    found = INLINED.match(statement)
    if found is None:
        return None
    numbers = [int(number) for number in found.groups() if number]
    at = tuple(numbers[:3])
    if numbers[3:]:
        callers[at] = tuple(numbers[3:])
    else:
        callers.pop(at, None)
    seen = set()
    while at[0] in headers and at in callers and at not in seen:
        seen.add(at)
        at = callers[at]
    return (at[0], at[1]) if at[1] else None


def _without_comments(text: str) -> str:
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


def _statements(text: str) -> Iterator[tuple[str, int]]:
    """Each statement with its line: an instruction, a directive, a label with its colon, a brace, or a header with { or ;."""
    at, line = 0, 1
    while at < len(text):
        start = SPACE.match(text, at).end()  # type: ignore[union-attr]
        line += text.count("\n", at, start)
        at = _end(text, start)
        statement = text[start:at].strip()
        if HEADER.match(statement) or statement in ("{", "}"):
            yield statement, line
        elif statement.rstrip("; \t\n"):
            yield statement.rstrip("; \t\n"), line
        line += text.count("\n", start, at)


def _end(text: str, start: int) -> int:
    """Where the statement that starts at `start` ends."""
    if text[start : start + 1] in ("{", "}", ";", ""):
        return start + 1
    if HEADER.match(text, start):
        return min(found for mark in "{;" if (found := text.find(mark, start)) >= 0) + 1
    if TO_END_OF_LINE.match(text, start):
        return text.find("\n", start) % (len(text) + 1)
    label = LABEL.match(text, start)
    return label.end() if label else (text.find(END, start) + 1) or len(text)


def _header(statement: str) -> Function:
    kind = re.search(r"\.(entry|func)\b", statement)
    assert kind is not None
    rest = statement[kind.end() :].strip()
    results: list[Parameter] = []
    if rest.startswith("("):
        inner, _, rest = rest[1:].partition(")")
        results = _parameters(inner)
    name, _, inner = rest.partition("(")
    inner, _, directives = inner.partition(")")
    most = MOST_THREADS.search(directives)
    return Function(name.strip(), kind[1] == "entry", _parameters(inner), results, most_threads=int(most[1]) if most else 0)


def _parameters(text: str) -> list[Parameter]:
    found = []
    for part in text.split(",") if text.strip() else ():
        match = PARAMETER.fullmatch(part.strip())
        if match is None or match[2] not in TYPES:
            raise KernelError(f"PTX: a parameter must have a type that the simulated card knows, got {part.strip()}")
        align, kind, name, count = match.groups()
        size = TYPES[kind].itemsize
        found.append(Parameter(name, kind, size * int(count or 1), int(align or size)))
    return found


def _registers(statement: str) -> dict[str, str]:
    _, kind, names = statement.split(None, 2)
    found: dict[str, str] = {}
    for part in names.split(","):
        match = REGISTER.match(part.strip())
        assert match is not None
        name, count = match.groups()
        found.update({f"{name}{i}": kind[1:] for i in range(int(count))} if count else {name: kind[1:]})
    return found


def _variable(found: re.Match[str]) -> Variable:
    dtype = TYPES.get(found["type"])
    if dtype is None:
        raise KernelError(f"PTX: the type of a variable must be one of {', '.join(TYPES)}, got {found['type']} for {found['name']}")
    dims = re.findall(r"\[(\d*)\]", found["dims"])
    size = dtype.itemsize
    for dim in dims:
        size *= int(dim or 0)
    init = b""
    if found["init"]:
        words = re.findall(r"[^\s,{}]+", found["init"])
        try:
            init = b"".join(constant(word, dtype).tobytes() for word in words)
        except ValueError:
            raise KernelError(f"PTX: the first values of {found['name']} must be numbers, got {found['init'][:60]}") from None
    return Variable(found["name"], found["space"], size, int(found["align"] or dtype.itemsize), init, "" in dims)


def _instruction(statement: str, line: int, source: tuple[int, int] | None, hidden: dict[str, str]) -> Instruction:
    text = " ".join(statement.split())
    guard, rest = None, WORD.sub(lambda word: hidden.get(word[0], word[0]), text) if hidden else text
    if text.startswith("@"):
        word, rest = rest[1:].split(None, 1)
        guard = word[1:] if word.startswith("!!") else word
    opcode, _, operands = rest.partition(" ")
    return Instruction(text, tuple(opcode.replace("::", ".").split(".")), tuple(split(operands)), guard, line, source)


def split(operands: str) -> list[str]:
    """The operands between the commas that are in no bracket."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(operands):
        depth += (letter in "[{(") - (letter in ")}]")
        if letter == "," and depth == 0:
            parts.append(operands[start:i].strip())
            start = i + 1
    return [*parts, operands[start:].strip()] if operands.strip() else []


def vector(operand: str) -> list[str]:
    """The parts of {%f1, %f2}, or the one operand."""
    return split(operand[1:-1]) if operand.startswith("{") else [operand]
