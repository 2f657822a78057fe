"""What is said about the GPUs of a machine, against the stand-in for CuPy."""

import pytest

from tests.devices import cupy_stub
from tinyalex.devices import cards


@pytest.fixture
def cupy(monkeypatch):
    monkeypatch.setattr(cards, "wheels", lambda: {"cupy-cuda12x": "14.2.0"})
    yield cupy_stub.install(cards=3, room=1 << 36)
    cupy_stub.remove()


def test_all_is_described(cupy):
    cupy.cuda.runtime.deviceCanAccessPeer = lambda a, b: b == 1
    about = cards.describe()
    card = {"name": "NVIDIA Stand-in", "capability": "9.0", "memory": 1 << 36, "multiprocessors": 1}
    assert about.pop("cards") == [{"device": f"cuda:{number}", **card} for number in range(3)]
    versions = {"cupy": "14.2.0", "wheel": "cupy-cuda12x", "driver": "13.1", "runtime": "12.9", "nvrtc": "12.9"}
    assert about == versions | {"peers": ["cuda:0 reads cuda:1", "cuda:2 reads cuda:1"]}


def test_each_card_is_asked_for_its_own_properties(cupy):
    about = cupy.cuda.runtime.getDeviceProperties(0)
    cupy.cuda.runtime.getDeviceProperties = lambda number: about | {"name": f"card {number}", "multiProcessorCount": number}
    assert [(card["name"], card["multiprocessors"]) for card in cards.describe()["cards"]] == [("card 0", 0), ("card 1", 1), ("card 2", 2)]


def test_versions_that_are_not_known_are_said_so(cupy):
    cupy.cuda.runtime.driverGetVersion = lambda: 0
    assert cards.describe()["driver"] == "unknown"


def test_kernel_and_product_work(cupy):
    assert cards.why_no_kernel(2) is None and ("to host", 2) in cupy.calls


def raises(error):
    def raising(*args, **keywords):
        raise error

    return raising


SPOILED = {  # a name of the stand-in and what it becomes, and what is said then
    "RawModule": (raises(OSError("no libnvrtc\nmore")), "a kernel must compile, got OSError: no libnvrtc"),
    "asarray": (lambda x: cupy_stub.fresh(x + 1), "a kernel must run, got [2.0, 4.0, 6.0, 8.0] for twice 0, 1, 2, 3"),
    "matmul": (raises(ImportError("libcublas\nmore")), "cuBLAS must multiply, got ImportError: libcublas"),
    "asnumpy": (raises(RuntimeError("an illegal access")), "a kernel must run, got RuntimeError: an illegal access"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_fails_is_named(cupy, name):
    becomes, fault = SPOILED[name]
    setattr(cupy, name, becomes)
    assert cards.why_no_kernel(1) == fault


def test_wrong_product_is_named(cupy):
    cupy.matmul = lambda a, b: a
    assert cards.why_no_kernel(0) == "cuBLAS must multiply, got [[0.0, 2.0], [4.0, 6.0]] for a product of two matrices"
