"""The publisher's development kit, or Kaggle's table in its place: classes of the challenge, and the answers of flat picture tars.

The trap: the kit numbers the classes in an order of its own (1 is n02119789, a kit fox), and its text of right answers holds these
numbers. A label of this package is the place of the class among all classes sorted by name, as in Caffe and PyTorch (0 is n01440764,
a tench). So an answer goes through the kit's table: number, then the class's name (wnid), then the label.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.data.imagenet.matlab import read_matlab
from tinyalex.errors import DataError

META = "meta.mat"
SOLUTION = "LOC_val_solution.csv"
ANSWERS = {"val": "validation_ground_truth.txt", "test": "test_ground_truth.txt"}
MOST_BYTES = 2**26  # of a file of the kit; the largest has 2 MB


@dataclass(frozen=True)
class Devkit:
    """What the kit says.

    Parameters
    ----------
    wnids: the name (such as n01440764) of each number of the challenge; numbers begin at 1.
    words: the English words of each name.
    answers: for "val" and "test", the number of the class of each picture, in the order of the pictures' numbers. A part that the kit
        does not answer is absent.
    """

    wnids: dict[int, str]
    words: dict[str, str]
    answers: dict[str, list[int]]


def read_devkit(place: Path) -> Devkit:
    """Read a development kit of 2010 or 2012 from its folder or its tar, compressed or not; or Kaggle's LOC_val_solution.csv.

    Raises
    ------
    DataError: the list of classes or the right answers are not there, or damaged.
    """
    if place.suffix == ".csv":
        return _solution(place)
    files = _files(place)
    if META not in files:
        raise DataError(f"{place}: the development kit must hold {META}, got none; name the publisher's devkit, folder or tar")
    wnids, words = _classes(files[META], f"{place}: {META}")
    answers = {}
    for part, name in ANSWERS.items():
        if name in files:
            answers[part] = _numbers(files[name], f"{place}: {name}", wnids)
    if not answers:
        raise DataError(f"{place}: the development kit must hold a text ...{ANSWERS['val']}, got none; unpack the kit again")
    return Devkit(wnids, words, answers)


def _files(place: Path) -> dict[str, bytes]:
    """The contents of the files that are needed, by the end of their names, from a folder or a tar."""
    wanted = (META, *ANSWERS.values())
    found: dict[str, bytes] = {}
    for name, contents in _every(place):
        for end in wanted:
            if name.rpartition("/")[2].endswith(end):
                found.setdefault(end, contents)
    return found


def _every(place: Path) -> Iterator[tuple[str, bytes]]:
    """The name and contents of every .mat and .txt file of the kit."""
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            if path.suffix in (".mat", ".txt") and path.is_file() and path.stat().st_size <= MOST_BYTES:
                yield path.as_posix(), path.read_bytes()
        return
    try:
        with tarfile.open(place) as tar:
            for member in tar:
                if member.name.endswith((".mat", ".txt")) and member.isfile() and member.size <= MOST_BYTES:
                    file = tar.extractfile(member)
                    assert file is not None  # a plain file always has contents
                    yield member.name, file.read()
    except FileNotFoundError:
        raise DataError(f"{place}: the development kit must be there, got nothing of that name; correct --devkit") from None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{place}: the development kit must be a folder or a whole tar, got {error}; download it again") from None


def _classes(data: bytes, who: str) -> tuple[dict[int, str], dict[str, str]]:
    """The table of classes: number to name, and name to words. Classes with children are inner nodes of WordNet, not of the challenge."""
    synsets = read_matlab(data, who).get("synsets")
    wnids: dict[int, str] = {}
    words: dict[str, str] = {}
    for synset in synsets if isinstance(synsets, list) else []:
        number = _whole(next((value for name, value in synset.items() if re.fullmatch(r"ILSVRC\d{4}_ID", name)), None))
        wnid = synset.get("WNID")
        if isinstance(wnid, str) and number is not None and _whole(synset.get("num_children")) == 0:
            wnids[number] = wnid
            words[wnid] = str(synset.get("words") or wnid)
    if not wnids:
        raise DataError(f"{who}: the file must hold the struct array synsets with ILSVRC2012_ID and WNID, got none; take the devkit's file")
    return wnids, words


def _solution(path: Path) -> Devkit:
    """Kaggle's table of the validation part: a picture, and the name of its class with boxes that are not needed here."""
    if not path.is_file():
        raise DataError(f"{path}: the table of answers must be there, got nothing of that name; correct --devkit")
    answers: dict[int, str] = {}
    for line, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines()[1:], 2):
        found = re.fullmatch(r"ILSVRC\d{4}_val_(\d{8}),(\w+) .*", text)
        if found is None:
            rule = f"{path}: line {line} must be the name of a picture, a comma, a class and boxes"
            raise DataError(f"{rule}, got {text[:40]!r}; take {SOLUTION} from Kaggle again")
        answers[int(found[1])] = found[2]
    if sorted(answers) != list(range(1, len(answers) + 1)) or not answers:
        raise DataError(f"{path}: pictures must have the numbers 1 to {len(answers):,}, got others; take {SOLUTION} from Kaggle again")
    wnids = dict(enumerate(sorted(set(answers.values())), 1))
    numbers = {wnid: number for number, wnid in wnids.items()}
    return Devkit(wnids, {}, {"val": [numbers[answers[k]] for k in range(1, len(answers) + 1)]})


def _whole(value: Any) -> int | None:
    """The one number of an array; None for everything else."""
    return int(value.flat[0]) if isinstance(value, np.ndarray) and value.size == 1 else None


def _numbers(text: bytes, who: str, wnids: dict[int, str]) -> list[int]:
    """One number a line, each of them in the table."""
    numbers = []
    for line, word in enumerate(text.decode("ascii", "replace").split(), 1):
        if not word.isdecimal() or int(word) not in wnids:
            raise DataError(f"{who}: line {line} must be the number of a class, 1 to {max(wnids)}, got {word[:20]!r}; unpack the kit again")
        numbers.append(int(word))
    return numbers
