"""Two towers: both at once, the links between them, and what passes over them."""

import threading

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tests.places import card
from tinyalex.devices.sim import SimDevice
from tinyalex.gradcheck import check_layer
from tinyalex.layers import Layer
from tinyalex.towers import Exchange, Gather, Pair, Split

F64 = {"dtype": np.float64}
PLACES = ["cpu:0,cpu:1", "cpu,cpu", "sim:0,sim:1", "sim:0,sim:0"]
every_place = pytest.mark.parametrize("places", PLACES)


def two(places):
    """New devices of these names, so that nobody else's copies are in their logs."""
    names = places.split(",")
    made = {name: card(int(name[4:])) if "sim" in name else ta.CpuDevice(name, workers=1) for name in names}
    return tuple(made[name] for name in names)


def put(devices, *halves):
    return tuple(device.asarray(half) for device, half in zip(devices, halves, strict=True))


def host(devices, pair):
    return tuple(device.to_numpy(half) for device, half in zip(devices, pair, strict=True))


class Meeting(Layer):
    """Gets on only when another one is at the same place."""

    def __init__(self, barrier, name):
        super().__init__(name, "cpu", np.float64)
        self.barrier, self.threads = barrier, []

    def _meet(self, x):
        self.threads.append(threading.get_ident())
        self.barrier.wait(timeout=30)
        return x

    def forward(self, x, *, train=False):
        return self._meet(x)

    def backward(self, dout):
        return self._meet(dout)


def test_both_towers_run_at_the_same_time():
    barrier = threading.Barrier(2)
    pair = Pair(Meeting(barrier, "a"), Meeting(barrier, "b"))
    x = (values((2, 3)), values((2, 3)))
    for _ in range(2):
        pair.forward(x, train=True)
        pair.backward(x)
    assert set(pair.left.threads) == {threading.get_ident()}
    assert len(set(pair.right.threads)) == 1 and pair.left.threads[0] not in pair.right.threads


def test_pair_inside_a_pair_runs_at_the_same_time_too():
    barrier = threading.Barrier(4)

    def inner():
        return Pair(Meeting(barrier, "a"), Meeting(barrier, "b"), name="inner")

    class Doubled(Layer):
        """Gives its input to both of a pair."""

        def __init__(self):
            super().__init__("doubled")
            self.pair = inner()

        def forward(self, x, *, train=False):
            return self.pair.forward((x, x), train=train)[0]

    pair = Pair(Doubled(), Doubled())
    pair.forward((values((2, 3)), values((2, 3))))


def test_pair_computes_what_its_layers_do_alone():
    def layers():
        return [ta.Linear(4, k, rng=rng(k), weight_init=ta.Gaussian(1), name=name, **F64) for k, name in ((3, "fc1a"), (5, "fc1b"))]

    pair, alone = Pair(*layers()), layers()
    x, dout = (values((2, 4)), values((2, 4), 1)), (values((2, 3), 2), values((2, 5), 3))
    for out, layer, half in zip(pair.forward(x, train=True), alone, x, strict=True):
        assert np.array_equal(out, layer.forward(half, train=True))
    for dx, layer, half in zip(pair.backward(dout), alone, dout, strict=True):
        assert np.array_equal(dx, layer.backward(half))
    assert [leaf.name for leaf in pair.leaves()] == ["fc1a", "fc1b"]
    assert pair.output_shape(((4,), (4,))) == ((3,), (5,))
    pair.zero_grad()
    assert not any(grad.any() for leaf in pair.leaves() for grad in leaf.grads.values())


def test_pair_makes_each_device_the_current_one_of_its_thread():
    from tinyalex.devices.sim import current_device

    seen = {}

    class Asking(Layer):
        def forward(self, x, *, train=False):
            seen[self.name] = current_device()
            return x

    devices = SimDevice(0), SimDevice(1)
    Pair(Asking("a", devices[0]), Asking("b", devices[1])).forward(put(devices, values((1, 2)), values((1, 2))))
    assert seen == {"a": devices[0], "b": devices[1]} and current_device() is None


@every_place
def test_exchange_gives_each_tower_both_halves_as_first(places):
    devices = two(places)
    link = Exchange(devices, name="conv3_link", **F64)
    a, b = values((2, 3, 4, 4)), values((2, 5, 4, 4), 1)
    for device, out in zip(devices, link.forward(put(devices, a, b)), strict=True):
        assert device.owns(out)
        assert np.array_equal(device.to_numpy(out), np.concatenate([a, b], axis=1))
    assert link._cache is None


