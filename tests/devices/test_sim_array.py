"""The simulated GPU's arrays: they refuse what CuPy's refuse, and otherwise compute what NumPy computes."""

import copy
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import tinyalex as ta
from tinyalex.devices import sim_array
from tinyalex.devices.sim import SimDevice

NUMPY = r"sim:0: Unsupported type <class 'numpy.ndarray'>"
HOST = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    "operation",
    [
        lambda x, xp: x + HOST,
        lambda x, xp: HOST + x,
        lambda x, xp: x.__iadd__(HOST),
        lambda x, xp: HOST @ x.T,
        lambda x, xp: x > HOST,
        lambda x, xp: x.__setitem__(..., HOST),
        lambda x, xp: x.__setitem__(0, np.array(1.0)),
        lambda x, xp: x[np.array([0])],
        lambda x, xp: xp.add(x, HOST),
        lambda x, xp: xp.add(x, x, out=HOST.copy()),
        lambda x, xp: xp.matmul(x, HOST.T),
        lambda x, xp: xp.sum(HOST),
        lambda x, xp: xp.concatenate([x, HOST]),
        lambda x, xp: xp.where(x > 0, x, HOST),
        lambda x, xp: xp.ascontiguousarray(HOST),
        lambda x, xp: x.dot(HOST.T),
        lambda x, xp: x.sum(axis=0, out=np.ones(3, np.float32)),
        lambda x, xp: np.add(x, HOST),
        lambda x, xp: np.multiply.outer(x, HOST),
        lambda x, xp: np.concatenate([HOST, x]),
    ],
)
def test_numpy_operands_are_refused(sim, x, operation):
    with pytest.raises(TypeError, match=NUMPY):
        operation(x, sim.xp)


def test_numpy_in_place_with_a_device_array_is_refused(x):
    host = HOST.copy()
    with pytest.raises(TypeError, match=NUMPY):
        host += x
    with pytest.raises(TypeError, match="implicit conversion"):
        host[...] = x


@pytest.mark.parametrize("value", [[1, 2, 3], None, "a"], ids=str)
def test_lists_and_other_objects_are_no_operands(x, value):
    for operation in (lambda: x + value, lambda: x.device.xp.add(x, value), lambda: x.__setitem__(0, value)):
        with pytest.raises(TypeError, match="sim:0: Unsupported type <class"):
            operation()


def test_functions_of_an_array_take_no_list(sim):
    with pytest.raises(TypeError, match="sim:0: Unsupported type <class 'list'>; sum needs an array of the device"):
        sim.xp.sum([1.0, 2.0])


@pytest.mark.parametrize("convert", [np.asarray, np.array, np.float64, np.frombuffer, np.save], ids=lambda f: f.__name__)
def test_conversion_to_numpy_must_be_asked_for(x, convert, tmp_path):
    with pytest.raises((TypeError, AttributeError), match="implicit conversion to a NumPy array is not allowed|bytes-like|'save'"):
        convert(*([tmp_path / "x.npy"] if convert is np.save else []), x)


@pytest.mark.parametrize(
    "operation",
    [
        lambda a, b, xp: a + b,
        lambda a, b, xp: a.__isub__(b),
        lambda a, b, xp: a.__setitem__(0, b[0]),
        lambda a, b, xp: a[b > 0],
        lambda a, b, xp: xp.matmul(a, b),
        lambda a, b, xp: xp.add(a, a, out=b),
        lambda a, b, xp: xp.stack([a, b]),
        lambda a, b, xp: a.dot(b),
        lambda a, b, xp: np.add(a, b),
    ],
)
def test_arrays_of_another_device_are_refused(sim, operation):
    other = SimDevice(1)
    a, b = sim.asarray(np.eye(2)), other.asarray(np.eye(2))
    with pytest.raises(ta.DeviceError, match="sim:0: an operand must be on sim:0, got an array on sim:1; use device.copy_from"):
        operation(a, b, sim.xp)


