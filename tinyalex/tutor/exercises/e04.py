"""E04: convolution, forward (paper 3.5); the answer and its calls in e04_forward.py, the mistakes in e04_mistakes.py."""

from __future__ import annotations

from tinyalex.tutor.exercise import Exercise, Function
from tinyalex.tutor.exercises.e04_forward import conv_forward, probes
from tinyalex.tutor.exercises.e04_mistakes import MISTAKES

E04 = Exercise("E04", "convolution, forward", "03", 30, (Function("conv_forward", conv_forward, ("out",), probes, MISTAKES),))
