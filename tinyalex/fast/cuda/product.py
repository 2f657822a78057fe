"""The row of the product of a fully connected layer for GPUs: cuBLAS, and the bias in place."""

from __future__ import annotations

from typing import Any

from tinyalex.devices import Array, Device
from tinyalex.fast.cuda.convolution import add_bias, is_relu
from tinyalex.fast.cuda.loader import MOST, kernels_of
from tinyalex.fast.request import Product, Then, apply


def forward(asked: Product, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """out = x W^T in each group, written where it stays; then the bias and ReLU are added in place."""
    kernels: Any = kernels_of(device)
    xp, n, k, relu = device.xp, len(x), len(asked.weight), is_relu(then)
    out = device.empty(asked.out_shape(n), x.dtype)
    inputs, outputs = asked.features // asked.groups, k // asked.groups
    with device.activate():
        for group in range(asked.groups):
            rows = slice(group * outputs, (group + 1) * outputs)
            columns = slice(group * inputs, (group + 1) * inputs)
            if asked.groups == 1:
                xp.matmul(x, asked.weight.T, out=out)
            else:
                out[:, rows] = xp.matmul(x[:, columns], asked.weight[rows].T)
        for images in (slice(first, first + _images(k)) for first in range(0, n, _images(k))):
            part = out[images].reshape(-1, k, 1)
            add_bias(part, asked.bias, part, (k, 1), relu, kernels)
        if not relu:
            apply(then, out, device.scratch())
    return out, x


def fits(asked: Product) -> bool:
    """Whether the indices of one image fit an int."""
    return len(asked.weight) <= MOST


def _images(k: int) -> int:
    return max(1, MOST // k)
