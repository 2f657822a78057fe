"""Marks of a class: which file counts, what is run again, and what the reports say."""

from __future__ import annotations

import csv
import errno
import json
import re
import sys
import unicodedata
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.contract import refuses
from tinyalex.errors import CheckpointError
from tinyalex.tutor import class_report as report, grading
from tinyalex.tutor.class_report import class_text, draw, figure_of, how_often, in_words, one_text, write_csv, write_gradescope
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import Finding, catalogue
from tinyalex.tutor.grading import RESULTS, Way, document_of, grade, handed_in, load_known, save
from tinyalex.tutor.processes import Limits
from tinyalex.tutor.runner import try_exercise
from tinyalex.tutor.source import SubmissionError

WAY = Way((EXERCISES["E06"],), 1, Limits())
FORWARD = """
import numpy as np
def max_pool(x, kernel, stride):
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride].max((-2, -1))
"""
BACKWARD = """
def max_pool_backward(dout, x, kernel, stride):
    dx = np.zeros_like(x)
    for n, c, y, z in np.ndindex(dout.shape):
        window = x[n, c, y * stride : y * stride + kernel, z * stride : z * stride + kernel]
        i, j = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, y * stride + i, z * stride + j] += dout[n, c, y, z]
    return dx
"""
RIGHT, OVERWRITES = FORWARD + BACKWARD, FORWARD + BACKWARD.replace("+= dout", "= dout")
BOTH = OVERWRITES.replace(".max(", ".mean(")


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Exercises are tried in this process; the list says which submissions were."""
    ran = []

    class Here:
        def __init__(self, workers, limits):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *stopped_by):
            pass

        def start(self, task):
            ran.append(task.name)
            future = Future()
            future.set_result(try_exercise(task.exercise, task.path, task.name, task.seed, task.sizes, task.every))
            sys.modules.pop(task.path.stem, None)
            return future

    monkeypatch.setattr(grading, "Processes", Here)
    return ran


@pytest.fixture
def folder(tmp_path):
    """A class of six: right, one finding, two findings, a stub, a file that does not import, a folder that is not clear."""
    (tmp_path / "anna.py").write_text(RIGHT)
    (tmp_path / "bert.py").write_text(OVERWRITES)
    (tmp_path / "=cleo").mkdir()
    (tmp_path / "=cleo" / "mine.py").write_text(BOTH)
    (tmp_path / "=cleo" / "other.py").write_text("x = 1")
    (tmp_path / "dora.py").write_text("def max_pool(x, kernel, stride):\n    raise NotImplementedError\n")
    (tmp_path / "emil.py").write_text("import not_there_at_all\n" + RIGHT)
    (tmp_path / "frida").mkdir()
    for name in "ab":
        (tmp_path / "frida" / f"{name}.py").write_text(RIGHT)
    for ignored in (".hidden.py", "_draft.py", "notes.txt"):
        (tmp_path / ignored).write_text("")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "empty").mkdir()
    return tmp_path


def marks(folder, known=None, way=WAY):
    found = list(grade(handed_in(folder), way, known or {}, 1, lambda name, last, of: None))
    return sorted(found, key=lambda one: one.name)


def test_which_files_count(folder):
    found = handed_in(folder)
    assert [one.name for one in found] == ["=cleo", "anna.py", "bert.py", "dora.py", "emil.py", "frida"]
    assert found[0].path == folder / "=cleo" / "mine.py" and found[0].helpers and not found[1].helpers
    assert found[-1].path is None
    assert handed_in(folder / "anna.py")[0].name == "anna.py"
    with refuses(SubmissionError, "empty: the folder must hold submissions, as a .py or .ipynb each or a folder each, got none"):
        handed_in(folder / "empty")


def test_points_and_findings(folder, here):
    found = {one.name: one for one in marks(folder)}
    assert {name: one.points for name, one in found.items()} == {
        "=cleo": 0, "anna.py": 5, "bert.py": 2.5, "dora.py": 0, "emil.py": 0, "frida": 0,
    }  # fmt: skip
    assert sorted(here) == ["=cleo", "anna.py", "bert.py", "emil.py"]
    assert [name for name, one in found.items() if one.passed] == ["anna.py"]
    assert [finding.key for finding in found["=cleo"].results[0].findings] == ["E06.mean", "E06.overwrites_the_winner"]
    assert found["emil.py"].problem.startswith("emil.py: the code must run without an error, got ModuleNotFoundError")
    assert found["frida"].problem.startswith("frida: the folder must hold one .py or .ipynb, or one that is called mine, got 2; leave")


def test_other_seed_gives_other_numbers_and_the_same_findings(folder):
    one, other = (marks(folder / "bert.py", way=Way(WAY.exercises, seed, WAY.limits))[0].results[0].finding for seed in (1, 2))
    assert one.key == other.key == "E06.overwrites_the_winner" and one.numbers["yours"] != other.numbers["yours"]


def test_what_is_unchanged_is_not_run_again(folder, here):
    first = marks(folder)
    save(folder / RESULTS, first, WAY)
    known = load_known(folder / RESULTS)
    assert [known[one.name] for one in first] == first
    here.clear()
    assert marks(folder, known) == first and here == []
    (folder / "bert.py").write_text(RIGHT)
    (folder / "=cleo" / "other.py").write_text("x = 2")
    assert {one.name: one.points for one in marks(folder, known)}["bert.py"] == 5
    assert sorted(here) == ["=cleo", "bert.py"]
    here.clear()
    marks(folder, known, Way(WAY.exercises, 7, WAY.limits))
    assert len(here) == 4


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"format": 2}', b'{"format": 1}', b'{"format": 1, "submissions": [{}]}', b"\xff"])
def test_results_of_another_kind_are_refused(tmp_path, content):
    (tmp_path / RESULTS).write_bytes(content)
    with refuses(CheckpointError, f"{RESULTS}: the "):
        load_known(tmp_path / RESULTS)


def test_report_on_a_class(folder):
    text = class_text(marks(folder))
    assert text.startswith("6 submissions; 1.2 of 5 points on average\n")
    lines = text.splitlines()
    assert lines[3].split() == ["E06", "overlapping", "max", "pooling", "1", "2", "3"]
    assert [line.rsplit("  ", 1)[0].rstrip() for line in lines[6:9]] == [
        "E06 max_pool_backward: overwrites the winner", "the file cannot be used", "E06 max_pool: mean",
    ]  # fmt: skip
    assert lines[6].endswith(" 2 ( 33 %)") and "files that cannot be used: 2" in lines
    assert lines[-1].startswith("This is no security sandbox")


def test_report_on_one(folder):
    text = one_text(marks(folder / "bert.py")[0], "en")
    assert text.startswith("bert.py: 2.5 of 5 points\n\nE06 overlapping max pooling: 2.5 of 5 points\n\nE06 max_pool_backward:")
    assert "an earlier window left" in text and text.endswith("use the network.")


def test_table(folder, tmp_path):
    write_csv(tmp_path / "marks.csv", marks(folder))
    with open(tmp_path / "marks.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 and rows[0]["submission"] == "'=cleo"  # a spreadsheet would compute it
    assert rows[2] == {
        "submission": "bert.py", "points": "2.5", "max": "5", "right": "0", "E06": "2.5", "problem": "",
        "E06 finding": "E06 max_pool_backward: overwrites the winner",
    }  # fmt: skip


def test_file_of_gradescope(folder, tmp_path):
    write_gradescope(tmp_path / "results.json", marks(folder / "bert.py")[0], "en")
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["score"] == 2.5 and document["stdout_visibility"] == "hidden" and document["execution_time"] > 0
    (test,) = document["tests"]
    assert test["score"] == 2.5 and test["max_score"] == 5 and test["status"] == "failed" and test["number"] == "E06"
    assert "an earlier window left" in test["output"]
    write_gradescope(tmp_path / "results.json", marks(folder / "emil.py")[0], "en")
    assert json.loads((tmp_path / "results.json").read_text())["output"].startswith("emil.py: the code must run")


def test_document_says_how_it_was_made(folder):
    document = json.loads(json.dumps(document_of(marks(folder), WAY)))
    assert document["format"] == 1 and document["seed"] == 1 and document["limits"]["call_s"] == 10 and not document["passed"]
    assert "no security sandbox" in document["note"] and document["submissions"][1]["name"] == "anna.py"
    exercise = document["submissions"][2]["exercises"][0]
    assert exercise["findings"][0]["key"] == "E06.overwrites_the_winner" and exercise["points"] == 2.5 and exercise["max"] == 5


def test_chart(folder, tmp_path):
    found = marks(folder)
    draw(tmp_path / "findings.png", found)
    with Image.open(tmp_path / "findings.png") as picture:
        assert "overwrites the winner: 2. the file cannot be used: 2." in picture.info["Description"]
    panel = figure_of(how_often(found), len(found)).axes[0]
    assert [bar.get_width() for bar in panel.patches] == [2, 2, 1]
    assert figure_of([], 1).axes[0].texts[0].get_text().startswith("nothing")


def chinese_marks(folder):
    return marks(folder, way=replace(WAY, language="zh"))


def test_chart_is_chinese_where_the_computer_has_a_font_for_it(folder, tmp_path, monkeypatch):
    from matplotlib.font_manager import fontManager

    found = chinese_marks(folder)
    named = in_words(found, "zh")
    assert named["E06 max_pool_backward: overwrites the winner"] == "E06 max_pool_backward：dx 正是一个窗口覆盖了前面窗口所留下的值的结果"
    panel = figure_of([(named[label], number) for label, number in how_often(found)], len(found), "zh").axes[0]
    shown = [panel.get_title(), panel.get_xlabel(), *(tick.get_text() for tick in panel.get_yticklabels())]
    assert panel.get_title() == "在 6 份作业中发现的问题" and len(shown) == 5 and all(re.search("[\u4e00-\u9fff]", text) for text in shown)
    assert set(re.findall(r"[A-Za-z]{3,}", " ".join(shown))) <= {"E06", "max", "pool", "backward", "max_pool", "max_pool_backward", "out"}
    assert figure_of([], 1, "zh").axes[0].texts[0].get_text() == "没有作业有问题"
    monkeypatch.setattr(fontManager, "ttflist", [entry for entry in fontManager.ttflist if entry.name not in report.FONTS])
    assert not draw(tmp_path / "findings.png", found, "zh") and report.font_for("zh") is None
    with Image.open(tmp_path / "findings.png") as picture:
        assert "overwrites the winner: 2." in picture.info["Description"]
    known = next(entry for entry in fontManager.ttflist if entry.name == "DejaVu Sans")
    monkeypatch.setattr(fontManager, "ttflist", [*fontManager.ttflist, replace(known, name="SimHei")])
    assert report.font_for("zh") == "SimHei" and report.font_for("en") is None


def test_table_is_chinese(folder, tmp_path):
    write_csv(tmp_path / "marks.csv", chinese_marks(folder), "zh")
    with open(tmp_path / "marks.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[2] == {
        "作业": "bert.py", "得分": "2.5", "满分": "5", "正确的练习数": "0", "E06": "2.5", "无法使用的原因": "",
        "E06 有问题": "E06 max_pool_backward：dx 正是一个窗口覆盖了前面窗口所留下的值的结果",
    }  # fmt: skip
    assert any("代码必须能够运行" in row["无法使用的原因"] for row in rows)


def test_every_finding_has_chinese_words_for_a_report():
    """Each is short, tells its kind from the others of its exercise, and needs no value of one student."""
    words = catalogue("zh")
    for exercise in EXERCISES.values():
        keys = [key for key in words if key.startswith(f"{exercise.key}.") and key.count(".") == 1]
        said = [report.described(Finding(key, exercise.key, "f", "mistake", numbers={"output": "dx"}), "zh") for key in keys]
        assert all(8 <= len(text) <= 90 and "{" not in text and re.search("[\u4e00-\u9fff]", text) for text in said)
        assert len(set(said)) >= 0.8 * len(said), exercise.key


def test_file_that_cannot_be_read_is_a_problem_of_its_submission(folder, monkeypatch):
    def read_bytes(path, whole=Path.read_bytes):
        if path.name == "anna.py":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    found = {one.name: one for one in marks(folder)}
    assert found["anna.py"].problem.startswith("anna.py: the file must be readable, got Permission denied")
    assert found["bert.py"].points == 2.5


def english_words(text):
    """The words that are neither names of code and files nor names of mistakes."""
    names = (
        "dx out AlexNet ReLU tanh softmax MISCONCEPTIONS md max pool backward not there at all import ModuleNotFoundError No module named"
    )
    return set(re.findall(r"[A-Za-z]{2,}", re.sub(r"E06 max_pool\S*: .*|hint\(.*|\w+\.py|`[^`]*`", "", text))) - set(names.split())


def test_report_on_a_class_is_chinese_as_a_whole_and_its_columns_stand(folder):
    text = class_text(marks(folder, way=replace(WAY, language="zh")), "zh")
    assert english_words(re.sub(r"( %\))  .*", r"\1", text)) <= {"frida", "emil", "py", "ipynb", "mine"}, text
    assert "dx 正是一个窗口覆盖了前面窗口所留下的值的结果" in text and "%)  overwrites the winner\n" in text
    assert "共 6 份作业；平均" in text and "E06 重叠的最大池化" in text and "这不是安全沙箱" in text
    row = next(line for line in text.splitlines() if line.startswith("E06 重叠的最大池化  "))
    shown = sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in row)
    assert shown == 40 + 1 + 7 + 1 + 9 + 1 + 14
    one = one_text(marks(folder / "bert.py")[0], "zh")
    assert one.startswith("bert.py：2.5 分，满分 5 分\n\nE06 重叠的最大池化：2.5 分，满分 5 分") and "points" not in one


def test_titles_are_those_of_the_exercises():
    for key, exercise in EXERCISES.items():
        assert catalogue("en")[f"titles.{key}"] == exercise.title
        assert re.search("[\u4e00-\u9fff]", catalogue("zh")[f"titles.{key}"])
