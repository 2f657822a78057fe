"""What the tutor says: one finding at a time, its sentence from the catalogue of the language."""

from __future__ import annotations

import os
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
    second: whether another mistake is behind this one.
    call: the numbers and shapes that the call is described with.
    seed, sizes: of the calls, for `replay`.
    follows: what the student has derived rightly from what the finding is about: the name of an output.
    """

    key: str
    exercise: str
    function: str
    layer: str
    probe: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    seen: tuple[int, int] | None = None
    agree: tuple[int, int] | None = None
    second: bool = False
    call: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    sizes: int = 0
    follows: str = ""

    def text(self, language: str | None = None) -> str:
        """The message, at most six lines."""
        words = catalogue(language_of(language))
        known = {"function": self.function, "exercise": self.exercise, **self.numbers}
        described = words.get(f"{self.exercise}.probes.{slug(self.probe)}")  # in that language; the English stands in the exercise
        known |= {"probe": described.format(**self.call) if described and self.probe else known.get("probe", "")}
        agree = " " + words["agree"].format(*self.agree) if self.agree else ""
        second = " " + words["second"] if self.second else ""
        lines = [f"{self.exercise} {self.function}:{agree}{second}"]
        own = f"{self.exercise}.{self.key}"  # an exercise may say a general thing in words of its own
        lines += words[own if own in words else self.key].format(**known).strip().splitlines()
        if self.follows:
            lines.append(words["follows"].format(function=self.follows, forward=known.get("output", self.function)))
        if self.seen:
            lines.append(words["seen"].format(some=self.seen[0], all=self.seen[1]))
        name = f"{self.exercise}-{self.probe}" if self.probe else self.exercise
        others = "".join(f", {key}={value}" for key, value in (("seed", self.seed), ("sizes", self.sizes)) if value)
        lines.append(words["next"].format(exercise=self.exercise, replay=f'"{name}"{others}'))
        return "\n".join(lines)


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
