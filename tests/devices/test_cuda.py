"""The CUDA device against a stand-in for CuPy. No test here needs or uses a card.

The stand-in keeps its arrays in NumPy, knows the current card of each thread, and writes down in `calls` what a card
would have to do in order: events recorded and waited for, copies, synchronizations.
"""

import re
import sys
import threading
import types

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.devices.cuda import CudaDevice, why_no_cuda

CARDS = 2
MEMORY = 1 << 20


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class StubArray(np.ndarray):
    """A NumPy array with the number of the card that was current when it was made."""

    def __array_finalize__(self, other):
        self.card = getattr(other, "card", getattr(state, "card", 0))

    @property
    def device(self):
        return types.SimpleNamespace(id=self.card)


state = threading.local()


def make_cupy(available=True, error=None):
    calls = []
    cupy = types.ModuleType("cupy")
    cupy.calls, cupy.free, cupy.kept, cupy.limit = calls, MEMORY, 0, 0

    def card():
        return getattr(state, "card", 0)

    def fresh(a):
        if a.nbytes > cupy.free:
            raise OutOfMemoryError(f"Out of memory allocating {a.nbytes:,} bytes (allocated so far: 0 bytes).")
        out = a.view(StubArray)
        out.card = card()
        return out

    class Device:
        def __init__(self, number):
            self.id = number

        def __enter__(self):
            self.before, state.card = card(), self.id

        def __exit__(self, *_):
            state.card = self.before

        def synchronize(self):
            calls.append(("synchronize", self.id))

    class Event:
        def __init__(self, disable_timing=False):
            assert disable_timing, "an event that takes the time delays the card"
            self.card = card()

        def record(self, stream):
            assert stream.card == self.card == card(), "an event belongs to the card it was made on"
            calls.append(("record", self.card, id(self)))

    class Stream:
        def __init__(self):
            self.card = card()

        def wait_event(self, event):
            calls.append(("wait", self.card, id(event)))

    def device_count():
        if error:
            raise error
        return CARDS if available else 0

    def array(x):
        calls.append(("copy", getattr(x, "card", "host"), card()))
        assert not isinstance(x, StubArray) or x.flags.c_contiguous, "made contiguous only after the event"
        return fresh(np.array(x))

    def asarray(x, dtype=None):
        if isinstance(x, StubArray) and x.card == card() and dtype in (None, x.dtype):
            return x
        return fresh(np.array(x, dtype))

    def ascontiguousarray(x):
        assert x.card == card()
        return x if x.flags.c_contiguous else fresh(np.ascontiguousarray(x))

    cupy.ndarray, cupy.array, cupy.asarray, cupy.ascontiguousarray = StubArray, array, asarray, ascontiguousarray
    cupy.empty = lambda shape, dtype=float: fresh(np.full(shape, np.nan, dtype))
    cupy.zeros = lambda shape, dtype=float: fresh(np.zeros(shape, dtype))
    cupy.full = lambda shape, value, dtype=float: fresh(np.full(shape, value, dtype))
    cupy.asnumpy = lambda x: np.array(x.view(np.ndarray))
    cupy.add, cupy.matmul, cupy.multiply = np.add, np.matmul, np.multiply
    cupy.is_available = lambda: available
    pool = types.SimpleNamespace(free_bytes=lambda: cupy.kept, get_limit=lambda: cupy.limit, used_bytes=lambda: 0)
    cupy.get_default_memory_pool = lambda: pool
    runtime = types.SimpleNamespace(getDeviceCount=device_count, memGetInfo=lambda: (cupy.free, MEMORY))
    memory = types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
    cupy.cuda = types.SimpleNamespace(Device=Device, Event=Event, get_current_stream=Stream, runtime=runtime, memory=memory)
    return cupy


@pytest.fixture
def cupy(monkeypatch):
    stub = make_cupy()
    monkeypatch.setitem(sys.modules, "cupy", stub)
    return stub


def card_now():
    return getattr(state, "card", 0)


