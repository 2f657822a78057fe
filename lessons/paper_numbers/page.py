"""The page of the paper's numbers: `lessons/NUMBERS.md`, and the same as a page of the book."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lessons.extra import LessonError
from lessons.paper_numbers import rows_1_to_3, rows_4_to_7
from lessons.paper_numbers.check import Answer, answers, sums
from lessons.paper_numbers.number import Call, Number
from tinyalex.files.atomic import write_atomically
from tinyalex.tutor.syllabus import FOLDER, lessons_in

if TYPE_CHECKING:
    from lessons.book.engine import Engine

PAGE = FOLDER / "NUMBERS.md"
TITLE = "Every number of the paper"
PARTS: tuple[tuple[str, tuple[Number, ...]], ...] = (*rows_1_to_3.PARTS, *rows_4_to_7.PARTS)
HEADS = ("Where", "What", "Paper", "Here", "Verdict", "How it is computed, and what to know")
INTRO = """\
"ImageNet Classification with Deep Convolutional Neural Networks" (2012) holds many numbers. Each row of these tables is one of them, with \
the number that this repository computes. A row with no number under "Here" cannot be run here, and says why."""
VERDICTS = {
    "agrees": "We get the paper's number. Where the paper rounds, our exact number is shown.",
    "slip": "The paper's number is a slip. The row says how it came about, where that can be computed.",
    "differs": "We measured it too and got another number, under conditions that the row names.",
    "not run here": "It needs something that is not here. Mostly this is ImageNet, which is given to people who register. "
    "Where the authors published a log or a file, the row has its number.",
}
ABOUT = """\
Names (GTX 580, CIFAR-10), years, references, and words such as "thousands of images" are left out. The text, the tables and the footnotes \
were read in transcriptions of the paper. Of the labels inside the drawing of Figure 2 only two are here, the 55 and the 48 that explain \
the slip."""
MADE = """\
`python -m lessons numbers` computes all rows and writes this page. With `--check` it only compares, and fails where a row is wrong."""


@cache
def all_answers() -> tuple[tuple[str, tuple[Answer, ...]], ...]:
    """All rows with our values, by part of the paper. Raises LessonError where a row is no longer true."""
    found = iter(answers(number for _, numbers in PARTS for number in numbers))
    return tuple((title, tuple(next(found) for _ in numbers)) for title, numbers in PARTS)


def counted() -> dict[str, int]:
    """How many rows have each verdict."""
    return sums([one for _, part in all_answers() for one in part])


def summary() -> str:
    """The sums in a line."""
    found = counted()
    many = {"agrees": "agree", "slip": "are slips of the paper", "differs": "differ", "not run here": "cannot be run here"}
    return f"{sum(found.values())} numbers: " + ", ".join(f"{count} {many[verdict]}" for verdict, count in found.items())


def markdown() -> str:
    """The text of the page."""
    made = [f"# {TITLE}\n\n{INTRO}\n\n{ABOUT} {MADE}\n\n{_line(('', 'Rows', 'What it means'))}{_line(('---', '--:', '---'))}"]
    made += [_line((verdict, str(count), VERDICTS[verdict])) for verdict, count in counted().items()]
    for title, part in all_answers():
        made.append(f"\n## {title}\n\n{_line(HEADS)}{_line(('---',) * len(HEADS))}")
        for one in part:
            number = one.number
            made.append(_line((number.section, number.what, number.printed, one.ours, number.verdict, " ".join(_how(one)))))
    return "".join(made)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _how(one: Answer) -> Iterator[str]:
    """The sentences of a row, in Markdown."""
    number = one.number
    if number.by is not None and number.verdict != "not run here":
        yield f"{_linked(number.by)}."
    if number.arithmetic is not None:
        yield f"The slip: {_linked(number.arithmetic)}."
    if number.cell is not None:
        notebook = next(lesson.notebook.name for lesson in lessons_in() if lesson.number == number.cell.lesson)
        yield f"[Lesson {number.cell.lesson}]({notebook}), part {_part(one)}."
    yield from [number.why] if number.why else []
    yield from (f"{also.words} ({_linked(also.call)})." for also in number.also)


def _part(one: Answer) -> str:
    """The part of a lesson, such as "8 (Experiment)"."""
    number, _, words = one.part.partition(". ")
    return f"{number} ({words})"


def _linked(call: Call) -> str:
    return f"[`{call.text}`]({_file(call).removeprefix('lessons/')})"


def _file(call: Call) -> str:
    """The file that defines the function of a call, from the root of the repository."""
    return call.function.__module__.replace(".", "/") + ".py"


def html(engine: Engine, pages: dict[str, str]) -> str:
    """The page as HTML of the book. engine: where functions are found. pages: of the lessons, by number."""
    from lessons.book.markup import rendered, table

    meaning = [
        f'<tr><th scope="row">{verdict}</th><td>{count}</td><td>{rendered(VERDICTS[verdict])}</td></tr>'
        for verdict, count in counted().items()
    ]
    made = [f"<h1>{TITLE}</h1><p>{rendered(INTRO)}</p><p>{rendered(ABOUT)} {rendered(MADE)}</p>"]
    made.append(table(("", "Rows", "What it means"), meaning, "verdicts"))
    for title, part in all_answers():
        made.append(f"<h2>{rendered(title)}</h2>{table(HEADS, [_row(one, engine, pages) for one in part], 'numbers')}")
    return "".join(made)


def _row(one: Answer, engine: Engine, pages: dict[str, str]) -> str:
    from lessons.book.markup import lesson_link, rendered

    number = one.number

    def linked(call: Call) -> str:
        place = engine.place(_file(call), call.function.__name__, "numbers")
        return f'<a class="engine" href="{place.href}">{rendered(f"`{call.text}`")}</a>'

    how = [f"{linked(number.by)}."] if number.by is not None and number.verdict != "not run here" else []
    if number.arithmetic is not None:
        how.append(f"The slip: {linked(number.arithmetic)}.")
    if number.cell is not None:
        name = f"#part-{one.part.partition('.')[0]}"
        how.append(f"Lesson {lesson_link(number.cell.lesson, pages, name)}, part {rendered(_part(one))}.")
    how += [rendered(number.why)] if number.why else []
    how += [f"{rendered(also.words)} ({linked(also.call)})." for also in number.also]
    kind = number.verdict.replace(" ", "-")
    return (
        f'<tr class="{kind}"><td>{rendered(number.section)}</td><td>{rendered(number.what)}</td><td>{rendered(number.printed)}</td>'
        f"<td>{rendered(one.ours)}</td><td>{number.verdict}</td><td>{' '.join(how)}</td></tr>"
    )


def write(check: bool = False, path: Path | None = None) -> str:
    """Write the page, or with `check` only compare it with what is there; return the sums as a line.

    Raises
    ------
    LessonError: a row is no longer true, or with `check` the page is another one than is computed now.
    """
    path, text = path or PAGE, markdown()
    if not check:
        content = text.encode()
        write_atomically(path, [content], len(content))
    elif not path.is_file() or path.read_text("utf-8") != text:
        got = "another text" if path.is_file() else "no file"
        raise LessonError(f"numbers: {path.name} must be the page that is computed now, got {got}; python -m lessons numbers")
    return summary()
