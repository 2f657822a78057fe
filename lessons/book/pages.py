"""Writes the book: index, lessons and slides, glossary, mistakes of articles, numbers, curves, the teacher's page, the engine's files."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from lessons.book.markup import lesson_link, rendered, table, toml
from lessons.extra import BOOK, LessonError, progress, require_extra
from lessons.notebooks import PACKAGE, convert, out_of_step, read
from lessons.teacher.page import data_of, exit_questions, teaching
from tinyalex.files.atomic import make_folder, write_bytes
from tinyalex.tutor.syllabus import Lesson, chosen
from tinyalex.units import time_in_words

if TYPE_CHECKING:  # it needs the packages of the extra, for which write_book asks in one sentence
    from lessons.book.engine import Engine

HERE = Path(__file__).parent
GLOSSARY, MISTAKES = HERE.parent / "glossary.toml", HERE.parent / "mistakes.toml"
MISTAKES_PART = "What people get wrong"  # the part of a lesson that the page of mistakes leads to
LIGHT, DARK = "xcode", "monokai"  # styles of code whose every colour has a contrast of at least 4.5 with the page


def write_book(folder: Path, out: Path) -> int:
    """Write the book of the lessons in `folder` into the folder `out`, and return the number of its pages.

    Raises LessonError where a notebook is missing or out of step, a picture has no alt text, a formula cannot be shown, a link or a
    name of the engine leads nowhere, or a number of the paper is no longer what its row says; DataError where there are no lessons.
    """
    require_extra("book", BOOK)
    from lessons.book.engine import Engine, page_of
    from lessons.book.glossary import read_glossary
    from lessons.book.lesson import lesson_page
    from lessons.paper_numbers.page import TITLE, html
    from lessons.wall import page as wall

    lessons = chosen("book", [], folder)
    engine, glossary = Engine(PACKAGE.parent), read_glossary(GLOSSARY)
    pages = {lesson.number: f"{lesson.name}.html" for lesson in lessons}
    files: dict[str, str] = {}
    questions = exit_questions(folder)
    mistakes: dict[str, str] = {}  # by lesson, where it says what people get wrong
    with progress(len(lessons), "book") as bar:
        for at, lesson in enumerate(lessons):
            if (fault := out_of_step(lesson, convert(lesson))) is not None:
                raise LessonError(fault)
            page = lesson_page(lesson, read(lesson), engine, glossary, pages, questions.get(lesson.number))
            title, body = f"{lesson.number} {lesson.title}", _parts(lesson, page.parts) + page.body + _around(lessons, at)
            files[pages[lesson.number]] = _page(title, body)
            mistakes[lesson.number] = next((f"#{name}" for name, words in page.parts if words.endswith(MISTAKES_PART)), "")
            files[f"{lesson.name}.slides.html"] = _page(f"{title}, slides", page.slides, kind="slides", back=pages[lesson.number])
            bar.update()
    if teacher := _teacher(lessons, folder, engine, pages):
        files["teacher.html"] = _page("For the teacher", teacher)
    files["index.html"] = _page("AlexNet by hand", _index(lessons, pages, bool(teacher)))
    files["glossary.html"] = _page("Glossary", glossary.page(pages))
    files["mistakes.html"] = _page("What the blog posts get wrong", _mistakes(pages, mistakes))
    files["numbers.html"] = _page(TITLE, html(engine, pages))
    files["curves.html"] = _page(wall.TITLE, wall.html(engine))
    for file in sorted(engine.named):
        title = f"<h1><code>{escape(file)}</code></h1>"
        files[page_of(file)] = _page(file, title + engine.page(file), kind="engine", up="../")
    _check_links(files)
    make_folder(out / "engine")
    for name, text in files.items():
        write_bytes(out / name, text.encode())
    write_bytes(out / "book.css", _style().encode())
    write_bytes(out / "slides.js", (HERE / "slides.js").read_bytes())
    return len(files)


def _page(title: str, body: str, kind: str = "plain", up: str = "", back: str = "") -> str:
    """A whole page. up: the way to the folder of the book. back: of slides, the page of their lesson."""
    template = Template((HERE / ("slides.html" if kind == "slides" else "page.html")).read_text("utf-8"))
    return template.substitute(title=escape(title), body=body, kind=kind, up=up, back=back)


def _parts(lesson: Lesson, parts: list[tuple[str, str]]) -> str:
    items = "".join(f'<li><a href="#{name}">{_plain(words)}</a></li>' for name, words in parts)
    slides = f'<li><a href="{lesson.name}.slides.html">Slides</a></li>'
    return f'<nav class="parts" aria-label="Parts of this lesson"><ul>{items}{slides}</ul></nav>'


def _plain(words: str) -> str:
    return escape(re.sub(r"[`$*]", "", words))


def _around(lessons: list[Lesson], at: int) -> str:
    near = (("prev", "Before:", lessons[at - 1 : at]), ("next", "Next:", lessons[at + 1 : at + 2]))
    links = [
        f'<a rel="{rel}" href="{lesson.name}.html">{words} {lesson.number} {escape(lesson.title)}</a>'
        for rel, words, found in near
        for lesson in found
    ]
    return f'<nav class="around" aria-label="Other lessons">{"".join(links)}</nav>'


def _teacher(lessons: list[Lesson], folder: Path, engine: Engine, pages: dict[str, str]) -> str:
    """The teacher's page, "" where the folder has none. No term is explained in it: a class of a school is not one of images."""
    from lessons.book.glossary import Glossary
    from lessons.book.text import Text

    if not data_of(folder).is_file():
        return ""
    text = Text("TEACHING.md", engine, Glossary([]), pages, lambda source: source)
    blocks = "".join(block.html for block in text.blocks(teaching(lessons, folder)))
    return f'<section class="row"><div class="text all">{blocks}</div></section>'


