"""The memory that a step is said to need, against what a simulated card counts."""

from __future__ import annotations

import math
from functools import partial
from itertools import repeat

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng
from tinyalex.analysis.memory import _last, largest_batch, training_needs
from tinyalex.devices.dry import DryDevice
from tinyalex.devices.sim import SimDevice
from tinyalex.errors import OutOfMemory, ShapeError
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models import alexnet, figure1_net
from tinyalex.optim import SGD
from tinyalex.towers import Exchange, Gather, Pair, Split

SMALL = {"width": 1 / 8, "num_classes": 10, "input_size": 67}


class OneImageAtATime(SimDevice):
    """A card that gives a block no more than it must."""

    def block_size(self, n, nbytes):
        return 1 if nbytes else n


class InTurns(OneImageAtATime):
    """A card of both towers that itself decides which of them computes, so that nothing depends on when the system runs a thread.

    In each call of `at_once` one tower computes until it has made some number of arrays, then the other one computes to its end, and
    then the first goes on. So the other computes while the first holds as much as it does at that moment.

    Parameters
    ----------
    stops: for each call the number of arrays. turned: whether tower b is the one that stops.

    Attributes
    ----------
    most: for each call the number of arrays after which the card held the most, if the first tower never stopped.
    """

    def __init__(self, stops, turned=False):
        self.stops, self.turned, self.held, self.most = iter(stops), turned, [], []
        self.stop = self.other = None
        super().__init__(0)

    def take(self, block):
        super().take(block)
        self.held.append(self.used)
        if len(self.held) == self.stop:
            self.other()

    def at_once(self, left, right):
        (first, second), results = (right, left) if self.turned else (left, right), []
        self.held, self.stop, self.other = [], next(self.stops), lambda: results.append(second())
        if self.stop == 0:
            self.other()
        own = first()
        self.most.append(int(np.argmax([0, *self.held])))
        if not results:
            self.other()
        self.stop = self.other = None  # which holds the halves
        return (results[0], own) if self.turned else (own, results[0])


def peaks_of_a_step(net, batch):
    devices = dict.fromkeys(leaf.device for leaf in net.leaves())
    x = np.random.default_rng(0).standard_normal((batch, *net.in_shape)).astype(np.float32)
    sgd = SGD(net)
    if len(devices) == 1 and not any(isinstance(leaf, Split) for leaf in net.leaves()):
        x = net.device.asarray(x)
    for device in devices:
        device.peak = device.used
    loss = SoftmaxCrossEntropy(device=net["fc8"].device)
    loss.forward(net.forward(x, train=True), np.zeros(batch, np.int64), train=True)
    net.backward(loss.backward())
    del sgd
    return {device.name: device.peak for device in devices}


@pytest.mark.parametrize("variant", ["paper", "authors"])
@pytest.mark.parametrize("towers", [1, 2])
def test_peak_of_a_real_step(variant, towers):
    batch = 16
    real = peaks_of_a_step(alexnet(variant, towers, devices=[OneImageAtATime(i) for i in range(towers)], **SMALL), batch)
    needs = training_needs(alexnet(variant, towers, devices=[DryDevice(f"sim:{i}", "sim") for i in range(towers)], **SMALL), batch)
    assert needs.keys() == real.keys()
    for name, peak in real.items():
        assert peak <= needs[name].peak <= 1.05 * peak
        assert sum(needs[name].parts.values()) == needs[name].peak


def test_parameters_gradients_and_velocities_are_apart():
    (need,) = training_needs(alexnet(devices=DryDevice("card", "cuda")), 128).values()
    assert [need.parts[kind] for kind in ("parameters", "gradients", "velocities")] == [4 * 60_965_224] * 3
    assert need.parts["input"] == 2 * 128 * 224 * 224 * 3 * 4  # this batch and the next one
    assert need.at == "backward of fc6"  # whose gradient the plain function makes in an array of its own


def test_nothing_is_left_but_the_peak():
    (need,) = training_needs(alexnet(devices=DryDevice(), **SMALL), 2).values()
    assert set(need.now.values()) == {0}


def test_workers_need_scratch_of_their_own():
    one, four = (training_needs(alexnet(devices=DryDevice(), **SMALL), 16, workers=w)["cpu"] for w in (1, 4))
    assert one.peak < four.peak


@pytest.mark.parametrize("towers", [1, 2])
def test_largest_batch_is_the_last_that_fits(towers):
    net = alexnet(towers=towers, devices=[DryDevice(f"card {i}", stands_for="sim") for i in range(towers)])
    batch = largest_batch(net, 3 * 2**30)

    def peak(n):
        return max(need.peak for need in training_needs(net, n).values())

    assert peak(batch) <= 3 * 2**30 < peak(batch + 1)


