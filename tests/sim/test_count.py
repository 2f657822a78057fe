"""What the profile counts: transactions that were computed by hand, coalesced and not, and bank conflicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sim.ptx_text import device, needs_nvrtc
from tinyalex import sim
from tinyalex.sim.ptx.count import distinct, passes

COPY = """extern "C" __global__ void f(const float* x, float* y, int n, int step, int shift) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i * step + shift];
}"""


def counts(code: str, grid: tuple[int, ...], block: tuple[int, ...], *args: Any, shared_mem: int = 0) -> sim.Profile:
    there = tuple(device().asarray(arg) if isinstance(arg, np.ndarray) else arg for arg in args)
    kernel = sim.RawModule(code=code).get_function("f")
    with sim.profile() as found:
        kernel(grid, block, there, shared_mem=shared_mem)
    return found


def copied(n: int, step: int, shift: int = 0, threads: int = 128) -> Any:
    x, y = np.ones(n * step + shift, np.float32), np.zeros(n, np.float32)
    read, write = counts(COPY, (-(-n // threads),), (threads,), x, y, *np.int32([n, step, shift])).traffic
    assert (write.sectors, write.fewest, write.efficiency) == (n // 8, n // 8, 1)
    return read


@needs_nvrtc
def test_neighbors_are_moved_in_the_fewest_sectors() -> None:
    read = copied(1024, 1)
    assert (read.space, read.requests, read.nbytes) == ("global", 32, 4096)
    assert (read.sectors, read.fewest, read.lines, read.efficiency) == (128, 128, 32, 1)


@needs_nvrtc
@pytest.mark.parametrize(("step", "sectors", "lines"), [(2, 8, 2), (4, 16, 4), (8, 32, 8), (32, 32, 32), (100, 32, 32)])
def test_elements_that_lie_apart_are_not_coalesced(step: int, sectors: int, lines: int) -> None:
    """A warp that reads every eighth float32 moves 32 sectors for 128 bytes."""
    read = copied(1024, step)
    assert (read.requests, read.sectors, read.fewest) == (32, 32 * sectors, 128)
    assert read.lines == pytest.approx(32 * lines, abs=32)
    assert read.efficiency == 4 / sectors


@needs_nvrtc
def test_a_start_that_is_no_multiple_of_32_bytes_costs_one_sector() -> None:
    assert copied(1024, 1, shift=1).sectors == 32 * 5


@needs_nvrtc
def test_one_element_for_all_threads_is_one_sector() -> None:
    code = 'extern "C" __global__ void f(const float* x, float* y) { y[threadIdx.x] = x[blockIdx.x]; }'
    read, _ = counts(code, (1,), (64,), np.ones(1, np.float32), np.zeros(64, np.float32)).traffic
    assert (read.requests, read.sectors, read.fewest, read.nbytes) == (2, 2, 2, 256)


@needs_nvrtc
def test_vectors_of_four_and_bytes() -> None:
    code = """extern "C" __global__ void f(const float4* x, unsigned char* y) {
        float4 v = x[threadIdx.x];
        y[threadIdx.x] = v.x + v.y + v.z + v.w > 0;
    }"""
    read, write = counts(code, (1,), (64,), np.ones((64, 4), np.float32), np.zeros(64, np.uint8)).traffic
    assert (read.requests, read.nbytes, read.sectors, read.lines, read.fewest) == (2, 1024, 32, 8, 32)
    assert (write.requests, write.nbytes, write.sectors, write.lines, write.fewest) == (2, 64, 2, 2, 2)


@needs_nvrtc
@pytest.mark.parametrize(("step", "sectors"), [(1, 8), (2, 16), (8, 32)])
def test_doubles_need_twice_the_sectors_of_floats(step: int, sectors: int) -> None:
    code = COPY.replace("float", "double")
    read, _ = counts(code, (1,), (32,), np.ones(32 * step), np.zeros(32), *np.int32([32, step, 0])).traffic
    assert (read.sectors, read.fewest, read.efficiency) == (sectors, 8, 8 / sectors)


SHARED = """extern "C" __global__ void f(float* y, int step) {
    __shared__ float s[2048];
    s[threadIdx.x * step] = threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = s[(threadIdx.x ^ 1) * step];
}"""


@needs_nvrtc
@pytest.mark.parametrize(("step", "ways"), [(1, 1), (2, 2), (3, 1), (4, 4), (8, 8), (16, 16), (32, 32), (33, 1)])
def test_conflicts_of_banks(step: int, ways: int) -> None:
    """Threads that lie 2 words apart share a bank in pairs; a step that is odd gives each its own bank."""
    write, read, _ = counts(SHARED, (1,), (32,), np.zeros(32, np.float32), np.int32(step)).traffic
    assert write.space == read.space == "shared"
    assert (write.requests, write.passes, write.conflicts) == (1, ways, ways - 1)
    assert read.conflicts == write.conflicts


@needs_nvrtc
def test_one_word_for_all_threads_is_no_conflict() -> None:
    code = SHARED.replace("s[(threadIdx.x ^ 1) * step];", "s[0];").replace("s[threadIdx.x * step] =", "if (threadIdx.x == 0) s[0] =")
    found = counts(code, (1,), (64,), np.zeros(64, np.float32), np.int32(1))
    assert [(one.requests, one.conflicts) for one in found.traffic if one.space == "shared"] == [(1, 0), (2, 0)]


def test_words_of_8_and_16_bytes_are_served_in_parts_of_a_warp() -> None:
    warp, lane = np.zeros(32, np.int64), np.arange(32)
    assert passes(warp, lane, lane * 4, 4) == 1
    assert passes(warp, lane, lane * 8, 8) == 1  # two halves, which count as one request
    assert passes(warp, lane, lane * 16, 16) == 1
    assert passes(warp, lane, lane * 128, 4) == 32
    assert passes(np.repeat([0, 1], 16), np.tile(np.arange(16), 2), np.tile(np.arange(16) * 128, 2), 4) == 32


def test_different_numbers_in_each_warp() -> None:
    assert distinct(np.array([0, 0, 0, 1, 1]), np.array([5, 7, 5, 5, 5])) == 3


@needs_nvrtc
def test_a_padded_tile_has_no_conflicts_where_the_plain_one_has_32_ways() -> None:
    code = """extern "C" __global__ void f(const float* x, float* y) {
        __shared__ float tile[32][WIDTH];
        tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 32 + threadIdx.x];
        __syncthreads();
        y[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
    }"""
    arrays = np.ones((32, 32), np.float32), np.zeros((32, 32), np.float32)
    for width, conflicts in (("32", 32 * 31), ("33", 0)):
        found = counts(code.replace("WIDTH", width), (1,), (32, 32), *arrays)
        assert sum(one.conflicts for one in found.traffic) == conflicts
        assert all(one.efficiency == 1 for one in found.traffic if one.space == "global")
        assert found.barriers == 1


@needs_nvrtc
def test_warps_that_a_branch_cuts_in_two() -> None:
    code = 'extern "C" __global__ void f(int* y, int n) { int i = threadIdx.x; if (i & n) y[i] = y[i] * 7 + 3; else atomicAdd(y, 1); }'
    for bit, cut in ((1, 2), (16, 2), (32, 0)):
        assert counts(code, (1,), (64,), np.zeros(64, np.int32), np.int32(bit)).divergent == cut


@needs_nvrtc
def test_the_table() -> None:
    code = '#line 1 "kernels.cu"\n' + Path(__file__).with_name("kernels.cu").read_text("utf-8").replace("void product", "void f")
    a, b, c = np.ones((40, 50), np.float32), np.ones((50, 60), np.float32), np.zeros((40, 60), np.float32)
    text = str(counts(code, (4, 3), (16, 16), a, b, c, *np.int32([40, 60, 50])))
    lines = text.splitlines()
    assert lines[0].split()[:8] == ["access", "memory", "requests", "bytes", "sectors", "fewest", "lines", "conflicts"]
    tile = next(line for line in lines if "line 8)" in line and "global" in line)
    # 12 blocks of 8 warps, 4 tiles: the last row of blocks has 8 of 16 rows, the last tile 2 of 16 columns
    assert tile.split()[1:4] == ["global", "320", "32,000"]
    product = next(line for line in lines if "line 11)" in line)
    assert product.split()[1:5] == ["shared", "12,288", "1,572,864", "0"]  # the 32 loads of the unrolled loop together
    assert "launches 1, barriers of blocks 96" in text
    assert "fma 6,144" in lines[-1]  # 96 warps, 4 tiles, 16 products


@needs_nvrtc
def test_counts_of_several_launches_add_up() -> None:
    card = device()
    kernel = sim.RawModule(code=COPY).get_function("f")
    x, y = card.asarray(np.ones(256, np.float32)), card.asarray(np.zeros(256, np.float32))
    with sim.profile() as found:
        for _ in range(3):
            kernel((2,), (128,), (x, y, *np.int32([256, 1, 0])))
    kernel((2,), (128,), (x, y, *np.int32([256, 1, 0])))
    assert (found.launches, [one.requests for one in found.traffic]) == (3, [24, 24])
    assert found.warps == sum(found.kinds.values())
