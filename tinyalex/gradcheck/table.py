"""The cases of the gradient check: every layer, with the settings in which mistakes are likely.

A layer with a setting `algorithm` has a list of geometries. Each geometry is checked with the plain functions first, and then with
every other row of `tinyalex.fast.table` that fits it. The inputs are small, so that every element of every tensor can be checked. On
a default `CpuDevice` such a small batch is one block on one thread. On `CpuDevice(small=0, cache=1)` every image is a block, so the
sums over blocks and the work of several threads are checked too.
"""

from __future__ import annotations

from tinyalex.gradcheck.after import AFTER_ALEXNET
from tinyalex.gradcheck.builders import (
    Case,
    exchange,
    geometry,
    of_each_row,
    of_layer,
    of_loss,
    of_network,
    of_squared_error,
    of_towers,
    one_pair,
    straight,
    two_pairs,
)
from tinyalex.gradcheck.check import NETWORK_STEPS

ACTIVATIONS = [
    of_layer("ReLU", "images", (2, 3, 4, 5)),
    of_layer("ReLU", "features, N=1", (1, 7)),
    of_layer("Tanh", "plain", (2, 3, 4, 5)),
    of_layer("Tanh", "a 1.7159, b 2/3", (3, 11), 1.7159, 2 / 3),
    of_layer("Tanh", "a and b negative", (3, 11), -1.5, -0.5),
    of_layer("Tanh", "N=1", (1, 7)),
    of_layer("AbsTanh", "plain", (2, 3, 4, 5)),
    of_layer("AbsTanh", "a 3, b -0.5", (3, 11), 3.0, -0.5),
    of_layer("AbsTanh", "N=1", (1, 7)),
    of_layer("Sigmoid", "images", (2, 3, 4, 5)),
    of_layer("Sigmoid", "features, N=1", (1, 7)),
]

# The rows with columns compute dx with turned weights if the stride is 1 and 2 K <= 3 C, otherwise by col2im. "lines" computes no dx.
CONVOLUTIONS = of_each_row(
    "Conv2d",
    geometry("3x3", (2, 3, 5, 4), 3, 2, 3, padding=1),
    geometry("more filters than channels", (2, 2, 5, 6), 2, 5, 3, padding=1),
    geometry("kernel 1", (2, 3, 3, 4), 3, 4, 1),
    geometry("kernel 1, stride 2, groups 2", (2, 4, 5, 3), 4, 6, 1, stride=2, groups=2),
    geometry("kernel 2x3, N=1", (1, 3, 4, 6), 3, 2, (2, 3)),
    geometry("kernel 2x4, N=1", (1, 2, 6, 5), 2, 3, (2, 4)),
    geometry("kernel 3x2, stride 2x1", (2, 2, 6, 4), 2, 3, (3, 2), stride=(2, 1)),
    geometry("stride does not divide", (2, 2, 8, 6), 2, 3, 3, stride=3),
    geometry("stride above the kernel", (2, 2, 7, 8), 2, 3, 2, stride=3),
    geometry("ceil", (1, 2, 6, 8), 2, 3, 3, stride=2, ceil_mode=True),
    geometry("padding same, even kernel", (2, 3, 4, 5), 3, 2, (4, 2), padding="same"),
    geometry("padding same, stride 2", (2, 2, 5, 4), 2, 3, 3, stride=2, padding="same"),
    geometry("padding on four sides", (2, 3, 4, 5), 3, 2, 3, padding=(0, 2, 1, 2)),
    geometry("padding above kernel - 1", (2, 2, 3, 4), 2, 3, 3, padding=(5, 1, 0, 3)),
    geometry("5x5, groups 2", (1, 4, 5, 6), 4, 2, 5, padding=2, groups=2),
    geometry("groups 2, fewer filters", (1, 6, 4, 5), 6, 4, 3, padding=1, groups=2),
    geometry("stride 2, groups 2", (2, 4, 5, 6), 4, 2, 3, stride=2, padding=1, groups=2),
    geometry("stride 2x1, groups 2", (1, 4, 7, 5), 4, 6, (3, 2), stride=(2, 1), groups=2),
    geometry("stride 1x3, padding on four sides", (2, 2, 5, 9), 2, 3, (2, 5), stride=(1, 3), padding=(0, 1, 3, 1)),
    geometry("a single line of output", (2, 2, 3, 6), 2, 3, 3),
    geometry("tiles that reach beyond the edge", (1, 1, 9, 11), 1, 2, 3, padding=(0, 2, 1, 2)),
    geometry("tiles of two sizes, groups 2", (1, 4, 9, 7), 4, 2, 3, padding=1, groups=2),
    geometry("lines cut tile by tile", (1, 1, 2, 37), 1, 1, 3, padding=1),
    geometry("17 images", (17, 1, 3, 2), 1, 2, 3, padding=1),
    geometry("no bias", (3, 4, 5, 6), 4, 6, 3, padding=1, groups=2, bias=False),
    geometry("no bias, no input gradient", (2, 2, 7, 5), 2, 4, 3, stride=2, bias=False, input_gradient=False),
    geometry("no input gradient", (2, 2, 4, 5), 2, 3, 3, input_gradient=False),
    geometry("no input gradient, N=1", (1, 2, 6, 5), 2, 3, 3, padding=1, input_gradient=False),
    geometry("no input gradient, padding 1", (3, 2, 5, 4), 2, 3, 3, padding=1, input_gradient=False),
    geometry("no input gradient, 17 lines, N=1", (1, 1, 19, 3), 1, 2, 3, input_gradient=False),
    geometry(
        "no input gradient, stride 3x2, padding on four sides, groups 2",
        (2, 4, 7, 5),
        4,
        6,
        (4, 3),
        stride=(3, 2),
        padding=(0, 2, 1, 3),
        groups=2,
        ceil_mode=True,
        input_gradient=False,
    ),  # fmt: skip
)

