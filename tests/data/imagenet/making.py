"""Makes what the tests prepare: pictures, folders of classes, and the publisher's files in small. No photograph is used."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

WNIDS = ("n00000020", "n00000010", "n00000030")  # in the order of the devkit's numbers 1, 2, 3, which is not that of their names


def pixels(width=44, height=33, seed=0):
    """Smooth random colors, uint8 (height, width, 3), which JPEG keeps well."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def picture(width=44, height=33, seed=0, mode="RGB", form="JPEG", **settings):
    """The bytes of a picture file."""
    return saved(Image.fromarray(pixels(width, height, seed)).convert(mode), form, **settings)


def saved(image, form="PNG", **settings):
    """The bytes of a Pillow image as a file."""
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def class_folders(root: Path, classes=("ant", "bee", "cat"), each=4, start=0):
    """A folder for each class, with different pictures."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for k in range(each):
            (root / name / f"{name}_{k}.JPEG").write_bytes(picture(seed=start + 100 * label + k))
    return root


def tar_of(files):
    """The bytes of an uncompressed tar of (name, contents)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, contents in files:
            info = tarfile.TarInfo(name)
            info.size = len(contents)
            tar.addfile(info, io.BytesIO(contents))
    return out.getvalue()


def publisher(root: Path, year=2012, each=4, validation=6, devkit=True):
    """The publisher's three downloads: a tar of class tars, a flat validation tar, and the devkit. Returns the right answers as wnids."""
    root.mkdir(parents=True, exist_ok=True)
    inner = [
        (f"{wnid}.tar", tar_of((f"{wnid}_{k}.JPEG", picture(seed=100 * label + k)) for k in range(each)))
        for label, wnid in enumerate(WNIDS)
    ]
    kind = "img" if year == 2012 else "images"
    (root / f"ILSVRC{year}_{kind}_train.tar").write_bytes(tar_of(inner))
    answers = [k % 3 + 1 for k in range(validation)]
    folder = "" if year == 2012 else "val/"
    numbered = [(f"{folder}ILSVRC{year}_val_{k + 1:08d}.JPEG", picture(seed=900 + k)) for k in range(validation)]
    (root / f"ILSVRC{year}_{kind}_val.tar").write_bytes(tar_of(reversed(numbered)))
    if devkit:
        (root / f"ILSVRC{year}_devkit_t12.tar").write_bytes(tar_of(devkit_files(year, answers)))
    return [WNIDS[answer - 1] for answer in answers]


def devkit_files(year, answers):
    """Names and contents of the devkit's files."""
    top = f"ILSVRC{year}_devkit_t12/data"
    rows = [(k, wnid, f"words of {wnid}, in English", 0) for k, wnid in enumerate(WNIDS, 1)] + [(4, "n00000001", "entity", 3)]
    text = "".join(f"{answer}\n" for answer in answers)
    return [
        (f"{top}/meta.mat", matlab_file(year, rows)),
        (f"{top}/ILSVRC{year}_validation_ground_truth.txt", text.encode()),
        (f"ILSVRC{year}_devkit_t12/readme.txt", b"read me"),
    ]


def matlab_file(year, rows, compress=True, order="<"):
    """A MATLAB file of level 5 with the struct array `synsets`: numbers of one byte or eight, text of 16 bits, as MATLAB writes them."""

    def element(kind, contents):
        if kind != 15 and 0 < len(contents) <= 4:  # the small form
            return struct.pack(order + "I", len(contents) << 16 | kind) + contents.ljust(4, b"\0")
        return struct.pack(order + "II", kind, len(contents)) + contents + bytes(-len(contents) % 8 if kind != 15 else 0)

    def array(kind, shape, contents, name=b""):
        flags = element(6, struct.pack(order + "II", kind, 0))
        return element(14, flags + element(5, struct.pack(f"{order}{len(shape)}i", *shape)) + element(1, name) + contents)

    def number(value):
        small = 0 <= value < 256
        return array(6, (1, 1), element(2 if small else 9, struct.pack(order + ("B" if small else "d"), value)))

    def text(value):
        return array(4, (1, len(value)), element(4, value.encode("utf-16-le" if order == "<" else "utf-16-be")))

    fields = [f"ILSVRC{year}_ID", "WNID", "words", "num_children"]
    length = 32
    head = element(5, struct.pack(order + "i", length)) + element(1, b"".join(name.encode().ljust(length, b"\0") for name in fields))
    cells = b"".join(number(k) + text(wnid) + text(words) + number(children) for k, wnid, words, children in rows)
    synsets = array(2, (len(rows), 1), head + cells, b"synsets")
    start = b"MATLAB 5.0 MAT-file".ljust(124, b" ") + struct.pack(order + "H", 0x0100) + (b"IM" if order == "<" else b"MI")
    return start + (element(15, zlib.compress(synsets)) if compress else synsets)


def digest_of(folder: Path):
    """The names and hashes of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
