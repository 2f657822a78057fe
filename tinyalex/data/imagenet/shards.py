"""Opens a prepared set: tar shards, and a table that says where in which shard each picture lies.

A picture is found by its place in the table, so pictures are read in any order, without an index of WebDataset and without unpacking.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import UnidentifiedImageError

from tinyalex.data.dataset import Sources
from tinyalex.data.imagenet.pictures import Pixels, decode
from tinyalex.data.source import Images, Labels
from tinyalex.errors import DataError

INDEX, MEAN, COLOR = "index.json", "mean.npy", "color.json"
FORMAT, VERSION = "tinyalex shards", 1
PIECE = 2**20  # bytes that are read together
AGAIN = "prepare the set again with `tinyalex data imagenet`"


class ShardSource:
    """One part of a prepared set. `read` opens the shards that it needs.

    Parameters
    ----------
    folder: DEST of `tinyalex data imagenet`. part: "train" or "val".

    Raises
    ------
    DataError: the folder holds no prepared set, or a shard is missing or has another size.
    """

    def __init__(self, folder: Path | str, part: str) -> None:
        self.folder, self.part = Path(folder), part
        index = read_index(self.folder)
        self.image_shape: tuple[int, int, int] = (3, index["side"], index["side"])
        self.shards: list[dict[str, Any]] = index["parts"][part]["shards"]
        self.warp: bool = index["resize"] == "warp"
        self.table = self._table(index)
        self.labels: Labels = self.table["label"].astype(np.int64)
        self._fingerprint = hashlib.sha256(f"{index['fingerprint']} {part}".encode()).hexdigest()[:16]
        for shard in self.shards:
            self._require_size(shard)

    def __len__(self) -> int:
        return len(self.labels)

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardSource, (self.folder, self.part)  # another process opens the set for itself

    def fingerprint(self) -> str:
        """16 hex digits of the index, which has the checksum of every shard."""
        return self._fingerprint

    def read(self, indices: Any) -> Images:
        """The images with these indices: uint8 (len(indices), 3, side, side); side is 256 unless the set was prepared for another.

        Raises
        ------
        DataError: a shard is missing or altered, or a picture in it does not decode. The message names the shard and the picture.
        """
        rows = self.table[indices]
        out = np.empty((len(rows), *self.image_shape), np.uint8)
        for image, row in zip(out, rows, strict=True):
            image[...] = self._picture(self.shards[int(row["shard"])], int(row["offset"]), int(row["size"]))
        return out

    def _picture(self, shard: dict[str, Any], offset: int, size: int) -> Pixels:
        path = self.folder / shard["name"]
        try:
            with open(path, "rb") as file:
                if file.seek(0, 2) != shard["bytes"]:
                    self._require_size(shard)
                file.seek(offset)
                data = file.read(size)
        except FileNotFoundError:
            self._require_size(shard)
            raise
        try:
            pixels = decode(data)
            if pixels.shape == self.image_shape:
                return pixels
            got = f"{pixels.shape[2]} x {pixels.shape[1]} pixels"
        except UnidentifiedImageError:
            got = "bytes that are no picture"
        except Exception as error:  # damaged bytes make Pillow raise every kind of error
            got = str(error) or type(error).__name__
        rule = f"{path}: the picture at byte {offset:,} must be a JPEG of {self.image_shape[2]} x {self.image_shape[1]} pixels, got {got}"
        raise DataError(rule, f"see what is altered with `tinyalex data imagenet {self.folder} --check`, then {AGAIN}")

    def _require_size(self, shard: dict[str, Any]) -> None:
        path = self.folder / shard["name"]
        if not path.is_file():
            raise DataError(f"{path}: the shard must be there, got none; copy the whole folder, or {AGAIN}")
        size = path.stat().st_size
        if size != shard["bytes"]:
            raise DataError(f"{path}: the shard must have {shard['bytes']:,} bytes, got {size:,}; copy the whole folder, or {AGAIN}")

    def _table(self, index: dict[str, Any]) -> npt.NDArray[np.void]:
        path, images = self.folder / f"{self.part}.npy", index["parts"][self.part]["images"]
        table: npt.NDArray[np.void] = _array(path)
        if table.dtype.names != ("label", "shard", "offset", "size") or table.shape != (images,):
            raise DataError(f"{path}: the table must have {images:,} rows of label, shard, offset and size, got {table.shape}; {AGAIN}")
        if images and int(table["shard"].max()) >= len(self.shards):
            raise DataError(f"{path}: shards must be below {len(self.shards)}, got {table['shard'].max()}; {AGAIN}")
        return table


def open_shards(folder: Path | str) -> Sources:
    """Open the set that `tinyalex data imagenet SRC DEST` prepared in DEST.

    Raises
    ------
    DataError: the folder holds no such set, or a file of it is missing or has another size.
    """
    folder = Path(folder)
    index = read_index(folder)
    images = {part: index["parts"][part]["images"] for part in index["parts"]}
    drawn = str(index.get("synthetic", ""))
    counts = f"{images['train']:,} + {images['val']:,} pictures, {index['resize']} to {index['side']}, prepared by tinyalex"
    note = f"{drawn}, {counts}" if drawn else counts
    return Sources(
        name=index["name"],
        train=ShardSource(folder, "train"),
        val=ShardSource(folder, "val"),
        classes=class_names(index["classes"]),
        folders=folder_names(index["classes"]),
        note=note,
        synthetic=bool(drawn),
        mean_image=functools.partial(_mean, folder),
        color=functools.partial(_color, folder),
    )


def class_names(classes: list[list[str]]) -> tuple[str, ...]:
    """A name to show for each class: its words; where two classes have the same words, with the class's own name behind them."""
    words = [words for _, words in classes]
    twice = {word for word in words if words.count(word) > 1} if len(set(words)) < len(words) else set()
    return tuple(f"{word} ({name})" if word in twice else word for name, word in classes)


