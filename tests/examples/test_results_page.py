"""examples/results/README.md: written from the results' own files, and up to date."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.claims.fakes import make_outcome, make_run, make_work, plant
from tinyalex.experiments.claims.alexnet import CLAIMS
from tinyalex.experiments.claims.job import Job
from tinyalex.experiments.claims.later import AFTER_ALEXNET

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "examples" / "results"


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("results_page", ROOT / "examples" / "results_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def results(tmp_path):
    """A copy of the results without their runs, in which a test may change numbers."""
    skip = shutil.ignore_patterns("runs", "*.safetensors", "*.png", "claims")
    return shutil.copytree(RESULTS, tmp_path / "results", ignore=skip)


def table(text):
    """The rows of the page's table by claim, of which several may have one name."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {6}
    return {row[1]: row for row in rows[1:]}


def test_page_is_that_of_todays_results(program):
    assert (RESULTS / "README.md").read_text() == program.page(RESULTS), "run python examples/results_page.py"


def test_every_result_of_the_repository_is_on_the_page(program):
    links = set(re.findall(r"\]\(([a-z0-9-]+)/\)", program.page(RESULTS)))
    assert {path.name for path in RESULTS.iterdir() if path.is_dir()} <= links <= {path.name for path in RESULTS.iterdir()} | {"claims"}


def test_claims_that_were_not_run_are_called_so(program, results):
    rows = table(program.page(results))
    for claim in CLAIMS.values():
        assert rows[claim.title][2:5] == [claim.paper, "–", "not run"]


def test_claims_come_from_their_result(program, results):
    folder = results / "claims"
    for seed, worse in enumerate((0.42, 0.43)):
        plant(folder, make_run("base", seed, make_outcome(0.40)), make_run("no-conv4", seed, make_outcome(worse)))
    Job(folder, make_work("depth", "halves"), lambda line: None).write()
    rows = table(program.page(results))
    depth = rows[CLAIMS["depth"].title]
    assert depth[3] == "test error, lower by 2.50 points (-3.85 to 8.85); 2 seeds"
    assert depth[4] == "not seen; running, 2 of 3 seeds"
    assert rows[CLAIMS["halves"].title][3:5] == ["–", "running"] and rows[CLAIMS["pair"].title][4] == "not run"
    assert "    tinyalex claims --out here" in program.page(results)


def test_claims_after_alexnet_come_from_their_result_once_there_is_one(program, results):
    assert "later" not in program.page(results)
    for name, error in (("plain-20", 0.30), ("plain-56", 0.55)):
        plant(results / "later", make_run(name, 0, replace(make_outcome(), final_train=error, final_test=0.5)))
    Job(results / "later", make_work("degradation", table=AFTER_ALEXNET), lambda line: None).write()
    row = table(program.page(results))[AFTER_ALEXNET.claims["degradation"].title]
    assert row[0] == "He 2015, 4.2" and row[3] == "training error, lower by 25.00 points; 1 seed"
    assert row[4:] == ["running, 1 of 3 seeds", "[later](later/)"]


@pytest.mark.parametrize(
    ("tanh", "text", "verdict"),
    [
        ([30.0], "6.0 times; 1 seed", "one seed so far"),
        ([30.0, 31.0, 29.0], "6.0 times (interval of the seeds' ratios 5.5 to 6.5); 3 seeds", "seen"),
        ([2.0, 6.0, 9.0], "6.0 times (interval of the seeds' ratios -0.6 to 2.9); 3 seeds", "not seen"),
        ([None], "more than 6.0 times; 1 seed", "not run"),
    ],
)
def test_figure1_is_read_from_its_result(program, results, tanh, text, verdict):
    path = results / "figure1" / "result.json"
    document = json.loads(path.read_text())
    of = document["setups"]["2012"]
    of["factor"]["tanh"]["train_error"] = {"value": 6.0, "at_least": tanh == [None]}
    for name, epochs in (("relu", [5.0] * len(tanh)), ("tanh", tanh)):
        of["activations"][name] |= {"seeds": list(range(len(tanh)))}
        of["activations"][name]["epochs_to_target"]["train_error"] = epochs
    document["finished"] = False
    path.write_text(json.dumps(document))
    row = next(row for name, row in table(program.page(results)).items() if name.endswith("setup 2012"))
    assert row[3].startswith(text) and row[4] == f"{verdict}; running"


def test_synthetic_pictures_are_called_so_in_every_row(program):
    rows = [line for line in program.page(RESULTS).splitlines() if "(small-imagenet/)" in line]
    assert len(rows) == 2 and all("**synthetic**" in row for row in rows)
