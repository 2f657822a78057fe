"""What the tutor says: one finding at a time, its sentence from the catalogue of the language."""

from __future__ import annotations

import os
import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from tinyalex.errors import require_choice
from tinyalex.tutor.exercise import slug

LANGUAGES = ("en", "zh")
LINES = 6  # of a message, the most
SPOKEN = frozenset(
    {"line", "where", "made", "first", "second", "at", "yours", "right", "how", "layout", "got", "wanted", "error", "sum", "code", "kinds"}
)
PHRASES = (  # what the tutor says in English wherever it finds something, and the sentence that says so in the language asked for
    (re.compile(r"cell (?P<cell>\d+), line (?P<line>\d+)"), "cell_line"),
    (re.compile(r"line (?P<line>\d+)"), "line"),
    (re.compile(r"(?P<dtype>\w+) (?:masked )?(?:array|matrix) of shape (?P<shape>\(.*\))"), "array"),
    (re.compile(r"an? (?P<kind>\w+) of (?P<count>[\d,]+) elements?"), "elements"),
    (re.compile(r"(?P<number>[-+.e\d]+) or 0"), "or_zero"),
    (re.compile(r"exit code (?P<number>\d+)"), "exit_code"),
    (re.compile(r"signal (?P<name>.+)"), "signal"),
)
HAN = re.compile("[\u4e00-\u9fff]")
BEFORE_HAN, AFTER_HAN = re.compile(r"[\w`)\]>%]", re.ASCII), re.compile(r"[\w`(\[<+-]", re.ASCII)


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
    beside: "second" where another mistake is behind this one, "others" where other calls differ in another way, "stops" where those
        end in an error, else empty.
    call: the numbers and shapes that the call is described with.
    seed, sizes, layout: of the calls, for `replay`; the layout is empty where the arrays lie as in any other call.
    follows: what the student has derived rightly from what the finding is about: the name of an output.
    beyond: the other outputs that are not right where a named mistake would leave them right. others: those right in all calls.
    right_calls: key, description and call of the few calls that are right.
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
    beyond: tuple[str, ...] = ()
    right_calls: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()
    layout: str = ""

    def text(self, language: str | None = None, command: str = "") -> str:
        """The message, at most six lines.

        command: in a terminal, what gives a hint. Without it the last line names functions of `tutor`, for a notebook.
        """
        words = catalogue(language_of(language))
        known = {"function": self.function, "exercise": self.exercise, **self.numbers}
        known |= {"probe": self._described(words, self.probe, known.get("probe", ""), self.call)}
        agree = words["agree"].format(*self.agree) if self.agree else ""
        second = words[self.beside] if self.beside else ""
        lines = [words["heading"].format(exercise=self.exercise, function=self.function, agree=agree, second=second)]
        own = f"{self.exercise}.{self.key}"  # an exercise may say a general thing in words of its own
        sentence = words[own if own in words else self.key]
        if "error" in known:  # a call that stopped has nothing to compare
            sentence = sentence.replace(words["compared"], words["stopped"])
        lines += fill(words, sentence, known).strip().splitlines()
        if self.follows:
            lines.append(filled(words, "follows", {"function": self.follows, "forward": known.get("output", self.function)}))
        more = []  # as much of it as six lines hold
        if self.right_calls:
            calls = words["separator"].join(self._described(words, *one) for one in self.right_calls)
            more.append(filled(words, "right_calls", {"calls": calls}))
        if self.others and not self.follows:
            more.insert(0, filled(words, "right_outputs", {"outputs": ", ".join(self.others)}))
        if self.beyond and not self.follows:
            more.insert(0, filled(words, "not_right_either", {"outputs": ", ".join(self.beyond)}))
        seen = [words["seen_one" if self.seen[0] == 1 else "seen"].format(some=self.seen[0], all=self.seen[1])] if self.seen else []
        room = max(0, LINES - 1 - len(lines) - len(seen))
        return "\n".join([*lines, *more[:room], *seen, self._next(words, command)])

    def _next(self, words: Mapping[str, str], command: str) -> str:
        """How to get a hint and, where a call shows the finding, how to make it again."""
        if command:
            return words["next_in_terminal"].format(command=command)
        if not self.probe:
            return words["next_hint"].format(exercise=self.exercise)
        return words["next"].format(exercise=self.exercise, replay=self.replayed(self.function if self.seed or self.sizes else ""))

    def replayed(self, function: str = "") -> str:
        """What `replay` is called with to make the call again. function: an expression for the student's function, where it is needed."""
        others = "".join(f", {key}={value}" for key, value in (("seed", self.seed), ("sizes", self.sizes)) if value)
        layout = f', layout="{self.layout}"' if self.layout else ""
        return f'"{self.exercise}-{self.probe}"{function and f", {function}"}{others}{layout}'

    def _described(self, words: Mapping[str, str], key: str, english: str, call: Mapping[str, Any]) -> str:
        """A call in the language of the words; the English stands in the exercise and not in the catalogue."""
        described = f"{self.exercise}.probes.{slug(key)}"
        return filled(words, described, call) if key and described in words else english


def passed(language: str | None, exercise: str, functions: Sequence[str], calls: int, following: str = "") -> str:
    """What is said of functions that are right. following: what comes next; empty where nothing does, or where nobody knows."""
    words = catalogue(language_of(language))
    said = words["passed"].format(exercise=exercise, functions=", ".join(functions), calls=calls)
    return said + (words["and_next"].format(following=following) if following else "")


def filled(words: Mapping[str, str], key: str, numbers: Mapping[str, Any]) -> str:
    """The sentence of that key, filled in."""
    return fill(words, words[key], numbers)


def fill(words: Mapping[str, str], sentence: str, numbers: Mapping[str, Any]) -> str:
    """A sentence of the catalogue `words` with its fields filled in, the English words among the values in the language of the sentence.

    Where Chinese meets Chinese no space is left between them, and where it meets a number or a name one space stands between.
    """
    made, formatter = "", string.Formatter()
    for literal, name, _, _ in formatter.parse(sentence):
        made = _joined(made, literal)
        if name is not None:
            value = formatter.get_field(name, (), numbers)[0]
            made = _joined(made, str(said(words, value) if name in SPOKEN else value))
    return made


def _joined(left: str, right: str) -> str:
    ahead, behind = left.rstrip(" "), right.lstrip(" ")
    if not ahead or not behind:
        return left + right
    one, other = HAN.match(ahead[-1]), HAN.match(behind[0])
    if one and other:
        return ahead + behind
    if (one and AFTER_HAN.match(behind)) or (other and BEFORE_HAN.match(ahead[-1])):
        return f"{ahead} {behind}"
    return left + right


def said(words: Mapping[str, str], value: Any) -> Any:
    """A line, or another short value of a finding, in the language of the words."""
    for pattern, key in PHRASES:
        if match := pattern.fullmatch(str(value)):
            return filled(words, f"phrase.{key}", match.groupdict())
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
