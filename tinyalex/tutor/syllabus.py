"""What the lessons say about themselves: number, title, section of the paper, minutes, what they need, exercises."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from tinyalex.errors import DataError, require_choice

FOLDER = Path(__file__).parents[2] / "lessons"  # beside the package in a clone of the repository; a wheel has none
NAME = re.compile(r"(\d\d)_\w+\.py")
MARKDOWN = re.compile(r"#\s*%%.*\[(?:markdown|md)\]")
CELL = re.compile(r"#\s*%%")
TITLE = re.compile(r"#\s+(\d\d)\s+(.+)")


@dataclass(frozen=True)
class Lesson:
    """The first cell of a lesson.

    number: "03". title: "Convolution". section: "sections 3.5 and 3.2" of the paper, or "". minutes: to read and do it.
    needs: numbers of earlier lessons. exercises: such as ("E04", "E05"). goal: the sentence "Afterwards you can ...". path: of the source.
    """

    number: str
    title: str
    section: str
    minutes: int
    needs: tuple[str, ...]
    exercises: tuple[str, ...]
    goal: str
    path: Path

    @property
    def name(self) -> str:
        """Such as "03_convolution": the name of all files of the lesson."""
        return self.path.stem

    @property
    def notebook(self) -> Path:
        """The notebook that is built from the source."""
        return self.path.with_suffix(".ipynb")


def lessons_in(folder: Path = FOLDER) -> list[Lesson]:
    """All lessons of a folder, in their order; none where it has none or is not there. Raises DataError where two have one number."""
    found = [lesson_at(path) for path in sorted(folder.glob("[0-9][0-9]_*.py")) if NAME.fullmatch(path.name)]
    for one, after in itertools.pairwise(found):
        if one.number == after.number:
            raise DataError(f"lessons: number {one.number} must be that of one lesson, got {one.name} and {after.name}; rename one of them")
    return found


def chosen(who: str, numbers: list[str], folder: Path = FOLDER) -> list[Lesson]:
    """The lessons with these numbers, such as "3" or "03"; all of them where there are no numbers.

    Raises DataError where the folder has no lessons, and ShapeError for a number that is not there.
    """
    found = {lesson.number: lesson for lesson in lessons_in(folder)}
    if not found:
        remedy = "clone the repository, and install it with pip install -e ."
        raise DataError(f"{who}: lessons must lie in the folder {folder}, got none; an installed wheel has none: {remedy}")
    return [found[require_choice(who, "lesson", number.zfill(2), tuple(found))] for number in numbers] or list(found.values())


def lesson_at(path: Path) -> Lesson:
    """Read the first cell of a source in the percent format. Raises DataError where it is not the head of a lesson."""
    text = _first_cell(path)
    title = TITLE.match(text)
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    facts = next((part for part in paragraphs if re.search(r"about \d+ minutes", part)), None)
    goal = next((part for part in paragraphs if part.startswith("Afterwards you can")), None)
    if title is None or title[1] != path.name[:2] or facts is None or goal is None:
        rule = f'a title "# {path.name[:2]}  Title", a line with "about M minutes" and a sentence "Afterwards you can ..."'
        raise DataError(f"{path.name}: the first cell must hold {rule}, got {text[:60]!r}; write what is missing")
    section = re.match(r"Paper,?\s+(sections?\s[^,]*?)(?:,|\.\s|$)", facts)
    needs = re.search(r"needs?\s+(.*?)(?:exercise|$)", facts)
    return Lesson(
        title[1], title[2].strip(), section[1] if section else "", int(re.findall(r"about (\d+) minutes", facts)[0]),
        _numbers(needs[1] if needs else ""), tuple(sorted(set(re.findall(r"\bE\d\d\b", facts)))), goal, path,
    )  # fmt: skip


def _numbers(text: str) -> tuple[str, ...]:
    """The numbers of lessons in "00, 01 and 02", or in "00 to 02"."""
    spans = re.findall(r"\b(\d\d)(?:\s*(?:to|-|\u2013)\s*(\d\d))?\b", text)
    return tuple(sorted({f"{n:02}" for first, last in spans for n in range(int(first), int(last or first) + 1)}))


def _first_cell(path: Path) -> str:
    """The Markdown of the first cell, without the comment signs."""
    lines: list[str] = []
    inside = False
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        got = "other bytes" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        raise DataError(f"{path.name}: lesson must be a file of text in UTF-8, got {got}; save it so") from None
    for line in text.splitlines():
        if CELL.match(line):
            if inside:
                break
            inside = MARKDOWN.match(line) is not None
        elif inside:
            lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines).strip()
