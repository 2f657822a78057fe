"""The workloads by name. A new workload is a `Workload` in a file of its kind, and a line in this file."""

from __future__ import annotations

from benchmarks import alexnet, figure1, later, layers, towers, update, weighted
from benchmarks.workload import Workload
from tinyalex.errors import ShapeError

EVERY = (
    *alexnet.WORKLOADS,
    *later.WORKLOADS,
    *update.WORKLOADS,
    *towers.WORKLOADS,
    *weighted.WORKLOADS,
    *layers.WORKLOADS,
    *figure1.WORKLOADS,
)
WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in EVERY}


def choose(names: list[str] | None) -> list[Workload]:
    """The workloads with these names or groups ("lrn" is "lrn-55" and "lrn-27"), in the order of the table; all for None."""
    groups = {name.partition("-")[0] for name in WORKLOADS}
    for name in names or ():
        if name not in WORKLOADS and name not in groups:
            raise ShapeError(f"benchmarks: --only must be one of {', '.join([*sorted(groups), *WORKLOADS])}, got {name!r}")
    return [workload for name, workload in WORKLOADS.items() if names is None or name in names or name.partition("-")[0] in names]
