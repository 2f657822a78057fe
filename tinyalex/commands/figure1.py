"""`tinyalex figure1`: the paper's Figure 1, trained here and now."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from tinyalex.commands.out import out_folder
from tinyalex.data.dataset import Dataset
from tinyalex.data.find import load_dataset
from tinyalex.devices import CpuDevice, Device, get_device
from tinyalex.errors import CheckpointError, DivergedError, Interrupted, ShapeError, require_choice, require_int
from tinyalex.experiments.figure1 import DEFAULT_RATES, SYNTHETIC_RATES, Figure1, Plan
from tinyalex.experiments.figure1_rates import load_record, record_of, recorded_rate, with_record
from tinyalex.experiments.figure1_result import plans_in, read_plans, read_runs, result, sentences, write_result
from tinyalex.experiments.figure1_time import epochs_left, in_words, seconds_an_epoch
from tinyalex.models.cifar import ACTIVATIONS, SETUPS
from tinyalex.training.checkpoint import checkpoint_files
from tinyalex.training.files import make_folder, write_json

HELP = "Figure 1 of the paper: how many epochs ReLU and tanh need to 25 % training error"
EXAMPLE = "tinyalex figure1 --quick"

FILES = ("figure1.png", "factor.png", "result.json", "log.jsonl")
SYNTHETIC_TRAIN, SYNTHETIC_TEST = 2048, 256  # few enough for a run in a minute; the rates of the record are for these
SWEEP_EPOCHS = {True: 20, False: 3}  # synthetic or not: a synthetic epoch has three steps
EPOCHS, TARGET = 60, 0.25
DRAW_EVERY_S = 15.0  # the pictures take a second
DEFAULTS = {"activations": "relu,tanh", "data": "synthetic", "device": "cpu"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--quick", action="store_true", help="under a minute on two cores: one seed of fewer synthetic images")
    add("--setup", help="2012, fan-in or both: how inputs and first weights are scaled (default: both; fan-in with --quick)")
    add("--activations", default=DEFAULTS["activations"], help=f"some of {','.join(ACTIVATIONS)}; all are compared with the first")
    add("--data", default=DEFAULTS["data"], help="auto, cifar10, synthetic or a folder with CIFAR-10 (default: synthetic)")
    add("--train-images", type=int, metavar="N", help=f"the first N images (default: all of CIFAR-10, {SYNTHETIC_TRAIN} synthetic ones)")
    add("--seeds", type=int, metavar="N", help="runs of each curve (default: 3; 1 with --quick or CIFAR-10)")
    add("--rates", nargs="+", metavar="RATES", help="learning rates as 0.01,0.03 or relu=0.01 tanh=0.01,0.03; several are a sweep")
    add("--sweep", action="store_true", help="choose the rates by a sweep also where an earlier one is on record")
    add("--sweep-epochs", type=int, metavar="N", help="epochs of each run of a sweep (default: 3; 20 on synthetic images)")
    add("--epochs", type=int, metavar="N", help=f"epochs at most (default: {EPOCHS})")
    add("--target", type=float, metavar="T", help=f"the training error to reach (default: {TARGET})")
    add("--out", metavar="FOLDER", help="where to write; runs that it holds are gone on with (default: tinyalex-runs/NAME-DATE)")
    add("--plot-only", type=Path, metavar="FOLDER", help="draw the runs that FOLDER holds, finished or not, and train nothing")
    add("--device", default=DEFAULTS["device"], help="cpu, cpu:K, sim:K or cuda:K (default: cpu)")
    add("--workers", type=int, metavar="K", help="threads of the device cpu (default: all cores)")
    add("--json", action="store_true", help="print what result.json holds instead of the sentences")


def run(args: argparse.Namespace) -> int:
    """Train or go on, draw, and say what was measured."""
    if args.plot_only is not None:
        return _report(_redraw(args), args.plot_only, args, "tinyalex figure1")
    activations, rates, device = tuple(args.activations.split(",")), _given_rates(args), _device(args)
    _check_numbers(args)
    dataset, record = _dataset(args), load_record()
    seeds = args.seeds or (3 if dataset.synthetic and not args.quick else 1)
    plans = []
    for setup in _setups(args):
        chosen = {name: rates.get(name) or _known_rates(setup, name, dataset, None if args.sweep else record) for name in activations}
        sweep_epochs = args.sweep_epochs or SWEEP_EPOCHS[dataset.synthetic]
        plans.append(Plan(setup, activations, chosen, tuple(range(seeds)), sweep_epochs, args.epochs or EPOCHS, _target(args)))
    folder = out_folder("figure1", args.out, "figure1")
    _make_folder(folder)
    _tell(f"writes to {folder}")
    job = Job(folder, plans, _again(args, folder), record)
    _train(job, dataset, device)
    document = job.write(finished=True)
    if args.sweep:
        write_json(folder / "rates.json", record_of(document))
    return _report(document, folder, args, _next(args, dataset, folder))


def _make_folder(folder: Path) -> None:
    """Make the folder; one that a run of `tinyalex train` lives in would lose its log and its result."""
    if checkpoint_files(folder):
        raise CheckpointError(f"{folder}: --out must be a new folder or one of tinyalex figure1, got a run of tinyalex train; name another")
    make_folder(folder)


class Job:
    """What one call of the command does, and the files that it leaves."""

    def __init__(self, folder: Path, plans: list[Plan], command: str, record: dict[str, Any]) -> None:
        self.folder, self.plans, self.command, self.record = folder, plans, command, record
        self._written = -DRAW_EVERY_S

    def write_now_and_then(self) -> None:
        """`write`, unless that was a moment ago."""
        if time.monotonic() - self._written >= DRAW_EVERY_S:
            self.write()
            self._written = time.monotonic()

    def write(self, finished: bool = False) -> dict[str, Any]:
        """Write `result.json`, `log.jsonl` and the pictures from what the folder holds, and return the document."""
        from tinyalex.experiments.figure1_plots import draw_factor, draw_figure

        document = with_record(result(self.plans, self.folder, self.command, finished), self.record)
        write_result(self.folder, document)
        draw_figure(document, self.folder / FILES[0])
        draw_factor(document, self.folder / FILES[1])
        return document


def _train(job: Job, dataset: Dataset, device: Device) -> None:
    """All runs of all plans; whatever ends them, what there is is drawn."""
    runs = read_runs(job.folder)
    epochs = sum(epochs_left(plan, runs) for plan in job.plans)
    if epochs:
        seconds = seconds_an_epoch(dataset, device)
        _tell(f"{len(dataset.train_labels):,} images of {dataset.name}, {dataset.note}; {seconds:.2f} s an epoch")
        _tell(f"at most {in_words(epochs * seconds)}; after a stop, go on with: {job.command}")
    figure1 = Figure1(dataset, job.folder, device=device, tell=_tell, after_run=job.write_now_and_then)
    failed = []
    try:
        for plan in job.plans:
            try:
                figure1.run(plan)
            except DivergedError as error:
                failed.append(error)
    except Interrupted as stop:
        job.write()
        text = str(stop).rpartition("; ")[0]
        raise Interrupted(f"{text}; go on with: {job.command}", stop.exit_code, job.folder) from None
    if failed:
        job.write(finished=True)
        raise failed[0]


def _redraw(args: argparse.Namespace) -> dict[str, Any]:
    """Draw what a folder holds. Its own result tells the plans; without one, they are what the runs and the options say."""
    folder, record = args.plot_only, load_record()
    saved = read_plans(folder)
    if saved is not None:
        return Job(folder, saved[0], saved[1], record).write(saved[2])
    synthetic, runs = plans_in(folder)
    sweep_epochs = args.sweep_epochs or SWEEP_EPOCHS[synthetic]
    plans = [Plan(*run, sweep_epochs, args.epochs or EPOCHS, _target(args)) for run in runs]
    return Job(folder, plans, f"tinyalex figure1 --plot-only {shlex.quote(str(folder))}", record).write()


def _report(document: dict[str, Any], folder: Path, args: argparse.Namespace, following: str) -> int:
    if args.json:
        print(json.dumps(document, indent=1, allow_nan=False))
        return 0
    data = document["dataset"]
    name = "synthetic images" if data["synthetic"] else f"images of {data['name']} ({data['note']})"
    print(f"{document['train_images']:,} {name}:")
    for sentence in sentences(document):
        print(f"  {sentence}")
    for file in FILES:
        print(f"wrote {folder / file}")
    print(f"next: {following}")
    return 0


def _next(args: argparse.Namespace, dataset: Dataset, folder: Path) -> str:
    if args.quick:
        return "tinyalex figure1, three seeds and both setups, or tinyalex figure1 --data cifar10, the real images"
    if dataset.synthetic:
        return "tinyalex figure1 --data cifar10, the real images, after tinyalex data cifar10"
    return f"{_again(args, folder)} --seeds {(args.seeds or 1) + 2}, more seeds of the same curves"


def _again(args: argparse.Namespace, folder: Path) -> str:
    """The command that goes on in `folder`."""
    words = ["tinyalex", "figure1"]
    for key, value in vars(args).items():
        option = f"--{key.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif key not in ("out", "seeds") and value not in (None, False, DEFAULTS.get(key)):
            words += [option, *(value if isinstance(value, list) else [str(value)])]
    if args.seeds is not None:
        words += ["--seeds", str(args.seeds)]
    return shlex.join([*words, "--out", str(folder)])


def _setups(args: argparse.Namespace) -> tuple[str, ...]:
    setup = require_choice("figure1", "--setup", args.setup or ("fan-in" if args.quick else "both"), (*SETUPS, "both"))
    return tuple(SETUPS) if setup == "both" else (setup,)


def _given_rates(args: argparse.Namespace) -> dict[str, tuple[float, ...]]:
    """The rates of --rates for each activation that it speaks of."""
    given = {}
    for text in args.rates or []:
        name, _, numbers = text.rpartition("=")
        names = [name] if name else args.activations.split(",")
        if any(name not in args.activations.split(",") for name in names):
            raise ShapeError(f"figure1: --rates must be of an activation among {args.activations}, got {text!r}")
        try:
            rates = tuple(dict.fromkeys(float(number) for number in numbers.split(",")))
        except ValueError:
            raise ShapeError(f"figure1: --rates must be numbers with commas between, such as 0.01,0.03, got {text!r}") from None
        given.update(dict.fromkeys(names, rates))
    return given


def _known_rates(setup: str, activation: str, dataset: Dataset, record: dict[str, Any] | None) -> tuple[float, ...]:
    """The rate on record for synthetic images, or those to sweep."""
    if not dataset.synthetic:
        return DEFAULT_RATES[setup]
    lr = None if record is None else recorded_rate(record, setup, activation)
    return SYNTHETIC_RATES[setup] if lr is None else (lr,)


def _check_numbers(args: argparse.Namespace) -> None:
    for option in ("seeds", "sweep_epochs", "epochs", "train_images"):
        if getattr(args, option) is not None:
            require_int("figure1", f"--{option.replace('_', '-')}", getattr(args, option))
    if args.quick and args.data != "synthetic":
        raise ShapeError(f"figure1: --data must be synthetic with --quick, got {args.data!r}; leave --quick out")
    for name in args.activations.split(","):
        require_choice("figure1", "--activations", name, tuple(ACTIVATIONS))
    _setups(args)


def _target(args: argparse.Namespace) -> float:
    return TARGET if args.target is None else float(args.target)


def _device(args: argparse.Namespace) -> Device:
    if args.workers is None:
        return get_device(args.device, "figure1")
    require_choice("figure1", "--device with --workers", args.device, ("cpu",))
    return CpuDevice(workers=args.workers)


def _dataset(args: argparse.Namespace) -> Dataset:
    dataset = load_dataset(args.data, train_images=args.train_images, test_images=SYNTHETIC_TEST if args.data == "synthetic" else None)
    if dataset.synthetic and args.train_images is None:
        return dataset.subset(SYNTHETIC_TRAIN, SYNTHETIC_TEST)
    return dataset


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
