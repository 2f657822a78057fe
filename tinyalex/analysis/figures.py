"""The sizes that are often quoted about AlexNet, computed from the counts of a network's layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinyalex.analysis.count import Row, totals
from tinyalex.layers.facts import elements
from tinyalex.shown import layer_of

PAPER_BATCH = 128
FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Figures:
    """Sizes of a network; all bytes are those of float32.

    flops: operations of one image in forward, two for each multiply-add.
    parameter_bytes: bytes of all parameters. If two devices each hold a whole net, each sends as many bytes of gradients in a step.
    shares: for each layer with weights, its fraction of all parameters, 0 to 1.
    convolutions: parameters and MACs of all convolutions.
    image_numbers: the number of elements of one image.
    blob_bytes: bytes of the image and of the outputs of all layers, except outputs that may overwrite their input and copies
        to another device.
    comparisons: for each max pooling layer, the elements that it compares; an element counts once for each of its windows.
    batch: the number of images for the fields that follow. batch_blob_bytes: blob_bytes of the batch.
    sent_forward, sent_in_all: bytes that both devices together send, in forward only, and in forward and backward.
    """

    flops: int
    parameter_bytes: int
    shares: dict[str, float]
    convolutions: tuple[int, int]
    image_numbers: int
    blob_bytes: int
    comparisons: dict[str, int]
    batch: int
    batch_blob_bytes: int
    sent_forward: int
    sent_in_all: int


def figures(rows: Sequence[Row], batch: int = PAPER_BATCH) -> Figures:
    """The figures of a network from the rows of `count`; the halves of two towers count as one layer."""
    every, image = totals(rows), elements(rows[0].in_shape)
    parameters, comparisons = by_layer(rows, "parameters"), by_layer(rows, "comparisons")
    convolutions = totals(row for row in rows if row.convolves)
    blobs = FLOAT32 * (image + sum(elements(row.out_shape) for row in rows if row.activation_bytes and not (row.in_place or row.copies)))
    return Figures(
        flops=2 * every.macs,
        parameter_bytes=FLOAT32 * every.parameters,
        shares={name: n / every.parameters for name, n in parameters.items()},
        convolutions=(convolutions.parameters, convolutions.macs),
        image_numbers=image,
        blob_bytes=blobs,
        comparisons=comparisons,
        batch=batch,
        batch_blob_bytes=batch * blobs,
        sent_forward=batch * every.forward_bytes,
        sent_in_all=batch * (every.forward_bytes + every.backward_bytes),
    )


def by_layer(rows: Sequence[Row], quantity: str) -> dict[str, int]:
    """The count `quantity` of each layer by name. The halves of two towers are added; layers whose count is 0 are left out."""
    sums: dict[str, int] = {}
    for row in rows:
        if getattr(row, quantity):
            name = layer_of(row.name)
            sums[name] = sums.get(name, 0) + getattr(row, quantity)
    return sums
