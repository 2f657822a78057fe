"""E05: convolution, backward (paper 3.5), and with groups (3.2); answers in e05_backward.py, mistakes in e05_mistakes.py, e05_groups.py."""

from __future__ import annotations

import numpy as np

from tinyalex.tutor.exercise import Exercise, Forward, Function
from tinyalex.tutor.exercises import e05_groups, e05_mistakes
from tinyalex.tutor.exercises.e05_backward import conv_backward, conv_backward_groups, group_probes, probes

FORWARD = Forward(
    "E04", "conv_forward", {"dx": "x", "dweight": "weight", "dbias": "bias"},
    lambda dout, x, weight, stride, padding, groups=1: {
        "x": x, "weight": weight, "bias": np.zeros(len(weight)), "stride": stride, "padding": padding, "groups": groups},
)  # fmt: skip
GRADIENTS = ("dx", "dweight", "dbias")
E05 = Exercise("E05", "convolution, backward", "03", 35, (
    Function("conv_backward", conv_backward, GRADIENTS, probes, e05_mistakes.MISTAKES, linear=("dout",), forward=FORWARD),
    Function("conv_backward_groups", conv_backward_groups, GRADIENTS, group_probes, e05_groups.MISTAKES, linear=("dout",), forward=FORWARD),
))  # fmt: skip
