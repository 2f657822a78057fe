"""Rows as JSON, and files that describe a net by its rows: they come back, and nothing else than rows comes in."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.contract import refuses, rng
from tinyalex.data import CropAndFlip, Standardize
from tinyalex.errors import CheckpointError, ShapeError
from tinyalex.files.tensors import read_tensors, write_tensors
from tinyalex.init import Constant, FanIn
from tinyalex.models.later.rows import KINDS, branches, conv, conv_bn_relu, linear, row
from tinyalex.models.registry import MODELS, rows_of
from tinyalex.models.rows import Row
from tinyalex.models.rows_json import DEEPEST, MOST_ROWS, rows_from_json, rows_to_json, settings_of
from tinyalex.models.weights import FORMAT, save_weights
from tinyalex.training import SavedNet, load_net, parameters_sha256

PREPARE = CropAndFlip(Standardize((120, 121, 122), (60, 61, 62)), 12)
ROWS = (
    *conv_bn_relu("conv1a", 4, 3),
    branches("block", "sum", conv_bn_relu("block.conv", 4, 3), ()),
    row("pool", "pool", kernel_size=3, stride=2, padding=(0, 1, 0, 1)),
    row("global_pool", "mean"),
    linear("fc", 3),
)


def saved(**changed):
    given = {"net": "a stranger's", "classes": ("a", "b", "c"), "prepare": PREPARE, "image_shape": (3, 16, 16)}
    return SavedNet(**given | {"rows": ROWS, "takes": (3, 12, 12), "note": "drawn"} | changed)


@pytest.mark.parametrize("name", MODELS)
def test_rows_of_every_net_come_back(name):
    assert rows_from_json(json.loads(json.dumps(rows_to_json(rows_of(name)), allow_nan=False))) == rows_of(name)


def test_every_kind_has_its_settings():
    assert settings_of("relu") == frozenset()
    assert settings_of("conv") == set(
        "out_channels kernel_size stride padding groups ceil_mode bias weight_init bias_init algorithm input_gradient".split()
    )
    assert {"kernel_size", "stride", "padding", "ceil_mode", "count_padding"} <= settings_of("mean_pool")
    for kind in KINDS:
        assert settings_of(kind).isdisjoint({"name", "device", "dtype", "rng", "in_channels", "in_features", "settings"})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "rows must be a list, got {}"),
        ([], "a net must have a layer, got none"),
        ([7], "a row must be an object, got 7"),
        ([{"kind": "relu", "name": "r"}], "r: a row of kind 'relu' must have kind, name, settings, got ['kind', 'name']"),
        ([{"kind": "exec", "name": "r", "settings": {}}], "r: kind must be one of relu, tanh"),
        ([{"kind": ["relu"], "name": "r", "settings": {}}], "r: kind must be one of relu, tanh"),
        ([{"kind": "relu", "name": "", "settings": {}}], "names of layers must be printable"),
        ([{"kind": "relu", "name": "a\nb", "settings": {}}], "names of layers must be printable"),
        ([{"kind": "relu", "name": "a" * 201, "settings": {}}], "names of layers must be printable"),
        ([{"kind": "relu", "name": "about/x", "settings": {}}], "and not begin with about/, got 'about/x'"),
        ([{"kind": "relu", "name": "a", "settings": {}}] * 2, "names of layers must differ, got 'a' twice"),
        ([{"kind": "relu", "name": "a", "settings": {}}] * (MOST_ROWS + 1), "rows must be at most 20,000, got more"),
        ([{"kind": "relu", "name": "a", "settings": []}], "a: settings must be an object, got []"),
        ([{"kind": "relu", "name": "a", "settings": {"device": "cuda:0"}}], "a: settings of relu must be among none, got 'device'"),
        ([{"kind": "conv", "name": "a", "settings": {"strid": 1}}], "got 'strid'; did you mean stride?"),
        ([{"kind": "conv", "name": "a", "settings": {"stride": 2**41}}], "a: stride must be a number, a short list of integers"),
        ([{"kind": "conv", "name": "a", "settings": {"stride": [1] * 9}}], "a: stride must be a number, a short list of integers"),
        ([{"kind": "conv", "name": "a", "settings": {"stride": [1.5]}}], "a: stride must be a number, a short list of integers"),
        ([{"kind": "scale", "name": "a", "settings": {"factor": float("nan")}}], "a: factor must be a number"),
        ([{"kind": "conv", "name": "a", "settings": {"weight_init": {"init": "exec", "value": 1}}}], "a: weight_init must be a number"),
        ([{"kind": "conv", "name": "a", "settings": {"weight_init": {"init": [], "value": 1}}}], "a: weight_init must be a number"),
        ([{"kind": "conv", "name": "a", "settings": {"weight_init": {"init": "constant"}}}], "a: weight_init must be a number"),
        ([{"kind": "branches", "name": "b", "merge": "max", "paths": [[]]}], "b: merge must be one of concat, sum, product, both, got"),
        ([{"kind": "branches", "name": "b", "merge": "sum", "paths": 3}], "b: paths must be a list, got 3"),
        ([{"kind": "branches", "name": "b", "merge": "sum", "paths": [3]}], "rows must be a list, got 3"),
    ],
)
def test_what_is_no_rows_is_refused(values, text):
    with refuses(ShapeError, text):
        rows_from_json(values)


def test_levels_of_paths_are_limited():
    rows = ()
    for level in range(DEEPEST):
        rows = (branches(f"b{level}", "sum", rows, ()),)
    assert rows_from_json(rows_to_json(rows)) == rows
    with refuses(ShapeError, "paths must have at most 64 levels, got more"):
        rows_from_json(rows_to_json((branches("b", "sum", rows, ()),)))


def test_a_distribution_that_no_file_can_name_is_refused():
    with refuses(ShapeError, "a: weight_init must be a JSON value or one of gaussian, constant, fan_in, uniform, got"):
        rows_to_json([Row("conv", "a", {"weight_init": lambda shape, rng: np.ones(shape)})])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5) | st.sampled_from(["sum", "relu", "conv"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["kind", "name", "settings", "merge", "paths"]), inner),
)


@given(st.sampled_from(["rows", "takes", 0, 2, 3]), st.sampled_from(["", "kind", "name", "settings", "merge", "paths"]), JSON)
def test_any_json_in_a_description_is_refused_or_read(place, key, value):
    text, arrays = saved().stored()
    described = json.loads(text["about"])
    if isinstance(place, str):
        described[place] = value
    elif key:
        described["rows"][place][key] = value
    else:
        described["rows"][place] = value
    try:
        SavedNet.from_stored("w", {"about": json.dumps(described)}, arrays)
    except CheckpointError as error:
        assert "\n" not in str(error)


def test_a_net_of_rows_comes_back_from_its_file(tmp_path):
    about = saved()
    net = about.build()
    save_weights(tmp_path / "w", net, about=about)
    other, found = load_net(tmp_path / "w")
    assert found.rows == ROWS and found.takes == (3, 12, 12) and found.net == "a stranger's" and found.most_views == 10
    assert parameters_sha256(other) == parameters_sha256(net)
    x = about.prepare(rng(1).integers(0, 256, (2, 3, 16, 16), np.uint8))
    assert np.array_equal(other.forward(x), net.forward(x))
    with refuses(ShapeError, "saved net: towers must be 1, got 2"):
        load_net(tmp_path / "w", towers=2)



def test_only_a_file_that_has_rows_is_of_version_3(tmp_path):
    about = saved()
    save_weights(tmp_path / "rows", about.build(), about=about)
    save_weights(tmp_path / "plain", about.build())
    named = SavedNet("cifar-alexnet", ("a", "b"), replace_size(24), (3, 32, 32))
    save_weights(tmp_path / "named", named.build(), about=named)
    assert [read_tensors(tmp_path / name, FORMAT, 3, 1)[1]["format_version"] for name in ("plain", "named", "rows")] == ["1", "2", "3"]


def replace_size(size):
    return CropAndFlip(Standardize((120, 121, 122), (60, 61, 62)), size)


def test_no_memory_is_taken_for_layers_that_the_file_does_not_hold(tmp_path):
    about = saved()
    save_weights(tmp_path / "w", about.build(), about=about)
    found, text = read_tensors(tmp_path / "w", FORMAT, 3, 1)
    described = json.loads(text["about"])
    described["rows"][-1]["settings"]["out_features"] = 2**39
    write_tensors(tmp_path / "w", found, FORMAT, 3, {"about": json.dumps(described)})
    with refuses(CheckpointError, "classes must be as many as the outputs of a stranger's, (549755813888,), got 3"):
        load_net(tmp_path / "w")
    described["rows"][-1]["settings"]["out_features"] = 3
    wide = {"kind": "conv", "name": "wide", "settings": {"out_channels": 2**30, "kernel_size": 3}}
    described["rows"].insert(-2, wide)
    write_tensors(tmp_path / "w", found, FORMAT, 3, {"about": json.dumps(described)})
    with refuses(CheckpointError, "wide.weight must be in the file, got none of that name"):
        load_net(tmp_path / "w")


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"takes": ()}, "takes must be (C, H, W), got ()"),
        ({"takes": (3, 10**9, 10**9)}, "a size of takes must be at most 2,048"),
        ({"takes": (3, 11, 11)}, "prepare must make the net's input, 3x11x11, got 3x12x12"),
        ({"options": {"width": 1}}, "settings must be among"),
        ({"rows": (conv("a", 3, 3),)}, "classes must be as many as the outputs of a stranger's, (3, 12, 12), got 3"),
        ({"rows": (linear("a", 3, relu=False), row("pool", "p", kernel_size=3))}, "must"),
    ],
)
def test_rows_that_do_not_fit_are_refused(changed, text):
    with refuses(ShapeError, text):
        saved(**changed)


def test_a_description_can_be_replaced_and_keeps_initial_values():
    rows = (conv("a", 3, 3, weight_init=FanIn(0.5), bias_init=Constant(2.0)), row("global_pool", "mean"))
    about = replace(saved(rows=rows), note="other")
    assert about.rows == rows and about.build().params["a.bias"].tolist() == [2.0] * 3
