"""The CUDA device against a stand-in for CuPy, see `cupy_stub.py`. No test here needs or uses a GPU."""

import gc
import re
import threading
import weakref

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tests.devices import cupy_stub
from tests.devices.cupy_stub import CUDARuntimeError, card_now
from tinyalex.devices import cards
from tinyalex.devices.cards import why_no_cuda
from tinyalex.devices.cuda import CudaDevice
from tinyalex.devices.uploads import Uploads

MEMORY = 1 << 20


@pytest.fixture
def make_cupy(monkeypatch):
    """The function that puts a stand-in into `sys.modules`, which the end of the test takes out again."""
    monkeypatch.setenv("TINYALEX_KERNELS", "0")
    yield cupy_stub.install
    cupy_stub.remove()


@pytest.fixture
def cupy(make_cupy):
    return make_cupy(room=MEMORY)


def test_without_cupy_the_reason_says_what_to_install(monkeypatch):
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


MESSAGE = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"


def raiser(error):
    def raising(*_):
        raise error

    return raising


@pytest.mark.parametrize("driver", [lambda: 0, raiser(CUDARuntimeError("no driver"))])
def test_without_a_driver_the_reason_says_so(make_cupy, driver):
    make_cupy(available=False, error=CUDARuntimeError(MESSAGE)).cuda.runtime.driverGetVersion = driver
    reason = f"CuPy finds no driver; install NVIDIA's driver, and see that `nvidia-smi` lists a GPU (CuPy: {MESSAGE})"
    assert why_no_cuda() == reason
    with refuses(ta.DeviceError, f"cuda:1: the device must be a GPU that CuPy can use, got none; {reason}"):
        CudaDevice(1)


def test_an_old_driver_is_told_from_none(make_cupy):
    make_cupy(available=False, error=CUDARuntimeError(MESSAGE)).cuda.runtime.driverGetVersion = lambda: 11040
    use = "install a newer driver, or a CuPy for an older CUDA"
    assert why_no_cuda() == f"the driver knows CUDA 11.4, and this CuPy needs CUDA 12.9; {use} (CuPy: {MESSAGE})"


def test_cupy_without_its_toolkit_says_which_extra_to_install(make_cupy, monkeypatch):
    error = RuntimeError('Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file\nand more')
    make_cupy().cuda.nvrtc.getVersion = raiser(error)
    first = 'Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file'
    for wheel, named in (({}, "cupy-cuda12x"), ({"cupy-cuda13x": "14.2.0"}, "cupy-cuda13x")):
        monkeypatch.setattr(cards, "wheels", lambda wheel=wheel: wheel)
        use = f"pip install '{named}[ctk]' (CuPy: {first})"
        with refuses(ta.DeviceError, f"got none; CuPy finds no toolkit, whose compiler makes its kernels; {use}"):
            CudaDevice(0)


def test_two_packages_of_cupy_are_refused_before_one_is_imported(monkeypatch):
    monkeypatch.setattr("builtins.__import__", missing("cupy", AssertionError("imported")))
    installed = {"cupy-cuda12x": "14.2.0", "cupy-cuda13x": "14.1.0"}
    monkeypatch.setattr(cards, "version", lambda name: installed.get(name) or raiser(cards.PackageNotFoundError(name))())
    assert cards.wheels() == installed
    text = "two packages have written the same files, cupy-cuda12x and cupy-cuda13x; pip uninstall -y cupy-cuda12x cupy-cuda13x, then pip"
    with refuses(ta.DeviceError, f"cuda:0: the device must be a GPU that CuPy can use, got none; {text} install 'tinyalex[cuda12]'"):
        CudaDevice(0)


def test_without_a_card_the_reason_says_so(make_cupy):
    make_cupy(available=False)
    assert why_no_cuda() == "CuPy finds 0 GPUs and can use none"


def test_a_card_that_is_not_there_raises(cupy):
    assert why_no_cuda() is None
    with pytest.raises(ta.DeviceError, match="^cuda:3: number must be below 2, the GPUs there are, got 3; use cuda:0 or cuda:1$"):
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
    cupy.calls[:] = [entry for entry in cupy.calls if entry[0] != "upload"]
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
    assert got is not x and not cupy_stub.share_memory(got, x)


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
    card = CudaDevice(1)
    kept = card.zeros((6,))
    text = re.escape(
        "cuda:1: an array does not fit, 1,048,552 of 1,048,576 bytes are left; use a smaller batch or split the net "
        "over two devices (CuPy: Out of memory allocating 4,000,000 bytes (allocated so far: 24 bytes).)"
    )
    with pytest.raises(ta.OutOfMemory, match=text):
        ask(card, cupy)
    assert card_now() == 0 and kept.nbytes == 24


