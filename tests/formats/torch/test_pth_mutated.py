"""Files of PyTorch with errors of every kind: each is read or refused in one sentence, with no more memory than its bytes call for."""

import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.contract import rng, values
from tests.formats.changes import changed_bytes
from tests.formats.torch.torch_files import archive, legacy, state
from tinyalex.errors import CheckpointError
from tinyalex.formats.torch.state import arrays_of_pth

HERE = Path("weights.pth")
REAL = Path(os.environ.get("TINYALEX_DATA", "/nowhere")) / "nets" / "resnet-cifar" / "resnet20-12fca82f.th"
RARELY = 40  # one mutant in so many has the real file as its seed, which takes a hundred times as long as the others


def mutants(seeds, count, draw):
    """`count` files, each a seed with some bytes changed."""
    for _ in range(count):
        seed = seeds[-1] if draw.integers(RARELY) == 0 else seeds[draw.integers(len(seeds) - 1)]
        yield changed_bytes(seed, draw)


def seeds():
    weight, mean, count = values((2, 3, 3, 3), dtype=np.float32), np.ones(4, np.float16), np.zeros((), np.int64)
    arrays = {"conv1__weight": weight, "bn__running_mean": mean, "n": count}
    made = [form(value) for form in (archive, legacy) for value in (state(**arrays), {"state_dict": state(**arrays), "epoch": 2})]
    made.append(archive(state(**arrays), method=zipfile.ZIP_DEFLATED))
    return [*made, REAL.read_bytes() if REAL.exists() else made[0]]


def read_or_refuse(data):
    """Read the bytes of a file and use every array. Any other error than a refusal is a fault."""
    try:
        found = arrays_of_pth(HERE, data)[0]
    except CheckpointError as error:
        assert len(str(error)) < 1000 and "weights.pth" in str(error)
        return False
    assert sum(array.nbytes for array in found.values()) <= 20 * len(data) + 100
    for array in found.values():
        array.sum(dtype=np.float64) if array.dtype.kind != "b" else array.sum()
    return True


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_mutated_files_are_read_or_refused(fuzz_count):
    with np.errstate(all="ignore"):
        done = [read_or_refuse(data) for data in mutants(seeds(), fuzz_count, rng(5))]
    assert 0 < sum(done) < len(done)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_mutated_files_take_no_more_memory_than_their_bytes():
    made = seeds()[:-1]
    most = 60 * max(map(len, made)) + 2**20
    tracemalloc.start()
    try:
        with np.errstate(all="ignore"):
            for data in mutants(made, 200, rng(6)):
                tracemalloc.reset_peak()
                read_or_refuse(data)
                assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
