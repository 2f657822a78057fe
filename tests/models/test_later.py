"""The networks after AlexNet: their counts are the published ones, and their gradients are right."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tinyalex.analysis.count import count, totals
from tinyalex.devices.dry import DryDevice
from tinyalex.gradcheck import check_directions
from tinyalex.models.later import (
    LATER,
    build_later,
    densenet as densenets,
    googlenet as googlenets,
    inception_v4 as inception_v4s,
    resnet as resnets,
)  # fmt: skip
from tinyalex.models.later.before import columns, jarrett
from tinyalex.models.later.cifar_resnet import cifar_resnet
from tinyalex.models.later.inception_v3 import auxiliary, module8, module17, module35, to_8, to_17
from tinyalex.models.later.resnet import preactivation
from tinyalex.models.later.rows import WIDTHS, branches, build_net, conv, conv_bn_relu, conv_relu, flat, narrow, outputs, row
from tinyalex.models.later.squeezenet import fire
from tinyalex.models.later.vgg import vgg
from tinyalex.models.later.zfnet import zfnet
from tinyalex.models.rows import Row


@pytest.mark.parametrize("name", LATER)
def test_parameters_and_multiplications_are_those_published(name):
    net = LATER[name]
    counted = totals(count(build_later(name, devices=DryDevice())))
    assert (counted.parameters, counted.macs) == (net.parameters, net.macs)


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_counts_of_the_nets_for_cifar_follow_from_their_table(depth):
    n, places = (depth - 2) // 6, (32 * 32, 16 * 16, 8 * 8)
    weights = [9 * 16 * 16 * 2 * n] + [9 * k * k // 2 + 9 * k * k * (2 * n - 1) for k in (32, 64)]
    normalized = 2 * (16 + 2 * n * (16 + 32 + 64))
    head = 64 * 10
    parameters = 9 * 3 * 16 + sum(weights) + normalized + head + 10
    macs = 9 * 3 * 16 * places[0] + sum(w * p for w, p in zip(weights, places, strict=True)) + head
    projections = [16 * 32, 32 * 64]
    for name in (f"resnet{depth}", f"plain{depth}"):
        assert (LATER[name].parameters, LATER[name].macs) == (parameters, macs)
    projected = sum(w * p for w, p in zip(projections, places[1:], strict=True))
    with_b = (parameters + sum(projections) + 2 * (32 + 64), macs + projected)
    assert (LATER[f"resnet{depth}-b"].parameters, LATER[f"resnet{depth}-b"].macs) == with_b


def test_option_a_lacks_three_projections():
    b, a = LATER["resnet34"], LATER["resnet34-a"]
    weights = [64 * 128, 128 * 256, 256 * 512]
    assert b.parameters - a.parameters == sum(weights) + 2 * (128 + 256 + 512)
    assert b.macs - a.macs == sum(w * side**2 for w, side in zip(weights, (28, 14, 7), strict=True))


def test_counts_of_the_nets_that_the_paper_cites_follow_from_their_tables():
    convolutions = [(300, 27, 30), (300, 1200, 14), (300, 2700, 5), (300, 1200, 2)]  # filters, cells of each, height and width
    linears = [(300, 300), (100, 300), (10, 100)]
    parameters = sum(k * (cells + 1) for k, cells, _ in convolutions) + sum(k * (units + 1) for k, units in linears)
    macs = sum(k * cells * side**2 for k, cells, side in convolutions) + sum(k * units for k, units in linears)
    one, eight, stages = (LATER[name] for name in ("ciresan-column", "ciresan-columns", "jarrett"))
    assert (one.parameters, one.macs) == (parameters, macs) and (eight.parameters, eight.macs) == (8 * parameters, 8 * macs)
    assert stages.parameters == 64 * (81 + 1) + 256 * (16 * 81 + 1) + 102 * (256 * 4 * 4 + 1)
    assert stages.macs == 64 * 81 * 135**2 + 256 * 16 * 81 * 18**2 + 102 * 256 * 4 * 4


def test_lectures_zfnet_differs_in_three_layers():
    paper, lecture = LATER["zfnet"], LATER["zfnet-lecture"]
    weights = {f: [9 * 256 * f[0], 9 * f[0] * f[1], 9 * f[1] * f[2]] for f in ((384, 384, 256), (512, 1024, 512))}
    small, large = weights.values()
    more = sum(large) - sum(small)
    flat_inputs = 36 * 256 * 4096  # pool5 has 512 maps in place of 256, which fc6 reads
    assert lecture.parameters - paper.parameters == more + flat_inputs + (512 + 1024 + 512) - (384 + 384 + 256)
    assert lecture.macs - paper.macs == more * 13 * 13 + flat_inputs


def test_every_name_says_what_it_is():
    origins = [net.origin for net in LATER.values()]
    assert all("https://" in origin and "20" in origin for origin in origins)
    of_resnets = {name: net.origin for name, net in LATER.items() if name.startswith("preresnet") or name in ("resnet18", "resnet34")}
    assert len(set(origins) - set(of_resnets.values())) >= 30


CLASSES = (row("global_pool", "pool"), row("linear", "fc", out_features=3))


def behind_a_convolution(*rows, head=CLASSES):
    return (*conv_bn_relu("conv1", 64, 3), *rows, *head)


def with_heads():
    """GoogLeNet with one module in each part, and its two heads."""
    second = branches("head2", "both", (googlenets.module(conv_relu, 5, "4e"), *CLASSES), googlenets.auxiliary(conv_relu, "aux2", 3))
    first = branches("head1", "both", (googlenets.module(conv_relu, 5, "4b"), second), googlenets.auxiliary(conv_relu, "aux1", 3))
    return behind_a_convolution(row("norm", "norm1", alpha=0.5), googlenets.module(conv_relu, 5, "3a"), first, head=())


def resnet_of(kind, **settings):
    return (*resnets.stem(), *resnets.stages(kind, (1, 1), **settings), *resnets.head(3))


SMALL = {  # the smallest member of each family, or one module of each kind behind a convolution: its rows, and the size of its images
    "zfnet": (lambda: zfnet(3), 64),
    "vgg": (lambda: vgg(11, 3), 32),
    "googlenet, two heads": (with_heads, 8),
    "resnet": (lambda: resnet_of("basic"), 24),
    "resnet, v1": (lambda: resnet_of("bottleneck", first=True), 24),
    "resnet, se": (lambda: resnet_of("bottleneck", se=16), 24),
    "wide resnet": (lambda: resnet_of("bottleneck", wide=2), 24),
    "inception-v3, 35x35": (lambda: behind_a_convolution(module35("a", 32), to_17("b")), 7),
    "inception-v3, 17x17": (lambda: behind_a_convolution(module17("c", 128), to_8("d")), 7),
    "inception-v3, 8x8": (lambda: behind_a_convolution(module8("e")), 4),
    "inception-v3, head": (lambda: behind_a_convolution(branches("f", "both", (to_8("d"), *CLASSES), auxiliary(3)), head=()), 17),
    "inception-v4, stem": (lambda: behind_a_convolution(*inception_v4s.stem()[-3:]), 17),
    "inception-v4, 35x35": (lambda: behind_a_convolution(inception_v4s.uniform35("a")), 5),
    "inception-v4, 17x17": (lambda: behind_a_convolution(inception_v4s.uniform17("b"), inception_v4s.uniform_to_8("c")), 7),
    "inception-v4, 8x8": (lambda: behind_a_convolution(inception_v4s.uniform8("d")), 4),
    "inception-resnet-v2, 35x35": (lambda: behind_a_convolution(
        module35("a", 64, one=96, count_padding=False), *inception_v4s.block35("b"), to_17("c", (256, 256, 384))), 7),
    "inception-resnet-v2, 17x17": (lambda: behind_a_convolution(
        conv("conv2", 1088, 1), *inception_v4s.block17("d"), inception_v4s.residual_to_8("e")), 7),
    "inception-resnet-v2, 8x8": (lambda: behind_a_convolution(
        conv("conv2", 2080, 1), *inception_v4s.block8("f"), *inception_v4s.block8("g", last=True)), 4),
    "densenet": (lambda: densenets.densenet_of((2, 1), 3), 24),
    "squeezenet": (lambda: (*conv_relu("conv1", 64, 3), *fire("fire2", 16, 64), *fire("fire3", 48, 192), *CLASSES), 8),
    "resnet8": (lambda: cifar_resnet(8, 3), 12),
    "resnet8, zeros around": (lambda: around(cifar_resnet(8, 3)), 12),
    "resnet8, option B": (lambda: cifar_resnet(8, 3, option="B"), 12),
    "plain8": (lambda: cifar_resnet(8, 3, plain=True), 12),
    "two columns": (lambda: columns(2, 3), 32),
    "jarrett": (lambda: jarrett(3), 83),
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_right_along_random_directions(name):
    make, size = SMALL[name]
    rows, draw = make(), np.random.default_rng(2)
    net, last = build_net(narrow(rows, 1 / 8), (3, size, size), name, dtype=np.float64, input_gradient=True), list(outputs(rows))
    for key, param in net.params.items():
        if key.endswith("bias"):  # where all inputs of a ReLU are 0, a bias of 0 is at its kink
            param += 0.1 * draw.standard_normal(param.shape)
        if param.ndim == 2:  # the initial weights give nearly equal logits, whose gradients drown in rounding
            param[...] = draw.standard_normal(param.shape)
    heads = [0.3] * (len(last) - 1) if "head" in name else []
    loss = ta.WeightedHeads(heads, dtype=np.float64) if heads else ta.SoftmaxCrossEntropy(dtype=np.float64)
    checks = check_directions(net, loss, values((3, 3, size, size)), np.arange(3))
    assert {check.what for check in checks} >= {"x", *net.params}
    assert [check for check in checks if not check.passed] == []


@pytest.mark.parametrize("depth", [14, 10])
def test_gradients_of_preactivation_are_right(depth, monkeypatch):
    monkeypatch.setitem(resnets.DEPTHS, depth, ("bottleneck" if depth == 14 else "basic", (1, 1)))
    monkeypatch.setitem(SMALL, "preresnet", (lambda: preactivation(depth, 3), 24))
    test_gradients_are_right_along_random_directions("preresnet")


def around(rows):
    """The rows with new channels of zeros on both sides of those of x."""
    def changed(path):
        return tuple(Row(each.kind, each.name, {**each.settings, "zeros": "around"}) if each.kind == "shortcut" else each for each in path)

    return tuple(each.having(paths=tuple(map(changed, each["paths"]))) if each.kind == "branches" else each for each in rows)


def test_width_scales_all_layers_but_those_that_give_the_classes():
    for name in ("resnet20", "squeezenet1.0", "googlenet-heads", "ciresan-columns"):
        whole, half = LATER[name].rows(7), narrow(LATER[name].rows(7), 0.5)
        last = set(outputs(whole))
        assert len(last) == {"googlenet-heads": 3, "ciresan-columns": 8}.get(name, 1)
        for before, after in zip(flat(whole), flat(half), strict=True):
            key = WIDTHS.get(before.kind)
            assert key is None or after[key] == (7 if before.name in last else before[key] // 2)


def test_net_computes_no_gradient_of_its_images_unless_asked():
    for name in ("resnet20", "ciresan-columns"):
        x, dout = values((2, 3, 32, 32), dtype=np.float32), values((2, 10), dtype=np.float32)
        for wanted in (False, True):
            net = build_later(name, width=1 / 16, input_gradient=wanted)
            net.forward(x, train=True)
            assert (net.backward(dout) is not None) == wanted


def test_bad_settings_raise():
    with refuses(ta.ShapeError, "net: NAME must be one of zfnet, "):
        build_later("resnet21")
    with refuses(ta.ShapeError, "resnet18: towers must be 1, got 2"):
        build_later("resnet18", towers=2)
    with refuses(ta.ShapeError, "resnet18: width must be a number above 0 and at most 4, got 0"):
        build_later("resnet18", width=0)
    told = "(reduce_b.3x3: input height with padding must be at least 3, the kernel's, got 2)"
    with refuses(ta.ShapeError, f"inception-v4: input_size must be at least 75, got 60 {told}"):
        build_later("inception-v4", input_size=60, devices=DryDevice())
    assert build_later("squeezenet1.1", input_size=25, devices=DryDevice()).shapes[-1] == (1000,)
    with refuses(ta.ShapeError, "squeezenet1.1: input_size must be at least 25, got 24 ("):
        build_later("squeezenet1.1", input_size=24, devices=DryDevice())


@pytest.mark.parametrize("paths", [((), (row("relu", "r"),)), ((conv("a", 3, 3),), ()), ((conv("a", 3, 3),), (conv("b", 3, 3),))])
def test_a_net_may_begin_with_paths(paths):
    net = build_net((branches("sum", "sum", *paths),), (3, 8, 8), "net")
    x = np.ones((2, 3, 8, 8), np.float32)
    gradient = net.backward(net.forward(x, train=True))
    assert (gradient is None) == all(path and path[0].kind == "conv" for path in paths)
