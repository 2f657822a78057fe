"""A stand-in for CuPy: NumPy computes, and what a GPU would need in order is checked. No GPU is needed or used.

`install()` puts it into `sys.modules`. It has the names that the simulated GPU has, and what `tinyalex/devices/cuda.py` uses of
`cupy.cuda`. Arrays know their GPU, and an operation on a GPU that is not the current one fails. Work on a GPU runs later than the call
that asks for it, in the order of its stream; so each stream has a clock, which an event copies and a wait passes on, and each memory
knows who has written it and read it last. An access that no wait puts after the one before is a race, which fails.
"""

from __future__ import annotations

import os
import sys
import types
from contextlib import suppress

import numpy as np
import pytest

from tests.devices.cupy_clocks import (
    Clock,
    CUDARuntimeError,
    Device,
    Event,
    Memory,
    OutOfMemoryError,
    PinnedArray,
    Stream,
    card_now,
    cupy,
    installed,
    lock,
    state,
    stream_now,
)
from tinyalex.devices.sim_array import API

ROOM = 1 << 30
WRITES_FIRST = {"copyto", "put_along_axis", "put", "putmask", "place", "fill_diagonal"}


class StubArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of the GPU that was current when it was made. It is no NumPy array, as CuPy's are none."""

    __hash__ = None

    def __init__(self, a, card, memory):
        self.a, self.card, self.memory = a, card, memory

    @property
    def device(self):
        return types.SimpleNamespace(id=self.card)

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly.")

    def __array_ufunc__(self, ufunc, method, *args, **keywords):
        out = keywords.get("out")
        if isinstance(out, tuple):
            keywords["out"] = out[0] if len(out) == 1 else out
        return call(getattr(ufunc, method), ufunc.__name__, args, keywords, writes_first=method == "at")

    def __array_function__(self, f, kinds, args, keywords):
        return getattr(cupy(), f.__name__)(*args, **keywords)

    def __getitem__(self, key):
        return call(np.ndarray.__getitem__, "an index", (self, key), {})

    def __setitem__(self, key, value):
        call(np.ndarray.__setitem__, "an assignment", (self, key, value), {}, writes_first=True)

    def __len__(self):
        return len(self.a)

    def set(self, host, stream=None):
        assert isinstance(host, PinnedArray) and host.shape == self.shape and host.dtype == self.dtype and stream.card == self.card
        cupy().calls.append(("upload", self.card))
        stream.work([host.memory], [self.memory], "a copy from the host")
        self.a[...] = host

    def get(self):
        return cupy().asnumpy(self)

    def item(self):
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __bool__(self):
        return bool(self.get())

    def __repr__(self):
        return f"{self.a!r} on cuda:{self.card}"


def _method(name):
    f = getattr(np.ndarray, name)
    return lambda self, *args, **keywords: call(f, name, (self, *args), keywords, writes_first=name in ("fill", "sort", "partition", "put"))


def _attribute(name):
    return property(lambda self: wrapped(getattr(self.a, name), [self], []))


for _name in API["methods"]:
    if _name not in vars(StubArray):
        setattr(StubArray, _name, _method(_name))
for _name in (*API["attributes"], "flags"):
    setattr(StubArray, _name, _attribute(_name))


def arrays_in(values):
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from arrays_in(value)
        elif isinstance(value, (StubArray, np.ndarray)):
            yield value


def plain(value):
    if isinstance(value, (tuple, list)):
        return type(value)(plain(part) for part in value)
    return value.a if isinstance(value, StubArray) else value


def share_memory(a, b):
    return np.may_share_memory(plain(a), plain(b))


def call(f, name, args, keywords, writes_first=False):
    """Let the current stream call a function of NumPy, on arrays of the current GPU alone. A view is no work for a GPU."""
    out = [a for a in arrays_in([keywords.get("out")]) if a is not None]
    operands = [*arrays_in(args), *arrays_in(v for key, v in keywords.items() if key != "out"), *out]
    for array in operands:
        if not isinstance(array, StubArray):
            raise TypeError(f"Unsupported type {type(array)}")
    written = [a.memory for a in out] + [a.memory for a in operands[:1] if writes_first]
    result = f(*plain(args), **{key: plain(value) for key, value in keywords.items()})
    results = list(arrays_in([result]))
    if written or not results or not all(any(share_memory(part, a) for a in operands) for part in results):
        for array in operands:
            assert array.card == card_now(), f"{name}: an array of cuda:{array.card} while cuda:{card_now()} is current"
        stream_now().work([a.memory for a in operands], written, name)
    return wrapped(result, operands, out)


