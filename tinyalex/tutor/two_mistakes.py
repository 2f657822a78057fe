"""Where no single mistake explains all calls: which one shows alone in some of them?"""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tinyalex.tutor.exercise import Mistake
from tinyalex.tutor.outputs import compute, matches, pick
from tinyalex.tutor.table import Table


class Named(NamedTuple):
    """A mistake, what it went through, a call that shows it, and what is said of the others: see `Finding.beside`."""

    mistake: Mistake | None
    transform: str
    at: int
    beside: str = ""


def together(table: Table, number: int) -> Named | None:
    """Of two mistakes at once, one of which comes down to other arguments, the likelier."""
    mistakes = table.function.mistakes
    for one, other in ((one, other) for one in mistakes if one.given for other in mistakes if other is not one):

        def hits(at: int, one: Mistake = one, other: Mistake = other) -> bool:
            assert one.given is not None
            probe = table.probes[at]
            changed = replace(probe, arguments={**probe.arguments, **one.given(**copy.deepcopy(dict(probe.arguments)))})
            made = pick(compute(table.function, other.compute, changed), number)
            return matches(table.answers[at][number], made, other.within)

        if all(hits(at) for at in table.order(number)) and not table.explains(other, "", number):
            return Named(min(one, other, key=mistakes.index), "", table.differ(number)[0], "second")
    return None


def in_some_calls(table: Table, number: int) -> Named | None:
    """The one that shows alone in most calls, where these are at least two of different kinds.

    Where all other calls that differ end in an error, one kind of call is enough for a known mistake.
    """
    calls: dict[str, list[int]] = {}  # the wrong ones, by the key of their probe
    for at in table.differ(number):
        if at not in table.stopped:
            calls.setdefault(table.probes[at].key, []).append(at)
    most: tuple[list[list[int]], Mistake | None, str] | None = None
    known = len(calls) == 1 and bool(table.stopped)  # no other call speaks against it
    for mistake, transform in (*table.candidates(), *table.transformed_mistakes()):
        shows = [ats for ats in calls.values() if all(table.hits(mistake, transform, number, at) for at in ats)]
        if len(shows) > (len(most[0]) if most else 0 if known and mistake is not None and not transform else 1):
            most = shows, mistake, transform
    if most is None:
        return None
    left = set(table.differ(number)) - {at for ats in most[0] for at in ats}
    beside = "" if not left else "stops" if left <= set(table.stopped) else "others"
    return Named(most[1], most[2], most[0][0][0], beside)


def in_turn(table: Table, number: int) -> Named | None:
    """Two mistakes of which some make a call fail: where one alone shows, the answer is its own; where both do, it is not right.

    Where calls fail no numbers can tell two mistakes from one; but each call that one of them alone explains speaks for it. At least
    one call must show the numbers of one of them, or its error in the same words: that two calls fail says too little.
    """
    if not table.stopped:
        return None
    calls, right = range(len(table.probes)), np.array(table.agree[number])
    failed = np.isin(calls, table.stopped)
    shows = []  # of each mistake: where it is right, where the student's answer is its own, where it fails, where it is known by that
    for mistake in table.function.mistakes:
        made = [pick(table.made(mistake, at), number) for at in calls]
        fits = np.array([matches(made[at], pick(table.right[at], number)) for at in calls])
        hits = np.array([matches(table.answers[at][number], made[at], mistake.within) for at in calls])
        fails = np.array([isinstance(value, Exception) for value in made])
        known = np.array([table.stops_alike(mistake, at) if fails[at] else hits[at] and not fits[at] for at in calls])
        shows.append((mistake, fits, hits, fails, known))
    for (a, fits_a, hits_a, fails_a, known_a), (b, fits_b, hits_b, fails_b, known_b) in itertools.combinations(shows, 2):
        a_alone, b_alone, both = ~fits_a & fits_b, fits_a & ~fits_b, ~fits_a & ~fits_b
        by_both = both & ((fails_a | fails_b) == failed) & ~right
        explained = (fits_a & fits_b & right) | (a_alone & hits_a) | (b_alone & hits_b) | by_both
        if explained.all() and a_alone.any() and b_alone.any() and known_a.any() and known_b.any():
            at = table.differ(number)[0]
            return Named(b if b_alone[at] else a, "", at, "second")
    return None


def by_errors(table: Table) -> Named | None:
    """The mistake that ends the same calls with the same errors and shows in no other, or two of which one or the other does so."""
    fine = [at for at in range(len(table.probes)) if at not in table.stopped and all(agree[at] for agree in table.agree)]
    ends = {at: [m for m in table.function.mistakes if table.stops_alike(m, at)] for at in table.stopped}
    if not ends or not all(ends.values()):
        return None
    first = table.stopped[0]
    others = [at for at in range(len(table.probes)) if at not in table.stopped]
    for mistake in ends[first]:
        stops_only_there = not any(isinstance(table.made(mistake, at), Exception) for at in others)
        if stops_only_there and all(mistake in found for found in ends.values()) and table.right_where(mistake, fine):
            return Named(mistake, "", first)
    known = {m.key: m for found in ends.values() for m in found}
    fit = [m for m in known.values() if table.right_where(m, fine)]
    for one in (mistake for mistake in fit if mistake in ends[first]):
        if any(all(one in found or other in found for found in ends.values()) for other in fit if other is not one):
            return Named(one, "", first, "second")
    return None
