"""The networks after AlexNet against nets built by hand in PyTorch from the papers, with the same weights and dropout masks.

The nets here are functions that know the papers' tables, not the rows of `tinyalex.models.later`; only the names of the parameters are
shared. Reduced widths in float64, with every gradient and the running statistics; and some at full width, forward in float32.
"""

import math

import numpy as np
import pytest

from tests.contract import values
from tinyalex.masks import dropout_mask
from tinyalex.models.later import LATER, build_later

torch = pytest.importorskip("torch", reason="PyTorch is not installed: install the extra 'bench' to compare")
F = torch.nn.functional


class Net:
    """The parameters and buffers of a net of tinyalex by name, as tensors, and the layers that read them."""

    def __init__(self, net, train):
        self.p = {key: torch.tensor(np.array(param), requires_grad=train) for key, param in net.params.items()}
        self.b = {key: torch.tensor(np.array(buffer)) for key, buffer in net.buffers.items()}
        self.train, self.eps = train, 1e-5

    def conv(self, x, name, stride=1, padding=0, groups=1):
        return F.conv2d(x, self.p[f"{name}.weight"], self.p.get(f"{name}.bias"), stride, padding, groups=groups)

    def bn(self, x, name):
        running = self.b[f"{name}.running_mean"], self.b[f"{name}.running_var"]
        return F.batch_norm(x, *running, self.p[f"{name}.weight"], self.p[f"{name}.bias"], self.train, 0.1, self.eps)

    def unit(self, x, name, stride=1, padding=0):
        """Convolution, batch normalization if the net has some there, ReLU."""
        x = self.conv(x, name, stride, padding)
        return F.relu(self.bn(x, f"{name}.bn") if f"{name}.bn.weight" in self.p else x)

    def linear(self, x, name):
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def drop(self, x, name, p):
        """What tinyalex's dropout does at its first step with seed 0, divided by 1 - p while training."""
        return x * torch.tensor(dropout_mask(0, name, 0, tuple(x.shape), p)) / (1 - p) if self.train else x


def vgg(n, x, counts):
    for stage, count in enumerate(counts, 1):
        for i in range(1, count + 1):
            x = n.unit(x, f"conv{stage}_{i}", padding=1)
        x = F.max_pool2d(x, 2)
    x = torch.flatten(x, 1)
    for name in "67":
        x = n.drop(F.relu(n.linear(x, f"fc{name}")), f"drop{name}", 0.5)
    return n.linear(x, "fc8")


def zfnet(n, x):
    x = F.max_pool2d(n.unit(x, "conv1", 2, 1), 3, 2, ceil_mode=True)
    x = n.unit(F.local_response_norm(x, 5, 5e-4, 0.75, 2.0), "conv2", 2)  # torch divides alpha by 5
    x = F.local_response_norm(F.max_pool2d(x, 3, 2, ceil_mode=True), 5, 5e-4, 0.75, 2.0)
    for name in ("conv3", "conv4", "conv5"):
        x = n.unit(x, name, padding=1)
    x = torch.flatten(F.max_pool2d(x, 3, 2, ceil_mode=True), 1)
    for name in "67":
        x = n.drop(F.relu(n.linear(x, f"fc{name}")), f"drop{name}", 0.5)
    return n.linear(x, "fc8")


