"""`tinyalex evaluate`: the errors of one net, or of the mean of several, beside the paper's tables."""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyalex.analysis.paper_tables import CLASSES, TABLES, Line, comparable, table_lines
from tinyalex.analysis.predictions import Mixed, draw_mixed
from tinyalex.commands.saved import CHECKPOINT, Loaded, add_net_arguments, check_net_arguments, load, views_in_words
from tinyalex.commands.shared import tell, tell_expected
from tinyalex.data.dataset import Sources, take
from tinyalex.data.find import open_data
from tinyalex.data.source import Source, Subset
from tinyalex.errors import DataError, ShapeError, require_int
from tinyalex.models.saved_net import printable
from tinyalex.training.expected import least_seconds
from tinyalex.training.probabilities import TOP, Tally, ask, predictions

HELP = "the errors of a trained net, or of several averaged, beside the paper's tables"
EXAMPLE = "tinyalex evaluate run --data cifar10 --views 10 --png mixed.png"

IN_FULL = 20  # classes that are printed one by one
TIMED = 32  # inputs that are timed, to say how long the work will take
PAIRS = 8  # pairs of classes that are printed and drawn


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
    add_net_arguments(parser, "CKPT")


@dataclass(frozen=True)
class Result:
    """What was counted: for each net, and for their mean (None for a single net)."""

    nets: list[Loaded]
    tallies: list[Tally]
    mean: Tally | None
    part: str
    data: Sources
    views: int

    @property
    def main(self) -> Tally:
        """That of the mean, or of the only net."""
        return self.tallies[0] if self.mean is None else self.mean

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the nets."""
        return self.nets[0].saved.classes

    def rows(self) -> list[tuple[str, Tally]]:
        """Each net, and the mean, with a name."""
        own = [(loaded.name, tally) for loaded, tally in zip(self.nets, self.tallies, strict=True)]
        return own if self.mean is None else [*own, (f"mean of {len(self.nets)} nets", self.mean)]


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
    members = [(loaded.net, loaded.saved.prepare) for loaded in nets]
    some = np.arange(min(len(source), max(1, TIMED // args.views)))
    images = source.read(some)
    kinds = {(loaded.saved.net, str(loaded.saved.options)): member for loaded, member in zip(nets, members, strict=True)}
    each = {kind: least_seconds(functools.partial(ask, member, images, args.views), 1) for kind, member in kinds.items()}
    seconds = sum(each[loaded.saved.net, str(loaded.saved.options)] for loaded in nets)
    asked = "1 net" if len(nets) == 1 else f"{len(nets)} nets"
    work = f"asks {asked} about {len(source):,} {part} images of {sources.name}, {views_in_words(args.views)}"
    tell_expected(work, seconds * len(source) / len(some))
    classes = len(nets[0].saved.classes)
    tallies, mean = [Tally(classes) for _ in nets], Tally(classes) if len(nets) > 1 else None
    with tqdm(total=len(source), unit=" images", disable=None, leave=False, dynamic_ncols=True) as bar:
        for labels, given in predictions(members, source, args.views, args.batch_size, bar.update, args.workers):
            for tally, probabilities in zip(tallies, given, strict=True):
                tally.add(probabilities, labels)
            if mean is not None:
                mean.add(np.mean(given, axis=0), labels)
    return Result(nets, tallies, mean, part, sources, args.views)


def report(result: Result) -> list[str]:
    """The lines of the report."""
    main, data, names = result.main, result.data, result.classes
    lines = [f"{loaded.name}: {loaded.saved.net}, {len(names):,} classes; {loaded.saved.note or 'no note'}" for loaded in result.nets]
    lines += [f"{data.name} ({data.note}): {main.count:,} {result.part} images, {views_in_words(result.views)}", ""]
    rows = result.rows()
    width = max(len(name) for name, _ in rows)
    lines.append(f"{'':<{width}}{'top-1 error':>14}{'top-5 error':>14}{'loss':>10}")
    for name, tally in rows:
        lines.append(f"{name:<{width}}{100 * tally.error:>12.2f} %{100 * tally.top5_error:>12.2f} %{tally.loss / tally.count:>10.4f}")
    if len(names) <= TOP:
        lines.append(f"with {len(names)} classes the label is always among the first five")
    lines += ["", *_class_lines(result), "", *_pair_lines(result), ""]
    measured = [Line(f"here: {name}", (100 * tally.error, 100 * tally.top5_error)) for name, tally in rows]
    for table in TABLES:
        lines += [*table_lines(table, measured), ""]
    return [*lines, comparable(len(data.classes), main.count, data.name)]


def _class_lines(result: Result) -> list[str]:
    """The table of the classes: all of them if they are few, else those of the largest error."""
    main, names, mistaken = result.main, result.classes, result.main.mistaken()
    there = np.flatnonzero(main.images).tolist()
    chosen = there if len(there) <= IN_FULL else sorted(there, key=lambda k: (-main.of_class(k)[0], k))[:IN_FULL]
    width = max(5, *(len(_cut(names[k])) for k in chosen))
    lines = [f"{'class':<{width}}{'images':>9}{'top-1':>10}{'top-5':>10}  most often taken for"]
    for k in chosen:
        (error, error5), taken = main.of_class(k), mistaken.get(k)
        other = "" if taken is None else f"  {_cut(names[taken[0]])} ({taken[1]:,})"
        lines.append(f"{_cut(names[k]):<{width}}{main.images[k]:>9,}{100 * error:>8.1f} %{100 * error5:>8.1f} %{other}")
    if len(chosen) < len(there):
        lines.append(f"these are the {len(chosen)} of the largest error; --json has all {len(there):,}")
    return lines


def _pair_lines(result: Result) -> list[str]:
    pairs = result.main.worst_pairs(PAIRS)
    if not pairs:
        return ["no image was taken for another class"]
    names, images = result.classes, result.main.images
    lines = ["mixed up most often:"]
    for a, b, there, back in pairs:
        both = [f"{_cut(names[x])} taken for {_cut(names[y])} {n:,} of {images[x]:,}" for x, y, n in ((a, b, there), (b, a, back)) if n]
        lines.append("  " + ", ".join(both))
    return lines


def document_of(result: Result) -> dict[str, Any]:
    """The result as JSON values."""
    names, main, mistaken = result.classes, result.main, result.main.mistaken()

    def errors(tally: Tally) -> dict[str, float]:
        return {"error": tally.error, "top5_error": tally.top5_error, "loss": tally.loss / tally.count}

    classes = []
    for k in np.flatnonzero(main.images).tolist():
        (error, error5), taken = main.of_class(k), mistaken.get(k)
        other = None if taken is None else {"class": names[taken[0]], "images": taken[1]}
        classes.append({"class": names[k], "images": int(main.images[k]), "error": error, "top5_error": error5, "taken_for": other})
    nets = zip(result.nets, result.tallies, strict=True)
    return {
        "data": {"name": result.data.name, "note": result.data.note, "synthetic": result.data.synthetic, "part": result.part},
        "images": main.count,
        "views": result.views,
        "nets": [{"file": one.name, "net": one.saved.net, "note": one.saved.note, **errors(tally)} for one, tally in nets],
        "mean": None if result.mean is None else errors(result.mean),
        "classes": classes,
        "mixed": [
            {"classes": [names[a], names[b]], "taken": [there, back], "images": [int(main.images[a]), int(main.images[b])]}
            for a, b, there, back in main.worst_pairs(PAIRS)
        ],
        "paper": [
            {"table": table.title, "columns": table.columns, "rows": {line.name: line.errors for line in table.lines}} for table in TABLES
        ],
        "comparable_with_the_paper": len(result.data.classes) == CLASSES,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def draw(result: Result, png: Any) -> None:
    """Draw the pairs of classes that are mixed up most often."""
    names, images = result.classes, result.main.images

    def share(n: int, k: int) -> float:
        return n / int(images[k]) if images[k] else 0.0

    worst = result.main.worst_pairs(PAIRS)
    pairs = [Mixed((names[a], names[b]), (share(there, a), share(back, b)), (there, back)) for a, b, there, back in worst]
    nets = result.nets[0].saved.net if len(result.nets) == 1 else f"mean of {len(result.nets)} nets"
    found = f"error {100 * result.main.error:.1f} %, mixed up most often" if pairs else "no image is taken for another class"
    data = f"{result.data.name} (synthetic)" if result.data.synthetic else result.data.name
    caption = f"{result.main.count:,} {result.part} images of {data}, {views_in_words(result.views)}; share of a class's images"
    draw_mixed(pairs, f"{nets}: {found}", caption, png)


def _cut(name: str) -> str:
    """A name for a column of text."""
    return name if len(name) <= 30 else name[:29] + "…"


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
