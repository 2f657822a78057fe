"""The log: what its first line says, that it can be cut, and that a torn last line does no harm."""

import hashlib
import io
import json

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tests.training.small_run import make_trainer
from tinyalex.errors import CheckpointError, DiskFull
from tinyalex.training import RunLog
from tinyalex.training.log import _processor, describe_run

BODY = b'{"kind": "epoch", "epoch": 1, "loss": 0.5'


def epoch(number):
    return {"kind": "epoch", "epoch": number, "loss": number / 7}


def log_of(path, epochs):
    log = RunLog(path / "log.jsonl")
    log.cut({"config": {"a": 1}}, 0)
    for number in range(1, epochs + 1):
        log.append(epoch(number))
    return log


def test_lines_come_back_in_order(tmp_path):
    log = log_of(tmp_path, 3)
    assert log.read() == [{"kind": "config", "config": {"a": 1}}, epoch(1), epoch(2), epoch(3)]


def test_missing_file_has_no_lines(tmp_path):
    assert RunLog(tmp_path / "none").read() == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e999"])
def test_number_that_is_no_json_is_refused(tmp_path, number):
    path = tmp_path / "log.jsonl"
    path.write_text('{"kind": "config", "workers": [' + number + "]}\n")
    with refuses(CheckpointError, f"{path}: line 1 must be a JSON object"):
        RunLog(path).read()