def googlenet(n, x, large=5, last=3, lrn=True):
    def pool(x, kernel=3):
        return F.max_pool2d(x, kernel, 2, ceil_mode=True)

    def norm(x):
        return F.local_response_norm(x, 5, 1e-4, 0.75, 1.0) if lrn else x

    def module(x, name):
        return torch.cat([
            n.unit(x, f"{name}.1x1"),
            n.unit(n.unit(x, f"{name}.3x3.reduce"), f"{name}.3x3", padding=1),
            n.unit(n.unit(x, f"{name}.5x5.reduce"), f"{name}.5x5", padding=large // 2),
            n.unit(F.max_pool2d(x, 3, 1, 1), f"{name}.project"),
        ], 1)  # fmt: skip

    def head(x, name):
        x = torch.flatten(n.unit(F.avg_pool2d(x, 5, 3), f"{name}.conv"), 1)
        return n.linear(n.drop(F.relu(n.linear(x, f"{name}.fc1")), f"{name}.drop", 0.7), f"{name}.fc2")

    x = norm(pool(n.unit(x, "conv1", 2, 3)))
    x = pool(norm(n.unit(n.unit(x, "conv2.reduce"), "conv2", padding=1)))
    x = module(pool(module(module(x, "3a"), "3b")), "4a")
    heads = {"aux1": x}
    for name in ("4b", "4c", "4d"):
        x = module(x, name)
    heads["aux2"] = x
    x = module(module(pool(module(x, "4e"), last), "5a"), "5b")
    main = n.linear(n.drop(x.mean((2, 3)), "drop", 0.4), "fc")
    if "aux1.fc2.weight" not in n.p or not n.train:
        return main
    return main, head(heads["aux2"], "aux2"), head(heads["aux1"], "aux1")


def googlenet_of_torchvision(n, x):
    n.eps = 1e-3
    return googlenet(n, x, 3, 2, lrn=False)


def resnet(n, x, counts, kind, first=False):
    x = F.max_pool2d(n.unit(x, "conv1", 2, 3), 3, 2, 1)
    for stage, count in enumerate(counts, 1):
        for i in range(1, count + 1):
            name, stride = f"stage{stage}.{i}", 2 if stage > 1 and i == 1 else 1
            if kind == "basic":
                y = n.unit(x, f"{name}.conv1", stride, 1)
                y = n.bn(n.conv(y, f"{name}.conv2", 1, 1), f"{name}.conv2.bn")
            else:
                y = n.unit(x, f"{name}.conv1", stride if first else 1)
                y = n.unit(y, f"{name}.conv2", 1 if first else stride, 1)
                y = n.bn(n.conv(y, f"{name}.conv3"), f"{name}.conv3.bn")
            if f"{name}.excite.weight" in n.p:
                gate = torch.sigmoid(n.linear(F.relu(n.linear(y.mean((2, 3)), f"{name}.reduce")), f"{name}.excite"))
                y = y * gate[:, :, None, None]
            shortcut = x
            if f"{name}.project.weight" in n.p:
                shortcut = n.bn(n.conv(x, f"{name}.project", stride), f"{name}.project.bn")
            x = F.relu(y + shortcut)
    return n.linear(x.mean((2, 3)), "fc")


def preresnet(n, x, counts, kind):
    x = F.max_pool2d(n.conv(x, "conv1", 2, 3), 3, 2, 1)
    for stage, count in enumerate(counts, 1):
        for i in range(1, count + 1):
            name, stride = f"stage{stage}.{i}", 2 if stage > 1 and i == 1 else 1
            y = F.relu(n.bn(x, f"{name}.bn1"))
            shortcut = n.conv(y, f"{name}.project", stride) if f"{name}.project.weight" in n.p else x
            if kind == "basic":
                y = n.conv(y, f"{name}.conv1", stride, 1)
                y = n.conv(F.relu(n.bn(y, f"{name}.bn2")), f"{name}.conv2", 1, 1)
            else:
                y = n.conv(y, f"{name}.conv1")
                y = n.conv(F.relu(n.bn(y, f"{name}.bn2")), f"{name}.conv2", stride, 1)
                y = n.conv(F.relu(n.bn(y, f"{name}.bn3")), f"{name}.conv3")
            x = y + shortcut
    return n.linear(F.relu(n.bn(x, "bn5")).mean((2, 3)), "fc")


def cifar(n, x, depth, plain=False):
    x = n.unit(x, "conv1", padding=1)
    for stage in (1, 2, 3):
        for i in range(1, (depth - 2) // 6 + 1):
            name, stride = f"stage{stage}.{i}", 2 if stage > 1 and i == 1 else 1
            y = n.bn(n.conv(n.unit(x, f"{name}.conv1", stride, 1), f"{name}.conv2", 1, 1), f"{name}.conv2.bn")
            if f"{name}.project.weight" in n.p:
                y = y + n.bn(n.conv(x, f"{name}.project", stride), f"{name}.project.bn")
            elif not plain:
                y = y + F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
            x = F.relu(y)
    return n.linear(x.mean((2, 3)), "fc")


def densenet(n, x, counts):
    x = F.max_pool2d(F.relu(n.bn(n.conv(x, "conv1", 2, 3), "bn1")), 3, 2, 1)
    for block, count in enumerate(counts, 1):
        if block > 1:
            name = f"transition{block - 1}"
            x = F.avg_pool2d(n.conv(F.relu(n.bn(x, f"{name}.bn")), f"{name}.conv"), 2)
        for i in range(1, count + 1):
            name = f"block{block}.{i}"
            y = n.conv(F.relu(n.bn(x, f"{name}.bn1")), f"{name}.conv1")
            x = torch.cat([x, n.conv(F.relu(n.bn(y, f"{name}.bn2")), f"{name}.conv2", 1, 1)], 1)
    return n.linear(F.relu(n.bn(x, "bn5")).mean((2, 3)), "fc")


def squeezenet(n, x, pools):
    x = n.unit(x, "conv1", 2)
    for i in range(2, 10):
        if i in pools:
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = n.unit(x, f"fire{i}.squeeze")
        x = torch.cat([n.unit(x, f"fire{i}.1x1"), n.unit(x, f"fire{i}.3x3", padding=1)], 1)
    return n.unit(n.drop(x, "drop9", 0.5), "conv10").mean((2, 3))


def chain(n, x, *steps):
    """Units in a row, each (name, padding)."""
    for name, padding in steps:
        x = n.unit(x, name, padding=padding)
    return x


def factored(n, x, name):
    return torch.cat([n.unit(x, f"{name}.1x3", padding=(0, 1)), n.unit(x, f"{name}.3x1", padding=(1, 0))], 1)


def long_stem(n, x):
    x = chain(n, n.unit(x, "conv1", 2), ("conv2", 0), ("conv3", 1))
    x = chain(n, F.max_pool2d(x, 3, 2), ("conv4", 0), ("conv5", 0))
    return F.max_pool2d(x, 3, 2)


def module35(n, x, name, counts):
    return torch.cat([
        n.unit(x, f"{name}.1x1"),
        chain(n, x, (f"{name}.5x5.reduce", 0), (f"{name}.5x5", 2)),
        chain(n, x, (f"{name}.3x3.reduce", 0), (f"{name}.3x3a", 1), (f"{name}.3x3b", 1)),
        n.unit(F.avg_pool2d(x, 3, 1, 1, count_include_pad=counts), f"{name}.project"),
    ], 1)  # fmt: skip


def to_17(n, x, name):
    twice = n.unit(chain(n, x, (f"{name}.3x3.reduce", 0), (f"{name}.3x3a", 1)), f"{name}.3x3b", 2)
    return torch.cat([n.unit(x, f"{name}.3x3", 2), twice, F.max_pool2d(x, 3, 2)], 1)


def module17(n, x, name, counts):
    return torch.cat([
        n.unit(x, f"{name}.1x1"),
        chain(n, x, (f"{name}.7x7.reduce", 0), (f"{name}.1x7", (0, 3)), (f"{name}.7x1", (3, 0))),
        chain(n, x, (f"{name}.twice.reduce", 0), (f"{name}.7x1a", (3, 0)), (f"{name}.1x7a", (0, 3)), (f"{name}.7x1b", (3, 0)),
              (f"{name}.1x7b", (0, 3))),
        n.unit(F.avg_pool2d(x, 3, 1, 1, count_include_pad=counts), f"{name}.project"),
    ], 1)  # fmt: skip


def to_8(n, x, name):
    long = chain(n, x, (f"{name}.7x7.reduce", 0), (f"{name}.1x7", (0, 3)), (f"{name}.7x1", (3, 0)))
    three = n.unit(n.unit(x, f"{name}.3x3.reduce"), f"{name}.3x3", 2)
    return torch.cat([three, n.unit(long, f"{name}.3x3b", 2), F.max_pool2d(x, 3, 2)], 1)


def inception_v3(n, x):
    n.eps = 1e-3
    x = long_stem(n, x)
    for name in ("5b", "5c", "5d"):
        x = module35(n, x, name, True)
    x = to_17(n, x, "6a")
    for name in ("6b", "6c", "6d", "6e"):
        x = module17(n, x, name, True)
    middle, x = x, to_8(n, x, "7a")
    for name in ("7b", "7c"):
        x = torch.cat([
            n.unit(x, f"{name}.1x1"),
            factored(n, n.unit(x, f"{name}.3x3.reduce"), f"{name}.3x3"),
            factored(n, chain(n, x, (f"{name}.twice.reduce", 0), (f"{name}.3x3a", 1)), f"{name}.3x3b"),
            n.unit(F.avg_pool2d(x, 3, 1, 1), f"{name}.project"),
        ], 1)  # fmt: skip
    main = n.linear(n.drop(x.mean((2, 3)), "drop", 0.5), "fc")
    head = chain(n, F.avg_pool2d(middle, 5, 3), ("aux.conv1", 0), ("aux.conv2", 0))
    return main, n.linear(head.mean((2, 3)), "aux.fc")


def inception_v4(n, x):
    n.eps = 1e-3
    x = chain(n, n.unit(x, "conv1", 2), ("conv2", 0), ("conv3", 1))
    x = torch.cat([F.max_pool2d(x, 3, 2), n.unit(x, "stem1.3x3", 2)], 1)
    long = (("stem2.7x7.reduce", 0), ("stem2.1x7", (0, 3)), ("stem2.7x1", (3, 0)), ("stem2.3x3b", 0))
    x = torch.cat([chain(n, x, ("stem2.3x3.reduce", 0), ("stem2.3x3", 0)), chain(n, x, *long)], 1)
    x = torch.cat([n.unit(x, "stem3.3x3", 2), F.max_pool2d(x, 3, 2)], 1)
    for name in ("a1", "a2", "a3", "a4"):
        x = torch.cat([
            n.unit(x, f"{name}.1x1"),
            chain(n, x, (f"{name}.3x3.reduce", 0), (f"{name}.3x3", 1)),
            chain(n, x, (f"{name}.twice.reduce", 0), (f"{name}.3x3a", 1), (f"{name}.3x3b", 1)),
            n.unit(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), f"{name}.project"),
        ], 1)  # fmt: skip
    x = to_17(n, x, "reduce_a")
    for i in range(1, 8):
        x = module17(n, x, f"b{i}", False)
    x = to_8(n, x, "reduce_b")
    for name in ("c1", "c2", "c3"):
        x = torch.cat([
            n.unit(x, f"{name}.1x1"),
            factored(n, n.unit(x, f"{name}.3x3.reduce"), f"{name}.3x3"),
            factored(n, chain(n, x, (f"{name}.twice.reduce", 0), (f"{name}.3x1a", (1, 0)), (f"{name}.1x3a", (0, 1))), f"{name}.3x3b"),
            n.unit(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), f"{name}.project"),
        ], 1)  # fmt: skip
    return n.linear(n.drop(x.mean((2, 3)), "drop", 0.2), "fc")


