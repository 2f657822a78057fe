"""The examples of docs/SIM.md print what stands below them."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

from tests.sim.ptx_text import needs_nvrtc

PAGE = Path(__file__).parents[2].joinpath("docs", "SIM.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", PAGE, re.DOTALL)


@needs_nvrtc
def test_the_examples_print_what_the_page_shows() -> None:
    names: dict[str, Any] = {}
    assert len(EXAMPLES) >= 3
    for code, expected in EXAMPLES:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, names)
        assert _without_kinds(out.getvalue()) == _without_kinds(expected)


def _without_kinds(text: str) -> str:
    """The last line of a table depends on the version of the compiler."""
    return re.sub(r"instructions of warps .*", "", text)
