"""The rows of kernels on the CUDA device, whose CuPy is the stand-in and whose kernels run on the host: the calls that a GPU gets."""

import numpy as np
import pytest

from tests.devices import cupy_stub
from tests.fast.cuda import host, test_rows, ways
from tests.fast.cuda.test_rows import EVERY_ROW
from tests.fast.test_table import SIZES
from tinyalex.devices.cuda import CudaDevice
from tinyalex.fast import table

pytestmark = pytest.mark.skipif(host.why_not() is not None, reason=f"kernels as host: {host.why_not()}")


class RawModule:
    """Kernels on the host, which the current stream of the stand-in starts: all arrays are on the current GPU, and may be written."""

    def __init__(self, code, options=()):
        self.module = host.HostModule(code, options)

    def get_function(self, name):
        kernel = self.module.get_function(name)

        def start(grid, block, args):
            memory = []
            for array in cupy_stub.arrays_in(args):
                assert isinstance(array, cupy_stub.StubArray) and array.card == cupy_stub.card_now(), f"{name}: an array of elsewhere"
                memory.append(array.memory)
            cupy_stub.stream_now().work(memory, memory, name)
            kernel(grid, block, tuple(cupy_stub.plain(arg) for arg in args))

        return start


@pytest.fixture
def card(monkeypatch):
    stub = cupy_stub.install()
    monkeypatch.setattr(stub, "RawModule", RawModule)
    monkeypatch.delenv("TINYALEX_KERNELS", raising=False)
    device = CudaDevice(1)
    monkeypatch.setattr(ways, "device", lambda way: device)
    yield device
    cupy_stub.remove()


@EVERY_ROW
def test_row_is_its_plain_function(card, operation, row):
    test_rows.test_row_is_its_plain_function("cuda", operation, row, np.float64, SIZES[0], 1)


def test_functions_are_their_plain_functions(card):
    test_rows.test_lrn("cuda", np.float32, (2, 2, 2), 0.75)
    test_rows.test_masks_of_dropout_are_those_of_the_host_bit_for_bit("cuda", (3, 7), (1, 2), 0.5)
    test_rows.test_drop("cuda", np.float32, (4, 77))
    test_rows.test_softmax_with_the_loss("cuda", np.float32, (5, 300), "plain")
    test_rows.test_sgd_step("cuda", np.float32, 700, 0.1)


def test_a_net_trains_on_kernels_as_on_a_cpu(card):
    test_rows.test_a_net_trains_on_kernels_as_on_a_cpu("cuda")
    assert {name for name, *_ in card.kernels._functions} >= {"conv_forward", "im2col", "max_pool", "lrn_forward", "kept_units", "sgd_step"}


def test_a_card_takes_kernels_by_itself_and_none_if_told_so(card, monkeypatch):
    import tinyalex as ta

    conv = ta.Conv2d(3, 4, 3, rng=np.random.default_rng(0), device=card)
    assert conv.row(conv.asked((3, 9, 9)), 8).name == "tiles"
    monkeypatch.setenv("TINYALEX_KERNELS", "0")
    assert conv.row(conv.asked((3, 9, 9)), 8) is table.OTHERS["convolution"][0]
