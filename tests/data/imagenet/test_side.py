"""Sets of another side than 256: shards, folders, sums and what is refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from tests.contract import refuses
from tinyalex.data import synthetic_dataset
from tinyalex.data.color import color_axes
from tinyalex.data.export import write_class_folders
from tinyalex.data.imagenet.folders import open_folder
from tinyalex.data.imagenet.pictures import require_side
from tinyalex.data.imagenet.preparation import prepare
from tinyalex.data.imagenet.shards import open_shards
from tinyalex.data.imagenet.statistics import Sums
from tinyalex.errors import DataError, ShapeError


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 2)):
        for name in ("ant", "bee"):
            (folder / part / name).mkdir(parents=True)
            for k in range(count):
                Image.fromarray(rng.integers(0, 256, (80, 64 + k, 3), np.uint8)).save(folder / part / name / f"{k}.png")
    return folder


def test_shards_and_folders_of_side_64_have_such_images_and_means(pictures, tmp_path):
    prepare(pictures, tmp_path / "shards", side=64, processes=1)
    shards, folder = open_shards(tmp_path / "shards"), open_folder(pictures, side=64)
    for sources in (shards, folder):
        assert sources.train.image_shape == sources.val.image_shape == (3, 64, 64) and sources.mean_image().shape == (3, 64, 64)
        assert sources.train.read(np.arange(8)).shape == (8, 3, 64, 64)
    exact = folder.train.read(np.arange(8))
    assert np.allclose(folder.mean_image(), exact.mean(axis=0), atol=1e-4)
    assert np.allclose(shards.mean_image(), folder.mean_image(), atol=1e-4)
    assert open_folder(pictures).train.image_shape == (3, 256, 256)


def test_another_side_is_another_set(pictures, tmp_path):
    prepare(pictures, tmp_path / "shards", side=64, processes=1)
    with refuses(DataError, "side"):
        prepare(pictures, tmp_path / "shards", side=96, processes=1)


@pytest.mark.parametrize("side", [0, 31, 48, 1056, 64.0, True, "64"], ids=str)
def test_other_sides_are_refused(side, pictures):
    with refuses(ShapeError, "pictures: side must be a multiple of 32 from 32 to 1024, got"):
        require_side(side)
    with refuses(ShapeError, "pictures: side must be a multiple of 32"):
        open_folder(pictures, side=side)


@pytest.mark.parametrize("side", [32, 96])
def test_sums_are_exact_for_every_side(side):
    images = np.random.default_rng(1).integers(0, 256, (5, side, side, 3), np.uint8)
    sums = Sums(side)
    for image in images:
        sums.add(image)
    assert np.array_equal(sums.pixels, images.sum(axis=0))
    deviations, directions = color_axes(images.transpose(0, 3, 1, 2))
    assert np.allclose(sums.axes()[0], deviations) and np.allclose(np.abs(sums.axes()[1]), np.abs(directions), atol=1e-6)


def test_pictures_that_a_program_drew_are_called_synthetic_in_place_and_in_shards(pictures, tmp_path):
    write_class_folders(synthetic_dataset(40, 20, seed=5), tmp_path / "drawn")
    prepare(tmp_path / "drawn", tmp_path / "shards", side=32, processes=1)
    for sources in (open_folder(tmp_path / "drawn", side=32), open_shards(tmp_path / "shards")):
        assert sources.synthetic and sources.note.startswith("synthetic shapes, seed 5, ") and not sources.aside
    assert not open_folder(pictures, side=32).synthetic


def test_folders_with_other_names_than_their_classes_are_known_by_both(pictures, tmp_path):
    own = shutil.copytree(pictures, tmp_path / "own")
    (own / "words.txt").write_text("ant\tan insect\nbee\tanother insect\n")
    prepare(own, tmp_path / "shards", side=32, processes=1)
    for sources in (open_folder(own, side=32), open_shards(tmp_path / "shards")):
        assert sources.classes == ("an insect", "another insect") and sources.folders == ("ant", "bee")
    assert open_folder(pictures, side=32).folders == ()
