"""Where two configs differ, and what may stand in one."""

import hashlib
import json
import math
from functools import partial

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tests.training.small_run import make_net, make_trainer, random_data
from tinyalex.data.prepare import CropAndFlip, Standardize
from tinyalex.data.source import fingerprint
from tinyalex.errors import ShapeError
from tinyalex.training.config import as_json, comparable, described, first_difference, layer_config, net_config


@pytest.mark.parametrize(
    ("there", "here", "found"),
    [
        ({}, {}, None),
        ({"a": 1, "b": [1, {"c": 2}]}, {"b": [1, {"c": 2}], "a": 1}, None),
        ({"a": 1}, {"a": 2}, ("a", "1", "2")),
        ({"a": {"b": {"c": "x"}}}, {"a": {"b": {"c": "y"}}}, ("a.b.c", '"x"', '"y"')),
        ({"a": 1, "b": 2}, {"a": 1}, ("b", "2", "nothing")),
        ({"a": 1}, {"a": 1, "b": None}, ("b", "nothing", "null")),
        ({"a": 1}, {"a": True}, ("a", "1", "true")),
        ({"a": [1, 2]}, {"a": [1]}, ("a", "[1, 2]", "[1]")),
        ({"a": {}}, {"a": 0}, ("a", "{}", "0")),
        ({"a": 1, "b": 1}, {"a": 2, "b": 2}, ("a", "1", "2")),
    ],
)
def test_first_difference(there, here, found):
    assert first_difference(there, here) == found


def test_as_json_is_what_a_file_gives_back():
    assert as_json({"a": (1, 2), "b": {3: None}}) == {"a": [1, 2], "b": {"3": None}}


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), object()])
def test_other_values_are_refused(value):
    with refuses(ShapeError, "config must hold JSON values only"):
        as_json({"a": value})


def test_fingerprint_tells_pixels_labels_order_and_shape_apart():
    images, labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2), np.array([1, 2])
    first = fingerprint(images, labels)
    assert len(first) == 16 and first == fingerprint(images.copy(), labels.astype(np.uint8))
    assert first == fingerprint(np.repeat(images, 2, axis=0)[::2], labels)  # a view
    others = [(images ^ 1, labels), (images, labels[::-1]), (images[::-1], labels), (images.reshape(2, 3, 1, 4), labels)]
    assert len({first, *(fingerprint(*other) for other in others)}) == 5


@pytest.mark.parametrize(
    ("there", "compared"),
    [
        ({"trainer": {"seed": 0}}, {"seed": 0}),
        ({"trainer": {"seed": 0, "train_sha256": "c"}}, {"seed": 0, "train_sha256": "a"}),
        ({"trainer": {"train_sha256": "a", "val_sha256": None}}, {"seed": 0, "train_sha256": "a", "val_sha256": "b"}),
        ({"trainer": 3}, {"seed": 0}),
        ({}, {"seed": 0}),
    ],
)
def test_fingerprints_are_compared_where_both_have_them(there, compared):
    here = {"net": "small", "trainer": {"seed": 0, "train_sha256": "a", "val_sha256": "b"}}
    assert comparable(here, there) == ({"net": "small", "trainer": compared}, there)


class Holder:
    """An object with settings of many kinds."""

    def __init__(self, **settings):
        vars(self).update(settings)


LARGE = np.arange(20.0)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, None),
        (True, True),
        (np.int32(3), 3),
        (np.float32(0.1), 0.1),
        (0.1234564, 0.123456),
        (math.inf, "inf"),
        (np.array([[1, 2]], np.uint8), [1, 2]),
        ((1, [2.0, "a"]), [1, [2.0, "a"]]),
        ({"a": None}, {"a": None}),
        (len, "len"),
        (Holder, "Holder"),
        pytest.param(Holder(by=2, inner=Holder(a=None)), {"type": "Holder", "by": 2, "inner": {"type": "Holder", "a": None}}, id="Holder"),
        (partial(len, 3), {"type": "partial", "of": ["len", [3], {}]}),
        (b"raw", {"type": "bytes"}),
    ],
    ids=str,
)
def test_described(value, found):
    assert described(value) == found
    json.dumps(found)


def test_described_large_arrays_differ_by_one_element_and_a_circle_has_an_end():
    other = LARGE.copy()
    other[7] += 1
    assert described(LARGE) == described(LARGE.copy()) != described(other)
    assert described(LARGE) != described(LARGE.reshape(4, 5)) and described(np.array([None] * 20)).endswith("of objects")
    holder = Holder()
    holder.me = holder
    json.dumps(described(holder))


