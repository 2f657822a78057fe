"""The counts of a network as text: one line for each layer, the totals, and the counts in the paper that are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tinyalex.analysis.count import Row, totals
from tinyalex.analysis.figures import PAPER_BATCH, by_layer, figures
from tinyalex.analysis.receptive import Field
from tinyalex.errors import show_pair
from tinyalex.layers import Sequential
from tinyalex.layers.facts import elements
from tinyalex.shown import layer_of, show_shape
from tinyalex.units import bytes_in_words

PAPER_PARAMETERS = 60_965_224
PAPER_CONV1 = 253_440  # neurons of conv1 according to the paper's Figure 2
FEW = 6  # layers that a sentence names one by one
HEAD = (
    "layer",
    "output",
    "kernel",
    "stride",
    "padding",
    "field",
    "jump",
    "parameters",
    "%",
    "MACs",
    "connections",
    "output B",
    "cache B",
    "to other B",
    "device",
)


Window = tuple[str, str, str]  # kernel, stride and padding in words


def windows_in(net: Sequential) -> dict[str, Window]:
    """Kernel, stride and padding of every layer that slides a window, by the layer's name.

    Example
    -------
    >>> from tinyalex.models import figure1_net
    >>> windows_in(figure1_net())["conv1"]
    ('5', '1', '2')
    """
    sliding: list[Any] = [layer for layer in net.leaves() if hasattr(layer, "kernel_size") and hasattr(layer, "stride")]
    return {each.name: (show_pair(each.kernel_size), show_pair(each.stride), _show_padding(each.padding)) for each in sliding}


def _show_padding(padding: Any) -> str:
    """`2` if all four sides are equal, else such as `0,1,0,1` for top, bottom, left and right; or "same" or "valid"."""
    if isinstance(padding, str):
        return padding
    return str(padding[0]) if len(set(padding)) == 1 else ",".join(map(str, padding))


def table(net: Sequential, rows: Sequence[Row], fields: Mapping[str, Field], batch: int = 1) -> list[str]:
    """The lines of the table. The two halves of a layer share a line, and bytes are those of `batch` images.

    A layer inside of `Branches` is indented, behind the number of its path.
    """
    every, windows = totals(rows), windows_in(net)
    lines = [_line(halves, fields, batch, every.parameters, windows) for halves in together(rows)]
    lines.append(
        ("total", "", "", "", "", "", "", _number(every.parameters), "100", _number(every.macs), _number(every.connections))
        + tuple(_number(batch * n) for n in (every.activation_bytes, every.cache_bytes, every.forward_bytes))
        + ("",)
    )
    widths = [max(len(line[i]) for line in (HEAD, *lines)) for i in range(len(HEAD))]

    def text(line: Sequence[str]) -> str:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        for i in (0, 1, -1):
            cells[i] = line[i].ljust(widths[i])
        return "  ".join(cells).rstrip()

    return [text(HEAD), *map(text, lines)]


def together(rows: Sequence[Row]) -> Iterator[tuple[Row, ...]]:
    """The rows in tuples: two rows if they are the two halves of a layer, else one row."""
    i = 0
    while i < len(rows):
        a, b = rows[i], rows[i + 1] if i + 1 < len(rows) else None
        halves = b is not None and (a.tower, b.tower) == (0, 1) and layer_of(a.name) == layer_of(b.name) and a.out_shape == b.out_shape
        found = (a, b) if halves and b is not None else (a,)
        yield found
        i += len(found)


def _line(halves: tuple[Row, ...], fields: Mapping[str, Field], batch: int, whole: int, windows: Mapping[str, Window]) -> tuple[str, ...]:
    row, sums = halves[0], totals(halves)
    field = fields.get(row.name)
    name = row.name if len(halves) == 1 else f"{row.name},b"
    name = f"{'   ' * len(row.path)}{row.path[-1]}: {name}" if row.path else name
    shape = show_shape(row.out_shape) if len(halves) == 1 else f"2 x {show_shape(row.out_shape)}"
    size = "" if field is None else show_pair(field.size)
    jump = "" if field is None or field.grid == (1, 1) else show_pair(field.jump)
    share = f"{100 * sums.parameters / whole:.3f}" if sums.parameters else "."
    numbers = [sums.macs, sums.connections]
    numbers += [batch * nbytes for nbytes in (sums.activation_bytes, sums.cache_bytes, sums.forward_bytes)]
    devices = list(dict.fromkeys(part for half in halves for part in half.device.split(" + ")))
    return (
        name,
        shape,
        *windows.get(row.name, ("", "", "")),
        size,
        jump,
        _number(sums.parameters),
        share,
        *map(_number, numbers),
        " + ".join(devices),
    )



def _number(n: int) -> str:
    return f"{n:,}" if n else "."


def notes(rows: Sequence[Row], batch: int = 1) -> list[str]:
    """The totals in words; for the paper's net also the counts in the paper that are wrong."""
    every, these = totals(rows), figures(rows, batch if batch > 1 else PAPER_BATCH)
    lines = [
        f"{every.parameters:,} parameters, {bytes_in_words(these.parameter_bytes)} as float32: "
        f"{every.weights:,} weights and {every.biases:,} biases",
        f"{every.macs:,} multiply-adds (MACs), {these.flops / 1e9:.4g} GFLOP, and {every.connections:,} connections an image forward",
        f"{every.neurons:,} neurons: the units of the layers with weights",
    ]
    parameters, macs = these.convolutions
    if macs:
        lines.append(
            f"convolutions hold {parameters:,} of the parameters, {parameters / every.parameters:.2%}, "
            f"and do {macs:,} of the MACs, {macs / every.macs:.1%}"
        )
    lines.append(
        f"an image has {these.image_numbers:,} elements; with the outputs of all layers, activation functions and dropout in place, "
        f"{bytes_in_words(these.blob_bytes)}, and {bytes_in_words(these.batch_blob_bytes)} for a batch of {these.batch}"
    )
    if these.comparisons:
        compared = ", ".join(f"{n:,} elements in {name}" for name, n in these.comparisons.items())
        if len(these.comparisons) > FEW:
            compared = f"{sum(these.comparisons.values()):,} elements in {len(these.comparisons)} layers"
        lines.append(f"max pooling compares {compared}")
    if every.forward_bytes:
        links = ", ".join(f"{row.name} {row.forward_bytes:,}" for row in rows if row.forward_bytes)
        forward, in_all = bytes_in_words(these.sent_forward), bytes_in_words(these.sent_in_all)
        whole = 2 * these.parameter_bytes  # each of two whole nets sends all of its gradients
        lines.append(f"{every.forward_bytes:,} bytes an image go between the devices in forward ({links}), and as many in backward")
        lines.append(
            f"a batch of {these.batch} sends {these.sent_forward:,} bytes ({forward}) forward, {these.sent_in_all:,} "
            f"({in_all}) forward and backward, both devices together; two whole nets, each with half of the images, would each send "
            f"all gradients, {these.parameter_bytes:,} bytes, so {whole:,} together, {whole / these.sent_in_all:.2f} times as many"
        )
        own = own_channels(rows)
        if own:
            more = every.forward_bytes + sum(own.values())
            lines.append(
                f"{', '.join(own)} read only the channels of their own tower, which sends 0 bytes; "
                f"if they read both towers, all links would send {more:,} bytes, {more / every.forward_bytes:.2f} times as many"
            )
    else:
        lines.append("0 bytes go between devices")
    if batch > 1:
        lines.append(f"bytes in the table are for a batch of {batch}")
    if every.parameters == PAPER_PARAMETERS and every.neurons == 659_272:
        lines += slips(rows)
    return lines


