import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tinyalex.layers.activation import Activation


def conv(k, kernel=1, **settings):
    return ta.Conv2d(k, kernel, **settings)


def test_value_read_in_three_places_gets_the_sum_of_three_gradients():
    layer = ta.Branches([[], [], []], ta.Sum(dtype=np.float64))
    x, dout = values((2, 3, 4, 5)), values((2, 3, 4, 5), 1)
    assert np.array_equal(layer.forward(x, train=True), 3 * x)
    np.testing.assert_allclose(layer.backward(dout), 3 * dout, rtol=1e-15)
    assert np.array_equal(dout, values((2, 3, 4, 5), 1))


def test_residual_block_is_f_of_x_plus_x():
    path = [ta.Conv2d(3, 3, 3, padding=1, rng=np.random.default_rng(0), weight_init=ta.Gaussian(0.5), dtype=np.float64)]
    block, alone = ta.Branches([path, []], ta.Sum(dtype=np.float64)), path[0]
    x, dout = values((2, 3, 4, 5)), values((2, 3, 4, 5), 1)
    assert np.array_equal(block.forward(x), alone.forward(x) + x)
    block.forward(x, train=True)
    dx = block.backward(dout)
    alone.forward(x, train=True)
    np.testing.assert_allclose(dx, alone.backward(dout) + dout, rtol=1e-12)


def test_layers_of_all_paths_are_numbered_listed_and_sized_by_the_net():
    module = ta.Branches([[conv(2), ta.ReLU()], [conv(3, 3, padding=1), ta.ReLU()], []], ta.Concat())
    net = ta.Sequential([module, conv(5)], in_shape=(4, 6, 6))
    assert [leaf.name for leaf in net.leaves()] == ["conv1", "relu1", "conv2", "relu2", "concat", "conv3"]
    assert {name: array.shape for name, array in net.params.items()} == {
        "conv1.weight": (2, 4, 1, 1), "conv1.bias": (2,), "conv2.weight": (3, 4, 3, 3), "conv2.bias": (3,),
        "conv3.weight": (5, 9, 1, 1), "conv3.bias": (5,),
    }  # fmt: skip
    assert net.shapes == ((9, 6, 6), (5, 6, 6))
    assert "Concat" in repr(net) and "path 2" in repr(net)


def test_parameters_do_not_depend_on_what_stands_in_other_paths():
    def net(*more):
        return ta.Sequential([ta.Branches([[conv(2, name="a")], *more], ta.Concat())], in_shape=(4, 6, 6), seed=3)

    assert np.array_equal(net().params["a.weight"], net([conv(2, name="b")]).params["a.weight"])


def test_first_layer_of_a_net_may_be_branches_without_dx():
    settings = {"input_gradient": False, "rng": np.random.default_rng(0)}
    module = ta.Branches([[ta.Conv2d(3, 2, 1, name="a", **settings)], [ta.Conv2d(3, 2, 1, name="b", **settings)]], ta.Concat())
    module.forward(values((2, 3, 4, 4), dtype=np.float32), train=True)
    assert module.backward(values((2, 4, 4, 4), 1, np.float32)) is None
    with refuses(ta.ShapeError, "branches: all paths or none must return the gradient of x, got input_gradient=False in path 1 alone"):
        ta.Branches([[ta.Conv2d(3, 3, 1, name="c", **settings)], []], ta.Sum())


@pytest.mark.parametrize(
    ("paths", "merge", "text"),
    [
        ([], ta.Sum(), "branches: paths must be a list of at least 1, each a list of layers, which may be empty, got"),
        ([[]], ta.Product(), "branches: paths must be a list of at least 2"),
        ([ta.ReLU()], ta.Sum(), "branches: paths must be a list of at least 1"),
        ([["relu"]], ta.Sum(), "path 1: layers must hold only layers, got 'relu'"),
        ([[ta.ReLU()]], "sum", "branches: merge must be Concat(), Sum(), Product() or Both(), got 'sum'"),
        ([[ta.ReLU(dtype=np.float64)]], ta.Sum(), "branches: layers must be of one dtype, float32 as the merge is, got float64 in path 1"),
    ],
)
def test_what_is_no_path_is_refused(paths, merge, text):
    with refuses(ta.ShapeError, text):
        ta.Branches(paths, merge)


def test_path_on_another_device_is_refused():
    with refuses(ta.DeviceError, "branches: every path must be on cpu, as the merge is, got path 2 on cpu:1"):
        ta.Branches([[], [ta.ReLU(device="cpu:1")]], ta.Sum())


def test_shapes_that_do_not_join_are_refused_when_the_net_is_made():
    with refuses(ta.ShapeError, "sum: outputs of paths must have one shape, (3, 3, 3) as path 1, got (4, 6, 6) from path 2"):
        ta.Sequential([ta.Branches([[conv(3, stride=2)], []], ta.Sum())], in_shape=(4, 6, 6))


def test_error_in_a_path_leaves_nothing_behind():
    class Breaks(ta.ReLU):
        def backward(self, dout):
            raise ValueError("here")

    net = ta.Sequential([ta.Branches([[conv(3)], [Breaks()]], ta.Concat()), conv(2)], in_shape=(3, 4, 4))
    x = values((2, 3, 4, 4), dtype=np.float32)
    net.forward(x, train=True)
    with pytest.raises(ValueError, match="here"):
        net.backward(values((2, 2, 4, 4), dtype=np.float32))
    assert not any(grad.any() for grad in net.grads.values()) and all(leaf._cache is None for leaf in net.leaves())


