"""The source of each field of each recipe, and the table that shows them."""

from __future__ import annotations

from typing import Any

from tinyalex.init import Constant, FanIn, Gaussian
from tinyalex.models.later.rows import flat
from tinyalex.models.options import as_built
from tinyalex.models.registry import rows_of
from tinyalex.models.rows import Rows, weighted
from tinyalex.training.recipes import NAMES, RECIPES, Recipe

OF_NET = ("weight_std", "hidden_bias", "dropout")  # options of AlexNet that belong to a recipe
_CHOICE = "choice of this project"
_HE = "He et al. 2015, section 4.2"
AS_FILE = "as in the file"
SOURCES: dict[str, dict[str, str]] = {
    "paper": {
        "net": "sections 3.1 to 3.5",
        "epochs": "section 5: roughly 90 cycles",
        "batch_size": "section 5",
        "lr": "section 5: initialized at 0.01",
        "momentum": "section 5",
        "weight_decay": "section 5",
        "bias_lr": "section 5: an equal learning rate for all layers",
        "bias_decay": "section 5: the update rule is for all weights w",
        "bias_lr_falls": "section 5: adjusted throughout training",
        "schedule": "section 5: divided by 10 when the validation error stopped improving",
        "patience": f"{_CHOICE}; the paper's authors did it by hand",
        "times": "section 5: reduced three times",
        "divide_by": "section 5",
        "drop_after": "not used by plateau",
        "pixels": "section 2",
        "augment": "section 4.1",
        "offsets": "section 4.1: a factor of 2048 = 32 * 32 * 2",
        "own_mean_window": "convdata_jpeg.py of the authors' code; the paper does not say",
        "color_noise": "section 4.1: standard deviation 0.1",
        "color_shrink": "section 4.1 does not divide",
        "noise_until": "section 4.1 does not stop it",
        "padding": "section 4.1 crops larger images",
        "weight_std": "section 5: standard deviation 0.01",
        "hidden_bias": "section 5: 1 in conv2, conv4, conv5 and the fully connected hidden layers",
        "dropout": "section 4.2",
    },
    "authors": {
        "net": "layers-145.cfg",
        "epochs": "log: killed in epoch 91",
        "batch_size": "--mini, its default",
        "lr": "epsW of layer-params-145.cfg",
        "momentum": "momW of layer-params-145.cfg",
        "weight_decay": "wc of layer-params-145.cfg",
        "bias_lr": "epsB is twice epsW",
        "bias_decay": "src/layer.cu: biases have no wc",
        "bias_lr_falls": "epsB still has its first value in the last file",
        "schedule": "log of layer-params-145.cfg; changed by hand",
        "patience": "not used by steps",
        "times": "not used by steps",
        "divide_by": "log",
        "drop_after": "log; conv1's rate fell at 67 and was 0 from 72 on: here it falls with the others",
        "pixels": "convdata_jpeg.py",
        "augment": "convdata_jpeg.py",
        "offsets": "convdata_jpeg.py: randint(0, 33)",
        "own_mean_window": "convdata_jpeg.py: the central window, whatever the crop",
        "color_noise": "convdata_jpeg.py",
        "color_shrink": "convdata_jpeg.py",
        "noise_until": "log: 0 after 67",
        "padding": "convdata_jpeg.py crops larger images",
        "weight_std": "initW of layers-145.cfg",
        "hidden_bias": "initB of layers-145.cfg",
        "dropout": "hs1, hs2 of layers-145.cfg: keep 0.5",
    },
    "caffe": {
        "net": "bvlc_alexnet/train_val.prototxt",
        "epochs": "max_iter 450000 of 256 images",
        "batch_size": "train_val.prototxt",
        "lr": "solver.prototxt: base_lr",
        "momentum": "solver.prototxt",
        "weight_decay": "solver.prototxt",
        "bias_lr": "train_val.prototxt: lr_mult 2",
        "bias_decay": "train_val.prototxt: decay_mult 0",
        "bias_lr_falls": "solver.prototxt: one policy for all",
        "schedule": "solver.prototxt: lr_policy step",
        "patience": "not used by steps",
        "times": "not used by steps",
        "divide_by": "solver.prototxt: gamma 0.1",
        "drop_after": "solver.prototxt: stepsize 100000, which is 20 epochs",
        "pixels": "train_val.prototxt: mean_file",
        "augment": "train_val.prototxt: crop_size 227, mirror true",
        "offsets": "data_transformer.cpp: every place",
        "own_mean_window": "data_transformer.cpp: the mean's window is the crop's",
        "color_noise": "Caffe has none",
        "color_shrink": "Caffe has none",
        "noise_until": "Caffe has none",
        "padding": "data_transformer.cpp crops larger images",
        "weight_std": "train_val.prototxt: weight_filler",
        "hidden_bias": "train_val.prototxt: bias_filler",
        "dropout": "train_val.prototxt: drop6, drop7",
    },
    "small": dict.fromkeys((*NAMES, *OF_NET), _CHOICE),
    "resnet20-cifar10": {
        "net": f"{_HE}: n = 3, shortcuts without parameters",
        "epochs": f"{_HE}: 64,000 steps, of which an epoch of 50,000 images has 391",
        "batch_size": _HE,
        "lr": _HE,
        "momentum": "He et al. 2015, section 3.4",
        "weight_decay": _HE,
        "bias_lr": "not in the paper",
        "bias_decay": "not in the paper",
        "bias_lr_falls": f"{_HE}: one rate",
        "schedule": f"{_HE}: divided after 32,000 and 48,000 steps",
        "patience": "not used by steps",
        "times": "not used by steps",
        "divide_by": _HE,
        "drop_after": f"{_HE}: 32,000 and 48,000 steps of 391 an epoch",
        "pixels": f"{_HE}: the mean of each pixel is subtracted",
        "augment": f"{_HE}, as Lee et al. 2015: moved and mirrored",
        "offsets": f"{_HE}: every crop of the padded image",
        "own_mean_window": f"{_HE}: the mean is subtracted from the image, which is then padded",
        "color_noise": f"{_HE}: none",
        "color_shrink": f"{_HE}: no color noise",
        "noise_until": f"{_HE}: no color noise",
        "padding": f"{_HE}: 4 pixels on each side",
        "weight_std": "He et al. 2015, https://arxiv.org/abs/1502.01852; the last layer as in this project",
        "hidden_bias": f"{_HE}: batch normalization instead",
        "dropout": f"{_HE}: none",
    },
}


