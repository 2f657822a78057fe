"""What the builders need and the package does not: asked for in one sentence instead of a traceback."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from tinyalex.errors import TinyalexError

INSTALL = 'pip install -e ".[lessons]" in the folder of the repository'
# Stands in each lesson above its first import of tinyalex, so that the traceback of a kernel without tinyalex shows what to do.
REMEDY = "# If this line fails: run `%pip install -e FOLDER` in a cell, with the repository's folder as FOLDER. Then restart the kernel."
NOTEBOOKS = ("jupytext", "nbformat", "nbclient", "ipykernel")
BOOK = ("nbformat", "markdown_it", "mdit_py_plugins", "latex2mathml", "pygments")


class LessonError(TinyalexError, ValueError):
    """A lesson, its notebook or its page that is not as the rules want it."""

    exit_code = 1


class MissingExtra(TinyalexError, ImportError):  # noqa: N818 - the usual term
    """A package of the extra `lessons` or `lite` that is not installed."""


def require_extra(who: str, packages: tuple[str, ...], extra: str = "lessons") -> None:
    """Raise MissingExtra, with the remedy, unless all packages of an extra can be imported."""
    missing = [name for name in packages if not _found(name)]
    if missing:
        raise MissingExtra(f"{who}: packages must be installed, got no {', no '.join(missing)}; {INSTALL.replace('lessons', extra)}")


def _found(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def progress(steps: int, what: str) -> Any:
    """A progress bar on stderr; it leaves no line behind."""
    from tqdm import tqdm

    return tqdm(total=steps, desc=what, leave=False, disable=None, unit="cell")
