"""How images are prepared, in the metadata of an ONNX file: there and back, and what a file may not say."""

import json

import numpy as np
import pytest

from tests.contract import rng
from tests.formats.onnx.graphs import onnx
from tinyalex import cli
from tinyalex.data.augment import Crops
from tinyalex.data.color import ColorNoise
from tinyalex.data.prepare import CropAndFlip, Standardize, SubtractMean
from tinyalex.formats.files import read, write
from tinyalex.formats.onnx.preparation import KEY, text_of
from tinyalex.formats.saved import imported_from
from tinyalex.models.saved_net import SavedNet
from tinyalex.models.weights import arrays_of, save_weights
from tinyalex.training.saved_net import load_net

MEAN = rng(3).uniform(90, 130, (3, 32, 32)).astype(np.float32)
PREPARES = {
    "colors": Standardize((110, 112.5, 114.1), (60, 61, 62.7)),
    "crops": CropAndFlip(Standardize((110, 112.5, 114.1), (60, 61, 62.7)), 24, padding=2),
    "mean image": Crops(MEAN, 24),
    "color noise": ColorNoise(CropAndFlip(SubtractMean(MEAN), 24), np.ones(3), np.eye(3)),
}
CLASSES = tuple(f"class {letter}" for letter in "abcdefghij")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def saved(prepare, net=None):
    """A description; of a net of the registry, or of one that it does not have."""
    whole = isinstance(prepare, Standardize)
    own = dict(net="cifar-alexnet", options={"input_size": 32} if whole else {}) if net is None else net
    words = dict(classes=CLASSES, folders=tuple("klmnopqrst"), note="of a test")
    return SavedNet(prepare=prepare, image_shape=(3, 32, 32), warp=True, **words, **own)


def entry(path="net.onnx"):
    """The only entry about images."""
    (text,) = [each.value for each in onnx.load(path).metadata_props if each.key == KEY]
    return json.loads(text)


def enter(*texts, path="net.onnx"):
    model = onnx.load(path)
    del model.metadata_props[:]
    for text in texts:
        model.metadata_props.add(key=KEY, value=text)
    onnx.save(model, path)


@pytest.mark.parametrize("name", PREPARES)
def test_export_and_import_give_the_same_answers(name, capsys):
    about = saved(PREPARES[name])
    save_weights("in.safetensors", about.build(), about=about)
    folder = "pictures"
    pictures(folder)
    answers = []
    for source, target in (("in.safetensors", "net.onnx"), ("net.onnx", "back.safetensors")):
        assert cli.main(["convert", source, target, "--json"]) == 0
        assert not any("prepared" in note or "classes" in note for note in json.loads(capsys.readouterr().out)["notes"])
    for file in ("in.safetensors", "net.onnx", "back.safetensors"):
        assert cli.main(["predict", file, folder, "--json"]) == 0
        out, err = capsys.readouterr()
        assert "how images are prepared is not in the file" not in err
        answers.append(json.loads(out)["pictures"])
    assert answers[0] == answers[1] == answers[2] and len(answers[0]) == 3
    back = load_net("back.safetensors")[1]
    assert back.stored()[0] == load_net("net.onnx")[1].stored()[0]
    assert back.stored()[0] == about.stored()[0] | {"about": back.stored()[0]["about"]} and back.folders == about.folders and back.warp
    images = rng(1).integers(0, 256, (2, 3, 32, 32), np.uint8)
    assert np.array_equal(back.prepare(images), about.prepare(images)) and back.most_views == about.most_views


def pictures(folder):
    from pathlib import Path

    from PIL import Image

    Path(folder).mkdir()
    for i, size in enumerate([(40, 50), (32, 32), (100, 20)]):
        Image.fromarray(rng(i).integers(0, 256, (*size, 3), np.uint8)).save(f"{folder}/{i}.png")


def test_entry_is_as_documented():
    about = saved(PREPARES["crops"])
    write("net.onnx", imported_from(about, arrays_of(about.build()), "x"), about=about)
    found = entry()
    assert (found["version"], found["channels"], found["image_shape"], found["warp"]) == (1, "RGB", [3, 32, 32], True)
    assert found["prepare"]["name"] == "CropAndFlip" and found["prepare"]["size"] == 24
    assert found["arrays"]["prepare.mean"] == {"shape": [3, 1, 1], "values": [110.0, 112.5, float(np.float32(114.1))]}
    assert found["classes"] == list(CLASSES) and found["note"] == "of a test"
    assert list(json.loads(text_of(saved(PREPARES["mean image"]))[KEY])["arrays"]["mean"]) == ["shape", "float32"]


