"""`tinyalex claims`: re-runs what the paper says of its net at the scale of CIFAR-10, with seeds and intervals."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinyalex.commands.shared import command_of, out_folder, tell
from tinyalex.data.dataset import Dataset
from tinyalex.data.find import load_dataset
from tinyalex.devices import CpuDevice, Device, get_device
from tinyalex.errors import CheckpointError, ShapeError, require_choice, require_int, show
from tinyalex.experiments.claims.claim import Claim, Family, Table
from tinyalex.experiments.claims.cost import cost_of
from tinyalex.experiments.claims.job import Job, open_folder
from tinyalex.experiments.claims.page import files_of, sentences, where
from tinyalex.experiments.claims.plan import FAMILIES, TABLES, VARIANTS, chosen_claims
from tinyalex.experiments.claims.result import Work
from tinyalex.experiments.claims.runs import read_runs
from tinyalex.experiments.resumable import resumable

HELP = "what the paper, and those after it, say of their nets, re-run on CIFAR-10: each part taken away, with seeds and intervals"
EXAMPLE = "tinyalex claims --quick"
RULE = """\
The rule of the verdicts: for each seed, the value of a claim is the difference of two runs with this seed. The interval is the mean of
the values, minus and plus t times their deviation divided by the root of their number, with t for 95 %. A claim is "seen" if the whole
interval is on the paper's side of no effect, "the other way" if it is on the other side, else "not seen".
"""

QUICK_SEEDS, SEEDS = 2, 3
MOST = {"seeds": 1000, "epochs": 10**6, "train_images": 2**32}
DEFAULTS = {"of": "alexnet", "data": "cifar10", "device": "cpu"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="claims to run, see --list (default: all)")
    tables = ", ".join(f"{table.name} ({table.text})" for table in TABLES.values())
    add("--of", default=DEFAULTS["of"], metavar="TABLE", help=f"whose claims: {tables} (default: {DEFAULTS['of']})")
    add("--list", action="store_true", help="list the claims and their runs, and train nothing")
    add("--page", action="store_true", help="write the page and the pictures of the runs that --out has so far, and train nothing")
    add("--quick", action="store_true", help="show the whole way on synthetic images, in under a minute; the numbers mean nothing")
    add("--data", default=DEFAULTS["data"], help="cifar10, auto, synthetic, or a folder with CIFAR-10 (default: cifar10)")
    add("--seeds", type=int, metavar="N", help=f"runs of each net, each with its own seed (default: {SEEDS}; {QUICK_SEEDS} with --quick)")
    default, images = (", ".join(f"{say(family)} for {name}" for name, family in FAMILIES.items()) for say in (_epochs, _images))
    add("--epochs", type=int, metavar="N", help=f"epochs of each run (default: {default}); 160 is the authors' schedule of the pair")
    add("--train-images", type=int, metavar="N", help=f"the first N training images (default: {images})")
    add("--out", metavar="FOLDER", help="where to write; runs in this folder are continued (default: tinyalex-runs/NAME-DATE)")
    add("--device", default=DEFAULTS["device"], help="cpu, cpu:K, sim:K or cuda:K (default: cpu)")
    add("--workers", type=int, metavar="K", help="how many threads the device cpu uses (default: all cores)")
    add("--json", action="store_true", help="print JSON instead of sentences")
    parser.epilog = f"{parser.epilog}\n\n{RULE}"


def _epochs(family: Family) -> str:
    return str(family.epochs)


def _images(family: Family) -> str:
    return "all" if family.train_images is None else f"{family.train_images:,}"


def run(args: argparse.Namespace) -> int:
    """Train the runs that are missing, write the page and its pictures, and print the verdicts."""
    table = TABLES[require_choice("claims", "--of", args.of, tuple(TABLES))]
    claims = chosen_claims(args.names, table)
    _check(args)
    families = _families(args, claims, table)
    if args.list:
        return _list(args, claims, families)
    folder = out_folder("claims", args.out, "claims")
    seeds = args.seeds or (QUICK_SEEDS if args.quick else SEEDS)
    work = Work(claims, seeds, families, _again(args, folder), table)
    if args.page:
        document = _page(args, folder, work)
    else:
        device, dataset = _device(args), _dataset(args, families, table)
        open_folder(folder, table)
        tell(f"claims writes to {folder}")
        job = Job(folder, work, tell)
        with resumable("claims", folder, work.command):
            job.train(dataset, device)
            document = job.write()
    if args.json:
        print(json.dumps(document, indent=1, allow_nan=False))
        return 0
    data = document["dataset"]
    print(f"on {data['name']} ({data['note']}), {document['runs_done']} of {document['runs_planned']} runs finished:")
    for sentence in sentences(document):
        print(f"  {sentence}")
    for name in files_of(table):
        if (folder / name).is_file():
            print(f"wrote {folder / name}")
    after = f"`tinyalex data cifar10` downloads the real images; `tinyalex claims{_of(args)}` then trains on them, for hours"
    more = f"`{_again(args, folder, seeds + 2)}` adds two seeds"
    missing = f"`{work.command}` trains the runs that are missing"
    print(f"next: {missing if not document['finished'] else after if args.quick else more}")
    return 0


def _page(args: argparse.Namespace, folder: Path, work: Work) -> dict[str, Any]:
    """Write the page of the runs in `folder`.

    Raises
    ------
    ShapeError: --out is not given. CheckpointError: the folder has no finished run.
    """
    if args.out is None:
        raise ShapeError("claims: --out must name the folder of the runs with --page, got nothing; add --out FOLDER")
    if not read_runs(folder):
        raise CheckpointError(f"{folder}: the folder must hold finished runs of claims, got none; run {work.command}")
    open_folder(folder, work.table)
    return Job(folder, work, tell).write()


def _list(args: argparse.Namespace, claims: tuple[Claim, ...], families: dict[str, Family]) -> int:
    if args.json:
        print(json.dumps({claim.name: vars(claim) for claim in claims}, indent=1))
        return 0
    width = max(len(claim.name) for claim in claims)
    for claim in claims:
        print(f"{claim.name:<{width}}  {where(claim.section)}: {claim.title}; the paper: {claim.paper}")
        runs = " and ".join(dict.fromkeys((claim.better, claim.worse)))
        print(f"{'':<{width}}  runs {runs}, {families[VARIANTS[claim.better].family].epochs} epochs each")
    print("\nThe runs, with the parameters and the multiply-adds of one image:")
    for name in dict.fromkeys(name for claim in claims for name in (claim.better, claim.worse)):
        parameters, macs = cost_of(name)
        print(f"{name:<{width}}  {parameters:>9,} {macs:>11,}  {VARIANTS[name].text}")
    of = _of(args)
    print(f"next: tinyalex claims{of} --quick, or tinyalex claims NAME{of} --out FOLDER")
    return 0


def _of(args: argparse.Namespace) -> str:
    """The option that names the table, "" for the usual one."""
    return "" if args.of == DEFAULTS["of"] else f" --of {args.of}"


def _again(args: argparse.Namespace, folder: Path, seeds: int | None = None) -> str:
    """The command that continues the work in `folder`; `seeds` replaces the number of seeds of this call."""
    command = command_of("claims", args, DEFAULTS, folder, names=None, page=None, seeds=seeds or args.seeds)
    return " ".join(["tinyalex claims", *args.names, *filter(None, [command.removeprefix("tinyalex claims").strip()])])


def _families(args: argparse.Namespace, claims: tuple[Claim, ...], table: Table) -> dict[str, Family]:
    """The budgets of this call."""
    used = {VARIANTS[claim.better].family for claim in claims}
    families = {}
    for name, family in table.families.items():
        epochs, images = table.quick[name] if args.quick else (family.epochs, family.train_images)
        if args.epochs is not None:
            least = table.least.get(name, 1)
            if name in used:
                require_int("claims", f"--epochs for {name}", args.epochs, least)
            epochs = max(least, args.epochs)
        images = args.train_images or images
        families[name] = replace(family, epochs=epochs, train_images=images)
    return families


def _check(args: argparse.Namespace) -> None:
    for option, most in MOST.items():
        if getattr(args, option) is not None:
            least = 5 if option == "train_images" else 1  # the first stage of the pair reads four fifths
            require_int("claims", f"--{option.replace('_', '-')}", getattr(args, option), least, most=most)
    if args.quick and args.data not in (DEFAULTS["data"], "synthetic"):
        raise ShapeError(f"claims: --data must be synthetic with --quick, got {show(args.data)}; leave --quick out")


def _device(args: argparse.Namespace) -> Device:
    if args.workers is None:
        return get_device(args.device, "claims")
    require_choice("claims", "--device with --workers", args.device, ("cpu",))
    return CpuDevice(workers=args.workers)


def _dataset(args: argparse.Namespace, families: dict[str, Family], table: Table) -> Dataset:
    """The images. DataError: there are fewer training images than a family needs."""
    if args.quick:
        most = max(images for _, images in table.quick.values())
        return load_dataset("synthetic", train_images=args.train_images or most, test_images=table.quick_test)
    dataset = load_dataset(args.data)
    for family in families.values():
        dataset.subset(family.train_images)
    return dataset
