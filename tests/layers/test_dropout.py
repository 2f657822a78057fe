import numpy as np
import pytest

from tests import reference
from tests.places import every_place, on
from tinyalex.devices import CpuDevice
from tinyalex.errors import CallOrderError, ShapeError
from tinyalex.layers import Dropout
from tinyalex.masks import dropout_mask
from tinyalex.shown import layer_of


def test_mask_is_a_function_of_seed_name_and_step():
    mask = dropout_mask(1, "drop6", 3, (4, 50), 0.5)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, dropout_mask(1, "drop6", 3, (4, 50), 0.5))
    for other in ((2, "drop6", 3), (1, "drop7", 3), (1, "drop6", 4)):
        assert (mask != dropout_mask(*other, (4, 50), 0.5)).mean() > 0.3


def test_mask_never_changes():
    """A checkpoint of today must resume with the same masks under any later NumPy or release."""
    assert np.packbits(dropout_mask(0, "drop6", 0, (4, 8), 0.5)).tolist() == [151, 142, 239, 190]
    assert np.packbits(dropout_mask(0, "drop6", 7, (4, 8), 0.5)).tolist() == [158, 113, 219, 51]


def test_smaller_batch_has_the_first_images_mask():
    whole = dropout_mask(0, "drop6", 0, (5, 3, 3), 0.5)
    np.testing.assert_array_equal(dropout_mask(0, "drop6", 0, (3, 3, 3), 0.5), whole[:3])


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_mask_drops_a_share_p_in_every_row_and_column(p):
    n = 500
    mask = dropout_mask(0, "drop6", 0, (n, n), p)
    sigma = (p * (1 - p)) ** 0.5
    assert abs((1 - mask.mean()) - p) <= 5 * sigma / n
    for axis in (0, 1):
        assert np.abs((1 - mask.mean(axis=axis)) - p).max() <= 5 * sigma / n**0.5


def test_masks_of_consecutive_steps_and_neighbors_are_independent():
    masks = np.stack([dropout_mask(0, "drop6", step, (100, 100), 0.5) for step in range(4)]) - 0.5
    for a, b in ((masks[1:], masks[:-1]), (masks[:, 1:], masks[:, :-1]), (masks[:, :, 1:], masks[:, :, :-1])):
        assert abs((a * b).mean()) <= 5 * 0.25 / a.size**0.5


@pytest.mark.parametrize(
    ("name", "layer"), [("fc6a", "fc6"), ("drop6b", "drop6"), ("fc6", "fc6"), ("data", "data"), ("fc6ab", "fc6ab"), ("fc6c", "fc6c")]
)
def test_one_tower_suffix_after_a_digit_is_taken_off(name, layer):
    assert layer_of(name) == layer


@every_place
@pytest.mark.parametrize("shape", [(3, 8), (3, 6, 2, 2)])
def test_two_halves_drop_what_the_whole_drops(shape, place):
    x, half = np.ones(shape, np.float32), shape[1] // 2
    whole = on(place, Dropout, seed=5, name="drop6").forward(x, train=True)
    layers = [on(place, Dropout, seed=5, name=f"drop6{tower}", part=(i, 2)) for i, tower in enumerate("ab")]
    halves = [layer.forward(x[:, :half].copy(), train=True) for layer in layers]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), whole)


@pytest.mark.parametrize("workers", [1, 3])
def test_training_multiplies_by_the_mask_on_any_number_of_workers(workers):
    device = CpuDevice(workers=workers, cache=1)
    layer, x = Dropout(0.3, seed=2, name="drop7", device=device), np.random.default_rng(0).standard_normal((20, 7)).astype(np.float32)
    mask = dropout_mask(2, "drop7", 0, (20, 7), 0.3)
    out = layer.forward(x, train=True)
    np.testing.assert_array_equal(out, x * mask)
    np.testing.assert_array_equal(layer.backward(x), x * mask)
    assert out.dtype == np.float32
    device.close()


@every_place
@pytest.mark.parametrize("scale", ["test", "train"])
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 2, 2)])
def test_backward_equals_the_numerical_gradient(scale, shape, place):
    layer, rng = on(place, Dropout, 0.4, scale=scale, dtype=np.float64), np.random.default_rng(1)
    x, dout = rng.standard_normal(shape), rng.standard_normal(shape)

    def same_mask():
        layer.layer.step = 3
        return layer.forward(x, train=True)

    numeric = reference.numerical_gradient(same_mask, x, dout)
    assert np.abs(numeric).max() > 0
    same_mask()
    np.testing.assert_allclose(layer.backward(dout), numeric, rtol=0, atol=1e-8)


