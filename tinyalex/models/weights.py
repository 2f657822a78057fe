"""The parameters of a net by name: how they are saved and loaded, and how one tower's become two towers' and the reverse.

Tower a has the first half of a layer's filters or units, tower b the second half. Filters and units are the first axis of
every weight and bias, and the order of input channels is the same with one tower and with two. So each array is split in the
middle of its first axis. Velocities are split in the same way as their parameters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyalex import __version__
from tinyalex.devices import Array
from tinyalex.errors import CheckpointError, ShapeError, require_choice, show
from tinyalex.files.atomic import require_path
from tinyalex.files.tensors import Tensor, raw_bytes, read_tensors, write_tensors
from tinyalex.layers.base import Layer
from tinyalex.parameters import require_thawed
from tinyalex.shown import layer_of

if TYPE_CHECKING:  # a net that is built and trained in memory needs neither the description of files nor the data sets
    from tinyalex.models.saved_net import SavedNet

FORMAT, FORMAT_VERSION = "tinyalex-weights", 3  # older versions of tinyalex read what they know, see `version_of`
PLAIN_VERSION = 1
PREFIX = "about/"  # of the arrays that describe the net
OTHER_NET = "was it made by another network?"

State = dict[str, np.ndarray[Any, Any]]


def split_state(state: Mapping[str, np.ndarray[Any, Any]], whole: Iterable[str] = ("fc8",)) -> State:
    """Arrays of one tower as those of two: "conv1.weight" becomes "conv1a.weight" and "conv1b.weight". Layers in `whole` stay whole.

    Example
    -------
    >>> {name: array.tolist() for name, array in split_state({"fc6.bias": np.arange(4)}).items()}
    {'fc6a.bias': [0, 1], 'fc6b.bias': [2, 3]}
    """
    whole = set(whole)
    halves: State = {}
    for name, array in state.items():
        layer, _, key = name.rpartition(".")
        if layer in whole:
            halves[name] = array
        else:
            half = len(array) // 2
            halves |= {f"{layer}a.{key}": array[:half], f"{layer}b.{key}": array[half:]}
    return halves


def join_state(state: Mapping[str, np.ndarray[Any, Any]]) -> State:
    """Arrays of two towers as those of one: "conv1a.weight" and "conv1b.weight" become "conv1.weight"."""
    joined: State = {}
    for name, array in state.items():
        layer, _, key = name.rpartition(".")
        base = layer_of(layer)
        other = f"{base}b.{key}"
        if layer == f"{base}a" and other in state:
            joined[f"{base}.{key}"] = np.concatenate([array, state[other]])
        elif not (layer == f"{base}b" and f"{base}a.{key}" in state):
            joined[name] = array
    return joined


def match_state(state: Mapping[str, np.ndarray[Any, Any]], names: Iterable[str]) -> State:
    """`state`, split or joined so that its names are `names`. An array whose name fits neither way keeps its name."""
    names = set(names)
    if names <= state.keys():
        return dict(state)
    layers = {name.rpartition(".")[0] for name in names}
    if any(layer_of(layer) != layer for layer in layers):
        return split_state(state, whole=layers)
    return join_state(state)


def state(net: Layer) -> Iterator[tuple[str, Layer, Array]]:
    """What a file holds of a net: each parameter and then each buffer of a layer, by its name, such as "conv1.weight", with the layer."""
    for leaf in net.leaves():
        for key, array in (*leaf.params.items(), *leaf.buffers.items()):
            yield f"{leaf.name}.{key}", leaf, array


def arrays_of(net: Layer) -> dict[str, Array]:
    """The parameters and buffers of a net by name, each on its device."""
    return {name: array for name, _, array in state(net)}


def state_on_host(net: Layer) -> dict[str, Tensor]:
    """The parameters and buffers of a net by name, as NumPy arrays."""
    return {name: leaf.device.to_numpy(array) for name, leaf, array in state(net)}


def parameters_sha256(net: Layer) -> str:
    """SHA-256 over the names and bytes of all parameters and buffers. Two networks whose arrays are equal have the same value."""
    digest = hashlib.sha256()
    for name, array in sorted(state_on_host(net).items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(raw_bytes(array))
    return digest.hexdigest()


def save_weights(path: Path | str, net: Layer, dtype: str = "float32", note: str = "", about: SavedNet | None = None) -> None:
    """Write the parameters of `net` to a safetensors file, without velocities or a position.

    dtype: "float32", or "float16" for half the bytes. note: a text that the file keeps, such as what the net was trained on.
    about: which net it is, and how it reads images. With it `tinyalex.training.load_net` makes the net from the file alone.

    Raises
    ------
    ShapeError: another dtype, or a parameter too large for it. DiskFull: there is no room for the file.
    CheckpointError: `about` describes another net.
    """
    require_about("save_weights", about, net)
    require_choice("save_weights", "dtype", dtype, ("float16", "float32"))
    weights = {}
    for name, array in state_on_host(net).items():
        with np.errstate(over="ignore", under="ignore"):
            weights[name] = array.astype(dtype)
        if not np.array_equal(np.isfinite(weights[name]), np.isfinite(array)):
            limit = float(np.finfo(dtype).max)
            raise ShapeError(f"save_weights: {name} must be within {limit:g} to fit {dtype}, got {np.abs(array).max():g}; use float32")
    text, arrays = ({}, {}) if about is None else about.stored()
    text |= {"tinyalex": __version__} | ({"note": note} if note else {})
    write_tensors(path, weights | arrays, FORMAT, version_of(about), text)


def version_of(about: SavedNet | None) -> int:
    """The format version of a file: 1 without a description of its network, 2 if it names one of the registry, 3 if it has rows."""
    return PLAIN_VERSION if about is None else 3 if about.rows else 2


def read_weights(path: Path) -> tuple[dict[str, Tensor], SavedNet | None]:
    """The parameters in a file of `save_weights`, and what it says about its net; None if it says nothing. Raises CheckpointError."""
    tensors, text = read_tensors(path, FORMAT, FORMAT_VERSION, PLAIN_VERSION)
    weights = {name: array for name, array in tensors.items() if not name.startswith(PREFIX)}
    if "about" not in text:
        return weights, None
    from tinyalex.models.saved_net import SavedNet

    return weights, SavedNet.from_stored(str(path), text, tensors)


def require_about(who: str, about: SavedNet | None, net: Layer) -> None:
    """Raise CheckpointError unless the net that `about` describes has the names and shapes of the parameters of `net`."""
    if about is None:
        return
    from tinyalex.models.saved_net import SavedNet

    if not isinstance(about, SavedNet):
        raise CheckpointError(f"{who}: about must be a SavedNet or None, got {show(about)}")
    here = arrays_of(net)
    halves = any(layer_of(name.rpartition(".")[0]) != name.rpartition(".")[0] for name in here)
    try:
        there = arrays_of(about.dry(2 if halves else 1))
    except ShapeError:  # the net that is described has no two towers
        there = arrays_of(about.dry())
    check_tensors(f"{who}: about: param", there, here, exact=False, remedy="describe the net that is saved")


def load_weights(path: Path | str, net: Layer, skip: Iterable[str] = ()) -> tuple[str, ...]:
    """Copy the weights in a file of `save_weights` into `net`. The parameters of `net` keep their dtype.

    Names and shapes of all parameters are checked before the first one is written. The file says nothing about layers without
    parameters: the weights of a net with ReLU also load into the same net with tanh, and those of the paper's AlexNet into
    Caffe's, and the result is a net that was not trained. The note in the file says which net the weights are for.

    Parameters
    ----------
    skip: patterns of the names of parameters that are not loaded, such as ("fc8.*",) if net and file have different classes.
        Each pattern must match a parameter of the net or of the file.

    Returns
    -------
    The names of the parameters that were skipped, in the net or in the file.

    Raises
    ------
    CheckpointError: there is no such file, it is altered, or its parameters have other names or shapes than the net's.
    ShapeError: a pattern matches nothing, or all patterns together match everything.
    """
    path, wanted = require_path(path), arrays_of(net)
    weights = match_state(read_weights(path)[0], wanted)
    left_out = _matching((skip,) if isinstance(skip, str) else tuple(skip), dict.fromkeys([*wanted, *weights]))
    weights = {name: array for name, array in weights.items() if name not in left_out}
    check_tensors(f"{path}: param", {name: array for name, array in wanted.items() if name not in left_out}, weights, exact=False)
    require_thawed(str(path), net)
    copy_state(net, weights)
    return left_out


def copy_state(net: Layer, arrays: Mapping[str, Tensor]) -> None:
    """Copy arrays into the parameters and buffers of `net` that have their names; the others stay. Those of `net` keep their dtype."""
    for name, leaf, array in state(net):
        if name in arrays:
            array[...] = leaf.device.asarray(arrays[name].astype(leaf.dtype))


def _matching(patterns: tuple[Any, ...], names: Iterable[str]) -> tuple[str, ...]:
    """The names that match a pattern. Each pattern must match a name, and a name must be left that matches no pattern."""
    names = list(names)
    for pattern in patterns:
        if not isinstance(pattern, str) or not any(fnmatchcase(name, pattern) for name in names):
            raise ShapeError(f"load_weights: a pattern of skip must match one of {', '.join(names)}, got {show(pattern)}")
    found = tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
    if names and len(found) == len(names):
        raise ShapeError(f"load_weights: skip must leave a parameter to load, got {show(patterns)}, which match all")
    return found


def check_tensors(who: str, wanted: Mapping[str, Array], found: Mapping[str, Array], exact: bool, remedy: str | None = None) -> None:
    """Raise unless the arrays in `found` have the names and shapes of those in `wanted`, and, if `exact`, their dtypes.

    remedy: what to do about another shape, where that is not to load the rest.
    """
    for name in [*wanted, *found]:
        if name not in found:
            raise CheckpointError(f"{who} {name} must be in the file, got none of that name; {OTHER_NET}")
        if name not in wanted:
            raise CheckpointError(f"{who} {name} must be a parameter of the network, got none of that name; {OTHER_NET}")
        (here, there) = wanted[name], found[name]
        if tuple(here.shape) != tuple(there.shape):
            rule = f"{who} {name} must have shape {tuple(here.shape)}"
            raise CheckpointError(f"{rule}, got {tuple(there.shape)}; {remedy or _remedy(name, exact)}")
        if exact and here.dtype != there.dtype:
            raise CheckpointError(f"{who} {name} must be {here.dtype}, got {there.dtype}; make the network with dtype={str(there.dtype)!r}")


def _remedy(name: str, exact: bool) -> str:
    return OTHER_NET if exact else f"load the rest with skip=({name.rpartition('.')[0] + '.*'!r},)"
