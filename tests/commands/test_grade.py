"""`tinyalex grade`."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tinyalex import cli
from tinyalex.commands import grade as command
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.grading import RESULTS, Graded
from tinyalex.tutor.result import Result

STUB = "def max_pool(x, kernel, stride):\n    raise NotImplementedError\n"
SWAPS = "def max_pool(x, kernel, stride):\n    import os\n    os.system('echo noise')\n    return -x\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYALEX_LANG", raising=False)
    return tmp_path


@pytest.fixture
def ready(monkeypatch):
    """Marks without processes: every submission has all right, but for those named in the returned set."""
    wrong = set()

    def grade(handed, way, known, workers, told):
        for one in handed:
            if one.name not in known:
                told(one.name, True, len(handed))
            yield known.get(one.name) or Graded(one.name, "0", (Result("E06", {"max_pool": "todo" if one.name in wrong else "right"}, 10),))

    monkeypatch.setattr(command, "grade", grade)
    return wrong


def test_one_file_in_processes_of_its_own(folder, capfd):
    (folder / "mine.py").write_text(SWAPS)
    assert cli.main(["grade", "mine.py", "--exercises", "e06", "--gradescope", "results.json", "--jobs", "1"]) == 1
    out, err = capfd.readouterr()
    assert out.startswith("mine.py: 0 of 5 points\n\nE06 ") and "noise" not in out and "has the shape" in out and err == ""
    assert "no security sandbox" in out and json.loads((folder / "results.json").read_text())["score"] == 0
    assert not (folder / RESULTS).exists()


def test_folder_goes_on_and_exits_by_what_is_right(folder, ready, capsys):
    (folder / "class").mkdir()
    for name in ("anna.py", "bert.py"):
        (folder / "class" / name).write_text(STUB)
    ready.add("bert.py")
    assert cli.main(["grade", "class", "--csv", "a.csv", "--png", "a.png", "--json", "a.json"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("2 submissions; 2.5 of 5 points")
    assert err.startswith("1 of 2 exercises, about ") and err.endswith("2 of 2 exercises, about 0 s left: bert.py\n")
    assert {file.name for file in folder.iterdir()} == {"class", "a.csv", "a.png", "a.json"}
    assert len(json.loads((folder / "class" / RESULTS).read_text())["submissions"]) == 2
    ready.clear()
    assert cli.main(["grade", "class"]) == 1  # the marks of the first run count
    assert capsys.readouterr().err == ""
    assert cli.main(["grade", "class", "--out", "elsewhere", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True and (folder / "elsewhere" / RESULTS).exists()


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(folder, monkeypatch, capsys):
    for name in ("anna.py", "bert.py"):
        (folder / name).write_text(STUB)

    def grade(handed, way, known, workers, told):
        yield Graded("anna.py", "0", (Result("E06", {"max_pool": "right"}),))
        signal.raise_signal(signal.SIGINT)
        time.sleep(1)

    monkeypatch.setattr(command, "grade", grade)
    assert cli.main(["grade", "."]) == 130
    assert "grade: stopped after 1 of 2 submissions; the same command goes on with the others" in capsys.readouterr().err
    assert len(json.loads((folder / RESULTS).read_text())["submissions"]) == 1


BAD = {
    "no such file": (["grade", "mine.ipynb"], "mine.ipynb: the file must be there, got none of that name"),
    "Chinese": (["grade", "mine.ipynb", "--lang", "zh"], "mine.ipynb：文件必须存在"),
    "folder without submissions": (["grade", "."], ".: the folder must hold submissions"),
    "unknown exercise": (["grade", "a.py", "--exercises", "E99"], "grade: --exercises must be "),
    "no jobs": (["grade", "a.py", "--jobs", "0"], "grade: --jobs must be an integer of at least 1, got 0"),
    "seed": (["grade", "a.py", "--seed", "-1"], "grade: --seed must be an integer of at least 0, got -1"),
    "limit": (["grade", "a.py", "--limit", "0"], "grade: --limit must be a number of seconds from 1 to 3600, got 0.0"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_exits_2(what, capsys):
    argv, text = BAD[what]
    assert cli.main(argv) == 2
    assert text in capsys.readouterr().err


def test_folder_for_gradescope_and_other_results_exit_2(folder, capsys):
    (folder / "a.py").write_text("x = ")
    assert cli.main(["grade", ".", "--gradescope", "r.json"]) == 2
    assert "grade: --gradescope must be given with one file, got the folder ." in capsys.readouterr().err
    assert cli.main(["grade", "."]) == 2  # no file of the folder can be used
    assert 'a.py: the code must be Python, got "invalid syntax" in line 1' in capsys.readouterr().err
    (folder / RESULTS).write_text("{}")
    assert cli.main(["grade", "."]) == 2
    assert f"{RESULTS}: the file must hold the marks of an earlier run" in capsys.readouterr().err


def test_file_that_cannot_be_used_is_told_to_gradescope(folder, capsys):
    (folder / "a.py").write_text("x = ")
    assert cli.main(["grade", "a.py", "--gradescope", "r.json"]) == 2
    document = json.loads((folder / "r.json").read_text())
    assert document["score"] == 0 and len(document["tests"]) == len(EXERCISES)
    assert document["output"].startswith("a.py: the code must be Python")


def test_one_call_has_at_most_half_of_the_limit(folder, monkeypatch):
    ways = []
    monkeypatch.setattr(command, "_graded", lambda handed, way, kept, workers: ways.append(way) or [Graded("a", "", (), "no")])
    (folder / "a.py").write_text(STUB)
    for limit in ("3", "60"):
        cli.main(["grade", "a.py", "--limit", limit])
    assert [(way.limits.call_s, way.limits.exercise_s) for way in ways] == [(1.5, 3), (10, 60)]


def test_help_says_that_it_is_no_sandbox(capsys):
    assert cli.main(["grade", "--help"]) == 0
    assert "This is no security sandbox" in capsys.readouterr().out
