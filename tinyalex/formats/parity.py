"""Compares a net with the program whose file it is: both compute random images, and the outputs must agree.

ONNX Runtime computes ONNX files, OpenCV those of Caffe. Neither is needed for anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.formats.imported import Imported
from tinyalex.layers import Sequential
from tinyalex.models.later.rows import flat

Floats = npt.NDArray[np.float32]
AGREES = 1e-4  # of the largest output, in float32
IMAGES = 2


@dataclass(frozen=True)
class Parity:
    """How far the outputs are apart. of: what was compared with what. difference: the largest, over the largest output.

    reason: why nothing was compared; "" where it was. most: up to which difference they agree.
    """

    of: str
    difference: float = 0.0
    reason: str = ""
    most: float = AGREES

    @property
    def agrees(self) -> bool:
        """Whether both agree, or nothing was compared."""
        return bool(self.reason) or self.difference <= self.most


def random_images(net: Imported, seed: int = 0) -> Floats:
    """Images that are random numbers of mean 0 and deviation 1, the same for one seed."""
    return np.random.default_rng(seed).standard_normal((IMAGES, *(net.in_shape or ())), dtype=np.float32)


def compare(of: str, here: npt.NDArray[Any], there: npt.NDArray[Any], most: float = AGREES) -> Parity:
    """How far two outputs are apart; infinitely far if their shapes differ or one is not finite."""
    if here.size != there.size:
        return Parity(of, float("inf"), most=most)
    here, there = here.reshape(-1).astype(np.float64), there.reshape(-1).astype(np.float64)
    largest = float(np.abs(there).max()) or 1.0
    difference = float(np.abs(here - there).max()) / largest
    return Parity(of, difference if np.isfinite(difference) else float("inf"), most=most)


def with_runtime(files: Sequence[Path], kinds: Sequence[str], read: Imported, net: Sequential, output: str | None = None) -> Parity | None:
    """The net beside the program that the files are for; None where no program computes such files.

    files, kinds: of one file or of two. read: what was read from them. net: built of that, with its arrays. output: the name of the
    output that the net gives; None for the file's first.
    """
    x, of = random_images(read), ",".join(map(str, files))
    if kinds[0] == "onnx":
        name, there = "onnxruntime", _onnxruntime(files[0], x, output)
    elif tuple(kinds) == ("prototxt", "caffemodel"):
        name, there = "OpenCV", _opencv(files, x, read) if output is None else "--output names the output, which OpenCV finds by itself"
    else:
        return None
    of = f"{of} in {name}"
    if isinstance(there, str):
        return Parity(of, reason=there)
    out = net.forward(x)
    if read.ends == "probabilities":
        out = softmax(out)
        if (there <= 0).all():  # logarithms of probabilities, as of an ONNX file that ends with LogSoftmax
            there = np.exp(there)
    return compare(of, out, there)


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Probabilities (N, classes) of logits."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    made: npt.NDArray[Any] = powers / powers.sum(axis=1, keepdims=True)
    return made


def _onnxruntime(file: Path, x: Floats, output: str | None) -> npt.NDArray[Any] | str:
    try:
        import onnxruntime
    except ImportError:
        return "onnxruntime is not installed; pip install onnxruntime"
    onnxruntime.set_default_logger_severity(3)
    try:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        taken, wanted = session.get_inputs()[0], [session.get_outputs()[0].name if output is None else output]
        if isinstance(taken.shape[0], int) and taken.shape[0] == 1:
            return np.concatenate([session.run(wanted, {taken.name: one[None]})[0] for one in x])
        if isinstance(taken.shape[0], int) and taken.shape[0] != len(x):
            return f"the file is for {taken.shape[0]} images at once"
        made: npt.NDArray[Any] = session.run(wanted, {taken.name: x})[0]
    except Exception as error:  # its errors have no class in common
        return f"onnxruntime refuses it: {' '.join(str(error).split())[:160]}"
    return made


def _opencv(files: Sequence[Path], x: Floats, read: Imported) -> npt.NDArray[Any] | str:
    try:
        import cv2
    except ImportError:
        return 'OpenCV is not installed; pip install "opencv-python-headless<5"'
    if not hasattr(cv2.dnn, "readNetFromCaffe"):
        return f'OpenCV {cv2.__version__} no longer reads files of Caffe; pip install "opencv-python-headless<5"'
    if any(row.kind == "norm" and row.settings.get("k", 2.0) != 1 for row in flat(read.rows)):
        return "OpenCV does not read k of response normalization, which is not 1 here"
    try:
        net = cv2.dnn.readNetFromCaffe(str(files[0]), str(files[1]))
        outputs = []
        for one in x:
            net.setInput(np.ascontiguousarray(one[None, ::-1] if len(one) == 3 else one[None]))  # images of Caffe are blue, green, red
            outputs.append(np.array(net.forward()))
    except cv2.error as error:
        return f"OpenCV refuses it: {' '.join(str(error).split())[:160]}"
    return np.concatenate(outputs)
