"""From the bytes of a student's file to Python: the text of a `.py`, the cells of a notebook. Nothing is run."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinyalex.errors import TinyalexError
from tinyalex.tutor.finding import Finding, catalogue, filled

KINDS = (".py", ".ipynb")
MOST_BYTES = 50 * 2**20  # a notebook with many pictures has 10 MiB
MAGIC = re.compile(r"\s*([%!?]|[\w.,\s()\[\]]+=\s*[%!]|.*\?\s*$)")  # a line of IPython or of the shell, where Python finds no sense in it
OF_PYTHON = ("time", "timeit", "capture", "prun", "memit", "python", "python3")  # %%name, after which Python follows


class SubmissionError(TinyalexError, ValueError):
    """A file that cannot be used: one sentence of the catalogue, with the file and the cell or the line.

    Parameters
    ----------
    key: names the sentence, such as "syntax". language: "en" or "zh". numbers: what the sentence names.
    """

    def __init__(self, key: str, language: str = "en", **numbers: Any) -> None:
        super().__init__(filled(catalogue(language), f"submission.{key}", numbers))
        self.key, self.numbers = key, numbers

    def finding(self, exercise: str = "", function: str = "") -> Finding:
        """The error as what the tutor says about an exercise."""
        return Finding(f"submission.{self.key}", exercise, function, "file", numbers=self.numbers)

    def said_in(self, language: str) -> SubmissionError:
        """The same error in another language."""
        return SubmissionError(self.key, language, **self.numbers)


def read_bytes(path: Path, name: str) -> bytes:
    """What a file holds."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SubmissionError("size", file=name, most=f"{MOST_BYTES // 2**20}", got=f"{path.stat().st_size / 2**20:.0f}")
        return path.read_bytes()
    except FileNotFoundError:
        raise SubmissionError("missing", file=name) from None
    except OSError as error:
        raise SubmissionError("unreadable", file=name, error=error.strerror or error) from None


def text_of(data: bytes, name: str) -> str:
    """The text of a `.py`: UTF-8, or what its first lines say."""
    declared = re.search(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", b"\n".join(data.splitlines()[:2]), re.MULTILINE)
    try:
        return data.decode(declared[1].decode("ascii") if declared else "utf-8-sig").removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError):
        raise SubmissionError("encoding", file=name) from None


def cells_of(data: bytes, name: str) -> Iterator[str | None]:
    """The source of every cell of a notebook, None for those that hold no code."""
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SubmissionError("encoding", file=name) from None
    except json.JSONDecodeError as error:
        raise SubmissionError("json", file=name, error=error.msg.lower(), line=error.lineno) from None
    except RecursionError:
        raise SubmissionError("json", file=name, error="too many brackets in each other", line=1) from None
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        raise SubmissionError("format", file=name)
    for cell in cells:
        source = cell.get("source") if isinstance(cell, dict) else None
        lines = source if isinstance(source, list) else [source]
        texts = [line for line in lines if isinstance(line, str)]
        if len(texts) < len(lines):
            raise SubmissionError("format", file=name)
        yield "".join(texts) if cell.get("cell_type") == "code" else None


def python_of(cell: str) -> str:
    """A cell without its first line where that is %%time or alike; nothing where it is %%bash or alike."""
    first, _, rest = cell.partition("\n")
    if not first.lstrip().startswith("%%"):
        return cell
    return f"\n{rest}" if first.lstrip()[2:].split(maxsplit=1)[:1] and first.lstrip()[2:].split()[0] in OF_PYTHON else ""


def parsed(name: str, ahead: str, text: str, notebook: bool) -> ast.Module:
    """The tree of a text. In a notebook a line of IPython or of the shell becomes `pass`."""
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(text)
        except SyntaxError as error:
            lines, at = text.split("\n"), error.lineno or 1
            if not notebook or at > len(lines) or not MAGIC.match(lines[at - 1]):
                raise SubmissionError("syntax", file=name, error=error.msg, where=f"{ahead}line {at}") from None
            lines[at - 1] = " " * (len(lines[at - 1]) - len(lines[at - 1].lstrip())) + "pass"
            text = "\n".join(lines)
        except (ValueError, RecursionError, MemoryError) as error:  # null bytes, a thousand brackets in each other
            raise SubmissionError("syntax", file=name, error=str(error) or type(error).__name__, where=f"{ahead}line 1") from None
