"""Finds data sets by name or folder. `--data` and $TINYALEX_DATA mean the same in every command."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from tinyalex.data.cifar10 import find_cifar10, read_cifar10
from tinyalex.data.dataset import Dataset, Sources, take
from tinyalex.data.source import Source, cut
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
        rule = f"load_dataset: folder {place} must hold cifar-10-batches-bin or cifar-10-batches-py, got {_contents(place)}"
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


def open_data(
    data: str | os.PathLike[str] = "auto",
    *,
    train_images: int | None = None,
    test_images: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Sources:
    """The data set that `data` names, of any kind and size.

    Parameters
    ----------
    data : as in `load_dataset`; or the folder DEST of `tinyalex data imagenet`; or a folder with a folder of pictures for each class.
    train_images, test_images : how many of the first images of each part to keep; None keeps all.
    seed : of the synthetic images.
    progress : called with the pictures that were looked at and their number, where a folder of pictures is opened for the first time.

    Raises
    ------
    DataError : no data is found, a file is missing or damaged, or there are fewer images than were asked for.
    """
    if not isinstance(data, (str, os.PathLike)) or data in NAMES or not os.fspath(data):
        return load_dataset(data, train_images=train_images, test_images=test_images, seed=seed).sources()
    place = Path(os.path.expanduser(data))
    if not place.is_dir() or find_cifar10(place) is not None:
        return load_dataset(data, train_images=train_images, test_images=test_images).sources()
    # The modules of photographs are imported here, because a net for small images needs none of them.
    if (place / "index.json").is_file() or (place / "unfinished").is_dir():
        from tinyalex.data.imagenet.shards import open_shards

        sources = open_shards(place)
    elif any(path.is_dir() for path in place.iterdir()):
        from tinyalex.data.imagenet.folders import open_folder

        sources = open_folder(place, progress=progress)
    else:
        rule = f"open_data: folder {place} must hold a folder of pictures for each class, CIFAR-10, or what `tinyalex data imagenet` made"
        raise DataError(f"{rule}, got {_contents(place)}", "name another folder; tars are prepared with `tinyalex data imagenet SRC DEST`")
    return dataclasses.replace(
        sources,
        train=_first(sources.name, "train", sources.train, train_images),
        val=_first(sources.name, "test", sources.val, test_images),
    )


def _first(who: str, part: str, source: Source, images: int | None) -> Source:
    return cut(source, 0, take(who, part, images, len(source)))


def _contents(folder: Path) -> str:
    names = sorted(os.listdir(folder))
    return f"{len(names)} other{'s' * (len(names) > 1)}: {', '.join(names[:3])}" if names else "an empty folder"
