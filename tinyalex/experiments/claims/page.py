"""The page of the claims: README.md beside `result.json`, written by the command, so that no number on it is typed by hand."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyalex.experiments.claims.intervals import NOT_RUN, RUNNING, TOO_FEW
from tinyalex.experiments.claims.plan import PARTS, VARIANTS
from tinyalex.experiments.claims.result import RESULT
from tinyalex.experiments.claims.runs import Run
from tinyalex.experiments.claims.values import KINDS
from tinyalex.files.atomic import write_bytes
from tinyalex.units import time_in_words

PAGE, CLAIMS_PICTURE, DROPOUT_PICTURE, PAIR_PICTURE, TOWERS_PICTURE = "README.md", "claims.png", "dropout.png", "pair.png", "towers.png"
FILES = (PAGE, RESULT, CLAIMS_PICTURE, DROPOUT_PICTURE, PAIR_PICTURE, TOWERS_PICTURE)


def write_page(folder: Path, document: Mapping[str, Any], runs: Mapping[tuple[str, int], Run]) -> None:
    """Write README.md and the pictures that the finished runs allow. document: the contents of `result.json`."""
    from tinyalex.experiments.claims.plots import draw

    drawn = draw(document, runs, folder)
    write_bytes(folder / PAGE, page_of(document, drawn).encode())


def sentences(document: Mapping[str, Any]) -> list[str]:
    """One sentence for each claim that was chosen or has a value."""
    lines = []
    for name, claim in document["claims"].items():
        if name in document["chosen"] or claim["values"]:
            kind = KINDS[claim["kind"]].text
            ours = f": {kind} {measured(claim)}" if claim["values"] else ""
            lines.append(f"{name}, section {claim['section']}{ours}: {verdict(claim)} (the paper: {claim['paper']})")
    return lines


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


def page_of(document: Mapping[str, Any], pictures: Sequence[str] = ()) -> str:
    """The text of README.md."""
    parts = [_head(document), _table(document), _pictures(pictures), _rule(), _budgets(document), _runs(document), _machine(document)]
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


def _head(document: Mapping[str, Any]) -> str:
    done, planned = document["runs_done"], document["runs_planned"]
    state = f"All {planned} runs are finished." if document["finished"] else f"**Still running: {done} of {planned} runs are finished.**"
    text = f"""Each part of the net is taken away in turn, and the net is trained again with the same seeds, images and epochs, on
        {data_of(document)}. {state} This page is written by the command. A point is one percent."""
    return f"# The paper's claims at the scale of CIFAR-10\n\n    {document['command']}\n\n{_filled(text)}"


def _table(document: Mapping[str, Any]) -> str:
    rows = ["| claim | section | the paper | ours: mean (95 % interval) | seeds | verdict |", "|---|---|---|---|--:|---|"]
    for claim in document["claims"].values():
        text = KINDS[claim["kind"]].text
        ours = f"{text} {measured(claim)}" if claim["values"] else "–"
        rows.append(f"| {claim['title']} | {claim['section']} | {claim['paper']} | {ours} | {len(claim['values'])} | {verdict(claim)} |")
    return "\n".join(rows)


def _pictures(pictures: Sequence[str]) -> str:
    alt = {
        CLAIMS_PICTURE: "Each claim's mean and 95 % interval, beside the line of no effect",
        DROPOUT_PICTURE: "Training and test error by epoch, with dropout and without",
        PAIR_PICTURE: "Test error by epoch of the authors' net with response normalization and without",
        TOWERS_PICTURE: "Difference of the two halves' gray shares by epoch, with the split and without",
    }
    return "\n\n".join(f"![{alt[name]}]({name})" for name in pictures)


def _rule() -> str:
    return """\
## The rule, fixed before the runs

For each seed the value of a claim is the difference of two runs with this seed: both nets read the same images in the same order, and
start with the same weights as far as their shapes are equal. The interval is mean ± t · deviation / √n over the n seeds, with t of
Student's distribution for 95 % (4.30 for three seeds, 12.7 for two). A claim is "seen" if the whole interval lies on the paper's side of
no effect, "the other way" if it lies on the other side, and else "not seen". "Not seen" does not mean that there is no effect: with few
seeds only large effects can be seen. Of twenty claims without an effect one would be "seen" or "the other way" by chance. All claims of
the first family share one base net, so they are not independent of each other.

