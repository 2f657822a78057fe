"""A row of the table of the paper's numbers: what is printed, what computes our value, and when the row is no longer true."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from lessons.extra import LessonError

Verdict = Literal["agrees", "slip", "differs", "not run here"]
Values = tuple[float, ...]

NUMBER = re.compile(r"(?<![\w.,])-?\d[\d,]*(?:\.\d+)?(?:\^-?\d+)?(?:\s?(?:million|GB\b|M\b|K\b))?")
UNITS = {"million": 1e6, "M": 1e6, "K": 1e3, "GB": 2.0**30}
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
OTHERS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "half": 0.5, "doubles": 2, "once": 1}
IN_WORDS: dict[str, float] = dict(zip(WORDS, range(11), strict=True)) | OTHERS
EXACT = 1e-9  # the largest relative difference of two numbers that are the same but for the rounding of float64


def amounts(printed: str) -> Values:
    """All numbers of a text, in digits if there are any, else in words.

    A million, a K and a GB are multiplied out; a percentage stays as it is printed.

    Example
    -------
    >>> amounts("5 x 5 x 48"), amounts("60 million"), amounts("second, fourth and fifth"), amounts("10^-4")
    ((5.0, 5.0, 48.0), (60000000.0,), (2, 4, 5), (0.0001,))
    """
    found = tuple(_amount(text) for text in NUMBER.findall(printed))
    return found or tuple(IN_WORDS[word] for word in re.findall(r"[a-z]+", printed) if word in IN_WORDS)


def _amount(text: str) -> float:
    digits = re.match(r"[-\d,.]+", text)
    assert digits is not None
    number, rest = float(digits[0].replace(",", "")), text[digits.end() :]
    return number ** int(rest[1:]) if rest.startswith("^") else number * UNITS.get(rest.strip(), 1.0)


def half_a_unit(printed: str) -> float:
    """Half a unit of the last digit after the point: what rounding to such a number changes at most. 0.5 where there is no point."""
    decimals = re.search(r"\d\.(\d+)", printed)
    return 0.5 * 10.0 ** -(len(decimals[1]) if decimals else 0)


@dataclass(frozen=True)
class Call:
    """A function with its arguments. The page shows it as it is written in Python, and links to the function."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def text(self) -> str:
        """Such as `kernel_size("conv2")`."""
        given = [_quoted(one) for one in self.arguments] + [f"{key}={_quoted(value)}" for key, value in self.settings]
        return f"{self.function.__name__}({', '.join(given)})"

    def values(self) -> Values:
        """What the function returns: one number or several."""
        found = self.function(*self.arguments, **dict(self.settings))
        return tuple(map(float, found)) if isinstance(found, tuple) else (float(found),)


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def by(function: Callable[..., Any], *arguments: Any, **settings: Any) -> Call:
    """The call that computes the value of a row."""
    return Call(function, arguments, tuple(settings.items()))


@dataclass(frozen=True)
class Also:
    """A sentence beside a row. Its first number must be what `call` returns, rounded as the sentence prints it."""

    words: str
    call: Call


@dataclass(frozen=True)
class Cell:
    """The cell of a lesson that says `sentence` with `say`. lesson: its number."""

    lesson: str
    sentence: str


@dataclass(frozen=True)
class Number:
    """A number of the paper.

    Parameters
    ----------
    section: where it stands, such as "3.5", "abstract", "Figure 2", "footnote 5" or "Table 1"; the page names all places.
    what: what it is, in our words. printed: the number as the paper prints it, in digits or in words.
    verdict: what the row says of it.
    by: what computes our value; None where the cell of a lesson gives it, or where nothing can.
    within: the largest difference between our value and the printed one with which the row agrees; None: the two are equal.
    relation: what our value must be to agree, "at most" the printed one, "at least" or "equal".
    ours: our value in words, where the row does not agree; its first number must be our value, rounded as it is printed.
    arithmetic: of a slip, what computes the printed number. cell: a lesson that computes our value, too.
    why: what a reader should know; of a number that is not run here, the reason. also: further sentences, each with its number.
    """

    section: str
    what: str
    printed: str
    verdict: Verdict
    by: Call | None = None
    within: float | None = None
    relation: Literal["equal", "at most", "at least"] = "equal"
    ours: str = ""
    arithmetic: Call | None = None
    cell: Cell | None = None
    why: str = ""
    also: tuple[Also, ...] = field(default=())

    def holds(self, values: Values) -> bool:
        """Whether these values agree with the printed number, or with each of the printed numbers."""
        printed = amounts(self.printed)
        printed = printed * len(values) if len(printed) == 1 else printed
        pairs = list(zip(values, printed, strict=False))
        return len(values) == len(printed) and all(self._holds(value, stated) for value, stated in pairs)

    def _holds(self, value: float, stated: float) -> bool:
        room = EXACT * max(abs(stated), 1e-12) if self.within is None else self.within + EXACT
        if self.relation == "at most":
            return value <= stated + room
        return value >= stated - room if self.relation == "at least" else abs(value - stated) <= room


def agrees(section: str, what: str, printed: str, call: Call | None, **settings: Any) -> Number:
    """A number that we get too. call: None where only the cell of a lesson computes it."""
    return Number(section, what, printed, "agrees", call, **settings)


def slip(section: str, what: str, printed: str, call: Call, ours: str, arithmetic: Call | None = None, **settings: Any) -> Number:
    """A number that is wrong by the paper's own account. arithmetic: how it came about, where that can be computed."""
    return Number(section, what, printed, "slip", call, ours=ours, arithmetic=arithmetic, **settings)


def differs(section: str, what: str, printed: str, call: Call | None, ours: str, **settings: Any) -> Number:
    """A number that was measured here too, with another result."""
    return Number(section, what, printed, "differs", call, ours=ours, **settings)


def published(section: str, what: str, printed: str, why: str, call: Call | None = None, *, log: str = "", **settings: Any) -> Number:
    """A number that cannot be run here. call: a number that others published, which rounds to the printed one. log: a sentence of it."""
    if call is not None:
        settings = {"within": half_a_unit(printed), "also": (Also(log, call),)} | settings
    return Number(section, what, printed, "not run here", call, why=why, **settings)


def said(number: Number, what: str, rule: str, got: str) -> LessonError:
    """The error of a row that is no longer true."""
    place = f"numbers: {what} of {number.what!r} ({number.section})"
    return LessonError(f"{place} must be {rule}, got {got}; mend the engine, or write the row anew")


def shown(values: Values, printed: str) -> str:
    """Our values as the page shows them, in the unit of the printed number."""
    percent = " %" if "%" in printed else ""
    scale, unit = (2.0**30, " GiB") if "GB" in printed else (1.0, "")
    digits = [_digits(value / scale) for value in values]
    if " x " not in printed and len(digits) > 1:
        low, high = (_digits(end / scale) for end in (min(values), max(values)))
        digits = digits[:1] if len(set(digits)) == 1 else [f"{low} to {high}"] if len(digits) > 3 else digits
    return (" x " if " x " in printed else ", ").join(digits) + percent + unit


def _digits(value: float) -> str:
    if abs(value - round(value)) < EXACT * max(1.0, abs(value)):
        return f"{round(value):,}"
    return f"{value:.4g}" if abs(value) >= 1e-3 else f"{value:.3g}"
