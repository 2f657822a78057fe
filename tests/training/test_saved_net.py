"""A net from its file alone: from weights, checkpoints and folders, on one device and two, and files that were made to do harm."""

from __future__ import annotations

import dataclasses
import json
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinyalex as ta
from tests.contract import refuses, rng
from tests.data.imagenet.making import class_folders
from tinyalex.data import ColorNoise, CropAndFlip, Crops, Standardize, SubtractMean
from tinyalex.data.color import IMAGENET_COLORS
from tinyalex.data.imagenet import open_folder, open_shards, prepare
from tinyalex.data.prepare import KINDS
from tinyalex.data.source import Subset
from tinyalex.errors import CheckpointError, DataError, ShapeError
from tinyalex.files.tensors import read_tensors, write_tensors
from tinyalex.models import MODELS, build
from tinyalex.models.later.rows import branches, conv, linear
from tinyalex.models.rows import flatten
from tinyalex.models.weights import FORMAT, save_weights
from tinyalex.training import SavedNet, Trainer, load_net, parameters_sha256
from tinyalex.training.checkpoint import Position, checkpoint_files, load_checkpoint, save_checkpoint
from tinyalex.training.saved_net import describe

CLASSES = ("cat", "dog", "tench, Tinca tinca", "学")
CIFAR = CropAndFlip(Standardize((120, 121, 122), (60, 61, 62)), 24)
MEAN = rng(3).uniform(90, 140, (3, 80, 80)).astype(np.float32)
HUGE = {"width": 9, "input_size": 67}  # 1.6 billion parameters
SMALL = {"width": 1 / 16, "input_size": 67}


def cifar(**changed):
    given = {"net": "cifar-alexnet", "classes": CLASSES, "prepare": CIFAR, "image_shape": (3, 32, 32), "note": "drawn"} | changed
    return SavedNet(**given)


def photographs(options=SMALL, **changed):
    given = {"net": "alexnet", "classes": CLASSES, "prepare": Crops(MEAN, 67, color=IMAGENET_COLORS), "image_shape": (3, 80, 80)}
    return SavedNet(**given | {"options": options} | changed)


def images(saved, n=3):
    return rng(1).integers(0, 256, (n, *saved.image_shape), np.uint8)


def same(a, b):
    assert a.stored()[0] == b.stored()[0]
    (_, here), (_, there) = a.stored(), b.stored()
    assert here.keys() == there.keys() and all(np.array_equal(here[name], there[name]) for name in here)
    x = images(a)
    assert np.array_equal(a.prepare(x), b.prepare(x))
    if a.most_views == 10:
        assert np.array_equal(a.views(x), b.views(x))


DESCRIPTIONS = [
    cifar(),
    cifar(options={"input_size": 32}, prepare=SubtractMean(np.zeros((3, 32, 32)))),
    cifar(net="figure1", options={"activation": "tanh", "setup": "fan-in"}, prepare=Standardize((0, 0, 0), (1, 1, 1)), warp=True),
    cifar(prepare=CropAndFlip(ColorNoise(Standardize((0, 0, 0), (1, 1, 1)), *IMAGENET_COLORS), 24)),
    photographs(),
    photographs({"widths": {"conv2": 32, "fc6": 20}, "exchange": ["fc6"], "remove": ("fc7",), **SMALL}),
    photographs(net="alexnet-caffe"),
    photographs(net="alexnet-authors", prepare=Crops(MEAN, 67, offsets="paper", flip=False)),
]


@pytest.mark.parametrize("about", DESCRIPTIONS, ids=range(len(DESCRIPTIONS)))
def test_a_net_comes_back_from_weights_and_from_a_checkpoint(about, tmp_path):
    net = about.build()
    save_weights(tmp_path / "w", net, about=about)
    save_checkpoint(tmp_path / "c", net, ta.SGD(net), ta.Schedule(0.1), Position(), {}, about)
    for file in ("w", "c"):
        found, saved = load_net(tmp_path / file)
        assert parameters_sha256(found) == parameters_sha256(net)
        x = about.prepare(images(about))
        assert np.array_equal(found.forward(x), net.forward(x))
        same(saved, about)


