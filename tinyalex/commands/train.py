"""`tinyalex train`: trains a network on small images, and writes a curve, a result and the weights."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinyalex.commands.shared import command_of, go_on, out_folder, tell, tell_expected
from tinyalex.data.dataset import Dataset
from tinyalex.data.find import load_dataset
from tinyalex.data.prepare import CropAndFlip, Standardize
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import Interrupted, ShapeError, require_choice, require_int
from tinyalex.files.atomic import make_folder, write_json
from tinyalex.layers import Layer
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.registry import MODELS, build
from tinyalex.optim import SGD
from tinyalex.schedule import Dexp, Plateau, Schedule, Steps
from tinyalex.training import EpochResult, Evaluation, Trainer, evaluate, load_weights, save_weights
from tinyalex.training.expected import seconds_an_epoch
from tinyalex.training.report import CURVE, RESULT, WEIGHTS, document_of, draw_curve, epoch_line
from tinyalex.units import time_in_words

HELP = "train a network on CIFAR-10; a run that was stopped can be continued"
EXAMPLE = "tinyalex train --net cifar-alexnet --towers 2 --devices cpu:0,cpu:1 --data cifar10 --out run"

SETTINGS: dict[str, dict[str, Any]] = {"figure1": {"setup": "fan-in"}}  # the setup for inputs of unit variance
SCHEDULES = ("steps", "plateau", "dexp", "constant")
HELD_OUT = 0.1  # of the training images, if the schedule follows the validation error: test images must not decide anything
DEFAULTS: dict[str, Any] = {
    "net": "cifar-alexnet",
    "towers": 1,
    "data": "auto",
    "epochs": 20,
    "lr": 0.01,
    "schedule": "steps",
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "batch_size": 128,
    "seed": 0,
    "augment": True,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""

    def add(option: str, words: str, **settings: Any) -> None:
        default = DEFAULTS.get(option.removeprefix("--").replace("-", "_"))
        known = f" (default: {default})" if default is not None and "(default" not in words and default is not True else ""
        parser.add_argument(option, help=words + known, default=default, **settings)

    add("--net", "cifar-alexnet, figure1 or another net that reads images of at most 32x32 pixels", metavar="NAME")
    add("--towers", "1, or 2 for a net split over two devices", type=int)
    add("--devices", "one device, or one for each tower, such as cpu:0,cpu:1 (default: cpu, with two towers cpu:0,cpu:1)", metavar="NAMES")
    add("--data", "auto, cifar10, synthetic, or a folder with CIFAR-10", metavar="DATA")
    add("--train-images", "train on the first N images (default: all)", type=int, metavar="N")
    add("--test-images", "test on the first N test images (default: all)", type=int, metavar="N")
    add("--val-images", "keep the last N images for validation (default: 0; a tenth with --schedule plateau)", type=int, metavar="N")
    add("--epochs", "passes over the training images; those before a stop count", type=int, metavar="N")
    add("--lr", "the learning rate of the first epoch", type=float)
    add("--schedule", f"{', '.join(SCHEDULES)}", metavar="NAME")
    add("--drop-after", "for steps: divide the rate by 10 after these epochs (default: 70 and 90 %% of --epochs)", metavar="14,18")
    add("--momentum", "from 0 to below 1", type=float)
    add("--weight-decay", "at least 0", type=float)
    add("--batch-size", "images in a training step", type=int, metavar="N")
    add("--seed", "decides the initial weights, dropout, the order of the images and the crops", type=int)
    add("--augment", "random crops and reflections, as in section 4.1 (default: yes)", action=argparse.BooleanOptionalAction)
    add("--out", "where to write; a run in this folder is continued (default: tinyalex-runs/NAME-DATE)", metavar="FOLDER")
    add("--json", "print what result.json holds instead of the sentences", action="store_true")


def run(args: argparse.Namespace) -> int:
    """Train a new run or continue a stopped one, write its files, and print the result."""
    epochs, shape = require_int("train", "--epochs", args.epochs), _input_shape(args)
    schedule, dataset = _schedule(args), _dataset(args)
    size = _crop_size(args, shape, dataset)
    train, held_out = _hold_out(args, dataset)
    net = build(args.net, towers=args.towers, devices=args.devices, seed=args.seed, **SETTINGS.get(args.net, {}))
    prepare = CropAndFlip(Standardize.fit(train[0]), size, args.augment)
    test = dataset.test_images, dataset.test_labels
    folder = out_folder("train", args.out, args.net)
    again = command_of("train", args, DEFAULTS, folder)
    trainer = Trainer(
        net,
        SGD(net, lr=args.lr, momentum=args.momentum, weight_decay=args.weight_decay),
        schedule,
        SoftmaxCrossEntropy(device=net.device, dtype=net.dtype),
        train=train,
        val=held_out or test,
        prepare=prepare,
        folder=folder,
        config=_config(args, dataset, schedule, size, held_out is not None),
        batch_size=args.batch_size,
        seed=args.seed,
        evaluate_train=False,
        progress=sys.stderr.isatty(),  # this command writes the lines itself
    )
    make_folder(folder)
    _expect(trainer, epochs, again)
    tell(f"{len(train[0]):,} training images ({dataset.name}: {dataset.note}); {args.net} on {_places(net)}")
    classes = len(dataset.classes)
    tell(f"an error of {100 - 100 / classes:.3g} % is chance: a guess among {classes} classes is wrong that often")
    tell(f"writes to {folder}")
    tell_epoch = _teller(trainer.position.epoch, epochs)
    try:
        results = trainer.run(epochs, until=tell_epoch)
    except Interrupted as stop:
        raise Interrupted(stop.sentence, stop.exit_code, folder, go_on(again)) from None
    tell_epoch(results[-1])  # `until` is not called after the last epoch
    document = _write(args, trainer, results, dataset, test, again)
    return _report(args, document, folder)


def _write(
    args: argparse.Namespace, trainer: Trainer, results: list[EpochResult], dataset: Dataset, test: tuple[Any, Any], again: str
) -> dict[str, Any]:
    """Write weights, result and curve. The weights are rounded to float16, so the error is measured with those in the file."""
    assert trainer.folder is not None
    folder, note = trainer.folder, f"trained on {dataset.name}: {dataset.note}"
    save_weights(folder / WEIGHTS, trainer.net, "float16", note)
    load_weights(folder / WEIGHTS, trainer.net)
    document = document_of(folder, again, results, _evaluate(trainer, test))
    document["net"] = {"name": args.net, "towers": args.towers, "devices": _places(trainer.net), "parameters": _parameters(trainer.net)}
    write_json(folder / RESULT, document)
    draw_curve(document, folder / CURVE)
    return document


def _evaluate(trainer: Trainer, test: tuple[Any, Any]) -> Evaluation:
    from tqdm import tqdm

    with tqdm(total=len(test[0]), desc="testing the weights", unit=" images", disable=not sys.stderr.isatty(), leave=False) as bar:
        return evaluate(trainer.net, trainer.loss, test, trainer.prepare, trainer.batches.batch_size, bar.update)


def _report(args: argparse.Namespace, document: dict[str, Any], folder: Path) -> int:
    if args.json:
        print(json.dumps(document, indent=1, allow_nan=False))
        return 0
    test, data = document["test"], document["config"]["data"]
    print(f"after epoch {document['epochs']}, {time_in_words(document['wall_s'])}, on {data['name']} ({data['note']}):")
    print(f"  test error {100 * test['error']:.2f} % of {test['images']:,} images: their label is not the class with the highest score")
    print(f"  top-5 error {100 * test['top5_error']:.2f} %: their label is not among the five classes with the highest scores")
    for file in (RESULT, CURVE, WEIGHTS, "log.jsonl"):
        print(f"wrote {folder / file}")
    if data["synthetic"]:
        print("next: tinyalex train --data cifar10, the real images, after tinyalex data cifar10")
    elif args.net == "cifar-alexnet":
        other = 1 if args.towers == 2 else 2
        command = command_of("train", args, DEFAULTS, None, devices=None, towers=other)
        print(f"next: {command}, the same net on {other} device{'s' * (other > 1)}, which has the same curve")
    else:
        print("next: tinyalex train --net cifar-alexnet --towers 2, AlexNet in small on two devices")
    return 0


def _input_shape(args: argparse.Namespace) -> tuple[int, ...]:
    """The shape (C, H, W) of the images that the net reads, found without making its arrays."""
    places = DryDevice() if args.towers == 1 else [DryDevice("cpu:0"), DryDevice("cpu:1")]
    net = build(args.net, towers=args.towers, devices=places, seed=args.seed)
    return net.in_shape or (0, 0, 0)


def _crop_size(args: argparse.Namespace, shape: tuple[int, ...], dataset: Dataset) -> int:
    """Height and width of the square crops that the net reads. ShapeError if the images are smaller."""
    there = dataset.image_shape
    channels, height, width = shape
    if channels != there[0] or height != width or height > min(there[1:]):
        small = ", ".join(name for name in MODELS if not name.startswith("alexnet"))
        rule = f"train: --net must read images of at most {'x'.join(map(str, there))}, as {dataset.name} has them"
        raise ShapeError(f"{rule}, got {args.net!r}, which reads {'x'.join(map(str, shape))}", f"use one of {small}")
    return height


def _schedule(args: argparse.Namespace) -> Schedule:
    name = require_choice("train", "--schedule", args.schedule, SCHEDULES)
    if args.drop_after is not None and name != "steps":
        raise ShapeError(f"train: --schedule must be steps where --drop-after is given, got {name!r}")
    if name == "steps":
        return Steps(args.lr, after=_drops(args))
    if name == "dexp":
        return Dexp(args.lr, total=args.epochs)
    return Plateau(args.lr) if name == "plateau" else Schedule(args.lr)


def _drops(args: argparse.Namespace) -> tuple[int, ...]:
    if args.drop_after is None:
        return tuple(sorted({epoch for epoch in (args.epochs * 7 // 10, args.epochs * 9 // 10) if epoch > 0}))
    try:
        return tuple(int(epoch) for epoch in args.drop_after.split(","))
    except ValueError:
        raise ShapeError(f"train: --drop-after must be epochs with commas between, such as 14,18, got {args.drop_after!r}") from None


def _dataset(args: argparse.Namespace) -> Dataset:
    for option in ("train_images", "test_images"):
        if getattr(args, option) is not None:
            require_int("train", f"--{option.replace('_', '-')}", getattr(args, option))
    return load_dataset(args.data, train_images=args.train_images, test_images=args.test_images)


def _hold_out(args: argparse.Namespace, dataset: Dataset) -> tuple[tuple[Any, Any], tuple[Any, Any] | None]:
    """The images and labels to train on, and those that are held out for validation, None if there are none."""
    n, held = len(dataset.train_labels), args.val_images
    if held is None:
        held = math.ceil(n * HELD_OUT) if args.schedule == "plateau" else 0
    least = 1 if args.schedule == "plateau" else 0
    if not least <= held < n:
        raise ShapeError(f"train: --val-images must be from {least} to {n - 1} of {n} training images, got {held}")
    images, labels = dataset.train_images, dataset.train_labels
    return (images[: n - held], labels[: n - held]), (images[n - held :], labels[n - held :]) if held else None


def _config(args: argparse.Namespace, dataset: Dataset, schedule: Schedule, size: int, held_out: bool) -> dict[str, Any]:
    """The config of the run. It has no towers and devices: with other ones a run can be continued and gives the same curve."""
    return {
        "net": {"name": args.net, "seed": args.seed, **SETTINGS.get(args.net, {})},
        "data": {"name": dataset.name, "note": dataset.note, "synthetic": dataset.synthetic, "test_images": len(dataset.test_labels)},
        "val": "training images held out" if held_out else "test images",
        "augment": args.augment,
        "crop": size,
        "schedule": schedule.settings(),
    }


def _expect(trainer: Trainer, epochs: int, again: str) -> None:
    """Print how long the run will take, and how to continue it."""
    left = epochs - trainer.position.epoch
    if left > 0:
        seconds = seconds_an_epoch(trainer)
        tell_expected(f"trains for {left} epoch{'s' * (left > 1)} of {seconds:.3g} s", left * seconds)
        tell(f"after a stop, {go_on(again)}")


def _teller(known: int, epochs: int) -> Callable[[EpochResult], bool]:
    """A callback that writes a line about each epoch after the first `known`, and never ends the run."""

    def tell_epoch(result: EpochResult) -> bool:
        if result.epoch > known:
            tell(epoch_line(result, epochs))
        return False

    return tell_epoch


def _places(net: Layer) -> str:
    return ", ".join(dict.fromkeys(leaf.device.name for leaf in net.leaves()))


def _parameters(net: Layer) -> int:
    return sum(array.size for leaf in net.leaves() for array in leaf.params.values())
