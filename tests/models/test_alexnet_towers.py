"""AlexNet on two devices: equal to its one-device twin, and what passes between the towers."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import values
from tests.places import card
from tinyalex.devices.sim import SimDevice
from tinyalex.models import alexnet, join_state

PLACES = {
    "cpu:0,cpu:1": lambda: (ta.CpuDevice("cpu:0", workers=1), ta.CpuDevice("cpu:1", workers=1)),
    "one cpu": lambda: (ta.CpuDevice("cpu", workers=2),) * 2,
    "sim:0,sim:1": lambda: (card(0), card(1)),
    "one sim": lambda: (card(),) * 2,
}
LINKS = [None, (), ("fc6", "fc7"), ("conv4", "fc6", "fc7"), ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7"), ("conv3",)]


def close(found, expected):
    for name, array in expected.items():
        assert found[name].shape == array.shape
        assert np.abs(found[name] - array).max() <= 1e-12 * max(np.abs(array).max(), 1e-300), name


def on_host(net, what):
    return {f"{leaf.name}.{key}": leaf.device.to_numpy(array) for leaf in net.leaves() for key, array in getattr(leaf, what).items()}


def strengthen(net, factor):
    """Weights large enough that the image reaches the loss through a narrow net."""
    for leaf in net.leaves():
        with leaf.device.activate():
            for key, array in leaf.params.items():
                if key == "weight":
                    array *= factor


def check_equal(one, two, size, n, steps):
    """Forward, gradients and, after steps with dropout, parameters of both nets agree to 1e-12 of each tensor's largest value."""
    heads = [ta.SoftmaxCrossEntropy(device=net.device, dtype=np.float64) for net in (one, two)]
    sgds = [ta.SGD(net, lr=0.01) for net in (one, two)]
    close(join_state(on_host(two, "params")), on_host(one, "params"))
    for net in (one, two):
        strengthen(net, 5)
    close({"logits": two.device.to_numpy(two.forward(values((n, 3, size, size))))}, {"logits": one.forward(values((n, 3, size, size)))})
    for number in range(steps):
        x, labels = values((n, 3, size, size), number), np.arange(n) + number
        logits = []
        for net, head in zip((one, two), heads, strict=True):
            out = net.forward(x, train=True)
            head.forward(out, labels, train=True)
            logits.append({"logits": net.device.to_numpy(out)})
        close(logits[1], logits[0])
        dx = [net.backward(head.backward()) for net, head in zip((one, two), heads, strict=True)]
        if dx[0] is not None:
            close({"dx": two.device.to_numpy(dx[1])}, {"dx": dx[0]})
        gradients = on_host(one, "grads")
        assert all(np.abs(gradient).max() > 0 for gradient in gradients.values())
        close(join_state(on_host(two, "grads")), gradients)
        for sgd in sgds:
            sgd.step()
    close(join_state(on_host(two, "params")), on_host(one, "params"))


@pytest.mark.parametrize("variant", ["paper", "authors"])
@pytest.mark.parametrize("place", PLACES)
def test_two_towers_are_their_one_device_twin(place, variant):
    settings = {"variant": variant, "width": 1 / 16, "num_classes": 10, "input_size": 67, "dtype": np.float64, "input_gradient": True}
    check_equal(alexnet(**settings), alexnet(towers=2, devices=PLACES[place](), **settings), size=67, n=3, steps=5)


@pytest.mark.parametrize("links", LINKS, ids=str)
def test_every_set_of_links_has_its_twin(links):
    settings = {"exchange": links, "width": 1 / 16, "num_classes": 10, "input_size": 67, "dtype": np.float64}
    check_equal(alexnet(**settings), alexnet(towers=2, **settings), size=67, n=3, steps=2)


@pytest.mark.parametrize(
    "options", [{"lrn": False}, {"overlapping": False}, {"dropout": False}, {"sixth": True}, {"remove": ("conv4",)}], ids=str
)
def test_ablations_have_their_twins(options):
    settings = {"width": 1 / 16, "num_classes": 10, "input_size": 99, "dtype": np.float64, **options}
    check_equal(alexnet(**settings), alexnet(towers=2, **settings), size=99, n=2, steps=2)


def test_twins_of_224_pixels_and_an_eighth_of_the_width():
    settings = {"width": 1 / 8, "dtype": np.float64}
    check_equal(alexnet(**settings), alexnet(towers=2, **settings), size=224, n=2, steps=2)


def sent(devices):
    """Bytes by layer, both directions together."""
    totals = {}
    for device in devices:
        for transfer in device.received.entries:
            assert transfer.source != transfer.destination == device.name
            totals[transfer.label] = totals.get(transfer.label, 0) + transfer.nbytes
        device.received.clear()
    return totals


def bytes_of_a_step(net, devices, n):
    x = values((n, 3, 224, 224), dtype=np.float32)
    out = net.forward(x, train=True)
    forward = sent(devices)
    net.backward(net.device.asarray(np.ones((n, out.shape[1]), np.float32)))
    return forward, sent(devices)


PAPER = {"conv3_link": 173_056, "fc6_link": 36_864, "fc7_link": 16_384, "fc8_link": 8_192}


@pytest.mark.slow
def test_full_size_step_sends_234_496_bytes_an_image_each_way():
    devices = PLACES["cpu:0,cpu:1"]()
    net = alexnet(towers=2, devices=devices)
    assert sum(weight.size for weight in net.params.values()) == 60_965_224
    forward, backward = bytes_of_a_step(net, devices, n=2)
    assert forward == backward == {label: 2 * nbytes for label, nbytes in PAPER.items()}
    assert sum(forward.values()) == 2 * 234_496


