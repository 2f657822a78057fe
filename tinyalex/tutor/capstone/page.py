"""The page: the result, both curves, the filters, every difference, the student's code beside the engine's, the predictions."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from tinyalex.tutor.capstone import pictures
from tinyalex.tutor.capstone.calls import FUNCTIONS, TEST, TOLERANCE
from tinyalex.tutor.capstone.engine import lines_of
from tinyalex.tutor.capstone.net import BATCHES, STEPS, TOWERS
from tinyalex.tutor.capstone.student_code import code_of
from tinyalex.tutor.capstone.verdict import Verdict, number
from tinyalex.tutor.finding import catalogue, filled
from tinyalex.tutor.kept import NAME, Kept
from tinyalex.tutor.predictions import written
from tinyalex.tutor.questions import PREDICTIONS
from tinyalex.tutor.submission import Submission

CODE = re.compile(r"`([^`]*)`")


def page_of(verdict: Verdict, submission: Submission, guesses: Kept, language: str) -> bytes:
    """The page as bytes: one file that needs no network.

    submission: the student's file, for its code. guesses: of the lessons' predictions.
    """
    page = Page(verdict, submission, guesses, language)
    parts = {
        "LANG": {"zh": "zh-Hans"}.get(language, language),
        "TITLE": page.say("title"),
        "SKIP": page.say("skip"),
        "ABOUT": page.say("about", file=verdict.file, steps=STEPS),
        "STYLE": _file("page.css"),
        "MAIN": "\n".join(page.sections()),
    }
    first, *rest = _file("page.html").split("@@")  # the parts of the page and the names of what stands between them take turns
    text = first + "".join(parts[part] if k % 2 == 0 else part for k, part in enumerate(rest))
    return text.encode("utf-8", "replace")


def _file(name: str) -> str:
    return files("tinyalex.tutor.capstone").joinpath(name).read_text("utf-8")


class Page:
    """The sections of the page, each as HTML."""

    def __init__(self, verdict: Verdict, submission: Submission, guesses: Kept, language: str) -> None:
        self.verdict, self.submission, self.guesses, self.language = verdict, submission, guesses, language
        self.words = catalogue(language)

    def say(self, key: str, **numbers: Any) -> str:
        """A sentence of the page, escaped; what stands in backticks is code."""
        return marked(filled(self.words, f"capstone.page.{key}", numbers))

    def plain(self, key: str, **numbers: Any) -> str:
        """A sentence for an attribute or a picture, escaped later."""
        return filled(self.words, f"capstone.page.{key}", numbers).replace("`", "")

    def sections(self) -> Iterator[str]:
        """All of them, in order."""
        yield self._result()
        yield self._curves()
        yield self._filters()
        yield self._differences()
        yield self._code()
        yield self._predictions()

    def _result(self) -> str:
        right = self.verdict.right
        paragraphs = (f"<pre>{marked(one)}</pre>" for one in self.verdict.lines(self.language))
        heading = self.say("agree" if right else "not_right" if self.verdict.found["first"] is None else "part")
        return f'<section id="result"{"" if right else " class=apart"}><h2>{heading}</h2>\n{"".join(paragraphs)}</section>'

    def _curves(self) -> str:
        losses = self.verdict.found["losses"]
        yours, engine = losses["yours"], losses["engine"]
        alt = self.plain("curves_alt", first=f"{yours[0]:.3g}", last=f"{yours[-1]:.3g}", engine_first=f"{engine[0]:.3g}",
                         engine_last=f"{engine[-1]:.3g}")  # fmt: skip
        step, test = self.plain("step"), self.plain("test")
        both = pictures.curves([("engine", engine), ("yours", yours)], alt, step, test)
        gaps = [0.0 if a == b else abs(a - b) for a, b in zip(yours, engine, strict=True)]
        alt = self.plain("gap_alt", least=number(min(gaps)), most=number(max(gaps)))
        legend = "".join(f'<li class="{name}">{self.say(name)}</li>' for name in ("yours", "engine"))
        return (
            f"<section><h2>{self.say('curves')}</h2><p>{self.say('curves_text', batches=BATCHES)}</p>{both}<ul class=legend>{legend}</ul>"
            f"<h3>{self.say('gap')}</h3><p>{self.say('gap_text')}</p>{pictures.gaps(gaps, TOLERANCE, alt, step, test)}</section>"
        )

    def _filters(self) -> str:
        kinds, shown = self.verdict.found["filters"], []
        scale = max(map(abs, _numbers(kinds["engine"])))
        for at, tower in enumerate(TOWERS):
            for whose in ("yours", "engine"):
                alt = html.escape(self.plain("filters_alt", tower=tower, whose=self.plain(whose)))
                caption = f"{html.escape(filled(self.words, 'capstone.of_tower', {'layer': 'conv1', 'tower': tower}))}: {self.say(whose)}"
                picture = f'<img src="{pictures.filters(kinds[whose][at], scale)}" alt="{alt}">'
                shown.append(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>")
        pairs = (
            abs(a - b)
            for yours, engine in zip(kinds["yours"], kinds["engine"], strict=True)
            for a, b in zip(_numbers(yours), _numbers(engine), strict=True)
        )
        largest = self.say("largest_difference", difference=number(max(pairs)))
        pictured = f'<div class="pictures">{"".join(shown)}</div>'
        return f"<section><h2>{self.say('filters')}</h2><p>{self.say('filters_text')}</p>{pictured}<p>{largest}</p></section>"

    def _differences(self) -> str:
        wrong_at = {(one["layer"], one["direction"], one["step"]) for one in self.verdict.found["wrong"]}
        head = "".join(f'<th scope="col">{at + 1 if at < TEST else self.say("test")}</th>' for at in range(STEPS + 1))
        lines = []
        for row in self.verdict.found["rows"]:
            layer, direction = row["layer"], row["direction"]
            cells = "".join(
                f"<td{' class=off' if (value or 0) > TOLERANCE or (layer, direction, at) in wrong_at else ''}>{_power(value)}</td>"
                for at, value in enumerate(row["differences"])
            )
            named = marked(self.words[f"capstone.{direction}"])
            lines.append(f'<tr><th scope="row">{layer}</th><td class=text>{named}</td>'
                         f'<td class=text>{self._whose(row["function"])}</td>{cells}</tr>')  # fmt: skip
        head = "".join(f'<th scope="col">{self.say(key)}</th>' for key in ("layer", "direction", "function")) + head
        table = f'<table class="grid"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
        return (
            f"<section><h2>{self.say('differences')}</h2><p>{self.say('differences_text')}</p><p>{self.say('names_text')}</p>"
            f'<div class="wide" tabindex="0" role="region" aria-label="{self.say("differences")}">{table}</div></section>'
        )

    def _whose(self, function: str) -> str:
        """Which of the student's functions a row of the table shows, if one of them."""
        if not function:
            return self.say("given")
        engine = f" ({self.say('of_engine')})" if function in self.verdict.found["filled"] else ""
        return f"<code>{function}</code>{engine}"

    def _code(self) -> str:
        parts, shown = [], dict[str, str]()
        for name, (exercise, _) in FUNCTIONS.items():
            calls, state = self.say("calls", calls=self.verdict.found["calls"].get(name, 0)), self.verdict.state(name)
            bad = state not in ("right", "stands_in")
            said = f"<b class=bad>{self.say(state)}</b>" if bad else self.say(state)
            summary = f"{exercise.key} <code>{name}</code>: {said if state == 'stands_in' else f'{calls}, {said}'}"
            yours = "" if state == "stands_in" else code_of(self.submission, name)
            left = f"<h3>{self.say('your_code', file=self.verdict.file)}</h3>{_pre(yours)}" if yours else ""
            right = []
            for file, text in lines_of(name):
                known = shown.setdefault(text, name)
                again = f"<p>{self.say('same_as', function=known)}</p>" if known != name else _pre(text)
                right.append(f"<h3>{self.say('the_engine', file=file)}</h3>{again}")
            if name == "exchange":
                right.append(f"<p>{self.say('exchange_note')}</p>")
            opened = " open" if bad else ""
            parts.append(f"<details{opened}><summary>{summary}</summary>"
                         f'<div class="beside"><div>{left}</div><div>{"".join(right)}</div></div></details>')  # fmt: skip
        return f"<section><h2>{self.say('code')}</h2><p>{self.say('code_text')}</p>{''.join(parts)}</section>"

    def _predictions(self) -> str:
        heading = f"<section><h2>{self.say('predictions')}</h2>"
        if not self.guesses:
            return f"{heading}<p>{self.say('no_predictions', name=NAME)}</p></section>"
        lines = []
        for name, kept in self.guesses.items():
            one = PREDICTIONS[name]
            found = html.escape(written(kept["answer"], one.form)) if "answer" in kept else self.say("not_revealed")
            guess = html.escape(written(kept["guess"], one.form))
            cells = f'<td lang="en">{html.escape(one.question)}</td><td>{guess}</td><td>{found}</td>'
            lines.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
        columns = "".join(f'<th scope="col">{self.say(key)}</th>' for key in ("question", "expected", "found"))
        table = f'<table class="guesses"><thead><tr><td></td>{columns}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
        region = f'<div class="wide" tabindex="0" role="region" aria-label="{self.say("predictions")}">{table}</div>'
        return f"{heading}<p>{self.say('predictions_text')}</p>{region}</section>"


def marked(text: str) -> str:
    """A sentence as HTML."""
    return CODE.sub(r"<code>\1</code>", html.escape(text))


def _pre(text: str) -> str:
    return f'<pre tabindex="0"><code>{html.escape(text)}</code></pre>'


def _power(value: float | None) -> str:
    """The power of ten of a difference; a dot for 0, and nothing where there is none."""
    if value is None:
        return ""
    if value == 0:
        return "\u00b7"
    return f"{math.floor(math.log10(value))}" if math.isfinite(value) else "\u221e"


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for one in value:
            yield from _numbers(one)
    else:
        yield value
