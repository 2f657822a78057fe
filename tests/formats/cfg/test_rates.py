"""Rates of training in cuda-convnet's files of parameters, as settings of the optimizer."""

import numpy as np
import pytest

from tests.contract import refuses
from tests.formats.cfg.cfg_files import LOCAL, authors, authors_params, cifar_params, conv_local, three_stages
from tinyalex.errors import DataError
from tinyalex.models.later.rows import build_net
from tinyalex.models.variants import VARIANTS


def test_rates_of_the_authors(read):
    rates = read(authors(), authors_params(), with_rates=True)
    assert (rates.lr, rates.momentum, rates.weight_decay, rates.falls) == (0.01, 0.9, 0.0005, False)
    assert {pair for key, pair in rates.multipliers.items() if key.endswith("weight")} == {(1.0, 1.0)}
    assert {pair for key, pair in rates.multipliers.items() if key.endswith("bias")} == {VARIANTS["authors"].multipliers["*.bias"]}
    last = read(authors(), authors_params("0.000", "0.00001"), with_rates=True)
    assert last.lr == 1e-5 and last.multipliers["conv1.weight"] == (0, 1) and last.multipliers["conv1.bias"] == (0, 0)
    assert last.multipliers["fc2048b.bias"] == (0.02 / 1e-5, 0)


def test_rates_of_every_layer_reach_the_optimizer(read):
    text, params = three_stages(), cifar_params(("conv1", "conv2", "conv3", "fc10"), ("0.004", "0.004", "0.004", "3"))
    rates, found = read(text, params, with_rates=True), read(text, params)
    net = build_net(found.rows, (3, 32, 32), "net")
    sgd = rates.optimizer_for(net)
    assert sgd.weight_decay == 3 and sgd.factors["conv2.weight"] == (1.0, 0.004 / 3) and sgd.factors["fc10.bias"] == (2.0, 0.0)
    before = {name: array.copy() for name, array in net.params.items()}
    sgd.step()  # all gradients are 0: only the decay acts, by wc eps w
    for name, wc in (("conv1", 0.004), ("fc10", 3)):
        assert np.allclose(net.params[f"{name}.weight"], before[f"{name}.weight"] * (1 - 0.001 * wc), rtol=1e-6, atol=0)


def test_rates_that_fall_in_steps(read):
    text = three_stages()
    falling = "epsW=dexp[base=0.02;tgtFactor=250;numSteps=4]"
    params = cifar_params(("conv1", "conv2", "conv3", "fc10"), (0, 0, 0, 0)).replace("epsW=0.001", falling)
    rates = read(text, params, with_rates=True)
    assert rates.lr == 0.02 and rates.falls and rates.weight_decay == 0 and rates.multipliers["conv1.bias"] == (0.1, 0)


def test_rates_of_the_net_of_13_percent(read):
    rates = read(conv_local(), cifar_params(LOCAL, (0, 0, 0.004, 0.004, 0.004)), with_rates=True)
    assert rates.weight_decay == 0.004 and rates.multipliers["conv1.weight"] == (1, 0) and rates.multipliers["local3.weight"] == (1, 1)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("[conv2]", "[conv9]", "conv2: a layer with weights must have rates in the file of parameters, got none"),
        ("momB=0.9", "momB=0.8", "momW and momB must be the same in all layers, got 0.9, 0.8"),
        ("momW=0.9\nmomB=0.9", "momW=1\nmomB=1", "momW and momB must be from 0 to below 1, got 1"),
        ("epsW=0.001", "epsW=-1", "rates and wc must be at least 0, got -1"),
        ("epsW=0.001\nepsB=0.002", "epsW=0\nepsB=0", "a rate must be above 0, got 0 in all layers"),
        ("epsW=0.001", "epsW=linear[a]", "epsw must be a finite number, got 'linear[a]'"),
        ("epsB=0.002", "", "the section must have epsb, got none"),
    ],
)
def test_rates_that_are_not_right(read, old, new, text):
    params = cifar_params(("conv1", "conv2", "conv3", "fc10"), (0, 0, 0, 0))
    assert old in params
    with refuses(DataError, text):
        read(three_stages(), params.replace(old, new), with_rates=True)


def test_halves_with_other_rates_are_refused(read):
    with refuses(DataError, "both halves of a layer must have the same rates, got others"):
        read(authors(), authors_params().replace("[conv2b]\nepsW=0.01", "[conv2b]\nepsW=0.02"), with_rates=True)
