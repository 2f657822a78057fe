"""The slides of a lesson, made from its cells: few words a slide, a formula with the sentence before it, each picture, each mistake.

A lesson's nine parts say what a slide takes from them. Text is cut after a sentence, and code is left out where it is long. What does not
fit on one slide goes on to the next one. Sizes are estimated here in lines of text; a browser measures them in the tests.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape, unescape
from typing import Any

from lessons.book.engine import python
from lessons.book.text import Text
from tinyalex.tutor.questions import PREDICTIONS
from tinyalex.tutor.syllabus import Lesson

LINES = 14.5  # of text on a slide below its heading
WIDTH = 80  # characters in a line of text
CODE_WIDTH, CODE_LINE = 92, 0.78  # characters in a line of code or output, and its height in lines of text
LEAD, SHORT = 330, 240  # characters that are taken from the beginning of a paragraph, or from the end of the one before a formula
MOST_CODE = 11  # lines of a cell whose code is shown
MOST_OUTPUT = 13  # lines of an output on one slide
PICTURE = 8.0  # lines that a picture needs at least
BELOW = 3.1  # lines of an output, or of a sentence, that stand below a picture
PREDICT, EQUATION, DERIVATION, OWN, ENGINE, MISTAKES = 2, 3, 4, 5, 7, 9  # parts of a lesson
SENTENCE = re.compile(r"(?<=[.?!:])[\"*)]*\s+(?=[A-Z*`$\"(])")
SAID = re.compile(r"You expected [^;\n]*; it is", re.DOTALL)
QUIET = re.compile(r"\s*(say|reveal|print|assert|import|from|predict)\b")
ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
ENTRY = re.compile(r"<li>.*?</li>\s*", re.DOTALL)


@dataclass
class Item:
    """A piece of a slide. lines: its estimated height. near: whether it stays with the piece after it. picture: takes what is left."""

    html: str
    lines: float
    near: bool = False
    picture: bool = False


@dataclass
class Scene:
    """Pieces under one heading, which may need several slides."""

    part: str
    title: str
    items: list[Item] = field(default_factory=list)


class Slides:
    """Collects the slides of a lesson. text: of this lesson, apart from the page's, so that a term is explained on both."""

    def __init__(self, lesson: Lesson, text: Text, question: tuple[str, str] | None) -> None:
        self.lesson, self.text, self.question = lesson, text, question
        self.scenes: list[Scene] = []
        self.part = 0
        self.solved = False  # whether the solution of this part was passed: what is said after it would give it away

    def html(self) -> str:
        """All slides, numbered."""
        lesson, scenes = self.lesson, [*self.scenes]
        if self.question:
            answer = f"<details><summary>The answer</summary><p>{escape(self.question[1])}</p></details>"
            question = Item(f'<p class="question">{escape(self.question[0])}</p>{answer}', 8)
            end = next((at for at, scene in enumerate(scenes) if scene.title == HOMEWORK), len(scenes))
            scenes.insert(end, Scene("", "Before you go", [question]))
        facts = [f"Paper {lesson.section}"] if lesson.section else []
        facts += [f"about {lesson.minutes} minutes", *([f"needs {', '.join(lesson.needs)}"] if lesson.needs else [])]
        facts += [", ".join(lesson.exercises)] if lesson.exercises else []
        title = f"<h1>{lesson.number} {escape(lesson.title)}</h1><p>{escape(lesson.goal)}</p><p>{', '.join(facts)}</p>"
        made = [f' title">{title}', *(page for scene in scenes for page in _pages(scene))]
        return "\n".join(
            f'<section id="s{at}" class="slide{one}<p class="at">{at} / {len(made)}</p></section>' for at, one in enumerate(made, 1)
        )

    def markdown(self, source: str) -> None:
        """Take what a slide needs from a cell of text."""
        pieces = list(_pieces(self.text, source))
        for at, (kind, words) in enumerate(pieces):
            after = pieces[at + 1][0] if at + 1 < len(pieces) else ""
            if kind in ("h1", "h2", "h3"):
                self._heading(kind, words)
            elif self.scenes and self.scenes[-1].title != READ_ON:
                self._piece(kind, words, after)
            elif self.scenes and kind == "ordered_list":
                self.scenes[-1] = Scene("", HOMEWORK, self.scenes[-1].items)
                self._add(words)

    def _heading(self, kind: str, words: str) -> None:
        title = self.text.inline(words.lstrip("# "))
        if kind == "h1":
            return
        if kind == "h2":
            number = re.match(r"\d+", title)
            self.part, self.solved = int(number[0]) if number else 0, False
            self.scenes.append(Scene(title, title))
        else:
            self.scenes.append(Scene(self.scenes[-1].part if self.scenes else "", title))

    def _piece(self, kind: str, words: str, after: str) -> None:
        """A block of text, as far as a slide takes it."""
        scene = self.scenes[-1]
        if self.solved:
            return None
        if kind != "paragraph":
            return self._add(words)
        bold = words.startswith("**")
        if after in ("math_block", "bullet_list", "ordered_list", "table", "fence"):
            taken = _lead(words, LEAD) if not scene.items else _frame(words, LEAD) if bold else _end(words, SHORT)
        elif self.part == OWN:
            taken = _lead(words, 2 * LEAD)
        elif scene.title == SUMMARY:
            taken = _lead(words, 3 * LEAD)
        elif bold or not scene.items:
            taken = _lead(words, LEAD)
        elif self.part in (1, EQUATION, DERIVATION) or (scene.items and not after):
            taken = _lead(words, SHORT)  # the step of a derivation, or what leads to the cell of code that follows
        else:
            return None
        self._add(taken, near=after in ("math_block", "table", "fence") or (bold and not after))
        return None

    def _add(self, source: str, near: bool = False) -> None:
        for block in self.text.blocks(source):
            html = re.sub(r' id="[^"]*"', "", block.html)
            self.scenes[-1].items += _divided(html, block.size, near)

    def code(self, cell: Any, figures: list[str], output: str) -> None:
        """Take the pictures of a cell, its code where it is short, and what it printed. output: without what describes a picture."""
        tags = cell.metadata.get("tags", [])
        self.solved |= "solution" in tags
        if not self.scenes or (self.solved and (not figures or "solution" in tags)):
            return
        items = self.scenes[-1].items
        if self.solved:  # behind a solution stand no code and no words, but what it draws may be seen
            items += [_picture(figure) for figure in figures]
            return
        if "predict" in tags:
            items.append(_question(output))
            return
        lines = cell.source.splitlines()
        shown = not figures and len(lines) <= MOST_CODE and not all(QUIET.match(line) for line in lines if line.strip())
        if "slide" in tags or (shown and "hide-input" not in tags and self.part in (EQUATION, DERIVATION, OWN, ENGINE, MISTAKES)):
            items.append(Item(python(cell.source), _height(cell.source) + 1, near=bool(output)))
        items += [_picture(figure) for figure in figures]
        if kept := _answers(output):
            rows = kept.splitlines()
            for at in range(0, len(rows), MOST_OUTPUT):
                some = "\n".join(rows[at : at + MOST_OUTPUT])
                items.append(Item(f'<pre class="output">{escape(some)}</pre>', _height(some) + 0.7))


