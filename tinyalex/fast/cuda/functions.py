"""Kernels for the functions that are no rows: each has the signature of its plain function, after the kernels and the plain function.

The arguments and the results are those of the plain functions in `layers/lrn.py`, `layers/activation.py`, `layers/dropout.py`,
`loss.py` and `optim.py`; `tinyalex.fast.table.function` chooses between the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Scratch
from tinyalex.fast.cuda.loader import MOST, THREADS, Kernels, contiguous

Plain: TypeAlias = Callable[..., Any]  # the plain function, for sizes that the kernel does not take, or if its file does not compile
WIDEST = 32  # channels of a window of `lrn.cu`, which holds them in registers


def lrn_forward(
    kernels: Kernels,
    plain: Plain,
    a: Array,
    k: float,
    alpha: float,
    beta: float,
    window: tuple[int, int, int],
    scale: Array,
    out: Array,
    scratch: Scratch = NEW_ARRAYS,
) -> None:
    """`layers.lrn.lrn_forward`."""
    before, after, groups = window
    if not _takes(kernels, a, before, after):
        plain(a, k, alpha, beta, window, scale, out, scratch)
        return
    sizes, threads = _channels(a, groups)
    arguments = (contiguous(a, kernels.device), scale, out, *sizes, float(k), float(alpha), float(beta))
    kernels.launch("lrn.cu", "lrn_forward", threads, *arguments, BEFORE=before, AFTER=after)


def lrn_backward(
    kernels: Kernels,
    plain: Plain,
    a: Array,
    scale: Array,
    dout: Array,
    alpha: float,
    beta: float,
    window: tuple[int, int, int],
    dx: Array,
    scratch: Scratch = NEW_ARRAYS,
) -> None:
    """`layers.lrn.lrn_backward`."""
    before, after, groups = window
    if not _takes(kernels, a, before, after):
        plain(a, scale, dout, alpha, beta, window, dx, scratch)
        return
    device = kernels.device
    sizes, threads = _channels(a, groups)
    arguments = (contiguous(a, device), scale, contiguous(dout, device), dx, *sizes, float(alpha), float(beta))
    kernels.launch("lrn.cu", "lrn_backward", threads, *arguments, BEFORE=before, AFTER=after)


def _takes(kernels: Kernels, a: Array, before: int, after: int) -> bool:
    """Whether `lrn.cu` has a kernel for this array and this window, for which the file is compiled."""
    fits = before + after <= WIDEST and math.prod(a.shape) <= MOST
    return fits and kernels.ready("lrn.cu", a.dtype, BEFORE=before, AFTER=after)


def _channels(a: Array, groups: int) -> tuple[tuple[int, int, int], int]:
    """The arguments groups (of all images), C (of a group) and pixels; and the number of threads."""
    n, c, h, w = a.shape
    return (n * groups, c // groups, h * w), n * groups * h * w


def relu_backward(kernels: Kernels, plain: Plain, out: Array, dout: Array, dx: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """`layers.activation.relu_backward`."""
    arrays = (contiguous(out, kernels.device), contiguous(dout, kernels.device), dx)
    for part in _parts(math.prod(dx.shape)):
        kernels.launch("bias.cu", "relu_backward", part.stop - part.start, *_flat(arrays, part), part.stop - part.start)


def kept_units(
    kernels: Kernels, plain: Plain, key: int, step: int, shape: tuple[int, ...], least: int, part: tuple[int, int] = (0, 1)
) -> Array:
    """`masks.kept_units`, made on the card."""
    (n, *features), (index, parts) = shape, part
    of_part, rest = math.prod(features[:1]), math.prod(features[1:])
    units = n * of_part * parts * rest
    if units > MOST or not kernels.ready("dropout.cu", np.float32):  # the file has one kernel of masks for all dtypes
        return kernels.device.asarray(plain(key, step, shape, least, part))
    mask = kernels.device.empty(shape, np.bool_)
    words = (np.uint64(word) for word in (key & 2**64 - 1, key >> 64, step, least))
    sizes = (n, of_part * parts, rest, index * of_part, (index + 1) * of_part)
    kernels.launch("dropout.cu", "kept_units", -(-units // 8), mask, *words, *sizes, dtype=np.float32)
    return mask


def drop(kernels: Kernels, plain: Plain, x: Array, mask: Array, factor: float, out: Array, xp: Any = np) -> None:
    """`layers.dropout.drop`."""
    arrays = (contiguous(x, kernels.device), contiguous(mask, kernels.device), out)
    for part in _parts(math.prod(x.shape)):
        kernels.launch("dropout.cu", "dropout", part.stop - part.start, *_flat(arrays, part), float(factor), part.stop - part.start)


def softmax_loss(kernels: Kernels, plain: Plain, logits: Array, labels: Array, xp: Any = np) -> tuple[Array, Array]:
    """`loss.softmax_loss`."""
    n, classes = logits.shape
    if n * classes > MOST:
        each: tuple[Array, Array] = plain(logits, labels, xp)
        return each
    logits = contiguous(logits, kernels.device)
    loss, probs = kernels.device.empty((n,), logits.dtype), kernels.device.empty(logits.shape, logits.dtype)
    kernels.start("loss.cu", "softmax_loss", (n,), THREADS // 2, logits, labels, loss, probs, classes)
    return loss, probs


def softmax_loss_backward(kernels: Kernels, plain: Plain, probs: Array, labels: Array, xp: Any = np) -> Array:
    """`loss.softmax_loss_backward`."""
    if math.prod(probs.shape) > MOST:
        return plain(probs, labels, xp)
    dlogits = kernels.device.empty(probs.shape, probs.dtype)
    kernels.launch("loss.cu", "softmax_loss_backward", math.prod(probs.shape), probs, labels, dlogits, *probs.shape)
    return dlogits


def sgd_step(kernels: Kernels, plain: Plain, w: Array, dw: Array, v: Array, lr: float, momentum: float, decay: float, xp: Any = np) -> None:
    """`optim.sgd_step`."""
    for part in _parts(len(w)):
        rates = (float(lr), float(momentum), float(decay))
        kernels.launch("sgd.cu", "sgd_step", part.stop - part.start, *_flat((w, dw, v), part), *rates, part.stop - part.start)


def _parts(size: int) -> list[slice]:
    """range(size) in parts that a kernel may be given at once."""
    return [slice(first, min(first + MOST, size)) for first in range(0, size, MOST)]


def _flat(arrays: tuple[Array, ...], part: slice) -> list[Array]:
    """A part of each array, whose elements are taken in C order."""
    return [array.reshape(-1)[part] for array in arrays]
