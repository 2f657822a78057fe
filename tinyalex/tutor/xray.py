"""Gradient X-ray: which inputs an output sees, and which outputs an input feeds, found by touching one number at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.errors import ShapeError, require_int, show
from tinyalex.tutor.arrays import Array

MOST = 4096  # elements of an input: each is one call
TOUCH = 1e-4


class Xray:
    """What one output element sees of the input, and which outputs one input element feeds.

    Parameters
    ----------
    name: of the function. sees: for each input element, how much the output element changes with it. feeds: for each output
        element, how much it changes with the input element. output, input: the two elements, as indices without the batch.
    """

    def __init__(self, name: str, sees: Array, feeds: Array, output: tuple[int, ...], input: tuple[int, ...]) -> None:
        self.name, self.sees, self.feeds, self.output, self.input = name, sees, feeds, output, input

    def alt(self) -> str:
        """The picture in words."""
        return (
            f"{self.name}: output {self.output} sees {int((self.sees != 0).sum())} of {self.sees.size} inputs; "
            f"input {self.input} feeds {int((self.feeds != 0).sum())} of {self.feeds.size} outputs"
        )

    def __repr__(self) -> str:
        return f"<Xray of {self.alt()}>"


def trace(function: Any, x: Array, output: tuple[int, ...] | None = None, input: tuple[int, ...] | None = None) -> Xray:
    """The X-ray of a layer, or of a function of one array, at the input `x` (1, ...), by one call for each element of x.

    output, input: indices without the batch axis; None for the middle.
    """
    if not isinstance(x, np.ndarray) or x.ndim < 2 or len(x) != 1 or x.dtype.kind != "f":
        raise ShapeError(f"xray: x must be a batch of one input of floats, (1, ...), got {show(x)}")
    require_int("xray", "the number of elements of x", x.size, most=MOST)
    call = getattr(function, "forward", function)
    base = np.asarray(call(x))
    if base.shape[:1] != (1,):
        raise ShapeError(f"xray: the function must return one output for one input, (1, ...), got {show(base)}")
    middle = tuple(size // 2 for size in base.shape[1:]) if output is None else output
    touched = tuple(size // 2 for size in x.shape[1:]) if input is None else input
    sees = np.zeros(x.shape[1:])
    for at in np.ndindex(*x.shape[1:]):
        moved = x.copy()
        moved[0][at] += TOUCH
        change = (np.asarray(call(moved)) - base)[0]
        sees[at] = change[middle] / TOUCH
        if at == touched:
            feeds = change / TOUCH
    name = str(getattr(function, "name", None) or getattr(function, "__name__", "function"))
    return Xray(name, _clean(sees), _clean(feeds), middle, touched)


def xray(*functions: Callable[..., Any], x: Any = None, path: Path | str = "xray.png", **at: Any) -> list[Xray]:
    """Draw the X-rays of one or two functions side by side into a PNG, and return them.

    Parameters
    ----------
    functions: layers of the engine, or your functions of one array (N, C, H, W).
    x: the input, a batch of one; None for random numbers (1, 2, 9, 9).
    path: of the picture; its text description stands in the file too.
    at: `output` and `input`, see `trace`.

    Raises
    ------
    ShapeError: no function, an input of more than 4,096 elements or of another kind.
    """
    if not functions:
        raise ShapeError("xray: at least one function must be given, got none; call xray(layer)")
    x = np.random.default_rng(0).standard_normal((1, 2, 9, 9)) if x is None else x
    found = [trace(function, _for(function, x), **at) for function in functions]
    draw(found, Path(path))
    for one in found:
        print(one.alt())
    print(f"wrote {path}")
    return found


def draw(found: list[Xray], path: Path) -> None:
    """One line a function: what the output sees at the left, what the input feeds at the right, channels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.6 + 2.7 * len(found)), dpi=120, layout="constrained")
    axes = figure.subplots(len(found), 2, squeeze=False)
    for line, one in zip(axes, found, strict=True):
        for axis, values, title in (
            (line[0], one.sees, f"what output {one.output} sees"), (line[1], one.feeds, f"what input {one.input} feeds"),
        ):  # fmt: skip
            sheet = _flat(values)
            most = float(np.nanmax(np.abs(sheet))) or 1.0
            picture = axis.imshow(sheet, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
            axis.set_title(f"{one.name}: {title}", fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
            figure.colorbar(picture, ax=axis, shrink=0.8)
    figure.savefig(path, metadata={"Description": "; ".join(one.alt() for one in found)})


def _for(function: Any, x: Array) -> Array:
    dtype = getattr(function, "dtype", x.dtype)
    return np.asarray(x, dtype if np.dtype(dtype).kind == "f" else x.dtype)


def _clean(values: Array) -> Array:
    """Zero where nothing but rounding moved."""
    values = np.asarray(values, float)
    return np.where(np.abs(values) > 1e-6 * max(1e-300, float(np.abs(values).max())), values, 0.0)


def _flat(values: Array) -> Array:
    """Channels side by side, with a gap between them; a vector is one line."""
    if values.ndim < 3:
        return np.atleast_2d(values)
    gap = np.full((values.shape[1], 1), np.nan)
    parts = [part for channel in values for part in (channel, gap)]
    return np.concatenate(parts[:-1], axis=1)
