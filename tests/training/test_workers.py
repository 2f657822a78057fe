"""Training with worker processes: the same bytes as without, stops and kills, and pictures or workers that fail in the middle."""

import os
import signal
import sys
import time

import numpy as np
import pytest

from tests.contract import refuses
from tests.training.small_run import PER_EPOCH, make_net, make_trainer, random_data
from tests.training.test_resume import finish, log_without_times, start, stop_after
from tinyalex.data import ArraySource, CropAndFlip, SubtractMean
from tinyalex.errors import DataError, Interrupted, LoaderError, ShapeError
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.training import Position, RunLog, evaluate, load_checkpoint
from tinyalex.training.checkpoint import checkpoint_files
from tinyalex.training.log import read_epochs

EPOCHS = 3


class Crops:
    """Random crops of 6x6 in a frame of zeros, so that the preparation is random and the net reads 8x8."""

    def __init__(self, images):
        self.crops = CropAndFlip(SubtractMean.fit(images), 6)

    def __call__(self, images, rng=None):
        return np.pad(self.crops(images, rng), ((0, 0), (0, 0), (1, 1), (1, 1)))


class Failing(ArraySource):
    """A source of which some pictures cannot be read while the file `bad` is there: an exception, or the process ends."""

    def __init__(self, data, bad, how="data"):
        super().__init__(*data)
        self.bad, self.how, self.parent = bad, how, os.getpid()

    def read(self, indices):
        if self.bad.exists() and 17 in list(indices):
            if self.how == "system":
                raise FileNotFoundError(2, "No such file or directory", "cat17.jpg")
            if self.how == "data":
                raise DataError("cat17.jpg: the picture must be a whole JPEG, got a truncated file; bring it back")
            assert os.getpid() != self.parent
            os._exit(3)
        return super().read(indices)


def trainer_of(folder, **settings):
    return make_trainer(folder, prepare=Crops(random_data(51)[0]), progress=False, hints=False, **settings)


