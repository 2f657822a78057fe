"""The rates of training in cuda-convnet's file of parameters: epsW, epsB, momW, momB and wc of each layer, as one optimizer's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tinyalex.formats.cfg.layers import Layer, read_layers
from tinyalex.formats.cfg.rows_of_layer import WEIGHTED
from tinyalex.formats.cfg.sections import Section, number, read_sections
from tinyalex.layers.base import Layer as Net
from tinyalex.optim import SGD

DEXP = re.compile(r"dexp\[base=([^;\]]+);tgtFactor=([^;\]]+);numSteps=([^;\]]+)\]", re.IGNORECASE)


@dataclass(frozen=True)
class Rates:
    """The settings of `SGD` that a file of parameters says.

    Parameters
    ----------
    lr: the largest rate of weights. momentum: of all layers. weight_decay: the largest.
    multipliers: of each parameter, the factors of lr and of weight_decay; biases have no decay in the authors' program.
    falls: whether a rate falls in steps during the run (dexp); lr is then its first value.
    """

    lr: float
    momentum: float
    weight_decay: float
    multipliers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    falls: bool = False

    def optimizer_for(self, net: Net) -> SGD:
        """The optimizer of a net whose layers have the file's names."""
        return SGD(net, self.lr, self.momentum, self.weight_decay, self.multipliers)


def read_rates(path: Path | str, params: Path | str) -> Rates:
    """The rates in a file of parameters. path: the file of layers. params: the file of parameters.

    The rule of the authors' program is the paper's, v = momentum v - wc eps w - eps dw and w = w + v, with the rate eps of the layer.

    Raises
    ------
    DataError: a file cannot be read or is malformed, a layer with weights has no rates, no rate is above 0, or momenta differ.
    """
    found = read_sections(params)
    rates: dict[str, tuple[float, float, float]] = {}
    momenta: dict[float, Section] = {}
    falls = False
    for layer in read_layers(path).values():
        if layer.type in WEIGHTED:
            section = _params_of(layer, found)
            of_weights, of_biases = section.one("epsw", _rate), section.one("epsb", _rate)
            falls = falls or "dexp" in section.text("epsw").lower()
            rates[layer.name] = of_weights, of_biases, section.one("wc", number, "0")
            for key in ("momw", "momb"):
                momenta.setdefault(section.one(key, number), section)
            if min(rates[layer.name]) < 0:
                section.fail("rates and wc must be at least 0", f"{min(rates[layer.name]):g}")
    first = next(iter(found.values()))
    if len(momenta) != 1:
        last = list(momenta.values())[-1] if momenta else first
        last.fail("momW and momB must be the same in all layers", ", ".join(f"{each:g}" for each in momenta) or "none")
    momentum = next(iter(momenta))
    if not 0 <= momentum < 1:
        first.fail("momW and momB must be from 0 to below 1", f"{momentum:g}")
    lr = max(max(weights for weights, _, _ in rates.values()), 0.0) or max(biases for _, biases, _ in rates.values())
    if lr == 0:
        first.fail("a rate must be above 0", "0 in all layers")
    decay = max(each for *_, each in rates.values())
    multipliers = {}
    for name, (weights, biases, own) in rates.items():
        multipliers[f"{name}.weight"] = (weights / lr, own / decay if decay else 1.0)
        multipliers[f"{name}.bias"] = (biases / lr, 0.0)
    return Rates(lr, momentum, decay, multipliers, falls)


def _params_of(layer: Layer, found: Mapping[str, Section]) -> Section:
    """The parameters of a layer; those of its halves must be equal."""
    own = [found.get(section.name) for section in layer.sections]
    if any(each is None for each in own):
        layer.first.fail("a layer with weights must have rates in the file of parameters", "none")
    sections = [each for each in own if each is not None]
    if len({tuple((key, value) for key, (value, _) in sorted(each.values.items())) for each in sections}) != 1:
        sections[-1].fail("both halves of a layer must have the same rates", "others")
    return sections[0]


def _rate(section: Section, key: str, text: str) -> float:
    """A rate: a number, or the first value of one that falls in steps."""
    found = DEXP.fullmatch(text.replace(" ", ""))
    return number(section, key, found[1] if found else text)
