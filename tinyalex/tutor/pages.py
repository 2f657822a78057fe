"""The two pages that are made of the exercises: the student's file and the list of known mistakes.

    python -m tinyalex.tutor.pages        writes both, into lessons/ of this repository

A test holds them to the code.
"""

from __future__ import annotations

import inspect
import string
from pathlib import Path

from tinyalex.tutor.exercise import Exercise, Function, slug
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import catalogue

LESSONS = Path(__file__).parents[2] / "lessons"

HEAD = '''"""Your file: twelve exercises, one after the other. Write a function in place of its `raise`, then try it:

    tinyalex check --file mine.py          in a terminal, all that you have written
    tutor.check("E06", max_pool)           in a notebook, after `from tinyalex import tutor`

`tutor.hint("E06")` gives a hint, one at a time; in a terminal `tinyalex check E06 --hint 1` does. Every function returns new arrays
and leaves its arguments as they are, unless its page says otherwise. Images are x (N, C, H, W): N images of C channels, H lines and
W columns.
"""

import numpy as np
'''

ABOUT = """# What people get wrong

Each of these mistakes is a small function in `tinyalex/tutor/exercises/`, which computes what somebody with that mistake computes.
The tutor names a mistake where your numbers are its numbers, in two independent sets of calls. "Seen in" is a count over public
solutions of one course's second assignment (140 public repositories, November 2026, not a random sample), where somebody counted.

This page is made by `python -m tinyalex.tutor.pages`. To add a mistake, write its function and its message, and run that line.
"""


def mine() -> str:
    """The text of lessons/mine.py: every function with its page, still to be written."""
    return HEAD + "".join(_exercise(exercise) for exercise in EXERCISES.values())


def _exercise(exercise: Exercise) -> str:
    title = f"{exercise.key}  {exercise.title}, lesson {exercise.lesson}, about {exercise.minutes} minutes"
    return f"\n\n# {title}\n\n\n" + "\n\n\n".join(_stub(function) for function in exercise.functions) + "\n"


def _stub(function: Function) -> str:
    parameters = ", ".join(inspect.signature(function.right).parameters)
    page = inspect.getdoc(function.right) or ""
    lines = [f"    {line}".rstrip() for line in f'"""{page}\n"""'.splitlines()]
    return "\n".join([f"def {function.name}({parameters}):", *lines, "    raise NotImplementedError"])


def misconceptions() -> str:
    """The text of lessons/MISCONCEPTIONS.md."""
    words, parts = catalogue("en"), [ABOUT]
    for exercise in EXERCISES.values():
        parts.append(f"\n## {exercise.key}: {exercise.title} (lesson {exercise.lesson})\n")
        parts.append("| function | mistake | how it shows | source | seen in |\n|---|---|---|---|--:|")
        for function in exercise.functions:
            once = {slug(mistake.key): mistake for mistake in reversed(function.mistakes)}  # ways to one mistake share a line
            for mistake in reversed(once.values()):
                shows = _shown(words[f"{exercise.key}.{slug(mistake.key)}"])
                count = f"{mistake.seen[0]} of {mistake.seen[1]}" if mistake.seen else ""
                parts.append(f"| `{function.name}` | {mistake.key.partition('/')[0]} | {shows} | {mistake.source} | {count} |")
    return "\n".join(parts) + "\n"


def _shown(sentence: str) -> str:
    """The first line of a message, with dots for what a finding fills in."""
    line = sentence.splitlines()[0]
    return "".join(text + ("..." if name else "") for text, name, _, _ in string.Formatter().parse(line)).replace("|", "\\|")


def main() -> None:
    """Write both pages."""
    LESSONS.mkdir(exist_ok=True)
    for name, text in (("mine.py", mine()), ("MISCONCEPTIONS.md", misconceptions())):
        (LESSONS / name).write_text(text, "utf-8")
        print(f"wrote {LESSONS / name}")


if __name__ == "__main__":
    main()
