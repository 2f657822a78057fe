"""The streams, events and memory of the stand-in for CuPy, see `cupy_stub.py`: clocks that find an access that no wait puts in order."""

from __future__ import annotations

import itertools
import threading

import numpy as np

state = threading.local()
lock = threading.RLock()
ids = itertools.count()
installed = []


class CUDARuntimeError(RuntimeError):
    """As CuPy's."""


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


class Clock(dict):
    """For each stream up to which of its calls all have ended."""

    def merge(self, other):
        for stream, time in list(other.items()):
            self[stream] = max(self.get(stream, 0), time)

    def knows(self, access):
        return access is None or self.get(access[0], 0) >= access[1]


class Memory:
    """The memory of an array, or of pinned memory on the host: its GPU, its bytes, its last writer, and its readers since then.

    CuPy gives memory that was freed to the next array of the same stream. So all earlier work of the stream counts as a write to it.
    Pinned memory that is freed may be filled by others at once; what still reads it then is noted in `faults`.
    """

    def __init__(self, card=None, nbytes=0):
        self.stub, self.card, self.nbytes, self.writer, self.readers = cupy(), None, nbytes, None, {}
        if card is not None:
            self.stub.take(card, nbytes)
            self.card, stream = card, stream_now()
            self.writer = (stream.id, stream.clock.get(stream.id, 0))

    def __del__(self):
        if self.card is not None:
            self.stub.used[self.card] -= self.nbytes
        elif not all(self.stub.host.knows(access) for access in self.readers.items()):
            self.stub.faults.append("pinned memory is freed before the copy out of it has ended")


def cupy():
    """The stand-in that was installed last."""
    return installed[-1]


def card_now():
    """The number of the GPU that is current in this thread."""
    return getattr(state, "card", 0)


def stream_now():
    """The stream that is current in this thread on the current GPU."""
    stack = getattr(state, "streams", {}).get(card_now())
    return stack[-1] if stack else cupy().null(card_now())


class Stream:
    """A stream. The null stream waits for all blocking streams of its GPU, and they wait for it."""

    def __init__(self, null=False, non_blocking=False):
        self.card, self.id, self.clock, self.is_null, self.non_blocking = card_now(), next(ids), Clock(), null, non_blocking
        cupy().streams.append(self)

    def __enter__(self):
        assert self.card == card_now(), "a stream becomes current on its own GPU only"
        state.__dict__.setdefault("streams", {}).setdefault(self.card, []).append(self)
        return self

    def __exit__(self, *_):
        state.streams[self.card].pop()

    def related(self):
        return [s for s in cupy().streams if s.card == self.card and s is not self and not s.non_blocking and (self.is_null or s.is_null)]

    def work(self, reads, writes, what):
        """Let the stream do one more call, which must come after all accesses to the same memory that it does not only share by reading."""
        with lock:
            self.clock.merge(cupy().host)
            if not self.non_blocking:
                for other in self.related():
                    self.clock.merge(other.clock)
            for memory in (*reads, *writes):
                assert self.clock.knows(memory.writer), f"race: {what} does not wait until its operand is written"
            for memory in writes:
                for access in memory.readers.items():
                    assert self.clock.knows(access), f"race: {what} does not wait until what it overwrites is read"
            now = self.clock[self.id] = self.clock.get(self.id, 0) + 1
            for memory in reads:
                memory.readers[self.id] = now
            for memory in writes:
                memory.writer, memory.readers = (self.id, now), {}

    def wait_event(self, event):
        cupy().calls.append(("wait", self.card, id(event)))
        self.clock.merge(event.clock)

    def synchronize(self):
        cupy().host.merge(self.clock)


class Event:
    def __init__(self, disable_timing=False):
        assert disable_timing, "an event that takes the time delays the GPU"
        self.stub, self.card, self.clock = cupy(), card_now(), Clock()

    def record(self, stream):
        assert stream.card == self.card == card_now(), "an event belongs to the GPU it was made on"
        cupy().calls.append(("record", self.card, id(self)))
        self.clock = Clock(stream.clock)

    def synchronize(self):
        """Its own stand-in notes it: what a test leaves behind may be freed, and waited for, during the next test."""
        self.stub.calls.append(("host waits", self.card, id(self)))
        self.stub.host.merge(self.clock)


class Device:
    def __init__(self, number):
        self.id = number

    def __enter__(self):
        self.before, state.card = card_now(), self.id

    def __exit__(self, *_):
        state.card = self.before

    def synchronize(self):
        cupy().calls.append(("synchronize", self.id))
        for stream in cupy().streams:
            if stream.card == self.id:
                stream.synchronize()


class PinnedArray(np.ndarray):
    """Memory on the host that a GPU reads by itself, later: the host may fill it again only when it knows that this has ended."""

    def __array_finalize__(self, other):
        self.memory = getattr(other, "memory", None) or Memory()

    def __setitem__(self, key, value):
        for access in self.memory.readers.items():
            assert cupy().host.knows(access), "race: pinned memory is filled before the copy out of it has ended"
        super().__setitem__(key, value)
