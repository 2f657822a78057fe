"""The predictions of lesson 12 come to what the lesson says."""

import pytest

from tinyalex.tutor import answers


@pytest.mark.parametrize(
    ("name", "about", "within"), [("12-a", 10, 0.3), ("12-b", 1.845, 0.02), ("12-c", 41.96, 0.05), ("12-d", 0.9999, 1e-5)]
)
def test_each_comes_to_what_the_lesson_says(name, about, within):
    assert abs(answers.ANSWERS[name]() - about) <= within
