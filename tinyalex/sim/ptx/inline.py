"""Calls in a kernel are replaced by the instructions of the function that they call, so that the interpreter needs no stack.

A call of PTX passes its arguments through memory with names:

    st.param.f32 [param0+0], %f1;
    call.uni (retval0), helper, (param0);
    ld.param.f32 %f2, [retval0+0];

Here each of these places becomes a register: `param0+0:32` is the register in which `helper` finds its first argument.
"""

from __future__ import annotations

import re
from dataclasses import replace

from tinyalex.errors import KernelError
from tinyalex.sim.ptx.parse import WORD, Function, Instruction, Text, split, vector
from tinyalex.sim.ptx.types import TYPES

DEPTH = 16  # calls inside of calls; more are taken for a function that calls itself
PLACE = re.compile(r"\[([\w$]+)(?:\+(\d+))?\]")


def inline(kernel: Function, text: Text) -> Function:
    """The kernel without calls."""
    out = Function(kernel.name, True, kernel.parameters, [], dict(kernel.registers), list(kernel.variables))
    _add(out, kernel, text, "", {}, [kernel.name])
    stored = {one.operands[0] for one in out.instructions if one.parts[0] == "mov"}
    for one in out.instructions:
        if one.text.partition(" ")[0].startswith("ld.param") and one.parts[0] == "mov" and one.operands[1] not in stored:
            raise KernelError(f"{out.name}: an argument must be stored as it is loaded, got {one.text}", "write the function inline")
    return out


def _add(out: Function, body: Function, text: Text, suffix: str, places: dict[str, str], calls: list[str]) -> None:
    """Append the instructions of `body`; `suffix` makes its names different from those of other calls."""
    marks: dict[int, list[str]] = {}
    for label, position in body.labels.items():
        marks.setdefault(position, []).append(label)
    local = [variable for variable in body.variables if variable.space == "local"]  # shared memory is the same in all calls
    own = {name: name + suffix for name in (*body.registers, *body.labels, *(variable.name for variable in local))}
    end = f"$end{suffix}"
    if suffix:
        out.registers.update({own[name]: kind for name, kind in body.registers.items()})
        out.variables += [replace(variable, name=own[variable.name]) for variable in local]
        out.variables += [variable for variable in body.variables if variable not in local and variable not in out.variables]
    for position, instruction in enumerate(body.instructions):
        out.labels.update({own[label]: len(out.instructions) for label in marks.get(position, ())})
        opcode = instruction.parts[0]
        if opcode == "call":
            _call(out, instruction, text, suffix, own, calls)
        elif suffix and opcode == "ret":
            out.instructions.append(replace(instruction, parts=("bra",), operands=(end,), guard=_guard(instruction, own)))
        elif opcode in ("ld", "st") and "param" in instruction.parts:
            out.instructions += _through_register(out, instruction, own, places, suffix)
        else:
            names = tuple(WORD.sub(lambda word: own.get(word[0], word[0]), operand) for operand in instruction.operands)
            out.instructions.append(replace(instruction, operands=names, guard=_guard(instruction, own)))
    out.labels.update({own[label]: len(out.instructions) for label in marks.get(len(body.instructions), ())})
    if suffix:
        out.labels[end] = len(out.instructions)


def _guard(instruction: Instruction, own: dict[str, str]) -> str | None:
    return None if instruction.guard is None else WORD.sub(lambda word: own.get(word[0], word[0]), instruction.guard)


def _through_register(
    out: Function, instruction: Instruction, own: dict[str, str], places: dict[str, str], suffix: str
) -> list[Instruction]:
    """A load or store of arguments or results as a `mov` for each; a load of a kernel's own parameter stays as it is."""
    load = instruction.parts[0] == "ld"
    found = PLACE.fullmatch(instruction.operands[1 if load else 0])
    if found is None:
        raise KernelError(f"{out.name}: an argument of a call must be at a fixed place, got {instruction.text}")
    name, offset, kind = found[1], int(found[2] or 0), instruction.parts[-1]
    if not suffix and any(name == parameter.name for parameter in out.parameters):
        names = tuple(WORD.sub(lambda word: own.get(word[0], word[0]), operand) for operand in instruction.operands)
        return [replace(instruction, operands=names)]
    bits = 8 * max(TYPES[kind].itemsize, 2)
    moves = []
    for k, value in enumerate(vector(instruction.operands[0 if load else 1])):
        at = offset + k * TYPES[kind].itemsize
        place = f"{places.get(name, name + suffix)}+{at}:{bits}"  # two calls may use one name for places of different sizes
        out.registers.setdefault(place, f"b{bits}")
        register = own.get(value, value)
        operands = (register, place) if load else (place, register)
        moves.append(replace(instruction, parts=("mov", kind), operands=operands, guard=_guard(instruction, own)))
    return moves


def _call(out: Function, call: Instruction, text: Text, suffix: str, own: dict[str, str], calls: list[str]) -> None:
    operands = list(call.operands)
    results = split(operands.pop(0)[1:-1]) if operands[0].startswith("(") else []
    name = operands[0]
    arguments = split(operands[1][1:-1]) if len(operands) > 1 else []
    function = text.functions.get(name)
    if function is None or not function.defined:
        raise KernelError(f"{out.name}: a kernel must call only functions of its own file, got {call.text}; remove printf and the like")
    if len(calls) > DEPTH:
        chain = " calls ".join(calls[:4])
        raise KernelError(f"{out.name}: calls must be at most {DEPTH} deep, got {chain}", "a function may not call itself")
    number = sum(label.startswith("$end") for label in out.labels) + len(calls)
    inner = f"@{name}{len(out.instructions)}_{number}"
    places = {parameter.name: argument + suffix for parameter, argument in zip(function.parameters, arguments, strict=True)}
    places.update({parameter.name: result + suffix for parameter, result in zip(function.results, results, strict=True)})
    _add(out, function, text, inner, places, [*calls, name])