def _index(lessons: list[Lesson], pages: dict[str, str], teacher: bool) -> str:
    rows = [
        f'<tr><td>{lesson.number}</td><th scope="row"><a href="{pages[lesson.number]}">{escape(lesson.title)}</a></th>'
        f"<td>{escape(lesson.section.removeprefix('section ').removeprefix('sections '))}</td><td>{lesson.minutes}</td>"
        f"<td>{', '.join(lesson.needs) or 'none'}</td><td>{', '.join(lesson.exercises)}</td><td>{escape(lesson.goal)}</td></tr>"
        for lesson in lessons
    ]
    made = table(("", "Lesson", "Section", "Minutes", "Needs", "Exercises", "Aim"), rows, "index")
    minutes = sum(lesson.minutes for lesson in lessons)
    link = '<p>For a class there is <a href="teacher.html">a page for the teacher</a>.</p>' if teacher else ""
    return Template((HERE / "index.html").read_text("utf-8")).substitute(
        table=made, time=time_in_words(60 * minutes), count=len(lessons), teacher=link
    )


def _mistakes(pages: dict[str, str], parts: dict[str, str]) -> str:
    """The page of what articles get wrong, from its TOML file. parts: where a lesson says so; the first one of a row is linked there."""
    document = toml(MISTAKES)
    made = [f"<h1>What the blog posts get wrong, and the lesson that shows it</h1><p>{rendered(document['intro'])}</p>"]
    for topic in document["topic"]:
        rows = [
            f"<tr><td>{rendered(one['said'])}</td><td>{rendered(one['true'])}</td>"
            f"<td>{_lesson_links(one['lessons'], pages, parts)}</td></tr>"
            for one in topic["mistake"]
        ]
        made.append(f"<h2>{rendered(topic['name'])}</h2>{table(('One reads', 'It is so', 'Lesson'), rows, 'mistakes')}")
    return "".join(made)


def _lesson_links(numbers: list[str], pages: dict[str, str], parts: dict[str, str]) -> str:
    return " ".join(lesson_link(number, pages, "" if at else parts.get(number, "")) for at, number in enumerate(numbers))


def _style() -> str:
    """The style sheet, with the colours of code for light and for dark screens. On paper the light ones are used."""
    from pygments.formatters import HtmlFormatter

    def rules(style: str) -> str:
        lines = HtmlFormatter(style=style, cssclass="code").get_style_defs(".code").splitlines()
        return "\n".join(line for line in lines if line.startswith(".code ."))  # the page itself sets the background

    text = (HERE / "book.css").read_text("utf-8")
    return f"{text}\n{rules(LIGHT)}\n@media screen and (prefers-color-scheme: dark) {{\n{rules(DARK)}\n}}\n"


def _check_links(files: dict[str, str]) -> None:
    """Raise LessonError for a link inside the book that leads nowhere."""
    ids = {name: set(re.findall(r'\sid="([^"]+)"', text)) for name, text in files.items()}
    for name, text in files.items():
        for href in re.findall(r'<a[^>]*\shref="([^"]*)"', text):
            if re.match(r"https?:|mailto:", href):
                continue
            path, _, part = href.partition("#")
            target = _joined(name, path) if path else name
            if target not in files or (part and part not in ids[target]):
                raise LessonError(f"book: each link must lead to a page of the book, got {href!r} on {name}; mend the link")


def _joined(page: str, path: str) -> str:
    """The name in the book of `path`, seen from a page."""
    steps = page.split("/")[:-1]
    for step in path.split("/"):
        steps = steps[:-1] if step == ".." else [*steps, step]
    return "/".join(steps)
