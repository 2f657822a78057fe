"""The parts of images that excite the units of a layer most."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.analysis.excite import Strongest, seen_part
from tinyalex.analysis.receptive import Field, receptive_fields
from tinyalex.errors import ShapeError
from tinyalex.models import build


@pytest.mark.parametrize("batch", [1, 4, 11])
def test_strongest_are_those_of_all_outputs(batch):
    out = np.random.default_rng(0).standard_normal((11, 3, 4, 5))
    found = Strongest(2)
    for start in range(0, 11, batch):
        found.add(out[start : start + batch])
    for k in range(3):
        largest = out[:, k].max(axis=(1, 2))
        order = np.argsort(-largest)[:2]
        assert found.images[k].tolist() == order.tolist() and found.values[k].tolist() == largest[order].tolist()
        for image, (y, x) in zip(order, found.places[k], strict=True):
            assert out[image, k, y, x] == out[image, k].max()
    assert found.seen == 11


def test_fewer_images_than_asked_for():
    found = Strongest(5)
    found.add(np.zeros((2, 3, 1, 1)))
    assert found.values.shape == (3, 2) and found.images.tolist() == [[0, 1]] * 3
    with refuses(ShapeError, "strongest: out must have shape (N, K, H, W)"):
        found.add(np.zeros((2, 3)))


def test_part_is_the_pixels_that_change_the_unit():
    """A unit's output depends on the pixels of its part, and on no other."""
    net = build("cifar-alexnet")
    until, field = net[:5], receptive_fields(net)["conv2"]
    x = np.random.default_rng(0).standard_normal((1, 3, 24, 24)).astype(np.float32)
    place = (0, 6)
    rows, columns = field.inside(place, (24, 24))
    inside = np.zeros((24, 24), bool)
    inside[rows, columns] = True
    for where, changes in ((~inside, False), (inside, True)):
        moved = np.where(where, x + 1, x)
        same = np.allclose(until.forward(moved)[0, :, 0, 6], until.forward(x)[0, :, 0, 6], atol=1e-6)
        assert same is not changes
    image = np.repeat(np.arange(24 * 24).reshape(24, 24, 1) / 1000, 3, axis=2)
    part = seen_part(image, field, place)
    assert part.shape == (*field.size, 3) and part[part[..., 0] < 1][:, 0].tolist() == image[rows, columns][..., 0].ravel().tolist()


def test_part_is_white_beyond_the_edge():
    field, image = Field((-1, -2), (3, 4), (2, 2), (3, 3)), np.zeros((5, 5, 3))
    assert seen_part(image, field, (0, 0))[..., 0].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]
    assert seen_part(image, field, (2, 2))[..., 0].tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [1, 1, 1, 1]]
    large = seen_part(image, Field((-4, -20), (9, 30), (2, 2), (3, 3)), (0, 2))  # it sees the whole image and more
    assert large.shape == (5, 5, 3) and not large.any()
    assert (seen_part(image, Field((-9, 0), (3, 3), (1, 1), (1, 1)), (0, 0)) == 1).all()
