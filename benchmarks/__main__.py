"""`python -m benchmarks`: the command line."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contestants import RIVALS, Contestant, taking_part
from benchmarks.document import Document, read, run_of, with_run, write
from benchmarks.measure import Settings, expected_s, measure, timings
from benchmarks.report import table
from benchmarks.scaling import CURVES, QUICK, WHO, Curve, expected_scaling_s, measure_curve, summary
from benchmarks.table import WORKLOADS, choose
from benchmarks.workload import Workload
from tinyalex.errors import DataError, DeviceError, ShapeError, TinyalexError, require_int

EPILOG = f"""{textwrap.fill(f"workloads: {', '.join(WORKLOADS)}", 100, break_on_hyphens=False)}
curves: {", ".join(curve.name for curve in CURVES)}
examples:
  python -m benchmarks --vs torch onnxruntime --json results.json          everything
  python -m benchmarks --vs torch --only lrn pool --json results.json      measure these again; the others in the file stay
  python -m benchmarks --vs self                                           one core, two cores, two towers
  python -m benchmarks --scaling --json results.json
  python -m benchmarks --charts results.json --out charts"""
NEEDS = {"torch": ("torch",), "onnxruntime": ("onnx", "onnxruntime"), "self": ()}


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description="Time tinyalex, alone or beside other libraries that do the same work and give the same answers.\n"
        "The first line says how many minutes it will take. Let no other program run meanwhile.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--vs", nargs="+", choices=list(RIVALS), metavar="LIBRARY",
        help=f"compare with {', '.join(RIVALS)}; without this option only the share of sgemm is measured",
    )  # fmt: skip
    what.add_argument("--scaling", action="store_true", help="measure time and memory of a step against batch, image size and width")
    what.add_argument("--charts", type=Path, metavar="FILE", help="draw the results in a file of --json, and measure nothing")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure only these workloads or groups, such as lrn, or curves")
    parser.add_argument("--repeats", type=int, metavar="N", help="how often each pair is timed (default: 9)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of each contestant (default: 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add each result to this file; an older result is replaced")
    parser.add_argument("--quick", action="store_true", help="tiny inputs and 2 repeats, as a trial; the times mean nothing")
    parser.add_argument("--out", type=Path, default=Path("."), metavar="FOLDER", help="where --charts writes (default: the current folder)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. The exit code is 0; 1 if answers disagree or a process ended; 2 for bad input; 130 if interrupted."""
    args = parser().parse_args(argv)
    try:
        if args.charts is not None:
            return show(args.charts, args.out)
        repeats = (2 if args.quick else 9) if args.repeats is None else require_int("benchmarks", "--repeats", args.repeats)
        settings = Settings(repeats, require_int("benchmarks", "--threads", args.threads), args.quick)
        if args.scaling:
            run_scaling(choose_curves(args.only, args.quick), settings, args.json)
        else:
            rivals = rivals_of(args.vs or ())
            run(choose_comparable(args.only, rivals), rivals, settings, args.json)
    except KeyboardInterrupt:
        kept = f"; what was finished is in {args.json}" if args.json else ""
        print(f"benchmarks: interrupted{kept}", file=sys.stderr)
        return 130
    except TinyalexError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def rivals_of(libraries: Sequence[str]) -> list[Contestant]:
    """The contestants of these libraries. DeviceError: a library is not installed."""
    for library in dict.fromkeys(libraries):
        absent = [module for module in NEEDS[library] if importlib.util.find_spec(module) is None]
        if absent:
            needed = " and ".join(absent)
            raise DeviceError(f"benchmarks: {needed} must be installed for --vs {library}, got none; use pip install 'tinyalex[bench]'")
    return [who for library in dict.fromkeys(libraries) for who in RIVALS[library]]


