"""A check that cannot fail proves nothing: faults are planted into the text of the kernels, and the tests of the rows must notice.

`what` is who notices: "address" and "undefined" are the two sanitizers, "differs" a comparison with the plain function, "barrier" the
shim, which sees that threads wait at different barriers.
"""

import re
from typing import NamedTuple

import numpy as np
import pytest

from tests.fast.cuda import host, test_rows, ways
from tinyalex.fast import table
from tinyalex.fast.cuda import loader

DEVICE = "host"
CONVOLUTIONS = dict(zip(("tiles", "columns"), table.KERNELS["convolution"], strict=True))


def row_of(operation, row):
    test_rows.test_row_is_its_plain_function(DEVICE, operation, row, np.float64, test_rows.SIZES[0], 1)


CHECKS = {
    "columns.cu": lambda: row_of("convolution", CONVOLUTIONS["columns"]),
    "bias.cu": lambda: row_of("convolution", CONVOLUTIONS["columns"]),
    "conv.cu": lambda: test_rows.test_tiles_larger_and_smaller_than_the_convolution(DEVICE, 70),
    "pool.cu": lambda: row_of("max pooling", table.KERNELS["max pooling"][0]),
    "lrn.cu": lambda: test_rows.test_lrn(DEVICE, np.float64, (2, 1, 2), 0.75),
    "dropout.cu": lambda: test_rows.test_masks_of_dropout_are_those_of_the_host_bit_for_bit(DEVICE, (5, 33, 2, 3), (1, 2), 0.5),
    "loss.cu": lambda: test_rows.test_softmax_with_the_loss(DEVICE, np.float64, (5, 300), "plain"),
    "sgd.cu": lambda: test_rows.test_sgd_step(DEVICE, np.float64, 700, 0.1),
}


class Planted(NamedTuple):
    """A line of a file of kernels, and what it becomes."""

    file: str
    old: str
    new: str
    what: str


PLANTED = [
    Planted("columns.cu", "if (index >= C * N * OH * OW) return;", "", "address"),
    Planted("columns.cu", "if (index >= N * C * H * W) return;", "if (index > N * C * H * W) return;", "address"),
    Planted("columns.cu", "w >= 0 && w < W;", "w >= 0 && w <= W;", "address|differs"),
    Planted("columns.cu", "int i = h + top - sh * y, j = w + left", "int i = h - sh * y, j = w + left", "address|differs"),
    Planted("bias.cu", "relu && value < 0 ? 0 : value", "value < 0 ? 0 : value", "differs"),
    Planted("pool.cu", "if (value > largest ||", "if (value >= largest ||", "winners"),
    Planted("pool.cu", "if (index >= planes * OH * OW) return;", "", "address"),
    Planted("pool.cu", "if (h < 0 || h >= H || w < 0 || w >= W) continue;", "if (h >= H || w < 0 || w >= W) continue;", "address|differs"),
    Planted("pool.cu", "int i = h + top - sh * y, j = w + left", "int i = h - sh * y, j = w + left", "differs"),
    Planted("lrn.cu", "real ratio[AFTER + 1 + BEFORE] = {0};", "real ratio[AFTER + BEFORE] = {0};", "undefined|address|differs"),
    Planted("lrn.cu", "place < AFTER + 1 + BEFORE; ++place) sum", "place < BEFORE + 1; ++place) sum", "differs"),
    Planted("lrn.cu", "newest < C ? a[first + newest * pixels] : (real)0", "a[first + newest * pixels]", "address|differs"),
    Planted("dropout.cu", "philox(index + 1ull, step", "philox(index, step", "differs"),
    Planted("dropout.cu", "if (f >= from && f < to) mask", "mask", "address"),
    Planted("loss.cu", "    __syncthreads();  // all warps have written\n", "", "differs"),
    Planted("loss.cu", "    __syncthreads();  // all warps have read, so the next call may write\n", "", "differs"),
    Planted("loss.cu", "    __syncthreads();  // all warps have written\n", "    if (threadIdx.x < 64) __syncthreads();\n", "barrier"),
    Planted("loss.cu", "__shared__ real of_warp[32];", "__shared__ real of_warp[2];", "undefined|address"),
    Planted("loss.cu", "step > 0; step /= 2", "step > 1; step /= 2", "differs"),
    Planted("sgd.cu", "lr * decay * weight", "decay * weight", "differs"),
    Planted("sgd.cu", "    if (index >= size) return;\n", "", "address"),
    Planted("conv.cu", "        __syncthreads();  // the tiles are complete\n", "", "differs"),
    Planted("conv.cu", "        __syncthreads();  // the tiles were used, and may be overwritten\n", "", "differs"),
    Planted("conv.cu", "k < filters && r < R ?", "r < R ?", "address"),
    Planted("conv.cu", "bool inside = q < N * P && r < R && h", "bool inside = q < N * P && h", "address|differs"),
    Planted("conv.cu", "__shared__ real columns[STEP][TILE];", "__shared__ real columns[STEP][TILE - 1];", "undefined|address"),
]
WORDS = {"address": "AddressSanitizer", "undefined": "runtime error", "differs": "assert", "barrier": "threads wait at"}


@pytest.mark.skipif(host.why_not() is not None, reason=f"kernels as host: {host.why_not()}")
@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: f"{fault.file}-{fault.old.strip()[:40]}-{fault.new.strip()[:20]}")
def test_planted_fault_is_noticed(fault, monkeypatch):
    monkeypatch.setenv("TINYALEX_KERNELS", "1")
    own = loader.source
    assert own(fault.file).count(fault.old) == 1

    def planted(file):
        return own(file).replace(fault.old, fault.new) if file == fault.file else own(file)

    monkeypatch.setattr(loader, "source", planted)
    device = host.HostDevice(8)
    monkeypatch.setattr(ways, "device", lambda way: device)
    check = CHECKS[fault.file]
    if fault.what == "winners":
        check = lambda: test_rows.test_max_pooling_has_the_same_winners_and_the_same_bits(DEVICE, np.inf)  # noqa: E731
    with pytest.raises(AssertionError) as noticed:
        check()
    words = "|".join(WORDS.get(word, "assert") for word in fault.what.split("|"))
    assert re.search(words, str(noticed.value)) or ("assert" in words and not isinstance(noticed.value, host.KernelFault)), noticed.value