def test_a_block_takes_a_quarter_of_what_is_free(cupy):
    card = CudaDevice(0)
    cupy.elsewhere = MEMORY - 4000  # what other programs take
    assert [card.block_size(64, nbytes) for nbytes in (0, 1, 100, 400, 5000)] == [64, 64, 10, 2, 1]
    kept = card.zeros((500,), np.float32)
    assert card.block_size(64, 100) == 5
    del kept  # CuPy's pool keeps the memory, which is free for this program
    gc.collect()
    assert card.block_size(64, 100) == 10
    card.limit_memory(2000)
    assert card.block_size(64, 100) == 5
    kept = card.zeros((200,))
    assert card.block_size(64, 100) == 3 and kept.nbytes == 800
    del kept
    gc.collect()
    with pytest.raises(ta.OutOfMemory, match="cuda:0: an array does not fit, 2,000 of 1,048,576 bytes are left"):
        card.zeros((501,))


def test_the_driver_is_asked_for_free_memory_only_when_the_pool_has_grown(cupy):
    card, asked = CudaDevice(0), []
    memory = cupy.cuda.runtime.memGetInfo
    cupy.cuda.runtime.memGetInfo = lambda: asked.append(card_now()) or memory()
    for _ in range(3):
        card.block_size(64, 100)
    kept = card.zeros((500,))
    for _ in range(3):
        card.block_size(64, 100)
    assert asked == [0, 0] and kept.nbytes == 2000


def test_memory_is_limited_on_its_own_card(cupy):
    cards = CudaDevice(0), CudaDevice(1)
    cards[1].limit_memory(1000)
    assert cupy.limits == [0, 1000] and cards[0].zeros((500,)).nbytes == 2000
    with pytest.raises(ta.OutOfMemory, match="cuda:1: an array does not fit, 1,000 of 1,048,576 bytes are left"):
        cards[1].zeros((500,))
    with refuses(ta.ShapeError, "cuda:1: memory must be an integer of at least 1, got 0"):
        cards[1].limit_memory(0)


def test_tf32_is_used_only_when_it_is_asked_for(cupy):
    card = CudaDevice(1)
    assert cupy.compute_types == {}
    card.use_tf32()
    assert cupy.compute_types == {"float32": 7}
    cupy.cuda.runtime.getDeviceProperties = lambda number: {"major": 8, "minor": 0}
    card.use_tf32()
    cupy.cuda.runtime.getDeviceProperties = lambda number: {"major": 7, "minor": 5}
    with refuses(ta.DeviceError, "cuda:1: TF32 must be used on a GPU of compute capability 8.0 or more, got 7.5; leave it out"):
        card.use_tf32()
    for name in ("cpu", "sim:0"):
        with refuses(ta.DeviceError, f"{name}: TF32 must be used on a real GPU, got {name}; use cuda:0"):
            ta.get_device(name).use_tf32()


def test_kernels_are_compiled_by_cupy(cupy):
    assert CudaDevice(0).raw_module is cupy.RawModule


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


def test_all_work_is_on_the_stream_of_the_device(cupy):
    cards = CudaDevice(0), CudaDevice(1)
    with cards[0].activate():
        assert cupy_stub.stream_now() is cards[0].stream
        with cards[1].activate():
            assert cupy_stub.stream_now() is cards[1].stream and card_now() == 1
            with cards[1].activate():
                assert cupy_stub.stream_now() is cards[1].stream
        assert cupy_stub.stream_now() is cards[0].stream and card_now() == 0
    assert cupy_stub.stream_now().is_null
    seen = []
    thread = threading.Thread(target=lambda: cards[1].map_blocks(lambda rows, scratch: seen.append(cupy_stub.stream_now()), 1))
    thread.start()
    thread.join()
    assert seen == [cards[1].stream] and not cards[1].stream.non_blocking


