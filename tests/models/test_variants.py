"""Every cell of the table of variants, found again in the networks that are built from it."""

from functools import lru_cache

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.init import Uniform
from tinyalex.models import VARIANTS, alexnet, as_built, differences
from tinyalex.models.rows import parameters, weight_shapes
from tinyalex.models.variants import LAYERS

COLUMNS = ("paper", "authors", "caffe", "caffenet", "torchvision")


@lru_cache
def net(variant):
    """A quarter of the width: enough weights to tell 0.005 from 0.01."""
    return alexnet(variant, width=1 / 4)


def shapes_of_weights(variant, input_size=None):
    built = as_built(variant, input_size=input_size)
    return weight_shapes(built.rows, (3, built.input_size, built.input_size))


def between(variant, first, last=None):
    """The kinds of layers from `first` up to `last`, both left out."""
    names = [leaf.name for leaf in net(variant).leaves()]
    leaves = list(net(variant).leaves())[names.index(first) + 1 : None if last is None else names.index(last)]
    return " ".join(type(leaf).__name__ for leaf in leaves)


def of_layers(attribute):
    return lambda variant: [getattr(net(variant)[layer], attribute) for layer in LAYERS[:5]]


def norms(variant):
    return [leaf for leaf in net(variant).leaves() if isinstance(leaf, ta.LocalResponseNorm)]


def pools(variant):
    return [leaf for leaf in net(variant).leaves() if isinstance(leaf, ta.MaxPool2d)]


def deviations(variant):
    return [float(net(variant).params[f"{layer}.weight"].std()) for layer in LAYERS]


def biases(variant):
    return [np.unique(net(variant).params[f"{layer}.bias"]).tolist() for layer in LAYERS]


def pytorch_bound(layer):
    weight = net("torchvision").params[f"{layer}.weight"]
    return 1 / np.sqrt(weight[0].size)


def published(images, crops):
    found = (f"ILSVRC-{images}", crops)
    return lambda variant: [(errors.top1, errors.top5) for errors in VARIANTS[variant].published if (errors.images, errors.crops) == found]


