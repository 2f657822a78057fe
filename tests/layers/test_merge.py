import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tests.places import PLACES, card, device_of, host
from tinyalex.fast import sharing
from tinyalex.layers.merge import sum_of

every_place = pytest.mark.parametrize("place", PLACES)


def on(device, *arrays):
    return tuple(device.asarray(array) for array in arrays)


@every_place
@pytest.mark.parametrize("channels", [(2, 3), (1, 4, 2), (5,)])
def test_concat_is_side_by_side_and_its_gradient_is_cut_apart(place, channels):
    device = device_of(place)
    parts = [values((3, c, 4, 5), c) for c in channels]
    concat, dout = ta.Concat(device=device, dtype=np.float64), values((3, sum(channels), 4, 5), 9)
    assert np.array_equal(host(device, concat.forward(on(device, *parts), train=True)), np.concatenate(parts, axis=1))
    cut = np.split(dout, np.cumsum(channels)[:-1], axis=1)
    for got, wanted in zip(concat.backward(device.asarray(dout)), cut, strict=True):
        assert np.array_equal(host(device, got), wanted)


@every_place
@pytest.mark.parametrize("k", [1, 2, 3])
def test_sum_adds_and_gives_every_path_the_whole_gradient(place, k):
    device = device_of(place)
    parts, dout = [values((2, 3, 4, 5), seed) for seed in range(k)], values((2, 3, 4, 5), 9)
    layer = ta.Sum(device=device, dtype=np.float64)
    there = on(device, *parts)
    out = layer.forward(there, train=True)
    np.testing.assert_allclose(host(device, out), np.sum(parts, axis=0), rtol=1e-14)
    assert all(np.array_equal(host(device, a), b) for a, b in zip(there, parts, strict=True))  # a path's output may be read by others
    grads = layer.backward(device.asarray(dout))
    assert len(grads) == k and all(np.array_equal(host(device, grad), dout) for grad in grads)


@every_place
def test_gate_multiplies_its_channel(place):
    device = device_of(place)
    x, gate, dout = values((2, 3, 4, 5)), values((2, 3), 1), values((2, 3, 4, 5), 2)
    layer = ta.Product(device=device, dtype=np.float64)
    out = layer.forward(on(device, x, gate), train=True)
    np.testing.assert_allclose(host(device, out), np.einsum("nchw,nc->nchw", x, gate), rtol=1e-14)
    dx, dgate = layer.backward(device.asarray(dout))
    np.testing.assert_allclose(host(device, dx), np.einsum("nchw,nc->nchw", dout, gate), rtol=1e-14)
    np.testing.assert_allclose(host(device, dgate), np.einsum("nchw,nchw->nc", dout, x), rtol=1e-13)


def heads_net():
    def head(name):
        return [ta.GlobalAvgPool2d(name=f"gap{name}"), ta.Linear(2, name=f"fc{name}")]

    inner = ta.Branches([[ta.Conv2d(3, 1, name="conv2"), *head("")], head("2")], ta.Both(name="both2"))
    return ta.Sequential([ta.Conv2d(4, 1, name="conv1"), ta.Branches([[inner], head("1")], ta.Both(name="both1"))], in_shape=(3, 5, 5))


def test_heads_compute_while_training_alone_and_the_main_output_comes_first():
    net, x = heads_net(), values((2, 3, 5, 5), dtype=np.float32)
    outputs = net.forward(x, train=True)
    assert isinstance(outputs, tuple) and [part.shape for part in outputs] == [(2, 2)] * 3
    net.reset()
    assert np.array_equal(net.forward(x), outputs[0]) and net.shapes[-1] == (2,)
    assert all(leaf._cache is None for leaf in net.leaves())
    fc = net["fc2"]
    fc.weight = fc.weight * 2
    assert np.array_equal(net.forward(x, train=True)[1], 2 * outputs[1])  # the order is main, inner head, outer head


def test_loss_of_heads_is_the_weighted_sum():
    net, loss, x = heads_net(), ta.WeightedHeads([0.3, 0.5]), values((2, 3, 5, 5), dtype=np.float32)
    outputs, labels = net.forward(x, train=True), np.array([0, 1])
    parts = [float(ta.SoftmaxCrossEntropy().forward(part, labels)) for part in outputs]
    assert float(loss.forward(outputs, labels, train=True)) == pytest.approx(parts[0] + 0.3 * parts[1] + 0.5 * parts[2], rel=1e-6)
    assert float(loss.forward(outputs, labels)) == float(loss.forward(outputs[0], labels)) == pytest.approx(parts[0])
    net.backward(loss.backward())
    assert all(grad.any() for grad in net.grads.values())


def test_each_output_has_its_own_loss_and_gradient_times_its_weight():
    outputs, labels = tuple(values((4, 3), seed) for seed in range(3)), np.array([0, 1, 2, 1])
    alone = [ta.SoftmaxCrossEntropy(dtype=np.float64) for _ in outputs]
    parts = [float(one.forward(part, labels, train=True)) for one, part in zip(alone, outputs, strict=True)]
    loss = ta.WeightedHeads([0.3, 0.5], dtype=np.float64)
    assert float(loss.forward(outputs, labels, train=True)) == pytest.approx(parts[0] + 0.3 * parts[1] + 0.5 * parts[2], rel=1e-12)
    for got, one, weight in zip(loss.backward(), alone, (1, 0.3, 0.5), strict=True):
        np.testing.assert_allclose(got, weight * one.backward(), rtol=1e-12)
    assert float(loss.forward(outputs, labels)) == pytest.approx(parts[0])


