"""E12: two towers exchange what they have: forward, backward, and the bytes that cross (paper 3.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Forward, Function, Mistake, Probe

Pair = tuple[Any, Any]


def exchange(a: Array, b: Array) -> tuple[Array, Array]:
    """What each of two towers reads after they have exchanged their channels (paper 3.2, in front of conv3, fc6 and fc7).

    ya[n] = yb[n] = the channels of a[n], then the channels of b[n]

    Tower a lies on one device and tower b on another. The next layer of each reads the channels of both, in the same order on both
    devices: a's first. In this exercise both devices are the memory of one computer. ya and yb must be two arrays all the same, which
    share no memory, as the arrays of two devices do not.

    Parameters
    ----------
    a: (N, CA, H, W), what tower a has; or (N, CA) behind a fully connected layer.
    b: (N, CB, H, W) or (N, CB), what tower b has. CA and CB may differ.

    Returns
    -------
    ya: (N, CA + CB, H, W) or (N, CA + CB), what tower a reads, a new array.
    yb: the same numbers in another new array, what tower b reads. a and b are left as they are.
    """
    return np.concatenate([a, b], 1), np.concatenate([a, b], 1)


def exchange_backward(dya: Array, dyb: Array, channels: int) -> tuple[Array, Array]:
    """The gradients with respect to a and b, from those with respect to the two outputs of `exchange` (paper 3.2).

    The loss depends on ya, and on yb; both were made of a and b.

    Parameters
    ----------
    dya: (N, CA + CB, H, W) or (N, CA + CB), the gradient of the loss with respect to ya; tower a has it.
    dyb: of the same shape, the gradient of the loss with respect to yb; tower b has it.
    channels: CA, how many channels tower a has.

    Returns
    -------
    da: (N, CA, H, W) or (N, CA), a new array.
    db: (N, CB, H, W) or (N, CB), a new array. dya and dyb are left as they are.
    """
    both = dya + dyb
    return both[:, :channels].copy(), both[:, channels:].copy()


def exchange_bytes(a_shape: tuple[int, ...], b_shape: tuple[int, ...], itemsize: int, backward: bool) -> tuple[int, int]:
    """How many bytes cross between the devices in one call of `exchange`, or of `exchange_backward` (paper 3.2).

    Only what a device does not have yet is sent to it, once, and all of it arrives uncompressed. In backward the gradient of a tower's
    channels is the sum of two terms, one from each device (see `exchange_backward`). The term that lies on the other device is sent
    over, and nothing else.

    Parameters
    ----------
    a_shape, b_shape: the shapes of a and b, such as (N, CA, H, W).
    itemsize: bytes of one number: 4 for float32.
    backward: False for the bytes of `exchange`, True for those of `exchange_backward`.

    Returns
    -------
    to_a: an integer, the bytes that arrive at the device of tower a.
    to_b: an integer, the bytes that arrive at the device of tower b.
    """
    a, b = math.prod(a_shape) * itemsize, math.prod(b_shape) * itemsize
    return (a, b) if backward else (b, a)


def _cat(*parts: Array) -> Array:
    return np.concatenate(parts, 1)


def _parts(change: Callable[[Array, Array, Array, Array], Pair]) -> Callable[[Array, Array, int], Pair]:
    """A backward pass made of the four parts: of dya those of a and b, of dyb those of a and b."""
    return lambda dya, dyb, channels: change(dya[:, :channels], dya[:, channels:], dyb[:, :channels], dyb[:, channels:])


def b_first_in_dyb(dya: Array, dyb: Array, channels: int) -> Pair:
    """As if tower b had read its own channels first."""
    others = dyb.shape[1] - channels
    return dya[:, :channels] + dyb[:, others:], dya[:, channels:] + dyb[:, :others]


def b_first_in_both(dya: Array, dyb: Array, channels: int) -> Pair:
    others = dyb.shape[1] - channels
    return (dya + dyb)[:, others:], (dya + dyb)[:, :others]


def cut_at_the_middle(dya: Array, dyb: Array, channels: int) -> Pair:
    half = dya.shape[1] // 2
    return (dya + dyb)[:, :half], (dya + dyb)[:, half:]


def cut_at_the_middle_rounded_up(dya: Array, dyb: Array, channels: int) -> Pair:
    """As np.array_split cuts."""
    half = -(-dya.shape[1] // 2)
    return (dya + dyb)[:, :half], (dya + dyb)[:, half:]


def _bytes(change: Callable[[int, int], Pair], back: Callable[[int, int], Pair] | None = None) -> Callable[..., Pair]:
    """Bytes counted in another way, in forward and in backward: of a's bytes and b's."""

    def counted(a_shape: tuple[int, ...], b_shape: tuple[int, ...], itemsize: int, backward: bool) -> Pair:
        a, b = math.prod(a_shape) * itemsize, math.prod(b_shape) * itemsize
        if not backward:
            return change(a, b)
        return (change(a, b)[::-1] if back is None else back(a, b))

    return counted


def elements_for_bytes(a_shape: tuple[int, ...], b_shape: tuple[int, ...], itemsize: int, backward: bool) -> Pair:
    return exchange_bytes(a_shape, b_shape, 1, backward)


def always_four_bytes(a_shape: tuple[int, ...], b_shape: tuple[int, ...], itemsize: int, backward: bool) -> Pair:
    return exchange_bytes(a_shape, b_shape, 4, backward)


def of_one_image(a_shape: tuple[int, ...], b_shape: tuple[int, ...], itemsize: int, backward: bool) -> Pair:
    return exchange_bytes(a_shape[1:], b_shape[1:], itemsize, backward)


def channels_alone(a_shape: tuple[int, ...], b_shape: tuple[int, ...], itemsize: int, backward: bool) -> Pair:
    return exchange_bytes(a_shape[:2], b_shape[:2], itemsize, backward)


MAPS = ((2, 3, 4, 5, 6), (3, 2, 5, 4, 7), (4, 5, 2, 3, 6), (2, 4, 6, 5, 3))  # N, CA, CB, H, W, one for each size set; so below
UNITS = ((7, 5, 3), (5, 2, 4), (5, 2, 8), (8, 6, 4))
EQUAL = ((3, 4, 2, 5), (2, 3, 5, 4), (4, 5, 3, 2), (2, 6, 3, 4))
ONE = ((4, 2, 3, 5), (2, 6, 5, 4), (5, 3, 2, 4), (3, 5, 4, 2))
SENT = ((3, 4, 5, 7, 20, 30), (5, 2, 4, 6, 30, 25), (2, 5, 7, 4, 15, 35), (4, 3, 6, 5, 25, 10))  # CA, CB, H, W; units of a and b


def forward_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `exchange`."""
    (n, ca, cb, h, w), (m, ua, ub), (fa, fb, fh, fw) = MAPS[sizes], UNITS[sizes], ONE[sizes]
    equal = EQUAL[sizes]
    return [
        Probe("maps", "maps, where the towers differ in channels", {"a": _of(rng, n, ca, h, w), "b": _of(rng, n, cb, h, w)}),
        Probe("units", "fully connected layers, where the towers differ in units", {"a": _of(rng, m, ua), "b": _of(rng, m, ub)}),
        Probe("equal towers", "equally many channels in both towers", {"a": _of(rng, *equal), "b": _of(rng, *equal)}),
        Probe("one image", "one image", {"a": _of(rng, 1, fa, fh, fw), "b": _of(rng, 1, fb, fh, fw)}),
    ]


