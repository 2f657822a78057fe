"""Epochs come back from a log, and one that was altered is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract import refuses
from tests.training.small_run import make_trainer
from tinyalex.errors import CheckpointError
from tinyalex.training import EpochResult, RunLog
from tinyalex.training.log import read_epochs

LOG = Path("run") / "log.jsonl"


def line(epoch, **change):
    return {"kind": "epoch", **vars(EpochResult(epoch, 1.5, 0.5, 0.25, None, 0.125, 0.1, 100.0))} | change


def test_epochs_of_a_run_come_back(whole):
    path = whole[0] / "log.jsonl"
    assert read_epochs(path, RunLog(path).read()) == whole[1]


def test_other_lines_are_passed_over():
    lines = [{"kind": "config"}, line(1), line(2), {"kind": "diverged", "message": "nan"}]
    assert [result.epoch for result in read_epochs(LOG, lines)] == [1, 2]
    assert read_epochs(LOG, []) == []


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([line(1), line(3)], "epochs must be 1, 2, ... in order, got 3 in place of 2"),
        ([line(1), line(1)], "epochs must be 1, 2, ... in order, got 1 in place of 2"),
        ([line(1, loss="low")], "loss of an epoch must be a finite number, got 'low'"),
        ([line(1, lr=None)], "lr of an epoch must be a finite number, got None"),
        ([line(1, val_error=float("nan"))], "val_error of an epoch must be from 0 to 1, got nan"),
        ([line(1, train_error=1.01)], "train_error of an epoch must be from 0 to 1, got 1.01"),
        ([line(1, train_error=7)], "train_error of an epoch must be from 0 to 1, got 7"),
        ([line(1, running_error=-1)], "running_error of an epoch must be from 0 to 1, got -1"),
        ([line(1, running_error=None)], "running_error of an epoch must be from 0 to 1, got None"),
        ([line(1, train_error=10**400)], "train_error of an epoch must be from 0 to 1, got an integer of 1329 bits"),
        ([line(1, wall_s=10**400)], "wall_s of an epoch must be a finite number, got an integer of 1329 bits"),
        ([line(True)], "epoch of an epoch must be a finite number, got True"),
        ([{"kind": "epoch", "epoch": 1, "wall_s": 1.5}], "loss of an epoch must be a finite number, got nothing"),
    ],
)
def test_altered_epoch_is_named(lines, text):
    with refuses(CheckpointError, f"{LOG}: {text}"):
        read_epochs(LOG, lines)


def test_all_wrong_and_none_wrong_are_errors_that_can_be():
    (result,) = read_epochs(LOG, [line(1, train_error=1.0, val_error=0.0)])
    assert (result.train_error, result.val_error) == (1.0, 0.0)


def test_log_that_knows_less_than_its_checkpoint_is_refused(tmp_path):
    make_trainer(tmp_path).run(2)
    log = tmp_path / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    with refuses(CheckpointError, f"{log}: the log must hold the 2 epochs of its checkpoint, got 1; bring it back"):
        make_trainer(tmp_path)
    log.write_bytes(b"".join(lines))
    assert len(make_trainer(tmp_path).run(2)) == 2