def inception_resnet_v2(n, x):
    def block(x, name, factor, *paths):
        added = n.conv(torch.cat([chain(n, x, *path) for path in paths], 1), f"{name}.project")
        return x + added if factor is None else F.relu(x + factor * added)

    n.eps = 1e-3
    x = long_stem(n, x)
    x = module35(n, x, "5b", False)
    for i in range(1, 11):
        m = f"block35.{i}"
        twice = ((f"{m}.twice.reduce", 0), (f"{m}.3x3a", 1), (f"{m}.3x3b", 1))
        x = block(x, m, 0.17, ((f"{m}.1x1", 0),), ((f"{m}.3x3.reduce", 0), (f"{m}.3x3", 1)), twice)
    x = to_17(n, x, "6a")
    for i in range(1, 21):
        m = f"block17.{i}"
        x = block(x, m, 0.10, ((f"{m}.1x1", 0),), ((f"{m}.7x7.reduce", 0), (f"{m}.1x7", (0, 3)), (f"{m}.7x1", (3, 0))))
    x = torch.cat([
        n.unit(n.unit(x, "7a.a.reduce"), "7a.a", 2),
        n.unit(n.unit(x, "7a.b.reduce"), "7a.b", 2),
        n.unit(chain(n, x, ("7a.c.reduce", 0), ("7a.c1", 1)), "7a.c2", 2),
        F.max_pool2d(x, 3, 2),
    ], 1)  # fmt: skip
    for i in range(1, 11):
        m = f"block8.{i}"
        long = ((f"{m}.3x3.reduce", 0), (f"{m}.1x3", (0, 1)), (f"{m}.3x1", (1, 0)))
        x = block(x, m, None if i == 10 else 0.20, ((f"{m}.1x1", 0),), long)
    return n.linear(n.drop(n.unit(x, "conv7b").mean((2, 3)), "drop", 0.2), "fc")


