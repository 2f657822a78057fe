"""`tinyalex figure1`, on so few images that a run takes a second."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from tinyalex import cli
from tinyalex.commands import figure1
from tinyalex.errors import Interrupted
from tinyalex.experiments.figure1.rates import load_record, record_of, recorded_rate
from tinyalex.models.cifar import SETUPS

ROOT = Path(__file__).parents[2]
SMALL = ["--train-images", "130", "--setup", "fan-in", "--rates", "0.01", "--workers", "1"]
FILES = ("figure1.png", "factor.png", "result.json", "log.jsonl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished experiment of one epoch; nothing writes here."""
    folder = tmp_path_factory.mktemp("done") / "out"
    assert cli.main(["figure1", *SMALL, "--epochs", "1", "--seeds", "1", "--out", str(folder)]) == 0
    return folder


def read(folder):
    return json.loads((folder / "result.json").read_text())


def curves(folder):
    return {name: of["train_error"] for name, of in read(folder)["setups"]["fan-in"]["activations"].items()}


def test_outputs(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted((*FILES, "runs"))
    for name in FILES[:2]:
        with Image.open(folder / name) as image:
            image.load()
            assert image.format == "PNG" and image.width == 1200


def test_result_holds_what_a_reader_needs(folder):
    document = read(folder)
    assert (document["format"], document["format_version"], document["finished"]) == ("tinyalex-figure1", 2, True)
    assert document["dataset"] == {"name": "synthetic", "note": "synthetic shapes, seed 0", "synthetic": True}
    assert (document["train_images"], document["test_images"], document["batch_size"], document["momentum"]) == (130, 256, 128, 0.9)
    assert document["command"].startswith("tinyalex figure1 --") and document["wall_s"] > 0
    assert {"machine", "versions", "blas", "device", "workers", "date", "plans"} <= set(document)
    of = document["setups"]["fan-in"]
    assert set(of) == {"setup", "target", "sweep_epochs", "max_epochs", "activations", "factor"}
    curves = {"train_error", "running_error", "val_error"}
    keys = {"lr", "seeds", "sweep", "edge", "epochs_to_target", "epochs_run", "diverged", "wall_s"}
    assert curves | keys <= set(of["activations"]["relu"])
    assert of["factor"]["tanh"]["train_error"] == {"value": None, "at_least": False}


def test_log_has_every_runs_lines_with_its_name(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [(line["run"], line["kind"]) for line in lines] == [
        (f"fan-in-{name}-lr0.01-seed0", kind) for name in ("relu", "tanh") for kind in ("config", "epoch")
    ]


def test_same_command_goes_on_and_gives_the_curves_of_one_call(folder, tmp_path, capsys):
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    for out, epochs in ((parts, "1"), (parts, "2"), (whole, "2")):
        assert cli.main(["figure1", *SMALL, "--epochs", epochs, "--seeds", "1", "--out", str(out)]) == 0
    assert curves(parts) == curves(whole) and len(curves(whole)["relu"][0]) == 2
    assert {name: [seed[:1] for seed in seeds] for name, seeds in curves(whole).items()} == curves(folder)
    out, err = capsys.readouterr()
    assert f"figure1 writes to {parts}\n" in err and "at most " in err and f"--epochs 1 --workers 1 --seeds 1 --out {parts}" in err
    text = "setup fan-in, error of all training images after the epoch: ReLU did not reach 25 % in 2 epochs; "
    text += "tanh did not reach 25 % in 2 epochs. So there is no factor."
    assert f"on 130 synthetic images:\n  {text}\n" in out
    assert f"wrote {whole / 'figure1.png'}\n" in out and out.splitlines()[-1].startswith("next: `tinyalex ")


def test_plot_only_draws_what_there_is(folder, tmp_path, capsys):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    assert cli.main(["figure1", "--plot-only", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == read(tmp_path) and document["finished"] is False and curves(tmp_path) == curves(folder)
    before = read(tmp_path)
    assert cli.main(["figure1", "--plot-only", str(tmp_path)]) == 0
    assert read(tmp_path) == before and (tmp_path / "figure1.png").stat().st_size > 10_000


def test_plot_only_of_a_folder_without_runs_exits_2(tmp_path, capsys):
    assert cli.main(["figure1", "--plot-only", str(tmp_path)]) == 2
    assert f"{tmp_path}: the folder must hold runs of figure1, got none; run tinyalex figure1 --out {tmp_path}" in capsys.readouterr().err


def test_sweep_writes_a_record_in_the_shipped_form(tmp_path, monkeypatch):
    monkeypatch.setattr(figure1, "SYNTHETIC_RATES", dict.fromkeys(SETUPS, (0.01, 0.02)))
    options = ["--sweep", "--growth", "0", "--epochs", "1", "--seeds", "1", "--train-images", "64", "--activations", "relu"]
    assert cli.main(["figure1", *options, "--setup", "fan-in", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "rates.json").read_text())
    assert set(record) == set(load_record()) and record == record_of(read(tmp_path))
    assert [entry["lr"] for entry in record["rates"]["fan-in"]["relu"]["sweep"]] == [0.01, 0.02]


@pytest.mark.parametrize("rate", ["0.01", "0.02"])
def test_other_images_exit_2_and_nothing_is_lost(folder, capsys, rate):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    options = [*SMALL, "--train-images", "64", "--rates", rate, "--epochs", "1", "--seeds", "1"]
    assert cli.main(["figure1", *options, "--out", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert "got train_images = 130 in fan-in-relu-lr0.01-seed0 where this call has 64; use another folder for other images" in err
    assert "at most" not in err and out == ""
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_tilde_of_plot_only_is_the_home_folder(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "figure1.png").unlink()
    assert cli.main(["figure1", "--plot-only", "~/run"]) == 0
    assert (tmp_path / "run" / "figure1.png").is_file() and f"wrote {tmp_path}" in capsys.readouterr().out


def test_rates_that_all_diverge_exit_1_and_the_rest_is_run_and_drawn(tmp_path, capsys):
    options = [*SMALL, "--rates", "relu=1e30", "tanh=0.01", "--epochs", "2", "--seeds", "1", "--out", str(tmp_path)]
    assert cli.main(["figure1", *options]) == 1
    assert "figure1: a learning rate must let relu train in the setup fan-in, got 1e+30" in capsys.readouterr().err
    found = read(tmp_path)["setups"]["fan-in"]["activations"]
    assert found["relu"]["diverged"][0] and len(found["tanh"]["train_error"][0]) == 2 and (tmp_path / "figure1.png").exists()


def test_interrupted_run_says_how_to_go_on_in_its_folder(tmp_path, monkeypatch, capsys):
    from tinyalex.training import Trainer

    train_epoch = Trainer._train_epoch

    def stopped(trainer):
        if trainer.position.epoch == 1:
            raise Interrupted("trainer: the run was stopped by SIGTERM after step 2; run the same command again to go on", 143)
        train_epoch(trainer)

    monkeypatch.setattr(Trainer, "_train_epoch", stopped)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["figure1", *SMALL, "--epochs", "2", "--seeds", "1"]) == 143
    line = capsys.readouterr().err.splitlines()[-1]
    (out,) = (tmp_path / "tinyalex-runs").iterdir()
    assert "was stopped by SIGTERM" in line and line.endswith(f"--seeds 1 --out {out.relative_to(tmp_path)}")
    assert read(out)["finished"] is False and (out / "figure1.png").exists()
    monkeypatch.setattr(Trainer, "_train_epoch", train_epoch)
    assert cli.main(shlex.split(line.partition("go on with: tinyalex ")[2])) == 0
    assert read(out)["finished"] is True


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--setup", "2013"], "figure1: --setup must be 2012, fan-in or both, got '2013'"),
        (["--activations", "relu,gelu"], "figure1: --activations must be relu, tanh, sigmoid or abstanh, got 'gelu'"),
        (["--activations", "relu,relu"], "figure1: activations must be different names"),
        (["--out", ""], "figure1: --out must be the name of a folder, got ''; use . for the current one"),
        (["--rates", "fast"], "figure1: --rates must be numbers with commas between, such as 0.01,0.03, got 'fast'"),
        (["--rates", "tanh="], "figure1: --rates must be numbers with commas between, such as 0.01,0.03, got 'tanh='"),
        (["--rates", "gelu=0.1"], "figure1: --rates must be of an activation among relu,tanh, got 'gelu=0.1'"),
        (["--rates", "rel=0.1"], "got 'rel=0.1'; did you mean relu?"),
        (["--rates", "-1"], "figure1: learning rates of relu must be numbers above 0, got -1.0"),
        (["--rates", "0"], "figure1: learning rates of relu must be numbers above 0, got 0.0"),
        (["--seeds", "0"], "figure1: --seeds must be an integer of at least 1, got 0"),
        (["--growth", "-1"], "figure1: --growth must be an integer of at least 0, got -1"),
        (["--epochs", "0"], "figure1: --epochs must be an integer of at least 1, got 0"),
        (["--seeds", "1001"], "figure1: --seeds must be at most 1,000, got 1001; use fewer"),
        (["--epochs", "9" * 400], "figure1: --epochs must be at most 1,000,000, got an integer of 1329 bits; use fewer"),
        (["--train-images", "9" * 23], "figure1: --train-images must be at most 4,294,967,296, got 99999999999999999999999; use fewer"),
        (["--workers", "100000"], "cpu: workers must be at most 1,024, got 100000; use fewer"),
        (["--target", "25"], "figure1: --target must be a fraction above 0 and below 0.9, such as 0.25, got 25.0"),
        (["--quick", "--data", "cifar10"], "figure1: --data must be synthetic with --quick, got 'cifar10'; leave --quick out"),
        (["--data", "nowhere"], "got 'nowhere'; correct it, or run `tinyalex data cifar10` and use cifar10"),
        (["--memory-limit", "3GiB"], "cpu: the memory limit must be of a GPU, simulated or real, got cpu; use sim:0 or cuda:0"),
        (["--memory-limit", "0GiB", "--device", "sim:8"], "figure1: --memory-limit: memory must be a number with one of B, KB, "),
        (["--memory-limit", "3", "--device", "sim:8"], "got '3'; write the unit too, 3GiB"),
        (["--memory-limit", "3B", "--device", "sim:8"], "figure1: --memory-limit must be at least "),
        (["--tf32", "--device", "sim:8"], "sim:8: TF32 must be used on a real GPU, got sim:8; use cuda:0"),
        (["--device", "sim:0", "--workers", "2"], "figure1: --device with --workers must be cpu, got 'sim:0'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_option_exits_2(options, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["figure1", *options]) == 2
    assert text in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_out_that_is_a_file_exits_2(tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    assert cli.main(["figure1", "--out", str(tmp_path / "file")]) == 2
    assert "the folder must be one that can be made, got File exists" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"


def test_out_that_holds_a_run_of_train_exits_2_and_leaves_it(tmp_path, capsys):
    for name in ("log.jsonl", "result.json"):
        (tmp_path / name).write_text("kept")
    assert cli.main(["figure1", *SMALL, "--epochs", "1", "--seeds", "1", "--out", str(tmp_path)]) == 2
    text = "--out must be a new folder or one of tinyalex figure1, got files of something else, such as result.json; name another"
    assert text in capsys.readouterr().err
    assert {path.read_text() for path in tmp_path.iterdir()} == {"kept"} and len(list(tmp_path.iterdir())) == 2


def test_altered_log_exits_2_before_anything_is_trained(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "out")
    (log,) = tmp_path.glob("out/runs/*tanh*/log.jsonl")
    log.write_text(log.read_text().replace('"train_error": ', '"train_error": 7, "": '))
    for options in ([*SMALL, "--epochs", "2", "--seeds", "1", "--out"], ["--plot-only"]):
        assert cli.main(["figure1", *options, str(tmp_path / "out")]) == 2
        out, err = capsys.readouterr()
        assert "line 2 must agree with its check, got " in err
        assert err.endswith(f"; bring the file back, or delete {log.parent} to train this run again\n")
        assert out == "" and err.count("\n") == 1


def test_finished_folder_is_drawn_again_and_nothing_is_told_of_training(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "out")
    assert cli.main(["figure1", *SMALL, "--epochs", "1", "--seeds", "1", "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert err == f"figure1 writes to {tmp_path / 'out'}\n" and "130 synthetic images:" in out
    assert curves(tmp_path / "out") == curves(folder)


@pytest.mark.parametrize(("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_signal_to_the_command_ends_it_with_the_command_that_goes_on(tmp_path, number, code, name):
    out = tmp_path / "out"
    options = ["--train-images", "130", "--setup", "fan-in", "--rates", "0.001", "--epochs", "100000", "--workers", "1", "--seeds", "1"]
    command = [sys.executable, "-m", "tinyalex", "figure1", *options, "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and "go on with:" not in process.stderr.readline():
        pass
    while process.poll() is None and not list(out.glob("runs/*/log.jsonl")):
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    last = err.splitlines()[-1]
    assert last.startswith("tinyalex: ") and f"was stopped by {name}" in last and "error" not in last and "Traceback" not in err
    assert last.endswith(f"go on with: {shlex.join(['tinyalex', 'figure1', *REORDERED, '--out', str(out)])}")
    assert read(out)["finished"] is False


REORDERED = ["--setup", "fan-in", "--train-images", "130", "--rates", "0.001", "--epochs", "100000", "--workers", "1", "--seeds", "1"]


def test_full_disk_exits_1_with_the_command_that_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=100))
        assert cli.main(["figure1", *SMALL, "--epochs", "1", "--seeds", "1"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "the disk must have " in line and "bytes free, got 100; make room and go on with: tinyalex figure1 " in line
    assert cli.main(shlex.split(line.partition("go on with: tinyalex ")[2])) == 0
    assert len(list((tmp_path / "tinyalex-runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "setups", "seeds"), [(["--quick"], ["2012", "fan-in"], 1), ([], ["2012", "fan-in"], 3)], ids=["quick", "default"]
)
def test_settings_without_options(options, setups, seeds, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(figure1.Job, "train", lambda job, dataset, device: seen.append((job, dataset)))
    monkeypatch.setattr(figure1.Job, "write", lambda job, finished: {})
    monkeypatch.setattr(figure1, "_report", lambda *args: 0)
    assert cli.main(["figure1", *options, "--out", str(tmp_path)]) == 0
    ((job, dataset),) = seen
    record = load_record()
    assert dataset.synthetic and len(dataset.train_labels) == record["train_images"] == 2048
    assert [plan.setup for plan in job.plans] == setups
    for plan in job.plans:
        assert plan.activations == ("relu", "tanh") and len(plan.seeds) == seeds and (plan.max_epochs, plan.target) == (60, 0.25)
        assert plan.rates == {name: (recorded_rate(record, plan.setup, name),) for name in plan.activations}


def test_real_images_are_swept_with_at_least_six_rates_and_three_seeds(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(figure1, "load_dataset", lambda *args, **settings: SimpleNamespace(synthetic=False))
    monkeypatch.setattr(figure1.Job, "train", lambda job, dataset, device: seen.append(job))
    monkeypatch.setattr(figure1.Job, "write", lambda job, finished: {})
    monkeypatch.setattr(figure1, "_report", lambda *args: 0)
    monkeypatch.setattr(figure1, "_next", lambda *args: "")
    assert cli.main(["figure1", "--data", "cifar10", "--growth", "0", "--out", str(tmp_path)]) == 0
    (job,) = seen
    for plan in job.plans:
        assert plan.seeds == (0, 1, 2) and plan.growth == 0 and all(len(rates) >= 6 for rates in plan.rates.values())
    assert "--growth 0" in job.command


def test_help_says_how_a_sweep_chooses(capsys):
    assert cli.main(["figure1", "--help"]) == 0
    assert "The best rate must lie between two" in " ".join(capsys.readouterr().out.split())


def test_shipped_record_chose_the_best_of_at_least_six_rates_and_none_at_an_edge():
    record = load_record()
    assert record["dataset"]["synthetic"] is True and record["format_version"] == 2
    for setup in SETUPS:
        for name in ("relu", "tanh"):
            known = record["rates"][setup][name]
            needed = {entry["lr"]: entry["epochs_to_target"] for entry in known["sweep"] if entry["state"] == "reached"}
            assert len(known["sweep"]) >= 6 and known["lr"] == min(needed, key=needed.get) and known["edge"] is None
            assert all(entry["state"] != "unfinished" for entry in known["sweep"])
