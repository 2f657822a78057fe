"""The paper's way from pictures to Table 1, in small: every step is a command of tinyalex, and this script only calls them in order.

    python examples/small_imagenet.py --out small-imagenet

1. A program draws 12,000 pictures of 100 classes, 64 pixels wide: synthetic shapes, not photographs (`tinyalex data synthetic`).
2. They become shards with a mean image (`tinyalex data imagenet`).
3. Five nets of AlexNet's structure, each on two towers, are trained on them; the rate falls by the plateau of section 5 (`tinyalex train`).
4. Their errors are measured: one net with one view of each image, with ten views, and the average of all five (`tinyalex evaluate`).
5. As in section 6, a net is trained on 20 other classes first, and its weights begin a net for 10 classes; beside it the same net begins
   with random weights.

Each step that was done before is left out, so the same command goes on after a stop. On one free core it takes about half an hour.
There is no dropout: with it, the nets did not begin to learn in the few steps that there are.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from tinyalex.cli import main as tinyalex
from tinyalex.files.atomic import make_folder, write_bytes, write_json

NET = "--net alexnet --recipe paper --towers 2 --input-size 56 --weight-std fan-in --hidden-bias 0 --no-dropout".split()
STEPS = "--pixels standardize --batch-size 32 --lr 0.003 --patience 2 --times 2".split()


def main() -> int:
    """Run what is not done yet, and write result.json and table1.txt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("small-imagenet"))
    parser.add_argument("--images", type=int, default=100, help="training pictures of a class")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--nets", type=int, default=5)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--width", type=float, default=0.25)
    args = parser.parse_args()
    out: Path = args.out
    make_folder(out)
    net = [*NET, "--width", str(args.width), *STEPS]
    shards = pictures(out, "shapes", args.classes, args.images, 0)
    nets = [train(out / f"net-{seed}", shards, [*net, "--epochs", str(args.epochs), "--seed", str(seed)]) for seed in range(args.nets)]
    rows = {
        "one net, one view": evaluate(out, [nets[0]], shards, 1),
        "one net, ten views": evaluate(out, [nets[0]], shards, 10),
        f"{args.nets} nets, ten views": evaluate(out, nets, shards, 10),
    }
    many, few = pictures(out, "many", 20, args.images, 1), pictures(out, "few", 10, max(10, args.images // 4), 2)
    before = train(out / "pretrained", many, [*net, "--epochs", str(args.epochs)])
    tuned = train(out / "tuned", few, [*net, "--epochs", str(args.epochs), "--from", str(before), "--rates", "conv*=0.1"])
    fresh = train(out / "from-nothing", few, [*net, "--epochs", str(args.epochs)])
    rows["10 classes, trained on 20 others first"] = evaluate(out, [tuned], few, 10)
    rows["10 classes, random weights"] = evaluate(out, [fresh], few, 10)
    table = said(["evaluate", *map(str, nets), "--data", str(shards), "--views", "10"])
    write_bytes(out / "table1.txt", table.encode())
    first = json.loads((nets[0] / "result.json").read_text())
    about = {key: first[key] for key in ("machine", "versions", "blas", "workers", "date")}
    command = f"python examples/small_imagenet.py --images {args.images} --epochs {args.epochs}"
    write_json(out / "result.json", {"command": command, "rows": rows, **about})
    print(table)
    for name in ("result.json", "table1.txt"):
        print(f"wrote {out / name}")
    return 0


def run(*words: Any) -> None:
    """Run a command of tinyalex; end with its exit code if it fails."""
    line = [str(word) for word in words]
    print("tinyalex", *line, file=sys.stderr, flush=True)
    if code := tinyalex(line):
        sys.exit(code)


def said(line: list[str]) -> str:
    """What a command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run(*line)
    return printed.getvalue()


def pictures(out: Path, name: str, classes: int, images: int, seed: int) -> Path:
    """Draw pictures and make shards of them, unless they are there; return the folder of the shards."""
    drawn, shards = out / name, out / f"{name}-shards"
    if not (shards / "index.json").is_file():
        if not drawn.is_dir():
            options = ["--classes", classes, "--side", 64, "--images", images, "--val-images", 20, "--seed", seed, "--form", "jpeg"]
            run("data", "synthetic", drawn, *options)
        run("data", "imagenet", drawn, shards, "--side", 64)
    return shards


def train(folder: Path, shards: Path, options: list[str]) -> Path:
    """Train a net, unless its result is there; return its folder."""
    if not (folder / "result.json").is_file():
        run("train", *options, "--data", shards, "--out", folder)
    return folder


def evaluate(out: Path, nets: list[Path], shards: Path, views: int) -> Any:
    """The errors that `tinyalex evaluate --json` prints, kept in a file."""
    path = out / f"errors-{'-'.join(net.name for net in nets)}-{views}.json"
    if not path.is_file():
        write_bytes(path, said([*map(str, ["evaluate", *nets, "--data", shards, "--views", views, "--json"])]).encode())
    return json.loads(path.read_text())


if __name__ == "__main__":
    sys.exit(main())
