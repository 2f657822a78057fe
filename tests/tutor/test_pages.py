"""The student's file and the list of mistakes are what the code says."""

import ast
import inspect

import pytest

from tinyalex.tutor import pages
from tinyalex.tutor.exercises import EXERCISES


@pytest.mark.parametrize("name", ["mine.py", "MISCONCEPTIONS.md"])
def test_page_is_up_to_date(name):
    made = pages.mine() if name == "mine.py" else pages.misconceptions()
    assert (pages.LESSONS / name).read_text("utf-8") == made, "run python -m tinyalex.tutor.pages"


def test_every_function_is_there_to_be_written_and_says_what_it_wants():
    space = {}
    exec(compile(pages.mine(), "mine.py", "exec"), space)
    for exercise in EXERCISES.values():
        for function in exercise.functions:
            with pytest.raises(NotImplementedError):
                space[function.name](*inspect.signature(function.right).parameters)
            assert "Returns" in space[function.name].__doc__
    assert all(len(line) <= 140 for line in pages.mine().splitlines())
    assert len(ast.parse(pages.mine()).body) == 2 + sum(len(exercise.functions) for exercise in EXERCISES.values())
