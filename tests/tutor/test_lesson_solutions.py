"""What a lesson shows as the answer of its exercise passes the check of that exercise."""

import re
from pathlib import Path

import matplotlib
import pytest

from tinyalex.tutor import predictions, session
from tinyalex.tutor.exercises import EXERCISES

CELL = re.compile(r"^# %%(.*)\n((?:(?!# %%).*\n?)*)", re.MULTILINE)
SHOWN = [path for path in sorted(Path(__file__).parents[2].glob("lessons/[0-9]*.py")) if "exercise:E" in path.read_text("utf-8")]


def code_of(path: Path) -> tuple[list[str], set[str]]:
    """The lesson's code cells up to the last answer, and the exercises that it answers."""
    cells = [(head, body) for head, body in CELL.findall(path.read_text("utf-8")) if "[markdown]" not in head]
    answers = [re.findall(r"exercise:(E\d\d)", head) for head, _ in cells]
    last = max(at for at, keys in enumerate(answers) if keys)
    return [body for _, body in cells[: last + 1]], {key for keys in answers for key in keys}


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
def test_what_a_lesson_shows_is_right(path, monkeypatch, capsys):
    matplotlib.use("agg")
    monkeypatch.setenv("TINYALEX_FAST", "1")
    monkeypatch.setattr(predictions, "_guesses", {})
    for name in ("_checked", "_failed"):
        monkeypatch.setattr(session, name, {})
    cells, keys = code_of(path)
    names = {"__name__": path.stem}
    for cell in cells:
        exec(compile(cell, str(path), "exec"), names)
    for exercise in (EXERCISES[key] for key in sorted(keys)):
        shown = {function.name: names[function.name] for function in exercise.functions if function.name in names}
        assert shown, f"{path.name} shows no function of {exercise.key}"
        report = session.check_all(exercise, shown, 5, 0, "en")
        assert report, report.text
