"""A net with options as a column of the table in `variants`, so that what sets it apart from the others can be read off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinyalex.models.plan import Plan
from tinyalex.models.variants import LAYERS, Variant

NORMS = ("norm", "rnorm")


def as_built(variant: str = "paper", towers: int = 1, **settings: Any) -> Variant:
    """The variant with what `settings`, those of `Plan`, have overruled.

    Example
    -------
    >>> from tinyalex.models.variants import differences
    >>> differences(as_built("caffe", num_classes=10, lrn=False), of="caffe")[0]
    'after conv1: relu, pool (caffe: relu, norm, pool)'
    """
    plan = Plan(variant, towers, **settings)
    v = plan.variant
    stages = {f"stage{i}": tuple(step for step in getattr(v, f"stage{i}") if _is_built(step, f"conv{i}", plan)) for i in (1, 2, 5)}
    built = {step for stage in stages.values() for step in stage}
    changed: dict[str, Any] = stages | {
        "filters": tuple(plan.widths.get(layer, k) for layer, k in zip(LAYERS[:5], v.filters, strict=True)),
        "units": tuple(plan.widths.get(layer, k) for layer, k in zip(LAYERS[5:7], v.units, strict=True)),
        "input_size": plan.input_size,
        "links": tuple(layer for layer in plan.layers if layer in plan.links),
        "removed": tuple(layer for layer in (*LAYERS[:5], "conv6", *LAYERS[5:]) if layer in plan.removed),
        "sixth": plan.widths.get("conv6"),
        "num_classes": plan.num_classes,
    }
    if "norm" not in built:
        changed |= {"norm_k": None, "norm_alpha_over_n": None, "norm_groups": None}
    elif plan.half:
        changed["norm_groups"] = 1
    if "rnorm" not in built:
        changed["rnorm"] = None
    if not plan.overlapping:
        changed |= {"pool_kernel": 2, "paddings": (1, 0, *v.paddings[2:])}
    if not plan.dropout:
        changed |= {"dropout_place": "nowhere", "dropout_scale": "never"}
    return replace(v, **changed)


def _is_built(step: str, layer: str, plan: Plan) -> bool:
    """Whether a step after a convolution is: pooling stays without it, normalization may be left out."""
    return step == "pool" or (layer in plan.layers and (plan.lrn or step not in NORMS))
