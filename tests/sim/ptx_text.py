"""PTX that applies one instruction to arrays, so that instructions are tested without a compiler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinyalex as ta
from tinyalex import sim
from tinyalex.sim.ptx.types import TYPES

Array = np.ndarray[Any, Any]
REGISTER = {1: "b16", 2: "b16", 4: "b32", 8: "b64"}


def device() -> Any:
    return ta.get_device("sim:0")


def kernel(body: str, registers: str = "", arrays: int = 1, name: str = "k", before: str = "") -> str:
    """The text of a kernel with `arrays` pointers, which the body finds in %rd0, %rd1, ...; %i is the number of the thread."""
    parameters = ",\n".join(f"    .param .u64 p{i}" for i in range(arrays))
    loads = "\n".join(f"    ld.param.u64 %rd{i}, [p{i}];" for i in range(arrays))
    return f"""
.version 8.0
.target sm_80
.address_size 64
{before}
.visible .entry {name}(
{parameters}
)
{{
    .reg .b64 %rd<20>, %at<20>;
    .reg .b32 %i, %t, %n, %b;
    {registers}
{loads}
    mov.u32 %t, %tid.x;
    mov.u32 %b, %ctaid.x;
    mov.u32 %n, %ntid.x;
    mad.lo.u32 %i, %b, %n, %t;
{body}
    ret;
}}
"""


def module(text: str) -> Any:
    return sim.RawModule(code=text)


def evaluate(opcode: str, operands: list[Array], kinds: tuple[str, ...], result: str, more: str = "") -> Array:
    """The results of `opcode result, operands, more` for each element of the operands. A predicate is returned as 0 and 1."""
    n = len(operands[0])
    registers, body = [], []
    for k, kind in enumerate(kinds):
        size = TYPES[kind].itemsize
        registers.append(f".reg .{'pred' if kind == 'pred' else REGISTER[size]} %a{k};")
        if kind == "pred":
            body += [f"add.u64 %at{k}, %rd{k}, 0;", "cvt.u64.u32 %rd19, %i;", f"add.u64 %at{k}, %at{k}, %rd19;"]
            registers.append(f".reg .b16 %h{k};")
            body += [f"ld.global.u8 %h{k}, [%at{k}];", f"setp.ne.s16 %a{k}, %h{k}, 0;"]
        else:
            body += [f"mul.wide.u32 %at{k}, %i, {size};", f"add.u64 %at{k}, %rd{k}, %at{k};", f"ld.global.b{8 * size} %a{k}, [%at{k}];"]
    size, out = TYPES[result].itemsize, len(kinds)
    names = ", ".join(f"%a{k}" for k in range(len(kinds)))
    body += [f"mul.wide.u32 %at{out}, %i, {size};", f"add.u64 %at{out}, %rd{out}, %at{out};"]
    if result == "pred":
        registers += [".reg .pred %r;", ".reg .b16 %h;"]
        body += [f"{opcode} %r, {names}{more};", "selp.u16 %h, 1, 0, %r;", f"st.global.u8 [%at{out}], %h;"]
    else:
        registers.append(f".reg .{REGISTER[size]} %r;")
        body += [f"{opcode} %r, {names}{more};", f"st.global.b{8 * size} [%at{out}], %r;"]
    text = kernel("\n".join(f"    {line}" for line in body), "\n    ".join(registers), out + 1)
    card = device()
    arrays = [card.asarray(np.ascontiguousarray(one)) for one in operands]
    results = card.asarray(np.zeros(n, TYPES[result]))
    module(text).get_function("k")((n,), (1,), (*arrays, results))
    found: Array = card.to_numpy(results)
    return found


needs_nvrtc = pytest.mark.skipif(sim.why_no_nvrtc() is not None, reason=str(sim.why_no_nvrtc()))