def test_head_without_its_loss_is_named():
    net = heads_net()
    main = net.forward(values((2, 3, 5, 5), dtype=np.float32), train=True)[0]
    with refuses(ta.ShapeError, "both1: dout must be a tuple of the gradients of the main output and of each head, got float32 array"):
        net.backward(main)
    rule, loss, labels = "loss: logits must be a tuple of 2, the main output and 1 heads, got", ta.WeightedHeads([0.3]), np.array([0, 1])
    with refuses(ta.ShapeError, f"{rule} float32 array of shape (2, 2); a net with heads gives them in forward(train=True), and one "):
        loss.forward(main, labels, train=True)
    with refuses(ta.ShapeError, f"{rule} a tuple of 3 elements; give one weight for each of the 2 heads"):
        loss.forward((main, main, main), labels, train=True)
    with refuses(ta.ShapeError, "loss: logits must be one array, got a tuple of 3 elements, as a net with auxiliary heads gives; use"):
        ta.SoftmaxCrossEntropy().forward((main, main, main), labels, train=True)
    for weights in ([], 0.3, {0.3}):
        with refuses(ta.ShapeError, "head loss: weights must be a list of one number for each head, such as [0.3, 0.3], got "):
            ta.WeightedHeads(weights, name="head loss")
    for weight in (-1, "a", np.inf, np.nan):
        with refuses(ta.ShapeError, "head loss: a head's weight must be a finite number of at least 0, got "):
            ta.WeightedHeads([weight], name="head loss")
    assert ta.WeightedHeads((0, 0.5)).weights == [1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("merge", "shapes", "text"),
    [
        (ta.Sum, ((3, 4, 4), (4, 4, 4)), "sum: outputs of paths must have one shape, (3, 4, 4) as path 1, got (4, 4, 4) from path 2; a"),
        (ta.Concat, ((3, 4, 4), (3, 4, 4), (3, 2, 2)), "must have one height and width, (3, 4, 4) as path 1, got (3, 2, 2) from path 3"),
        (ta.Product, ((3, 4, 4), (4,)), "product: paths must be two, images (C, H, W) and a gate (C,), got (3, 4, 4) and (4,); end"),
        (ta.Product, ((3, 4, 4), (3, 1, 1)), "got (3, 4, 4) and (3, 1, 1)"),
    ],
)
def test_outputs_that_do_not_join_are_named(merge, shapes, text):
    with refuses(ta.ShapeError, text):
        merge().output_shape(shapes)
    with refuses(ta.ShapeError, text):
        merge().forward(tuple(np.zeros((2, *shape), np.float32) for shape in shapes))


@pytest.mark.parametrize("merge", [ta.Sum, ta.Concat, ta.Product])
def test_outputs_of_other_batches_are_named(merge):
    parts = np.zeros((2, 3, 4, 4), np.float32), np.zeros((3, 3, 4, 4) if merge is not ta.Product else (3, 3), np.float32)
    with refuses(ta.ShapeError, "outputs of paths must be of one batch, 2 images as in path 1, got 3 in path 2; let all paths read one x"):
        merge().forward(parts)


@pytest.mark.parametrize("merge", [ta.Sum, ta.Concat])
def test_outputs_of_another_dtype_or_device_are_refused(merge):
    x = np.ones((2, 3, 4, 4), np.float32)
    with refuses(ta.ShapeError, "x must be float32, got float64 array of shape (2, 3, 4, 4)"):
        merge().forward((x, x.astype(np.float64)))
    with refuses(ta.DeviceError, "x must be on cpu, got "):
        merge().forward((x, card().asarray(x)))


def test_heads_do_not_come_out_unless_it_trains():
    both, x = ta.Both(), np.ones((2, 3), np.float32)
    assert both.forward((x, 2 * x)) is x and both._cache is None


def test_what_is_no_tuple_of_arrays_is_refused():
    with refuses(ta.ShapeError, "sum: x must be a tuple of at least 1 arrays, one a path, got float32 array of shape (2, 3)"):
        ta.Sum().forward(np.zeros((2, 3), np.float32))
    with refuses(ta.ShapeError, "product: x must be a tuple of at least 2 arrays"):
        ta.Product().forward((np.zeros((2, 3, 1, 1), np.float32),))


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_large_images_are_added_in_ranges_of_channels(monkeypatch, n, k):
    monkeypatch.setattr(sharing, "MAPS", 200)  # bytes of a map
    parts = tuple(values((n, 7, 5, 10), seed, np.float32) for seed in range(k))
    expected = np.maximum(sum(parts[1:], parts[0]), 0)
    for workers in (1, 2, 3):
        seen = []

        def relu(x, out, scratch, seen=seen):
            seen.append(x.shape)
            np.maximum(x, 0, out=out)

        assert np.array_equal(sum_of(parts, ta.CpuDevice(workers=workers), relu), expected)
        assert seen == [(1, 1, 5, 10)] * 7 * n


def test_gradients_of_heads_are_taken_once_and_from_the_device_of_the_net():
    both, x = ta.Both(), values((2, 3), dtype=np.float32)
    both.forward((x, x), train=True)
    with refuses(ta.ShapeError, "both: dout must be a tuple of the gradients of the main output and of each head, got a tuple of 1"):
        both.backward((x,))
    with refuses(ta.DeviceError, "both: dout must be on cpu, got "):
        both.backward((x, card().asarray(x)))
    assert all(np.array_equal(part, x) for part in both.backward((x, x)))
    with refuses(ta.CallOrderError, "both: backward must follow a forward(train=True)"):
        both.backward((x, x))
