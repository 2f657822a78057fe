"""Slides: what they take from a lesson, how text is cut, and that nothing they need is left out."""

import re
from html import unescape

import pytest

from lessons.book.engine import Engine
from lessons.book.glossary import Glossary
from lessons.book.slides import LINES, Item, Scene, Slides, _answers, _divided, _end, _lead, _pages, _sentences, _together
from lessons.book.text import Text
from lessons.notebooks import PACKAGE, read
from tinyalex.tutor.questions import PREDICTIONS
from tinyalex.tutor.syllabus import FOLDER, lessons_in

LESSONS = lessons_in(FOLDER)


def words_of(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def sections(page):
    return re.findall(r'<section id="s\d+" class="slide.*?</section>', page, re.DOTALL)


class Cell:
    """A cell of code."""

    def __init__(self, source, *tags):
        self.source, self.metadata = source, {"tags": list(tags)}


def slides_of(*cells, question=None):
    """The slides of a lesson that holds these cells: text, or a cell of code with its figures and its output."""
    lesson = LESSONS[0]
    slides = Slides(lesson, Text("x", Engine(PACKAGE.parent), Glossary([]), {}, lambda source: source), question)
    for cell in cells:
        slides.markdown(cell) if isinstance(cell, str) else slides.code(*cell)
    return sections(slides.html())


def test_slides_of_a_small_lesson(book):
    page = (book / "00_small.slides.html").read_text("utf-8")
    found = sections(page)
    assert len(found) == 7 and "<h1>00 A small lesson</h1>" in found[0] and "about 5 minutes" in found[0]
    assert "<blockquote>" in found[1] and "<math " in found[1] and "1 / 7" in found[0] and "7 / 7" in found[-1]
    assert page.count("<figure>") == 2 and "figcaption" not in page
    assert "np.where" not in page and "You expect" not in page  # no solution, and nobody's guess
    other = (book / "01_next.slides.html").read_text("utf-8")
    assert 'larger one of two numbers:</p>\n<div class="math block' in other and other.count("<figure>") == 1


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_a_lesson_can_be_taught_from_its_slides(lesson, whole_book):
    """The paper's sentence, every prediction, every formula and picture of the text, each step, each mistake, the questions at the end."""
    page, notebook = (whole_book / f"{lesson.name}.slides.html").read_text("utf-8"), read(lesson)
    found = sections(page)
    said = words_of(page)
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "<blockquote>" in page and "Before you go" in page and "Two questions to write about" in page and ">Summary<" in page
    asked = {key for key in PREDICTIONS if f'predict("{key}"' in "".join(cell.source for cell in notebook.cells)}
    assert asked and all(" ".join(PREDICTIONS[key].question.split()) in said for key in asked)
    assert page.count('<div class="math block') >= len(re.findall(r"^\$\$(?!$)|^\$\$$\n(?=.+)", text, re.MULTILINE)) // 2
    assert page.count("<figure>") == sum("image/png" in out.get("data", {}) for cell in notebook.cells for out in cell.get("outputs", ()))
    steps = re.findall(r"^### (4\.\d .+)$", text, re.MULTILINE)
    assert steps and all(any(step.split()[0] in one for one in found) for step in steps)
    mistakes = text.partition("What people get wrong")[2].partition("### Summary")[0]
    bold = re.findall(r"\n\n\*\*(?:[^*]|\*(?!\*))+\*\*", mistakes)
    after = page.partition("What people get wrong")[2]
    assert len(bold) >= 5 and len(re.findall(r"<p><strong>", after)) >= len(bold), (len(bold), after.count("<p><strong>"))
    solutions = [cell.source for cell in notebook.cells if "solution" in cell.metadata.get("tags", [])]
    assert all(line not in said for source in solutions for line in source.splitlines() if "return" in line and len(line) > 30)


def test_sentences_do_not_end_inside_of_formulas_and_brackets():
    assert _sentences("One. Two (see 3. And 4). `a. B` and $x. Y$ end. **Bold. Words.** Rest") == [
        "One.", "Two (see 3. And 4).", "`a. B` and $x. Y$ end.", "**Bold. Words.**", "Rest",
    ]  # fmt: skip
    assert _sentences('**"Smaller is better."** Part 8 shows it.') == ['**"Smaller is better."**', "Part 8 shows it."]


def test_paragraphs_are_cut_after_a_sentence():
    words = "First one. Second one. Look at this:"
    assert _lead(words, 12) == "First one." and _lead(words, 25) == "First one. Second one." and _lead(words, 99) == words
    assert _lead("A long sentence that is longer.", 5) == "A long sentence that is longer."
    assert _end(words, 20) == "Look at this:" and _end(words, 30) == "Second one. Look at this:"
    assert _lead("First. Announced: Here it is.", 18) == "First."


def test_answers_stand_with_their_question_and_without_a_guess():
    question = PREDICTIONS["05-a"].question
    said, asked = _answers(f"x is 1\n{question}\nYou expected 8; it is 5.9.\nBecause."), " ".join(question.split())
    assert "\n" in question and said == f"x is 1\n{asked}\nThe answer is 5.9.\nBecause."


def test_solution_and_what_follows_it_in_its_part_are_left_out():
    text = "## 5. Twenty lines of your own\n\nWrite f."
    made = slides_of(text, (Cell("def f():\n    return 1", "solution"), [], ""), "The secret is 1.", "## 6. Prove it\n\nRun it.")
    assert len(made) == 3 and "secret" not in "".join(made) and "return" not in "".join(made) and "Run it." in made[2]


def test_code_is_shown_where_it_is_short_and_always_with_the_tag():
    long, heading = "\n".join(f"x = {at}" for at in range(14)), "## 4. The derivation\n\nSo:"
    assert 'class="code' in "".join(slides_of(heading, (Cell("x = 1"), [], "")))
    assert 'class="code' not in "".join(slides_of(heading, (Cell(long), [], "")))
    assert 'class="code' in "".join(slides_of(heading, (Cell(long, "slide"), [], "")))
    assert 'class="code' not in "".join(slides_of(heading, (Cell('say("x", value=1, within=1)'), [], "x")))


def test_question_of_the_last_minutes_comes_before_the_homework():
    made = slides_of("## 9. What\n\n### Read on\n\n- a\n\nTwo questions:\n\n1. One?\n2. Two?", question=("Why < 3?", "So."))
    assert "Why &lt; 3?" in made[-2] and "<details>" in made[-2] and "One?" in made[-1] and "Two questions to write about" in made[-1]


def test_long_lists_and_tables_go_on_and_keep_their_numbers_and_heads():
    items = list(_divided("<ol>\n" + "".join(f"<li>{'word ' * 50}</li>\n" for _ in range(9)) + "</ol>\n", 0, False))
    assert len(items) > 1 and sum(one.html.count("<li>") for one in items) == 9
    assert f'start="{items[0].html.count("<li>") + 1}"' in items[1].html and all(one.lines <= LINES for one in items)
    table = "<table><thead><tr><th>h</th></tr></thead><tbody>" + "".join(f"<tr><td>{at}</td></tr>" for at in range(30)) + "</tbody></table>"
    items = list(_divided(table, 0, False))
    assert len(items) > 1 and all("<th>h</th>" in one.html for one in items) and sum(one.html.count("<td>") for one in items) == 30


def test_what_belongs_together_stays_on_one_slide_where_it_fits():
    say, formula, picture, code = Item("s", 3, near=True), Item("f", 2), Item("p", 8, picture=True), Item("c", 9, near=True)
    assert list(_together([say, formula, formula])) == [[say, formula], [formula]]
    assert list(_together([formula, picture, formula])) == [[formula, picture], [formula]]
    assert list(_together([say, code, formula, formula])) == [[say, code, formula], [formula]]
    four = Item("f", 4)
    assert list(_together([say, code, four])) == [[say], [code, four]]  # code stays with what it prints
    assert len(list(_pages(Scene("a", "b", [picture, Item("x", 1), Item("x", 1)])))) == 1
    assert len(list(_pages(Scene("a", "b", [picture, picture, Item("x", 6)])))) == 3 and list(_pages(Scene("a", "b"))) == []
