"""How threads run: guards, addresses of all memory, and races against a list of all accesses."""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from tests.contract import refuses
from tests.sim.ptx_text import device, kernel, module
from tinyalex.errors import KernelError

PREDICATE = ".reg .pred %p, %q;"
ADDRESS = "    mul.wide.u32 %rd1, %i, 4;\n    add.u64 %rd1, %rd0, %rd1;\n"  # of element %i


def run(body: str, y: np.ndarray[Any, Any], grid: int = 1, block: int = 8, registers: str = PREDICATE, before: str = "") -> list[Any]:
    there = device().asarray(y)
    module(kernel(body, registers, before=before)).get_function("k")((grid,), (block,), (there,))
    found: list[Any] = device().to_numpy(there).tolist()
    return found


def test_a_guard_lets_only_some_threads_do_an_instruction() -> None:
    body = ADDRESS + """
    setp.lt.u32 %p, %i, 3;
    mov.u32 %n, 1;
    @%p mov.u32 %n, 7;
    @!%p add.u32 %n, %n, 1;
    st.global.u32 [%rd1], %n;"""
    assert run(body, np.zeros(8, np.int32)) == [7] * 3 + [2] * 5


def test_a_guard_of_loads_stores_and_atomic_operations() -> None:
    body = ADDRESS + """
    setp.lt.u32 %p, %i, 3;
    mov.u32 %n, 100;
    @%p ld.global.u32 %n, [%rd1];
    @!%p st.global.u32 [%rd1], %n;
    @%p atom.global.add.u32 %b, [%rd1], %n;
    @%p st.global.u32 [%rd1+32], %b;"""
    assert run(body, np.arange(16, dtype=np.int32)) == [0, 2, 4, 100, 100, 100, 100, 100, 0, 1, 2, 11, 12, 13, 14, 15]


def test_a_guard_that_no_thread_passes_touches_no_memory() -> None:
    assert run("    setp.gt.u32 %p, %i, 99;\n    @%p st.global.u32 [%rd0+4000], %i;", np.zeros(1, np.int32)) == [0]


def test_some_threads_return_early() -> None:
    body = ADDRESS + "    setp.lt.u32 %p, %i, 3;\n    @%p ret;\n    st.global.u32 [%rd1], 5;"
    assert run(body, np.zeros(8, np.int32)) == [0] * 3 + [5] * 5


def test_a_trap_is_an_error() -> None:
    with refuses(KernelError, "trap must not be reached, got thread (5, 0, 0) of block (0, 0, 0)"):
        run("    setp.lt.u32 %p, %i, 5;\n    @%p ret;\n    trap;", np.zeros(1, np.int32))


def test_addresses_of_all_memory() -> None:
    """Even threads use the array, odd ones shared memory, by one load and one store."""
    body = ADDRESS + """
    cvta.to.global.u64 %rd1, %rd1;
    mov.u64 %rd2, tile;
    cvta.shared.u64 %rd2, %rd2;
    mul.wide.u32 %rd3, %i, 4;
    add.u64 %rd2, %rd2, %rd3;
    and.b32 %n, %i, 1;
    setp.eq.u32 %p, %n, 1;
    selp.b64 %rd4, %rd2, %rd1, %p;
    st.u32 [%rd4], %i;
    ld.u32 %b, [%rd4];
    atom.add.u32 %b, [%rd4], 10;
    ld.u32 %b, [%rd4];
    cvta.to.shared.u64 %rd5, %rd2;
    @%p ld.shared.u32 %b, [%rd5];
    st.global.u32 [%rd1+32], %b;"""
    found = run(body, np.full(16, -1, np.int32), before=".shared .align 4 .b8 tile[32];")
    assert found == [10, -1, 12, -1, 14, -1, 16, -1, *range(10, 18)]


def test_memory_of_each_thread() -> None:
    body = ADDRESS + """
    mov.u64 %rd2, depot;
    cvta.local.u64 %rd3, %rd2;
    st.local.u32 [%rd2+4], %i;
    st.local.v2.u32 [%rd2+8], {%n, %i};
    ld.u32 %b, [%rd3+12];
    st.global.u32 [%rd1], %b;"""
    depot = PREDICATE + "\n    .local .align 16 .b8 depot[16];"
    assert run(body, np.zeros(8, np.int32), registers=depot) == list(range(8))
    with refuses(KernelError, "a read of 4 bytes must be inside of the local array depot, got directly behind the end of its 16 bytes"):
        run(body.replace("[%rd3+12]", "[%rd3+16]"), np.zeros(8, np.int32), registers=depot)