def test_methods_of_the_device_refuse_arrays_of_another(sim):
    foreign = SimDevice(1).zeros((2,))
    with pytest.raises(ta.DeviceError, match="sim:0: an operand must be on sim:0, got an array on sim:1"):
        sim.asarray(foreign)
    with pytest.raises(ta.DeviceError, match="sim:0: x must be on sim:0, got an array on sim:1"):
        sim.to_numpy(foreign)
    with pytest.raises(ta.DeviceError, match="sim:0: x must be on cpu, got an array on sim:1"):
        sim.copy_from(foreign, ta.get_device("cpu"))
    assert not sim.owns(foreign) and not sim.owns(HOST) and sim.owns(sim.zeros((1,)))


@pytest.mark.parametrize(
    "name", ["errstate", "nditer", "vecdot", "block", "geomspace", "insert", "einsum_path", "linalg", "random", "asnumpy", "nonsense"]
)
def test_names_that_are_not_shared_are_missing(sim, name):
    with pytest.raises(AttributeError, match=rf"sim:0: a name in xp must be one that NumPy and CuPy 14\..* share, got '{name}'"):
        getattr(sim.xp, name)


@pytest.mark.parametrize("name", ["setflags", "resize", "to_device", "__array_namespace__", "get", "set", "data", "base", "ctypes", "flat"])
def test_attributes_that_are_not_shared_are_missing(x, name):
    with pytest.raises(AttributeError, match=f"sim:0: an attribute of an array must be one that NumPy and CuPy .* share, got '{name}'"):
        getattr(x, name)


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda x, xp: x.sum(where=x > 0), "where"),
        (lambda x, xp: x.max(initial=0), "initial"),
        (lambda x, xp: xp.add(x, x, where=x > 0), "where"),
        (lambda x, xp: xp.exp(x, order="C"), "order"),
        (lambda x, xp: xp.mean(x, where=True), "where"),
        (lambda x, xp: xp.clip(x, min=0, max=1), "max, min"),
        (lambda x, xp: xp.einsum("ij->i", x, out=x), "out"),
        (lambda x, xp: xp.take(x, 0, mode="clip"), "mode"),
        (lambda x, xp: xp.sort(x, stable=True), "stable"),
        (lambda x, xp: xp.add.reduce(x, initial=1), "initial"),
        (lambda x, xp: np.sum(x, where=True), "where"),
    ],
)
def test_keywords_that_cupy_lacks_are_refused(sim, x, call, word):
    with pytest.raises(TypeError, match=rf"sim:0: keywords of \S+ must be among .*, as in CuPy 14\..*, got {word}"):
        call(x, sim.xp)


def test_ufunc_methods_that_cupy_lacks_are_refused(sim, x):
    assert sim.to_numpy(sim.xp.add.reduce(x, axis=0)).tolist() == [3, 5, 7]
    for call in (lambda: sim.xp.maximum.reduce(x), lambda: np.maximum.reduce(x)):
        with pytest.raises(NotImplementedError, match="the method of maximum must be one that CuPy .* has .*got 'reduce'"):
            call()


def test_matrix_product_in_place_is_refused(x):
    with pytest.raises(TypeError, match="has no @= of arrays"):
        x @= x


def test_arrays_hold_numbers_only(sim):
    for value in (np.array(["a"]), np.array([None])):
        with pytest.raises(TypeError, match="sim:0: Unsupported dtype"):
            sim.asarray(value)


def test_arrays_are_not_hashable(x):
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


