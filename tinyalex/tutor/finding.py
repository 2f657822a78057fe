"""What the tutor says: one finding at a time, its sentence from the catalogue of the language."""

from __future__ import annotations

import os
import re
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from tinyalex.errors import require_choice
from tinyalex.tutor.exercise import slug

LANGUAGES = ("en", "zh")
LINE = re.compile(r"(?:cell (\d+), )?line (\d+)")


@dataclass(frozen=True)
class Finding:
    """One thing that a student should know.

    Parameters
    ----------
    key: names the sentence in the catalogue; one that an exercise has of its own begins with "E06.".
    exercise, function: what was tried.
    layer: "contract", "mistake" or "symptom": how the tutor came to it.
    probe: the call that shows it, for `replay`; empty where every call does.
    numbers: what the sentence names.
    seen: how many of how many public solutions have it.
    agree: how many of how many calls gave the right answer.
    beside: "second" where another mistake is behind this one, "others" where other calls differ in another way, else empty.
    call: the numbers and shapes that the call is described with.
    seed, sizes: of the calls, for `replay`.
    follows: what the student has derived rightly from what the finding is about: the name of an output.
    others: the other outputs that are right in all calls. right_calls: key, description and call of the few calls that are right.
    """

    key: str
    exercise: str
    function: str
    layer: str
    probe: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    seen: tuple[int, int] | None = None
    agree: tuple[int, int] | None = None
    beside: str = ""
    call: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    sizes: int = 0
    follows: str = ""
    others: tuple[str, ...] = ()
    right_calls: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()

    def text(self, language: str | None = None) -> str:
        """The message, at most six lines."""
        words = catalogue(language_of(language))
        known = {"function": self.function, "exercise": self.exercise, **self.numbers}
        known |= {"probe": self._described(words, self.probe, known.get("probe", ""), self.call)}
        known |= {key: said(words, value) for key, value in known.items() if key in ("line", "at", "right", "how")}
        agree = " " + words["agree"].format(*self.agree) if self.agree else ""
        second = " " + words[self.beside] if self.beside else ""
        lines = [f"{self.exercise} {self.function}:{agree}{second}"]
        own = f"{self.exercise}.{self.key}"  # an exercise may say a general thing in words of its own
        lines += words[own if own in words else self.key].format(**known).strip().splitlines()
        if self.follows:
            lines.append(words["follows"].format(function=self.follows, forward=known.get("output", self.function)))
        elif self.others:
            lines.append(words["right_outputs"].format(outputs=", ".join(self.others)))
        if self.right_calls:
            separator = words["separator"]
            lines.append(words["right_calls"].format(calls=separator.join(self._described(words, *one) for one in self.right_calls)))
        if self.seen:
            lines.append(words["seen"].format(some=self.seen[0], all=self.seen[1]))
        name = f"{self.exercise}-{self.probe}" if self.probe else self.exercise
        others = "".join(f", {key}={value}" for key, value in (("seed", self.seed), ("sizes", self.sizes)) if value)
        lines.append(words["next"].format(exercise=self.exercise, replay=f'"{name}"{others}'))
        return "\n".join(lines)

    def _described(self, words: Mapping[str, str], key: str, english: str, call: Mapping[str, Any]) -> str:
        """A call in the language of the words; the English stands in the exercise and not in the catalogue."""
        described = words.get(f"{self.exercise}.probes.{slug(key)}") if key else None
        return english if described is None else described.format(**call).strip()


def said(words: Mapping[str, str], value: Any) -> Any:
    """A line, or another short value of a finding, in the language of the words."""
    if match := LINE.fullmatch(str(value)):
        return words["said.cell_line" if match[1] else "said.line"].format(cell=match[1], line=match[2])
    return words.get(f"said.{slug(str(value))}", value)


def language_of(language: str | None = None) -> str:
    """ "en" or "zh": what is asked for, else the variable TINYALEX_LANG, else English."""
    chosen: str = require_choice("tutor", "language", language or os.environ.get("TINYALEX_LANG") or "en", LANGUAGES)
    return chosen


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """The sentences of a language, by key: one file an exercise, and one that all share."""
    found: dict[str, str] = {}
    folder = files("tinyalex.tutor").joinpath("messages", language)
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            found |= flat(tomllib.loads(file.read_text("utf-8")))
    return found


def flat(tree: Mapping[str, Any], ahead: str = "") -> dict[str, str]:
    """A tree of tables as one dict, its keys joined by dots."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        found |= flat(value, f"{ahead}{key}.") if isinstance(value, Mapping) else {ahead + key: value}
    return found


def fields(sentence: str) -> set[str]:
    """The names in braces in a sentence."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
