"""What `tinyalex net` says of a network: the page and the JSON document."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tinyalex.analysis.algorithms import Choice, lines_of
from tinyalex.analysis.card import SCALED_BATCH, Failure, Plan
from tinyalex.analysis.count import Row, Totals, totals
from tinyalex.analysis.figures import PAPER_BATCH, figures
from tinyalex.analysis.need import KINDS, Need
from tinyalex.analysis.predict_report import Story, document_of, text_of
from tinyalex.analysis.receptive import Field
from tinyalex.analysis.table import notes, table, windows_in
from tinyalex.layers import Sequential
from tinyalex.models.later.table import Later
from tinyalex.models.variants import Published
from tinyalex.units import bytes_in_words


@dataclass(frozen=True)
class Counted:
    """All that the command knows about a network.

    differences: between an AlexNet and the paper's. published: errors that the makers report, if no option changed their net.
    rows, fields: counts and receptive fields of the layers. needs: the memory of each device, with --memory.
    plans, failure: with --card. one_card: why there is no plan for two cards, "" if there is one. choices: with --algorithms.
    story: with --predict. later: the entry of a net after AlexNet, if no option changed it; origin: what such a net is.
    """

    net: Sequential
    differences: list[str]
    published: tuple[Published, ...]
    batch: int
    rows: list[Row]
    fields: dict[str, Field]
    needs: dict[str, Need] | None
    plans: list[Plan]
    one_card: str
    failure: Failure | None
    choices: list[Choice]
    story: Story | None
    origin: str = ""
    later: Later | None = None


def text_of_net(of: Counted) -> list[str]:
    """The lines of the page."""
    lines = [f"{of.net.name}, images of {'x'.join(map(str, of.net.in_shape or ()))}", *([of.origin] if of.origin else [])]
    if of.story is not None:
        lines += ["", *text_of(of.story)]
    for plan in of.plans:
        lines += ["", *_plan(plan)]
    if of.one_card:
        lines += ["", f"there is no plan for two cards: {of.one_card}"]
    if of.failure:
        lines += ["", *_failure(of.failure)]
    lines += ["", *table(of.net, of.rows, of.fields, of.batch), "", *notes(of.rows, of.batch)]
    if of.published:
        errors = "; ".join(f"{each.top1} and {each.top5} % ({each.images}, {each.crops})" for each in of.published)
        lines.append(f"published top-1 and top-5 errors, not measured here: {errors}")
    if of.later is not None:
        lines.append(_as_published(of.later, totals(of.rows)))
    if of.differences:
        lines += ["", "differences from the paper's net:", *(f"  {line}" for line in of.differences)]
    if of.choices:
        lines += ["", *lines_of(of.choices, of.batch)]
    if of.needs is not None:
        images = f"{of.batch} image{'s' * (of.batch > 1)}"
        lines += ["", f"a training step of {images} with momentum needs this memory, beside that of Python and its libraries:"]
        for need in of.needs.values():
            lines += ["", *_need(need)]
    return lines


def _as_published(later: Later, here: Totals) -> str:
    """Whether the counts are those of the paper."""
    known = f"{later.parameters:,} parameters and {later.macs:,} multiply-adds"
    apart = [
        f"{abs(ours - theirs):,} {what} {'more' if ours > theirs else 'fewer'}"
        for ours, theirs, what in ((here.parameters, later.parameters, "parameters"), (here.macs, later.macs, "multiply-adds"))
        if ours != theirs
    ]
    found = f"the net above has {' and '.join(apart)}" if apart else "the counts above equal both"
    return f"published, or derived from the paper's tables where those give rounded numbers: {known}; {found}"


def _need(need: Need) -> list[str]:
    lines = [f"{need.device}: {bytes_in_words(need.peak)} at the peak, in the {need.at}"]
    return lines + [f"  {kind:<21} {need.parts[kind]:>15,} B" for kind in KINDS] + [f"  {'total':<21} {need.peak:>15,} B"]


def _plan(plan: Plan) -> list[str]:
    cards = "one card" if plan.cards == 1 else f"{plan.cards} cards"
    fullest, kept = plan.fullest, bytes_in_words(sum(plan.kept_2012.values()))
    kept += " for that batch" + " on its fuller card" * (plan.cards > 1)
    lines = [
        f"{cards} of {bytes_in_words(plan.memory)}: the largest batch that trains is {plan.largest:,}",
        f"  a batch of {plan.batch} takes {bytes_in_words(fullest.peak)} of {fullest.device}, at the peak in the {fullest.at}",
        f"  the code of 2012 kept {kept}, and up to {plan.largest_2012:,} images fit:",
    ]
    lines += [f"    {kind:<36} {nbytes:>15,} B" for kind, nbytes in plan.kept_2012.items()]
    if plan.cards == 1:
        lines.append("  that code never gave back the gradients of outputs, the partial sums of gradients and two batches of images;")
        lines.append("  here they are freed after use, and a pooling layer keeps two bytes for each output instead of its input")
        lines.append("  both counts leave out the memory that the driver, its context and a screen take on a real card")
    return lines


def _failure(failure: Failure) -> list[str]:
    peaks = " and ".join(f"{name} {peak:,} B" for name, peak in failure.peaks.items())
    size = failure.settings
    scaled = f"{size['width']:g} of the width, {size['num_classes']} classes, images of {size['input_size']} pixels, " if size else ""
    said = failure.message or "the step succeeds: one card needs hardly more memory for this net than each of two, so no failure is shown"
    return [
        f"the failure itself, in small: the same net, {scaled}a batch of {SCALED_BATCH}, on simulated cards of {failure.memory:,} B:",
        f"  one card: {said}",
        f"  two cards: the step succeeds, at most {peaks} in use",
    ]


def document_of_net(of: Counted) -> dict[str, Any]:
    """The JSON document of --json. Bytes are those of one image, except under "memory", "cards" and "figures"."""
    windows = windows_in(of.net)
    layers = [
        asdict(row)
        | {"parameters": row.parameters, "connections": row.connections, "field": asdict(of.fields[row.name])}
        | dict(zip(("kernel", "stride", "padding"), windows.get(row.name, ()), strict=False))
        for row in of.rows
    ]
    document: dict[str, Any] = {"net": of.net.name, "in_shape": of.net.in_shape, "layers": layers, "totals": asdict(totals(of.rows))}
    sizes = figures(of.rows, of.batch if of.batch > 1 else PAPER_BATCH)
    document |= {"figures": asdict(sizes), "notes": notes(of.rows), "batch": of.batch}
    if of.later is not None:
        document["as_published"] = {"parameters": of.later.parameters, "macs": of.later.macs}
    document |= {"differences": of.differences, "published": [asdict(each) for each in of.published], "origin": of.origin}
    if of.choices:
        document["algorithms"] = [asdict(choice) for choice in of.choices]
    if of.needs is not None:
        document["memory"] = {name: {"peak": need.peak, "at": need.at, "parts": need.parts} for name, need in of.needs.items()}
    if of.story is not None:
        document["prediction"] = document_of(of.story)
    if of.plans:
        document["cards"] = [
            {
                "cards": plan.cards,
                "memory": plan.memory,
                "largest_batch": plan.largest,
                "batch": plan.batch,
                "peak": plan.fullest.peak,
                "at": plan.fullest.at,
                "kept_2012": plan.kept_2012,
                "largest_batch_2012": plan.largest_2012,
            }
            for plan in of.plans
        ]
        document["one_card"] = of.one_card
    return document | ({"failure_in_small": asdict(of.failure)} if of.failure else {})
