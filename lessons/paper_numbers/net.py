"""What the engine counts in the paper's net: kernels, sizes, neurons, parameters, links. Nothing is run, so all of it takes a second.

`options` are those of `tinyalex.models.alexnet`, such as half=True for the net of footnote 2.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from tinyalex.analysis import Row, count, receptive_fields
from tinyalex.analysis.card import plan_cards
from tinyalex.analysis.inside import last_hidden
from tinyalex.devices.dry import DryDevice
from tinyalex.layers import Conv2d, Flatten, Layer, Linear, LocallyConnected2d, MaxPool2d, ReLU, Sequential
from tinyalex.models import figure1_net
from tinyalex.models.options import alexnet
from tinyalex.models.variants import VARIANTS

CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5")
BATCH = 128


@cache
def net(variant: str = "paper", towers: int = 1, **options: Any) -> Sequential:
    """AlexNet without values, on one dry device or two."""
    places = [DryDevice(f"card {at}") for at in range(towers)]
    return alexnet(variant, towers, devices=places, **options)


@cache
def _rows(towers: int = 1, **options: Any) -> tuple[Row, ...]:
    return tuple(count(net("paper", towers, **options)))


def _row(name: str, towers: int = 1, **options: Any) -> Row:
    return next(row for row in _rows(towers, **options) if row.name == name)


def _leaf(name: str, **options: Any) -> Layer:
    return next(leaf for leaf in net(**options).leaves() if leaf.name == name)


def _with_weights(**options: Any) -> list[Row]:
    return [row for row in _rows(**options) if row.weights]


def image() -> tuple[int, ...]:
    """The shape of the image, (H, W, C) as the paper writes it."""
    c, h, w = _rows()[0].in_shape
    return h, w, c


def input_elements() -> int:
    """How many numbers an image is."""
    return math.prod(image())


def neurons(*names: str) -> int:
    """The outputs of these layers with weights, together."""
    return sum(_row(name).neurons for name in names)


def parameters(*names: str, **options: Any) -> int:
    """Weights and biases of these layers, or of the whole net."""
    return sum(row.parameters for row in _rows(**options) if not names or row.name in names)


def share_of_parameters(*names: str) -> float:
    """The largest share of the net's parameters that one of these layers has, in percent."""
    return 100 * max(parameters(name) for name in names) / parameters()


def layers(kind: str = "") -> int:
    """How many layers have weights: all of them, or those of a class, such as "Conv2d"."""
    return sum(kind in ("", row.kind) for row in _with_weights())


def convolutions(**options: Any) -> int:
    """How many convolutions the net has."""
    return sum(row.convolves for row in _with_weights(**options))


def classes() -> int:
    """How many logits the net gives for an image."""
    return math.prod(_rows()[-1].out_shape)


def kernels(name: str) -> int:
    """How many kernels a convolution has."""
    return len(net().params[f"{name}.weight"])


def kernel_size(name: str) -> tuple[int, ...]:
    """Height, width and channels of a kernel."""
    _, channels, height, width = net().params[f"{name}.weight"].shape
    return height, width, channels


def units(*names: str) -> tuple[int, ...]:
    """How many units each of these fully connected layers has."""
    return tuple(len(net().params[f"{name}.weight"]) for name in names)


def stride(name: str) -> tuple[int, ...]:
    """The distance in pixels of the image between the receptive fields of two neighboring units, in both directions."""
    return receptive_fields(net())[name].jump


def side(name: str) -> int:
    """The height of the maps that a layer gives."""
    return int(_row(name).out_shape[1])


def half_maps(name: str, card: str = "a") -> int:
    """How many maps of a convolution are on one of the two cards, "a" or "b"."""
    return int(_row(name + card, towers=2).out_shape[0])


def slip_of_conv1() -> int:
    """The height of conv1's maps times the maps of one half times all maps: a map for a line."""
    return side("conv1") * half_maps("conv1") * kernels("conv1")


def neurons_with_the_slip() -> int:
    """The neurons of all layers, if conv1 had as many as the slip says."""
    return sum(row.neurons for row in _with_weights()) - neurons("conv1") + slip_of_conv1()


def rounded_down() -> int:
    """The side of conv1's maps where the count of windows is rounded down."""
    conv1 = _leaf("conv1")
    assert isinstance(conv1, Conv2d)
    layer = Conv2d(3, 2, conv1.kernel_size, stride=conv1.stride, device=DryDevice())
    return int(layer.output_shape((3, *image()[:2]))[1])