def backward_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `exchange_backward`: the same towers, and a gradient for what each read."""
    made = []
    for probe in forward_probes(rng, sizes):
        a, b = probe.arguments["a"], probe.arguments["b"]
        shape = exchange(a, b)[0].shape
        given = {"dya": _of(rng, *shape), "dyb": _of(rng, *shape), "channels": a.shape[1]}
        made.append(Probe(probe.key, probe.says, given))
    return made


def bytes_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `exchange_bytes`; the last two are the paper's own link in front of conv3, one image, whose towers are alike."""
    n, (ca, cb, h, w, ua, ub) = int(rng.integers(6, 10)), SENT[sizes]
    shapes = {"a_shape": (n, ca, h, w), "b_shape": (n, cb, h, w)}
    units = {"a_shape": (n, ua), "b_shape": (n, ub)}
    paper = {"a_shape": (1, 128, 13, 13), "b_shape": (1, 128, 13, 13)}
    return [
        Probe("forward", "maps of float32, forward", shapes | {"itemsize": 4, "backward": False}),
        Probe("backward", "maps of float32, backward", shapes | {"itemsize": 4, "backward": True}),
        Probe("eight bytes", "units of float64, forward", units | {"itemsize": 8, "backward": False}),
        Probe("eight bytes back", "units of float64, backward", units | {"itemsize": 8, "backward": True}),
        Probe("paper", "the paper's link in front of conv3, one image", paper | {"itemsize": 4, "backward": False}),
        Probe("paper back", "the paper's link in front of conv3, one image, backward", paper | {"itemsize": 4, "backward": True}),
    ]


def _of(rng: np.random.Generator, *shape: int) -> Array:
    return rng.permutation(np.arange(1.0, 1 + np.prod(shape))).reshape(shape) + rng.integers(100)


