"""`tinyalex train`: trains a network by a recipe, and writes a curve, a result and the weights."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.commands.files import is_file
from tinyalex.commands.shared import add_card_options, command_of, go_on, out_folder, tell, tell_expected
from tinyalex.commands.train_file import FileRecipe, net_of_files
from tinyalex.commands.train_own import Own, own_net
from tinyalex.commands.train_plan import (
    FIELDS,
    YES_OR_NO,
    config_of,
    crop_size,
    held_of,
    input_shape,
    net_of,
    options_of,
    parts_of,
    rates_in,
    recipe_in,
    sources_of,
    start_from,
)
from tinyalex.data.dataset import Sources
from tinyalex.data.source import Source
from tinyalex.errors import DivergedError, Interrupted
from tinyalex.files.atomic import make_folder, write_json
from tinyalex.layers import Layer
from tinyalex.loss import Loss, SoftmaxCrossEntropy, WeightedHeads
from tinyalex.models.registry import GROUPS, NAMES, heads_of
from tinyalex.training import EpochResult, Evaluation, Trainer, evaluate, load_weights, save_weights
from tinyalex.training.diagnose import entropy_of, lower_rate, too_large
from tinyalex.training.expected import seconds_an_epoch
from tinyalex.training.recipe_table import AS_FILE, in_net, in_rows, table_of
from tinyalex.training.recipes import RECIPES, Recipe
from tinyalex.training.report import CURVE, RESULT, WEIGHTS, document_of, draw_curve, epoch_line
from tinyalex.training.saved_net import SHIPPED, describe
from tinyalex.training.start import input_of, rates_of
from tinyalex.units import time_in_words

HELP = "train a network by a recipe on CIFAR-10, ImageNet or your own pictures; a stopped run goes on"
EXAMPLE = "tinyalex train --net alexnet --recipe paper --data imagenet-shards --workers 2 --out run"

DEFAULTS: dict[str, Any] = {"towers": 1, "data": "auto", "seed": 0, "workers": 0, "dropout": None, **dict.fromkeys(YES_OR_NO)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    data = parser.add_argument_group("the images").add_argument
    folders = "a folder with CIFAR-10, of `tinyalex data imagenet`, or with one folder of pictures for each class"
    data("--data", default="auto", help=f"auto, cifar10, synthetic, or {folders} (default: auto)", metavar="DATA")
    data("--train-images", help="train on the first N images (default: all)", type=int, metavar="N")
    data("--test-images", help="measure on the first N test or validation images (default: all)", type=int, metavar="N")
    held = "keep the last N training images for validation (default: 0; a tenth with --schedule plateau if the data has only test images)"
    data("--val-images", help=held, type=int, metavar="N")
    data("--workers", type=int, default=0, help="processes that read and prepare images ahead (default: 0, none)", metavar="N")

    net = parser.add_argument_group("the net").add_argument
    by_files = "or files to train by: train_test.prototxt,solver.prototxt, either alone, layers.cfg,params.cfg or net.onnx"
    net("--net", help=f"{NAMES} (default: the recipe's net, or cifar-alexnet); {by_files}", metavar="NAME")
    net("--towers", type=int, default=1, help="1, or 2 for a net split over two devices (default: 1)")
    places = "one device, or one for each tower, such as cpu:0,cpu:1 (default: cpu, with two towers cpu:0,cpu:1)"
    net("--devices", help=places, metavar="NAMES")
    add_card_options(net)
    sizes = "of alexnet, later nets and files: height and width of a crop (default: the net's own)"
    net("--input-size", type=int, help=sizes, metavar="N")
    net("--width", type=float, help="of alexnet and later nets: a factor for the numbers of filters and units", metavar="F")
    net("--weight-std", help="of alexnet: standard deviation of the initial weights, or fan-in", metavar="S")
    net("--hidden-bias", type=float, help="of alexnet: the initial biases that are 1 in the paper", metavar="B")
    net("--dropout", help="of alexnet: with dropout, as in section 4.2 (default: yes)", action=argparse.BooleanOptionalAction)
    net("--seed", default=0, help="decides the initial weights, dropout, the order of the images and the crops (default: 0)", type=int)

    recipe = parser.add_argument_group("the recipe, and its fields").add_argument
    given = "the one for the net, or what its files say; with --recipe they give the net alone"
    recipe("--recipe", help=f"{', '.join(RECIPES)} (default: {given})", metavar="NAME")
    recipe("--show", action="store_true", help="print the recipe, field by field, each with its source, and train nothing")
    for field, (kind, metavar, words) in FIELDS.items():
        recipe(f"--{field.replace('_', '-')}", help=f"{words} (default: the recipe's)", type=kind, metavar=metavar)
    for field, words in YES_OR_NO.items():
        recipe(f"--{field.replace('_', '-')}", help=f"{words} (default: the recipe's)", action=argparse.BooleanOptionalAction)

    start = parser.add_argument_group("beginning with the weights of another run").add_argument
    anew = "its last layer starts anew unless --keep-head is given"
    kinds = f"a checkpoint, a file of weights, a run's folder, {' or '.join(SHIPPED)}, or a file of another program, such as net.onnx"
    start("--from", help=f"{kinds}, whose net is trained if --net is not given; {anew}", metavar="CKPT")
    start("--keep-head", action="store_true", help="take the weights of the last layer too")
    start("--rates", help="layers that learn at another rate, times this factor: conv1=0,conv*=0.1", metavar="LAYER=F,...")

    out = parser.add_argument_group("the output").add_argument
    out("--out", help="where to write; a run in this folder is continued (default: tinyalex-runs/NAME-DATE)", metavar="FOLDER")
    out("--json", action="store_true", help="print what result.json holds instead of the sentences")


def run(args: argparse.Namespace) -> int:
    """Train a new run or continue a stopped one, write its files, and print the result."""
    own = own_net(args)
    brought: FileRecipe | None = None
    sources: Sources | None = None
    if is_file(args.net):
        sources = sources_of(args)
        own, brought = net_of_files(args, sources, len(sources.train) - held_of(args, args.schedule or "", sources))
    name, recipe = recipe_in(args, None if brought is None else (brought.words, brought.base()))
    recipe = recipe if own is None else recipe.with_fields(net=own.saved.net)
    if args.show:
        return _show(args, name, recipe, own) if own is None or brought is None else _show_files(args, recipe, own, brought)
    shape = input_shape(args, recipe) if own is None else own.saved.takes
    sources = sources or sources_of(args)
    for line in () if brought is None else brought.lines(args, recipe):
        tell(line)
    schedule = (None if brought is None else brought.schedule(args, recipe)) or recipe.schedule_for()
    remedy = "" if brought is None else "use larger images, or another --input-size"
    size = crop_size(recipe, shape, sources, "--net" if own is None else own.option, remedy)
    train, held_out, test = parts_of(args, recipe, sources)
    as_file = own is not None and (brought is None or (brought.pixels and args.pixels is None))
    prepare = own.prepare(recipe, sources) if own is not None and as_file else input_of(recipe, sources, train, size)
    net = net_of(args, recipe, len(sources.classes)) if own is None else own.net(args, len(sources.classes))
    rates = rates_of(net, rates_in(args), recipe, None if brought is None else brought.factors(args))
    folder = out_folder("train", args.out, recipe.net if own is None else "net")
    begun = start_from(args, net, folder, own if brought is None else None)
    begun |= {} if brought is None else {"file": brought.stored()}
    heads = heads_of(recipe.net) if own is None else own.heads(() if brought is None else brought.heads)
    about = describe(recipe.net, options_of(args, recipe), sources, prepare) if own is None else own.about(sources, prepare, heads)
    again = command_of("train", args, DEFAULTS, folder)
    trainer = Trainer(
        net,
        recipe.optimizer_for(net, rates),
        schedule,
        _loss_of(heads, net),
        train=train,
        val=test if held_out is None else held_out,
        prepare=prepare,
        folder=folder,
        config=config_of(args, recipe, sources, schedule.settings(), size, len(test), held_out is not None) | begun,
        batch_size=recipe.batch_size,
        seed=args.seed,
        evaluate_train=False,
        about=about,
        workers=args.workers,
        progress=sys.stderr.isatty(),  # this command writes the lines itself
    )
    make_folder(folder)
    _expect(trainer, recipe.epochs, again)
    note = sources.note + sources.aside
    tell(f"{len(train):,} training images ({sources.name}: {note}); {recipe.net} on {_places(net)}, recipe {name}")
    classes = len(sources.classes)
    tell(f"an error of {100 - 100 / classes:.3g} % is chance: a guess among {classes} classes is wrong that often")
    tell(f"writes to {folder}")
    tell_epoch = _teller(trainer.position.epoch, recipe.epochs)
    try:
        results = trainer.run(recipe.epochs, until=tell_epoch)
    except Interrupted as stop:
        raise Interrupted(stop.sentence, stop.exit_code, folder, go_on(again)) from None
    tell_epoch(results[-1])  # `until` is not called after the last epoch
    document = _write(args, recipe, trainer, results, sources, test, again)
    return _report(args, document, folder, sources.val_name, about.most_views)


def _loss_of(heads: tuple[float, ...], net: Layer) -> Loss:
    """The loss of a net, with those of its auxiliary heads; heads: their weights."""
    if heads:
        return WeightedHeads(heads, device=net.device, dtype=net.dtype)
    return SoftmaxCrossEntropy(device=net.device, dtype=net.dtype)


def _show(args: argparse.Namespace, name: str, recipe: Recipe, own: Own | None) -> int:
    """Print the recipe, with which the net of a file, `own`, is trained too."""
    options = options_of(args, recipe) if own is None else {}
    rows = None if own is None else own.saved.rows
    if args.json:
        shown = in_net(recipe.net, **options) if rows is None else {"pixels": AS_FILE, **in_rows(rows)}
        print(json.dumps({"recipe": name, **vars(recipe), **shown}, indent=1))
        return 0
    print(f"recipe {name}: field, value, source")
    print("\n".join(f"  {line}" for line in table_of(name, recipe, rows, **options)))
    if own is not None:
        print(f"next: {command_of('train', args, DEFAULTS, None, show=None)}")
    elif recipe.net in GROUPS["for CIFAR-10"]:
        print(f"next: tinyalex train --recipe {name} --data cifar10, after tinyalex data cifar10")
    else:
        print(f"next: tinyalex train --recipe {name} --data FOLDER, after tinyalex data imagenet SRC FOLDER")
    return 0


def _show_files(args: argparse.Namespace, recipe: Recipe, own: Own, brought: FileRecipe) -> int:
    """Print what the files of --net give."""
    if args.json:
        document = {"recipe": brought.words, **vars(recipe), **in_rows(own.saved.rows)}
        print(json.dumps({**document, "multipliers": brought.factors(args), "heads": brought.heads}, indent=1))
        return 0
    print(f"recipe {brought.words}: field, value, source")
    print("\n".join(f"  {line}" for line in brought.table(args, recipe, own.saved.rows)))
    print(f"next: {command_of('train', args, DEFAULTS, None, show=None)}")
    return 0


def _write(
    args: argparse.Namespace, recipe: Recipe, trainer: Trainer, results: list[EpochResult], sources: Sources, test: Source, again: str
) -> dict[str, Any]:
    """Write weights, result and curve. The weights are rounded to float16, so the error is measured with those in the file."""
    assert trainer.folder is not None
    folder = trainer.folder
    dtype = _dtype_of(recipe, trainer, results[-1], sources)
    save_weights(folder / WEIGHTS, trainer.net, dtype, f"trained on {sources.name}: {sources.note}", about=trainer.about)
    load_weights(folder / WEIGHTS, trainer.net)
    document = document_of(folder, again, results, _evaluate(trainer, test))
    document["net"] = {"name": recipe.net, "towers": args.towers, "devices": _places(trainer.net), "parameters": _parameters(trainer.net)}
    write_json(folder / RESULT, document)
    draw_curve(document, folder / CURVE)
    return document


def _dtype_of(recipe: Recipe, trainer: Trainer, last: EpochResult, sources: Sources) -> str:
    """float16, or float32 where a parameter is too large. DivergedError: it is, and the net is no better than a guess."""
    large = too_large(trainer.net, "float16")
    if large is None:
        return "float16"
    guess = entropy_of(np.asarray(sources.train.labels)) * sum(getattr(trainer.loss, "weights", (1.0,)))
    if last.loss >= guess:
        rule = f"train: the loss must be below {guess:.3g}, that of a guess, while parameters are as large as {large}"
        got = f"got {last.loss:.3g} in epoch {last.epoch}, after step {trainer.position.step}: the training has diverged"
        remedy = f"begin again in another folder with a lower learning rate, such as --lr {lower_rate(recipe.lr)} for {recipe.lr:g}"
        raise DivergedError(f"{rule}, {got}", remedy)
    tell(f"float16 does not hold {large}, so {WEIGHTS} has float32")
    return "float32"


def _evaluate(trainer: Trainer, test: Source) -> Evaluation:
    from tqdm import tqdm

    with tqdm(total=len(test), desc="testing the weights", unit=" images", disable=not sys.stderr.isatty(), leave=False) as bar:
        return evaluate(trainer.net, trainer.loss, test, trainer.prepare, trainer.batches.batch_size, bar.update)


def _report(args: argparse.Namespace, document: dict[str, Any], folder: Path, part: str, views: int) -> int:
    if args.json:
        print(json.dumps(document, indent=1, allow_nan=False))
        return 0
    test, data, net = document["test"], document["config"]["data"], document["net"]["name"]
    print(f"after epoch {document['epochs']}, {time_in_words(document['wall_s'])}, on {data['name']} ({data['note']}):")
    print(f"  {part} error {100 * test['error']:.2f} % of {test['images']:,} images: their label is not the class with the highest score")
    print(f"  top-5 error {100 * test['top5_error']:.2f} %: their label is not among the five classes with the highest scores")
    for file in (RESULT, CURVE, WEIGHTS, "log.jsonl"):
        print(f"wrote {folder / file}")
    if data["synthetic"]:
        print("next: tinyalex train --data cifar10, the real images, after tinyalex data cifar10")
    elif net == "cifar-alexnet":
        other = 1 if args.towers == 2 else 2
        command = command_of("train", args, DEFAULTS, None, devices=None, towers=other)
        print(f"next: {command}, the same net on {other} device{'s' * (other > 1)}, which has the same curve")
    elif net.startswith("alexnet"):
        command = shlex.join(["tinyalex", "evaluate", str(folder), "--data", args.data, *(["--views", "10"] if views == 10 else [])])
        print(f"next: {command}, {'ten views of each image' if views == 10 else 'beside the tables of the paper'}")
    else:
        print("next: tinyalex train --net cifar-alexnet --towers 2, AlexNet in small on two devices")
    return 0


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
