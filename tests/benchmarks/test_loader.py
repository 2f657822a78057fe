"""The benchmark of the loader runs; its times are not tested."""

import numpy as np
import pytest

from benchmarks import loader
from tests.data.imagenet.making import class_folders
from tinyalex.data.imagenet import open_shards, prepare


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    return prepare(class_folders(folder / "mine", each=5), folder / "set", processes=1).folder


def test_bare_work_decodes_and_crops_every_picture(prepared):
    train = open_shards(prepared).train
    assert loader.bare(train, np.arange(len(train)), 0) == len(train) * 224 * 224 * 3


def test_command_prints_both_rates_and_trains_where_asked(prepared, capsys, monkeypatch):
    asked = []
    told = {"images_per_s": 65.0, "wait_share": 0.01, "first_wait_s": 0.3, "peak_bytes": 2.1e9}
    monkeypatch.setattr(loader, "in_child", lambda *argument: asked.append(argument) or told)
    argv = ["--data", str(prepared), "--workers", "1", "--batch", "4", "--repeats", "1", "--train", "3"]
    assert loader.main(argv) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("14 pictures, 1 processes, load ") and "ratio " in out[0]
    waits = "waits 1.00 % of the time, 0.30 s for the first batch, peak memory 2.10 GB"
    assert out[2] == f"AlexNet, batch 4, 3 steps from the loader, 1 workers: 65.0 images/s, {waits}"
    assert asked == [(prepared, 1, 4, 3, True), (prepared, 1, 4, 3, False)]


@pytest.mark.parametrize("memory_only", [True, False])
def test_alexnet_takes_its_steps(prepared, monkeypatch, memory_only):
    from tinyalex import models

    whole = models.alexnet
    monkeypatch.setattr(models, "alexnet", lambda **settings: whole(width=1 / 16, **settings))
    told = loader.train_alexnet(prepared, 1, 4, 3, memory_only)
    assert told["images_per_s"] > 0 and 0 <= told["wait_share"] < 1 and told["peak_bytes"] > 1e6


def test_bad_input_exits_2(capsys, tmp_path):
    assert loader.main(["--workers", "0"]) == 2
    assert "--workers must be an integer of at least 1, got 0" in capsys.readouterr().err
    assert loader.main(["--data", str(tmp_path)]) == 2
    assert "the folder must hold index.json" in capsys.readouterr().err