def column(n, x, name=""):
    def tanh(x):
        return 1.7159 * torch.tanh(2 / 3 * x)

    for i in range(1, 5):
        x = F.max_pool2d(tanh(n.conv(x, f"{name}conv{i}")), 2, ceil_mode=True)
    x = torch.flatten(x, 1)
    return n.linear(tanh(n.linear(tanh(n.linear(x, f"{name}fc5")), f"{name}fc6")), f"{name}fc7")


def columns(n, x):
    return torch.stack([column(n, x, f"column{i}.") for i in range(1, 9)]).mean(0)


def jarrett(n, x):
    def contrast(x):
        g = torch.tensor([math.exp(-0.5 * ((i - 4) / (9 / 4)) ** 2) for i in range(9)], dtype=x.dtype)
        window = torch.outer(g, g)[None, None] / g.sum() ** 2
        v = x - F.conv2d(x.mean(1, keepdim=True), window, padding=4)
        std = F.conv2d((v * v).mean(1, keepdim=True), window, padding=4).sqrt()
        return v / torch.maximum(std, std.mean((2, 3), keepdim=True))

    x = F.avg_pool2d(contrast(torch.tanh(n.conv(x, "conv1")).abs()), 10, 5)
    x = F.avg_pool2d(contrast(torch.tanh(n.conv(x, "conv2", groups=4)).abs()), 6, 4)
    return n.linear(torch.flatten(x, 1), "fc3")


