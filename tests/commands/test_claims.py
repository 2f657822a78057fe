"""`tinyalex claims`, on so few images that a run takes a second."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.experiments.claims.fakes import make_outcome, make_run, plant
from tests.stops import stopped_at
from tinyalex import cli
from tinyalex.commands import claims
from tinyalex.experiments.claims import job
from tinyalex.experiments.claims.alexnet import CLAIMS
from tinyalex.files.atomic import alone_in
from tinyalex.training import Trainer

SMALL = ["depth", "--data", "synthetic", "--train-images", "130", "--epochs", "1", "--workers", "1"]


@pytest.fixture(autouse=True)
def few_test_images(monkeypatch):
    own = claims.load_dataset
    monkeypatch.setattr(claims, "load_dataset", lambda data, **kw: own(data, **kw | {"train_images": 200, "test_images": 20}))


def read(folder):
    return json.loads((folder / "result.json").read_text())


def outcomes(folder):
    return {path.parent.name: json.loads(path.read_text())["outcome"] for path in folder.rglob("run.json")}


def test_a_stopped_work_exits_130_and_the_same_command_gives_the_same_numbers(tmp_path, monkeypatch, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cli.main(["claims", *SMALL, "--seeds", "2", "--out", str(whole)]) == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        stopped_at(patch, 7)  # the first step of the third run
        patch.setattr(job, "WRITE_EVERY_S", 1e9)  # after the first run, only the stop writes
        assert cli.main(["claims", *SMALL, "--seeds", "2", "--out", str(parts)]) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert "stopped by Ctrl-C" in line and (parts / "README.md").read_text().count("Still running: 2 of 4 runs") == 1
    assert read(parts)["finished"] is False
    again = shlex.split(line.partition("go on with: tinyalex ")[2])
    assert cli.main(again) == 0
    assert outcomes(parts) == outcomes(whole) and len(outcomes(whole)) == 4 and read(parts)["finished"] is True
    err = capsys.readouterr().err
    assert "trains 2 of 4 runs, about " in err and "run 4 of 4: no-conv4-seed1, conv4 left out; 1 epoch; about " in err


def test_a_stopped_work_of_the_later_claims_goes_on_too(tmp_path, monkeypatch, capsys):
    few = ["group-norm-4", "--of", "later", "--data", "synthetic", "--train-images", "9", "--epochs", "1", "--workers", "1"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cli.main(["claims", *few, "--seeds", "2", "--out", str(whole)]) == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        stopped_at(patch, 5)  # the second step of the second run
        assert cli.main(["claims", *few, "--seeds", "2", "--out", str(parts)]) == 130
    again = shlex.split(capsys.readouterr().err.splitlines()[-1].partition("go on with: tinyalex ")[2])
    assert again[:2] == ["claims", "group-norm-4"] and again[again.index("--of") + 1] == "later"
    assert cli.main(again) == 0
    assert outcomes(parts) == outcomes(whole) and sorted(outcomes(whole)) == ["bn-4-seed0", "bn-4-seed1", "gn-4-seed0", "gn-4-seed1"]
    assert read(parts)["of"] == "later" and read(parts)["finished"] is True
    out, err = capsys.readouterr()
    assert "group-norm-4, Wu 2018, 4.1: test error, lower by " in out and "trains 3 of 4 runs, about " in err


def test_the_next_command_is_of_the_same_table(tmp_path, capsys):
    for name in ("plain-20", "plain-56"):
        plant(tmp_path, make_run(name, 0, replace(make_outcome(), final_train=0.1, final_test=0.2)))
    assert cli.main(["claims", "degradation", "--of", "later", "--quick", "--page", "--seeds", "1", "--out", str(tmp_path)]) == 0
    assert "`tinyalex claims --of later` then trains on them" in capsys.readouterr().out.splitlines()[-1]


def test_what_is_told_and_printed(tmp_path, capsys):
    assert cli.main(["claims", *SMALL, "--seeds", "1", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    first, second = err.splitlines()[:2]
    assert first == f"claims writes to {tmp_path}" and second.startswith("trains 2 of 2 runs, about ")
    assert "on synthetic (synthetic shapes, seed 0), 2 of 2 runs finished:\n" in out
    assert "  depth, section 3.5, 7: test error, lower by " in out
    assert "one seed so far (the paper: about 2 points of top-1)" in out and f"wrote {tmp_path / 'README.md'}" in out
    assert out.splitlines()[-1].startswith("next: `tinyalex claims depth --data synthetic ") and "--seeds 3 --out" in out.splitlines()[-1]
    assert cli.main(["claims", *SMALL, "--seeds", "1", "--out", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == read(tmp_path) and "trains" not in err


def test_page_shows_the_runs_that_there_are_and_trains_nothing(tmp_path, monkeypatch, capsys):
    assert cli.main(["claims", *SMALL, "--seeds", "1", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    monkeypatch.setattr(Trainer, "run", lambda *args, **kw: pytest.fail("it trains"))
    assert cli.main(["claims", "depth", "halves", "--page", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "on synthetic (synthetic shapes, seed 0), 2 of 9 runs finished:" in out and "running, 1 of 3 seeds" in out
    again = f"tinyalex claims depth halves --out {tmp_path}"
    assert out.splitlines()[-1] == f"next: `{again}` trains the runs that are missing" and read(tmp_path)["command"] == again
    assert "**Still running: 2 of 9 runs are finished.**" in (tmp_path / "README.md").read_text()


def test_page_without_runs_exits_2(tmp_path, capsys):
    assert cli.main(["claims", "--page"]) == 2
    assert "claims: --out must name the folder of the runs with --page, got nothing; add --out FOLDER" in capsys.readouterr().err
    assert cli.main(["claims", "--page", "--out", str(tmp_path)]) == 2
    assert f"{tmp_path}: the folder must hold finished runs of claims, got none; run tinyalex claims --out" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_expected_time_follows_the_runs_that_were_trained(tmp_path, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(job, "seconds_an_epoch", lambda trainer: 1000.0)
    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: now[0]))
    own = job.Training.train

    def train(training, variant, seed):
        now[0] += 100.0
        return own(training, variant, seed)

    monkeypatch.setattr(job.Training, "train", train)
    assert cli.main(["claims", *SMALL, "--seeds", "2", "--out", str(tmp_path)]) == 0
    told = [line.rpartition("about ")[2] for line in capsys.readouterr().err.splitlines() if line.startswith(("trains", "run "))]
    assert told[0].startswith("1.6 h; after a stop, ")
    assert told[1:] == ["1.6 h to the end", "5 min to the end", "3 min to the end", "2 min to the end"]


def test_list_shows_every_claim_and_trains_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["claims", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(claim.title in out and claim.paper in out for claim in CLAIMS.values()) and list(tmp_path.iterdir()) == []
    assert cli.main(["claims", "--list", "--of", "later", "bottleneck"]) == 0
    out = capsys.readouterr().out
    assert "bottleneck-29    270,234  41,863,680  29 layers" in out and out.endswith("tinyalex claims NAME --of later --out FOLDER\n")
    assert cli.main(["claims", "--list", "--json", "pair"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["pair"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["dropuot"], "claims: NAME must be one of pooling, average, dropout,"),
        (["degradation"], "got 'degradation'; add --of later"),
        (["--of", "latter"], "claims: --of must be alexnet or later, got 'latter'"),
        (["--of", "later", "dropout"], "got 'dropout'; add --of alexnet"),
        (["--seeds", "0"], "claims: --seeds must be an integer of at least 1, got 0"),
        (["--seeds", "1001"], "claims: --seeds must be at most 1,000, got 1001; use fewer"),
        (["--epochs", "0"], "claims: --epochs must be an integer of at least 1, got 0"),
        (["--epochs", "3", "pair"], "claims: --epochs for pair must be an integer of at least 4, got 3"),
        (["--train-images", "4"], "claims: --train-images must be an integer of at least 5, got 4"),
        (["--data", "synthetic"], "synthetic: number of train images must be an integer from 1 to 200, got 5000"),
        (["--data", "nowhere"], "got 'nowhere'; correct it, or run `tinyalex data cifar10` and use cifar10"),
        (["--out", ""], "claims: --out must be the name of a folder, got ''; use . for the current one"),
        (["--quick", "--data", "auto"], "claims: --data must be synthetic with --quick, got 'auto'; leave --quick out"),
        (["--device", "sim:0", "--workers", "2"], "claims: --device with --workers must be cpu, got 'sim:0'"),
        (["--workers", "100000"], "cpu: workers must be at most 1,024, got 100000; use fewer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_option_exits_2_and_writes_nothing(options, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["claims", *options]) == 2
    assert text in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["README.md", "result.json", "checkpoint-000007.safetensors", "claims.png"])
def test_folder_of_something_else_exits_2_and_is_left_alone(name, tmp_path, capsys):
    (tmp_path / name).write_text("kept")
    assert cli.main(["claims", *SMALL, "--out", str(tmp_path)]) == 2
    text = f"--out must be a new folder or one of tinyalex claims, got files of something else, such as {name}; name another"
    assert text in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]


def test_other_settings_exit_2(tmp_path, capsys):
    assert cli.main(["claims", *SMALL, "--seeds", "1", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert cli.main(["claims", *SMALL[:-4], "--epochs", "2", "--workers", "1", "--seeds", "1", "--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "a finished run must have the settings of this call, got stages = " in err
    assert "use its settings and data, or another folder" in err


def test_folder_in_which_another_process_works_exits_2(tmp_path, capsys):
    with alone_in(tmp_path):
        assert cli.main(["claims", *SMALL, "--out", str(tmp_path)]) == 2
    assert f"{tmp_path}: processes that train in it must be one, got a second; wait for the first" in capsys.readouterr().err


def test_out_that_is_a_file_exits_2(tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    assert cli.main(["claims", *SMALL, "--out", str(tmp_path / "file")]) == 2
    assert "the folder must be one that can be made, got File exists" in capsys.readouterr().err