def test_numbers_of_threads_and_blocks() -> None:
    body = ADDRESS + "    mov.u32 %n, %{};\n    st.global.u32 [%rd1], %n;"
    t = np.arange(80)
    lane = t % 40 % 32
    expected = {
        "tid.x": t % 40, "ctaid.x": t // 40, "ntid.x": 40 + 0 * t, "nctaid.x": 2 + 0 * t, "tid.y": 0 * t, "laneid": lane,
        "warpid": t % 40 // 32, "nwarpid": 2 + 0 * t, "lanemask_eq": 1 << lane, "lanemask_lt": (1 << lane) - 1,
        "lanemask_le": (2 << lane) - 1, "lanemask_gt": 2**32 - (2 << lane), "lanemask_ge": 2**32 - (1 << lane),
        "total_smem_size": 0 * t, "dynamic_smem_size": 0 * t,
    }  # fmt: skip
    for name, values in expected.items():
        assert run(body.replace("{}", name), np.zeros(80, np.uint32), grid=2, block=40) == values.tolist(), name


def test_one_address_for_all_threads() -> None:
    assert run("    st.global.u32 [%rd0], 5;", np.zeros(2, np.int32)) == [5, 0]
    assert run("    atom.global.add.u32 %n, [%rd0], 5;", np.zeros(2, np.int32)) == [40, 0]
    assert run("    red.global.add.u32 [%rd0], %i;", np.zeros(2, np.int32)) == [28, 0]
    with refuses(KernelError, "then a write by thread"):
        run("    st.global.u32 [%rd0], %i;", np.zeros(2, np.int32))


class Use(NamedTuple):
    """Each thread t of block b uses the element (times * t + plus + far * b) % 8. way: read, write or atomic."""

    way: str
    times: int
    plus: int
    far: int


uses = st.builds(Use, st.sampled_from(("read", "write", "atomic")), st.integers(0, 3), st.integers(0, 3), st.integers(0, 4))
programs = st.lists(uses | st.just("barrier"), min_size=1, max_size=8)
THREADS = 3


def text_of(program: list[Any], space: str) -> str:
    lines, value = [], 1
    base = "%rd0" if space == "global" else "%rd2"
    for step in program:
        if step == "barrier":
            lines.append("bar.sync 0;")
            continue
        value += 1
        lines += [f"mad.lo.u32 %n, %t, {step.times}, {step.plus};", f"mad.lo.u32 %n, %b, {step.far}, %n;", "and.b32 %n, %n, 7;"]
        lines += ["mul.wide.u32 %rd1, %n, 4;", f"add.u64 %rd1, {base}, %rd1;"]
        lines += {
            "write": [f"add.u32 %n, %i, {100 * value};", f"st.{space}.u32 [%rd1], %n;"],
            "read": [f"ld.{space}.u32 %n, [%rd1];"],
            "atomic": [f"red.{space}.add.u32 [%rd1], 100000;"],
        }[step.way]
    return "\n".join(f"    {line}" for line in ["mov.u64 %rd2, tile;", *lines])


def races(program: list[Any], blocks: int, shared: bool) -> bool:
    """Whether two accesses race, by comparing each with each."""
    every, phase = [], 0
    for step in program:
        if step == "barrier":
            phase += 1
            continue
        for thread in range(THREADS):
            for block in range(blocks):
                every.append((step.way, (step.times * thread + step.plus + step.far * block) % 8, thread, block, phase))
    for (way, cell, thread, block, when), (other_way, other_cell, other, other_block, other_when) in combinations(every, 2):
        if cell != other_cell or way == other_way != "write" or (thread, block) == (other, other_block):
            continue
        if block == other_block and when != other_when:
            continue
        if not shared or block == other_block:
            return True
    return False


