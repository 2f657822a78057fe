import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tests.places import PLACES, device_of, host
from tinyalex.fast import sharing
from tinyalex.fast.request import Keeps
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts
from tinyalex.parameters import generator

every_place = pytest.mark.parametrize("place", PLACES)


def loops(x, mean, var, weight, bias, eps):
    """The formula of the paper, value by value."""
    out = np.empty_like(x)
    for n, c, h, w in np.ndindex(x.shape):
        out[n, c, h, w] = weight[c] * (x[n, c, h, w] - mean[c]) / np.sqrt(var[c] + eps) + bias[c]
    return out


def of_batch(x):
    """Mean, variance and number of the values of each channel, value by value."""
    m = x.size // x.shape[1]
    means = [sum(x[:, c].ravel().tolist()) / m for c in range(x.shape[1])]
    return means, [sum((v - mean) ** 2 for v in x[:, c].ravel().tolist()) / m for c, mean in enumerate(means)], m


def make(channels=3, device="cpu", **settings):
    draw = {"weight_init": ta.Gaussian(0.5), "bias_init": ta.Gaussian(0.5), "rng": rng(), "dtype": np.float64}
    return ta.BatchNorm2d(channels, device=device, **(draw | settings))


@every_place
@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (1, 3, 2, 2), (7, 3, 1, 1)])
def test_training_uses_the_batch_and_testing_the_running_statistics(place, shape):
    device, x = device_of(place), 3 + 2 * values(shape)
    bn = make(device=device, eps=0.1)
    weight, bias = (host(device, bn.params[key]) for key in ("weight", "bias"))
    mean, var, m = of_batch(x)
    out = host(device, bn.forward(device.asarray(x), train=True))
    np.testing.assert_allclose(out, loops(x, mean, var, weight, bias, 0.1), rtol=1e-12, atol=1e-12)
    running = {key: host(device, value) for key, value in bn.buffers.items()}
    np.testing.assert_allclose(running["running_mean"], 0.1 * np.array(mean), rtol=1e-12)
    np.testing.assert_allclose(running["running_var"], 0.9 + 0.1 * np.array(var) * m / (m - 1), rtol=1e-12)
    tested = loops(x, running["running_mean"], running["running_var"], weight, bias, 0.1)
    np.testing.assert_allclose(host(device, bn.forward(device.asarray(x))), tested, rtol=1e-12, atol=1e-12)


def follow(convention, momentum, batches):
    """The running statistics after these batches, each by its own formula, written out."""
    if convention == "caffe":  # a weighted mean of all batches
        weights = [momentum**k for k in range(len(batches))][::-1]
        parts = [of_batch(x) for x in batches]
        mean = sum(w * np.array(p[0]) for w, p in zip(weights, parts, strict=True)) / sum(weights)
        return mean, sum(w * np.array(p[1]) * p[2] / (p[2] - 1) for w, p in zip(weights, parts, strict=True)) / sum(weights)
    mean, var = np.zeros(3), np.ones(3)
    for x in batches:
        new_mean, new_var, m = of_batch(x)
        if convention == "pytorch":
            mean = (1 - momentum) * mean + momentum * np.array(new_mean)
            var = (1 - momentum) * var + momentum * np.array(new_var) * m / (m - 1)
        else:
            mean = momentum * mean + (1 - momentum) * np.array(new_mean)
            var = momentum * var + (1 - momentum) * np.array(new_var)
    return mean, var


@pytest.mark.parametrize(("convention", "momentum", "default"), [("pytorch", 0.3, 0.1), ("tensorflow", 0.6, 0.9), ("caffe", 0.7, 0.999)])
def test_momentum_means_what_the_convention_says(convention, momentum, default):
    batches = [k + values((4, 3, 2, 2), k) for k in range(3)]
    for settings, used in (({"momentum": momentum}, momentum), ({}, default)):
        bn = make(convention=convention, **settings)
        assert bn.momentum == used
        for x in batches:
            bn.forward(x, train=True)
        mean, var = follow(convention, used, batches)
        np.testing.assert_allclose(bn.running_mean, mean, rtol=1e-12)
        np.testing.assert_allclose(bn.running_var, var, rtol=1e-12)


