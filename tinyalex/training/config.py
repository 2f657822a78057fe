"""What tells one run from another: a tree of JSON values, and where two such trees differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import ShapeError, show
from tinyalex.files.tensors import raw_bytes

FINGERPRINTS = ("train_sha256", "val_sha256")  # of "trainer"; the first runs were made without


def as_json(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` as a JSON file gives it back: tuples become lists, so that it can be compared with a stored one."""
    try:
        whole: dict[str, Any] = json.loads(json.dumps(config, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ShapeError(f"trainer: config must hold JSON values only, got {show(config)}: {error}") from None
    return whole


def fingerprint(images: npt.NDArray[np.uint8], labels: npt.NDArray[Any]) -> str:
    """The first 16 digits of SHA-256 over images and labels: a data set's own name, whatever it is called.

    Example
    -------
    >>> fingerprint(np.zeros((1, 3, 2, 2), np.uint8), np.array([7]))
    '6f189ff9a565fe23'
    """
    digest = hashlib.sha256(f"{images.shape} ".encode())
    digest.update(raw_bytes(images))
    digest.update(raw_bytes(labels.astype(np.int64)))
    return digest.hexdigest()[:16]


def comparable(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """The config `here` without the fingerprints that `there`, of an older run, does not know."""
    old = there.get("trainer")
    known = old if isinstance(old, dict) else {}
    return {**here, "trainer": {key: value for key, value in here["trainer"].items() if key in known or key not in FINGERPRINTS}}


def first_difference(there: Any, here: Any, path: str = "") -> tuple[str, str, str] | None:
    """The first key, with dots, in which two configs differ, and both values as JSON; None where they are equal."""
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