def test_options_of_convert_are_kept_too(capsys):
    about = saved(PREPARES["crops"])
    save_weights("in.safetensors", about.build(), about=about)
    assert cli.main(["convert", "in.safetensors", "net.onnx", "--mean", "7", "--images", "30"]) == 0
    assert cli.main(["convert", "net.onnx", "other.onnx", "--std", "2"]) == 0
    first, second = (load_net(file)[1] for file in ("net.onnx", "other.onnx"))
    assert first.image_shape == second.image_shape == (3, 30, 30) and first.classes == second.classes == CLASSES
    assert first.prepare.prepare.mean.ravel().tolist() == [7] * 3 and second.prepare.prepare.std.ravel().tolist() == [2] * 3


DEEP = '"prepare": {"name": "CropAndFlip", "size": 24, "augment": true, ' * 5000 + '"prepare": 0' + "}" * 5000
HOSTILE = {
    "no JSON": lambda found: "{",
    "a list": lambda found: "[]",
    "null": lambda found: "null",
    "deep": lambda found: "[" * 100_000,
    "a later version": lambda found: found | {"version": 2},
    "true": lambda found: found | {"version": "1"},
    "blue first": lambda found: found | {"channels": "BGR"},
    "no preparation": lambda found: {key: value for key, value in found.items() if key != "prepare"},
    "another class": lambda found: found | {"prepare": {"name": "os.system"}},
    "a crop that is no crop": lambda found: found | {"prepare": found["prepare"] | {"size": 10**9}},
    "many layers of steps": lambda found: json.dumps(found | {"prepare": 0}).replace('"prepare": 0', DEEP),
    "large images": lambda found: found | {"image_shape": [3, 10**9, 10**9]},
    "other images": lambda found: found | {"image_shape": [3, 8, 8]},
    "a large array": lambda found: found | {"arrays": {"prepare.mean": {"shape": [2048, 2048, 2048], "values": [1]}}},
    "a long array": lambda found: found | {"arrays": {"prepare.mean": {"shape": [3, 1, 1], "values": [1] * 4}}},
    "no base64": lambda found: found | {"arrays": {"prepare.mean": {"shape": [3, 1, 1], "float32": "?" * 16}}},
    "NaN": lambda found: found | {"arrays": found["arrays"] | {"prepare.mean": {"shape": [3, 1, 1], "values": [float("nan")] * 3}}},
    "std 0": lambda found: found | {"arrays": found["arrays"] | {"prepare.std": {"shape": [3, 1, 1], "values": [0] * 3}}},
    "huge numbers": lambda found: found | {"arrays": found["arrays"] | {"prepare.mean": {"shape": [3, 1, 1], "values": [10**400] * 3}}},
    "few classes": lambda found: found | {"classes": ["a"]},
    "classes in one text": lambda found: found | {"classes": "abcdefghij"},
    "numbers as classes": lambda found: found | {"classes": list(range(10))},
    "warp": lambda found: found | {"warp": 2},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    about = saved(PREPARES["crops"])
    write(path, imported_from(about, arrays_of(about.build()), "x"), about=about)
    return path.read_bytes()


@pytest.mark.parametrize("name", HOSTILE)
def test_an_entry_that_is_altered_is_not_used_and_one_sentence_says_so(name, model, tmp_path):
    (tmp_path / "net.onnx").write_bytes(model)
    found = HOSTILE[name](entry())
    enter(found if isinstance(found, str) else json.dumps(found))
    net = read("net.onnx")
    (note,) = [note for note in net.notes if note.startswith(f"{KEY} in the file is not used: ")]
    assert net.about is None and "\n" not in note and len(note) < 250
    told = []
    description = load_net("net.onnx", tell=told.append)[1]
    assert note in told and any("how images are prepared is not in the file" in line for line in told)
    assert description.classes[0] != "class a"


def test_two_entries_and_one_that_is_no_text(model, tmp_path):
    (tmp_path / "net.onnx").write_bytes(model)
    text = json.dumps(entry())
    enter(text, text)
    assert read("net.onnx").notes[-1] == f"{KEY} in the file is not used: 2 entries"
    enter("Z" * 40)
    (tmp_path / "net.onnx").write_bytes((tmp_path / "net.onnx").read_bytes().replace(b"Z" * 40, b"\xff" * 40))
    try:
        assert "is not used: " in read("net.onnx").notes[-1]
    except Exception as error:
        assert type(error).__module__ == "tinyalex.errors"  # a library of protobuf that refuses the whole file
    enter(text)
    assert read("net.onnx").about.classes == CLASSES


def test_an_entry_of_a_net_without_classes_is_not_written(capsys, tmp_path):
    from tinyalex.formats.imported import Imported
    from tinyalex.models.rows import conv

    rows = (conv("conv1", 4, 3),)
    from tinyalex.models.later.rows import build_net

    write("maps.onnx", Imported("maps", "x", rows, (3, 9, 9), arrays_of(build_net(rows, (3, 9, 9), "maps"))))
    assert cli.main(["convert", "maps.onnx", "again.onnx"]) == 0
    assert not onnx.load("again.onnx").metadata_props
    assert cli.main(["convert", "maps.onnx", "again.onnx", "--mean", "3"]) == 2
    assert "the output must be one number for each class" in capsys.readouterr().err