CENTER = published("2012 validation", "center crop")
RELU_NORM_POOL, RELU_POOL = "ReLU LocalResponseNorm MaxPool2d", "ReLU MaxPool2d"
RELU_POOL_NORM, FC = "ReLU MaxPool2d LocalResponseNorm", "ReLU Dropout"
BIAS_1 = [[0], [1], [0], [1], [1], [1], [1], [0]]
BIAS_01 = [[0], [np.float32(0.1)], [0], [np.float32(0.1)], [np.float32(0.1)], [np.float32(0.1)], [np.float32(0.1)], [0]]
GROUPED = [(96, 3, 11, 11), (256, 48, 5, 5), (384, 256, 3, 3), (384, 192, 3, 3), (256, 192, 3, 3)]
WHOLE = [(64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3)]
ROWS = {
    "input size": (lambda v: net(v).in_shape[1], 224, 224, 227, 227, 224),
    "height and width": (lambda v: [s[1] for s in net(v).shapes if len(s) == 3 and s[1] == 55][:1], *[[55]] * 5),
    "after pooling": (lambda v: [p.output_shape((1, n, n))[1] for p, n in zip(pools(v), (55, 27, 13), strict=True)], *[[27, 13, 6]] * 5),
    "weights of the convolutions": (lambda v: [shapes_of_weights(v)[layer] for layer in LAYERS[:5]], *[GROUPED] * 4, WHOLE),
    "weights of fc6 to fc8": (lambda v: [shapes_of_weights(v)[n] for n in LAYERS[5:]], *[[(4096, 9216), (4096, 4096), (1000, 4096)]] * 5),
    "groups": (of_layers("groups"), *[[1, 2, 1, 2, 2]] * 4, [1] * 5),
    "stride": (of_layers("stride"), *[[(4, 4), *[(1, 1)] * 4]] * 5),
    "padding": (lambda v: [p[0] for p in of_layers("padding")(v)], *[[0, 2, 1, 1, 1]] * 4, [2, 2, 1, 1, 1]),
    "padding is the same on each side": (lambda v: {len(set(p)) for p in of_layers("padding")(v)}, *[{1}] * 5),
    "ceil in convolutions": (of_layers("ceil_mode"), *[[True, *[False] * 4]] * 2, *[[False] * 5] * 3),
    "pool": (lambda v: [(p.name, p.kernel_size, p.stride) for p in pools(v)], *[[(f"pool{i}", (3, 3), (2, 2)) for i in (1, 2, 5)]] * 5),
    "ceil in pools": (lambda v: [p.ceil_mode for p in pools(v)], *[[True] * 3] * 4, [False] * 3),
    "stage 1": (lambda v: between(v, "conv1", "conv2"),
                RELU_NORM_POOL, "LocalResponseNorm MaxPool2d ReLU", RELU_NORM_POOL, RELU_POOL_NORM, RELU_POOL),
    "stage 2": (lambda v: between(v, "conv2", "conv3"),
                RELU_NORM_POOL, "ReLU LocalResponseNorm SpatialResponseNorm MaxPool2d", RELU_NORM_POOL, RELU_POOL_NORM, RELU_POOL),
    "stages 3 and 4": (lambda v: [between(v, "conv3", "conv4"), between(v, "conv4", "conv5")], *[["ReLU", "ReLU"]] * 5),
    "stage 5": (lambda v: between(v, "conv5", "flatten5"), RELU_POOL, "MaxPool2d ReLU", *[RELU_POOL] * 3),
    "before fc6": (lambda v: between(v, "flatten5", "fc6"), *[""] * 4, "Dropout"),
    "between fc6 and fc7": (lambda v: between(v, "fc6", "fc7"), *[FC] * 5),
    "between fc7 and fc8": (lambda v: between(v, "fc7", "fc8"), *[FC] * 4, "ReLU"),
    "after fc8": (lambda v: between(v, "fc8"), *[""] * 5),
    "dropout": (lambda v: [(net(v)[n].p, net(v)[n].scale) for n in ("drop6", "drop7")],
                *[[(0.5, "test")] * 2] * 2, *[[(0.5, "train")] * 2] * 3),
    "n of norm": (lambda v: [norm.n for norm in norms(v)], *[[5, 5]] * 4, []),
    "k of norm": (lambda v: [norm.k for norm in norms(v)], [2, 2], [2, 2], [1, 1], [1, 1], []),
    "factor of each square in norm": (lambda v: [norm.alpha_each for norm in norms(v)], [1e-4] * 2, *[[1e-4 / 5] * 2] * 3, []),
    "beta of norm": (lambda v: [norm.beta for norm in norms(v)], *[[0.75, 0.75]] * 4, []),
    "groups of norm": (lambda v: [norm.groups for norm in norms(v)], [2, 2], [2, 2], [1, 1], [1, 1], []),
    "norm within a channel": (lambda v: [(n.n, n.k, n.factor, n.beta) for n in net(v).leaves() if isinstance(n, ta.SpatialResponseNorm)],
                              [], [(5, 1, 1e-3 / 25, 0.75)], [], [], []),
    "initial biases": (lambda v: biases(v) if v != "torchvision" else None, BIAS_1, BIAS_1, BIAS_01, BIAS_1, None),
    "factors of bias rate and decay": (lambda v: VARIANTS[v].multipliers["*.bias"], (1, 1), (2, 0), (2, 0), (2, 0), (1, 1)),
    "batch size": (lambda v: VARIANTS[v].batch_size, 128, 128, 256, 256, None),
    "published errors, 2010, ten crops": (published("2010 test", "ten crops"), [(37.5, 17.0)], [(37.4727, 16.9987)], [], [], []),
    "published errors, 2010, center": (published("2010 test", "center crop"), [(39.0, 18.3)], [(39.0247, 18.2953)], [], [], []),
    "published errors, 2012, ten crops": (published("2012 validation", "ten crops"), [(40.7, 18.2)], [(40.664, 18.21)], [], [], []),
    "published accuracy, 2012, center": (lambda v: [(round(100 - a, 1), round(100 - b, 1)) for a, b in CENTER(v)],
                                           [], [], [(57.1, 80.2)], [(57.4, 80.4)], [(56.5, 79.1)]),
    "parameters": (lambda v: parameters(VARIANTS[v].rows, net(v).in_shape), *[60_965_224] * 4, 61_100_840),
}  # fmt: skip


