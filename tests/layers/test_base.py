"""What all layers share: names, dtypes, parameters, checks, the slot for backward."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.errors import pair, show_pair
from tinyalex.layers.base import Layer


class Doubling(Layer):
    """The least a layer can be."""

    def forward(self, x, *, train=False):
        self.check_x(x, "N F")
        if train:
            self.keep(x.shape)
        return 2 * x

    def backward(self, dout):
        self.take(dout)
        return 2 * dout


def test_small_subclass_is_a_layer():
    layer = Doubling("double", dtype=np.float64)
    assert layer.forward(np.ones((1, 2)), train=True).tolist() == [[2, 2]]
    assert layer.backward(np.ones((1, 2))).tolist() == [[2, 2]]
    assert layer.output_shape((2,)) == (2,)
    assert list(layer.leaves()) == [layer]
    assert repr(layer) == "Doubling('double', cpu)"


def test_layer_itself_has_no_mathematics():
    with pytest.raises(NotImplementedError):
        Layer("none").forward(np.ones((1, 2), np.float32))
    with pytest.raises(NotImplementedError):
        Layer("none").backward(np.ones((1, 2), np.float32))


@pytest.mark.parametrize("dtype", ["float32", np.float64, np.dtype(np.float32)])
def test_dtype_may_be_written_in_any_way(dtype):
    assert Layer("a", dtype=dtype).dtype == np.dtype(dtype)


def test_device_is_shared_by_name_and_kept_as_an_object():
    device = ta.CpuDevice(workers=2)
    assert Layer("a", device).device is device
    assert Layer("a", "cpu").device is Layer("b", "cpu").device is ta.get_device("cpu")


def test_unknown_device_raises():
    with pytest.raises(ta.DeviceError, match="device must be 'cpu', 'cpu:K', 'sim:K' or 'cuda:K' with K = 0, 1, ..., got 'gpu'"):
        Layer("a", "gpu")


def test_parameter_is_a_copy_in_the_layer_s_dtype_with_a_gradient_of_zeros():
    layer, value = Layer("a", dtype=np.float64), np.ones((2, 3), np.float32)
    layer.add_param("weight", value)
    value[:] = 5
    assert layer.params["weight"].dtype == layer.grads["weight"].dtype == np.float64
    assert (layer.params["weight"] == 1).all() and (layer.grads["weight"] == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_parameter_that_is_not_finite_raises(bad):
    with refuses(ta.ShapeError, "a: weight must hold finite numbers only, got float64 array of shape (2,)"):
        Layer("a").add_param("weight", np.array([1.0, bad]))


def test_zero_grad_keeps_the_array():
    layer = Layer("a")
    layer.add_param("weight", np.ones(3))
    grad = layer.grads["weight"]
    grad[:] = 4
    layer.zero_grad()
    assert layer.grads["weight"] is grad and not grad.any()


def test_slot_belongs_to_the_last_forward():
    layer = Doubling("double", dtype=np.float64)
    layer.forward(np.ones((3, 2)), train=True)
    layer.forward(np.ones((1, 2)), train=True)
    with refuses(ta.ShapeError, "double: dout must be a float64 array of shape (1, 2), got float64 array of shape (3, 2)"):
        layer.backward(np.ones((3, 2)))


def test_pair():
    assert pair("conv", "stride", 2) == (2, 2)
    assert pair("conv", "stride", (2, 3)) == pair("conv", "stride", [2, 3]) == (2, 3)
    assert pair("conv", "stride", np.int64(4)) == (4, 4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1, 2, 3), "conv: stride must be one integer or two (height, width), got (1, 2, 3)"),
        ((), "conv: stride must be one integer or two (height, width), got ()"),
        (0, "conv: stride must be an integer of at least 1, got 0"),
        ((1, 0), "conv: stride must be an integer of at least 1, got 0"),
        (1.0, "conv: stride must be an integer of at least 1, got 1.0"),
        ("11", "conv: stride must be an integer of at least 1, got '11'"),
        (None, "conv: stride must be an integer of at least 1, got None"),
    ],
)
def test_pair_refuses(value, text):
    with refuses(ta.ShapeError, text):
        pair("conv", "stride", value)


def test_show_pair():
    assert show_pair((3, 3)) == "3" and show_pair((3, 5)) == "3x5"
