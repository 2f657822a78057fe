"""The pictures as somebody has them on disk: the publisher's tars, or folders of classes.

What SRC may be:

- the publisher's training tar, which holds a tar for each class (2012, and 2010 as well), or a folder of such class tars;
- a folder with the publisher's downloads: `*_img_train.tar` or `*_images_train.tar`, the same with `val`, and `*devkit*`;
- a folder that holds `train`, and perhaps `val`; else a folder with a folder for each class; or a tar of such folders.

A validation part is a tar or a folder of the same kinds, or the publisher's flat one, whose pictures carry numbers only.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tinyalex.data.imagenet.devkit import SOLUTION, Devkit, read_devkit
from tinyalex.data.imagenet.tars import Member, members_of
from tinyalex.errors import DataError

NUMBERED = re.compile(r"ILSVRC\d{4}_(val|test)_(\d{8})\.JPEG", re.IGNORECASE)
WORDS = ("words.txt", "synset_words.txt", "LOC_synset_mapping.txt")  # texts of a name and its words a line
TARS = {part: (f"*_img_{part}.tar", f"*_images_{part}.tar") for part in ("train", "val")}
KITS = ("*devkit*", SOLUTION)
VALIDATION = ("val", "validation")  # names of its folder


@dataclass(frozen=True)
class Original:
    """A picture file, or another file that lies where pictures are expected.

    Parameters
    ----------
    part: "train" or "val". klass: the name of its class; "" where only the devkit knows it, or where there is none.
    name: `CLASS/FILE`, the same in a tar as in a folder. number: the picture's number in a flat part, 0 elsewhere.
    file: the tar, or the folder below which `name` lies. offset: of its first byte in the tar; -1 for a plain file. size: in bytes.
    aside: why the file is no picture of the set, such as "hidden file"; "" for a picture.
    """

    part: str
    klass: str
    name: str
    number: int
    file: Path
    offset: int
    size: int
    aside: str = ""


@dataclass(frozen=True)
class Originals:
    """Where the pictures are.

    Parameters
    ----------
    train, val: a tar or a folder; `val` is None if no validation part was named or found.
    devkit: None if none was named or found. words: the words of class names that are known.
    """

    train: Path
    val: Path | None
    devkit: Devkit | None
    words: dict[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Original]:
        yield from _pictures(self.train, "train", self.devkit)
        if self.val is not None:
            yield from _pictures(self.val, "val", self.devkit)


def find_originals(source: Path, val: Path | None = None, devkit: Path | None = None) -> Originals:
    """Look at SRC: which parts it has. No picture is read.

    Parameters
    ----------
    source: SRC. val: the validation part, if it is elsewhere. devkit: folder or tar of the publisher's development kit.

    Raises
    ------
    DataError: one of them is not there or holds no pictures.
    """
    for option, place in (("SRC", source), ("--val", val), ("--devkit", devkit)):
        if place is not None and not place.exists():
            raise DataError(f"{place}: {option} must be a folder or a tar that is there, got nothing of that name; correct it")
    train, home = source, source if source.is_dir() else source.parent
    if source.is_dir():
        tars = {part: _one(source, patterns) for part, patterns in TARS.items()}
        folders = [source / name for name in VALIDATION if (source / name).is_dir()]
        if tars["train"] is not None:
            train, val = tars["train"], val or tars["val"]
            devkit = devkit or _one(source, KITS)
        elif (source / "train").is_dir():
            train, val = source / "train", val or next(iter(folders), None)
            devkit = devkit or _one(source, KITS)
        elif folders:
            raise DataError(f"{source}: a folder with {folders[0].name} must also hold train, got none; name the folder above both")
    kit = None if devkit is None else read_devkit(devkit)
    return Originals(train, val, kit, (kit.words if kit else {}) | _words(home))


def _one(folder: Path, patterns: tuple[str, ...]) -> Path | None:
    """The one file or folder that has the name of a pattern; None if there is none."""
    found = sorted(path for pattern in patterns for path in folder.glob(pattern))
    if len(found) > 1:
        names = " and ".join(path.name for path in found[:2])
        raise DataError(f"{folder}: downloads of one kind must be one, got {names}; name the one to use with SRC, --val and --devkit")
    return found[0] if found else None


def _words(folder: Path) -> dict[str, str]:
    """The words of class names, from a text in the folder; empty if there is none."""
    for name in WORDS:
        if (folder / name).is_file():
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
            pairs = (line.partition("\t") if "\t" in line else line.partition(" ") for line in lines)
            return {wnid.strip(): words.strip() for wnid, _, words in pairs if words.strip()}
    return {}


def _pictures(place: Path, part: str, devkit: Devkit | None) -> Iterator[Original]:
    """All files of a part. DataError: a flat part does not hold as many pictures as the devkit answers."""
    count, answers = 0, 0
    for original in _in_folder(place, part) if place.is_dir() else _in_tar(place, part):
        if original.number:
            klass, answers = _answered(original, place, devkit)
            count += 1
            yield dataclasses.replace(original, klass=klass)
        else:
            yield original
    if count != answers:
        raise DataError(f"{place}: pictures must be {answers:,}, one for each answer of the devkit, got {count:,}; finish its download")


def _answered(original: Original, place: Path, devkit: Devkit | None) -> tuple[str, int]:
    """The class of a numbered picture, which the devkit knows, and how many pictures it answers."""
    kind, digits = NUMBERED.fullmatch(original.name).groups()  # type: ignore[union-attr]
    kind, number = kind.lower(), int(digits)
    if original.part == "train":
        raise DataError(f"{place}: SRC must hold classes, got {original.name}, which has only a number; name this part with --val")
    answers = None if devkit is None else devkit.answers.get(kind)
    if devkit is None or answers is None:
        rule = f"{place}: --devkit must hold the right answers of {original.name} and the others"
        raise DataError(f"{rule}, got none; name the publisher's development kit, folder or tar")
    if not 1 <= number <= len(answers):
        rule = f"{place}: numbers of pictures must be 1 to {len(answers):,}, as the devkit says, got {original.name}"
        raise DataError(rule, "name the devkit of the same year")
    return devkit.wnids[answers[number - 1]], len(answers)


def _in_tar(path: Path, part: str) -> Iterator[Original]:
    for member in members_of(path):
        yield _of_member(member, path, part)


def _of_member(member: Member, path: Path, part: str) -> Original:
    """A file of a tar: its class is the inner tar, or the folder in which it lies."""
    *folders, base = [word for word in member.name.split("/") if word not in ("", ".")] or [member.name]
    where = (path, member.offset, member.size)
    if NUMBERED.fullmatch(base) and not member.inner:
        return Original(part, "", base, int(base[-13:-5]), *where)
    if part == "train" and any(folder in VALIDATION for folder in folders[:-1]):
        part = "val"
    klass = member.inner or (folders[-1] if folders else "")
    name = f"{klass}/{base}" if klass else base
    return Original(part, klass, name, 0, *where, _aside(name, base, klass))


def _in_folder(folder: Path, part: str) -> Iterator[Original]:
    for entry in _sorted(folder):
        if entry.is_dir():
            if entry.name.startswith("."):
                yield Original(part, "", entry.name, 0, folder, -1, 0, "hidden folder")
                continue
            count = 0
            for original in _in_class(folder, Path(entry.name), part, set()):
                count += not original.aside
                yield original
            if count == 0:
                raise DataError(f"{entry.path}: a class folder must hold pictures, got none; fill it or remove it")
        elif entry.name.lower().endswith(".tar"):
            for member in members_of(Path(entry.path)):
                yield _of_member(Member(member.inner or entry.name[:-4], member.name, member.offset, member.size), Path(entry.path), part)
        elif NUMBERED.fullmatch(entry.name):
            yield Original(part, "", entry.name, int(entry.name[-13:-5]), folder, -1, _size(entry))
        elif entry.name not in (*WORDS, SOLUTION):
            yield Original(part, "", entry.name, 0, folder, -1, _size(entry), _aside(entry.name, entry.name, ""))


def _in_class(root: Path, inside: Path, part: str, seen: set[str]) -> Iterator[Original]:
    """The files of a class folder, those of folders in it too. A link back to a folder above is followed once."""
    real = os.path.realpath(root / inside)
    if real in seen:
        return
    for entry in _sorted(root / inside):
        name = (inside / entry.name).as_posix()
        if entry.is_dir():
            yield from _in_class(root, inside / entry.name, part, seen | {real})
        else:
            yield Original(part, inside.parts[0], name, 0, root, -1, _size(entry), _aside(name, entry.name, inside.parts[0]))


def _aside(name: str, base: str, klass: str) -> str:
    if not klass:
        return "outside of a class folder"
    return "hidden file" if base.startswith(".") or base == "Thumbs.db" else ""


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # a link that leads nowhere
        return 0


def _sorted(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: the folder must be readable, got {error.strerror}; correct its permissions") from None