def own_channels(rows: Sequence[Row]) -> dict[str, int]:
    """The layers that read only their own tower, and for each the bytes an image that a link in front of it would send."""
    own: dict[str, int] = {}
    linked = {0: True, 1: True}  # for each tower, whether its value has the channels of both towers
    for row in rows:
        if row.tower is None:
            linked = {0: True, 1: True}
        elif row.weights:
            if not linked[row.tower]:
                name = layer_of(row.name)
                own[name] = own.get(name, 0) + elements(row.in_shape) * row.activation_bytes // elements(row.out_shape)
            linked[row.tower] = False
    return own


def slips(rows: Sequence[Row]) -> list[str]:
    """Sentences about numbers in the paper that are not those of its net."""
    neurons, shares = by_layer(rows, "neurons"), figures(rows).shares
    convolutions = sum(n for name, n in neurons.items() if name.startswith("conv"))
    large = ", ".join(f"{name} {share:.2%}" for name, share in shares.items() if name.startswith("conv") and share > 0.01)
    slip = sum(neurons.values()) - neurons["conv1"] + PAPER_CONV1
    return [
        f"the paper's Figure 2 gives {PAPER_CONV1:,} neurons to conv1, that is 55 * 48 * 96; 55 * 55 * 96 is {neurons['conv1']:,}, "
        f"and its abstract's 650,000 fits the {convolutions:,} of all convolutions; with the slip the whole net would have {slip:,}",
        f'the paper says that each convolution holds "no more than 1%" of the parameters; of this net\'s {large}',
    ]
