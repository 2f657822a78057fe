"""`tinyalex explore`."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tests.commands.test_evaluate import write
from tests.commands.test_predict import boat
from tinyalex import cli
from tinyalex.commands import explore
from tinyalex.explore import page
from tinyalex.training import load_net, trained_figure1


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """An empty working folder with a drawn boat."""
    monkeypatch.chdir(tmp_path)
    boat((90, 60)).save("boat.png")
    return tmp_path


def content(name="explore.html"):
    with open(name, encoding="utf-8") as file:
        return json.loads(re.search(r'id="content">(.*?)</script>', file.read(), re.DOTALL)[1])


def refused(capsys, *argv, code=2):
    assert cli.main(["explore", *argv]) == code
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("tinyalex: error: ")
    return lines[-1].removeprefix("tinyalex: error: ")


def test_example_works(capsys):
    boat((40, 50)).save("cat.jpeg")
    assert cli.main(explore.EXAMPLE.split()[1:]) == 0
    out, err = capsys.readouterr()
    assert "cat.html: " in out and "next: tinyalex predict figure1 cat.jpeg" in out and "about " in err
    found = content("cat.html")
    assert [picture["name"] for picture in found["pictures"]] == ["cat.jpeg"] and found["net"] == "figure1"
    assert (found["classes"][found["pictures"][0]["label"]], found["pictures"][0]["why"]) == ("cat", "given")


def test_shipped_net_is_taken_where_no_checkpoint_is_named(capsys, folder):
    (folder / "ship").mkdir()
    boat((32, 32), "L").save("ship/gray.png")
    assert cli.main(["explore", "ship/gray.png", "boat.png"]) == 0
    found = content()
    assert [picture["why"] for picture in found["pictures"]] == ["folder", "guess"]
    assert found["classes"][found["pictures"][0]["label"]] == "ship"
    pixels = np.asarray(boat((32, 32), "L").convert("RGB")).transpose(2, 0, 1)[None]
    trained = trained_figure1()
    logits = trained.net.forward(trained.prepare(np.ascontiguousarray(pixels)))[0].astype(np.float64)
    best, probability = found["pictures"][0]["top"][0]
    share = np.exp(logits - logits.max())
    assert best == trained.classes[int(np.argmax(logits))] and probability == pytest.approx(share.max() / share.sum(), rel=1e-4)


def test_own_net_as_a_file_or_the_folder_of_a_run(capsys, folder):
    (folder / "run").mkdir()
    write("net")
    write("run/weights.safetensors")
    for name in ("net", "run"):
        assert cli.main(["explore", name, "boat.png", "--channels", "conv1=0,1,conv2=5,fc6=7", "--out", "own.html"]) == 0
        found = content("own.html")
        assert found["net"] == "cifar-alexnet" and found["layers"][0]["stored"] == [0, 1] and found["arrays"]["w:fc6"]["shape"][0] == 1
    assert load_net("net")[1].net == "cifar-alexnet"


def test_refusals(capsys, folder, monkeypatch):
    (folder / "bad.png").write_text("x")
    assert refused(capsys, "bad.png").startswith("explore: PICTURE must be a picture file, got bad.png: ")
    assert refused(capsys, "boat.png", "none.png").startswith("explore: PICTURE must be a file or a folder that is there, got 'none.png'")
    assert refused(capsys, "figure1").startswith("explore: PICTURE must be named after the checkpoint, got only figure1")
    assert refused(capsys, "gone.safetensors", "boat.png").startswith("gone.safetensors: the checkpoint must be a file")
    assert refused(capsys, "boat.png", "--label", "wolf").endswith("got 'wolf'")
    assert refused(capsys, "boat.png", "--out", "no/x.html").startswith("explore: --out must name a file in a folder that can be written")
    assert refused(capsys, "boat.png", "--channels", "conv9=1").startswith("explore: --channels must name layers with weights")
    assert refused(capsys, *["boat.png"] * 17).startswith("explore: pictures must be at most 16, got 17")
    monkeypatch.setattr(explore, "written", lambda about, arrays: page.written(about, arrays, 100_000))
    assert refused(capsys, "boat.png").startswith("explore: the page must have at most ")
    assert not (folder / "explore.html").exists()
