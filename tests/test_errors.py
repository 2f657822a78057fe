"""The errors and the checks that raise them."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.errors import require_bool, require_choice, require_float, require_int, show


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


def test_require_choice():
    assert require_choice("net", "mode", "a", ("a", None)) == "a"
    assert require_choice("net", "mode", None, ("a", None)) is None
    assert type(require_choice("net", "towers", np.int64(2), (1, 2))) is int
    with refuses(ta.ShapeError, "net: mode must be one of 'a', None, got 'b'"):
        require_choice("net", "mode", "b", ("a", None))
    with refuses(ta.ShapeError, "net: k must be one of 1, got True"):
        require_choice("net", "k", True, (1,))
