"""The errors and the checks that raise them."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.errors import (
    DiskFull,
    Interrupted,
    did_you_mean,
    require_bool,
    require_choice,
    require_float,
    require_int,
    require_keywords,
    show,
    show_choices,
)


@pytest.mark.parametrize(
    ("error", "base", "exit_code"),
    [
        (ta.ShapeError, ValueError, 2),
        (ta.DeviceError, RuntimeError, 2),
        (ta.OutOfMemory, MemoryError, 1),
        (ta.DataError, ValueError, 2),
        (ta.CheckpointError, ValueError, 2),
        (ta.DivergedError, ArithmeticError, 1),
        (ta.CallOrderError, RuntimeError, 2),
    ],
)
def test_error_is_ours_and_a_python_one_and_has_an_exit_code(error, base, exit_code):
    assert issubclass(error, ta.TinyalexError) and issubclass(error, base)
    assert error.exit_code == exit_code


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        ("x", "'x'"),
        (None, "None"),
        (np.zeros((2, 3), np.float32), "float32 array of shape (2, 3)"),
        (np.array([1, 2], np.int64), "int64 array of shape (2,)"),
        pytest.param(10**5000, "an integer of 16610 bits", id="an integer too large to write out"),
        ("a" * 100, "'" + "a" * 76 + "..."),
        (np.dtype(np.float16), "float16"),
        ([1, "x"], "[1, 'x']"),
        (list(range(50_000)), "a list of 50,000 elements"),
        (tuple("word" for _ in range(20)), "a tuple of 20 elements"),
        (["x" * 90], "a list of 1 element"),
        ([[1] * 30] * 3, "a list of 3 elements"),
        ([1, [10**5000]], "a list of 2 elements"),
        ({"a": [1, (2, {3})]}, "{'a': [1, (2, {3})]}"),
        (np.ma.masked_array([[1.0, 2.0]], [[True, False]]), "float64 masked array of shape (1, 2)"),
        (np.zeros((1, 2), np.int64).view(np.matrix), "int64 matrix of shape (1, 2)"),
    ],
)
def test_show_names_a_value_in_few_characters(value, text):
    assert show(value) == text


def test_show_tells_the_value_of_a_numpy_scalar():
    assert "2.5" in show(np.float64(2.5))


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2)])
def test_require_int_gives_a_python_int(value):
    assert type(require_int("conv", "stride", value)) is int


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (2.0, "2.0"), (True, "True"), ("2", "'2'"), (None, "None"), (-1, "-1")])
def test_require_int_refuses(value, shown):
    with refuses(ta.ShapeError, f"conv: stride must be an integer of at least 1, got {shown}"):
        require_int("conv", "stride", value)


def test_require_int_most_is_allowed_and_no_more():
    assert require_int("conv", "padding", 7, most=7) == 7
    for value, shown in ((1001, "1001"), (10**5000, "an integer of 16610 bits")):
        with refuses(ta.ShapeError, f"conv: padding must be at most 1,000, got {shown}; use fewer"):
            require_int("conv", "padding", value, most=1000)


def test_require_int_least_is_allowed():
    assert require_int("conv", "padding", 0, least=0) == 0
    with refuses(ta.ShapeError, "conv: padding must be an integer of at least 0, got -1"):
        require_int("conv", "padding", -1, least=0)


@pytest.mark.parametrize("value", [0.5, np.float64(0.5), np.float32(0.5)])
def test_require_float_gives_a_python_float(value):
    assert type(require_float("norm", "beta", value, "a number", lambda v: True)) is float


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((-1, "-1"), (float("nan"), "nan"), (True, "True"), ("1", "'1'"), (None, "None"), ([], "[]")),
        pytest.param(10**400, "an integer of 1329 bits", id="an integer too large for a float"),
    ],
)
def test_require_float_refuses(value, shown):
    with refuses(ta.ShapeError, f"norm: alpha must be at least 0, got {shown}"):
        require_float("norm", "alpha", value, "at least 0", lambda v: v >= 0)


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_require_bool_gives_a_python_bool(value):
    assert require_bool("conv", "ceil_mode", value) is bool(value)


@pytest.mark.parametrize(("value", "shown"), [(1, "1"), (0, "0"), ("no", "'no'"), (None, "None"), (1.0, "1.0"), ([], "[]")])
def test_require_bool_refuses(value, shown):
    with refuses(ta.ShapeError, f"conv: ceil_mode must be True or False, got {shown}"):
        require_bool("conv", "ceil_mode", value)


@pytest.mark.parametrize(
    "error",
    [ta.TinyalexError, ta.ShapeError, ta.DataError, ta.DeviceError, ta.OutOfMemory, ta.CheckpointError, ta.DivergedError, DiskFull],
)
def test_remedy_is_told_or_read_from_the_message_or_none(error):
    told = error("disk: room must be there, got 'a; b'", remedy="make room; then try again")
    assert str(told) == "disk: room must be there, got 'a; b'; make room; then try again"
    assert (told.sentence, told.remedy) == ("disk: room must be there, got 'a; b'", "make room; then try again")
    read = error("disk: room must be there, got none; make room; then try again")
    assert (read.sentence, read.remedy) == ("disk: room must be there, got none", "make room; then try again")
    bare = error("disk: room must be there, got none")
    assert (bare.sentence, bare.remedy) == (str(bare), None)
    again = pickle.loads(pickle.dumps(told))
    assert type(again) is error and str(again) == str(told) and again.remedy == told.remedy


def test_interrupted_has_a_remedy_too():
    stop = Interrupted("the run was stopped", 143, None, "go on with: tinyalex train")
    assert str(stop) == "the run was stopped; go on with: tinyalex train"
    assert (stop.sentence, stop.remedy, stop.exit_code) == ("the run was stopped", "go on with: tinyalex train", 143)


def test_layer_in_front_of_an_out_of_memory_keeps_the_remedy():
    error = ta.OutOfMemory("cpu: memory must hold 9 bytes, got 3", "use a smaller batch").inside("conv1")
    assert (error.sentence, error.remedy) == ("conv1: cpu: memory must hold 9 bytes, got 3", "use a smaller batch")


def test_nobody_cuts_a_message_apart_elsewhere():
    cut = re.compile(r"""(partition|split|find|index)\(['"]; ?['"]""")
    found = [path for path in Path(ta.__file__).parent.rglob("*.py") if cut.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in found] == ["errors.py"]


@pytest.mark.parametrize(
    ("value", "choices", "remedy"),
    [
        ("cifar-10", ("auto", "cifar10"), "did you mean cifar10?"),
        ("conv2d", ("Linear", "Conv2d"), "did you mean Conv2d?"),
        ("num_class", ("seed", "classes"), "did you mean classes?"),
        ("vgg", ("paper", "caffe"), None),
        (3, ("3",), None),
        ("a", (None, 1), None),
        ("conv1", ("conv1\x1b[2J",), None),  # names of a file, which could change a terminal
        ("a" * 100, ("a" * 101,), None),  # two long names would take minutes
    ],
)
def test_did_you_mean_names_what_looks_alike(value, choices, remedy):
    assert did_you_mean(value, choices) == remedy


def test_choices_are_listed_as_they_are_typed():
    assert show_choices((np.dtype(np.float32), np.dtype(np.float64))) == "float32 or float64"
    assert show_choices(("test", None, 1)) == "test, None or 1" and show_choices((1,)) == "1"


def test_require_keywords():
    require_keywords("figure1", ["seed"], ("seed", "classes"))
    with refuses(ta.ShapeError, "figure1: settings must be among seed, classes, got num_classes; did you mean classes?"):
        require_keywords("figure1", {"num_classes": 3}, ("seed", "classes"))


def test_require_choice():
    assert require_choice("net", "mode", "a", ("a", None)) == "a"
    assert require_choice("net", "mode", None, ("a", None)) is None
    assert type(require_choice("net", "towers", np.int64(2), (1, 2))) is int
    with refuses(ta.ShapeError, "net: mode must be a or None, got 'b'"):
        require_choice("net", "mode", "b", ("a", None))
    with refuses(ta.ShapeError, "net: k must be 1, got True"):
        require_choice("net", "k", True, (1,))
    with refuses(ta.ShapeError, "train: --schedule must be steps or plateau, got 'step'; did you mean steps?"):
        require_choice("train", "--schedule", "step", ("steps", "plateau"))
