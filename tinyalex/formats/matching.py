"""Which arrays of a file are those of a net, and a net of a file with the names that the registry's net has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest

from tinyalex.devices.dry import DryDevice
from tinyalex.errors import CheckpointError
from tinyalex.formats.imported import Imported
from tinyalex.formats.saved import require_whole
from tinyalex.models.later.rows import build_net, flat
from tinyalex.models.options import keywords_of
from tinyalex.models.registry import MODELS, build, require_name
from tinyalex.models.rows import Row
from tinyalex.models.rows_of_net import rows_of_net
from tinyalex.models.saved_net import COUNTS
from tinyalex.models.weights import arrays_of

COUNTED = "batches"  # a buffer of batch normalization that only training uses, and only with Caffe's convention
WITHOUT_EFFECT = ("dropout",)  # kinds of layers that compute nothing in a trained net


@dataclass(frozen=True)
class Matched:
    """Arrays of a file and of its net, by name.

    found: in both. missing: the net's, not in the file: they keep their initial values. left: the file's, not in the net.
    """

    found: tuple[str, ...]
    missing: tuple[str, ...]
    left: tuple[str, ...]


def match(net: Imported) -> Matched:
    """Which arrays of the file its net takes.

    Raises
    ------
    CheckpointError: the file has no layers, or an array has another shape than the net's. ShapeError: the layers do not fit together.
    """
    wanted = arrays_of(build_net(net.rows, require_whole(net), net.name or "net", DryDevice("cpu")))
    for name, array in wanted.items():
        if name in net.arrays and tuple(net.arrays[name].shape) != tuple(array.shape):
            got = tuple(net.arrays[name].shape)
            raise CheckpointError(f"{net.source}: {name} must have shape {tuple(array.shape)}, got {got}; is it of another net?")
    found = tuple(name for name in wanted if name in net.arrays)
    missing = tuple(name for name in wanted if name not in net.arrays)
    return Matched(found, missing, tuple(name for name in net.arrays if name not in wanted))


def as_net(net: Imported, name: str) -> tuple[Imported, tuple[str, ...]]:
    """The net with the layers and names of the registry's net `name`, and in what its own layers differ, a sentence each.

    Layers with weights are taken in the order in which they compute; each must have the shapes of its namesake.

    Raises
    ------
    ShapeError: there is no net of that name. CheckpointError: a layer with weights is missing, or has other shapes.
    """
    here = build_net(net.rows, require_whole(net), net.name or "net", DryDevice("cpu"))
    counts = [key for key in COUNTS if key in keywords_of(MODELS[require_name(name)])]
    there = build(name, devices=DryDevice("cpu"), **dict.fromkeys(counts, here.shapes[-1][0]))
    if there.in_shape != here.in_shape:
        must = f"{net.source}: images of {name} must be {_size(there.in_shape)}"
        raise CheckpointError(f"{must}, got {_size(here.in_shape)}; name another net")
    wanted, found = rows_of_net(there), rows_of_net(here)
    mine, theirs = arrays_of(here), arrays_of(there)
    renamed: dict[str, str] = {}
    for own, other in zip_longest(_weighted(found, mine), _weighted(wanted, theirs)):
        got, rule = _shapes(own, mine), _shapes(other, theirs)
        got = {key: shape for key, shape in got.items() if key in rule or key != COUNTED}
        if own is None or other is None or got != rule or own.kind != other.kind:
            where = other.name if other else "the end"
            must = f"{net.source}: {where} of {name} must have {_told(other, rule)}"
            raise CheckpointError(f"{must}, got {_told(own, got)}; name another net")
        renamed |= {f"{own.name}.{key}": f"{other.name}.{key}" for key in got}
    arrays = {renamed.get(key, key): array for key, array in net.arrays.items() if key in renamed or not key.endswith(f".{COUNTED}")}
    return replace(net, name=name, rows=wanted, arrays=arrays), tuple(_differences(found, wanted))


def _weighted(rows: tuple[Row, ...], arrays: dict[str, object]) -> list[Row]:
    layers = {name.rpartition(".")[0] for name in arrays}
    return [row for row in flat(rows) if row.name in layers]


def _shapes(row: Row | None, arrays: dict[str, object]) -> dict[str, tuple[int, ...]]:
    if row is None:
        return {}
    own = {name.rpartition(".")[2]: array for name, array in arrays.items() if name.rpartition(".")[0] == row.name}
    return {key: tuple(getattr(array, "shape", ())) for key, array in own.items()}


def _told(row: Row | None, shapes: dict[str, tuple[int, ...]]) -> str:
    if row is None:
        return "no layer"
    return f"{row.kind} with {', '.join(f'{key} {_size(shape)}' for key, shape in shapes.items())}"


def _differences(found: tuple[Row, ...], wanted: tuple[Row, ...]) -> list[str]:
    """In what layers differ that stand in the same place, without names."""
    here, there = ([row for row in flat(rows) if row.kind not in WITHOUT_EFFECT] for rows in (found, wanted))
    if [row.kind for row in here] != [row.kind for row in there]:
        return [_first_other(here, there)]
    said = []
    for own, other in zip(here, there, strict=True):
        for key in own.settings.keys() & other.settings.keys():
            if own[key] != other[key]:
                said.append(f"{other.name}: {key} is {own[key]} in the file, {other[key]} in the net")
    return said


def _first_other(here: list[Row], there: list[Row]) -> str:
    for own, other in zip_longest(here, there):
        if own is None or other is None or own.kind != other.kind:
            return f"the file has {own.kind if own else 'its end'} where the net has {other.kind if other else 'its end'}"
    raise AssertionError("the kinds differ")


def _size(shape: object) -> str:
    return "x".join(map(str, shape)) if isinstance(shape, tuple) else str(shape)

