"""Results that nobody measured."""

from benchmarks.document import run_of
from benchmarks.measure import Settings
from benchmarks.results import Pair, Result
from benchmarks.scaling import Measured

QUICK = Settings(repeats=2, threads=1, quick=True)
PAIRS = [
    Pair("slow", [10.0, 10.0, 10.0], [2.0, 2.0, 2.0], [8.0, 8.0, 8.0]),
    Pair("quick", [10.0, 10.0, 10.0], [2.0, 4.0, 2.0], [2.0, 8.0, 6.0]),
]


def finished(pairs=PAIRS, workload="figure1-epoch", settings=QUICK, **changes):
    """A result whose sgemm did 100 operations a second, and tinyalex half as many."""
    who = {pair.rival for pair in pairs if pair.rival} | {"sgemm", "copy", "tinyalex"}
    about = {name: {"peak_rss": 2 * 10**9, "thread_pools": [], "numpy": "2", "tinyalex": "0"} for name in who}
    values = {
        "workload": workload, "title": "t", "tolerance": 1e-3, "calls": 1, "flops": 100.0, "images": 10, "epoch_calls": 391,
        "shapes": {"x": (1, 2)}, "sgemm_flops": 1000.0, "pairs": pairs, "errors": {"slow": 0.0, "quick": 0.0}, "about": about,
        "traffic": 4.0, "copy_bytes": 30e9, "copy_s": [1.0, 2.0, 3.0], "run": run_of(settings, [], about),
    }  # fmt: skip
    return Result(**values | changes)


def curve(name="batch-figure1", quantity="batch", settings=QUICK):
    """A step of 2 s, and 0.5 s more for each image."""
    values, peaks = [1.0, 2.0, 4.0], [10**9, 2 * 10**9, None]
    steps = [2 + value / 2 for value in values]
    return Measured(name, "figure1", quantity, values, steps, [[1.0]] * 3, peaks, run_of(settings, [], {}))
