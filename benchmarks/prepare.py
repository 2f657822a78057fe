"""`python -m benchmarks.prepare`: `tinyalex data imagenet` beside the bare work that it cannot avoid.

The bare work is Pillow's: decode each file, make the shorter side 256 pixels, cut, encode with quality 95. It is done on the same files,
by the same number of processes, and its result is thrown away. The ratio says what lists, checks, sums, tars, checksums and a disk that
is really written to cost. Both are timed in turns, because the speed of a machine changes within minutes, and each with its processes
already counted in: a preparation starts them too.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.workload import SEED
from tinyalex.data.imagenet import prepare
from tinyalex.errors import TinyalexError, require_int

WIDTH, HEIGHT = 500, 375  # the usual size of ImageNet's pictures
CHUNK = 16  # files that a process of the bare work takes at once


def bare(path: Path) -> int:
    """The work that no preparation can leave out, in the fewest calls of Pillow. Returns the bytes of the result."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    scale = 256 / min(image.size)
    size = round(image.size[0] * scale), round(image.size[1] * scale)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    left, top = (size[0] - 256) // 2, (size[1] - 256) // 2
    file = io.BytesIO()
    image.crop((left, top, left + 256, top + 256)).save(file, "JPEG", quality=95)
    return len(file.getvalue())


def bare_all(source: Path, processes: int) -> None:
    """The bare work on all files of class folders."""
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpeg", ".jpg", ".png"))
    if processes == 1:
        for path in paths:
            bare(path)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for _ in pool.imap_unordered(bare, paths, CHUNK):
            pass


def draw(folder: Path, count: int) -> None:
    """`count` drawn pictures of ImageNet's usual size in ten classes: smooth colors with noise, for files as large as photographs."""
    rng = np.random.default_rng(SEED)
    for k in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        pixels = np.asarray(coarse) + rng.integers(-12, 13, (HEIGHT, WIDTH, 1))
        place = folder / f"class{k % 10}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{k:05d}.jpg", quality=90)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and seconds of processors, of this process and those that it started."""

    def used() -> float:
        return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

    clock, processor = time.perf_counter(), used()
    work()
    return time.perf_counter() - clock, used() - processor


def compare(source: Path, processes: int, repeats: int) -> dict[str, float]:
    """Medians: seconds of both, and the ratio of the preparation to the bare work, on the clock and in time of processors."""
    pairs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="tinyalex-benchmark-") as name:
            pairs.append(
                (
                    timed(lambda: bare_all(source, processes)),
                    timed(lambda dest=name: prepare(source, Path(dest) / "set", processes=processes)),
                )
            )
    return {
        "bare_s": statistics.median(one[0] for one, _ in pairs),
        "prepare_s": statistics.median(other[0] for _, other in pairs),
        "ratio": statistics.median(other[0] / one[0] for one, other in pairs),
        "processor_ratio": statistics.median(other[1] / one[1] for one, other in pairs),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.prepare",
        description="Time `tinyalex data imagenet` beside bare Pillow on the same files. Let no other program run meanwhile.",
        allow_abbrev=False,
    )
    parser.add_argument("--source", type=Path, metavar="SRC", help="a folder of class folders (default: pictures that are drawn first)")
    parser.add_argument("--pictures", type=int, default=2000, metavar="N", help="how many pictures to draw (default: 2000)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="processes of both (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="how often the pair is timed (default: 5)")
    args = parser.parse_args(argv)
    try:
        processes, repeats = require_int("benchmarks", "--processes", args.processes), require_int("benchmarks", "--repeats", args.repeats)
        with tempfile.TemporaryDirectory(prefix="tinyalex-benchmark-") as name:
            source = args.source
            if source is None:
                count = require_int("benchmarks", "--pictures", args.pictures, least=20)
                minutes = count * (0.02 + repeats * 0.012 / processes) / 60
                print(f"draws {count:,} pictures, then times {repeats} pairs; about {minutes:.1f} minutes", file=sys.stderr)
                source = Path(name)
                draw(source, count)
            found = compare(source, processes, repeats)
    except TinyalexError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return error.exit_code
    what = "drawn pictures of 500 x 375" if args.source is None else str(args.source)
    print(f"{what}, {processes} processes: bare {found['bare_s']:.2f} s, prepare {found['prepare_s']:.2f} s")
    print(f"ratio {found['ratio']:.2f} on the clock, {found['processor_ratio']:.2f} in time of processors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