@pytest.mark.parametrize("writer", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_net_loads_on_one_device_and_on_two(writer, dtype, tmp_path):
    about = photographs()
    net = about.build(writer)
    save_weights(tmp_path / "w", net, dtype, about=about)
    x = about.prepare(images(about))
    made = [load_net(tmp_path / "w"), load_net(tmp_path / "w", towers=2), load_net(tmp_path / "w", "cpu:0,cpu:1")]
    expected = net.forward(x) if dtype == "float32" else made[0][0].forward(x)
    for found, _ in made:
        assert np.allclose(found.forward(x), expected, rtol=1e-4, atol=1e-6)
    assert "conv2a.weight" in made[1][0].params and "conv2a.weight" in made[2][0].params and "conv2.weight" in made[0][0].params


def test_a_run_keeps_the_description_and_its_folder_loads(tmp_path):
    about, data = cifar(classes=("a", "b")), (rng(0).integers(0, 256, (12, 3, 32, 32), np.uint8), np.arange(12) % 2)

    def trainer():
        net = about.build()
        return Trainer(
            net, ta.SGD(net, lr=0.01), train=data, prepare=CIFAR, folder=tmp_path / "run", batch_size=4, about=about, progress=False
        )  # fmt: skip

    first = trainer()
    first.run(1)
    net, saved = load_net(tmp_path / "run")
    same(saved, about)
    assert parameters_sha256(net) == parameters_sha256(first.net)
    second = trainer()
    second.run(2)
    net, _ = load_net(str(tmp_path / "run"))
    assert parameters_sha256(net) == parameters_sha256(second.net) != parameters_sha256(first.net)
    for path in checkpoint_files(tmp_path / "run"):
        path.unlink()
    with refuses(CheckpointError, "the folder must hold a checkpoint of a run or weights.safetensors, got neither"):
        load_net(tmp_path / "run")
    save_weights(tmp_path / "run" / "weights.safetensors", first.net, about=about)
    assert parameters_sha256(load_net(tmp_path / "run")[0]) == parameters_sha256(first.net)


def test_an_older_run_goes_on_and_has_the_description_from_then_on(tmp_path):
    data = (rng(0).integers(0, 256, (12, 3, 32, 32), np.uint8), np.arange(12) % 2)
    about = cifar(classes=("a", "b"))

    def trained(epochs, about):
        net = cifar(classes=("a", "b")).build()
        given = {"train": data, "prepare": CIFAR, "folder": tmp_path, "batch_size": 4, "progress": False, "about": about}
        Trainer(net, ta.SGD(net, lr=0.01), **given).run(epochs)

    trained(1, None)
    assert load_checkpoint(checkpoint_files(tmp_path)[-1]).about() is None
    with refuses(CheckpointError, "the file must describe its network, got weights alone, as earlier versions wrote them; say which"):
        load_net(tmp_path)
    same(load_net(tmp_path, about=about)[1], about)
    trained(2, about)
    same(load_net(tmp_path)[1], about)


def test_a_description_of_another_net_is_refused_before_training(tmp_path):
    net, data = build("cifar-alexnet", num_classes=5), (rng(0).integers(0, 256, (8, 3, 32, 32), np.uint8), np.arange(8) % 2)
    with refuses(CheckpointError, "about: param fc8.weight must have shape (4, 256), got (5, 256); describe the net that is saved"):
        Trainer(net, ta.SGD(net), train=data, prepare=CIFAR, about=cifar())
    for towers in (1, 2):
        other = build("cifar-alexnet", num_classes=5, towers=towers)
        with refuses(CheckpointError, "save_weights: about: param fc8.weight must have shape (4, 256), got (5, 256)"):
            save_weights(tmp_path / "w", other, about=cifar())
    with refuses(CheckpointError, "save_weights: about: param conv1"):
        save_weights(tmp_path / "w", build("cifar-alexnet", num_classes=4, towers=2), about=cifar(net="figure1", prepare=CIFAR.prepare))
    with refuses(CheckpointError, "save_weights: about must be a SavedNet or None, got 'alexnet'"):
        save_weights(tmp_path / "w", net, about="alexnet")
    assert not list(tmp_path.iterdir())


def test_weights_of_a_described_net_load_into_a_net_of_ones_own(tmp_path):
    net, other = build("cifar-alexnet", num_classes=4), build("cifar-alexnet", num_classes=4, towers=2, seed=9)
    save_weights(tmp_path / "w", net, about=cifar())
    ta.training.load_weights(tmp_path / "w", other)
    assert parameters_sha256(load_net(tmp_path / "w", towers=2)[0]) == parameters_sha256(other)


def test_the_shipped_net_is_known_by_its_name_unless_a_file_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net, saved = load_net("figure1")
    trained = ta.training.trained_figure1()
    assert parameters_sha256(net) == parameters_sha256(trained.net) == parameters_sha256(load_net("figure1", "cpu:0")[0])
    assert saved.classes == trained.classes and "JPEG-recompressed" in saved.note and saved.most_views == 1
    x = images(saved)
    assert np.array_equal(saved.prepare(x), trained.prepare(x))
    save_weights("figure1", cifar().build(), about=cifar())
    assert load_net("figure1")[1].net == "cifar-alexnet"
    with refuses(ShapeError, "figure1: towers must be 1, got 2"):
        (tmp_path / "figure1").unlink()
        load_net("figure1", towers=2)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nowhere", "nowhere: the checkpoint must be a file or the folder of a run, got nothing of that name; correct the name"),
        ("figur1", "got nothing of that name; did you mean figure1?"),
        ("empty", "empty: the file must be a checkpoint or weights of tinyalex, ONNX (.onnx), "),
        ("text", "text: the file must be a checkpoint or weights of tinyalex, ONNX (.onnx), "),
        ("other", "other: the arrays must be those of a network of the registry, got 0 arrays"),
        ("rates", "the file must be a checkpoint or weights of tinyalex, got tinyalex-figure1-rates; it is another file, or truncated"),
        ("folder", "the folder must hold a checkpoint of a run or weights.safetensors, got neither"),
        (5, "file: path must be a str or a Path"),
    ],
)
def test_what_is_no_checkpoint_is_named(path, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("a text that is long enough to hold a length")
    write_tensors(tmp_path / "other", {}, "something", 1, {})
    write_tensors(tmp_path / "rates", {}, "tinyalex-figure1-rates", 1, {})
    (tmp_path / "folder").mkdir()
    with refuses(CheckpointError, text):
        load_net(path)


def test_a_truncated_file_and_one_altered_byte_are_found(tmp_path):
    save_weights(tmp_path / "w", cifar().build(), "float16", about=cifar())
    whole = (tmp_path / "w").read_bytes()
    for position in range(0, 3000, 37):
        altered = bytearray(whole)
        altered[position] ^= 1
        (tmp_path / "altered").write_bytes(altered)
        with pytest.raises(CheckpointError):
            load_net(tmp_path / "altered")
    (tmp_path / "altered").write_bytes(whole[:-7])
    with refuses(CheckpointError, "it is truncated or altered"):
        load_net(tmp_path / "altered")


# ---------------------------------------------------------------- files from a stranger


def rewritten(path, change, tensors=None):
    """A valid file whose description `change` has edited."""
    about = cifar()
    net = about.build()
    save_weights(path, net, about=about)
    found, text = read_tensors(path, FORMAT, 2, 1)
    described = json.loads(text["about"])
    described = change(described) or described
    kept = {key: value for key, value in text.items() if key not in ("format", "format_version", "sha256")}
    write_tensors(path, found | (tensors or {}), FORMAT, 2, kept | {"about": json.dumps(described)})
    return path


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.update(net="resnet153"), "NAME must be one of alexnet"),
        (lambda d: d.update(net=["alexnet"]), "net must be a text"),
        (lambda d: d.update(options={"devices": "cuda:0"}), "settings must be among"),
        (lambda d: d.update(options={"num_classes": 10**12}), "settings must be among"),
        (lambda d: d.update(options=[1]), "options must be settings by name"),
        (lambda d: d.update(options={"input_size": 10**30}), "input_size"),
        (lambda d: d.update(options={"input_size": [1] * 5}), "input_size"),
        (lambda d: d.update(classes=[]), "classes must be one name for each output"),
        (lambda d: d.update(classes="abcd"), "classes"),
        (lambda d: d.update(classes=[1, 2, 3, 4]), "classes must be one name for each output"),
        (lambda d: d.update(image_shape=[3, 32]), "image_shape must be (C, H, W)"),
        (lambda d: d.update(image_shape=[3, 10**9, 10**9]), "a size of image_shape must be at most 2,048"),
        (lambda d: d.update(image_shape=[3, 32.0, 32]), "a size of image_shape must be an integer"),
        (lambda d: d.update(warp=1), "warp must be True or False"),
        (lambda d: d.update(note=None), "note must be a text"),
        (lambda d: d.pop("prepare") and None, "got no 'prepare'"),
        (lambda d: d.update(prepare={"name": "os.system"}), "must be one of"),
        (lambda d: d["prepare"].update(size=10**12), "images must have at least 1000000000000x1000000000000 pixels"),
        (lambda d: d["prepare"].update(size=20), "prepare must make the net's input, 3x24x24, got 3x20x20"),
        (lambda d: d["prepare"].update(prepare={"name": "Crops"}), "Crops: mean must be at least 224 pixels high and wide"),
        (lambda d: [d], "TypeError"),
        (lambda d: 7, "TypeError"),
    ],
)
def test_a_wrong_description_is_one_sentence(change, text, tmp_path):
    path = rewritten(tmp_path / "w", change)
    with refuses(CheckpointError, "w: the description of its network must be one that this tinyalex knows, got "):
        load_net(path)
    with refuses(CheckpointError, text):
        load_net(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.update(classes=["x"] * 100_000), "param fc8.weight must have shape (100000, 256), got (4, 256)"),
        (lambda d: d.update(net="figure1", prepare=d["prepare"] | {"size": 32}, classes=["x"] * 10**6), "conv2.weight must have shape"),
        (
            lambda d: d.update(net="alexnet", options=HUGE, prepare=d["prepare"] | {"size": 67}, image_shape=[3, 70, 70]),
            "alexnet with 4 classes: param conv1.weight must have shape (864, 3, 11, 11), got (32, 3, 5, 5); was it made by",
        ),
        (lambda d: d.update(net="alexnet", options={"width": 1e6}), "alexnet: input_size, num_classes and widths must give at most"),
    ],
)
def test_no_memory_is_taken_for_arrays_that_the_file_does_not_hold(change, text, tmp_path):
    path = rewritten(tmp_path / "w", change)
    tracemalloc.start()
    with refuses(CheckpointError, text):
        load_net(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=4)
)


