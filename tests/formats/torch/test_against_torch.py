"""Models of torchvision and timm with random weights: torch saves them, we read them and compute the same; we save, and torch reads.

The models of akamaster's CIFAR nets are built by hand here, as that program is no package.
"""

import numpy as np
import pytest

from tests.contract import refuses, values
from tests.formats.torch.oracles import torch, torchvision_models
from tinyalex.errors import CheckpointError
from tinyalex.formats.torch.state import read_pth, read_safetensors_state, write_safetensors_state
from tinyalex.formats.torch.write import write_pth
from tinyalex.models.later.rows import build_net
from tinyalex.models.weights import copy_state

F = torch.nn.functional
TORCHVISION = {  # the model, its settings, and the name here
    "alexnet": ({}, "alexnet-torchvision"),
    "vgg11": ({}, "vgg11"),
    "vgg13_bn": ({}, "vgg13-bn"),
    "vgg16": ({}, "vgg16"),
    "vgg19_bn": ({}, "vgg19-bn"),
    "squeezenet1_0": ({}, "squeezenet1.0"),
    "squeezenet1_1": ({}, "squeezenet1.1"),
    "googlenet": ({"init_weights": False, "aux_logits": False}, "googlenet-torchvision"),
    "googlenet heads": ({"init_weights": False}, "googlenet-torchvision-heads"),
    "inception_v3": ({"init_weights": False, "aux_logits": False}, "inception-v3"),
    "inception_v3 heads": ({"init_weights": False}, "inception-v3-heads"),
    "resnet18": ({}, "resnet18"),
    "resnet34": ({"num_classes": 7}, "resnet34"),
    "resnet50": ({}, "resnet50"),
    "resnet101": ({}, "resnet101"),
    "wide_resnet50_2": ({}, "wide-resnet50-2"),
    "densenet121": ({}, "densenet121"),
    "densenet169": ({"num_classes": 11}, "densenet169"),
}
TIMM = {"vgg11_bn": "vgg11-bn", "inception_v3": "inception-v3", "seresnet50": "se-resnet50", "legacy_seresnet50": "se-resnet50-v1",
        "resnetv2_50": "preresnet50", "resnet18": "resnet18", "densenet121": "densenet121"}  # fmt: skip


class Shortcut(torch.nn.Module):
    """Every second pixel, and zeros in front of its channels and behind them."""

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, x.shape[1] // 2, x.shape[1] // 2))


