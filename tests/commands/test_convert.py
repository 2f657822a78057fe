"""`tinyalex convert`, and the commands that take files of other programs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.contract import rng
from tinyalex import cli
from tinyalex.commands import convert
from tinyalex.data import CropAndFlip, Standardize, SubtractMean, synthetic
from tinyalex.formats import files as formats, parity
from tinyalex.formats.files import read, write
from tinyalex.formats.imported import Imported
from tinyalex.models import build
from tinyalex.models.saved_net import SavedNet
from tinyalex.models.weights import copy_state, join_state, save_weights, state_on_host
from tinyalex.training import load_net
from tinyalex.training.saved_net import read_saved

VARIANTS = ("alexnet", "alexnet-authors", "alexnet-caffe", "alexnet-caffenet", "alexnet-torchvision")
SMALL = {"width": 1 / 16, "input_size": 67}
CLASSES = synthetic.CLASSES
WHOLE = ("net.prototxt,net.caffemodel", "net.onnx")  # formats that hold layers and weights
ARRAYS = ("net.pth", "arrays.safetensors")  # those that hold arrays alone
PREPARE = Standardize((110, 112, 114), (60, 61, 62))


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """An empty working folder with no data but the synthetic ones."""
    monkeypatch.delenv("TINYALEX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name="cifar-alexnet", file="in.safetensors", **changed):
    """A file of random weights of a small net."""
    given = {"classes": CLASSES, "prepare": CropAndFlip(PREPARE, 24), "image_shape": (3, 32, 32)} | changed
    about = SavedNet(name, **given)
    net = about.build()
    for leaf in net.leaves():
        for key, array in leaf.params.items():  # weights that no two nets share, and biases other than 0
            array[...] = 0.1 * rng(len(leaf.name)).standard_normal(array.shape) + 0.01 * (key == "bias")
    save_weights(file, net, about=about)
    return net, about


def variant(name):
    mean = SubtractMean(np.full((3, 1, 1), 110, np.float32))
    return save(name, f"{name}.safetensors", classes=("a", "b", "c"), prepare=CropAndFlip(mean, 67), image_shape=(3, 80, 80), options=SMALL)


def run(*argv, code=0):
    assert cli.main(["convert", *map(str, argv)]) == code


def converted(capsys, *argv, code=0):
    capsys.readouterr()
    run(*argv, "--json", code=code)
    return json.loads(capsys.readouterr().out)


def same_state(one, other):
    one, other = state_on_host(one), state_on_host(other)
    assert one.keys() == other.keys()
    for name in one:
        assert np.array_equal(one[name], other[name]), name


def test_help_is_the_line_of_the_table_and_the_example_works(capsys):
    assert convert.HELP == cli.COMMANDS["convert"][1]
    assert cli.main(["convert", "--help"]) == 0
    assert f"example:\n  {convert.EXAMPLE}" in capsys.readouterr().out
    save()
    run("in.safetensors", "deploy.prototxt,net.caffemodel")
    assert cli.main(convert.EXAMPLE.split()[1:]) == 0
    assert load_net("net.safetensors")[0].shapes[-1] == (10,)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("first", WHOLE)
def test_every_alexnet_goes_round_through_all_formats_to_the_bit(name, first, capsys):
    net, about = variant(name)
    assert converted(capsys, f"{name}.safetensors", first)["agrees"]
    for second in WHOLE:
        other = second.replace("net", "other")
        assert converted(capsys, first, other)["agrees"]
        report = converted(capsys, other, "back.safetensors", "--mean", "110,110,110", "--images", "80")
        assert report["agrees"] and not report["arrays"]["missing"] and not report["arrays"]["left"]
        back, saved = load_net("back.safetensors")
        same_state(net, back)
        x = about.prepare(rng(1).integers(0, 256, (2, 3, 80, 80), np.uint8))
        assert np.array_equal(back.forward(x), net.forward(x))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("target", ARRAYS)
def test_every_alexnet_gives_files_of_arrays_alone(name, target, capsys):
    variant(name)
    report = converted(capsys, f"{name}.safetensors", target, "--names", "tinyalex")
    assert report["agrees"] and [check["most"] for check in report["checks"]] == [0.0]


@pytest.mark.parametrize("first", (*WHOLE, *ARRAYS))
@pytest.mark.parametrize("second", (*WHOLE, *ARRAYS))
def test_all_pairs_for_a_net_of_the_registry(first, second, capsys):
    net, about = save("resnet20", prepare=PREPARE)
    if "prototxt" in first + second:
        net, about = save("resnet20-b", prepare=PREPARE)  # Caffe has no shortcut of zeros
    names = {each: ["--names", "tinyalex"] for each in ARRAYS}
    assert converted(capsys, "in.safetensors", first, *names.get(first, []))["agrees"]
    target = second.replace("net", "other").replace("arrays", "others")
    assert converted(capsys, first, target, *names.get(second, []), "--net", about.net)["agrees"]
    assert converted(capsys, target, "back.safetensors", "--net", about.net)["agrees"]
    back, saved = load_net("back.safetensors")
    assert saved.net == about.net and saved.rows == ()
    same_state(net, back)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_every_alexnet_of_full_size_goes_through_all_pairs_of_formats(name, capsys):
    """244 MB each. Files of arrays alone do not say their layers, so they are read for nets of the registry, which have this size.

    The way leads from each format to each other one exactly once, and ends where it began.
    """
    side = 227 if name in ("alexnet-caffe", "alexnet-caffenet") else 224
    about = SavedNet(name, tuple(map(str, range(1000))), CropAndFlip(PREPARE, side), (3, 256, 256))
    save_weights("in.safetensors", about.build(), about=about)
    a, b, c, d = (*WHOLE, *ARRAYS)
    way = (a, b, a, c, a, d, b, c, b, d, c, d, a)
    assert len({*zip(way, way[1:], strict=False)}) == 12
    for source, target in zip(("in.safetensors", *way), (*way, "back.safetensors"), strict=True):
        run(source, target, "--net", name, "--check", "no", *(["--names", "tinyalex"] if target in ARRAYS else []))
    (_, given, _), (_, found, saved) = (read_saved(file) for file in ("in.safetensors", "back.safetensors"))
    assert saved.net == name and saved.rows == () and given.keys() == found.keys()
    assert all(np.array_equal(given[key], found[key]) for key in given)


def test_the_other_program_agrees_where_it_is_installed(capsys):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: install the extra 'test' to compare")
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: install the extra 'bench' to compare")
    assert hasattr(cv2.dnn, "readNetFromCaffe")
    variant("alexnet-caffenet")
    for target, runtime in zip(WHOLE, ("OpenCV", "onnxruntime"), strict=True):
        (_, check) = converted(capsys, "alexnet-caffenet.safetensors", target)["checks"]
        assert check["of"] == f"{target} in {runtime}" and not check["reason"] and 0 < check["difference"] < 1e-5
        (check, _) = converted(capsys, target, "back.safetensors")["checks"]
        assert check["of"] == f"{target} in {runtime}" and not check["reason"] and check["difference"] < 1e-5


def test_a_comparison_that_fails_is_exit_1_and_says_so(capsys, monkeypatch):
    save()
    run("in.safetensors", "net.prototxt,net.caffemodel")
    monkeypatch.setattr(parity, "_opencv", lambda files, x, read: np.ones((len(x), 10), np.float32))
    run("net.prototxt,net.caffemodel", "out.safetensors", code=1)
    assert "DIFFERS: net.prototxt,net.caffemodel in OpenCV: " in capsys.readouterr().out
    report = converted(capsys, "net.prototxt,net.caffemodel", "out.safetensors", code=1)
    assert not report["agrees"] and [check["agrees"] for check in report["checks"]] == [False, True]
    assert converted(capsys, "net.prototxt,net.caffemodel", "out.safetensors", "--check", "no")["checks"] == []


def test_a_file_that_does_not_come_back_is_noticed(capsys, monkeypatch):
    save()

    def damaged(path, net, **options):
        arrays = {name: array + (name == "fc8.bias") * np.float32(1e-6) for name, array in net.arrays.items()}
        write(path, Imported(net.name, net.source, net.rows, net.in_shape, arrays), **options)

    monkeypatch.setattr(convert, "write", damaged)
    for target in ("net.prototxt,net.caffemodel", "net.pth"):
        run("in.safetensors", target, code=1)
        assert f"DIFFERS: {target} read back: " in capsys.readouterr().out


def test_a_program_that_is_missing_or_refuses_is_named(capsys, monkeypatch):
    save()
    monkeypatch.setattr(parity, "_opencv", lambda files, x, read: "OpenCV is not installed")
    run("in.safetensors", "net.prototxt,net.caffemodel")
    assert "not compared: net.prototxt,net.caffemodel in OpenCV: OpenCV is not installed" in capsys.readouterr().out


def test_report_names_what_matched_and_what_did_not(capsys):
    net, about = save()
    given = read_saved("in.safetensors")[1]
    imported = Imported("mine", "x", formats_rows(net), (3, 24, 24), given)
    write("net.prototxt,all.caffemodel", imported)
    document = converted(capsys, "net.prototxt", "copy.prototxt")
    assert len(document["arrays"]["missing"]) == len(given) and document["arrays"]["found"] == [] and document["checks"] == []
    run("net.prototxt", "copy.prototxt")
    out = capsys.readouterr().out
    assert f"arrays: 0 of {len(given)} were in net.prototxt" in out
    assert "  not in it, so they keep initial values: conv1.weight, conv1.bias" in out
    run("net.prototxt", "net.onnx", code=2)
    assert "must hold the arrays of all layers, got none for conv1.weight" in capsys.readouterr().err


def formats_rows(net):
    from tinyalex.models.rows_of_net import rows_of_net

    return rows_of_net(net)


def test_options_say_how_images_are_prepared(capsys, tmp_path):
    save()
    run("in.safetensors", "net.prototxt,net.caffemodel")
    (tmp_path / "names.txt").write_text("\n".join(f"name {i}" for i in range(10)) + "\n", encoding="utf-8")
    pixels = ["--mean", "1,2,3", "--std", "4", "--images", "30", "--warp"]
    run("net.prototxt,net.caffemodel", "a.safetensors", *pixels, "--classes", "names.txt")
    saved = load_net("a.safetensors")[1]
    assert saved.classes[9] == "name 9" and saved.image_shape == (3, 30, 30) and saved.warp and saved.most_views == 10
    assert np.allclose(saved.prepare(np.full((1, 3, 30, 30), 9, np.uint8))[0, :, 0, 0], [2, 7 / 4, 6 / 4])
    out = capsys.readouterr().out
    assert "note: the center of 24x24 is cut out of images of 30x30" in out and "not in the file" not in out.split("wrote a.safe")[0][-300:]
    run("in.safetensors", "b.pth")
    lost = "note: b.pth does not keep how pixels become the input (less 110,112,114, over 60,61,62) and what classes are called"
    assert lost in capsys.readouterr().out
    run("in.safetensors", "b.safetensors")
    assert "does not keep" not in capsys.readouterr().out
    mine, given = load_net("b.safetensors")[1], load_net("in.safetensors")[1]
    assert mine.stored()[0] == given.stored()[0]  # what this program wrote keeps its description
    run("in.safetensors", "c.safetensors", "--mean", "7")
    changed = load_net("c.safetensors")[1]
    assert changed.classes == given.classes and changed.prepare.prepare.mean.ravel().tolist() == [7, 7, 7]
    assert changed.image_shape == (3, 32, 32) and changed.note == given.note  # what no option says is as in the file


def test_a_file_of_this_program_keeps_what_no_option_changes(capsys, tmp_path):
    _, about = save(warp=True, folders=tuple("abcdefghij"), note="trained on something")
    (tmp_path / "names.txt").write_text("\n".join(f"name {i}" for i in range(10)), encoding="utf-8")
    (tmp_path / "few.txt").write_text("one\ntwo\n", encoding="utf-8")
    run("in.safetensors", "same.safetensors", "--net", "cifar-alexnet")
    assert load_net("same.safetensors")[1].stored()[0] == about.stored()[0]
    run("in.safetensors", "named.safetensors", "--classes", "names.txt")
    named = load_net("named.safetensors")[1]
    assert named.classes[3] == "name 3" and named.folders == () and named.image_shape == (3, 32, 32)
    run("in.safetensors", "larger.safetensors", "--images", "30")
    larger = load_net("larger.safetensors")[1]
    assert larger.warp and larger.folders == about.folders and larger.note == about.note and larger.image_shape == (3, 30, 30)
    assert np.allclose(larger.prepare.prepare.mean, PREPARE.mean) and np.allclose(larger.prepare.prepare.std, PREPARE.std)
    run("in.safetensors", "none.safetensors", "--classes", "few.txt", code=2)
    assert "--classes must have a name for each of the 10 outputs of cifar-alexnet, got 2" in capsys.readouterr().err


def test_weights_that_an_earlier_version_wrote_without_a_description(capsys):
    _, about = save()
    for towers in (1, 2):
        net = about.build(towers, "cpu" if towers == 1 else ["cpu:0", "cpu:1"])
        save_weights("old.safetensors", net)
        report = converted(capsys, "old.safetensors", "new.safetensors", "--mean", "110", "--images", "32", "--data", "synthetic")
        assert report["agrees"] and report["arrays"]["missing"] == []
        again, saved = load_net("new.safetensors")
        same = build("cifar-alexnet")
        copy_state(same, join_state(state_on_host(net)))
        same_state(again, same)
        assert saved.net == "cifar-alexnet" and saved.classes == CLASSES
    formats.Path("old.safetensors").rename("weights.safetensors")
    run(".", "again.safetensors")  # the folder of a run, in which the user is


def test_a_mean_image_of_caffe_gives_the_mean(capsys, tmp_path):
    save()
    values = np.array([3, 2, 1], np.float32).repeat(4)
    (tmp_path / "m.binaryproto").write_bytes(b"\x08\x01\x10\x03\x18\x02\x20\x02\x2a" + bytes([4 * len(values)]) + values.tobytes())
    run("in.safetensors", "a.safetensors", "--mean", "m.binaryproto")
    assert load_net("a.safetensors")[1].prepare.prepare.mean.ravel().tolist() == [1, 2, 3]  # red, green, blue


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["nothing.onnx", "a.safetensors"], "nothing.onnx: the file must be readable, got No such file"),
        (["in.safetensors", "a.onx"], "a.onx: the file to write must end in one of"),
        (["in.safetensors", "a.safetensors,a.onnx"], "OUT must be one file, or a .prototxt and a .caffemodel with a comma between"),
        (["in.safetensors", "a.caffemodel,a.prototxt"], "OUT must be one file, or a .prototxt and a .caffemodel with a comma between"),
        (["in.safetensors", "gone/a.onnx"], "convert: OUT must name a file in a folder that can be written"),
        (["in.safetensors", "a.pth", "--names", "keras"], "--names must be one of tinyalex, torchvision, timm, akamaster, got 'keras'"),
        (["in.safetensors", "a.pth", "--net", "nonet"], "NAME must be one of alexnet"),
        (["in.safetensors", "a.safetensors", "--net", "figure1"], "images of figure1 must be 3x32x32, got 3x24x24"),
        (["in.safetensors", "a.safetensors", "--mean", "1,2"], "--mean must be 1 or 3 numbers with commas between, got '1,2'"),
        (["in.safetensors", "a.safetensors", "--mean", "red"], "--mean must be 1 or 3 numbers with commas between, got 'red'"),
        (["in.safetensors", "a.safetensors", "--std", "0"], "std must be above 0 in every channel"),
        (["in.safetensors", "a.safetensors", "--classes", "gone.txt"], "--classes must be a text file in UTF-8"),
        (["in.safetensors", "a.pth", "--classes", "c.txt"], "OUT must be an .onnx, or a .safetensors without --names, where --classes"),
        (["in.safetensors", "a.safetensors", "--names", "timm", "--warp"], "without --names, where --warp is given, got a.safetensors"),
        (["in.safetensors", "a.onnx", "--names", "timm"], "OUT must be a .pth or a .safetensors where --names is given, got a.onnx"),
        (["in.safetensors", "a.pth", "--in-shape", "3,8,8"], "IN must be a file of another program where --in-shape is given, got in."),
        (["in.prototxt", "a.onnx", "--in-shape", "3,8"], "--in-shape must be 3 numbers with commas between, got '3,8'"),
    ],
)
def test_wrong_options_are_one_sentence(argv, text, capsys, tmp_path):
    save()
    (tmp_path / "in.prototxt").write_text('input: "data"\n')
    run(*argv, code=2)
    error = capsys.readouterr().err
    assert text in error and "Traceback" not in error


def test_a_net_that_computes_something_else_is_not_renamed(capsys):
    net, _ = save()
    rows = [row if row.name != "relu1" else type(row)("tanh", "relu1", {"a": 1.0, "b": 1.0}) for row in formats_rows(net)]
    write("net.prototxt,net.caffemodel", Imported("n", "x", tuple(rows), (3, 24, 24), state_on_host(net)))
    run("net.prototxt,net.caffemodel", "a.safetensors", "--net", "cifar-alexnet", code=2)
    error = capsys.readouterr().err
    assert "--net must be a net that computes the same, got cifar-alexnet, whose outputs differ by" in error
    assert "the file has tanh where the net has relu" in error


# ---------------------------------------------------------------- other commands with files of other programs


@pytest.fixture
def caffe(folder):
    """A net as two files of Caffe, with a picture."""
    net, about = save("resnet20-b", prepare=PREPARE)
    run("in.safetensors", "net.prototxt,net.caffemodel", "--check", "no")
    Image.fromarray(rng(2).integers(0, 256, (40, 50, 3), np.uint8)).save("cat.png")
    return "net.prototxt,net.caffemodel"


def said(capsys, *argv, code=0):
    capsys.readouterr()
    assert cli.main(list(map(str, argv))) == code
    return capsys.readouterr()


def test_net_and_compare_count_the_net_of_a_file(caffe, capsys):
    here, there = (json.loads(said(capsys, "net", name, "--json").out) for name in ("net.prototxt", "resnet20-b"))
    assert here["totals"]["parameters"] == there["totals"]["parameters"]
    assert "from net.prototxt" in said(capsys, "net", caffe).out
    both = json.loads(said(capsys, "compare", caffe, "resnet20-b", "--json").out)["nets"]
    assert both[0]["parameters"] == both[1]["parameters"] and both[0]["macs"] == both[1]["macs"]
    for option in (["--half"], ["--num-classes", "3"], ["--towers", "2"]):
        assert said(capsys, "net", "net.prototxt", *option, code=2).err.count("must be") == 1
    assert "gone.prototxt: the file must be readable" in said(capsys, "net", "gone.prototxt", code=2).err


def test_net_and_compare_are_told_the_size_that_a_file_leaves_open(folder, capsys):
    """As the nets of Caffe's examples for CIFAR-10, whose data layer reads a database."""
    data = 'layer { name: "cifar" type: "Data" top: "data" top: "label" }\n'
    fc = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 10 } }\n'
    (folder / "my net.prototxt").write_text(data + fc, encoding="utf-8")
    assert "--in-shape 3,32,32" in said(capsys, "net", "my net.prototxt", code=2).err
    size = ["--in-shape", "3,32,32"]
    assert json.loads(said(capsys, "net", "my net.prototxt", *size, "--json").out)["totals"]["parameters"] == 10 * 3 * 32 * 32 + 10
    lines = said(capsys, "compare", "my net.prototxt", *size).out.splitlines()
    assert lines[-1].startswith("next: tinyalex compare 'my net.prototxt' --in-shape 3,32,32 --by stage, ")


