"""Reads and writes the weights of a net: PyTorch's files, and safetensors with names of torchvision, timm or the engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.errors import CheckpointError, show
from tinyalex.files.atomic import require_path, write_bytes
from tinyalex.files.safetensors_format import read_safetensors, texts
from tinyalex.formats.imported import Imported
from tinyalex.formats.torch.containers import read_bytes, read_object
from tinyalex.formats.torch.match import arrange, described, named
from tinyalex.formats.torch.pickled import REMEDY, Raw, Tensor, array_of

PLACES = ("state_dict", "model_state_dict", "model", "net", "params", "weights", "state_dict_ema", "model_ema")
MOST_ARRAYS = 100_000
ABOUT = "tinyalex"  # the key of the text about the net


def read_pth(path: Path | str, net: str | None = None) -> Imported:
    """The net whose weights a file of `torch.save` holds, in the form of PyTorch 1.6 and newer or in the older one. torch is not needed.

    Nothing in the file is run: a restricted machine reads its pickle. Arrays of 16, 32 and 64 bits are views of the file's bytes, which
    are read once; those of bfloat16 become float32.

    Parameters
    ----------
    path: a state dict, or a dict that holds one under a name such as "state_dict". net: the network's name in the registry; None to find
        it by the names and shapes of the arrays.

    Raises
    ------
    CheckpointError: the file is damaged, is no state dict, or fits no network. ShapeError: there is no network called `net`.
    """
    path, data = read_bytes(path)
    arrays, meta = arrays_of_pth(path, data)
    about = meta.get("_metadata")
    text = about.get(ABOUT) if isinstance(about, dict) else None
    return arrange(str(path), arrays, net, text if isinstance(text, str) else None)


def arrays_of_pth(path: Path, data: bytes) -> tuple[dict[str, np.ndarray[Any, Any]], Mapping[Any, Any]]:
    """The arrays of a PyTorch file by the names in it, and the attributes of its state dict. Raises CheckpointError."""
    found, raw = read_object(path, data)
    state, place = _state_dict(path, found)
    arrays = {}
    for key, value in state.items():
        if isinstance(value, Tensor):
            if not isinstance(key, str):
                raise CheckpointError(f"{path}: names of arrays{place} must be texts, got {show(key)}; {REMEDY}")
            arrays[key] = _array(path, key, value, raw)
    if len(arrays) > MOST_ARRAYS:
        raise CheckpointError(f"{path}: a state dict must have at most {MOST_ARRAYS:,} arrays, got {len(arrays):,}; {REMEDY}")
    return arrays, getattr(state, "meta", {})


def _array(path: Path, key: str, tensor: Tensor, raw: Raw) -> np.ndarray[Any, Any]:
    try:
        return array_of(tensor, raw)
    except (ValueError, MemoryError) as error:
        raise CheckpointError(f"{path}: {show(key)} must be an array that fits into memory, got {error}; {REMEDY}") from None


def _state_dict(path: Path, found: Any) -> tuple[dict[Any, Any], str]:
    """The dict of tensors in an object, and the place where it is."""
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: the file must hold a dict of arrays, got a {type(found).__name__}; {REMEDY}")
    if _holds_tensors(found):
        return found, ""
    places = [key for key in PLACES if _holds_tensors(found.get(key))]
    places = places or [key for key, value in found.items() if isinstance(key, str) and _holds_tensors(value)]
    if not places:
        got = ", ".join(show(key) for key in list(found)[:5]) or "nothing"
        raise CheckpointError(f"{path}: the file must hold a dict of arrays, got one of {got}; {REMEDY}")
    return found[places[0]], f" in {show(places[0])}"


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(each, Tensor) for each in value.values())


def read_safetensors_state(path: Path | str, net: str | None = None) -> Imported:
    """The net whose weights a safetensors file holds by the names of torchvision, timm, akamaster or the engine.

    Parameters
    ----------
    net: the network's name in the registry; None to find it by the names and shapes of the arrays.

    Raises
    ------
    CheckpointError: the file is damaged, or fits no network. ShapeError: there is no network called `net`.
    """
    path = require_path(path)
    try:
        arrays, text = read_safetensors(path, bfloat16=True), texts(path)
    except OSError as error:
        raise CheckpointError(f"{path}: the file must be readable, got {error.strerror or error}") from None
    return arrange(str(path), arrays, net, text.get(ABOUT))


def write_safetensors_state(path: Path | str, net: Imported, names: str | None = None) -> None:
    """Write the weights of a net to a safetensors file.

    names: "torchvision", "timm", "akamaster" or "tinyalex"; None for those of the first library that has the net, else "tinyalex".

    Raises
    ------
    ShapeError: the library has no such net. CheckpointError: the file cannot be written. DiskFull: there is no room.
    """
    try:
        from safetensors.numpy import save
    except ImportError:
        raise CheckpointError(f"{path}: safetensors must be installed to write it, got no such package; pip install safetensors") from None
    library, renamed = named(str(path), net, names)
    arrays = {key: np.ascontiguousarray(array) for key, array in renamed.items()}
    write_bytes(path, save(arrays, {"format": "pt", ABOUT: described(net, library)}))
