"""Batches that worker processes prepare while the network trains ("computationally free", paper 4.1).

Each worker reads images from its own copy of the source, prepares them, and writes the result into shared memory, where the training
finds it: no pixel is copied between processes. The memory is cut into slots of one batch each. A slot is free again when nobody uses
its batch any more, so the memory is bounded, and at most `ahead` batches are being prepared or are waiting.

A batch depends on (seed, epoch, batch) alone. So it does not matter which worker prepares it, and the batches are the same, to the
last bit, as without workers.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import signal
import time
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.batches import Batches
from tinyalex.data.loader_worker import FEWER, Task, work
from tinyalex.data.prepare import Floats
from tinyalex.data.shared import Memory
from tinyalex.data.source import Source
from tinyalex.errors import CallOrderError, DataError, LoaderError, require_choice, require_int

Labeled = Iterator[tuple[Floats, npt.NDArray[Any]]]

MOST_WORKERS = 32
UNGUARDED = 78  # exit code of a worker that ran the user's script from its top and came to the line that starts workers
GRACE_S = 1.0  # a worker that has not ended after so many seconds is killed; workers only read, so this loses nothing


@dataclass
class Worker:
    """One process, our end of its pipe, and the tasks that it has not answered, the oldest first.

    Messages are pickled here, not by the pipe: where a pipe breaks, the buffer of its own pickler is left in the exception, and Python 3.12
    crashes when it collects that.
    """

    number: int
    process: Any
    pipe: Any
    tasks: deque[Task] = field(default_factory=deque)


class Loader:
    """Worker processes that prepare the batches of one or several `Batches` ahead of their use.

    It is a context manager: the workers start when it is entered and have ended when it is left. A script that uses it must keep its
    own work below `if __name__ == "__main__":` wherever workers do not start with "fork", as on Windows and macOS.

    An array that an iterator gave may be kept: its slot of the shared memory is free again when the array is gone. If all slots are
    kept, the loader hands out copies.

    Parameters
    ----------
    parts: what to load; `of_epoch` and `in_order` name one of them by its index. Their sources and preparations must be picklable
        unless workers start with "fork".
    workers: how many processes, at most 32. 0 starts none: the batches are then prepared in this process, when they are asked for.
    ahead: how many batches may be in preparation or waiting beside the one in use; None is `workers` + 1.
    start: "fork", "spawn" or "forkserver"; None is Python's default on this system. Workers that start with "fork" are there at once, but
        the system keeps for them a copy of the weights of that moment while the training changes its own.

    Raises
    ------
    ShapeError: a setting is outside its range.
    DataError: a source or a preparation cannot be pickled, or an image cannot be read; the message then is the source's own.
    LoaderError: a worker cannot start or has ended, the system starts none, or there is no room for the shared memory.

    Example
    -------
    >>> from tinyalex.data import SubtractMean
    >>> images, labels = np.zeros((10, 3, 8, 8), np.uint8), np.arange(10)
    >>> batches = Batches(images, labels, 4, prepare=SubtractMean.fit(images))
    >>> with Loader(batches, workers=0) as loader:
    ...     [len(y) for x, y in loader.of_epoch(0)]
    [4, 4, 2]
    """

    def __init__(self, *parts: Batches, workers: int = 2, ahead: int | None = None, start: str | None = None) -> None:
        self.parts = parts
        self.workers = require_int("loader", "workers", workers, least=0, most=MOST_WORKERS)
        self.ahead = self.workers + 1 if ahead is None else require_int("loader", "ahead", ahead)
        if self.workers and not starts_processes():
            raise LoaderError(f"loader: workers must be 0 where the system starts no processes, got {workers}; use workers=0")
        if start is not None:
            require_choice("loader", "start", start, tuple(multiprocessing.get_all_start_methods()))
        self._context: Any = multiprocessing.get_context(start)
        self._method: str = self._context.get_start_method()
        self._workers: list[Worker] = []
        self._memory: Memory | None = None
        self._shapes: tuple[tuple[int, ...], ...] = ()
        self._ready: dict[int, Any] = {}  # by batch: (slot, type, shape), or the exception to raise
        self._turn = 0
        self._finalizer: Any = None

    def __enter__(self) -> Loader:
        if self.workers and self._memory is None:
            if getattr(multiprocessing.current_process(), "_inheriting", False):
                os._exit(UNGUARDED)  # this process is a worker that is still starting; the parent says what is wrong
            ones = [part.prepared(part.source.read(np.arange(1)), 0, None) for part in self.parts]
            sizes = [one.nbytes * min(part.batch_size, len(part.source)) for one, part in zip(ones, self.parts, strict=True)]
            self._shapes = tuple(one.shape for one in ones)
            self._memory = Memory(1 + self.ahead, max(sizes))
            from multiprocessing import util

            self._finalizer = util.Finalize(self, _end, (self._workers, self._memory), exitpriority=100)
            try:
                self._start()
            except BaseException:
                self.close()
                raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers and give the shared memory back; that of arrays which are still in use lives until they are gone."""
        if self._finalizer is not None:
            self._finalizer()
        self._finalizer = self._memory = None
        self._workers.clear()
        self._ready.clear()
        self._turn += 1

    def of_epoch(self, epoch: int, start: int = 0, part: int = 0) -> Labeled:
        """The same batches as `Batches.of_epoch` of one of the parts."""
        batches = self.parts[part]
        given = batches.of_epoch(epoch, start)  # checks its arguments now
        return given if not self.workers else self._iterate(part, epoch, start, batches.order(epoch), rng=True)

    def in_order(self, part: int = 0) -> Labeled:
        """The same batches as `Batches.in_order` of one of the parts."""
        batches = self.parts[part]
        return self._iterate(part, 0, 0, np.arange(len(batches.source)), rng=False) if self.workers else batches.in_order()

    def _start(self) -> None:
        from multiprocessing.reduction import ForkingPickler

        whole = self._method == "fork"  # then a worker inherits the objects
        try:
            parts = tuple(zip(self.parts, self._shapes, strict=True))
            payload: Any = parts if whole else bytes(ForkingPickler.dumps(parts))
        except Exception as error:
            rule = f"loader: source and prepare must be picklable where workers start with {self._method!r}"
            remedy = "define their classes and functions at the top of a file of their own, or use workers=0"
            raise DataError(f"{rule}, got {type(error).__name__}: {error}", remedy) from None
        memory = self._memory
        assert memory is not None
        for number in range(1, self.workers + 1):
            pipe, theirs = self._context.Pipe()
            args = theirs, payload, memory.shared, memory.slots, memory.nbytes
            process = self._context.Process(target=work, args=args, name=f"tinyalex-loader-{number}", daemon=True)
            worker = Worker(number, process, pipe)
            try:
                with warnings.catch_warnings():
                    # Python warns of a fork beside threads, as a thread may hold a lock. Ours are idle here, and a worker needs no lock.
                    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
                    process.start()
            except (OSError, EOFError) as error:  # no memory, too many processes, or a fork server that ended
                raise self._not_started(worker, error) from None
            finally:
                theirs.close()
            self._workers.append(worker)
        for worker in self._workers:
            try:
                answer = pickle.loads(worker.pipe.recv_bytes())
            except (EOFError, OSError):
                worker.process.join()
                raise self._not_started(worker, None) from None
            if answer is not None:
                remedy = "define its class at the top of a file of its own, or use workers=0"
                raise DataError(f"loader: source and prepare must be readable in a worker, got {answer}", remedy)
        memory.unlink()  # all have it open: now it ends with the last process, even if all are killed

    def _not_started(self, worker: Worker, error: Exception | None) -> LoaderError:
        code = worker.process.exitcode if error is None else None
        if code == UNGUARDED or (error is not None and self._method == "forkserver" and not isinstance(error, BlockingIOError)):
            rule = f'loader: a script that uses workers with {self._method!r} must have the line `if __name__ == "__main__":`'
            remedy = "put the code that trains below that line, or use workers=0"
            return LoaderError(f"{rule}, got one that starts them when it is imported", remedy)
        got = _end_in_words(code) if error is None else str(error) or type(error).__name__
        return LoaderError(f"loader: worker {worker.number} of {self.workers} must start, got {got}", FEWER)

    def _iterate(self, part: int, epoch: int, start: int, order: npt.NDArray[np.int64], rng: bool) -> Labeled:
        """The batches from `start` on, in order."""
        batches = self.parts[part]
        count = len(batches)
        self._turn += 1
        self._drop_ready()
        turn, sent = self._turn, start
        for batch in range(start, count):
            while True:
                memory = self._memory
                if turn != self._turn or memory is None:
                    rule = "loader: a loader must be entered, and gives the batches of one loop at a time"
                    raise CallOrderError(f"{rule}, got another loop or a loader that is closed; use `with Loader(...)`, one for each loop")
                while sent < count and memory.free:
                    chosen = order[batches.part(sent)]
                    self._send(Task(turn, part, epoch, sent, rng, memory.free.pop(0), chosen))
                    sent += 1
                if batch in self._ready:
                    break
                self._collect()
            chosen = order[batches.part(batch)]
            yield self._take(memory, batch), batches.labels[chosen]

    def _take(self, memory: Memory, batch: int) -> Floats:
        """The array of a batch that is ready: its slot, or a copy if otherwise no slot would be free for the next batch."""
        found = self._ready.pop(batch)
        if isinstance(found, Exception):
            raise found
        array = memory.lend(*found)
        return array if memory.free or any(worker.tasks for worker in self._workers) or self._ready else array.copy()

    def _send(self, task: Task) -> None:
        """Give a task to the worker that has the fewest."""
        worker = min(self._workers, key=lambda worker: len(worker.tasks))
        worker.tasks.append(task)
        try:
            worker.pipe.send_bytes(pickle.dumps(task))
        except OSError:
            raise self._ended(worker) from None

    def _collect(self) -> None:
        """Wait for an answer of a worker, and note it in `_ready`."""
        from multiprocessing import connection

        assert any(worker.tasks for worker in self._workers), "nothing would ever come"
        pipes = {worker.pipe: worker for worker in self._workers}
        connection.wait([*pipes, *(worker.process.sentinel for worker in self._workers)])
        for pipe, worker in pipes.items():
            try:
                while pipe.poll():
                    answer = pickle.loads(pipe.recv_bytes())
                    self._note(worker.tasks.popleft(), *answer)
            except (EOFError, OSError):
                raise self._ended(worker) from None
            if not worker.process.is_alive() and not pipe.poll():
                raise self._ended(worker)

    def _note(self, task: Task, kind: str, *answer: Any) -> None:
        assert self._memory is not None
        if kind == "done" and task.turn == self._turn:
            self._ready[task.batch] = (task.slot, *answer)
            return
        self._memory.free.append(task.slot)
        if task.turn == self._turn:
            self._ready[task.batch] = pickle.loads(answer[0])

    def _drop_ready(self) -> None:
        """Free the slots of batches that were prepared for a loop that did not take them."""
        for found in self._ready.values():
            if self._memory is not None and not isinstance(found, Exception):
                self._memory.free.append(found[0])
        self._ready.clear()

    def _ended(self, worker: Worker) -> LoaderError:
        """The error that names a worker which has ended, and what it was doing. The loader is closed."""
        worker.process.join(GRACE_S)
        doing, remedy = "its wait", FEWER
        if worker.tasks and self._memory is not None:
            task = worker.tasks[0]
            index = int(self._memory.notes[task.slot])
            doing = f"{task}, reading {name_of(self.parts[task.part].source, index)}" if index >= 0 else f"{task}, with all images read"
        got = _end_in_words(worker.process.exitcode)
        if worker.process.exitcode == -getattr(signal, "SIGKILL", 9):
            remedy = f"the system kills processes when memory runs out: {FEWER}"
        self.close()
        rule = f"loader: worker {worker.number} of {self.workers} must live as long as the loop"
        return LoaderError(f"{rule}, got {got} in {doing}", remedy)


def starts_processes() -> bool:
    """Whether this system has what worker processes need. WebAssembly, as in a browser, does not."""
    try:
        for name in ("connection", "shared_memory"):
            importlib.import_module(f"multiprocessing.{name}")
    except ImportError:
        return False
    return True


def name_of(source: Source, index: int) -> str:
    """An image of a source in words: its name, if the source has a method `name_of`, else its index."""
    named = getattr(source, "name_of", None)
    return f"{named(index)} (image {index})" if callable(named) else f"image {index}"


def _end_in_words(code: int | None) -> str:
    """How a process ended, such as "signal 9 (SIGKILL)"."""
    if code is not None and code < 0:
        known = {member.value: member.name for member in signal.Signals}
        return f"signal {-code} ({known[-code]})" if -code in known else f"signal {-code}"
    return f"exit code {code}"


def _end(workers: list[Worker], memory: Memory) -> None:
    """End all workers: those that wait end at once, one in the middle of a batch is killed after a while."""
    for worker in workers:
        try:
            worker.pipe.send_bytes(pickle.dumps(None))
        except OSError:
            continue
    until = time.monotonic() + GRACE_S
    for worker in workers:
        worker.process.join(max(0.0, until - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()
        worker.process.close()
    memory.unlink()
