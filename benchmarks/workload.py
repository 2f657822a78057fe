"""The parts of a benchmark: its inputs, and the same work in each library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SEED = 1
Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Setting:
    """Settings of a side, the code with which one library does the work.

    Parameters
    ----------
    threads: 1 or more.
    layout: the order of images in the memory of PyTorch, "nchw" or "channels_last". tinyalex ignores it.
    compiled: whether PyTorch first compiles the work with `torch.compile`.
    """

    threads: int = 2
    layout: str = "nchw"
    compiled: bool = False


def nothing() -> None:
    """Do nothing; the default of `Job.before`."""


@dataclass(frozen=True)
class Job:
    """Work of one side that can be repeated.

    Parameters
    ----------
    work: the function that is timed. Its result is freed after the clock has stopped.
    answer: returns the arrays, by name, in which all sides must agree. It is called once, before any call of `work`.
    before: called before each `work`; its time does not count.
    """

    work: Callable[[], Any]
    answer: Callable[[], Arrays]
    before: Callable[[], None] = nothing


Side = Callable[[Arrays, Setting], Job]


@dataclass(frozen=True)
class Workload:
    """One workload of the benchmark.

    Parameters
    ----------
    name: the name for `--only`; the part before the first hyphen is the name of its group.
    title: one line of text for the table.
    inputs: called with `quick`, returns the arrays that every side gets. They depend on `SEED` only, so they are always the same.
    sides: for each library, the function that makes a Job from the inputs. It imports its library, and frees inputs after use.
    tolerance: the largest accepted difference of two answers, relative to the largest value of an array.
    calls: how many calls of `work` are timed together, so that a timing is long enough.
    rough_s: about how many seconds one timing of tinyalex and one of PyTorch take together; used only for the expected time.
    flops: computes the operations of one call from its inputs: 2 for each multiplication of the direct method. None: not counted.
    traffic: computes the bytes that one call must read and write at least, from its inputs. None: not counted.
    images: computes how many images one call trains on or classifies. None: a single layer.
    epoch_calls: calls in one epoch, None if there are no epochs.
    same: settings of PyTorch that change nothing here, "channels_last" or "compiled". Contestants with them do not take part.
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
