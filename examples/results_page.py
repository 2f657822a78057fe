"""Writes examples/results/README.md: every claim of the paper that was tried here, the paper's figure, ours, a verdict and the command.

    python examples/results_page.py

All numbers are read from the results' own files. A test compares the page with what this program writes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tinyalex.experiments.claims.alexnet import CLAIMS, FAMILIES
from tinyalex.experiments.claims.intervals import TOO_FEW, interval_of, verdict_of
from tinyalex.experiments.claims.page import data_in_words, measured, verdict
from tinyalex.experiments.claims.result import Work, result
from tinyalex.experiments.claims.values import KINDS
from tinyalex.files.atomic import write_bytes
from tinyalex.models.rows import parameters
from tinyalex.models.variants import VARIANTS

RESULTS = Path(__file__).parent / "results"
HEAD = """\
# Results: the paper's claims, and what came of them here

This page is written by `python examples/results_page.py` from the results' own files. Where a row has several seeds, the verdict follows
the rule of the [claims](claims/README.md): an effect is "seen" if the 95 % interval over the seeds excludes no effect. "One seed so far"
is no verdict. CIFAR-10 here is a JPEG-recompressed copy, so no error is comparable to the last digit with those of the original images.
"""


def main() -> int:
    """Write the page."""
    write_bytes(RESULTS / "README.md", page(RESULTS).encode())
    print(f"wrote {RESULTS / 'README.md'}")
    return 0


def page(results: Path) -> str:
    """The text of the page for the results in a folder."""
    rows = [*figure1(results), *claims(results), *later(results), *towers(results), *memorize(results), *small_imagenet(results), figure2()]
    table = ["| section | claim | the paper | ours | verdict | details |", "|---|---|---|---|---|---|"]
    commands = ["## The commands", "", "Each goes on where it was stopped.", ""]
    for row in rows:
        table.append(f"| {' | '.join(row[:5])} | [{row[5]}]({row[5]}/) |")
    for line in dict.fromkeys(row[6] for row in rows):
        commands.append(f"    {line}")
    return "\n".join([HEAD, *table, "", *commands]) + "\n"


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def figure1(results: Path) -> list[list[str]]:
    """Figure 1: for each setup, how many times as many epochs tanh needs."""
    document, rows = _read(results / "figure1" / "result.json"), []
    for name, of in document["setups"].items():
        epochs = {key: of["activations"][key]["epochs_to_target"]["train_error"] for key in ("relu", "tanh")}
        factor = of["factor"]["tanh"]["train_error"]
        ratios = [b / a for a, b in zip(epochs["relu"], epochs["tanh"], strict=False) if a and b]
        found = interval_of(ratios) if ratios else None
        more = "more than " if factor["at_least"] else ""
        ours = "–" if factor["value"] is None else f"{more}{factor['value']:.1f} times"
        if found is not None and found.low is not None:
            ours += f" (interval of the seeds' ratios {found.low:.1f} to {found.high:.1f})"
        seeds = max(len(of["activations"][key]["seeds"]) for key in ("relu", "tanh"))
        ours += f"; {seeds} seed{'s' * (seeds > 1)}, {data_in_words(document['dataset'])}"
        said = verdict_of(found, 1) if found is not None else "not run"
        if not document["finished"]:
            said += "; running"
        claim = f"tanh needs more epochs than ReLU to 25 % training error; inputs and first weights as in setup {name}"
        rows.append(["3.1", claim, "6 times", ours, said, "figure1", document["command"]])
    return rows


def claims(results: Path) -> list[list[str]]:
    """The claims at the scale of CIFAR-10, as far as their runs are finished."""
    path = results / "claims" / "result.json"
    command = "tinyalex claims --out examples/results/claims"
    document = _read(path) if path.is_file() else result(Work((), 3, FAMILIES, command), results / "claims")
    assert list(document["claims"]) == list(CLAIMS)
    return _of_claims(document, "claims")


def later(results: Path) -> list[list[str]]:
    """The claims of the papers after AlexNet, once there is a run of them. The section then names the paper."""
    path = results / "later" / "result.json"
    return _of_claims(_read(path), "later") if path.is_file() else []


def _of_claims(document: dict[str, Any], folder: str) -> list[list[str]]:
    rows = []
    for claim in document["claims"].values():
        n = len(claim["values"])
        ours = f"{KINDS[claim['kind']].text} {measured(claim)}; {n} seed{'s' * (n > 1)}" if n else "–"
        rows.append([claim["section"], claim["title"], claim["paper"], ours, verdict(claim), folder, document["command"]])
    return rows


def towers(results: Path) -> list[list[str]]:
    """The small AlexNet on two devices and on one."""
    two, one = (_read(results / "cifar-alexnet" / name / "result.json") for name in ("two-towers", "one-tower"))
    errors = [100 * of["test"]["error"] for of in (two, one)]
    ours = f"test error {errors[0]:.2f} % on two devices, {errors[1]:.2f} % on one; one seed, {data_in_words(two['config']['data'])}"
    said = f"{abs(errors[0] - errors[1]):.2f} points apart"
    return [["3.2", "a net on two devices learns as the same net on one", "no figure", ours, said, "cifar-alexnet", two["command"]]]


def memorize(results: Path) -> list[list[str]]:
    """The full-width net on 64 photographs, with two kinds of first weights."""
    document = _read(results / "memorize" / "result.json")

    def steps(name: str) -> str:
        of = document["runs"][name]
        zero = next((step for step, error in zip(of["steps"], of["error"], strict=True) if error == 0), None)
        return f"not in {of['steps'][-1]}" if zero is None else str(zero)

    ours = f"steps until {document['images']} photographs are known by heart: {steps('paper')}; with biases 0 and weights by fan-in: "
    ours += f"{steps('fan-in')}; one seed"
    claim = "first biases of 1 accelerate the early learning"
    return [["5", claim, "no figure", ours, TOO_FEW, "memorize", document["command"]]]


def small_imagenet(results: Path) -> list[list[str]]:
    """Table 1 in small, on synthetic pictures."""
    document = _read(results / "small-imagenet" / "result.json")
    rows = document["rows"]
    one, ten = (_percent(rows[name]["nets"][0]["error"]) for name in ("one net, one view", "one net, ten views"))
    five = rows["5 nets, ten views"]
    each = sorted(net["error"] for net in five["nets"])
    where = "**synthetic** pictures, a quarter of the width"
    views = f"{one} % to {ten} % top-1 on {where}; one net"
    mean = f"{_percent(each[0])} to {_percent(each[-1])} % each, {_percent(five['mean']['error'])} % together, on {where}"
    last = ["small-imagenet", document["command"]]
    return [
        ["4.1", "ten views are better than one", "39.0 % to 37.5 % top-1", views, TOO_FEW, *last],
        ["6", "the mean of five nets is better than each", "40.7 % to 38.1 % top-1", mean, "one group of five nets", *last],
    ]


def figure2() -> list[str]:
    """The counts of Figure 2, computed from the rows of the net."""
    paper = VARIANTS["paper"]
    count = parameters(paper.rows, (3, paper.input_size, paper.input_size))
    ours = f"{count:,} parameters; the picture is drawn from the model"
    command = "tinyalex net alexnet --towers 2 --png figure2.png"
    return ["3.5", "the net of Figure 2", "“60 million parameters”", ours, "counted", "figure2", command]


def _percent(error: float) -> str:
    """A fraction in percent with one digit, a half rounded up."""
    return f"{100 * error + 1e-9:.1f}"


if __name__ == "__main__":
    sys.exit(main())
