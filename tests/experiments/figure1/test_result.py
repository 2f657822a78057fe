"""What curves mean: epochs to the target, factors, sentences, and the files of a folder of runs."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from tests.contract import refuses
from tests.experiments.figure1.fakes import make_document, make_plan, make_run, write_log
from tinyalex.errors import CheckpointError
from tinyalex.experiments.figure1.rates import load_record, with_record
from tinyalex.experiments.figure1.result import plans_in, read_plans, result, sentences, summary
from tinyalex.experiments.figure1.time import CIFAR10

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "examples" / "results" / "figure1"


def of(runs, **plan):
    return summary(make_plan(**plan), runs)


def factor(runs, kind="train_error", **plan):
    return of(runs, **plan)["factor"]["tanh"][kind]


def test_factor_is_the_ratio_of_the_epochs_to_the_target():
    runs = [make_run([0.5, 0.25]), make_run([0.7, 0.6, 0.5, 0.4, 0.3, 0.25], activation="tanh")]
    assert factor(runs) == {"value": 3.0, "at_least": False}


def test_factor_of_a_curve_that_never_crosses_is_a_lower_bound():
    runs = [make_run([0.5, 0.25]), make_run([0.7] * 20, activation="tanh")]
    assert factor(runs) == {"value": 10.0, "at_least": True}


def test_there_is_no_factor_where_the_first_never_crosses():
    runs = [make_run([0.7] * 20), make_run([0.5, 0.25], activation="tanh")]
    assert factor(runs) == {"value": None, "at_least": False}


def test_there_is_no_factor_of_a_diverged_run():
    runs = [make_run([0.5, 0.25]), make_run([0.7], activation="tanh", diverged="nan")]
    assert factor(runs, rates=(0.01,)) == {"value": None, "at_least": False}


def test_both_errors_have_their_own_factor():
    runs = [make_run([0.25, 0.2], running=[0.5, 0.25]), make_run([0.5, 0.25], running=[0.25, 0.2], activation="tanh")]
    assert factor(runs)["value"] == 2.0 and factor(runs, "running_error")["value"] == 0.5


def test_median_over_the_seeds():
    runs = [make_run([0.9] * (n - 1) + [0.25], seed=n) for n in (2, 3, 7)]
    runs += [make_run([0.9] * 5 + [0.25], activation="tanh", seed=n) for n in (2, 3)]
    assert factor(runs, seeds=(2, 3, 7)) == {"value": 2.0, "at_least": False}


def test_chosen_rate_needs_the_fewest_epochs_not_the_lowest_last_error():
    runs = [make_run([0.5, 0.25], lr=0.01), make_run([0.6, 0.5, 0.1], lr=0.02)]
    assert of(runs)["activations"]["relu"]["lr"] == 0.01


def test_runs_of_other_plans_in_the_folder_are_left_out():
    runs = [make_run([0.5], lr=0.01), make_run([0.1], lr=0.5), make_run([0.1], seed=9), make_run([0.1], setup="fan-in")]
    assert of(runs)["activations"]["relu"]["train_error"] == [[0.5]]


def test_activation_without_runs_is_left_out():
    assert list(of([make_run([0.5])])["activations"]) == ["relu"] and of([make_run([0.5])])["factor"] == {}


def test_each_rate_of_the_sweep_is_kept_with_its_state():
    runs = [make_run([0.5, 0.4], lr=0.01), make_run([0.5, 0.25], lr=0.02), make_run([0.6], lr=0.04)]
    runs.append(make_run([], lr=0.08, diverged="nan"))
    found = of(runs, rates=(0.01, 0.02, 0.04, 0.08))["activations"]["relu"]
    assert [(entry["lr"], entry["state"], entry["epochs_to_target"], entry["epochs_run"]) for entry in found["sweep"]] == [
        (0.01, "lost", None, 2), (0.02, "reached", 2.0, 2), (0.04, "unfinished", None, 1), (0.08, "diverged", None, 0),
    ]  # fmt: skip
    assert found["lr"] == 0.02 and found["edge"] is None and found["sweep"][3]["diverged"] == "nan"


def test_rates_that_a_sweep_added_belong_to_the_result():
    runs = [make_run([0.5, 0.25], lr=0.01), make_run([0.5, 0.3], lr=0.02), make_run([0.5, 0.4], lr=0.003)]
    assert [entry["lr"] for entry in of(runs, growth=1)["activations"]["relu"]["sweep"]] == [0.003, 0.01, 0.02]


@pytest.mark.parametrize(
    ("relu", "tanh", "text"),
    [
        (
            [0.5, 0.25], [0.5, 0.4, 0.25],
            "ReLU reached 25 % after 2.0 epochs; tanh reached 25 % after 3.0 epochs. tanh needs 1.5 times as many epochs as ReLU.",
        ),
        (
            [0.5, 0.25], [0.5] * 9,
            "ReLU reached 25 % after 2.0 epochs; tanh did not reach 25 % in 9 epochs. "
            "tanh needs more than 4.5 times as many epochs as ReLU.",
        ),
        ([0.5] * 7, [0.5, 0.25], "ReLU did not reach 25 % in 7 epochs; tanh reached 25 % after 2.0 epochs. So there is no factor."),
    ],
)  # fmt: skip
def test_sentences_say_what_was_measured(relu, tanh, text):
    lines = sentences(make_document([make_run(relu), make_run(tanh, activation="tanh")], [make_plan(rates=(0.01,))]))
    kinds = ("error of all training images after the epoch", "mean error of the batches during the epoch")
    assert lines == [f"setup 2012, {kind}: {text}" for kind in kinds]


def test_sentences_of_a_sweep_say_whether_its_choice_stands():
    def last(*runs):
        return sentences(make_document(list(runs), [make_plan(activations=("relu",), rates=(0.01, 0.02, 0.04))]))[-1]

    best = make_run([0.5, 0.25], lr=0.02)
    start = "setup 2012, ReLU: learning rate 0.02 is the best of 3, from 0.01 to 0.04"
    slow, fast = make_run([0.5, 0.4], lr=0.01), make_run([0.5, 0.2], lr=0.04)
    assert last(slow, best, make_run([0.5, 0.4], lr=0.04)) == f"{start}."
    assert last(best) == f"{start}, so far: a better one may be among 0.01, 0.04, which could still win."
    assert last(slow, best, fast) == (
        "setup 2012, ReLU: learning rate 0.04 is the best of 3, from 0.01 to 0.04. "
        "It is the highest of them, so a better rate may lie beyond it."
    )


def test_sentence_of_a_diverged_run():
    runs = [make_run([0.5, 0.25]), make_run([], activation="tanh", diverged="nan")]
    line = sentences(make_document(runs, [make_plan(rates=(0.01,))]))[0]
    assert line.endswith("; tanh diverged at learning rate 0.01. So there is no factor.")


def test_sentence_of_one_activation_alone():
    line = sentences(make_document([make_run([0.5, 0.25])], [make_plan()]))[0]
    assert line == "setup 2012, error of all training images after the epoch: ReLU reached 25 % after 2.0 epochs."


def test_folder_without_runs_has_no_plans(tmp_path):
    assert plans_in(tmp_path) == (False, []) and read_plans(tmp_path) is None


@pytest.mark.parametrize("rest", ["", "[]", "{}", '{"format_version": 3}', '{"format_version": 1, "plans": [{}]}'])
@pytest.mark.parametrize("runs", [True, False])
def test_result_of_something_else_is_refused(tmp_path, rest, runs):
    (tmp_path / "result.json").write_text(rest.replace('{"', '{"format": "tinyalex-figure1", "', 1))
    if runs:
        (tmp_path / "runs").mkdir()
    remedy = "; delete it to draw from the runs alone" if runs else "; name a folder that tinyalex figure1 wrote"
    with pytest.raises(CheckpointError, match="the file must be a result of figure1 of format version 2 or lower, got .*" + remedy):
        read_plans(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"seeds": ["a"]}, {"seeds": []}, {"sweep_epochs": 1.5}, {"max_epochs": "60"}, {"setup": "2013"}, {"setup": ["2012"]},
     {"target": "low"}, {"rates": {"relu": ["fast"]}}, {"activations": [["relu"]]}, {"more": 1}],
    ids=str,
)  # fmt: skip
def test_altered_plan_in_a_result_is_refused(tmp_path, change):
    write_log(tmp_path)
    write_result_of(tmp_path, change)
    text = r"the file must be a result of figure1 of format version 2 or lower, got .*; delete it to draw from the runs alone"
    with pytest.raises(CheckpointError, match=text):
        read_plans(tmp_path)


def write_result_of(folder, *changes):
    """A result.json of a plan for each change of the plan of `write_log`."""
    plan = dataclasses.asdict(make_plan(activations=("relu",), rates=(0.01,)))
    document = {"format": "tinyalex-figure1", "format_version": 1, "command": "tinyalex figure1", "finished": True}
    (folder / "result.json").write_text(json.dumps(document | {"plans": [plan | change for change in changes]}))


def test_plans_of_version_1_are_read(tmp_path):
    write_log(tmp_path)
    plan = {"setup": "2012", "activations": ["relu"], "rates": {"relu": [0.01]}, "seeds": [0]}
    plan |= {"sweep_epochs": 3, "max_epochs": 60, "target": 0.25}
    document = {"format": "tinyalex-figure1", "format_version": 1, "command": "tinyalex figure1", "finished": True, "plans": [plan]}
    (tmp_path / "result.json").write_text(json.dumps(document))
    plans, command, finished = read_plans(tmp_path)
    assert (plans[0].sweep_epochs, plans[0].growth, command, finished) == (3, 4, "tinyalex figure1", True)


def test_result_without_plans_is_refused(tmp_path):
    write_result_of(tmp_path)
    with refuses(CheckpointError, "got ValueError('no plans') in reading it; name a folder that tinyalex figure1 wrote"):
        read_plans(tmp_path)


@pytest.mark.parametrize("change", [{"seeds": (5,)}, {"setup": "fan-in"}], ids=str)
def test_plans_of_which_the_folder_holds_no_run_are_refused(tmp_path, change):
    write_log(tmp_path)
    plan = dataclasses.replace(make_plan(rates=(0.01,)), **change)
    with refuses(CheckpointError, f"{tmp_path}: plans must be of runs that the folder holds, got others; delete result.json to draw what"):
        result([plan], tmp_path, "tinyalex figure1", True)


def test_result_is_of_one_set_of_images(tmp_path):
    write_log(tmp_path)
    document = result([make_plan(rates=(0.01,))], tmp_path, "tinyalex figure1", True)
    assert (document["dataset"]["name"], document["train_images"], document["finished"]) == ("synthetic", 64, True)
    write_log(tmp_path, lambda header, epochs: header["config"].update(data="CIFAR-10"), lr=0.5)
    with refuses(CheckpointError, "must be of the same images, got data = 'CIFAR-10' in 2012-relu-lr0.5-seed0 where "):
        result([make_plan(rates=(0.01,))], tmp_path, "tinyalex figure1", True)


def committed():
    return json.loads((COMMITTED / "result.json").read_text())


def test_committed_result_is_what_the_committed_runs_give():
    plans, command, finished = read_plans(COMMITTED)
    load = json.dumps(with_record(result(plans, COMMITTED, command, finished), load_record()))
    assert json.loads(load) == committed()


def test_committed_curves_are_of_real_images_and_cross_25_percent_in_both_setups():
    document = committed()
    assert document["dataset"] == {"name": "CIFAR-10", "note": "JPEG-recompressed copy", "synthetic": False}
    assert document["train_images"] == 50_000 and document["finished"] and list(document["setups"]) == ["2012", "fan-in"]
    for of in document["setups"].values():
        for name in ("relu", "tanh"):
            mine = of["activations"][name]
            assert len(mine["sweep"]) >= 4 and all(entry["epochs_run"] >= 3 for entry in mine["sweep"])
            assert min(mine["train_error"][0]) <= 0.25 and mine["epochs_to_target"]["train_error"][0] is not None


def test_readme_and_the_expected_time_have_the_committed_numbers():
    measured = {}
    for setup, of in committed()["setups"].items():
        for name, mine in of["activations"].items():
            assert CIFAR10[setup][name] == {"lr": mine["lr"], "epochs_run": mine["epochs_run"]}
            measured[setup, name] = f"{mine['epochs_to_target']['train_error'][0]:.1f}"
        measured[setup] = f"{of['factor']['tanh']['train_error']['value']:.1f}"
    first, table = ((ROOT / path).read_text() for path in ("README.md", "examples/results/figure1/README.md"))
    first = " ".join(first.partition("\n## ")[0].split())
    assert f"tanh needs {measured['2012']} times as many epochs as ReLU to reach 25 % training error" in first
    assert f"tanh needs {measured['fan-in']} times as many" in first
    for setup in ("2012", "fan-in"):
        row = next(line for line in table.splitlines() if line.startswith(f"| {setup} | all training images"))
        numbers = re.findall(r"(\d+\.\d) epochs at rate|(\d+\.\d) times", row)
        assert [one or two for one, two in numbers] == [measured[setup, "relu"], measured[setup, "tanh"], measured[setup]]