D50 = ((3, 4, 6, 3), "bottleneck")
NETS = {  # the function, the size of the images and the width for the comparison in float64
    "zfnet": (zfnet, 64, 1 / 8),
    "vgg11": (lambda n, x: vgg(n, x, (1, 1, 2, 2, 2)), 64, 1 / 8),
    "vgg11-bn": (lambda n, x: vgg(n, x, (1, 1, 2, 2, 2)), 64, 1 / 8),
    "vgg16": (lambda n, x: vgg(n, x, (2, 2, 3, 3, 3)), 32, 1 / 8),
    "googlenet-heads": (googlenet, 96, 1 / 8),
    "googlenet-bn-heads": (lambda n, x: googlenet(n, x, lrn=False), 96, 1 / 8),
    "googlenet-torchvision": (googlenet_of_torchvision, 96, 1 / 8),
    "resnet18": (lambda n, x: resnet(n, x, (2, 2, 2, 2), "basic"), 64, 1 / 8),
    "resnet50": (lambda n, x: resnet(n, x, *D50), 64, 1 / 8),
    "resnet50-v1": (lambda n, x: resnet(n, x, *D50, first=True), 64, 1 / 8),
    "wide-resnet50-2": (lambda n, x: resnet(n, x, *D50), 64, 1 / 16),
    "se-resnet50": (lambda n, x: resnet(n, x, *D50), 64, 1 / 8),
    "preresnet18": (lambda n, x: preresnet(n, x, (2, 2, 2, 2), "basic"), 64, 1 / 8),
    "preresnet50": (lambda n, x: preresnet(n, x, *D50), 64, 1 / 8),
    "resnet20": (lambda n, x: cifar(n, x, 20), 32, 1 / 4),
    "resnet20-b": (lambda n, x: cifar(n, x, 20), 32, 1 / 4),
    "plain20": (lambda n, x: cifar(n, x, 20, plain=True), 32, 1 / 4),
    "densenet121": (lambda n, x: densenet(n, x, (6, 12, 24, 16)), 64, 1 / 8),
    "squeezenet1.0": (lambda n, x: squeezenet(n, x, (2, 5, 9)), 64, 1 / 8),
    "squeezenet1.1": (lambda n, x: squeezenet(n, x, (2, 4, 6)), 64, 1 / 8),
    "inception-v3-heads": (inception_v3, 299, 1 / 16),
    "inception-v4": (inception_v4, 123, 1 / 16),
    "inception-resnet-v2": (inception_resnet_v2, 123, 1 / 16),
    "ciresan-columns": (columns, 32, 1 / 10),
    "jarrett": (jarrett, 143, 1 / 8),
}
FULL = {"vgg16": 1, "resnet50": 2, "googlenet": 2}  # images at full width
OTHERS = {"googlenet": googlenet}


