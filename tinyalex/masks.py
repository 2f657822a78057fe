"""The masks of dropout (paper 4.2): which units a step keeps, as a function of a seed, the layer and the step."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from tinyalex.devices import Array
from tinyalex.errors import ShapeError, require_int
from tinyalex.shown import layer_of


def dropout_mask(seed: int, name: str, step: int, shape: tuple[int, ...], p: float) -> np.ndarray[Any, Any]:
    """Which units of a layer are kept at one step: a bool array of this shape, False with probability p (to the nearest 2^-32).

    The mask depends on the arguments alone. So it is the same with one tower and with two, on every device, and in a run that was
    interrupted and resumed. The generator Philox encrypts a counter with a key. The key is computed from seed and name, and the
    upper bits of the counter are the step, so no two steps use the same counter. The mask is computed from the raw output of
    Philox, because NumPy promises never to change it; it does not promise this for `Generator.random`.

    Raises ShapeError unless seed is an integer of at least 0 and step an integer from 0 to 2^64 - 1.
    """
    return kept_units(*mask_key(seed, name, step), shape, threshold(p))


def mask_key(seed: Any, name: str, step: Any) -> tuple[int, int]:
    """The key of Philox, 128 bits that depend on seed and name, and the step.

    Raises ShapeError unless seed is an integer of at least 0 and step an integer from 0 to 2^64 - 1.
    """
    seed, step = require_int(name, "seed", seed, least=0), require_int(name, "step", step, least=0)
    if step >= 2**64:
        raise ShapeError(f"{name}: step must be below 2**64, got {step}")
    return int.from_bytes(hashlib.blake2b(f"{seed} {layer_of(name)}".encode(), digest_size=16).digest(), "little"), step


def threshold(p: float) -> int:
    """The least value of the 32 bits of a unit that is kept."""
    return round(p * 2**32)


def kept_units(key: int, step: int, shape: tuple[int, ...], least: int, part: tuple[int, int] = (0, 1)) -> Array:
    """The mask that Philox gives with this key at this step: a unit is kept if its 32 bits are at least `least`.

    shape: of the part `part` of the layer, see `Dropout`; the mask is drawn for the whole layer.
    """
    (n, *features), (index, parts) = shape, part
    if features:
        features[0] *= parts
    size = math.prod((n, *features))
    philox = np.random.Philox(key=key, counter=step << 192)
    words = philox.random_raw(-(-size // 2)).astype("<u8", copy=False).view("<u4")[:size]  # 32 bits for each unit
    whole = (words >= least).reshape(n, *features)
    return whole if parts == 1 else np.ascontiguousarray(whole[:, index * shape[1] : (index + 1) * shape[1]])
