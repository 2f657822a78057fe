"""A net's parameters by name: saved, loaded, compared, and those of one tower as those of two.

A tower's half of a layer is half of its filters or units, tower a's first. Filters and units are the first axis of every
weight, and the channels that they read are in the same order with one tower as with two. So the halves are the first and the
last rows. Velocities are split in the same way as the parameters that they belong to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex import __version__
from tinyalex.devices import Array
from tinyalex.errors import CheckpointError, ShapeError, require_choice, show
from tinyalex.files.atomic import require_path
from tinyalex.files.tensors import Tensor, raw_bytes, read_tensors, write_tensors
from tinyalex.layers.base import Layer
from tinyalex.layers.dropout import layer_of
from tinyalex.parameters import require_thawed

FORMAT, FORMAT_VERSION = "tinyalex-weights", 1
OTHER_NET = "was it made by another network?"

State = dict[str, np.ndarray[Any, Any]]


def split_state(state: Mapping[str, np.ndarray[Any, Any]], whole: Iterable[str] = ("fc8",)) -> State:
    """Arrays by "conv1.weight" as halves by "conv1a.weight" and "conv1b.weight"; the layers in `whole` stay as they are.

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
    """The way back: halves by "conv1a.weight" and "conv1b.weight" as one array by "conv1.weight"."""
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
    """`state` split or joined as the parameters called `names` need it; what fits neither way stays under its own name."""
    names = set(names)
    if names <= state.keys():
        return dict(state)
    layers = {name.rpartition(".")[0] for name in names}
    if any(layer_of(layer) != layer for layer in layers):
        return split_state(state, whole=layers)
    return join_state(state)


def parameters(net: Layer) -> Iterator[tuple[str, Array]]:
    """Every parameter's name, such as "conv1.weight", and its array."""
    for leaf in net.leaves():
        for key, array in leaf.params.items():
            yield f"{leaf.name}.{key}", array


def parameters_on_host(net: Layer) -> dict[str, Tensor]:
    """Every parameter as a NumPy array."""
    return {f"{leaf.name}.{key}": leaf.device.to_numpy(array) for leaf in net.leaves() for key, array in leaf.params.items()}


def parameters_sha256(net: Layer) -> str:
    """SHA-256 over the names and bytes of all parameters: equal for two networks that are equal to the bit."""
    digest = hashlib.sha256()
    for name, array in sorted(parameters_on_host(net).items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(raw_bytes(array))
    return digest.hexdigest()


def save_weights(path: Path | str, net: Layer, dtype: str = "float32", note: str = "") -> None:
    """Write the parameters alone, as float32 or, in half the bytes, float16; `note` says what they were trained on."""
    require_choice("save_weights", "dtype", dtype, ("float16", "float32"))
    weights = {}
    for name, array in parameters_on_host(net).items():
        with np.errstate(over="ignore", under="ignore"):
            weights[name] = array.astype(dtype)
        if not np.array_equal(np.isfinite(weights[name]), np.isfinite(array)):
            limit = float(np.finfo(dtype).max)
            raise ShapeError(f"save_weights: {name} must be within {limit:g} to fit {dtype}, got {np.abs(array).max():g}; use float32")
    write_tensors(path, weights, FORMAT, FORMAT_VERSION, {"tinyalex": __version__} | ({"note": note} if note else {}))


def load_weights(path: Path | str, net: Layer, skip: Iterable[str] = ()) -> tuple[str, ...]:
    """Read what `save_weights` wrote into `net`, whose parameters keep their type; everything is checked before any is written.

    What is checked are the parameters' names and shapes. Layers without parameters leave no trace in the file: the weights of
    a net with ReLU load into the same net with tanh, and those of the paper's AlexNet into Caffe's, which then compute
    something else. The file's note says which net the weights belong to.

    Parameters
    ----------
    skip: patterns of parameter names that are left as they are, such as ("fc8.*",) where the net has other classes than
        the file. Each must match a parameter of the net or of the file.

    Returns
    -------
    The names that were left out, of the net and of the file.

    Raises
    ------
    CheckpointError: no such file, an altered one, or other names or shapes of parameters. ShapeError: a pattern without a match.
    """
    path, wanted = require_path(path), dict(parameters(net))
    weights = match_state(read_tensors(path, FORMAT, FORMAT_VERSION)[0], wanted)
    left_out = _matching((skip,) if isinstance(skip, str) else tuple(skip), dict.fromkeys([*wanted, *weights]))
    weights = {name: array for name, array in weights.items() if name not in left_out}
    check_tensors(f"{path}: param", {name: array for name, array in wanted.items() if name not in left_out}, weights, exact=False)
    require_thawed(str(path), net)
    for leaf in net.leaves():
        for key, array in leaf.params.items():
            if (name := f"{leaf.name}.{key}") in weights:
                array[...] = leaf.device.asarray(weights[name].astype(leaf.dtype))
    return left_out


def _matching(patterns: tuple[Any, ...], names: Iterable[str]) -> tuple[str, ...]:
    """The names that match one of the patterns, of which each must match one and all together not everything."""
    names = list(names)
    for pattern in patterns:
        if not isinstance(pattern, str) or not any(fnmatchcase(name, pattern) for name in names):
            raise ShapeError(f"load_weights: a pattern of skip must match one of {', '.join(names)}, got {show(pattern)}")
    found = tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
    if names and len(found) == len(names):
        raise ShapeError(f"load_weights: skip must leave a parameter to load, got {show(patterns)}, which match all")
    return found


def check_tensors(who: str, wanted: Mapping[str, Array], found: Mapping[str, Tensor], exact: bool) -> None:
    """Raise unless `found` has the names and shapes, and where `exact` the types, of `wanted`."""
    for name in [*wanted, *found]:
        if name not in found:
            raise CheckpointError(f"{who} {name} must be in the file, got none of that name; {OTHER_NET}")
        if name not in wanted:
            raise CheckpointError(f"{who} {name} must be a parameter of the network, got none of that name; {OTHER_NET}")
        (here, there) = wanted[name], found[name]
        if tuple(here.shape) != there.shape:
            raise CheckpointError(f"{who} {name} must have shape {tuple(here.shape)}, got {there.shape}; {_remedy(name, exact)}")
        if exact and here.dtype != there.dtype:
            raise CheckpointError(f"{who} {name} must be {here.dtype}, got {there.dtype}; make the network with dtype={str(there.dtype)!r}")


def _remedy(name: str, exact: bool) -> str:
    return OTHER_NET if exact else f"load the rest with skip=({name.rpartition('.')[0] + '.*'!r},)"