def table_of(name: str, recipe: Recipe, rows: Rows | None = None, **options: Any) -> list[str]:
    """Lines of a table: each field of a recipe, its value and its source; what is not the recipe's own is marked.

    options: settings of the net, such as weight_std=0.02. The net's initial values and its dropout are in the table too.
    rows: of the net of a file, which then says these, and how pixels become its input; None for the net of the recipe.
    """
    own, sources = RECIPES[name], SOURCES[name]
    mine = {field: said(getattr(recipe, field)) for field in NAMES}
    theirs = {field: said(getattr(own, field)) for field in NAMES} | in_net(own.net)
    if rows is None:
        mine |= in_net(recipe.net, **options)
    else:
        mine |= {"pixels": AS_FILE, **in_rows(rows)}
        of_file = ("net", "pixels", *OF_NET)
        sources = {**sources, **dict.fromkeys(of_file, "the file of --from")}
        theirs |= {field: mine[field] for field in of_file}
    wide, wider = max(map(len, mine)), max(map(len, mine.values()))
    return [
        f"{field:<{wide}}  {value:<{wider}}  {sources[field] if value == theirs[field] else f'yours; {name} has {theirs[field]}'}"
        for field, value in mine.items()
    ]


def in_net(name: str, **options: Any) -> dict[str, str]:
    """What the rows of a net say about its start and its dropout, in words: weight_std, hidden_bias, dropout.

    Example
    -------
    >>> in_net("alexnet-authors")["weight_std"]
    '0.01; conv3, conv4, conv5: 0.03'
    """
    given = {key: value for key, value in options.items() if key in OF_NET}
    variant = name.partition("-")[2] or "paper"
    return in_rows(as_built(variant, **given).rows if name.startswith("alexnet") else rows_of(name))


def in_rows(rows: Rows) -> dict[str, str]:
    """What rows say about the start and the dropout, as `in_net`."""
    rows = tuple(flat(rows))
    layers = weighted(rows)
    dropped = [row for row in rows if row.kind == "dropout"]
    return {
        "weight_std": _grouped({row.name: _init(row["weight_init"]) for row in layers}),
        "hidden_bias": _grouped({row.name: _init(row["bias_init"]) for row in layers}),
        "dropout": ", ".join(f"{row['p']:g} after {row.name.replace('drop', 'fc')}" for row in dropped) or "none",
    }


def _init(init: Any) -> str:
    if isinstance(init, FanIn):
        return f"{init.gain:.3g} / sqrt(fan-in)"
    return f"{init.std:g}" if isinstance(init, Gaussian) else f"{init.value:g}" if isinstance(init, Constant) else str(init)


def _grouped(values: dict[str, str]) -> str:
    """The value that most layers have, then the layers that differ with theirs."""
    if not values:
        return "none"
    usual = max(dict.fromkeys(values.values()), key=list(values.values()).count)
    others: dict[str, list[str]] = {}
    for layer, value in values.items():
        if value != usual:
            others.setdefault(value, []).append(layer)
    return "; ".join([usual, *(f"{', '.join(layers)}: {value}" for value, layers in others.items())])


def said(value: Any) -> str:
    """The value of a field in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
