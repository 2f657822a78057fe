"""`tinyalex predict`: what a net says of pictures, as Figure 4 (left) shows it."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.analysis.predictions import MOST, Shown, draw_guesses, percent
from tinyalex.commands.saved import CHECKPOINT, OF_DATA, Loaded, add_net_arguments, check_net_arguments, load, views_in_words
from tinyalex.commands.shared import path, tell, tell_expected
from tinyalex.data.find import open_data
from tinyalex.data.own_pictures import Picture, Unreadable, find_pictures, label_of, read_pictures
from tinyalex.errors import DataError, ShapeError, did_you_mean, require_int
from tinyalex.models.saved_net import SavedNet, printable
from tinyalex.training.expected import least_seconds
from tinyalex.training.probabilities import ask
from tinyalex.training.saved_net import wrote

HELP = "what a net says of your pictures: the five most probable classes of each, as a picture"
EXAMPLE = "tinyalex predict figure1 cat.jpeg --label cat --png bars.png"


@dataclass(frozen=True)
class Answer:
    """What the net says of a picture file of `width` by `height` pixels.

    top: the most probable classes with their probabilities, the first one first. label: the right class, None if it is not known;
    then place (1 for the most probable class) and probability of the right class are 0. shown: the pixels to draw; None for none.
    """

    path: Path
    width: int
    height: int
    top: tuple[tuple[int, float], ...]
    label: int | None
    place: int
    probability: float
    shown: npt.NDArray[np.uint8] | None

    @classmethod
    def of(cls, picture: Picture, probabilities: npt.NDArray[np.float64], label: int | None, most: int, drawn: bool) -> Answer:
        """The answer, of which only so much is kept that thousands of pictures need little memory."""
        order: list[int] = np.argsort(-probabilities, kind="stable").tolist()
        top = tuple((k, float(probabilities[k])) for k in order[:most])
        place, right = (0, 0.0) if label is None else (order.index(label) + 1, float(probabilities[label]))
        return cls(picture.path, picture.width, picture.height, top, label, place, right, picture.shown if drawn else None)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("checkpoint", metavar="CKPT", help=CHECKPOINT)
    parser.add_argument("pictures", nargs="+", type=path, metavar="PICTURE", help="a picture file of any size, or a folder of them")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes that are named for each picture (default: 5)")
    folder = "the right class of all pictures (default: the name of a picture's folder, where that is a class)"
    parser.add_argument("--label", metavar="NAME", help=folder)
    parser.add_argument("--data", metavar="DATA", help=OF_DATA)
    add_net_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the net about all pictures. The exit code is 1 if one of them cannot be read."""
    check_net_arguments("predict", args)
    most = require_int("predict", "--top", args.top)
    files = find_pictures("predict", args.pictures)
    if args.net is not None and args.data is None and wrote(str(path(args.checkpoint))):
        raise DataError("predict: --data must name the data that the net was trained on where --net is given, got none")
    opened = None if args.data is None else functools.cache(lambda: open_data(args.data))
    loaded = load("predict", args, args.checkpoint, opened)
    most = min(most, len(loaded.saved.classes))
    label = None if args.label is None else _label(args.label, loaded)
    answers, unreadable = ask_all(args, loaded, files, label, most)
    for file in unreadable:
        tell(f"tinyalex: {printable([f'{file.path} is left out: {file.reason}'])[0]}")
    if args.json:
        print(json.dumps(document_of(args, loaded, answers, unreadable), indent=1, allow_nan=False))
    else:
        print("\n".join(report(loaded, answers, most)))
    if args.png is not None and answers:
        _draw(args, loaded, answers, most)
    return 1 if unreadable else 0


def _class_of(name: str, saved: SavedNet) -> int | None:
    """The class of that name, or of the folder of that name; None if there is none."""
    found = label_of(name, saved.classes)
    return saved.folders.index(name) if found is None and name in saved.folders else found


def _label(name: str, loaded: Loaded) -> int:
    found = _class_of(name, loaded.saved)
    if found is None:
        classes = loaded.saved.classes
        rule = f"predict: --label must be one of the {len(classes):,} classes of {loaded.name}"
        known = ", ".join(classes) if len(classes) <= 20 else f"{', '.join(classes[:3])} ..."
        raise ShapeError(f"{rule}, {known}, got {name!r}", did_you_mean(name, classes))
    return found


