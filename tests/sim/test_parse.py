"""The text of PTX to functions and instructions, also what another compiler writes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract import refuses
from tests.sim.ptx_text import device, kernel, module
from tinyalex.errors import KernelError
from tinyalex.sim.ptx.kernel import plain_name
from tinyalex.sim.ptx.parse import parse, split

HEADER = ".version 8.0\n.target sm_80\n.address_size 64\n"
TEXT = HEADER + """
// a comment; with a semicolon { and a brace
.extern .func (.param .b32 func_retval0) vprintf
(
    .param .b64 vprintf_param_0,
    .param .b64 vprintf_param_1
)
;
.const .align 4 .b8 weights[8] = {0, 0, 128, 63, 1};
.global .align 8 .f64 pi = 0d400921FB54442D18;
.global .align 4 .u32 count;
.extern .shared .align 16 .b8 tile[];
.visible .entry k(
    .param .u64 .ptr .global .align 4 k_param_0,
    .param .align 4 .b8 k_param_1[12],
    .param .f32 k_param_2
)
.maxntid 256, 1, 1
.minnctapersm 2
{
    .reg .pred %p<3>;
    .reg .b32 %r<4>, %x;
    .loc 1 7 5
    /* two
       lines */
    mov.u32 %r1, %tid.x;
    setp.lt.and.u32 %p1|%p2, %r1, 5, !%p1;
$L__BB0_1:
    .pragma "nounroll";
    .loc 1 0 5
    @!%p1 bra $L__BB0_1;
    .loc 2 9 5, function_name $L__info_string0, inlined_at 1 8 3
    ld.global.v2.u32 {%r1, %r2}, [%r3+-4];
    { // callseq 0, 0
    .reg .b32 temp;
    .param .b32 param0;
    st.param.b32 [param0+0], %r1;
    call.uni (retval0),
    helper,
    (
    param0
    );
    } // callseq 0
    ret;
}
    .file 1 "/somewhere/kernel.cu"
    .file 2 "common.cuh"
    .section .debug_str
    {
$L__info_string0:
.b8 95,90
.b8 0
    }
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/home/__nv_nvrtc_builtin_header.h", 5),
        ("__nv_nvrtc_builtin_header.h", 5),
        ("/lib/nvidia/cu13/include/mma.h", 5),
        ("/usr/local/cuda-13.1/targets/x86_64-linux/include/mma.h", 5),
        ("C:\\\\CUDA\\\\v13.1\\\\include\\\\mma.h", 5),
        ("/home/cuda-course/include/common.cuh", 5144),
        ("own__nv_.h", 5144),
    ],
)
def test_a_line_of_a_header_of_nvrtc_is_that_of_its_call(path: str, line: int) -> None:
    """Through two calls within the header. A header of the user is named itself."""
    locs = (
        ".loc 1 7 3", ".loc 1 5 3, function_name $L__info_string0, inlined_at 1 7 3",
        ".loc 2 5150 1, function_name $L__info_string1, inlined_at 1 5 3",
        ".loc 2 5144 1, function_name $L__info_string2, inlined_at 2 5150 1",
    )  # fmt: skip
    body = "\n".join(locs) + "\n    mov.u32 %r1, 7;\n    .loc 1 8 1\n    mov.u32 %r1, 8;"
    text = f'.visible .entry k()\n{{\n    .reg .b32 %r<2>;\n{body}\n    ret;\n}}\n    .file 1 "/a/k.cu"\n    .file 2 "{path}"\n'
    sources = [instruction.source for instruction in parse(text).functions["k"].instructions]
    assert sources[:2] == [(1 if line == 5 else 2, line), (1, 8)]


def test_lines_whose_calls_go_in_a_circle_end() -> None:
    locs = ".loc 2 1 1, function_name $L__a, inlined_at 2 2 2\n.loc 2 2 2, function_name $L__a, inlined_at 2 1 1"
    text = f'.visible .entry k()\n{{\n{locs}\n    ret;\n}}\n    .file 2 "__nv_nvrtc_builtin_header.h"\n'
    assert parse(text).functions["k"].instructions[0].source is not None


