"""What a benchmark is made of: its inputs, and the same work as each library does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SEED = 1
Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Setting:
    """How a side is to do the work.

    Parameters
    ----------
    threads: 1 or more.
    layout: "nchw" or "channels_last", in which order PyTorch keeps images in memory; tinyalex has one order.
    compiled: whether PyTorch translates the work with `torch.compile` first.
    """

    threads: int = 2
    layout: str = "nchw"
    compiled: bool = False


def nothing() -> None:
    """The default of `Job.before`."""


@dataclass(frozen=True)
class Job:
    """Work that one side can repeat.

    Parameters
    ----------
    work: what is timed. Its result is held until the clock has stopped.
    answer: arrays by name that must agree between the sides; called once, on a job that has not worked yet.
    before: called before each `work`, outside the clock.
    """

    work: Callable[[], Any]
    answer: Callable[[], Arrays]
    before: Callable[[], None] = nothing


Side = Callable[[Arrays, Setting], Job]


@dataclass(frozen=True)
class Workload:
    """One row of the benchmark.

    Parameters
    ----------
    name: what `--only` takes; the part before the first hyphen names its group.
    title: one line for the table.
    inputs: called with `quick`, makes the arrays that every side gets; from `SEED`, so they are always the same.
    sides: by library, what makes a Job of the inputs. A side imports its library itself, and lets go of the inputs it needs no more.
    tolerance: the largest difference of two answers that is accepted, relative to the array's largest value.
    calls: calls of `work` that are timed together, so that one timing is not over too soon.
    rough_s: about how long one tinyalex and one PyTorch timing take together, for the expected time only.
    flops: of one call, from its inputs: 2 for each multiplication of the direct method; None where products are not the work.
    traffic: bytes that one call must at least read and write, from its inputs; None where nobody has counted them.
    images: how many images one call trains on or classifies, None for a single layer.
    epoch_calls: calls that make an epoch, None where there is none.
    same: settings of PyTorch that change nothing here, "channels_last" or "compiled"; contestants with one of them stay out.
    """

    name: str
    title: str
    inputs: Callable[[bool], Arrays]
    sides: Mapping[str, Side]
    tolerance: float
    calls: int
    rough_s: float
    flops: Callable[[Arrays], float] | None = None
    traffic: Callable[[Arrays], float] | None = None
    images: Callable[[Arrays], int] | None = None
    epoch_calls: int | None = None
    same: tuple[str, ...] = ()
