"""Finds the net whose arrays a file holds, by their names and shapes, and renames them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinyalex.devices.dry import DryDevice
from tinyalex.errors import CheckpointError, ShapeError, TinyalexError, did_you_mean, require_int, show
from tinyalex.formats.imported import Arrays, Imported
from tinyalex.formats.torch.names import OLD_DENSENET, Table, tables_of
from tinyalex.models.later.rows import build_net, flat, outputs, with_classes
from tinyalex.models.later.table import LATER
from tinyalex.models.registry import MODELS, rows_of
from tinyalex.models.rows import PYTORCH, Row, Rows, Shape
from tinyalex.models.rows_json import rows_from_json, rows_to_json
from tinyalex.models.variants import VARIANTS
from tinyalex.models.weights import check_tensors

COUNTED = "num_batches_tracked"
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, of torch.compile, of programs that wrap a model in another
OWN = Table("tinyalex", lambda rows: {row.name: row.name for row in flat(rows)})
MOST_CLASSES = 2**20
LARGEST, LONGEST = 2048, 2**24  # pixels of an image's side, and characters of a text about a net
KEYS = {"conv": ("weight", "bias"), "linear": ("weight", "bias"), "local": ("weight", "bias"), "gn": ("weight", "bias")} | {
    "bn": ("weight", "bias", "running_mean", "running_var")
}


@dataclass(frozen=True)
class Net:
    """A network of the registry as a library writes it: its name, its rows, the names of their layers there."""

    name: str
    table: Table
    rows: Rows

    @cached_property
    def theirs(self) -> Mapping[str, str]:
        """The library's name of each layer with arrays."""
        return self.table.named(self.rows)

    @property
    def size(self) -> Shape:
        """(C, H, W) of an image."""
        if self.name in LATER:
            return LATER[self.name].channels, LATER[self.name].size, LATER[self.name].size
        side = {"cifar-alexnet": 24, "figure1": 32}.get(self.name) or VARIANTS[self.name.partition("-")[2] or "paper"].input_size
        return 3, side, side

    @cached_property
    def keys(self) -> dict[str, str]:
        """The name of each array in the library, and in the engine."""
        return {f"{self.theirs[name]}.{key}": f"{name}.{key}" for name, key in _arrays(self.rows)}


def _arrays(rows: Rows) -> Iterator[tuple[str, str]]:
    """The layer and the key of each array of a net."""
    for row in flat(rows):
        for key in KEYS.get(row.kind, ()):
            if key != "bias" or row.settings.get("bias", True):
                yield row.name, key


def nets(name: str | None = None, count: int | None = None) -> Iterator[Net]:
    """The nets of the registry with each of their tables, the engine's own names last.

    name: only this net's. count: only nets with so many arrays, which is found out sooner than the names.
    """
    for each in MODELS if name is None else (name,):
        rows = _plain(rows_of(each))
        if count is not None and sum(1 for _ in _arrays(rows)) != count:
            continue
        for table in (*tables_of(each), OWN):
            yield Net(each, table, table.edit(rows))


def _plain(rows: Rows) -> Rows:
    """The rows without initial distributions that only `build_rows` knows."""
    kept = []
    for row in rows:
        settings = {key: value for key, value in row.settings.items() if value != PYTORCH}
        kept.append(Row(row.kind, row.name, settings))
    return tuple(kept)