def test_a_file_of_layers_alone_is_told_what_it_lacks(caffe, capsys):
    for words in (["predict", "net.prototxt", "cat.png"], ["train", "--from", "net.prototxt", "--data", "synthetic"]):
        error = said(capsys, *words, code=2).err
        assert "net.prototxt: the file must hold the weights of its layers, got the layers alone; name the file of the weights" in error


def test_the_next_command_is_one_that_works(caffe, capsys):
    lines = said(capsys, "convert", "net.prototxt", "copy of it.prototxt").out.splitlines()
    assert lines[-1] == "next: tinyalex net 'copy of it.prototxt', its layers and their counts"
    said(capsys, "net", "copy of it.prototxt")
    pytest.importorskip("onnx", reason="the package onnx is not installed: install the extra 'test'")
    run(caffe, "alexnet.onnx", "--check", "no")
    next_one = "next: tinyalex compare alexnet.onnx alexnet --by stage, where in the net the numbers come from"
    assert said(capsys, "net", "alexnet.onnx").out.splitlines()[-1] == next_one  # no command for the net that the file is called after
    said(capsys, "compare", "alexnet.onnx", "alexnet", "--by", "stage")


def test_the_other_program_gives_the_output_that_was_asked_for(folder, capsys):
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed: install the extra 'test'")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: install the extra 'test' to compare")
    make = onnx.helper
    steps = (("Flatten", "x", "flat"), ("Relu", "flat", "a"), ("Tanh", "flat", "b"))
    nodes = [make.make_node(kind, [given], [made]) for kind, given, made in steps]
    shapes = {"x": ["N", 1, 2, 2], "a": ["N", 4], "b": ["N", 4]}
    x, *both = (make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items())
    graph = make.make_graph(nodes, "two", [x], both)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8), "two.onnx")
    for output in ("a", "b"):
        report = converted(capsys, "two.onnx", f"{output}.safetensors", "--output", output)
        assert report["agrees"] and [check["reason"] for check in report["checks"]] == ["", ""]


