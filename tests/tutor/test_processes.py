"""A student's code in a process of its own: it ends in time, with all that it started, and its answer is the tutor's."""

from __future__ import annotations

import os
import select
import sys
import time

import pytest

from tinyalex.tutor import processes as module
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.processes import Limits, Processes, Task
from tinyalex.tutor.result import result_of
from tinyalex.tutor.runner import limit_this_process, try_exercise

E06 = EXERCISES["E06"]
HEAD = "import os, subprocess, sys, threading, time\nimport numpy as np\ndef max_pool(x, kernel, stride):\n"
posix = pytest.mark.skipif(os.name != "posix", reason="this system has no sessions")


@pytest.fixture
def result(tmp_path):
    """(the body of max_pool) -> what a process of its own makes of it."""

    def run(body, head=HEAD, **limits):
        path = tmp_path / "mine.py"
        path.write_text(head + "".join(f"    {line}\n" for line in body.split("\n")))
        with Processes(1, Limits(**{"call_s": 0.3, "exercise_s": 20} | limits)) as processes:
            return processes.start(Task(E06, path, "mine.py")).result()

    return run


def test_bad_functions_get_the_finding_that_check_has(result):
    noise = "for fd in range(1, 9):\n    try: os.write(fd, b'noise')\n    except OSError: pass"
    body = f"print('{{}}')\nsys.stdout = None\n{noise}\nreturn x.mean((2, 3))"
    found = result(body)
    assert found.finding.key == "contract.shape" and found.states == {"max_pool": "finding", "max_pool_backward": "not looked at"}
    assert result_of(found.document()) == found and found.seconds > 0 and found.points == 0


def test_endless_loop_of_python_ends_by_the_limit_of_a_call(result):
    found = result("while True:\n    try: time.sleep(0.01)\n    except: pass")
    assert found.finding.key == "contract.endless" and "within 0.3 seconds" in found.text()


@posix
def test_what_python_cannot_stop_ends_by_its_computing_with_what_it_started(result, tmp_path):
    os.mkfifo(tmp_path / "held")
    held = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    start = f"held = os.open({str(tmp_path / 'held')!r}, os.O_WRONLY)\nos.write(held, b'on')"
    body = f"{start}\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'], pass_fds=[held])\nsum(range(10**11))"
    found = result(body, exercise_s=1.5)
    assert found.text() == (
        "mine.py: E06 must end within 1.5 seconds, got no end; it was stopped: does one call do very much, or wait for something?"
    )
    assert os.read(held, 9) == b"on"
    assert select.select([held], [], [], 30)[0] == [held] and os.read(held, 9) == b""  # the end of it: nobody holds the other side
    os.close(held)


def test_process_that_ends_itself_or_is_left_with_a_thread(result):
    found = result("os._exit(3)")
    assert found.text().startswith("mine.py: E06 must end by returning its results, got a process that ended with exit code 3")
    assert result("os.kill(os.getpid(), 9)").finding.numbers["code"] in ("signal Killed", "exit code 9")
    assert result("threading.Thread(target=time.sleep, args=(30,)).start()\nreturn 1").finding.key == "contract.no_array"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this system does not limit the address space")
def test_memory_has_a_limit(result):
    found = result("return np.ones(2**30)", memory=2 * 2**30)
    assert found.finding.key == "contract.raises" and "MemoryError" in found.text()


def test_process_has_its_own_folder_and_nothing_of_the_environment(result, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_TEACHER", "1")
    monkeypatch.chdir(tmp_path)
    checks = f"assert 'SECRET_OF_THE_TEACHER' not in os.environ and os.getcwd() != {str(tmp_path)!r}"
    body = f"{checks}\nopen('litter', 'w').close()\nraise OSError(os.getcwd())"
    found = result(body)
    text = found.text()
    assert "OSError: " in text and not os.path.exists(found.finding.numbers["error"].removeprefix("OSError: "))
    assert os.listdir(tmp_path) == ["mine.py"]


def test_file_that_cannot_be_imported_is_a_finding_of_each_exercise(result):
    found = result("pass", "raise ValueError('no')\n" + HEAD)
    assert found.text() == (
        "mine.py: the code must run without an error, got ValueError: no in line 1; mend that line, or delete it where no function needs it"
    )


def test_stopping_leaves_no_process(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("sum(range(10**11))\n" + HEAD + "    return 1\n")
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt), Processes(1) as processes:
        futures = [processes.start(Task(E06, path, "mine.py")) for _ in range(3)]
        while not processes._running:
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert time.perf_counter() - start < 10 and not processes._running and futures[2].cancelled()


def test_tutor_that_does_not_start_is_a_bug_and_not_hidden(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "START", "import no_such_module_at_all")
    with Processes(1) as processes, pytest.raises(RuntimeError, match="no_such_module_at_all"):
        processes.start(Task(E06, tmp_path / "mine.py", "mine.py")).result()


def test_system_without_limits_does_without(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    limit_this_process(1, 1)


def test_marks_look_at_all_functions_and_check_stops_at_the_first_finding(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(HEAD + "    return 1\ndef max_pool_backward(dout, x, kernel, stride):\n    return 2\n")
    assert try_exercise(E06, path, "mine.py", 0, 0, False).states["max_pool_backward"] == "not looked at"
    assert try_exercise(E06, path, "mine.py", 0, 0, True).states["max_pool_backward"] == "finding"
    sys.modules.pop("mine", None)


RIGHT = HEAD + """\
    {slow}
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))
    return windows[:, :, ::stride, ::stride].max((-2, -1))
"""


@posix
def test_busy_machine_fails_no_function_that_is_right(tmp_path):
    """Other programs compute meanwhile: the clock passes the limit of a call and of the exercise, the computing does not."""
    path = tmp_path / "mine.py"
    path.write_text(RIGHT.format(slow="time.sleep(0.25)"))  # as long as somebody else computes
    with Processes(1, Limits(call_s=0.2, exercise_s=2)) as processes:
        start = time.perf_counter()
        found = processes.start(Task(E06, path, "mine.py")).result()
    assert found.states["max_pool"] == "right", found.text()
    assert time.perf_counter() - start > 2


@posix
def test_process_that_waits_ends_by_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SLOWER", 2)
    path = tmp_path / "mine.py"
    path.write_text("import time\ntime.sleep(60)\n" + HEAD + "    return 1\n")
    start = time.perf_counter()
    with Processes(1, Limits(exercise_s=1)) as processes:
        assert "E06 must end within 1 seconds" in processes.start(Task(E06, path, "mine.py")).result().text()
    assert 2 <= time.perf_counter() - start < 20
