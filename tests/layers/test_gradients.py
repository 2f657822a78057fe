"""The gradient check of the layers after AlexNet, on one thread and only the cases that take less than a fifth of a second.

tests/gradcheck runs all cases, on all devices. These few are near the layers, so that `tests.mutation` sees what they notice.
"""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tinyalex.devices import CpuDevice
from tinyalex.fast.request import Keeps
from tinyalex.gradcheck.after import AFTER_ALEXNET
from tinyalex.layers.facts import Facts

QUICK = ("BatchNorm2d", "GroupNorm", "GlobalAvgPool2d", "Scale", "ZeroShortcut", "Branches", "Product")
CASES = [case for case in AFTER_ALEXNET if case.layer in QUICK]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.layer}: {case.name}")
def test_gradient_is_the_numerical_one(case):
    assert all(check.passed for check in case.run(CpuDevice(workers=1)))


def test_each_quick_layer_has_a_case():
    assert {case.layer for case in CASES} == set(QUICK)


F64 = {"dtype": np.float64}
LAYERS = {
    "bn": lambda: ta.BatchNorm2d(1, statistics="running", **F64),
    "gn": lambda: ta.GroupNorm(1, 1, eps=0.5, **F64),
    "gap": lambda: ta.GlobalAvgPool2d(**F64),
    "scale": lambda: ta.Scale(3.0, **F64),
    "shortcut": lambda: ta.ZeroShortcut(2, **F64),
    "pool": lambda: ta.AvgPool2d((2, 1), **F64),
    "sum": lambda: ta.Branches([[], []], ta.Sum(**F64)),
    "concat": lambda: ta.Branches([[], []], ta.Concat(**F64)),
    "product": lambda: ta.Branches([[], [ta.GlobalAvgPool2d(**F64)]], ta.Product(**F64)),
}


@pytest.fixture
def no_chance(monkeypatch):
    """New memory holds NaN: what is never written cannot be right by chance."""
    empty = CpuDevice.empty

    def of_nan(self, shape, *args, **settings):
        made = empty(self, shape, *args, **settings)
        made.fill(np.nan)
        return made

    monkeypatch.setattr(CpuDevice, "empty", of_nan)


@pytest.mark.usefixtures("no_chance")
@pytest.mark.parametrize("name", LAYERS)
def test_more_images_than_bytes_of_an_image(name):
    """The number of images and the bytes of one are not mixed up where the work is shared out."""
    layer, x = LAYERS[name](), values((100, 1, 2, 1))
    out = layer.forward(x, train=True)
    dout = values(out.shape, 1)
    dx = layer.backward(dout)
    for n in (0, 57, 99):
        single = LAYERS[name]()
        np.testing.assert_allclose(single.forward(x[n : n + 1], train=True), out[n : n + 1], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(single.backward(dout[n : n + 1]), dx[n : n + 1], rtol=1e-12, atol=1e-15)


@pytest.mark.usefixtures("no_chance")
def test_statistics_of_more_images_than_bytes_of_an_image():
    bn, x = ta.BatchNorm2d(1, **F64), values((100, 1, 1, 1))
    out = bn.forward(x, train=True)
    np.testing.assert_allclose(out, (x - x.mean()) / np.sqrt(x.var() + 1e-5), rtol=1e-10)
    bn.backward(values(x.shape, 1))
    np.testing.assert_allclose(bn.grads["bias"], values(x.shape, 1).sum(), rtol=1e-12)
    np.testing.assert_allclose(bn.grads["weight"], (values(x.shape, 1) * out).sum(), rtol=1e-12)
    gn = ta.GroupNorm(1, 1, eps=0.5, **F64)
    out = gn.forward(x, train=True)
    gn.backward(values(x.shape, 1))
    np.testing.assert_allclose(gn.grads["weight"], (values(x.shape, 1) * out).sum(), atol=1e-12)
    np.testing.assert_allclose(gn.grads["bias"], values(x.shape, 1).sum(), rtol=1e-12)


def test_what_is_kept_between_forward_and_backward_and_what_works_in_memory():
    for merge, x in ((ta.Sum(), False), (ta.Concat(), False), (ta.Both(), False), (ta.Product(), True)):
        assert merge.facts(((3, 4, 4), (3, 4, 4))).keeps == Keeps(x=x) and merge.scratch_bytes(((3, 4, 4),), 9, True, 2) == 0
    for layer in (ta.Scale(2.0), ta.ZeroShortcut(3), ta.GlobalAvgPool2d()):
        assert layer.facts((3, 4, 4)).keeps == Keeps() and layer.scratch_bytes((3, 4, 4), 9, True, 2) == 0
    assert ta.GlobalAvgPool2d().facts((3, 4, 4)) == Facts(keeps=Keeps(), sees_all=True, draws="mean")
    with refuses(ta.ShapeError, "gap: x must have 4 axes (N, C, H, W), got ('N', 3, 4)"):
        ta.GlobalAvgPool2d().output_shape((3, 4))


def test_shapes_of_what_meets():
    assert [ta.Both().paths(train, 3) for train in (True, False)] == [3, 1] and ta.Sum().paths(False, 3) == 3
    assert ta.Sum().output_shape(((3, 4, 4), (3, 4, 4))) == ta.Product().output_shape(((3, 4, 4), (3,))) == (3, 4, 4)
    assert ta.Both().output_shape(((5,), (3,))) == (5,) and ta.Branches([[]], ta.Both()).output_shape((4,)) == (4,)


@pytest.mark.parametrize("make", [ta.Sum, ta.Concat, ta.Product, lambda: ta.Scale(2.0), lambda: ta.ZeroShortcut(3), ta.GlobalAvgPool2d,
                                  lambda: ta.BatchNorm2d(3), lambda: ta.GroupNorm(1, 3)])  # fmt: skip
def test_forward_that_does_not_train_keeps_nothing(make):
    layer, image = make(), values((2, 3, 4, 4), dtype=np.float32)
    layer.forward((image, image[:, :, 0, 0]) if isinstance(layer, ta.Product) else (image, image) if hasattr(layer, "paths") else image)
    assert layer._cache is None
