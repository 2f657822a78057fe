"""What the pages of the tables have in common: how a page is described, and how its text is set."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tinyalex.experiments.claims.runs import Outcome, Run

Runs: TypeAlias = Mapping[tuple[str, int], Run]
Document: TypeAlias = Mapping[str, Any]  # the contents of `result.json`


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    file: its name. alt: what it shows. figure: (document, runs) -> it. needs: variants of which each must have a finished run.
    """

    file: str
    alt: str
    figure: Callable[[Document, Runs], Any]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """What the page of one table has of its own.

    title: its heading. head: what is done, the end of the sentence that the images follow. pictures: beside the one of all claims.
    rule: what the section on the rule ends with. budgets: (document) -> the section on the budgets.
    columns, cells: the further columns of the table of runs with their rules, such as "--:", and (run of the document) -> their texts.
    below: what they mean.
    kept: what the folders of the runs hold.
    """

    title: str
    head: str
    pictures: Sequence[Picture]
    rule: str
    budgets: Callable[[Document], str]
    columns: Mapping[str, str]
    cells: Callable[[Mapping[str, Any]], Sequence[str]]
    below: str
    kept: str


def filled(text: str, indent: str = "") -> str:
    """A paragraph in lines of at most 130 characters."""
    return textwrap.fill(" ".join(text.split()), 130, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def percent(error: float | None) -> str:
    """A fraction in percent.

    Example
    -------
    >>> percent(0.25), percent(None)
    ('25.00 %', '–')
    """
    return "–" if error is None else f"{100 * error:.2f} %"


def images_of(family: Mapping[str, Any]) -> str:
    """How many images the runs of a family use; `family` is an entry of `result.json`."""
    known = "train_images" in family
    return f"{family['train_images']:,} training images (and {family['test_images']:,} for testing)" if known else "the training images"


def outcomes_of(runs: Runs, variant: str) -> list[Outcome]:
    """The outcomes of a variant by seed, without those that diverged and those of another number of epochs than the first."""
    found = [run.outcome for (name, _), run in sorted(runs.items()) if name == variant and run.outcome.diverged is None]
    return [outcome for outcome in found if len(outcome.test_error) == len(found[0].test_error)]
