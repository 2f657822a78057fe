"""Checkpoints come back to the bit, and a file that is not what it should be is refused before anything is written."""

import errno
import json
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tinyalex as ta
from tests.contract import refuses
from tests.training.small_run import make_net, on_host
from tinyalex.errors import CheckpointError, DiskFull, ShapeError
from tinyalex.files.tensors import read_tensors, write_tensors
from tinyalex.training import Position, latest_checkpoint, load_checkpoint, load_weights, parameters_sha256, save_checkpoint, save_weights
from tinyalex.training.checkpoint import checkpoint_files, checkpoint_path, prune_checkpoints

POSITION = Position(epoch=2, batch=3, step=17, wall_s=1.25, loss_sum=0.1 + 0.2, errors=5, images=24, train_s=0.5)
on_each_place = pytest.mark.usefixtures("place")
CONFIG = {"net": "small", "sizes": [1, 2], "none": None, "text": 'a "quoted" \u00e9'}


def with_velocity(net, seed=1):
    sgd = ta.SGD(net, lr=0.5)
    for number, velocity in enumerate(sgd.velocity.values()):
        velocity[...] = net.device.asarray(np.random.default_rng(seed + number).standard_normal(velocity.shape), net.dtype)
    return sgd


def saved(path, net=None, schedule=None):
    net = make_net() if net is None else net
    save_checkpoint(path, net, with_velocity(net), ta.Steps(0.1, (1,)) if schedule is None else schedule, POSITION, CONFIG)
    return net


@on_each_place
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_comes_back_to_the_bit(tmp_path, dtype):
    path, schedule = tmp_path / "c", ta.Plateau(0.1, patience=1)
    for error in (0.5, 0.6, 0.4):
        schedule.end_epoch(error)
    net = saved(path, make_net(dtype=dtype), schedule)
    checkpoint = load_checkpoint(path)
    assert checkpoint.config == CONFIG and checkpoint.tinyalex == ta.__version__
    other, after = make_net(seed=5, dtype=dtype), ta.Plateau(0.1, patience=1)
    sgd = ta.SGD(other, lr=0.7)
    other["fc2"].grads["bias"].fill(3)
    assert checkpoint.restore(other, sgd, after) == POSITION
    assert parameters_sha256(other) == parameters_sha256(net)
    wanted = with_velocity(net).velocity
    assert all(np.array_equal(on_host(other, sgd.velocity[name]), on_host(net, value)) for name, value in wanted.items())
    assert after.state() == schedule.state() and sgd.lr == schedule.lr
    assert not on_host(other, other["fc2"].grads["bias"]).any()


@on_each_place
def test_restore_keeps_the_identity_of_parameters_and_velocities(tmp_path):
    net = saved(tmp_path / "c")
    sgd = ta.SGD(net)
    arrays = [*net.params.values(), *sgd.velocity.values()]
    load_checkpoint(tmp_path / "c").restore(net, sgd, ta.Steps(0.1, (1,)))
    assert all(a is b for a, b in zip(arrays, [*net.params.values(), *sgd.velocity.values()], strict=True))


@on_each_place
def test_file_is_plain_safetensors(tmp_path):
    net = saved(tmp_path / "c")
    tensors = load_file(tmp_path / "c")
    assert sorted(tensors) == sorted(f"{kind}/{name}" for kind in ("param", "velocity") for name in net.params)
    assert np.array_equal(tensors["param/conv1.weight"], on_host(net, net["conv1"].params["weight"]))


def test_one_altered_byte_is_found_anywhere(tmp_path):
    saved(tmp_path / "c")
    whole = (tmp_path / "c").read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for position in [*range(header), *range(header, len(whole), 97), len(whole) - 1]:
        for mask in (0x01, 0x80):
            altered = bytearray(whole)
            altered[position] ^= mask
            (tmp_path / "altered").write_bytes(altered)
            with pytest.raises(CheckpointError):
                load_checkpoint(tmp_path / "altered")


def test_truncation_is_found_at_any_length(tmp_path):
    saved(tmp_path / "c")
    whole = (tmp_path / "c").read_bytes()
    for length in [*range(20), *range(20, len(whole), 53), len(whole) - 1]:
        (tmp_path / "torn").write_bytes(whole[:length])
        with refuses(CheckpointError, "torn: "):
            load_checkpoint(tmp_path / "torn")
    (tmp_path / "torn").write_bytes(whole + b"\0")
    with refuses(CheckpointError, "it is truncated or altered"):
        load_checkpoint(tmp_path / "torn")


