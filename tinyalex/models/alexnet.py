"""AlexNet (paper 3.5, Figure 2) as a list with one row for each layer, and four other networks called AlexNet as edits of it.

Kernels are square. If a row does not say otherwise, biases start at 0 and weights have a standard deviation of 0.01.
"groups=2" means that half of the filters read half of the channels, the half on the same device (section 3.2).
`variants.py` documents where each network comes from.
"""

from __future__ import annotations

from tinyalex.init import Constant, Gaussian
from tinyalex.models.rows import PYTORCH, Rows, after, change, conv, dropout, flatten, linear, norm, pool, relu, rnorm, swap, without

PAPER: Rows = (
    # filters, kernel; padding is 0 where none is named. Only with "ceil", which the paper does not say, do 224 pixels give its 55.
    conv("conv1", 96, 11, stride=4, ceil=True),
    relu("relu1"),
    norm("norm1", groups=2),
    pool("pool1"),
    conv("conv2", 256, 5, padding=2, groups=2, bias=1),
    relu("relu2"),
    norm("norm2", groups=2),
    pool("pool2"),
    conv("conv3", 384, 3, padding=1),
    relu("relu3"),
    conv("conv4", 384, 3, padding=1, groups=2, bias=1),
    relu("relu4"),
    conv("conv5", 256, 3, padding=1, groups=2, bias=1),
    relu("relu5"),
    pool("pool5"),
    flatten("flatten5"),
    linear("fc6", 4096, bias=1),
    relu("relu6"),
    dropout("drop6"),
    linear("fc7", 4096, bias=1),
    relu("relu7"),
    dropout("drop7"),
    linear("fc8", 1000),
)

_AUTHORS = change(
    PAPER,
    norm={"alpha_over_n": True},
    conv3={"weight_init": Gaussian(0.03)},
    conv4={"weight_init": Gaussian(0.03)},
    conv5={"weight_init": Gaussian(0.03)},
)
_AUTHORS = after(after(without(_AUTHORS, "relu1", "relu5"), "pool1", relu("relu1")), "pool5", relu("relu5"))
AUTHORS = after(_AUTHORS, "norm2", rnorm("rnorm2", n=5, k=1.0, alpha=1e-3, beta=0.75))

_CAFFE = change(
    PAPER,
    conv1={"ceil_mode": False},
    norm={"k": 1.0, "alpha_over_n": True, "groups": 1},
    fc6={"weight_init": Gaussian(0.005)},
    fc7={"weight_init": Gaussian(0.005)},
    dropout={"scale": "train"},
)
CAFFE = change(_CAFFE, **{layer: {"bias_init": Constant(0.1)} for layer in ("conv2", "conv4", "conv5", "fc6", "fc7")})

CAFFENET = swap(swap(_CAFFE, "norm1", "pool1"), "norm2", "pool2")

_TORCHVISION = change(
    without(PAPER, "norm", "dropout"),
    conv={"groups": 1, "weight_init": PYTORCH, "bias_init": PYTORCH},
    linear={"weight_init": PYTORCH, "bias_init": PYTORCH},
    pool={"ceil_mode": False},
)
_TORCHVISION = change(
    _TORCHVISION,
    conv1={"out_channels": 64, "padding": 2, "ceil_mode": False},
    conv2={"out_channels": 192},
    conv4={"out_channels": 256},
)
TORCHVISION = after(after(_TORCHVISION, "flatten5", dropout("drop6", scale="train")), "relu6", dropout("drop7", scale="train"))
