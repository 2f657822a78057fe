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

HEAD = '''"""Your file: thirteen exercises, one after the other. Write a function in place of its `raise`, then try it.

"The paper" is A. Krizhevsky, I. Sutskever and G. E. Hinton, ImageNet Classification with Deep Convolutional Neural Networks, 2012; its
sections are named as in "paper 3.3". The text between the triple quotes of a function is its page: it says what is given and what is
asked. Every function returns new arrays and leaves its arguments as they are, unless its own page says otherwise.
Images are x (N, C, H, W): N images of C channels, H lines and W columns.

    in a terminal                          in a notebook or in Python, after `from tinyalex import tutor`
    tinyalex check --file mine.py          tutor.check("E06", max_pool)        try what you have written
    tinyalex check E06 --hint 1            tutor.hint("E06")                   a hint; there are three, each says more
                                           tutor.replay("E06-overlap")         the call of a message, made again: see below
                                           tutor.solution("E06")               the answer
    tinyalex capstone mine.py                                                  in the end: your functions as one AlexNet

Of each exercise, only the first function that is not right yet is told, and of that function only the first thing to look at. Most
messages come from one call. `again = tutor.replay("E06-overlap")` makes this call again with the function that you checked last, and
keeps it: again.arguments, again.yours and again.right. In a Python in which nothing was checked yet, pass the function as well:
`tutor.replay("E06-overlap", max_pool)`. The message shows what to write.

When E02, E06 and E07 are right, three exercises turned round wait: you write a wrong backward pass that a weak check lets through, then
a check that finds it out. tutor.weak("B1") shows the weak check, tutor.fool("B1", my_wrong) tries your function on it, and
tutor.mend("B1", my_check) tries your check. B1 is about max_pool_backward, B2 about tanh_backward, B3 about lrn_backward.

When E02 to E10 and E12 are right, `tinyalex capstone mine.py` builds a small AlexNet of them, trains it beside the engine's, and says
whether the two stay equal to 1e-10. It writes a page with your code, your curve and your filters.
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
