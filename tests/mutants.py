"""Planted bugs: each changes one line of a shipped file, in memory, and something must notice."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from graphlib import TopologicalSorter
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np
import pytest

import tinyalex
from tests import reference, reference_later as later
from tinyalex.devices import CpuDevice
from tinyalex.fast.table import BY_COLUMNS, CPU
from tinyalex.gradcheck import kink_free
from tinyalex.gradcheck.builders import CLASSES
from tinyalex.init import Gaussian

ROOT = Path(tinyalex.__file__).parent
REMADE = ("geometry", "layers.", "fast.", "loss", "optim")  # what a bug is planted in, and what the classes are taken from


@lru_cache(maxsize=1)
def imports() -> dict[str, set[str]]:
    """By module below tinyalex, such as "layers.conv": the modules it takes names from, read off its source."""
    found: dict[str, set[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.name != "__init__.py":  # packages only hand names on: whoever needs a mutated class gets it from the tests
            tree = ast.parse(path.read_text(encoding="utf-8"))
            froms = [(node.module or "", node.names) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            taken = {taken for module, names in froms for taken in (module, *(f"{module}.{alias.name}" for alias in names))}
            found[name] = {module.removeprefix("tinyalex.") for module in taken if module.startswith("tinyalex.")}
    return found


def users_of(module: str) -> list[str]:
    """The modules that take names from a mutated one, directly or by way of others: they are made again, in this order."""
    affected = {module}
    while more := {name for name, taken in imports().items() if taken & affected and name.startswith(REMADE)} - affected:
        affected |= more
    order = TopologicalSorter({name: imports()[name] & affected for name in affected}).static_order()
    return [name for name in order if name != module]


def rows_touched(module: str) -> set[str] | None:
    """The rows of `fast.table` that compute with a file of fast/, read off the imports; None for all of them."""
    if not module.startswith("fast."):
        return None
    touched = {f"tinyalex.{name}" for name in (module, *users_of(module))}
    rows = {row.name for rows in CPU.values() for row in rows if row.forward.__module__ in touched}
    by_columns = {row.name for row in BY_COLUMNS}  # the gradient of x is computed by whichever of these pays
    return (rows | by_columns if rows & by_columns else rows) or None


@dataclass(frozen=True)
class Mutant:
    """One planted bug.

    bug: what is wrong. layer: the class it is in. module: its file, below tinyalex. old, new: the line, without indentation
    and comment. Its catcher is the table that holds it.
    """

    bug: str
    layer: str
    module: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.bug}"


def line_of(module: str, old: str) -> tuple[list[str], int]:
    """The lines of the shipped file and the number of the one that is `old`, which must be there once."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [number for number, line in enumerate(lines) if line.partition("  # ")[0].strip() == old]
    if len(found) != 1:
        pytest.fail(f"the line is gone: {path.name} holds {len(found)} lines `{old}`, not 1")
    return lines, found[0]


