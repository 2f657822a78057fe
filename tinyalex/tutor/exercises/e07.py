"""E07: local response normalization (paper 3.3); forward in e07_forward.py, backward in e07_backward.py."""

from __future__ import annotations

from tinyalex.tutor.exercise import Exercise, Forward, Function
from tinyalex.tutor.exercises.e07_backward import BACKWARD, backward_probes, lrn_backward
from tinyalex.tutor.exercises.e07_forward import FORWARD, forward_probes, lrn

E07 = Exercise("E07", "local response normalization", "05", 35, (
    Function("lrn", lrn, ("b",), forward_probes, FORWARD),
    Function("lrn_backward", lrn_backward, ("dx",), backward_probes, BACKWARD, linear=("dout",), forward=Forward(
        "E07", "lrn", {"dx": "a"}, lambda dout, **given: given)),
))  # fmt: skip
