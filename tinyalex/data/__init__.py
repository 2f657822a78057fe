"""Data sets, their batches, and the preparation of images. The download, `tinyalex.data.download`, is not imported here."""

from tinyalex.data.augment import Crops, TenViews, mean_probabilities
from tinyalex.data.batches import Batches
from tinyalex.data.cifar10 import find_cifar10, read_cifar10
from tinyalex.data.color import IMAGENET_COLORS, ColorNoise, color_axes
from tinyalex.data.dataset import Dataset, Sources
from tinyalex.data.find import default_data_folder, load_dataset, open_data
from tinyalex.data.loader import Loader
from tinyalex.data.prepare import CropAndFlip, Prepare, Standardize, SubtractMean, prepare_from_state, prepare_state
from tinyalex.data.source import ArraySource, Source
from tinyalex.data.synthetic import synthetic_dataset

__all__ = [
    "IMAGENET_COLORS",
    "ArraySource",
    "Batches",
    "ColorNoise",
    "CropAndFlip",
    "Crops",
    "Dataset",
    "Loader",
    "Prepare",
    "Source",
    "Sources",
    "Standardize",
    "SubtractMean",
    "TenViews",
    "color_axes",
    "default_data_folder",
    "find_cifar10",
    "load_dataset",
    "mean_probabilities",
    "open_data",
    "prepare_from_state",
    "prepare_state",
    "read_cifar10",
    "synthetic_dataset",
]
