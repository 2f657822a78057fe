"""Functions that all workloads in PyTorch use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from benchmarks.workload import Setting

F = TypeVar("F", bound=Callable[..., Any])


def to_torch(array: np.ndarray[Any, Any], layout: str) -> Any:
    """An array as a tensor. Images and filters, which have four axes, get the `layout` of the setting."""
    import torch

    tensor = torch.from_numpy(array)
    return tensor.contiguous(memory_format=torch.channels_last) if layout == "channels_last" and array.ndim == 4 else tensor


def from_torch(tensor: Any) -> np.ndarray[Any, Any]:
    """A tensor as an array in the usual order."""
    array: np.ndarray[Any, Any] = tensor.detach().contiguous().numpy()
    return array


def compiled(function: F, setting: Setting) -> F:
    """`function`; if the setting says so, compiled for the shapes of its first call."""
    import torch

    return torch.compile(function, dynamic=False) if setting.compiled else function  # type: ignore[return-value]  # its stub names no type
