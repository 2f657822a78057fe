"""Rows as JSON, so that a file can describe a network that has no name in the registry.

Only kinds of layers and of merges that tinyalex has can stand in such a description, only settings that the class takes, and only numbers,
short texts and known distributions as their values. So reading one executes nothing of the file.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from functools import cache
from typing import Any

from tinyalex.errors import ShapeError, did_you_mean, show
from tinyalex.init import Constant, FanIn, Gaussian, Uniform
from tinyalex.models.later.rows import KINDS, MERGES
from tinyalex.models.rows import Row, Rows

WHO = "rows"
MOST_ROWS, DEEPEST, LONGEST_NAME = 20_000, 64, 200
LARGEST = 2**40  # of an integer: a layer of more units comes from nobody who means well
MOST_NUMBERS = 8  # in one setting: padding has four
GIVEN_BY_BUILD = ("self", "name", "device", "dtype", "rng", "in_channels", "in_features", "in_size")
INITS: dict[str, Any] = {"gaussian": Gaussian, "constant": Constant, "fan_in": FanIn, "uniform": Uniform}
VALUES = {Gaussian: "std", Constant: "value", FanIn: "gain", Uniform: "bound"}


@cache
def settings_of(kind: str) -> frozenset[str]:
    """The settings that rows of a kind of layer may have.

    Example
    -------
    >>> sorted(settings_of("mean_pool") - settings_of("pool"))
    ['count_padding']
    """
    found: set[str] = set()
    for base in KINDS[kind].__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters
        found |= {name for name, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return frozenset(found.difference(GIVEN_BY_BUILD))


def rows_to_json(rows: Iterable[Row]) -> list[Any]:
    """The rows as JSON values.

    Raises
    ------
    ShapeError: a setting is no JSON value, and no distribution of `tinyalex.init`.

    Example
    -------
    >>> from tinyalex.models.later.rows import branches, row
    >>> rows_to_json([branches("add", "sum", [row("scale", "half", factor=0.5)], [])])
    [{'kind': 'branches', 'name': 'add', 'merge': 'sum', 'paths': [[{'kind': 'scale', 'name': 'half', 'settings': {'factor': 0.5}}], []]}]
    """
    made: list[Any] = []
    for row in rows:
        if row.kind == "branches":
            paths = [rows_to_json(path) for path in row["paths"]]
            made.append({"kind": "branches", "name": row.name, "merge": row["merge"], "paths": paths})
        else:
            settings = {key: _to_json(row, key, value) for key, value in row.settings.items()}
            made.append({"kind": row.kind, "name": row.name, "settings": settings})
    return made


def _to_json(row: Row, key: str, value: Any) -> Any:
    if type(value) in VALUES:
        name = next(name for name, init in INITS.items() if init is type(value))
        return {"init": name, "value": getattr(value, VALUES[type(value)])}
    if isinstance(value, (tuple, list)):
        return [_to_json(row, key, each) for each in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ShapeError(f"{WHO}: {row.name}: {key} must be a JSON value or one of {', '.join(INITS)}, got {show(value)}")


def rows_from_json(values: Any) -> Rows:
    """The rows that `rows_to_json` described. Whether the layers fit together is found when the net is built.

    Raises
    ------
    ShapeError: another form, an unknown kind or setting, a value outside its range, two rows of one name, more than 20,000 rows, or paths
        inside of paths in more than 64 levels.

    Example
    -------
    >>> rows_from_json([{"kind": "relu", "name": "relu1", "settings": {}}])
    (Row(kind='relu', name='relu1', settings={}),)
    """
    names: set[str] = set()
    rows = _rows(values, names, DEEPEST)
    if not rows:
        raise ShapeError(f"{WHO}: a net must have a layer, got none")
    return rows


def _rows(values: Any, names: set[str], levels: int) -> Rows:
    if not isinstance(values, list):
        raise ShapeError(f"{WHO}: rows must be a list, got {show(values)}")
    if len(names) + len(values) > MOST_ROWS:
        raise ShapeError(f"{WHO}: rows must be at most {MOST_ROWS:,}, got more")
    if levels < 0:
        raise ShapeError(f"{WHO}: paths must have at most {DEEPEST} levels, got more")
    return tuple(_row(value, names, levels) for value in values)


def _row(value: Any, names: set[str], levels: int) -> Row:
    if not isinstance(value, dict):
        raise ShapeError(f"{WHO}: a row must be an object, got {show(value)}")
    kind, name = value.get("kind"), require_layer_name(value.get("name"))
    if name in names:
        raise ShapeError(f"{WHO}: names of layers must differ, got {show(name)} twice")
    names.add(name)
    wanted = {"kind", "name", "merge", "paths"} if kind == "branches" else {"kind", "name", "settings"}
    if value.keys() != wanted:
        rule = f"{WHO}: {name}: a row of kind {show(kind)} must have {', '.join(sorted(wanted))}"
        raise ShapeError(f"{rule}, got {show(sorted(map(str, value)))}")
    if kind == "branches":
        merge, paths = value["merge"], value["paths"]
        if not isinstance(merge, str) or merge not in MERGES:
            raise ShapeError(f"{WHO}: {name}: merge must be one of {', '.join(MERGES)}, got {show(merge)}", did_you_mean(merge, MERGES))
        if not isinstance(paths, list):
            raise ShapeError(f"{WHO}: {name}: paths must be a list, got {show(paths)}")
        return Row("branches", name, {"merge": merge, "paths": tuple(_rows(path, names, levels - 1) for path in paths[: MOST_ROWS + 1])})
    if not isinstance(kind, str) or kind not in KINDS:
        raise ShapeError(f"{WHO}: {name}: kind must be one of {', '.join(KINDS)}, got {show(kind)}", did_you_mean(kind, KINDS))
    return Row(kind, name, _settings(kind, name, value["settings"]))


def require_layer_name(name: Any) -> str:
    """`name` if a layer of a file may have it: printable, up to 200 characters, and none that a description's arrays have."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name.startswith("about/"):
        rule = f"names of layers must be printable, of 1 to {LONGEST_NAME} characters, and not begin with about/"
        raise ShapeError(f"{WHO}: {rule}, got {show(name)}")
    return name


def _settings(kind: str, name: str, found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ShapeError(f"{WHO}: {name}: settings must be an object, got {show(found)}")
    known = settings_of(kind)
    for key in found:
        if key not in known:
            rule = f"{WHO}: {name}: settings of {kind} must be among {', '.join(sorted(known)) or 'none'}"
            raise ShapeError(f"{rule}, got {show(key)}", did_you_mean(key, known))
    return {key: _from_json(name, key, value) for key, value in found.items()}


def _from_json(name: str, key: str, value: Any) -> Any:
    if isinstance(value, dict):
        init, number = value.get("init"), value.get("value")
        if value.keys() == {"init", "value"} and isinstance(init, str) and init in INITS and _is_number(number):
            return INITS[init](number)
    elif isinstance(value, list):
        if len(value) <= MOST_NUMBERS and all(type(each) is int and abs(each) <= LARGEST for each in value):
            return tuple(value)
    elif value is None or isinstance(value, bool) or _is_number(value) or (isinstance(value, str) and len(value) <= LONGEST_NAME):
        return value
    raise ShapeError(f"{WHO}: {name}: {key} must be a number, a short list of integers, a text or a distribution, got {show(value)}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= LARGEST
