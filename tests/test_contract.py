"""The rules that every layer keeps, each for every row of the table in tests/contract.py."""

import numpy as np
import pytest

import tinyalex as ta
from tests.blocks import MeetingDevice, one_image_blocks
from tests.contract import ROWS, refuses
from tests.places import PLACES, device_of, host

every_layer = pytest.mark.parametrize("row", ROWS, ids=str)
ONE, THREE = ta.CpuDevice(workers=1), ta.CpuDevice(workers=3)


@pytest.fixture(params=PLACES)
def device(request):
    """A CPU, and a GPU: each test that takes it has one body for both."""
    return device_of(request.param)


def close(a, b):
    """Equal to 1e-12 of the largest value."""
    assert a.shape == b.shape and a.dtype == b.dtype
    assert np.abs(a - b).max() <= 1e-12 * np.abs(b).max()


def rewind(layer):
    """The next forward(train=True) draws the masks that the first drew."""
    for leaf in layer.leaves():
        if isinstance(leaf, ta.Dropout):
            leaf.step = 0


def dx_of(layer, dout):
    """What backward returns; a zero where the layer is a first one, which returns None."""
    dx = layer.backward(dout)
    assert (dx is None) == (not layer.gives_dx)
    return layer.device.zeros((1,)) if dx is None else dx


def round_trip(layer, x, dout):
    """What a forward and a backward give: the output, dx and copies of the gradients, as NumPy arrays."""
    device = layer.device
    rewind(layer)
    layer.zero_grad()
    out = layer.forward(device.asarray(x), train=True)
    dx = dx_of(layer, device.asarray(dout))
    return [device.to_numpy(array).copy() for array in (out, dx, *layer.grads.values())]


def laid_out(array, layout):
    """The same values otherwise in memory."""
    if layout == "Fortran":
        other = np.asfortranarray(array)
    elif layout == "strided":
        other = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)[..., ::2]
        other[...] = array
    elif layout == "reversed":
        other = array[::-1].copy()[::-1]
    else:
        other = array.copy()
        other.flags.writeable = False
    assert np.array_equal(other, array)
    return other


def test_every_public_layer_has_a_row():
    pairs = {ta.Split, ta.Pair, ta.Exchange, ta.Gather}  # their values are pairs: tests/towers/ holds their rules
    pairs |= {ta.Concat, ta.Sum, ta.Product, ta.Both}  # their inputs are tuples: tests/layers/test_merge.py holds their rules
    public = {value for value in vars(ta).values() if isinstance(value, type) and issubclass(value, ta.Layer)}
    nets = [row.build() for row in ROWS]
    shown = {type(net) for net in nets} | {type(layer) for net in nets if isinstance(net, ta.Sequential) for layer in net}
    assert shown == public - {ta.Layer} - pairs


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("train", [False, True])
def test_output_has_the_promised_shape_the_dtype_and_the_device(row, device, dtype, train):
    layer = row.build(device, dtype)
    x = row.x(dtype=dtype)
    out = layer.forward(device.asarray(x), train=train)
    assert out.shape == (len(x), *layer.output_shape(row.in_shape))
    assert out.dtype == dtype and device.owns(out)
    assert np.isfinite(host(device, out)).all() and host(device, out).any()


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dx_has_the_shape_and_dtype_of_x(row, device, dtype):
    layer = row.build(device, dtype)
    layer.forward(device.asarray(row.x(dtype=dtype)), train=True)
    dx = layer.backward(device.asarray(row.dout(dtype=dtype)))
    assert (dx.shape == (3, *row.in_shape) and dx.dtype == dtype) if layer.gives_dx else dx is None
    assert {array.dtype for array in (*layer.params.values(), *layer.grads.values())} <= {np.dtype(dtype)}


@every_layer
def test_x_and_dout_are_untouched(row, device):
    layer, x, dout = row.build(device), device.asarray(row.x()), device.asarray(row.dout())
    layer.forward(x)
    layer.forward(x, train=True)
    layer.backward(dout)
    assert np.array_equal(host(device, x), row.x()) and np.array_equal(host(device, dout), row.dout())


@every_layer
@pytest.mark.parametrize("layout", ["Fortran", "strided", "reversed", "read-only"])
def test_layout_in_memory_does_not_matter(row, layout):
    layer, x, dout = row.build(), row.x(), row.dout()
    expected = round_trip(layer, x, dout)
    for got, value in zip(round_trip(layer, laid_out(x, layout), laid_out(dout, layout)), expected, strict=True):
        close(got, value)


@every_layer
@pytest.mark.parametrize("n", [2, 19])
def test_batch_is_the_stack_of_its_singles(row, device, n):
    layer, x = row.build(device), device.asarray(row.x(n))
    close(host(device, layer.forward(x)), np.concatenate([host(device, layer.forward(x[i : i + 1])) for i in range(n)]))


