"""The working memory of a layer's blocks, estimated: what `map_blocks` is asked for, and the arrays beside it."""

from __future__ import annotations

from tinyalex.analysis.count import elements
from tinyalex.analysis.walk import Visit
from tinyalex.devices.cpu import CACHE, SHARES
from tinyalex.geometry import Windows
from tinyalex.layers import Conv2d, FirstConv2d, Linear, LocallyConnected2d, MaxPool2d
from tinyalex.layers.mosaic import mosaic_of
from tinyalex.layers.strips import lines_at_once


def scratch_bytes(at: Visit, batch: int, backward: bool, workers: int | None) -> int:
    """Bytes of working memory of a layer: with `workers`, of the blocks they work on together; else of one image's."""
    if workers is not None and isinstance(at.layer, Conv2d):
        windows = at.layer.windows(at.in_shape)
        algorithm = at.layer.chosen(windows, batch)
        if algorithm == "winograd":
            return _winograd(at.layer, windows, batch, backward, workers)
        if algorithm == "strips" and not (backward and at.layer.gives_dx):
            return _strips(at.layer, windows, batch, workers)
    if isinstance(at.layer, FirstConv2d) and batch >= at.layer.least_images:
        return _first(at.layer, at.layer.windows(at.in_shape), batch, workers)
    image, sums = _of_image(at, backward)
    if workers is None:
        return image + 2 * sums
    images = max(1, min(CACHE // image if image else batch, -(-batch // SHARES)))
    blocks = min(workers, -(-batch // images))
    return blocks * (images * image + sums) + sums


def _first(layer: FirstConv2d, windows: Windows, batch: int, workers: int | None) -> int:
    """As `scratch_bytes`, for blocks of lines of all images: the shifts of what they see."""
    (kh, _), (sh, _), oh, line = layer.kernel_size, layer.stride, windows.out[0], layer.line_bytes(windows, batch)
    sums = 2 * (layer.params["weight"].size + layer.out_channels * kh) * layer.dtype.itemsize
    lines = 1 if workers is None else max(1, min(CACHE // line, -(-2 * oh // SHARES)))
    return (workers or 1) * ((lines * sh + kh - sh) * (line // sh) + sums) + sums


def _strips(layer: Conv2d, windows: Windows, batch: int, workers: int) -> int:
    """As `scratch_bytes`, for blocks of lines of one image."""
    item, oh = layer.dtype.itemsize, windows.out[0]
    lines, sums = lines_at_once(windows, layer.in_channels, item), (layer.params["weight"].size + layer.out_channels) * item
    return min(workers, batch * -(-oh // lines)) * (_columns(layer.in_channels, windows) * item * lines // oh + sums) + sums


def _winograd(layer: Conv2d, windows: Windows, batch: int, backward: bool, workers: int) -> int:
    """As `scratch_bytes`, with the transformed weights and, backward, their gradients."""
    mosaic, item, weight = mosaic_of(windows), layer.dtype.itemsize, layer.params["weight"].size
    channels, filters = layer.in_channels * layer.stride[0] * layer.stride[1], layer.out_channels  # of phases
    images = mosaic.block_size(batch, channels * filters // layer.groups**2)
    block = mosaic.block_bytes(images, channels, filters, item)
    transformed = mosaic.places * channels * filters // layer.groups * item
    blocks = min(workers, -(-batch // images))
    if not backward:
        return blocks * block + transformed + weight * item
    return blocks * (block + transformed + weight * item) + weight * item


def _of_image(at: Visit, backward: bool) -> tuple[int, int]:
    """Bytes for a block of one image, and of the sum that blocks return."""
    layer = at.layer
    if isinstance(layer, Conv2d):
        return _conv(layer, layer.windows(at.in_shape), backward)
    if isinstance(layer, LocallyConnected2d):
        columns = _columns(layer.in_channels, layer.windows) * layer.dtype.itemsize
        return columns + elements(at.out_shape) * layer.dtype.itemsize, 0
    if isinstance(layer, MaxPool2d):
        windows = layer.windows(at.in_shape)
        numbers = at.in_shape[0] * windows.sheet[1] * (windows.sheet[0] + windows.out[0])  # of the sheet, then of its lines
        return numbers * 2 * (layer.dtype.itemsize + 1), 0  # themselves and their maxima, with a byte each for places
    if isinstance(layer, Linear):
        return (layer.in_features + layer.out_features) * layer.dtype.itemsize, 0
    return 3 * elements(at.in_shape) * layer.dtype.itemsize, 0


def _columns(channels: int, windows: Windows) -> int:
    """Numbers that `im2col` makes of one image: the sheet, its shifts along the rows, the columns."""
    (height, width), (oh, ow), (kh, kw) = windows.sheet, windows.out, windows.kernel
    return channels * (height * width + kw * height * ow + kh * kw * oh * ow)


def _conv(layer: Conv2d, windows: Windows, backward: bool) -> tuple[int, int]:
    item, (h, w), (oh, ow) = layer.dtype.itemsize, windows.size, windows.out
    columns, wide = _columns(layer.in_channels, windows), layer.out_channels * oh * ow
    if not backward:
        return (columns + wide) * item, 0
    return (columns + wide + layer.in_channels * h * w) * item, layer.params["weight"].size * item