def residual(activation=ta.ReLU):
    """A residual block and the activation behind its sum."""
    return ta.Branches([[ta.Conv2d(3, 3, 1, bias_init=ta.Gaussian(1), rng=rng(), name="conv")], []], ta.Sum()), activation()


@pytest.mark.parametrize("activation", [ta.ReLU, ta.Tanh, ta.Sigmoid])
def test_activation_applied_by_the_sum_before_gives_the_same_bits(activation):
    (block, function), net = residual(activation), ta.Sequential(list(residual(activation)))
    x, dout = values((3, 3, 5, 4), 1, np.float32), values((3, 3, 5, 4), 2, np.float32)
    for train in (False, True):
        assert np.array_equal(net.forward(x, train=train), function.forward(block.forward(x, train=train), train=train))
    assert np.array_equal(net.backward(dout), block.backward(function.backward(dout)))
    for key, grad in net.grads.items():
        assert np.array_equal(grad, block.paths[0].layers[0].grads[key.removeprefix("conv.")])


def test_activation_is_applied_in_the_sum_unless_somebody_replaced_forward(monkeypatch):
    called, forward = [], ta.ReLU.forward
    monkeypatch.setattr(Activation, "forward", lambda self, x, train=False: called.append(self.name) or forward(self, x, train=train))
    x = values((2, 3, 5, 4), 1, np.float32)
    net = ta.Sequential(list(residual()))
    expected = net.forward(x)
    assert called == []
    block, sum_ = net.layers[0], net.layers[0].merge
    for changed in (block, sum_):
        changed.forward = changed.forward  # whoever replaces the forward of an object is called without an activation
        assert np.array_equal(net.forward(x), expected)
        del changed.forward
    assert called == ["relu", "relu"]
    concat = ta.Sequential([ta.Branches([[ta.ReLU(name="inside")], []], ta.Concat()), ta.ReLU()])
    assert concat.forward(x).shape == (2, 6, 5, 4) and called[2:] == ["inside", "relu"]


def test_error_in_backward_of_a_path_clears_all_paths():
    class Breaks(ta.ReLU):
        def backward(self, dout):
            raise ValueError("here")

    module = ta.Branches([[ta.Conv2d(3, 3, 1, rng=np.random.default_rng(0))], [Breaks()]], ta.Concat())
    out = module.forward(values((2, 3, 4, 4), dtype=np.float32), train=True)
    with pytest.raises(ValueError, match="here"):
        module.backward(np.ones_like(out))
    assert not any(grad.any() for leaf in module.leaves() for grad in leaf.grads.values())
    assert all(leaf._cache is None for leaf in module.leaves())


class Broken(ta.ReLU):
    """Its forward fails."""

    def forward(self, x, *, train=False):
        raise MemoryError("here")


@pytest.mark.parametrize("train", [False, True])
def test_error_in_forward_is_raised_and_clears_what_training_left_alone(train):
    net = ta.Sequential([ta.Branches([[conv(3)], [Broken()]], ta.Concat())], in_shape=(3, 4, 4))
    net.layers[0].paths[0].layers[0].grads["bias"][...] = 1
    with pytest.raises(MemoryError, match="here"):
        net.layers[0].forward(values((2, 3, 4, 4), dtype=np.float32), train=train)
    assert net.grads["conv.bias"].any() != train and all(leaf._cache is None for leaf in net.leaves())


def test_input_that_is_refused_clears_no_gradients():
    module = ta.Branches([[ta.Conv2d(3, 3, 1, rng=np.random.default_rng(0))], []], ta.Sum())
    next(module.leaves()).grads["bias"][...] = 1
    with refuses(ta.ShapeError, "conv: x must have 3 channels on axis 1"):
        module.forward(values((2, 2, 4, 4), dtype=np.float32), train=True)
    assert next(module.leaves()).grads["bias"].all()


def test_head_does_not_compute_in_a_test():
    module = ta.Branches([[], [Broken()]], ta.Both())
    x = values((2, 3), dtype=np.float32)
    assert module.forward(x) is x
    with pytest.raises(MemoryError, match="here"):
        module.forward(x, train=True)


def test_it_is_unbuilt_as_long_as_a_path_is():
    module = ta.Branches([[], [conv(3)]], ta.Concat(), name="module")
    assert module.unbuilt and [shape for _, shape in module.inside()] == [None, None]
    module.build((4, 6, 6))
    assert not module.unbuilt and not ta.Branches([[], [ta.ReLU()]], ta.Sum()).unbuilt
    assert [shape for _, shape in module.inside((4, 6, 6))] == [(4, 6, 6), ((4, 6, 6), (3, 6, 6))]
    same = ta.Branches([[], [conv(3)]], ta.Concat())
    same.build((4, 6, 6), 0)
    weight, other = (next(made.leaves()).params["weight"] for made in (module, same))
    assert np.array_equal(weight, other) and module.settings() == "2 paths, Concat"