@every_place
def test_running_and_frozen_statistics_stay_and_get_no_gradient_through_them(place):
    device, x, dout = device_of(place), values((4, 3, 2, 2)), values((4, 3, 2, 2), 1)
    frozen, running = make(device=device), make(device=device, statistics="running")
    frozen.forward(device.asarray(x), train=True)
    frozen.backward(device.asarray(dout))
    for key in frozen.buffers:
        running.buffers[key] = host(device, frozen.buffers[key])
    frozen.freeze()
    before = host(device, frozen.running_mean)
    results = []
    for bn in (frozen, running):
        bn.zero_grad()
        out = bn.forward(device.asarray(x), train=True)
        assert np.array_equal(host(device, out), host(device, bn.forward(device.asarray(x))))
        results.append(host(device, bn.backward(device.asarray(dout))))
        factor = host(device, bn.weight) / np.sqrt(host(device, bn.running_var) + 1e-5)
        np.testing.assert_allclose(results[-1], dout * factor[:, None, None], rtol=1e-12)
    assert np.array_equal(*results) and np.array_equal(before, host(device, frozen.running_mean))


def test_gradient_has_no_part_along_a_shift_or_a_scale_of_the_batch():
    bn, x = make(eps=1e-12), values((4, 3, 3, 2))
    bn.forward(x, train=True)
    dx = bn.backward(values(x.shape, 1))
    assert np.abs(dx.sum(axis=(0, 2, 3))).max() < 1e-12 and np.abs((dx * x).sum(axis=(0, 2, 3))).max() < 1e-9


@pytest.mark.parametrize("mean", [0, 1e3])
def test_float32_is_close_to_float64_also_far_from_zero(mean):
    x = mean + values((8, 3, 6, 6))
    out = make(dtype=np.float32).forward(x.astype(np.float32), train=True)
    assert np.abs(out - make().forward(x.astype(np.float32).astype(np.float64), train=True)).max() < (1e-5 if not mean else 2e-3)


@pytest.mark.parametrize(("most", "blocks"), [(1, 36), (320, 18), (1 << 20, 9)])
def test_blocks_of_channels_or_of_images_give_the_same_results(monkeypatch, most, blocks):
    monkeypatch.setattr(sharing, "MAPS", most)  # bytes; a map has 160, an image 640
    device, mapped, counts, x = ta.CpuDevice(small=0), ta.CpuDevice.map_blocks, [], 3 + values((9, 4, 5, 4), 1)
    count = lambda self, block, n, *rest, size=None: counts.append(-(-n // size)) or mapped(self, block, n, *rest, size=size)  # noqa: E731
    monkeypatch.setattr(ta.CpuDevice, "map_blocks", count)
    bn, plain = make(4, device), make(4, "sim:0")
    for train in (True, False):
        out = bn.forward(x, train=train)
        np.testing.assert_allclose(out, host(plain.device, plain.forward(plain.device.asarray(x), train=train)), rtol=1e-12, atol=1e-12)
    bn.forward(x, train=True)
    plain.forward(plain.device.asarray(x), train=True)
    dx = bn.backward(out)
    np.testing.assert_allclose(dx, host(plain.device, plain.backward(plain.device.asarray(out))), rtol=1e-10, atol=1e-12)
    for key, grad in bn.grads.items():
        np.testing.assert_allclose(grad, host(plain.device, plain.grads[key]), rtol=1e-10, atol=1e-12)
    assert set(counts) == {blocks}


@pytest.mark.parametrize("cache", [1, 6 << 20])
def test_any_number_of_workers_gives_the_same_bits(cache):
    x, results = values((9, 3, 5, 4), dtype=np.float32), []
    for workers in (1, 3):
        bn = make(device=ta.CpuDevice(workers=workers, cache=cache), dtype=np.float32)
        results.append([bn.forward(x, train=True), bn.backward(x), bn.running_var])
        bn.device.close()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*results, strict=True))


