"""Memory that several processes share, cut into slots of one batch each."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import LoaderError
from tinyalex.units import bytes_in_words

if TYPE_CHECKING:  # a browser has no shared memory, so it is imported where it is made
    from multiprocessing.shared_memory import SharedMemory

ALIGN = 4096  # bytes: each slot begins at a page
PLACE = "/dev/shm"  # where Linux keeps shared memory; containers often make it small


class Memory:
    """Slots in shared memory. Before them each slot has a note, one integer that a worker writes and the owner reads.

    Parameters
    ----------
    slots: how many. nbytes: of a slot.
    shared: the memory of another process, made by it with the same numbers; None makes new memory, of which this object is the owner.

    Attributes
    ----------
    free: the slots that nobody uses. notes: int64 (slots,).

    Raises
    ------
    LoaderError: there is no room. Linux gives the memory without a look at the room, and ends a process that then writes into it.
    """

    def __init__(self, slots: int, nbytes: int, shared: SharedMemory | None = None) -> None:
        self.slots, self.nbytes = slots, -(-nbytes // ALIGN) * ALIGN
        if shared is None:
            from multiprocessing.shared_memory import SharedMemory

            total = ALIGN * -(-8 * slots // ALIGN) + slots * self.nbytes
            _require_room(total)
            try:
                shared = SharedMemory(f"tinyalex-{os.getpid()}-{secrets.token_hex(4)}", create=True, size=total)
            except OSError as error:
                raise LoaderError(_no_room(total, str(error.strerror)), "use fewer workers, or workers=0") from None
        self.shared = shared
        self._first = ALIGN * -(-8 * slots // ALIGN)
        self.free = list(range(slots))
        self._linked = True

    @property
    def notes(self) -> npt.NDArray[np.int64]:
        """The notes of the slots, a view that must not outlive this object."""
        buffer: Any = self.shared.buf
        return np.frombuffer(buffer, np.int64, self.slots)

    def array(self, slot: int, dtype: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The beginning of a slot as an array, a view that must not outlive this object."""
        count = int(np.prod(shape))
        buffer: Any = self.shared.buf
        return np.frombuffer(buffer, dtype, count, self._first + slot * self.nbytes).reshape(shape)

    def lend(self, slot: int, dtype: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The same array; when it and all views of it are gone, the slot is free. It may outlive this object."""
        return np.asarray(Lease(self, slot, dtype, shape))

    def unlink(self) -> None:
        """Take the memory's name away. Processes that have it open keep it, no other can open it, and it ends with the last of them."""
        if self._linked:
            self._linked = False
            self.shared.unlink()


class Lease:
    """What an array of a slot refers to as its base, so that Python tells when the last view of the array is gone."""

    def __init__(self, memory: Memory, slot: int, dtype: Any, shape: tuple[int, ...]) -> None:
        self._array: Any = memory.array(slot, dtype, shape)
        self._memory, self._slot = memory, slot
        self.__array_interface__ = self._array.__array_interface__

    def __del__(self) -> None:
        self._array = None  # before the memory, which cannot be closed while an array looks at it
        self._memory.free.append(self._slot)


def _require_room(total: int) -> None:
    if os.path.isdir(PLACE):
        place = os.statvfs(PLACE)
        there = place.f_bavail * place.f_frsize
        if there < total:
            remedy = "use workers=0, fewer workers or a smaller batch, or give the container more (docker run --shm-size)"
            raise LoaderError(_no_room(total, f"{bytes_in_words(there)} in {PLACE}"), remedy)


def _no_room(total: int, got: str) -> str:
    return f"loader: shared memory must have room for {bytes_in_words(total)}, got {got}"
