"""`python -m benchmarks`: the command line."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contestants import RIVALS, Contestant
from benchmarks.measure import Result, Settings, expected_s, measure, timings
from benchmarks.report import document, table, write
from benchmarks.table import WORKLOADS, choose
from benchmarks.workload import Workload
from tinyalex.errors import DeviceError, TinyalexError, require_int

EXAMPLE = "python -m benchmarks --vs torch --only lrn pool --json results.json"


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description="Time tinyalex, alone or beside another library, on the same work with the same answers.",
        epilog=f"workloads: {', '.join(WORKLOADS)}\nexample:\n  {EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--vs", choices=list(RIVALS), help="the library to compare with; without it only the share of sgemm is measured")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these workloads or groups of them, such as lrn")
    parser.add_argument("--repeats", type=int, metavar="N", help="timings of each pair, 9 by default")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of each contestant, 2 by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write settings, machine and all times there, after each workload")
    parser.add_argument("--quick", action="store_true", help="tiny inputs and 2 repeats: shows that all works, its times mean nothing")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code: 0, 1 if answers disagree or a process ended, 2 for bad input, 130 if interrupted."""
    args = parser().parse_args(argv)
    try:
        repeats = (2 if args.quick else 9) if args.repeats is None else require_int("benchmarks", "--repeats", args.repeats)
        settings = Settings(repeats, require_int("benchmarks", "--threads", args.threads), args.quick)
        run(choose(args.only), rivals(args.vs), settings, args.json)
    except KeyboardInterrupt:
        kept = f"; finished workloads are in {args.json}" if args.json else ""
        print(f"benchmarks: interrupted{kept}", file=sys.stderr)
        return 130
    except TinyalexError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def rivals(library: str | None) -> list[Contestant]:
    """The contestants of a library, none for None."""
    if library is None:
        return []
    if importlib.util.find_spec(library) is None:
        raise DeviceError(f"benchmarks: {library} must be installed for --vs {library}, got none; use pip install 'tinyalex[bench]'")
    return RIVALS[library]


def run(workloads: Sequence[Workload], rivals: Sequence[Contestant], settings: Settings, json: Path | None) -> None:
    """Measure the workloads one after the other, print the table, keep the JSON file up to date."""
    from tqdm import tqdm

    minutes = expected_s(workloads, rivals, settings) / 60
    against = f" beside {len(rivals)} rivals" if rivals else ""
    print(f"{len(workloads)} workloads{against}, about {minutes:.1f} minutes; let nothing else run meanwhile", file=sys.stderr)
    results: list[Result] = []

    def keep() -> None:
        if json is not None:
            write(json, document(results, rivals, settings, complete=len(results) == len(workloads)))

    keep()  # a file that can't be written is known now
    try:
        with tqdm(total=len(workloads) * timings(rivals, settings), unit=" timings", disable=None, dynamic_ncols=True) as bar:
            for workload in workloads:
                bar.set_description(workload.name)
                results.append(measure(workload, rivals, settings, bar.update))
                keep()
    finally:
        if results:
            print(table(results))
    if settings.quick:
        print("tiny inputs: these times mean nothing")
    if json is not None:
        print(f"wrote {json}")
    print("next: python -m benchmarks --vs torch" if not rivals else f"next: {EXAMPLE}")


if __name__ == "__main__":
    sys.exit(main())
