"""`tinyalex lessons`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest

from tests.contract import refuses
from tinyalex import cli
from tinyalex.commands import lessons
from tinyalex.errors import DataError, ShapeError
from tinyalex.tutor import syllabus
from tinyalex.tutor.syllabus import chosen, lesson_at, lessons_in

SMALL = Path(__file__).parents[1] / "lessons" / "small"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The two small lessons, no Jupyter, no book, and nothing opened."""
    shutil.copytree(SMALL, tmp_path / "lessons")
    monkeypatch.setattr(lessons, "FOLDER", tmp_path / "lessons")
    monkeypatch.setattr(lessons, "BOOK", tmp_path / "book")
    monkeypatch.setattr(lessons, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kwargs: pytest.fail(f"started {args}"))
    monkeypatch.setattr(webbrowser, "open", lambda url: pytest.fail(f"opened {url}"))
    return tmp_path


def test_list(capsys):
    assert cli.main(["lessons"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["lesson", "minutes", "needs", "exercises", "paper"]
    assert lines[1].split() == ["00", "A", "small", "lesson", "5", "E02", "3.1"]
    assert lines[2].split() == ["01", "The", "next", "small", "lesson", "7", "00", "E04,", "E05", "3.5"]
    assert lines[4] == "2 lessons, 12 min with their exercises. Open one: tinyalex lessons 03"


def test_json(capsys):
    assert cli.main(["lessons", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["format"] == 1 and [lesson["number"] for lesson in document["lessons"]] == ["00", "01"]
    assert cli.main(["lessons", "1", "--json"]) == 0
    [lesson] = json.loads(capsys.readouterr().out)["lessons"]
    assert lesson["needs"] == ["00"] and lesson["exercises"] == ["E04", "E05"] and lesson["minutes"] == 7 and lesson["notebook"] is None
    assert lesson["goal"].startswith("Afterwards you can see") and lesson["source"].endswith("01_next.py")


def test_jupyter_opens_the_notebook(folder, monkeypatch, capsys):
    started, ended = [], []
    monkeypatch.setattr(lessons, "find_spec", lambda name: object() if name == "notebook" else None)

    class Jupyter:
        """Asks at the first Ctrl-C whether it is to end, and ends at the second."""

        def __init__(self, command):
            started.append(command)
            self.interrupts = 2

        def wait(self):
            self.interrupts -= 1
            if self.interrupts >= 0:
                raise KeyboardInterrupt
            ended.append(self)

    monkeypatch.setattr(subprocess, "Popen", Jupyter)
    notebook = folder / "lessons" / "00_small.ipynb"
    notebook.write_text("{}")
    assert cli.main(["lessons", "00"]) == 0
    assert started == [[sys.executable, "-m", "notebook", str(notebook)]] and "opened in Jupyter" in capsys.readouterr().out
    assert len(ended) == 1


def test_page_of_the_book_where_there_is_no_jupyter(folder, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    page = folder / "book" / "00_small.html"
    page.parent.mkdir()
    page.write_text("")
    assert cli.main(["lessons", "0"]) == 0
    assert opened == [page.as_uri()] and capsys.readouterr().out == f"{page}: the page of the book\n"
    os.utime(page, (0, 0))
    assert cli.main(["lessons", "0"]) == 0
    assert "the lesson has changed since: python -m lessons book" in capsys.readouterr().out


def test_what_to_install_where_there_is_neither(folder, capsys):
    assert cli.main(["lessons", "00"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{folder / 'lessons' / '00_small.py'}\n") and "pip install jupyterlab" in out and "python -m lessons book" in out


def test_wheel_has_no_lessons(folder, monkeypatch, capsys):
    monkeypatch.setattr(lessons, "FOLDER", folder / "nowhere")
    assert cli.main(["lessons"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("tinyalex: error: lessons: lessons must lie in the folder ") and err.count("\n") == 1
    assert "an installed wheel has none: clone the repository, and install it with pip install -e ." in err


def test_no_such_lesson(folder):
    with refuses(ShapeError, "lessons: lesson must be 00 or 01, got '07'"):
        chosen("lessons", ["7"], folder / "lessons")
    with refuses(DataError, "lessons: lessons must lie in the folder "):
        chosen("lessons", [], folder)


def test_what_is_no_number(capsys):
    assert cli.main(["lessons", "conv"]) == 2
    assert "lessons: NN must be the number of a lesson, got 'conv'; tinyalex lessons lists them" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["# 00  A small lesson", "about 5 minutes", "Afterwards you can"])
def test_head_of_a_lesson_is_complete(folder, missing):
    path = folder / "lessons" / "00_small.py"
    path.write_text(path.read_text("utf-8").replace(missing, "x"), "utf-8")
    with refuses(DataError, '00_small.py: the first cell must hold a title "# 00  Title", a line with "about M minutes"'):
        lesson_at(path)


def test_lesson_that_is_no_text_is_refused(folder, capsys):
    path = folder / "lessons" / "00_small.py"
    path.write_bytes(path.read_bytes().replace(b"A small", b"A sm\xe4ll"))
    assert cli.main(["lessons"]) == 2
    assert "00_small.py: lesson must be a file of text in UTF-8, got other bytes; save it so" in capsys.readouterr().err
    path.unlink()
    path.mkdir()
    with refuses(DataError, "00_small.py: lesson must be a file of text in UTF-8, got "):
        lesson_at(path)


def test_needs_are_listed_or_spanned(folder):
    path = folder / "lessons" / "00_small.py"
    text = path.read_text("utf-8")
    for needs, numbers in (("needs lessons 00 to 03 and 07", ("00", "01", "02", "03", "07")), ("needs nothing", ()), ("needs 02", ("02",))):
        path.write_text(text.replace("needs no earlier lesson", needs), "utf-8")
        assert lesson_at(path).needs == numbers


def test_other_files_are_no_lessons(folder):
    for name in ("mine.py", "notes_01.py", "02_text.md", "__init__.py"):
        (folder / "lessons" / name).write_text("")
    assert [lesson.name for lesson in lessons_in(folder / "lessons")] == ["00_small", "01_next"]


def test_two_lessons_of_one_number_are_refused(folder):
    shutil.copy(folder / "lessons" / "01_next.py", folder / "lessons" / "01_other.py")
    with refuses(DataError, "lessons: number 01 must be that of one lesson, got 01_next and 01_other; rename one of them"):
        lessons_in(folder / "lessons")


def test_lessons_of_the_repository_follow_from_each_other():
    found = lessons_in(syllabus.FOLDER)
    for at, lesson in enumerate(found):
        assert set(lesson.needs) <= {f"{number:02}" for number in range(int(lesson.number))}, lesson.name
        assert at == 0 or lesson.number > found[at - 1].number