@settings(deadline=None)
@given(st.sampled_from(["net", "options", "classes", "image_shape", "prepare", "warp", "note", "size", "input_size"]), JSON)
def test_any_json_in_a_field_is_refused_or_read(key, value):
    text, arrays = cifar().stored()
    described = json.loads(text["about"])
    place = {"size": described["prepare"], "input_size": described["options"]}.get(key, described)
    place[key] = value
    try:
        SavedNet.from_stored("w", {"about": json.dumps(described)}, arrays)
    except CheckpointError as error:
        assert "\n" not in str(error)


def test_a_description_nested_too_deeply_or_too_long_is_refused(tmp_path):
    net, about = cifar().build(), cifar()
    save_weights(tmp_path / "w", net, about=about)
    found, _ = read_tensors(tmp_path / "w", FORMAT, 2, 1)
    for described in ("[" * 100_000, "{}" + " " * 2**24, "NaN", ""):
        write_tensors(tmp_path / "w", found, FORMAT, 2, {"about": described})
        with refuses(CheckpointError, "w: the description of its network must be one that this tinyalex knows, got "):
            load_net(tmp_path / "w")


def test_mean_that_is_not_finite_or_of_another_size_is_refused(tmp_path):
    for mean in (np.full((3, 1, 1), np.nan, np.float32), np.zeros((3, 5), np.float32), np.zeros(2, np.float32)):
        path = rewritten(tmp_path / "w", lambda d: None, {"about/prepare.mean": mean})
        with refuses(CheckpointError, "the description of its network must be one that this tinyalex knows, got Standardize: "):
            load_net(path)


