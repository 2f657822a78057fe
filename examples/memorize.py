"""Can the full-width AlexNet learn 64 photographs of 64 classes by heart? With weights by fan-in, and with the paper's own initial weights.

    python examples/memorize.py DATA --out examples/results/memorize

DATA is a folder of `tinyalex data imagenet`, or a folder with one folder of pictures for each class; the first picture of each of 64
classes is used. There is no dropout, no augmentation and no weight decay: a net that cannot learn 64 images by heart has a fault, or a bad
start. Both nets take the same images, the same number of steps and the same rate. After each epoch (eight steps) the training error is
measured. The same command goes on after a stop. On two cores 20 epochs of both nets take about ten minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.data import CropAndFlip, Crops, Standardize
from tinyalex.data.find import open_data
from tinyalex.data.source import ArraySource
from tinyalex.errors import DataError, TinyalexError
from tinyalex.files.atomic import make_folder, write_json, write_picture
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.options import alexnet
from tinyalex.optim import SGD
from tinyalex.training import RunLog, Trainer
from tinyalex.training.diagnose import entropy_of
from tinyalex.training.stall import examine, is_stalled

REPEATED = 8  # times that the images appear in an epoch: it has so many steps
STARTS = {
    "fan-in": ("weights by fan-in, biases 0, inputs of unit variance", {"weight_std": "fan-in", "hidden_bias": 0}),
    "paper": ("the paper's weights: std 0.01, biases 1, pixels of 0 to 255 minus their mean", {}),
}


def main() -> int:
    """Train both nets, write result.json and memorize.png, and print the paths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a folder of `tinyalex data imagenet`, or of class folders")
    parser.add_argument("--out", type=Path, default=Path("memorize"))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--lr", type=float, default=0.01)
    args = parser.parse_args()
    try:
        images, names = one_of_each_class(args.data, args.images)
        make_folder(args.out)
        runs = {start: train(start, images, args) for start in STARTS}
    except TinyalexError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    first = RunLog(args.out / "fan-in" / "log.jsonl").read()[0]
    document = {
        "command": f"python examples/memorize.py DATA --images {args.images} --epochs {args.epochs} --width {args.width} --lr {args.lr}",
        "images": args.images,
        "data": names,
        "runs": runs,
        **{key: first[key] for key in ("machine", "versions", "blas", "device", "workers")},
        "date": first["time"],
    }
    write_json(args.out / "result.json", document)
    write_picture(args.out / "memorize.png", lambda file: figure(document).savefig(file, format="png", dpi=150))
    for name in ("result.json", "memorize.png"):
        print(f"wrote {args.out / name}")
    return 0


def one_of_each_class(data: str, count: int) -> tuple[np.ndarray[Any, Any], str]:
    """The first training image of each of `count` classes, uint8 (count, 3, 256, 256), and where they come from."""
    sources = open_data(data)
    _, first = np.unique(sources.train.labels, return_index=True)
    if len(first) < count:
        raise DataError(f"memorize: DATA must have images of {count} classes, got {len(first)}; use --images {len(first)}")
    return sources.train.read(np.sort(first)[:count]), f"{sources.name}: {sources.note}"


def train(start: str, images: np.ndarray[Any, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Train one net, and return its curves, and what an examination of it found before the first step."""
    words, options = STARTS[start]
    net = alexnet(num_classes=len(images), dropout=False, width=args.width, seed=0, **options)
    assert net.in_shape is not None
    size, labels = net.in_shape[1], np.arange(len(images))
    if start == "fan-in":
        prepare: Any = CropAndFlip(Standardize.fit(images), size, augment=False)
    else:
        prepare = Crops(images.mean(axis=0), size, augment=False)
    found = examine(net, SoftmaxCrossEntropy(), prepare(images, None), labels, args.lr)  # before the first step
    many = ArraySource(np.concatenate([images] * REPEATED), np.tile(labels, REPEATED))
    trainer = Trainer(
        net,
        SGD(net, lr=args.lr, weight_decay=0),
        train=many,
        val=(images, labels),
        prepare=prepare,
        folder=args.out / start,
        batch_size=len(images),
        evaluate_train=False,
        save_every_s=1e9,
        hints=False,
    )
    print(f"{start}: {words}", file=sys.stderr)
    results = trainer.run(args.epochs)
    return {
        "start": words,
        "epoch": [result.epoch for result in results],
        "steps": [REPEATED * result.epoch for result in results],
        "loss": [result.loss for result in results],
        "error": [result.val_error for result in results],
        "wall_s": results[-1].wall_s,
        "epochs_like_a_guess": sum(is_stalled(result.loss, entropy_of(labels)) for result in results),
        "examination_of_the_first_weights": found.lines(),
    }


def figure(document: dict[str, Any]) -> Any:
    """The errors of both nets on the images that they train on, against the steps."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(8, 5), layout="constrained")
    panel: Any = made.add_subplot()
    for (_, run), color, mark, line in zip(document["runs"].items(), ("#0072B2", "#D55E00"), "os", ("-", "--"), strict=True):
        panel.plot(run["steps"], [100 * error for error in run["error"]], mark + line, color=color, label=run["start"], linewidth=2.2)
    panel.set(xlabel=f"steps, each of all {document['images']} images", ylim=(-2, 104))
    panel.set_ylabel(f"training error on {document['images']} photographs, %")
    panel.grid(axis="y", color="0.9")
    panel.set_title("AlexNet at full width, without dropout and augmentation")
    made.legend(loc="outside lower center")
    return made


if __name__ == "__main__":
    sys.exit(main())