@pytest.mark.parametrize("place", PLACES)
def test_bytes_are_those_of_the_width(place):
    devices = PLACES[place]()
    forward, backward = bytes_of_a_step(alexnet(towers=2, devices=devices, width=1 / 16), devices, n=2)
    expected = {} if place.startswith("one") else {label: 2 * nbytes // 16 for label, nbytes in PAPER.items()}
    assert forward == backward == expected  # conv2, conv4 and conv5 are nowhere


def test_half_of_the_bytes_go_each_way_until_fc8():
    a, b = devices = PLACES["cpu:0,cpu:1"]()
    alexnet(towers=2, devices=devices, width=1 / 16).forward(values((1, 3, 224, 224), dtype=np.float32))
    assert (a.received.nbytes, b.received.nbytes) == ((234_496 + 8_192) // 32, (234_496 - 8_192) // 32)


@pytest.mark.parametrize(
    ("exchange", "nbytes"),
    [
        (("conv2", "conv3", "conv4", "conv5", "fc6", "fc7"), 1_033_600),
        (("conv4", "fc6", "fc7"), 234_496 - 173_056 + 259_584),
        (("fc6", "fc7"), 234_496 - 173_056),
        ((), 8_192),
    ],
)
def test_bytes_of_other_links(exchange, nbytes):
    devices = PLACES["cpu:0,cpu:1"]()
    forward, backward = bytes_of_a_step(alexnet(towers=2, devices=devices, width=1 / 16, exchange=exchange), devices, n=1)
    assert sum(forward.values()) == sum(backward.values()) == nbytes // 16


def test_batch_of_the_host_costs_nothing_between_the_cards_and_one_on_the_first_is_copied_once():
    a, b = devices = PLACES["sim:0,sim:1"]()
    net, x = alexnet(towers=2, devices=devices, width=1 / 16), values((1, 3, 224, 224), dtype=np.float32)
    net.forward(x)
    assert "split" not in sent(devices)
    net.forward(a.asarray(x))
    assert sent(devices)["split"] == 602_112


def test_layers_stand_on_their_towers_device():
    a, b = devices = PLACES["sim:0,sim:1"]()
    net = alexnet(towers=2, devices=devices, width=1 / 16)
    for leaf in net.leaves():
        on_b = leaf.name.endswith("b")
        assert leaf.device is (b if on_b else a), leaf.name
        assert all((b if on_b else a).owns(array) for array in leaf.params.values())
    assert net.device is a and net["fc8"].device is a


def test_one_name_puts_both_towers_on_it():
    assert {leaf.device.name for leaf in alexnet(towers=2, devices="cpu", width=1 / 16).leaves()} == {"cpu"}
    assert {leaf.device.name for leaf in alexnet(towers=2, devices="cpu:0, cpu:1", width=1 / 16).leaves()} == {"cpu:0", "cpu:1"}


@pytest.mark.parametrize("tower", [0, 1])
def test_tower_out_of_memory_names_its_device_and_changes_no_parameter(tower):
    devices = [SimDevice(0), SimDevice(1)]
    net = alexnet(towers=2, devices=devices, width=1 / 16, num_classes=10)
    before = on_host(net, "params")
    devices[tower].memory = devices[tower].used + 4_000_000
    with pytest.raises(ta.OutOfMemory, match=rf"sim:{tower}: an array of [\d,]+ bytes does not fit, [\d,]+ of [\d,]+ bytes are left"):
        net.forward(values((16, 3, 224, 224), dtype=np.float32), train=True)
    assert all(np.array_equal(array, before[name]) for name, array in on_host(net, "params").items())


def small_step(net, n=2):
    """Forward and backward of a batch in the host's memory."""
    out = net.forward(values((n, 3, 67, 67), dtype=np.float32), train=True)
    return net.backward(net.device.asarray(np.ones(out.shape, np.float32)))


@pytest.mark.parametrize("tower", [0, 1])
def test_update_needs_no_room_on_a_full_card(tower):
    settings = {"towers": 2, "width": 1 / 8, "num_classes": 10, "input_size": 67}
    devices = [SimDevice(0), SimDevice(1)]
    net, twin = alexnet(devices=devices, **settings), alexnet(devices=[SimDevice(0), SimDevice(1)], **settings)
    for each in (net, twin):
        sgd = ta.SGD(each, lr=0.1)
        small_step(each)
        if each is net:
            devices[tower].memory = devices[tower].used  # not a byte is left
        sgd.step()
    after, expected = on_host(net, "params"), on_host(twin, "params")
    assert all(np.allclose(after[name], array, rtol=1e-6, atol=0) for name, array in expected.items())
    assert not any(array.any() for array in on_host(net, "grads").values())


@pytest.mark.parametrize("tower", [0, 1])
def test_out_of_memory_in_backward_leaves_no_gradient_to_the_smaller_batch_after_it(tower):
    settings = {"towers": 2, "width": 1 / 16, "num_classes": 10, "input_size": 67, "dropout": False}
    devices = [SimDevice(0), SimDevice(1)]
    net, twin = alexnet(devices=devices, **settings), alexnet(devices=[SimDevice(0), SimDevice(1)], **settings)
    out = net.forward(values((8, 3, 67, 67), dtype=np.float32), train=True)
    dout = net.device.asarray(np.ones(out.shape, np.float32))
    memory, devices[tower].memory = devices[tower].memory, devices[tower].used + 200_000
    with pytest.raises(ta.OutOfMemory, match=rf"^\w+: sim:{tower}: an array of"):
        net.backward(dout)
    assert not any(array.any() for array in on_host(net, "grads").values())
    devices[tower].memory = memory
    for each in (net, twin):
        small_step(each)
    gradients = on_host(net, "grads")
    assert all(np.allclose(gradients[name], array, rtol=1e-6, atol=0) for name, array in on_host(twin, "grads").items())