@every_layer
def test_forward_without_train_keeps_nothing(row, device):
    layer = row.build(device)
    layer.forward(device.asarray(row.x()))
    assert all(leaf._cache is None for leaf in layer.leaves())
    with refuses(ta.CallOrderError, "backward must follow a forward(train=True) of its own, got none since the last backward"):
        layer.backward(device.asarray(row.dout()))


@every_layer
def test_forward_without_train_between_forward_and_backward_changes_nothing(row, device):
    layer, x, dout = row.build(device), row.x(), row.dout()
    expected = round_trip(layer, x, dout)
    rewind(layer)
    layer.zero_grad()
    layer.forward(device.asarray(x), train=True)
    layer.forward(device.asarray(row.x(5, seed=9)))
    assert np.array_equal(host(device, dx_of(layer, device.asarray(dout))), expected[1])
    assert all(np.array_equal(host(device, a), b) for a, b in zip(layer.grads.values(), expected[2:], strict=True))


@every_layer
def test_backward_first_or_twice_raises(row, device):
    layer, x, dout = row.build(device), device.asarray(row.x()), device.asarray(row.dout())
    text = "backward must follow a forward(train=True) of its own, got none since the last backward"
    with refuses(ta.CallOrderError, text):
        layer.backward(dout)
    layer.forward(x, train=True)
    layer.backward(dout)
    with refuses(ta.CallOrderError, text):
        layer.backward(dout)


@every_layer
def test_two_rounds_add_up_to_twice_the_gradient(row, device):
    layer, x, dout = row.build(device), row.x(), row.dout()
    _, first, *once = round_trip(layer, x, dout)
    rewind(layer)
    layer.forward(device.asarray(x), train=True)
    assert np.array_equal(host(device, dx_of(layer, device.asarray(dout))), first)
    for grad, value in zip(layer.grads.values(), once, strict=True):
        close(host(device, grad), 2 * value)
        assert value.any()
    layer.zero_grad()
    assert not any(host(device, grad).any() for grad in layer.grads.values())


@every_layer
def test_parameters_and_gradients_are_the_same_arrays_for_life(row, device):
    layer = row.build(device)
    if not layer.params:
        with pytest.raises(ta.ShapeError, match="sgd: net must have parameters"):
            ta.SGD(layer)
        return
    sgd = ta.SGD(layer, lr=0.1)
    arrays = [*layer.params.items(), *layer.grads.items()]
    before = [host(device, value) for value in layer.params.values()]
    layer.forward(device.asarray(row.x()), train=True)
    layer.backward(device.asarray(row.dout()))
    sgd.step()
    assert all(a is b for (_, a), b in zip(arrays, [*layer.params.values(), *layer.grads.values()], strict=True))
    assert [key for key, _ in arrays] == [*layer.params, *layer.grads]
    assert not any(np.array_equal(a, host(device, b)) for a, b in zip(before, layer.params.values(), strict=True))


@every_layer
@pytest.mark.parametrize("train", [False, True])
def test_second_forward_leaves_the_first_result(row, device, train):
    layer = row.build(device)
    first = layer.forward(device.asarray(row.x()), train=train)
    before = host(device, first).tobytes()
    second = layer.forward(device.asarray(row.x(seed=5)), train=train)
    assert host(device, first).tobytes() == before and host(device, second).tobytes() != before


@every_layer
def test_backward_leaves_the_output(row, device):
    layer = row.build(device)
    out = layer.forward(device.asarray(row.x()), train=True)
    before = host(device, out).tobytes()
    layer.backward(device.asarray(row.dout()))
    assert host(device, out).tobytes() == before


@every_layer
@pytest.mark.parametrize("n", [1, 2, 19])
def test_number_of_workers_does_not_change_a_bit(row, n):
    x, dout = row.x(n), row.dout(n)
    for got, value in zip(round_trip(row.build(THREE), x, dout), round_trip(row.build(ONE), x, dout), strict=True):
        assert np.array_equal(got, value)


@every_layer
@pytest.mark.parametrize("n", [1, 2, 19])
def test_one_image_blocks_agree_with_one_block_and_with_themselves_on_more_workers(row, n):
    x, dout, meeting = row.x(n), row.dout(n), MeetingDevice()
    once = round_trip(row.build(one_image_blocks(workers=1)), x, dout)
    for got, value in zip(once, round_trip(row.build(ONE), x, dout), strict=True):
        close(got, value)
    for got, value in zip(round_trip(row.build(meeting), x, dout), once, strict=True):
        assert np.array_equal(got, value)
    meeting.close()
    if n > 1 and row.label not in ("flatten", "linear-groups", "linear-plain"):  # these take the batch in one piece
        assert meeting.blocks > 1 and meeting.met > 0