def test_predict_filters_features_and_explore_take_it_and_say_what_is_not_in_it(caffe, capsys):
    found = said(capsys, "predict", caffe, "cat.png", "--json")
    assert "how images are prepared is not in the file: the mean color of ImageNet is subtracted" in found.err
    assert "the names of the classes are those of CIFAR-10" in found.err
    (answer,) = json.loads(found.out)["pictures"]
    assert answer["top"][0]["class"] in ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    said(capsys, "filters", caffe, "--layer", "conv1", "--png", "f.png")
    said(capsys, "features", caffe, "cat.png", "--png", "g.png")
    said(capsys, "explore", caffe, "cat.png", "--out", "page.html")
    for file in ("f.png", "g.png", "page.html"):
        assert (convert.Path(file)).stat().st_size > 1000


def test_the_net_of_arrays_alone_is_named_without_its_data(caffe, capsys):
    run("in.safetensors", "net.pth", "--names", "tinyalex")
    given = said(capsys, "predict", "in.safetensors", "cat.png", "--json").out
    found = said(capsys, "predict", "net.pth", "cat.png", "--net", "resnet20-b", "--json").out
    assert json.loads(found)["net"]["net"] == json.loads(given)["net"]["net"] == "resnet20-b"
    assert "--data must name the data that the net was trained on" in said(
        capsys, "predict", "in.safetensors", "cat.png", "--net", "resnet20-b", code=2
    ).err
    said(capsys, "features", "net.pth", "cat.png", "--net", "resnet20-b", "--png", "g.png")


