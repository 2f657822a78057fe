"""The page of the claims: README.md beside `result.json`, written by the command, so that no number on it is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyalex.experiments.claims import alexnet_page, later_page
from tinyalex.experiments.claims.claim import Table
from tinyalex.experiments.claims.intervals import NOT_RUN, RUNNING, TOO_FEW
from tinyalex.experiments.claims.layout import Page, Picture, filled, percent
from tinyalex.experiments.claims.plan import VARIANTS
from tinyalex.experiments.claims.plots import draw, figure_of_claims
from tinyalex.experiments.claims.result import RESULT
from tinyalex.experiments.claims.runs import Run
from tinyalex.experiments.claims.values import KINDS
from tinyalex.files.atomic import write_bytes
from tinyalex.units import time_in_words

README = "README.md"
OF_CLAIMS = Picture("claims.png", "Each claim's mean and 95 % interval, beside the line of no effect", figure_of_claims, ())
PAGES = {"alexnet": alexnet_page.PAGE, "later": later_page.PAGE}  # by the name of the table
RULE = """\
## The rule, fixed before the runs

For each seed the value of a claim is the difference of two runs with this seed: both nets read the same images in the same order, and
start with the same weights as far as their shapes are equal. The interval is mean ± t · deviation / √n over the n seeds, with t of
Student's distribution for 95 % (4.30 for three seeds, 12.7 for two). A claim is "seen" if the whole interval lies on the paper's side of
no effect, "the other way" if it lies on the other side, and else "not seen". "Not seen" does not mean that there is no effect: with few
seeds only large effects can be seen. Of twenty claims without an effect one would be "seen" or "the other way" by chance."""


def files_of(table: Table) -> tuple[str, ...]:
    """The names of the files that a call with this table writes beside the runs."""
    return (README, RESULT, OF_CLAIMS.file, *(picture.file for picture in PAGES[table.name].pictures))


def write_page(folder: Path, document: Mapping[str, Any], runs: Mapping[tuple[str, int], Run]) -> None:
    """Write README.md and the pictures that the finished runs allow. document: the contents of `result.json`."""
    any_value = any(claim["values"] for claim in document["claims"].values())
    pictures = ([OF_CLAIMS] if any_value else []) + list(_page(document).pictures)
    write_bytes(folder / README, page_of(document, draw(document, runs, folder, pictures)).encode())


def _page(document: Mapping[str, Any]) -> Page:
    return PAGES[document.get("of", "alexnet")]  # a result of the time when there was one table does not name it


def sentences(document: Mapping[str, Any]) -> list[str]:
    """One sentence for each claim that was chosen or has a value."""
    lines = []
    for name, claim in document["claims"].items():
        if name in document["chosen"] or claim["values"]:
            kind = KINDS[claim["kind"]].text
            ours = f": {kind} {measured(claim)}" if claim["values"] else ""
            lines.append(f"{name}, {where(claim['section'])}{ours}: {verdict(claim)} (the paper: {claim['paper']})")
    return lines


def where(section: str) -> str:
    """The section of a claim in words; that of a later paper begins with the paper's name.

    Example
    -------
    >>> where("3.4"), where("He 2015, 4.2")
    ('section 3.4', 'He 2015, 4.2')
    """
    return f"section {section}" if section[0].isdigit() else section


def measured(claim: Mapping[str, Any]) -> str:
    """Our figure of a claim in words: the mean and the interval; "" if there is no value yet.

    Example
    -------
    >>> measured({"values": {"0": 1.2, "1": 0.8}, "unit": "points", "mean": 1.0, "low": -1.5, "high": 3.5})
    '1.00 points (-1.50 to 3.50)'
    """
    if not claim["values"]:
        return ""
    text = f"{claim['mean']:.2f} {claim['unit']}"
    return text if claim["low"] is None else f"{text} ({claim['low']:.2f} to {claim['high']:.2f})"


def verdict(claim: Mapping[str, Any]) -> str:
    """The verdict, and how many seeds it has while others are missing."""
    text, done = claim["verdict"], len(claim["values"])
    if claim["diverged_seeds"]:
        text += f"; diverged with seed {', '.join(map(str, claim['diverged_seeds']))}"
    if text in (NOT_RUN, RUNNING) or not claim["running"]:
        return text
    seeds = len(claim["seeds_planned"])
    return f"{text}; running, {done} of {seeds} seeds" if text != TOO_FEW else f"running, {done} of {seeds} seeds"


def page_of(document: Mapping[str, Any], pictures: Sequence[Picture] = ()) -> str:
    """The text of README.md."""
    page, shown = _page(document), "\n\n".join(f"![{picture.alt}]({picture.file})" for picture in pictures)
    budgets = f"## The budget, the same for all nets of a family\n\n{page.budgets(document)}"
    head, rule = _head(document, page), f"{RULE} {page.rule}"
    parts = [head, _table(document), shown, rule, budgets, _runs(document, page), _machine(document, page)]
    return "\n\n".join(part for part in parts if part) + "\n"


def data_of(document: Mapping[str, Any]) -> str:
    """The images in words."""
    data = document["dataset"]
    if data["name"] is None:
        return "no images yet, because no run is finished"
    if data["synthetic"]:
        return "**synthetic** images that a program drew, whose numbers say nothing about photographs"
    return data_in_words(data)


def data_in_words(data: Mapping[str, Any]) -> str:
    """CIFAR-10 and which copy of it.

    Example
    -------
    >>> data_in_words({"name": "CIFAR-10", "note": "JPEG-recompressed copy"})
    'CIFAR-10 (JPEG-recompressed copy)'
    """
    return f"{data['name']} ({data['note']})"


def _head(document: Mapping[str, Any], page: Page) -> str:
    done, planned = document["runs_done"], document["runs_planned"]
    state = f"All {planned} runs are finished." if document["finished"] else f"**Still running: {done} of {planned} runs are finished.**"
    text = f"""{page.head}, on {data_of(document)}. {state} This page is written by the command. A point is one percent."""
    return f"# {page.title}\n\n    {document['command']}\n\n{filled(text)}"


def _table(document: Mapping[str, Any]) -> str:
    rows = ["| claim | section | the paper | ours: mean (95 % interval) | seeds | verdict |", "|---|---|---|---|--:|---|"]
    for claim in document["claims"].values():
        text = KINDS[claim["kind"]].text
        ours = f"{text} {measured(claim)}" if claim["values"] else "–"
        rows.append(f"| {claim['title']} | {claim['section']} | {claim['paper']} | {ours} | {len(claim['values'])} | {verdict(claim)} |")
    return "\n".join(rows)


def _runs(document: Mapping[str, Any], page: Page) -> str:
    if not document["runs"]:
        return ""
    columns = {"run": "---", "what": "---", "training error": "--:", "test error": "--:", **page.columns}
    rows = [f"| {' | '.join(columns)} |", f"|{'|'.join(columns.values())}|"]
    for name, run in document["runs"].items():
        what = VARIANTS[run["variant"]].text + (" (diverged)" if run["diverged"] else "")
        cells = [name, what, percent(run["train_error"]), percent(run["test_error"]), *page.cells(run)]
        rows.append(f"| {' | '.join(cells)} |")
    return "## All runs\n\n" + "\n".join(rows) + "\n\n" + filled(page.below)


def _machine(document: Mapping[str, Any], page: Page) -> str:
    if "machine" not in document:
        return ""
    machine, versions, workers = document["machine"] or {}, document["versions"] or {}, document["workers"]
    text = f"""`{RESULT}` has all numbers. Each folder of `runs/` has {page.kept}. A stopped run goes on with the same command and
        gives the same numbers.
        Machine: {machine.get("processor")},
        {workers} worker thread{"" if workers == 1 else "s"}; Python {versions.get("python")}, NumPy {versions.get("numpy")}, tinyalex
        {versions.get("tinyalex")}. All runs together took {time_in_words(document["wall_s"])}. Other work may have run beside them, so this
        time is no measure of speed."""
    return f"## How it was run\n\n{filled(text)}"
