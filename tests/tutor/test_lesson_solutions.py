"""What a lesson shows as the answer of its exercise passes its check; and the lesson says how to run the check and the predictions."""

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


def paragraphs_of(path: Path) -> list[str]:
    """The paragraphs of the lesson's text, each as one line, up to the list of what to read on."""
    lines = path.read_text("utf-8").partition("### Read on")[0].split("\n")
    text = "\n".join(line[2:] if line.startswith("# ") and not line.startswith("# %%") else "" for line in lines)
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\n+", text)]


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
def test_lesson_says_how_to_ask_the_tutor_and_how_to_predict(path):
    paragraphs = paragraphs_of(path)
    asks = [paragraph for paragraph in paragraphs if "`tutor.check(" in paragraph]
    assert asks and all("`from tinyalex import tutor`" in paragraph for paragraph in asks), asks
    section = paragraphs[paragraphs.index("## 2. Predict") + 1]
    assert section.startswith(("Run the cells, and replace each guess by your own", "Write down what you expect")) and " cell" in section