def test_preparation_whose_numbers_are_too_large_is_refused(tmp_path, recwarn):
    wild = {"about/prepare.mean": np.full((3, 1, 1), 1e38, np.float32), "about/prepare.std": np.full((3, 1, 1), 1e-30, np.float32)}
    with refuses(CheckpointError, "prepare must make finite numbers of pixels of 0 to 255, got a NaN or an infinity"):
        load_net(rewritten(tmp_path / "w", lambda d: None, wild))
    assert not recwarn.list


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with refuses(CheckpointError, "pipe: the file must be readable, got a pipe or a device"):
        load_net(tmp_path / "pipe")


def test_names_from_a_file_cannot_change_the_terminal():
    saved = cifar(classes=("\x1b[2Jcat", "d\nog", "é", "学"), note="\x1b]0;title\x07")
    assert saved.classes == ("?[2Jcat", "d?og", "é", "学") and saved.note == "?]0;title?"


# ---------------------------------------------------------------- what a description refuses, and views


@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        ({"net": "alexnt"}, ShapeError, "NAME must be one of"),
        ({"options": {"widht": 2}}, ShapeError, "saved net cifar-alexnet: settings must be among input_size, got widht"),
        ({"options": {"towers": 2}}, ShapeError, "settings must be among input_size, got towers"),
        ({"options": {"input_size": np.arange(3)}}, ShapeError, "options must be JSON values"),
        ({"classes": "cat"}, ShapeError, "classes must be one name for each output"),
        ({"prepare": lambda x, rng=None: x}, DataError, "a preparation that is stored must be one of"),
        ({"prepare": CIFAR.prepare}, ShapeError, "prepare must make the net's input, 3x24x24, got 3x32x32"),
        ({"image_shape": 32}, ShapeError, "image_shape must be (C, H, W), got 32"),
        ({"image_shape": (3, 20, 20)}, DataError, "images must have at least 24x24 pixels, got 20x20"),
    ],
)
def test_wrong_descriptions_are_refused(changed, error, text):
    with refuses(error, text):
        cifar(**changed)


