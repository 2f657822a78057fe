"""`tinyalex data`."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tqdm
from PIL import Image

from tests.data.test_cifar10 import write_bin
from tinyalex import cli
from tinyalex.commands import data
from tinyalex.data import cifar10, download, find, synthetic, synthetic_dataset
from tinyalex.errors import DataError


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """An empty working folder without data; few synthetic images; CIFAR-10 with two images a file."""
    read, draw = cifar10.read_cifar10, synthetic.synthetic_dataset
    monkeypatch.setattr(find, "read_cifar10", lambda folder, **wanted: read(folder, images_a_file=2, **wanted))
    monkeypatch.setattr(find, "synthetic_dataset", lambda train, test, seed: draw(200, 40, seed))
    monkeypatch.delenv("TINYALEX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_help_is_the_line_of_the_table_and_the_example_works(capsys):
    assert data.HELP == cli.COMMANDS["data"][1]
    assert cli.main(data.EXAMPLE.split()[1:]) == 0
    for argv in (["data", "--help"], ["data", "show", "--help"], ["data", "cifar10", "--help"]):
        assert cli.main(argv) == 0
        text = capsys.readouterr().out
        assert "example:\n  tinyalex data " in text and ("download CIFAR-10, 162.6 MiB" in text) == ("show" not in argv)


def test_show_tells_counts_and_origin_and_writes_a_picture(capsys, tmp_path):
    assert cli.main(["data", "show"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == "reads or draws the images; about 5 s\n"
    assert lines[0] == "synthetic: synthetic shapes, seed 0" and lines[1].split() == ["class", "train", "test"]
    assert lines[-2].split() == ["all", "200", "40"] and len(lines) == 14
    assert lines[-1] == "tinyalex-data.png shows 10 of each class; next: tinyalex figure1 --data auto"
    with Image.open(tmp_path / "tinyalex-data.png") as picture:
        assert picture.size == (780, 706)


def test_show_of_a_folder_as_json(capsys, tmp_path):
    place = write_bin(tmp_path / "mine" / "cifar-10-batches-bin")
    assert cli.main(["data", "show", "--data", "mine", "--out", "sheet.png", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["classes"][9] == {"name": "truck", "train": 1, "test": 0}
    del document["classes"]
    assert document == {
        "name": "CIFAR-10", "note": "bytes not verified", "synthetic": False, "folder": str(place.relative_to(tmp_path)),
        "train_images": 10, "test_images": 2, "picture": "sheet.png",
    }  # fmt: skip


def test_sheet_shows_the_first_images_of_each_class():
    dataset = synthetic_dataset(200, 40)
    sheet = np.asarray(data.contact_sheet(dataset))
    fourth = dataset.train_images[np.flatnonzero(dataset.train_labels == 7)[3]]
    top, left = data.GAP + 7 * 68, data.NAMES + 3 * 68
    assert np.array_equal(sheet[top : top + 64 : 2, left : left + 64 : 2], fourth.transpose(1, 2, 0))


def test_sheet_of_few_images_leaves_the_rest_white():
    sheet = np.asarray(data.contact_sheet(synthetic_dataset(3, 1)))
    assert (sheet[:, data.NAMES + 3 * 68 :] == 255).all()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--data", "cifar10"], "CIFAR-10 must be in $TINYALEX_DATA or in the default data folder"),
        (["--data", "nowhere"], "load_dataset: data must be auto, cifar10, synthetic or a folder that is there"),
        (["--out", "no/such/folder.png"], "no"),
    ],
)
def test_bad_input_is_one_sentence(capsys, argv, message):
    assert cli.main(["data", "show", *argv]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2 and message in err[1]


@pytest.mark.parametrize("argv", [[], ["mnist"], ["cifar10", "--layout", "mat"]])
def test_unknown_actions_and_layouts_exit_2(capsys, argv):
    assert cli.main(["data", *argv]) == 2


@pytest.fixture
def fetched(monkeypatch):
    """What `download_cifar10` was called with; nothing is fetched."""
    calls = []

    def fake(folder, layout, progress):
        calls.append((folder, layout))
        for done in (50, 60, 100):
            progress(done, 100)
        return folder / download.ARCHIVES[layout].layout.folder

    monkeypatch.setattr(download, "download_cifar10", fake)
    return calls


def test_cifar10_goes_where_every_command_looks(capsys, tmp_path, fetched):
    assert cli.main(["data", "cifar10"]) == 0
    out, err = capsys.readouterr()
    place = tmp_path / "cache" / "tinyalex"
    assert fetched == [(place, "py")]
    assert err == f"fetches 162.6 MiB to {place} unless CIFAR-10 is there; 3 minutes at 1 MB/s\n"
    assert out == f"CIFAR-10 is in {place / 'cifar-10-batches-py'}; next: tinyalex data show\n"


def test_cifar10_goes_to_another_folder_in_another_layout(capsys, tmp_path, fetched):
    assert cli.main(["data", "cifar10", "--to", str(tmp_path), "--layout", "py"]) == 0
    assert fetched == [(tmp_path, "py")]
    assert f"next: tinyalex data show --data {tmp_path}\n" in capsys.readouterr().out


def test_bar_counts_only_what_arrives_now(capsys, monkeypatch, fetched):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    bars = []

    class Bar(tqdm.tqdm):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            bars.append(self)

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    assert cli.main(["data", "cifar10"]) == 0
    assert [(bar.initial, bar.n) for bar in bars] == [(50, 100)]
    assert "it/s" not in capsys.readouterr().err


def test_failure_is_one_sentence(capsys, monkeypatch):
    def fail(*args, **settings):
        raise DataError("download_cifar10: one of 4 mirrors must deliver, got it stalled")

    monkeypatch.setattr(download, "download_cifar10", fail)
    assert cli.main(["data", "cifar10"]) == 2
    assert capsys.readouterr().err.endswith("tinyalex: error: download_cifar10: one of 4 mirrors must deliver, got it stalled\n")


@pytest.mark.parametrize("text", ["~/sheet.png", "~"])
def test_tilde_is_the_home_folder(text, monkeypatch, tmp_path, fetched):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    if text == "~":
        assert cli.main(["data", "cifar10", "--to", text]) == 0 and fetched == [(tmp_path / "home", "py")]
    else:
        assert cli.main(["data", "show", "--out", text]) == 0 and (tmp_path / "home" / "sheet.png").is_file()
    assert not (tmp_path / "~").exists()


def test_synthetic_draws_class_folders(capsys, tmp_path):
    argv = "data synthetic shapes --classes 12 --side 16 --images 3 --val-images 2 --form jpeg --seed 5"
    assert cli.main(argv.split()) == 0
    out, err = capsys.readouterr()
    assert out == "shapes holds 36 training and 24 validation pictures of 12 classes: synthetic shapes, seed 5\n"
    assert err.startswith("draws 60 pictures into shapes; about 0 s")
    files = [path for path in (tmp_path / "shapes").rglob("*.jpeg")]
    assert len(files) == 60 and len(list((tmp_path / "shapes" / "train").iterdir())) == 12
    assert cli.main(argv.split()) == 2 and "shapes: the folder must be new or empty" in capsys.readouterr().err
    assert cli.main("data synthetic other --images 0".split()) == 2
    assert "data synthetic: --images must be an integer of at least 1, got 0" in capsys.readouterr().err
    assert cli.main("data synthetic other --classes 101".split()) == 2 and not (tmp_path / "other").exists()
