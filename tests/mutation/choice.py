"""Which tests to run for a change: those that execute its statement, in the order in which they are likely to notice it soon."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
AT_FIRST = 3.0  # seconds of tests that a change is given before all near ones are run for several changes at once


@dataclass
class Records:
    """What tests execute, as recorded for the shipped tree.

    seconds: of each test. executed: file -> line -> tests. starts: tests that start a process, which executes lines unseen.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    executed: dict[str, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    starts: set[str] = field(default_factory=set)

    def add(self, document: dict[str, Any]) -> None:
        """Add one document that a `Recorder` wrote."""
        tests = list(document["tests"])
        self.seconds |= document["tests"]
        self.starts |= {tests[number] for number in document["starts"]}
        for file, lines in document["lines"].items():
            for line, numbers in lines.items():
                self.executed[file][int(line)] |= {tests[number] for number in numbers}


def lines_of(tree: ast.Module, line: int, column: int) -> range | None:
    """The lines of the statement around a place, without the statements inside it; of a `def`'s defaults its body; None at module level.

    line: the first is 1. column: in bytes of UTF-8. What a class or a module says is executed by an import, which no test is asked about.
    """
    around = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _begin(node) <= (line, column) < _end(node)]
    if not around:
        return None
    found = max(around, key=_begin)  # the innermost one begins last
    if isinstance(found, FUNCTIONS):
        return range(found.body[0].lineno, _end(found)[0] + 1)
    if not any(isinstance(node, FUNCTIONS) for node in around):
        return None
    body = getattr(found, "body", None)
    return range(found.lineno, max(found.lineno + 1, body[0].lineno) if body else _end(found)[0] + 1)


def _begin(node: ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.stmt) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


class Chooser:
    """Chooses tests, and remembers which of them noticed changes of a file: they are likely to notice the next one."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self._ran, self._noticed = defaultdict[str, Counter[str]](Counter), defaultdict[str, Counter[str]](Counter)

    def near(self, near: list[str]) -> list[str]:
        """All tests of the given files and folders, the quick ones first."""
        found = [test for test in self.records.seconds if _is_of(test, near)]
        return sorted(found, key=self.records.seconds.__getitem__)

    def choose(self, file: str, lines: range | None, near: list[str]) -> list[str]:
        """The near tests that execute one of the lines of a file, those that are worth most; of all near ones where none does."""
        close, executed = set(self.near(near)), self.records.executed[file]
        chosen = close & set().union(*(executed.get(line, ()) for line in lines or ()))
        chosen = chosen | close & self.records.starts if chosen else close  # what only an import executes counts for all
        room, found = AT_FIRST, []
        for test in sorted(chosen, key=lambda test: (-self._worth(file, test, _is_of(test, near[:-1])), test)):
            room -= self.records.seconds[test]
            if room >= 0 or not found:
                found.append(test)
        return found

    def _worth(self, file: str, test: str, closest: bool) -> float:
        """How likely the test notices a change of the file, for each second."""
        before = 0.2 if closest else 0.1
        likely = (self._noticed[file][test] + before) / (self._ran[file][test] + 1)
        return likely / (self.records.seconds[test] + 0.02)

    def learn(self, file: str, ran: list[str], by: str | None) -> None:
        """Remember which tests ran, and which of them noticed the change."""
        self._ran[file].update(ran)
        if by is not None:
            self._noticed[file][by] += 1


def _is_of(test: str, places: list[str]) -> bool:
    path = test.partition("::")[0]
    return any(path == place or path.startswith(place + "/") for place in places)


def files_of_tests(tests: list[str]) -> list[str]:
    """The files of the tests, each once, in their order."""
    return list(dict.fromkeys(test.partition("::")[0] for test in tests))


def first_of(tests: list[str], files: int = 2, most: int = 40) -> list[str]:
    """The tests of the first few files: importing the others takes longer than these tests."""
    few = set(files_of_tests(tests)[:files])
    return [test for test in tests if test.partition("::")[0] in few][:most]