def close(found, expected, tolerance, what, scale=0.0):
    assert np.abs(found - expected).max() <= tolerance * max(np.abs(expected).max(), scale), what


@pytest.mark.parametrize("name", NETS)
def test_outputs_gradients_and_running_statistics_are_those_of_torch(name):
    function, size, width = NETS[name]
    net = build_later(name, 7, width=width, input_size=size, dtype=np.float64, input_gradient=True)
    draw = np.random.default_rng(3)
    for param in net.params.values():
        if param.ndim == 1:  # scales of 1 and shifts of 0 would hide an exchange
            param += 0.2 * draw.standard_normal(param.shape)
    x, n = values((3, LATER[name].channels, size, size)), Net(net, True)
    there = torch.tensor(x, requires_grad=True)
    outs, wanted = net.forward(x, train=True), function(n, there)
    outs, wanted = (each if isinstance(each, tuple) else (each,) for each in (outs, wanted))
    assert len(outs) == len(wanted)
    douts = tuple(values(out.shape, 5 + i) for i, out in enumerate(outs))
    dx = net.backward(douts if len(douts) > 1 else douts[0])
    torch.autograd.backward(wanted, [torch.tensor(dout) for dout in douts])
    for i, (out, expected) in enumerate(zip(outs, wanted, strict=True)):
        close(out, expected.detach().numpy(), 1e-9, f"output {i}")
    close(dx, there.grad.numpy(), 1e-9, "x")
    assert net.params.keys() == n.p.keys()
    for key, grad in net.grads.items():
        # A bias in front of batch normalization changes nothing. Its gradient is 0, and both sides compute rounding errors alone.
        beside = np.abs(net.grads[key.removesuffix("bias") + "weight"]).max() if key.endswith(".bias") else 0.0
        close(grad, n.p[key].grad.numpy(), 1e-9, key, beside)
    for key, buffer in net.buffers.items():
        close(buffer, n.b[key].numpy(), 1e-9, key)
    assert len(net.buffers) == len(n.b) > 0 or not any(".bn" in key or "bn" in key for key in net.params)


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_full_width_in_float32_gives_the_outputs_of_torch(name):
    net, x = build_later(name), values((FULL[name], 3, 224, 224), dtype=np.float32)
    function = OTHERS.get(name) or NETS[name][0]
    with torch.no_grad():
        wanted = function(Net(net, False), torch.tensor(x)).numpy()
    close(net.forward(x), wanted, 1e-4, name)
