"""The training step that is measured at one point of a curve of `--scaling`."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.steps import Rates, tinyalex_step
from benchmarks.workload import SEED, Job
from tinyalex.models import build


def scaling_job(net_name: str, batch: int, options: dict[str, Any], threads: int) -> Job:
    """A step of the net of `tinyalex.models.build` with these options, on random images of its input's shape."""
    device = ta.CpuDevice("cpu", workers=threads)
    net = build(net_name, devices=device, seed=SEED, **options)
    rng = np.random.default_rng(SEED)
    assert net.in_shape is not None
    x = rng.standard_normal((1, batch, *net.in_shape), np.float32)
    return tinyalex_step(net, {"x": x, "labels": rng.integers(0, 10, (1, batch))}, Rates(lr=1e-4), device)