def ask_all(
    args: argparse.Namespace, loaded: Loaded, files: Sequence[Path], label: int | None, most: int
) -> tuple[list[Answer], list[Unreadable]]:
    """What the net says of each file that is a picture, and the files that are none."""
    from tqdm import tqdm

    saved, member = loaded.saved, (loaded.net, loaded.saved.prepare)
    blank = np.zeros((1, *saved.image_shape), np.uint8)
    seconds = least_seconds(lambda: ask(member, blank, args.views), 1) * len(files)
    count = f"{len(files):,} file{'s' * (len(files) > 1)}"
    tell_expected(f"asks {loaded.name} about {count}, {views_in_words(args.views)} each", seconds)
    answers: list[Answer] = []
    unreadable: list[Unreadable] = []
    at_once = max(1, args.batch_size // args.views)
    with tqdm(total=len(files), unit=" pictures", disable=None, leave=False, dynamic_ncols=True) as bar:
        for start in range(0, len(files), at_once):
            some = list(read_pictures(files[start : start + at_once], saved.image_shape, saved.warp))
            pictures = [one for one in some if isinstance(one, Picture)]
            unreadable += [one for one in some if isinstance(one, Unreadable)]
            if pictures:
                given = ask(member, np.stack([one.image for one in pictures]), args.views)
                for one, probabilities in zip(pictures, given, strict=True):
                    own = _class_of(one.path.absolute().parent.name, saved) if label is None else label
                    drawn = args.png is not None and len(answers) < MOST
                    answers.append(Answer.of(one, probabilities, own, most, drawn))
            bar.update(len(some))
    return answers, unreadable


def report(loaded: Loaded, answers: Sequence[Answer], most: int) -> list[str]:
    """The lines of the report."""
    names, lines = loaded.saved.classes, []
    for answer in answers:
        known = "" if answer.label is None else f", right: {names[answer.label]}"
        lines.append(f"{printable([str(answer.path)])[0]}, {answer.width:,} x {answer.height:,} pixels{known}")
        for k, probability in answer.top:
            lines.append(f"  {percent(probability):>8}  {names[k]}{'  <- right' if k == answer.label else ''}")
        if answer.label is not None and answer.place > most:
            lines.append(f"  {percent(answer.probability):>8}  {names[answer.label]}  <- right, place {answer.place:,}")
    places = [answer.place for answer in answers if answer.label is not None]
    if len(places) > 1:
        first, within = sum(place == 1 for place in places), sum(place <= most for place in places)
        lines.append(f"of {len(places):,} with a known class, {first:,} are right, {within:,} are right within the first {most}")
    return lines


def document_of(args: argparse.Namespace, loaded: Loaded, answers: Sequence[Answer], unreadable: Sequence[Unreadable]) -> dict[str, Any]:
    """The answers as JSON values."""
    names = loaded.saved.classes
    pictures = []
    for answer in answers:
        top = [{"class": names[k], "probability": probability} for k, probability in answer.top]
        right = None
        if answer.label is not None:
            right = {"class": names[answer.label], "probability": answer.probability, "place": answer.place}
        pictures.append({"file": str(answer.path), "width": answer.width, "height": answer.height, "top": top, "right": right})
    return {
        "net": {"file": loaded.name, "net": loaded.saved.net, "note": loaded.saved.note, "classes": len(names)},
        "views": args.views,
        "pictures": pictures,
        "unreadable": [{"file": str(file.path), "reason": file.reason} for file in unreadable],
    }


def _draw(args: argparse.Namespace, loaded: Loaded, answers: Sequence[Answer], most: int) -> None:
    """Draw the first pictures with their bars."""
    names, shown = loaded.saved.classes, []
    for answer in answers[:MOST]:
        assert answer.shown is not None
        guesses = tuple((names[k], probability, k == answer.label) for k, probability in answer.top)
        title, note = printable([answer.path.name])[0] if answer.label is None else names[answer.label], ""
        if answer.label is not None and answer.place > most:
            note = f"right: place {answer.place:,}, {percent(answer.probability)}"
        shown.append(Shown(answer.shown, title, guesses, note))
    draw_guesses(shown, f"{loaded.saved.net}, {views_in_words(args.views)}; {loaded.saved.note}", args.png)
    if not args.json:
        few = f"the first {MOST} of {len(answers):,}" if len(answers) > MOST else f"{len(answers):,}"
        print(f"{args.png} shows {few} picture{'s' * (len(answers) != 1)} with bars")
