"""E13: batch normalization, backward (Ioffe and Szegedy 2015); the mistakes in deriving it are in e13_mistakes.py."""

from __future__ import annotations

from tinyalex.tutor.exercise import Exercise, Function
from tinyalex.tutor.exercises.e13_backward import batch_norm_backward, probes
from tinyalex.tutor.exercises.e13_mistakes import MISTAKES

E13 = Exercise("E13", "batch normalization, backward", "15", 30, (
    Function("batch_norm_backward", batch_norm_backward, ("dx", "dweight", "dbias"), probes, MISTAKES, linear=("dout",)),
))  # fmt: skip
