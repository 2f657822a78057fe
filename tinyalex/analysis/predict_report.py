"""A prediction as text and as a JSON document: its assumptions, a line for each layer, the step, and how it compares with the paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tinyalex.analysis.predict import (
    EFFICIENCY,
    LAUNCH,
    PAPER_DAYS,
    PAPER_EPOCHS,
    PAPER_IMAGES,
    LayerTime,
    Pass,
    Prediction,
)
from tinyalex.analysis.predict_cards import CARDS, REFERENCE, Timing
from tinyalex.shown import layer_of
from tinyalex.units import bytes_in_words

HEAD = ("layer", "forward ms", "by", "backward ms", "by", "update ms", "link ms", "GFLOP", "MB")
PAPERS_CARD = "gtx580"


@dataclass(frozen=True)
class Story:
    """All that `tinyalex net --predict` says.

    prediction: of the net that was asked for. needs: bytes of memory that a step needs on each device.
    epochs: whether days for the paper's epochs are said, that is, whether the net is an AlexNet.
    papers: whether it is the net that the paper trained, on as many cards of the same kind.
    one_card: of a net split over two cards, the prediction for the paper's net for one card (its footnote 2); None for other nets.
    checks: other published timings, each with the predicted seconds.
    """

    prediction: Prediction
    needs: dict[str, int]
    epochs: bool
    papers: bool
    one_card: Prediction | None
    checks: tuple[tuple[Timing, float], ...]


def text_of(story: Story) -> list[str]:
    """The lines of the text."""
    of = story.prediction
    card, cards = of.card, f"{'one' if of.cards == 1 else 'two'} {of.card.title}"
    lines = [
        f"predicted, not measured: a training step of {of.batch} image{'s' * (of.batch > 1)} on {cards}",
        f"  published peaks: {card.operations / 1e12:.4g} TFLOP/s in float32, {card.traffic / 1e9:.4g} GB/s of memory, "
        f"{card.bus / 1e9:.4g} GB/s from the host" + (f", {_link(of)}" if of.cards == 2 else ""),
        f"    {card.source}",
        f"  efficiency: {EFFICIENCY:g} of each peak, with which {_in_words(REFERENCE)} "
        f"takes the published {REFERENCE.seconds * 1e3:.0f} ms",
        f"    {REFERENCE.source}",
        f"  a kernel takes at least {LAUNCH * 1e6:g} us; every array is read or written once for each kernel that uses it",
        "",
        *_table(of),
        "",
        f"step: {_ms(of.step)} ms = forward {_ms(of.forward)} + backward {_ms(of.backward)} + update {_ms(of.update)}, "
        f"{of.batch / of.step:,.0f} images a second; {of.launches} kernels"
        + (f"; the cards wait {_ms(of.linked)} ms for copies between them" if of.cards == 2 else ""),
        f"upload of the next batch, during the step: {_ms(of.upload)} ms" + (", to each card" if of.cards == 2 else ""),
        *_memory(story),
    ]
    if story.epochs:
        steps = PAPER_EPOCHS * PAPER_IMAGES / of.batch
        lines.append(f"{PAPER_EPOCHS} epochs of {PAPER_IMAGES:,} images, {steps:,.0f} steps: {of.days():.2f} days")
    if story.papers:
        least, most = (days / of.days() for days in PAPER_DAYS)
        reported = f"{PAPER_DAYS[0]:g} to {PAPER_DAYS[1]:g} days on two {card.title}"
        lines.append(f"the paper reports {reported}, which is {least:.2f} to {most:.2f} times the prediction")
    if story.one_card is not None:
        lines.append(_against_one(of, story.one_card))
    lines.append("the same efficiency against other published timings of that net (newer libraries use a card better than those of 2014):")
    return lines + [f"  {_error(timing, predicted)}" for timing, predicted in story.checks]


def document_of(story: Story) -> dict[str, Any]:
    """The prediction for `--json`. Times are in seconds, sizes in bytes."""
    of = story.prediction
    layers = [
        {"name": layer.name, "devices": layer.devices, "link_s": layer.link, "sent": layer.sent}
        | {key: _pass(getattr(layer, key)) for key in ("forward", "backward", "update")}
        for layer in of.layers
    ]
    document: dict[str, Any] = {
        "card": asdict(of.card),
        "cards": of.cards,
        "batch": of.batch,
        "efficiency": EFFICIENCY,
        "launch_s": LAUNCH,
        "reference": asdict(REFERENCE),
        "layers": layers,
        "forward_s": of.forward,
        "backward_s": of.backward,
        "update_s": of.update,
        "upload_s": of.upload,
        "link_s": of.linked,
        "step_s": of.step,
        "launches": of.launches,
        "memory": story.needs,
    }
    if story.epochs:
        document |= {"epochs": PAPER_EPOCHS, "images": PAPER_IMAGES, "days": of.days()}
    if story.papers:
        document |= {"paper_days": PAPER_DAYS, "paper_over_predicted": [days / of.days() for days in PAPER_DAYS]}
    document["checks"] = [asdict(timing) | {"seconds": timing.seconds, "predicted": predicted} for timing, predicted in story.checks]
    if story.one_card is not None:
        document |= {"one_card_step_s": story.one_card.step, "two_over_one": of.step / story.one_card.step}
    return document


def _pass(each: Pass) -> dict[str, Any]:
    return {
        "seconds": each.seconds,
        "limit": each.limit,
        "kernels": len(each.kernels),
        "operations": each.operations,
        "bytes": each.nbytes,
    }


def _table(of: Prediction) -> list[str]:
    lines = [_line(layers, len(layers) == 2) for layers in _halves(of.layers)]
    widths = [max(len(line[i]) for line in (HEAD, *lines)) for i in range(len(HEAD))]
    left = [i for i, name in enumerate(HEAD) if name in ("layer", "by")]

    def text(line: Sequence[str]) -> str:
        cells = (line[i].ljust(widths[i]) if i in left else line[i].rjust(widths[i]) for i in range(len(HEAD)))
        return "  ".join(cells).rstrip()

    return [text(HEAD), *map(text, lines)]


def _halves(layers: Sequence[LayerTime]) -> Iterator[tuple[LayerTime, ...]]:
    """The layers in order; the two halves of a layer together if both are predicted to take the same time on their own card."""
    i = 0
    while i < len(layers):
        a, *b = layers[i : i + 2]
        same = b and a.tower == 0 and b[0].tower == 1 and layer_of(a.name) == layer_of(b[0].name) and a.devices != b[0].devices
        found = (a, *b) if same and (a.forward, a.backward) == (b[0].forward, b[0].backward) else (a,)
        yield found
        i += len(found)


def _line(layers: Sequence[LayerTime], both: bool) -> tuple[str, ...]:
    """The cells of one line: times on one card; operations and bytes of all passes, on one card too."""
    one = layers[0]
    passes = (one.forward, one.backward, one.update)
    operations, sizes = sum(each.operations for each in passes), sum(each.nbytes for each in passes)
    return (
        f"{one.name},b" if both else one.name,
        _ms(one.forward.seconds),
        one.forward.limit,
        _ms(one.backward.seconds),
        one.backward.limit,
        _ms(one.update.seconds),
        _ms(2 * one.link),
        f"{operations / 1e9:.1f}" if operations >= 5e7 else ".",
        f"{sizes / 1e6:.0f}" if sizes else ".",
    )


def _ms(seconds: float) -> str:
    """Milliseconds of about three digits; `.` for none."""
    if not seconds:
        return "."
    return f"{seconds * 1e3:.2f}" if seconds < 0.1 else f"{seconds * 1e3:.0f}"


def _link(of: Prediction) -> str:
    return f"{of.card.link / 1e9:.4g} GB/s from card to card" + ("" if of.card.direct else " through the host, one copy there and one back")


def _memory(story: Story) -> Iterator[str]:
    memory = story.prediction.card.memory
    for device, needed in story.needs.items():
        fits = "fits into" if needed <= memory else "does not fit into"
        yield f"memory: a step needs {bytes_in_words(needed)} on {device}, which {fits} {bytes_in_words(memory)}"


def _against_one(two: Prediction, one: Prediction) -> str:
    ratio = two.step / one.step
    less = f"{abs(1 - ratio):.1%} {'less' if ratio < 1 else 'more'} time"
    return (
        f"the paper's net for one card, with half of the filters (footnote 2): {_ms(one.step)} ms a step; "
        f'the net on two cards takes {less} (the paper: "slightly less time to train than the one-GPU net")'
    )


def _in_words(timing: Timing) -> str:
    return f"one pass each way of {timing.net} at batch {timing.batch} with {timing.software} on a {CARDS[timing.card].title}"


def _error(timing: Timing, predicted: float) -> str:
    factor = f"{predicted / timing.seconds:.1f} times the published {timing.seconds * 1e3:.0f} ms"
    return f"{timing.software} on a {CARDS[timing.card].title}: predicted {predicted * 1e3:.0f} ms, {factor}"
