"""Why a net does not begin to learn: what each layer does with one batch, the likely cause, and the setting to change.

A net whose loss stays near that of a guess, ln(classes), looks the same from outside whatever the reason is. Inside, the reasons differ:

- *The images do not reach the output.* The outputs of a hidden layer hardly differ from image to image. With the paper's initial values
  (standard deviation 0.01, biases 1; section 5) the biases may drown the signal. Caffe's authors saw it and took 0.1 for the biases.
- *Units are dead.* A ReLU whose inputs are negative for all images passes no gradient. One step with too high a rate does this. So do
  negative first biases and weights of 0, which no learning rate mends; they are told apart by the layer before the ReLU.
- *The inputs have another scale than the weights were made for.* Pixels of 0 to 1 in a net for 0 to 255 are 255 times too small.
- *The steps are too small* to move the weights.
- *The images come sorted*, so that each batch asks for one class, and the next one for another.
- *The labels do not belong to the images.* Then everything flows, and there is nothing to learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.layers.activation import ReLU
from tinyalex.layers.base import Layer
from tinyalex.layers.branches import Branches
from tinyalex.layers.sequential import Sequential
from tinyalex.loss import Loss
from tinyalex.towers import Pair
from tinyalex.training.buffers import kept
from tinyalex.training.diagnose import entropy_of

NEAR = 0.98  # of the loss of a guess: at or above, the net has learned nothing
LOST = 0.02  # the least share of a layer's outputs that must differ from image to image
DEAD = 0.9  # the share of dead units from which on they are the cause
ALIKE = 0.01  # biases that spread by less than this share of their mean were set, and not learned
SLOW = 2e-5  # the least change of a layer's weights in a step, as a share of the weights
FAINT = 1e-3  # logits of a smaller size say the same of every class
LARGE = 2.0  # times the loss of a guess: the logits are far too large
FAN_IN = "larger initial weights: FanIn(2**0.5) for inputs of unit variance (--weight-std fan-in --hidden-bias 0 --pixels standardize)"
BYTES = 10.0  # inputs of a larger standard deviation are pixels of 0 to 255


@dataclass(frozen=True)
class LayerState:
    """What a layer with parameters, or a ReLU, did with a batch.

    size: the root mean square of its outputs. differs: how much they differ from image to image: the standard deviation over the images,
        averaged over the units, as a share of `size`. dead: the share of units that are 0 for all images and places; None if it is no ReLU.
    gradient, weight: the root mean squares of the weight's gradient and of the weight; None without a weight.
    """

    name: str
    size: float
    differs: float
    dead: float | None
    gradient: float | None
    weight: float | None


@dataclass(frozen=True)
class Examination:
    """What was found in a net that does not learn.

    layers: the layers in the order of the forward pass. cause: the likely cause, a sentence. remedy: the setting to change.
    """

    layers: tuple[LayerState, ...]
    cause: str
    remedy: str

    def lines(self) -> list[str]:
        """The cause, the remedy, and a table of the layers."""
        head = f"{'layer':<10}{'size':>10}{'differs by image':>18}{'dead units':>12}{'gradient':>10}{'weight':>10}"
        rows = [
            f"{state.name:<10}{_short(state.size)}{100 * state.differs:>16.1f} %{_percent(state.dead):>12}"
            f"{_short(state.gradient)}{_short(state.weight)}"
            for state in self.layers
        ]
        return [f"{self.cause}; {self.remedy}", head, *rows]


def is_stalled(loss: float, entropy: float) -> bool:
    """Whether the mean loss of many steps is no better than that of a guess, which is `entropy`. One class alone cannot stall."""
    return entropy > 0 and loss >= NEAR * entropy


def examine(
    net: Layer,
    loss: Loss,
    x: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    lr: float,
    fits: bool | None = None,
    entropy: float | None = None,
    mixed: bool = True,
) -> Examination:
    """Pass one batch forward and backward, and say why the net does not learn. Only gradients change, and are zero afterwards.

    Parameters
    ----------
    x, labels: a prepared batch, (N, C, H, W) and (N,), N at least 2. lr: the learning rate.
    fits: what `labels_fit` of tinyalex/training/fits.py found; None if it does not know.
    entropy: the loss of a guess, from all labels of the training; None for the entropy of these labels. Those of one batch may be
        of one class, and their own entropy is 0. A loss is called too large only where it is known and above 0.
    mixed: whether each batch of the training has images of many classes; see `are_mixed`.
    """
    seen: list[tuple[Layer, float, float, float | None]] = []
    reach: dict[str, npt.NDArray[Any]] = {}  # by layer with a bias, the largest output of each unit without its bias

    def look(leaf: Layer, out: Any) -> None:
        if leaf.params or isinstance(leaf, ReLU):
            host = leaf.device.to_numpy(out)
            rms = math.sqrt(float(np.square(host, dtype=np.float64).mean()))
            spread = float(host.std(axis=0, dtype=np.float64).mean())
            dead = None
            if isinstance(leaf, ReLU):
                units = host.reshape(len(host), host.shape[1], -1)
                dead = float((units.max(axis=(0, 2)) <= 0).mean())
            if "bias" in leaf.params:
                largest = host.reshape(len(host), host.shape[1], -1).max(axis=(0, 2))
                reach[leaf.name] = largest - leaf.device.to_numpy(leaf.params["bias"]).ravel()
            seen.append((leaf, rms, spread / rms if rms > 0 else 0.0, dead))

    with np.errstate(all="ignore"):
        value = net.device.asarray(x, net.dtype)
        found = float(loss.forward(_walk(net, value, look), labels, train=False))
        try:
            net.zero_grad()
            with kept(net):
                loss.forward(net.forward(value, train=True), labels, train=True)
                net.backward(loss.backward())
            states = tuple(_state(*each) for each in seen)
        finally:
            net.zero_grad()
    if not mixed:
        return Examination(states, "the images come sorted: each batch holds images of few classes", "shuffle them in every epoch")
    guess = entropy_of(labels) if entropy is None else entropy
    return Examination(states, *_cause(net, states, reach, float(np.std(x)), found / guess if guess > 0 else 0.0, lr, fits))


def are_mixed(labels: npt.NDArray[Any], batch: int) -> bool:
    """Whether batches of so many labels, in this order, have nearly as many classes as batches in random order would have."""
    blocks = [labels[at : at + batch] for at in range(0, len(labels) - batch + 1, batch)] or [labels]
    mean = sum(map(entropy_of, blocks)) / len(blocks)
    return mean >= 0.5 * min(entropy_of(labels), math.log(batch))


def _walk(layer: Layer, x: Any, look: Callable[[Layer, Any], None]) -> Any:
    """Forward, one layer at a time; `look` is called with each leaf and its output."""
    if isinstance(layer, Sequential):
        for inner in layer.layers:
            x = _walk(inner, x, look)
        return x
    if isinstance(layer, Branches):
        paths = layer.paths[: layer.merge.paths(False, len(layer.paths))]
        return layer.merge.forward(tuple(x if path is None else _walk(path, x, look) for path in paths))
    if isinstance(layer, Pair):
        return _walk(layer.left, x[0], look), _walk(layer.right, x[1], look)
    out = layer.forward(x, train=False)  # without dropout, whose masks differ from image to image
    if not isinstance(out, tuple):
        look(layer, out)
    return out


def _state(leaf: Layer, size: float, differs: float, dead: float | None) -> LayerState:
    def rms(array: Any) -> float:
        return math.sqrt(float(np.square(leaf.device.to_numpy(array), dtype=np.float64).mean()))

    if "weight" not in leaf.params:
        return LayerState(leaf.name, size, differs, dead, None, None)
    return LayerState(leaf.name, size, differs, dead, rms(leaf.grads["weight"]), rms(leaf.params["weight"]))


def _cause(
    net: Layer,
    states: tuple[LayerState, ...],
    reach: dict[str, npt.NDArray[Any]],
    scale: float,
    loss: float,
    lr: float,
    fits: bool | None,
) -> tuple[str, str]:
    """The likely cause and the remedy. scale: the standard deviation of the inputs. loss: as a multiple of a guess's; 0 if not known."""
    if scale == 0:
        return "all inputs are one and the same number", "look how the images are read and prepared"
    weighted = [leaf for leaf in net.leaves() if "weight" in leaf.params]
    first = weighted[0]
    gain = states[0].weight * math.sqrt(first.params["weight"][0].size) if states[0].weight is not None else 1.0
    empty = next((leaf.name for leaf in weighted[:-1] if not leaf.device.to_numpy(leaf.params["weight"]).any()), None)
    dead = next((at for at, state in enumerate(states) if (state.dead or 0) >= DEAD), None)  # the first one: later ones may die of it
    lost = next((state for state in states[:-1] if state.differs < LOST), None)
    slowest = [lr * state.gradient / state.weight for state in states if state.gradient is not None and state.weight]
    if empty is not None:
        return f"all weights of {empty} are 0, so that its outputs are the same for every image", f"use {FAN_IN}"
    if dead is not None:
        return _why_dead(net, states, dead, reach, lr)
    if lost is not None:
        said = f"the outputs of {lost.name} differ from image to image by only {100 * lost.differs:.2g} % of their size"
        if gain < 0.5 and scale < BYTES:
            scales = f"the inputs have a standard deviation of {scale:.2g}, and the first weights are made for pixels of 0 to 255"
            return f"{said}; {scales}", f"give the net pixels of 0 to 255 minus their mean (--pixels mean-image), or {FAN_IN}"
        biases = [leaf for leaf in weighted if "bias" in leaf.params and _mean(leaf, "bias") >= 0.5]
        if biases:
            said += f"; the biases of {biases[0].name} are {_mean(biases[0], 'bias'):.2g}, larger than what the images add to them"
            return said, f"use smaller initial biases (--hidden-bias 0.1), or {FAN_IN}"
        return said, f"use {FAN_IN}"
    if states[-1].size < FAINT:
        return f"the logits have a size of {states[-1].size:.1g}: the signal shrinks from layer to layer", f"use {FAN_IN}"
    if loss > LARGE:
        said = f"the loss is {loss:.1f} times that of a guess, and the inputs have a standard deviation of {scale:.2g}"
        other = "smaller inputs (--pixels standardize) or smaller initial weights" if scale > BYTES else "a lower learning rate"
        return said, f"use {other}"
    if fits is False:
        return (
            "images and gradients flow through every layer, but a linear classifier cannot tell the labels from the images either",
            "look whether labels and images were shuffled against each other",
        )
    if slowest and max(slowest) < SLOW:
        said = f"a step changes the weights of no layer by more than {max(slowest):.1g} of their size"
        return said, f"use a higher learning rate, such as {lr * 10:g} for {lr:g}"
    return "images reach the output and gradients reach every layer", f"wait longer, or try another learning rate than {lr:g}"