def test_statistics_are_saved_loaded_and_split(tmp_path):
    from tinyalex.models.weights import arrays_of, load_weights, parameters_sha256, save_weights

    def net():
        return ta.Sequential([ta.Conv2d(4, 1, bias=False), ta.BatchNorm2d()], in_shape=(3, 2, 2))

    one, other = net(), net()
    one.forward(values((5, 3, 2, 2), dtype=np.float32), train=True)
    one.reset()
    assert list(arrays_of(one)) == ["conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"]
    assert parameters_sha256(one) != parameters_sha256(other)
    save_weights(tmp_path / "net", one)
    load_weights(tmp_path / "net", other)
    assert parameters_sha256(one) == parameters_sha256(other)
    x = values((2, 3, 2, 2), 5, np.float32)
    assert np.array_equal(one.forward(x), other.forward(x))


def test_one_value_a_channel_has_no_variance():
    with refuses(ta.ShapeError, "bn: x must have at least 2 values a channel in training, got float64 array of shape (1, 3, 1, 1), whose"):
        make().forward(values((1, 3, 1, 1)), train=True)
    make(statistics="running").forward(values((1, 3, 1, 1)), train=True)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"momentum": 1.5}, "bn: momentum must be a number from 0 to 1, got 1.5"),
        ({"momentum": -0.1}, "bn: momentum must be a number from 0 to 1, got -0.1"),
        ({"eps": 0}, "bn: eps must be a finite number above 0, got 0"),
        ({"eps": np.inf}, "bn: eps must be a finite number above 0, got inf"),
        ({"convention": "keras"}, "bn: convention must be pytorch, tensorflow or caffe, got 'keras'"),
        ({"statistics": "both"}, "bn: statistics must be batch or running, got 'both'"),
        ({"channels": 0}, "bn: channels must be an integer of at least 1, got 0"),
    ],
)
def test_bad_settings_raise(settings, text):
    with refuses(ta.ShapeError, text):
        ta.BatchNorm2d(**settings)


@pytest.mark.parametrize("kind", [ta.BatchNorm2d, lambda channels, **settings: ta.GroupNorm(1, channels, **settings)], ids=["bn", "gn"])
def test_scales_and_shifts_that_are_all_equal_need_no_generator(kind):
    made = kind(3, weight_init=ta.Constant(2.0), bias_init=ta.Constant(5.0))
    assert made.weight.tolist() == [2.0] * 3 and made.bias.tolist() == [5.0] * 3 and not made.unbuilt
    for drawn in ({"weight_init": ta.Gaussian(1)}, {"bias_init": ta.Gaussian(1)}):
        waits = kind(3, **drawn)
        assert waits.unbuilt and not waits.buffers
        waits.build()
        same = kind(3, **drawn, rng=generator(0, waits.name))
        assert all(np.array_equal(waits.params[key], same.params[key]) for key in ("weight", "bias"))


def test_running_mean_that_moves_before_backward_changes_no_gradient():
    x, dout, found = values((4, 3, 2, 2)), values((4, 3, 2, 2), 1), []
    for moved in (0, 5):
        bn = make(statistics="running")
        bn.forward(x, train=True)
        bn.buffers["running_mean"] += moved
        bn.backward(dout)
        found.append(bn.grads["weight"].copy())
    assert np.array_equal(*found)


def test_momentum_may_be_0_or_1():
    x = values((4, 3, 2, 2))
    for momentum, moved in ((0, np.zeros(3)), (1, x.mean(axis=(0, 2, 3)))):
        bn = make(momentum=momentum)
        bn.forward(x, train=True)
        np.testing.assert_allclose(bn.running_mean, moved, atol=1e-15)