def no_wait(self, event):
    pass


@pytest.mark.parametrize("forgets, race", [(1, "a copy does not wait until its operand"), (0, "fill does not wait until what it")])
def test_a_forgotten_wait_between_cards_is_a_race(cupy, monkeypatch, forgets, race):
    a, b = CudaDevice(0), CudaDevice(1)

    def copy_and_change():
        x = a.zeros((3,))
        there = b.copy_from(x, a)
        with a.activate():
            x.fill(1)
        return b.to_numpy(there)

    assert copy_and_change().tolist() == [0, 0, 0]
    a.synchronize(), b.synchronize()
    waits = cupy_stub.Stream.wait_event
    monkeypatch.setattr(cupy_stub.Stream, "wait_event", lambda self, event: None if self.card == forgets else waits(self, event))
    with pytest.raises(AssertionError, match=f"race: {race}"):
        copy_and_change()


BATCHES = [np.full((n, 2, 3), value, np.float32) for value, n in enumerate((4, 4, 4, 2, 4))]


def test_batches_are_uploaded_beside_the_computation(cupy):
    card = CudaDevice(1)
    upload, results = card.uploader(), []
    for batch in BATCHES:
        cupy.calls.clear()
        x = upload(batch, np.dtype(np.float32))
        assert card.owns(x) and x.shape == batch.shape and not any(entry[0] in ("synchronize", "to host") for entry in cupy.calls)
        with card.activate():
            results.append(x * 2)  # this is queued, and has not been computed when the next batch is copied
    waits = [entry[0] for entry in cupy.calls]
    assert waits == ["record", "host waits", "wait", "upload", "record", "wait"]
    for batch, result in zip(BATCHES, results, strict=True):
        assert np.array_equal(card.to_numpy(result), 2 * batch)
    (copies,) = upload._copies
    assert copies.non_blocking and copies.card == 1 and copies is not card.stream


def test_a_larger_batch_or_another_dtype_gets_new_memory(cupy):
    card = CudaDevice(0)
    upload = card.uploader()
    shapes = [(2, 3), (2, 3), (5, 3), (5, 3), (4, 3), (4, 4), (2, 1), (2, 1), (5, 1)]
    for n, shape in enumerate(shapes):
        for dtype in (np.float32, np.float64):
            assert np.array_equal(card.to_numpy(upload(np.full(shape, n), np.dtype(dtype))), np.full(shape, n, dtype))
            assert cupy.faults == []


def test_pinned_memory_outlives_the_copies_out_of_it(cupy):
    card = CudaDevice(0)
    upload = card.uploader()
    x, there = upload(np.ones((2, 3)), np.dtype(np.float32)), weakref.ref(upload)
    del upload
    gc.collect()
    assert there() is None and cupy.faults == [] and card.to_numpy(x).sum() == 6


def test_pinned_memory_of_smaller_batches_is_freed_when_it_has_been_read(cupy):
    upload = CudaDevice(0).uploader()
    for n in (2, 2, 5, 5):
        upload(np.ones((n, 3)), np.dtype(np.float32))
        assert cupy.faults == []


def test_memory_of_smaller_batches_is_freed_before_that_of_larger_ones_is_taken(cupy):
    card = CudaDevice(0)
    upload = card.uploader()
    card.limit_memory(4 * 310)  # room for a batch of 100 and one of 200, but not for two of 100 and one of 200
    for n in (100, 100, 200):
        assert card.to_numpy(upload(np.ones(n), np.dtype(np.float32))).sum() == n


@pytest.mark.parametrize(
    "slip, race",
    [
        (lambda patch: patch.setattr("tinyalex.devices.uploads._wait_for_copies", lambda slots: None), "pinned memory is filled before"),
        (lambda patch: patch.setattr(cupy_stub.Stream, "wait_event", no_wait), "does not wait until"),
        (lambda patch: patch.setattr(CudaDevice, "record", lambda self, stream=None: cupy_stub.Event(True)), "race: "),
    ],
    ids=["host", "streams", "events"],
)
def test_a_forgotten_wait_of_an_upload_is_a_race(cupy, monkeypatch, slip, race):
    card = CudaDevice(0)
    upload = card.uploader()
    slip(monkeypatch)
    with pytest.raises(AssertionError, match=race), card.activate():
        for batch in BATCHES:
            upload(batch, np.dtype(np.float32)) * 2


