"""`tinyalex predict`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.commands.test_evaluate import CLASSES, DATA, PREPARE, write
from tinyalex import cli
from tinyalex.analysis import predictions
from tinyalex.commands import predict
from tinyalex.data import find, synthetic
from tinyalex.data.own_pictures import Picture, Unreadable, find_pictures, label_of, read_pictures
from tinyalex.errors import ShapeError
from tinyalex.models import build
from tinyalex.models.weights import save_weights
from tinyalex.training import load_net, trained_figure1
from tinyalex.training.probabilities import ask


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """An empty working folder with a drawn boat."""
    monkeypatch.delenv("TINYALEX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    boat((90, 60)).save("boat.png")
    return tmp_path


def boat(size, mode="RGB"):
    width, height = size
    picture = Image.new("RGB", size, "skyblue")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((0.3 * width, 0.3 * height, 0.6 * width, 0.6 * height), fill="white")
    draw.polygon([(0.2 * width, 0.6 * height), (0.8 * width, 0.6 * height), (0.7 * width, 0.8 * height)], fill="brown")
    return picture.convert(mode)


def answer(capsys, *argv, code=0):
    assert cli.main(["predict", *map(str, argv), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_help_is_the_line_of_the_table_and_the_example_works(capsys):
    assert predict.HELP == cli.COMMANDS["predict"][1]
    assert cli.main(["predict", "--help"]) == 0
    assert f"example:\n  {predict.EXAMPLE}" in capsys.readouterr().out
    boat((50, 50)).save("cat.jpeg")
    assert cli.main(predict.EXAMPLE.split()[1:]) == 0
    with Image.open("bars.png") as picture:
        assert picture.format == "PNG"


def test_shipped_net_says_what_it_says_of_the_same_pixels(capsys):
    found = answer(capsys, "figure1", "boat.png")
    pixels = np.asarray(boat((90, 60)).resize((48, 32), Image.Resampling.BOX))[:, 8:40].transpose(2, 0, 1)[None]
    trained = trained_figure1()
    (given,) = ask((trained.net, trained.prepare), np.ascontiguousarray(pixels))
    (one,) = found["pictures"]
    order = np.argsort(-given)[:5]
    assert [guess["class"] for guess in one["top"]] == [trained.classes[k] for k in order]
    assert [guess["probability"] for guess in one["top"]] == pytest.approx(given[order].tolist())
    assert (one["file"], one["width"], one["height"], one["right"]) == ("boat.png", 90, 60, None)
    assert found["net"]["net"] == "figure1" and found["views"] == 1 and found["unreadable"] == []


@pytest.mark.parametrize("views", [1, 10])
def test_image_of_the_set_gives_the_answer_of_the_set(views, capsys):
    write("net")
    net, saved = load_net("net")
    for k in range(3):
        Image.fromarray(DATA.test_images[k].transpose(1, 2, 0)).save(f"{k}.png")
    found = answer(capsys, "net", "0.png", "1.png", "2.png", "--views", views, "--top", 10, "--batch-size", 7)
    given = ask((net, saved.prepare), DATA.test_images[:3], views)
    for one, probabilities in zip(found["pictures"], given, strict=True):
        there = {guess["class"]: guess["probability"] for guess in one["top"]}
        assert [there[name] for name in CLASSES] == pytest.approx(probabilities.tolist(), rel=1e-4)


def test_report_marks_the_right_label(capsys):
    for place, name in enumerate(("ship", "frog")):
        os.mkdir(name)
        boat((40 + place, 40)).save(f"{name}/own.png")
    assert cli.main(["predict", "figure1", "ship", "frog", "--top", "2"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("asks figure1 about 2 files, one view each; about ")
    assert "ship/own.png, 40 x 40 pixels, right: ship\n" in out
    lines = out.splitlines()
    assert [line.split()[-3:] for line in lines if line.endswith("<- right")] == [["ship", "<-", "right"]]
    assert any("frog  <- right, place " in line for line in lines)
    assert lines[-1] == "of 2 with a known class, 1 are right, 1 are right within the first 2"
    found = answer(capsys, "figure1", "frog", "--label", "SHIP")  # what is said comes before the folder's name
    assert found["pictures"][0]["right"]["class"] == "ship" and found["pictures"][0]["right"]["place"] == 1


def test_what_cannot_be_read_is_named_and_the_rest_is_done(capsys):
    os.makedirs("mine/.hidden")
    boat((20, 30)).save("mine/a.png")
    boat((20, 30)).save("mine/.hidden/not.png")
    whole = Path("mine/a.png").read_bytes()
    Path("mine/cut.png").write_bytes(whole[: len(whole) // 2])
    Path("mine/notes.txt").write_text("no picture")
    Path("mine/empty.jpg").touch()
    boat((20, 30)).save("mine/z.png")
    assert cli.main(["predict", "figure1", "mine", "--png", "bars.png"]) == 1
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines() if "is left out" in line]
    assert [line.split()[1] for line in said] == ["mine/cut.png", "mine/empty.jpg", "mine/notes.txt"]
    assert "tinyalex: mine/empty.jpg is left out: empty file" in said and "not a picture" in said[2]
    assert "mine/a.png, 20 x 30 pixels\n" in out and "mine/z.png, 20 x 30 pixels\n" in out and "hidden" not in out
    assert out.endswith("bars.png shows 2 pictures with bars\n")
    found = answer(capsys, "figure1", "mine", code=1)
    assert [one["file"] for one in found["unreadable"]] == ["mine/cut.png", "mine/empty.jpg", "mine/notes.txt"]


def test_only_unreadable_files_leave_no_picture(capsys):
    Path("empty.jpg").touch()
    assert cli.main(["predict", "figure1", "empty.jpg", "--png", "bars.png"]) == 1
    assert not os.path.exists("bars.png")


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]


def any_mode(size, mode):
    return Image.fromarray(np.full(size[::-1], 30_000, np.uint16)) if mode == "I;16" else boat(size, mode)


@pytest.mark.parametrize("mode", MODES)
def test_any_mode_and_size_becomes_the_input(mode, tmp_path):
    for k, size in enumerate([(1, 1), (1, 500), (33, 31), (800, 20), (32, 32)]):
        picture = any_mode(size, mode)
        path = tmp_path / f"{k}.{'tiff' if mode in ('CMYK', 'I;16', 'LA') else 'png'}"
        picture.save(path)
        (found,) = read_pictures([path], (3, 32, 32), warp=False)
        assert isinstance(found, Picture) and found.image.shape == (3, 32, 32) and found.image.dtype == np.uint8
        assert (found.width, found.height) == size and found.shown.ndim == 3


def test_picture_is_shown_with_more_pixels_than_the_net_reads():
    boat((400, 300)).save("large.png")
    found = read_pictures(find_pictures("predict", [Path("large.png"), Path("boat.png")]), (3, 32, 32), False)
    assert [one.shown.shape for one in found] == [(160, 160, 3), (32, 32, 3)]


def test_warp_squeezes_where_the_set_was_squeezed():
    half = Image.new("RGB", (64, 32), "red")
    half.paste("blue", (32, 0, 64, 32))
    half.save("half.png")
    cut, squeezed = (next(iter(read_pictures([Path("half.png")], (3, 32, 32), warp))) for warp in (False, True))
    assert isinstance(cut, Picture) and isinstance(squeezed, Picture)
    assert all((one.image[2, :, 16:] > one.image[0, :, 16:]).all() and (one.image[0, :, :16] > 0).all() for one in (cut, squeezed))
    half.paste("green", (0, 0, 16, 32))  # the left quarter is outside of the central square
    half.save("half.png")
    cut, squeezed = (next(iter(read_pictures([Path("half.png")], (3, 32, 32), warp))) for warp in (False, True))
    assert not cut.image[1].any() and squeezed.image[1].any()


def test_pictures_for_a_net_that_is_not_square_are_refused():
    with pytest.raises(ShapeError, match="images must be square with 3 channels"):
        next(iter(read_pictures([], (3, 32, 30), False)))
    with pytest.raises(ShapeError, match="images must be square with 3 channels"):
        next(iter(read_pictures([], (1, 32, 32), False)))


def test_a_file_that_goes_away_is_unreadable():
    (found,) = read_pictures([Path("gone.png")], (3, 32, 32), False)
    assert isinstance(found, Unreadable) and found.reason == "No such file or directory"


@pytest.mark.parametrize(
    ("name", "label"),
    [("cat", 0), ("CAT", 0), ("tench", 1), ("tinca_tinca", 1), ("Tinca-tinca", 1), ("tench, Tinca tinca", 1), ("crane", None),
     ("crane (n1)", 2), ("dog", None), ("", None), ("bird", 4)],
)  # fmt: skip
def test_label_is_found_by_its_words(name, label):
    assert label_of(name, ("cat", "tench, Tinca tinca", "crane (n1)", "crane (n2)", "bird", "bird, fowl")) == label


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["nowhere", "boat.png"], "nowhere: the checkpoint must be a file or the folder of a run, got nothing of that name"),
        (["figure1", "nowhere.png"], "predict: PICTURE must be a file or a folder that is there, got 'nowhere.png'; correct the name"),
        (["figure1", "void"], "predict: folder void must hold pictures, got no file"),
        (["figure1", "boat.png", "--views", "10"], "--views must be 1 for figure1, which reads whole images of 3x32x32, got 10"),
        (["figure1", "boat.png", "--views", "3"], "predict: --views must be 1 or 10, got 3"),
        (["figure1", "boat.png", "--top", "0"], "predict: --top must be an integer of at least 1, got 0"),
        (["figure1", "boat.png", "--label", "shipp"], "--label must be one of the 10 classes of figure1, airplane, automobile, bird, cat"),
        (["figure1", "boat.png", "--png", "none/b.png"], "predict: --png must name a file in a folder that can be written, got no folder"),
        (["figure1", "boat.png", "--devices", "cpu:0,cpu:1"], "figure1: towers must be 1, got 2"),
        (["old", "boat.png"], "old: the file must describe its network, got weights alone"),
        (
            ["old", "boat.png", "--net", "cifar-alexnet"],
            "--data must name the data that the net was trained on where --net is given",
        ),
    ],
)
def test_bad_input_is_one_sentence(argv, text, capsys):
    os.mkdir("void")
    save_weights("old", build("cifar-alexnet"))
    assert cli.main(["predict", *argv]) == 2
    out, err = capsys.readouterr()
    last = err.splitlines()[-1]
    assert out == "" and last.startswith("tinyalex: error: ") and text in last
    assert "shipp" not in argv or last.endswith("; did you mean ship?")


def test_an_old_file_needs_its_net_and_data(capsys, monkeypatch):
    draw = synthetic.synthetic_dataset
    monkeypatch.setattr(find, "synthetic_dataset", lambda train, test, seed: draw(30, 60, seed))
    save_weights("old", build("cifar-alexnet"))
    assert cli.main(["predict", "old", "boat.png", "--net", "cifar-alexnet", "--data", "synthetic"]) == 0
    out, err = capsys.readouterr()
    assert "old does not say how its images are prepared; taken is what `tinyalex train --net cifar-alexnet` does" in err
    assert any(name in out for name in CLASSES)


def test_class_names_that_are_hard_to_draw(capsys, recwarn):
    write("net", classes=("$x^2$", "学" * 40, "a_{", "German shepherd, German shepherd dog, alsatian", "\\frac", *"abcde"))
    assert cli.main(["predict", "net", "boat.png", "--top", "10", "--png", "bars.png"]) == 0
    assert "学" * 40 in capsys.readouterr().out and not recwarn.list


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.xaxis.label]]


def test_bars_have_names_shares_and_the_right_label():
    guesses = (("dog", 0.7, False), ("cat", 0.2999, True), ("bird", 0.0001, False))
    shown = predictions.Shown(np.zeros((8, 8, 3), np.uint8), "cat", guesses, "")
    far = predictions.Shown(np.zeros((200, 200, 3), np.uint8), "frog", guesses[:1], "right: place 7, 0.3 %")
    figure = predictions.figure_of_guesses([shown, far, shown], "a net")
    found = texts(figure)
    assert len(figure.axes) == 6
    assert [text for text in found[:8] if text] == ["cat", "dog", "70.0 %", "cat (right)", "30.0 %", "bird", "<0.1 %"]
    assert "right: place 7, 0.3 %" in found and figure.get_supxlabel() == "a net"
    bars = figure.axes[1].patches
    assert [bar.get_width() for bar in bars] == [0.7, 0.2999, 0.0001]
    assert len({bar.get_facecolor() for bar in bars}) == 2 and bars[1].get_facecolor() != bars[0].get_facecolor()


def test_mixed_classes_have_two_bars_a_pair():
    pairs = [predictions.Mixed(("cat", "dog"), (0.2, 0.1), (20, 10)), predictions.Mixed(("a", "b"), (0.05, 0.0), (5, 0))]
    figure = predictions.figure_of_mixed(pairs, "title", "caption")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat as dog", "dog as cat", "a as b", "b as a"]
    assert [text.get_text() for text in axes.texts] == ["20.0 % (20)", "10.0 % (10)", "5.0 % (5)", "0.0 % (0)"]
    for bar, tick in zip(axes.patches, axes.get_yticks(), strict=True):
        assert bar.get_y() + bar.get_height() / 2 == pytest.approx(tick)


def test_only_the_first_pictures_are_drawn(capsys, monkeypatch):
    monkeypatch.setattr(predict, "MOST", 2)
    os.mkdir("many")
    for k in range(3):
        boat((10, 10)).save(f"many/{k}.png")
    assert cli.main(["predict", "figure1", "many", "--top", "1", "--png", "bars.png"]) == 0
    assert capsys.readouterr().out.endswith("bars.png shows the first 2 of 3 pictures with bars\n")


def test_preparation_is_the_stored_one(capsys):
    write("net")
    write("other", prepare=type(PREPARE)(type(PREPARE.prepare)((0, 0, 0), (10, 10, 10)), 24))
    assert answer(capsys, "net", "boat.png")["pictures"] != answer(capsys, "other", "boat.png")["pictures"]


def test_a_folder_that_is_called_as_the_training_folders_were_names_the_right_class(folder, capsys):
    folders = tuple(f"n{k:08d}" for k in range(len(CLASSES)))
    write("net.safetensors", folders=folders)
    (folder / folders[3]).mkdir()
    boat((40, 40)).save(folder / folders[3] / "0.png")
    found = answer(capsys, "net.safetensors", folder / folders[3] / "0.png")
    assert found["pictures"][0]["right"]["class"] == CLASSES[3]
    assert answer(capsys, "net.safetensors", "boat.png", "--label", folders[5])["pictures"][0]["right"]["class"] == CLASSES[5]
    assert load_net("net.safetensors")[1].folders == folders


@pytest.mark.parametrize("folders", [("a",), "abc", (1,) * 10], ids=str)
def test_folders_that_are_not_one_a_class_are_refused(folders):
    with pytest.raises(ShapeError, match="saved net: folders must be one name for each class, or none"):
        write("net.safetensors", folders=folders)
