"""The layers that copy between the two devices of a split network (paper 3.2): `Split`, `Exchange` and `Gather`.

The device that receives a copy logs its bytes.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import Array
from tinyalex.devices.threads import at_once
from tinyalex.errors import DeviceError, ShapeError, require_bool, show
from tinyalex.fast.request import Keeps
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts, elements
from tinyalex.parameters import check_dtype
from tinyalex.towers.pair import Devices, Halves, check_two, two_devices


class Crossing(Layer):
    """What `Split`, `Exchange` and `Gather` share: the two devices, the copy and the checks."""

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"devices", "input_gradient"}

    def __init__(self, devices: Devices, *, name: str = "", dtype: Any = np.float32) -> None:
        name = name or type(self).__name__.lower()
        self.devices = two_devices(name, devices)
        super().__init__(name, self.devices[0], dtype)
        self.takes = self.gives = self.devices

    def bring(self, x: Array, to: int) -> Array:
        """A copy of `x` on the device of tower `to`. `x` is on the other tower's device; if both devices are the same, `x` itself."""
        here, there = self.devices[to], self.devices[1 - to]
        return x if here is there else here.copy_from(x, there, self.name)

    def check_halves(self, quantity: str, value: Any) -> Halves:
        """The two halves of `value`. Raises unless each is on its device and has the layer's dtype, and both have one batch size."""
        halves, (a, b) = check_two(self, quantity, value), self.devices
        for device, half in zip(self.devices, halves, strict=True):
            if not device.owns(half):
                got = " and ".join(map(device.where, halves))
                raise DeviceError(f"{self.name}: {quantity} must be on {a.name} and {b.name}, got {got}")
            if half.dtype != self.dtype or half.ndim < 2 or math.prod(half.shape) == 0:
                raise ShapeError(f"{self.name}: {quantity} must be two {self.dtype} batches, got {show(halves[0])} and {show(halves[1])}")
        self.joined_shape(*(half.shape[1:] for half in halves))
        if len(halves[0]) != len(halves[1]):
            raise ShapeError(f"{self.name}: {quantity} must be two batches of one size, got {len(halves[0])} and {len(halves[1])} images")
        return halves

    def joined_shape(self, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of an array that holds the channels of both halves; a and b are the halves' shapes without the batch axis."""
        if tuple(a[1:]) != tuple(b[1:]):
            raise ShapeError(f"{self.name}: the halves must have equal shapes except for channels, got {tuple(a)} and {tuple(b)}")
        return (a[0] + b[0], *a[1:])

    def joined(self, x: Halves, on: int) -> Array:
        """A new array on the device of tower `on` that holds the channels of both halves, those of a first."""
        device, channels = self.devices[on], x[0].shape[1]
        with device.activate():
            halves = [half if tower == on else self.bring(half, on) for tower, half in enumerate(x)]
            out = device.empty((len(x[0]), *self.joined_shape(x[0].shape[1:], x[1].shape[1:])), self.dtype)
            out[:, :channels], out[:, channels:] = halves
        return out

    def take_two(self, dout: Any) -> tuple[Any, ...]:
        """Check `dout` against the first entry of the slot, a shape; empty the slot; return dout's two halves and the other entries."""
        shape, *cache = self.kept()
        halves = self.check_halves("dout", dout)
        if halves[0].shape != shape or halves[1].shape != shape:
            raise ShapeError(f"{self.name}: dout must be two arrays of shape {shape}, got {show(halves[0])} and {show(halves[1])}")
        self._cache = None
        return *halves, *cache

    def facts(self, in_shape: tuple[Any, ...], n: int = 1) -> Facts:
        return Facts(keeps=Keeps())

    def sent_bytes(self, in_shape: tuple[Any, ...]) -> int:
        """Bytes that forward copies to the other device for each image; backward copies as many back."""
        return 0

    def settings(self) -> str:
        return "" if self.devices[0] is self.devices[1] else f"{self.devices[0].name} + {self.devices[1].name}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.settings() or self.device.name})"


class Split(Crossing):
    """The start of two towers: each tower gets the whole image.

    Paper: section 3.2 and Figure 2, where the first layers on both devices see the whole image. As in 2012, a batch in the host's
    memory is copied from there to each device. `Trainer` has done so before, and gives a pair, a copy on each device. A batch that is on
    device a alone is copied from there to b, and the log shows it.

    Parameters
    ----------
    devices: the devices of tower a and tower b. name: the name of the layer, and of its copies in the log.
    input_gradient: False if the next layers return no gradient of their input.

    Raises
    ------
    DeviceError: devices of different kinds, or an input that is neither on the host nor on device a nor on both.
    ShapeError: a pair of copies whose shapes differ.

    Cache: the shape of x.

    Gradient: y_a = y_b = x, so dx = dy_a + dy_b.

    Example
    -------
    >>> Split(("cpu:0", "cpu:1")).output_shape((3, 224, 224))
    ((3, 224, 224), (3, 224, 224))
    """

    def __init__(self, devices: Devices, *, input_gradient: bool = True, name: str = "split", dtype: Any = np.float32) -> None:
        super().__init__(devices, name=name, dtype=dtype)
        self.input_gradient = self.needs_dout = require_bool(self.name, "input_gradient", input_gradient)
        self.takes, self.reads = self.devices[:1], self.runs_on

    def forward(self, x: Array | Halves, *, train: bool = False) -> Halves:
        on_a, on_b = self._checked_copies(x) if isinstance(x, tuple) else self._copies(x)
        if train:
            self.keep(on_a.shape)
        return on_a, on_b

    def _copies(self, x: Array) -> Halves:
        (a, b), from_host = self.devices, isinstance(x, np.ndarray)
        if from_host:
            check_dtype(self, x)
        on_a = a.asarray(x) if from_host else x
        self.check_x(on_a)
        return on_a, on_a if a is b else b.asarray(x) if from_host else self.bring(x, 1)

    def _checked_copies(self, x: Halves) -> Halves:
        on_a, on_b = self.check_halves("x", x)
        if on_a.shape != on_b.shape:
            raise ShapeError(f"{self.name}: x must be two copies of one batch, got {show(on_a)} and {show(on_b)}")
        return on_a, on_b

    def backward(self, dout: tuple[Array | None, Array | None]) -> Array | None:
        if not self.input_gradient:
            self.kept()
            self._cache = None
            return None
        da, db = self.take_two(dout)
        with self.device.activate():
            return da + self.bring(db, 0)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[Any, ...]:
        return in_shape, in_shape

    def facts(self, in_shape: tuple[Any, ...], n: int = 1) -> Facts:
        return Facts(keeps=Keeps(), view=True)


class Exchange(Crossing):
    """A link: each tower gets the channels of both towers, those of a first, so that its next layer sees all channels.

    Paper: section 3.2, in front of conv3, fc6 and fc7. Each half is copied to the other device once.

    Parameters
    ----------
    devices: the devices of tower a and tower b. name: the name of the layer, and of its copies in the log.

    Raises
    ------
    DeviceError: devices of different kinds, or a half that is not on its tower's device.
    ShapeError: halves whose shapes differ in more than the channels.

    Cache: the shapes of the halves.

    Gradient: y_a = y_b = [x_a, x_b], one on each device. Both towers read each half, so

        dx_a = dy_a[a's channels] + dy_b[a's channels],     dx_b = dy_a[b's channels] + dy_b[b's channels].

    The second term of dx_a is copied from device b to a, and the first term of dx_b from a to b: as many bytes as in forward.

    Example
    -------
    >>> Exchange(("cpu:0", "cpu:1")).output_shape(((128, 13, 13), (128, 13, 13)))
    ((256, 13, 13), (256, 13, 13))
    """

    def forward(self, x: Halves, *, train: bool = False) -> Halves:
        x = self.check_halves("x", x)
        if train:
            self.keep((len(x[0]), *self.joined_shape(x[0].shape[1:], x[1].shape[1:])), x[0].shape, x[1].shape)
        if self.devices[0] is self.devices[1]:
            joined = self.joined(x, 0)  # no layer changes its input, so the towers may share one array
            return joined, joined
        return at_once(lambda: self.joined(x, 0), lambda: self.joined(x, 1))

    def backward(self, dout: Halves) -> Halves:
        *douts, shape_a, shape_b = self.take_two(dout)
        parts, shapes = (slice(0, shape_a[1]), slice(shape_a[1], None)), (shape_a, shape_b)

        def half(tower: int) -> Array:
            device = self.devices[tower]
            own, other = douts[tower][:, parts[tower]], douts[1 - tower][:, parts[tower]]
            with device.activate():
                return device.xp.add(own, self.bring(other, tower), out=device.empty(shapes[tower], self.dtype))

        return at_once(lambda: half(0), lambda: half(1))

    def output_shape(self, in_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        joined = self.joined_shape(*check_two(self, "x", in_shape))
        return joined, joined

    def sent_bytes(self, in_shape: tuple[Any, ...]) -> int:
        return 0 if self.devices[0] is self.devices[1] else elements(in_shape) * self.dtype.itemsize


class Gather(Crossing):
    """The end of two towers: the channels of both halves in one array on device a.

    Paper: Figure 2, in front of fc8, because the 1000 classes depend on all 4096 units of fc7.

    Parameters, Raises: as Exchange.

    Cache: the number of a's channels.

    Gradient: y = [x_a, x_b], so dx_a and dx_b are the two parts of dy; dx_b is copied back to device b.

    Example
    -------
    >>> Gather(("cpu:0", "cpu:1")).output_shape(((2048,), (2048,)))
    (4096,)
    """

    def __init__(self, devices: Devices, *, name: str = "gather", dtype: Any = np.float32) -> None:
        super().__init__(devices, name=name, dtype=dtype)
        self.gives = self.devices[:1]

    def forward(self, x: Halves, *, train: bool = False) -> Array:
        x = self.check_halves("x", x)
        out = self.joined(x, 0)
        if train:
            self.keep(out.shape, x[0].shape[1])
        return out

    def backward(self, dout: Array) -> Halves:
        (channels,) = self.take(dout)
        return dout[:, :channels], self.bring(dout[:, channels:], 1)

    def output_shape(self, in_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.joined_shape(*check_two(self, "x", in_shape))

    def sent_bytes(self, in_shape: tuple[Any, ...]) -> int:
        return 0 if self.devices[0] is self.devices[1] else elements(in_shape[1]) * self.dtype.itemsize