def test_folder_in_the_place_of_the_log_is_refused(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    text = f"{tmp_path / 'log.jsonl'}: the log must be a file that can be read, got Is a directory; use another folder"
    with refuses(CheckpointError, text):
        RunLog(tmp_path / "log.jsonl").read()
    with refuses(CheckpointError, text):
        make_trainer(tmp_path).run(1)


def test_cut_drops_later_epochs_and_keeps_the_first_line(tmp_path):
    log = log_of(tmp_path, 3)
    log.cut({"config": {"a": 2}}, 1)
    assert log.read() == [{"kind": "config", "config": {"a": 1}}, epoch(1)]


@pytest.mark.parametrize("torn", [b"{", b'{"kind": "epoch", "epoch": 4', b"\xff\xfe", b'{"kind": "epoch", "epoch": 4, "loss": 0.1}'])
def test_torn_last_line_is_dropped(tmp_path, torn):
    log = log_of(tmp_path, 3)
    with open(log.path, "ab") as file:
        file.write(torn)
    assert log.read()[1:] == [epoch(1), epoch(2), epoch(3)]
    log.cut({}, 3)
    log.append(epoch(4))
    assert log.read()[-1] == epoch(4)


def test_altered_line_is_named(tmp_path):
    log = log_of(tmp_path, 3)
    log.path.write_bytes(log.path.read_bytes().replace(b'{"kind": "epoch", "epoch": 2', b'{"kind": "epoch", epoch: 2'))
    with refuses(CheckpointError, "line 3 must be a JSON object"):
        log.read()


def test_any_altered_bit_is_found_or_changes_nothing(tmp_path):
    log = log_of(tmp_path, 2)
    whole, lines = log.path.read_bytes(), log.read()
    for place in range(len(whole)):
        for bit in range(8):
            altered = bytearray(whole)
            altered[place] ^= 1 << bit
            log.path.write_bytes(altered)
            try:
                found = log.read()
            except CheckpointError:
                continue
            assert place == len(whole) - 1 and found == lines[:-1], (place, bit)  # the last line has lost its end


def test_altered_digit_is_named_and_a_run_does_not_go_on_from_it(tmp_path):
    make_trainer(tmp_path).run(2)
    log = tmp_path / "log.jsonl"
    whole = log.read_bytes()
    digit = whole.rindex(b'"loss": ') + len(b'"loss": ')
    log.write_bytes(whole[:digit] + (b"1" if whole[digit] != ord("1") else b"2") + whole[digit + 1 :])
    with refuses(CheckpointError, f"{log}: line 3 must agree with its check, got "):
        make_trainer(tmp_path)
    log.write_bytes(whole)
    assert len(make_trainer(tmp_path).run(2)) == 2


def test_log_without_checks_is_read_and_has_them_once_its_run_goes_on(tmp_path, whole):
    make_trainer(tmp_path).run(1)
    log = RunLog(tmp_path / "log.jsonl")
    lines = log.read()
    log.path.write_text("".join(json.dumps(line) + "\n" for line in lines))  # as tinyalex 0.1 wrote it
    assert log.read() == lines and b"check" not in log.path.read_bytes()
    make_trainer(tmp_path).run(2)
    assert log.path.read_bytes().count(b'"check": "') == 3 and log.read()[:2] == lines and len(log.read()) == 3
    text = log.path.read_text().splitlines(keepends=True)
    log.path.write_text("".join([json.dumps(lines[0]) + "\n", *text[1:]]))
    with refuses(CheckpointError, "line 1 must agree with its check"):
        log.read()


@pytest.mark.parametrize("stop", [OSError(28, "full"), KeyboardInterrupt()])
def test_append_that_fails_leaves_the_log_as_it_was(tmp_path, stop, monkeypatch):
    log = log_of(tmp_path, 2)
    before = log.path.read_bytes()

    def fail(handle):
        raise stop

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises((DiskFull, KeyboardInterrupt)):
            log.append(epoch(3))
    assert log.path.read_bytes() == before
    log.append(epoch(3))
    assert log.read()[-1] == epoch(3)


def test_full_disk_is_told_as_such(tmp_path):
    log = RunLog(tmp_path / "log.jsonl")
    log.path.symlink_to("/dev/full")
    with refuses(DiskFull, "the disk must have "):
        log.append(epoch(1))


def test_line_that_is_written_only_in_part_is_taken_back(tmp_path, monkeypatch):
    log = log_of(tmp_path, 2)
    before = log.path.read_bytes()

    class Short(io.FileIO):
        def write(self, data):
            return super().write(data[:5])

    with monkeypatch.context() as patch, refuses(DiskFull, "the disk must have "):
        patch.setattr("tinyalex.training.log.open", lambda path, mode, buffering: Short(path, mode), raising=False)
        log.append(epoch(3))
    assert log.path.read_bytes() == before


def test_not_a_number_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        log_of(tmp_path, 1).append({"loss": float("nan")})


def test_first_line_says_what_was_run_on_what():
    run = describe_run({"net": "small"}, ta.CpuDevice(workers=3), seed=4)
    json.dumps(run)
    assert run["config"] == {"net": "small"} and run["seed"] == 4 and run["workers"] == 3
    assert run["versions"]["numpy"] == np.__version__ and run["versions"]["tinyalex"] == ta.__version__
    assert run["machine"]["cores"] >= 1 and run["machine"]["processor"]
    assert set(run["blas"]) == {"library", "version", "kernel"} and run["time"].endswith("Z")


def test_check_of_a_line_is_16_digits_and_a_log_of_today_is_read_for_ever(tmp_path):
    line = BODY + b', "check": "' + hashlib.sha256(BODY).hexdigest()[:16].encode() + b'"}\n'
    (tmp_path / "log.jsonl").write_bytes(line)
    assert RunLog(tmp_path / "log.jsonl").read() == [{"kind": "epoch", "epoch": 1, "loss": 0.5}]
    RunLog(tmp_path / "other").append({"kind": "epoch", "epoch": 1, "loss": 0.5})
    assert (tmp_path / "other").read_bytes() == line


@pytest.mark.parametrize(("processor", "name"), [("i386", "i386"), ("", "arm64")])
def test_processor_of_another_system_is_what_python_knows(processor, name, monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.processor", lambda: processor)
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert _processor() == name


def test_run_logs_its_config_and_a_line_an_epoch(tmp_path):
    results = make_trainer(tmp_path).run(2)
    first, *epochs = RunLog(tmp_path / "log.jsonl").read()
    assert first["kind"] == "config" and first["config"]["net"] == {"width": 4} and first["config"]["trainer"]["batch_size"] == 8
    assert epochs == [{"kind": "epoch", **vars(result)} for result in results]
    errors, speed = ["loss", "running_error", "train_error", "val_error"], ["lr", "images_per_s", "wait_s"]
    assert list(epochs[0]) == ["kind", "epoch", "wall_s", *errors, *speed]
