"""`tinyalex train --net FILE`: the net of a file, trained by the settings of the file and of its solver."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.formats.cfg.cfg_files import sections
from tests.stops import stopped_at
from tinyalex import cli
from tinyalex.formats.caffe import read_prototxt, write_caffemodel
from tinyalex.formats.files import read, write as write_file
from tinyalex.init import Constant, Gaussian
from tinyalex.models.later.rows import build_net, head_ends
from tinyalex.models.weights import arrays_of
from tinyalex.training import Trainer, load_checkpoint
from tinyalex.training.checkpoint import checkpoint_files
from tinyalex.training.recipes import NAMES
from tinyalex.training.saved_net import load_net

DATA = ["--data", "synthetic", "--train-images", "20", "--test-images", "8", "--devices", "cpu:0"]
READER = 'data_param { source: "x" batch_size: 5 } transform_param { mirror: true crop_size: 28 scale: 0.01 mean_value: 100 }'
NET = """
name: "mine"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } READER }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 5 stride: 2 weight_filler { type: "gaussian" std: 0.03 }
                      bias_filler { type: "constant" value: 0.25 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "ip" type: "InnerProduct" bottom: "conv1" top: "ip" param { lr_mult: 3 decay_mult: 250 }
  inner_product_param { num_output: 7 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" }
"""
SOLVER = 'net: "examples/mine/net.prototxt" base_lr: 0.002 momentum: 0.8 weight_decay: 0.004 max_iter: 12 '
STEP = 'lr_policy: "step" gamma: 0.5 stepsize: 4'
BOTH = "net.prototxt,solver.prototxt"
LAYERS = sections(
    "data data dataIdx=0",
    "labels data dataIdx=1",
    "conv1 conv inputs=data channels=3 filters=16 padding=2 stride=2 filterSize=5 initW=0.0001 initB=0.5 neuron=relu",
    "fc10 fc outputs=10 inputs=conv1 initW=0.02",
    "probs softmax inputs=fc10",
    "logprob cost.logreg inputs=labels,probs",
)
PARAMS = sections(
    "conv1 - epsW=0.001 epsB=0.002 momW=0.7 momB=0.7 wc=0.004",
    "fc10 - epsW=0.0005 epsB=0.001 momW=0.7 momB=0.7 wc=0.001",
    "logprob - coeff=1",
)


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write()
    (tmp_path / "layers.cfg").write_text(LAYERS)
    (tmp_path / "params.cfg").write_text(PARAMS)


def write(policy=STEP, reader=READER, net=NET):
    with open("net.prototxt", "w") as file:
        file.write(net.replace("READER", reader))
    with open("solver.prototxt", "w") as file:
        file.write(SOLVER + policy)


def train(capsys, *options, code=0):
    assert cli.main(["train", *DATA, "--out", "run", *options]) == code
    return capsys.readouterr().err


def checkpoint():
    return load_checkpoint(checkpoint_files(Path("run"))[-1])


def recorded():
    with open("run/result.json") as file:
        return json.load(file)["config"]


@pytest.mark.parametrize("name", [BOTH, "solver.prototxt"])
def test_a_solver_gives_rates_length_and_batch_and_the_net_the_rest(name, capsys):
    lines = train(capsys, "--net", name).splitlines()
    assert lines[:7] == [
        "its data layer subtracts 100, 100, 100, then multiplies by 0.01",
        "from net.prototxt: the layers and their initial values",
        "from net.prototxt: factors of rate and decay for 2 parameters, such as conv1.bias",
        "from net.prototxt: batch_size 5, augment yes",
        "from solver.prototxt: epochs 3, lr 0.002, momentum 0.8, weight_decay 0.004, schedule steps, divide_by 2, drop_after 1, 2",
        f"trains for 3 epochs of {lines[5].split()[5]} s; {lines[5].partition('; ')[2]}",
        f"after a stop, go on with: tinyalex train {shlex.join(DATA[:6])} --net {name} --devices cpu:0 --out run",
    ]
    config = recorded()
    trainer = config["trainer"]
    assert (trainer["batch_size"], trainer["first_lr"], trainer["momentum"], trainer["weight_decay"]) == (5, 0.002, 0.8, 0.004)
    assert trainer["multipliers"] == {"conv1.bias": [2, 0], "ip.weight": [3, 250]}
    assert trainer["schedule"] == "Steps" and trainer["schedule_settings"] == {"after": [1, 2], "factor": 2}
    assert config["augment"] is True and config["crop"] == 28
    prepare = checkpoint().about().prepare
    assert prepare.prepare.mean.ravel().tolist() == [100] * 3 and prepare.prepare.std.ravel().tolist() == [100] * 3


def test_the_initial_weights_are_those_of_the_fillers(capsys, monkeypatch):
    seen = {}
    monkeypatch.setattr(Trainer, "run", lambda trainer, *_, **__: seen.update(net=trainer.net) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(capsys, "--net", BOTH)
    params = seen["net"].params
    assert abs(params["conv1.weight"].std() - 0.03) < 0.005 and (params["conv1.bias"] == 0.25).all()
    assert params["ip.weight"].shape[0] == 10 and abs(params["ip.weight"].std() - 0.01) < 0.001, "as many outputs as classes"


def test_a_run_goes_on_when_the_files_are_gone_as_if_it_had_not_stopped(tmp_path, capsys, monkeypatch):
    train(capsys, "--net", BOTH)
    whole = checkpoint().params
    for place in (tmp_path / "run").iterdir():
        place.unlink()
    with monkeypatch.context() as patch:
        stopped_at(patch, 6)
        said = train(capsys, "--net", BOTH, code=130)
    for name in BOTH.split(","):
        (tmp_path / name).unlink()
    assert cli.main(shlex.split(said.rpartition("go on with: tinyalex ")[2])) == 0
    assert "from solver.prototxt: epochs 3, lr 0.002" in capsys.readouterr().err
    assert all(np.array_equal(array, whole[name]) for name, array in checkpoint().params.items())
    error = train(capsys, "--net", "other.prototxt", code=2)
    assert 'got file.name = "other.prototxt" where that had "net.prototxt,solver.prototxt"' in error


def test_options_win_over_the_files(capsys):
    options = ["--lr", "0.01", "--epochs", "6", "--batch-size", "10", "--bias-lr", "1", "--rates", "ip=0.5", "--no-augment"]
    said = train(capsys, "--net", BOTH, *options)
    assert "\nby your options: epochs 6, batch_size 10, lr 0.01, drop_after 2, 4, augment no\n" in said
    trainer = recorded()["trainer"]
    assert (trainer["batch_size"], trainer["first_lr"], trainer["momentum"]) == (10, 0.01, 0.8)
    assert trainer["multipliers"] == {"conv1.bias": [1, 0], "ip.weight": [1.5, 250], "ip.bias": [0.5, 1]}


def test_a_way_of_pixels_by_option_replaces_that_of_the_file(capsys):
    train(capsys, "--net", BOTH, "--pixels", "standardize")
    assert checkpoint().about().prepare.prepare.std.ravel()[0] != 100, "the deviation of the training images"


def test_show_prints_every_field_with_its_file_and_trains_nothing(capsys, monkeypatch):
    monkeypatch.delattr(Trainer, "run")
    assert cli.main(["train", *DATA, "--net", BOTH, "--show", "--lr", "0.1"]) == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first == f"recipe of {BOTH}: field, value, source"
    assert last == f"next: tinyalex train {shlex.join(DATA[:6])} --net {BOTH} --devices cpu:0 --lr 0.1"
    table = {key: (value, source) for key, value, source in (re.split("  +", line.strip(), maxsplit=2) for line in lines)}
    assert set(NAMES) <= set(table)
    assert table["net"] == ("mine", "net.prototxt") and table["batch_size"] == ("5", "net.prototxt")
    assert table["momentum"] == ("0.8", "solver.prototxt") and table["drop_after"] == ("1, 2", "solver.prototxt")
    assert table["lr"] == ("0.1", "yours; without your options 0.002") and table["pixels"] == ("standardize", "net.prototxt")
    assert table["patience"][1] == "in no file: recipe small" and table["weight_std"] == ("0.03; ip: 0.01", "net.prototxt")
    assert table["factors"] == ("of rate and decay for 2 parameters, such as conv1.bias", "net.prototxt")
    write("lr_policy: 'inv' gamma: 0.5 power: 2")
    assert cli.main(["train", *DATA, "--net", BOTH, "--show", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["momentum"], document["net"], document["multipliers"]["ip.weight"]) == (0.8, "mine", [3, 250])
    assert cli.main(["train", *DATA, "--net", BOTH, "--show"]) == 0
    assert re.search("schedule +inv +the solver, whose rate is set once an epoch\n", capsys.readouterr().out)


@pytest.mark.parametrize("policy", ["'exp' gamma: 0.9", "'inv' gamma: 0.5 power: 2", "'poly' power: 1", "'step' gamma: 0.5 stepsize: 1"])
def test_every_policy_gives_the_solvers_rates(policy, capsys):
    write(f"lr_policy: {policy}")
    said = train(capsys, "--net", BOTH)
    assert f"\nthe rate follows lr_policy {policy.split()[0][1:-1]} of the solver, and is set once an epoch\n" in said
    with open("run/log.jsonl") as file:
        rates = [line["lr"] for line in map(json.loads, file) if "lr" in line and "epoch" in line]
    wanted = {"'exp'": 0.9**4, "'inv'": 1 / 9, "'poly'": 2 / 3, "'step'": 1 / 16}[policy.split()[0]]
    assert rates[-1] < rates[0] == 0.002 and any(rate == pytest.approx(0.002 * wanted) for rate in rates)
    train(capsys, "--net", BOTH)  # nothing is left to do
    assert checkpoint().config["file"]["solver"]["policy"] == policy.split()[0][1:-1]


def test_a_schedule_by_option_replaces_that_of_the_solver(capsys):
    write("lr_policy: 'exp' gamma: 0.9")
    said = train(capsys, "--net", BOTH, "--schedule", "plateau", "--patience", "1")
    assert recorded()["trainer"]["schedule"] == "Plateau" and recorded()["val"] == "training images held out"
    assert "of the solver" not in said.replace("recipe of solver", "") and "\nby your options: schedule plateau, patience 1\n" in said


def test_a_net_alone_is_trained_by_the_defaults_which_are_said(capsys):
    write(reader='data_param { source: "x" batch_size: 5 }')
    said = train(capsys, "--net", "net.prototxt", "--epochs", "1")
    assert said.startswith("from net.prototxt: the layers")
    assert "\nfrom net.prototxt: batch_size 5, augment no\nas is usual for such files: pixels mean-image\n" in said
    assert "\nin no file, so as in recipe small: epochs 20, lr 0.01, momentum 0.9, weight_decay 0.0005, schedule steps" in said
    assert checkpoint().about().takes == (3, 32, 32), "the file does not say how large images are"


def test_the_rates_of_cuda_convnet(capsys):
    said = train(capsys, "--net", "layers.cfg,params.cfg", "--epochs", "1")
    assert "\nfrom layers.cfg: the layers and their initial values\nfrom params.cfg: factors of rate and decay for 4 parameters" in said
    assert "\nfrom params.cfg: lr 0.001, momentum 0.7, weight_decay 0.004, schedule constant\n" in said
    config = recorded()
    trainer, rows = config["trainer"], {row.name: row for row in checkpoint().about().rows}
    assert trainer["multipliers"] == {"conv1.bias": [2, 0], "fc10.weight": [0.5, 0.25], "fc10.bias": [1, 0]}
    assert (trainer["first_lr"], trainer["momentum"], trainer["weight_decay"]) == (0.001, 0.7, 0.004)
    assert (rows["conv1"]["weight_init"], rows["conv1"]["bias_init"]) == (Gaussian(0.0001), Constant(0.5))
    assert config["trainer"]["prepare"] == "Crops"


def test_size_of_a_cfg_and_a_recipe_by_name(capsys):
    options = ["--net", "layers.cfg,params.cfg", "--recipe", "small", "--input-size", "24", "--epochs", "1"]
    said = train(capsys, *options)
    assert "\nas in recipe small: epochs 20," in said and "params.cfg:" not in said and "recipe small\n" in said
    assert checkpoint().about().takes == (3, 24, 24) and recorded()["trainer"]["prepare"] == "CropAndFlip"
    assert recorded()["trainer"]["first_lr"] == 0.01 and recorded()["trainer"]["multipliers"] == {}
    train(capsys, *options)  # nothing is left to do
    error = train(capsys, "--net", "layers.cfg,params.cfg", "--recipe", "caffe", "--input-size", "24", "--epochs", "1", code=2)
    assert "the config of a run that goes on must be the first run's" in error


def test_auxiliary_heads_are_trained_with_their_weights(capsys):
    head = """layer { name: "aux" type: "InnerProduct" bottom: "conv1" top: "aux" inner_product_param { num_output: 7 } }
layer { name: "loss1" type: "SoftmaxWithLoss" bottom: "aux" bottom: "label" loss_weight: 0.3 }
"""
    write(net=NET + head)
    train(capsys, "--net", BOTH)
    assert recorded()["trainer"]["loss"] == "WeightedHeads [1.0, 0.3]"
    assert checkpoint().params["aux.weight"].shape[0] == 10
    train(capsys, "--net", BOTH, "--epochs", "3")


AUX = """layer { name: "aux" type: "InnerProduct" bottom: "conv1" top: "aux" inner_product_param { num_output: 7 } }
layer { name: "loss1" type: "SoftmaxWithLoss" bottom: "aux" bottom: "label" loss_weight: 0.25 }
"""


@pytest.fixture
def with_head(tmp_path):
    """A net with an auxiliary head, with weights: heads.prototxt and heads.caffemodel."""
    text = (NET + AUX).replace("READER", READER).replace("include { phase: TRAIN }", "")
    (tmp_path / "heads.prototxt").write_text(text)
    net = read_prototxt("heads.prototxt", heads=True)
    write_caffemodel("heads.caffemodel", replace(net, arrays=arrays_of(build_net(net.rows, net.in_shape, net.name))))
    return "heads.prototxt,heads.caffemodel"


def test_commands_that_only_use_a_net_say_which_heads_are_left_out(with_head, capsys):
    left = "left out: what ends with aux, auxiliary heads that only training needs"
    for command in (["net", "heads.prototxt"], ["compare", "heads.prototxt"]):
        assert cli.main(command) == 0
        assert left in capsys.readouterr().err
    assert left in read_prototxt("heads.prototxt").notes and left not in read_prototxt("heads.prototxt", heads=True).notes


@pytest.mark.parametrize("target", ["out.onnx", "out.safetensors", "out.prototxt,out.caffemodel", "out.pth"])
def test_heads_are_converted(target, with_head, capsys):
    if target.endswith("onnx"):
        pytest.importorskip("onnx", reason="the package onnx is not installed: install the extra 'test'")
    assert cli.main(["convert", with_head, target, *(["--names", "tinyalex"] if target.endswith("pth") else [])]) == 0
    out = capsys.readouterr().out
    assert "arrays: 6 of 6 were in heads.prototxt,heads.caffemodel" in out and "has weights of aux" not in out
    assert ("note: left out of the .prototxt, which is for use: aux, the ends of auxiliary heads" in out) == ("prototxt" in target)
    if target.endswith(("onnx", "safetensors")):
        assert head_ends(load_net(target)[1].rows) == ["aux"]
    if target.endswith("onnx"):
        assert read(target).heads == (0.25,)


def test_heads_without_weights_are_left_out_of_what_is_converted(with_head, capsys):
    net = read_prototxt("heads.prototxt")
    write_caffemodel("main.caffemodel", replace(net, arrays=arrays_of(build_net(net.rows, net.in_shape, net.name))))
    assert cli.main(["convert", "heads.prototxt,main.caffemodel", "out.safetensors"]) == 0
    out = capsys.readouterr().out
    assert "arrays: 4 of 4 were in" in out and "note: left out: what ends with aux, auxiliary heads that only training needs" in out


@pytest.mark.parametrize("option", ["--net", "--from"])
def test_heads_of_onnx_and_of_this_program_are_trained(option, with_head, capsys):
    pytest.importorskip("onnx", reason="the package onnx is not installed: install the extra 'test'")
    assert cli.main(["convert", with_head, "out.onnx"]) == 0
    assert cli.main(["convert", with_head, "out.safetensors"]) == 0
    write_file("silent.onnx", replace(read("out.onnx"), heads=()))
    capsys.readouterr()
    for file, weight in (("out.onnx", 0.25), ("silent.onnx", 0.3), ("out.safetensors", 0.25)):
        if file.endswith("safetensors") and option == "--net":
            continue
        said = train(capsys, option, file, "--epochs", "1", "--out", f"run-{file}", "--test-images", "10")
        config = load_checkpoint(checkpoint_files(Path(f"run-{file}"))[-1]).config
        assert config["trainer"]["loss"] == f"WeightedHeads [1.0, {weight}]"
        default = "the loss of each of 1 auxiliary heads counts 0.3 times, as in GoogLeNet: no file says it"
        assert (default in said) == (weight == 0.3)
        if option == "--from":
            assert f"begins with the weights in {file}; aux, ip start anew\n" in said
        else:
            assert ("from out.onnx: the losses of auxiliary heads, which count 0.25 times" in said) == (file == "out.onnx")


def test_layers_of_onnx_are_trained_from_new_weights(capsys, tmp_path):
    pytest.importorskip("onnx", reason="the package onnx is not installed: install the extra 'test'")
    train(capsys, "--net", BOTH)
    assert cli.main(["convert", "run", "net.onnx", "--check", "no"]) == 0
    capsys.readouterr()
    said = train(capsys, "--net", "net.onnx", "--out", "second", "--epochs", "1")
    assert said.startswith("the weights in net.onnx are not used; --from begins with them\nfrom net.onnx: the layers and their initial v")
    assert "\nas in recipe small: epochs 20," in said


def test_weights_of_another_run_for_the_net_of_a_file(capsys):
    train(capsys, "--net", BOTH)
    said = train(capsys, "--net", BOTH, "--from", "run", "--keep-head", "--out", "second", "--rates", "*=0")
    assert "begins with the weights in run" in said
    second = load_checkpoint(checkpoint_files(Path("second"))[-1])
    assert all(np.array_equal(array, second.params[name]) for name, array in checkpoint().params.items())


def test_weights_of_another_program_for_the_net_of_a_file(capsys):
    train(capsys, "--net", BOTH)
    assert cli.main(["convert", "run", "weights.pth", "--check", "no"]) == 0
    capsys.readouterr()
    train(capsys, "--net", BOTH, "--from", "weights.pth", "--keep-head", "--out", "second", "--rates", "*=0")
    second = load_checkpoint(checkpoint_files(Path("second"))[-1])
    assert all(np.array_equal(array, second.params[name]) for name, array in checkpoint().params.items())


def test_net_shows_the_net_of_a_solver(capsys):
    for name in ("solver.prototxt", BOTH):
        assert cli.main(["net", name]) == 0
        assert "from net.prototxt" in capsys.readouterr().out
    assert cli.main(["net", "net.prototxt"]) == 2
    error = capsys.readouterr().err
    assert error.endswith("the bottom of 'conv1' must be a top in phase TEST, got data; it is a top only in phase TRAIN\n")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--net", "gone.prototxt"], "gone.prototxt: the file must be readable, got No such file or directory"),
        (["--net", "net.prototxt,params.cfg"], "the files to train by must be .prototxt, solver.prototxt, both, .cfg, two .cfg, or .onnx"),
        (["--net", "solver.prototxt,net.prototxt"], "got solver and prototxt; a file of weights is given with --from"),
        (["--net", "lost.prototxt"], "net must be a file beside the solver, got 'elsewhere.prototxt'; name it too, as net.prototxt,sol"),
        (["--net", "adam.prototxt"], "type must be SGD, the optimizer of the engine, got Adam"),
        (["--net", BOTH, "--width", "2"], "--net must be a net of the registry where --width is given, got that of --net; leave it out"),
        (["--net", BOTH, "--towers", "2"], "train: --towers must be 1 for the net of --net, got 2"),
        (["--net", BOTH, "--input-size", "40"], "got 'mine', which reads 3x40x40; use larger images, or another --input-size"),
        (["--net", BOTH, "--patience", "3"], "train: --schedule must be plateau where --patience is given, got 'steps'"),
        (["--net", BOTH, "--rates", "fc=0"], "rates: a layer must be one of conv1, ip, got 'fc'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_files_and_options_exit_2_and_write_nothing(options, text, tmp_path, capsys):
    (tmp_path / "lost.prototxt").write_text(SOLVER.replace("examples/mine/net", "elsewhere") + STEP)
    (tmp_path / "adam.prototxt").write_text(SOLVER + STEP + " type: 'Adam'")
    assert text in train(capsys, *options, code=2)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_whose_settings_are_altered_is_refused(capsys, monkeypatch):
    train(capsys, "--net", BOTH)
    for change in ({"fields": {"x": {"lr": -1}}}, {"multipliers": [1]}, {"solver": {"net": 1}}, {"origin": ["one"]}, {"steps": None}):
        altered = checkpoint()
        altered.config["file"].update(change)
        monkeypatch.setattr("tinyalex.commands.train_file.latest_checkpoint", lambda _, found=altered: found)
        assert "its file must hold the settings of a run by the files of a net, got " in train(capsys, "--net", BOTH, code=2)


def test_show_says_what_comes_from_the_file_of_from(with_head, capsys, monkeypatch):
    """The net of the file is trained by a recipe, and not the net of the recipe."""
    monkeypatch.delattr(Trainer, "run")
    assert cli.main(["convert", with_head, "out.safetensors"]) == 0
    capsys.readouterr()
    assert cli.main(["train", *DATA, "--from", "out.safetensors", "--show"]) == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    table = {key: (value, source) for key, value, source in (re.split("  +", line.strip(), maxsplit=2) for line in lines)}
    assert first == "recipe small: field, value, source" and last.startswith("next: tinyalex train ") and "--show" not in last
    assert table["net"] == ("mine", "the file of --from") and table["pixels"] == ("as in the file", "the file of --from")
    assert table["dropout"] == ("none", "the file of --from") and table["momentum"][1] == "choice of this project"
    assert cli.main(["train", *DATA, "--from", "out.safetensors", "--show", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["net"], document["dropout"], document["pixels"]) == ("mine", "none", "as in the file")