E12 = Exercise("E12", "two towers, and what they exchange", "10", 25, (
    Function("exchange", exchange, ("ya", "yb"), forward_probes, (
        Mistake("b first on b", lambda a, b: (_cat(a, b), _cat(b, a)), "the order in the files of 2012"),
        Mistake("b first", lambda a, b: (_cat(b, a), _cat(b, a)), "inferred"),
        Mistake("another axis", lambda a, b: (np.concatenate([a, b]), np.concatenate([a, b])), "inferred"),
        Mistake("added", lambda a, b: (a + b, a + b), "inferred"),
        Mistake("one way", lambda a, b: (_cat(a, b), b.copy()), "inferred"),
        Mistake("own half alone", lambda a, b: (a.copy(), b.copy()), "inferred"),
        Mistake("the other half alone", lambda a, b: (b.copy(), a.copy()), "inferred"),
        Mistake("own half twice", lambda a, b: (_cat(a, a), _cat(b, b)), "inferred"),
        Mistake("zeros for the other", lambda a, b: (_cat(a, 0 * b), _cat(0 * a, b)), "inferred"),
    )),
    Function("exchange_backward", exchange_backward, ("da", "db"), backward_probes, (
        Mistake("not sent back", _parts(lambda aa, ab, ba, bb: (aa, bb)), "pytorch/torchtitan#2416, huggingface/nanotron#46 and #172"),
        Mistake("added twice", _parts(lambda aa, ab, ba, bb: (2 * (aa + ba), 2 * (ab + bb))), "ByteDance-Seed/VeOmni#1120"),
        Mistake("mean", _parts(lambda aa, ab, ba, bb: ((aa + ba) / 2, (ab + bb) / 2)), "inferred"),
        Mistake("own part twice", _parts(lambda aa, ab, ba, bb: (2 * aa, 2 * bb)), "ByteDance-Seed/VeOmni#1120"),
        Mistake("of the other alone", _parts(lambda aa, ab, ba, bb: (ba, ab)), "inferred"),
        Mistake("tower as alone", _parts(lambda aa, ab, ba, bb: (aa, ab)), "inferred"),
        Mistake("tower bs alone", _parts(lambda aa, ab, ba, bb: (ba, bb)), "inferred"),
        Mistake("b first on b", b_first_in_dyb, "the order in the files of 2012"),
        Mistake("b first", b_first_in_both, "inferred"),
        Mistake("towers exchanged", _parts(lambda aa, ab, ba, bb: (ab + bb, aa + ba)), "inferred"),
        Mistake("parts exchanged", _parts(lambda aa, ab, ba, bb: (aa + bb, ab + ba)), "inferred"),
        Mistake("cut at the middle", cut_at_the_middle, "inferred"),
        Mistake("cut at the middle/rounded up", cut_at_the_middle_rounded_up, "inferred"),
        Mistake("whole gradient", lambda dya, dyb, channels: (dya + dyb, dya + dyb), "inferred"),
    ), linear=("dya", "dyb"), forward=Forward("E12", "exchange", {"da": "a", "db": "b"}, lambda dya, dyb, channels: {
        "a": np.array(dya[:, :channels]), "b": np.array(dya[:, channels:])}, ("dya", "dyb"))),
    Function("exchange_bytes", exchange_bytes, ("to_a", "to_b"), bytes_probes, (
        Mistake("own half counted", _bytes(lambda a, b: (a + b, a + b)), "inferred"),
        Mistake("backward as forward", _bytes(lambda a, b: (b, a), lambda a, b: (b, a)), "inferred"),
        Mistake("forward as backward", _bytes(lambda a, b: (a, b), lambda a, b: (a, b)), "inferred"),
        Mistake("directions exchanged", _bytes(lambda a, b: (a, b)), "inferred"),
        Mistake("whole gradient sent", _bytes(lambda a, b: (b, a), lambda a, b: (a + b, a + b)), "inferred"),
        Mistake("nothing comes back", _bytes(lambda a, b: (b, a), lambda a, b: (0, 0)), "pytorch/torchtitan#2416"),
        Mistake("elements", elements_for_bytes, "inferred"),
        Mistake("always four bytes", always_four_bytes, "inferred"),
        Mistake("one image", of_one_image, "inferred"),
        Mistake("channels alone", channels_alone, "inferred"),
        Mistake("forward and backward", _bytes(lambda a, b: (2 * b, 2 * a)), "inferred"),
        Mistake("bits", _bytes(lambda a, b: (8 * b, 8 * a)), "inferred"),
    )),
))  # fmt: skip
