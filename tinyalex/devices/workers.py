"""How many workers a CPU device has by default. The user, the environment and the system decide it.

If `TINYALEX_WORKERS` is set, its value is the number of workers; it may be larger than the number of processors. Otherwise the
smallest of these numbers is used (if several are equal, the first in the list is named as the reason):

1. the number of processors on which this process may run (its affinity, or all processors of the machine);
2. the CPU quota of the container (cgroup `cpu.max`, or `cpu.cfs_quota_us` of version 1), rounded up: 1.5 CPUs are 2 workers;
3. `OMP_NUM_THREADS`, of which the first number counts, and `PYTHON_CPU_COUNT`. A value that is not a positive integer is ignored.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tinyalex.errors import DeviceError

MOST_WORKERS = 1024  # a system cannot start any number of threads
VARIABLE = "TINYALEX_WORKERS"
OTHER_VARIABLES = ("OMP_NUM_THREADS", "PYTHON_CPU_COUNT")
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Allowed:
    """A number of workers, at least 1, and, in words, what decided it."""

    workers: int
    by: str


def cores() -> int:
    """The number of workers of a CPU device by default, 1 to 1,024.

    Raises
    ------
    DeviceError: `TINYALEX_WORKERS` is not an integer from 1 to 1,024.
    """
    return allowed().workers


def allowed() -> Allowed:
    """The number that `cores` returns, and what decided it. DeviceError: as in `cores`."""
    text = os.environ.get(VARIABLE, "").strip()
    if text:
        wanted = _positive(text)
        if wanted is None or wanted > MOST_WORKERS:
            raise DeviceError(f"cpu: {VARIABLE} must be an integer from 1 to {MOST_WORKERS:,}, got {text!r}; correct it or unset it")
        return Allowed(wanted, VARIABLE)
    return min(_limits(), key=lambda limit: limit.workers)  # min takes the first of equal ones


def _limits() -> Iterator[Allowed]:
    yield Allowed(min(processors(), MOST_WORKERS), "the processors this process may use")
    quota = cpu_quota()
    if quota is not None:
        yield Allowed(max(1, math.ceil(quota)), f"the container's quota of {quota:g} CPUs")
    for variable in OTHER_VARIABLES:
        number = _positive(os.environ.get(variable, "").partition(",")[0].strip())  # OMP_NUM_THREADS may be a list
        if number is not None:
            yield Allowed(number, variable)


def _positive(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    return number or None


def processors() -> int:
    """The number of processors on which this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(root: Path | None = None, own: Path | None = None) -> float | None:
    """The number of CPUs that the control groups of this process allow, the smallest of their quotas; None if there is none.

    Parameters
    ----------
    root: the folder of all control groups. own: the file that names the control groups of this process.
    """
    root, own = root or CGROUPS, own or OWN_CGROUPS
    try:
        lines = own.read_text().splitlines()
    except OSError:  # not Linux
        return None
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            hierarchies = [root, root / "unified"]
        elif "cpu" in controllers.split(","):
            hierarchies = [root / "cpu", root / controllers]
        else:
            continue
        inside = PurePosixPath(path).relative_to("/")
        groups = (inside, *inside.parents)  # inside a container the own group may be the root, so the path in `own` does not exist
        quotas += [_quota_of(hierarchy / group) for hierarchy in hierarchies for group in groups]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota_of(group: Path) -> float | None:
    """The quota of the control group in the folder `group`: CPU time divided by the period of time; None if it has no quota."""
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = (float(word) for file in files for word in (group / file).read_text().split())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        if quota > 0 and period > 0:  # in version 1, -1 means that there is no quota
            return quota / period
    return None
