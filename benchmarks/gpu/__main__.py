"""`python -m benchmarks.gpu`: the command line."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.header import header
from benchmarks.gpu.plan import STAGES, choose
from benchmarks.gpu.report import failures, unfinished
from benchmarks.gpu.run import Job
from tinyalex.devices.cards import why_no_cuda
from tinyalex.errors import DeviceError, ShapeError, TinyalexError, show

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).resolve().parent / "results"
SECONDS = 600.0
LEAST, MOST = 5.0, 86400.0


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    stages = "\n".join(f"  {stage.name:<9} {stage.share:>4.0%}  {stage.title}" for stage in STAGES)
    made = argparse.ArgumentParser(
        "python -m benchmarks.gpu",
        description="Test and measure tinyalex on a CUDA card, in order of value, and stop when the time is over.",
        epilog=f"stages and their shares of the time; what one leaves goes to the next:\n{stages}\nexample:\n  python -m benchmarks.gpu",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--seconds", type=float, default=SECONDS, help=f"for everything together (default: {SECONDS:.0f})")
    made.add_argument("--only", nargs="+", metavar="STAGE", help="run only these stages")
    made.add_argument("--out", type=Path, metavar="FOLDER", help="where JSON and table go (default: benchmarks/gpu/results)")
    made.add_argument("--quick", action="store_true", help="tiny inputs, as a trial; the times mean nothing")
    made.add_argument("--stub", action="store_true", help="no card: NumPy in its place, to see that every stage runs; this is no result")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code is 0, also if time ran out; 1 if a check failed or a stage hung; 2 for bad input or no card; 130 if interrupted."""
    args = parser().parse_args(argv)
    try:
        job, facts = prepared(args)
        document = job.run(facts)
    except KeyboardInterrupt:
        print("gpu: interrupted; what was finished is written", file=sys.stderr)
        return 130
    except TinyalexError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(job.path.with_suffix(".md").read_text(), end="")
    print(f"wrote {job.path} and {job.path.with_suffix('.md').name}", file=sys.stderr)
    failed = failures(document)
    if failed:
        print(f"gpu: {len(failed)} failed: {'; '.join(failed)}", file=sys.stderr)
    if rest := unfinished(document):
        print(f"gpu: {rest[0].lower()}{rest[1:]}", file=sys.stderr)
    return 1 if failed else 0


def prepared(args: argparse.Namespace) -> tuple[Job, dict[str, object]]:
    """The run and the facts at its beginning. DeviceError: there is no card. ShapeError: an option cannot be."""
    stages = choose(args.only)
    if not LEAST <= args.seconds <= MOST:
        raise ShapeError(f"gpu: --seconds must be {LEAST:g} to {MOST:g}, got {show(args.seconds)}")
    if args.stub:
        folder = Path(tempfile.mkdtemp(prefix="tinyalex-gpu-")) if args.out is None else args.out
        if folder.resolve().is_relative_to(ROOT / "benchmarks"):
            raise ShapeError(f"gpu: --out must be outside of benchmarks/ with --stub, which gives no result, got {folder}")
        devices: tuple[str, ...] = ("cuda:0", "cuda:1")
    else:
        folder, reason = args.out or RESULTS, why_no_cuda()
        if reason is not None:
            raise DeviceError(f"gpu: a CUDA card must be there, got none; {reason}; --stub shows the stages without one")
        import cupy

        devices = tuple(f"cuda:{i}" for i in range(min(2, cupy.cuda.runtime.getDeviceCount())))
    facts = header(args.stub)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ShapeError(f"gpu: --out must be a folder that can be made, got {folder}; {error.strerror}") from None
    name = re.sub(r"[^a-z0-9]+", "-", f"{facts['date'][:10]} {facts['card']}{' quick' if args.quick else ''}".lower())
    os.chdir(ROOT)
    return Job(stages, devices, args.quick, args.stub, args.seconds, folder.resolve() / f"{name}.json", tell), facts


def tell(line: str) -> None:
    """Say how far it is."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