def test_altered_weight_is_told_by_its_digest(tmp_path):
    saved(tmp_path / "c")
    whole = bytearray((tmp_path / "c").read_bytes())
    whole[-1] ^= 1
    (tmp_path / "c").write_bytes(whole)
    with refuses(CheckpointError, "SHA-256 must be "):
        load_checkpoint(tmp_path / "c")


def test_newer_format_says_so(tmp_path):
    write_tensors(tmp_path / "c", {}, "tinyalex-checkpoint", 4, {})
    with refuses(CheckpointError, "format_version must be from 1 to 3, got 4; install the tinyalex that wrote it"):
        load_checkpoint(tmp_path / "c")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "c"
    with refuses(CheckpointError, "c: the file must be readable, got No such file"):
        load_checkpoint(path)
    for content in (b"", b"hello", b"PK\3\4" * 100, b"\x04\0\0\0\0\0\0\0null", b"\x06\0\0\0\0\0\0\0" + b"[" * 6, bytes(2000)):
        path.write_bytes(content)
        with refuses(CheckpointError, "c: the file must be "):
            load_checkpoint(path)
    path.write_bytes((100_000).to_bytes(8, "little") + b"[" * 100_000)  # nested too deeply for the JSON reader
    with refuses(CheckpointError, "the file must be a tinyalex-checkpoint file"):
        load_checkpoint(path)
    save_file({"a": np.zeros(3)}, path)
    with refuses(CheckpointError, "the file must be a tinyalex-checkpoint file"):
        load_checkpoint(path)
    save_weights(path, make_net())
    with refuses(CheckpointError, "must be of format 'tinyalex-checkpoint', got 'tinyalex-weights'"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("position", None),
        ("position", {}),
        ("position", {**vars(POSITION), "step": 1.5}),
        ("position", {**vars(POSITION), "batch": -1}),
        ("position", {**vars(POSITION), "epoch": True}),
        ("schedule", []),
        ("config", "text"),
    ],
)
def test_state_of_a_stranger_is_checked(tmp_path, key, value):
    state = {"position": vars(POSITION), "schedule": {}, "config": {}, "tinyalex": "1", key: value}
    write_tensors(tmp_path / "c", {}, "tinyalex-checkpoint", 1, {key: json.dumps(value) for key, value in state.items()})
    with refuses(CheckpointError, "must be "):
        load_checkpoint(tmp_path / "c")


def test_tensor_of_another_name_is_refused(tmp_path):
    state = {"position": vars(POSITION), "schedule": {}, "config": {}, "tinyalex": "1"}
    text = {key: json.dumps(value) for key, value in state.items()}
    write_tensors(tmp_path / "c", {"other/x": np.zeros(2)}, "tinyalex-checkpoint", 1, text)
    with refuses(CheckpointError, "every tensor must be named param/... or velocity/..., got 'other/x'"):
        load_checkpoint(tmp_path / "c")


def restored(path, net, schedule=None):
    """Try to restore, and see that nothing was written."""
    sgd, before = ta.SGD(net), parameters_sha256(net)
    try:
        load_checkpoint(path).restore(net, sgd, ta.Steps(0.1, (1,)) if schedule is None else schedule)
    finally:
        assert parameters_sha256(net) == before and not any(on_host(net, velocity).any() for velocity in sgd.velocity.values())


@on_each_place
def test_other_architecture_is_refused_before_anything_is_written(tmp_path):
    saved(tmp_path / "c")
    with refuses(CheckpointError, "param conv1.weight must have shape (6, 3, 3, 3), got (4, 3, 3, 3)"):
        restored(tmp_path / "c", make_net(width=6, seed=2))
    with refuses(CheckpointError, "param conv1.weight must be float64, got float32; make the network with dtype='float32'"):
        restored(tmp_path / "c", make_net(seed=2, dtype=np.float64))
    linear = ta.Linear(64, 10, rng=np.random.default_rng(0), name="fc9")
    with refuses(CheckpointError, "param fc9.weight must be in the file, got none of that name"):
        restored(tmp_path / "c", ta.Sequential([linear]))
    fewer = ta.Sequential([ta.Linear(64, 10, rng=np.random.default_rng(0), name="fc2")])
    with refuses(CheckpointError, "param conv1.weight must be a parameter of the network"):
        restored(tmp_path / "c", fewer)