def test_net_whose_number_of_outputs_is_no_option_keeps_its_own(monkeypatch, tmp_path):
    def fixed(towers=1, *, seed=0, devices=None, dtype=np.float32):
        return build("cifar-alexnet", towers=towers, seed=seed, devices=devices, dtype=dtype, num_classes=3)

    monkeypatch.setitem(MODELS, "fixed", fixed)
    about = cifar(net="fixed", classes=("a", "b", "c"))
    save_weights(tmp_path / "w", about.build(), about=about)
    assert load_net(tmp_path / "w", towers=2)[1].classes == ("a", "b", "c")
    with refuses(ShapeError, "saved net: classes must be as many as the outputs of fixed, (3,), got 4"):
        cifar(net="fixed")


def test_ten_views_are_the_same_from_both_kinds_of_crops():
    mean, x = (120, 121, 122), rng(0).integers(0, 256, (4, 3, 32, 30), np.uint8)
    crops = Crops(np.broadcast_to(np.array(mean, np.float32)[:, None, None], (3, 32, 30)), 24)
    plain = CropAndFlip(Standardize(mean, (1, 1, 1)), 24)
    assert np.array_equal(plain.views(x), crops.views(x))
    assert np.array_equal(plain.views(x)[2::10], plain(x))  # the third is the center, as for one view


def test_views_of_a_net_that_reads_whole_images_are_refused():
    assert cifar().most_views == photographs().most_views == 10
    assert cifar(prepare=CropAndFlip(ColorNoise(Standardize((0, 0, 0), (1, 1, 1)), *IMAGENET_COLORS), 24)).most_views == 10
    whole = np.zeros((3, 32, 32))
    for each in (SubtractMean(whole), Crops(whole, 32), CropAndFlip(SubtractMean(whole), 32)):
        saved = cifar(options={"input_size": 32}, prepare=each)
        assert saved.most_views == 1
        with refuses(ShapeError, "views must be 1 for a net that reads whole images of 3x32x32, got 10; use 1 view"):
            saved.views(images(saved))


@pytest.mark.parametrize("warp", [False, True])
def test_description_of_a_set_of_pictures_says_how_they_were_resized(warp, tmp_path):
    prepare(class_folders(tmp_path / "src", each=4), tmp_path / "dest", processes=1, warp=warp)
    sources = open_shards(tmp_path / "dest")
    crops = Crops(sources.mean_image(), 67, color=sources.color())
    for parts in (sources, dataclasses.replace(sources, train=Subset(sources.train, [0, 1]))):
        about = describe("alexnet", {"width": 1 / 32, "input_size": 67}, parts, crops)
        assert about.warp is warp and about.classes == ("ant", "bee", "cat") and about.image_shape == (3, 256, 256)
        assert about.note == f"trained on src: {sources.note}"
    assert describe("alexnet", SMALL, open_folder(tmp_path / "src", warp=warp), crops).warp is warp


def test_all_preparations_that_can_be_stored_are_tried_here():
    tried = {type(about.prepare).__name__ for about in DESCRIPTIONS} | {"ColorNoise", "TenViews"}  # the last one is for testing alone
    assert set(KINDS) == tried


def with_head(**more):
    rows = (conv("conv1", 4, 3), branches("out", "both", (flatten("flat"), linear("fc2", 2)), (flatten("flat3"), linear("fc3", 2))))
    return SavedNet("mine", ("a", "b"), Standardize((1, 2, 3), (4, 5, 6)), (3, 8, 8), rows=rows, takes=(3, 8, 8), **more)


def test_weights_of_heads_come_back_and_files_without_them_are_read():
    text, tensors = with_head(heads=(0.25,)).stored()
    assert SavedNet.from_stored("file", text, tensors).heads == (0.25,)
    about = json.loads(text["about"])
    del about["heads"]  # as it was written before
    assert SavedNet.from_stored("file", {"about": json.dumps(about)}, tensors).heads == ()


@pytest.mark.parametrize("heads", [(0.1, 0.2), (-0.5,), (float("nan"),), ("x",), "0", 0.3])
def test_weights_that_no_head_can_have_are_refused(heads):
    with refuses(ShapeError, "saved net: "):
        with_head(heads=heads)