@pytest.mark.parametrize(
    "f",
    [
        lambda a, xp: a + a * 2 - a / 3,
        lambda a, xp: 1 - a,
        lambda a, xp: 2.0**a,
        lambda a, xp: -a,
        lambda a, xp: abs(-a),
        lambda a, xp: a % 2 + a // 2,
        lambda a, xp: a @ a.T,
        lambda a, xp: (a > 2) & ~(a == 4) | (a != a),
        lambda a, xp: a * np.float32(2),
        lambda a, xp: np.float64(2) * a,
        lambda a, xp: a[1, ::2],
        lambda a, xp: a[..., None],
        lambda a, xp: a[a > 2],
        lambda a, xp: a[:, [2, 0]],
        lambda a, xp: a.sum(axis=1, keepdims=True),
        lambda a, xp: a.mean(),
        lambda a, xp: a.max(axis=0),
        lambda a, xp: a.argmax(1),
        lambda a, xp: a.reshape(3, -1).transpose(1, 0).swapaxes(0, 1),
        lambda a, xp: a.astype("float64"),
        lambda a, xp: a.view(np.uint8),
        lambda a, xp: a.T.copy(),
        lambda a, xp: xp.maximum(a, 2),
        lambda a, xp: xp.add(a, a, a.copy()),
        lambda a, xp: xp.matmul(a, a.T, out=xp.empty((2, 2), xp.float32)),
        lambda a, xp: xp.where(a > 1, a, 0),
        lambda a, xp: xp.concatenate((a, a), axis=1),
        lambda a, xp: xp.stack([a, a]),
        lambda a, xp: xp.split(a, 3, axis=1)[1],
        lambda a, xp: xp.pad(a, 1),
        lambda a, xp: xp.einsum("ij,kj->ik", a, a),
        lambda a, xp: xp.modf(a / 2)[0],
        lambda a, xp: xp.full((2,), xp.inf),
        lambda a, xp: xp.broadcast_to(a[0], (4, 3)),
        lambda a, xp: xp.array(a),
        lambda a, xp: np.exp(a),
        lambda a, xp: np.sum(a, axis=0),
    ],
)
def test_results_are_numpys(sim, x, f):
    got, expected = f(x, sim.xp), f(sim.to_numpy(x), np)
    assert sim.owns(got) and got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_array_equal(sim.to_numpy(got), expected)


def test_views_write_through_and_copies_do_not(sim, x):
    x[0][1] = 9
    x.T[2, 1] = 8
    x[0, 0] += 1
    element = x[0, 0]
    element *= 5
    assert element.shape == () and float(x[0, 0]) == 5
    x[0, 0] = 0
    copied, deep = x.copy(), copy.deepcopy(x)
    copied[...] = deep[...] = 0
    x[1] += 1
    assert sim.to_numpy(x).tolist() == [[0, 9, 2], [4, 5, 9]]


def test_in_place_keeps_the_array(sim, x):
    y = x
    y *= 2
    y -= x
    assert y is x and sim.to_numpy(x).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_attributes(x):
    assert (x.shape, x.ndim, x.size, x.itemsize, x.nbytes, x.strides, len(x)) == ((2, 3), 2, 6, 4, 24, (12, 4), 2)
    assert x.flags.c_contiguous and x.T.flags.f_contiguous and x.dtype == np.float32 and x.device.name == "sim:0"
    assert [row.shape for row in x] == [(3,), (3,)]


def test_new_arrays_are_full_of_nan(sim):
    assert np.isnan(sim.to_numpy(sim.empty((3,)))).all() and np.isnan(sim.to_numpy(sim.scratch()((3,), np.float64))).all()
    assert sim.to_numpy(sim.empty((2,), np.uint8)).tolist() == [255, 255] and sim.to_numpy(sim.empty((1,), np.bool_)).all()


def test_asarray_copies_the_host_and_keeps_its_own(sim, x):
    host = np.zeros(3)
    got = sim.asarray(host)
    host[0] = 5
    assert sim.to_numpy(got).tolist() == [0, 0, 0]
    assert sim.asarray(x) is x and sim.asarray(x, np.float32) is x and sim.asarray(x, np.float64).dtype == np.float64
    taken = sim.to_numpy(x)
    taken[...] = 7
    assert float(x[0, 0]) == 0


