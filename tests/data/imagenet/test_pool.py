"""Work shared by processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tinyalex
from tests.contract import refuses
from tinyalex.data.imagenet.pool import Stopped, share
from tinyalex.errors import DataError, OutOfMemory

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # Python 3.12 and later
METHODS = ("spawn", "fork") if os.name == "posix" else ("spawn",)


def squares(shared, setup):
    """Tasks that count themselves, and return their square."""

    def task(number):
        shared.check()
        with shared.alone, shared.alone, shared.together:  # a lock that a process may take twice
            shared.count()
        if number == setup:
            raise DataError(f"task: number must not be {setup}, got it")
        return number * number

    return task


def deadly(shared, setup):
    """A task that kills its process, as the system does when memory is short."""

    def task(number):
        os.kill(os.getpid(), signal.SIGKILL)

    return task


def slow(shared, setup):
    """Tasks that would take a minute if they were not stopped."""

    def task(number):
        for _ in range(6000):
            shared.check()
            if number == setup:
                raise DataError(f"task: number must not be {setup}, got it")
            time.sleep(0.01)

    return task


@pytest.mark.parametrize(("processes", "method"), [(1, "spawn"), *((2, method) for method in METHODS)])
def test_results_and_counts(processes, method):
    ticks = []
    assert sorted(share(range(9), squares, -1, processes=processes, tick=ticks.append, method=method)) == [k * k for k in range(9)]
    assert ticks == sorted(ticks) and (ticks[-1] == 9 or processes > 1)


def test_no_tasks():
    assert list(share([], squares, -1, processes=2, tick=lambda done: None)) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_error_of_a_task_is_raised_as_it_is(processes):
    with refuses(DataError, "task: number must not be 4, got it"):
        list(share(range(9), squares, 4, processes=processes, tick=lambda done: None))


def test_error_stops_the_other_tasks_at_once():
    began = time.monotonic()
    with refuses(DataError, "task: number must not be 1, got it"):
        list(share(range(9), slow, 1, processes=2, tick=lambda done: None))
    assert time.monotonic() - began < 50


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("method", METHODS)
def test_process_that_dies_is_told(method):
    with refuses(OutOfMemory, "processes: each of them must live until its work is done, got one that was killed") as caught:
        list(share([1, 2], deadly, None, processes=2, tick=lambda done: None, method=method))
    assert caught is None and OutOfMemory.exit_code == 1


def test_stopped_is_raised_in_a_task():
    import multiprocessing

    from tinyalex.data.imagenet.pool import _Among

    shared = _Among(multiprocessing.get_context("spawn"))
    shared.check()
    shared.stop.set()
    with pytest.raises(Stopped):
        shared.check()


PARENT = """
import sys, time
from tests.data.imagenet.test_pool import slow
from tinyalex.data.imagenet.pool import share
if __name__ == "__main__":
    for _ in share(range(4), slow, -1, processes=2, tick=lambda done: print(done, flush=True), method=sys.argv[1]):
        pass
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found in /proc")
@pytest.mark.parametrize("method", METHODS)
def test_processes_end_when_their_parent_is_killed(tmp_path, method):
    (tmp_path / "parent.py").write_text(PARENT)
    root = Path(tinyalex.__file__).parents[1]
    run = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", method], env=os.environ | {"PYTHONPATH": str(root)}, cwd=root, stdout=subprocess.PIPE
    )
    run.stdout.readline()
    deadline = time.monotonic() + 60
    while len(children := Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()) < 2:
        assert time.monotonic() < deadline
    time.sleep(1)
    run.kill()
    run.wait()
    run.stdout.close()
    while any(alive(pid) for pid in children):
        assert time.monotonic() < deadline, children
        time.sleep(0.05)


def alive(pid):
    """Whether a process runs; a dead one whose parent has not asked for it yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
