"""The engine against PyTorch, where it is installed: float64 to 1e-12 of the largest value, float32 as stated."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import rng, values

torch = pytest.importorskip("torch", reason="PyTorch is not installed: install the extra 'bench' to compare")
F = torch.nn.functional


def close(a, b, tolerance=1e-12):
    b = b.detach().numpy()
    assert a.shape == b.shape and a.dtype == b.dtype
    assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


def leaf(array):
    return torch.tensor(array, requires_grad=True)


def compare(layer, function, x, tolerance=1e-12):
    """Forward and backward of `layer` against `function(x, *parameters)` and its automatic gradients."""
    there, parameters = leaf(x), [leaf(value) for value in layer.params.values()]
    expected = function(there, *parameters)
    out = layer.forward(x, train=True)
    close(out, expected, tolerance)
    dout = values(out.shape, 2, x.dtype)
    expected.backward(torch.tensor(dout))
    close(layer.backward(dout), there.grad, tolerance)
    for grad, parameter in zip(layer.grads.values(), parameters, strict=True):
        close(grad, parameter.grad, tolerance)


def four_sides(x, sides):
    top, bottom, left, right = sides
    return F.pad(x, (left, right, top, bottom))


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({}, {}),
        ({"stride": 2}, {"stride": 2}),
        ({"stride": (1, 3), "padding": 2}, {"stride": (1, 3), "padding": 2}),
        ({"groups": 2, "padding": 1}, {"groups": 2, "padding": 1}),
        ({"groups": 4, "stride": 2, "padding": 1}, {"groups": 4, "stride": 2, "padding": 1}),
    ],
    ids=str,
)
@pytest.mark.parametrize("kernel", [3, (2, 5)])
@pytest.mark.parametrize("out_channels", [4, 12])
def test_conv(settings, theirs, kernel, out_channels):
    layer = ta.Conv2d(
        4, out_channels, kernel, rng=rng(), weight_init=ta.Gaussian(1), bias_init=ta.Gaussian(1), dtype=np.float64, **settings
    )  # fmt: skip
    compare(layer, lambda x, w, b: F.conv2d(x, w, b, **theirs), values((3, 4, 9, 10)))


@pytest.mark.parametrize(("kernel", "sides"), [(3, (1, 1, 1, 1)), ((2, 5), (0, 1, 2, 2)), (4, (1, 2, 1, 2))], ids=str)
def test_conv_of_padding_same(kernel, sides):
    layer = ta.Conv2d(4, 3, kernel, padding="same", rng=rng(), weight_init=ta.Gaussian(1), dtype=np.float64)
    compare(layer, lambda x, w, b: F.conv2d(four_sides(x, sides), w, b), values((2, 4, 7, 8)))
    assert layer.output_shape((4, 7, 8)) == (3, 7, 8)


def test_conv_of_four_sides():
    sides = (1, 2, 0, 3)
    layer = ta.Conv2d(3, 4, 4, stride=2, padding=sides, rng=rng(), weight_init=ta.Gaussian(1), dtype=np.float64)
    compare(layer, lambda x, w, b: F.conv2d(four_sides(x, sides), w, b, stride=2), values((2, 3, 9, 10)))


POOLS = [
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
    {"kernel_size": (4, 2), "stride": (1, 3), "padding": 1, "ceil_mode": True},
    {"kernel_size": 2},
]


@pytest.mark.parametrize("settings", POOLS, ids=str)
def test_max_pool(settings):
    compare(ta.MaxPool2d(**settings, dtype=np.float64), lambda x: F.max_pool2d(x, **settings), values((2, 3, 10, 11)) - 3)


@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("settings", POOLS, ids=str)
def test_avg_pool(settings, counts):
    theirs = {"count_include_pad": counts, **settings}
    compare(ta.AvgPool2d(**settings, count_padding=counts, dtype=np.float64), lambda x: F.avg_pool2d(x, **theirs), values((2, 3, 10, 11)))


@pytest.mark.parametrize("n", [1, 3, 4, 5, 9])
@pytest.mark.parametrize(("k", "alpha", "beta"), [(2.0, 1e-4, 0.75), (1.0, 1.0, 0.75), (0.5, 2.0, 1.3)])
@pytest.mark.parametrize("alpha_over_n", [False, True])
def test_local_response_norm(n, k, alpha, beta, alpha_over_n):
    layer = ta.LocalResponseNorm(n, k, alpha, beta, alpha_over_n=alpha_over_n, dtype=np.float64)
    theirs = alpha if alpha_over_n else alpha * n  # PyTorch takes the mean over n, the paper the sum
    compare(layer, lambda x: F.local_response_norm(x, n, theirs, beta, k), values((2, 7, 3, 4)))


def test_linear():
    layer = ta.Linear(30, 20, rng=rng(), weight_init=ta.Gaussian(1), bias_init=ta.Gaussian(1), dtype=np.float64)
    compare(layer, F.linear, values((7, 30)))


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (ta.ReLU(dtype=np.float64), torch.relu),
        (ta.Tanh(dtype=np.float64), torch.tanh),
        (ta.Tanh(1.7159, 2 / 3, dtype=np.float64), lambda x: 1.7159 * torch.tanh(2 / 3 * x)),
        (ta.AbsTanh(1.7159, 2 / 3, dtype=np.float64), lambda x: torch.abs(1.7159 * torch.tanh(2 / 3 * x))),
        (ta.Sigmoid(dtype=np.float64), torch.sigmoid),
        (ta.Flatten(dtype=np.float64), lambda x: torch.flatten(x, 1)),
    ],
    ids=repr,
)
def test_activations(layer, function):
    compare(layer, function, 3 * values((2, 3, 4, 5)))


@pytest.mark.parametrize("scale", [1, 100, 1e4])
def test_cross_entropy(scale):
    logits, labels = scale * values((6, 5)), np.array([0, 4, 2, 2, 1, 3])
    there, head = leaf(logits), ta.SoftmaxCrossEntropy(dtype=np.float64)
    loss = F.cross_entropy(there, torch.tensor(labels))
    loss.backward()
    assert float(head.forward(logits, labels, train=True)) == pytest.approx(float(loss.detach()), rel=1e-13)
    assert np.abs(head.backward() - there.grad.numpy()).max() < 1e-15


def optimizers(**settings):
    """One linear layer and a tensor of its weights, each with its optimizer."""
    layer = ta.Linear(6, 5, rng=rng(), weight_init=ta.Gaussian(1), dtype=np.float64)
    weight = leaf(layer.params["weight"])
    return layer, ta.SGD(layer, **settings), weight, torch.optim.SGD([weight], **settings)


def step(layer, ours, weight, theirs, grad):
    layer.grads["weight"][...] = grad
    ours.step()
    weight.grad = torch.tensor(grad)
    theirs.step()


def test_sgd_at_a_constant_rate():
    layer, ours, weight, theirs = optimizers(lr=0.1, momentum=0.9, weight_decay=0.05)
    for number in range(10):
        step(layer, ours, weight, theirs, values((5, 6), number))
        close(layer.params["weight"], weight)
    assert np.abs(ours.velocity["linear.weight"] + 0.1 * theirs.state[weight]["momentum_buffer"].numpy()).max() < 1e-14


def test_sgd_differs_where_the_rate_changes():
    """PyTorch multiplies the velocity by the rate of the step; the paper's holds the rates it was made with."""
    layer, ours, weight, theirs = optimizers(lr=0.1, momentum=0.9, weight_decay=0.0)
    step(layer, ours, weight, theirs, np.ones((5, 6)))
    before = layer.params["weight"].copy()
    close(before, weight)
    ours.lr = theirs.param_groups[0]["lr"] = 0.01
    step(layer, ours, weight, theirs, np.zeros((5, 6)))
    assert np.allclose(layer.params["weight"] - before, -0.09, rtol=1e-12, atol=0)
    assert np.allclose(weight.detach().numpy() - before, -0.009, rtol=1e-12, atol=0)