@every_place
def test_exchange_backward_adds_what_both_towers_say(places):
    devices = two(places)
    link = Exchange(devices, **F64)
    link.forward(put(devices, values((2, 3, 4, 4)), values((2, 5, 4, 4), 1)), train=True)
    da, db = values((2, 8, 4, 4), 2), values((2, 8, 4, 4), 3)
    douts = put(devices, da, db)
    dx_a, dx_b = host(devices, link.backward(douts))
    assert np.array_equal(dx_a, (da + db)[:, :3]) and np.array_equal(dx_b, (da + db)[:, 3:])
    assert np.array_equal(host(devices, douts), (da, db))


@pytest.mark.parametrize("places", ["cpu:0,cpu:1", "sim:0,sim:1"])
def test_receiver_logs_every_copy(places):
    a, b = devices = two(places)
    x = put(devices, values((2, 3)).astype(np.float32), values((2, 5)).astype(np.float32))
    link, gather = Exchange(devices, name="fc6_link"), Gather(devices, name="fc8_link")
    both = link.forward(x, train=True)
    assert [(t.source, t.destination, t.nbytes, t.label) for t in a.received.entries] == [(b.name, a.name, 2 * 5 * 4, "fc6_link")]
    assert [(t.source, t.destination, t.nbytes, t.label) for t in b.received.entries] == [(a.name, b.name, 2 * 3 * 4, "fc6_link")]
    link.backward(both)
    assert (a.received.nbytes, b.received.nbytes) == (2 * 5 * 4 + 2 * 3 * 4, 2 * 3 * 4 + 2 * 5 * 4)
    for device in devices:
        device.received.clear()
    out = gather.forward(x, train=True)
    assert (a.received.nbytes, b.received.nbytes) == (2 * 5 * 4, 0)
    gather.backward(out)
    assert (a.received.nbytes, b.received.nbytes) == (2 * 5 * 4, 2 * 5 * 4)


@pytest.mark.parametrize("places", ["cpu,cpu", "sim:0,sim:0"])
def test_on_one_device_nothing_is_copied_between(places):
    devices = two(places)
    layers = [Split(devices, **F64), Exchange(devices, **F64), Gather(devices, **F64)]
    net = ta.Sequential(layers, in_shape=(3,))
    net.backward(net.forward(devices[0].asarray(values((2, 3))), train=True))
    assert not devices[0].received.entries


@every_place
def test_split_gives_both_the_image_and_adds_their_gradients(places):
    devices = two(places)
    split, x = Split(devices, **F64), values((2, 3, 4, 4))
    for given in (x, devices[0].asarray(x)):
        assert all(np.array_equal(half, x) for half in host(devices, split.forward(given, train=True)))
    da, db = values(x.shape, 1), values(x.shape, 2)
    assert np.array_equal(devices[0].to_numpy(split.backward(put(devices, da, db))), da + db)


def test_split_brings_a_batch_of_the_host_to_each_device_from_there():
    a, b = devices = two("sim:0,sim:1")
    x, split = values((2, 3)), Split(devices, **F64)
    split.forward(x)
    assert b.received.nbytes == 0
    split.forward(a.asarray(x))
    assert b.received.nbytes == x.nbytes and b.received.entries[0].label == "split"


@every_place
def test_split_passes_on_the_copies_that_are_on_both_devices(places):
    devices = two(places)
    split, (a, b) = Split(devices, **F64), put(devices, values((2, 3, 4)), values((2, 3, 4)))
    left, right = split.forward((a, b), train=True)
    assert left is a and right is b and not any(device.received.entries for device in devices)
    da, db = values(a.shape, 1), values(a.shape, 2)
    assert np.array_equal(devices[0].to_numpy(split.backward(put(devices, da, db))), da + db)
    assert split.reads == ta.Sequential([split], in_shape=(3, 4)).reads == tuple(dict.fromkeys(devices))


def test_split_without_input_gradient_returns_none():
    split = Split(("cpu:0", "cpu:1"), input_gradient=False)
    split.forward(values((2, 3), dtype=np.float32), train=True)
    assert split.backward((None, None)) is None
    with refuses(ta.CallOrderError, "split: backward must follow a forward(train=True) of its own, got none since the last backward"):
        split.backward((None, None))


@every_place
def test_gather_puts_both_halves_on_the_first_device(places):
    devices = two(places)
    gather, a, b = Gather(devices, **F64), values((2, 3)), values((2, 5), 1)
    out = gather.forward(put(devices, a, b), train=True)
    assert np.array_equal(devices[0].to_numpy(out), np.concatenate([a, b], axis=1))
    dout = values((2, 8), 2)
    dx_a, dx_b = host(devices, gather.backward(devices[0].asarray(dout)))
    assert np.array_equal(dx_a, dout[:, :3]) and np.array_equal(dx_b, dout[:, 3:])


