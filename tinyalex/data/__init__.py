"""Data sets, their batches, and the preparation of images. The download, `tinyalex.data.download`, is not imported here."""

from tinyalex.data.batches import Batches
from tinyalex.data.cifar10 import find_cifar10, read_cifar10
from tinyalex.data.color import ColorNoise, color_axes
from tinyalex.data.dataset import Dataset, Sources
from tinyalex.data.find import default_data_folder, load_dataset
from tinyalex.data.prepare import CropAndFlip, Prepare, Standardize, SubtractMean
from tinyalex.data.source import ArraySource, Source
from tinyalex.data.synthetic import synthetic_dataset

__all__ = [
    "ArraySource",
    "Batches",
    "ColorNoise",
    "CropAndFlip",
    "Dataset",
    "Prepare",
    "Source",
    "Sources",
    "Standardize",
    "SubtractMean",
    "color_axes",
    "default_data_folder",
    "find_cifar10",
    "load_dataset",
    "read_cifar10",
    "synthetic_dataset",
]
