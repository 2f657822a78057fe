"""`tinyalex compare`."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.text import Text
from PIL import Image

from tinyalex import cli
from tinyalex.analysis.compare import Timing, cost
from tinyalex.analysis.compare_chart import KEY, TIMES, figure_of
from tinyalex.analysis.count import count
from tinyalex.analysis.questions import QUESTIONS
from tinyalex.commands import compare
from tinyalex.devices.dry import DryDevice
from tinyalex.models.later import LATER
from tinyalex.models.registry import MODELS, build

ROOT = Path(__file__).parents[2]


def lines_of(capsys, *words):
    assert cli.main(["compare", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_table_has_the_published_counts(capsys):
    lines = lines_of(capsys, "alexnet", "vgg16", "squeezenet1.1")
    assert lines[0].split("  ")[0] == "net" and "training step of 32, GiB" in lines[0] and "time" not in lines[0]
    assert lines[1].split()[:4] == ["alexnet", "3x224x224", "60,965,224", "724,406,816"]
    assert lines[2].split()[:4] == ["vgg16", "3x224x224", "138,357,544", "15,470,264,320"]
    assert lines[-1] == "next: tinyalex compare alexnet vgg16 squeezenet1.1 --by stage, where in the nets the numbers come from"


def test_without_names_the_networks_are_those_of_the_lecture():
    assert compare._names([]) == list(compare.LECTURE) and {*compare.LECTURE} <= {*MODELS}
    assert [name for name in compare.LECTURE if name.startswith(("alex", "zf", "goog", "incep", "dense"))] == [
        "alexnet", "zfnet", "googlenet", "inception-v4", "inception-resnet-v2", "densenet121"
    ]  # fmt: skip


def test_stages_and_layers(capsys):
    stages = lines_of(capsys, "alexnet", "--by", "stage")
    assert [line.split()[0] for line in stages if line.startswith("  ")] == ["maps", "55x55", "27x27", "13x13", "6x6", "none"]
    assert any(line.split() == ["none", "8", "58,631,144", "96.2", "58,621,952", "8.1", "0.04", "0.7"] for line in stages)
    layers = lines_of(capsys, "alexnet", "--by", "layer")
    assert any(line.split() == ["conv1", "96x55x55", "34,944", "0.1", "105,415,200", "14.6", "1.11", "23.1"] for line in layers)
    assert not any(line.split()[:1] == ["relu1"] for line in layers)  # costs nothing


def test_json_has_sums_stages_and_layers(capsys):
    assert cli.main(["compare", "resnet20", "figure1", "--json", "--by", "layer", "--batch", "4"]) == 0
    residual, figure1 = json.loads(capsys.readouterr().out)["nets"]
    assert residual["parameters"] == 269_722 and residual["batch"] == 4 and residual["seconds"] is None and residual["training_bytes"] > 0
    assert sum(stage["macs"] for stage in residual["stages"]) == residual["macs"] == sum(layer["macs"] for layer in residual["layers"])
    assert [stage["size"] for stage in residual["stages"]] == [[32, 32], [16, 16], [8, 8], [1, 1]]
    assert figure1["name"] == "figure1" and figure1["macs"] == 12_298_240
    assert cli.main(["compare", "figure1", "--json"]) == 0
    assert "layers" not in json.loads(capsys.readouterr().out)["nets"][0]


def test_time_is_announced_measured_and_explained(capsys):
    assert cli.main(["compare", "figure1", "resnet20", "--time"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("compare times 2 nets; about ") and "time of an image" in out.splitlines()[0]
    assert out.splitlines()[1].count(" ms (") == 1
    assert "median of 7 (least to most), batch 1, float32, random weights that are frozen" in out


def test_chart_is_written_and_another_command_follows(capsys, tmp_path):
    png = tmp_path / "chart.png"
    last = lines_of(capsys, "figure1", "--by", "stage", "--png", str(png))[-2:]
    assert last == [f"wrote {png}", "next: tinyalex compare --question stem"] and png.read_bytes().startswith(b"\x89PNG")


def test_times_are_in_the_document_and_in_the_chart(capsys, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(compare, "time_forward", lambda net: Timing(0.0421, 0.04, 0.05, 7))
    monkeypatch.setattr(compare, "draw", lambda nets, path: drawn.extend(nets))
    assert cli.main(["compare", "figure1", "--time", "--json", "--png", str(tmp_path / "chart.png")]) == 0
    assert json.loads(capsys.readouterr().out)["nets"][0]["seconds"] == {"median": 0.0421, "least": 0.04, "most": 0.05, "runs": 7}
    figure = figure_of(drawn)
    assert TIMES.strip() in figure.get_supxlabel().replace("\n", " ")
    figure.draw_without_rendering()
    texts = [text for panel in figure.subfigs[1].axes for text in panel.findobj(Text)]
    titles = [text for text in texts if ", " in text.get_text()]
    boxes = [title.get_window_extent() for title in titles]
    assert len(boxes) == 4 and all(left.x1 < right.x0 for left, right in pairwise(boxes))
    panel = figure.subfigs[1].axes[3]
    assert panel.get_title(loc="left") == "time of an image, ms" and "42.1" in [text.get_text() for text in panel.texts]


@pytest.mark.parametrize("name", QUESTIONS)
def test_help_lists_every_question(name, capsys):
    assert cli.main(["compare", "--help"]) == 0
    assert f"\n  {name} " in capsys.readouterr().out


def test_answer_as_text_and_as_json(capsys):
    lines = lines_of(capsys, "--question", "small-kernels")
    assert lines[0].startswith("one large kernel or several of 3x3?") and lines[-1] == "next: tinyalex compare --question bottleneck"
    assert cli.main(["compare", "--question", "small-kernels", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["question"] == "small-kernels" and len(document["lines"]) == 4
    assert lines_of(capsys, "--question", "bottleneck")[-1] == "next: tinyalex compare --question shortcuts"


def test_nets_that_do_not_fit_the_memory_are_not_run(capsys, monkeypatch):
    monkeypatch.setattr(compare, "free_memory", lambda: 2**29)
    monkeypatch.setattr(compare, "time_forward", lambda net: pytest.fail("it was run"))
    assert cli.main(["compare", "figure1", "vgg16", "--time"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("tinyalex: error: compare: nets with --time must fit the memory, got ") and error.count("\n") == 1
    assert "for vgg16 where 512 MiB are free; leave it out, or end other programs" in error
    monkeypatch.setattr(compare, "free_memory", lambda: None)  # a system that does not say
    monkeypatch.setattr(compare, "time_forward", lambda net: Timing(1, 1, 1, 7))
    assert cli.main(["compare", "figure1", "--time"]) == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["vgg16bn"], "compare: NET must be a network, got 'vgg16bn'; did you mean vgg16-bn? `tinyalex net --list` prints all names"),
        (["resnet51"], "compare: NET must be a network, got 'resnet51'; resnet has the depths 18, 34, 50, 101 and 152, and for CIFAR-10"),
        (["vgg116"], "vgg has the depths 11, 13, 16 and 19, `tinyalex net --list` prints all names"),
        (["qwertz"], "compare: NET must be a network, got 'qwertz'; `tinyalex net --list` prints all names"),
        (["vgg16", "figure1", "vgg16"], "compare: NET must be different networks, got vgg16 twice; name it once"),
        (["figure1", "--batch", "0"], "compare: --batch must be an integer of at least 1, got 0"),
        (["figure1", "--batch", str(2**40 + 1)], "compare: --batch must be at most 1,099,511,627,776, got 1099511627777"),
        (["figure1", "--by", "stages"], "compare: --by must be sum, stage or layer, got 'stages'; did you mean stage?"),
        (["--question", "stern"], "shortcuts, got 'stern'; did you mean stem?"),
        (["vgg16", "--question", "stem", "--time"], "compare: --question must stand alone or with --json, got it with NET and --time"),
        (["figure1", "--png", "/nowhere/chart.png"], "/nowhere/chart.png"),
        (["figure1", "--in-shape", "3,8,8"], "compare: NET must be a file where --in-shape is given, got figure1; leave it out"),
        (["--question", "stem", "--in-shape", "3,8,8"], "compare: --question must stand alone or with --json, got it with --in-shape"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_option_exits_2(options, text, capsys):
    assert cli.main(["compare", *options]) == 2
    out, err = capsys.readouterr()
    assert text in err and err.count("\n") == 1 and not out


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_chart_of_readme_is_what_the_models_give_today():
    command = re.search(r"tinyalex compare --png (docs/\S+)", README)
    with Image.open(ROOT / command[1]) as picture:
        shown = json.loads(picture.text[KEY])
    assert list(shown) == list(compare.LECTURE) and (ROOT / command[1]).stat().st_size < 200_000
    for name, costs in shown.items():
        assert asdict(cost(count(build(name, devices=DryDevice("cpu"))))) == costs, f"run tinyalex compare --png {command[1]}"


def test_table_of_readme_has_every_net_and_its_published_counts():
    section = README.partition("## After AlexNet\n")[2].partition("\n## ")[0]
    counts, told = {}, set()
    for line in section.splitlines():
        if line.startswith("| ") and "`" in line:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            words = re.findall(r"`([\w.-]+)`", cells[1])
            names, endings = [word for word in words if word[0] != "-"], [word for word in words if word[0] == "-"]
            told |= {*names, *(name + ending for name in names for ending in endings)}
            counts[names[0]] = tuple(int(cell.replace(",", "")) for cell in cells[2:4])
    assert told == set(LATER)
    assert counts == {name: (LATER[name].parameters, LATER[name].macs) for name in counts} and len(counts) == 16
