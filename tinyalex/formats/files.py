"""Which format a file has, and reading and writing a network in any of them.

The first bytes of a file decide; where they are of no known kind, the end of its name does. Nothing is read but the file's beginning.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tinyalex.errors import CheckpointError, ShapeError, did_you_mean, show
from tinyalex.files.atomic import require_path
from tinyalex.formats.imported import Imported

HEAD = 1 << 16  # bytes of a file that are looked at


@dataclass(frozen=True)
class Format:
    """A form of files. reads, writes: the functions, as "module:function"; "" where there is none.

    name: short. words: for messages. suffixes: ends of file names, the usual one first. options: keywords that reading takes.
    """

    name: str
    words: str
    suffixes: tuple[str, ...]
    reads: str = ""
    writes: str = ""
    options: tuple[str, ...] = ()


TORCH = ("net",)
FORMATS: tuple[Format, ...] = (
    Format("onnx", "ONNX", (".onnx",), "onnx.read:read_onnx", "onnx.write:write_onnx", ("in_shape", "output")),
    Format("prototxt", "Caffe's net as text", (".prototxt", ".pbtxt"), "caffe.read:read_prototxt", "caffe.write:write_prototxt",
           ("in_shape", "output", "heads")),
    Format("caffemodel", "Caffe's net with weights", (".caffemodel",), "caffe.read:read_caffemodel", "caffe.write:write_caffemodel",
           ("in_shape", "output", "heads")),
    Format("pth", "PyTorch's weights", (".pth", ".pt", ".th", ".tar", ".bin"), "torch.state:read_pth", "torch.write:write_pth", TORCH),
    Format("safetensors", "safetensors", (".safetensors",), "torch.state:read_safetensors_state", "torch.state:write_safetensors_state",
           TORCH),
    Format("cfg", "cuda-convnet's layers", (".cfg",), "cfg.layers:read_cfg", options=("size",)),
    Format("net", "Deep Compression's weights", (".net",)),
    Format("binaryproto", "Caffe's mean image", (".binaryproto",)),
    Format("solver", "Caffe's solver", ()),
)  # fmt: skip
BY_NAME = {each.name: each for each in FORMATS}
PAIRS = {  # of two files that are read together: the function that reads both, and which it takes first
    ("prototxt", "caffemodel"): ("caffe.read:read_prototxt", 0),
    ("prototxt", "net"): ("deep_compression:read_deep_compression", 1),
    ("cfg", "cfg"): ("cfg.layers:read_cfg", 0),
}
WEIGHTS = {"net": "give the prototxt first: deploy.prototxt,weights.net"}  # formats that are nothing alone
NO_NET = {
    "binaryproto": "give it to `tinyalex convert` with --mean",
    "solver": "name the file of the net that the solver trains",
    **WEIGHTS,
}


def format_of(path: Path | str) -> Format:
    """The format of a file.

    Raises
    ------
    CheckpointError: it cannot be read, or is of none of the formats.

    Example
    -------
    >>> format_of("nowhere.onnx")
    Traceback (most recent call last):
    ...
    tinyalex.errors.CheckpointError: nowhere.onnx: the file must be readable, got No such file or directory
    """
    path = require_path(path)
    try:
        if not path.is_file():  # also a pipe, which would never answer
            got = "a folder" if path.is_dir() else "a pipe or a device" if path.exists() else "No such file or directory"
            raise CheckpointError(f"{path}: the file must be readable, got {got}")
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise CheckpointError(f"{path}: the file must be readable, got {error.strerror or error}") from None
    return format_of_bytes(str(path), head)


def format_of_bytes(path: str, head: bytes) -> Format:
    """The format of a file that begins with these bytes. CheckpointError: it is none of them."""
    found = _by_bytes(head) or next((each.name for each in FORMATS if path.lower().endswith(each.suffixes or ("\0",))), None)
    if found is None:
        known = ", ".join(f"{each.words} ({each.suffixes[0]})" for each in FORMATS if each.reads)
        raise CheckpointError(f"{path}: the file must be a checkpoint or weights of tinyalex, {known}, got another file")
    return BY_NAME[found]


def _by_bytes(head: bytes) -> str | None:
    if head[:4] == b"PK\x03\x04" or (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05"):
        return "pth"
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40:
        return "safetensors"
    text = _text(head)
    if text is not None:
        if re.search(r"^\s*(layers?|input_dim|input_shape|input)\s*[:{]", text, re.MULTILINE):
            return "prototxt"
        if re.search(r"^\s*(base_lr|lr_policy|train_net|net)\s*:", text, re.MULTILINE):
            return "solver"
        return "cfg" if re.search(r"^\s*\[[^\]\n]+\]", text, re.MULTILINE) else None
    if len(head) > 2 and head[0] == 0x08 and head[1] < 0x80:  # a message of protobuf whose field 1 is a number
        return "binaryproto" if head[2] == 0x10 else "onnx" if head[2] & 7 == 2 else None
    return None


def _text(head: bytes) -> str | None:
    """The bytes as text; None if they are none. A character that is cut at the end is left out."""
    if b"\0" in head:
        return None
    try:
        text = head.decode("utf-8", "strict" if len(head) < HEAD else "ignore")
    except UnicodeDecodeError:
        return None
    return text if sum(not (c.isprintable() or c in "\n\r\t\f") for c in text) <= len(text) // 100 else None


def files_in(path: Path | str) -> list[Path]:
    """The files that a path names, which may be two with a comma between; a file whose name has the comma comes first.

    Example
    -------
    >>> [file.name for file in files_in("deploy.prototxt,net.caffemodel")]
    ['deploy.prototxt', 'net.caffemodel']
    """
    whole = require_path(path)
    parts = str(path).split(",")
    if len(parts) == 1 or whole.exists():
        return [whole]
    return [require_path(os.path.expanduser(part.strip())) for part in parts]  # a shell replaces no ~ behind a comma


def is_foreign(path: Path | str) -> bool:
    """Whether a path names a file, or two with a comma between, of a format that `read` knows. Nothing is raised.

    Example
    -------
    >>> is_foreign("cat.jpeg")
    False
    """
    try:
        return bool([format_of(file) for file in files_in(path)])
    except CheckpointError:
        return False


def without_solver(files: Sequence[Path]) -> list[Path]:
    """The files, where the net that a solver names stands for the solver alone, and a solver behind its net is left out."""
    kinds = [format_of(file).name for file in files]
    if kinds == ["solver"]:
        return [_function(str(files[0]), "caffe.solver:net_beside")(files[0])]
    return [files[0]] if kinds == ["prototxt", "solver"] else list(files)


def kind_of_files(path: Path | str) -> str:
    """The name of the format of a file; of two, that of the second, which has the weights; of a solver that of its net.

    Raises CheckpointError.
    """
    return format_of(without_solver(files_in(path))[-1]).name


def read(path: Path | str, **options: Any) -> Imported:
    """The network in a file of another program, or in two files that belong together, such as "deploy.prototxt,net.caffemodel".

    A solver of Caffe stands for the net that it names, as it is trained.

    Images are read as red, green, blue: the first convolution of a net of Caffe is turned.

    Parameters
    ----------
    options: net, the name in the registry of the network whose weights a PyTorch or safetensors file has; in_shape, (C, H, W) of an image
        where the file leaves it open; output, the value that the net gives; heads, whether auxiliary heads are kept. Those that the format
        does not need are not used.

    Raises
    ------
    CheckpointError, DataError: the file cannot be read, is of an unknown format, or holds what the engine cannot do.
    """
    named = files_in(path)
    files = without_solver(named)
    kinds = [format_of(file) for file in files]
    names = tuple(kind.name for kind in kinds)
    if options.get("in_shape") is not None:
        options["size"] = options["in_shape"][1]
    given = {key: value for key, value in options.items() if value is not None and key in kinds[0].options}
    if len(files) == 1:
        (kind,) = kinds
        if not kind.reads:
            rule = f"{path}: the file must hold a network that can be read alone"
            raise CheckpointError(f"{rule}, got {kind.words}; {NO_NET[kind.name]}")
        reader = _function(str(path), kind.reads)
    else:
        if names not in PAIRS:
            pairs = "a prototxt and a caffemodel, a prototxt and a .net, or layers and parameters of cuda-convnet, in this order"
            got = " and ".join(kind.words for kind in kinds)
            raise CheckpointError(f"{path}: files that are read together must be {pairs}, got {got}")
        function, first = PAIRS[names]
        reader, files = _function(str(path), function), [files[first], files[1 - first]]
    if kinds[0].name in ("prototxt", "caffemodel"):
        given["rgb"] = True
    if kinds[0].name == "prototxt" and format_of(named[-1]).name == "solver":
        given["phase"] = "TRAIN"
    made: Imported = reader(*files, **given)
    return made


def write(path: Path | str, net: Imported, **options: Any) -> None:
    """Write a network in the format that the end of the file's name says, or that of each of two names with a comma between.

    options: names, the library whose names a PyTorch or safetensors file gets; about, a `SavedNet` that an ONNX file keeps. They are passed
        on where they are not None and the format has a place for them.

    Raises
    ------
    ShapeError: the name says no format that can be written. Errors of the writers: the format cannot hold the network.
    """
    for file in files_in(path):
        kind = format_to_write(file)
        taken = {"onnx": "about", "pth": "names", "safetensors": "names"}.get(kind.name)
        given = {key: value for key, value in options.items() if value is not None and key == taken}
        if kind.name == "caffemodel":
            given["bgr"] = True
        _function(str(file), kind.writes)(file, net, **given)


def format_to_write(path: Path | str) -> Format:
    """The format that the end of a file's name says. ShapeError: none that can be written."""
    suffix = Path(path).suffix.lower()
    written = {each.suffixes[0]: each for each in FORMATS if each.writes}
    if suffix not in written:
        rule = f"{path}: the file to write must end in one of {', '.join(written)}"
        raise ShapeError(f"{rule}, got {show(suffix)}", did_you_mean(suffix, written))
    return written[suffix]


def _function(who: str, place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(import_module(f"tinyalex.formats.{module}"), function)


def suffixes() -> Sequence[str]:
    """The ends of names of files that can be read."""
    return [suffix for each in FORMATS for suffix in each.suffixes if each.reads]
