"""Kernels with one piece replaced, and ways to run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.sim.ptx_text import device
from tinyalex import sim

CODE = '#line 1 "kernels.cu"\n' + Path(__file__).with_name("kernels.cu").read_text("utf-8")


def planted(right: str, wrong: str, times: int = -1) -> Any:
    """The module of kernels.cu with one piece replaced."""
    assert right in CODE
    return sim.RawModule(code=CODE.replace(right, wrong, times))


def line_of(text: str, nth: int = 1) -> str:
    """The line of kernels.cu with the text, as messages name it."""
    numbers = [i for i, line in enumerate(CODE.splitlines()) if text in line]
    return f"(kernels.cu, line {numbers[nth - 1]})"


def card_arrays(*arrays: np.ndarray[Any, Any]) -> list[Any]:
    return [device().asarray(array) for array in arrays]


def product(made: Any) -> None:
    """Run the tiled product 40 x 60 of matrices of 40 x 50 and 50 x 60."""
    a, b, c = card_arrays(np.ones((40, 50), np.float32), np.ones((50, 60), np.float32), np.zeros((40, 60), np.float32))
    made.get_function("product")((4, 3), (16, 16), (a, b, c, *np.int32([40, 60, 50])))
    assert (device().to_numpy(c) == 50).all()


def run(code: str, grid: int, block: int, *args: Any) -> None:
    sim.RawModule(code='#line 1 "slip.cu"\n' + code).get_function("f")((grid,), (block,), args)