@pytest.mark.parametrize("towers", [1, 2])
def test_largest_batch_trains_on_a_simulated_card_and_a_tenth_more_does_not(towers):
    memory = 9_000_000
    batch = largest_batch(alexnet(towers=towers, devices=[DryDevice(f"card {i}", "sim") for i in range(towers)], **SMALL), memory)
    peaks_of_a_step(alexnet(towers=towers, devices=[SimDevice(i, memory) for i in range(towers)], **SMALL), batch)
    text = r"^\w+\d[ab]?\w*: sim:\d: an array of [\d,]+ bytes does not fit, [\d,]+ of 9,000,000 bytes are left"
    with pytest.raises(OutOfMemory, match=text):
        peaks_of_a_step(alexnet(towers=towers, devices=[SimDevice(i, memory) for i in range(towers)], **SMALL), batch + batch // 10)


def test_card_too_small_for_one_image():
    assert largest_batch(alexnet(devices=DryDevice()), 2**20) == 0


def test_bad_settings_raise():
    net = alexnet(devices=DryDevice(), **SMALL)
    with refuses(ShapeError, "memory: batch must be an integer of at least 1, got 0"):
        training_needs(net, 0)
    with refuses(ShapeError, "memory: workers must be an integer of at least 1, got -3"):
        training_needs(net, 1, workers=-3)
    for memory in ("3GiB", None, float("nan")):
        with refuses(ShapeError, f"memory: bytes of a card must be an integer of at least 1, got {memory!r}"):
            largest_batch(net, memory)


def test_peak_of_a_real_step_of_the_figure_1_net():
    net = figure1_net("relu", "fan-in", device=OneImageAtATime(0))
    real = net.device
    x = real.asarray(np.random.default_rng(0).standard_normal((64, 3, 32, 32)).astype(np.float32))
    sgd, loss = SGD(net), SoftmaxCrossEntropy(device=real)
    real.peak = real.used
    loss.forward(net.forward(x, train=True), np.zeros(64, np.int64), train=True)
    net.backward(loss.backward())
    del sgd
    (need,) = training_needs(figure1_net("relu", "fan-in", device=DryDevice("sim:0", stands_for="sim")), 64).values()
    assert real.peak <= need.peak <= 1.1 * real.peak


def linked(kind, a, b):
    """A net whose link is where it needs the most memory."""
    both, features = {"devices": (a, b)}, 6 * 16 * 16

    def pair(name, layer, **settings):
        return Pair(layer(device=a, name=f"{name}a", **settings), layer(device=b, name=f"{name}b", **settings), name=name)

    layers = [Split(**both), pair("relu", ta.ReLU)]
    if kind == "exchange":
        layers += [Exchange(**both), pair("norm", ta.LocalResponseNorm), pair("pool", partial(ta.MaxPool2d, 8))]
        features = 12 * 2 * 2
    last = ta.Linear(features, 3, rng=rng(), device=a, name="fc8")
    return ta.Sequential([*layers, Gather(**both), ta.Flatten(device=a), last], in_shape=(3, 16, 16))


@pytest.mark.parametrize("kind", ["exchange", "gather"])
def test_links_of_towers_are_counted_on_the_card_that_holds_them(kind):
    real = peaks_of_a_step(linked(kind, OneImageAtATime(0), OneImageAtATime(1)), 8)
    needs = training_needs(linked(kind, DryDevice("sim:0", "sim"), DryDevice("sim:1", "sim")), 8)
    assert needs.keys() == real.keys()
    for name, peak in real.items():
        assert peak <= needs[name].peak <= 1.13 * peak


def small_alexnet(a, b):
    return alexnet(towers=2, devices=[a, b], **SMALL)


@pytest.mark.parametrize(
    ("make", "batch", "at"),
    [
        (partial(linked, "exchange"), 8, "backward of poola and backward of poolb"),
        (partial(linked, "gather"), 8, "backward of fc8"),
        (small_alexnet, 3, "backward of conv1a and backward of conv1b"),
    ],
    ids=["exchange", "gather", "alexnet"],
)
def test_both_towers_on_one_card_are_counted_for_every_order_of_their_threads(make, batch, at, monkeypatch):
    def peak_of(stops, turned=False):
        card = InTurns(stops, turned)
        monkeypatch.setattr("tinyalex.towers.pair.at_once", card.at_once)
        return peaks_of_a_step(make(card, card), batch)["sim:0"], card.most

    one_after_the_other, most = peak_of(repeat(math.inf))
    worst = peak_of(most)[0]  # one tower stops where it needs the most, and the other one computes then
    orders = [one_after_the_other, *(peak_of(repeat(stop), turned)[0] for stop in (0, 1, 5, 25) for turned in (False, True))]
    (need,) = training_needs(make(*[DryDevice("sim:0", "sim")] * 2), batch).values()
    assert max(orders) <= worst <= need.peak <= 1.05 * worst
    assert need.at == at and sum(need.parts.values()) == need.peak


@pytest.mark.parametrize("last", [0, 1, 2, 3, 7, 8, 9, 1000])
def test_last_number_that_fits_is_found(last):
    asked = []
    assert _last(lambda n: asked.append(n) or n <= last) == last
    assert len(asked) <= 3 * last.bit_length() + 2


def test_moment_of_the_peak_is_named():
    a, b = DryDevice("a", "sim"), DryDevice("b", "sim")
    assert [need.at for need in training_needs(linked("exchange", a, b), 8).values()] == ["backward of poola", "forward of poolb"]
    assert [need.at for need in training_needs(linked("gather", a, b), 8).values()] == ["backward of fc8", "backward of relub"]


def test_gradient_of_flattened_maps_is_there_while_the_layer_in_front_of_them_works():
    def net(device):
        conv = ta.Conv2d(6, 6, 3, padding=1, rng=rng(), device=device, name="conv1")
        last = ta.Linear(6 * 16 * 16, 3, rng=rng(), device=device, name="fc8")
        return ta.Sequential([conv, ta.Flatten(device=device), last], in_shape=(6, 16, 16))

    (peak,) = peaks_of_a_step(net(OneImageAtATime(0)), 2).values()
    (need,) = training_needs(net(DryDevice("sim:0", "sim")), 2).values()
    assert need.at == "backward of conv1" and peak <= need.peak <= 1.02 * peak


@pytest.mark.parametrize("towers", [1, 2])
def test_card_holds_the_next_batch_too(towers):
    sim, cuda = (
        training_needs(alexnet(towers=towers, devices=[DryDevice(f"card {i}", kind) for i in range(towers)], **SMALL), 5)
        for kind in ("sim", "cuda")
    )
    more = [cuda[name].peak - need.peak for name, need in sim.items()]
    assert more == [5 * 3 * SMALL["input_size"] ** 2 * 4] * towers  # each card has its copy from the host


def test_batch_whose_peak_is_exactly_the_memory_fits():
    net = alexnet(devices=DryDevice("card", "sim"), **SMALL)
    peak = training_needs(net, 5)["card"].peak
    assert (largest_batch(net, peak), largest_batch(net, peak - 1)) == (5, 4)


@pytest.mark.parametrize(("names", "outputs"), [(("a", "a"), {"a": 4}), (("a", "b"), {"a": 4, "b": 1})], ids=["one card", "two cards"])
def test_gather_holds_both_halves_and_the_whole_and_brings_a_half_only_from_another_card(names, outputs):
    devices = {name: DryDevice(name, "sim") for name in names}
    a, b = both = tuple(devices[name] for name in names)
    halves = (ta.Conv2d(3, 16, 1, input_gradient=False, device=at, rng=rng(), name=f"conv1{i}") for at, i in zip(both, "ab", strict=True))
    layers = [Split(both, input_gradient=False), Pair(*halves, name="conv1"), Gather(both, name="whole")]
    layers += [ta.MaxPool2d(16, device=a), ta.Flatten(device=a), ta.Linear(32, 3, device=a, rng=rng(), name="fc8")]
    needs = training_needs(ta.Sequential(layers, in_shape=(3, 16, 16)), 8)
    half = 8 * 16 * 16 * 16 * 4
    assert {name: need.parts["outputs"] for name, need in needs.items()} == {name: n * half for name, n in outputs.items()}
    assert needs["a"].at == "forward of whole"


@pytest.mark.parametrize(("names", "gradients"), [(("a", "a"), {"a": 6}), (("a", "b"), {"a": 4, "b": 4})], ids=["one card", "two cards"])
def test_exchange_brings_the_gradient_of_a_half_only_from_another_card(names, gradients):
    devices = {name: DryDevice(name, "sim") for name in names}
    a, b = both = tuple(devices[name] for name in names)

    def pair(name, make):
        return Pair(*(make(name=f"{name}{i}", device=at) for at, i in zip(both, "ab", strict=True)), name=name)

    conv = partial(ta.Conv2d, 3, 16, 1, input_gradient=False, rng=rng())
    layers = [Split(both, input_gradient=False), pair("conv1", conv), pair("relu1", ta.ReLU), Exchange(both, name="link")]
    layers += [pair("pool1", partial(ta.AvgPool2d, 16)), Gather(both), ta.Flatten(device=a), ta.Linear(64, 3, device=a, rng=rng())]
    needs = training_needs(ta.Sequential(layers, in_shape=(3, 16, 16)), 32)
    half, dlogits = 32 * 16 * 16 * 16 * 4, {"a": 32 * 3 * 4}
    assert {name: need.at for name, need in needs.items()} == dict.fromkeys(names, "backward of link")
    expected = {name: n * half + dlogits.get(name, 0) for name, n in gradients.items()}
    assert {name: need.parts["gradients of outputs"] for name, need in needs.items()} == expected


def test_loss_makes_two_arrays_and_frees_them_before_the_first_layer_computes_its_gradient():
    (need,) = training_needs(ta.Sequential([ta.Linear(3, 50, rng=rng(), device=DryDevice(), name="fc8")], in_shape=(3,)), 1000).values()
    logits = 4 * 1000 * 50
    assert need.at == "forward of fc8"
    assert [need.parts[kind] for kind in ("outputs", "caches", "gradients of outputs")] == [logits, 2 * logits, logits]


def test_net_inside_a_net_needs_what_its_layers_need():
    def layers(device):
        yield ta.Conv2d(6, 6, 3, padding=1, rng=rng(), device=device, name="conv1")
        yield ta.Flatten(device=device)
        yield ta.Linear(6 * 16 * 16, 3, rng=rng(), device=device, name="fc8")

    first, *others = layers(DryDevice())
    flat, nested = (ta.Sequential(net, in_shape=(6, 16, 16)) for net in ([*layers(DryDevice())], [first, ta.Sequential(others)]))
    (one,), (other,) = (training_needs(net, 2).values() for net in (flat, nested))
    assert one.at == other.at == "backward of conv1" and one.parts == other.parts


def test_forward_of_a_convolution_needs_less_working_memory_than_its_backward():
    a, b = both = DryDevice("a", "sim"), DryDevice("b", "sim")
    convs = (ta.Conv2d(3, 16, 3, input_gradient=False, rng=rng(), device=at, name=f"conv1{at.name}") for at in both)
    pools = (ta.AvgPool2d(14, device=at, name=f"pool1{at.name}") for at in both)
    layers = [Split(both, input_gradient=False), Pair(*convs, name="conv1"), Pair(*pools, name="pool1"), Gather(both)]
    layers += [ta.Flatten(device=a), ta.Linear(32, 3, device=a, rng=rng(), name="fc8")]
    need = training_needs(ta.Sequential(layers, in_shape=(3, 16, 16)), 1)["b"]
    assert need.at == "backward of conv1b"  # apart from that both take as much: the input, the output or its gradient


def branching(device, kind):
    def conv(k, size=3, **settings):
        return ta.Conv2d(k, size, padding=size // 2, device=device, **settings)

    where = {"device": device}
    inner = [conv(8, bias=False), ta.BatchNorm2d(**where), ta.ReLU(**where), conv(8)]
    if kind == "residual":
        middle = ta.Branches([inner, []], ta.Sum(**where))
    elif kind == "inception":
        middle = ta.Branches([[conv(4, 1)], inner, [ta.MaxPool2d(3, stride=1, padding=1, **where), conv(4, 1)]], ta.Concat(**where))
    elif kind == "scaled":
        middle = ta.Branches([[], [*inner, ta.Scale(0.2, **where)]], ta.Sum(**where))
    elif kind == "shortcut":
        path = [conv(16, stride=2), ta.ReLU(**where), conv(16)]
        middle = ta.Branches([path, [ta.ZeroShortcut(16, stride=2, **where)]], ta.Sum(**where))
    else:
        gate = [ta.GlobalAvgPool2d(**where), ta.Linear(8, **where), ta.Sigmoid(**where)]
        middle = ta.Branches([[], gate], ta.Product(**where))
    head = [ta.GlobalAvgPool2d(**where), ta.Linear(10, name="fc8", **where)]
    return ta.Sequential([conv(8), ta.ReLU(**where), middle, ta.ReLU(**where), conv(8), *head], in_shape=(3, 24, 24))


@pytest.mark.parametrize("kind", ["residual", "inception", "squeeze", "scaled", "shortcut"])
def test_peak_of_a_real_step_of_paths_that_meet(kind):
    (real,) = peaks_of_a_step(branching(OneImageAtATime(0), kind), 32).values()
    (need,) = training_needs(branching(DryDevice("sim:0", "sim"), kind), 32).values()
    assert real <= need.peak <= 1.1 * real