def folder_names(classes: list[list[str]]) -> tuple[str, ...]:
    """The names of the classes' folders; an empty tuple where they are the classes' names."""
    names = tuple(name for name, _ in classes)
    return () if names == class_names(classes) else names


def _mean(folder: Path) -> npt.NDArray[np.float32]:
    """The mean image of a prepared set."""
    mean, side = _array(folder / MEAN), read_index(folder)["side"]
    if mean.dtype != np.float32 or mean.shape != (3, side, side):
        rule = f"{folder / MEAN}: the mean image must be float32 {(3, side, side)}"
        raise DataError(f"{rule}, got {mean.dtype} {mean.shape}; {AGAIN}")
    return np.array(mean)


def _color(folder: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The axes of the colors of a prepared set."""
    document = _json(folder / COLOR)
    try:
        deviations, directions = (np.array(document[key], np.float64) for key in ("deviations", "directions"))
    except (KeyError, ValueError, TypeError):
        deviations, directions = np.empty(0), np.empty(0)
    if deviations.shape != (3,) or directions.shape != (3, 3):
        raise DataError(f"{folder / COLOR}: deviations and directions must be 3 and 3 x 3 numbers, got others; {AGAIN}")
    return deviations, directions


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a prepared set. DataError: the folder holds none, or one of a newer version."""
    path = folder / INDEX
    if not path.is_file():
        begun = " (the preparation was stopped before its end: run the same command again)" if (folder / "unfinished").is_dir() else ""
        raise DataError(f"{folder}: the folder must hold {INDEX} of `tinyalex data imagenet`, got none{begun}; name its DEST")
    index = _json(path)
    if index.get("format") != FORMAT:
        raise DataError(f"{path}: format must be {FORMAT!r}, got {index.get('format')!r}; name DEST of `tinyalex data imagenet`")
    if index.get("version") != VERSION:
        raise DataError(f"{path}: version must be {VERSION}, got {index.get('version')!r}; install a newer tinyalex")
    if fingerprint_of(index) != index.get("fingerprint"):
        raise DataError(f"{path}: the fingerprint must be that of the index, got {index.get('fingerprint')!r}; {AGAIN}")
    return index


def fingerprint_of(index: dict[str, Any]) -> str:
    """16 hex digits of all that the index says, except of its own fingerprint."""
    rest = {key: value for key, value in index.items() if key != "fingerprint"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def check_shards(folder: Path | str) -> Iterator[tuple[str, str]]:
    """Read every shard, table and the statistics; yield the file's name and what is wrong: "" for nothing, "missing", or "altered"."""
    folder, index = Path(folder), read_index(Path(folder))
    for part in index["parts"].values():
        for shard in part["shards"]:
            yield shard["name"], _wrong(folder / shard["name"], shard["sha256"])
    for name, checksum in index["files"].items():
        yield name, _wrong(folder / name, checksum)


def _wrong(path: Path, checksum: str) -> str:
    if not path.is_file():
        return "missing"
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return "" if digest.hexdigest() == checksum else "altered"


def _array(path: Path) -> npt.NDArray[Any]:
    """An array file, mapped into memory."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        got = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: the file must be an array that the preparation wrote, got {got}; {AGAIN}") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        got = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: the file must be JSON that the preparation wrote, got {got}; {AGAIN}") from None
    return document if isinstance(document, dict) else {}
