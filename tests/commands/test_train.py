"""`tinyalex train`, on so few images that a run takes a second."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.stops import stopped_at
from tinyalex import cli
from tinyalex.commands import train, train_plan
from tinyalex.commands.shared import command_of
from tinyalex.data import Dataset, Standardize, synthetic_dataset
from tinyalex.devices import get_device
from tinyalex.devices.sim import GTX_580, SimDevice
from tinyalex.errors import Interrupted
from tinyalex.files.tensors import write_tensors
from tinyalex.models.pretrained import trained_figure1
from tinyalex.models.registry import build
from tinyalex.models.rows import change
from tinyalex.models.weights import read_weights
from tinyalex.training import load_checkpoint, load_weights
from tinyalex.training.checkpoint import checkpoint_files
from tinyalex.training.recipe_table import OF_NET
from tinyalex.training.recipes import NAMES, recipe_of

small = importlib.import_module("tinyalex.models.cifar_alexnet")  # the package has a function of that name
SMALL = ["train", "--data", "synthetic", "--train-images", "20", "--test-images", "8", "--batch-size", "8", "--devices", "cpu:0"]
FILES = ("curve.png", "log.jsonl", "result.json", "weights.safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of two epochs; nothing writes here."""
    folder = tmp_path_factory.mktemp("done") / "run"
    assert cli.main([*SMALL, "--epochs", "2", "--schedule", "constant", "--out", str(folder)]) == 0
    return folder


def read(folder):
    return json.loads((folder / "result.json").read_text())


def curves(folder):
    return {key: values for key, values in read(folder)["curves"].items() if key not in ("wall_s", "images_per_s", "wait_s")}


def test_outputs(folder):
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("checkpoint-")) == sorted(FILES)
    with Image.open(folder / "curve.png") as image:
        image.load()
        assert image.format == "PNG" and image.width == 1200


def test_result_holds_what_a_reader_needs(folder):
    document = read(folder)
    assert (document["format"], document["format_version"], document["epochs"]) == ("tinyalex-run", 1, 2)
    assert document["net"] == {"name": "cifar-alexnet", "towers": 1, "devices": "cpu:0", "parameters": 363_018}
    assert document["config"]["data"]["synthetic"] is True and document["config"]["val"] == "test images"
    assert document["test"]["images"] == 8 and 0 <= document["test"]["top5_error"] <= document["test"]["error"] <= 1
    assert len(document["curves"]["val_error"]) == len(document["curves"]["running_error"]) == 2 and document["wall_s"] > 0
    assert {"machine", "versions", "blas", "device", "workers", "date", "command"} <= set(document)
    assert "towers" not in json.dumps(document["config"]) and "cpu" not in json.dumps(document["config"])


def test_weights_are_half_precision_and_say_what_they_were_trained_on(folder):
    from safetensors import safe_open

    with safe_open(folder / "weights.safetensors", "numpy") as file:
        assert file.metadata()["note"] == "trained on synthetic: synthetic shapes, seed 0"
        assert file.get_tensor("conv1.weight").dtype == np.float16
    assert (folder / "weights.safetensors").stat().st_size < 1_000_000
    net = build("cifar-alexnet", towers=2, devices="cpu:0")
    load_weights(folder / "weights.safetensors", net)
    trained = load_checkpoint(checkpoint_files(folder)[-1]).params["fc8.weight"]
    assert np.allclose(net.params["fc8.weight"], trained, rtol=1e-3, atol=1e-6)


