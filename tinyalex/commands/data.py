"""`tinyalex data`: download CIFAR-10, prepare photographs, and look at a data set."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.commands.shared import go_on, path, tell_expected
from tinyalex.data import download
from tinyalex.data.dataset import Dataset
from tinyalex.data.export import FORMS, write_class_folders
from tinyalex.data.find import default_data_folder, load_dataset, locate
from tinyalex.errors import DataError, Interrupted, require_int
from tinyalex.units import bytes_in_words

HELP = "download CIFAR-10, prepare photographs for training, and look at a data set"
EXAMPLE = "tinyalex data show --data synthetic --out synthetic.png"
IMAGENET_EXAMPLE = "tinyalex data imagenet ~/Downloads/imagenet ~/data/imagenet"
SYNTHETIC_EXAMPLE = "tinyalex data synthetic shapes --classes 100 --side 64 --images 200"

CHECK_RATE = 5e8  # bytes a second that are read and hashed
SECONDS_A_PICTURE, SECONDS_A_PIXEL = 5e-4, 1.2e-7  # of drawing and writing a picture

A_CLASS = 10  # images of each class in the picture
SCALE, GAP, NAMES, CAPTION = 2, 4, 96, 22  # pixels: per image pixel, between images, for the names, for the caption


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    fetch = _action(actions, "cifar10", f"download CIFAR-10, {_size('py')}", "tinyalex data cifar10 --to ~/data")
    fetch.add_argument("--to", type=path, metavar="FOLDER", help="where to put it (default: the folder in which every command looks)")
    known = "py: pickled batches, whose bytes `tinyalex data show` can verify; bin: binary records (default: py)"
    fetch.add_argument("--layout", choices=tuple(download.ARCHIVES), default="py", help=known)
    _add_imagenet(actions)
    _add_synthetic(actions)
    show = _action(actions, "show", "print what a data set holds, and draw ten images of each class", EXAMPLE)
    show.add_argument("--data", default="auto", metavar="DATA", help="auto, cifar10, synthetic, or a folder with CIFAR-10 (default: auto)")
    show.add_argument("--out", type=path, default=Path("tinyalex-data.png"), metavar="PNG", help="the picture (default: tinyalex-data.png)")
    show.add_argument("--json", action="store_true", help="print one JSON document instead of the table")


def _add_imagenet(actions: Any) -> None:
    line = "make ImageNet's files, or a folder of your own pictures, ready for training"
    prepare = _action(actions, "imagenet", line, IMAGENET_EXAMPLE)
    source = "the publisher's training tar, the folder of the publisher's tars, or a folder with a folder for each class"
    prepare.add_argument("source", metavar="SRC", type=path, help=source)
    prepare.add_argument(
        "dest", metavar="DEST", type=path, nargs="?", help="a new folder for the set; a run that was stopped goes on in it"
    )
    prepare.add_argument("--val", type=path, metavar="SRC2", help="the validation part, tar or folder (default: val in SRC, else a share)")
    kit = "the publisher's development kit, tar or folder, or Kaggle's LOC_val_solution.csv (default: found in SRC)"
    prepare.add_argument("--devkit", type=path, metavar="KIT", help=kit)
    share = "where SRC has no validation part: half, as for the 10,184 classes (paper 6), or the share to validate on (default: 0.1)"
    prepare.add_argument("--split", type=_split, metavar="SPLIT", help=share)
    prepare.add_argument("--side", type=int, default=256, help="of the squares, a multiple of 32 (default: 256)", metavar="PIXELS")
    prepare.add_argument("--warp", action="store_true", help="squeeze pictures to squares, as Caffe does, instead of cutting the center")
    prepare.add_argument("--processes", type=int, metavar="N", help="processes that work at a time (default: one for each processor)")
    prepare.add_argument("--check", action="store_true", help="prepare nothing; compare every file of the set SRC with its checksum")
    prepare.add_argument("--json", action="store_true", help="print one JSON document instead of the lines")


def _add_synthetic(actions: Any) -> None:
    draw = _action(actions, "synthetic", "draw pictures of shapes into class folders, to try what trains on photographs", SYNTHETIC_EXAMPLE)
    draw.add_argument("dest", metavar="DEST", type=path, help="a new folder; it gets train/CLASS/ and val/CLASS/")
    draw.add_argument("--classes", type=int, default=100, metavar="N", help="2 to 100; above 10, pairs of shapes (default: 100)")
    draw.add_argument("--side", type=int, default=64, metavar="PIXELS", help="height and width, a multiple of 8 (default: 64)")
    draw.add_argument("--images", type=int, default=200, metavar="N", help="training pictures of a class, on average (default: 200)")
    draw.add_argument("--val-images", type=int, default=20, metavar="N", help="validation pictures of a class, on average (default: 20)")
    draw.add_argument("--seed", type=int, default=0, help="other seeds draw other pictures (default: 0)")
    draw.add_argument("--form", choices=FORMS, default="png", help="png, or jpeg at quality 95 (default: png)")


def _split(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _action(actions: Any, name: str, line: str, example: str) -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=line, description=line, epilog=f"example:\n  {example}", formatter_class=form, allow_abbrev=False
    )
    return parser


def _size(layout: str) -> str:
    return bytes_in_words(download.ARCHIVES[layout].size)


def run(args: argparse.Namespace) -> int:
    """Do one of the actions. The exit code is 0; 1 if a check found an altered shard."""
    if args.action == "imagenet":
        return _check(args) if args.check else _prepare(args)
    return {"cifar10": _fetch, "synthetic": _draw, "show": _show}[args.action](args)


def _draw(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from tinyalex.data.synthetic import synthetic_dataset

    train, val = (
        require_int("data synthetic", option, number) * require_int("data synthetic", "--classes", args.classes)
        for option, number in (("--images", args.images), ("--val-images", args.val_images))
    )
    tell_expected(f"draws {train + val:,} pictures into {args.dest}", (train + val) * (SECONDS_A_PICTURE + SECONDS_A_PIXEL * args.side**2))
    dataset = synthetic_dataset(train, val, args.seed, classes=args.classes, side=args.side)
    with tqdm(total=train + val, unit=" pictures", disable=None, leave=False, dynamic_ncols=True) as bar:
        write_class_folders(dataset, args.dest, args.form, bar.update)
    print(f"{args.dest} holds {train:,} training and {val:,} validation pictures of {args.classes} classes: {dataset.note}")
    return 0


def _prepare(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from tinyalex.data.imagenet.preparation import Expected, prepare
    from tinyalex.data.imagenet.report import lines_of
    from tinyalex.devices.workers import cores
    from tinyalex.training.signals import Terminated, sigterm_raises

    if args.dest is None:
        raise DataError("data imagenet: DEST must be the folder for the set, got none; name it behind SRC")
    tell_expected(f"lists the pictures of {args.source}, then makes shards in {args.dest}; 3 ms of a processor a picture, or more")
    with tqdm(unit=" pictures", disable=None, leave=False, dynamic_ncols=True) as bar:

        def expect(expected: Expected) -> None:
            work = f"{expected.pictures:,} pictures to make into {expected.shards:,} shards, {bytes_in_words(expected.bytes)}"
            tell_expected(work, expected.seconds)

        def progress(done: int, total: int) -> None:
            if bar.total is None:  # pictures of an earlier run must not count in the speed
                bar.reset(total)
                bar.initial = bar.n = done
            bar.update(done - bar.n)

        try:
            with sigterm_raises():
                made = prepare(
                    args.source, args.dest, val=args.val, devkit=args.devkit, split=args.split, warp=args.warp, side=args.side,
                    processes=cores() if args.processes is None else args.processes, progress=progress, expect=expect,
                )  # fmt: skip
        except KeyboardInterrupt as stop:
            code = 143 if isinstance(stop, Terminated) else 130
            command = command_of_prepare(args)
            raise Interrupted("data imagenet: stopped; the shards that are finished are kept", code, args.dest, go_on(command)) from None
    if args.json:
        print(json.dumps({"folder": str(made.folder), "shards made": made.made, "index": made.index, "report": made.report}, indent=1))
        return 0
    for line in lines_of(made.report):
        print(line)
    print(f"{made.folder / 'report.txt'} names them; next: tinyalex train --net alexnet --recipe paper --data {made.folder}")
    return 0


def command_of_prepare(args: argparse.Namespace) -> str:
    """The command line that goes on with a preparation."""
    words = ["tinyalex", "data", "imagenet", str(args.source), str(args.dest)]
    for option in ("val", "devkit", "split", "processes"):
        if getattr(args, option) is not None:
            words += [f"--{option}", str(getattr(args, option))]
    return shlex.join(words + ["--side", str(args.side)] * (args.side != 256) + ["--warp"] * args.warp)


def _check(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from tinyalex.data.imagenet.shards import check_shards, read_index

    index = read_index(args.source)
    nbytes = sum(shard["bytes"] for part in index["parts"].values() for shard in part["shards"])
    tell_expected(f"reads {bytes_in_words(nbytes)} of shards", nbytes / CHECK_RATE)
    count = sum(len(part["shards"]) for part in index["parts"].values()) + len(index["files"])
    found = dict(tqdm(check_shards(args.source), total=count, unit=" files", disable=None, leave=False, dynamic_ncols=True))
    wrong = {name: what for name, what in found.items() if what}
    if args.json:
        print(json.dumps({"folder": str(args.source), "files": count, "wrong": wrong}, indent=1))
    else:
        for name, what in wrong.items():
            print(f"{args.source / name}: {what}")
        print(f"{count - len(wrong):,} of {count:,} files are as they were made")
        if wrong.keys() & index["files"].keys():
            print("prepare the set again in a new folder")
        elif wrong:
            print(f"remove these files and run `tinyalex data imagenet SRC {args.source}` again, which makes them again")
    return 1 if wrong else 0


def _fetch(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    folder, archive = args.to or default_data_folder(), download.ARCHIVES[args.layout]
    tell_expected(f"fetches {_size(args.layout)} to {folder} unless CIFAR-10 is there; 3 minutes at 1 MB/s")
    with tqdm(total=archive.size, unit="B", unit_scale=True, disable=not sys.stderr.isatty(), leave=False) as bar:
        first: list[int] = []  # bytes of an earlier attempt, which must not count in the speed

        def progress(done: int, total: int) -> None:
            if not first:
                first.append(done)
                bar.initial = done
                bar.n = done
            bar.update(done - bar.n)

        place = download.download_cifar10(folder, args.layout, progress=progress)
    show = "" if args.to is None else f" --data {args.to}"
    print(f"CIFAR-10 is in {place}; next: tinyalex data show{show}")
    return 0


def _show(args: argparse.Namespace) -> int:
    from tinyalex.files.atomic import write_picture

    tell_expected("reads or draws the images", 5)
    folder, dataset = locate(args.data), load_dataset(args.data)
    write_picture(args.out, lambda file: contact_sheet(dataset).save(file, "PNG"))
    train, test = (np.bincount(labels, minlength=len(dataset.classes)) for labels in (dataset.train_labels, dataset.test_labels))
    if args.json:
        print(json.dumps(_document(dataset, folder, train, test, args.out), indent=1))
        return 0
    print(f"{dataset.name}: {dataset.note}" + (f", in {folder}" if folder else ""))
    print(f"{'class':<12} {'train':>7} {'test':>7}")
    for name, *counts in zip(dataset.classes, train, test, strict=True):
        print(f"{name:<12} {counts[0]:>7,} {counts[1]:>7,}")
    print(f"{'all':<12} {train.sum():>7,} {test.sum():>7,}")
    print(f"{args.out} shows {A_CLASS} of each class; next: tinyalex figure1 --data {args.data}")
    return 0


def _document(dataset: Dataset, folder: Path | None, train: Any, test: Any, picture: Path) -> dict[str, Any]:
    """The JSON document of --json."""
    return {
        "name": dataset.name,
        "note": dataset.note,
        "synthetic": dataset.synthetic,
        "folder": None if folder is None else str(folder),
        "train_images": int(train.sum()),
        "test_images": int(test.sum()),
        "classes": [{"name": name, "train": int(a), "test": int(b)} for name, a, b in zip(dataset.classes, train, test, strict=True)],
        "picture": str(picture),
    }


def contact_sheet(dataset: Dataset) -> Any:
    """A Pillow image: one line for each class, with its name and its first ten training images; below them the note of the data set."""
    from PIL import Image, ImageDraw

    cell = dataset.train_images.shape[-1] * SCALE + GAP
    width, height = NAMES + A_CLASS * cell + GAP, len(dataset.classes) * cell + GAP + CAPTION
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for row, name in enumerate(dataset.classes):
        pen.text((GAP * 2, GAP + row * cell + cell // 2), name, fill="black", anchor="lm")
        for column, k in enumerate(np.flatnonzero(dataset.train_labels == row)[:A_CLASS]):
            pixels = dataset.train_images[k].transpose(1, 2, 0).repeat(SCALE, 0).repeat(SCALE, 1)  # (H, W, 3)
            sheet.paste(Image.fromarray(pixels), (NAMES + column * cell, GAP + row * cell))
    pen.text((GAP * 2, height - CAPTION // 2), f"{dataset.name}: {dataset.note}", fill="black", anchor="lm")
    return sheet