def arrange(who: str, arrays: Arrays, net: str | None = None, text: str | None = None) -> Imported:
    """The network whose arrays these are.

    Parameters
    ----------
    who: the file. arrays: by the names in the file. net: the name of the network in the registry; None to find it.
    text: what the file says about its net, as `described` wrote it; it counts unless `net` is given.

    Raises
    ------
    ShapeError: there is no network called `net`. CheckpointError: the arrays are not those of `net`, or of no network, or of several.
    """
    if net is not None and net not in MODELS:
        rule = f"{who}: NAME must be one of the networks that `tinyalex net --list` prints"
        raise ShapeError(f"{rule}, got {show(net)}", did_you_mean(net, MODELS))
    if text is not None and net is None:
        return _from_text(who, arrays, text)
    arrays, notes = _without_prefix(dict(arrays))
    given = arrays
    arrays = {key: array for key, array in given.items() if not (key.endswith(f".{COUNTED}") or key == COUNTED)}
    if counted := len(given) - len(arrays):
        notes.append(f"{counted} counts of batches ({COUNTED}) were left out, as nothing here reads them")
    given = arrays
    arrays = {(found.expand(r"\1\2\3") if (found := OLD_DENSENET.fullmatch(key)) else key): array for key, array in given.items()}
    if len(arrays) < len(given):
        raise CheckpointError(f"{who}: each array must be there once, got names of old and new releases of torchvision for the same ones")
    best, shapes = _best(who, arrays, net)
    if best.table is not OWN:
        notes.insert(0, f"the names are those of {best.table.library} for {best.name}")
    renamed = {ours: arrays[theirs].reshape(shapes[ours]) for theirs, ours in best.keys.items()}
    return Imported(best.name, who, best.rows, best.size, renamed, notes=(*notes, *best.table.notes))


def _best(who: str, arrays: Arrays, net: str | None) -> tuple[Net, dict[str, Shape]]:
    """The net whose arrays these are, and their shapes there. A library's names say which net; the engine's own may fit several."""
    own = []
    for each in nets(net, len(arrays)):
        fitted = _fitted(each, arrays) if each.keys.keys() == arrays.keys() else None
        if fitted is not None:
            if each.table is not OWN:
                return fitted
            own.append(fitted)
    if len(own) > 1:
        several = ", ".join(each.name for each, _ in own)
        remedy = "say which with --net NAME, or give NAME in the file's place where a command has no --net"
        raise CheckpointError(f"{who}: the arrays must be those of one network, got {several}, which are alike", remedy)
    if not own:
        raise CheckpointError(_no_net(who, arrays, net))
    return own[0]


