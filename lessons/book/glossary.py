"""The glossary: terms in English and Chinese, shown where a lesson uses them and on a page of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from lessons.book.markup import lesson_link, table, toml
from lessons.extra import LessonError


@dataclass(frozen=True)
class Term:
    """A term and what it is called in Chinese.

    en: the term. zh, tw: the terms in use, in Simplified and in Traditional Chinese as in Taiwan, the most common first.
    means: one sentence. lesson: "03". also: other English forms. linked: whether lessons link to it where it first stands.
    """

    en: str
    zh: tuple[str, ...]
    tw: tuple[str, ...]
    means: str
    lesson: str
    also: tuple[str, ...] = ()
    linked: bool = True

    @property
    def name(self) -> str:
        """The term in an address."""
        return re.sub(r"\W+", "-", self.en.lower()).strip("-")


class Glossary:
    """The terms, and how they are found in a text."""

    def __init__(self, terms: list[Term]) -> None:
        self.terms = sorted(terms, key=lambda term: term.en.lower())
        self._by_form = {form.lower(): term for term in self.terms if term.linked for form in (term.en, *term.also)}
        forms = sorted(self._by_form, key=len, reverse=True)  # the longest first: "overlapping pooling" before "pooling"
        self._pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, forms))})(?:s|es)?(?![\w-])", re.IGNORECASE) if forms else None

    def found(self, text: str, explained: set[str]) -> Iterator[tuple[int, int, Term]]:
        """Where terms stand that are not yet in `explained`, each for the first time; they are entered there."""
        for match in self._pattern.finditer(text) if self._pattern else ():
            term = self._by_form[match[1].lower()]
            if term.en not in explained:
                explained.add(term.en)
                yield match.start(), match.end(), term

    def link(self, term: Term, words: str) -> str:
        """The words, with a note that shows while a pointer or the keyboard is on them."""
        chinese = f'<span lang="zh-Hans">{escape("，".join(term.zh))}</span>'
        if term.tw != term.zh:
            chinese += f' / <span lang="zh-Hant">{escape("，".join(term.tw))}</span>'
        note = f'<span class="note" role="note">{escape(term.en)} {chinese}: {escape(term.means)}</span>'
        return f'<a class="term" href="glossary.html#{term.name}">{escape(words)}{note}</a>'

    def page(self, pages: dict[str, str]) -> str:
        """All terms, as a table."""
        rows = [
            f'<tr id="{term.name}"><th scope="row">{escape(term.en)}</th><td lang="zh-Hans">{escape("，".join(term.zh))}</td>'
            f'<td lang="zh-Hant">{escape("，".join(term.tw))}</td>'
            f"<td>{escape(term.means)}</td><td>{lesson_link(term.lesson, pages)}</td></tr>"
            for term in self.terms
        ]
        intro = "<p>Schools differ in their Chinese terms. Where two or more are in use, the most common one comes first.</p>"
        heads = ("Term", "Simplified Chinese", "Traditional Chinese", "Meaning", "Lesson")
        return f"<h1>Glossary</h1>{intro}{table(heads, rows, 'glossary')}"


def read_glossary(path: Path) -> Glossary:
    """The terms of a TOML file. Raises LessonError for a term that is not complete, or stands there twice."""
    terms = []
    for entry in toml(path).get("term", []):
        if not (entry.keys() >= {"en", "zh", "tw", "means", "lesson"} and entry["zh"] and entry["tw"]):
            raise LessonError(f"{path.name}: each term must have en, zh, tw, means and lesson, got {entry}; write what is missing")
        chinese = tuple(entry["zh"]), tuple(entry["tw"])
        more = tuple(entry.get("also", ())), entry.get("linked", True)
        terms.append(Term(entry["en"], *chinese, entry["means"], entry["lesson"], *more))
    forms = [form.lower() for term in terms for form in (term.en, *term.also)]
    if twice := {form for form in forms if forms.count(form) > 1}:
        raise LessonError(f"{path.name}: each term must stand there once, got {min(twice)} twice; leave one out")
    return Glossary(terms)