LOCALS = [
    of_layer("LocallyConnected2d", "height unlike width", (2, 2, 4, 5), 2, 2, 3, in_size=(4, 5)),
    of_layer("LocallyConnected2d", "padding 1, N=1", (1, 2, 3, 4), 2, 2, 3, in_size=(3, 4), padding=1),
    of_layer("LocallyConnected2d", "stride does not divide", (3, 2, 6, 5), 2, 2, (3, 2), in_size=(6, 5), stride=2),
    of_layer("LocallyConnected2d", "padding same, stride 2", (2, 1, 4, 5), 1, 2, 3, in_size=(4, 5), stride=2, padding="same"),
    of_layer("LocallyConnected2d", "padding on four sides", (2, 1, 3, 3), 1, 2, 2, in_size=3, padding=(0, 2, 1, 0)),
    of_layer("LocallyConnected2d", "ceil", (2, 2, 4, 6), 2, 2, 3, in_size=(4, 6), stride=2, ceil_mode=True),
    of_layer("LocallyConnected2d", "no input gradient", (2, 2, 3, 4), 2, 2, 2, in_size=(3, 4), input_gradient=False),
]

POOLED = (
    geometry("overlap", (2, 2, 7, 5), 3, stride=2),
    geometry("stride does not divide", (2, 2, 6, 8), 3, stride=2),
    geometry("ceil", (2, 2, 6, 8), 3, stride=2, ceil_mode=True),
    geometry("padding 1", (2, 2, 5, 6), 3, stride=2, padding=1),
    geometry("padding on four sides", (2, 2, 4, 5), 3, stride=1, padding=(0, 2, 1, 0)),
    geometry("padding same, kernel 2x3", (1, 3, 5, 4), (2, 3), stride=(1, 2), padding="same"),
    geometry("gaps between windows", (2, 2, 7, 8), 2, stride=3),
    geometry("N=1", (1, 3, 7, 5), 3, stride=2),
)
TIED = (
    geometry("ties, overlap", (2, 3, 7, 6), 3, stride=2, tied=True),
    geometry("ties, padding 1", (2, 3, 5, 6), 3, stride=2, padding=1, tied=True),
)
COUNTED = (
    geometry("padding counts", (2, 2, 5, 6), 3, stride=1, padding=1, count_padding=True),
    geometry("padding counts, cells beyond do not", (2, 2, 5, 6), 4, stride=2, padding=1, ceil_mode=True, count_padding=True),
    geometry("padding of four sides counts, N=1", (1, 2, 4, 5), 3, stride=2, padding=(0, 2, 1, 0), count_padding=True),
)
POOLS = [*of_each_row("MaxPool2d", *POOLED, *TIED), *of_each_row("AvgPool2d", *POOLED, *COUNTED)]

