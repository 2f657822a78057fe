"""`tinyalex evaluate`: the errors of one net, or of the mean of several, beside the paper's tables."""

from __future__ import annotations

import argparse
import functools
import json
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.commands.evaluate_report import Result, document_of, draw, report
from tinyalex.commands.saved import CHECKPOINT, NET_OPTIONS, Loaded, add_net_arguments, check_net_arguments, load, views_in_words
from tinyalex.commands.shared import go_on, tell, tell_expected
from tinyalex.data.dataset import Sources, take
from tinyalex.data.find import open_data
from tinyalex.data.source import Source, Subset
from tinyalex.errors import DataError, Interrupted, ShapeError, require_int
from tinyalex.models.saved_net import printable
from tinyalex.training.expected import least_seconds
from tinyalex.training.probabilities import Member, Tally, ask, predictions
from tinyalex.training.signals import NAMES, StopSignals
from tinyalex.training.unfinished import Unfinished

HELP = "the errors of a trained net, or of several averaged, beside the paper's tables"
EXAMPLE = "tinyalex evaluate run --data cifar10 --views 10 --png mixed.png"

TIMED = 32  # inputs that are timed, to say how long the work will take
SAVE_EVERY_S = 60.0  # seconds between two times that the counts are kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    several = "; with several, their predictions are averaged too"
    parser.add_argument("checkpoints", nargs="+", metavar="CKPT", help=CHECKPOINT + several)
    folders = "a folder with CIFAR-10, of `tinyalex data imagenet`, or with one folder of pictures for each class"
    parser.add_argument("--data", default="auto", metavar="DATA", help=f"auto, cifar10, synthetic, or {folders} (default: auto)")
    part = "val is the validation or test part, train the part that was trained on (default: val)"
    parser.add_argument("--split", choices=("val", "train"), default="val", help=part)
    parser.add_argument("--images", type=int, metavar="N", help="N images, evenly spaced in the part (default: all)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that read images ahead (default: 0, none)")
    add_net_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, print the result, draw it. The exit code is 0."""
    check_net_arguments("evaluate", args)
    require_int("evaluate", "--workers", args.workers, least=0)
    if args.images is not None:
        require_int("evaluate", "--images", args.images)
    opened = functools.cache(lambda: open_data(args.data))
    nets = [load("evaluate", args, name, opened) for name in args.checkpoints]
    require_alike(nets)
    sources = opened()
    source = part_of(args, sources, nets[0])
    result = measure(args, nets, sources, source)
    if args.json:
        print(json.dumps(document_of(result), indent=1, allow_nan=False))
    else:
        print("\n".join(report(result)))
    if args.png is not None:
        draw(result, args.png)
        if not args.json:
            print(f"{args.png} shows the classes that are mixed up most often")
    return 0


def require_alike(nets: Sequence[Loaded]) -> None:
    """Raise ShapeError unless all nets have the same classes and read images of one size."""
    first, *others = nets
    for other in others:
        if other.saved.classes != first.saved.classes:
            there, here = first.saved.classes, other.saved.classes
            got = f"{len(here):,}"
            if len(there) == len(here):
                k = next(k for k, name in enumerate(here) if name != there[k])
                got = f"{here[k]!r} in place of {there[k]!r}"
            rule = f"evaluate: {other.name} must have the classes of {first.name}, {len(there):,} in all"
            raise ShapeError(f"{rule}, got {got}; average nets that were trained on the same data")
        if other.saved.image_shape != first.saved.image_shape:
            rule = f"evaluate: {other.name} must read images of {_size(first.saved.image_shape)}, as {first.name} does"
            raise ShapeError(f"{rule}, got {_size(other.saved.image_shape)}; average nets that were trained on the same data")


def part_of(args: argparse.Namespace, sources: Sources, loaded: Loaded) -> Source:
    """The images to measure on, with labels that are places in the net's classes."""
    source = sources.train if args.split == "train" else sources.val
    saved = loaded.saved
    if source.image_shape != saved.image_shape:
        rule = f"evaluate: images of --data must be {_size(saved.image_shape)}, which {loaded.name} was trained on"
        raise DataError(f"{rule}, got {_size(source.image_shape)} in {sources.name}; name its data with --data")
    classes = printable(sources.classes)
    if classes != saved.classes:
        source = _renamed(source, classes, loaded, sources.name)
    if args.images is not None:
        n = take(sources.name, args.split, args.images, len(source))
        source = Subset(source, np.arange(n) * len(source) // n)
    return source


class Relabeled:
    """A source with other labels: `places` has the new label of each old one."""

    def __init__(self, source: Source, places: Sequence[int]) -> None:
        self.source, self.labels, self.image_shape = source, np.array(places, np.int64)[source.labels], source.image_shape

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Any) -> Any:
        """The images with these indices."""
        return self.source.read(indices)

    def fingerprint(self) -> str:
        """That of the source."""
        return self.source.fingerprint()


