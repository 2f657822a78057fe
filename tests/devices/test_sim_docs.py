"""The examples of docs/SIM_ARRAYS.md print what stands below them."""

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2].joinpath("docs", "SIM_ARRAYS.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", PAGE, re.DOTALL)


def test_there_are_examples():
    assert len(EXAMPLES) == PAGE.count("```python") == 5


@pytest.mark.parametrize("number", range(5))
def test_an_example_prints_what_the_page_shows(number):
    names = {}
    for code, _ in EXAMPLES[: number + 1]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, names)
    assert out.getvalue() == EXAMPLES[number][1]