def test_without_cupy_the_reason_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr("builtins.__import__", missing("cupy", ModuleNotFoundError("No module named 'cupy'", name="cupy")))
    assert why_no_cuda() == "cupy is not installed; pip install 'tinyalex[cuda12]'"
    monkeypatch.setattr("tinyalex.devices._devices", {})
    with pytest.raises(ta.DeviceError, match=r"^get_device: cuda:0: the device must be a GPU that CuPy can use, got none; cupy is not"):
        ta.get_device("cuda:0")
    with refuses(ta.DeviceError, "conv2: cuda:0: the device must be a GPU that CuPy can use, got none; cupy is not installed; pip install"):
        ta.ReLU(device="cuda:0", name="conv2")
    with refuses(ta.DeviceError, "split: cuda:0: the device must be a GPU that CuPy can use, got none"):
        ta.Split(("cuda:0", "cuda:1"))


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("No module named 'cuda'", name="cuda"), ImportError("libnvrtc.so.12: cannot open shared object file")]
)
def test_a_broken_cupy_gives_its_own_reason(monkeypatch, error):
    monkeypatch.setattr("builtins.__import__", missing("cupy", error))
    assert why_no_cuda() == f"CuPy does not import: {error}"


def missing(module, error, plain=__import__):
    def importing(name, *rest, **keywords):
        if name == module:
            raise error
        return plain(name, *rest, **keywords)

    return importing


def test_without_a_driver_the_reason_is_cupys(monkeypatch):
    message = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
    monkeypatch.setitem(sys.modules, "cupy", make_cupy(available=False, error=CUDARuntimeError(message)))
    assert why_no_cuda() == f"CuPy finds no driver: {message}"
    text = "cuda:1: the device must be a GPU that CuPy can use, got none; CuPy finds no driver: "
    with refuses(ta.DeviceError, text + message):
        CudaDevice(1)


def test_without_a_card_the_reason_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", make_cupy(available=False))
    assert why_no_cuda() == "CuPy finds 0 GPUs and can use none"


def test_a_card_that_is_not_there_raises(cupy):
    assert why_no_cuda() is None
    with pytest.raises(ta.DeviceError, match="^cuda:3: number must be below 2, the GPUs there are, got 3$"):
        CudaDevice(3)
    with pytest.raises(ta.ShapeError, match="cuda: number must be an integer of at least 0, got -1"):
        CudaDevice(-1)


def test_arrays_are_made_on_the_card_and_the_thread_goes_back(cupy):
    card = CudaDevice(1)
    arrays = [card.empty((2, 3)), card.zeros((2, 3), np.float64), card.asarray(np.ones(3)), card.asarray([1, 2], np.float32)]
    assert all(card.owns(a) and not CudaDevice(0).owns(a) for a in arrays) and card_now() == 0
    assert [a.dtype.name for a in arrays] == ["float32", "float64", "float64", "float32"]
    assert card.asarray(arrays[0]) is arrays[0] and card.name == "cuda:1" and card.kind == "cuda"
    assert type(card.to_numpy(arrays[1])) is np.ndarray and card.to_numpy(arrays[1]).tolist() == [[0, 0, 0]] * 2


def test_a_card_says_by_what_settings_another_process_makes_it(cupy):
    assert CudaDevice(1).settings() == {"number": 1} and CudaDevice().settings() == {"number": 0}


def test_arrays_of_elsewhere_are_refused(cupy):
    card, other = CudaDevice(0), CudaDevice(1)
    foreign = other.zeros((2,))
    with pytest.raises(ta.DeviceError, match="cuda:0: x must be on cuda:0, got an array on cuda:1; use device.copy_from"):
        card.asarray(foreign)
    for x, place in ((foreign, "an array on cuda:1"), (np.ones(2), "a NumPy array")):
        with pytest.raises(ta.DeviceError, match=f"cuda:0: x must be on cuda:0, got {place}"):
            card.to_numpy(x)
    with pytest.raises(ta.DeviceError, match="cuda:1: x must be on cuda:0, got an array on cuda:1"):
        other.copy_from(foreign, card)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_copy_between_cards_waits_for_the_producer_and_holds_the_memory(cupy, transposed):
    producer, consumer = CudaDevice(0), CudaDevice(1)
    x = producer.asarray(np.arange(6.0).reshape(2, 3))
    x = x.T if transposed else x
    cupy.calls.clear()
    got = consumer.copy_from(x, producer, "conv3")
    made, copied = cupy.calls[0][2], cupy.calls[3][2]
    assert cupy.calls == [
        ("record", 0, made),  # the producer has made x
        ("wait", 1, made),
        ("copy", 0, 1),
        ("record", 1, copied),  # the consumer has read x
        ("wait", 0, copied),
    ]
    assert consumer.owns(got) and np.array_equal(consumer.to_numpy(got), producer.to_numpy(x)) and card_now() == 0
    (entry,) = consumer.received.entries
    assert (entry.source, entry.destination, entry.nbytes, entry.label) == ("cuda:0", "cuda:1", 48, "conv3")


