"""Where two configs differ, and what may stand in one."""

import pytest

from tests.contract import refuses
from tinyalex.errors import ShapeError
from tinyalex.training.config import as_json, first_difference


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
