"""A check that cannot fail proves nothing: faults are planted into the text of the kernels, and the tests of the rows must notice.

On the host the sanitizers see what lies outside of an array, and a race shows because warps and blocks run in random order. The
simulated card sees both by itself. What is wrong in another way differs from the plain function.
"""

import re
from typing import NamedTuple

import numpy as np
import pytest

from tests.fast.cuda import host, test_rows, ways
from tests.fast.cuda.ways import EVERY_WAY
from tinyalex.errors import KernelError
from tinyalex.fast import table
from tinyalex.fast.cuda import loader

CONVOLUTIONS = dict(zip(("tiles", "columns"), table.KERNELS["convolution"], strict=True))


def row_of(way, operation, row):
    test_rows.test_row_is_its_plain_function(way, operation, row, np.float64, test_rows.SIZES[0], 1)


def winners(way):
    test_rows.test_max_pooling_has_the_same_winners_and_the_same_bits(way, np.inf)


CHECKS = {
    "columns.cu": lambda way: row_of(way, "convolution", CONVOLUTIONS["columns"]),
    "bias.cu": lambda way: [row_of(way, "convolution", CONVOLUTIONS["columns"]), test_rows.test_relu_backward(way, np.float64)],
    "conv.cu": lambda way: test_rows.test_tiles_larger_and_smaller_than_the_convolution(way, 70),
    "pool.cu": lambda way: [row_of(way, operation, table.KERNELS[operation][0]) for operation in ("max pooling", "average pooling")],
    "lrn.cu": lambda way: test_rows.test_lrn(way, np.float64, (2, 1, 2), 0.75),
    "dropout.cu": lambda way: test_rows.test_masks_of_dropout_are_those_of_the_host_bit_for_bit(way, (5, 33, 2, 3), (1, 2), 0.5),
    "loss.cu": lambda way: test_rows.test_softmax_with_the_loss(way, np.float64, (5, 300), "plain"),
    "sgd.cu": lambda way: test_rows.test_sgd_step(way, np.float64, 700, 0.1),
}


class Planted(NamedTuple):
    """A line of a file of kernels, and what it becomes."""

    file: str
    old: str
    new: str
    what: str  # "outside" of an array, "a race", "differs" from the plain function, or two of them where the way decides


PLANTED = [
    Planted("columns.cu", "if (index >= C * N * OH * OW) return;", "", "outside"),
    Planted("columns.cu", "if (index >= N * C * H * W) return;", "if (index > N * C * H * W) return;", "outside"),
    Planted("columns.cu", "w >= 0 && w < W;", "w >= 0 && w <= W;", "outside or differs"),
    Planted("columns.cu", "int i = h + top - sh * y, j = w + left", "int i = h - sh * y, j = w + left", "outside or differs"),
    Planted("bias.cu", "relu && value < 0 ? 0 : value", "value < 0 ? 0 : value", "differs"),
    Planted("bias.cu", "(real)(out[index] > 0)", "(real)(out[index] >= 0)", "differs"),
    Planted("pool.cu", "if (value > largest ||", "if (value >= largest ||", "other winners"),
    Planted("pool.cu", "if (index >= planes * OH * OW) return;", "", "outside"),
    Planted("pool.cu", "if (h < 0 || h >= H || w < 0", "if (h >= H || w < 0", "outside or differs"),
    Planted("pool.cu", "int i = h + top - sh * y, j = w + left", "int i = h - sh * y, j = w + left", "differs"),
    Planted("pool.cu", "return (min(h + KH, H + below) - max(h, -above))", "return (min(h + KH, H + below) - h)", "differs"),
    Planted("lrn.cu", "real ratio[AFTER + 1 + BEFORE] = {0};", "real ratio[AFTER + BEFORE] = {0};", "outside or differs"),
    Planted("lrn.cu", "place < AFTER + 1 + BEFORE; ++place) sum", "place < BEFORE + 1; ++place) sum", "differs"),
    Planted("lrn.cu", "newest < C ? a[first + newest * pixels] : (real)0", "a[first + newest * pixels]", "outside or differs"),
    Planted("dropout.cu", "philox(index + 1ull, step", "philox(index, step", "differs"),
    Planted("dropout.cu", "if (f >= from && f < to) mask", "mask", "outside"),
    Planted("loss.cu", "    __syncthreads();  // all warps have written\n", "", "a race"),
    Planted("loss.cu", "    __syncthreads();  // all warps have read, so the next call may write\n", "", "a race"),
    Planted("loss.cu", "    __syncthreads();  // all warps have written\n", "    if (threadIdx.x < 64) __syncthreads();\n", "a race"),
    Planted("loss.cu", "__shared__ real of_warp[32];", "__shared__ real of_warp[2];", "outside or a race"),
    Planted("loss.cu", "step > 0; step /= 2", "step > 1; step /= 2", "differs"),
    Planted("sgd.cu", "lr * decay * weight", "decay * weight", "differs"),
    Planted("sgd.cu", "    if (index >= size) return;\n", "", "outside"),
    Planted("conv.cu", "        __syncthreads();  // the tiles are complete\n", "", "a race"),
    Planted("conv.cu", "        __syncthreads();  // the tiles were used, and may be overwritten\n", "", "a race"),
    Planted("conv.cu", "k < filters && r < R ?", "r < R ?", "outside"),
    Planted("conv.cu", "bool inside = q < N * P && r < R && h", "bool inside = q < N * P && h", "outside or differs"),
    Planted("conv.cu", "__shared__ real columns[STEP][TILE];", "__shared__ real columns[STEP][TILE - 1];", "outside or a race"),
    Planted("conv.cu", "columns[row][thread % TILE] =", "columns[row][thread % (TILE - 1)] =", "a race"),
    Planted("sgd.cu", "int index = own_index();", "int index = blockIdx.x * (blockDim.x - 1) + threadIdx.x;", "a race"),
    Planted("columns.cu", "    dx[index] = sum;\n", "    dx[index / 2] += sum;\n", "differs"),
]
# What the fault is called: on the host by a sanitizer, by the shim, or by a comparison; on the simulated card by its own checks.
DIFFERS = "^(?!.*(Sanitizer|runtime error|must be inside))"  # a plain assertion of the test
WORDS = {
    "host": {
        "outside": "AddressSanitizer",
        "outside or a race": "AddressSanitizer|runtime error: index",
        "a race": f"threads wait at two|{DIFFERS}",
    },
    "ptx": {"outside": "must be inside of", "outside or a race": "must be inside of|without a barrier", "a race": "without a barrier"},
}


@EVERY_WAY
@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: f"{fault.file}-{fault.old.strip()[:40]}-{fault.new.strip()[:20]}")
def test_planted_fault_is_noticed(way, fault, monkeypatch):
    monkeypatch.setenv("TINYALEX_KERNELS", "1")
    own = loader.source
    assert fault.old in own(fault.file)

    def planted(file):
        return own(file).replace(fault.old, fault.new) if file == fault.file else own(file)

    monkeypatch.setattr(loader, "source", planted)
    device = host.HostDevice(8) if way == "host" else ways.PtxDevice(8)
    monkeypatch.setattr(ways, "device", lambda way: device)
    check = winners if fault.what == "other winners" else CHECKS[fault.file]
    with pytest.raises((AssertionError, KernelError)) as noticed:
        check(way)
    words = WORDS[way].get(fault.what, "")
    assert re.search(words, str(noticed.value), re.DOTALL), noticed.value
    if fault.what in ("differs", "other winners"):
        assert type(noticed.value) is AssertionError