def test_every_piece_is_found() -> None:
    text = parse(TEXT)
    k = text.functions["k"]
    assert k.most_threads == 256
    assert (k.entry, k.defined, text.functions["vprintf"].defined) == (True, True, False)
    assert [(one.name, one.type, one.size, one.align) for one in k.parameters] == [
        ("k_param_0", "u64", 8, 8), ("k_param_1", "b8", 12, 4), ("k_param_2", "f32", 4, 4),
    ]  # fmt: skip
    assert list(k.registers) == ["%p0", "%p1", "%p2", "%r0", "%r1", "%r2", "%r3", "%x", "temp$s8"]
    assert [".".join(one.parts) for one in k.instructions] == [
        "mov.u32", "setp.lt.and.u32", "bra", "ld.global.v2.u32", "st.param.b32", "call.uni", "ret",
    ]  # fmt: skip
    assert k.labels == {"$L__BB0_1": 2}
    move, compare, branch, load, _, call, _ = k.instructions
    assert move.operands == ("%r1", "%tid.x") and compare.operands == ("%p1|%p2", "%r1", "5", "!%p1")
    assert (branch.guard, load.operands) == ("!%p1", ("{%r1, %r2}", "[%r3+-4]"))
    assert call.operands == ("(retval0)", "helper", "( param0 )")
    assert (move.source, branch.source, load.source, move.line) == ((1, 7), (1, 7), (2, 9), TEXT[: TEXT.index("mov.u32")].count("\n") + 1)
    assert text.files == {1: "/somewhere/kernel.cu", 2: "common.cuh"}
    sizes = {one.name: (one.space, one.size, one.align, one.extern) for one in text.variables}
    assert sizes == {
        "weights": ("const", 8, 4, False), "pi": ("global", 8, 8, False), "count": ("global", 4, 4, False), "tile": ("shared", 0, 16, True),
    }  # fmt: skip
    values = {one.name: one.init for one in text.variables}
    assert values["weights"] == bytes([0, 0, 128, 63, 1]) and np.frombuffer(values["pi"]) == np.pi


def test_registers_in_braces_hide_those_outside() -> None:
    body = """
    mov.u32 %n, 5;
    {
        .reg .b32 %n, %m;
        mov.u32 %n, 7;
        {
            .reg .b32 %n;
            mov.u32 %n, 9;
        }
        mov.u32 %m, %n;
        add.u32 %n, %n, %m;
        st.global.u32 [%rd0+4], %n;
    }
    st.global.u32 [%rd0], %n;"""
    y = device().asarray(np.zeros(2, np.int32))
    module(kernel(body)).get_function("k")((1,), (1,), (y,))
    assert device().to_numpy(y).tolist() == [5, 14]


def test_operands_are_cut_at_commas_outside_of_brackets() -> None:
    assert split("{%a, %b}, [%r1+4], -5") == ["{%a, %b}", "[%r1+4]", "-5"]
    assert split("") == []


def test_names_of_variables_as_in_the_source() -> None:
    assert plain_name("_ZZ4gemmE4tile") == "tile"
    assert plain_name("tile") == "tile"


CALLS = HEADER + """
.func (.param .b32 out) twice(.param .b32 x)
{
    .reg .b32 %r<3>;
    .reg .pred %p;
    ld.param.b32 %r1, [x];
    setp.gt.s32 %p, %r1, 10;
    @%p bra $big;
    add.s32 %r2, %r1, %r1;
    st.param.b32 [out+0], %r2;
    ret;
$big:
    st.param.b32 [out+0], -1;
    ret;
}
.func (.param .b32 out) fourfold(.param .b32 x)
{
    .reg .b32 %r<3>;
    ld.param.b32 %r1, [x];
    { .param .b32 p; .param .b32 q; st.param.b32 [p+0], %r1; call.uni (q), twice, (p); ld.param.b32 %r2, [q+0]; }
    { .param .b32 p; .param .b32 q; st.param.b32 [p+0], %r2; call.uni (q), twice, (p); ld.param.b32 %r2, [q+0]; }
    st.param.b32 [out+0], %r2;
    ret;
}
"""


def test_calls_inside_of_calls() -> None:
    body = """
    { .param .b32 p; .param .b32 q; st.param.b32 [p+0], %i; call.uni (q), fourfold, (p); ld.param.b32 %n, [q+0]; }
    mul.wide.u32 %rd1, %i, 4;
    add.u64 %rd1, %rd0, %rd1;
    st.global.u32 [%rd1], %n;"""
    text = CALLS + kernel(body).partition(".address_size 64")[2]
    y = device().asarray(np.zeros(16, np.int32))
    module(text).get_function("k")((1,), (16,), (y,))

    def twice(x: int) -> int:
        return -1 if x > 10 else 2 * x

    assert device().to_numpy(y).tolist() == [twice(twice(i)) for i in range(16)]


def test_a_function_that_calls_itself_is_refused() -> None:
    text = CALLS.replace("call.uni (q), twice, (p)", "call.uni (q), fourfold, (p)")
    body = "{ .param .b32 p; .param .b32 q; st.param.b32 [p+0], %i; call.uni (q), fourfold, (p); ld.param.b32 %n, [q+0]; }"
    with refuses(KernelError, "k: calls must be at most 16 deep, got k calls fourfold calls fourfold calls fourfold; a function may"):
        module(text + kernel(body).partition(".address_size 64")[2]).get_function("k")


def test_types_that_it_does_not_know() -> None:
    with refuses(KernelError, "PTX: a parameter must have a type that the simulated card knows, got .param .texref t"):
        parse(HEADER + ".entry k(.param .texref t) { ret; }")
    with refuses(KernelError, "PTX: the type of a variable must be one of"):
        parse(HEADER + ".global .texref t;")
    with refuses(KernelError, "PTX: the first values of p must be numbers, got {k, k}"):
        parse(HEADER + ".global .align 8 .u64 p[2] = {k, k};")
