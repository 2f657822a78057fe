"""The loop learns, counts right, refuses the folder of another run and says what went wrong."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tests.training.small_run import PER_EPOCH, learnable_data, make_net, make_trainer, on_host, random_data, refuses_run, without_times
from tinyalex import training
from tinyalex.data.batches import SubtractMean
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.devices import CpuDevice
from tinyalex.errors import CheckpointError, DataError, DiskFull, DivergedError, ShapeError
from tinyalex.files.atomic import alone_in
from tinyalex.models.cifar import figure1_net
from tinyalex.training import RunLog, Trainer, load_checkpoint, parameters_sha256
from tinyalex.training.checkpoint import checkpoint_files
from tinyalex.training.log import read_epochs
from tinyalex.training.report import epoch_line

pytestmark = pytest.mark.usefixtures("place")


def read_late(trainer):
    """Let the trainer read losses as on a GPU, every ten steps. On a CPU the loss gets a device for this, and layers keep theirs."""
    if trainer.net.device.kind == "cpu":
        trainer.loss.device = CpuDevice()
        trainer.loss.device.kind = "other"


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
        logits = trainer.net.forward(trainer.net.device.asarray(x), train=True)
        total += float(trainer.loss.forward(logits, labels)) * len(labels)
        wrong += int((on_host(trainer.net, logits).argmax(axis=1) != labels).sum())
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
    read_late(trainer)
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


@pytest.mark.parametrize("val", [(np.zeros((4, 3, 8, 8), np.int16), np.arange(4)), (np.zeros((4, 3, 8, 8), np.uint8), np.arange(3))])
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
    with refuses(CheckpointError, "got trainer.layers.conv1.out_channels = 5 where that had 4; use its settings and data"):
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
def test_diverged_run_names_the_layer_and_keeps_the_last_good_checkpoint(tmp_path, place):
    trainer = make_trainer(tmp_path, schedule=ta.Schedule(1e18))
    with refuses(DivergedError, "trainer: loss must be finite, got "):
        trainer.run(3)
    newest = load_checkpoint(checkpoint_files(tmp_path)[-1])
    assert newest.position.step == trainer.position.step - (place == "card")  # the loss of the last step is read when that is saved
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
    trainer = make_trainer(train=random_data(8))  # one step, whose loss is read at once on every device
    spoil(trainer.net)
    text = f"got nan at step 1, epoch 1; the first bad elements are in {name}; try a lower learning rate, such as 0.0001 for 0.001"
    with refuses_run(DivergedError, text):
        trainer.run(1)


def test_a_line_an_epoch_and_no_bar_where_stderr_is_no_terminal(capfd):
    (first, second) = make_trainer(hints=False).run(2)
    lines = capfd.readouterr().err.splitlines()
    assert lines == [epoch_line(first, 2), epoch_line(second, 2)]
    errors = f"training error {100 * first.train_error:.2f} %, validation error {100 * first.val_error:.2f} %"
    assert lines[0].startswith(f"epoch 1 of 2: loss {first.loss:.4f}, {errors}, rate 0.001, ")
    make_trainer(progress=False, hints=False).run(1)
    assert capfd.readouterr().err == ""


def test_net_that_still_guesses_is_told_once_what_to_try(capfd):
    train = learnable_data(200)
    make_trainer(train=train, lr=1e-30, net=make_net(init=ta.Gaussian(1e-6)), val=None).run(2)
    err = capfd.readouterr().err
    assert err.count("the net still guesses: its training loss is 2.302") == 1
    assert "trainer: after epoch 1 " in err and "the signal shrinks from layer to layer; use larger initial weights: FanIn(2**0.5)" in err
    assert "\n  layer           size  differs by image  dead units  gradient    weight\n  conv1 " in err
    make_trainer(train=train, lr=1e-30, net=make_net(init=ta.Gaussian(1e-6)), val=None, hints=False).run(1)
    make_trainer(train=train, schedule=ta.Schedule(1e-4), val=None).run(3)
    assert "guesses" not in capfd.readouterr().err


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
    text = f"parameters must be finite, got a NaN or an infinity in weight of fc2 after step {PER_EPOCH}; try a lower "
    with refuses_run(DivergedError, text):
        trainer.run(2)
    (kept,) = checkpoint_files(tmp_path)
    assert all(np.isfinite(value).all() for value in load_checkpoint(kept).params.values())


def small_trainer(**settings):
    """A trainer with as little given as there can be."""
    net, data = settings.pop("net", None) or make_net(), random_data(16)
    settings = {"train": data, "prepare": SubtractMean.fit(data[0]), "batch_size": 8} | settings
    return Trainer(net, settings.pop("sgd", None) or ta.SGD(net, lr=settings.pop("lr", 1e-3)), **settings)


def test_schedule_and_loss_have_defaults():
    trainer = small_trainer(lr=0.04)
    assert (trainer.schedule.base, trainer.sgd.lr, trainer.loss.device) == (0.04, 0.04, trainer.net.device)
    net = make_net(dtype=np.float64)
    assert small_trainer(net=net).loss.dtype == np.float64
    assert [result.lr for result in small_trainer(lr=0.0002).run(2)] == [0.0002, 0.0002]


def test_rate_given_to_the_optimizer_is_the_one_that_trains():
    shas = {lr: parameters_sha256(trained(small_trainer(lr=lr, schedule=ta.Schedule())).net) for lr in (1e-3, 1e-4)}
    assert len(set(shas.values())) == 2
    net = make_net()
    assert shas[1e-3] == parameters_sha256(trained(small_trainer(net=net, sgd=ta.SGD(net), schedule=ta.Schedule(1e-3))).net)


def trained(trainer):
    trainer.run(1)
    return trainer


def test_two_rates_that_differ_are_refused():
    with refuses(ShapeError, "trainer: the schedule's lr must be that of sgd, 0.04, got 0.01; give one of them alone, SGD(net) or a "):
        small_trainer(lr=0.04, schedule=ta.Schedule(0.01))
    trainer = small_trainer(lr=0.04, schedule=ta.Steps(0.04, after=(1,)))
    trainer.run(1)
    net = trainer.net
    assert small_trainer(net=net, sgd=ta.SGD(net, lr=trainer.schedule.lr), schedule=trainer.schedule).sgd.lr == pytest.approx(0.004)
    again = Trainer(trainer.net, trainer.sgd, trainer.schedule, train=random_data(16), prepare=trainer.prepare)  # as a cell that runs twice
    assert again.sgd.lr == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"prepare": None}, DataError, "prepare must be a function that makes floats of uint8 images, got None; use Standardize.fit("),
        ({"schedule": 0.01}, ShapeError, "schedule must be a Schedule, got 0.01; use Schedule(lr), or None for the rate of sgd"),
        ({"net": 3, "sgd": 3}, ShapeError, "net must be a layer or a network, got 3"),
        ({"sgd": 0.1}, ShapeError, "sgd must be an optimizer, got 0.1; use SGD(net, lr=0.01)"),
        ({"train": "cifar10"}, DataError, "train must be (images, labels), a Dataset or a source, got 'cifar10'"),
        ({"train": (np.ma.masked_all((2, 3, 8, 8), np.uint8), [0, 1])}, DataError, "images must be without a mask"),
        ({"train": (np.zeros((2, 3, 8, 8), np.uint8), np.ma.array([0, 1], mask=[0, 1]))}, DataError, "labels must be without a mask"),
        ({"train": (np.zeros((2, 3, 8, 8), np.uint8), [0, 10])}, DataError, "labels must be from 0 to 9, as the net has 10 outputs, got"),
        ({"val": (np.zeros((2, 3, 8, 8), np.uint8), [-1, 10])}, DataError, "labels must be from 0 to 9, as the net has 10 outputs, got -1"),
        ({"train": (np.zeros((2, 3, 9, 9), np.uint8), [0, 1]), "prepare": lambda x, rng: x.astype("f")}, ShapeError,
         "images must be 3x8x8 after prepare, which the net was made for, got 3x9x9; crop or resize them, or make the net for 3x9x9"),
        ({"prepare": lambda x, rng: x}, DataError, "prepared images must be an array of floats, got uint8 array of shape (1, 3, 8, 8)"),
        ({"folder": 5}, CheckpointError, "path must be a str or a Path, got 5"),
    ],
)  # fmt: skip
def test_what_is_given_wrong_is_refused_with_a_sentence(settings, error, text):
    with refuses(error, text):
        small_trainer(**settings)


def test_optimizer_of_another_net_is_refused():
    with refuses(ShapeError, "trainer: sgd must be of this net and of all its layers, got one of another; make it again, SGD(net)"):
        small_trainer(sgd=ta.SGD(make_net()))
    net = make_net()
    with refuses(ShapeError, "trainer: sgd must be of this net and of all its layers"):
        small_trainer(net=net, sgd=ta.SGD(net["fc2"]))


def test_not_a_number_in_an_image_ends_the_run_before_a_step():
    def spoiled(images, rng=None):
        x = images.astype(np.float32)
        if rng is not None:
            x[3, 1, 2, 2] = np.nan
        return x

    trainer = small_trainer(prepare=spoiled)
    before = parameters_sha256(trainer.net)
    with refuses(DataError, "trainer: prepared images must be finite, got a NaN or an infinity in image 3 of a batch; look at prepare"):
        trainer.run(1)
    assert parameters_sha256(trainer.net) == before


def test_dataset_and_labels_in_a_list_are_data():
    dataset = synthetic_dataset(train=20, test=10)
    net = figure1_net("relu", "fan-in")
    prepare = SubtractMean.fit(dataset.train_images)
    one = Trainer(net, ta.SGD(net), train=dataset, val=dataset, prepare=prepare)
    assert len(one.batches.source) == 20 and len(one.val) == 10
    images, labels = random_data(16)
    pairs = [small_trainer(train=(images, labels)), small_trainer(train=[images, labels.tolist()])]
    assert len({parameters_sha256(trained(trainer).net) for trainer in pairs}) == 1


def test_home_is_the_folder_that_tilde_means(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    small_trainer(folder="~/run").run(1)
    assert [path.name for path in tmp_path.iterdir()] == ["run"] and len(checkpoint_files(tmp_path / "run")) == 2
    assert small_trainer(folder="~/run").position.epoch == 1


def test_rate_far_too_high_is_not_answered_by_one_just_below():
    with refuses(DivergedError, "try a lower learning rate, such as 0.1 for 1e+18"):
        make_trainer(schedule=ta.Schedule(1e18)).run(3)


def test_losses_that_wait_are_read_before_a_save(tmp_path):
    trainer = make_trainer(tmp_path, save_every_s=0)
    read_late(trainer)
    trainer.run(1)
    older = load_checkpoint(checkpoint_files(tmp_path)[0]).position
    assert (older.step, older.images) == (PER_EPOCH - 1, 48) and older.loss_sum > 0


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("at", ["forward", "conv1's backward", "loss", "before the update", "after the update", "evaluation"])
def test_second_ctrl_c_counts_no_batch_and_no_epoch_twice(at, late, whole, tmp_path):
    trainer, calls = make_trainer(tmp_path, save_every_s=1e9), iter(range(100))
    if late:
        read_late(trainer)
    owner, name = {
        "forward": (trainer.net, "forward"), "conv1's backward": (trainer.net["conv1"], "backward"), "loss": (trainer.loss, "backward"),
        "evaluation": (trainer.schedule, "end_epoch"),
    }.get(at, (trainer.sgd, "step"))  # fmt: skip
    shipped = getattr(owner, name)

    def stopped(*args, **keywords):
        stop = next(calls) == (0 if at == "evaluation" else 3)
        if stop and at == "before the update":
            raise KeyboardInterrupt
        result = shipped(*args, **keywords)
        if stop:
            raise KeyboardInterrupt
        return result

    setattr(owner, name, stopped)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(2)
    assert not any(on_host(trainer.net, grad).any() for grad in trainer.net.grads.values())
    assert without_times(trainer.run(2)) == without_times(whole[1]) and parameters_sha256(trainer.net) == whole[2]
    assert len(read_epochs(tmp_path, RunLog(tmp_path / "log.jsonl").read())) == 2


def test_update_that_is_stopped_halfway_is_not_gone_on_with(monkeypatch, tmp_path):
    trainer, left = make_trainer(tmp_path, save_every_s=1e9), iter(range(3))
    kind = type(trainer.net.device)
    shipped = kind.map_blocks

    def half():
        with monkeypatch.context() as patch:
            patch.setattr(kind, "map_blocks", blocks)
            step()

    def blocks(device, *args, **keywords):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return shipped(device, *args, **keywords)

    step, trainer.sgd.step = trainer.sgd.step, half
    with pytest.raises(KeyboardInterrupt):
        trainer.run(2)
    with refuses(ta.CallOrderError, "sgd: the parameters must all have the same steps, got a step that was stopped halfway; load a ch"):
        trainer.run(2)
    trainer.sgd.step = step
    again = make_trainer(tmp_path, net=trainer.net)  # from the checkpoint
    assert again.sgd.whole and again.position.step == 0


def test_full_disk_at_the_end_of_an_epoch_counts_it_once(whole, tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, save_every_s=1e9)
    with monkeypatch.context() as patch:
        patch.setattr("tinyalex.training.log.os.fsync", raises(OSError(28, "No space left on device")))
        patch.setattr(trainer, "_start_folder", lambda: None)
        with refuses(DiskFull, "the disk must have "):
            trainer.run(2)
    assert trainer.results == [] and trainer.position.batch == PER_EPOCH and trainer.schedule.epochs == 0
    assert without_times(trainer.run(2)) == without_times(whole[1]) and parameters_sha256(trainer.net) == whole[2]


def test_line_of_an_epoch_that_was_not_counted_is_cut_off_when_the_same_trainer_runs_again(whole, tmp_path):
    trainer = make_trainer(tmp_path, save_every_s=1e9)
    next_epoch, calls = trainer.position.next_epoch, iter([None])

    def stopped():
        if next(calls, "later") is None:
            raise KeyboardInterrupt
        next_epoch()

    trainer.position.next_epoch = stopped
    with pytest.raises(KeyboardInterrupt):
        trainer.run(2)
    del trainer.position.next_epoch
    log = RunLog(tmp_path / "log.jsonl")
    assert len(read_epochs(tmp_path, log.read())) == 1 and trainer.results == []
    seen, forward = [], trainer.net.forward
    trainer.net.forward = lambda x, train=False: seen.append(len(log.read())) or forward(x, train=train)
    assert without_times(trainer.run(2)) == without_times(whole[1])
    assert seen[0] == 1  # the config alone, when it goes on


def test_rate_is_that_of_the_epoch_again_where_the_end_of_the_epoch_was_undone(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, save_every_s=1e9)
    trainer.run(1)
    assert (trainer.sgd.lr, trainer.schedule.lr) == (0.0005, 0.0005)
    trainer = make_trainer(tmp_path / "other", save_every_s=1e9)
    monkeypatch.setattr(RunLog, "append", raises(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        trainer.run(1)
    assert (trainer.sgd.lr, trainer.schedule.lr) == (0.001, 0.001)


@pytest.mark.parametrize("seconds", [-1, "often", None])
def test_seconds_between_checkpoints_are_a_number_of_at_least_0(seconds):
    with refuses(ShapeError, f"trainer: save_every_s must be a number of at least 0, got {seconds!r}"):
        make_trainer(save_every_s=seconds)


@pytest.mark.parametrize(("seconds", "saved"), [(0, [1, 2, 3, 4, 5, 6, 7, 7]), (7, [3, 6, 7]), (1000, [7])])
def test_checkpoint_is_saved_when_the_seconds_since_the_last_one_have_passed(seconds, saved, tmp_path, monkeypatch):
    trainer, steps, clock = make_trainer(tmp_path, save_every_s=seconds, evaluate_train=False, val=None), [], iter(range(9000, 10_000))
    save = training.trainer.save_checkpoint
    monkeypatch.setattr(training.trainer, "save_checkpoint", lambda path, *rest: steps.append(trainer.position.step) or save(path, *rest))
    monkeypatch.setattr(training.trainer, "time", SimpleNamespace(perf_counter=lambda: next(clock)))  # a second at every look
    trainer.run(1)
    assert steps == [0, *saved]


def test_time_before_and_between_the_calls_of_run_is_not_the_runs(monkeypatch):
    trainer, clock = make_trainer(hints=False, progress=False), [9000.0]

    def perf_counter():
        clock[0] += 0.01  # at every look
        return clock[0]

    monkeypatch.setattr(training.trainer, "time", SimpleNamespace(perf_counter=perf_counter))
    trainer.run(1)
    clock[0] += 500
    first, second = trainer.run(2)
    assert 0 < first.wall_s < second.wall_s < 2


def test_seconds_of_an_epoch_count_its_evaluation_and_its_speed_only_the_steps(monkeypatch):
    trainer, clock = make_trainer(hints=False, progress=False, evaluate_train=False), [9000.0]
    error_on = trainer._error_on
    monkeypatch.setattr(trainer, "_error_on", lambda data: clock.__setitem__(0, clock[0] + 100) or error_on(data))

    def perf_counter():
        clock[0] += 1  # at every look
        return clock[0]

    monkeypatch.setattr(training.trainer, "time", SimpleNamespace(perf_counter=perf_counter))
    (result,) = trainer.run(1)
    assert 100 < result.wall_s < 140
    assert result.images_per_s == pytest.approx(51 / (2 * PER_EPOCH))  # a second a step, and one in which it waits for images
    assert result.wait_s == PER_EPOCH


def test_speed_is_0_where_the_clock_is_too_coarse_to_see_the_steps(monkeypatch):
    monkeypatch.setattr(training.trainer, "time", SimpleNamespace(perf_counter=lambda: 5.0))
    (result,) = make_trainer(hints=False, progress=False).run(1)
    assert (result.images_per_s, result.wall_s) == (0.0, 0.0)


def test_images_without_labels_are_no_data():
    images, labels = random_data(8)
    for data in ([images], (images, labels, labels), {"images": images, "labels": labels}):
        with refuses(DataError, "trainer: train must be (images, labels), a Dataset or a source, got "):
            make_trainer(train=data, prepare=SubtractMean.fit(images))


def test_log_that_has_no_epoch_yet_needs_no_checkpoint(tmp_path):
    RunLog(tmp_path / "log.jsonl").cut({"config": {}}, 0)  # a run that was killed before its first checkpoint
    assert len(make_trainer(tmp_path).run(1)) == 1


def test_epoch_that_has_begun_is_ended_before_the_run_may_end():
    trainer = make_trainer(hints=False, progress=False)
    trainer.run(1)
    for batch, ended in ((0, True), (1, False), (6, False)):
        trainer.position.batch = batch
        assert trainer._ended(lambda last: True) is ended


def raises(error):
    def fail(*args):
        raise error

    return fail


class Bar:
    """A bar that keeps what it is told."""

    disable = False

    def __init__(self, told):
        self.told = told

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.told.append("end")

    def set_description(self, text):
        self.told.append(text)

    def set_postfix(self, loss, error, refresh):
        self.told.append((float(loss), float(error)))
        assert refresh is False  # the update that follows draws the bar

    def update(self, images):
        self.told.append(images)

    def write(self, text, file):
        self.told.append(text)


def test_bar_begins_where_the_run_is_and_is_told_images_loss_and_epoch(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("tinyalex.training.trainer.bar_of", lambda done, images, progress: told.append((done, images)) or Bar(told))
    trainer = make_trainer(tmp_path, hints=False)
    (result,) = trainer.run(1)
    means = [pair for pair in told[1:] if isinstance(pair, tuple)]
    assert told[:2] == [(0, 51), "epoch 1/1"] and told[-2:] == ["epoch 1, evaluating", "end"]
    assert [entry for entry in told if isinstance(entry, int)] == [8] * 6 + [3]
    assert len(means) == PER_EPOCH and means[-1] == pytest.approx((result.loss, result.running_error), abs=1e-4)
    told.clear()
    trainer.run(1)
    assert told == [(51, 51), "end"]
    for batch, images in ((0, 0), (3, 24), (PER_EPOCH, 51)):  # after the last batch the evaluation may be left to do
        trainer.position.batch = batch
        told.clear()
        trainer._bar_to(3)
        assert told == [(51 + images, 153)]
    told.clear()
    trainer._bar_to(1)
    assert told == [(51, 51)]  # no more than there are


def test_losses_of_a_card_are_read_every_ten_steps_and_at_the_end_of_the_epoch(monkeypatch):
    trainer = make_trainer(train=random_data(104), val=None, evaluate_train=False)
    read_late(trainer)
    read, at = Trainer._read_losses, []
    monkeypatch.setattr(Trainer, "_read_losses", lambda self, x=None: (at.append(self.position.step + 1), read(self, x)))
    trainer.run(1)
    assert at == [10, 13]


@pytest.mark.parametrize("in_folder", [True, False])
def test_seconds_of_a_run_begin_with_the_run(tmp_path, in_folder):
    trainer, began = make_trainer(tmp_path if in_folder else None), time.perf_counter()
    (result,) = trainer.run(1)
    assert 0 < result.wall_s <= time.perf_counter() - began


def test_labels_are_compared_with_the_outputs_where_the_last_layer_only_flattens():
    net = ta.Sequential([ta.Conv2d(3, 4, 7, rng=np.random.default_rng(0), name="conv1"), ta.Flatten(name="flatten")], in_shape=(3, 8, 8))
    with refuses(DataError, "labels must be from 0 to 15, as the net has 16 outputs, got 16"):
        small_trainer(net=net, train=(np.zeros((2, 3, 8, 8), np.uint8), [0, 16]))
