"""Reads CIFAR-10 in the two layouts that its authors publish: binary records, and batches pickled by Python 2.

Your own images in one of these layouts can be read too; each file may hold any number of images.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyalex.data.dataset import Dataset, take
from tinyalex.errors import DataError, show
from tinyalex.files.pickles import load_pickle

IMAGES_A_FILE = 10_000
IMAGE_SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
RECORD = 1 + PIXELS  # bytes
CLASSES = 10
LARGEST_FILE = 2**30  # bytes; an official batch has 31,035,000, and a pickle of Python 3 of this size holds 230,000 images
REMEDY = "get the data again with `tinyalex data cifar10`"

Labels = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

# md5 of the files of cifar-10-python.tar.gz.
OFFICIAL = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
# md5 of the files of a copy whose images were compressed to JPEG and decoded by libjpeg-turbo. Another decoder gives other bytes.
RECOMPRESSED = {
    "data_batch_1.bin": "5a8c645836ad62c48e70a7d7a79c22ff",
    "data_batch_2.bin": "503d58588ee7a26967747d2c4ff462c2",
    "data_batch_3.bin": "433fc71ee38f811eaaef6963ade87011",
    "data_batch_4.bin": "0325f7b600a8f07bca7fde1a39d3f6e1",
    "data_batch_5.bin": "0f1c07311fc2fd5fa09f24d0dfb4685b",
    "test_batch.bin": "d6b88c2f0479d3f1cdaaaaab36125498",
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """One of the two layouts: the names of its folder and files."""

    folder: str
    train: tuple[str, ...]
    test: str
    meta: str

    def is_at(self, folder: Path) -> bool:
        """Whether `folder` has this layout: it has the layout's name or holds one of its batches. The files are not read."""
        return folder.is_dir() and (folder.name == self.folder or any((folder / name).is_file() for name in (*self.train, self.test)))


