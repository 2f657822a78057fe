"""What the layers of two towers refuse, and in which words."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tinyalex.devices.sim import SimDevice
from tinyalex.towers import Exchange, Gather, Pair, Split

F64 = {"dtype": np.float64}


@pytest.mark.parametrize("make", [lambda d: Split(d), lambda d: Exchange(d), lambda d: Gather(d)])
def test_devices_of_different_kinds_raise(make):
    with refuses(ta.DeviceError, "devices must be of one kind, got cpu:0 and sim:0; use cpu:0 for both or two of cpu:K"):
        make(("cpu:0", "sim:0"))
    with refuses(ta.DeviceError, "devices must be two, one for each tower, got ('cpu:0',)"):
        make(("cpu:0",))
    with refuses(ta.DeviceError, "devices must be two, one for each tower, got 5"):
        make(5)


@pytest.mark.parametrize("devices", [("cpu:0", "cpu:1"), ("sim:0", "sim:1")])
@pytest.mark.parametrize("dtype", ["float64", "uint8", "object"])
def test_host_batch_of_another_type_raises_for_its_type(devices, dtype):
    remedy = "prepare images first, see tinyalex.data" if dtype == "uint8" else "use x.astype('float32')"
    with refuses(ta.ShapeError, f"split: x must be float32, got {dtype} array of shape (2, 3); {remedy}"):
        Split(devices).forward(np.zeros((2, 3), dtype))


def test_layers_of_different_kinds_make_no_pair():
    with refuses(ta.DeviceError, "pair: devices must be of one kind, got cpu and sim:0"):
        Pair(ta.ReLU(name="a"), ta.ReLU(name="b", device="sim:0"))


def test_what_is_no_layer_makes_no_pair():
    with refuses(ta.ShapeError, "pair: left and right must be layers, got ReLU('a', cpu) and 3"):
        Pair(ta.ReLU(name="a"), 3)


def test_split_s_input_gradient_is_a_truth_value():
    with refuses(ta.ShapeError, "split: input_gradient must be True or False, got 'no'"):
        Split(("cpu:0", "cpu:1"), input_gradient="no")


def test_what_is_no_pair_raises():
    pair, link = Pair(ta.ReLU(name="a"), ta.ReLU(name="b")), Exchange(("cpu:0", "cpu:1"))
    x = values((2, 3), dtype=np.float32)
    for layer in (pair, link):
        text = "x must be a pair (a, b), as between Split and Gather, got float32 array of shape (2, 3)"
        with refuses(ta.ShapeError, f"{layer.name}: {text}"):
            layer.forward(x)
        with refuses(ta.ShapeError, f"{layer.name}: x must be a pair (a, b)"):
            layer.output_shape((3, 8, 8))
    with refuses(ta.ShapeError, "pair: dout must be a pair (a, b)"):
        pair.backward(x)


def test_halves_that_do_not_fit_raise():
    link, gather = Exchange(("cpu:0", "cpu:1"), **F64), Gather(("cpu:0", "cpu:1"), **F64)
    with refuses(ta.ShapeError, "gather: the halves must have equal shapes except for channels, got (3, 4, 4) and (3, 4, 5)"):
        gather.forward((values((2, 3, 4, 4)), values((2, 3, 4, 5))))
    with refuses(ta.ShapeError, "exchange: the halves must have equal shapes except for channels"):
        link.output_shape(((3, 4, 4), (3, 4, 5)))
    with refuses(ta.ShapeError, "exchange: x must be two batches of one size, got 2 and 3 images"):
        link.forward((values((2, 3)), values((3, 3))))
    with refuses(ta.ShapeError, "exchange: x must be two float64 batches, got float64 array of shape (2, 3) and float32 array"):
        link.forward((values((2, 3)), values((2, 3), dtype=np.float32)))


def test_half_on_the_other_device_raises():
    a, b = devices = SimDevice(0), SimDevice(1)
    link = Exchange(devices, **F64)
    x = values((2, 3))
    with refuses(ta.DeviceError, "exchange: x must be on sim:0 and sim:1, got an array on sim:1 and an array on sim:0"):
        link.forward((b.asarray(x), a.asarray(x)))
    with refuses(ta.DeviceError, "split: x must be on sim:0, got an array on sim:1"):
        Split(devices, **F64).forward(b.asarray(x))


def test_split_refuses_copies_that_are_no_copies_of_one_batch():
    a, b = devices = ta.get_device("sim:0"), ta.get_device("sim:1")
    split, x = Split(devices), np.zeros((2, 3), np.float32)
    text = "x must be two copies of one batch, got float32 array of shape (2, 3) and float32 array of shape (2, 4)"
    with refuses(ta.ShapeError, f"split: {text}"):
        split.forward((a.asarray(x), b.asarray(np.zeros((2, 4), np.float32))))
    with refuses(ta.DeviceError, "split: x must be on sim:0 and sim:1, got an array on sim:1 and an array on sim:0"):
        split.forward((b.asarray(x), a.asarray(x)))
