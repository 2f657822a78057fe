"""Predictions are kept beside `mine.py`, and nowhere else."""

import json

import pytest

from tinyalex.errors import DiskFull
from tinyalex.tutor import kept, predict, reveal
from tinyalex.tutor.kept import NAME, kept_beside
from tinyalex.tutor.source import SubmissionError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_guess_and_answer_are_kept_where_mine_py_lies(folder, capsys):
    predict("04-a", 38)
    assert not list(folder.iterdir())
    (folder / "mine.py").write_text("")
    predict("04-a", 38)
    predict("00-a", 3)
    assert kept_beside(folder / "mine.py") == {"00-a": {"guess": 3.0}, "04-a": {"guess": 38.0}}
    answer = reveal("04-a")
    assert kept_beside(folder / "mine.py")["04-a"] == {"guess": 38.0, "answer": float(answer)}
    predict("04-a", 5)
    assert kept_beside(folder / "mine.py")["04-a"] == {"guess": 5.0}
    assert kept_beside(folder / "elsewhere" / "mine.py") == {}


@pytest.mark.parametrize("text", [
    "{", "[]", "3", '{"predictions": 3}', '{"predictions": {"04-a": 3}}', '{"predictions": {"04-a": {"guess": "x"}}}',
    '{"predictions": {"04-a": {"guess": "5"}}}', '{"predictions": {"04-a": {"guess": NaN}}}', '{"predictions": {"04-a": {"guess": null}}}',
    '{"predictions": {"04-a": {"guess": 1, "answer": []}}}', "[" * 100_000, "\u00e9" * 600_000,
])  # fmt: skip
def test_file_of_another_form_is_told_and_replaced_by_the_next_guess(folder, text, capsys):
    (folder / "mine.py").write_text("")
    (folder / NAME).write_text(text, "utf-8")
    found = kept_beside(folder / "mine.py")
    assert isinstance(found, SubmissionError) and NAME in str(found)
    predict("04-a", 1)
    assert kept_beside(folder / "mine.py") == {"04-a": {"guess": 1.0}}


def test_unknown_names_are_left_out_and_a_folder_that_cannot_be_written_stops_no_lesson(folder, monkeypatch, capsys):
    (folder / "mine.py").write_text("")
    (folder / NAME).write_text(json.dumps({"format": 1, "predictions": {"99-z": {"guess": 1}, "<b>": {"guess": 2}}}))
    assert kept_beside(folder / "mine.py") == {}

    for error in (PermissionError, DiskFull):

        def full(*given, error=error):
            raise error

        monkeypatch.setattr(kept, "write_bytes", full)
        predict("04-a", 1)
        assert "You expect 1 %." in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    (folder / NAME).unlink()
    (folder / NAME).mkdir()
    predict("04-a", 1)
    assert "You expect 1 %." in capsys.readouterr().out
