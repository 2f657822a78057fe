"""What the lessons call beside their own code: `show` a picture, `say` a number, do it `fast`, and draw where a gradient `adds`.

Each is a guard as well. A picture without a description is refused, and so is a sentence whose number is no longer what the code gives.
Works in a notebook and in a plain script; IPython is only used where a kernel is running.
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tinyalex import errors
from tinyalex.errors import ShapeError, require_float

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")

FAST = "TINYALEX_FAST"  # the variable that makes a lesson short
LEAST_NUMPY = 2  # an older one promotes numbers by other rules
LEAST_ALT = 25  # characters of a description: fewer do not say what is to be seen
DPI = 100
FORWARD, BACK = "#0072B2", "#C04A00"  # blue and vermilion, which colour-blind readers tell apart; on white both have a contrast of 4.5
NUMBER = re.compile(r"(?<![\w.])(?<![^\W\d]-)[-+\u2212]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)(?:\s*%)?")


def require_numpy(version: str) -> None:
    """Raise TinyalexError, with the remedy, where NumPy is older than tinyalex wants. It is called when this file is imported.

    version: such as "2.4.6".
    """
    if int(version.partition(".")[0]) < LEAST_NUMPY:
        message = f"lessons: NumPy must be of version {LEAST_NUMPY}.0 or newer, got {version}"
        raise errors.TinyalexError(message, "pip install --upgrade numpy, then restart the kernel")


def fast(full: T, few: T) -> T:
    """`full`, or `few` where the variable TINYALEX_FAST is set to something else than 0: for counts of images, steps and epochs.

    Parameters
    ----------
    full, few: two values of one kind. The same cells run with both, so only use it for how much is computed.

    Raises
    ------
    ShapeError: an integer `few` that is larger than `full`.

    Example
    -------
    >>> fast(20, 20)
    20
    """
    if isinstance(full, int) and isinstance(few, int) and few > full:
        raise ShapeError(f"fast: few must be at most full, {full}, got {few}; write fast(full, few)")
    return few if in_fast_mode() else full


def in_fast_mode() -> bool:
    """Whether TINYALEX_FAST asks for the short run."""
    return os.environ.get(FAST, "").strip() not in ("", "0")


def say(text: str, *, value: Any, within: float, full_only: bool = False) -> None:
    """Print a sentence that holds one number, after comparing the number with what the code gives.

    Parameters
    ----------
    text: the sentence, or the number alone, such as "38 %" (which is 0.38), "2.303" or "60,965,224 parameters". A number inside a
        name, such as that of conv1, is not counted.
    value: what the code gives.
    within: the largest difference that still leaves the sentence true, at least 0, in the unit of `value`.
    full_only: compare only in a full run, because a fast one (`fast`) computes too little for it. The sentence is printed either way.

    Raises
    ------
    ShapeError: the sentence is no longer true, or it does not hold exactly one number, or `within` is negative.

    Example
    -------
    >>> say("38 % of the winners win twice", value=0.3821, within=0.01)
    38 % of the winners win twice
    """
    stated = _number_in(text)
    allowed = require_float("say", "within", within, "a number of at least 0", lambda number: 0 <= number < np.inf)
    found = require_float("say", "value", value, "one number", lambda number: True)
    far = not abs(found - stated) <= allowed  # also where the value is not a number
    if far and not (full_only and in_fast_mode()):
        remedy = "mend the code, or write what is true now"
        raise ShapeError(f"say: the value of {text!r} must be within {allowed:g} of {stated:.10g}, got {found:.10g}", remedy)
    print(text)


def show(fig: Figure, *, alt: str) -> None:
    """Show a figure, print its description below it, and close it.

    In a notebook the figure becomes a PNG of 100 dots an inch, and the description its alt text, which a screen reader speaks. Elsewhere
    only the description is printed.

    Parameters
    ----------
    fig: a matplotlib figure.
    alt: what is to be seen, with numbers, in at least 25 characters; not the title again.

    Raises
    ------
    ShapeError: no figure, or a description that is empty, too short or the title.
    """
    from matplotlib.figure import Figure

    if not isinstance(fig, Figure):
        raise ShapeError(f"show: fig must be a matplotlib figure, got {errors.show(fig)}; call plt.subplots() and pass its first result")
    sentence = " ".join(alt.split()) if isinstance(alt, str) else ""
    if len(sentence) < LEAST_ALT:
        rule = f"show: alt must describe the picture in at least {LEAST_ALT} characters"
        raise ShapeError(f"{rule}, got {errors.show(alt)}", "say what is to be seen, with numbers, to somebody who does not see it")
    if sentence in _titles(fig):
        raise ShapeError(f"show: alt must say more than the title, got {errors.show(alt)}", "say what is to be seen below the title")
    if (shell := _kernel()) is not None:
        picture = io.BytesIO()
        fig.savefig(picture, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
        data = {"image/png": base64.b64encode(picture.getvalue()).decode("ascii"), "text/plain": sentence}
        shell.display_pub.publish(data, {"image/png": {"alt": sentence}})
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(fig)  # otherwise the notebook shows it a second time
    print(sentence)


def adds(name: str, uses: Sequence[tuple[str, float | str]], *, ax: Any = None, size: tuple[float, float] | None = None) -> Figure:
    """Draw that a gradient adds where a value is used more than once: the value, its uses, what each sends back, and the sum.

    Parameters
    ----------
    name: of the value, such as "x". Its gradient is called "d" + name.
    uses: two or more (label, gradient). A label says what is done with the value, such as "x * x, left". The gradients are all numbers,
        or all texts such as "dy1".
    ax: the axes to draw in; None for a figure of its own.
    size: width and height of that figure in inches; None for 5 by what the uses need.

    Returns
    -------
    The figure; pass it to `show`.

    Raises
    ------
    ShapeError: fewer than two uses, a use that is not (label, gradient), texts among numbers, or both `ax` and `size`.

    Example
    -------
    >>> adds("x", [("3 * x", 3.0), ("x * y", 2.0)]).get_size_inches().tolist()
    [5.0, 2.5]
    """
    labels, gradients, sentence = _uses(name, uses)
    if ax is not None and size is not None:
        raise ShapeError(f"adds: size must be None where ax is given, got {errors.show(size)}; set the size of the figure of ax")
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=size or (5.0, 1.1 + 0.7 * len(labels)), layout="constrained").subplots()
    _draw(ax, name, labels, gradients, sentence)
    return ax.figure


def _draw(ax: Any, name: str, labels: list[str], gradients: list[str], sentence: str) -> None:
    middle = (len(labels) - 1) / 2
    fork, boxes = 3.6, 6.6

    def arrow(start: tuple[float, float], end: tuple[float, float], back: bool = False) -> None:
        style = {"color": BACK, "linestyle": (0, (4, 2))} if back else {"color": FORWARD}
        ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0, **style})

    ax.set(xlim=(-0.9, 10.4), ylim=(len(labels) + 0.25, -0.5))
    ax.set_axis_off()
    box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": FORWARD, "linewidth": 1.6}
    ax.text(0, middle, name, ha="center", va="center", fontsize=13, bbox=box)
    arrow((1.3, middle - 0.13), (fork - 0.4, middle - 0.13))
    arrow((fork - 0.4, middle + 0.13), (1.3, middle + 0.13), back=True)
    ax.text((fork + 0.9) / 2, middle - 0.27, "copied", ha="center", va="bottom", fontsize=10, color=FORWARD)
    ax.text((fork + 0.9) / 2, middle + 0.27, "added", ha="center", va="top", fontsize=10, color=BACK)
    circle = {"boxstyle": "circle,pad=0.18", "facecolor": "white", "edgecolor": BACK, "linewidth": 1.6}
    ax.text(fork, middle, "+", ha="center", va="center", fontsize=14, color=BACK, bbox=circle)
    for y, (label, gradient) in enumerate(zip(labels, gradients, strict=True)):
        ax.text(boxes + 0.1, y, label, ha="left", va="center", fontsize=11, bbox=box)
        near = middle + (y - middle) * 0.22
        arrow((fork + 0.4, near - 0.1), (boxes - 0.25, y - 0.13))
        arrow((boxes - 0.25, y + 0.13), (fork + 0.4, near + 0.1), back=True)
        ax.text(boxes, y + 0.27, f"sends back {gradient}", ha="left", va="top", fontsize=10, color=BACK)
    size = min(12, max(9, 460 / len(sentence)))  # points, so that 51 characters fit
    ax.text(-0.7, len(labels) + 0.1, sentence, va="bottom", fontsize=size, fontweight="bold", color=BACK)


def _uses(name: str, uses: Any) -> tuple[list[str], list[str], str]:
    """The labels, the gradients as text, and the sentence that adds them."""
    try:
        pairs = [(str(label), gradient) for label, gradient in uses]
    except (TypeError, ValueError):
        raise ShapeError(f"adds: each use must be (label, gradient), got {errors.show(uses)}") from None
    if len(pairs) < 2:
        raise ShapeError(f"adds: uses must be at least two, got {len(pairs)}; a value that is used once has one gradient, and nothing adds")
    labels, gradients = [label for label, _ in pairs], [gradient for _, gradient in pairs]
    if all(isinstance(gradient, str) for gradient in gradients):
        return labels, gradients, f"d{name} = {' + '.join(gradients)}"
    if any(isinstance(gradient, str) for gradient in gradients):
        raise ShapeError(f"adds: gradients must be all numbers or all texts, got {errors.show(gradients)}")
    numbers = [require_float("adds", "a gradient", gradient, "a finite number", np.isfinite) for gradient in gradients]
    terms = [f"{number:.3g}" if number >= 0 else f"({number:.3g})" for number in numbers]
    return labels, [f"{number:.3g}" for number in numbers], f"d{name} = {' + '.join(terms)} = {sum(numbers):.3g}"


def _number_in(text: Any) -> float:
    """The one number of a sentence; a percentage is divided by 100."""
    found = NUMBER.findall(text) if isinstance(text, str) else []
    if len(found) != 1:
        remedy = "write one number, with a space before its unit; say each number by a call of its own"
        raise ShapeError(f"say: the text must hold exactly one number, got {len(found)} in {errors.show(text)}", remedy)
    number = float(found[0].rstrip("% \u00a0").replace(",", "").replace("\u2212", "-"))
    return number / 100 if found[0].endswith("%") else number


def _titles(fig: Figure) -> set[str]:
    return {axes.get_title(where) for axes in fig.axes for where in ("left", "center", "right")} | {fig.get_suptitle()}


def _kernel() -> Any:
    """The shell of the running notebook, or None in a script or a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


require_numpy(np.__version__)