@every_layer
@pytest.mark.parametrize("n", [1, 2, 19])
def test_gpu_agrees_with_the_cpu(row, n):
    x, dout = row.x(n), row.dout(n)
    for got, value in zip(round_trip(row.build(device_of("card")), x, dout), round_trip(row.build(ONE), x, dout), strict=True):
        close(got, value)


@every_layer
@pytest.mark.parametrize("scale", [-200, 1e-10, 1e-37])
@pytest.mark.parametrize("device", [ONE, THREE, "sim:0"], ids=["one", "three", "sim"])
def test_harmless_underflow_raises_nothing(row, scale, device):
    layer, x, dout = row.build(device), np.float32(scale) * row.x(), row.dout() * np.float32(1e-30)
    with np.errstate(all="raise"):
        got = round_trip(layer, x, dout)
    assert all(np.isfinite(array).all() for array in got)


@every_layer
def test_array_of_another_device_raises(row):
    sim, x, dout = ta.get_device("sim:0"), row.x(), row.dout()
    here, there = row.build(), row.build(sim)
    remedy = "; use device.asarray(x) or, from another device, device.copy_from"
    with refuses(ta.DeviceError, "x must be on cpu, got an array on sim:0" + remedy):
        here.forward(sim.asarray(x))
    with refuses(ta.DeviceError, "x must be on sim:0, got a NumPy array" + remedy):
        there.forward(x)
    with refuses(ta.DeviceError, "x must be on cpu, got list; use np.asarray(x, np.float64)"):
        here.forward(x.tolist())
    here.forward(x, train=True)
    there.forward(sim.asarray(x), train=True)
    with refuses(ta.DeviceError, "dout must be on cpu, got an array on sim:0"):
        here.backward(sim.asarray(dout))
    with refuses(ta.DeviceError, "dout must be on sim:0, got a NumPy array"):
        there.backward(dout)


@every_layer
@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "uint8", "bool", "complex128"])
def test_x_of_another_dtype_raises(row, device, dtype):
    x = np.ones((2, *row.in_shape), dtype)
    remedy = "prepare images first, see tinyalex.data" if dtype == "uint8" else "use x.astype('float64')"
    with refuses(ta.ShapeError, f"x must be float64, got {dtype} array of shape {x.shape}; {remedy}"):
        row.build(device).forward(device.asarray(x))


@every_layer
def test_x_that_is_empty_raises(row, device):
    text = "x must have at least 2 axes and no axis of length 0, got float64 array of shape "
    for shape in ((0, *row.in_shape), (2, *row.in_shape[:-1], 0)):
        with refuses(ta.ShapeError, text + str(shape)):
            row.build(device).forward(device.asarray(np.ones(shape)))


@pytest.mark.parametrize(("row", "shape", "text"), [(row, *foreign) for row in ROWS for foreign in row.foreign], ids=str)
def test_x_of_a_wrong_shape_raises(row, device, shape, text):
    for train in (False, True):
        layer = row.build(device)
        with refuses(ta.ShapeError, text):
            layer.forward(device.asarray(np.ones(shape)), train=train)
        assert all(leaf._cache is None for leaf in layer.leaves())


@every_layer
def test_wrong_dout_raises_and_the_right_one_is_still_taken(row, device):
    layer, x, dout = row.build(device), row.x(), row.dout()
    expected = round_trip(layer, x, dout)
    rewind(layer)
    layer.zero_grad()
    layer.forward(device.asarray(x), train=True)
    for wrong in (dout[:-1], dout.astype(np.float32), dout[..., None]):
        with refuses(ta.ShapeError, f"dout must be a float64 array of shape {dout.shape}, got {wrong.dtype} array of shape {wrong.shape}"):
            layer.backward(device.asarray(wrong))
    assert np.array_equal(host(device, dx_of(layer, device.asarray(dout))), expected[1])
    assert all(np.array_equal(host(device, a), b) for a, b in zip(layer.grads.values(), expected[2:], strict=True))


@every_layer
def test_repr_tells_the_settings_and_the_device(row):
    if isinstance(row.build(), ta.Sequential):
        lines = repr(row.build()).splitlines()
        assert lines[0] == f"Sequential 'net' on cpu, input {'x'.join(map(str, row.in_shape))}"
        leaves = [leaf.name for leaf in row.build().leaves()]
        assert [line.split()[0] for line in lines if line.split()[0] in leaves] == leaves
    else:
        assert repr(row.build()) == row.text
        assert repr(row.build("sim:0")) == row.text.replace("cpu)", "sim:0)")


@every_layer
@pytest.mark.parametrize("dtype", [np.float16, "int32", bool])
def test_layer_of_another_dtype_raises(row, dtype):
    with refuses(ta.ShapeError, f"dtype must be float32 or float64, got {np.dtype(dtype)}"):
        row.build(dtype=dtype)