NEW_IN_NUMPY_2_1 = {"cumulative_prod", "cumulative_sum", "unstack"}  # all that the oldest NumPy may lack


def test_every_name_of_the_table_can_be_had(sim, x):
    missing = {name for section in ("functions", "ufuncs", "values") for name in sim_array.API[section] if not hasattr(sim.xp, name)}
    assert missing <= NEW_IN_NUMPY_2_1 and not any(hasattr(np, name) for name in missing)
    for name in [*sim_array.API["methods"], *sim_array.API["attributes"]]:
        assert hasattr(x.reshape(1, 6), name), name


def test_table_is_of_cupy_14_and_lacks_what_cupy_lacks():
    api = sim_array.API
    assert api["versions"]["cupy"].startswith("14.") and "where" not in api["functions"]["sum"]
    assert api["ufuncs"]["add"] == ["reduce", "accumulate", "reduceat", "at", "outer"] and "reduce" not in api["ufuncs"]["maximum"]


def test_table_is_that_of_the_installed_cupy():
    """Where CuPy is installed the table must still be what it says; elsewhere only the script's form can be checked."""
    script = Path(__file__).with_name("extract_cupy_api.py")
    if importlib.util.find_spec("cupy") is None:
        compile(script.read_text("utf-8"), script.name, "exec")
        return
    spec = importlib.util.spec_from_file_location("extract_cupy_api", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.table() | {"versions": None} == sim_array.API | {"versions": None}


def test_array_of_an_array_is_a_copy_and_the_module_tells_whose_it_is():
    device = SimDevice(0)
    a = device.asarray(np.arange(4.0))
    copy = device.xp.array(a)
    copy[0] = 9
    assert device.to_numpy(a).tolist() == [0, 1, 2, 3] and device.to_numpy(copy).tolist() == [9, 1, 2, 3]
    assert repr(device.xp) == "<xp of sim:0>"


def test_reversed_division_with_rest_divides_the_other_number():
    device = SimDevice(0)
    whole, rest = divmod(7, device.asarray(np.array([2, 3, 4])))
    assert device.to_numpy(whole).tolist() == [3, 2, 1] and device.to_numpy(rest).tolist() == [1, 1, 3]


def test_result_that_is_a_view_of_no_argument_takes_memory_of_its_own():
    device = SimDevice(0)
    a = device.asarray(np.ones((8, 8)))
    before = device.used
    product = device.xp.tensordot(a, a, 1)
    assert device.used == before + product.nbytes
    row = a[0]
    assert device.used == before + product.nbytes and row.nbytes == 64


def test_result_is_written_where_out_says():
    device = SimDevice(0)
    a, out = device.asarray(np.arange(3.0)), device.zeros((3,), np.float64)
    assert device.xp.add(a, a, out=out) is out and device.to_numpy(out).tolist() == [0, 2, 4]
    assert device.to_numpy(device.xp.add(a, a, dtype=np.float64)).tolist() == [0, 2, 4]


def test_out_may_be_given_by_position_and_what_is_no_array_comes_back_as_it_is(sim, x):
    out = sim.empty(x.shape)
    assert sim.xp.add(x, x, out) is out and np.array_equal(sim.to_numpy(out), 2 * sim.to_numpy(x))
    assert sim.xp.negative(x, out) is out and np.array_equal(sim.to_numpy(out), -sim.to_numpy(x))
    assert sim.xp.ndim(x) == 2 and sim.xp.shape(x) == (2, 3) and sim.xp.result_type(x, np.float64) == np.float64


def test_operators_in_place_keep_the_order_of_their_operands(sim):
    y, x = sim.asarray(np.array([8.0, 9.0])), sim.asarray(np.array([2.0, 3.0]))
    y -= x
    assert sim.to_numpy(y).tolist() == [6, 6]
    y /= x
    assert sim.to_numpy(y).tolist() == [3, 2]
