"""`tinyalex evaluate`."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from tests.data.imagenet.making import class_folders
from tinyalex import cli
from tinyalex.analysis.paper_tables import TABLE_1, TABLE_2, Line, comparable, table_lines
from tinyalex.commands import evaluate, evaluate_report
from tinyalex.data import CropAndFlip, Crops, Standardize, SubtractMean, find, synthetic
from tinyalex.data.find import open_data
from tinyalex.data.imagenet import prepare
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.models import build
from tinyalex.models.weights import save_weights
from tinyalex.training import SavedNet, load_net
from tinyalex.training.probabilities import credit, predictions, probabilities
from tinyalex.training.saved_net import describe

PREPARE = CropAndFlip(Standardize((120, 121, 122), (60, 61, 62)), 24)
DATA = synthetic_dataset(30, 60, 0)
CLASSES = DATA.classes


def write(path, seed=0, note="drawn at random", **changed):
    """A file of an untrained net for the synthetic images."""
    about = SavedNet(**{"net": "cifar-alexnet", "classes": CLASSES, "prepare": PREPARE, "image_shape": (3, 32, 32), "note": note} | changed)
    net = build(about.net, **about._settings(), seed=seed)
    save_weights(path, net, about=about)
    return net


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """An empty working folder, few synthetic images, and three nets for them."""
    draw = synthetic.synthetic_dataset
    monkeypatch.setattr(find, "synthetic_dataset", lambda train, test, seed: draw(30, 60, seed))
    monkeypatch.delenv("TINYALEX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        write(f"net{seed}", seed)


def answer(capsys, *argv):
    assert cli.main(["evaluate", *argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_help_is_the_line_of_the_table(capsys):
    assert evaluate.HELP == cli.COMMANDS["evaluate"][1]
    assert cli.main(["evaluate", "--help"]) == 0
    assert f"example:\n  {evaluate.EXAMPLE}" in capsys.readouterr().out


@pytest.mark.parametrize("views", [1, 10])
def test_errors_are_those_of_the_probabilities(capsys, views):
    found = answer(capsys, "net0", "--data", "synthetic", "--views", str(views), "--batch-size", "16")
    net, saved = load_net("net0")
    given = probabilities(net, (DATA.test_images, DATA.test_labels), saved.prepare, views)
    right, right5 = (credit(given, DATA.test_labels, k) for k in (1, 5))
    assert found["images"] == 60 and found["views"] == views and found["mean"] is None
    (one,) = found["nets"]
    assert one["error"] == pytest.approx(1 - right.mean()) and one["top5_error"] == pytest.approx(1 - right5.mean())
    assert (one["file"], one["net"], one["note"]) == ("net0", "cifar-alexnet", "drawn at random")
    assert found["data"] == {"name": "synthetic", "note": "synthetic shapes, seed 0", "synthetic": True, "part": "test"}
    for row in found["classes"]:
        own = DATA.test_labels == CLASSES.index(row["class"])
        assert row["images"] == own.sum() and row["error"] == pytest.approx(1 - right[own].mean())
    assert found["comparable_with_the_paper"] is False


def test_the_mean_of_several_is_of_their_probabilities(capsys):
    found = answer(capsys, "net0", "net1", "net2", "--data", "synthetic")
    data = (DATA.test_images, DATA.test_labels)
    given = [probabilities(load_net(f"net{k}")[0], data, PREPARE) for k in range(3)]
    mean = 1 - credit(np.mean(np.array(given, np.float64), axis=0), data[1]).mean()
    assert found["mean"]["error"] == pytest.approx(mean)
    assert [one["error"] for one in found["nets"]] == pytest.approx([1 - credit(one, data[1]).mean() for one in given])


def test_report_has_every_table_and_the_paper_beside(capsys):
    assert cli.main(["evaluate", "net0", "net1", "--data", "synthetic", "--views", "10", "--png", "mixed.png"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("asks 2 nets about 60 test images of synthetic, ten views; about ")
    assert "net0: cifar-alexnet, 10 classes; drawn at random\n" in out
    assert "synthetic (synthetic shapes, seed 0): 60 test images, ten views\n" in out
    assert all(f"\n{name} " in out for name in [*CLASSES, "net0", "net1", "mean of 2 nets", "class"])
    assert "mixed up most often:\n" in out and " taken for " in out
    lines = [line.split() for line in out.splitlines()]
    assert ["CNN", "37.5", "%", "17.0", "%"] in lines and ["7", "CNNs*", "36.7", "%", "15.4", "%", "15.3", "%"] in lines
    assert out.count("here: mean of 2 nets") == 2
    assert "\nnot comparable: synthetic has 10 classes, the paper's data have 1,000; fewer classes are easier to tell apart\n" in out
    assert out.endswith("mixed.png shows the classes that are mixed up most often\n")
    with Image.open("mixed.png") as picture:
        assert picture.width == 960


def test_part_number_of_images_and_workers(capsys):
    train = answer(capsys, "net0", "--data", "synthetic", "--split", "train", "--workers", "1")
    assert train["images"] == 30 and train["data"]["part"] == "training"
    few = answer(capsys, "net0", "--data", "synthetic", "--images", "20")
    kept = np.arange(20) * 3  # of 60, evenly spaced
    given = probabilities(load_net("net0")[0], (DATA.test_images[kept], DATA.test_labels[kept]), PREPARE)
    assert few["images"] == 20 and few["nets"][0]["error"] == pytest.approx(1 - credit(given, DATA.test_labels[kept]).mean())


class StopsAfter:
    """Stands for `StopSignals`: a signal comes after so many batches."""

    def __init__(self, batches, number=2):
        self.left, self.number = batches, number

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    @property
    def received(self):
        self.left -= 1
        return self.number if self.left < 0 else None


ALL = ["net0", "net1", "--data", "synthetic", "--images", "42", "--views", "10", "--batch-size", "70"]  # 7 images in a batch


def undated(document):
    return {key: value for key, value in document.items() if key != "date"}


@pytest.mark.parametrize(("batches", "number", "code"), [(0, 2, 130), (4, 15, 143)])
def test_a_stopped_run_goes_on_and_ends_in_the_same_numbers(batches, number, code, capsys, monkeypatch, tmp_path):
    whole = answer(capsys, *ALL)
    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "StopSignals", lambda: StopsAfter(batches, number))
        assert cli.main(["evaluate", *ALL, "--json"]) == code
    out, err = capsys.readouterr()
    done, line = 7 * (batches + 1), err.splitlines()[-1]
    assert (
        out == "" and f"tinyalex: evaluate: stopped by {'Ctrl-C' if number == 2 else 'SIGTERM'} after {done} images, whose counts" in line
    )
    again = shlex.split(line.partition("; go on with: tinyalex ")[2])
    assert again == ["evaluate", *ALL, "--json"]
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 1
    assert cli.main(again) == 0
    out, err = capsys.readouterr()
    assert undated(json.loads(out)) == undated(whole) and f"goes on after {done} images that an earlier run counted; about " in err
    assert not list((tmp_path / "cache").rglob("*.npz"))
    assert "goes on" not in (cli.main(again), capsys.readouterr().err)[1]


def test_counts_are_kept_now_and_then_for_a_run_that_is_killed(capsys, monkeypatch, tmp_path):
    whole = answer(capsys, *ALL)

    def killed(*given):
        for number, batch in enumerate(predictions(*given)):
            if number == 4:
                raise MemoryError
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "SAVE_EVERY_S", 0.0)
        patch.setattr(evaluate, "predictions", killed)
        assert cli.main(["evaluate", *ALL]) == 1
    assert answer(capsys, "net0", *ALL[2:]) and answer(capsys, *ALL[:-1], "80") and answer(capsys, "net1", "net0", *ALL[2:])  # others
    (file,) = (tmp_path / "cache").rglob("*.npz")
    kept = file.read_bytes()
    for damaged in (b"", kept[:-30], kept.replace(b"top1", b"pot1")):
        file.write_bytes(damaged)
        capsys.readouterr()
        assert undated(answer(capsys, *ALL)) == undated(whole)
    file.write_bytes(kept)
    assert cli.main(["evaluate", *ALL]) == 0
    assert "goes on after 28 images" in capsys.readouterr().err


def test_a_run_that_cannot_keep_its_counts_says_so(capsys, monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    monkeypatch.setattr(evaluate, "StopSignals", lambda: StopsAfter(1))
    assert cli.main(["evaluate", *ALL, "--png", "m.png"]) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert "after 14 images, whose counts could not be kept; start again with: tinyalex evaluate net0 net1 --data synthetic" in line
    assert line.endswith("--images 42 --views 10 --batch-size 70 --png m.png")


def test_two_towers_give_the_same(capsys):
    one, two = (answer(capsys, "net0", "--data", "synthetic", "--devices", devices) for devices in ("cpu", "cpu:0,cpu:1"))
    assert one["nets"][0]["error"] == two["nets"][0]["error"]
    assert one["nets"][0]["loss"] == pytest.approx(two["nets"][0]["loss"], rel=1e-5)


def test_data_with_fewer_classes_in_another_order_are_matched_by_name(capsys):
    write("more", classes=("moon", *reversed(CLASSES), "sun"))
    found = answer(capsys, "more", "--data", "synthetic")
    net, _ = load_net("more")
    places = 10 - DATA.test_labels
    given = probabilities(net, (DATA.test_images, places), PREPARE)
    assert found["nets"][0]["error"] == pytest.approx(1 - credit(given, places).mean())
    assert {row["class"] for row in found["classes"]} == set(CLASSES)


def test_an_old_file_needs_its_net_and_data(capsys):
    save_weights("old", build("cifar-alexnet"))
    assert cli.main(["evaluate", "old", "--data", "synthetic"]) == 2
    assert "old: the file must describe its network, got weights alone" in (said := capsys.readouterr().err)
    assert "say which with --net NAME and --data DATA" in said
    found = answer(capsys, "old", "--data", "synthetic", "--net", "cifar-alexnet")
    prepare = CropAndFlip(Standardize.fit(DATA.train_images), 24)
    given = probabilities(build("cifar-alexnet"), (DATA.test_images, DATA.test_labels), prepare)
    assert found["nets"][0]["error"] == pytest.approx(1 - credit(given, DATA.test_labels).mean())
    assert cli.main(["evaluate", "old", "--data", "synthetic", "--net", "alexnet"]) == 2
    assert cli.main(["evaluate", "old", "--data", "synthetic", "--net", "figure1"]) == 2
    assert "old: figure1 with 10 classes: param conv2.weight must have shape (32, 32, 5, 5), got (64, 16, 5, 5)" in capsys.readouterr().err


def other_size(path):
    write(path, prepare=CropAndFlip(SubtractMean(np.zeros((3, 40, 40))), 24), image_shape=(3, 40, 40))


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["nowhere"], "nowhere: the checkpoint must be a file or the folder of a run, got nothing of that name"),
        (["."], "the folder must hold a checkpoint of a run or weights.safetensors, got neither"),
        (["net0", "--data", "nowhere"], "data must be auto, cifar10, synthetic"),
        (["net0", "--views", "5"], "evaluate: --views must be 1 or 10, got 5"),
        (["net0", "--batch-size", "0"], "evaluate: --batch-size must be an integer of at least 1, got 0"),
        (["net0", "--workers", "-1"], "evaluate: --workers must be an integer of at least 0, got -1"),
        (["net0", "--images", "0"], "evaluate: --images must be an integer of at least 1, got 0"),
        (["net0", "--images", "61"], "number of val images must be an integer from 1 to 60, got 61"),
        (["net0", "--net", "alexnt"], "NAME must be one of alexnet"),
        (["net0", "--net", "figure1"], "evaluate: --net must be cifar-alexnet, which net0 says that it is, got figure1; leave --net out"),
        (["net0", "--devices", "gpu"], "device must be"),
        (["net0", "--png", "none/mixed.png"], "evaluate: --png must name a file in a folder that can be written, got no folder "),
        (["net0", "--png", "."], "evaluate: --png must name a file in a folder that can be written, got a folder"),
        (["figure1"], "classes of --data must be among the 10 of figure1, got 'disk', 'ring', 'square' ... in synthetic"),
        (["whole", "--views", "10"], "evaluate: --views must be 1 for whole, which reads whole images of 3x32x32, got 10"),
        (["other-size"], "images of --data must be 3x40x40, which other-size was trained on, got 3x32x32 in synthetic"),
        (["net0", "other-size"], "evaluate: other-size must read images of 3x32x32, as net0 does, got 3x40x40"),
        (["net0", "other-class"], "evaluate: other-class must have the classes of net0, 10 in all, got 'moon' in place of 'disk'"),
        (["net0", "more"], "evaluate: more must have the classes of net0, 10 in all, got 11"),
        (["twice"], "classes of --data must be among the 10 of twice, got a name twice in synthetic"),
    ],
)
def test_bad_input_is_one_sentence(argv, text, capsys, tmp_path):
    write("whole", options={"input_size": 32}, prepare=SubtractMean(np.zeros((3, 32, 32))))
    other_size("other-size")
    write("other-class", classes=("moon", *CLASSES[1:]))
    write("more", classes=(*CLASSES, "moon"))
    write("twice", classes=(*CLASSES, CLASSES[0]))
    assert cli.main(["evaluate", *argv, *([] if "--data" in argv else ["--data", "synthetic"])]) == 2
    out, err = capsys.readouterr()
    last = err.splitlines()[-1]
    assert out == "" and last.startswith("tinyalex: error: ") and text in last


def test_a_file_of_another_architecture_names_the_tensor_and_both_shapes(capsys):
    about = SavedNet("cifar-alexnet", CLASSES, PREPARE, (3, 32, 32))
    from tinyalex.files.tensors import write_tensors
    from tinyalex.models.weights import FORMAT, state_on_host

    text, arrays = about.stored()
    write_tensors("wrong", state_on_host(build("figure1")) | arrays, FORMAT, 2, text)
    assert cli.main(["evaluate", "wrong", "--data", "synthetic"]) == 2
    said = capsys.readouterr().err
    assert "wrong: cifar-alexnet with 10 classes: param conv2.weight must have shape (64, 16, 5, 5), got (32, 32, 5, 5)" in said


def test_a_diverged_net_is_refused(capsys):
    net = build("cifar-alexnet")
    net["conv2"].params["weight"][0, 0] = np.nan
    save_weights("diverged", net, about=SavedNet("cifar-alexnet", CLASSES, PREPARE, (3, 32, 32)))
    assert cli.main(["evaluate", "diverged", "--data", "synthetic"]) == 2
    assert (
        "diverged: conv2.weight must be finite, got a NaN or an infinity; the training of this net has diverged" in capsys.readouterr().err
    )


def test_tables_of_the_paper_and_what_can_be_compared():
    assert [line.errors for line in TABLE_1.lines] == [(47.1, 28.2), (45.7, 25.7), (37.5, 17.0), (39.0, 18.3)]
    first, *rest = table_lines(TABLE_2, [Line("here: a", (12.34, 5.0))])
    assert first.startswith("Table 2 of the paper") and rest[-1].split() == ["here:", "a", "12.3", "%", "5.0", "%", "-"]
    assert len({len(line) for line in rest}) == 1
    assert comparable(10, 100, "mine").startswith("not comparable: mine has 10 classes")
    assert comparable(1000, 100, "mine").startswith("comparable only where mine is the whole set that the paper names")


def test_photographs_in_shards_and_in_folders(capsys, tmp_path):
    """The way from a folder of pictures to errors and answers, for a net that cuts crops out of 256 by 256 pixels."""
    prepare(class_folders(tmp_path / "src", each=10), tmp_path / "dest", processes=1)
    sources = open_data(tmp_path / "dest")
    about = describe("alexnet", {"width": 1 / 16, "input_size": 67}, sources, Crops(sources.mean_image(), 67))
    save_weights("net", about.build(), about=about)
    found = answer(capsys, "net", "--data", "dest", "--views", "10", "--workers", "1", "--split", "train")
    given = probabilities(load_net("net")[0], sources.train, about.prepare, 10)
    assert found["images"] == 27 and found["nets"][0]["error"] == pytest.approx(1 - credit(given, sources.train.labels).mean())
    assert answer(capsys, "net", "--data", "src")["images"] == 3  # the same names, in place
    assert cli.main(["predict", "net", "src", "--views", "10"]) == 0
    out = capsys.readouterr().out
    assert out.count(" pixels, right: ") == 30 and "of 30 with a known class, " in out
    assert cli.main(["evaluate", "net", "--data", "synthetic"]) == 2
    assert "images of --data must be 3x256x256, which net was trained on, got 3x32x32 in synthetic" in capsys.readouterr().err


def test_many_classes_are_printed_by_their_error(capsys):
    names = tuple(f"class {k}" for k in range(30))
    labels = np.arange(60) % 30

    result = evaluate_report.Result(
        [evaluate_report.Loaded("n", build("cifar-alexnet", num_classes=30), SavedNet("cifar-alexnet", names, PREPARE, (3, 32, 32)))],
        [tally := evaluate_report.Tally(30)], None, "test", find.load_dataset("synthetic").sources(), 1,
    )  # fmt: skip
    given = np.eye(30)[np.where(labels < 12, (labels + 1) % 30, labels)]
    tally.add(given, labels)
    lines = evaluate_report.report(result)
    table = lines[lines.index(next(line for line in lines if line.startswith("class "))) + 1 :]
    assert [line.split("  ")[0] for line in table[:12]] == [f"class {k}" for k in range(12)] and "100.0 %" in table[11]
    assert "these are the 20 of the largest error; --json has all 30" in lines


def test_a_perfect_net_has_no_pairs(tmp_path):
    from tinyalex.analysis.predictions import draw_mixed

    draw_mixed([], "no image is taken for another class", "10 images", tmp_path / "none.png")
    with Image.open(tmp_path / "none.png") as picture:
        assert picture.format == "PNG"
