"""`tinyalex neighbors --codes`: short binary codes of images, and how many of the exact neighbors they find."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.analysis.codes import Autoencoder, among_first, hamming, recall
from tinyalex.analysis.nearest import Nearest, interval
from tinyalex.analysis.panels import DPI
from tinyalex.analysis.predictions import BLUE, ORANGE
from tinyalex.commands.look import file_name, net_words
from tinyalex.commands.saved import Loaded
from tinyalex.commands.shared import tell_expected
from tinyalex.data.batches import Batches
from tinyalex.data.dataset import Sources
from tinyalex.data.source import Source
from tinyalex.errors import ShapeError, show
from tinyalex.files.atomic import write_picture
from tinyalex.training.expected import least_seconds

CODED = 5000  # images that are searched if --images does not say how many: all their vectors are in memory
BATCH = 128
SIDE = 32  # pixels to which larger images are averaged for the codes of pixels
MOST_BITS = 1024


@dataclass(frozen=True)
class Vectors:
    """The vectors of queries and of the images that are searched, each (N, F), and their labels.

    hidden: by the last hidden layer, called `layer`; pixels: by the pixels, averaged to SIDE x SIDE where there are more.
    """

    layer: str
    hidden: tuple[npt.NDArray[Any], npt.NDArray[Any]]
    pixels: tuple[npt.NDArray[Any], npt.NDArray[Any]]
    labels: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

    @classmethod
    def of(cls, queries: Source, gallery: Source, features: Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]], layer: str) -> Vectors:
        """The vectors of all images, with a bar."""
        from tqdm import tqdm

        some = queries.read(np.arange(min(len(queries), BATCH)))
        seconds = least_seconds(lambda: features(some), 1) * (len(queries) + len(gallery)) / len(some)
        tell_expected(f"computes {layer} of {len(queries) + len(gallery):,} images", seconds)
        hidden: list[npt.NDArray[Any]] = []
        pixels: list[npt.NDArray[Any]] = []
        with tqdm(total=len(queries) + len(gallery), unit=" images", disable=None, leave=False, dynamic_ncols=True) as bar:
            for source in (queries, gallery):
                parts: tuple[list[Any], list[Any]] = ([], [])
                for images in blocks_of(source):
                    parts[0].append(features(images).astype(np.float32))
                    parts[1].append(flat(small(images)).astype(np.float32))
                    bar.update(len(images))
                hidden.append(np.concatenate(parts[0]))
                pixels.append(np.concatenate(parts[1]))
        return cls(layer, (hidden[0], hidden[1]), (pixels[0], pixels[1]), (queries.labels, gallery.labels))

    def both(self) -> tuple[tuple[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]], ...]:
        """The two kinds of vectors with their names."""
        return ("hidden", self.hidden), ("pixels", self.pixels)


@dataclass(frozen=True)
class Measured:
    """What codes of `bits` bits of one kind of vector find: recall and share of the class, each (mean, half of the 95 % interval)."""

    bits: int
    recall: tuple[float, float]
    same_class: tuple[float, float]


def blocks_of(source: Source) -> Iterator[npt.NDArray[Any]]:
    """The images of a source in order, block by block."""
    batches = Batches(source, None, BATCH, prepare=lambda images, rng=None: images, shuffle=False)
    return (images for images, _ in batches.in_order())


def flat(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Images (N, C, H, W) as vectors (N, C * H * W)."""
    return images.reshape(len(images), -1)


def small(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Images (N, C, H, W) averaged over squares of pixels, so that no side is longer than SIDE; what is left at the edge is cut off."""
    n, c, h, w = images.shape
    k = -(-max(h, w) // SIDE)
    if k == 1 or min(h, w) < k:
        return images
    cut = images[:, :, : h // k * k, : w // k * k]
    averaged: npt.NDArray[Any] = cut.reshape(n, c, h // k, k, w // k, k).mean(axis=(3, 5))
    return averaged


def bits_of(text: str) -> list[int]:
    """The numbers of bits that --codes names, in order.

    Raises
    ------
    ShapeError: it is no list of integers from 1 to MOST_BITS.

    Example
    -------
    >>> bits_of("64,8,16,8")
    [8, 16, 64]
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and 1 <= int(word[:9]) <= MOST_BITS for word in words):
        raise ShapeError(
            f"neighbors: --codes must be numbers of bits from 1 to {MOST_BITS:,} with commas between, got {show(text)}; use 16,32,64"
        )
    return sorted({int(word) for word in words})


