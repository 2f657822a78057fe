"""What was measured in 2012 and cannot be run here: the logs beside the authors' code, and arithmetic with printed numbers.

The logs are comments in the files `layers/layer-params-*.cfg` of https://github.com/computerhistory/AlexNet-Source-Code. Each pair is the
top-1 and the top-5 error as a fraction, over ten views unless the name says something else.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from lessons.paper_numbers.learning import epochs
from lessons.paper_numbers.net import macs
from lessons.paper_numbers.number import amounts
from tinyalex.analysis.paper_tables import TABLE_2
from tinyalex.experiments.figure1.result import median_epochs

LOGS = {
    "145, test of 2010": (0.374727, 0.169987),
    "145, test of 2010, one view": (0.390247, 0.182953),
    "145-half, test of 2010": (0.391680, 0.182287),
    "145, validation of 2012": (0.406640, 0.182100),
    "147, validation of 2012": (0.410580, 0.185100),
    "148, validation of 2012": (0.420340, 0.193620),
    "146-2012-2011, validation of 2012": (0.389900, 0.166220),
}
CONTEST = {"winner": 0.15315, "second": 0.26172}  # slides of the contest of 2012, top-5 errors on its test images
CLASSES_OF_2011 = (10_921, 10_922)  # outputs of the two halves of the last layer in the authors' net for the Fall 2011 release
SHOWN_13 = 0.126  # the error on the test images that the authors' site shows for their 13 % net, under Methodology
RESULT = Path(__file__).parents[2] / "examples" / "results" / "figure1" / "result.json"
COLUMNS = ("top-1", "top-5")


def logged(net: str, error: str) -> float:
    """An error of a log, in percent. error: "top-1" or "top-5"."""
    return 100 * LOGS[net][COLUMNS.index(error)]


def fell(without: str, to: str, error: str) -> float:
    """By how much an error is lower in the second log than in the first, in percent of the images."""
    return logged(without, error) - logged(to, error)


def contest(entry: str) -> float:
    """The top-5 error of an entry in the contest of 2012, in percent."""
    return 100 * CONTEST[entry]


def classes_of_2011() -> int:
    """How many classes the authors' net for the Fall 2011 release tells apart."""
    return sum(CLASSES_OF_2011)


def site_13() -> float:
    """The error that the authors' site shows for their 13 % net, in percent."""
    return 100 * SHOWN_13


def quotient(total: str, parts: str) -> float:
    """The quotient of two printed numbers."""
    return amounts(total)[0] / amounts(parts)[0]


def added(*printed: str) -> float:
    """The sum of printed numbers."""
    return sum(amounts(one)[0] for one in printed)


def validation_from_test() -> float:
    """The largest difference between the validation and the test error of a line of Table 2, in percent of the images."""
    pairs = [(line.errors[1], line.errors[2]) for line in TABLE_2.lines]
    return max(abs(one - other) for one, other in pairs if one is not None and other is not None)


def work_in_a_second(images: str, days: float) -> float:
    """10^12 additions and multiplications in a second, where a step's backward pass costs as much as two forward passes."""
    return 3 * 2 * macs() * epochs() * amounts(images)[0] / (days * 24 * 3600) / 1e12


@cache
def _figure_1() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULT.read_text("utf-8"))["setups"]
    return found


def target() -> float:
    """The training error that the runs of our Figure 1 went to, in percent."""
    return 100 * float(_figure_1()["2012"]["target"])


def slower(setup: str) -> float:
    """How many times as many epochs as ReLU tanh needed to the target, in our runs on CIFAR-10."""
    runs = _figure_1()[setup]["activations"]
    return median_epochs(runs["tanh"], "train_error")[0] / median_epochs(runs["relu"], "train_error")[0]