def _without_prefix(arrays: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The arrays without a prefix that all of their names have, and what was removed."""
    notes = []
    for _ in range(4):
        for prefix in PREFIXES:
            if arrays and all(key.startswith(prefix) for key in arrays):
                arrays = {key.removeprefix(prefix): array for key, array in arrays.items()}
                notes.append(f"{prefix!r} in front of all names was removed")
    return arrays, notes


def _fitted(net: Net, arrays: Arrays) -> tuple[Net, dict[str, Shape]] | None:
    """The net with as many classes as the arrays have, and the shapes of its arrays; None if theirs are others."""
    last = set(outputs(net.rows))
    counts = {len(arrays[f"{net.theirs[each]}.weight"]) for each in last if arrays[f"{net.theirs[each]}.weight"].ndim}
    if len(counts) != 1 or not 1 <= (count := counts.pop()) <= MOST_CLASSES:
        return None
    net = Net(net.name, net.table, with_classes(net.rows, count, last))
    shapes = shapes_of(net)
    alike = all(_alike(arrays[theirs].shape, shapes[ours]) for theirs, ours in net.keys.items())
    return (net, shapes) if alike else None


def shapes_of(net: Net, size: Shape | None = None) -> dict[str, Shape]:
    """The shapes of the parameters and buffers of a net, by name, without allocating one. size: (C, H, W) of an image, None: the own."""
    built = build_net(net.rows, size or net.size, net.name, DryDevice("cpu"))
    return {name: tuple(array.shape) for name, array in (*built.params.items(), *built.buffers.items())}


def _alike(there: Shape, here: Shape) -> bool:
    """Whether an array has this shape, or is that of a convolution in the place of a fully connected layer."""
    return there == here or (len(there) == 4 and len(here) == 2 and there[0] == here[0] and math.prod(there[1:]) == here[1])


def _no_net(who: str, arrays: Arrays, net: str | None) -> str:
    """The message where no net fits: what the nearest lacks."""
    best = max(nets(net), key=lambda each: len(each.keys.keys() & arrays.keys()))
    keys = best.keys
    missing, other = [key for key in keys if key not in arrays], [key for key in arrays if key not in keys]
    rule = f"{who}: the arrays must be those of {net or 'a network of the registry'}"
    if len(missing) == len(keys):
        return f"{rule}, got {len(arrays)} arrays such as {show(next(iter(arrays), None))}; `tinyalex net --list` prints the networks"
    parts = []
    if missing:
        parts.append(f"no {missing[0]}" + (f" and {len(missing) - 1:,} others missing" if len(missing) > 1 else ""))
    if other:
        parts.append(f"{show(other[0])} that it does not have" + (f" and {len(other) - 1:,} more" if len(other) > 1 else ""))
    return f"{rule}, got {' and '.join(parts) or _shape_told(best, arrays)}; the nearest is {best.name} with {best.table.library}'s names"


def _shape_told(net: Net, arrays: Arrays) -> str:
    """The first array of another shape."""
    try:
        shapes = shapes_of(net)
    except TinyalexError:
        shapes = {}
    for theirs, ours in net.keys.items():
        there, here = tuple(arrays[theirs].shape), shapes.get(ours, ())
        if not _alike(there, here):
            return f"{theirs} of shape {there}, which is {here} there"
    return "other shapes"


def named(who: str, net: Imported, library: str | None = None) -> tuple[str, dict[str, np.ndarray[Any, Any]]]:
    """The library whose names are used, and the arrays of a net by these names.

    library: "torchvision", "timm", "akamaster" or "tinyalex"; None for the first library that has a table for the net, else "tinyalex".

    Raises
    ------
    ShapeError: the library has no table for the net.
    """
    known = {}
    for each in nets(net.name) if net.name in MODELS else ():
        if set(each.keys.values()) == net.arrays.keys() and each.table.edit(net.rows) == net.rows:
            known[each.table.library] = each
    if library is None:
        library = next(iter(known), OWN.library)
    if library == OWN.library:
        return library, dict(net.arrays)
    if library not in known:
        choices = ", ".join([*(each for each in known if each != OWN.library), OWN.library])
        raise ShapeError(f"{who}: names for this {net.name} must be those of {choices}, got {show(library)}")
    found = known[library]
    kernels = found.table.kernels(found.rows)
    renamed = {}
    for theirs, ours in found.keys.items():
        layer, _, key = ours.rpartition(".")
        array = net.arrays[ours]
        if layer in kernels and key == "weight":
            array = array.reshape(len(array), -1, *kernels[layer])
        renamed[theirs] = array
    return library, renamed


def described(net: Imported, library: str) -> str:
    """A text that a file may keep beside the arrays, from which `arrange` makes the same rows. library: whose names the arrays have."""
    return json.dumps({"net": net.name, "names": library, "in_shape": net.in_shape, "rows": rows_to_json(_plain(net.rows))})


def _from_text(who: str, arrays: Arrays, text: str) -> Imported:
    """The net that a text of `described` and the arrays beside it make."""
    try:
        if len(text) > LONGEST:
            raise ValueError(f"{len(text):,} characters")
        about = json.loads(text)
        rows, name, library, sizes = rows_from_json(about["rows"]), about["net"], about["names"], about["in_shape"]
        if not isinstance(name, str) or not name.isprintable() or not isinstance(sizes, list) or len(sizes) != 3:
            raise ValueError(f"net {show(name)} for images of {show(sizes)}")
        shape = tuple(require_int(who, "a size of in_shape", size, most=LARGEST) for size in sizes)
        table = next((each for each in (tables_of(name) if name in MODELS else ()) if each.library == library), OWN)
        net = Net(name, table, rows)
        shapes = shapes_of(net, shape)
        wanted = {theirs: np.broadcast_to(0.0, shapes[ours]) for theirs, ours in net.keys.items()}
    except (TinyalexError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        got = error.sentence if isinstance(error, TinyalexError) else f"{type(error).__name__} {error}"
        raise CheckpointError(f"{who}: what the file says about its net must be a net that can be built, got {got[:200]}") from None
    given = {key: array.reshape(wanted[key].shape) if _fits(array, wanted.get(key)) else array for key, array in arrays.items()}
    check_tensors(f"{who}: param", wanted, given, exact=False)
    return Imported(name, who, rows, shape, {ours: arrays[theirs].reshape(shapes[ours]) for theirs, ours in net.keys.items()})


def _fits(array: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any] | None) -> bool:
    """Whether an array is that of a convolution in the place of a fully connected layer, or has the wanted shape itself."""
    return wanted is not None and _alike(array.shape, wanted.shape)