@pytest.mark.parametrize("space", ["shared", "global"])
@given(programs, st.integers(1, 3))
@example([Use("read", 1, 0, 0), Use("write", 1, 1, 0)], 1)
@example([Use("write", 1, 0, 0), "barrier", Use("read", 1, 1, 0)], 1)
@example([Use("read", 0, 0, 0), Use("write", 3, 2, 0)], 1)  # all threads read an element, and the last reader writes it
@example([Use("atomic", 0, 3, 0), Use("read", 1, 1, 0)], 1)  # the last of those that add to an element reads it
@example([Use("write", 3, 2, 0), Use("atomic", 3, 2, 0), Use("atomic", 0, 0, 0)], 1)  # a write, covered by the thread's own addition
@example([Use("read", 1, 0, 0), Use("read", 3, 2, 0), Use("write", 3, 2, 0)], 1)  # one after the other
def test_races_are_found_where_two_accesses_race_and_nowhere_else(space: str, program: list[Any], blocks: int) -> None:
    """Every write stores another value, so no two writes are alike."""
    body, y = text_of(program, space), np.zeros(8, np.int32)
    if races(program, blocks, space == "shared"):
        with refuses(KernelError, "that one thread writes must not be used by another without a barrier between"):
            run(body, y, blocks, THREADS, before=".shared .align 4 .b8 tile[32];")
    else:
        run(body, y, blocks, THREADS, before=".shared .align 4 .b8 tile[32];")


def test_a_pointer_that_was_read_from_memory() -> None:
    """Nothing is known of such a pointer; the address alone says to which array it belongs."""
    body = """
    mul.wide.u32 %rd3, %i, 4;
    setp.lt.u32 %p, %i, 4;
    selp.b64 %rd4, %rd1, %rd2, %p;
    add.u64 %rd4, %rd4, %rd3;
    mul.wide.u32 %rd5, %i, 8;
    add.u64 %rd5, %rd0, %rd5;
    st.global.u64 [%rd5], %rd4;
    ld.global.u64 %rd6, [%rd5];
    st.global.u32 [%rd6], %i;
    ld.global.u32 %n, [%rd6];
    add.u32 %n, %n, 1;
    st.global.u32 [%rd6], %n;"""
    table, x, y = (device().asarray(np.zeros(8, dtype)) for dtype in (np.int64, np.int32, np.int32))
    k = module(kernel(body, PREDICATE, arrays=3)).get_function("k")
    k((1,), (8,), (table, x, y))
    assert device().to_numpy(x).tolist() == [1, 2, 3, 4, 0, 0, 0, 0]
    assert device().to_numpy(y).tolist() == [0, 0, 0, 0, 5, 6, 7, 8]
    with refuses(KernelError, "must be inside of an array, got directly behind the end of argument 1 (int32, 3), by thread (3, 0, 0)"):
        k((1,), (8,), (table, x[:3], y))
    wrong = body.replace("st.global.u32 [%rd6], %i;", "st.global.u32 [%rd6+-1000000], %i;")
    with refuses(KernelError, "bytes before the start of argument 1 (int32, 8), by thread (0, 0, 0)"):
        module(kernel(wrong, PREDICATE, arrays=3)).get_function("k")((1,), (8,), (table, x, y))


def test_a_kernel_without_arrays() -> None:
    body = "    mov.u64 %rd1, 4096;\n    st.global.u32 [%rd1], %i;"
    with refuses(KernelError, "must be inside of an array, got address 0x1000 of a kernel without arrays, by thread (0, 0, 0)"):
        module(kernel(body, arrays=0)).get_function("k")((1,), (1,), ())


def test_counting_up_to_a_limit_and_down_from_it() -> None:
    assert run("    red.global.inc.u32 [%rd0], 2;", np.zeros(1, np.uint32), block=8) == [2]  # 1 2 0 1 2 0 1 2
    assert run("    red.global.dec.u32 [%rd0], 2;", np.zeros(1, np.uint32), block=8) == [1]  # 2 1 0 2 1 0 2 1
    assert run("    atom.global.exch.b32 %n, [%rd0], 9;", np.zeros(1, np.uint32)) == [9]


def test_barriers_that_ask_all_threads() -> None:
    body = ADDRESS + """
    setp.lt.u32 %p, %i, 3;
    barrier.cta.red.{}.pred %q, 0, %p;
    selp.u32 %n, 1, 0, %q;
    st.global.u32 [%rd1], %n;"""
    assert run(body.replace("{}", "and"), np.zeros(8, np.int32)) == [0] * 8
    assert run(body.replace("{}", "or"), np.zeros(8, np.int32)) == [1] * 8


