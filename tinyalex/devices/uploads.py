"""Batches on their way to a GPU: the next one is copied while the GPU computes with this one.

Every GPU can copy and compute at once, if three things hold. The copy is on a stream of its own, because the work on one stream is done
in order. The memory on the host is pinned, so that the GPU reads it without the help of the processor. And two batches have their own
memory. Then three waits remain, each for an event, which marks a place in the work of a stream:

    the host waits before it fills pinned memory, until the copy out of it two batches ago has ended;
    the copy waits before it fills the memory on the GPU, until what was computed with the batch two batches ago has ended;
    the computation waits until the copy of its own batch has ended.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyalex.devices.base import Array

if TYPE_CHECKING:
    from tinyalex.devices.cuda import CudaDevice


class Uploads:
    """The function that `CudaDevice.uploader` returns. An array that it returned is valid until its next but one call."""

    def __init__(self, device: CudaDevice) -> None:
        self.device, self.xp = device, device.xp
        self._slots = [Slot(), Slot()]
        with device.activate():
            self._copies = self.xp.cuda.Stream(non_blocking=True)
        weakref.finalize(self, _wait_for_copies, [*self._slots]).atexit = False

    def __call__(self, host: Any, dtype: Any) -> Array:
        device, host = self.device, np.asarray(host)
        with device.activate():
            before, slot = self._slots
            if before.on_card is not None:
                before.computed = device.record()  # all work with that batch has been given to the device's stream by now
            self._slots.reverse()
            if not slot.holds(host.shape, dtype):
                self._make(slot, host.shape, dtype)
            _wait_for_copies([slot])
            n = len(host)
            slot.pinned[:n] = host
            self._copies.wait_event(slot.computed)
            x = slot.on_card[:n]
            x.set(slot.pinned[:n], self._copies)
            slot.copied = device.record(self._copies)
            device.stream.wait_event(slot.copied)
            return x

    def _make(self, slot: Slot, shape: tuple[int, ...], dtype: Any) -> None:
        """Get the memory of a slot."""
        from cupyx import empty_pinned

        _wait_for_copies([slot])
        slot.on_card = slot.pinned = slot.copied = None
        slot.pinned, on_card = empty_pinned(shape, dtype), self.xp.empty(shape, dtype)
        slot.computed = self.device.record()  # earlier work of the device's stream may still use this memory
        slot.on_card = on_card  # last, because without memory on the GPU the slot holds nothing


class Slot:
    """The memory of one batch, on the host and on the GPU, and the two events of the batch that used it last."""

    pinned: Any = None
    on_card: Any = None
    copied: Any = None
    computed: Any = None

    def holds(self, shape: tuple[int, ...], dtype: Any) -> bool:
        """Whether a batch of this shape and dtype finds room."""
        there = self.on_card
        return there is not None and there.dtype == dtype and there.shape[1:] == shape[1:] and len(there) >= shape[0]


def _wait_for_copies(slots: list[Slot]) -> None:
    """Wait until the last copies out of pinned memory have ended; before that it must be neither filled nor freed."""
    for slot in slots:
        if slot.copied is not None:
            slot.copied.synchronize()