def small(devices):
    settings = {"rng": rng(), "weight_init": ta.Gaussian(0.5), **F64}

    def side(i, c, k, name):
        return ta.Conv2d(c, k, 3, padding=1, name=f"{name}{'ab'[i]}", device=devices[i], **settings)

    return ta.Sequential(
        [
            Split(devices, **F64),
            Pair(side(0, 2, 3, "conv1"), side(1, 2, 4, "conv1")),
            Exchange(devices, name="conv2_link", **F64),
            Pair(
                ta.Sequential([side(0, 7, 2, "conv2"), ta.Flatten(name="flatten2a", device=devices[0], **F64)]),
                ta.Sequential([side(1, 7, 3, "conv2"), ta.Flatten(name="flatten2b", device=devices[1], **F64)]),
            ),
            Gather(devices, **F64),
            ta.Linear(5 * 12, 2, name="fc3", device=devices[0], **settings),
        ],
        in_shape=(2, 3, 4),
    )


@pytest.mark.parametrize("places", ["cpu:0,cpu:1", "cpu,cpu"])
def test_gradients_are_right(places):
    checks = check_layer(small(two(places)), values((2, 2, 3, 4)))
    assert len(checks) == 21 and all(check.passed for check in checks), checks


def test_shapes_are_known_before_any_compute():
    assert small(two("cpu:0,cpu:1")).shapes == (
        ((2, 3, 4), (2, 3, 4)), ((3, 3, 4), (4, 3, 4)), ((7, 3, 4), (7, 3, 4)), ((24,), (36,)), (60,), (2,),
    )  # fmt: skip


@every_place
def test_every_place_computes_the_same(places):
    one, other = small(two("cpu:0,cpu:1")), small(two(places))
    x, dout = values((2, 2, 3, 4)), values((2, 2), 1)
    expected, out = one.forward(x, train=True), other.forward(other.device.asarray(x), train=True)
    dx, dx_there = one.backward(dout), other.backward(other.device.asarray(dout))
    assert np.allclose(other.device.to_numpy(out), expected, rtol=1e-13, atol=0)
    assert np.allclose(other.device.to_numpy(dx_there), dx, rtol=1e-12, atol=1e-14)
    for mine, theirs in zip(other.leaves(), one.leaves(), strict=True):
        for key, grad in mine.grads.items():
            assert np.allclose(mine.device.to_numpy(grad), theirs.grads[key], rtol=1e-12, atol=1e-14)


def test_zero_grad_reaches_both_devices():
    net = small(two("sim:0,sim:1"))
    for leaf in net.leaves():
        for grad in leaf.grads.values():
            with leaf.device.activate():
                grad.fill(1)
    net.zero_grad()
    assert not any(leaf.device.to_numpy(grad).any() for leaf in net.leaves() for grad in leaf.grads.values())


@pytest.mark.parametrize("kind", [Split, Exchange, Gather])
def test_backward_first_or_twice_raises_and_evaluation_keeps_nothing(kind):
    layer = kind(("cpu:0", "cpu:1"), **F64)
    x = values((2, 3)) if kind is Split else (values((2, 3)), values((2, 3)))
    out = layer.forward(x)
    text = "backward must follow a forward(train=True) of its own, got none since the last backward"
    with refuses(ta.CallOrderError, text):
        layer.backward(out)
    layer.backward(layer.forward(x, train=True))
    with refuses(ta.CallOrderError, text):
        layer.backward(out)


def test_gradients_of_another_shape_raise_and_leave_the_slot():
    link = Exchange(("cpu:0", "cpu:1"), **F64)
    link.forward((values((2, 3)), values((2, 3))), train=True)
    with refuses(ta.ShapeError, "exchange: dout must be two arrays of shape (2, 6), got float64 array of shape (2, 5) and "):
        link.backward((values((2, 5)), values((2, 5))))
    link.backward((values((2, 6)), values((2, 6))))


def test_repr_shows_both_towers():
    a, b = ta.ReLU(name="relu1a"), ta.ReLU(name="relu1b")
    assert repr(Pair(a, b)) == "Pair('pair', [\n    ReLU('relu1a', cpu),\n    ReLU('relu1b', cpu),\n])"
    assert repr(Exchange(("cpu:0", "cpu:1"))) == "Exchange('exchange', cpu:0 + cpu:1)"
    assert repr(Gather(("cpu", "cpu"))) == "Gather('gather', cpu)"