For the iterations, the error to reach is the mean training error that the net with dropout has in the last three epochs before its
learning rate falls for the first time. For the towers, the value is the difference of the mean gray shares of the two halves of conv1's
filters after the last epoch, with the split minus without it, in hundredths; `tinyalex filters` says what a gray share is."""


def _budgets(document: Mapping[str, Any]) -> str:
    claims, pair, towers = (document["families"][name] for name in ("claims", "pair", "towers"))

    def images(family: Mapping[str, Any]) -> str:
        known = "train_images" in family
        return f"{family['train_images']:,} training images (and {family['test_images']:,} for testing)" if known else "the training images"

    of_claims = f"""- *claims*: AlexNet's five convolutions and one hidden layer of 512 units, 206,986 parameters, on 24x24 crops.
        {claims["epochs"]} epochs of {images(claims)}{_ratio(claims)}. Batches of {claims["batch_size"]}, rate {claims["lr"]:g}, a
        tenth of it after 70 % of the epochs and a hundredth after 90 %, momentum 0.9, weight decay 0.0005. The test error is that of
        the center of each test image after the last epoch; no epoch is chosen. The training is short{_steps(claims)}. Parts that
        work against overfitting, such as dropout and color noise, pay after long training, so here they may look useless."""
    of_pair = f"""- *pair*: the authors' net with two locally connected layers, 1,116,490 parameters. {pair["epochs"]} epochs instead of
        their {sum(PARTS)}, in the same proportions {":".join(map(str, PARTS))}: on four fifths of {images(pair)}, then on all, then
        at a tenth and at a hundredth of the rate. The order of batches is theirs: of each 10,000 images 78 batches of 128 and one
        of 16, never shuffled. The rates are {pair["lr"]:g} for weights and twice that for biases, and only that of the weights
        falls; weight decay 0.004 for local and fully connected layers, none for convolutions. Both nets are compared by the mean
        of ten views."""
    of_towers = f"""- *towers*: the small AlexNet of `tinyalex train --net cifar-alexnet`, with 32 filters in conv1,
        {towers["epochs"]} epochs of {images(towers)}, crops and reflections, no color noise;
        rate {towers["lr"]:g}, which falls as that of the claims."""
    lists = "\n".join(_filled(text, "  ") for text in (of_claims, of_pair, of_towers))
    return f"## The budget, the same for all nets of a family\n\n{lists}"


def _ratio(family: Mapping[str, Any]) -> str:
    """How many parameters there are for an image, beside the paper's net."""
    if "train_images" not in family:
        return ""
    return f", {206_986 / family['train_images']:.0f} parameters an image (the paper's net: 60,965,224 for 1.2 million, 51)"


def _steps(family: Mapping[str, Any]) -> str:
    """How many steps a run takes, beside the paper's."""
    if "stages" not in family:
        return ""
    steps = sum(stage["epochs"] * math.ceil(stage["images"] / family["batch_size"]) for stage in family["stages"])
    return f": {steps:,} steps, where the paper's net took about 900,000"


def _runs(document: Mapping[str, Any]) -> str:
    if not document["runs"]:
        return ""
    rows = ["| run | what | training error | test error | ten views | gray shares (p) |", "|---|---|--:|--:|--:|---|"]
    for name, run in document["runs"].items():
        errors = [_percent(run[key]) for key in ("train_error", "test_error", "ten_views")]
        color = run["color"]
        shares = f"{color['a']:.3f}, {color['b']:.3f} ({color['p']:.3f})" if color else "–"
        what = VARIANTS[run["variant"]].text + (" (diverged)" if run["diverged"] else "")
        rows.append(f"| {name} | {what} | {' | '.join(errors)} | {shares} |")
    text = """The gray shares are the means of the two halves of conv1's filters. p is the share of random halves of the same
        filters that differ at least as much as these two."""
    return "## All runs\n\n" + "\n".join(rows) + "\n\n" + _filled(text)


def _machine(document: Mapping[str, Any]) -> str:
    if "machine" not in document:
        return ""
    machine, versions, workers = document["machine"] or {}, document["versions"] or {}, document["workers"]
    text = f"""`{RESULT}` has all numbers. Each folder of `runs/` has the log, the outcome with the digest of the final parameters,
        and for seed 0 the weights as float16. A stopped run goes on with the same command and gives the same numbers.
        Machine: {machine.get("processor")},
        {workers} worker thread{"" if workers == 1 else "s"}; Python {versions.get("python")}, NumPy {versions.get("numpy")}, tinyalex
        {versions.get("tinyalex")}. All runs together took {time_in_words(document["wall_s"])}. Other work may have run beside them, so this
        time is no measure of speed."""
    return f"## How it was run\n\n{_filled(text)}"


def _filled(text: str, indent: str = "") -> str:
    """A paragraph in lines of at most 130 characters."""
    return textwrap.fill(" ".join(text.split()), 130, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _percent(error: float | None) -> str:
    return "–" if error is None else f"{100 * error:.2f} %"