@every_place
def test_scale_test_multiplies_at_test_time_only(place):
    layer, x = on(place, Dropout, 0.2, dtype=np.float64), np.full((4, 100), 3.0)
    np.testing.assert_allclose(layer.forward(x), 0.8 * x, rtol=1e-15)
    assert set(np.unique(layer.forward(x, train=True))) == {0.0, 3.0}


@every_place
def test_scale_train_divides_while_training_only(place):
    layer, x = on(place, Dropout, 0.2, scale="train", dtype=np.float64), np.full((4, 100), 4.0)
    np.testing.assert_array_equal(layer.forward(x), x)
    assert set(np.unique(layer.forward(x, train=True))) == {0.0, 5.0}


@pytest.mark.parametrize("scale", ["test", "train"])
def test_output_at_test_time_is_a_new_array_of_the_mean_in_training(scale):
    layer, x = Dropout(0.5, scale=scale, dtype=np.float64), np.ones((200, 200))
    out = layer.forward(x)
    assert not np.shares_memory(out, x)
    np.testing.assert_allclose(layer.forward(x, train=True).mean(), out.mean(), atol=0.03)


@every_place
def test_step_grows_with_training_only_and_resumes_a_run(place):
    x, layer = np.ones((3, 40), np.float32), on(place, Dropout, seed=1, name="drop6")
    masks = []
    for _ in range(3):
        masks.append(layer.forward(x, train=True))
        layer.forward(x)
    assert layer.layer.step == 3
    assert not np.array_equal(masks[0], masks[1])
    resumed = on(place, Dropout, seed=1, name="drop6")
    resumed.layer.step = 2
    np.testing.assert_array_equal(resumed.forward(x, train=True), masks[2])


def test_refused_input_does_not_take_a_step():
    layer = Dropout()
    with pytest.raises(ShapeError, match="dropout: x must be float32"):
        layer.forward(np.ones((2, 2)), train=True)
    assert layer.step == 0


def test_cache_is_one_byte_a_unit():
    layer = Dropout()
    layer.forward(np.ones((4, 10), np.float32), train=True)
    assert layer._cache[1].nbytes == 40


def test_backward_twice_raises():
    layer = Dropout()
    out = layer.forward(np.ones((2, 2), np.float32), train=True)
    layer.backward(out)
    with pytest.raises(CallOrderError, match="dropout: backward must follow"):
        layer.backward(out)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"p": 1.0}, "p must be at least 0 and below 1, got 1.0"),
        ({"p": -0.1}, "p must be at least 0 and below 1, got -0.1"),
        ({"scale": "both"}, "scale must be test or train, got 'both'"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"part": 2}, r"part must be two integers \(index, parts\), got 2"),
        ({"part": (2, 2)}, "part's index must be below 2, the number of parts, got 2"),
    ],
)
def test_wrong_settings_are_named(settings, text):
    with pytest.raises(ShapeError, match=f"drop6: {text}"):
        Dropout(**settings, name="drop6")


def test_negative_step_is_named():
    layer = Dropout(name="drop6")
    layer.step = -1
    with pytest.raises(ShapeError, match="drop6: step must be an integer of at least 0, got -1"):
        layer.forward(np.ones((2, 2), np.float32), train=True)


def test_step_beyond_the_counter_is_named():
    layer = Dropout(name="drop6")
    layer.step = 2**64 - 1
    assert layer.forward(np.ones((4, 20), np.float32), train=True).any()
    with pytest.raises(ShapeError, match=r"drop6: step must be below 2\*\*64, got 18446744073709551616"):
        layer.forward(np.ones((2, 2), np.float32), train=True)


def test_repr_shows_the_settings():
    assert repr(Dropout(name="drop6")) == "Dropout('drop6', p 0.5, cpu)"
    assert repr(Dropout(0.3, scale="train", part=(1, 2), name="drop6b")) == "Dropout('drop6b', p 0.3, scale train, part 1 of 2, cpu)"
