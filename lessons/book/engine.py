"""The engine's source as pages: where a function stands, its lines beside the lesson, and whole files with an anchor at each line."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from lessons.extra import LessonError

MOST_LINES = 60  # of an excerpt: longer ones are read on the page of the file


@dataclass(frozen=True)
class Place:
    """Something that a file of the repository defines. name: "" for the whole file. line, end: its first and last line, from 1."""

    file: str
    name: str
    line: int
    end: int

    @property
    def href(self) -> str:
        """The address in the book."""
        return page_of(self.file) + (f"#L-{self.line}" if self.name else "")


def page_of(file: str) -> str:
    """The page of a file: "engine/tinyalex.layers.conv.html"."""
    return f"engine/{file.removesuffix('.py').replace('/', '.')}.html"


class Engine:
    """Finds names in the files below `root`, and remembers which files were named: these get a page."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.named: set[str] = set()

    def exists(self, file: str) -> bool:
        """Whether there is such a file below the root."""
        path = self.root / file
        return path.is_file() and self.root.resolve() in path.resolve().parents

    def place(self, file: str, name: str | None, who: str) -> Place:
        """The file, or what is called `name` in it. Raises LessonError where either is not there."""
        if not self.exists(file):
            raise LessonError(f"{who}: file of the engine must be there, got {file}; name the file where it stands now")
        found = self.find(file, name) if name else self._keep(Place(file, "", 1, 1))
        if found is None:
            raise LessonError(f"{who}: {file} must define what the lesson names, got {name}; name what is there now")
        return found

    def find(self, file: str, name: str) -> Place | None:
        """What is called `name` in a file, such as "conv2d" or "Conv2d.forward"; None where it is not there."""
        if not self.exists(file):
            return None
        span = _definitions(self.root / file).get(name)
        return self._keep(Place(file, name, *span)) if span else None

    def _keep(self, place: Place) -> Place:
        self.named.add(place.file)
        return place

    def excerpt(self, place: Place) -> str:
        """The lines of a place, highlighted."""
        lines = (self.root / place.file).read_text("utf-8").splitlines()[place.line - 1 : place.end]
        shown = "\n".join(lines[:MOST_LINES]) + ("\n# ..." if len(lines) > MOST_LINES else "")
        return python(shown)

    def page(self, file: str) -> str:
        """A whole file, highlighted, with the anchor L-12 at line 12."""
        try:
            lexer = get_lexer_for_filename(file, stripnl=False)
        except ClassNotFound:
            lexer = get_lexer_for_filename("a.txt", stripnl=False)
        formatter = HtmlFormatter(cssclass="code wide", lineanchors="L", linenos="inline", anchorlinenos=True, wrapcode=True)
        made = highlight((self.root / file).read_text("utf-8"), lexer, formatter).replace("<pre>", '<pre tabindex="0">', 1)
        return made.replace('<a href="#L-', '<a tabindex="-1" href="#L-')  # a keyboard need not pass through every line


def python(code: str) -> str:
    """Python code, highlighted; each line is an element of its own, so that a long one can be wrapped with its rest indented."""
    made = highlight(code, PythonLexer(), HtmlFormatter(cssclass="code", wrapcode=True))
    before, rest = made.replace("<pre>", '<pre tabindex="0">', 1).split("<code>", 1)
    inside, after = rest.rsplit("</code>", 1)
    return f"{before}<code>{''.join(map(_line, inside.splitlines(keepends=True)))}</code>{after}"


def _line(html: str) -> str:
    """A line that knows its indentation."""
    text = re.sub(r"<[^>]+>", "", html)
    indent = len(text) - len(text.lstrip(" "))
    style = f' style="--in: {indent}"' if indent else ""
    return f'<span class="line"{style}>{html}</span>'


@cache
def _definitions(path: Path) -> dict[str, tuple[int, int]]:
    """By name, the first and last line of each function, class, method and constant of a Python file."""
    if path.suffix != ".py":
        return {}
    found: dict[str, tuple[int, int]] = {}

    def collect(body: list[ast.stmt], before: str) -> None:
        for node in body:
            names = []
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names = [before + node.name]
                if isinstance(node, ast.ClassDef):
                    collect(node.body, f"{before}{node.name}.")
            elif isinstance(node, ast.Assign):
                names = [before + target.id for target in node.targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names = [before + node.target.id]
            first = min([node.lineno, *(mark.lineno for mark in getattr(node, "decorator_list", ()))])
            found.update({name: (first, node.end_lineno or first) for name in names if name not in found})

    collect(ast.parse(path.read_text("utf-8")).body, "")
    return found
