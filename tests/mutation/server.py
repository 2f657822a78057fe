"""A process that forks one child for each run of tests, with pytest and the libraries that it is given already loaded.

    python -m tests.mutation.server numpy hypothesis ... < requests > answers          each a JSON document a line

The package and its tests are not loaded here: each child imports them from the tree that its request names.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

import pytest

from tests.mutation.recorder import Recorder

SLOWER, LEAST_CPU, LEAST_WALL = 10, 3.0, 15.0  # a test may take so many times its usual seconds, and these besides
NO_TESTS, BROKEN = 5, 70  # exit codes of pytest, and of a child that cannot run it
MEMORY = 8 << 30  # bytes of addresses of a child: a change that asks for too much gets a MemoryError


class Chosen:
    """The pytest plugin of a child: of what the files hold it runs only the chosen tests, in the chosen order.

    seconds: how long each takes usually, by node id, in the order to run them. whole: whether the others of the files follow them.
    recorded: whether a failure ends nothing. say: takes a line when a test begins.
    """

    def __init__(self, seconds: dict[str, float], whole: bool, recorded: bool, say: Any) -> None:
        self.seconds, self.whole, self.recorded, self.say = seconds, whole, recorded, say

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        rank = {test: number for number, test in enumerate(self.seconds)}
        items[:] = sorted((item for item in items if self.whole or item.nodeid in rank), key=lambda item: rank.get(item.nodeid, len(rank)))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        usual = self.seconds.get(nodeid, 2.0)
        signal.setitimer(signal.ITIMER_PROF, LEAST_CPU + SLOWER * usual)  # seconds of processor: then the child ends
        self.say(f"{LEAST_WALL + SLOWER * usual} {nodeid}\n".encode())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.recorded:
            os._exit(1)  # that is all that was asked: tidying up takes longer than most tests


def child(request: dict[str, Any], say: Any) -> int:
    """Run the tests of a request; pytest's exit code."""
    tree, recorded = request["tree"], request.get("record")
    shipped = recorded or request.get("compile")
    os.chdir(tree)
    os.environ.update(PYTHONPATH=tree, PYTHONDONTWRITEBYTECODE="" if shipped else "1", CI="1")
    sys.path[:] = [tree, *(path for path in sys.path[1:] if path not in ("", os.environ.get("MUTATION_ROOT")))]
    sys.dont_write_bytecode = not shipped  # compiled once, of the shipped tree
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "tinyalex")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    plugins: list[Any] = [Chosen(request.get("seconds", {}), bool(shipped or request.get("whole")), bool(recorded), say)]
    if recorded:
        plugins.append(Recorder(tree))
    else:
        limit_memory()
    files = request["files"]
    loaded = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"  # hypothesis, before pytest looked at it
    options = ["-q", "--tb=no", "-p", "no:cacheprovider", "-m", "not slow", "-W", loaded]
    options += ["--collect-only"] if request.get("compile") else [] if recorded else ["-x"]
    code = int(pytest.main([*options, *files], plugins))
    if recorded:
        plugins[1].write(recorded)
    return code


def limit_memory() -> None:
    """Bound the addresses of this process."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run_child(request: dict[str, Any]) -> dict[str, Any]:
    """The outcome of a request: "passed", "failed" or "time"; the last test that began; the seconds."""
    read, write = os.pipe()
    begun, said, wait = time.monotonic(), b"", LEAST_WALL * 4
    pid = os.fork()
    if pid == 0:
        code = BROKEN
        try:
            os.setsid()
            os.close(read)
            nothing = os.open(os.devnull, os.O_RDWR)
            output = nothing if "output" not in request else os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for number in range(3):
                os.dup2(output if number else nothing, number)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            code = child(request, lambda text: os.write(write, text))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    os.close(write)
    outcome = "time"
    try:
        while select.select([read], [], [], wait)[0]:
            text = os.read(read, 1 << 16)
            if not text:
                break
            said += text
            with suppress(ValueError, IndexError):
                wait = float(said.splitlines()[-1].split(b" ", 1)[0])
        if select.select([read], [], [], 0)[0]:  # closed: the child has ended, or soon will
            status = os.waitpid(pid, 0)[1]
            pid = 0
            if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGPROF:
                outcome = {0: "passed", NO_TESTS: "passed", BROKEN: "broken"}.get(os.waitstatus_to_exitcode(status), "failed")
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL) if pid else None
        if pid:
            os.waitpid(pid, 0)
        os.close(read)
    tests = [line.split(b" ", 1)[1].decode() for line in said.splitlines() if b" " in line]
    return {"outcome": outcome, "tests": tests, "seconds": time.monotonic() - begun}


def serve() -> None:
    """Answer requests until there are no more."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.freeze()  # children need not look at what was loaded here
    for line in sys.stdin:
        print(json.dumps(run_child(json.loads(line))), flush=True)


if __name__ == "__main__":
    serve()