def _renamed(source: Source, classes: tuple[str, ...], loaded: Loaded, data: str) -> Source:
    """The source with the net's labels, if all its classes are among those of the net; they may be fewer, or in another order."""
    known = {name: k for k, name in enumerate(loaded.saved.classes)}
    missing = [name for name in classes if name not in known]
    if missing or len(known) < len(loaded.saved.classes) or len(set(classes)) < len(classes):
        few = ", ".join(map(repr, missing[:3])) + (" ..." if len(missing) > 3 else "") if missing else "a name twice"
        rule = f"evaluate: classes of --data must be among the {len(known):,} of {loaded.name}"
        raise DataError(f"{rule}, got {few} in {data}; name the data that the net was trained on")
    tell(f"{data} has {len(classes):,} of the net's {len(known):,} classes, found by their names")
    return Relabeled(source, [known[name] for name in classes])


def measure(args: argparse.Namespace, nets: list[Loaded], sources: Sources, source: Source) -> Result:
    """Ask all nets about all images, with a bar."""
    from tqdm import tqdm

    part = "training" if args.split == "train" else getattr(sources, "val_name", "validation")
    members: list[Member] = [(loaded.net, loaded.saved.prepare) for loaded in nets]
    some = np.arange(min(len(source), max(1, TIMED // args.views)))
    images = source.read(some)
    kinds = {(loaded.saved.net, str(loaded.saved.options)): member for loaded, member in zip(nets, members, strict=True)}
    each = {kind: least_seconds(functools.partial(ask, member, images, args.views), 1) for kind, member in kinds.items()}
    seconds = sum(each[loaded.saved.net, str(loaded.saved.options)] for loaded in nets)
    tallies = [Tally(len(nets[0].saved.classes)) for _ in range(len(nets) + (len(nets) > 1))]  # the last one of several is of the mean
    decided = {"views": args.views, "batch_size": args.batch_size}
    unfinished = Unfinished([(loaded.net, loaded.saved) for loaded in nets], source, decided)
    done, saved_at = unfinished.read(tallies), time.monotonic()
    asked = "1 net" if len(nets) == 1 else f"{len(nets)} nets"
    work = f"asks {asked} about {len(source):,} {part} images of {sources.name}, {views_in_words(args.views)}"
    earlier = f", goes on after {done:,} images that an earlier run counted" if done else ""
    tell_expected(work + earlier, seconds * (len(source) - done) / len(some))
    rest = Subset(source, np.arange(done, len(source))) if done else source
    with StopSignals() as stop, tqdm(total=len(source), initial=done, unit=" images", disable=None, leave=False, dynamic_ncols=True) as bar:
        for labels, given in predictions(members, rest, args.views, args.batch_size, bar.update, args.workers):
            for tally, probabilities in zip(tallies, [*given, np.mean(given, axis=0)], strict=False):
                tally.add(probabilities, labels)
            done += len(labels)
            if done < len(source) and (stop.received is not None or time.monotonic() - saved_at > SAVE_EVERY_S):
                kept, saved_at = unfinished.keep(done, tallies), time.monotonic()
                if stop.received is not None:
                    raise stopped(args, stop.received, done, kept)
    unfinished.forget()
    return Result(nets, tallies[: len(nets)], tallies[-1] if len(nets) > 1 else None, part, sources, args.views)


def stopped(args: argparse.Namespace, number: int, done: int, kept: Path | None) -> Interrupted:
    """The error for an evaluation that a signal stopped."""
    words = ["tinyalex", "evaluate", *args.checkpoints]
    for option, default in (("data", "auto"), ("split", "val"), ("images", None), ("workers", 0), *NET_OPTIONS.items()):
        value = getattr(args, option.replace("-", "_"))
        if value not in (None, default):
            words += [f"--{option}", str(value)]
    words += ["--json"] * args.json
    what = f"evaluate: stopped by {NAMES.get(number, number)} after {done:,} images"
    if kept is None:
        return Interrupted(f"{what}, whose counts could not be kept", 128 + number, remedy=f"start again with: {shlex.join(words)}")
    return Interrupted(f"{what}, whose counts are kept", 128 + number, kept, go_on(shlex.join(words)))


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
