"""One process for each exercise of each student, with limits of time and memory. This is no security sandbox.

The process is started in a session and a temporary folder of its own, without the environment and the import path of the user,
and is killed with everything that it started. It can still read files and use the network.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

import tinyalex
from tinyalex.tutor.exercise import Exercise
from tinyalex.tutor.finding import Finding
from tinyalex.tutor.guard import LIMIT_S, SLOWER
from tinyalex.tutor.result import Result, result_of

COUNTS_COMPUTING = importlib.util.find_spec("resource") is not None  # Windows has no such limit
LONGEST_LINE = 2**20  # bytes of a result; a real one has some hundred
KEPT = ("PATH", "PATHEXT", "HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "LANG",
        "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "XDG_CACHE_HOME", "MPLCONFIGDIR", "OPENBLAS_CORETYPE")  # fmt: skip
SET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
START = """\
import json, sys
job = json.loads(sys.stdin.buffer.readline())
sys.path[:0], sys.path[len(sys.path):] = job["first"], job["last"]
from importlib import import_module
import_module(job["module"]).main(job)
"""


@dataclass(frozen=True)
class Limits:
    """What a process may take.

    call_s: seconds of one call of a student's function. exercise_s: seconds of an exercise. Both are seconds of computing where the
        system counts them, and SLOWER times as many by the clock are allowed: a busy machine must not fail what is right.
    memory: bytes of address space, where the system can limit it.
    """

    call_s: float = LIMIT_S
    exercise_s: float = 60.0
    memory: int = 4 * 2**30

    @property
    def clock_s(self) -> float:
        """The seconds of an exercise by the clock."""
        return SLOWER * self.exercise_s if COUNTS_COMPUTING else self.exercise_s


@dataclass(frozen=True)
class Task:
    """An exercise of one file.

    name: what messages call the file. helpers: whether files beside it may be imported.
    seed, sizes: of the calls. every: whether to try all functions, also behind a finding.
    """

    exercise: Exercise
    path: Path
    name: str
    seed: int = 0
    sizes: int = 0
    helpers: bool = False
    every: bool = False


@dataclass(frozen=True)
class Answer:
    """What came of a process.

    document: its answer, None where it gave none. late: whether its time was up. how: how it ended, such as "exit code 3".
    """

    document: Any
    late: bool
    how: str


class Processes:
    """Runs tasks, some at a time. As a context manager: at its end, however it comes, no process is left."""

    def __init__(self, workers: int, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._pool = ThreadPoolExecutor(workers, "tutor")
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock, self._closed = threading.Lock(), False

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *stopped_by: object) -> None:
        with self._lock:
            self._closed = stopped_by[0] is not None
            for process in self._running if self._closed else ():
                kill(process)
        self._pool.shutdown(cancel_futures=self._closed)

    def start(self, task: Task) -> Future[Result]:
        """The result, as soon as one of the workers is free and the process has ended."""
        return self._pool.submit(self._run, task)

    def _run(self, task: Task) -> Result:
        job = {"exercise": task.exercise.key, "seed": task.seed, "sizes": task.sizes, "every": task.every}
        answer = self.ask("tinyalex.tutor.runner", task.path, task.name, job, task.helpers)
        return _without_answer(task, self.limits, answer) if answer.document is None else result_of(answer.document)

    def ask(
        self, module: str, path: Path, name: str, job: Mapping[str, Any], helpers: bool, told: Callable[[Any], None] = lambda said: None
    ) -> Answer:
        """Let `module.main` do a job in a process of its own, and wait for its answer.

        path, name: the student's file, and what messages call it. helpers: whether files beside it may be imported.
        told: gets what the process says before it answers, see `runner.say`; called in a thread.
        """
        nonce = secrets.token_hex(16)
        with tempfile.TemporaryDirectory(prefix="tinyalex-", ignore_cleanup_errors=True) as folder, self._process(folder) as process:
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            with contextlib.suppress(OSError):  # it has ended already
                whole = self._shared(path, name, helpers) | {"module": module, "nonce": nonce} | dict(job)
                process.stdin.write(json.dumps(whole).encode() + b"\n")
                process.stdin.flush()
            answer: list[bytes] = []
            listener = threading.Thread(target=_listen, args=(process.stdout, nonce.encode(), answer, told), daemon=True)
            listener.start()
            listener.join(self.limits.clock_s)
            late = listener.is_alive()
            kill(process)  # what the student started too; before anybody waits for the process, so that its number is still its own
            code = process.wait()
            listener.join(1)
            if listener.is_alive():  # a process that left the session holds the pipe's other end: closing ours would wait for it
                process.stdout = None
            if not answer and not late and (error := process.stderr.read(LONGEST_LINE)):  # of the tutor: the student's goes nowhere
                raise RuntimeError(f"the process of {name} could not start:\n{error.decode(errors='replace')}")
        how = f"signal {signal.strsignal(-code) or -code}" if code < 0 else f"exit code {code}"
        return Answer(json.loads(answer[0]) if answer else None, late or -code == getattr(signal, "SIGXCPU", None), how)

    def _shared(self, given: Path, name: str, helpers: bool) -> dict[str, Any]:
        path = Path(os.path.abspath(given))
        return {
            "path": str(path), "name": name, "folder": str(path.parent) if helpers else None, "call_s": self.limits.call_s,
            "exercise_s": self.limits.exercise_s, "memory": self.limits.memory, "first": [str(Path(tinyalex.__file__).parents[1])],
            "last": [str(Path(np.__file__).parents[1])],
        }  # fmt: skip

    @contextlib.contextmanager
    def _process(self, folder: str) -> Iterator[subprocess.Popen[bytes]]:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= SET | {"TMPDIR": folder, "TEMP": folder, "TMP": folder}
        pipe = subprocess.PIPE
        with self._lock:
            if self._closed:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-X", "utf8", "-c", START],
                stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=environment, start_new_session=True,
            )  # fmt: skip
            self._running.add(process)
        try:
            yield process
        finally:
            with self._lock:
                self._running.discard(process)
            kill(process)
            for stream in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    if stream is not None:
                        stream.close()
            process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, at once."""
    if process.returncode is not None:
        return
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)


def _listen(stream: IO[bytes], nonce: bytes, answer: list[bytes], told: Callable[[Any], None]) -> None:
    """Wait for the line that begins with the nonce; hand on those in which a sign + follows it; what else comes is forgotten."""
    with contextlib.suppress(OSError, ValueError):
        while line := stream.readline(LONGEST_LINE):
            if line.startswith(nonce + b"+"):
                told(json.loads(line.removeprefix(nonce + b"+")))
            elif line.startswith(nonce):
                answer.append(line.removeprefix(nonce))
                return


def _without_answer(task: Task, limits: Limits, answer: Answer) -> Result:
    numbers = {"file": task.name, "exercise": task.exercise.key, "limit": f"{limits.exercise_s:g}", "code": answer.how}
    finding = Finding("process.too_long" if answer.late else "process.ended", task.exercise.key, "", "file", numbers=numbers)
    return Result(task.exercise.key, {function.name: "not looked at" for function in task.exercise.functions}, 0, (finding,))