def _why_dead(net: Layer, states: tuple[LayerState, ...], at: int, reach: dict[str, npt.NDArray[Any]], lr: float) -> tuple[str, str]:
    """Why the units of a ReLU, number `at` of the states, are dead, and the remedy.

    Biases that are negative and all alike were set so: a step would have changed each by another amount. Where they differ, they may
    have been negative at the beginning, or a step may have made them so.
    """
    said = f"{100 * (states[at].dead or 0):.0f} % of the units of {states[at].name} are dead: they are 0 for every image of a batch"
    lower = f"begin again with a lower learning rate, such as {lr / 10:g} for {lr:g}"
    name = next((state.name for state in reversed(states[:at]) if state.name in reach), None)
    leaf = next((leaf for leaf in net.leaves() if leaf.name == name), None)
    if leaf is None or name is None:
        return said, lower
    bias = leaf.device.to_numpy(leaf.params["bias"]).astype(np.float64).ravel()
    by_bias = (reach[name] > 0) & (reach[name] + bias <= 0)  # units that would not be dead with a bias of 0
    if by_bias.mean() < DEAD / 2:
        return said, lower
    said += f"; the biases of {name} are {bias.mean():.2g}, and without them {100 * by_bias.mean():.0f} % of its units would be alive"
    if bias.std() <= ALIKE * abs(bias.mean()):
        return said, "begin again with biases that are not negative (--hidden-bias 0.1)"
    return said, f"{lower}; if the biases were negative before the first step, with others (--hidden-bias 0.1)"


def _mean(leaf: Layer, key: str) -> float:
    return float(leaf.device.to_numpy(leaf.params[key]).mean())


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _short(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.2g}':>10}"
