"""Checks of what the caller passes to a run or an evaluation, before anything starts."""

from __future__ import annotations

import contextlib
import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyalex.data.batches import Batches, Prepare
from tinyalex.data.dataset import Dataset, Sources
from tinyalex.data.source import ArraySource, Source, is_source
from tinyalex.errors import DataError, ShapeError, show
from tinyalex.layers.base import Layer
from tinyalex.loss import plain
from tinyalex.optim import SGD
from tinyalex.schedule import Schedule

Images: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any]] | Dataset | Sources | Source  # what a caller may pass


def check_parts(net: Any, sgd: Any, schedule: Any, prepare: Any) -> None:
    """Raise unless net, optimizer, schedule and prepare have the right types and fit each other. Sets the schedule's first rate."""
    if not isinstance(net, Layer):
        raise ShapeError(f"trainer: net must be a layer or a network, got {show(net)}")
    if not isinstance(sgd, SGD):
        raise ShapeError(f"trainer: sgd must be an optimizer, got {show(sgd)}; use SGD(net, lr=0.01)")
    if not isinstance(schedule, Schedule):
        raise ShapeError(f"trainer: schedule must be a Schedule, got {show(schedule)}; use Schedule(lr), or None for the rate of sgd")
    if not callable(prepare):
        use = "use Standardize.fit(images) or SubtractMean.fit(images) of tinyalex.data.batches"
        raise DataError(f"trainer: prepare must be a function that makes floats of uint8 images, got {show(prepare)}; {use}")
    if list(map(id, sgd.net.leaves())) != list(map(id, net.leaves())):
        raise ShapeError("trainer: sgd must be of this net and of all its layers, got one of another; make it again, SGD(net)")
    if (chosen := sgd.chosen_lr) is not None:
        schedule.start_from(chosen)
        if not any(math.isclose(chosen, lr, rel_tol=1e-6) for lr in (schedule.base, schedule.lr)):
            raise ShapeError(
                f"trainer: the schedule's lr must be that of sgd, {chosen:g}, got {schedule.base:g}; "
                "give one of them alone, SGD(net) or a schedule without lr"
            )


def check_data(net: Layer, prepare: Prepare, batches: Batches, val: Source | None) -> None:
    """Raise unless the net can read the prepared images of training and validation, and has an output for each label."""
    shape = batches.source.image_shape
    if val is not None and val.image_shape != shape:
        raise DataError(f"trainer: val images must be of the training images' shape {shape}, got {val.image_shape}; crop or resize them")
    check_input("trainer", net, prepare(batches.source.read(np.arange(1)), None))
    shapes: Any = getattr(net, "shapes", None) or [()]
    for labels in (batches.labels, *([] if val is None else [val.labels])):
        least, most = int(labels.min()), int(labels.max())
        if len(shapes[-1]) == 1 and not 0 <= least <= most < shapes[-1][0]:
            got = least if least < 0 else most
            raise DataError(f"trainer: labels must be from 0 to {shapes[-1][0] - 1}, as the net has {shapes[-1][0]} outputs, got {got}")


def source_of(who: str, data: Any, part: str) -> Source:
    """A source: `data` itself, or of a pair (images, labels), or the `part` of a Dataset or of Sources, "train" or "test"."""
    if is_source(data):
        source: Source = data
        return source
    if isinstance(data, Sources):
        return data.train if part == "train" else data.val
    if hasattr(data, f"{part}_images"):
        data = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise DataError(f"{who} must be (images, labels), a Dataset or a source, got {show(data)}")
    return ArraySource(data[0], data[1], who=who)


def as_labels(who: str, labels: Any) -> Any:
    """A list of labels becomes an array; a masked array is refused; any other value is returned as it is."""
    if isinstance(labels, (list, tuple)):
        with contextlib.suppress(ValueError):  # lists of different lengths
            return np.asarray(labels)
    return plain(f"{who}: labels", labels, DataError)


def check_input(who: str, net: Layer, x: Any) -> None:
    """Check a prepared batch `x`, (N, C, H, W).

    Raises
    ------
    DataError: the batch is not an array of floats, or an element is NaN or infinite.
    ShapeError: the images have another size than the net was made for.
    """
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        raise DataError(f"{who}: prepared images must be an array of floats, got {show(x)}; let prepare make floats of the bytes")
    wanted: Any = getattr(net, "in_shape", None)
    if wanted is not None and x.shape[1:] != wanted and not isinstance(wanted[0], tuple):
        raise ShapeError(
            f"{who}: images must be {_size(wanted)} after prepare, which the net was made for, got {_size(x.shape[1:])}; "
            f"crop or resize them, or make the net for {_size(x.shape[1:])}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        total = x.sum(dtype=np.float64)  # quick: if the sum is finite, all elements are; only a sum that is not finite needs the slow look
    if not np.isfinite(total) and not np.isfinite(x).all():
        bad = int(np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(axis=1))[0])
        raise DataError(f"{who}: prepared images must be finite, got a NaN or an infinity in image {bad} of a batch; look at prepare")


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