def test_explore_knows_a_net_from_a_picture(caffe, capsys):
    assert "PICTURE must be named after the checkpoint" in said(capsys, "explore", caffe, code=2).err


def test_data_name_the_classes_of_a_net_that_has_numbers(capsys):
    net, _ = save(prepare=CropAndFlip(PREPARE, 24))
    run("in.safetensors", "net.prototxt,net.caffemodel", "--check", "no")
    found = said(capsys, "evaluate", "net.prototxt,net.caffemodel", "--data", "synthetic", "--images", "20", code=2)
    assert "images of --data must be 3x24x24" in found.err
    pixels = ["--images", "32", "--mean", "110,112,114", "--std", "60,61,62"]
    run("net.prototxt,net.caffemodel", "mine.safetensors", *pixels, "--data", "synthetic")
    here, there = (
        json.loads(said(capsys, "evaluate", name, "--data", "synthetic", "--images", "20", "--json").out)
        for name in ("mine.safetensors", "in.safetensors")
    )
    for document in (here, there):
        document["nets"][0].pop("file"), document["nets"][0].pop("note"), document["nets"][0].pop("net")
    assert here["nets"] == there["nets"]


def test_train_begins_with_the_net_of_a_file_and_goes_on_without_it(caffe, capsys):
    options = ["--data", "synthetic", "--train-images", "40", "--test-images", "20", "--batch-size", "20", "--no-augment"]
    options += ["--schedule", "constant", "--out", "run"]
    found = said(capsys, "train", "--from", caffe, "--epochs", "1", "--lr", "1e-9", "--keep-head", *options)
    assert "begins with the weights in net.prototxt,net.caffemodel" in found.err
    net, saved = load_net("run")
    assert saved.rows and saved.classes == CLASSES and "trained on" in saved.note
    given = load_net("in.safetensors")[0]
    for name, array in state_on_host(given).items():
        if "running" not in name:
            assert np.allclose(state_on_host(net)[name], array, rtol=1e-3, atol=1e-6), name  # the run keeps them as float16
    for file in caffe.split(","):
        convert.Path(file).unlink()
    found = said(capsys, "train", "--from", caffe, "--epochs", "2", "--lr", "1e-9", "--keep-head", *options)
    assert "epoch 2 of 2" in found.err
    assert "--towers must be 1 for the net of --from, got 2" in said(capsys, "train", "--from", "run", "--towers", "2", code=2).err
    wrong = said(capsys, "train", "--from", "run", "--width", "2", *options[:-2], code=2).err
    assert "--width is given, got that of --from; leave it out" in wrong