@on_each_place
def test_other_schedule_is_refused_before_anything_is_written(tmp_path):
    saved(tmp_path / "c")
    with refuses(CheckpointError, "the schedule's state must hold epochs, lr, best, waited, divided, finished, as Plateau does"):
        restored(tmp_path / "c", make_net(seed=2), ta.Plateau(0.1))


@on_each_place
@pytest.mark.parametrize(
    ("schedule", "key", "value"), [(ta.Steps(0.1, (1,)), "epochs", 1.5), (ta.Plateau(0.1), "divided", 4), (ta.Plateau(0.1), "lr", 0)]
)
def test_schedule_of_a_stranger_is_checked_before_anything_is_written(tmp_path, schedule, key, value):
    net = make_net()
    before = schedule.state()
    schedule.state = lambda: before | {key: value}
    save_checkpoint(tmp_path / "c", net, with_velocity(net), schedule, POSITION, CONFIG)
    del schedule.state
    with refuses(CheckpointError, f"{tmp_path / 'c'}: {type(schedule).__name__}: {key} must be "):
        restored(tmp_path / "c", make_net(seed=2), schedule)
    assert schedule.state() == before


def test_next_epoch_begins_with_nothing_but_the_steps_and_the_time_of_the_run():
    position = Position(epoch=2, batch=7, step=21, wall_s=1.25, loss_sum=0.3, errors=5, images=51, train_s=0.5)
    position.next_epoch()
    assert position == Position(epoch=3, batch=0, step=21, wall_s=1.25, loss_sum=0.0, errors=0, images=0, train_s=0.0)


