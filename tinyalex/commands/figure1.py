"""`tinyalex figure1`: trains the networks of the paper's Figure 1 and draws it."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from tinyalex.commands.shared import add_card_options, command_of, out_folder, path, set_cards, tell
from tinyalex.data.dataset import Dataset
from tinyalex.data.find import load_dataset
from tinyalex.devices import CpuDevice, Device, get_device
from tinyalex.errors import ShapeError, did_you_mean, require_choice, require_int
from tinyalex.experiments.figure1.job import FILES, RATES, Job, open_folder
from tinyalex.experiments.figure1.plan import DEFAULT_RATES, SYNTHETIC_RATES, TARGET, Plan, require_target
from tinyalex.experiments.figure1.rates import load_record, record_of, recorded_rate
from tinyalex.experiments.figure1.result import plans_in, read_plans, sentences
from tinyalex.files.atomic import write_json
from tinyalex.models.cifar import ACTIVATIONS, SETUPS
from tinyalex.models.registry import build

HELP = "Figure 1 of the paper: how many epochs ReLU and tanh need to 25 % training error"
EXAMPLE = "tinyalex figure1 --quick"
RULE = """\
How a sweep chooses a learning rate: the best rate needs the fewest epochs to the target. The error that counts is that of all
training images after an epoch. The runs train in turns of a few epochs; the run with the lowest error has the next turn. A run
stops when it reaches the target, or when it has trained as many epochs as the best rate needs and so can no longer win. The best
rate must lie between two other rates that were tried. If it is the lowest or the highest, the sweep adds the next rate of 1 or 3
times a power of ten. A rate that diverged counts as tried. The sweep uses the first seed. Then the other seeds train with the
chosen rate.
"""

SYNTHETIC_TRAIN, SYNTHETIC_TEST = 2048, 256  # so few that a run takes a minute; the shipped rates were chosen with these numbers
SWEEP_EPOCHS = {True: 5, False: 3}  # True for synthetic images, whose epoch has 16 steps; an epoch of CIFAR-10 has 391
EPOCHS, GROWTH = 60, 4
MOST = {"seeds": 1000, "growth": 1000, "sweep_epochs": 10**6, "epochs": 10**6, "train_images": 2**32}
LEAST = {"growth": 0}  # the least of the other options is 1
DEFAULTS = {"activations": "relu,tanh", "data": "synthetic", "device": "cpu"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--quick", action="store_true", help="train one seed on synthetic images, in under a minute on two cores")
    add("--setup", help="2012, fan-in or both: how inputs and initial weights are scaled (default: both)")
    add("--activations", default=DEFAULTS["activations"], help=f"some of {','.join(ACTIVATIONS)}; the first is compared with the others")
    add("--data", default=DEFAULTS["data"], help="auto, cifar10, synthetic, or a folder with CIFAR-10 (default: synthetic)")
    add("--train-images", type=int, metavar="N", help=f"the first N training images (default: all, or {SYNTHETIC_TRAIN} synthetic ones)")
    add("--seeds", type=int, metavar="N", help="how many runs, each with its own seed, make one curve (default: 3; 1 with --quick)")
    add("--rates", nargs="+", metavar="RATES", help="learning rates, as 0.01,0.03 or relu=0.01 tanh=0.01,0.03; several rates make a sweep")
    add("--sweep", action="store_true", help="choose the rates by a sweep even if the shipped record has them")
    add("--sweep-epochs", type=int, metavar="N", help="in a sweep, epochs of one turn of a run (default: 3; 5 for synthetic images)")
    add("--growth", type=int, metavar="N", help="how many rates a sweep may add when the best one is its lowest or highest (default: 4)")
    add("--epochs", type=int, metavar="N", help=f"how many epochs a run may have at most (default: {EPOCHS})")
    add("--target", type=float, metavar="T", help=f"the training error to reach (default: {TARGET})")
    add("--out", metavar="FOLDER", help="where to write; runs in this folder are continued (default: tinyalex-runs/NAME-DATE)")
    add("--plot-only", type=path, metavar="FOLDER", help="train nothing, and draw the runs that FOLDER holds, finished or not")
    add("--device", default=DEFAULTS["device"], help="cpu, cpu:K, sim:K or cuda:K (default: cpu)")
    add_card_options(add)
    add("--workers", type=int, metavar="K", help="how many threads the device cpu uses (default: all cores)")
    add("--json", action="store_true", help="print what result.json holds instead of the sentences")
    parser.epilog = f"{parser.epilog}\n\n{RULE}"


def run(args: argparse.Namespace) -> int:
    """Train new runs or continue stopped ones, draw the pictures, and print what was measured."""
    if args.plot_only is not None:
        return _report(_redraw(args), args.plot_only, args, "`tinyalex figure1` trains new runs")
    _check_numbers(args)
    activations, rates, device = tuple(args.activations.split(",")), _given_rates(args), _device(args)
    dataset, record = _dataset(args), load_record()
    seeds = args.seeds or (1 if args.quick else 3)
    plans = []
    for setup in _setups(args):
        chosen = {name: rates.get(name) or _known_rates(setup, name, dataset, None if args.sweep else record) for name in activations}
        plans.append(Plan(setup, activations, chosen, tuple(range(seeds)), *_limits(args, dataset.synthetic)))
    folder = out_folder("figure1", args.out, "figure1")
    open_folder(folder)
    job = Job(folder, plans, _again(args, folder), record, tell)
    tell(f"figure1 writes to {folder}")
    with job.resumable():
        job.train(dataset, device)
        document = job.write(finished=True)
        if args.sweep:
            write_json(folder / RATES, record_of(document))
    return _report(document, folder, args, _next(args, dataset, folder))


def _redraw(args: argparse.Namespace) -> dict[str, Any]:
    """Draw the runs of a folder. Their plans are read from result.json; if there is none, from the runs and the options."""
    folder, record = args.plot_only, load_record()
    saved = read_plans(folder)
    if saved is not None:
        return Job(folder, saved[0], saved[1], record, tell).write(saved[2])
    synthetic, runs = plans_in(folder)
    plans = [Plan(*run, *_limits(args, synthetic)) for run in runs]
    return Job(folder, plans, f"tinyalex figure1 --plot-only {shlex.quote(str(folder))}", record, tell).write()


def _limits(args: argparse.Namespace, synthetic: bool) -> tuple[int, int, float, int]:
    """The last four settings of a plan: epochs of a turn, most epochs, target, growth."""
    growth = GROWTH if args.growth is None else args.growth
    return args.sweep_epochs or SWEEP_EPOCHS[synthetic], args.epochs or EPOCHS, _target(args), growth


def _report(document: dict[str, Any], folder: Path, args: argparse.Namespace, following: str) -> int:
    if args.json:
        print(json.dumps(document, indent=1, allow_nan=False))
        return 0
    data = document["dataset"]
    name = "synthetic images" if data["synthetic"] else f"images of {data['name']} ({data['note']})"
    print(f"on {document['train_images']:,} {name}:")
    for sentence in sentences(document):
        print(f"  {sentence}")
    for file in FILES:
        print(f"wrote {folder / file}")
    print(f"next: {following}")
    return 0


def _next(args: argparse.Namespace, dataset: Dataset, folder: Path) -> str:
    if args.quick:
        return "`tinyalex figure1` trains three seeds; `tinyalex figure1 --data cifar10` trains on the real images, for hours"
    if dataset.synthetic:
        return "`tinyalex data cifar10` downloads the real images; `tinyalex figure1 --data cifar10` then trains on them, for hours"
    return f"`{_again(args, folder, (args.seeds or 3) + 2)}` adds two seeds to the same curves"


def _again(args: argparse.Namespace, folder: Path, seeds: int | None = None) -> str:
    """The command that continues the runs in `folder`; `seeds` replaces the number of seeds of this call."""
    return command_of("figure1", args, DEFAULTS, folder, seeds=seeds or args.seeds)


def _setups(args: argparse.Namespace) -> tuple[str, ...]:
    setup = require_choice("figure1", "--setup", args.setup or "both", (*SETUPS, "both"))
    return tuple(SETUPS) if setup == "both" else (setup,)


def _given_rates(args: argparse.Namespace) -> dict[str, tuple[float, ...]]:
    """The rates that --rates gives, by activation."""
    given = {}
    for text in args.rates or []:
        name, _, numbers = text.rpartition("=")
        names = [name] if name else args.activations.split(",")
        if name and name not in args.activations.split(","):
            near = did_you_mean(name, args.activations.split(","))
            raise ShapeError(f"figure1: --rates must be of an activation among {args.activations}, got {text!r}", near)
        try:
            rates = tuple(dict.fromkeys(float(number) for number in numbers.split(",")))
        except ValueError:
            raise ShapeError(f"figure1: --rates must be numbers with commas between, such as 0.01,0.03, got {text!r}") from None
        given.update(dict.fromkeys(names, rates))
    return given


def _known_rates(setup: str, activation: str, dataset: Dataset, record: dict[str, Any] | None) -> tuple[float, ...]:
    """The learning rate that `record` has for synthetic images, or else the rates of the sweep."""
    if not dataset.synthetic:
        return DEFAULT_RATES[setup]
    lr = None if record is None else recorded_rate(record, setup, activation)
    return SYNTHETIC_RATES[setup] if lr is None else (lr,)


def _check_numbers(args: argparse.Namespace) -> None:
    for option, most in MOST.items():
        if getattr(args, option) is not None:
            require_int("figure1", f"--{option.replace('_', '-')}", getattr(args, option), LEAST.get(option, 1), most=most)
    if args.quick and args.data != "synthetic":
        raise ShapeError(f"figure1: --data must be synthetic with --quick, got {args.data!r}; leave --quick out")
    for name in args.activations.split(","):
        require_choice("figure1", "--activations", name, tuple(ACTIVATIONS))
    _setups(args)
    _target(args)


def _target(args: argparse.Namespace) -> float:
    return TARGET if args.target is None else require_target("--target", args.target)


def _device(args: argparse.Namespace) -> Device:
    if args.workers is None:
        device = get_device(args.device, "figure1")
    else:
        require_choice("figure1", "--device with --workers", args.device, ("cpu",))
        device = CpuDevice(workers=args.workers)
    set_cards("figure1", [device], args, lambda places: build("figure1", devices=places))
    return device


def _dataset(args: argparse.Namespace) -> Dataset:
    dataset = load_dataset(args.data, train_images=args.train_images, test_images=SYNTHETIC_TEST if args.data == "synthetic" else None)
    if dataset.synthetic and args.train_images is None:
        return dataset.subset(SYNTHETIC_TRAIN, SYNTHETIC_TEST)
    return dataset
