"""The loop learns, counts right, refuses the folder of another run and says what went wrong."""

import re
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tests.training.small_run import PER_EPOCH, learnable_data, make_net, make_trainer, random_data, refuses_run, without_times
from tinyalex.devices import CpuDevice
from tinyalex.devices.sim import SimDevice
from tinyalex.errors import CheckpointError, DataError, DiskFull, DivergedError, OutOfMemory, ShapeError
from tinyalex.files.atomic import alone_in
from tinyalex.models.cifar import figure1_net
from tinyalex.training import load_checkpoint, parameters_sha256
from tinyalex.training.checkpoint import checkpoint_files


def test_one_epoch_lowers_the_loss():
    trainer = make_trainer(train=learnable_data(400), val=learnable_data(100, seed=1), schedule=ta.Schedule(1e-4))
    first, second, third = trainer.run(3)
    assert first.loss > second.loss > third.loss
    assert third.val_error < 0.05 and third.train_error < 0.05


def test_running_loss_and_error_are_means_over_the_epoch_before_each_update():
    trainer = make_trainer(schedule=ta.Schedule(1e-30))  # so small a rate that nothing moves: the means can be taken again
    (result,) = trainer.run(1)
    total, wrong = 0.0, 0
    for batch, (x, labels) in enumerate(trainer.batches.of_epoch(0)):
        trainer.net["drop2"].step = batch
        logits = trainer.net.forward(x, train=True)
        total += float(trainer.loss.forward(logits, labels)) * len(labels)
        wrong += int((logits.argmax(axis=1) != labels).sum())
    np.testing.assert_allclose(result.loss, total / 51, rtol=1e-6)
    assert result.running_error == wrong / 51


def test_rate_follows_the_schedule_and_is_logged_as_used():
    trainer = make_trainer(lr=0.001)
    assert [result.lr for result in trainer.run(4)] == [0.001, 0.0005, 0.0005, 0.00025]
    assert trainer.sgd.lr == 0.00025


def test_until_ends_the_run():
    trainer = make_trainer()
    assert len(trainer.run(5, until=lambda result: result.epoch == 2)) == 2
    assert len(trainer.run(5, until=lambda result: result.epoch == 2)) == 2
    assert len(trainer.run(3)) == 3


def test_finished_plateau_ends_the_run():
    trainer = make_trainer(schedule=ta.Plateau(1e-30, patience=1, times=0))
    assert len(trainer.run(9)) == 2


def test_no_train_and_no_val_errors_where_not_wanted():
    (result,) = make_trainer(val=None, evaluate_train=False).run(1)
    assert result.train_error is None and result.val_error is None


def test_plateau_without_val_is_refused():
    with refuses(ShapeError, "val must be given"):
        make_trainer(val=None, schedule=ta.Plateau(0.01))


def test_same_parameters_with_folder_and_without(whole):
    trainer = make_trainer()
    results = trainer.run(2)
    assert parameters_sha256(trainer.net) == whole[2]
    assert without_times(results) == without_times(whole[1])


def test_losses_read_in_groups_give_the_same_run(whole):
    trainer = make_trainer()
    trainer.loss.device = CpuDevice()  # of its own, so that the layers still compute as on a CPU
    trainer.loss.device.kind = "other"  # a device on which a look at the loss waits
    assert without_times(trainer.run(2)) == without_times(whole[1])
    assert parameters_sha256(trainer.net) == whole[2]


def test_runs_outside_the_main_thread(whole):
    trainer = make_trainer()
    thread = threading.Thread(target=trainer.run, args=(2,))
    thread.start()
    thread.join()
    assert parameters_sha256(trainer.net) == whole[2]


def test_config_mismatch_names_the_key_and_both_values(tmp_path):
    make_trainer(tmp_path).run(1)
    with refuses(CheckpointError, "got net.width = 8 where that had 4"):
        make_trainer(tmp_path, config={"net": {"width": 8}, "tags": ["a", "b"]})
    with refuses(CheckpointError, "got tags = nothing where that had ["):
        make_trainer(tmp_path, config={"net": {"width": 4}})
    with refuses(CheckpointError, "got trainer.batch_size = 4 where that had 8"):
        make_trainer(tmp_path, batch_size=4)
    with refuses(CheckpointError, "got trainer.train_images = 50 where that had 51"):
        make_trainer(tmp_path, train=random_data(50))
    assert CheckpointError.exit_code == 2
    make_trainer(tmp_path, config={"net": {"width": 4}, "tags": ("a", "b")})  # a tuple is JSON's list


