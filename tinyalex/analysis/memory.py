"""The memory that training needs, computed before anything runs.

A training step is imitated with `Ghost` objects, which have the size of an array but no elements. They are made and freed in
the order in which `Sequential`, `Pair` and the layers make and free the real arrays. For each device the peak is noted.

The two layers of a `Pair` compute at the same time, and either may be anywhere when the other needs the most. So on a device that
both use, what both need at most is added: no order of the two threads needs more, and the worst order needs as much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyalex.analysis.need import KINDS, Ghost, Need
from tinyalex.analysis.walk import Visit, input_shape
from tinyalex.errors import require_int
from tinyalex.layers import Both, Branches, Layer, Product, Sequential
from tinyalex.layers.facts import elements
from tinyalex.towers import Crossing, Gather, Pair, Split


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
        self.shapes: dict[int, tuple[int, ...]] = {}  # of what goes into `Branches`

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
        for_life += [self.array(leaf.device, "parameters", array.nbytes) for leaf in net.leaves() for array in leaf.buffers.values()]
        for device in net.reads:
            if device.kind == "cuda":  # the batch that is copied there while this one trains, see devices/uploads.py
                for_life.append(self.array(device, "input", self._bytes(net, in_shape)))
        split = any(isinstance(leaf, Split) for leaf in net.leaves())
        x = None if split else self.array(net.device, "input", self._bytes(net, in_shape))  # a Split counts its own
        given = self.forward(net, x, in_shape)
        outputs = given if isinstance(given, tuple) else (given,)  # of the main head and of auxiliary ones
        loss = [self.array(net.device, "caches", each.nbytes) for each in outputs for _ in range(2)]  # probabilities and one-hot labels
        dout = tuple(self.array(net.device, "gradients of outputs", each.nbytes) for each in outputs)
        loss.clear()
        self.backward(net, dout if len(dout) > 1 else dout[0])
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
        if isinstance(layer, Branches):
            self.shapes[id(layer)] = shape
            return self._merged(layer, x, shape)
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
        if isinstance(layer, Branches):
            return self._back_through(layer, dout, self.shapes[id(layer)])
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

    def _merged(self, layer: Branches, x: Any, shape: Any) -> Any:
        """Imitate the paths, one after the other, and the merge of their outputs."""
        outputs: Any = tuple(x if path is None else self.forward(path, x, shape) for path in layer.paths)
        merge = layer.merge
        shapes: Any = layer.shapes_of(shape)
        at = self.visits[id(merge)] = Visit(merge, shapes, merge.output_shape(shapes))
        self._now(merge, "forward")
        if isinstance(merge, Both):
            main = outputs[0]
            return (*main, *outputs[1:]) if isinstance(main, tuple) else outputs
        self.cached[merge.name] = outputs if isinstance(merge, Product) else ()
        return self.array(merge.device, "outputs", self._bytes(merge, at.out_shape))

    def _back_through(self, layer: Branches, dout: Any, shape: Any) -> Any:
        """Imitate the gradients of the merge's inputs, the backward of all paths, and the sum of what they send back."""
        merge, shapes = layer.merge, self.visits[id(layer.merge)].in_shape
        self._now(merge, "backward")
        parts: Any = (dout,) * len(layer.paths)  # the same array, or views of it
        if isinstance(merge, Both):
            heads = len(layer.paths) - 1
            main = dout[: len(dout) - heads]
            parts = (main[0] if len(main) == 1 else main, *dout[len(dout) - heads :])
        elif isinstance(merge, Product):
            parts = tuple(self.array(merge.device, "gradients of outputs", self._bytes(merge, each)) for each in shapes)
            del self.cached[merge.name]
        sent = [part if path is None else self.backward(path, part) for path, part in zip(layer.paths, parts, strict=True)]
        del parts, dout
        dx = self.array(merge.device, "gradients of outputs", self._bytes(merge, shape)) if layer.input_gradient else None
        sent.clear()
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