def _picture(figure: str) -> Item:
    """A picture, without its caption, which describes it."""
    return Item(re.sub(r"<figcaption.*?</figcaption>", "", figure, flags=re.DOTALL), PICTURE, picture=True)


SUMMARY, READ_ON, HOMEWORK = "Summary", "Read on", "Two questions to write about"


def _pieces(text: Text, source: str) -> Iterator[tuple[str, str]]:
    """The outermost blocks of Markdown, each with its kind, such as "paragraph" or "h2"."""
    lines = source.splitlines()
    for token in text.markdown.parse(source):
        if token.level == 0 and token.nesting >= 0 and token.map:
            kind = token.tag if token.type == "heading_open" else token.type.removesuffix("_open")
            yield kind, "\n".join(lines[token.map[0] : token.map[1]]).strip()


def _sentences(words: str) -> list[str]:
    """The sentences of a paragraph. One never ends inside of a formula, of code, of bold words or of brackets."""
    joined, found, start = " ".join(words.split()), [], 0
    for match in SENTENCE.finditer(joined):
        before = joined[start : match.end()]
        open_marks = any(before.count(mark) % 2 for mark in ("$", "`", "**", '"'))
        if not open_marks and before.count("(") == before.count(")"):
            found.append(before.strip())
            start = match.end()
    return [one for one in (*found, joined[start:].strip()) if one]


def _lead(words: str, most: int) -> str:
    """The first sentences of a paragraph, up to `most` characters but at least one sentence."""
    sentences = _sentences(words)
    count = 1
    while count < len(sentences) and len(" ".join(sentences[: count + 1])) <= most:
        count += 1
    if count > 1 and sentences[count - 1].endswith(":") and count < len(sentences):
        count -= 1  # what it announces is cut off
    return " ".join(sentences[:count])


def _end(words: str, most: int) -> str:
    """The last sentences of a paragraph, which lead to the formula or the list below it."""
    sentences = _sentences(words)
    count = 1
    while count < len(sentences) and len(" ".join(sentences[-count - 1 :])) <= most:
        count += 1
    return " ".join(sentences[-count:])


