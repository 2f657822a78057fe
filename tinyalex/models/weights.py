"""The parameters of one tower as those of two, and back.

A tower's half of a layer is half of its filters or units, tower a's first. Every weight has those on its first axis, and the
channels they read are in the same order with one tower as with two; so the halves are the first and the last rows. What is
true of parameters is true of their velocities.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinyalex.layers.dropout import layer_of

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
