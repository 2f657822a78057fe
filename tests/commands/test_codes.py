"""`tinyalex neighbors --codes`."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from tests.commands.test_evaluate import DATA, PREPARE, write
from tinyalex import cli
from tinyalex.analysis.codes import Autoencoder, hamming, recall
from tinyalex.analysis.inside import features_of, last_hidden
from tinyalex.analysis.nearest import Nearest
from tinyalex.commands import codes
from tinyalex.data import find, synthetic
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


def test_report_and_picture(capsys):
    assert cli.main(["neighbors", "net", "--data", "synthetic", "--codes", "8,4"]) == 0
    out, err = capsys.readouterr()
    assert "computes relu6 of 90 images; about " in err and "trains 4 autoencoders on 30 images; about " in err
    assert "synthetic (synthetic shapes, seed 0): 60 queries, 30 training images are searched\n" in out
    assert [line.split()[0] for line in out.splitlines()[3:6]] == ["bits", "4", "8"]
    assert "recall by chance: 20.0 %\n" in out  # the first 6 of 30
    assert out.endswith("codes.png shows it; next: tinyalex predict net PICTURE\n") and not os.path.exists("neighbors.png")
    with Image.open("codes.png") as picture:
        assert picture.format == "PNG"


def test_recall_is_against_the_exact_distance_of_the_hidden_layer_for_both(capsys):
    found = answer(capsys, "net", "--data", "synthetic", "--codes", "8", "--nearest", "3")
    net, _ = load_net("net")
    hidden, _ = last_hidden("neighbors", net)
    exact = Nearest(features_of("neighbors", hidden, PREPARE(DATA.test_images, None)).astype(np.float32), 3)
    exact.add(features_of("neighbors", hidden, PREPARE(DATA.train_images, None)).astype(np.float32))
    pixels = [images.reshape(len(images), -1).astype(np.float32) for images in (DATA.train_images, DATA.test_images)]
    auto = Autoencoder(pixels[0], 8)
    auto.train()
    expected = recall(hamming(auto.codes(pixels[1]), auto.codes(pixels[0])), exact.places, 3)
    (one,) = found["codes"]["pixels"]
    assert one["bits"] == 8 and one["recall"]["mean"] == pytest.approx(expected.mean(), abs=0.01)
    assert (found["first"], found["nearest"], found["searched"]) == (3, 3, 30) and found["recall_by_chance"] == pytest.approx(0.1)


def test_figure_has_both_curves_and_chance():
    curves = {
        "hidden": [codes.Measured(b, (0.01 * b, 0.02), (0.5, 0.1)) for b in (8, 16)],
        "pixels": [codes.Measured(b, (0.1, float("inf")), (0.5, 0.1)) for b in (8, 16)],
    }
    figure = codes.figure_of_codes(curves, 0.05, "title", "caption")
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {
        "codes of the last hidden layer", "codes of pixels", "by chance",
    }  # fmt: skip
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines["by chance"].get_ydata()[0] == 5 and figure.get_supxlabel() == "caption"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["8", "16"]


def test_large_images_are_averaged():
    images = np.arange(2 * 3 * 70 * 64, dtype=float).reshape(2, 3, 70, 64)
    made = codes.small(images)
    assert made.shape == (2, 3, 23, 21) and made[1, 2, 0, 0] == pytest.approx(images[1, 2, :3, :3].mean())
    assert codes.small(images[:, :, :32, :32]).shape == (2, 3, 32, 32)


@pytest.mark.parametrize("text", ["", "8,", "a", "0", "-3", "8.5", "8;16", "2000", "9" * 5000])
def test_other_bits_are_refused(text, capsys):
    assert cli.main(["neighbors", "net", f"--codes={text}"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("tinyalex: error: neighbors: --codes must be numbers of bits from 1 to 1,024 with commas between")