def test_run_says_what_to_expect_what_came_out_and_what_is_next(tmp_path, capsys):
    assert cli.main([*SMALL, "--epochs", "1", "--no-augment", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("trains for 1 epoch of ")
    assert "\n20 training images (synthetic: synthetic shapes, seed 0); cifar-alexnet on cpu:0, recipe small\n" in err
    assert "\nan error of 90 % is chance: " in err
    assert f"chance: a guess among 10 classes is wrong that often\nwrites to {tmp_path}\n" in err
    assert f" s; about {1} s\nafter a stop, go on with: tinyalex train " in err.replace("about 0 s", "about 1 s")
    assert f"--no-augment --out {tmp_path}\n" in err and "\nepoch 1 of 1: loss " in err
    test = read(tmp_path)["test"]
    assert f"\n  test error {100 * test['error']:.2f} % of 8 images: their label is not the class with the highest score\n" in out
    assert f"\n  top-5 error {100 * test['top5_error']:.2f} %: their label is not among the five classes with the highest scores\n" in out
    assert all(f"wrote {tmp_path / name}\n" in out for name in FILES)
    assert out.splitlines()[-1].startswith("next: tinyalex train ")


def test_json_is_the_result(tmp_path, capsys):
    assert cli.main([*SMALL, "--epochs", "1", "--json", "--out", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == read(tmp_path)


def test_same_command_goes_on_and_two_towers_too(folder, tmp_path, capsys):
    options = [*SMALL[:-2], "--schedule", "constant", "--out", str(tmp_path)]
    assert cli.main([*options, "--epochs", "1", "--towers", "2"]) == 0
    assert cli.main([*options, "--epochs", "2", "--devices", "cpu:0"]) == 0  # the checkpoint of two towers, in one
    assert "\nepoch 1: " not in capsys.readouterr().err.rpartition("writes to ")[2]
    for key, values in curves(folder).items():
        assert np.allclose(curves(tmp_path)[key], values, rtol=1e-4), key
    before = curves(tmp_path)
    assert cli.main([*options, "--epochs", "2", "--towers", "2"]) == 0  # there is nothing left to do
    assert curves(tmp_path) == before


def test_interrupted_run_goes_on_exactly(folder, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stopped_at(patch, 4)
        assert cli.main([*SMALL, "--epochs", "2", "--schedule", "constant", "--out", str(tmp_path)]) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"stopped by Ctrl-C after step 4 and saved in {tmp_path}; go on with: tinyalex train --data synthetic --train-images 20" in line
    assert cli.main(shlex.split(line.partition("go on with: tinyalex ")[2])) == 0
    assert curves(tmp_path) == curves(folder)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--lr", "0.02"], "got trainer.first_lr = 0.02 where that had 0.01"),
        (["--seed", "1"], "got net.seed = 1 where that had 0"),
        (["--no-augment"], "got augment = false where that had true"),
        (["--net", "figure1"], 'got net.name = "figure1" where that had "cifar-alexnet"'),
        (["--schedule", "dexp"], "got schedule."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_other_configuration_exits_2_and_nothing_is_lost(folder, options, text, capsys):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert cli.main([*SMALL, "--epochs", "2", "--schedule", "constant", *options, "--out", str(folder)]) == 2
    assert text in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("schedule", ["plateau", "dexp", "steps"])
def test_every_schedule_trains(schedule, tmp_path):
    assert cli.main([*SMALL, "--epochs", "1", "--schedule", schedule, "--net", "figure1", "--out", str(tmp_path)]) == 0
    config = read(tmp_path)["config"]
    held_out = 2 if schedule == "plateau" else 0
    assert config["val"] == ("training images held out" if held_out else "test images")
    assert config["trainer"]["train_images"] == 20 - held_out and config["trainer"]["val_images"] == (held_out or 8)


@pytest.mark.parametrize(("epochs", "after"), [(20, (14, 18)), (3, (2,)), (2, (1,)), (1, ())])
def test_rate_drops_at_70_and_90_percent(epochs, after, tmp_path, monkeypatch):
    made = []

    def seen(*args):
        made.append(recipe_in(*args)[1].schedule_for())
        raise Interrupted("enough")

    recipe_in = train.recipe_in
    monkeypatch.setattr(train, "recipe_in", seen)
    assert cli.main([*SMALL, "--epochs", str(epochs), "--out", str(tmp_path)]) == 130
    assert made[0].after == after


def test_a_run_that_diverges_with_finite_numbers_says_so(tmp_path, capsys):
    """The parameters are finite and far too large for float16, which is not what the user can mend."""
    assert cli.main([*SMALL, "--train-images", "16", "--epochs", "1", "--lr", "1e6", "--schedule", "constant", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        r"tinyalex: error: train: the loss must be below 2\.\d+, that of a guess, while parameters are as large as \S+ in \w+ of \w+, "
        r"got \S+ in epoch 1, after step 2: the training has diverged; "
        r"begin again in another folder with a lower learning rate, such as --lr 0\.1 for 1e\+06",
        said,
    ), said
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_net_that_learns_with_a_large_parameter_is_kept_in_float32(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "too_large", lambda net, dtype: "1e+05 in weight of fc8" if dtype == "float16" else None)
    monkeypatch.setattr(train, "entropy_of", lambda labels: 1e9)
    assert cli.main([*SMALL, "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "float16 does not hold 1e+05 in weight of fc8, so weights.safetensors has float32\n" in capsys.readouterr().err
    trained = load_checkpoint(checkpoint_files(tmp_path)[-1]).params["fc8.weight"]
    assert np.array_equal(read_weights(tmp_path / "weights.safetensors")[0]["fc8.weight"], trained)


def test_out_of_memory_exits_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train_plan, "build", lambda name, **settings: build(name, **{**settings, "devices": on_card(settings["devices"])}))
    assert cli.main([*SMALL[:-2], "--devices", "sim:0", "--epochs", "1", "--out", str(tmp_path)]) == 1
    assert "bytes does not fit" in capsys.readouterr().err


@pytest.fixture
def sim_8():
    """A simulated GPU that other tests do not use, with all its memory again at the end."""
    device = get_device("sim:8")
    yield device
    device.limit_memory(GTX_580)


def test_memory_limit_is_that_of_each_device(tmp_path, sim_8, capsys):
    command = [*SMALL[:-2], "--devices", "sim:8", "--epochs", "1", "--out", str(tmp_path), "--memory-limit", "6MB"]
    assert cli.main(command) == 1
    err = capsys.readouterr().err
    assert re.search(r"error: [\w ]+: sim:8: an array of [\d,]+ bytes does not fit, [\d,]+ of 6,000,000 bytes are left; use a smaller", err)


@pytest.mark.parametrize("towers", [1, 2])
def test_memory_limit_below_what_the_net_itself_needs_says_this_need(towers, tmp_path, sim_8, capsys):
    """The number is the least: with it the parameters, gradients and velocities fit, and only the images do not."""
    before = sim_8.memory
    command = [*SMALL[:-2], "--towers", str(towers), "--devices", "sim:8", "--epochs", "1", "--out", str(tmp_path), "--memory-limit"]
    assert cli.main([*command, "3B"]) == 2
    err = capsys.readouterr().err
    found = re.search(r"error: train: --memory-limit must be at least (\d+)B \([\d.]+ MiB\), what the parameters, their gradients ", err)
    assert found and err.endswith("on sim:8 before the first image, got 3B; use a higher limit; a smaller batch does not change this\n")
    net = build("cifar-alexnet", towers=towers, devices="cpu")
    assert int(found[1]) == 12 * sum(value.size for leaf in net.leaves() for value in leaf.params.values())
    assert sim_8.memory == before
    assert cli.main([*command, f"{int(found[1]) - 1}B"]) == 2
    assert cli.main([*command, f"{found[1]}B"]) == 1
    assert "an array of" in capsys.readouterr().err


def test_tf32_is_asked_of_each_device(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(SimDevice, "use_tf32", lambda self: asked.append(self.name))
    command = ["train", "--net", "cifar-alexnet", "--towers", "2", "--devices", "sim:0,sim:1", "--data", "synthetic", "--train-images", "4"]
    assert cli.main([*command, "--test-images", "4", "--epochs", "1", "--batch-size", "4", "--tf32", "--out", str(tmp_path)]) == 0
    assert asked == ["sim:0", "sim:1"]


def on_card(device):
    """The small card that stands in for sim:0; the plan without arrays stays what it is."""
    return SimDevice(0, memory=6_000_000) if device == "sim:0" else device


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--net", "alexnet"], "at most 3x32x32, as synthetic has them, got 'alexnet', which reads 3x224x224; use one of ci"),
        (["--net", "cifar-alexnt"], "net: NAME must be one of alexnet, "),
        (["--net", "figure1", "--towers", "2"], "figure1: towers must be 1, got 2"),
        (["--towers", "3"], "cifar-alexnet: towers must be 1 or 2, got 3"),
        (["--towers", "2", "--devices", "cpu:0,sim:0"], "cifar-alexnet: devices must be of one kind, got cpu:0 and sim:0"),
        (["--devices", "gpu"], "cifar-alexnet: device must be 'cpu', 'cpu:K', 'sim:K' or 'cuda:K' with K = 0, 1, ..., got 'gpu'"),
        (["--memory-limit", "3GiB"], "cpu:0: the memory limit must be of a GPU, simulated or real, got cpu:0; use sim:0 or cuda:0"),
        (["--memory-limit", "much", "--devices", "sim:8"], "train: --memory-limit: memory must be a number with one of B, KB, "),
        (["--memory-limit", "3", "--devices", "sim:8"], "from 1B to 1,073,741,824GiB, got '3'; write the unit too, 3GiB"),
        (["--memory-limit", "3B", "--devices", "sim:8", "--net", "figure1"], "train: --memory-limit must be at least "),
        (["--tf32"], "cpu:0: TF32 must be used on a real GPU, got cpu:0; use cuda:0"),
        (["--epochs", "0"], "train: --epochs must be an integer of at least 1, got 0"),
        (["--train-images", "0"], "train: --train-images must be an integer of at least 1, got 0"),
        (["--batch-size", "0"], "train: --batch-size must be an integer of at least 1, got 0"),
        (["--seed", "-1"], "seed must be an integer of at least 0, got -1"),
        (["--lr", "0"], "recipe: lr must be a number above 0, got 0.0"),
        (["--lr", "nan"], "recipe: lr must be a number above 0, got nan"),
        (["--momentum", "1"], "sgd: momentum must be from 0 to below 1, got 1.0"),
        (["--schedule", "cosine"], "train: --schedule must be plateau, steps, dexp or constant, got 'cosine'"),
        (["--drop-after", "soon"], "train: --drop-after must be epochs with commas between, such as 14,18, got 'soon'"),
        (["--drop-after", "3,2"], "schedule: after must be epochs in rising order, got (3, 2)"),
        (["--drop-after", "3", "--schedule", "dexp"], "train: --schedule must be steps where --drop-after is given, got 'dexp'"),
        (["--patience", "3"], "train: --schedule must be plateau where --patience is given, got 'steps'"),
        (["--times", "3", "--schedule", "dexp"], "train: --schedule must be plateau where --times is given, got 'dexp'"),
        (["--divide-by", "3", "--schedule", "dexp"], "train: --schedule must be plateau or steps where --divide-by is given, got 'dexp'"),
        (["--color-noise", "0.1"], "train: --pixels must be mean-image where --color-noise is given, got 'standardize'"),
        (["--offsets", "paper"], "train: --pixels must be mean-image where --offsets is given, got 'standardize'"),
        (["--val-images", "20"], "train: --val-images must be from 0 to 19 of 20 training images, got 20"),
        (["--val-images", "0", "--schedule", "plateau"], "train: --val-images must be from 1 to 19 of 20 training images, got 0"),
        (["--out", ""], "train: --out must be the name of a folder, got ''; use . for the current one"),
        (["--out", " "], "train: --out must be the name of a folder, got ' '; use . for the current one"),
        (["--data", "nowhere"], "load_dataset: data must be auto, cifar10, synthetic or a folder that is there"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_option_exits_2_and_writes_nothing(options, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*SMALL, *options]) == 2
    assert text in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_out_that_is_a_file_exits_2(tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    assert cli.main([*SMALL, "--out", str(tmp_path / "file")]) == 2
    assert "the folder must be one that can be made, got File exists" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"


def gone(lines):
    return []


def one_missing(lines):
    return [lines[0], *lines[2:]]


def no_loss(lines):
    return [*lines[:-1], lines[-1].replace('"loss"', '"lost"')]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (gone, "log.jsonl: the log must hold the 2 epochs of its checkpoint, got 0; bring it back"),
        (one_missing, "log.jsonl: epochs must be 1, 2, ... in order, got 2 in place of 1; the file was altered"),
        (no_loss, "log.jsonl: line 3 must agree with its check, got "),
    ],
)
def test_altered_log_exits_2_and_stays_as_it_is(folder, change, text, tmp_path, capsys):
    copy = shutil.copytree(folder, tmp_path / "copy")
    lines = (copy / "log.jsonl").read_text().splitlines(keepends=True)
    (copy / "log.jsonl").write_text("".join(change(lines)))
    before = {path: path.read_bytes() for path in copy.iterdir()}
    assert cli.main([*SMALL, "--epochs", "2", "--schedule", "constant", "--out", str(copy)]) == 2
    assert text in capsys.readouterr().err
    assert {path: path.read_bytes() for path in copy.iterdir()} == before


def newer(path, whole):
    write_tensors(path, {}, "tinyalex-checkpoint", 4, {})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda path, whole: path.write_bytes(whole[:999]), "must be a whole tinyalex-checkpoint file, got 999 bytes; it is truncated"),
        (lambda path, whole: path.write_bytes(whole[:-1]), "it is truncated or altered"),
        (lambda path, whole: path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1])), "SHA-256 must be "),
        (newer, "got 4; install the tinyalex that wrote it"),
    ],
    ids=["cut short", "a byte too few", "a bit altered", "of a newer format"],
)
def test_damaged_checkpoint_exits_2(folder, change, text, tmp_path, capsys):
    copy = shutil.copytree(folder, tmp_path / "copy")
    change(path := checkpoint_files(copy)[-1], path.read_bytes())
    assert cli.main([*SMALL, "--epochs", "2", "--schedule", "constant", "--out", str(copy)]) == 2
    err = capsys.readouterr().err
    assert f"tinyalex: error: {path}: " in err and text in err and "Traceback" not in err


def test_checkpoint_of_another_architecture_exits_2_and_names_the_layer(folder, tmp_path, monkeypatch, capsys):
    copy = shutil.copytree(folder, tmp_path / "copy")
    monkeypatch.setattr(small, "ROWS", change(small.ROWS, conv1={"out_channels": 16}))
    assert cli.main([*SMALL, "--epochs", "2", "--schedule", "constant", "--out", str(copy)]) == 2
    text = "got trainer.layers.conv1.out_channels = 16 where that had 32; use its settings and data, or another folder"
    assert text in capsys.readouterr().err


def test_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cli.main([*SMALL, "--epochs", "1", "--out", "~/run"]) == 0
    assert (tmp_path / "home" / "run" / "result.json").is_file() and not (tmp_path / "~").exists()


def test_every_option_reaches_the_run(tmp_path, monkeypatch):
    fitted = []
    fit = Standardize.fit
    monkeypatch.setattr(Standardize, "fit", lambda images: fitted.append(images) or fit(images))
    options = "--momentum 0.5 --weight-decay 0.25 --seed 3 --lr 0.002 --val-images 6 --epochs 1 --schedule constant".split()
    assert cli.main([*SMALL, *options, "--out", str(tmp_path)]) == 0
    config = read(tmp_path)["config"]
    expected = {"momentum": 0.5, "weight_decay": 0.25, "seed": 3, "first_lr": 0.002, "train_images": 14, "val_images": 6, "batch_size": 8}
    assert {key: config["trainer"][key] for key in expected} == expected and config["net"]["seed"] == 3
    assert [len(images) for images in fitted] == [14]  # what is held out decides nothing


FIELD_OPTIONS = {
    "epochs": "7",
    "batch_size": "9",
    "lr": "0.5",
    "momentum": "0.25",
    "weight_decay": "0.125",
    "bias_lr": "3",
    "bias_decay": "4",
    "bias_lr_falls": None,
    "schedule": "steps",
    "patience": "2",
    "times": "1",
    "divide_by": "5",
    "drop_after": "3",
    "pixels": "standardize",
    "augment": None,
    "offsets": "code",
    "own_mean_window": None,
    "color_noise": "0.5",
    "color_shrink": "2",
    "noise_until": "6",
    "padding": "4",
    "net": "alexnet-caffe",
}


@pytest.mark.parametrize("field", NAMES)
def test_every_field_of_a_recipe_is_an_option_and_a_yes_or_no_has_both(field, capsys):
    option, value, paper = field.replace("_", "-"), FIELD_OPTIONS[field], recipe_of("paper")
    words = [f"--{'no-' * getattr(paper, field)}{option}"] if value is None else [f"--{option}", value]
    assert cli.main(["train", "--recipe", "paper", "--json", "--show", *words, *(["--schedule", "steps"] * (field == "drop_after"))]) == 0
    shown = json.loads(capsys.readouterr().out)[field]
    shown = shown[0] if field == "drop_after" else shown
    assert shown != getattr(paper, field) and (value is None or str(shown) in (value, f"{value}.0"))


def test_recipe_of_a_net_for_cifar_names_its_images(capsys):
    assert cli.main(["train", "--net", "resnet20", "--show"]) == 0
    assert capsys.readouterr().out.endswith("next: tinyalex train --recipe resnet20-cifar10 --data cifar10, after tinyalex data cifar10\n")


def test_padding_brings_what_goes_with_it(capsys):
    assert cli.main(["train", "--recipe", "paper", "--padding", "4", "--show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["offsets"], shown["color_noise"], shown["own_mean_window"]) == ("code", 0, True)
    assert cli.main(["train", "--recipe", "paper", "--padding", "4", "--color-noise", "0.1", "--show"]) == 2
    assert "recipe: color_noise must be 0 where there is padding, got 0.1; or leave padding at 0" in capsys.readouterr().err


def test_what_standardize_does_not_do_is_not_shown_as_the_papers(capsys):
    assert cli.main(["train", "--recipe", "paper", "--pixels", "standardize", "--show"]) == 0
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert lines["color_noise"] == ["0", "yours; paper has 0.1"] and lines["offsets"] == ["code", "yours; paper has paper"]


@pytest.mark.parametrize(
    "options",
    [
        "--net figure1 --recipe small --no-augment",
        "--net cifar-alexnet --recipe paper --lr 0.02",
        "--rates conv1=0,fc8=2 --keep-head --from FIRST",
        "--val-images 4 --schedule plateau --bias-lr-falls",
    ],
)
def test_the_command_that_goes_on_is_the_same_run(options, folder, tmp_path, capsys):
    words = options.replace("FIRST", str(folder)).split()
    assert cli.main([*SMALL[:-2], *words, "--epochs", "1", "--out", str(tmp_path)]) == 0
    again = next(line for line in capsys.readouterr().err.splitlines() if "go on with: tinyalex " in line)
    assert cli.main(shlex.split(again.partition("go on with: tinyalex ")[2])) == 0


@pytest.mark.parametrize(
    "words", ["", " --dropout", " --no-dropout", " --net cifar-alexnet", " --no-bias-lr-falls --no-augment", " --augment --own-mean-window"]
)
def test_the_command_that_goes_on_has_what_was_typed(words):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    assert command_of("train", parser.parse_args(words.split()), train.DEFAULTS, None) == f"tinyalex train{words}"


def test_a_run_that_began_with_other_weights_goes_on_without_their_file(folder, tmp_path, capsys):
    first, out = shutil.copytree(folder, tmp_path / "first"), str(tmp_path / "run")
    begun = [*SMALL[:-2], "--from", str(first), "--out", out]
    assert cli.main([*begun, "--schedule", "constant", "--epochs", "1"]) == 0
    shutil.rmtree(first)
    capsys.readouterr()
    assert cli.main([*begun, "--schedule", "constant", "--epochs", "2", "--towers", "2"]) == 0
    assert "begins with" not in capsys.readouterr().err


def test_a_run_begins_with_the_net_of_the_package(tmp_path, capsys):
    out = str(tmp_path / "run")
    assert cli.main([*SMALL, "--net", "figure1", "--from", "figure1", "--keep-head", "--rates", "*=0", "--epochs", "1", "--out", out]) == 0
    assert "begins with the weights in figure1\n" in capsys.readouterr().err
    found = load_checkpoint(checkpoint_files(tmp_path / "run")[-1]).params
    assert all(np.array_equal(found[name], array) for name, array in trained_figure1().net.params.items())


def test_of_two_rates_for_a_layer_the_last_one_counts():
    assert list(train_plan.rates_in(SimpleNamespace(rates="conv1=0,conv*=0.1,conv1=0.5")).items()) == [("conv*", 0.1), ("conv1", 0.5)]


def test_last_images_are_held_out_with_their_labels():
    dataset = synthetic_dataset(21, 5)
    args = SimpleNamespace(val_images=None, train_images=None, test_images=None)
    kept, held, test = train_plan.parts_of(args, recipe_of("small", schedule="plateau"), dataset.sources())
    assert len(kept) == 18 and held is not None and len(test) == 5
    assert np.array_equal(held.images, dataset.train_images[18:]) and np.array_equal(held.labels, dataset.train_labels[18:])


def test_resumed_run_expects_only_the_epochs_that_are_left_and_names_the_twin(tmp_path, capsys):
    options = [*SMALL, "--schedule", "constant", "--out", str(tmp_path)]
    assert cli.main([*options, "--epochs", "1"]) == 0
    out, err = capsys.readouterr()
    curve = read(tmp_path)["curves"]
    assert f", training error {100 * curve['running_error'][0]:.2f} %, validation error {100 * curve['val_error'][0]:.2f} %, rate" in err
    assert cli.main([*options, "--epochs", "2"]) == 0
    assert " for 1 epoch of " in capsys.readouterr().err


def test_the_report_calls_the_second_part_what_the_data_call_it(folder, capsys):
    args, document = SimpleNamespace(json=False, net=None, towers=1, data="shards", out=None), read(folder)
    document["config"]["val"] = "training images held out"
    assert train._report(args, document, folder, "validation", 1) == 0
    assert "\n  validation error " in capsys.readouterr().out


@pytest.mark.parametrize(("towers", "other"), [(1, 2), (2, 1)])
def test_next_command_names_the_twin(towers, other, folder, capsys):
    args = SimpleNamespace(json=False, net=None, towers=towers, data="cifar10", out=None)
    document = read(folder)
    document["config"]["data"]["synthetic"] = False
    assert train._report(args, document, folder, "test", 1) == 0
    command = f"tinyalex train --data cifar10{' --towers 2' * (other == 2)}, the same net on {other} device{'s' * (other == 2)},"
    assert capsys.readouterr().out.splitlines()[-1] == f"next: {command} which has the same curve"


@pytest.fixture
def larger(monkeypatch):
    """Synthetic images enlarged to 72x72, in the place of --data."""
    images = [np.repeat(np.repeat(part, 3, axis=2), 3, axis=3)[:, :, :72, :72] for part in dataset_parts()]
    made = Dataset.of(images[0], np.arange(20) % 5, images[1], np.arange(8) % 5, name="enlarged", note="synthetic shapes")
    monkeypatch.setattr(train_plan, "open_data", lambda *args, **settings: made.sources())


def dataset_parts():
    dataset = synthetic_dataset(20, 8)
    return dataset.train_images, dataset.test_images


TINY = ["--net", "alexnet", "--input-size", "67", "--width", "0.03125"]


def test_the_papers_recipe_trains_alexnet_in_small(larger, tmp_path, capsys):
    options = "--recipe paper --epochs 1 --val-images 4 --color-noise 0.1 --weight-std fan-in --hidden-bias 0".split()
    assert cli.main([*SMALL, *TINY, *options, "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    config = read(tmp_path)["config"]
    assert config["net"] == {"name": "alexnet", "seed": 0, "input_size": 67, "width": 0.03125, "weight_std": "fan-in", "hidden_bias": 0.0}
    assert config["trainer"]["prepare"] == "Crops" and config["trainer"]["schedule"] == "Plateau" and config["crop"] == 67
    assert "alexnet on cpu:0, recipe paper\n" in err and f"next: tinyalex evaluate {tmp_path} --data synthetic --views 10" in out
    again = cli.main([*SMALL, *TINY, *options[:2], "--epochs", "2", *options[4:], "--val-images", "4", "--out", str(tmp_path)])
    assert again == 0 and read(tmp_path)["epochs"] == 2


def test_a_net_that_reads_whole_images_has_one_view_and_all_offsets(larger, tmp_path, capsys):
    whole = "--net alexnet --input-size 72 --width 0.03125 --epochs 1".split()
    words = [*SMALL, *whole, "--out", str(tmp_path)]
    assert cli.main(words) == 2
    assert "train: --offsets must be code where a crop of 72x72 is a whole image of enlarged, got 'paper'" in capsys.readouterr().err
    assert cli.main([*words, "--offsets", "code"]) == 0
    assert f"next: tinyalex evaluate {tmp_path} --data synthetic, beside" in capsys.readouterr().out


def test_a_run_begins_with_the_weights_of_another_and_its_layers_have_their_own_rates(tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    few = [*SMALL, "--net", "cifar-alexnet", "--epochs", "1"]
    assert cli.main([*few, "--out", str(first)]) == 0
    capsys.readouterr()
    assert cli.main([*few, "--from", str(first), "--rates", "conv*=0,fc6=0.5", "--lr", "0.02", "--out", str(second)]) == 0
    assert f"begins with the weights in {first}; fc8 starts anew\n" in capsys.readouterr().err
    before, after = (load_checkpoint(checkpoint_files(folder)[-1]) for folder in (first, second))
    for name, array in after.params.items():
        same = np.array_equal(array, before.params[name])
        assert same == name.startswith("conv"), name
    factors = after.config["trainer"]["multipliers"]
    assert factors["conv1.weight"] == [0, 1] and factors["fc6.bias"] == [0.5, 1] and "fc8.weight" not in factors


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--from", "nowhere"], "nowhere: the checkpoint must be a file or the folder of a run, got nothing of that name"),
        (["--keep-head"], "train: --from must be given where --keep-head is, got none"),
        (["--rates", "conv1"], "train: --rates must be layers with factors, such as conv1=0,fc6=0.1, got 'conv1'"),
        (["--rates", "conv9=1"], "rates: a layer must be one of conv1, conv2, conv3, conv4, conv5, fc6, fc8, got 'conv9'"),
        (["--rates", "conv1=-1"], "rates: the factor of conv1 must be a number of at least 0, got -1.0"),
        (["--recipe", "papr"], "resnet20-cifar10, got 'papr'; did you mean paper?"),
        (["--pixels", "raw"], "recipe: pixels must be mean-image or standardize, got 'raw'"),
        (["--net", "alexnet", "--weight-std", "he"], "train: --weight-std must be a number above 0, or \"fan-in\", got 'he'"),
        (["--width", "2"], "cifar-alexnet: settings must be among"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_recipes_and_starts_exit_2(options, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*SMALL, *options]) == 2
    assert text in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_architecture_are_refused_with_the_tensor_and_both_shapes(tmp_path, capsys):
    assert cli.main([*SMALL, "--net", "figure1", "--epochs", "1", "--out", str(tmp_path / "first")]) == 0
    assert cli.main([*SMALL, "--from", str(tmp_path / "first"), "--out", str(tmp_path / "second")]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.endswith("param conv2.weight must have shape (64, 16, 5, 5), got (32, 32, 5, 5); was it made by another network?")
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("name", ["paper", "authors", "caffe", "small"])
def test_show_prints_every_field_with_its_source_and_trains_nothing(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "--recipe", name, "--show", "--batch-size", "64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"recipe {name}: field, value, source" and len(lines) == len(NAMES) + len(OF_NET) + 2
    assert any(line.split()[:2] == ["batch_size", "64"] and "yours" in line for line in lines)
    assert cli.main(["train", "--recipe", name, "--show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"] == name and list(tmp_path.iterdir()) == []


def test_steps_and_noise_move_with_the_length_of_the_run():
    authors = recipe_of("authors").of_length(45)
    assert (authors.epochs, authors.drop_after, authors.noise_until) == (45, (12, 25, 39), 33)
