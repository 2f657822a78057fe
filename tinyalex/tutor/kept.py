"""The predictions of a student, kept in a small file beside `mine.py`, so that the capstone's page can show them."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

from tinyalex.errors import TinyalexError
from tinyalex.files.atomic import write_bytes
from tinyalex.tutor.questions import PREDICTIONS
from tinyalex.tutor.source import SubmissionError

NAME = "my-predictions.json"
MOST_BYTES = 2**20
Kept = dict[str, dict[str, float]]  # by question: "guess", and "answer" once it was revealed


def keep(name: str, **values: float) -> None:
    """Write `values`, a guess and perhaps the answer, into the file of the current folder, if a `mine.py` lies there.

    Elsewhere nobody has asked for a file. A folder that cannot be written keeps nothing: a lesson does not stop for this.
    """
    mine = Path("mine.py")
    if not mine.is_file():
        return
    kept = kept_beside(mine)
    known = ({} if isinstance(kept, SubmissionError) else kept) | {name: values}
    with contextlib.suppress(OSError, TinyalexError):
        write_bytes(NAME, (json.dumps({"format": 1, "predictions": known}, indent=1) + "\n").encode())


def kept_beside(file: Path) -> Kept | SubmissionError:
    """The predictions beside a student's file, in the order of the lessons; none where there is no such file.

    A file of another form is told as an error that is returned and not raised: the page can do without.
    """
    place = file.with_name(NAME)
    try:
        if not place.is_file():
            return {}
        if place.stat().st_size > MOST_BYTES:
            return SubmissionError("predictions", file=str(place))
        document: Any = json.loads(place.read_text("utf-8"))
        kept = document["predictions"]
        return {name: {key: _number(kept[name][key]) for key in ("guess", "answer") if key in kept[name]}
                for name in PREDICTIONS if name in kept and "guess" in kept[name]}  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return SubmissionError("predictions", file=str(place))


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, str) or not math.isfinite(number):
        raise ValueError
    return number