def wrapped(result, operands, out):
    """What NumPy returns as CuPy returns it: a result is `out`, a view of an operand, or a new array, also if it has one element."""
    if isinstance(result, (tuple, list)) and not isinstance(getattr(result, "_fields", None), tuple) and any(arrays_in([result])):
        return type(result)(wrapped(part, operands, out) for part in result)
    if not isinstance(result, (np.ndarray, np.generic)):
        return result
    if isinstance(result, np.ndarray):
        for source in (*out, *operands):
            if share_memory(result, source):
                return source if any(source is array for array in out) else StubArray(result, source.card, source.memory)
    return fresh(np.asarray(result))


def fresh(a):
    """A new array on the current GPU, which its current stream writes."""
    out = StubArray(a, card_now(), Memory(card_now(), a.nbytes))
    stream_now().work([], [out.memory], "a new array")
    return out


def install(cards=2, room=ROOM, available=True, error=None):
    """Put a new stand-in, with its own GPUs, into `sys.modules`, and return it.

    room: bytes of each GPU. available, error: what `is_available` and the counting of GPUs say of a machine without one.
    """
    stub, wide, core, linalg = (types.ModuleType(name) for name in ("cupy", "cupyx", "cupy._core", "cupy._core._routines_linalg"))
    stub.faults = []
    stub.calls, stub.streams, stub.host, stub.used, stub.held = [], [], Clock(), [0] * cards, [0] * cards
    stub.limits, stub.elsewhere, stub.compute_types, stub.__version__ = [0] * cards, 0, {}, "14.2.0"
    nulls = {}

    def null(card):
        with lock:
            if card not in nulls:
                before, state.card = card_now(), card
                nulls[card] = Stream(null=True)
                state.card = before
            return nulls[card]

    def take(card, nbytes):
        with lock:
            free = room - stub.elsewhere - stub.used[card]
            if nbytes > free or (stub.limits[card] and stub.used[card] + nbytes > stub.limits[card]):
                raise OutOfMemoryError(f"Out of memory allocating {nbytes:,} bytes (allocated so far: {stub.used[card]:,} bytes).")
            stub.used[card] += nbytes
            stub.held[card] = max(stub.held[card], stub.used[card])

    def device_count():
        if error:
            raise error
        return cards if available else 0

    def array(x):
        stub.calls.append(("copy", getattr(x, "card", "host"), card_now()))
        assert not isinstance(x, StubArray) or x.card == card_now() or x.flags.c_contiguous, "made contiguous only after the event"
        out = fresh(np.array(plain(x)))
        if isinstance(x, StubArray):
            stream_now().work([x.memory], [out.memory], "a copy")
        return out

    def asarray(x, dtype=None):
        if isinstance(x, StubArray):
            return x if x.card == card_now() and dtype in (None, x.dtype) else x.astype(dtype)
        return fresh(np.array(x, dtype))

    def asnumpy(x):
        assert x.card == card_now()
        stream_now().work([x.memory], [], "a copy to the host")
        stub.host.merge(stream_now().clock)
        stub.calls.append(("to host", x.card))
        return x.a.copy()

    def empty(shape, dtype=float):
        dtype = np.dtype(dtype)
        memory = Memory(card_now(), int(np.prod(shape)) * dtype.itemsize)  # before the host's memory is taken
        return StubArray(np.full(shape, np.nan if dtype.kind == "f" else 0, dtype), card_now(), memory)

    class RawModule:
        def __init__(self, code, options=()):
            self.code = code

        def get_function(self, name):
            if name != "twice":
                raise CUDARuntimeError(f'k.cu(1): error: "{name}" is no kernel that the stand-in has')
            return twice

    def twice(grid, block, args):
        assert (grid, block) == ((1,), (4,)) and args[0].size == 4 and args[0].dtype == np.float32
        call(lambda x: np.multiply(x, 2, out=x), "twice", args, {}, writes_first=True)

    def missing(name):
        if name in API["functions"] or name in API["ufuncs"]:
            f = getattr(np, name)
            return Ufunc(f, name) if isinstance(f, np.ufunc) else lambda *args, **kw: call(f, name, args, kw, name in WRITES_FIRST)
        if name in API["values"]:
            return getattr(np, name)
        raise AttributeError(f"module 'cupy' has no attribute {name!r}")

    stub.null, stub.take, stub.__getattr__ = null, take, missing
    stub.ndarray, stub.array, stub.asarray, stub.asnumpy, stub.empty, stub.RawModule = StubArray, array, asarray, asnumpy, empty, RawModule
    stub.zeros = lambda shape, dtype=float: fresh(np.zeros(shape, dtype))
    stub.full = lambda shape, value, dtype=float: fresh(np.full(shape, value, dtype))
    stub.arange = lambda *args, **keywords: fresh(np.arange(*args, **keywords))
    stub.is_available = lambda: available
    pool = types.SimpleNamespace(
        used_bytes=lambda: stub.used[card_now()],
        total_bytes=lambda: stub.held[card_now()],
        free_bytes=lambda: stub.held[card_now()] - stub.used[card_now()],
        get_limit=lambda: stub.limits[card_now()],
        set_limit=lambda size: stub.limits.__setitem__(card_now(), size),
    )
    stub.get_default_memory_pool = lambda: pool
    runtime = types.SimpleNamespace(
        getDeviceCount=device_count,
        memGetInfo=lambda: (room - stub.elsewhere - stub.held[card_now()], room),
        driverGetVersion=lambda: 13010,
        runtimeGetVersion=lambda: 12090,
        deviceCanAccessPeer=lambda a, b: 1,
        getDeviceProperties=lambda number: {
            "name": b"NVIDIA Stand-in", "major": 9, "minor": 0, "totalGlobalMem": room, "multiProcessorCount": 1
        },
    )  # fmt: skip
    stub.cuda = types.SimpleNamespace(
        Device=Device, Event=Event, Stream=Stream, get_current_stream=stream_now, runtime=runtime,
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError), nvrtc=types.SimpleNamespace(getVersion=lambda: (12, 9)),
    )  # fmt: skip
    wide.empty_pinned = lambda shape, dtype=float: np.empty(shape, dtype).view(PinnedArray)
    linalg.COMPUTE_TYPE_TF32 = 7
    linalg.set_compute_type = lambda dtype, kind: stub.compute_types.__setitem__(np.dtype(dtype).name, kind)
    core._routines_linalg = linalg
    installed[:] = [stub]
    for module in (stub, wide, core, linalg):
        sys.modules[module.__name__] = module
    return stub


class Ufunc:
    def __init__(self, f, name):
        self.f, self.name = f, name

    def __call__(self, *args, **keywords):
        n, f = self.f.nin, self.f
        if len(args) > n:
            keywords, args = keywords | {"out": args[n] if len(args) == n + 1 else args[n:]}, args[:n]
        return call(f, self.name, args, keywords)

    def __getattr__(self, method):
        if method not in API["ufuncs"][self.name]:
            raise AttributeError(method)
        return lambda *args, **kw: call(getattr(self.f, method), f"{self.name}.{method}", args, kw, writes_first=method == "at")


def remove():
    """Take the stand-in out of `sys.modules` again."""
    for name in ("cupy", "cupyx", "cupy._core", "cupy._core._routines_linalg"):
        with suppress(KeyError):
            del sys.modules[name]


if __name__ == "__main__":  # python -m tests.devices.cupy_stub PATHS runs these tests with the stand-in's two GPUs
    import tests.devices.cupy_stub as itself  # the module that the tests import

    itself.install()
    os.environ.setdefault("TINYALEX_TEST_DEVICES", "cuda:0,cuda:1")
    os.environ.setdefault("TINYALEX_KERNELS", "0")
    sys.exit(pytest.main(sys.argv[1:]))
