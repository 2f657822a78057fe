"""How Caffe and the engine describe initial values, each in the words of the other."""

from __future__ import annotations

import math
from typing import Any

from tinyalex.errors import show
from tinyalex.formats.caffe.message import Message
from tinyalex.init import Constant, FanIn, Gaussian, Init, Uniform
from tinyalex.models.rows import PYTORCH, Shape


def init_of(filler: Message, shape: Shape) -> tuple[Init | None, str]:
    """The distribution of a filler for an array of this shape, and "".

    None and what is missing, in words, where the engine does not have the distribution.
    """
    kind = filler.one("type", "constant")
    number = {key: filler.one(key, default) for key, default in (("value", 0.0), ("min", 0.0), ("max", 1.0), ("mean", 0.0), ("std", 1.0))}
    if not all(math.isfinite(value) for value in number.values()):
        return None, "a filler whose numbers are not finite"
    if kind == "constant":
        return Constant(number["value"]), ""
    if kind == "gaussian":
        if number["mean"] or filler.one("sparse", -1) >= 0 or number["std"] < 0:
            return None, "a gaussian filler that is sparse or not around 0"
        return Gaussian(number["std"]), ""
    if kind == "uniform":
        return (Uniform(number["max"]), "") if number["min"] == -number["max"] else (None, "a uniform filler that is not around 0")
    if kind in ("xavier", "msra"):
        inputs, outputs = math.prod(shape[1:]), math.prod(shape) // max(1, shape[1] if len(shape) > 1 else shape[0])
        counts = {"FAN_IN": inputs, "FAN_OUT": outputs, "AVERAGE": (inputs + outputs) / 2}
        norm = filler.one("variance_norm", "FAN_IN")
        n = max(1, counts[norm])
        if kind == "xavier":
            return Uniform(math.sqrt(3 / n)), ""
        return (FanIn(math.sqrt(2)) if norm == "FAN_IN" else Gaussian(math.sqrt(2 / n))), ""
    return None, f"the filler {show(kind)}"


def filler_of(init: Any, shape: Shape) -> Message | None:
    """The filler of a distribution for an array of this shape; None where Caffe does not have the distribution."""
    filler = Message("Filler")
    inputs = max(1, math.prod(shape[1:]))
    if isinstance(init, Constant):
        filler.add("type", "constant")
        filler.add("value", init.value)
    elif isinstance(init, Gaussian):
        filler.add("type", "gaussian")
        filler.add("std", init.std)
    elif isinstance(init, FanIn):
        if init.gain == math.sqrt(2):
            filler.add("type", "msra")
        else:
            filler.add("type", "gaussian")
            filler.add("std", init.gain / math.sqrt(inputs))
    elif isinstance(init, Uniform) or init == PYTORCH:
        bound = init.bound if isinstance(init, Uniform) else 1 / math.sqrt(inputs)
        filler.add("type", "uniform")
        filler.add("min", -bound)
        filler.add("max", bound)
    else:
        return None
    return filler
