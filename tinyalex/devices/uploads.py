"""Batches on their way to a GPU: the next one is copied while the GPU computes with this one.

Every GPU can copy and compute at once, if three things hold. The copy is on a stream of its own, because the work on one stream is done
in order. The memory on the host is pinned, so that the GPU reads it without the help of the processor. And two batches have their own
memory. With two towers each GPU copies the batch out of the same pinned memory. Then three waits remain for each GPU, each for an event,
which marks a place in the work of a stream:

    the host waits before it fills pinned memory, until the copy out of it two batches ago has ended;
    the copy waits before it fills the memory on the GPU, until what was computed with the batch two batches ago has ended;
    the computation waits until the copy of its own batch has ended.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyalex.devices.base import Array

if TYPE_CHECKING:
    from tinyalex.devices.cuda import CudaDevice


class Uploads:
    """The function that `CudaDevice.uploader` returns. An array that it returned is valid until its next but one call.

    For several devices it returns a tuple, with an array on each of them.
    """

    def __init__(self, *devices: CudaDevice) -> None:
        self.devices = devices
        self._slots = [Slot(), Slot()]
        self._copies = []
        for device in devices:
            with device.activate():
                self._copies.append(device.xp.cuda.Stream(non_blocking=True))
        weakref.finalize(self, _wait_for_copies, [*self._slots]).atexit = False

    def __call__(self, host: Any, dtype: Any) -> Any:
        host = np.asarray(host)
        before, slot = self._slots
        if before.on_cards:
            before.computed = self._events()  # all work with that batch has been given to the devices' streams by now
        self._slots.reverse()
        if not slot.holds(host.shape, dtype):
            self._make(slot, host.shape, dtype)
        _wait_for_copies([slot])
        slot.pinned[: len(host)] = host
        batch = tuple(self._copy(slot, i, len(host)) for i in range(len(self.devices)))
        return batch if len(batch) > 1 else batch[0]

    def _copy(self, slot: Slot, i: int, n: int) -> Array:
        """Begin the copy of the n images of a slot to device i, and let the device's stream wait for it."""
        device, copies, x = self.devices[i], self._copies[i], slot.on_cards[i][:n]
        with device.activate():
            copies.wait_event(slot.computed[i])
            x.set(slot.pinned[:n], copies)
            slot.copied[i] = device.record(copies)
            device.stream.wait_event(slot.copied[i])
        return x

    def _events(self) -> list[Any]:
        """For each device an event after all work that its stream has been given so far."""
        events = []
        for device in self.devices:
            with device.activate():
                events.append(device.record())
        return events

    def _make(self, slot: Slot, shape: tuple[int, ...], dtype: Any) -> None:
        """Get the memory of a slot."""
        from cupyx import empty_pinned

        _wait_for_copies([slot])
        slot.on_cards, slot.pinned, slot.copied = (), None, {}
        with self.devices[0].activate():
            slot.pinned = empty_pinned(shape, dtype)  # CUDA lets every GPU of the process read it
        on_cards = tuple(device.empty(shape, dtype) for device in self.devices)
        slot.computed = self._events()  # earlier work of the devices' streams may still use this memory
        slot.on_cards = on_cards  # last, because without memory on every GPU the slot holds nothing


class Slot:
    """The memory of one batch, on the host and on each GPU, and for each GPU the two events of the batch that used it last."""

    pinned: Any = None
    on_cards: tuple[Any, ...] = ()
    computed: Sequence[Any] = ()

    def __init__(self) -> None:
        self.copied: dict[int, Any] = {}  # by the place of the GPU among the devices

    def holds(self, shape: tuple[int, ...], dtype: Any) -> bool:
        """Whether a batch of this shape and dtype finds room."""
        there = self.on_cards[0] if self.on_cards else None
        return there is not None and there.dtype == dtype and there.shape[1:] == shape[1:] and len(there) >= shape[0]


def _wait_for_copies(slots: list[Slot]) -> None:
    """Wait until the last copies out of pinned memory have ended; before that it must be neither filled nor freed."""
    for slot in slots:
        for copied in slot.copied.values():
            copied.synchronize()
