"""Pieces of HTML that several pages need."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from lessons.extra import LessonError


def toml(path: Path) -> dict[str, Any]:
    """The document of a TOML file. Raises LessonError where it is none."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:  # bytes that are no UTF-8, and TOML that is wrong, are both a ValueError
        raise LessonError(f"{path.name}: file must be TOML, got {' '.join(str(error).split())}; mend it there") from None


def rendered(text: object) -> str:
    """A short text as HTML; `code` and a power such as e^-x may stand in it."""
    return re.sub(r"\^(-?\w+)", r"<sup>\1</sup>", re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(str(text))))


def table(heads: Iterable[str], rows: Iterable[str], kind: str = "") -> str:
    """A table that scrolls inside the page where it is too wide. rows: each the HTML of a whole row."""
    cells = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in heads)
    body = f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="wide" tabindex="0"><table class="{kind}">{body}</table></div>'


def lesson_link(number: str, pages: dict[str, str], part: str = "") -> str:
    """The number of a lesson, as a link where it has a page. part: such as "#part-9"."""
    return f'<a href="{pages[number]}{part}">{number}</a>' if number in pages else escape(number)
