"""The timing of a few steps before a run."""

from __future__ import annotations

from tests.training.small_run import PER_EPOCH, make_trainer, without_times
from tinyalex.training import parameters_sha256
from tinyalex.training.expected import seconds_an_epoch


def test_timing_changes_no_parameter_and_no_curve():
    trainer, untimed = make_trainer(), make_trainer()
    before = parameters_sha256(trainer.net)
    assert seconds_an_epoch(trainer) > 0
    assert parameters_sha256(trainer.net) == before and trainer.position.step == 0
    assert all(not gradient.any() for leaf in trainer.net.leaves() for gradient in leaf.grads.values())
    assert without_times(trainer.run(1)) == without_times(untimed.run(1)) and trainer.position.step == PER_EPOCH


def test_without_validation_only_steps_count():
    assert seconds_an_epoch(make_trainer(val=None)) > 0