def tensors_of(folder):
    found = load_checkpoint(checkpoint_files(folder)[-1])
    return {**found.params, **{f"velocity of {name}": array for name, array in found.velocity.items()}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run without workers."""
    folder = tmp_path_factory.mktemp("whole")
    trainer_of(folder).run(EPOCHS)
    return folder


def equals_whole(folder, whole):
    found, wanted = tensors_of(folder), tensors_of(whole)
    assert found.keys() == wanted.keys() and all(np.array_equal(found[name], wanted[name]) for name in wanted)
    first, *epochs = log_without_times(folder)
    assert epochs == log_without_times(whole)[1:] and first["config"] == log_without_times(whole)[0]["config"]
    return True


def test_a_run_with_workers_gives_the_same_bytes(tmp_path, whole):
    results = trainer_of(tmp_path, workers=2).run(EPOCHS)
    assert equals_whole(tmp_path, whole)
    assert all(0 <= result.wait_s <= result.wall_s for result in results)


@pytest.mark.parametrize(("step", "before", "after"), [(1, 2, 2), (10, 2, 0), (7, 0, 3), (20, 3, 1)])
def test_a_run_stopped_after_any_step_goes_on_with_any_number_of_workers(step, before, after, tmp_path, whole):
    with pytest.raises(Interrupted):
        stop_after(trainer_of(tmp_path, workers=before), step).run(EPOCHS)
    assert load_checkpoint(checkpoint_files(tmp_path)[-1]).position.step == step
    trainer_of(tmp_path, workers=after).run(EPOCHS)
    assert equals_whole(tmp_path, whole)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("part", ["train", "val"])
def test_a_picture_that_no_longer_decodes_is_named_and_the_run_goes_on_when_it_is_mended(part, workers, tmp_path, whole):
    bad, folder = tmp_path / "bad", tmp_path / "run"
    data = random_data(51) if part == "train" else random_data(20, seed=1)
    other = {"train": random_data(51)} if part == "val" else {}
    trainer = trainer_of(folder, workers=workers, save_every_s=1e9, **other, **{part: Failing(data, bad)})
    trainer.run(1)
    bad.touch()
    text = f"cat17.jpg: the picture must be a whole JPEG, got a truncated file; bring it back; the run is saved in {folder}; run the same"
    with refuses(DataError, text):
        trainer.run(EPOCHS)
    at = int(np.flatnonzero(trainer.batches.order(1) == 17)[0]) // 8 if part == "train" else PER_EPOCH
    saved = load_checkpoint(checkpoint_files(folder)[-1]).position
    assert (saved.epoch, saved.batch) == (1, at)
    with refuses(DataError, "cat17.jpg"):  # and again, from where it stopped
        trainer_of(folder, workers=workers, **other, **{part: Failing(data, bad)}).run(EPOCHS)
    bad.unlink()
    trainer.run(EPOCHS)
    assert equals_whole(folder, whole)


def test_a_worker_that_ends_is_named_and_the_run_is_saved(tmp_path, whole):
    bad, folder = tmp_path / "bad", tmp_path / "run"
    trainer = trainer_of(folder, workers=2, save_every_s=1e9, train=Failing(random_data(51), bad, "exit"))
    trainer.run(1)
    bad.touch()
    text = r"^loader: worker [12] of 2 must live as long as the loop, got exit code 3 in batch [0-6] of epoch 2, .*; the run is saved in "
    with pytest.raises(LoaderError, match=text):
        trainer.run(EPOCHS)
    saved = load_checkpoint(checkpoint_files(folder)[-1]).position
    assert saved.epoch == 1 and saved.step == trainer.position.step
    bad.unlink()
    trainer_of(folder, workers=2).run(EPOCHS)
    assert equals_whole(folder, whole)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_system_is_said_in_a_sentence_and_the_run_is_saved(workers, tmp_path):
    (tmp_path / "bad").touch()
    trainer = trainer_of(tmp_path / "run", workers=workers, train=Failing(random_data(51), tmp_path / "bad", "system"))
    text = "batches: every image must be readable, got FileNotFoundError: [Errno 2] No such file or directory: 'cat17.jpg'; the run is"
    with refuses(DataError, text):
        trainer.run(1)


def test_without_a_folder_the_errors_are_as_they_came(tmp_path):
    (tmp_path / "bad").touch()
    trainer = trainer_of(None, train=Failing(random_data(51), tmp_path / "bad"))
    with pytest.raises(DataError) as caught:
        trainer.run(1)
    assert str(caught.value) == "cat17.jpg: the picture must be a whole JPEG, got a truncated file; bring it back"


def test_a_signal_that_also_ends_a_worker_counts_as_the_signal(tmp_path):
    trainer = trainer_of(tmp_path, workers=2, save_every_s=1e9)
    step = trainer._step

    def kill_both(images, labels):
        step(images, labels)
        for worker in trainer._loader._workers:
            worker.process.kill()
            worker.process.join()
        trainer._stop.received = signal.SIGTERM

    trainer._step = kill_both
    with pytest.raises(Interrupted, match="stopped by SIGTERM after step 1 and saved"):
        trainer.run(1)


def test_a_run_that_has_all_its_epochs_starts_no_workers(tmp_path, whole, monkeypatch):
    trainer = trainer_of(None, workers=2)
    trainer.run(1)
    monkeypatch.setattr(trainer._loader, "_start", lambda: pytest.fail("workers were started"))
    assert len(trainer.run(1)) == 1


def test_number_of_workers_is_checked():
    with refuses(ShapeError, "loader: workers must be an integer of at least 0, got -1"):
        make_trainer(workers=-1)


def test_evaluation_is_the_same_with_workers():
    net, data = make_net(), random_data(51)
    loss, prepare = SoftmaxCrossEntropy(device=net.device), SubtractMean.fit(data[0])
    one, two = (evaluate(net, loss, data, prepare, 16, workers=workers) for workers in (0, 2))
    assert one == two and one.images == 51


def test_waiting_is_counted_across_a_stop_and_is_part_of_the_steps(tmp_path):
    trainer = stop_after(trainer_of(tmp_path), 3)
    with pytest.raises(Interrupted):
        trainer.run(1)
    waited = trainer.position.wait_s
    assert 0 < waited < trainer.position.train_s
    (result,) = trainer_of(tmp_path).run(1)
    assert result.wait_s > waited


def test_old_logs_and_checkpoints_have_no_waiting_time(tmp_path, whole):
    lines = [line for line in RunLog(whole / "log.jsonl").read()]
    assert all(line.pop("wait_s") is not None for line in lines[1:])
    assert [result.wait_s for result in read_epochs(whole / "log.jsonl", lines)] == [None] * EPOCHS
    from tinyalex.training.checkpoint import _position

    old = {key: value for key, value in vars(Position(epoch=2, step=14)).items() if key != "wait_s"}
    assert _position(old) == Position(epoch=2, step=14)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /dev/shm")
def test_kills_of_a_run_with_workers_change_nothing(tmp_path):
    """SIGKILL of the parent while workers prepare batches: each next run goes on at once, and the last has the reference's bytes."""
    epochs, reference, killed = 12, tmp_path / "reference", tmp_path / "killed"
    returncode, sha256, err = finish(start(reference, epochs, save_every_s=1e9))
    assert returncode == 0, err
    steps, pids = [], []
    for _ in range(4):
        process = start(killed, epochs, workers=2)
        at, pids = steps[-1] if steps else 0, [*pids, process.pid]
        while not (files := checkpoint_files(killed) if killed.is_dir() else []) or int(files[-1].stem[11:]) < at + 3:
            time.sleep(0.005)
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
        steps.append(load_checkpoint(checkpoint_files(killed)[-1]).position.step)
    assert 0 < steps[0] < steps[-1] < epochs * PER_EPOCH
    assert finish(start(killed, epochs, workers=2)) == (0, sha256, "")
    assert log_without_times(killed) == log_without_times(reference)
    assert not [name for name in os.listdir("/dev/shm") for pid in pids if name.startswith(f"tinyalex-{pid}-")]