@pytest.mark.parametrize("kind", [ta.BatchNorm2d, lambda *channels: ta.GroupNorm(1, *channels)], ids=["bn", "gn"])
def test_shape_of_the_output_is_that_of_the_input_if_its_channels_fit(kind):
    assert kind(3).output_shape((3, 4, 5)) == (3, 4, 5)
    for shape in ((2, 4, 5), (3, 4), (3,)):
        with refuses(ta.ShapeError, f"n: x must have 3 channels on axis 1 of (N, C, H, W), got {('N', *shape)}"):
            kind(3).output_shape(shape)
    with refuses(ta.CallOrderError, "n: the parameters must be drawn before the layer is used, got an unbuilt layer"):
        kind().output_shape((3, 4, 5))
    with refuses(ta.ShapeError, "n: x must have 4 axes (N, C, H, W), got ('N', 7)"):
        ta.Sequential([kind()], in_shape=(7,))


def test_batch_norm_keeps_its_input_and_works_with_some_values_a_channel():
    bn, scale = ta.BatchNorm2d(3), ta.Scale(2.0)
    assert bn.facts((3, 4, 5)) == Facts(keeps=Keeps(x=True))
    for n, backward, workers in ((1, False, 1), (9, True, 2), (2, True, None)):
        blocks = Layer.scratch_bytes(scale, (3, 4, 5), n, backward, workers)
        assert bn.scratch_bytes((3, 4, 5), n, backward, workers) == blocks + (6 + 2 * n) * 3 * 4  # each image has sums of its own


def conv_and_norm(bias, dtype=np.float64, algorithm="auto"):
    draw = {"rng": rng(), "weight_init": ta.Gaussian(0.5), "bias_init": ta.Gaussian(1)}
    conv = ta.Conv2d(3, 6, 3, padding=1, bias=bias, algorithm=algorithm, dtype=dtype, **draw)
    net = ta.Sequential([conv, make(6, dtype=dtype), ta.ReLU(dtype=dtype), ta.MaxPool2d(2, dtype=dtype)], in_shape=(3, 9, 8))
    for seed in range(3):
        net.forward(1 + values((4, 3, 9, 8), seed, dtype), train=True)
    net.reset()
    return net


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n", [1, 19])
@pytest.mark.parametrize("algorithm", ["auto", "winograd", "plain"])
def test_frozen_net_folds_the_normalization_into_the_convolution(bias, n, algorithm):
    net, x = conv_and_norm(bias, algorithm=algorithm), values((n, 3, 9, 8), 7)
    expected = net.forward(x)
    net.freeze()
    for _ in range(2):
        np.testing.assert_allclose(net.forward(x), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert "folded" in net["bn"].prepared
    net.thaw()
    net.params["bn.weight"] *= 2
    net.freeze()
    assert np.abs(net.forward(x) - expected).max() > 0.1  # the old weights are forgotten


def test_net_that_is_not_frozen_computes_the_bits_of_its_layers_in_turn():
    net, x = conv_and_norm(False, np.float32), values((5, 3, 9, 8), 7, np.float32)
    for train in (False, True):
        out = x
        for layer in net:
            out = layer.forward(out, train=train)
        net.reset()
        assert np.array_equal(net.forward(x, train=train), out)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", ["conv", "bn", "relu"])
def test_layer_whose_forward_a_user_has_replaced_is_called_also_where_it_would_be_fused(name, frozen):
    net, x, seen = conv_and_norm(True), values((2, 3, 9, 8), 7), []
    expected, layer = net.forward(x), net[name]
    own = layer.forward

    def forward(x, *, train=False):
        seen.append(x.shape)
        return own(x, train=train)

    layer.forward = forward
    net.freeze(frozen)
    np.testing.assert_allclose(net.forward(x), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert len(seen) == 1


def test_training_pass_of_a_frozen_net_is_not_folded():
    net, x = conv_and_norm(True), values((5, 3, 9, 8), 7)
    net.freeze()
    out = net.forward(x, train=True)
    np.testing.assert_allclose(net.forward(x), out, rtol=0, atol=1e-12)
    assert net.backward(np.ones_like(out)).any() and net.grads["bn.weight"].any()
