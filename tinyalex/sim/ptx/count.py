"""What a kernel did, counted as a table for teaching: instructions, memory transactions, bank conflicts, barriers.

A warp is 32 threads that do one instruction together. In global memory a card moves sectors of 32 bytes, four of which are a line
of 128 bytes. If the 32 threads of a warp read 32 neighbors of float32, four sectors are moved, the fewest; if the threads read
elements that lie far apart, 32 are. Shared memory has 32 banks of 4 bytes. Threads of a warp that need different words of one bank
come one after the other: a bank conflict.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tinyalex.sim.ptx.group import WARP, Group
from tinyalex.sim.ptx.types import Values

if TYPE_CHECKING:
    from tinyalex.sim.ptx.flow import Block
    from tinyalex.sim.ptx.kernel import Kernel
    from tinyalex.sim.ptx.run import Launch

SECTOR, LINE, BANKS, WORD = 32, 128, 32, 4
HEADER = ("access", "memory", "requests", "bytes", "sectors", "fewest", "lines", "conflicts", "line of the source")
LEFT = (0, 1, 8)  # columns of text


@dataclass
class Traffic:
    """What one load, store or atomic operation of a kernel did.

    requests: how often a warp did it. nbytes: all bytes that threads asked for. In global memory: sectors and lines that were moved,
    and fewest, the sectors that would do if the same bytes lay side by side. In shared memory: passes, one for each request without
    conflicts.
    """

    kernel: str
    where: str
    text: str
    space: str
    requests: int = 0
    nbytes: int = 0
    sectors: int = 0
    lines: int = 0
    fewest: int = 0
    passes: int = 0

    @property
    def conflicts(self) -> int:
        """Passes through shared memory that banks in demand made necessary."""
        return self.passes - self.requests if self.space == "shared" else 0

    @property
    def efficiency(self) -> float:
        """The part of the moved bytes that a warp needs, 0 to 1; 1 if the access is coalesced. NaN outside of global memory."""
        return self.fewest / self.sectors if self.sectors else float("nan")


class Profile:
    """Counts of all launches inside of `with tinyalex.sim.profile() as counts`.

    Attributes
    ----------
    launches, barriers: how many; a barrier counts once for each block. threads: instructions that all threads did together.
    warps: instructions that warps did, which is what a card's time depends on. divergent: branches at which a warp was cut in two.
    kinds: instructions of warps by their opcode.
    """

    def __init__(self) -> None:
        self.launches = self.barriers = self.threads = self.warps = self.divergent = 0
        self.kinds: dict[str, int] = {}
        self._traffic: dict[tuple[int, int], Traffic] = {}
        self._kernel: Kernel | None = None

    def __str__(self) -> str:
        """A table: one line for the accesses of one kind in one line of the source, then the instructions."""
        rows: list[tuple[str, ...]] = [HEADER]
        for one in self._merged():
            moved = (one.sectors, one.fewest, one.lines) if one.space == "global" else ("", "", "")
            conflicts = one.conflicts if one.space == "shared" else ""
            figures = [_figure(value) for value in (one.requests, one.nbytes, *moved, conflicts)]
            rows.append((one.text.partition(" ")[0], one.space, *figures, f"{one.kernel}{one.where}"))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = []
        for row in rows:
            cells = [text.ljust(width) if i in LEFT else text.rjust(width) for i, (text, width) in enumerate(zip(row, widths, strict=True))]
            lines.append("  ".join(cells))
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.kinds.items(), key=lambda item: -item[1]))
        lines.append(f"launches {self.launches:,}, barriers of blocks {self.barriers:,}, warps cut in two by a branch {self.divergent:,}")
        lines.append(f"instructions of warps {self.warps:,} (of threads {self.threads:,}): {kinds}")
        return "\n".join(line.rstrip() for line in lines)

    def _merged(self) -> list[Traffic]:
        """The traffic, with the accesses that a compiler made of one in an unrolled loop as one."""
        found: dict[tuple[str, ...], Traffic] = {}
        for one in self.traffic:
            key = one.kernel, one.where, one.text.partition(" ")[0]
            if key in found:
                for name in ("requests", "nbytes", "sectors", "lines", "fewest", "passes"):
                    setattr(found[key], name, getattr(found[key], name) + getattr(one, name))
            else:
                found[key] = replace(one)
        return list(found.values())

    @property
    def traffic(self) -> list[Traffic]:
        """The counts of each access to memory, in the order of the kernels."""
        return list(self._traffic.values())

    def begin(self, launch: Launch) -> None:
        """Count a launch."""
        self.launches += 1
        self._kernel = launch.kernel

    def barrier(self, group: Group) -> None:
        """Count a barrier that the blocks of the group pass."""
        self.barriers += len(np.unique(group.block))

    def step(self, group: Group, block: Block) -> None:
        """Count the instructions of a basic block."""
        assert self._kernel is not None
        warps = len(np.unique(group.warp))
        count = len(block.steps) + (block.end is not None)
        self.threads += group.n * count
        self.warps += warps * count
        for instruction in self._kernel.instructions[block.first : block.first + count]:
            kind = instruction.parts[0]
            self.kinds[kind] = self.kinds.get(kind, 0) + warps

    def diverge(self, group: Group, mask: Values) -> None:
        """Count the warps of which only some threads take a branch."""
        self.divergent += len(np.intersect1d(group.warp[mask], group.warp[~mask]))

    def access(self, group: Group, position: int, space: str, address: Values, nbytes: int) -> None:
        """Count an access of `nbytes` bytes at the address of each thread."""
        kernel = group.launch.kernel
        key = id(kernel), position
        if key not in self._traffic:
            instruction = kernel.instructions[position]
            self._traffic[key] = Traffic(kernel.name, kernel.where(position), instruction.text, space)
        one = self._traffic[key]
        warp, address = group.warp, group.full(address).astype(np.int64)
        warps, threads = np.unique(warp, return_counts=True)
        one.requests += len(warps)
        one.nbytes += group.n * nbytes
        if space == "global":
            one.sectors += distinct(warp, address // SECTOR)  # no access is larger than 16 bytes, and each begins at a multiple
            one.lines += distinct(warp, address // LINE)
            different = np.bincount(np.searchsorted(warps, _firsts(warp, address)), minlength=len(warps))
            one.fewest += int((-(-different * nbytes // SECTOR)).sum())
        elif space == "shared":
            one.passes += passes(warp, group.lane, address, nbytes)


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def distinct(warp: Values, number: Values) -> int:
    """How many different numbers there are in each warp, summed over the warps."""
    return len(_firsts(warp, number))


def _firsts(warp: Values, number: Values) -> Values:
    """The warp of each number, without repetitions of the number in the warp."""
    order = np.lexsort((number, warp))
    w, v = warp[order], number[order]
    new = np.ones(len(w), bool)
    new[1:] = (w[1:] != w[:-1]) | (v[1:] != v[:-1])
    return w[new]


def passes(warp: Values, lane: Values, address: Values, nbytes: int) -> int:
    """How often shared memory is passed through: for each warp the largest number of different words in one bank.

    Accesses of 8 bytes are served for half a warp at a time, accesses of 16 bytes for a quarter.
    """
    words = max(1, nbytes // WORD)
    part = warp * words + lane * words // WARP
    word = (address // WORD)[:, None] + np.arange(words)
    part = np.repeat(part, words)
    flat = word.ravel()
    order = np.lexsort((flat, part))
    p, w = part[order], flat[order]
    new = np.ones(len(p), bool)
    new[1:] = (p[1:] != p[:-1]) | (w[1:] != w[:-1])
    parts, at = np.unique(p[new], return_inverse=True)
    counts = np.bincount(at * BANKS + w[new] % BANKS, minlength=len(parts) * BANKS).reshape(-1, BANKS)
    return int(counts.max(1).sum()) - (len(parts) - len(np.unique(warp)))
