"""A data set in memory as class folders."""

import os

import numpy as np
import pytest
from PIL import Image

from tests.contract import refuses
from tinyalex.data import Dataset, export, open_data, synthetic_dataset
from tinyalex.data.export import write_class_folders
from tinyalex.errors import CheckpointError, DataError, DiskFull, ShapeError


def pictures(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(30, 20, classes=5, side=24)


def test_png_keeps_every_pixel_and_label(tmp_path, dataset):
    ticks = []
    assert write_class_folders(dataset, tmp_path / "out", progress=ticks.append) == {"train": 30, "val": 20}
    assert len(ticks) == 50 and os.listdir(tmp_path) == ["out"]
    for part, images, labels in (("train", dataset.train_images, dataset.train_labels), ("val", dataset.test_images, dataset.test_labels)):
        assert sorted(os.listdir(tmp_path / "out" / part)) == sorted(dataset.classes)
        for k, (image, label) in enumerate(zip(images, labels, strict=True)):
            with Image.open(tmp_path / "out" / part / dataset.classes[label] / f"{k:05d}.png") as picture:
                assert np.array_equal(np.asarray(picture).transpose(2, 0, 1), image)


def test_jpeg_is_close_and_both_open_as_a_data_set(tmp_path, dataset, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "out").mkdir()  # an empty folder is taken
    write_class_folders(dataset, tmp_path / "out", "jpeg")
    first = tmp_path / "out" / "train" / dataset.classes[dataset.train_labels[0]] / "00000.jpeg"
    with Image.open(first) as picture:
        assert picture.format == "JPEG" and np.abs(np.asarray(picture).transpose(2, 0, 1) - dataset.train_images[0].astype(int)).mean() < 12
    sources = open_data(tmp_path / "out")
    assert sources.classes == tuple(sorted(dataset.classes)) and (len(sources.train), len(sources.val)) == (30, 20)
    names = [sources.classes[label] for label in sources.train.labels]
    assert sorted(names) == sorted(dataset.classes[label] for label in dataset.train_labels)


def test_a_folder_that_holds_files_is_left_alone(tmp_path, dataset):
    (tmp_path / "mine").touch()
    for folder in (tmp_path, tmp_path / "mine"):
        with refuses(DataError, f"{folder}: the folder must be new or empty, got one that holds files; name another folder, or remove it"):
            write_class_folders(dataset, folder)
    assert pictures(tmp_path) == ["mine"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), OSError(13, "Permission denied")])
def test_nothing_is_left_after_a_stop_or_a_full_disk(tmp_path, dataset, monkeypatch, error):
    save, count = Image.Image.save, iter(range(100))

    def fails(self, *args, **settings):
        if next(count) == 7:
            raise error
        save(self, *args, **settings)

    monkeypatch.setattr(Image.Image, "save", fails)
    kind = {28: DiskFull, 13: CheckpointError}.get(getattr(error, "errno", None), KeyboardInterrupt)
    with pytest.raises(kind):
        write_class_folders(dataset, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(tmp_path, dataset):
    images, labels = np.zeros((2, 3, 4, 4), np.uint8), [0, 1]
    with refuses(ShapeError, "write_class_folders: form must be png or jpeg, got 'jpg'"):
        write_class_folders(dataset, tmp_path / "out", "jpg")
    with refuses(DataError, "own images: images to write must be uint8 and of 3 channels, got float32 images of 3 channels"):
        write_class_folders(Dataset.of(images.astype(np.float32), labels, images, labels), tmp_path / "out")
    with refuses(DataError, "got uint8 images of 1 channels"):
        write_class_folders(Dataset.of(images[:, :1], labels, images[:, :1], labels), tmp_path / "out")
    for name in ("", "..", "a/b", "a:b"):
        with refuses(DataError, f"own images: the classes must have names that folders can have, got {name!r}"):
            write_class_folders(Dataset.of(images, labels, images, labels, classes=["cat", name]), tmp_path / "out")
    assert export.FORMS == ("png", "jpeg") and not (tmp_path / "out").exists()
