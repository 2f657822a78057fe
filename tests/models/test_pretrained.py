"""The trained network in the package."""

import os
from pathlib import Path

import numpy as np
import pytest

from tinyalex.data import find_cifar10, read_cifar10
from tinyalex.files.tensors import read_tensors
from tinyalex.models.pretrained import FIGURE1_RELU, trained_figure1


def test_file_is_small_and_says_what_it_was_trained_on():
    assert FIGURE1_RELU.stat().st_size < 1 << 20
    tensors, text = read_tensors(FIGURE1_RELU, "tinyalex-weights", 1)
    assert sum(array.size for array in tensors.values()) == 89_578
    assert "JPEG-recompressed" in text["note"] and "tinyalex figure1 --data cifar10" in text["note"]


def test_loads_in_both_types():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), np.uint8)
    found = []
    for dtype in (np.float32, np.float64):
        trained = trained_figure1(dtype=dtype)
        found.append(trained.net.forward(trained.prepare(images).astype(dtype)))
    assert found[0].shape == (2, len(trained.classes)) and np.abs(found[0] - found[1]).max() < 1e-3 * np.abs(found[1]).max()


@pytest.mark.skipif(not os.environ.get("TINYALEX_DATA"), reason="TINYALEX_DATA is not set: no real CIFAR-10 to recognize")
def test_recognizes_real_images():
    folder = find_cifar10(Path(os.environ["TINYALEX_DATA"]))
    assert folder is not None
    dataset, trained = read_cifar10(folder), trained_figure1()
    assert dataset.classes == trained.classes
    wrong = trained.net.forward(trained.prepare(dataset.test_images[:2000])).argmax(axis=1) != dataset.test_labels[:2000]
    assert wrong.mean() == pytest.approx(0.2746, abs=0.02)
    fitted = type(trained.prepare).fit(dataset.train_images)
    assert np.allclose(fitted.mean, trained.prepare.mean) and np.allclose(fitted.std, trained.prepare.std)


def test_answers_are_those_of_the_net_that_was_measured():
    trained = trained_figure1(dtype=np.float64)
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32), np.uint8)
    logits = trained.net.forward(trained.prepare(image).astype(np.float64))
    expected = [-1.538, 4.410, -2.850, -1.881, -2.494, -0.776, 1.263, -1.673, 0.148, 5.189]
    np.testing.assert_allclose(logits[0], expected, rtol=0, atol=2e-3)
