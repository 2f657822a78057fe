"""A lesson's page and its slides: text on the left, code and its outputs on the right."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from lessons.book.engine import Engine, Place, python
from lessons.book.glossary import Glossary
from lessons.book.slides import Slides
from lessons.book.text import Block, Text
from lessons.extra import LessonError
from lessons.notebooks import well_described
from tinyalex.tutor.syllabus import Lesson

BESIDE = 900  # characters of text that stand beside the code that follows them; the text before runs over the whole width
DESCRIPTION = re.compile(r'\balt=(f?"[^"\n]*"\s*)+(?=\))')  # of a picture: the page shows it below the picture, and not a second time
COLUMNS = re.compile(r"^.*\S {2,}\S", re.MULTILINE)
UNFORMATTED = re.compile(r" *# fmt: skip$", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Row:
    """Text, and what stands beside it."""

    text: list[Block] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)


@dataclass
class Page:
    """A lesson as HTML. body: the page. slides: its slides. parts: id and words of its level-2 headings."""

    body: str
    slides: str
    parts: list[tuple[str, str]]


def lesson_page(
    lesson: Lesson, notebook: Any, engine: Engine, glossary: Glossary, pages: dict[str, str], question: tuple[str, str] | None = None
) -> Page:
    """The page of a notebook with outputs, and its slides. question: the one that ends the lesson, and its answer."""
    text, short = (Text(lesson.name, engine, glossary, pages, lambda source: _embedded(lesson, source)) for _ in range(2))
    rows, slides = [Row()], Slides(lesson, short, question)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            if rows[-1].code:
                rows.append(Row())
            blocks = text.blocks(cell.source)
            slides.markdown(cell.source)
            for block in blocks:
                if block.heading and (rows[-1].text or rows[-1].code) and block.heading <= 2:
                    rows.append(Row())
                rows[-1].text.append(block)
                rows[-1].places += [place for place in block.places if place not in rows[-1].places]
        elif cell.cell_type == "code":
            rows[-1].code.append(_code(lesson, cell))
            outputs = list(_outputs(lesson, cell))
            slides.code(cell, [one for one in outputs if one.startswith("<figure")], _printed(cell))
    seen: set[Place] = set()
    body = "\n".join(_row(row, engine, seen) for row in rows if row.text or row.code)
    return Page(body, slides.html(), text.parts)


def _row(row: Row, engine: Engine, seen: set[Place]) -> str:
    """A row of the page. Text that is long before its code runs over the whole width first."""
    beside = list(row.code)
    for place in row.places:
        if place not in seen:
            seen.add(place)
            where = f"<code>{escape(place.file)}</code>, line {place.line}: <code>{escape(place.name)}</code>"
            summary = f'<summary>The engine: {where}</summary><p><a href="{place.href}">the whole file</a></p>'
            beside.append(f'<details class="excerpt">{summary}{engine.excerpt(place)}</details>')
    if not beside:
        return f'<section class="row"><div class="text all">{"".join(block.html for block in row.text)}</div></section>'
    cut = _cut(row.text)
    before, near = ("".join(block.html for block in part) for part in (row.text[:cut], row.text[cut:]))
    whole = f'<div class="text all">{before}</div>' if before else ""
    return f'<section class="row">{whole}<div class="text">{near}</div><div class="beside">{"".join(beside)}</div></section>'


def _cut(blocks: list[Block]) -> int:
    """How many blocks run over the whole width; those that follow stand beside the code."""
    cut, size = len(blocks), 0
    while cut and not blocks[cut - 1].wide and (cut == len(blocks) or size + blocks[cut - 1].size <= BESIDE):
        cut -= 1
        size += blocks[cut].size
    while 0 < cut < len(blocks) and (blocks[cut].formula or blocks[cut - 1].heading):
        cut -= 1  # a formula stays with the sentence before it, and a heading with what follows
    return cut


def _code(lesson: Lesson, cell: Any) -> str:
    """A code cell with its outputs; a solution is folded."""
    tags = cell.metadata.get("tags", [])
    source = python(UNFORMATTED.sub("", DESCRIPTION.sub('alt="..."', cell.source)))
    outputs = "".join(_outputs(lesson, cell))
    if "solution" in tags:
        check = ", and let the tutor check it" if any(tag.startswith("exercise:") for tag in tags) else ""
        summary = f"<summary>A solution. Write your own first{check}.</summary>"
        return f'<details class="solution">{summary}{source}{outputs}</details>'
    if "hide-input" in tags:
        return f"<details><summary>The code of what follows</summary>{source}</details>{outputs}"
    return f'<div class="cell{" predict" if "predict" in tags else ""}">{source}{outputs}</div>'


def _outputs(lesson: Lesson, cell: Any) -> Iterator[str]:
    """The outputs as HTML. The sentence that `show` prints below a picture becomes the picture's caption."""
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            yield _figure(lesson, cell, output)
        elif kept := _words(cell, output):
            yield f'<pre class="output" tabindex="0">{"".join(_wrapped(kept))}</pre>'


def _words(cell: Any, output: Any) -> str:
    """The text of an output, without the sentences that describe pictures."""
    alts = [alt for one in cell.outputs if (alt := one.get("metadata", {}).get("image/png", {}).get("alt"))]
    data = output.get("data", {})
    words = "" if "image/png" in data else output.get("text") or data.get("text/plain") or ""
    return _without(ANSI.sub("", words), alts)


def _printed(cell: Any) -> str:
    """All text that a cell printed."""
    return "\n".join(filter(None, (_words(cell, output) for output in cell.outputs)))


def _wrapped(text: str) -> Iterator[str]:
    """The lines of an output as HTML. Those of a table are not wrapped, because its columns would break."""
    table = len(COLUMNS.findall(text)) > 1
    for line in text.splitlines(keepends=True):
        yield escape(line) if table and COLUMNS.match(line) else f'<span class="line">{escape(line)}</span>'


def _without(text: str, lines: list[str]) -> str:
    return "\n".join(line for line in text.splitlines() if line not in lines).rstrip()


def _figure(lesson: Lesson, cell: Any, output: Any) -> str:
    if not well_described(output):
        raise LessonError(f"{lesson.name}: cell {cell.id} must give each picture an alt text, got none; call show(fig, alt=...)")
    alt, data = output.metadata["image/png"]["alt"], output.data["image/png"].replace("\n", "")
    width, height = _size(base64.b64decode(data))
    image = f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" width="{width}" height="{height}">'
    return f'<figure>{image}<figcaption aria-hidden="true">{escape(alt)}</figcaption></figure>'


def _size(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG, so that the page keeps its place while it loads."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _embedded(lesson: Lesson, source: str) -> str:
    """A picture of the lesson's folder, inside the page."""
    path = lesson.path.parent / source
    if not path.is_file() or path.suffix not in (".png", ".svg"):
        raise LessonError(f"{lesson.name}: picture must be a PNG or an SVG of the lessons' folder, got {source!r}; put it there")
    kind = "image/png" if path.suffix == ".png" else "image/svg+xml"
    return f"data:{kind};base64,{base64.b64encode(Path(path).read_bytes()).decode('ascii')}"
