"""The nets of the claims after AlexNet, for whole images of CIFAR-10: those of He et al. 2015, section 4.2, and edits of them.

Layers of equal names begin with equal weights where their shapes are equal, so two nets of a claim start as alike as they can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tinyalex.devices import Device
from tinyalex.experiments.claims.nets import Builder
from tinyalex.layers import Sequential
from tinyalex.models.later.cifar_resnet import cifar_resnet
from tinyalex.models.later.resnet import basic, block, bottleneck, preactivated, squeeze
from tinyalex.models.later.rows import branches, build_net, conv, conv_bn_relu, linear, row
from tinyalex.models.rows import Row, Rows

SIZE = 32  # pixels, height and width of what the nets read
FILTERS = (16, 32, 64)  # of the three stages
REDUCTION = 4  # of squeeze-and-excitation: 16 maps leave 4 numbers. The paper's 16 would leave a single one
GROUPS = 4  # of group normalization: 4, 8 and 16 maps each. The paper's nets have 32 groups; of groups of equal size, 16 maps were best
# The paper's alpha, 1e-4, is for activations of pixels from 0 to 255. Here pixels are divided by their deviation, about 64, and 64 ** 2
# times 1e-4 is about 0.4. The constant is 1, as in the authors' nets for CIFAR-10, so that small activations pass unchanged.
RESPONSE = {"n": 5, "k": 1.0, "alpha": 0.4, "beta": 0.75}
Path = Callable[[str, int, int], Rows]  # (name, filters, stride) -> the path of a block, beside which the shortcut stands


def residual(n: int, path: Path, grows: int = 1) -> Rows:
    """A ResNet for CIFAR-10 with n blocks a stage. grows: how many times as many maps a block gives as it has filters."""
    rows: list[Row] = [*conv_bn_relu("conv1", 16, 3)]
    for stage, filters in enumerate(FILTERS, 1):
        for i in range(1, n + 1):
            name, stride = f"stage{stage}.{i}", 2 if stage > 1 and i == 1 else 1
            rows += block(name, path(name, filters, stride), grows * filters, stride, i == 1 and (stage > 1 or grows > 1), "A")
    return (*rows, row("global_pool", "pool"), linear("fc", 10))


def excited(name: str, filters: int, stride: int) -> Rows:
    """A basic block's path with squeeze-and-excitation behind it."""
    return *basic(name, filters, stride), *squeeze(name, filters, REDUCTION)


def preactivation(n: int) -> Rows:
    """A ResNet for CIFAR-10 with normalization and ReLU in front of each convolution (He et al. 2016). Shortcuts have no parameters."""
    rows: list[Row] = [conv("conv1", 16, 3, bias=False)]
    for stage, filters in enumerate(FILTERS, 1):
        for i in range(1, n + 1):
            name, stride = f"stage{stage}.{i}", 2 if stage > 1 and i == 1 else 1
            before = row("bn", f"{name}.bn1"), row("relu", f"{name}.relu1")
            path = preactivated(name, "basic", filters, stride)
            if stride == 1:
                rows.append(branches(name, "sum", (*before, *path), ()))
            else:
                rows += [*before, branches(name, "sum", path, (row("shortcut", f"{name}.shortcut", channels=filters, stride=stride),))]
    return (*rows, row("bn", "bn"), row("relu", "relu"), row("global_pool", "pool"), linear("fc", 10))


def windows(kernels: tuple[int, ...], width: int = 32) -> Rows:
    """Three stages, each with these convolutions, all of equal width, and poolings between them; (5,) and (3, 3) see equally far."""
    rows: list[Row] = [*conv_bn_relu("conv1", width, 3)]
    for stage in (1, 2, 3):
        for i, kernel in enumerate(kernels, 1):
            rows += conv_bn_relu(f"stage{stage}.conv{i}", width, kernel)
        if stage < 3:
            rows.append(row("pool", f"pool{stage}", kernel_size=2, stride=2))
    return (*rows, row("global_pool", "pool"), linear("fc", 10))


def plain8(norm: str) -> Rows:
    """A plain net of eight layers. norm: "bn", "gn", "lrn" or "none".

    Batch and group normalization stand in front of the ReLU and make biases useless; response normalization stands behind it, as in
    AlexNet, and its convolutions have biases, as those of the net without any normalization.
    """
    rows: list[Row] = []
    for each in cifar_resnet(8, plain=True):
        if each.kind == "conv" and norm in ("lrn", "none"):
            rows.append(each.having(bias=True))
        elif each.kind == "bn":
            rows += [] if norm in ("lrn", "none") else [row("gn", each.name, groups=GROUPS) if norm == "gn" else each]
        else:
            rows.append(each)
            if each.kind == "relu" and norm == "lrn":
                rows.append(row("norm", each.name.replace("relu", "norm"), **RESPONSE))
    return tuple(rows)


def of_later(rows: Rows, name: str) -> Builder:
    """A function that builds the net of these rows for whole images, with as many outputs as there are classes."""

    def build(seed: int, classes: int, device: Device) -> Sequential:
        *body, head = rows
        return build_net((*body, head.having(out_features=classes)), (3, SIZE, SIZE), name, device, seed=seed)

    return build


NETS: Mapping[str, Rows] = {
    "plain-20": cifar_resnet(20, plain=True),
    "plain-56": cifar_resnet(56, plain=True),
    "resnet-20": cifar_resnet(20),
    "resnet-56": cifar_resnet(56),
    "preactivation-56": preactivation(9),
    "bottleneck-29": residual(3, bottleneck, grows=4),
    "se-20": residual(3, excited),
    "one-5x5": windows((5,)),
    "two-3x3": windows((3, 3)),
    **{norm: plain8(norm) for norm in ("bn", "gn", "lrn", "none")},
}