BIN = Layout("cifar-10-batches-bin", tuple(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin", "batches.meta.txt")
PY = Layout("cifar-10-batches-py", tuple(f"data_batch_{k}" for k in range(1, 6)), "test_batch", "batches.meta")


def find_cifar10(folder: Path) -> Path | None:
    """The folder that holds the batches: `folder`, or `cifar-10-batches-bin` or `cifar-10-batches-py` in it; None if none of them does."""
    for layout in (BIN, PY):
        for place in (folder, folder / layout.folder):
            if layout.is_at(place):
                return place
    return None


def read_cifar10(
    folder: Path, *, train_images: int | None = None, test_images: int | None = None, images_a_file: int | None = None
) -> Dataset:
    """Read CIFAR-10, or your own images in its layout, from a folder of one of the two layouts.

    Parameters
    ----------
    folder : holds the files `data_batch_1.bin`, ... or `data_batch_1`, ....
    train_images, test_images : how many of the first images of each part to keep; None keeps all, 50,000 and 10,000 for CIFAR-10.
    images_a_file : how many images each file must hold, 10,000 for CIFAR-10; None accepts any number.

    Raises
    ------
    DataError : a file is missing, truncated, altered or too long, a label is above 9, or there are fewer images than were
        asked for. The message names the file.
    """
    folder = Path(folder)
    layout = BIN if BIN.is_at(folder) else PY
    for name in (*layout.train, layout.test, layout.meta):
        if not (folder / name).is_file():
            raise DataError(f"{folder / name}: the file must be there, got none of that name; {REMEDY}")
    digests: dict[str, str] = {}
    train = _read_part(folder, layout.train, train_images, images_a_file, digests)
    keep = take("CIFAR-10", "train", train_images, len(train[1]))
    test = _read_part(folder, (layout.test,), test_images, images_a_file, digests)
    keep_test = take("CIFAR-10", "test", test_images, len(test[1]))
    classes = _classes(folder / layout.meta, pickled=layout is PY)
    return Dataset(
        "CIFAR-10", train[0][:keep], train[1][:keep], test[0][:keep_test], test[1][:keep_test], classes, _note(digests), synthetic=False
    )


def _note(digests: dict[str, str]) -> str:
    """Where the files come from, found by their md5: `digests` has the md5 of each file that was read."""
    for known, note in ((OFFICIAL, "official bytes"), (RECOMPRESSED, "JPEG-recompressed copy")):
        if all(known.get(name) == digest for name, digest in digests.items()):
            return note
    return "bytes not verified"


def _read_part(
    folder: Path, names: tuple[str, ...], wanted: int | None, count: int | None, digests: dict[str, str]
) -> tuple[Pixels, Labels]:
    """Images and labels of the first files, as many as are needed for `wanted` images. Writes the md5 of each file to `digests`."""
    images: list[Pixels] = []
    labels: list[Labels] = []
    for name in names:
        if isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool) and 1 <= wanted <= sum(map(len, labels)):
            break
        path = folder / name
        read: Callable[[Path, int | None], tuple[Pixels, Labels, str]] = _read_bin if name.endswith(".bin") else _read_py
        pixels, found, digests[name] = read(path, count)
        wrong = np.flatnonzero((found < 0) | (found >= CLASSES))
        if wrong.size:
            raise DataError(f"{path}: labels must be 0 to 9, got {found[wrong[0]]} for image {wrong[0]}; {REMEDY}")
        images.append(pixels.reshape(-1, *IMAGE_SHAPE))
        labels.append(found)
    return np.concatenate(images), np.concatenate(labels)


def _read_bin(path: Path, count: int | None) -> tuple[Pixels, Labels, str]:
    """A file of records. A record is one byte of label and 3,072 bytes of pixels: the red, green and blue plane, line by line."""
    data = _contents(path, LARGEST_FILE)
    size = count * RECORD if count is not None else max(1, len(data) // RECORD) * RECORD
    if len(data) != size:
        records = f"{count:,} records" if count is not None else "whole records"
        got = f"{path.stat().st_size:,}"
        raise DataError(f"{path}: the file must hold {size:,} bytes, {records} of {RECORD:,}, got {got}; {REMEDY}")
    table = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    return table[:, 1:], table[:, 0].astype(np.int64), _md5(data)


def _read_py(path: Path, count: int | None) -> tuple[Pixels, Labels, str]:
    """A pickled dict: `data`, uint8 (count, 3072), with the pixels in the order of `_read_bin`, and `labels`, integers."""
    batch, digest = _unpickled(path)
    pixels, labels = batch.get("data"), batch.get("labels")
    n = count if count is not None else len(pixels) if isinstance(pixels, np.ndarray) else 0
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (n, PIXELS):
        rows = "N" if count is None else count
        raise DataError(f"{path}: data must be a uint8 array of shape ({rows}, {PIXELS}), got {_kind(pixels)}; {REMEDY}")
    if isinstance(labels, np.ndarray) and labels.shape == (n,):
        return pixels, labels.astype(np.int64), digest
    if not isinstance(labels, list) or len(labels) != n:
        got = f"{len(labels):,}" if isinstance(labels, list) else _kind(labels)
        raise DataError(f"{path}: labels must be a list of {n:,} integers, got {got}; {REMEDY}")
    for k, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < CLASSES:
            got = show(label) if type(label) is int else _kind(label)
            raise DataError(f"{path}: labels must be 0 to 9, got {got} for image {k}; {REMEDY}")
    return pixels, np.array(labels, np.int64), digest


def _classes(path: Path, pickled: bool) -> tuple[str, ...]:
    """The names of the ten classes, in the order of their labels."""
    if pickled:
        found = _unpickled(path)[0].get("label_names")
        names = found if isinstance(found, list) else []
    else:
        names = _contents(path, 4096).splitlines()
    texts = [_text(name).strip() for name in names]
    texts = texts if pickled else [text for text in texts if text]  # the official text ends with an empty line
    if len(set(texts) - {""}) != CLASSES or len(texts) != CLASSES:
        raise DataError(f"{path}: the classes must be 10 different names, got {len(set(texts) - {''})}; {REMEDY}")
    return tuple(texts)


def _unpickled(path: Path) -> tuple[dict[str, object], str]:
    """The dict that a pickle holds, with keys of type str (Python 2 wrote bytes), and the md5 of the file."""
    data = _contents(path, LARGEST_FILE)
    if len(data) > LARGEST_FILE:
        raise DataError(f"{path}: the file must hold at most {LARGEST_FILE:,} bytes, got {path.stat().st_size:,}; {REMEDY}")
    batch = load_pickle(data, str(path))
    if not isinstance(batch, dict):
        raise DataError(f"{path}: the pickled object must be a dict, got {_kind(batch)}; {REMEDY}")
    return {_text(key): value for key, value in batch.items()}, _md5(data)


def _contents(path: Path, most: int) -> bytes:
    """The bytes of a file, but at most `most` + 1 of them."""
    with open(path, "rb") as file:
        return file.read(most + 1)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _text(value: object) -> str:
    """A str, also from the bytes that Python 2 called a str; the empty str for any other type."""
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else ""


def _kind(value: object) -> str:
    """How a message names an unpickled value: by its type, not by its contents, which may be large."""
    if value is None:
        return "nothing"
    return show(value) if isinstance(value, np.ndarray) else type(value).__name__
