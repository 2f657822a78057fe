"""`tinyalex check`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tinyalex
from tests.contract import refuses
from tinyalex import cli
from tinyalex.commands import check
from tinyalex.errors import TinyalexError
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.result import Result, not_written

RIGHT = """
import numpy as np
def max_pool(x, kernel, stride):
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride].max((-2, -1))
"""
WRONG = RIGHT.replace(".max(", ".mean(")
STUB = "\ndef max_pool_backward(dout, x, kernel, stride):\n    raise NotImplementedError\n"
SHORTCUT = "\ndef max_pool_backward(dout, x, kernel, stride):\n    print(x)\n    raise NotImplementedError('later')\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYALEX_LANG", raising=False)
    return tmp_path


@pytest.fixture
def no_process(monkeypatch):
    """Nothing is run: the results of E06 are what the test sets."""
    results = {}
    monkeypatch.setattr(check, "_results", lambda submission, names, limits: list(results["now"]))
    return results


def test_finding_exits_1_in_both_languages(folder, capsys):
    (folder / "mine.py").write_text(WRONG + STUB)
    assert cli.main(["check"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("E06 max_pool: 0 of 14 calls give the right answer.\nWith kernel 3 and stride 2, your out is the mean of each")
    assert out.endswith(f"mine.py: 0 right, 1 to look at, {len(EXERCISES) - 1} not begun or not finished.\n")


def test_half_of_an_exercise_that_is_right_exits_0_and_names_the_rest(folder, capsys):
    (folder / "lessons").mkdir()
    (folder / "lessons" / "mine.py").write_text(RIGHT + SHORTCUT)  # no stub as it is read, but as it is called
    (folder / "mine.py").write_text(WRONG)
    assert cli.main(["check", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is True and document["file"] == os.path.join("lessons", "mine.py") and document["format"] == 1
    of_e06 = next(result for result in document["exercises"] if result["exercise"] == "E06")
    assert of_e06["functions"] == {"max_pool": "right", "max_pool_backward": "todo"} and of_e06["status"] == "begun"
    assert of_e06["message"] == "E06 max_pool: right in all 14 calls. Next: max_pool_backward" and of_e06["points"] == 2.5


@pytest.mark.parametrize(("level", "says"), [(1, "max_pool, 1 of 3: "), (3, "max_pool, 3 of 3: ")])
def test_hint_is_of_the_function_of_the_finding_and_stands_below_it(folder, capsys, level, says):
    (folder / "mine.py").write_text(WRONG + STUB)
    assert cli.main(["check", "e06", "--hint", str(level)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "E06 max_pool: 0 of 14 calls give the right answer."
    assert [line[: len(says)] for line in lines].count(says) == 1
    assert f"Next: tinyalex check E06 --hint {min(level + 1, 3)}" in lines


def test_finding_says_in_a_terminal_what_a_terminal_can_do(folder, capsys):
    (folder / "mine.py").write_text(WRONG + STUB)
    assert cli.main(["check"]) == 1
    out = capsys.readouterr().out
    assert "Next: tinyalex check E06 --hint 1\n" in out and "Next: tutor" not in out
    line = next(line for line in out.splitlines() if line.startswith("Repeat the call in Python"))
    code = line.partition("your file: ")[2]
    assert code == 'import mine; from tinyalex import tutor; tutor.replay("E06-overlap", mine.max_pool)'
    *before, last = code.split("; ")
    done = subprocess.run([sys.executable, "-c", "; ".join([*before, f"print({last})"])], cwd=folder, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(Path(tinyalex.__file__).parents[1])}, check=True)  # fmt: skip
    assert done.stdout.startswith("Replay(x: ") and "yours: " in done.stdout


def test_command_and_call_name_another_file(folder, capsys):
    (folder / "of anna.py").write_text(WRONG + STUB)
    assert cli.main(["check", "--file", "of anna.py"]) == 1
    out = capsys.readouterr().out
    assert "Next: tinyalex check E06 --hint 1 --file 'of anna.py'\n" in out
    assert 'Repeat the call in your notebook: from tinyalex import tutor; tutor.replay("E06-overlap", max_pool)\n' in out


def results_of(**states):
    """A result of each exercise: right, todo, or not there where it was not looked at."""
    made = []
    for key, state in states.items():
        names = [function.name for function in EXERCISES[key].functions]
        made.append(Result(key, dict.fromkeys(names, state), calls=10))
    return made


def test_last_exercise_that_is_right_leads_to_no_exercise_that_may_be_right(folder, capsys, no_process):
    text = "".join(f"\ndef {function.name}(*given):\n    return 1\n" for one in EXERCISES.values() for function in one.functions)
    (folder / "mine.py").write_text(text)
    no_process["now"] = results_of(E13="right")
    assert cli.main(["check", "E13"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].endswith("right in all 10 calls. Next: tinyalex check, which looks at all of them"), out


def test_all_thirteen_right_say_it_once(folder, capsys, no_process):
    (folder / "mine.py").write_text(RIGHT)
    no_process["now"] = results_of(**dict.fromkeys(EXERCISES, "right"))
    assert cli.main(["check"]) == 0
    out = capsys.readouterr().out
    assert "Next" not in out and out.endswith("mine.py: all thirteen are right.\n"), out
    no_process["now"] = results_of(**dict.fromkeys(EXERCISES, "right") | {"E07": "todo"})
    assert cli.main(["check"]) == 0
    out = capsys.readouterr().out
    assert out.count("Next") == 1 and out.endswith("1 not begun or not finished. Next: E07\n"), out


def test_exercise_that_is_right_leads_to_one_that_is_not(folder, capsys, no_process):
    (folder / "mine.py").write_text(RIGHT)
    no_process["now"] = [Result("E06", {"max_pool": "right", "max_pool_backward": "right"}, calls=28)]
    assert cli.main(["check", "E06"]) == 0
    assert capsys.readouterr().out.startswith("E06 max_pool, max_pool_backward: right in all 28 calls. Next: E07\n")


def test_nothing_written_runs_nothing_and_exits_1(folder, capsys):
    (folder / "mine.py").write_text(STUB)
    assert cli.main(["check"]) == 1
    assert capsys.readouterr().out == "Nothing is begun in mine.py. Write a function in place of its `raise NotImplementedError`.\n"
    assert cli.main(["check", "e06"]) == 1
    assert capsys.readouterr().out.startswith("E06: not begun yet.\n\nmine.py: 0 right, 0 to look at, 1 not begun")


def test_all_right_exits_0(folder, capsys, no_process):
    (folder / "mine.py").write_text(RIGHT)
    no_process["now"] = [Result("E06", {"max_pool": "right", "max_pool_backward": "right"}, 20), Result("E07", {"lrn": "todo"})]
    assert cli.main(["check"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("E06 max_pool, max_pool_backward: right in all 20 calls. Next: E07\n\nmine.py: 1 right, 0 to look")
    assert cli.main(["check", "--lang", "zh"]) == 0
    assert "mine.py：1 个正确" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["check"], "lessons/mine.py: the file must be there, got none of that name"),
        (["check", "E60"], "check: exercises must be "),
        (["check", "--file", "mine.txt"], "mine.txt: the name of the file must end in .py or .ipynb, got .txt"),
        (["check", "--lang", "fr"], "tutor: language must be en or zh, got 'fr'"),
        (["check", "--hint", "1"], "check: --hint must be given with one exercise and without --watch and --json, got others"),
        (["check", "E06", "--hint", "4"], "check: --hint must be at most 3, got 4"),
        (["check", "--watch", "--json"], "check: --json must be given without --watch, got both"),
        (["check", "--file", "x.py", "--lang", "zh"], "x.py：文件必须存在"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_exits_2(argv, text, capsys):
    assert cli.main(argv) == 2
    assert text in capsys.readouterr().err.replace("\\", "/")


def test_error_reads_as_every_error_does(folder):
    (folder / "mine.py").write_text("def max_pool(:")
    with refuses(TinyalexError, "mine.py: the code must be Python, got \"invalid syntax\" in line 1"):
        check._read(folder / "mine.py", "en")


def test_watch_checks_again_when_the_file_changes_and_ctrl_c_ends_it_with_0(folder, capsys, no_process, monkeypatch):
    file = folder / "mine.py"
    file.write_text(RIGHT)
    no_process["now"] = [not_written(EXERCISES["E06"])]

    def mend():
        no_process["now"] = [Result("E06", {"max_pool": "right"}, 10)]
        file.write_text(RIGHT + "\n")

    def nothing():
        pass

    def ctrl_c():
        signal.raise_signal(signal.SIGINT)

    student = iter([nothing, lambda: file.write_text("def max_pool(:"), nothing, file.unlink, nothing, mend, nothing, ctrl_c])
    waited = []
    monkeypatch.setattr(check.time, "sleep", lambda seconds: waited.append(seconds) or next(student)())
    assert cli.main(["check", "--watch"]) == 0
    assert waited == [check.LOOK_S] * 8 and next(student, None) is None
    out = capsys.readouterr().out
    assert out.startswith("mine.py is checked again whenever it changes. Ctrl-C ends this.\n")
    first, second, third = (out.index(text) for text in ("Nothing is begun", "the code must be Python", "right in all 10 calls"))
    assert first < second < third and out.count("Nothing is begun") == 1


def test_help_names_the_exit_codes_and_that_it_is_no_sandbox(capsys):
    assert cli.main(["check", "--help"]) == 0
    out = capsys.readouterr().out
    assert "no security sandbox" in out and "Ctrl-C ends with 0" in out and "again = tutor.replay(...)" in out
