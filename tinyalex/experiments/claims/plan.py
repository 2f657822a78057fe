"""The tables of claims by name, the claims that a call chooses, and the order of their runs."""

from __future__ import annotations

from collections.abc import Sequence

from tinyalex.errors import ShapeError, did_you_mean, require_int, show
from tinyalex.experiments.claims.alexnet import ALEXNET
from tinyalex.experiments.claims.claim import Claim, Table, Variant
from tinyalex.experiments.claims.later import AFTER_ALEXNET

TABLES = {table.name: table for table in (ALEXNET, AFTER_ALEXNET)}
VARIANTS = {name: variant for table in TABLES.values() for name, variant in table.variants.items()}
FAMILIES = {name: family for table in TABLES.values() for name, family in table.families.items()}


def table_of(variant: str) -> Table:
    """The table to which a variant belongs."""
    return next(table for table in TABLES.values() if variant in table.variants)


def chosen_claims(names: Sequence[str], table: Table = ALEXNET) -> tuple[Claim, ...]:
    """The claims of these names in a table, all of it for no names. ShapeError: the table has no claim of a name."""
    for name in names:
        if name not in table.claims:
            there = [other.name for other in TABLES.values() if name in other.claims]
            remedy = f"add --of {there[0]}" if there else did_you_mean(name, table.claims)
            raise ShapeError(f"claims: NAME must be one of {', '.join(table.claims)}, got {show(name)}", remedy)
    return tuple(claim for claim in table.claims.values() if claim.name in names or not names)


def queue_of(claims: Sequence[Claim], seeds: int, table: Table = ALEXNET) -> list[tuple[Variant, int]]:
    """The runs that the claims need, in the order in which they are trained: the variant and the seed. Members come before an ensemble."""
    seeds = require_int("claims", "--seeds", seeds)
    needed = {name for claim in claims for name in (claim.better, claim.worse)}
    needed |= {member for name in needed for member in table.variants[name].members}
    return [(table.variants[name], seed) for names, some in table.rounds(seeds) for seed in some for name in names if name in needed]
