"""The mean of the probabilities of several finished nets, which the runs kept in their folders. Nothing is trained for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyalex.errors import CheckpointError, show
from tinyalex.files.tensors import read_tensors, write_tensors

PROBABILITIES, FORMAT, VERSION = "test-probabilities.safetensors", "tinyalex-claims-probabilities", 1


def write_probabilities(folder: Path, found: npt.NDArray[np.float32]) -> None:
    """Keep the probabilities of the test images, (N, classes), as float16: 200 KB for CIFAR-10."""
    write_tensors(folder / PROBABILITIES, {"probabilities": found.astype(np.float16)}, FORMAT, VERSION, {})


def mean_of(folders: Sequence[Path], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The mean of the probabilities in the folders, float32 (N, classes).

    Paper: section 6 averages the predictions of five nets. As there, the probabilities are averaged, not the logits.

    Raises
    ------
    CheckpointError: a file is missing, was altered, or has another shape than `shape`.
    """
    total = np.zeros(shape, np.float32)
    for folder in folders:
        tensors, _ = read_tensors(folder / PROBABILITIES, FORMAT, VERSION)
        found = tensors.get("probabilities", np.empty(0))
        if found.shape != shape:
            rule = f"{folder / PROBABILITIES}: the probabilities must be an array of shape {shape}"
            raise CheckpointError(f"{rule}, got {show(found.shape)}; delete {folder} to train this run again")
        total += found
    return total / np.float32(len(folders))
