"""Sources: the one in memory, a Dataset as two sources, and a source of one's own in batches, training and evaluation."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.data import ArraySource, Batches, Dataset, Sources, Standardize
from tinyalex.data.color import color_axes
from tinyalex.data.prepare import SubtractMean
from tinyalex.data.source import fingerprint, is_source
from tinyalex.errors import DataError
from tinyalex.training import Trainer, evaluate

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 3, 6, 5), np.uint8)
LABELS = np.arange(20) % 4


class Lazy:
    """A source that keeps no array: each image is made when it is read."""

    def __init__(self) -> None:
        self.labels, self.image_shape, self.reads = LABELS.astype(np.int64), (3, 6, 5), 0

    def __len__(self):
        return 20

    def read(self, indices):
        self.reads += 1
        return np.stack([IMAGES[k] for k in indices])

    def fingerprint(self):
        return "0123456789abcdef"


def net():
    layers = [ta.Flatten(name="flat"), ta.Linear(90, 4, name="fc")]
    return ta.Sequential(layers, in_shape=(3, 6, 5), seed=1)


def test_an_array_source_reads_copies_in_the_order_asked_for():
    source = ArraySource(IMAGES, list(LABELS))
    read = source.read(np.array([7, 0, 7]))
    assert len(source) == 20 and source.image_shape == (3, 6, 5) and np.array_equal(read, IMAGES[[7, 0, 7]])
    assert not np.shares_memory(read, IMAGES) and source.fingerprint() == fingerprint(IMAGES, LABELS)
    again = pickle.loads(pickle.dumps(source))
    assert again.fingerprint() == source.fingerprint() and np.array_equal(again.read([3]), IMAGES[[3]])


def test_a_source_is_told_from_other_values():
    assert is_source(ArraySource(IMAGES, LABELS)) and is_source(Lazy())
    assert not any(map(is_source, ((IMAGES, LABELS), IMAGES, ArraySource, Dataset.of(IMAGES, LABELS), None)))


def test_a_dataset_is_two_sources_with_its_mean_image_and_colors():
    dataset = Dataset.of(IMAGES[:16], LABELS[:16], IMAGES[16:], LABELS[16:])
    sources = dataset.sources()
    assert np.shares_memory(sources.train.images, IMAGES) and (len(sources.train), len(sources.val)) == (16, 4)
    assert np.array_equal(sources.mean_image(), SubtractMean.fit(IMAGES[:16]).mean)
    assert all(np.array_equal(*pair) for pair in zip(sources.color(), color_axes(IMAGES[:16]), strict=True))
    assert repr(sources) == "Sources('own images', 16 train, 4 val, 4 classes, 'made from arrays')"


def test_sources_refuse_parts_that_do_not_fit_together():
    def of(train, val, classes=("a", "b", "c", "d")):
        return Sources("set", train, val, classes, "", False, lambda: None, lambda: None)

    source = ArraySource(IMAGES, LABELS)
    with refuses(DataError, "set: val images must have the training images' shape (3, 6, 5), got (3, 5, 6)"):
        of(source, ArraySource(IMAGES.reshape(20, 3, 5, 6), LABELS))
    with refuses(DataError, "set: val labels must be from 0 to 2, got 3 for image 3"):
        of(ArraySource(IMAGES[:3], LABELS[:3]), source, ("a", "b", "c"))


def test_a_source_gives_the_same_batches_training_and_errors_as_its_arrays():
    prepare = Standardize.fit(IMAGES)
    results = []
    for train in ((IMAGES, LABELS), Lazy()):
        batches = Batches(*(train if isinstance(train, tuple) else (train, None)), 8, prepare=prepare, seed=3)
        made = net()
        trainer = Trainer(made, ta.SGD(made, lr=0.01), train=train, val=train, prepare=prepare, batch_size=8, progress=False)
        epochs = trainer.run(2)
        errors = evaluate(made, ta.SoftmaxCrossEntropy(), train, prepare)
        results.append(([x for x, _ in batches.of_epoch(1)], [(e.loss, e.train_error, e.val_error) for e in epochs], errors, made))
    (first, epochs, errors, one), (second, *rest, other) = results
    assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True)) and [epochs, errors] == rest
    assert np.array_equal(one["fc"].params["weight"], other["fc"].params["weight"])


def test_a_run_goes_on_only_with_the_source_of_its_fingerprint(tmp_path):
    def trainer(source):
        made = net()
        return Trainer(made, ta.SGD(made, lr=0.01), train=source, prepare=Standardize.fit(IMAGES), folder=tmp_path, progress=False)

    trainer(Lazy()).run(1)
    assert len(trainer(Lazy()).run(2)) == 2
    with pytest.raises(ta.errors.CheckpointError, match="train_sha256"):
        trainer(ArraySource(IMAGES, LABELS))