@pytest.mark.parametrize("val", [(np.zeros((4, 3, 8, 8)), np.zeros(4, int)), (np.zeros((4, 3, 8, 8), np.uint8), np.zeros(3, int))])
def test_validation_data_is_checked_before_the_first_epoch(val):
    with refuses(DataError, "trainer: val: "):
        make_trainer(val=val)


def test_validation_images_of_another_size_are_refused_before_the_first_epoch():
    with refuses(DataError, "trainer: val images must be of the training images' shape (3, 8, 8), got (3, 8, 7)"):
        make_trainer(val=(np.zeros((4, 3, 8, 7), np.uint8), np.zeros(4, int)))


def test_config_that_is_not_json_is_refused():
    with refuses(ShapeError, "config must hold JSON values only"):
        make_trainer(config={"net": np.float32})


def test_other_network_is_refused_and_left_alone(tmp_path):
    make_trainer(tmp_path).run(1)
    net = make_net(width=5)
    before = parameters_sha256(net)
    with refuses(CheckpointError, "param conv1.weight must have shape (5, 3, 3, 3), got (4, 3, 3, 3)"):
        make_trainer(tmp_path, net=net)
    assert parameters_sha256(net) == before


def test_log_without_its_checkpoint_is_not_overwritten(tmp_path):
    make_trainer(tmp_path).run(1)
    for path in checkpoint_files(tmp_path):
        path.unlink()
    with refuses(CheckpointError, "a folder with a log must hold its checkpoint too"):
        make_trainer(tmp_path).run(1)


def test_only_two_checkpoints_are_kept_and_strays_removed(tmp_path):
    make_trainer(tmp_path).run(1)
    assert [path.name for path in checkpoint_files(tmp_path)] == ["checkpoint-000006.safetensors", "checkpoint-000007.safetensors"]
    stray = tmp_path / ".checkpoint-000009.safetensors.77.tinyalex-tmp"
    stray.write_bytes(b"torn")
    make_trainer(tmp_path).run(1)
    assert not stray.exists()


def test_folder_in_which_another_process_trains_is_refused_and_left_alone(tmp_path):
    make_trainer(tmp_path).run(1)
    stray = tmp_path / ".checkpoint-000009.safetensors.77.tinyalex-tmp"
    with alone_in(tmp_path):
        stray.write_bytes(b"half of the other's checkpoint")
        with refuses(CheckpointError, f"{tmp_path}: processes that train in it must be one, got a second; wait for the first"):
            make_trainer(tmp_path).run(2)
        assert stray.exists()
    assert len(make_trainer(tmp_path).run(2)) == 2


def test_checkpoint_newer_than_the_trainer_is_not_overwritten(tmp_path):
    early = make_trainer(tmp_path)
    make_trainer(tmp_path).run(1)
    text = "the newest checkpoint must be checkpoint-000000.safetensors, got checkpoint-000007.safetensors; make the trainer anew"
    with refuses(CheckpointError, text):
        early.run(1)


def test_altered_newest_checkpoint_is_named_with_the_older_one(tmp_path):
    make_trainer(tmp_path).run(1)
    older, newest = checkpoint_files(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-1])
    with refuses(CheckpointError, f"delete {newest.name} to go on from {older.name}, which is whole"):
        make_trainer(tmp_path)
    newest.unlink()
    make_trainer(tmp_path).run(1)