def test_memory_of_a_larger_batch_waits_for_what_the_stream_did_with_it_before(cupy, monkeypatch):
    card = CudaDevice(0)
    upload = card.uploader()

    def larger_each_time():
        for n in (2, 2, 3, 3, 4, 4):
            x = upload(np.ones((n, 3)), np.dtype(np.float32))
            with card.activate():
                x * 2

    larger_each_time()
    make = Uploads._make

    def made_with_the_old_event(self, slot, *what):
        before = slot.computed
        make(self, slot, *what)
        slot.computed = before or slot.computed

    monkeypatch.setattr(Uploads, "_make", made_with_the_old_event)
    with pytest.raises(AssertionError, match="race: a copy from the host does not wait until its operand is written"):
        upload = card.uploader()
        larger_each_time()


def test_memory_that_ends_in_an_upload_leaves_the_uploader_usable(cupy):
    card = CudaDevice(0)
    upload = card.uploader()
    card.limit_memory(100)
    with pytest.raises(ta.OutOfMemory, match="cuda:0: an array does not fit"):
        upload(np.zeros((100, 2)), np.dtype(np.float32))
    card.limit_memory(10_000)
    assert card.to_numpy(upload(np.ones((100, 2)), np.dtype(np.float32))).sum() == 200


def test_two_cards_get_a_batch_out_of_one_pinned_memory_beside_the_computation(cupy):
    cards = CudaDevice(0), CudaDevice(1)
    upload, results = cards[0].uploader(cards[1]), []
    for batch in BATCHES:
        cupy.calls.clear()
        both = upload(batch, np.dtype(np.float32))
        assert all(card.owns(x) and x.shape == batch.shape for card, x in zip(cards, both, strict=True))
        assert not any(entry[0] in ("synchronize", "to host", "copy") for entry in cupy.calls)
        for card, x in zip(cards, both, strict=True):
            with card.activate():
                results.append((card, x * 2, 2 * batch))
    calls = [entry[:2] for entry in cupy.calls]
    of_a_card = ["wait", "upload", "record", "wait"]
    assert calls[:4] == [("record", 0), ("record", 1), ("host waits", 0), ("host waits", 1)]
    assert calls[4:] == [(call, card) for card in (0, 1) for call in of_a_card]
    for card, result, expected in results:
        assert np.array_equal(card.to_numpy(result), expected)


@pytest.mark.parametrize("forgets", [0, 1])
@pytest.mark.parametrize("wait", ["host", "copy", "computation"])
def test_a_wait_that_is_forgotten_on_one_of_two_cards_is_a_race(cupy, monkeypatch, wait, forgets):
    cards = CudaDevice(0), CudaDevice(1)
    upload = cards[0].uploader(cards[1])
    waits, host_waits = cupy_stub.Stream.wait_event, cupy_stub.Event.synchronize

    def forgotten(stream, event):
        if stream.card != forgets or stream.non_blocking != (wait == "copy"):
            waits(stream, event)

    if wait == "host":
        monkeypatch.setattr(cupy_stub.Event, "synchronize", lambda event: None if event.card == forgets else host_waits(event))
    else:
        monkeypatch.setattr(cupy_stub.Stream, "wait_event", forgotten)
    with pytest.raises(AssertionError, match="race: pinned memory is filled before" if wait == "host" else "race: .* does not wait until"):
        for batch in BATCHES:
            for card, x in zip(cards, upload(batch, np.dtype(np.float32)), strict=True):
                with card.activate():
                    x * 2


def test_memory_that_ends_on_the_second_card_leaves_the_uploader_usable_and_holds_none_of_the_first(cupy):
    cards = CudaDevice(0), CudaDevice(1)
    upload = cards[0].uploader(cards[1])
    cards[1].limit_memory(100)
    with pytest.raises(ta.OutOfMemory, match="cuda:1: an array does not fit"):
        upload(np.zeros((100, 2)), np.dtype(np.float32))
    assert cupy.used == [0, 0] and cupy.faults == []
    cards[1].limit_memory(10_000)
    assert [card.to_numpy(x).sum() for card, x in zip(cards, upload(np.ones((100, 2)), np.dtype(np.float32)), strict=True)] == [200, 200]
