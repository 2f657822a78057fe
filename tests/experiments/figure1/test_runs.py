"""Runs that come back from their folders, those that are refused, and whether they belong together."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from tests.contract import refuses
from tests.experiments.figure1.fakes import make_run, write_log
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.errors import CheckpointError
from tinyalex.experiments.figure1.runs import check_images, epochs_to, images_of, read_run, read_runs

NAME = "2012-relu-lr0.01-seed0"


@pytest.mark.parametrize(
    ("errors", "target", "expected"),
    [
        ([0.5, 0.3, 0.2], 0.25, 2.5),
        ([0.2], 0.25, 0.65 / 0.7),
        ([0.5, 0.25, 0.2], 0.25, 2.0),
        ([0.5, 0.2, 0.5, 0.1], 0.25, 1 + 0.25 / 0.3),
        ([0.5, 0.5], 0.25, None),
        ([], 0.25, None),
        ([0.95, 0.15], 0.25, 1 + 0.7 / 0.8),
    ],
    ids=["between", "in the first epoch", "exactly", "the first of two crossings", "never", "no epochs", "after a rise"],
)
def test_epochs_to(errors, target, expected):
    assert epochs_to(errors, target) == (expected if expected is None else pytest.approx(expected))


def test_folder_without_a_log_is_no_run(tmp_path):
    assert read_run(tmp_path / "none") is None


def test_run_comes_back_from_its_log(tmp_path):
    write_log(tmp_path, activation="tanh", lr=0.003, seed=2)
    assert read_runs(tmp_path) == [make_run([0.5, 0.4], activation="tanh", lr=0.003, seed=2)]


def trainer(**change):
    return lambda header, epochs: header["config"]["trainer"].update(change)


def config(**change):
    return lambda header, epochs: header["config"].update(change)


def first(**change):
    return lambda header, epochs: header.update(change)


def second_epoch(**change):
    return lambda header, epochs: epochs[1].update(change)


def without(key):
    def change(header, epochs):
        for part in (header["config"]["trainer"], header["config"], header):
            part.pop(key, None)

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (trainer(first_lr="0.01"), "first_lr must be a number above 0, got '0.01'"),
        (trainer(first_lr=None), "first_lr must be a number above 0, got None"),
        (trainer(first_lr=[0.01]), "first_lr must be a number above 0, got [0.01]"),
        (trainer(first_lr=10**400), "first_lr must be a number above 0, got an integer of 1329 bits"),
        (trainer(first_lr=0.5), f"name of the run must be that of its setup, activation, first_lr and seed, got '{NAME}'"),
        (trainer(seed=None), "seed must be an integer of at least 0, got None"),
        (trainer(seed="0"), "seed must be an integer of at least 0, got '0'"),
        (trainer(seed=[0]), "seed must be an integer of at least 0, got [0]"),
        (trainer(seed=7), f"name of the run must be that of its setup, activation, first_lr and seed, got '{NAME}'"),
        (config(run="foo-bar-lr1-seed0"), f"run must be {NAME}, its folder's name, got 'foo-bar-lr1-seed0'"),
        (config(run=[]), f"run must be {NAME}, its folder's name, got []"),
        (config(trainer=3), "trainer of config must be a JSON object, got 3"),
        (first(config=None), "config must be a JSON object, got None"),
        (without("config"), "config must be a JSON object, got None"),
        (without("data"), "data must be a printable text, got None"),
        (config(note=["x"]), "note must be a printable text, got ['x']"),
        (config(note="\ud800"), "note must be a printable text, got '\\ud800'"),
        (trainer(train_images="many"), "train_images must be an integer of at least 1, got 'many'"),
        (without("batch_size"), "batch_size must be an integer of at least 1, got None"),
        (trainer(momentum="high"), "momentum must be a finite number, got 'high'"),
        (without("machine"), "machine must be given, got None"),
        (without("versions"), "versions must be given, got None"),
        (first(versions="1"), "versions must be those of tinyalex and others, got '1'"),
        (first(versions={}), "versions must be those of tinyalex and others, got {}"),
        (first(workers=float("inf")), "line 1 must be a JSON object"),
        (second_epoch(train_error=None), "train_error of epoch 2 must be a number from 0 to 1, got None"),
        (second_epoch(train_error=7), "train_error of an epoch must be from 0 to 1, got 7"),
        (second_epoch(train_error=-1), "train_error of an epoch must be from 0 to 1, got -1"),
        (second_epoch(running_error=10**400), "running_error of an epoch must be from 0 to 1, got an integer of 1329 bits"),
        (second_epoch(kind="diverged"), "message of diverged must be a printable text, got None"),
        (lambda header, epochs: header.clear(), "config must be a JSON object, got None"),
    ],
)  # fmt: skip
def test_altered_log_is_refused_with_what_to_do(tmp_path, change, text):
    path = write_log(tmp_path, change)
    with refuses(CheckpointError, f"{path}: {text}"):
        read_runs(tmp_path)


def test_remedy_is_to_bring_the_log_back_or_to_delete_the_run(tmp_path):
    for number, change in enumerate((trainer(seed=None), second_epoch(train_error=7))):
        path = write_log(tmp_path / str(number), change)
        with pytest.raises(CheckpointError) as caught:
            read_run(path.parent)
        assert str(caught.value).endswith(f"; bring the file back, or delete {path.parent} to train this run again")
        assert str(caught.value).count("; ") == 1


def test_renamed_folder_and_a_log_that_is_a_folder_are_refused(tmp_path):
    path = write_log(tmp_path)
    moved = path.parent.rename(path.parent.with_name("2012-relu-lr0.02-seed0"))
    with refuses(CheckpointError, f"run must be 2012-relu-lr0.02-seed0, its folder's name, got '{NAME}'"):
        read_runs(tmp_path)
    shutil.rmtree(moved)
    path.mkdir(parents=True)
    with refuses(CheckpointError, f"{path}: the log must be a file that can be read, got Is a directory; bring the file back, or delete"):
        read_runs(tmp_path)


def test_runs_of_other_images_are_refused(tmp_path):
    write_log(tmp_path)
    write_log(tmp_path, trainer(train_images=50_000), lr=0.02)
    text = "all runs of a folder must be of the same images, got train_images = 50000 in 2012-relu-lr0.02-seed0 where "
    with refuses(CheckpointError, f"{text}{NAME} has 64; use another folder for other images"):
        check_images(tmp_path, read_runs(tmp_path))


@pytest.mark.parametrize("key", ["train_sha256", "val_sha256"])
def test_fingerprints_are_compared_where_both_runs_have_them(tmp_path, key):
    for number, value in enumerate((None, "aa", "aa", None)):
        write_log(tmp_path, trainer(**{key: value} if value else {}), seed=number)
    check_images(tmp_path, read_runs(tmp_path))
    write_log(tmp_path, trainer(**{key: "bb"}), seed=5)
    with refuses(CheckpointError, f"got {key} = 'bb' in 2012-relu-lr0.01-seed5 where 2012-relu-lr0.01-seed1 has 'aa'"):
        check_images(tmp_path, read_runs(tmp_path))


def test_runs_are_compared_with_the_images_that_are_to_be_trained_on(tmp_path):
    dataset = synthetic_dataset(64, 20)
    write_log(tmp_path)
    runs = read_runs(tmp_path)
    check_images(tmp_path, runs, images_of(dataset))
    for other in (dataclasses.replace(dataset, note="seed 1"), dataset.subset(64, 10), dataset.subset(63, 20)):
        with refuses(CheckpointError, f"in {NAME} where this call has "):
            check_images(tmp_path, runs, images_of(other))
