"""E06: overlapping max pooling (paper 3.4); forward in e06_forward.py, backward in e06_backward.py."""

from __future__ import annotations

from tinyalex.tutor.exercise import Exercise, Forward, Function
from tinyalex.tutor.exercises import e06_backward, e06_forward

E06 = Exercise("E06", "overlapping max pooling", "04", 25, (
    Function("max_pool", e06_forward.max_pool, ("out",), e06_forward.forward_probes, e06_forward.MISTAKES),
    Function("max_pool_backward", e06_backward.max_pool_backward, ("dx",), e06_backward.backward_probes, e06_backward.MISTAKES,
             linear=("dout",), judge=e06_backward.ties, forward=Forward("E06", "max_pool", {"dx": "x"}, lambda dout, **given: given)),
))  # fmt: skip
