"""Files that PyTorch exports of nets built in it: read, and computed as PyTorch itself does."""

import numpy as np
import pytest

from tests.contract import values
from tests.formats.onnx.graphs import agree, run
from tinyalex.formats.onnx import read_onnx

torch = pytest.importorskip("torch", reason="PyTorch is not installed: install the extra 'bench' to compare")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::torch.jit.TracerWarning")


class Module(nn.Module):
    """A function of x and of layers by name."""

    def __init__(self, compute, **layers):
        super().__init__()
        self.compute = compute
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.compute(self, x)


def alexnet():
    features = (nn.Conv2d(3, 8, 11, 4, 2), nn.ReLU(), nn.LocalResponseNorm(5, 1e-2, 0.75, 2.0), nn.MaxPool2d(3, 2))
    more = (nn.Conv2d(8, 16, 5, padding=2, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.MaxPool2d(3, 2, ceil_mode=True))
    head = (nn.Flatten(), nn.Dropout(), nn.Linear(576, 32), nn.ReLU(), nn.Linear(32, 10), nn.Softmax(1))
    return nn.Sequential(*features, *more, *head), (3, 224, 224)


def block(c, k, stride):
    def compute(m, x):
        y = torch.relu(m.bn1(m.conv1(x)))
        return torch.relu(m.bn2(m.conv2(y)) + (m.down(x) if stride > 1 else x))

    down = nn.Sequential(nn.Conv2d(c, k, 1, stride, bias=False), nn.BatchNorm2d(k)) if stride > 1 else nn.Identity()
    convs = {"conv1": nn.Conv2d(c, k, 3, stride, 1, bias=False), "conv2": nn.Conv2d(k, k, 3, 1, 1, bias=False)}
    return Module(compute, **convs, bn1=nn.BatchNorm2d(k), bn2=nn.BatchNorm2d(k), down=down)


def gates():
    """Two forms of squeeze-and-excitation, among residual blocks."""
    by_linear = Module(
        lambda m, x: x * torch.sigmoid(m.b(torch.relu(m.a(x.mean((2, 3))))))[:, :, None, None], a=nn.Linear(8, 4), b=nn.Linear(4, 8)
    )
    pooled = nn.AdaptiveAvgPool2d(1)
    by_conv = Module(lambda m, x: x * torch.sigmoid(m.b(torch.relu(m.a(m.p(x))))), p=pooled, a=nn.Conv2d(16, 4, 1), b=nn.Conv2d(4, 16, 1))
    flat_head = Module(lambda m, x: F.avg_pool2d(x, x.size()[3]).view(x.size(0), -1))
    net = (
        nn.Conv2d(3, 8, 3, padding=1),
        block(8, 8, 1),
        by_linear,
        block(8, 16, 2),
        by_conv,
        nn.AvgPool2d(3, 2, 1),
        flat_head,
        nn.Linear(16, 10),
    )
    return nn.Sequential(*net), (3, 20, 20)


def option_a():
    def compute(m, x):
        x = torch.tanh(m.c(x))
        x = torch.relu(m.d(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4)))
        return torch.cat([x, x.sigmoid()], 1).mean((-2, -1))

    return Module(compute, c=nn.Conv2d(3, 8, 3, padding=1), d=nn.Conv2d(8, 16, 3, 2, 1)), (3, 16, 16)


@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.parametrize("any_batch", [False, True])
@pytest.mark.parametrize("make", [alexnet, gates, option_a])
def test_an_exported_net_is_computed_as_in_pytorch(make, any_batch, opset, tmp_path):
    torch.manual_seed(0)
    net, shape = make()
    for each in net.modules():
        if isinstance(each, nn.BatchNorm2d):
            for array in (each.running_mean, each.weight.data, each.bias.data):
                array.normal_()
            each.running_var.uniform_(0.5, 2)
    net.eval()
    x, path = torch.tensor(values((2, *shape), 1, np.float32)), tmp_path / "net.onnx"
    axes = {"x": {0: "n"}} if any_batch else None
    torch.onnx.export(net, (x,), str(path), opset_version=opset, dynamo=False, input_names=["x"], dynamic_axes=axes)
    back = read_onnx(path)
    with torch.no_grad():
        agree(run(back, x.numpy()), net(x).numpy())