def network():
    """A small AlexNet: every kind of layer the paper has, but for dropout."""
    settings = {"dtype": np.float64, "weight_init": ta.Gaussian(0.3), "rng": rng()}
    return ta.Sequential(
        [
            ta.Conv2d(3, 8, 5, stride=2, input_gradient=False, name="conv1", **settings),
            ta.ReLU(name="relu1", dtype=np.float64),
            ta.LocalResponseNorm(alpha=0.1, name="norm1", dtype=np.float64),
            ta.MaxPool2d(3, stride=2, name="pool1", dtype=np.float64),
            ta.Conv2d(8, 8, 3, padding=1, groups=2, bias_init=ta.Constant(1), name="conv2", **settings),
            ta.ReLU(name="relu2", dtype=np.float64),
            ta.Flatten(dtype=np.float64),
            ta.Linear(72, 16, bias_init=ta.Constant(1), name="fc6", **settings),
            ta.ReLU(name="relu6", dtype=np.float64),
            ta.Linear(16, 10, name="fc8", **settings),
        ],
        in_shape=(3, 19, 19),
    )


def twin(x, p):
    """The same network in PyTorch, on a dict of parameters."""
    x = F.relu(F.conv2d(x, p["conv1.weight"], p["conv1.bias"], stride=2))
    x = F.max_pool2d(F.local_response_norm(x, 5, 0.5, 0.75, 2.0), 3, 2)
    x = F.relu(F.conv2d(x, p["conv2.weight"], p["conv2.bias"], padding=1, groups=2))
    x = F.relu(F.linear(torch.flatten(x, 1), p["fc6.weight"], p["fc6.bias"]))
    return F.linear(x, p["fc8.weight"], p["fc8.bias"])


