"""`tinyalex gradcheck`: runs the cases of `tinyalex.gradcheck.table` and prints a line for each."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from typing import Any

from tinyalex.commands.shared import tell_expected
from tinyalex.devices import CpuDevice, Device, get_device
from tinyalex.errors import ShapeError, did_you_mean
from tinyalex.gradcheck import TOLERANCE, Check, table
from tinyalex.gradcheck.builders import Case

HELP = "prove every gradient: backward against numerical differences"
EXAMPLE = "tinyalex gradcheck --layer Conv2d LocalResponseNorm --device sim:0"
SECONDS_A_CASE = 0.05  # on one core; a simulated GPU takes twice as long


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--layer", nargs="+", metavar="NAME", help="check only these layers, such as Conv2d, or network (default: all)")
    parser.add_argument("--device", default="cpu", help="cpu, cpu:K, sim:K or cuda:K (default: cpu)")
    parser.add_argument("--workers", type=int, help="threads of the device cpu; each image is then its own block, so that sums are checked")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")


def run(args: argparse.Namespace) -> int:
    """Run the checks and print them. Return 0 if all passed, else 1."""
    from tqdm import tqdm

    cases, device = _chosen(args.layer), _device(args.device, args.workers)
    tell_expected(f"{_cases(len(cases))} on {device.name}", math.ceil(len(cases) * SECONDS_A_CASE))
    start, rows = time.perf_counter(), []
    if not args.json:
        print(f"{'layer':<21} {'case':<33} {'worst tensor':<24} {'error':>8}  where")
    with tqdm(cases, disable=not sys.stderr.isatty(), leave=False, unit="case") as bar:
        for case in bar:
            checks = case.run(device)
            rows.append((case, checks))
            if not args.json:
                with tqdm.external_write_mode():
                    print(_line(case, checks))
    passed = all(check.passed for _, checks in rows for check in checks)
    if args.json:
        print(json.dumps(_document(rows, device, passed, time.perf_counter() - start), indent=1, allow_nan=False))
    else:
        print(_summary(rows, passed))
    return 0 if passed else 1


def _chosen(names: list[str] | None) -> list[Case]:
    layers = list(dict.fromkeys(case.layer for case in table.CASES))
    for name in names or []:
        if name not in layers:
            raise ShapeError(f"gradcheck: --layer must be one of {', '.join(layers)}, got {name!r}", did_you_mean(name, layers))
    return [case for case in table.CASES if names is None or case.layer in names]


def _device(name: str, workers: int | None) -> Device:
    if workers is None:
        return get_device(name, "gradcheck")
    if name != "cpu":
        raise ShapeError(f"gradcheck: --device must be cpu where --workers is given, got {name!r}")
    return CpuDevice(workers=workers, small=0, cache=1)  # blocks of one image, so that the sums over blocks are checked too


def worst(checks: list[Check]) -> Check:
    """The check with the largest error."""
    return max(checks, key=lambda check: check.error)


def _line(case: Case, checks: list[Check]) -> str:
    check = worst(checks)
    line = f"{case.layer:<21} {case.name:<33} {check.what:<24} {check.error:>8.1e}  {check.where}"
    if check.passed:
        return line
    if check.analytic == check.numerical == 0 and check.error == math.inf:
        return line + "  FAILED: both gradients are zero throughout, which proves nothing"
    return line + f"  FAILED: backward says {check.analytic:.6g}, differences say {check.numerical:.6g}"


def _cases(count: int) -> str:
    return f"{count} case" if count == 1 else f"{count} cases"


def _summary(rows: list[tuple[Case, list[Check]]], passed: bool) -> str:
    error = max(worst(checks).error for _, checks in rows)
    text = f"{_cases(len(rows))}, worst error {error:.1e}, "
    if passed:
        return text + f"all at or below {TOLERANCE:g}"
    return text + f"{sum(not worst(checks).passed for _, checks in rows)} of them above {TOLERANCE:g}"


def _document(rows: list[tuple[Case, list[Check]]], device: Device, passed: bool, wall_s: float) -> dict[str, Any]:
    """The JSON document of --json. An infinite error becomes null, because JSON has no infinity."""
    return {
        "passed": passed,
        "tolerance": TOLERANCE,
        "device": device.name,
        "wall_s": round(wall_s, 3),
        "cases": [{"layer": case.layer, "case": case.name, "checks": [_finite(vars(check)) for check in checks]} for case, checks in rows],
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()}
