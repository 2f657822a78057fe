"""`python -m benchmarks.loader`: the loader beside bare decoding, and how long training waits for its images.

The bare work is what no loader can leave out: processes that read the JPEG's bytes from the shards, decode them with Pillow, and cut a
random crop. The loader also turns channels to the front, makes floats, subtracts the mean image, adds color noise, and gives the batches
in order. Both use the same files and the same number of processes, and are timed in turns, because the speed of a machine changes within
minutes. Their processes are started before.

With `--train`, AlexNet takes some steps in a process of its own, with its images from the loader. Its peak memory counts the shared
memory of the loader, not the memory of the workers.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.prepare import draw
from benchmarks.workload import SEED
from tinyalex.data import Batches, Crops, Loader, Sources
from tinyalex.data.imagenet import open_shards, prepare
from tinyalex.errors import TinyalexError, require_int

SIZE = 224


def bare(source: Any, rows: Any, seed: int) -> int:
    """Decode the pictures of these rows, and cut a random crop of each. Returns the bytes of the crops."""
    rng, total = np.random.default_rng(seed), 0
    for row in source.table[rows]:
        with open(source.folder / source.shards[row["shard"]]["name"], "rb") as file:
            file.seek(int(row["offset"]))
            data = file.read(int(row["size"]))
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        top, left = rng.integers(0, 33, 2)
        total += pixels[top : top + SIZE, left : left + SIZE].copy().nbytes
    return total


def bare_job(job: tuple[Any, Any, int]) -> int:
    """`bare` for a pool of processes."""
    return bare(*job)


def compare(sources: Sources, workers: int, batch: int, repeats: int) -> dict[str, float]:
    """Medians: images a second of both, and the ratio of the loader to the bare work."""
    train = sources.train
    batches = Batches(train, None, batch, prepare=Crops(sources.mean_image(), SIZE, color=sources.color()), seed=SEED)
    rates: list[tuple[float, float]] = []
    with multiprocessing.get_context("spawn").Pool(workers) as pool, Loader(batches, workers=workers, start="spawn") as loader:
        for epoch in range(repeats + 1):  # the first turn warms both up
            chunks = np.array_split(batches.order(epoch), max(workers, len(train) // 32))
            start = time.perf_counter()
            for _ in pool.imap_unordered(bare_job, [(train, rows, k) for k, rows in enumerate(chunks)]):
                pass
            middle = time.perf_counter()
            for x, _ in loader.of_epoch(epoch):
                del x
            end = time.perf_counter()
            rates.append((len(train) / (middle - start), len(train) / (end - middle)))
    measured = rates[1:]
    return {
        "bare_images_per_s": statistics.median(one for one, _ in measured),
        "loader_images_per_s": statistics.median(other for _, other in measured),
        "ratio": statistics.median(other / one for one, other in measured),
    }


def train_alexnet(folder: Path, workers: int, batch: int, steps: int, memory_only: bool) -> dict[str, float]:
    """Steps of AlexNet in this process. The first two steps are thrown away: they allocate the memory.

    memory_only: train on one batch that stays in memory, to see what the loader costs.
    """
    from tinyalex.loss import SoftmaxCrossEntropy
    from tinyalex.models import alexnet
    from tinyalex.optim import SGD

    sources = open_shards(folder)
    net = alexnet(num_classes=len(sources.classes), seed=SEED)
    sgd, loss = SGD(net, lr=1e-4), SoftmaxCrossEntropy(device=net.device, dtype=net.dtype)
    batches = Batches(sources.train, None, batch, prepare=Crops(sources.mean_image(), SIZE, color=sources.color()), seed=SEED)
    kept = next(batches.of_epoch(0)) if memory_only else None
    waits, whole = [], []
    with Loader(batches, workers=0 if memory_only else workers) as loader:
        epoch, loop = 0, loader.of_epoch(0)
        for _ in range(steps + 2):
            start = time.perf_counter()
            if kept is None:
                found = next(loop, None)
                if found is None or len(found[1]) < batch:
                    epoch, loop = epoch + 1, loader.of_epoch(epoch + 1)
                    found = next(loop)
            else:
                found = kept
            x, labels = found
            waits.append(time.perf_counter() - start)
            loss.forward(net.forward(x, train=True), labels, train=True)
            net.backward(loss.backward())
            sgd.step()
            del x, found
            whole.append(time.perf_counter() - start)
    total = sum(whole[2:])
    return {
        "images_per_s": batch * steps / total,
        "wait_share": sum(waits[2:]) / total,
        "first_wait_s": waits[0],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def in_child(*argument: Any) -> dict[str, float]:
    """`train_alexnet` in a process of its own, whose peak memory is that of the training alone."""
    command = [sys.executable, "-m", "benchmarks.loader", "--child", json.dumps([str(argument[0]), *argument[1:]])]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.loader",
        description="Time the loader beside bare decoding of the same pictures. Let no other program run meanwhile.",
        allow_abbrev=False,
    )
    what = "a set that `tinyalex data imagenet` prepared (default: drawn pictures that are prepared first)"
    parser.add_argument("--data", type=Path, metavar="DEST", help=what)
    parser.add_argument("--pictures", type=int, default=2000, metavar="N", help="how many pictures to draw (default: 2000)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes of both (default: 2)")
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="images in a batch (default: 128)")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="how often the pair is timed (default: 5)")
    parser.add_argument("--train", type=int, default=0, metavar="STEPS", help="also take steps of AlexNet (default: 0)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child is not None:
        folder, *settings = json.loads(args.child)
        print(json.dumps(train_alexnet(Path(folder), *settings)))
        return 0
    try:
        numbers = {option: require_int("benchmarks", f"--{option}", getattr(args, option)) for option in ("workers", "batch", "repeats")}
        steps = require_int("benchmarks", "--train", args.train, least=0)
        with tempfile.TemporaryDirectory(prefix="tinyalex-benchmark-") as name:
            folder = args.data
            if folder is None:
                count = require_int("benchmarks", "--pictures", args.pictures, least=20)
                print(f"draws and prepares {count:,} pictures; about {count * 0.03 / 60:.1f} minutes", file=sys.stderr)
                draw(Path(name) / "pictures", count)
                folder = prepare(Path(name) / "pictures", Path(name) / "set").folder
            sources = open_shards(folder)
            found = compare(sources, **numbers)
            what = f"{len(sources.train):,} {'drawn pictures' if args.data is None else 'pictures'}, {args.workers} processes"
            rates = f"bare {found['bare_images_per_s']:.0f} images/s, loader {found['loader_images_per_s']:.0f} images/s"
            print(f"{what}, load {os.getloadavg()[0]:.1f}: {rates}, ratio {found['ratio']:.2f}")
            if steps:
                report(folder, args.workers, args.batch, steps)
    except TinyalexError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def report(folder: Path, workers: int, batch: int, steps: int) -> None:
    """Train from memory and from the loader, and print speed, waiting and peak memory."""
    for title, memory_only in (("one batch that stays in memory", True), (f"the loader, {workers} workers", False)):
        told = in_child(folder, workers, batch, steps, memory_only)
        waits = f"waits {100 * told['wait_share']:.2f} % of the time, {told['first_wait_s']:.2f} s for the first batch"
        speed = f"{told['images_per_s']:.1f} images/s, {waits}, peak memory {told['peak_bytes'] / 1e9:.2f} GB"
        print(f"AlexNet, batch {batch}, {steps} steps from {title}: {speed}")


if __name__ == "__main__":
    sys.exit(main())
