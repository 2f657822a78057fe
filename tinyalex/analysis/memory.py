"""The memory that training needs, computed before anything runs.

A training step is imitated with `Ghost` objects, which have the size of an array but no elements. They are made and freed in
the order in which `Sequential`, `Pair` and the layers make and free the real arrays. For each device the peak is noted.

The two layers of a `Pair` compute at the same time, and either may be anywhere when the other needs the most. So on a device that
both use, what both need at most is added: no order of the two threads needs more, and the worst order needs as much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tinyalex.analysis.walk import Visit, input_shape
from tinyalex.errors import require_int
from tinyalex.layers import Layer, Sequential
from tinyalex.layers.facts import elements
from tinyalex.towers import Crossing, Gather, Pair, Split

KINDS = ("parameters", "gradients", "velocities", "input", "outputs", "caches", "gradients of outputs", "scratch")


@dataclass
class Need:
    """The memory that one device needs during a training step.

    peak: the most bytes at one moment. at: that moment, such as "backward of norm1".
    parts: bytes at that moment for each of `KINDS`. "outputs" are the outputs that backward still needs or a layer is reading;
        "caches" are the other arrays that layers keep for backward.
    now, moment: the bytes and the moment of the step that is being imitated.
    outer: the peaks that were noted before `begin`, which `end` has not brought back yet.
    """

    device: str
    peak: int = 0
    at: str = "the start"
    parts: dict[str, int] = field(default_factory=dict)
    now: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    moment: str = "the start"
    outer: list[tuple[int, str, dict[str, int]]] = field(default_factory=list)

    def change(self, kind: str, nbytes: int) -> None:
        """Count an array of `nbytes` bytes that was made; negative bytes are those of an array that was freed."""
        self.now[kind] += nbytes
        self.note(self.now, self.moment)

    def note(self, parts: dict[str, int], at: str) -> None:
        """Take these bytes as the peak if they are more than the peak so far."""
        if sum(parts.values()) > self.peak:
            self.peak, self.at, self.parts = sum(parts.values()), at, dict(parts)

    def begin(self) -> dict[str, int]:
        """Note the peak from now on by itself, until `end`; return the bytes that are there now."""
        self.outer.append((self.peak, self.at, self.parts))
        self.peak, self.at, self.parts = sum(self.now.values()), "", dict(self.now)
        return dict(self.now)

    def end(self) -> tuple[dict[str, int], str]:
        """Bring back the peak from before `begin`; return the one since then and its moment, "" if it was the beginning."""
        parts, at = self.parts, self.at
        self.peak, self.at, self.parts = self.outer.pop()
        return parts, at


class Ghost:
    """Stands for an array, without its elements. Its bytes count on its device until the object is freed."""

    def __init__(self, need: Need, kind: str, nbytes: int) -> None:
        self.need, self.kind, self.nbytes = need, kind, nbytes
        need.change(kind, nbytes)

    def __del__(self) -> None:
        self.need.change(self.kind, -self.nbytes)


def training_needs(net: Layer, batch: int, in_shape: tuple[int, ...] | None = None, workers: int | None = None) -> dict[str, Need]:
    """The memory that one training step with momentum needs on each device, by the name of the device.

    The memory of Python, of BLAS and of the driver of a card is not counted.

    Parameters
    ----------
    batch: images in the step, at least 1.
    in_shape: (C, H, W), needed if the net was built without it.
    workers: the number of threads of a CPU, at least 1; each has working memory for a block of images. None is for a card,
        which needs working memory for a block of at least one image.

    Raises
    ------
    ShapeError: a number outside its range, or the shape of the input is not known.
    """
    step = _Step(require_int("memory", "batch", batch), None if workers is None else require_int("memory", "workers", workers))
    return step.run(net, input_shape(net, in_shape))


def largest_batch(net: Layer, memory: int, in_shape: tuple[int, ...] | None = None) -> int:
    """The largest batch whose training step fits, if each device of the net is a card of `memory` bytes; 0 if none fits."""
    memory = require_int("memory", "bytes of a card", memory)

    def fits(batch: int) -> bool:
        return max(need.peak for need in training_needs(net, batch, in_shape).values()) <= memory

    return _last(fits)


def _last(fits: Callable[[int], bool]) -> int:
    """The largest number for which `fits` is true; it must be true for all smaller ones too. 0 if it is false for 1."""
    if not fits(1):
        return 0
    low = 1
    while fits(2 * low):
        low *= 2
    high = 2 * low  # does not fit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


class _Step:
    """Imitates one training step of `batch` images, in the order of `Trainer`."""

    def __init__(self, batch: int, workers: int | None) -> None:
        self.batch, self.workers = batch, workers
        self.needs: dict[str, Need] = {}
        self.cached: dict[str, tuple[Any, ...]] = {}
        self.visits: dict[int, Visit] = {}

    def need(self, device: Any) -> Need:
        return self.needs.setdefault(device.name, Need(device.name))

    def array(self, device: Any, kind: str, nbytes: int) -> Ghost:
        return Ghost(self.need(device), kind, nbytes)

    def run(self, net: Layer, in_shape: tuple[int, ...]) -> dict[str, Need]:
        for leaf in net.leaves():
            for device in leaf.runs_on:
                self.need(device)
        for_life = [
            self.array(leaf.device, kind, array.nbytes)
            for leaf in net.leaves()
            for array in leaf.params.values()
            for kind in ("parameters", "gradients", "velocities")
        ]
        for device in net.reads:
            if device.kind == "cuda":  # the batch that is copied there while this one trains, see devices/uploads.py
                for_life.append(self.array(device, "input", self._bytes(net, in_shape)))
        split = any(isinstance(leaf, Split) for leaf in net.leaves())
        x = None if split else self.array(net.device, "input", self._bytes(net, in_shape))  # a Split counts its own
        logits = self.forward(net, x, in_shape)
        loss = [self.array(net.device, "caches", logits.nbytes) for _ in range(2)]  # the probabilities, and the labels as one-hot vectors
        dlogits = self.array(net.device, "gradients of outputs", logits.nbytes)
        loss.clear()
        self.backward(net, dlogits)
        del for_life, x
        return self.needs

    def _bytes(self, layer: Layer, shape: tuple[Any, ...]) -> int:
        return self.batch * elements(shape) * layer.dtype.itemsize

    def forward(self, layer: Layer, x: Any, shape: Any) -> Any:
        """Imitate `layer.forward(x, train=True)`."""
        if isinstance(layer, Sequential):
            for inner in layer.layers:
                x = self.forward(inner, x, shape)
                shape = inner.output_shape(shape)
            return x
        if isinstance(layer, Pair):
            return self.both(lambda: self.forward(layer.left, x[0], shape[0]), lambda: self.forward(layer.right, x[1], shape[1]))
        at = self.visits[id(layer)] = Visit(layer, shape, layer.output_shape(shape))
        self._now(layer, "forward")
        if isinstance(layer, Crossing):
            return self._cross(at, x)
        facts = layer.facts(shape, self.batch)
        if facts.view:
            return x
        out = self.array(layer.device, "outputs", self._bytes(layer, at.out_shape))
        kept = facts.keeps
        own = self.array(layer.device, "caches", self.batch * kept.own)
        self._scratch(at, backward=False)
        self.cached[layer.name] = (x if kept.x else None, out if kept.out else None, own)
        return out

    def backward(self, layer: Layer, dout: Any) -> Any:
        """Imitate `layer.backward(dout)`."""
        if isinstance(layer, Sequential):
            dx = dout
            for inner in reversed(layer.layers):
                dx = self.backward(inner, dx)
            return dx
        if isinstance(layer, Pair):
            return self.both(lambda: self.backward(layer.left, dout[0]), lambda: self.backward(layer.right, dout[1]))
        at = self.visits[id(layer)]
        self._now(layer, "backward")
        if isinstance(layer, Crossing):
            return self._cross_back(at, dout)
        facts = layer.facts(at.in_shape, self.batch)
        if facts.view:
            return dout
        taken = self.cached.pop(layer.name)
        dx = None
        if facts.dx_in_kept:
            dx = taken[2]
        elif layer.gives_dx:
            dx = self.array(layer.device, "gradients of outputs", self._bytes(layer, at.in_shape))
        self._scratch(at, backward=True)
        del taken
        return dx

    def both(self, left: Callable[[], Any], right: Callable[[], Any]) -> tuple[Any, Any]:
        """Imitate the calls of a Pair's layers one after the other, and add what each needs at most beyond what is there before it.

        Both may have kept one array, the output of an Exchange. The slower one frees it, with its last step: then both peaks are over.
        """
        needs, before, most, results = list(self.needs.values()), [], [], []
        for call in (left, right):
            before.append([need.begin() for need in needs])
            results.append(call())
            most.append([need.end() for need in needs])
        for need, *begun, (parts_a, at_a), (parts_b, at_b) in zip(needs, *before, *most, strict=True):
            parts = {kind: parts_a[kind] + parts_b[kind] - begun[1][kind] for kind in KINDS}
            need.note(parts, " and ".join(filter(None, (at_a, at_b))))
        return results[0], results[1]

    def _now(self, layer: Layer, pass_: str) -> None:
        for device in layer.runs_on:
            self.need(device).moment = f"{pass_} of {layer.name}"

    def _scratch(self, at: Visit, backward: bool) -> None:
        nbytes = at.layer.scratch_bytes(at.in_shape, self.batch, backward, self.workers)
        self.array(at.layer.device, "scratch", nbytes)

    def _cross(self, at: Visit, x: Any) -> Any:
        layer: Any = at.layer
        a, b = layer.devices
        if isinstance(layer, Split):
            on_a = self.array(a, "input", self._bytes(layer, at.in_shape))
            return on_a, on_a if a is b else self.array(b, "input", on_a.nbytes)
        if isinstance(layer, Gather):
            return self._whole(layer, x, 0)
        whole = self._whole(layer, x, 0)
        return whole, whole if a is b else self._whole(layer, x, 1)

    def _whole(self, layer: Any, x: Any, on: int) -> Ghost:
        """Imitate the copy of the other half to this device, and the copy of both halves into one array."""
        brought = None if layer.devices[0] is layer.devices[1] else self.array(layer.devices[on], "outputs", x[1 - on].nbytes)
        out = self.array(layer.devices[on], "outputs", x[0].nbytes + x[1].nbytes)
        del brought
        return out

    def _cross_back(self, at: Visit, dout: Any) -> Any:
        layer: Any = at.layer
        a, b = layer.devices
        kind, apart = "gradients of outputs", a is not b
        if isinstance(layer, Split):
            if not layer.input_gradient:
                return None
            brought = self.array(a, kind, dout[1].nbytes) if apart else None
            dx = self.array(a, kind, dout[0].nbytes)
            del brought
            return dx
        halves = [self._bytes(layer, shape) for shape in at.in_shape]
        if isinstance(layer, Gather):
            return dout, self.array(b, kind, halves[1]) if apart else dout  # on device a the half is a view of dout
        both = []
        for device, nbytes in zip((a, b), halves, strict=True):
            brought = self.array(device, kind, nbytes) if apart else None
            both.append(self.array(device, kind, nbytes))
            del brought
        return tuple(both)
