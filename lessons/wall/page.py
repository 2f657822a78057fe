"""The page of the wall: `lessons/CURVES.md`, and the same as a page of the book. Both are made of the record; nothing is trained."""

from __future__ import annotations

import base64
import re
import sys
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lessons.wall import picture, record
from lessons.wall.bugs import BUGS, RIGHT, Bug, letter
from lessons.wall.record import Curves
from lessons.wall.run import BATCH, CLASSES, DROPPED, EPOCHS, SIDE, STEPS, TEST, TRAIN, Curve, apart, guesses
from tinyalex.files.atomic import write_bytes
from tinyalex.tutor.syllabus import FOLDER

if TYPE_CHECKING:
    from lessons.book.engine import Engine

PAGE = FOLDER / "CURVES.md"
TITLE = "A wall of wrong curves"
SOURCE = "lessons/wall/bugs.py"
INTRO = (
    "Twelve training runs, each with one bug planted in it. Only the curves are shown. Name the bug, then unfold the answer.",
    f"All of them train the same small net: two convolutions of 3x3 with overlapping pooling, a hidden layer with dropout ({DROPPED:g}), "
    f"{CLASSES} outputs. It sees {TRAIN} training images of {SIDE}x{SIDE} pixels in batches of {BATCH}, {EPOCHS} times, which makes "
    f"{STEPS} "
    f"steps; the rate is {RIGHT.lr:g} and the momentum {RIGHT.momentum:g}. {TEST} other images are the test. The images are synthetic "
    f"shapes "
    "that a program draws, no photographs. So the curves tell how these bugs look, and not how good a net is.",
    "Every picture has three parts. Above stands the training loss of each step; a triangle at the edge is a larger loss. In the middle "
    "the "
    "same loss is magnified around ln 10 = 2.303, the loss of a net that guesses among ten classes. Below stand the errors of each epoch: "
    "solid for training, dashed for the test. The training error is the one that a progress bar shows, with dropout at work. "
    "The right run is grey.",
)
NAMES = "The twelve bugs, in the order of the alphabet. Each is one curve."
MADE = (
    "`python -m lessons wall` plants the bugs, trains all runs in about 20 seconds of one core, looks whether each curve shows what its "
    "answer "
    "says and no other curve does, and writes the pictures and this page. The bugs stand in one file, "
)
LESSON = (
    "Three of the twelve curves have a twin: another run whose curve looks the same, or cannot be told from it. Twice the twin is another "
    "bug, and once it is the right run. Their answers show it. A curve tells that something is wrong, and often in which half of the "
    "program to look. It does not prove that all is right: a gradient check does."
)


def edit(bug: Bug) -> list[tuple[str, str]]:
    """What differs from the right run: the name of a setting, and its value."""
    changed = [field.name for field in fields(RIGHT) if getattr(bug.run, field.name) != getattr(RIGHT, field.name)]
    return [(name, _value(getattr(bug.run, name))) for name in changed]


def _value(value: Any) -> str:
    return str(getattr(value, "__name__", f"{value:g}" if isinstance(value, float) else value))


def answer(bug: Bug, curves: Curves) -> list[tuple[str, str]]:
    """The paragraphs of an answer: a head and a text each."""
    alike = " and ".join(f"{letter(other)} ({_small(other.name)})" for key in bug.like for other in BUGS if other.key == key)
    made = [("What it shows", bug.shows), ("Why", bug.why), ("Easily taken for", f"{alike}."), ("To make sure", bug.sure)]
    if bug.twin is not None:
        made.append(("Its twin", _twin(bug, curves)))
    return made


def _twin(bug: Bug, curves: Curves) -> str:
    assert bug.twin is not None
    own, right, twin = curves[bug.key], curves["right"], curves[f"{bug.key}-twin"]
    near, far = apart(own, twin), apart(own, right)
    if bug.key == "pool":
        other = apart(right, twin)
        return (
            f"{_large(bug.twin.name)}. Means of ten losses of this run and of the right one are {far:.2f} apart on average. Those of two "
            f"right "
            f"runs with different seeds are {other:.2f} apart. Nobody who sees one curve can tell. {bug.twin.told}"
        )
    return (
        f"{_large(bug.twin.name)}. Means of ten losses of the two are {near:.3f} apart on average; from the right run this one is "
        f"{far:.2f} away. No curve tells them apart. {bug.twin.told}"
    )


def trainer(bug: Bug, curve: Curve) -> tuple[str, str]:
    """When the Trainer speaks, and what is to be said of it."""
    epochs = guesses(curve)
    stopped = len(curve.loss) < STEPS
    if stopped:
        when = f"The Trainer stops the run at step {len(curve.loss) + 1}:"
    elif curve.says:
        when = "Asked after the last epoch, the Trainer says:"
    elif epochs:
        when = f"Asked after the last epoch, the Trainer says nothing. It would speak after {_listed(epochs)}."
    else:
        when = "The Trainer says nothing, after whichever epoch it is asked."
    return when, bug.heard


def _listed(epochs: list[int]) -> str:
    if len(epochs) > 2 and epochs == list(range(epochs[0], epochs[-1] + 1)):
        return f"each of the epochs {epochs[0]} to {epochs[-1]}"
    *most, last = map(str, epochs)
    return f"epochs {', '.join(most)} and {last}" if most else f"epoch {last}"


def _small(name: str) -> str:
    return name[0].lower() + name[1:] if not re.match(r"[A-Z][A-Za-z]*[A-Z]", name) else name