class Block(torch.nn.Module):
    def __init__(self, before, filters, option):
        super().__init__()
        stride = 1 if before == filters else 2
        self.conv1 = torch.nn.Conv2d(before, filters, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(filters)
        self.conv2 = torch.nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(filters)
        self.shortcut = torch.nn.Sequential()
        if stride == 2 and option == "B":
            self.shortcut = torch.nn.Sequential(torch.nn.Conv2d(before, filters, 1, 2, bias=False), torch.nn.BatchNorm2d(filters))
        elif stride == 2:
            self.shortcut = Shortcut()

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


class CifarResNet(torch.nn.Module):
    def __init__(self, depth, option):
        super().__init__()
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(16)
        before = 16
        for stage, filters in enumerate((16, 32, 64), 1):
            blocks = [Block(before if i == 0 else filters, filters, option) for i in range((depth - 2) // 6)]
            setattr(self, f"layer{stage}", torch.nn.Sequential(*blocks))
            before = filters
        self.linear = torch.nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def of_torchvision(label):
    settings, name = TORCHVISION[label]
    return getattr(torchvision_models(), label.split()[0])(weights=None, **settings), name


def of_timm(label):
    torchvision_models()
    timm = pytest.importorskip("timm", reason="timm is not installed: install the extra 'bench' to compare")
    return timm.create_model(label), TIMM[label]


def randomized(model):
    """The model while it is tested, with random statistics and shifts, which would hide an exchange if they were 0 and 1."""
    torch.manual_seed(3)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.dtype == torch.float32 and value.ndim == 1:
                value.copy_(torch.rand_like(value) * 0.2 + (1.0 if key.endswith(("weight", "running_var")) else -0.1))
    return model.eval()


def output(found, x):
    net = build_net(found.rows, found.in_shape, found.name)
    copy_state(net, found.arrays)
    return net.forward(x)


def agrees(model, found):
    x = values((1, *found.in_shape), dtype=np.float32)
    with torch.no_grad():
        wanted = model(torch.tensor(x)).numpy()
    off, largest = float(np.abs(output(found, x) - wanted).max()), float(np.abs(wanted).max())
    assert off <= 1e-4 * largest and np.ptp(wanted) > 0


def goes_round(model, name, tmp_path, form, library):
    """The model's weights come in from a file of torch, compute the same, and go back into the model from a file of ours."""
    model = randomized(model)
    torch.save(model.state_dict(), tmp_path / "there.pth", _use_new_zipfile_serialization=form == "archive")
    found = read_pth(tmp_path / "there.pth")
    assert found.name == name
    agrees(model, found)
    write_pth(tmp_path / "here.pth", found, library)
    back = torch.load(tmp_path / "here.pth", weights_only=True)
    there = model.state_dict()
    assert all(torch.equal(there[key], value) for key, value in back.items())
    assert all(key.endswith("num_batches_tracked") for key in there.keys() - back.keys()) and not back.keys() - there.keys()
    with torch.no_grad():
        for value in model.parameters():
            value.zero_()
    model.load_state_dict(back)
    agrees(model, found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("label", TORCHVISION)
def test_models_of_torchvision_go_round(label, tmp_path):
    form = "legacy" if label in ("resnet18", "alexnet", "googlenet heads") else "archive"
    goes_round(*of_torchvision(label), tmp_path, form, "torchvision")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("label", TIMM)
def test_models_of_timm_go_round(label, tmp_path):
    model, name = of_timm(label)
    goes_round(model, name, tmp_path, "archive", "timm" if label not in ("resnet18", "densenet121", "inception_v3") else "torchvision")


@pytest.mark.parametrize(("option", "name"), [("A", "resnet20"), ("B", "resnet20-b")])
def test_models_of_akamaster_go_round(option, name, tmp_path):
    goes_round(CifarResNet(20, option), name, tmp_path, "legacy", "akamaster")


@pytest.mark.filterwarnings("ignore")
def test_safetensors_of_torch_go_round(tmp_path):
    from safetensors.torch import load_file, save_file

    model = randomized(CifarResNet(20, "A"))
    save_file(model.state_dict(), tmp_path / "there.safetensors")
    found = read_safetensors_state(tmp_path / "there.safetensors")
    agrees(model, found)
    write_safetensors_state(tmp_path / "here.safetensors", found)
    back = load_file(tmp_path / "here.safetensors")
    assert all(torch.equal(model.state_dict()[key], value) for key, value in back.items()) and len(back) == 97


@pytest.mark.parametrize("form", ["archive", "legacy"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_models_of_other_types(form, dtype, tmp_path):
    model = randomized(CifarResNet(20, "A")).to(getattr(torch, dtype))
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, tmp_path / "a.pth", _use_new_zipfile_serialization=form == "archive")
    agrees(model.float(), read_pth(tmp_path / "a.pth"))


@pytest.mark.parametrize("form", ["archive", "legacy"])
def test_checkpoints_with_views_of_one_storage_and_an_optimizer(form, tmp_path):
    model = randomized(CifarResNet(20, "A"))
    sgd = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.zeros(1, 3, 32, 32)).sum().backward()
    sgd.step()
    state = model.state_dict()
    whole = torch.cat([state["conv1.weight"].permute(3, 1, 2, 0).reshape(-1), state["linear.weight"].T.reshape(-1)])
    state["conv1.weight"] = whole[:432].reshape(3, 3, 3, 16).permute(3, 1, 2, 0)
    state["linear.weight"] = whole[432:].reshape(64, 10).T
    assert not state["conv1.weight"].is_contiguous()
    saved = {"model": state, "optimizer": sgd.state_dict(), "args": None}
    torch.save(saved, tmp_path / "a.pth", _use_new_zipfile_serialization=form == "archive")
    agrees(model, read_pth(tmp_path / "a.pth"))


@pytest.mark.parametrize("form", ["archive", "legacy"])
@pytest.mark.filterwarnings("ignore")
def test_a_whole_model_is_refused(form, tmp_path):
    torch.save(torch.nn.Linear(2, 3), tmp_path / "a.pth", _use_new_zipfile_serialization=form == "archive")
    with refuses(CheckpointError, "got torch.nn.modules.linear.Linear; save the state dict and not the model"):
        read_pth(tmp_path / "a.pth")