def test_products_of_24_bits_and_prefetches_that_do_nothing() -> None:
    body = ADDRESS + """
    prefetch.global.L2 [%rd1];
    membar.gl;
    add.u32 %n, %i, 0xff000001;
    mul24.lo.u32 %n, %n, %n;
    mad24.lo.u32 %n, %n, 1, 5;
    st.global.u32 [%rd1], %n;"""
    assert run(body, np.zeros(8, np.uint32)) == [(i + 1) ** 2 + 5 for i in range(8)]


REFUSED = """
    mul24.hi.u32 %n, %n, %n; bar.sync 0, 64; bar.sync %n; barrier.cta.red.popc.u32 %n, 0, 64, %p; shfl.down.b32 %n, %n, 1, 31
    vote.any.pred %p, %p; match.all.sync.b32 %n, %n, -1; @%p bar.sync 0; st.const.u32 [%rd0], %n; ld.param.u32 %n, [other]
    atom.global.add.f16 %n, [%rd0], %n; atom.global.min.f32 %n, [%rd0], %n; bra elsewhere; madc.hi.s32 %n, %n, %n, %n
    add.rz.f64 %rd1, %rd1, 1.0, 2.0; fma.rz.f64 %rd1, %rd1, %rd1, %rd1; fma.rn.f16 %h, %h, %h, %h; cvt.rz.f16.f32 %h, %n
    cvt.f32 %n, %n; mov.u32 %n, name; mov.u32 name, %n; mov.u64 %rd1, %n; ld.global.u32 %n, [%rd0+%n]; add %n, %n, %n
    brx.idx %n, table; lop3.b32 %n, %n, %n, %n, %n; div.full.sat.f32 %n, %n, %n; add.s32 %n, %n; bar.sync; wmma.load %n, [%rd0]
"""


@pytest.mark.parametrize("line", [one.strip() for one in REFUSED.replace("\n", ";").split(";") if one.strip()])
def test_what_is_not_known_is_refused(line: str) -> None:
    with refuses(KernelError, line):
        module(kernel(f"    {line};", PREDICATE + " .reg .b16 %h;")).get_function("k")


def test_a_pointer_that_is_either_a_parameter_or_read_from_memory() -> None:
    body = """
    mul.wide.u32 %rd3, %i, 4;
    add.u64 %rd4, %rd1, %rd3;
    mul.wide.u32 %rd5, %i, 8;
    add.u64 %rd5, %rd0, %rd5;
    st.global.u64 [%rd5], %rd4;
    ld.global.u64 %rd6, [%rd5];
    add.u64 %rd7, %rd2, %rd3;
    setp.lt.u32 %p, %i, 4;
    selp.b64 %rd7, %rd6, %rd7, %p;
    st.global.u32 [%rd7], 9;"""
    table, x, y = (device().asarray(np.zeros(8, dtype)) for dtype in (np.int64, np.int32, np.int32))
    module(kernel(body, PREDICATE, arrays=3)).get_function("k")((1,), (8,), (table, x, y))
    assert (device().to_numpy(x).tolist(), device().to_numpy(y).tolist()) == ([9] * 4 + [0] * 4, [0] * 4 + [9] * 4)


SHUFFLE = ADDRESS + """
    setp.ge.u32 %p, %i, 4;
    @%p bra far;
    shfl.sync.bfly.b32 %n, %i, DISTANCE, 31, -1;
    st.global.u32 [%rd1], %n;
    ret;
far:
    st.global.u32 [%rd1], 7;"""


def test_a_warp_waits_no_longer_for_threads_that_have_ended() -> None:
    """Threads 4 to 7 are in the mask; the others wait at the shuffle until they end."""
    assert run(SHUFFLE.replace("DISTANCE", "1"), np.zeros(8, np.int32)) == [1, 0, 3, 2, 7, 7, 7, 7]


def test_a_shuffle_from_a_thread_that_has_ended() -> None:
    with refuses(KernelError, "a shuffle must read from a thread that takes part in it, got lane 4 of the warp, by thread (0, 0, 0)"):
        run(SHUFFLE.replace("DISTANCE", "4"), np.zeros(8, np.int32))
