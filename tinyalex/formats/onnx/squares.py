"""Local response normalization that a file computes step by step, as PyTorch exports it, because it has no operator for it.

    x^2, as (N, 1, C, H, W); n // 2 channels of zeros in front and (n - 1) // 2 behind; the mean over n channels; times alpha, plus k,
    to the power beta; x divided by it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinyalex.formats.onnx.flow import Flow, Squares
from tinyalex.formats.onnx.operator import Op, exact
from tinyalex.formats.onnx.reader import Reader


def squared(reader: Reader, op: Op) -> Flow | None:
    """The first step: images times themselves; None where the two inputs differ."""
    a, b = reader.flow(op, 0), reader.flow(op, 1)
    if a.value != b.value or not a.is_image or not b.is_image:
        return None
    return replace(a, squares=Squares(a))


def zeros_around(reader: Reader, op: Op, flow: Flow, pads: tuple[int, ...], value: float) -> Flow:
    """Channels of zeros in front and behind."""
    steps = _steps(flow)
    front, behind = pads[2], pads[len(pads) // 2 + 2] if len(pads) == 10 else 0
    if flow.seen != (1, *flow.shape) or sum(pads) != front + behind or value != 0 or steps.n or any(steps.around):
        op.refuse("its padding", "zeros in front of the channels and behind them, as in response normalization", pads)
    return replace(flow, squares=replace(steps, around=(front, behind)))


def mean_of_channels(reader: Reader, op: Op, flow: Flow) -> Flow:
    """The mean over n channels around each."""
    steps, kernel = _steps(flow), op.wholes("kernel_shape", ())
    n = kernel[0] if len(kernel) == 3 else 0
    plain = kernel[1:] == (1, 1) and set(op.wholes("strides", (1,))) == {1} and not any(op.wholes("pads", ()))
    if n < 1 or steps.n or flow.seen != (1, *flow.shape) or not plain or steps.around != (n // 2, (n - 1) // 2):
        op.refuse("its window", "n channels of one pixel, as in response normalization", kernel)
    return replace(flow, squares=replace(steps, n=n))


def stepped(reader: Reader, op: Op, flow: Flow, setting: str, value: Any) -> Flow:
    """The factor alpha, or the constant k."""
    steps = _steps(flow)
    fits = isinstance(value, float) and steps.n and steps.beta is None and steps.k == 0 and (setting == "k" or steps.alpha == 1)
    if not fits:
        op.refuse("its constant", f"the {setting} of response normalization, one number", value)
    return replace(flow, squares=replace(steps, alpha=value) if setting == "alpha" else replace(steps, k=value))


def power(reader: Reader, op: Op) -> Flow:
    """The power beta; the engine has no other power."""
    flow = reader.flow(op, squares=True)
    exponent = reader.constant(op, 1, "the exponent")
    if flow.squares is None or not flow.squares.n or flow.squares.beta is not None or exponent.size != 1:
        op.refuse("the operator", "one that tinyalex has", op.kind)
    return replace(flow, squares=replace(flow.squares, beta=exact(float(exponent.reshape(())))))


def normalized(reader: Reader, op: Op, flow: Flow, below: Flow) -> Flow:
    """The last step: the images divided by what was made of their squares."""
    steps = _steps(below)
    if steps.beta is None or flow.value != steps.whole.value or not flow.is_image or below.seen != flow.shape:
        op.refuse("its inputs", "x and what response normalization divides it by", reader.shown(flow))
    settings = {"n": steps.n, "k": steps.k, "alpha": steps.alpha, "beta": steps.beta, "alpha_over_n": True, "groups": 1}
    return reader.add(op, "norm", reader.name(op), (flow,), settings)


def _steps(flow: Flow) -> Squares:
    assert flow.squares is not None
    return flow.squares