def test_weights_of_a_net_of_the_registry_keep_the_preparation_that_they_want(caffe, capsys):
    run("in.safetensors", "net.pth", "--names", "tinyalex")
    options = ["--data", "synthetic", "--train-images", "20", "--test-images", "10", "--epochs", "1", "--no-augment", "--out", "run"]
    said(capsys, "train", "--from", "net.pth", *options)
    saved = load_net("run")[1]
    assert saved.net == "resnet20-b" and saved.rows and np.allclose(saved.prepare.std.ravel(), [58.395, 57.12, 57.375])


def test_weights_of_a_file_load_into_a_net_of_the_registry(caffe, capsys):
    options = ["--data", "synthetic", "--train-images", "40", "--test-images", "20", "--epochs", "1", "--no-augment", "--out", "other"]
    found = said(capsys, "train", "--net", "resnet20-b", "--from", caffe, *options)
    assert load_net("other")[1].net == "resnet20-b"
    assert f"the recipe prepares the images, perhaps on another scale than the weights in {caffe} want; without --net they are" in found.err


def test_every_format_is_told_in_the_help(capsys):
    out = said(capsys, "convert", "--help").out
    for each in formats.FORMATS:
        if each.reads:
            assert each.suffixes[0] in out
    assert read is formats.read and build