def mutate(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """All classes by name, those of the mutant's file and of the files that use it being made from the changed source."""
    lines, number = line_of(mutant.module, mutant.old)
    indent = lines[number][: -len(lines[number].lstrip())]
    lines[number] = indent + mutant.new
    made = [_execute(mutant.module, compile("\n".join(lines), f"{mutant.module} with a planted bug", "exec"), monkeypatch)]
    for user in users_of(mutant.module):
        made.append(_execute(user, _shipped(user), monkeypatch))
    classes = dict(CLASSES)
    for module in made:
        own = {name: value for name, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__}
        classes |= own
    return classes


def one_image_blocks(classes: Mapping[str, Any]) -> CpuDevice:
    """A device with one-image blocks and three workers, as the mutant has it where the bug is in the device's own files."""
    shipped = classes.get("CpuDevice", CpuDevice)
    own = {"_sum_of_blocks": classes["Device"]._sum_of_blocks} if "Device" in classes else {}
    return type("MutantDevice", (shipped,), own)(workers=3, small=0, cache=1)


@lru_cache
def _shipped(name: str) -> CodeType:
    """The code of a file without a bug, compiled once for all mutants."""
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    return compile(path.read_text(encoding="utf-8"), f"{name} on top of a planted bug", "exec")


def _execute(name: str, code: CodeType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType(f"tinyalex.{name}")
    module.__package__ = module.__name__.rpartition(".")[0]
    monkeypatch.setitem(sys.modules, module.__name__, module)  # those that import from it find this one,
    monkeypatch.setattr(f"{module.__package__}.{name.rpartition('.')[2]}", module, raising=False)  # and so do those that import it
    exec(code, vars(module))
    return module


Classes = Mapping[str, Any]
Pair = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]  # what the code gives, what the oracle gives
FLOAT64 = {"dtype": np.float64}


def _x(*shape: int) -> np.ndarray[Any, Any]:
    return kink_free(shape, np.random.default_rng(5))


def lrn_oracle(classes: Classes) -> list[Pair]:
    x, settings = 30 * _x(2, 8, 2, 3), [{}, {"alpha": 1.0}, {"n": 4}, {"groups": 2}, {"alpha_over_n": True}]
    return [(classes["LocalResponseNorm"](**s, **FLOAT64).forward(x), reference.local_response_norm(x, **s)) for s in settings]


def images_innermost(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same array, with its first axis the innermost in memory."""
    return np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)


def avg_pool_oracle(classes: Classes) -> list[Pair]:
    found, x = pool_oracle("AvgPool2d", reference.avg_pool2d)(classes), _x(2, 2, 6, 8)
    windows = {"stride": (2, 2), "padding": (1, 1, 1, 1), "ceil": True, "count_padding": True}
    for algorithm in ("auto", "plain"):
        layer = classes["AvgPool2d"](4, stride=2, padding=1, ceil_mode=True, count_padding=True, algorithm=algorithm, **FLOAT64)
        found.append((layer.forward(x[:, :, :5]), reference.avg_pool2d(x[:, :, :5], (4, 4), **windows)))
    return found


def pool_oracle(name: str, oracle: Callable[..., Any]) -> Callable[[Classes], list[Pair]]:
    def pairs(classes: Classes) -> list[Pair]:
        found = []
        below_zero = -np.abs(_x(3, 2, 6, 8))
        inputs = [_x(2, 2, 6, 8), below_zero[:1], images_innermost(below_zero), below_zero]
        for x, algorithm in zip(inputs, ("auto", "auto", "auto", "plain"), strict=True):
            for padding, ceil in ((0, False), (0, True), (1, False)):
                out = classes[name](3, stride=2, padding=padding, ceil_mode=ceil, algorithm=algorithm, **FLOAT64).forward(x)
                expected = oracle(x, (3, 3), stride=(2, 2), padding=(padding,) * 4, ceil=ceil)
                found.append((out, expected[0] if isinstance(expected, tuple) else expected))
        return found

    return pairs


def conv_oracle(classes: Classes) -> list[Pair]:
    found = []
    for n, stride, padding, groups, ceil, algorithm in (
        (5, 1, 1, 1, False, "im2col"), (2, 2, 0, 1, True, "few"), (5, 2, 1, 2, False, "im2col"), (3, 1, 0, 2, False, "few"),
        (2, 1, 1, 2, False, "winograd"), (2, 2, 1, 2, True, "winograd"), (2, 1, 1, 2, False, "strips"), (3, 2, 1, 2, False, "lines"),
        (2, 1, 1, 2, False, "plain"), (2, 2, 0, 1, True, "plain"), (2, 1, 0, 2, False, "pointwise"), (5, 2, 0, 1, False, "pointwise"),
    ):  # fmt: skip
        odd = algorithm in ("winograd", "pointwise")  # tiles of two sizes; windows of 1x1 that fit with a wrong count, too
        x = _x(n, 4, *((7, 9) if odd else (6, 8)))  # few images and others
        settings: dict[str, Any] = {"stride": stride, "padding": padding, "groups": groups, "ceil_mode": ceil, "algorithm": algorithm}
        settings |= {"bias_init": Gaussian(0.5), "input_gradient": algorithm != "lines"}
        kernel = 1 if algorithm == "pointwise" else 3
        conv = classes["Conv2d"](4, 6, kernel, **settings, rng=np.random.default_rng(1), **FLOAT64)
        expected = reference.conv2d(
            x, conv.params["weight"], conv.params["bias"], stride=(stride,) * 2, padding=(padding,) * 4, groups=groups, ceil=ceil
        )
        found.append((conv.forward(x), expected))
    return found


def linear_oracle(classes: Classes) -> list[Pair]:
    found, x = [], _x(3, 6)
    for algorithm, groups in (("plain", 1), ("blocks", 1), ("plain", 2)):
        made: dict[str, Any] = {"groups": groups, "algorithm": algorithm, "bias_init": Gaussian(0.5), "rng": np.random.default_rng(1)}
        linear = classes["Linear"](6, 4, **made, **FLOAT64)
        whole, weight = np.zeros((4, 6)), linear.params["weight"]  # weights between groups are 0
        for k, row in enumerate(weight):
            first = k // (4 // groups) * len(row)
            whole[k, first : first + len(row)] = row
        found.append((linear.forward(x), reference.linear(x, whole, linear.params["bias"])))
    return found


def shortcut_oracle(classes: Classes) -> list[Pair]:
    x, found = _x(2, 3, 5, 4), []
    for zeros, before in (("behind", 0), ("around", 1)):
        out = classes["ZeroShortcut"](6, stride=2, zeros=zeros, **FLOAT64).forward(x)
        found.append((out, reference.zero_shortcut(x, 6, 2, before)))
    return found


def activation_oracle(name: str, oracle: Callable[..., Any], *args: float) -> Callable[[Classes], list[Pair]]:
    return lambda classes: [(classes[name](*args, **FLOAT64).forward(_x(3, 7)), oracle(_x(3, 7), *args))]


def spatial_oracle(classes: Classes) -> list[Pair]:
    x, settings = 30 * _x(2, 2, 5, 6), [{}, {"n": 4, "alpha": 1.0}, {"alpha": 1.0, "alpha_over_area": False}]
    return [(classes["SpatialResponseNorm"](**s, **FLOAT64).forward(x), reference.spatial_response_norm(x, **s)) for s in settings]


def contrast_oracle(classes: Classes) -> list[Pair]:
    x = _x(1, 2, 5, 4)
    return [(classes["LocalContrastNorm"](3, 0.8, **FLOAT64).forward(x), reference.local_contrast_norm(x, 3, 0.8))]


def loss_oracle(classes: Classes) -> list[Pair]:
    logits, labels = 5 * _x(4, 3), np.array([0, 2, 1, 2])
    found = classes["SoftmaxCrossEntropy"](**FLOAT64).forward(logits, labels)
    return [(np.asarray(found), np.asarray(reference.softmax_cross_entropy(logits, labels)))]


def squared_error_oracle(classes: Classes) -> list[Pair]:
    out, target = _x(4, 3), 2 * _x(4, 3)[::-1].copy()
    found = classes["SquaredError"](**FLOAT64).forward(out, target)
    return [(np.asarray(found), np.asarray(reference.squared_error(out, target)))]


def sgd_oracle(classes: Classes) -> list[Pair]:
    """Two steps, the rate being divided by 10 after the first."""
    linear = CLASSES["Linear"](4, 3, rng=np.random.default_rng(0), **FLOAT64)
    sgd, rng = classes["SGD"](linear, lr=0.1, momentum=0.9, weight_decay=0.01), np.random.default_rng(1)
    w, v = linear.params["weight"].copy(), np.zeros((3, 4))
    for lr in (0.1, 0.01):
        sgd.lr, grad = lr, rng.standard_normal((3, 4))
        linear.grads["weight"][...] = grad
        sgd.step()
        w, v = reference.sgd_step(w, v, grad, lr, 0.9, 0.01)
    return [(linear.params["weight"], w)]


def _drawn(classes: Classes, name: str, *args: Any, **settings: Any) -> Any:
    draw = {"weight_init": Gaussian(0.5), "bias_init": Gaussian(0.5), "rng": np.random.default_rng(0), "dtype": np.float64}
    return classes[name](*args, **draw, **settings)


def batch_norm_oracle(classes: Classes) -> list[Pair]:
    pairs = []
    batches = [2 + np.random.default_rng(seed).standard_normal((3, 2, 4, 3)) for seed in range(3)]
    for convention, momentum in (("pytorch", 0.3), ("tensorflow", 0.6), ("caffe", 0.7)):
        bn = _drawn(classes, "BatchNorm2d", 2, eps=0.1, convention=convention, momentum=momentum)
        weight, bias = bn.params["weight"], bn.params["bias"]
        pairs += [(bn.forward(x, train=True), later.batch_norm(x, weight, bias, 0.1)) for x in batches]
        wanted = [later.running(0, 1, [x[:, c] for x in batches], convention, momentum) for c in range(2)]
        pairs.append((np.stack([bn.buffers["running_mean"], bn.buffers["running_var"]], axis=1), np.array(wanted)))
    return pairs


def group_norm_oracle(classes: Classes) -> list[Pair]:
    x, gn = 2 + np.random.default_rng(1).standard_normal((3, 4, 2, 3)), _drawn(classes, "GroupNorm", 2, 4, eps=0.1)
    return [(gn.forward(x), later.group_norm(x, 2, gn.params["weight"], gn.params["bias"], 0.1))]


def global_pool_oracle(classes: Classes) -> list[Pair]:
    x = np.random.default_rng(1).standard_normal((3, 4, 2, 3))
    return [(classes["GlobalAvgPool2d"](dtype=np.float64).forward(x), later.global_avg_pool(x))]


ORACLES: dict[str, Callable[[Classes], list[Pair]]] = {
    "LocalResponseNorm": lrn_oracle,
    "BatchNorm2d": batch_norm_oracle,
    "GroupNorm": group_norm_oracle,
    "GlobalAvgPool2d": global_pool_oracle,
    "SpatialResponseNorm": spatial_oracle,
    "LocalContrastNorm": contrast_oracle,
    "MaxPool2d": pool_oracle("MaxPool2d", reference.max_pool2d),
    "AvgPool2d": avg_pool_oracle,
    "Scale": activation_oracle("Scale", lambda x, factor: np.vectorize(lambda value: factor * value)(x), -0.3),
    "ZeroShortcut": shortcut_oracle,
    "Conv2d": conv_oracle,
    "Linear": linear_oracle,
    "ReLU": activation_oracle("ReLU", reference.relu),
    "Tanh": activation_oracle("Tanh", reference.tanh, 1.7, 0.6),
    "AbsTanh": activation_oracle("AbsTanh", reference.abstanh, 1.7, -0.6),
    "Sigmoid": activation_oracle("Sigmoid", reference.sigmoid),
    "SoftmaxCrossEntropy": loss_oracle,
    "SquaredError": squared_error_oracle,
    "SGD": sgd_oracle,
}