def test_full_disk_ends_the_run_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path)
    free = iter([10**9] * 4)  # the first checkpoint, the log, two steps
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=next(free, 100)))
    with refuses(DiskFull, "the disk must have "):
        trainer.run(1)
    assert DiskFull.exit_code == 1
    assert load_checkpoint(checkpoint_files(tmp_path)[-1]).position.step == 2
    assert not list(tmp_path.glob(".*"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow in the worker threads is what this is about
def test_diverged_run_names_the_layer_and_keeps_the_last_good_checkpoint(tmp_path):
    trainer = make_trainer(tmp_path, schedule=ta.Schedule(1e18))
    with refuses(DivergedError, "trainer: loss must be finite, got "):
        trainer.run(3)
    newest = load_checkpoint(checkpoint_files(tmp_path)[-1])
    assert newest.position.step == trainer.position.step
    assert all(np.isfinite(value).all() for value in newest.params.values())
    assert DivergedError.exit_code == 1


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda net: net["fc2"].params["weight"].__setitem__((3, 4), np.nan), "weight of fc2"),
        (lambda net: net["conv1"].params["bias"].__setitem__(0, np.inf), "bias of conv1"),
        (lambda net: setattr(net["relu1"], "forward", lambda x, train=False: np.full_like(x, np.nan)), "the output of relu1"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_first_bad_layer_is_named(spoil, name):
    trainer = make_trainer()
    spoil(trainer.net)
    with refuses_run(DivergedError, f"got nan at step 1, epoch 1; the first bad numbers are in {name}; use a learning rate below 0.001"):
        trainer.run(1)


def test_no_bar_where_stderr_is_no_terminal(capfd):
    make_trainer().run(1)
    assert capfd.readouterr().err == ""


def test_bar_shows_loss_error_and_speed(capfd):
    make_trainer(progress=True).run(1)
    err = capfd.readouterr().err
    assert "epoch 1/1" in err and "loss=" in err and "error=" in err and "images/s" in err


def test_bar_counts_to_the_expected_end(capfd):
    for expected in (None, 1, 2, 9):
        make_trainer(progress=True).run(2, until=lambda last: last.epoch == 2, expected=expected)
        err = capfd.readouterr().err
        assert ("/51.0" in err) == (expected == 1) and ("/102" in err) == (expected != 1)


def test_parameters_that_are_not_finite_are_never_saved(tmp_path):
    trainer = make_trainer(tmp_path, save_every_s=1e9)
    step = trainer.sgd.step

    def spoiled():
        step()
        if trainer.position.step + 1 == PER_EPOCH:  # the epoch's last: no loss of this epoch shows it
            trainer.net["fc2"].params["weight"][1, 2] = np.inf

    trainer.sgd.step = spoiled
    with refuses_run(DivergedError, f"parameters must be finite, got a NaN or an infinity in weight of fc2 after step {PER_EPOCH}; use a "):
        trainer.run(2)
    (kept,) = checkpoint_files(tmp_path)
    assert all(np.isfinite(value).all() for value in load_checkpoint(kept).params.values())


def test_device_full_in_the_middle_of_a_step_ends_the_run_with_parameters_and_checkpoint_as_they_were(tmp_path):
    rng = np.random.default_rng(0)
    train = rng.integers(0, 256, (4, 3, 32, 32), np.uint8), rng.integers(0, 10, 4)

    def one_on(device, folder):
        net = figure1_net("relu", "fan-in", device=device)
        return make_trainer(folder, net=net, train=train, val=None, batch_size=4, evaluate_train=False)

    def fails(memory):
        """Whether a card of so many bytes is too small; then its run must have left all as it was."""
        trainer = one_on(SimDevice(1, memory), tmp_path / str(memory))
        before = parameters_sha256(trainer.net)
        try:
            trainer.run(1)
        except OutOfMemory as error:
            assert re.match(r"\w+: sim:1: an array of [\d,]+ bytes does not fit, [\d,]+ of [\d,]+ bytes are left; use a ", str(error))
            assert parameters_sha256(trainer.net) == before and trainer.position.step == 0
            assert load_checkpoint(checkpoint_files(trainer.folder)[-1]).position.step == 0
            return True
        return False

    roomy = SimDevice(0)
    one_on(roomy, None).run(1)
    assert OutOfMemory.exit_code == 1 and any(fails(roomy.peak * part // 16) for part in range(12, 3, -1))