def own_half() -> tuple[int, ...]:
    """Which convolutions, counted from 1, read only the maps on their own card."""
    return tuple(at for at, name in enumerate(CONVOLUTIONS, 1) if kernel_size(name)[2] == _inputs(name) // 2)


def reads_all() -> tuple[int, ...]:
    """Which convolutions, counted from 1, read all maps of the convolution before them."""
    return tuple(at for at, name in enumerate(CONVOLUTIONS, 1) if at > 1 and kernel_size(name)[2] == _inputs(name))


def _inputs(name: str) -> int:
    return int(_row(name).in_shape[0])


def followed_by(kind: str) -> tuple[int, ...]:
    """After which layers with weights, counted from 1, a layer of a class such as "MaxPool2d" comes before the next weights."""
    seen, found = 0, []
    for row in _rows():
        seen += row.weights > 0
        if row.kind == kind:
            found.append(seen)
    return tuple(found)


def last_followed_by(kind: str) -> int:
    """The last of the layers that `followed_by` gives."""
    return followed_by(kind)[-1]


def dropped() -> int:
    """How many fully connected layers, from the first one on, are followed by dropout."""
    return sum(at - layers("Conv2d") == place for place, at in enumerate(followed_by("Dropout"), 1))


def cards() -> int:
    """On how many cards the net with towers lies."""
    return len({leaf.device.name for leaf in net("paper", VARIANTS["paper"].towers).leaves()})


def on_one_card() -> tuple[float, ...]:
    """The share of the kernels or units of conv1 to fc7 that lies on one card, layer by layer."""
    names = [row.name for row in _with_weights()][:-1]
    return tuple(_row(f"{name}a", towers=2).out_shape[0] / _row(name).out_shape[0] for name in names)


def readers_of_the_image() -> int:
    """How many layers with weights read the image, where each card's half counts as a layer."""
    return sum(row.weights > 0 and row.in_shape == _row("conv1").in_shape for row in _rows(towers=2))


def memory(towers: int) -> float:
    """The bytes that the program of 2012 held for a batch of 128, on the fuller card, by our count of its arrays."""
    return float(sum(plan_cards(lambda places: alexnet("paper", towers, devices=places), towers, 3 * 2**30, BATCH).kept_2012.values()))


def gib_of_memory(towers: int) -> float:
    """The same in GiB."""
    return memory(towers) / 2**30


def macs() -> int:
    """The multiplications for one image, each with an addition."""
    return sum(row.macs for row in _rows())


def half_as_many(*names: str) -> tuple[float, ...]:
    """The kernels of these convolutions in the net of footnote 2, divided by those of the paper's net."""
    return tuple(len(net(half=True).params[f"{name}.weight"]) / kernels(name) for name in names)


def size_of_the_half_net() -> float:
    """The parameters of the net of footnote 2, divided by those of the paper's net."""
    return parameters(half=True) / parameters()


def work_of_the_half_net() -> float:
    """The multiplications of the net of footnote 2, in percent of those of the paper's net."""
    return 100 * sum(row.macs for row in _rows(half=True)) / macs()


def without_overlap() -> tuple[int, ...]:
    """s and z of all windows with s = z for which the three poolings give maps of the paper's sides. Counts are rounded down."""
    own = _pooled_sides(window_of_pooling()[0], step_of_pooling()[0])
    return tuple(value for size in range(1, 4) if _pooled_sides(size, size) == own for value in (size, size))


def first_pooled_side(kernel: int, stride: int) -> int:
    """The side of the maps after the first pooling with such windows."""
    return _pooled_sides(kernel, stride)[0]


def _pooled_sides(kernel: int, stride: int) -> tuple[int, ...]:
    """The sides of the maps after the three poolings, where windows have this size and stride, and counts are rounded down."""
    layer, found = MaxPool2d(kernel, stride=stride, ceil_mode=False), []
    size = side("conv1")
    for _ in followed_by("MaxPool2d"):
        size = int(layer.output_shape((1, size, size))[1])
        found.append(size)
    return tuple(found)


def window_of_pooling() -> tuple[int, ...]:
    """The distinct sizes of the pooling windows in the net: one number, if all have the same size."""
    return _of_pooling("kernel_size")


def step_of_pooling() -> tuple[int, ...]:
    """The distinct strides of the pooling windows in the net."""
    return _of_pooling("stride")


def _of_pooling(setting: str) -> tuple[int, ...]:
    values = {getattr(leaf, setting) for leaf in net().leaves() if isinstance(leaf, MaxPool2d)}
    return tuple(sorted({one for pair in values for one in pair}))


def bits() -> float:
    """How many bits name one class of all."""
    return math.log2(classes())


def last_hidden_units() -> int:
    """How many units the last hidden layer has, whose values are compared in Figure 4."""
    part, _ = last_hidden("numbers", net())
    return math.prod(part.output_shape(_rows()[0].in_shape))


def figure_1_layers() -> int:
    """How many layers of our net of Figure 1 have weights."""
    return sum("weight" in leaf.params for leaf in figure1_net(device=DryDevice()).leaves())


def cifar_layers(classifier: bool = True) -> int:
    """How many layers have weights in the net that the authors published for 13 % (conv-local-13pct); with its last one, or without."""
    return sum("weight" in leaf.params for leaf in _conv_local().leaves()) - (not classifier)


def cifar_parameters() -> int:
    """The parameters of that net."""
    return sum(array.size for array in _conv_local().params.values())


@cache
def _conv_local() -> Sequential:
    made: list[Layer] = [
        Conv2d(64, 5, padding=2, name="conv1"), MaxPool2d(3, stride=2, ceil_mode=True, name="pool1"), ReLU(name="relu1"),
        Conv2d(64, 5, padding=2, name="conv2"), ReLU(name="relu2"), MaxPool2d(3, stride=2, ceil_mode=True, name="pool2"),
        LocallyConnected2d(32, 3, padding=1, name="local3"), ReLU(name="relu3"),
        LocallyConnected2d(32, 3, padding=1, name="local4"), ReLU(name="relu4"),
        Flatten(name="flatten"), Linear(10, name="fc10"),
    ]  # fmt: skip
    return Sequential(made, in_shape=(3, 24, 24), name="conv-local-13pct")