def run_codes(args: argparse.Namespace, loaded: Loaded, sources: Sources, vectors: Vectors, bits: Sequence[int]) -> int:
    """Train the autoencoders, measure their codes, draw and print it. The exit code is 0."""
    first = max(args.nearest, len(vectors.labels[1]) // 100)
    found = measure(vectors, bits, args.nearest, first)
    figure = figure_of_codes(found, first / len(vectors.labels[1]), *words_of(args, loaded, sources, vectors, first))
    write_picture(args.png, lambda file: figure.savefig(file, format="png", dpi=DPI))
    if args.json:
        print(json.dumps(document_of(args, loaded, sources, vectors, first, found), indent=1, allow_nan=False))
    else:
        print("\n".join(report(args, sources, vectors, first, found)))
        print(f"{args.png} shows it; next: tinyalex predict {net_words(args)} PICTURE")
    return 0


def measure(vectors: Vectors, bits: Sequence[int], most: int, first: int) -> dict[str, list[Measured]]:
    """Train an autoencoder for each number of bits and each kind of vector, with a bar, and measure its codes.

    The exact neighbors, `most` of each query, are those by the last hidden layer, for the codes of pixels too.
    """
    from tqdm import tqdm

    exact = Nearest(vectors.hidden[0], most)
    exact.add(vectors.hidden[1])
    same = vectors.labels[1] == vectors.labels[0][:, None]
    makers = [(name, own, b) for b in bits for name, own in vectors.both()]
    seconds, steps = 0.0, 0
    for _, (_, gallery), b in makers:
        tried = Autoencoder(gallery[:BATCH], b)
        each = least_seconds(lambda tried=tried: tried.step(tried.vectors), 1)  # type: ignore[misc]
        steps += Autoencoder.steps_for(len(gallery))
        seconds += each * Autoencoder.steps_for(len(gallery))
    tell_expected(f"trains {len(makers)} autoencoders on {len(vectors.labels[1]):,} images", seconds)
    found: dict[str, list[Measured]] = {name: [] for name, _ in vectors.both()}
    with tqdm(total=steps, unit=" steps", disable=None, leave=False, dynamic_ncols=True) as bar:
        for name, (queries, gallery), b in makers:
            auto = Autoencoder(gallery, b)
            auto.train(after=bar.update)
            distances = hamming(auto.codes(queries), auto.codes(gallery))
            of_class = (among_first(distances, most) * same).sum(axis=1) / most
            found[name].append(Measured(b, interval(recall(distances, exact.places, first)), interval(of_class)))
    return found


def words_of(args: argparse.Namespace, loaded: Loaded, sources: Sources, vectors: Vectors, first: int) -> tuple[str, str]:
    """The title and the caption of the picture."""
    data = f"{sources.name} (synthetic)" if sources.synthetic else sources.name
    searched, asked = len(vectors.labels[1]), len(vectors.labels[0])
    caption = (
        f"share of the {args.nearest} nearest by {vectors.layer} that are among the first {first:,} of {searched:,} training images of "
        f"{data} by code; {asked:,} queries, bars are 95 % intervals; one seed"
    )
    return f"Binary codes of {file_name(loaded)}: neighbors found again", caption


def figure_of_codes(found: dict[str, list[Measured]], chance: float, title: str, caption: str) -> Any:
    """The Matplotlib figure: recall against bits, for codes of the last hidden layer and of pixels."""
    import textwrap

    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.8), layout="constrained", dpi=DPI)
    axes: Any = figure.add_subplot()
    for (name, own), color, marker, line in zip(found.items(), (BLUE, ORANGE), "os", ("-", "--"), strict=True):
        bits, means = [one.bits for one in own], [100 * one.recall[0] for one in own]
        halves = [100 * one.recall[1] if np.isfinite(one.recall[1]) else 0 for one in own]
        label = "codes of the last hidden layer" if name == "hidden" else "codes of pixels"
        axes.errorbar(bits, means, halves, color=color, marker=marker, linestyle=line, capsize=4, label=label)
    axes.axhline(100 * chance, color="0.5", linestyle=":", label="by chance")
    every = [one.bits for one in found["hidden"]]
    axes.set_xscale("log", base=2)
    axes.set_xticks(every, [str(b) for b in every])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("bits of a code", fontsize=12)
    axes.set_ylabel("neighbors found again, %", fontsize=12)
    axes.legend(fontsize=11)
    axes.set_title("\n".join(textwrap.wrap(title, 52)), fontsize=14, parse_math=False)
    figure.supxlabel("\n".join(textwrap.wrap(caption, 84)), fontsize=9, color="0.3", parse_math=False)
    return figure


def report(args: argparse.Namespace, sources: Sources, vectors: Vectors, first: int, found: dict[str, list[Measured]]) -> list[str]:
    """The lines of the report."""
    searched = len(vectors.labels[1])
    lines = [f"{sources.name} ({sources.note}): {len(vectors.labels[0]):,} queries, {searched:,} training images are searched"]
    lines.append(f"recall: of the {args.nearest} nearest by {vectors.layer}, the share among the first {first:,} by code")
    lines.append(f"class: of the first {args.nearest} by code, the share with the class of the query; both with 95 % intervals")
    lines.append(f"{'bits':>6}{'recall':>18}{'recall, pixels':>18}{'class':>18}{'class, pixels':>18}")
    for a, b in zip(found["hidden"], found["pixels"], strict=True):
        cells = (a.recall, b.recall, a.same_class, b.same_class)
        lines.append(f"{a.bits:>6}" + "".join(f"{_words(cell):>18}" for cell in cells))
    lines.append(f"recall by chance: {100 * first / searched:.1f} %")
    return lines


def _words(cell: tuple[float, float]) -> str:
    mean, half = cell
    return f"{100 * mean:.1f}" + (f" +- {100 * half:.1f} %" if np.isfinite(half) else " %")


def document_of(
    args: argparse.Namespace, loaded: Loaded, sources: Sources, vectors: Vectors, first: int, found: dict[str, list[Measured]]
) -> dict[str, Any]:
    """The result as JSON values."""

    def values(cell: tuple[float, float]) -> dict[str, float | None]:
        return {"mean": cell[0], "half_interval_95": cell[1] if np.isfinite(cell[1]) else None}

    return {
        "net": {"file": loaded.name, "net": loaded.saved.net, "note": loaded.saved.note},
        "data": {"name": sources.name, "note": sources.note, "synthetic": sources.synthetic, "part": sources.val_name},
        "layer": vectors.layer,
        "queries": len(vectors.labels[0]),
        "searched": len(vectors.labels[1]),
        "nearest": args.nearest,
        "first": first,
        "codes": {
            name: [{"bits": one.bits, "recall": values(one.recall), "same_class": values(one.same_class)} for one in own]
            for name, own in found.items()
        },
        "recall_by_chance": first / len(vectors.labels[1]),
        "png": str(Path(args.png)),
    }
