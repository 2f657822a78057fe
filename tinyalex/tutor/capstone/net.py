"""The small net: two towers as Figure 2 of the paper draws them, each layer a function of an exercise, and synthetic images.

    tower a   conv1, ReLU, LRN, pool   conv2 (2 groups), ReLU   link   conv3, ReLU   link   fc6, tanh, dropout
    tower b   the same                                          link                 link                        both: fc7-8, softmax

fc7-8 is the chain of lesson 02, with a ReLU in the middle and a short way. conv1 has padding 0, conv2 and
conv3 have 1; images, and the kernel of conv3, are higher than wide: so lines and columns are not mixed up unseen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from tinyalex.tutor.arrays import Array

STEPS = 20
BATCHES = 4  # they come one after the other, again and again
N, CLASSES, IMAGE = 7, 5, (3, 17, 14)
TOWERS = ("a", "b")
FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
LR, MOMENTUM, DECAY = 0.05, 0.9, 5e-4  # five times the rate of the paper, so that 20 steps show something
DROPPED = 0.3  # not the paper's 0.5, with which a p in the place of 1 - p would not be seen
LRN = (5, 2.0, 1e-4, 0.75)  # n, k, alpha and beta of the paper
# By layer and tower, the shape of the weights. The towers are not quite of one size, so that a mix-up of the two is seen.
SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "conv1": {"a": (6, 3, 5, 5), "b": (6, 3, 5, 5)},
    "conv2": {"a": (8, 3, 3, 3), "b": (6, 3, 3, 3)},
    "conv3": {"a": (4, 14, 3, 2), "b": (5, 14, 3, 2)},
    "fc6": {"a": (9, 81), "b": (8, 81)},
}
CHAIN = {"fc7": (10, 17), "fc8": (CLASSES, 10), "short": (CLASSES, 17)}  # both towers together


class Place(NamedTuple):
    """Where a function is called. tower: "a", "b", or empty where both are together."""

    layer: str
    tower: str
    direction: str


class Calls(Protocol):
    """Calls the functions of the exercises, and takes note of what they give."""

    def call(self, place: Place, function: str, *arguments: Any, only: Array | None = None) -> tuple[Any, ...]:
        """The outputs of a function. only: where a gradient counts; elsewhere several answers are right."""
        ...

    def given(self, place: Place, *outputs: Array) -> None:
        """Note the outputs of a layer that the student does not write."""
        ...


def weights() -> dict[str, Array]:
    """New weights and biases by names such as "conv1a.weight", the same at each call."""
    rng, made = np.random.default_rng(2012), dict[str, Array]()
    for layer, towers in SHAPES.items():
        for tower, shape in towers.items():
            made[f"{layer}{tower}.weight"] = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
            made[f"{layer}{tower}.bias"] = np.full(shape[0], 0.1)
    for layer, shape in CHAIN.items():
        made[f"{layer}.weight"] = rng.standard_normal(shape) * math.sqrt(0.2 / shape[1])
    return made


def batch(step: int) -> tuple[Array, Array]:
    """The synthetic images (N, C, H, W) of a step, and their labels (N,): for each class waves of a direction and a color, with noise."""
    number = step % BATCHES
    rng = np.random.default_rng([2012, number])
    labels = (np.arange(N) + number) % CLASSES
    y, z = np.mgrid[: IMAGE[1], : IMAGE[2]]
    angle = labels[:, None, None] * math.pi / CLASSES
    wave = np.cos((y * np.sin(angle) + z * np.cos(angle)) * 1.3 + rng.uniform(0, 1, (N, 1, 1)))
    color = 0.5 + np.cos(2 * math.pi * (labels[:, None] / CLASSES + np.arange(3) / 3))
    return color[:, :, None, None] * wave[:, None] + 0.2 * rng.standard_normal((N, *IMAGE)), labels


def forward(calls: Calls, w: Mapping[str, Array], x: Array, train: bool, number: int) -> tuple[Array, dict[str, Any]]:
    """The logits (N, CLASSES), and what the backward pass needs. number: of the step, for the masks."""
    kept: dict[str, Any] = {"x": x}
    second, third, sixth = [], [], []
    for t in TOWERS:
        (z,) = calls.call(Place("conv1", t, FORWARD), "conv_forward", x, w[f"conv1{t}.weight"], w[f"conv1{t}.bias"], 2, 0, 1)
        out = _relu(calls, "relu1", t, z)
        (normed,) = calls.call(Place("norm1", t, FORWARD), "lrn", out, *LRN)
        (pooled,) = calls.call(Place("pool1", t, FORWARD), "max_pool", normed, 3, 2)
        kept |= {f"z1{t}": z, f"out1{t}": out, f"normed{t}": normed, f"pooled{t}": pooled}
        (z,) = calls.call(Place("conv2", t, FORWARD), "conv_forward", pooled, w[f"conv2{t}.weight"], w[f"conv2{t}.bias"], 1, 1, 2)
        second.append(_relu(calls, "relu2", t, z))
        kept[f"z2{t}"] = z
    joined = _link(calls, "link3", second)
    for t, y in zip(TOWERS, joined, strict=True):
        (z,) = calls.call(Place("conv3", t, FORWARD), "conv_forward", y, w[f"conv3{t}.weight"], w[f"conv3{t}.bias"], 1, 1, 1)
        third.append(_relu(calls, "relu3", t, z))
        kept |= {f"y3{t}": y, f"z3{t}": z}
    joined = _link(calls, "link6", third)
    for at, (t, y) in enumerate(zip(TOWERS, joined, strict=True)):
        out = y.reshape(len(y), -1) @ w[f"fc6{t}.weight"].T + w[f"fc6{t}.bias"]
        calls.given(Place("fc6", t, FORWARD), out)
        out = np.tanh(out)
        calls.given(Place("tanh6", t, FORWARD), out)
        rng = np.random.default_rng([2012, number, at])
        dropped, mask = calls.call(Place("drop6", t, FORWARD), "dropout", out, DROPPED, rng, train)
        sixth.append(dropped)
        kept |= {f"y6{t}": y, f"tanh{t}": out, f"mask{t}": np.asarray(mask) != 0}
    both = np.concatenate(sixth, axis=1)
    logits = np.maximum(both @ w["fc7.weight"].T, 0) @ w["fc8.weight"].T + both @ w["short.weight"].T
    calls.given(Place("fc7-8", "", FORWARD), logits)
    return logits, kept | {"both": both}


def backward(calls: Calls, w: Mapping[str, Array], dlogits: Array, kept: Mapping[str, Any]) -> dict[str, Array]:
    """The gradients of all weights and biases, by their names."""
    grads: dict[str, Array] = {}
    chain = (kept["both"], w["fc7.weight"], w["fc8.weight"], w["short.weight"])
    dboth, *of_chain = calls.call(Place("fc7-8", "", BACKWARD), "chain_backward", dlogits, *chain)
    grads |= {f"{layer}.weight": grad for layer, grad in zip(CHAIN, of_chain, strict=True)}
    dys: list[Array] = []
    for t, dout in zip(TOWERS, np.split(dboth, [SHAPES["fc6"]["a"][0]], axis=1), strict=True):
        (dout,) = calls.call(Place("drop6", t, BACKWARD), "dropout_backward", dout, kept[f"mask{t}"], DROPPED)
        (dout,) = calls.call(Place("tanh6", t, BACKWARD), "tanh_backward", dout, kept[f"tanh{t}"])
        dy, *own = calls.call(Place("fc6", t, BACKWARD), "linear_backward", dout, kept[f"y6{t}"], w[f"fc6{t}.weight"])
        grads |= _named("fc6", t, own)
        dys.append(dy)
    douts = _link_backward(calls, "link6", dys, SHAPES["conv3"]["a"][0])
    dys = []
    for t, dout in zip(TOWERS, douts, strict=True):
        (dout,) = calls.call(Place("relu3", t, BACKWARD), "relu_backward", dout, kept[f"z3{t}"])
        dy, *own = calls.call(Place("conv3", t, BACKWARD), "conv_backward", dout, kept[f"y3{t}"], w[f"conv3{t}.weight"], 1, 1)
        grads |= _named("conv3", t, own)
        dys.append(dy)
    douts = _link_backward(calls, "link3", dys, SHAPES["conv2"]["a"][0])
    for t, dout in zip(TOWERS, douts, strict=True):
        (dout,) = calls.call(Place("relu2", t, BACKWARD), "relu_backward", dout, kept[f"z2{t}"])
        given = (dout, kept[f"pooled{t}"], w[f"conv2{t}.weight"], 1, 1, 2)
        dout, *own = calls.call(Place("conv2", t, BACKWARD), "conv_backward_groups", *given)
        grads |= _named("conv2", t, own)
        alive = kept[f"out1{t}"] != 0  # a window of zeros alone may give its gradient to any of them: relu1 drops it
        (dout,) = calls.call(Place("pool1", t, BACKWARD), "max_pool_backward", dout, kept[f"normed{t}"], 3, 2, only=alive)
        (dout,) = calls.call(Place("norm1", t, BACKWARD), "lrn_backward", dout, kept[f"out1{t}"], *LRN, only=alive)
        (dout,) = calls.call(Place("relu1", t, BACKWARD), "relu_backward", dout, kept[f"z1{t}"])
        _, *own = calls.call(Place("conv1", t, BACKWARD), "conv_backward", dout, kept["x"], w[f"conv1{t}.weight"], 2, 0)
        grads |= _named("conv1", t, own)
    return grads


def update(calls: Calls, w: dict[str, Array], velocity: dict[str, Array], grads: Mapping[str, Array]) -> None:
    """One step of gradient descent: new entries in `w` and `velocity`."""
    for name, grad in grads.items():
        layer = name.partition(".")[0]
        layer, tower = ("fc7-8", "") if layer in CHAIN else (layer[:-1], layer[-1])
        w[name], velocity[name] = calls.call(Place(layer, tower, UPDATE), "sgd_step", w[name], grad, velocity[name], LR, MOMENTUM, DECAY)


def _relu(calls: Calls, layer: str, tower: str, z: Array) -> Array:
    out = np.maximum(z, 0)
    calls.given(Place(layer, tower, FORWARD), out)
    return out


def _link(calls: Calls, layer: str, halves: list[Array]) -> tuple[Array, Array]:
    ya, yb = calls.call(Place(layer, "", FORWARD), "exchange", *halves)
    calls.call(Place(layer, "", FORWARD), "exchange_bytes", halves[0].shape, halves[1].shape, 8, False)
    return ya, yb


def _link_backward(calls: Calls, layer: str, dys: list[Array], channels: int) -> tuple[Array, Array]:
    da, db = calls.call(Place(layer, "", BACKWARD), "exchange_backward", *dys, channels)
    calls.call(Place(layer, "", BACKWARD), "exchange_bytes", da.shape, db.shape, 8, True)
    return da, db


def _named(layer: str, tower: str, grads: list[Array]) -> dict[str, Array]:
    return {f"{layer}{tower}.weight": grads[0], f"{layer}{tower}.bias": grads[1]}
