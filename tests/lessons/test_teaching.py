"""The teacher's page: in step with lessons and exercises, right in its numbers, silent about what is not there."""

import math
import re
import shutil
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from lessons.extra import LessonError
from lessons.teacher import page
from lessons.teacher.page import NAME, data_of, questions_of, teaching, write_teaching
from tests.contract import refuses
from tests.lessons.conftest import SMALL
from tinyalex import cli
from tinyalex.geometry import windows_of
from tinyalex.layers.columns import col2im, im2col
from tinyalex.layers.pool import max_pool, max_pool_backward
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.syllabus import FOLDER, lessons_in

LESSONS = lessons_in(FOLDER)
ENTRIES = tomllib.loads(data_of(FOLDER).read_text("utf-8"))["lesson"]


@pytest.fixture(scope="module")
def text():
    return teaching(LESSONS, FOLDER)


def test_page_is_in_step(text):
    assert (FOLDER / NAME).read_text("utf-8") == text, "python -m lessons build"


def test_minutes_are_those_of_the_lessons():
    for lesson in LESSONS:
        plan = page._Plan(lesson, ENTRIES[lesson.number])
        reading, doing, experiment = plan.minutes
        assert sum(plan.minutes) == lesson.minutes and min(reading, experiment) > 0, lesson.name
        assert (doing > 0) == bool(lesson.exercises), lesson.name
        assert doing == sum(EXERCISES[key].minutes for key in lesson.exercises)
        assert 0.05 < page.share_of_experiment(lesson) < 0.6


def test_what_is_optional_takes_no_minutes_of_a_lesson(tmp_path):
    """Neither its text nor its code counts; the text under the next heading does."""
    (lesson,) = (one for one in LESSONS if one.number == "09")
    text = lesson.path.read_text("utf-8")
    assert text.count("# ### Optional") == 1
    longer = replace(lesson, path=tmp_path / "09_longer.py")
    longer.path.write_text(text.replace("# ### Optional", "# ### Optional" + 9000 * " much", 1), "utf-8")
    assert page.share_of_experiment(longer) == page.share_of_experiment(lesson)
    longer.path.write_text(text.replace("# ## 9. ", "# ## 9. " + 9000 * " much", 1), "utf-8")
    assert page.share_of_experiment(longer) < page.share_of_experiment(lesson) / 1.5


def test_monday_is_an_hour_and_names_what_the_slides_have(text, whole_book):
    monday = text.partition("## What do I do on Monday?")[2].partition("## The lessons")[0]
    assert sum(map(int, re.findall(r"(\d+) minutes\.\*\*", monday))) == LESSONS[0].minutes == 60
    slides = (whole_book / f"{LESSONS[0].name}.slides.html").read_text("utf-8")
    for words in ("Predict", "Before you go"):
        assert f'"{words}"' in monday and f"{words}</h2>" in slides
    assert "Two questions to write about</h2>" in slides[slides.rindex("<section") :]
    least, most = map(int, re.search(r"below: (\d+) to\s+(\d+) minutes", monday).groups())
    assert 30 <= least <= most <= 60 or "take two sessions" in text, "longer than a session: say in the page how to cut it"
    for command in re.findall(r"^    \.venv/bin/(tinyalex \w+|python -m lessons \w+)", monday, re.MULTILINE):
        assert command.split()[-1] in (*cli.COMMANDS, "book", "build")


def test_counts_of_mistakes_are_those_of_the_tutor(text):
    for words in ("writes into dout, 34 of 135", "cut from the end, 42 of 88", "overwrites the winner, 18 of 89", "log of p, 37 of 138"):
        assert words in text
    assert text.count("Seen in public solutions:** not counted") == sum(
        not any(f.seen or any(one.seen for one in f.mistakes) for key in lesson.exercises for f in EXERCISES[key].functions)
        for lesson in LESSONS
        if lesson.exercises
    )


def test_lesson_without_an_exercise():
    lesson = replace(LESSONS[0], exercises=())
    assert page._seen(lesson) == "this lesson has no exercise."
    assert page._Plan(lesson, ENTRIES["00"]).row().endswith("|  |  | 0 |")


def test_page_speaks_only_of_what_is_there(text):
    """Lessons, exercises and commands that it names exist; so do its links."""
    numbers = {lesson.number for lesson in LESSONS}
    assert set(re.findall(r"\b[Ll]essons? (\d\d)\b", text)) <= numbers and set(re.findall(r"\*\*(\d\d)\*\*", text)) <= numbers
    assert set(re.findall(r"\bE\d\d\b", text)) == set(EXERCISES)
    commands = set(re.findall(r"`tinyalex (\w+)", text)) | set(re.findall(r"bin/tinyalex (\w+)", text))
    assert commands >= {"check", "grade", "doctor", "lessons"} and commands <= set(cli.COMMANDS)
    assert all((FOLDER / link).is_file() for link in re.findall(r"\]\(([^)]+)\)", text))
    assert "$" not in text and "!" not in text


