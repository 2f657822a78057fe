"""One call in its folder: which folders it takes, what it keeps of earlier calls, and what it says when it is stopped."""

from __future__ import annotations

import json
import signal
from types import SimpleNamespace

import pytest

from tests.contract import refuses
from tests.experiments.figure1.fakes import make_plan, write_log
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.devices import CpuDevice
from tinyalex.errors import CheckpointError, DiskFull, Interrupted
from tinyalex.experiments.figure1 import job as figure1_job
from tinyalex.experiments.figure1.job import Job, open_folder
from tinyalex.experiments.figure1.rates import load_record
from tinyalex.experiments.figure1.runs import read_runs
from tinyalex.training import Trainer

COMMAND = "tinyalex figure1 --out here"


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(64, 20)


def make_job(folder, *plans, tell=lambda line: None):
    return Job(folder, plans or [make_plan("fan-in", ("relu",), (0.01,), max_epochs=1)], COMMAND, load_record(), tell)


def train(job, dataset):
    with job.resumable():
        job.train(dataset, CpuDevice(workers=1))
        job.write(finished=True)


def read(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize(
    "name", ["checkpoint-000007.safetensors", "log.jsonl", "result.json", "figure1.png", "factor.png", "rates.json"]
)
@pytest.mark.parametrize("runs", [False, True])
def test_folder_with_files_of_something_else_is_refused_and_left_alone(tmp_path, name, runs):
    (tmp_path / name).write_text("kept")
    if runs:
        (tmp_path / "runs" / "events").mkdir(parents=True)  # TensorBoard's, say
    text = f"--out must be a new folder or one of tinyalex figure1, got files of something else, such as {name}; name another"
    with refuses(CheckpointError, f"{tmp_path}: {text}"):
        open_folder(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir() if path.is_file()] == ["kept"]


def test_new_folder_other_files_and_a_folder_of_figure1_are_taken(tmp_path):
    open_folder(tmp_path / "a" / "b")
    (tmp_path / "notes.txt").write_text("kept")
    open_folder(tmp_path)
    write_log(tmp_path)
    (tmp_path / "result.json").write_text("{}")
    open_folder(tmp_path)


def test_folder_in_the_place_of_a_result_is_refused_before_anything_is_trained(tmp_path):
    write_log(tmp_path)
    (tmp_path / "factor.png").mkdir()
    with refuses(CheckpointError, f"{tmp_path / 'factor.png'}: the place of a result must be free or a file's, got a folder; move it away"):
        open_folder(tmp_path)


def test_setup_of_an_earlier_call_stays_in_the_result(tmp_path):
    for setup in ("fan-in", "2012"):
        for name in ("relu", "tanh"):
            write_log(tmp_path, setup=setup, activation=name, errors=(0.5, 0.25))
        make_job(tmp_path, make_plan(setup, rates=(0.01,))).write(finished=True)
        document = read(tmp_path)
    assert list(document["setups"]) == ["2012", "fan-in"] == [plan["setup"] for plan in document["plans"]] and document["finished"]
    make_job(tmp_path, make_plan("fan-in", ("relu",), (0.01,))).write(finished=True)
    setups = read(tmp_path)["setups"].items()
    assert {setup: list(of["activations"]) for setup, of in setups} == {"2012": ["relu", "tanh"], "fan-in": ["relu"]}


def test_result_with_an_unfinished_setup_is_not_called_finished(tmp_path):
    write_log(tmp_path, setup="fan-in")
    make_job(tmp_path, make_plan("fan-in", ("relu",), (0.01,))).write()
    write_log(tmp_path, errors=(0.5, 0.25))
    make_job(tmp_path, make_plan("2012", ("relu",), (0.01,))).write(finished=True)
    assert list(read(tmp_path)["setups"]) == ["2012", "fan-in"] and read(tmp_path)["finished"] is False


def test_other_images_are_refused_before_anything_is_told_or_written(dataset, tmp_path):
    lines = []
    train(make_job(tmp_path), dataset)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    job = make_job(tmp_path, make_plan("fan-in", ("relu",), (0.02,), max_epochs=1), tell=lines.append)
    with refuses(CheckpointError, "got train_images = 64 in fan-in-relu-lr0.01-seed0 where this call has 32; use another folder"):
        train(job, dataset.subset(32))
    assert lines == [] and {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_expected_time_is_told_beside_the_bound(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(figure1_job, "seconds_an_epoch", lambda dataset, device: 10.0)
    monkeypatch.setattr(figure1_job, "usual_epochs", lambda plan, dataset, record, runs: {"relu": 4})
    plans, lines = [make_plan(setup, ("relu",), (0.01,), max_epochs=60) for setup in ("2012", "fan-in")], []
    monkeypatch.setattr(figure1_job.Figure1, "run", lambda figure1, plan: lines.append(figure1.usual))
    make_job(tmp_path, *plans, tell=lines.append).train(dataset, CpuDevice(workers=1))
    assert lines[1] == f"this takes about 80 s, at most 20 min; after a stop, go on with: {COMMAND}"
    assert lines[2] == {("2012", "relu"): 4, ("fan-in", "relu"): 4}
    monkeypatch.setattr(figure1_job, "usual_epochs", lambda plan, dataset, record, runs: {})
    make_job(tmp_path, *plans, tell=lines.append).train(dataset, CpuDevice(workers=1))
    assert lines[5] == f"this takes at most 20 min; after a stop, go on with: {COMMAND}"


@pytest.mark.parametrize(("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
@pytest.mark.parametrize("place", ["seconds_an_epoch", "read_runs", "write_result"])
def test_stop_outside_a_run_says_how_to_go_on(dataset, tmp_path, monkeypatch, number, code, name, place):
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(figure1_job, place, lambda *args: signal.raise_signal(number))
        with pytest.raises(Interrupted) as caught:
            train(make_job(tmp_path), dataset)
    assert str(caught.value) == f"figure1: the work was stopped by {name}; go on with: {COMMAND}"
    assert (caught.value.exit_code, caught.value.folder) == (code, tmp_path) and signal.getsignal(signal.SIGTERM) is before
    train(make_job(tmp_path), dataset)
    assert read(tmp_path)["finished"]


@pytest.mark.parametrize(("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_stop_inside_a_run_is_saved_and_drawn(dataset, tmp_path, monkeypatch, number, code, name):
    step = Trainer._step

    def stopped(trainer, images, labels):
        step(trainer, images, labels)
        signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", stopped)
        with pytest.raises(Interrupted, match=f"stopped by {name} after step 1 and saved in .*; go on with: {COMMAND}$") as caught:
            train(make_job(tmp_path), dataset)
    assert caught.value.exit_code == code and read(tmp_path)["finished"] is False
    train(make_job(tmp_path), dataset)
    assert read(tmp_path)["finished"] and [len(run.epochs) for run in read_runs(tmp_path)] == [1]


def test_second_signal_stops_at_once(dataset, tmp_path, monkeypatch):
    def stopped(trainer, images, labels):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_step", stopped)
    with pytest.raises(Interrupted, match=f"figure1: the work was stopped by SIGTERM; go on with: {COMMAND}$"):
        train(make_job(tmp_path), dataset)


@pytest.mark.parametrize("writes", [0, 3, 4])
def test_full_disk_says_how_to_go_on(dataset, tmp_path, monkeypatch, writes):
    free = iter([10**12] * writes)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=next(free, 10)))
        with pytest.raises(DiskFull, match=f"the disk must have .* bytes free, got 10; make room and go on with: {COMMAND}$"):
            train(make_job(tmp_path), dataset)
    train(make_job(tmp_path), dataset)
    assert read(tmp_path)["finished"]
