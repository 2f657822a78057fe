"""Results of training steps that stay on the device until they are read, all at once: on a GPU each read waits until it has computed."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from tinyalex.devices import Array, Device
from tinyalex.loss import main_of

Unread: TypeAlias = tuple[Array, Array, int]  # the loss of a step, how many of its images are wrong, both on the device; how many it has


def unread(device: Device, loss: Array, logits: Any, labels: np.ndarray[Any, Any]) -> Unread:
    """The results of a step. An image is wrong if its label is not the class with the highest score. Nobody waits.

    logits: (N, classes), or the tuple of a net with auxiliary heads, of which the main output counts.
    """
    logits = main_of(logits)
    with device.activate():
        return loss, (logits.argmax(axis=1) != device.asarray(labels)).sum(), len(labels)


def read(device: Device, steps: list[Unread], dtype: Any) -> list[tuple[float, int, int]]:
    """Loss, wrong images and images of each step. The device is waited for once.

    dtype: of the losses. It holds the count of wrong images too, exactly up to 2^24 of them in a float32.
    """
    with device.activate():
        losses, counts = [loss for loss, _, _ in steps], [wrong.astype(dtype) for _, wrong, _ in steps]
        values = device.to_numpy(device.xp.stack([*losses, *counts]))
    return [(float(values[i]), int(values[len(steps) + i]), images) for i, (_, _, images) in enumerate(steps)]
