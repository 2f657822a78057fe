"""The operator Momentum of ONNX, whose cases were computed by others, as an oracle for the step of the optimizer."""

import numpy as np
import pytest

from tests.formats.onnx.graphs import node_cases
from tinyalex.optim import sgd_step


def of_case(name):
    """The attributes of a case, and for each parameter: rate, x, gradient, velocity, and the new x and velocity."""
    (case,) = [case for case in node_cases("momentum") if case.name == name]
    settings = {attribute.name: attribute.f for attribute in case.model.graph.node[0].attribute if attribute.type == 1}
    inputs, outputs = case.data_sets[0]
    rate, count = float(inputs[0]), (len(inputs) - 2) // 3
    assert inputs[1] == 0  # the first step, in which the operator does not read beta
    arrays = [np.atleast_1d(array).astype(np.float32) for array in inputs[2:]]
    return settings, rate, [(*arrays[i::count], *outputs[i::count]) for i in range(count)]


def steps(w, gradient, velocity, rate, settings):
    """One step. The velocity of tinyalex is that of ONNX times minus the rate, because it holds the rates of the past."""
    w, gradient, v = w.copy(), gradient.copy(), -np.float32(rate) * velocity
    sgd_step(w, gradient, v, rate, settings["alpha"], settings["norm_coefficient"])
    return w, v


@pytest.mark.parametrize("name", ["test_momentum", "test_momentum_multiple"])
def test_a_step_is_that_of_the_operator_momentum(name):
    settings, rate, parameters = of_case(name)
    assert len(parameters) == (2 if "multiple" in name else 1)
    for x, gradient, velocity, new_x, new_velocity in parameters:
        w, v = steps(x, gradient, velocity, rate, settings)
        np.testing.assert_allclose(w, new_x, rtol=1e-6)
        np.testing.assert_allclose(v, -rate * new_velocity, rtol=1e-6)


def test_two_steps_with_one_gradient_make_that_of_nesterov():
    """Nesterov moves w by momentum v' - rate g, where v' is the new velocity: by what a second step from the old w would move it."""
    settings, rate, ((x, gradient, velocity, new_x, new_velocity),) = of_case("test_nesterov_momentum")
    _, v = steps(x, gradient, velocity, rate, settings)
    np.testing.assert_allclose(v, -rate * new_velocity, rtol=1e-6)
    w, _ = steps(x, gradient, -v / np.float32(rate), rate, settings)
    np.testing.assert_allclose(w, new_x, rtol=1e-6)
