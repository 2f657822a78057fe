"""What a worker process of the loader does: it reads and prepares batches, and writes them into shared memory."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinyalex.data.batches import Batches
from tinyalex.data.shared import Memory
from tinyalex.data.source import ArraySource, Images
from tinyalex.errors import DataError, LoaderError, TinyalexError, show

if TYPE_CHECKING:  # a browser has no shared memory
    from multiprocessing.shared_memory import SharedMemory

FEWER = "use fewer workers, or workers=0"


class Task(NamedTuple):
    """A batch for a worker. turn: which iteration asked for it. batch: its index. rng: whether it is prepared for training."""

    turn: int
    part: int
    epoch: int
    batch: int
    rng: bool
    slot: int
    chosen: npt.NDArray[np.int64]

    def __str__(self) -> str:
        return f"batch {self.batch} of epoch {self.epoch + 1}" if self.rng else f"batch {self.batch} of an evaluation"


def work(pipe: Any, payload: Any, shared: SharedMemory, slots: int, nbytes: int) -> None:
    """The loop of a worker: a task comes, its batch goes into the task's slot. It ends with a None, or with the parent."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they go to all processes of a group; only the parent decides what they mean
        signal.signal(number, signal.SIG_IGN)
    try:
        parts: tuple[tuple[Batches, tuple[int, ...]], ...] = pickle.loads(payload) if isinstance(payload, bytes) else payload
    except Exception as error:
        pipe.send_bytes(pickle.dumps(f"{type(error).__name__}: {error}"))
        return
    from multiprocessing import connection

    from threadpoolctl import threadpool_limits

    parent: Any = multiprocessing.parent_process()
    memory = Memory(slots, nbytes, shared)
    with threadpool_limits(1):
        pipe.send_bytes(pickle.dumps(None))
        while pipe in connection.wait([pipe, parent.sentinel]):
            try:
                task = pickle.loads(pipe.recv_bytes())
            except (EOFError, OSError):
                return
            if task is None:
                return
            batches, one = parts[task.part]
            pipe.send_bytes(pickle.dumps(_answer(batches, one, task, memory)))


def _answer(batches: Batches, one: tuple[int, ...], task: Task, memory: Memory) -> tuple[Any, ...]:
    """Prepare the batch of a task into its slot. Returns what the loader needs to know of it, or the exception that came.

    one: the shape of the result of one image.
    """
    try:
        images = _read(batches, task, memory.notes)
        memory.notes[task.slot] = -1
        out = None
        if getattr(batches.prepare, "takes_out", False):
            out = memory.array(task.slot, np.float32, (len(images) * one[0], *one[1:]))
        found = batches.prepared(images, task.epoch, task.batch if task.rng else None, out)
        if found is not out:
            if not isinstance(found, np.ndarray) or found.dtype.hasobject or found.nbytes > memory.nbytes:
                rule = f"loader: prepare must give a plain array of at most {memory.nbytes:,} bytes for a batch"
                raise DataError(f"{rule}, got {show(found)}; give each image the same shape, or use workers=0")
            memory.array(task.slot, found.dtype, found.shape)[...] = found
        return "done", found.dtype.str, found.shape
    except Exception as error:
        return "error", _pickled(error, task)


def _read(batches: Batches, task: Task, notes: npt.NDArray[np.int64]) -> Images:
    """The images of a task, read one by one from files: if one of them ends the process, the note says which."""
    if isinstance(batches.source, ArraySource):
        notes[task.slot] = task.chosen[0]
        return batches.read(task.chosen)
    images: Images | None = None
    for k, index in enumerate(task.chosen):
        notes[task.slot] = index
        image = batches.read(task.chosen[k : k + 1])
        if images is None:
            images = np.empty((len(task.chosen), *image.shape[1:]), image.dtype)
        images[k] = image[0]
    assert images is not None
    return images


def _pickled(error: Exception, task: Task) -> bytes:
    """The exception for the parent process, where it is raised. What cannot be pickled becomes a LoaderError with the same text."""
    where = f"in {multiprocessing.current_process().name}, {task}"
    error.add_note(where if isinstance(error, TinyalexError) else f"{where}\n{''.join(traceback.format_exception(error))}")
    if isinstance(error, MemoryError) and not isinstance(error, TinyalexError):
        error = LoaderError(f"loader: a worker must have the memory for {task}, got {show(error)}; {FEWER}")
    try:
        data = pickle.dumps(error)
        pickle.loads(data)
    except Exception:
        data = pickle.dumps(LoaderError(f"loader: a worker must be able to prepare {task}, got {type(error).__name__}: {error}"))
    return data
