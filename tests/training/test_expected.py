"""The timing of a few steps before a run."""

from __future__ import annotations

from tests.training.small_run import PER_EPOCH, make_trainer, without_times
from tinyalex.training import expected, parameters_sha256
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


def test_epoch_is_as_long_as_its_images_and_the_warm_up_does_not_count(monkeypatch):
    taken = iter([2.0, 1.0])  # seconds of a step and of a test on 8 images
    monkeypatch.setattr(expected, "least_seconds", lambda work: next(taken))
    assert seconds_an_epoch(make_trainer()) == (2.0 * 51 + 1.0 * 20) / 8
    monkeypatch.undo()
    clock, calls = iter([0.0, 0.5, 1.0, 3.0, 4.0, 7.0, 8.0, 12.0]), []
    monkeypatch.setattr(expected.time, "perf_counter", lambda: next(clock))
    assert expected.least_seconds(lambda: calls.append(None)) == 2.0 and len(calls) == 4


def test_only_the_images_of_steps_are_prepared_at_random():
    trainer, given = make_trainer(), []
    prepare = trainer.batches.prepare
    trainer.batches.prepare = lambda images, rng: given.append(rng) or prepare(images, rng)
    seconds_an_epoch(trainer)
    assert [rng is not None for rng in given] == [True] * 4 + [False] * 4


def test_validation_takes_forward_passes_alone(monkeypatch):
    trainer, now = make_trainer(), [0.0]
    forward, backward = trainer.net.forward, trainer.net.backward

    def passes(seconds, work):
        def call(*arguments, **settings):
            now[0] += seconds
            return work(*arguments, **settings)

        return call

    monkeypatch.setattr(type(trainer.net), "forward", lambda net, *given, **settings: passes(1.0, forward)(*given, **settings))
    monkeypatch.setattr(type(trainer.net), "backward", lambda net, *given: passes(4.0, backward)(*given))
    monkeypatch.setattr(expected.time, "perf_counter", lambda: now[0])
    assert seconds_an_epoch(trainer) == (5.0 * 51 + 1.0 * 20) / 8