NORMALIZATIONS = [  # with alpha 1e-4 the cross-channel term is only about 1e-4 of the gradient; with alpha 1 it is large
    of_layer("LocalResponseNorm", "paper's constants", (2, 7, 2, 3)),
    of_layer("LocalResponseNorm", "alpha 1", (2, 7, 2, 3), alpha=1.0),
    of_layer("LocalResponseNorm", "even n", (2, 7, 2, 3), 4, alpha=1.0),
    of_layer("LocalResponseNorm", "n above channels, N=1", (1, 3, 3, 2), 9, alpha=1.0),
    of_layer("LocalResponseNorm", "n 1", (2, 3, 2, 3), 1, alpha=1.0),
    of_layer("LocalResponseNorm", "groups 2", (2, 8, 2, 3), alpha=1.0, groups=2),
    of_layer("LocalResponseNorm", "even n, groups 2", (2, 8, 2, 3), 4, alpha=1.0, groups=2),
    of_layer("LocalResponseNorm", "alpha over n", (2, 7, 2, 3), alpha=1.0, alpha_over_n=True),
    of_layer("LocalResponseNorm", "beta 0.5, k 1", (2, 7, 2, 3), k=1.0, alpha=1.0, beta=0.5),
    of_layer("SpatialResponseNorm", "default constants", (2, 2, 4, 5)),
    of_layer("SpatialResponseNorm", "alpha 1", (2, 2, 4, 5), alpha=1.0),
    of_layer("SpatialResponseNorm", "even n", (2, 2, 5, 6), 4, alpha=1.0),
    of_layer("SpatialResponseNorm", "alpha not over area", (2, 2, 4, 5), alpha=1.0, alpha_over_area=False),
    of_layer("SpatialResponseNorm", "n above the image, N=1", (1, 2, 2, 3), 7, alpha=1.0),
    of_layer("SpatialResponseNorm", "beta 0.5", (2, 2, 4, 5), alpha=1.0, beta=0.5),
    of_layer("LocalContrastNorm", "kernel 3", (2, 3, 5, 4), 3, steps=NETWORK_STEPS),
    of_layer("LocalContrastNorm", "kernel 5, one channel", (2, 1, 6, 7), 5, steps=NETWORK_STEPS),
    of_layer("LocalContrastNorm", "kernel 9 above the image, N=1", (1, 3, 4, 5), steps=NETWORK_STEPS),
    of_layer("LocalContrastNorm", "sigma 3", (2, 2, 5, 4), 5, 3.0, steps=NETWORK_STEPS),
]