@pytest.mark.parametrize("column", range(5), ids=COLUMNS)
@pytest.mark.parametrize("row", ROWS)
def test_cell(row, column):
    found, *expected = ROWS[row]
    assert len(expected) == 5
    assert found(COLUMNS[column]) == expected[column]


def test_table_has_these_columns():
    assert tuple(VARIANTS) == COLUMNS


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("paper", [0.01] * 8),
        ("authors", [0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01]),
        ("caffe", [0.01] * 5 + [0.005, 0.005, 0.01]),
        ("caffenet", [0.01] * 5 + [0.005, 0.005, 0.01]),
    ],
)
def test_initial_weights_have_the_standard_deviation(variant, expected):
    assert deviations(variant) == pytest.approx(expected, rel=0.05)
    assert all(abs(net(variant).params[f"{layer}.weight"].mean()) < 0.001 for layer in LAYERS)


def test_torchvisions_initial_values_are_pytorchs():
    for layer in LAYERS:
        bound, weight, bias = pytorch_bound(layer), net("torchvision").params[f"{layer}.weight"], net("torchvision").params[f"{layer}.bias"]
        assert 0.98 * bound < np.abs(weight).max() <= bound and 0.7 * bound < np.abs(bias).max() <= bound
        assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)


def test_multipliers_are_for_sgd():
    sgd = ta.SGD(net("authors"), lr=0.1, weight_decay=0.1, multipliers=VARIANTS["authors"].multipliers)
    before = net("authors").params["fc8.bias"].copy(), net("authors").params["fc8.weight"].copy()
    sgd.step()
    assert np.array_equal(net("authors").params["fc8.bias"], before[0])  # no decay
    assert not np.array_equal(net("authors").params["fc8.weight"], before[1])
    net.cache_clear()


def test_only_paper_and_authors_are_for_two_towers():
    assert {name: variant.towers for name, variant in VARIANTS.items()} == dict(zip(COLUMNS, (2, 2, 1, 1, 1), strict=True))


def test_differences_name_every_field_that_differs():
    assert differences("paper") == []
    assert differences("authors") == [
        "after conv1: norm, pool, relu (paper: relu, norm, pool)",
        "after conv2: relu, norm, rnorm, pool (paper: relu, norm, pool)",
        "after conv5: pool, relu (paper: relu, pool)",
        "alpha divided by n in response normalization: yes (paper: no)",
        "normalization within a channel, (n, k, alpha, beta), alpha divided by n^2: 5, 1.0, 0.001, 0.75 (paper: none)",
        "standard deviation of the initial weights: conv3 0.03, conv4 0.03, conv5 0.03 (paper: conv3 0.01, conv4 0.01, conv5 0.01)",
        "learning rate of biases, times: 2.0 (paper: 1.0)",
        "weight decay of biases, times: 0.0 (paper: 1.0)",
    ]
    assert differences("caffenet", of="caffe") == [
        "after conv1: relu, pool, norm (caffe: relu, norm, pool)",
        "after conv2: relu, pool, norm (caffe: relu, norm, pool)",
        "initial biases: conv2 1, conv4 1, conv5 1, fc6 1, fc7 1 (caffe: conv2 0.1, conv4 0.1, conv5 0.1, fc6 0.1, fc7 0.1)",
    ]
    assert [len(differences(name)) for name in ("caffe", "torchvision")] == [11, 16]
    adaptive = "left out here: average pooling to 6x6 in front of fc6; images of 224 pixels give 6x6 without it (paper: none)"
    assert adaptive in differences("torchvision")


def test_what_is_left_out_of_torchvisions_is_felt_at_other_sizes_alone():
    assert [shapes_of_weights("torchvision", size)["fc6"][1] for size in (224, 256)] == [9_216, 12_544]


def test_unknown_variant_raises():
    text = "variant must be paper, authors, caffe, caffenet or torchvision, got 'resnet'"
    with refuses(ta.ShapeError, f"alexnet: {text}"):
        alexnet("resnet")
    with refuses(ta.ShapeError, f"differences: {text}"):
        differences("resnet")


def test_uniform_stays_inside_its_bound():
    drawn = Uniform(0.5)((1000,), np.random.default_rng(0))
    assert drawn.dtype == np.float32 and -0.5 <= drawn.min() < -0.49 and 0.49 < drawn.max() <= 0.5