def test_settings_of_a_subclass_that_hands_the_others_on_are_all_found():
    class Scaled(ta.Conv2d):
        """A convolution with one more setting."""

        def __init__(self, *args, scale=2, **settings):
            super().__init__(*args, **settings)
            self.scale = scale

    layer = Scaled(3, 4, 5, stride=2, padding=1, rng=np.random.default_rng(0))
    assert layer_config(layer) == {
        "type": "Scaled", "scale": 2, "in_channels": 3, "out_channels": 4, "kernel_size": [5, 5], "stride": [2, 2],
        "padding": [1, 1, 1, 1], "groups": 1, "ceil_mode": False,
    }  # fmt: skip


def test_described_ends_after_five_levels_and_digests_have_16_digits():
    assert described([[[[[[1]]]]]]) == [[[[["list"]]]]]
    assert described({1: {2: {3: {4: {5: {6: 7}}}}}}) == {"1": {"2": {"3": {"4": {"5": "dict"}}}}}
    assert described(LARGE) == f"float64 (20,) {hashlib.sha256(LARGE.tobytes()).hexdigest()[:16]}"


def test_objects_and_partial_functions_are_levels_too():
    holder = inner = Holder()
    for _ in range(7):
        inner.me = Holder()
        inner = inner.me
    found = described(holder)
    for _ in range(5):
        assert found["type"] == "Holder"
        found = found["me"]
    assert found == "Holder"
    assert described(partial(len, [[[[1]]]])) == {"type": "partial", "of": ["len", [[["list"]]], {}]}


def test_layer_that_keeps_no_argument_is_described_by_what_it_says_of_itself():
    class Secret(ta.ReLU):
        """A layer whose argument goes by another name."""

        def __init__(self, mode):
            super().__init__(name="secret")
            self._mode = mode

        def settings(self):
            return f"mode {self._mode}"

    assert layer_config(Secret(3)) == {"type": "Secret", "settings": "mode 3"}


def test_factors_of_the_optimizer_are_told_where_one_of_the_two_is_not_1():
    net = make_net()
    assert net_config(net, ta.SGD(net))["multipliers"] == {}
    found = net_config(net, ta.SGD(net, multipliers={"*.bias": (2, 0), "conv1.weight": (1, 2), "fc2.weight": (1, 1)}))["multipliers"]
    assert found == {"conv1.weight": [1.0, 2.0], "conv1.bias": [2.0, 0.0], "fc2.bias": [2.0, 0.0]}


@pytest.mark.parametrize("stored", [{"in_halves": False}, {}], ids=["now", "before halves were stored"])
def test_sizes_are_compared_between_nets_of_as_many_towers_and_left_out_between_twins(stored):
    layers = {"conv1": {"type": "Conv2d", "out_channels": 4, "stride": [1, 1]}}
    mine, theirs = comparable({"trainer": {"layers": layers, "in_halves": False}}, {"trainer": {"layers": layers, **stored}})
    assert mine == theirs == {"trainer": {"layers": layers}}
    mine, theirs = comparable({"trainer": {"layers": layers, "in_halves": False}}, {"trainer": {"layers": layers, "in_halves": True}})
    assert mine == theirs == {"trainer": {"layers": {"conv1": {"type": "Conv2d", "stride": [1, 1]}}}}


def test_array_of_sixteen_is_written_out_and_one_more_is_a_digest():
    assert described(np.arange(16.0)) == [float(i) for i in range(16)]
    assert isinstance(described(np.arange(17.0)), str)


def test_run_is_known_by_its_images_and_labels():
    train, val = random_data(16), random_data(8, seed=1)
    own = make_trainer(train=train, val=val).config["trainer"]
    assert (own["train_sha256"], own["val_sha256"]) == (fingerprint(*train), fingerprint(*val))


@pytest.mark.parametrize("layers", [5, {"conv1": 3}], ids=str)
def test_stored_layers_that_are_no_objects_are_compared_as_they_are(layers):
    here = {"trainer": {"layers": {"conv1": {"type": "Conv2d", "out_channels": 4}}, "in_halves": False}}
    mine, theirs = comparable(here, {"trainer": {"layers": layers, "in_halves": True}})
    assert mine == {"trainer": {"layers": {"conv1": {"type": "Conv2d"}}}} and theirs == {"trainer": {"layers": layers}}


def test_crops_without_padding_are_described_as_before_there_was_padding():
    standard = Standardize([1, 2, 3], [4, 5, 6])
    old = {"type": "CropAndFlip", "prepare": described(standard), "size": 24, "augment": True}
    assert described(CropAndFlip(standard, 24)) == old and described(CropAndFlip(standard, 24, padding=4)) == {**old, "padding": 4}