def choose_comparable(names: list[str] | None, rivals: Sequence[Contestant]) -> list[Workload]:
    """The chosen workloads; if there are rivals, only the workloads in which a rival takes part."""
    chosen = choose(names)
    comparable = [workload for workload in chosen if not rivals or taking_part(workload, rivals)]
    if not comparable:
        sides = sorted({side for workload in chosen for side in workload.sides if side in RIVALS} | {"self"})
        raise ShapeError(f"benchmarks: --vs must name a library that does the work of --only {' '.join(names or ())}, such as {sides[-1]}")
    return comparable


def choose_curves(names: list[str] | None, quick: bool) -> list[Curve]:
    """The curves with these names; all curves for None."""
    every = QUICK if quick else CURVES
    for name in names or ():
        if name not in {curve.name for curve in every}:
            raise ShapeError(f"benchmarks: --only must be one of {', '.join(curve.name for curve in every)} with --scaling, got {name!r}")
    return [curve for curve in every if names is None or curve.name in names]


def open_document(path: Path | None, settings: Settings) -> Document:
    """The document to which results are added. It is written once now, so that a file that cannot be written is noticed."""
    document = Document() if path is None else read(path)
    if path is not None:
        document.refuse_mixture(path, settings)
        write(path, document)
    return document


def run(workloads: Sequence[Workload], rivals: Sequence[Contestant], settings: Settings, path: Path | None) -> None:
    """Measure the workloads one after the other, write the JSON file after each, and print the table."""
    from tqdm import tqdm

    document, done = open_document(path, settings), []
    minutes = expected_s(workloads, rivals, settings) / 60
    against = f" beside {len(rivals)} rivals" if rivals else ""
    print(f"{len(workloads)} workloads{against}, about {minutes:.1f} minutes; let no other program run meanwhile", file=sys.stderr)
    total = sum(timings(workload, rivals, settings) for workload in workloads)
    try:
        with tqdm(total=total, unit=" timings", disable=None, dynamic_ncols=True) as bar:
            for workload in workloads:
                bar.set_description(workload.name)
                them = taking_part(workload, rivals)
                done.append(with_run(measure(workload, them, settings, bar.update), them, settings))
                document.results[workload.name] = done[-1]
                if path is not None:
                    write(path, document)
    finally:
        if done:
            print(table(done))
    finish(settings, path)


def run_scaling(curves: Sequence[Curve], settings: Settings, path: Path | None) -> None:
    """Measure the curves one after the other, write the JSON file after each, and print a line for each."""
    from tqdm import tqdm

    document, done = open_document(path, settings), []
    minutes = expected_scaling_s(curves, settings) / 60
    print(f"{len(curves)} curves, about {minutes:.1f} minutes; let no other program run meanwhile", file=sys.stderr)
    try:
        with tqdm(total=sum(len(curve.values) for curve in curves), unit=" points", disable=None, dynamic_ncols=True) as bar:
            for curve in curves:
                bar.set_description(curve.name)
                measured, about = measure_curve(curve, settings, bar.update)
                measured.run = run_of(settings, [WHO], {WHO.name: about})
                done.append(measured)
                document.scaling[curve.name] = measured
                if path is not None:
                    write(path, document)
    finally:
        if done:
            print(summary(done))
    finish(settings, path)


def finish(settings: Settings, path: Path | None) -> None:
    """Print which file was written, and the next command."""
    if settings.quick:
        print("tiny inputs: these times mean nothing")
    if path is not None:
        print(f"wrote {path}")
    print(f"next: python -m benchmarks --charts {path}" if path else "next: the same with --json results.json, to keep the times")


def show(path: Path, folder: Path) -> int:
    """Draw a results file and print its table."""
    from benchmarks.charts import draw

    if not path.exists():
        raise DataError(f"{path}: the file must be one of benchmark results, got none; write one with --json {path}")
    document = read(path)
    if document.results:
        print(table(document.results.values()))
    if document.scaling:
        print(summary(list(document.scaling.values())))
    written = draw(document, folder)
    for picture in written:
        print(f"wrote {picture}")
    print("next: put them where they are shown, beside the table" if written else f"nothing to draw in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
