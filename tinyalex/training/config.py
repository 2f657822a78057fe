"""The config of a run: JSON values that hold everything that decides its result, and the first difference of two configs."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinyalex.errors import ShapeError, show
from tinyalex.files.tensors import raw_bytes
from tinyalex.layers import GroupNorm
from tinyalex.layers.base import Layer
from tinyalex.optim import SGD
from tinyalex.shown import layer_of

# Keys of "trainer" that the configs of older runs lack. They are compared only if both configs have them.
LATER = ("train_sha256", "val_sha256", "layers", "order", "in_halves", "multipliers", "schedule_settings", "prepare_settings", "loss")
OF_HALVES = ("in_channels", "out_channels", "channels", "in_features", "out_features", "groups", "part")  # a tower has others
NO_RESULT = ("algorithm", "input_gradient")  # they change speed and memory, not the result
SINCE = {"count_padding": False}  # settings that older runs do not know, and the value that their layers have
SINCE_IN: Mapping[str, Mapping[str, Any]] = {"CropAndFlip": {"padding": 0}}  # the same for attributes of other objects, by their type
DEEPEST = 5  # levels of objects inside objects that are described


def as_json(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` as it comes back from a JSON file: tuples become lists, so that it can be compared with a stored config."""
    try:
        whole: dict[str, Any] = json.loads(json.dumps(config, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ShapeError(f"trainer: config must hold JSON values only, got {show(config)}: {error}") from None
    return whole


def comparable(here: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two configs without the keys that cannot be compared: `here` is this run's, `there` is the stored run's.

    Left out are the keys that the older version of a stored run did not store yet. If one net has one tower and the other
    has two, the sizes of their layers are left out too, because a tower has half of each layer.
    """
    old = there.get("trainer")
    if not isinstance(old, dict):
        old = {}
    mine = {key: value for key, value in here["trainer"].items() if key in old or key not in LATER}
    differ = mine.pop("in_halves", False) != old.get("in_halves", False)
    stored = {key: value for key, value in old.items() if key != "in_halves"}
    if differ:
        mine, stored = _without_halves(mine), _without_halves(stored)
    return {**here, "trainer": mine}, {**there, "trainer": stored} if old else dict(there)


def _without_halves(trainer: dict[str, Any]) -> dict[str, Any]:
    layers = trainer.get("layers")
    if not isinstance(layers, dict) or not all(isinstance(layer, dict) for layer in layers.values()):
        return trainer

    def compared(layer: dict[str, Any]) -> dict[str, Any]:
        whole = ("groups",) if layer.get("type") == GroupNorm.__name__ else ()  # shapes would not tell of other groups
        return {key: value for key, value in layer.items() if key not in OF_HALVES or key in whole}

    return {**trainer, "layers": {name: compared(layer) for name, layer in layers.items()}}


def net_config(net: Layer, sgd: SGD) -> dict[str, Any]:
    """The part of a config that describes the net without its parameters, and the optimizer's multipliers.

    layers: for each layer's name, its type and the settings of its constructor. The two halves of a layer on two towers
    count as one layer; that of a GroupNorm has the groups of both.
    order: the layers' names in order.
    in_halves: whether the net has two towers.
    multipliers: for each parameter's name, the factors of the learning rate and of the weight decay, unless both are 1.
    constant: the names of the parameters whose learning rate stays at the first one, if there are any.
    """
    leaves = list(net.leaves())
    links = {leaf.name for leaf in leaves if len(leaf.takes) > 1 or len(leaf.gives) > 1}
    name_of = layer_of if links else str
    layers: dict[str, Any] = {}
    for leaf in leaves:
        if leaf.name not in links:
            layers.setdefault(name_of(leaf.name), layer_config(leaf))
            if isinstance(leaf, GroupNorm) and name_of(leaf.name) != leaf.name:
                layers[name_of(leaf.name)]["groups"] = 2 * leaf.groups
    factors: dict[str, Any] = {}
    for name, pair in sgd.factors.items():
        if pair != (1.0, 1.0):
            factors[_in_whole(name, name_of)] = list(pair)
    found = {"layers": layers, "order": list(layers), "in_halves": bool(links), "multipliers": factors}
    return found | ({"constant": sorted({_in_whole(name, name_of) for name in sgd.constant})} if sgd.constant else {})


def _in_whole(name: str, name_of: Callable[[str], str]) -> str:
    """The name of a parameter in the net with one tower."""
    layer, _, key = name.rpartition(".")
    return f"{name_of(layer)}.{key}"


def layer_config(leaf: Layer) -> dict[str, Any]:
    """A layer's type, and those arguments of its constructor that decide what it computes and that it keeps as attributes."""
    found: dict[str, Any] = {"type": type(leaf).__name__}
    for cls in type(leaf).__mro__:
        for key in inspect.signature(vars(cls)["__init__"]).parameters if "__init__" in vars(cls) and cls is not object else ():
            value = getattr(leaf, key, None)
            if key in SINCE and value == SINCE[key]:
                continue
            if key not in ("self", "name", *NO_RESULT) and isinstance(value, (bool, int, float, str, tuple, list, np.generic)):
                found[key] = described(value)
    if len(found) == 1 and (text := leaf.settings()):
        found["settings"] = text
    return found


def described(value: Any, deep: int = 0) -> Any:
    """A value as JSON, different for different settings: an object becomes its type and attributes, a large array its digest."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.generic)):
        return _number(value)
    if isinstance(value, np.ndarray):
        if value.size <= 16:
            return [_number(element) for element in value.reshape(-1)]
        digest = hashlib.sha256(raw_bytes(value)).hexdigest()[:16] if value.dtype.kind in "biuf" else "of objects"
        return f"{value.dtype} {value.shape} {digest}"
    if deep == DEEPEST:
        return type(value).__name__
    if isinstance(value, (list, tuple)):
        return [described(element, deep + 1) for element in value]
    if isinstance(value, dict):
        return {str(key): described(element, deep + 1) for key, element in value.items()}
    if isinstance(value, functools.partial):
        return {"type": "partial", "of": described((value.func, value.args, value.keywords), deep + 1)}
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__qualname__
    new = SINCE_IN.get(type(value).__name__, {})
    known = {key: element for key, element in getattr(value, "__dict__", {}).items() if key not in new or element != new[key]}
    attributes = {key: described(element, deep + 1) for key, element in known.items()}
    return {"type": type(value).__name__, **attributes}


def _number(value: Any) -> Any:
    """A number as JSON. A float is rounded to six digits, because a mean computed on another machine may differ in its last digits."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        short = float(f"{value:.6g}")
        return short if math.isfinite(short) else str(short)
    return value if isinstance(value, (bool, int, str)) else str(value)


def first_difference(there: Any, here: Any, path: str = "") -> tuple[str, str, str] | None:
    """The first key in which two configs differ, such as "trainer.seed", and both values as JSON; None if they are equal."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in [*there, *(key for key in here if key not in there)]:
            inner = f"{path}.{key}" if path else str(key)
            if key not in there or key not in here:
                return inner, _json(there, key), _json(here, key)
            if difference := first_difference(there[key], here[key], inner):
                return difference
        return None
    return None if there == here and type(there) is type(here) else (path, json.dumps(there), json.dumps(here))


def _json(config: dict[str, Any], key: str) -> str:
    return json.dumps(config[key]) if key in config else "nothing"
