"""The form of cuda-convnet's files: sections in square brackets, and in each a line for a key and its value. Each keeps its line.

Python's configparser reads this form too, but does not say in which line something stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import NoReturn, TypeVar

from tinyalex.errors import DataError, said, show
from tinyalex.files.atomic import require_path
from tinyalex.files.limited import read_limited

LARGEST_FILE, MOST_SECTIONS, LONGEST_NAME = 2**20, 10_000, 100
LARGEST = 2**24  # of an integer
BOOLS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
SECTION, SIGN = re.compile(r"\[([^\[\]]+)\]"), re.compile(r"[=:]")
T = TypeVar("T")


@dataclass(frozen=True)
class Section:
    """One section. who: the file. line: where it begins. values: by key in small letters, each with its line."""

    who: str
    name: str
    line: int
    values: Mapping[str, tuple[str, int]]

    def fail(self, rule: str, got: str, key: str | None = None, remedy: str = "") -> NoReturn:
        """Raise DataError with the section, and the line of a key or of its beginning."""
        line = self.values[key][1] if key is not None and key in self.values else self.line
        raise DataError(f"{self.who}: line {line}: {self.name}: {rule}, got {said(got)}" + (f"; {remedy}" if remedy else ""))

    def text(self, key: str, default: str | None = None) -> str:
        """The value of a key."""
        if key not in self.values and default is None:
            self.fail(f"the section must have {key}", "none")
        return self.values[key][0] if key in self.values else default or ""

    def list(self, key: str, default: str | None = None) -> list[str]:
        """The values of a key that are separated by commas."""
        return [each.strip() for each in self.text(key, default).split(",")]

    def one(self, key: str, of: Callable[[Section, str, str], T], default: str | None = None) -> T:
        """The value of a key; where there are several, one for each input, they must be equal."""
        found = {of(self, key, each) for each in self.list(key, default)}
        if len(found) != 1:
            self.fail(f"{key} must be the same for all inputs", show(self.text(key, default)), key)
        return found.pop()


def integer(section: Section, key: str, text: str) -> int:
    """`text` as an integer from -2**24 to 2**24. Raises DataError."""
    if re.fullmatch(r"[+-]?\d{1,9}", text) and abs(int(text)) <= LARGEST:
        return int(text)
    section.fail(f"{key} must be an integer up to {LARGEST:,}", show(text), key)


def positive(section: Section, key: str, text: str) -> int:
    """`text` as an integer of at least 1. Raises DataError."""
    number = integer(section, key, text)
    if number < 1:
        section.fail(f"{key} must be at least 1", show(text), key)
    return number


def number(section: Section, key: str, text: str) -> float:
    """`text` as a finite number. Raises DataError."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found) or len(text) > LONGEST_NAME:
        section.fail(f"{key} must be a finite number", show(text), key)
    return found


def boolean(section: Section, key: str, text: str) -> bool:
    """`text` as a bool. Raises DataError."""
    if text.lower() not in BOOLS:
        section.fail(f"{key} must be 1 or 0", show(text), key)
    return BOOLS[text.lower()]


def read_sections(path: Path | str) -> dict[str, Section]:
    """The sections of a file by name, in order.

    Raises
    ------
    DataError: the file cannot be read or is larger than 1 MB, or a line is none of a section, a key and its value, and a comment.
    """
    path = require_path(path)
    data = read_limited(path, LARGEST_FILE, "it is another file")
    return parse_sections(str(path), data.decode("utf-8", "replace"))


def parse_sections(who: str, text: str) -> dict[str, Section]:
    """The sections of a text. who: the file, for messages."""
    sections: dict[str, Section] = {}
    values: dict[str, tuple[str, int]] | None = None
    for number_of_line, line in enumerate(StringIO(text, newline=None), 1):  # lines as editors count them; a form feed ends none
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        where = f"{who}: line {number_of_line}"
        if heading := SECTION.fullmatch(line):
            name = heading[1].strip()
            if not name.isprintable() or not 1 <= len(name) <= LONGEST_NAME:
                raise DataError(f"{where}: the name of a section must be printable, of at most {LONGEST_NAME} characters, got {show(name)}")
            if name in sections:
                raise DataError(f"{where}: {name}: each section must stand once, got a second; the first is in line {sections[name].line}")
            if len(sections) >= MOST_SECTIONS:
                raise DataError(f"{where}: sections must be at most {MOST_SECTIONS:,}, got more")
            values = {}
            sections[name] = Section(who, name, number_of_line, values)
        elif (sign := SIGN.search(line)) and sign.start() and values is not None:
            key, value = line[: sign.start()].rstrip().lower(), line[sign.end() :]
            if key in values:
                raise DataError(f"{where}: each key must stand once in its section, got a second {show(key)}")
            values[key] = (value.split(" ;")[0].strip(), number_of_line)
        else:
            raise DataError(f"{where}: a line must be [NAME] or, in a section, KEY=VALUE, got {show(line)}")
    if not sections:
        raise DataError(f"{who}: the file must hold sections such as [conv1], got none")
    return sections
