"""Writes a data set in memory as picture files, a folder for each class, as photographs usually come."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinyalex.data.dataset import Dataset
from tinyalex.data.source import Images
from tinyalex.errors import DataError, require_choice
from tinyalex.files.atomic import TEMPORARY, make_folder, require_folder, write_error

DRAWN = "drawn-by-a-program.txt"  # beside the parts of a synthetic set: its note. Whatever is made of its pictures is called synthetic
FORMS = ("png", "jpeg")  # the pixels as they are; or at quality 95, as the 2012 pictures were stored


def write_class_folders(
    dataset: Dataset, folder: Path | str, form: str = "png", progress: Callable[[int], object] | None = None
) -> dict[str, int]:
    """Write the pictures of `dataset` to `folder`/train/CLASS/00000.png and `folder`/val/CLASS/00000.png.

    The folder appears when all pictures are in it. A synthetic set is marked by a file, so that what is trained on it says so.

    Parameters
    ----------
    dataset: uint8 images of three channels. folder: new, or empty. form: "png" or "jpeg". progress: called with 1 after each picture.

    Returns
    -------
    How many pictures each of the two parts has.

    Raises
    ------
    DataError: the images are of another kind, a class's name cannot be that of a folder, or the folder holds files.
    DiskFull, CheckpointError: there is no room, or the folder cannot be written.
    """
    require_choice("write_class_folders", "form", form, FORMS)
    folder = require_folder(folder)
    if dataset.train_images.dtype != np.uint8 or dataset.image_shape[0] != 3:
        got = f"{dataset.train_images.dtype} images of {dataset.image_shape[0]} channels"
        raise DataError(f"{dataset.name}: images to write must be uint8 and of 3 channels, got {got}")
    for name in dataset.classes:
        if name in ("", ".", "..") or set(name) & set('/\\:*?"<>|\0'):
            raise DataError(f"{dataset.name}: the classes must have names that folders can have, got {name!r}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: the folder must be new or empty, got one that holds files; name another folder, or remove it")
    make_folder(folder.parent)
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}{TEMPORARY}")
    try:
        counts = {
            "train": _write(temporary / "train", dataset, dataset.train_images, dataset.train_labels, form, progress),
            "val": _write(temporary / "val", dataset, dataset.test_images, dataset.test_labels, form, progress),
        }
        if dataset.synthetic:
            (temporary / DRAWN).write_text(dataset.note + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise write_error(folder, dataset.train_images.nbytes + dataset.test_images.nbytes, error) from None
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return counts


def drawn_note(folder: Path) -> str:
    """What a folder of pictures says about the program that drew them; "" for pictures that no program of ours drew."""
    try:
        return " ".join((folder / DRAWN).read_text(encoding="utf-8", errors="replace").split())[:200]
    except OSError:
        return ""


def _write(folder: Path, dataset: Dataset, images: Images, labels: Images, form: str, progress: Callable[[int], object] | None) -> int:
    from PIL import Image

    settings = {"quality": 95} if form == "jpeg" else {}
    for name in dataset.classes:
        (folder / name).mkdir(parents=True)
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
        picture.save(folder / dataset.classes[label] / f"{k:05d}.{form}", form.upper(), **settings)
        if progress is not None:
            progress(1)
    return len(images)