def test_latest_is_the_highest_number_not_the_last_name(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    for step in (999_999, 1_000_000):
        saved(checkpoint_path(tmp_path, step))
    (tmp_path / "checkpoint-2000000.txt").touch()
    assert latest_checkpoint(tmp_path).path.name == "checkpoint-1000000.safetensors"
    assert latest_checkpoint(str(tmp_path)).path == latest_checkpoint(tmp_path).path


def test_no_silent_fall_back_to_an_older_checkpoint(tmp_path):
    for step in (1, 2):
        saved(checkpoint_path(tmp_path, step))
    checkpoint_path(tmp_path, 2).write_bytes(b"gone")
    with refuses(CheckpointError, "delete checkpoint-000002.safetensors to go on from checkpoint-000001.safetensors, which is whole"):
        latest_checkpoint(tmp_path)
    checkpoint_path(tmp_path, 1).write_bytes(b"gone")
    with refuses(CheckpointError, "there is no other checkpoint in"):
        latest_checkpoint(tmp_path)


def test_the_newest_of_several_whole_checkpoints_is_named(tmp_path):
    for step in (1, 2, 3):
        saved(checkpoint_path(tmp_path, step))
    checkpoint_path(tmp_path, 3).write_bytes(b"gone")
    with refuses(CheckpointError, "delete checkpoint-000003.safetensors to go on from checkpoint-000002.safetensors, which is whole"):
        latest_checkpoint(tmp_path)


def test_full_disk_is_seen_before_and_during_the_write(tmp_path, monkeypatch):
    saved(tmp_path / "c")
    before = (tmp_path / "c").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=100))
        with refuses(DiskFull, f"the disk must have {len(before):,} bytes free, got 100; make room"):
            saved(tmp_path / "c")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with refuses(DiskFull, f"the disk must have {len(before):,} bytes free"):
            saved(tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before
    assert os.listdir(tmp_path) == ["c"]


def test_folder_that_is_not_there_is_named(tmp_path):
    with refuses(CheckpointError, "the file must be writable, got No such file"):
        saved(tmp_path / "nowhere" / "c")


def test_failed_replace_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    saved(tmp_path / "c")
    before = (tmp_path / "c").read_bytes()

    def interrupted(source, destination):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saved(tmp_path / "c", make_net(seed=4))
    assert (tmp_path / "c").read_bytes() == before and os.listdir(tmp_path) == ["c"]


@on_each_place
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_weights_alone_come_back(tmp_path, dtype):
    net, other = make_net(), make_net(seed=3)
    save_weights(tmp_path / "w", net, dtype)
    load_weights(tmp_path / "w", other)
    for name, array in net.params.items():
        assert np.array_equal(on_host(other, other.params[name]), on_host(net, array).astype(dtype).astype(np.float32))
    assert other.params["conv1.weight"].dtype == np.float32
    sizes = {"float32": 4, "float16": 2}
    assert sum(array.nbytes for array in load_file(tmp_path / "w").values()) == sizes[dtype] * sum(a.size for a in net.params.values())


@on_each_place
def test_weights_of_another_network_or_out_of_range_are_refused(tmp_path):
    net = make_net()
    save_weights(tmp_path / "w", net)
    with refuses(CheckpointError, "param conv1.weight must have shape (6, 3, 3, 3), got (4, 3, 3, 3)"):
        load_weights(tmp_path / "w", make_net(width=6))
    net["fc2"].params["bias"][0] = 1e5
    with refuses(ShapeError, "save_weights: fc2.bias must be within 65504 to fit float16, got 100000; use float32"):
        save_weights(tmp_path / "w", net, "float16")
    with refuses(ShapeError, "save_weights: dtype must be float16 or float32"):
        save_weights(tmp_path / "w", net, "int8")


def test_path_may_be_a_str_and_must_name_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = make_net()
    save_weights("w", net)
    saved("c", net)
    load_weights("w", make_net())
    assert load_checkpoint("c").path == Path("c")
    for path in ("", "a\0b", None, 5):
        for use in (load_checkpoint, partial(load_weights, net=net), partial(save_weights, net=net)):
            with refuses(CheckpointError, f"file: path must be a str or a Path that ends in the name of a file, got {path!r}"):
                use(path)


@on_each_place
def test_sha256_of_parameters_tells_names_and_bits_apart():
    net = make_net()
    first = parameters_sha256(net)
    assert first == parameters_sha256(make_net()) != parameters_sha256(make_net(seed=1))
    net["conv1"].params["weight"][0, 0, 0, 0] *= np.float32(1 + 2**-23)
    assert parameters_sha256(net) != first


@on_each_place
@pytest.mark.parametrize("kind", ["param", "velocity"])
def test_another_dtype_is_refused_in_parameters_and_in_velocities(tmp_path, kind):
    saved(tmp_path / "c")
    tensors, text = read_tensors(tmp_path / "c", "tinyalex-checkpoint", 1)
    tensors[f"{kind}/fc2.bias"] = tensors[f"{kind}/fc2.bias"].astype(np.float64)
    state = {key: value for key, value in text.items() if key not in ("format", "format_version", "sha256")}
    write_tensors(tmp_path / "c", tensors, "tinyalex-checkpoint", 1, state)
    with refuses(CheckpointError, f"{kind} fc2.bias must be float32, got float64"):
        restored(tmp_path / "c", make_net(seed=2))


@on_each_place
def test_restored_optimizer_may_step_again_and_its_rate_is_not_one_that_was_chosen(tmp_path):
    net = saved(tmp_path / "c")
    sgd = ta.SGD(net)
    sgd.whole = False  # a step was stopped halfway
    load_checkpoint(tmp_path / "c").restore(net, sgd, ta.Steps(0.1, (1,)))
    sgd.step()
    assert sgd.lr == 0.1 and sgd.chosen_lr is None


def test_run_begins_where_nothing_is_done():
    assert Position() == Position(epoch=0, batch=0, step=0, wall_s=0.0, loss_sum=0.0, errors=0, images=0, train_s=0.0)


def test_old_checkpoint_that_somebody_else_deleted_is_no_error(tmp_path, monkeypatch):
    for step in (1, 2, 3, 4):
        checkpoint_path(tmp_path, step).touch()
    listed = checkpoint_files(tmp_path)
    listed[0].unlink()
    monkeypatch.setattr("tinyalex.training.checkpoint.checkpoint_files", lambda folder: listed)
    prune_checkpoints(tmp_path)
    assert sorted(tmp_path.iterdir()) == listed[2:]
