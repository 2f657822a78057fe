"""A user's own picture files, as the images that a network reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyalex.errors import DataError, ShapeError

LARGEST_FILE = 2**30  # bytes
DRAWN = 160  # pixels of the side of a picture that is shown


@dataclass(frozen=True)
class Picture:
    """A picture file as an image.

    image: uint8 (3, side, side), which a network reads. shown: the same square with more pixels, uint8 (DRAWN, DRAWN, 3); where the
    file has fewer pixels it is the image itself. width, height: of the file.
    """

    path: Path
    image: npt.NDArray[np.uint8]
    shown: npt.NDArray[np.uint8]
    width: int
    height: int


@dataclass(frozen=True)
class Unreadable:
    """A file that is no picture, and why."""

    path: Path
    reason: str


def find_pictures(who: str, paths: Sequence[Path]) -> list[Path]:
    """The files that `paths` name: a folder stands for all files below it, in order, without those whose name begins with a dot.

    Raises
    ------
    DataError: there is no such file, or a folder holds none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(each for each in path.rglob("*") if each.is_file() and not _hidden(each.relative_to(path)))
            if not below:
                raise DataError(f"{who}: folder {path} must hold pictures, got no file")
            found += below
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"{who}: PICTURE must be a file or a folder that is there, got {str(path)!r}; correct the name")
    return found


def read_pictures(
    paths: Sequence[Path], image_shape: tuple[int, int, int], warp: bool, who: str = "predict"
) -> Iterator[Picture | Unreadable]:
    """Each file as an image of `image_shape`: the shorter side is scaled to it and the center cut out; `warp` squeezes instead.

    Raises
    ------
    ShapeError: the images are not square, or have another number of channels than 3.
    """
    channels, side, width = image_shape
    if channels != 3 or side != width:
        raise ShapeError(f"{who}: the net's images must be square with 3 channels to be made of pictures, got {image_shape}; use Python")
    from tinyalex.data.imagenet.pictures import LeftOut, square

    for path in paths:
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise LeftOut("too large", f"more than {LARGEST_FILE:,} bytes")
            data = path.read_bytes()
            made = square(data, side=side, warp=warp)
            image = np.asarray(made.image)
            enough = min(made.width, made.height) >= DRAWN > side
            shown = np.asarray(square(data, side=DRAWN, warp=warp).image) if enough or side > DRAWN else image
        except LeftOut as out:
            yield Unreadable(path, ": ".join(filter(None, (out.kind, out.detail))))
        except OSError as error:
            yield Unreadable(path, error.strerror or type(error).__name__)
        else:
            yield Picture(path, np.ascontiguousarray(image.transpose(2, 0, 1)), shown, made.width, made.height)


def label_of(name: str, classes: Sequence[str]) -> int | None:
    """The class that `name` means, None if it means none or several. A class may be called by one of its words with commas between.

    Example
    -------
    >>> label_of("tinca_tinca", ("goldfish", "tench, Tinca tinca")), label_of("cat", ("goldfish",))
    (1, None)
    """
    for words in (lambda c: [c], lambda c: c.split(",")):
        found = [k for k, known in enumerate(classes) if _bare(name) in map(_bare, words(known))]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _bare(name: str) -> str:
    return name.strip().casefold().replace("_", " ").replace("-", " ")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
