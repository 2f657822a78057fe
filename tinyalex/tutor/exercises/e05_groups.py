"""What people do otherwise in `conv_backward_groups` of E05: each mistake as a function that makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Mistake
from tinyalex.tutor.exercises.e04_mistakes import stacked
from tinyalex.tutor.exercises.e05_backward import Call, Gradients, conv_backward


def _grouped(make: Callable[[Call], Any]) -> Callable[..., Gradients]:
    """The same for `conv_backward_groups`."""
    return lambda dout, x, weight, stride, padding, groups: make(Call(dout, x, weight, stride, padding, groups))


def groups_not_used(call: Call) -> Gradients:
    call.weight + call.x[:1, :, :1, :1]  # raises ValueError where there are several groups
    return call.right()


def in_the_first_group(call: Call) -> Gradients:
    """Every group reads and writes the first C / G channels."""
    dx, first = np.zeros_like(call.x), call.x[:, : call.weight.shape[1]]
    dx[:, : call.weight.shape[1]], dweight, dbias = call.right(x=first, groups=1)
    return dx, dweight, dbias


def parts_of_one_size(call: Call, channels: bool) -> Gradients:
    """Filters and channels cut into parts of one size: C / G, or else K / G. ValueError where these do not fit."""
    (k, c), dx, dweight, dbias = call.weight.shape[:2], np.zeros_like(call.x), np.zeros_like(call.weight), np.zeros(len(call.weight))
    size = c if channels else k // call.groups
    for first in range(0, size * call.groups, size):
        part = slice(first, first + size)
        dx[:, part], dweight[part], dbias[part] = conv_backward(
            call.dout[:, part], call.x[:, part], call.weight[part], call.stride, call.padding
        )
    return dx, dweight, dbias


def dealt_out(number: int, groups: int) -> tuple[Array, Array]:
    """The order in which the number i belongs to group i % G, and the order that undoes it."""
    order = np.argsort(np.arange(number) % groups, kind="stable")
    return order, np.argsort(order)


def filters_dealt_out(call: Call) -> Gradients:
    """Filter k belongs to group k % G."""
    order, back = dealt_out(len(call.weight), call.groups)
    dx, dweight, dbias = call.right(dout=call.dout[:, order], weight=call.weight[order])
    return dx, dweight[back], dbias[back]


def channels_dealt_out(call: Call) -> Gradients:
    """Group g reads the channels g, g + G, g + 2 G ..."""
    order, back = dealt_out(call.x.shape[1], call.groups)
    dx, dweight, dbias = call.right(x=call.x[:, order])
    return dx[:, back], dweight, dbias


MISTAKES = (
    Mistake("first group alone", _grouped(lambda c: c.right(dout=c.last(np.s_[:], np.s_[: len(c.weight) // c.groups]))), "inferred"),
    Mistake("last group alone", _grouped(lambda c: c.right(dout=c.last(np.s_[:], np.s_[-len(c.weight) // c.groups :]))), "inferred"),
    Mistake("channels of the first group", _grouped(in_the_first_group), "inferred"),
    Mistake("dx of the groups added",  # dx of the shape (N, C / G, H, W)
            _grouped(lambda c: (sum(np.split(c.right()[0], c.groups, 1)), *c.right()[1:])), "inferred"),
    Mistake("groups not used", _grouped(groups_not_used), "apache/mxnet#3348"),
    Mistake("parts of one size/channels", _grouped(lambda c: parts_of_one_size(c, True)), "inferred"),
    Mistake("parts of one size/filters", _grouped(lambda c: parts_of_one_size(c, False)), "inferred"),
    Mistake("filters dealt out", _grouped(filters_dealt_out), "inferred"),
    Mistake("channels dealt out", _grouped(channels_dealt_out), "inferred"),
    Mistake("dweight side by side",
            _grouped(lambda c: (c.right()[0], np.concatenate(np.split(c.right()[1], c.groups), 1), c.right()[2])), "inferred"),
    Mistake("groups stacked", _grouped(lambda c: (stacked(c.right()[0], c.groups), *c.right()[1:])), "inferred"),
    Mistake("over the groups", _grouped(lambda c: tuple(gradient / c.groups for gradient in c.right())), "inferred"),
    Mistake("groups cut from the end",
            _grouped(lambda c: (c.right()[0] if c.padding else c.x[:, :, :0, :0], *c.right()[1:])), "inferred"),
)  # fmt: skip
