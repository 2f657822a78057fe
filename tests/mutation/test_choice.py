"""Only tests that execute a changed statement are chosen, those first that noticed other changes of the file."""

import ast
import json
import os

import pytest

from tests.mutation import runner, server
from tests.mutation.changes import changes
from tests.mutation.choice import Chooser, Records, first_of, lines_of

SOURCE = """LIMIT = 3

class Shape:
    sides: int = 4

def area(a, b=2,
         c=5):
    if a < 0 and (
        b < 0
    ):
        return 6
    for i in range(7):
        a += i
    return (a *
            8)
"""


@pytest.mark.parametrize(
    "value, lines",
    [(3, None), (4, None), (2, (8, 15)), (5, (8, 15)), (0, (8, 10)), (6, (11, 11)), (7, (12, 12)), (8, (14, 15))],
)
def test_lines_of_the_statement_around_a_change(value, lines):
    change = next(change for change in changes(SOURCE) if change.kind == "constant" and change.before == str(value))
    column = change.start - len("".join(SOURCE.splitlines(keepends=True)[: change.line - 1]))
    found = lines_of(ast.parse(SOURCE), change.line, column)
    assert (found and (found.start, found.stop - 1)) == lines


@pytest.fixture
def chooser():
    records = Records()
    records.add(
        {
            "tests": {
                "tests/x/test_y.py::slow": 2.0,
                "tests/x/test_y.py::quick": 0.1,
                "tests/x/test_z.py::other": 0.1,
                "tests/x/test_z.py::run": 1.0,
            },
            "starts": [3],
            "lines": {"tinyalex/x/y.py": {"5": [0, 1], "6": [2]}},
        }
    )
    records.add({"tests": {"tests/far/test_a.py::a": 0.1}, "starts": [0], "lines": {"tinyalex/x/y.py": {"5": [0], "6": [0]}}})
    return Chooser(records)


NEAR = ["tests/x/test_y.py", "tests/x"]


def test_near_tests_that_execute_a_line_are_chosen_quick_ones_first(chooser):
    assert chooser.choose("tinyalex/x/y.py", range(6, 7), NEAR) == ["tests/x/test_z.py::other", "tests/x/test_z.py::run"]
    assert chooser.choose("tinyalex/x/y.py", range(5, 6), NEAR) == [
        "tests/x/test_y.py::quick",
        "tests/x/test_y.py::slow",
    ]  # run has no room
    for lines in (None, range(8, 9)):  # an import executes it, or nothing: all near ones
        assert chooser.choose("tinyalex/x/y.py", lines, NEAR)[:2] == ["tests/x/test_y.py::quick", "tests/x/test_z.py::other"]


def test_a_test_that_noticed_a_change_comes_first_for_the_next(chooser):
    for _ in range(20):
        chooser.learn("tinyalex/x/y.py", ["tests/x/test_y.py::quick", "tests/x/test_y.py::slow"], "tests/x/test_y.py::slow")
    assert chooser.choose("tinyalex/x/y.py", range(5, 6), NEAR)[0] == "tests/x/test_y.py::slow"
    assert chooser.choose("tinyalex/x/z.py", None, NEAR)[0] == "tests/x/test_y.py::quick"


def test_first_tests_are_of_few_files():
    tests = ["a.py::1", "b.py::1", "c.py::1", "a.py::2", "a.py::3"]
    assert first_of(tests, files=2, most=3) == ["a.py::1", "b.py::1", "a.py::2"]


def test_recorder_sees_which_test_executes_which_line(tmp_path):
    pytest.importorskip("coverage", reason="without it each test counts as executing everything, which test_runner shows")
    (tmp_path / "tinyalex").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tinyalex" / "loss.py").write_text("def f(a):\n    if a:\n        return 1\n    return 2\n\ndef g():\n    return 3\n")
    (tmp_path / "tests" / "test_loss.py").write_text(
        "import os, sys, subprocess, pytest\nfrom tinyalex.loss import f, g\n\n"
        "@pytest.fixture(scope='module')\ndef shared():\n    return g()\n\n"
        "def test_one(shared):\n    f(1)\n\ndef test_two(shared):\n    f(0)\n\ndef test_bad():\n    assert False\n\n"
        "def test_start():\n    subprocess.run([sys.executable, '-c', ''])\n"
    )
    with runner.Server(tmp_path) as tree:
        tree.ask(files=["tests/test_loss.py"], record=str(tmp_path / "record.json"))
    found = json.loads((tmp_path / "record.json").read_text())
    names = [test.rpartition("::")[2] for test in found["tests"]]
    lines = {int(line): [names[test] for test in tests] for line, tests in found["lines"]["tinyalex/loss.py"].items()}
    assert lines == {2: ["test_one", "test_two"], 3: ["test_one"], 4: ["test_two"], 7: ["test_one", "test_two"]}
    assert [names[test] for test in found["starts"]] == ["test_start"] and found["failed"] == ["tests/test_loss.py::test_bad"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each change runs in a forked process")
def test_a_child_that_cannot_run_is_no_noticed_change(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError

    monkeypatch.setattr(server, "child", broken)
    assert server.run_child({"tree": str(tmp_path), "files": []})["outcome"] == "broken"
