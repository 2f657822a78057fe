"""Finds data sets by name or folder. `--data` and $TINYALEX_DATA mean the same in every command."""

from __future__ import annotations

import os
from pathlib import Path

from tinyalex.data.cifar10 import find_cifar10, read_cifar10
from tinyalex.data.dataset import Dataset
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.errors import DataError, did_you_mean, show

NAMES = ("auto", "cifar10", "synthetic")
NOT_THERE = f"load_dataset: data must be {', '.join(NAMES)} or a folder that is there"


def default_data_folder() -> Path:
    """The folder in which `tinyalex data cifar10` puts data: `tinyalex` in $XDG_CACHE_HOME, or in ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # By the XDG specification a relative path is invalid and must be ignored.
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "tinyalex"


def load_dataset(
    data: str | os.PathLike[str] = "auto",
    *,
    train_images: int | None = None,
    test_images: int | None = None,
    seed: int = 0,
) -> Dataset:
    """The data set that `data` names.

    Parameters
    ----------
    data : "cifar10" looks for CIFAR-10 in the folder $TINYALEX_DATA, then in `default_data_folder()`. "synthetic" draws
        images. "auto" is "cifar10" if CIFAR-10 is found, else "synthetic". Any other value is a folder that is called
        `cifar-10-batches-bin` or `cifar-10-batches-py`, or that holds such a folder.
    train_images, test_images : how many of the first images of each part to keep; None keeps all of CIFAR-10, or draws
        10,000 and 2,000 synthetic images.
    seed : of the synthetic images.

    Raises
    ------
    DataError : no data is found, a file is damaged, or there are fewer images than were asked for.
    """
    folder = locate(data)
    if folder is not None:
        return read_cifar10(folder, train_images=train_images, test_images=test_images)
    return synthetic_dataset(10_000 if train_images is None else train_images, 2_000 if test_images is None else test_images, seed)


def locate(data: str | os.PathLike[str]) -> Path | None:
    """The folder with the batches that `data` names, as in `load_dataset`; None for synthetic images. No file is read.

    Raises
    ------
    DataError : no data is found.
    """
    if data in ("auto", "cifar10"):
        folder = next(filter(None, map(find_cifar10, _search_folders())), None)
        if folder is None and data == "cifar10":
            searched = " and ".join(map(str, _search_folders()))
            raise DataError(
                f"load_dataset: CIFAR-10 must be in $TINYALEX_DATA or in the default data folder, got nothing in {searched}; "
                "run `tinyalex data cifar10`, or set TINYALEX_DATA to a folder that holds cifar-10-batches-bin or cifar-10-batches-py"
            )
        return folder
    if data == "synthetic":
        return None
    if not isinstance(data, (str, os.PathLike)) or not os.fspath(data):
        raise DataError(f"{NOT_THERE}, got {show(data)}")
    place = Path(os.path.expanduser(data))
    if not place.is_dir():
        remedy = did_you_mean(data, NAMES) or "correct it, or run `tinyalex data cifar10` and use cifar10"
        raise DataError(f"{NOT_THERE}, got {'the file ' if place.exists() else ''}{os.fspath(data)!r}", remedy)
    folder = find_cifar10(place)
    if folder is None:
        names = sorted(os.listdir(place))
        got = f"{len(names)} other{'s' * (len(names) > 1)}: {', '.join(names[:3])}" if names else "an empty folder"
        rule = f"load_dataset: folder {place} must hold cifar-10-batches-bin or cifar-10-batches-py, got {got}"
        raise DataError(rule, "name the folder that holds one of them, or run `tinyalex data cifar10` and use cifar10")
    return folder


def _search_folders() -> list[Path]:
    """The folders in which "cifar10" is looked for, in order."""
    named = os.path.expanduser(os.environ.get("TINYALEX_DATA", ""))
    if not named:
        return [default_data_folder()]
    if not os.path.isdir(named):
        raise DataError(f"load_dataset: TINYALEX_DATA must name a folder that exists, got {named!r}; correct it or unset it")
    return [Path(named), default_data_folder()]


def open_data(data, train_images=None, test_images=None):  # SHIM
    from tinyalex.data.imagenet.folders import open_folder
    from tinyalex.data.imagenet.shards import open_shards

    place = Path(os.path.expanduser(data))
    if data not in NAMES and (place / "index.json").is_file():
        return open_shards(place)
    if data not in NAMES and place.is_dir() and find_cifar10(place) is None:
        return open_folder(place)
    return load_dataset(data, train_images=train_images, test_images=test_images).sources()