def _large(name: str) -> str:
    return name[0].upper() + name[1:]


def heard(curves: Curves) -> str:
    """How often the Trainer speaks at the end."""
    spoken = sum(bool(curves[bug.key].says) for bug in BUGS)
    early = _listed(guesses(curves["right"]))
    return (
        f"Each answer has the Trainer's own words: it says so if after an epoch the net still guesses, and why. Our epochs have only "
        f"{STEPS // EPOCHS} steps, and after {early} it would say so of the right run too. So it was asked after the last epoch. It "
        f"speaks in "
        f"{spoken} of the {len(BUGS)} runs."
    )


def names() -> list[str]:
    """The names of the bugs, sorted."""
    return sorted(bug.name for bug in BUGS)


def markdown(curves: Curves) -> str:
    """The text of lessons/CURVES.md."""
    made = [f"# {TITLE}", *INTRO, _image("right.png", "The right run. " + picture.described(curves["right"])), heard(curves)]
    made += [NAMES, "\n".join(f"- {name}" for name in names()), "## The wall"]
    made.append(_image("wall.png", "Twelve small pictures, A to L, on the same axes; each stands below by itself, with its description."))
    for bug in BUGS:
        curve = curves[bug.key]
        made += [f"## {letter(bug)}", _image(picture.name_of(bug), picture.described(curve)), "<details><summary>The answer</summary>"]
        planted = ", ".join(f"`{name} = {value}`" for name, value in edit(bug))
        made.append(f"**{bug.name}.** Planted as {planted} in [`{Path(SOURCE).name}`](wall/bugs.py).")
        made += [f"*{head}.* {text}" for head, text in answer(bug, curves)]
        if bug.twin is not None:
            alt = f"This run and its twin, {bug.twin.name}. The twin: {picture.described(curves[f'{bug.key}-twin'])}"
            made.append(_image(f"{letter(bug)}-twin.png", alt))
        when, said = trainer(bug, curve)
        words = ["```text", *curve.says, "```"] if curve.says else []
        made += [f"*What the Trainer says.* {when}", *(["\n".join(words)] if words else []), said, "</details>"]
    made += ["## What a curve cannot say", LESSON, f"{MADE}[`{SOURCE}`](wall/bugs.py)."]
    return "\n\n".join(made) + "\n"


def _image(name: str, alt: str) -> str:
    return f"![{alt}](wall/pictures/{name})"


def html(engine: Engine) -> str:
    """The page as HTML of the book."""
    from lessons.book.markup import rendered

    def link(name: str) -> str:
        place = engine.place(SOURCE, name, "wall")
        return f'<a class="engine" href="{place.href}">{rendered(f"`{name}`")}</a>'

    curves = record.read()
    made = [f"<h1>{TITLE}</h1>", *(f"<p>{rendered(text)}</p>" for text in INTRO)]
    made += [_figure("right.png", "The right run. " + picture.described(curves["right"])), f"<p>{rendered(heard(curves))}</p>"]
    made.append(f"<p>{NAMES}</p><ul>{''.join(f'<li>{rendered(name)}</li>' for name in names())}</ul>")
    made.append('<div class="curves">')
    for bug in BUGS:
        curve, own = curves[bug.key], vars(sys.modules[bug.__module__])
        planted = ", ".join(f"<code>{escape(name)}</code> = {link(value) if value in own else rendered(f'`{value}`')}"
                            for name, value in edit(bug))  # fmt: skip
        body = [f"<p><strong>{rendered(bug.name)}.</strong> Planted as {planted}.</p>"]
        body += [f"<p><em>{head}.</em> {rendered(text)}</p>" for head, text in answer(bug, curves)]
        if bug.twin is not None:
            alt = f"This run and its twin, {bug.twin.name}. The twin: {picture.described(curves[f'{bug.key}-twin'])}"
            body.append(_figure(f"{letter(bug)}-twin.png", alt))
        when, said = trainer(bug, curve)
        lines = "".join(f'<span class="line">{escape(line)}</span>' for line in curve.says)
        words = f'<pre class="output" tabindex="0">{lines}</pre>' if curve.says else ""
        body.append(f"<p><em>What the Trainer says.</em> {when}</p>{words}<p>{rendered(said)}</p>")
        made.append(
            f'<section><h2 id="{letter(bug)}">{letter(bug)}</h2>{_figure(picture.name_of(bug), picture.described(curve))}'
            f"<details><summary>The answer</summary>{''.join(body)}</details></section>"
        )
    made.append(f"</div><h2>What a curve cannot say</h2><p>{rendered(LESSON)}</p><p>{rendered(MADE)}{link('BUGS')}.</p>")
    return "".join(made)


def _figure(name: str, alt: str) -> str:
    content = (picture.FOLDER / name).read_bytes()
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    data = base64.b64encode(content).decode("ascii")
    return f'<figure><img src="data:image/png;base64,{data}" alt="{escape(alt)}" width="{width}" height="{height}"></figure>'


def write() -> str:
    """Train all runs, write the record, the pictures and the page; return a line about it.

    Raises LessonError where a curve does not show what its answer says; then nothing is written.
    """
    record.write(record.train_all())
    curves = record.read()  # what was rounded, so that the page is the same whenever it is made of the record
    picture.write(curves)
    write_bytes(PAGE, markdown(curves).encode())
    return f"{len(BUGS)} curves, each told from the others; see {PAGE.name}"
