"""The engine's functions behind the names and the arguments of the exercises, and which of its lines a reader should see."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from tinyalex.devices import NEW_ARRAYS, CpuDevice
from tinyalex.geometry import windows_of
from tinyalex.layers import activation, columns, conv, dropout, linear, lrn, pool
from tinyalex.loss import softmax_loss, softmax_loss_backward
from tinyalex.optim import sgd_step
from tinyalex.towers import Exchange
from tinyalex.tutor.arrays import Array

Outputs = tuple[Any, ...]


def _relu_backward(dout: Array, x: Array) -> Outputs:
    dx = np.empty_like(x)
    activation.relu_backward(np.maximum(x, 0), dout, dx)
    return (dx,)


def _tanh_backward(dout: Array, out: Array) -> Outputs:
    dx = np.empty_like(out)
    activation.Tanh(dtype=np.float64).gradient(out, dout, dx, NEW_ARRAYS)
    return (dx,)


def _linear_backward(dout: Array, x: Array, weight: Array) -> Outputs:
    dx, dweight, dbias = linear.linear_backward(x.reshape(len(x), -1), weight, dout)
    return dx.reshape(x.shape), dweight, dbias


def _chain_backward(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Outputs:
    a = x @ w1.T
    db, dw2, _ = linear.linear_backward(np.maximum(a, 0), w2, dout)
    (da,) = _relu_backward(db, a)
    dx, dw1, _ = linear.linear_backward(x, w1, da)
    short, dw3, _ = linear.linear_backward(x, w3, dout)
    return dx + short, dw1, dw2, dw3


def _conv_forward(x: Array, weight: Array, bias: Array, stride: int, padding: int, groups: int) -> Outputs:
    return (conv.conv2d(x, weight, bias, windows_of("capstone", x.shape[2:], weight.shape[2:], stride, padding), groups),)


def _conv_backward_groups(dout: Array, x: Array, weight: Array, stride: int, padding: int, groups: int) -> Outputs:
    return conv.conv2d_backward(x, weight, dout, windows_of("capstone", x.shape[2:], weight.shape[2:], stride, padding), groups)


def _conv_backward(dout: Array, x: Array, weight: Array, stride: int, padding: int) -> Outputs:
    return _conv_backward_groups(dout, x, weight, stride, padding, 1)


def _max_pool(x: Array, kernel: int, stride: int) -> Outputs:
    return (pool.max_pool(x, windows_of("capstone", x.shape[2:], kernel, stride))[0],)


def _max_pool_backward(dout: Array, x: Array, kernel: int, stride: int) -> Outputs:
    windows = windows_of("capstone", x.shape[2:], kernel, stride)
    return (pool.max_pool_backward(dout, pool.max_pool(x, windows)[1], windows),)


def _lrn(a: Array, n: int, k: float, alpha: float, beta: float) -> Outputs:
    scale, out = np.empty_like(a), np.empty_like(a)
    lrn.lrn_forward(a, k, alpha, beta, (n // 2, (n - 1) // 2, 1), scale, out)
    return (out,)


def _lrn_backward(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Outputs:
    window, dx = (n // 2, (n - 1) // 2, 1), np.empty_like(a)
    lrn.lrn_backward(a, lrn.lrn_scale(a, k, alpha, window, np.empty_like(a)), dout, alpha, beta, window, dx)
    return (dx,)


def _softmax_cross_entropy(logits: Array, labels: Array) -> Outputs:
    loss, probs = softmax_loss(logits, labels)
    return float(loss.mean()), softmax_loss_backward(probs, labels)


def _sgd_step(weight: Array, grad: Array, velocity: Array, lr: float, momentum: float, weight_decay: float) -> Outputs:
    """The new weight and the new velocity."""
    weight, velocity = weight.copy(), velocity.copy()
    sgd_step(weight, grad.copy(), velocity, lr, momentum, weight_decay)
    return weight, velocity


def with_mask(x: Array, mask: Array, p: float) -> Array:
    """Dropout with a mask that was drawn before."""
    out = np.empty_like(x)
    dropout.drop(x, mask, 1 / (1 - p), out)
    return out


def _dropout(x: Array, p: float, rng: np.random.Generator, train: bool) -> Outputs:
    mask: Array = np.asarray(rng.random(x.shape) >= p) if train else np.ones(x.shape, bool)
    return (with_mask(x, mask, p) if train else x.copy()), mask


def _dropout_backward(dout: Array, mask: Array, p: float) -> Outputs:
    return (with_mask(dout, mask, p),)


@cache
def _link() -> Exchange:
    return Exchange((CpuDevice("cpu:0", 1), CpuDevice("cpu:1", 1)), dtype=np.float64, name="link")


def _exchange(a: Array, b: Array) -> Outputs:
    return _link().forward((a, b))


def _exchange_backward(dya: Array, dyb: Array, channels: int) -> Outputs:
    _link().forward((dya[:, :channels].copy(), dya[:, channels:].copy()), train=True)  # the link remembers the shapes of the halves
    return _link().backward((dya, dyb))


def _exchange_bytes(a_shape: tuple[int, ...], b_shape: tuple[int, ...], itemsize: int, backward: bool) -> Outputs:
    """What the two devices received in a call that was made for this; the arrays of the net have 8 bytes a number."""
    for device in _link().devices:
        device.received.clear()
    a, b = np.zeros(a_shape), np.zeros(b_shape)
    joined = _exchange(a, b)
    if backward:
        for device in _link().devices:
            device.received.clear()
        _link().forward((a, b), train=True)
        for device in _link().devices:
            device.received.clear()
        _link().backward((joined[0], joined[1]))
    to_a, to_b = (device.received.nbytes * itemsize // 8 for device in _link().devices)
    return to_a, to_b


ENGINE: Mapping[str, Callable[..., Outputs]] = {  # always a tuple of outputs; of `sgd_step` the velocity is the second one
    "relu_backward": _relu_backward,
    "tanh_backward": _tanh_backward,
    "linear_backward": _linear_backward,
    "chain_backward": _chain_backward,
    "conv_forward": _conv_forward,
    "conv_backward": _conv_backward,
    "conv_backward_groups": _conv_backward_groups,
    "max_pool": _max_pool,
    "max_pool_backward": _max_pool_backward,
    "lrn": _lrn,
    "lrn_backward": _lrn_backward,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "sgd_step": _sgd_step,
    "dropout": _dropout,
    "dropout_backward": _dropout_backward,
    "exchange": _exchange,
    "exchange_backward": _exchange_backward,
    "exchange_bytes": _exchange_bytes,
}
LINES: Mapping[str, tuple[Callable[..., Any], ...]] = {  # what the page shows beside the student's function
    "relu_backward": (activation.relu_backward,),
    "tanh_backward": (activation.Tanh.derivative, activation.Activation.gradient),
    "linear_backward": (linear.linear_backward,),
    "chain_backward": (_chain_backward, linear.linear_backward),
    "conv_forward": (conv.conv2d, columns.im2col),
    "conv_backward": (conv.conv2d_backward, columns.col2im),
    "conv_backward_groups": (conv.conv2d_backward,),
    "max_pool": (pool.max_pool,),
    "max_pool_backward": (pool.max_pool_backward,),
    "lrn": (lrn.lrn_scale, lrn.lrn, lrn.window_sum),
    "lrn_backward": (lrn.lrn_backward,),
    "softmax_cross_entropy": (softmax_loss, softmax_loss_backward),
    "sgd_step": (sgd_step,),
    "dropout": (dropout.Dropout.forward, dropout.drop),
    "dropout_backward": (dropout.Dropout.backward, dropout.drop),
    "exchange": (Exchange.forward, Exchange.joined),
    "exchange_backward": (Exchange.backward,),
    "exchange_bytes": (Exchange.sent_bytes,),
}


def lines_of(function: str) -> list[tuple[str, str]]:
    """The engine's lines for a function: where they stand, and their text."""
    found = []
    for one in LINES[function]:
        place = one.__module__.removeprefix("tinyalex.").replace(".", "/")
        found.append((f"tinyalex/{place}.py", inspect.cleandoc("\n" + inspect.getsource(one))))
    return found