def test_three_training_steps_of_a_network():
    net, head = network(), ta.SoftmaxCrossEntropy(dtype=np.float64)
    sgd = ta.SGD(net, lr=0.05, weight_decay=0.01, multipliers={"*.bias": (2, 0)})
    parameters = {name: leaf(value) for name, value in net.params.items()}
    biases = [value for name, value in parameters.items() if name.endswith("bias")]
    weights = [value for name, value in parameters.items() if name.endswith("weight")]
    theirs = torch.optim.SGD(
        [{"params": weights, "weight_decay": 0.01}, {"params": biases, "lr": 0.1, "weight_decay": 0.0}], lr=0.05, momentum=0.9
    )
    for number in range(3):
        x, labels = values((6, 3, 19, 19), number), rng(number).integers(0, 10, 6)
        loss = head.forward(net.forward(x, train=True), labels, train=True)
        net.backward(head.backward())
        expected = F.cross_entropy(twin(torch.tensor(x), parameters), torch.tensor(labels))
        theirs.zero_grad()
        expected.backward()
        assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-12)
        for name, parameter in parameters.items():
            close(net.grads[name], parameter.grad)
        sgd.step()
        theirs.step()
        for name, parameter in parameters.items():
            close(net.params[name], parameter)


def test_conv2_of_alexnet_in_float32():
    """1200 products a sum, in another order: some 35 roundings of 6e-8 at random, so 1e-5 of the largest value."""
    layer = ta.Conv2d(96, 256, 5, padding=2, groups=2, rng=rng(), bias_init=ta.Constant(1))
    compare(layer, lambda x, w, b: F.conv2d(x, w, b, padding=2, groups=2), values((2, 96, 27, 27), dtype=np.float32), tolerance=1e-5)


def test_norm1_of_alexnet_in_float32():
    """A few roundings each of 6e-8, the power's among them: 1e-6 of the largest value. alpha = 1 for a term that counts."""
    x = values((2, 96, 55, 55), dtype=np.float32)
    for alpha in (1e-4, 1.0):
        compare(ta.LocalResponseNorm(alpha=alpha), lambda x, a=alpha: F.local_response_norm(x, 5, 5 * a, 0.75, 2.0), x, tolerance=1e-6)
