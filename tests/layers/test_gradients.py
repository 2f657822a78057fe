"""The gradient check of the layers after AlexNet, on one thread and only the cases that take less than a fifth of a second.

tests/gradcheck runs all cases, on all devices. These few are near the layers, so that `tests.mutation` sees what they notice.
"""

import pytest

from tinyalex.devices import CpuDevice
from tinyalex.gradcheck.after import AFTER_ALEXNET

QUICK = ("BatchNorm2d", "GroupNorm", "GlobalAvgPool2d", "Scale", "ZeroShortcut", "Branches", "Product")
CASES = [case for case in AFTER_ALEXNET if case.layer in QUICK]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.layer}: {case.name}")
def test_gradient_is_the_numerical_one(case):
    assert all(check.passed for check in case.run(CpuDevice(workers=1)))


def test_each_quick_layer_has_a_case():
    assert {case.layer for case in CASES} == set(QUICK)
