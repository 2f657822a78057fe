"""`tinyalex neighbors`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import tinyalex as ta
from tests.commands.test_evaluate import DATA, PREPARE, write
from tests.data.imagenet.making import class_folders
from tinyalex import cli
from tinyalex.commands import neighbors
from tinyalex.data import find, synthetic
from tinyalex.models import build
from tinyalex.models.weights import save_weights
from tinyalex.training import load_net


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """An empty working folder, few synthetic images, and a net for them."""
    draw = synthetic.synthetic_dataset
    monkeypatch.setattr(find, "synthetic_dataset", lambda train, test, seed: draw(30, 60, seed))
    monkeypatch.delenv("TINYALEX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write("net")


def answer(capsys, *argv):
    assert cli.main(["neighbors", *argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_help_is_the_line_of_the_table(capsys):
    assert neighbors.HELP == cli.COMMANDS["neighbors"][1]
    assert cli.main(["neighbors", "--help"]) == 0
    assert f"example:\n  {neighbors.EXAMPLE}" in capsys.readouterr().out


def test_the_first_line_of_a_newcomer_works(capsys):
    assert cli.main(["neighbors"]) == 0
    out, err = capsys.readouterr()
    assert "figure1 was trained on other classes than those of synthetic; its features are compared all the same\n" in err
    assert "searches 30 training images of synthetic for neighbors of 60 others, by pool3 of figure1; about " in err
    assert "  by pool3 " in out and "  by pixels " in out and "  by chance " in out
    assert out.endswith("neighbors.png shows 5 of them; next: tinyalex predict figure1 PICTURE\n")
    with Image.open("neighbors.png") as picture:
        assert picture.format == "PNG"


def test_neighbors_are_those_of_all_pairs(capsys):
    found = answer(capsys, "net", "--data", "synthetic", "--queries", "20", "--nearest", "4")
    net, _ = load_net("net")
    kept = np.arange(20) * 3  # of 60, evenly spaced
    hidden = ta.Sequential(net.layers[:-2], net.in_shape)  # without dropout and fc8
    features = [hidden.forward(PREPARE(images, None)).astype(float) for images in (DATA.test_images[kept], DATA.train_images)]
    pixels = [images.reshape(len(images), -1).astype(float) for images in (DATA.test_images[kept], DATA.train_images)]
    for way, (queries, gallery) in (("hidden", features), ("pixels", pixels)):
        distances = np.sqrt(((queries[:, None] - gallery) ** 2).sum(axis=2))
        order = np.argsort(distances, axis=1)[:, :4]
        assert found[way]["places"] == order.tolist()
        assert np.array(found[way]["distances"]) == pytest.approx(np.take_along_axis(distances, order, 1), rel=1e-4)
        same = DATA.train_labels[order] == DATA.test_labels[kept][:, None]
        assert found[way]["same_class"] == pytest.approx(same.mean())
    assert found["layer"] == "relu6" and (found["queries"], found["searched"], found["nearest"]) == (20, 30, 4)
    assert found["chance"] == pytest.approx(np.mean(DATA.train_labels[:, None] == DATA.test_labels[kept]))


def test_blocks_change_nothing(capsys, monkeypatch):
    whole = answer(capsys, "net", "--data", "synthetic")
    monkeypatch.setattr(neighbors, "BATCH", 7)
    parts = answer(capsys, "net", "--data", "synthetic")
    assert parts["hidden"]["places"] == whole["hidden"]["places"] and parts["pixels"]["places"] == whole["pixels"]["places"]


def test_fewer_images_are_evenly_spaced(capsys):
    all_of_them, half = (answer(capsys, "net", "--nearest", "1", *more) for more in ((), ("--images", "15")))
    assert half["searched"] == 15 and max(place for (place,) in half["pixels"]["places"]) < 15
    assert all(d >= e - 1e-9 for (d,), (e,) in zip(half["pixels"]["distances"], all_of_them["pixels"]["distances"], strict=True))


def test_one_query_and_all_neighbors(capsys):
    assert cli.main(["neighbors", "net", "--queries", "1", "--nearest", "30"]) == 0
    out = capsys.readouterr().out
    assert "+-" not in out and "share of the 30 nearest" in out and "): 1 test image, " in out and out.count("13.3 %") == 3


def test_frame_says_the_class_and_photographs_are_made_smaller():
    large = np.zeros((3, 200, 200), np.uint8)
    same, other = neighbors.tile(large, True), neighbors.tile(large, False)
    assert same.shape == other.shape == (72, 72, 3)
    assert tuple(same[0, 0]) == neighbors.SAME and tuple(other[0, 0]) == neighbors.OTHER and not same[36, 36].any()
    gray = neighbors.tile(np.full((1, 8, 8), 255, np.uint8), None)
    assert (gray == 1).all()
    floats = neighbors.tile(np.linspace(-1, 1, 3 * 4).reshape(3, 2, 2), None)
    assert floats[4:-4, 4:-4].min() == 0 and floats[4:-4, 4:-4].max() == 1


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["nowhere"], "nowhere: the checkpoint must be a file or the folder of a run, got nothing of that name"),
        (["net", "--nearest", "31"], "neighbors: --nearest must be at most 30, the images that are searched, got 31; ask for fewer"),
        (["net", "--images", "5"], "neighbors: --nearest must be at most 5, the images that are searched, got 6; ask for fewer"),
        (["net", "--nearest", "0"], "neighbors: --nearest must be an integer of at least 1, got 0"),
        (["net", "--queries", "61"], "synthetic: number of test images must be an integer from 1 to 60, got 61"),
        (["net", "--images", "0"], "synthetic: number of training images must be an integer from 1 to 30, got 0"),
        (["net", "--data", "folders"], "neighbors: images of --data must be 3x32x32, which net was trained on, got "),
        (["net", "--data", "nowhere"], "data must be auto, cifar10, synthetic or a folder that is there, got 'nowhere'"),
        (["net", "--png", "none/a.png"], "neighbors: --png must name a file in a folder that can be written, got no folder"),
        (["old"], "old: the file must describe its network, got weights alone"),
    ],
)
def test_bad_input_is_one_sentence(argv, text, capsys, tmp_path):
    class_folders(tmp_path / "folders")
    save_weights("old", build("cifar-alexnet"))
    assert cli.main(["neighbors", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1].startswith("tinyalex: error: ") and text in err


def test_frames_of_the_picture_mark_the_class(monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(neighbors, "draw_panels", lambda rows, title, caption, path: drawn.extend(rows))
    found = answer(capsys, "net", "--data", "synthetic", "--queries", "5", "--nearest", "3")
    ((image, hidden, pixels),) = drawn
    assert len(image.notes) == 5 and (hidden.title, pixels.title) == ("nearest by relu6", "nearest by pixels")
    for panel, way in ((hidden, "hidden"), (pixels, "pixels")):
        for q, places in enumerate(found[way]["places"]):
            for k, place in enumerate(places):
                frame = neighbors.SAME if DATA.train_labels[place] == found["labels"][q] else neighbors.OTHER
                assert tuple(panel.image[75 * q, 75 * k]) == frame  # a tile has 72 pixels, and 3 are between two
