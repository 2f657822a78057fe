"""AlexNet at full width against nets built by hand in PyTorch, with the same weights and the same dropout masks.

torch's response normalization averages the squares over its n channels, the paper adds them up: alpha is given n times there.
Its convolution has no ceil mode: `paper` gets three rows and columns of zeros at the bottom and on the right.
"""

import numpy as np
import pytest

from tests.contract import values
from tinyalex.masks import dropout_mask
from tinyalex.models import alexnet

torch = pytest.importorskip("torch", reason="PyTorch is not installed: install the extra 'bench' to compare")
F = torch.nn.functional


def drop(x, name, factor):
    """What the engine's dropout does at its first step with seed 0."""
    return x * torch.tensor(dropout_mask(0, name, 0, tuple(x.shape), 0.5)) * factor


def norm_by_group(x, groups, alpha, k):
    return torch.cat([F.local_response_norm(part, 5, alpha, 0.75, k) for part in x.chunk(groups, 1)], 1)


def paper(x, p, outs):
    x = outs["conv1"] = F.conv2d(F.pad(x, (0, 3, 0, 3)), p["conv1.weight"], p["conv1.bias"], stride=4)
    x = outs["norm1"] = norm_by_group(F.relu(x), 2, 5e-4, 2.0)
    x = outs["conv2"] = F.conv2d(F.max_pool2d(x, 3, 2), p["conv2.weight"], p["conv2.bias"], padding=2, groups=2)
    x = outs["norm2"] = norm_by_group(F.relu(x), 2, 5e-4, 2.0)
    x = F.max_pool2d(x, 3, 2)
    return rest(x, p, outs, 2, lambda x, name: drop(x, name, 1))


def caffe(x, p, outs):
    x = outs["conv1"] = F.conv2d(x, p["conv1.weight"], p["conv1.bias"], stride=4)
    x = outs["norm1"] = F.local_response_norm(F.relu(x), 5, 1e-4, 0.75, 1.0)
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    x = outs["conv2"] = F.conv2d(x, p["conv2.weight"], p["conv2.bias"], padding=2, groups=2)
    x = outs["norm2"] = F.local_response_norm(F.relu(x), 5, 1e-4, 0.75, 1.0)
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    return rest(x, p, outs, 2, lambda x, name: drop(x, name, 2))


def rest(x, p, outs, groups, dropout):
    x = outs["conv3"] = F.conv2d(x, p["conv3.weight"], p["conv3.bias"], padding=1)
    x = outs["conv4"] = F.conv2d(F.relu(x), p["conv4.weight"], p["conv4.bias"], padding=1, groups=groups)
    x = outs["conv5"] = F.conv2d(F.relu(x), p["conv5.weight"], p["conv5.bias"], padding=1, groups=groups)
    x = outs["pool5"] = F.max_pool2d(F.relu(x), 3, 2, ceil_mode=True)
    x = outs["fc6"] = F.linear(torch.flatten(x, 1), p["fc6.weight"], p["fc6.bias"])
    x = outs["fc7"] = F.linear(dropout(F.relu(x), "drop6"), p["fc7.weight"], p["fc7.bias"])
    x = outs["fc8"] = F.linear(dropout(F.relu(x), "drop7"), p["fc8.weight"], p["fc8.bias"])
    return x


def torchvision(x, p, outs):
    x = outs["conv1"] = F.conv2d(x, p["conv1.weight"], p["conv1.bias"], stride=4, padding=2)
    x = outs["pool1"] = F.max_pool2d(F.relu(x), 3, 2)
    x = outs["conv2"] = F.conv2d(x, p["conv2.weight"], p["conv2.bias"], padding=2)
    x = outs["pool2"] = F.max_pool2d(F.relu(x), 3, 2)
    for layer in ("conv3", "conv4", "conv5"):
        x = outs[layer] = F.conv2d(x, p[f"{layer}.weight"], p[f"{layer}.bias"], padding=1)
        x = F.relu(x)
    x = outs["pool5"] = F.adaptive_avg_pool2d(F.max_pool2d(x, 3, 2), 6)
    x = outs["fc6"] = F.linear(drop(torch.flatten(x, 1), "drop6", 2), p["fc6.weight"], p["fc6.bias"])
    x = outs["fc7"] = F.linear(drop(F.relu(x), "drop7", 2), p["fc7.weight"], p["fc7.bias"])
    x = outs["fc8"] = F.linear(F.relu(x), p["fc8.weight"], p["fc8.bias"])
    return x


def outputs_layer_by_layer(net, x):
    outs = {}
    for layer in net.layers:
        x = outs[layer.name] = layer.forward(x, train=True)
    return outs


def largest_difference(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


def relative_norm(a, b):
    return float(np.linalg.norm((a - b).ravel()) / np.linalg.norm(b.ravel()))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("theirs", "size"), [(paper, 224), (caffe, 227), (torchvision, 224)], ids=["paper", "caffe", "torchvision"])
def test_outputs_and_gradients_of_every_layer_agree(theirs, size, dtype):
    net = alexnet(theirs.__name__, dtype=dtype, input_gradient=True)
    x = 60 * values((2, 3, size, size), dtype=dtype)  # of a spread like that of pixels
    parameters = {name: torch.from_numpy(array).requires_grad_() for name, array in net.params.items()}  # the same memory
    image, expected = torch.tensor(x, requires_grad=True), {}
    logits = theirs(image, parameters, expected)
    dout = values(tuple(logits.shape), 1, dtype)
    logits.backward(torch.from_numpy(dout))
    outs = outputs_layer_by_layer(net, x)
    gradients = {"x": (net.backward(dout), image.grad)} | {name: (net.grads[name], parameters[name].grad) for name in net.grads}
    of_output, of_gradient, tolerances = (
        (largest_difference, largest_difference, (1e-9, 1e-9)) if dtype == "float64" else (largest_difference, relative_norm, (1e-4, 1e-2))
    )
    for name, out in expected.items():
        assert of_output(outs[name], out.detach().numpy()) <= tolerances[0], name
    assert len(gradients) == 17
    for name, (ours, grad) in gradients.items():
        assert ours.shape == tuple(grad.shape)
        assert of_gradient(ours, grad.numpy()) <= tolerances[1], name