def test_copies_from_and_to_the_host(cupy):
    card, host = CudaDevice(1), ta.CpuDevice("cpu", workers=1)
    x = np.arange(4.0)
    there = card.copy_from(x, host, "fc6")
    back = host.copy_from(there, card)
    assert card.owns(there) and back.tolist() == [0, 1, 2, 3] and type(back) is np.ndarray
    assert card.received.nbytes == host.received.nbytes == 32 and not any(call[0] == "record" for call in cupy.calls)


def test_a_copy_from_itself_is_a_new_array(cupy):
    card = CudaDevice(0)
    x = card.zeros((2,))
    got = card.copy_from(x, card)
    assert got is not x and not np.shares_memory(got, x)


@pytest.mark.parametrize(
    "ask",
    [
        lambda card, xp: card.empty((1000, 1000)),
        lambda card, xp: card.zeros((1000, 1000)),
        lambda card, xp: card.asarray(np.zeros(500_000)),
        lambda card, xp: card.map_blocks(lambda rows, scratch: (scratch((1000, 1000), np.float32),), 1),
    ],
    ids=["empty", "zeros", "asarray", "block"],
)
def test_the_end_of_the_memory_names_the_card_and_what_is_left(cupy, ask):
    card, cupy.kept = CudaDevice(1), 24
    text = re.escape(
        "cuda:1: an array does not fit, 1,048,600 of 1,048,576 bytes are left; use a smaller batch or split the net "
        "over two devices (CuPy: Out of memory allocating 4,000,000 bytes (allocated so far: 0 bytes).)"
    )
    with pytest.raises(ta.OutOfMemory, match=text):
        ask(card, cupy)
    assert card_now() == 0


def test_a_block_takes_a_quarter_of_what_is_free(cupy):
    card, cupy.free, cupy.kept = CudaDevice(0), 3000, 1000
    assert [card.block_size(64, nbytes) for nbytes in (0, 1, 100, 400, 5000)] == [64, 64, 10, 2, 1]
    cupy.limit = 2000  # set by the user on the pool
    assert card.block_size(64, 100) == 5
    cupy.limit, pool = 1500, cupy.get_default_memory_pool()
    pool.used_bytes = lambda: 2000  # the limit was set when more was in use already
    with pytest.raises(ta.OutOfMemory, match="cuda:0: an array does not fit, 0 of 1,048,576 bytes are left"):
        card.zeros((1000, 1000))


def test_synchronize_waits_for_its_own_card(cupy):
    CudaDevice(1).synchronize()
    assert cupy.calls == [("synchronize", 1)]


def test_blocks_run_with_the_card_current_also_after_an_error(cupy):
    card, seen = CudaDevice(1), []

    def block(rows, scratch):
        seen.append(card_now())
        raise KeyError("its own")

    with pytest.raises(KeyError, match="its own"):
        card.map_blocks(block, 4)
    assert seen == [1] and card_now() == 0


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_agrees_with_the_cpu(cupy, stride):
    rng, card = np.random.default_rng(0), CudaDevice(1)

    def conv(device):
        return ta.Conv2d(2, 4, 3, stride=stride, padding=1, groups=2, rng=np.random.default_rng(1), device=device, dtype=np.float64)

    here, there = conv("cpu"), conv(card)
    x = rng.standard_normal((3, 2, 6, 5))
    out, got = here.forward(x, train=True), there.forward(card.asarray(x), train=True)
    dout = rng.standard_normal(out.shape)
    dx, got_dx = here.backward(dout), there.backward(card.asarray(dout))
    for mine, its in [(out, got), (dx, got_dx), *((here.grads[key], there.grads[key]) for key in here.grads)]:
        assert card.owns(its)
        np.testing.assert_allclose(card.to_numpy(its), mine, rtol=0, atol=1e-12)


def test_get_device_finds_cards(cupy, monkeypatch):
    monkeypatch.setattr("tinyalex.devices._devices", {})
    assert ta.get_device("cuda:1") is ta.get_device("cuda:1") and ta.get_device("cuda:1").number == 1