def _frame(words: str, most: int) -> str:
    """The first sentence of a paragraph and its last ones."""
    first, *others = _sentences(words)
    return f"{first} {_end(' '.join(others), most - len(first))}" if others else first


def _answers(output: str) -> str:
    """What a cell printed, without anybody's guesses at predictions; each question is in one line."""
    for one in PREDICTIONS.values():
        output = output.replace(one.question, " ".join(one.question.split()))
    return SAID.sub("The answer is", output).strip()


def _question(output: str) -> Item:
    """A prediction: its question alone, without a guess."""
    question, _, rest = output.partition("\nThe answer is ")
    form = rest.partition("\n")[0]
    words = " ".join(question.split())
    return Item(f'<p class="question">{escape(words)} <small>Write {escape(form)}</small></p>', len(words + form) / WIDTH * 1.4 + 1.6)


def _height(text: str) -> float:
    """The lines that code or an output needs."""
    return CODE_LINE * sum(max(1, math.ceil(len(line) / CODE_WIDTH)) for line in text.splitlines())


def _divided(html: str, size: int, near: bool) -> Iterator[Item]:
    """A block as pieces that fit: a long list or table in parts."""
    if html.startswith('<div class="math'):
        rows = max(1, html.count("<mtr"))
        tall = html.count("<mfrac") > 0 or "<munder" in html
        yield Item(html, rows * (2.2 if tall else 1.7) + 0.6, near)
    elif "<table" in html:
        yield from _rows(html)
    elif html.startswith(("<ul", "<ol")):
        tag, entries, at = html[1:3], ENTRY.findall(html), 1
        groups: list[list[str]] = [[]]
        for entry in entries:
            if sum(map(_text_lines, [*groups[-1], entry])) > LINES - 1:
                groups.append([])
            groups[-1].append(entry)
        for group in groups:
            start = f' start="{at}"' if tag == "ol" else ""
            at += len(group)
            yield Item(f"<{tag}{start}>{''.join(group)}</{tag}>", sum(map(_text_lines, group)) + 0.5)
    elif html.startswith("<pre"):
        yield Item(html, _height(unescape(re.sub(r"<[^>]+>", "", html))) + 1)
    else:
        yield Item(html, _text_lines(html) + 0.3, near)


def _text_lines(html: str) -> float:
    """The lines that words need, with the space below them. A formula in a line makes it higher."""
    words = re.sub(r"<annotation.*?</annotation>|<span class=\"note\".*?</span></a>|<[^>]+>", "", html, flags=re.DOTALL)
    return math.ceil(len(" ".join(unescape(words).split())) / WIDTH) + 0.3 + 0.15 * html.count("<mfrac")


def _rows(html: str) -> Iterator[Item]:
    """A table, in parts with the heading repeated where it is long."""
    head, *rows = ROW.findall(html)
    heights = []
    for row in rows:
        cells = [len(re.sub(r"<[^>]+>", "", cell)) for cell in row.split("</td>")]
        heights.append(0.45 + max(1, math.ceil(sum(cells) / (WIDTH * 0.85))))
    some: list[str] = []
    used = 1.5
    for row, height in zip(rows, heights, strict=True):
        if some and used + height > LINES - 1:
            yield Item(_table(head, some), used)
            some, used = [], 1.5
        some.append(row)
        used += height
    yield Item(_table(head, some), used + 0.5)


def _table(head: str, rows: list[str]) -> str:
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _pages(scene: Scene) -> Iterator[str]:
    """The slides of a scene: what follows `<section class="slide`, without the end."""
    if not scene.items:
        return
    pages: list[list[Item]] = [[]]
    left = LINES
    for group in _together(scene.items):
        needs = sum(item.lines for item in group)
        full = any(item.picture for item in pages[-1]) and (needs > BELOW or len(group) > 1)
        if pages[-1] and (needs > left or full):
            pages.append([])
            left = LINES
        pages[-1] += group
        left -= needs
    part = f'<p class="part">{scene.part}</p>' if scene.part and scene.part != scene.title else ""
    for page in pages:
        kind = " has-picture" if any(item.picture for item in page) else ""
        yield f'{kind}">{part}<h2>{scene.title}</h2>{"".join(item.html for item in page)}'


def _together(items: list[Item]) -> Iterator[list[Item]]:
    """Items that stay on one slide: a sentence with its formula, code with what it prints, a sentence with its picture, where they fit."""
    group: list[Item] = []
    for item, after in zip(items, [*items[1:], None], strict=True):
        group.append(item)
        near = after is not None and (item.near or after.picture) and not item.picture
        if near and after is not None and len(group) > 1 and sum(one.lines for one in group) + after.lines > LINES:
            yield group[:-1]
            group = [item]
        if not (near and after is not None and sum(one.lines for one in group) + after.lines <= LINES):
            yield group
            group = []
