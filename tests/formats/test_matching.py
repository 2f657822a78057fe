"""Arrays of a file beside those of its net, and a net of a file under the names of the registry's."""

from dataclasses import replace

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import CheckpointError, ShapeError
from tinyalex.formats.imported import Imported
from tinyalex.formats.matching import as_net, match
from tinyalex.models.later.rows import conv, linear, row
from tinyalex.models.registry import build
from tinyalex.models.rows import Row
from tinyalex.models.rows_of_net import rows_of_net
from tinyalex.models.weights import state_on_host


def resnet(**changed):
    made = build("resnet20", num_classes=4)
    return replace(Imported("resnet20", "f", rows_of_net(made), made.in_shape, state_on_host(made)), **changed)


def renamed(rows, names):
    found = []
    for each in rows:
        name = names.setdefault(each.name, f"layer{len(names)}")
        if each.kind == "branches":
            found.append(Row("branches", name, {**each.settings, "paths": tuple(renamed(path, names) for path in each["paths"])}))
        else:
            found.append(Row(each.kind, name, each.settings))
    return tuple(found)


def test_arrays_that_are_missing_or_left_are_named():
    net = resnet()
    arrays = dict(net.arrays)
    arrays["more"] = arrays.pop("conv1.weight")
    found = match(replace(net, arrays=arrays))
    assert found.missing == ("conv1.weight",) and found.left == ("more",) and len(found.found) == len(net.arrays) - 1
    arrays["fc.weight"] = np.zeros((5, 64), np.float32)
    with refuses(CheckpointError, "f: fc.weight must have shape (4, 64), got (5, 64); is it of another net?"):
        match(replace(net, arrays=arrays))


def test_a_net_with_other_names_gets_those_of_the_registry():
    net, names = resnet(), {}
    rows = renamed(net.rows, names)
    arrays = {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": array for name, array in net.arrays.items()}
    found, differences = as_net(replace(net, name="strange", rows=rows, arrays=arrays), "resnet20")
    assert found.rows == net.rows and found.name == "resnet20" and differences == ()
    assert found.arrays.keys() == net.arrays.keys() and all(found.arrays[name] is net.arrays[name] for name in net.arrays)


def test_settings_that_differ_are_said():
    net = resnet()
    edited = tuple(replace(each, settings={**each.settings, "eps": 1e-3}) if each.name == "conv1.bn" else each for each in net.rows)
    assert as_net(replace(net, rows=edited), "resnet20")[1] == ("conv1.bn: eps is 0.001 in the file, 1e-05 in the net",)
    with_tanh = tuple(Row("tanh", each.name) if each.name == "conv1.relu" else each for each in net.rows)
    assert as_net(replace(net, rows=with_tanh), "resnet20")[1] == ("the file has tanh where the net has relu",)


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("resnet32", CheckpointError, "stage1.4.conv1 of resnet32 must have conv with weight 16x16x3x3, got conv with weight 32x16x3x3"),
        ("resnet18", CheckpointError, "f: images of resnet18 must be 3x224x224, got 3x32x32"),
        ("resnet21", ShapeError, "NAME must be one of"),
    ],
)
def test_another_net_is_refused_with_its_first_layer_that_differs(name, error, text):
    with refuses(error, text):
        as_net(resnet(), name)


def test_a_file_that_ends_too_soon_is_refused():
    rows = (conv("c", 16, 3, bias=False), row("bn", "b"), row("global_pool", "g"))
    arrays = {"c.weight": np.zeros((16, 3, 3, 3), np.float32)}
    with refuses(CheckpointError, "got no layer; name another net"):
        as_net(Imported("n", "f", rows, (3, 32, 32), arrays), "resnet20")
    dry = build("resnet20", num_classes=4, devices=DryDevice())
    with refuses(CheckpointError, "f: the end of resnet20 must have no layer, got linear with weight 4x4, bias 4; name another net"):
        as_net(Imported("n", "f", (*rows_of_net(dry), linear("more", 4)), (3, 32, 32)), "resnet20")