FULLY_CONNECTED = [
    *of_each_row(
        "Linear",
        geometry("wide to narrow", (3, 11), 11, 4),
        geometry("narrow to wide, N=1", (1, 4), 4, 11),
        geometry("17 images", (17, 3), 3, 5),
        geometry("no input gradient", (3, 5), 5, 4, input_gradient=False),
        geometry("groups 2", (3, 6), 6, 4, groups=2),
        geometry("groups 3, N=1", (1, 6), 6, 9, groups=3),
    ),
    of_layer("Flatten", "images", (2, 3, 2, 4)),
    of_layer("Flatten", "N=1", (1, 3, 2, 4)),
    of_layer("Dropout", "scale test", (3, 11), seed=3),
    of_layer("Dropout", "scale train", (3, 11), seed=3, scale="train"),
    of_layer("Dropout", "images, p 0.2", (2, 3, 4, 5), 0.2, seed=3, scale="train"),
    of_layer("Dropout", "second half of a layer", (3, 11), seed=3, part=(1, 2)),
    of_layer("Dropout", "N=1", (1, 11), seed=3),
    of_loss("logits near 1", (4, 5), 1.0),
    of_loss("logits near 1e4", (4, 5), 1e4),
    of_loss("two classes, N=1", (1, 2), 1.0),
    of_squared_error("targets of their own", (4, 5)),
    of_squared_error("N=1", (1, 3)),
]

TOWERS = [
    of_towers("Split", "straight to Gather", straight),
    of_towers("Split", "N=1", straight, n=1),
    of_towers("Gather", "halves of unlike width", one_pair),
    of_towers("Gather", "N=1", one_pair, n=1),
    of_towers("Pair", "two in a row", two_pairs),
    of_towers("Pair", "N=1", two_pairs, n=1),
    of_towers("Exchange", "between two pairs", exchange),
    of_towers("Exchange", "N=1", exchange, n=1),
]

NETWORKS = [
    of_network(
        "Figure 1 in small",
        (2, 2, 9, 8),
        [
            ("Conv2d", 2, 3, 3, {"padding": 1, "algorithm": "lines", "input_gradient": False}),
            ("MaxPool2d", 3, {"stride": 2, "ceil_mode": True}),
            ("ReLU", {}),
            ("Conv2d", 3, 4, 3, {"padding": 1}),
            ("ReLU", {}),
            ("AvgPool2d", 3, {"stride": 2, "ceil_mode": True}),
            ("Flatten", {}),
            ("Linear", 16, 3, {}),
        ],
    ),
    of_network(
        "pooling of images that are CHWN in memory",
        (3, 1, 6, 9),
        [
            ("Conv2d", 1, 3, 2, {"padding": 1, "algorithm": "lines", "input_gradient": False}),
            ("MaxPool2d", (3, 4), {"stride": (1, 2), "padding": (2, 1, 0, 3), "ceil_mode": True}),
            ("MaxPool2d", 2, {"stride": 3}),
            ("Flatten", {}),
            ("Linear", 18, 3, {}),
        ],
    ),
    of_network(
        "AlexNet in small",
        (2, 2, 15, 13),
        [
            ("Conv2d", 2, 4, 3, {"stride": 2}),
            ("ReLU", {}),
            ("LocalResponseNorm", {"alpha": 1.0, "groups": 2}),
            ("MaxPool2d", 3, {"stride": 2}),
            ("Conv2d", 4, 4, 3, {"padding": 1, "groups": 2}),
            ("ReLU", {}),
            ("MaxPool2d", 2, {"stride": 1}),
            ("Flatten", {}),
            ("Linear", 8, 6, {}),
            ("ReLU", {}),
            ("Dropout", {"seed": 1}),
            ("Linear", 6, 3, {}),
        ],
    ),
    of_network(
        "tanh, dropout and sigmoid",
        (3, 6),
        [("Linear", 6, 5, {}), ("Tanh", {}), ("Dropout", {"scale": "train"}), ("Linear", 5, 4, {}), ("Sigmoid", {}), ("Linear", 4, 3, {})],
    ),
]

CASES: tuple[Case, ...] = (
    *ACTIVATIONS,
    *CONVOLUTIONS,
    *LOCALS,
    *POOLS,
    *NORMALIZATIONS,
    *FULLY_CONNECTED,
    *TOWERS,
    *NETWORKS,
    *AFTER_ALEXNET,
)