def test_class_report_is_what_grade_prints(text, tmp_path, capsys):
    handed_in = tmp_path / "handed-in"
    handed_in.mkdir()
    right = (FOLDER / "solutions" / "e06.py").read_text("utf-8")
    assert right.count(" += ") == 1
    (handed_in / "a.py").write_text(right, "utf-8")
    (handed_in / "b.py").write_text(right.replace(" += ", " = "), "utf-8")
    shutil.copy(FOLDER / "mine.py", handed_in / "c.py")
    assert cli.main(["grade", str(handed_in), "--exercises", "E06"]) == 1
    printed = capsys.readouterr().out.partition("\n\nThis is no security sandbox")[0]
    assert "\n".join(f"    {line}" if line else "" for line in printed.splitlines()) in text


def test_answers_that_are_numbers():
    """Each is computed here; the page must print it."""
    ones, windows = np.ones((1, 1, 5, 5)), windows_of("x", (5, 5), 3)
    back = col2im(im2col(ones, windows), windows)
    assert f"{back[0, 0, 2, 2]:.0f} and {back[0, 0, 0, 0]:.0f}" in ENTRIES["03"]["answer"]

    windows = windows_of("x", (1, 4), (1, 2))
    _, winner = max_pool(np.array([[[[1.0, 5, 2, 3]]]]), windows)
    dx = max_pool_backward(np.array([[[[1.0, 10, 100]]]]), winner, windows)
    assert " ".join(f"{one:.0f}" for one in dx.flat) in ENTRIES["04"]["answer"]

    loss = SoftmaxCrossEntropy(dtype=np.float64)
    assert f"{float(loss.forward(np.zeros((1, 3)), [1], train=True)):.3f}" in ENTRIES["06"]["answer"]
    assert np.allclose(loss.backward(), [[1 / 3, -2 / 3, 1 / 3]]) and "(1/3, -2/3, 1/3)" in ENTRIES["06"]["answer"]
    assert f"{math.log(100):.3f}" in ENTRIES["01"]["answer"] and 1 - np.tanh(80.0) ** 2 == 0
    assert f"{2**10:,}" in ENTRIES["08"]["answer"]

    weights = 384 * 256 * 9
    assert f"{weights + 384:,}" in ENTRIES["09"]["answer"] and f"{weights * 169:,}" in ENTRIES["09"]["answer"]
    four = ENTRIES["10"]["written"][1]["full"]
    assert f"{64 * 169 * 4:,} bytes" in four and f"{4 * 3 * 64 * 169 * 4:,} bytes" in four
    assert 4 * 3 * 64 * 169 * 4 == 3 * (2 * 128 * 169 * 4)  # the paper's link: two cards, 128 maps each


def changed(tmp_path, old, new):
    """A folder of lessons whose file for teachers is changed."""
    folder = tmp_path / "lessons"
    (folder / "teacher").mkdir(parents=True)
    entries = data_of(FOLDER).read_text("utf-8")
    assert old in entries
    data_of(folder).write_text(entries.replace(old, new, 1), "utf-8")
    return folder


def test_lesson_without_an_entry_is_refused(tmp_path):
    folder = changed(tmp_path, "[lesson.03]", "[lesson.33]")
    data_of(folder).write_text(data_of(folder).read_text("utf-8").replace("lesson.03", "lesson.33"), "utf-8")
    with refuses(LessonError, "TEACHING.md: lessons.toml must have one entry for each lesson, got a difference in lesson "):
        teaching(LESSONS, folder)


def test_rubric_of_another_question_is_refused(tmp_path):
    folder = changed(tmp_path, "60 million weights", "70 million weights")
    with refuses(LessonError, "TEACHING.md: a rubric of lesson 00 must quote its question, got '70 million weights', which is not in 'A"):
        teaching(LESSONS, folder)


def test_route_that_comes_too_early_or_says_nothing_of_what_it_leaves_out_is_refused(tmp_path):
    folder = changed(tmp_path / "a", 'lessons = ["02", "06"]', 'lessons = ["06", "02"]')
    with refuses(LessonError, "TEACHING.md: route Six weeks must have lesson 02 before 06, got it after; change the order"):
        teaching(LESSONS, folder)
    folder = changed(tmp_path / "b", 'instead = "Max pooling', 'other = "Max pooling')
    with refuses(LessonError, "TEACHING.md: lesson 04, which route Two weeks leaves out, must have `instead`, got none; write it"):
        teaching(LESSONS, folder)


def test_lesson_without_its_two_questions_is_refused():
    with refuses(LessonError, '00_small: the last cell must hold a paragraph "Two questions to write about"'):
        questions_of(lessons_in(SMALL)[0])


def test_folder_that_says_nothing_for_teachers_gets_no_page(tmp_path):
    write_teaching(lessons_in(SMALL), tmp_path)
    assert not (tmp_path / NAME).exists()


def test_page_of_the_book():
    pytest.importorskip("latex2mathml")
    from lessons.book import pages
    from lessons.book.engine import Engine

    names = {lesson.number: f"{lesson.name}.html" for lesson in LESSONS}
    engine = Engine(FOLDER.parent)
    made = pages._teacher(LESSONS, FOLDER, engine, names)
    assert made.count("<h1") == 1 and 'id="what-do-i-do-on-monday"' in made and "<math" not in made and "glossary.html" not in made
    assert '<a href="03_convolution.html">' in made and '<a href="engine/lessons.MISCONCEPTIONS.md.html">' in made
    assert '<a href="teacher.html">' in pages._index(LESSONS, names, True) and "teacher.html" not in pages._index(LESSONS, names, False)
