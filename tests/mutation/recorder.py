"""Which tests execute which lines of the package: a pytest plugin around the `coverage` package, one context for each test."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

try:
    import coverage
except ImportError:
    coverage = None

STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}  # events of a test whose lines are not all seen


class Recorder:
    """Records lines, seconds and failures of the tests of one session.

    The lines of a fixture that several tests share count for each test that asks for it. A test that starts a process is named
    in `starts`: what that process executes is not seen. Without the coverage package nothing is: all tests are named there.
    """

    def __init__(self, tree: str) -> None:
        self.tree = Path(tree)
        self.seconds, self.failed, self.starts = defaultdict[str, float](float), set[str](), set[str]()
        self.fixtures: dict[str, list[str]] = {}  # test -> the contexts of its shared fixtures
        self.context = ""
        self.coverage = coverage and coverage.Coverage(data_file=None, config_file=False, include=[f"{tree}/tinyalex/*"])
        if self.coverage:
            self.coverage.start()
        sys.addaudithook(lambda event, _: self.starts.add(self.context) if event in STARTS else None)

    def _switch(self, context: str) -> None:
        self.context = context
        if self.coverage:
            self.coverage.switch_context(context)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._switch(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.fixtures[item.nodeid] = [f"fixture {name}" for name in getattr(item, "fixturenames", ())]

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        before = self.context
        if fixturedef.scope != "function":
            self._switch(f"fixture {fixturedef.argname}")
        try:
            return (yield)
        finally:
            if self.context != before:
                self._switch(before)

    def write(self, path: str) -> None:
        """Write what was recorded: tests with their seconds, and for each file and line the numbers of the tests that execute it."""
        tests = [test for test in self.seconds if test not in self.failed]
        users = defaultdict[str, set[int]](set)
        for number, test in enumerate(tests):
            for context in (test, *self.fixtures.get(test, ())):
                users[context].add(number)
        lines = {}
        if self.coverage:
            self.coverage.stop()
            data = self.coverage.get_data()
        for file in data.measured_files() if self.coverage else ():
            numbers = {line: set().union(*(users[c] for c in contexts)) for line, contexts in data.contexts_by_lineno(file).items()}
            lines[Path(file).relative_to(self.tree).as_posix()] = {line: sorted(tests) for line, tests in numbers.items() if tests}
        starts = sorted(set().union(*(users[context] for context in self.starts))) if self.coverage else list(range(len(tests)))
        seconds = {test: round(self.seconds[test], 4) for test in tests}
        document = {"tests": seconds, "starts": starts, "failed": sorted(self.failed), "lines": lines}
        Path(path).write_text(json.dumps(document), "utf-8")
