"""The checks are checked: every planted bug must be caught, and the shipped code must not.

A survivor means that the check is broken, not the code. That the gradient check passes the shipped code is tested in
tests/gradcheck/test_check.py, case by case.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.mutant_table import BY_BOTH, BY_GRADIENTS, BY_ORACLES, BY_ORACLES_ALONE, IN_BLOCKS, OF_THE_OPTIMIZER
from tests.mutant_table_later import LATER_BY_GRADIENTS, LATER_BY_ORACLES
from tests.mutants import ORACLES, Mutant, mutate, one_image_blocks, rows_touched
from tinyalex.devices import CpuDevice
from tinyalex.gradcheck import TOLERANCE
from tinyalex.gradcheck.builders import CLASSES
from tinyalex.gradcheck.table import CASES
from tinyalex.layers.base import Layer
from tinyalex.optim import SGD

pytestmark = pytest.mark.usefixtures("one_blas_thread")
ONE = CpuDevice(workers=1)  # so small a batch is mostly one block; more workers would wait for each other


def gradient_error(layer, classes, device=ONE, algorithms=None):
    """The worst error over the layer's rows of the table, or those by some algorithms, until one fails."""
    error = 0.0
    for case in CASES:
        if case.layer == layer and (algorithms is None or not case.algorithm or case.algorithm in algorithms):
            error = max(error, *(check.error for check in case.run(device, classes)))
            if error > TOLERANCE:
                break
    return error


def oracle_error(layer, classes):
    """The largest difference from tests/reference.py, as a part of the largest value; infinite where it is not a number."""
    error = 0.0
    for found, expected in ORACLES[layer](classes):
        off = np.abs(found - expected).max() / np.abs(expected).max() if found.shape == expected.shape else np.inf
        error = max(error, off if np.isfinite(off) else np.inf)  # max(0.0, nan) is 0.0
    return error


@pytest.mark.parametrize("mutant", BY_GRADIENTS + BY_BOTH + LATER_BY_GRADIENTS, ids=str)
def test_gradient_check_catches(mutant, monkeypatch):
    assert gradient_error(mutant.layer, mutate(mutant, monkeypatch), algorithms=rows_touched(mutant.module)) > TOLERANCE


@pytest.mark.parametrize("mutant", IN_BLOCKS, ids=str)
def test_gradient_check_in_one_image_blocks_catches(mutant, monkeypatch):
    classes, algorithms = mutate(mutant, monkeypatch), rows_touched(mutant.module)
    assert gradient_error(mutant.layer, classes, algorithms=algorithms) <= TOLERANCE  # one block does not show it
    device = one_image_blocks(classes)
    assert gradient_error(mutant.layer, classes, device, algorithms) > TOLERANCE
    device.close()


@pytest.mark.parametrize("mutant", BY_ORACLES + BY_ORACLES_ALONE + BY_BOTH + OF_THE_OPTIMIZER + LATER_BY_ORACLES, ids=str)
def test_oracle_catches(mutant, monkeypatch):
    assert oracle_error(mutant.layer, mutate(mutant, monkeypatch)) > 1e-6


@pytest.mark.parametrize("mutant", BY_ORACLES, ids=str)
def test_gradient_check_cannot_see_what_is_wrong_in_both_directions(mutant, monkeypatch):
    assert gradient_error(mutant.layer, mutate(mutant, monkeypatch), algorithms=rows_touched(mutant.module)) <= TOLERANCE


@pytest.mark.parametrize("layer", ORACLES)
def test_oracle_agrees_with_the_shipped_layer(layer):
    assert oracle_error(layer, {**CLASSES, "SGD": SGD}) <= 1e-12


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_forward_that_is_not_finite_is_no_agreement(value):
    class OneOff(CLASSES["ReLU"]):
        def forward(self, x, *, train=False):
            out = super().forward(x, train=train).copy()
            out[1, 2] = value
            return out

    assert oracle_error("ReLU", {"ReLU": OneOff}) == np.inf


def test_bug_in_a_file_of_one_algorithm_needs_the_rows_of_that_algorithm_alone():
    assert rows_touched("fast.winograd") == rows_touched("fast.tiles") == {"winograd"}
    assert rows_touched("fast.strips") == {"pointwise", "strips", "few", "im2col"} and rows_touched("fast.products") == {"blocks"}
    assert rows_touched("fast.pooling") == {"runs", "innermost"} and rows_touched("layers.conv") is None
    assert rows_touched("fast.sharing") >= {"plain", "im2col", "runs", "matrices"} and rows_touched("fast.table") is None


ELSEWHERE = {  # layers whose loops stand with their own tests, and layers that compute nothing
    "LocallyConnected2d": "tests/layers/test_local.py",
    "Dropout": "tests/layers/test_dropout.py",
    "Flatten": "tests/layers/test_linear.py",
    **dict.fromkeys(("Branches", "Concat", "Sum", "Product", "Both"), "tests/layers/test_merge.py"),
    **dict.fromkeys(("Split", "Pair", "Exchange", "Gather"), "tests/towers/test_towers.py"),
}


def test_every_layer_is_compared_with_loops_and_has_a_planted_bug():
    kinds = {name for name, kind in CLASSES.items() if isinstance(kind, type) and issubclass(kind, Layer)}
    layers = kinds - {"Layer", "Sequential", "Crossing", *ELSEWHERE}
    assert layers <= set(ORACLES), f"write an oracle in tests/mutants.py for {layers - set(ORACLES)}"
    planted = {mutant.layer for mutant in BY_GRADIENTS + BY_BOTH + BY_ORACLES + LATER_BY_GRADIENTS}
    assert layers <= planted, f"plant a bug in tests/mutant_table.py for {layers - planted}"


def test_remade_but_unchanged_layer_passes(monkeypatch):
    same = Mutant("none", "MaxPool2d", "fast.pooling", "won *= i", "won *= i")  # IN_BLOCKS has a remade Conv2d that passes
    assert gradient_error("MaxPool2d", mutate(same, monkeypatch), algorithms=rows_touched("fast.pooling")) <= TOLERANCE


def test_mutant_of_a_line_that_is_gone_fails(monkeypatch):
    gone = Mutant("none", "ReLU", "layers.activation", "this line was never there", "pass")
    with pytest.raises(pytest.fail.Exception, match="the line is gone: activation.py holds 0 lines"):
        mutate(gone, monkeypatch)
