"""What every layer has: parameters, their gradients, and one slot that forward fills and backward empties."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device, get_device
from tinyalex.errors import CallOrderError, OutOfMemory, ShapeError, show
from tinyalex.fast.sharing import bytes_of_blocks
from tinyalex.init import Init
from tinyalex.layers.facts import Facts, elements
from tinyalex.parameters import Parameters, check_dtype, check_owner, generator, require_dtype, require_rng

_signature = cache(inspect.signature)


class Layer:
    """A function of one array, which may have parameters, and the hand-derived derivative of this function.

    `forward(x, train=True)` stores what `backward` needs in the slot `_cache`; `backward` empties the slot, so each backward
    belongs to exactly one forward. `forward(x, train=False)` stores nothing. No layer has a mode that outlives the call.

    Parameters
    ----------
    name: the name of the layer in messages and parameter names, which also decides its dropout masks; unique in its network. The first
        `Sequential` that holds a layer without a given name may append a number to its name.
    device: a name that `get_device` knows, or a Device. It stays the same: a layer never moves data between devices.
    dtype: float32, or float64 for gradient checks.

    Attributes
    ----------
    params, grads: the arrays by the names "weight" and "bias", see `Parameters`. Each array is allocated once and stays the same.
        `backward` adds to `grads`. `layer.weight = w` copies w, as `layer.params["weight"] = w` does.
    buffers: arrays that belong to the state of the layer, are saved and loaded with the parameters, and get no gradient, such as the
        running mean of batch normalization.
    takes, gives: the devices that must hold the input and that hold the output: one, or two that hold one half each.
    reads: the devices to which a batch is copied from the host, if the layer is the first one: `device`, or both of a `Split`.
    needs_dout: whether `backward` reads its argument.
    frozen: whether the parameters are read-only, see `freeze`. prepared: what a frozen layer has computed from its parameters alone.
    unbuilt: whether the parameters still have to be drawn, see `begin`.
    fixed: (of the class) names of attributes that may not change after the layer is made; an assignment raises ShapeError.
    checked: (of the class) for each attribute that every call reads, a function (who, value) -> the checked value, which may raise.

    A layer that gets no `rng`, or no size of its input, draws its parameters when a Sequential builds it. The class of such a layer
    defines `param_shapes`, and `fit` if the size may be left out; its `__init__` ends with a call of `begin`.
    """

    needs_dout = True
    fixed: ClassVar[frozenset[str]] = frozenset({"name", "device", "dtype", "params", "grads", "buffers"})
    checked: ClassVar[Mapping[str, Callable[[str, Any], Any]]] = {}
    _named = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        layer = super().__new__(cls)
        try:
            given: Iterable[str] = _signature(cls.__init__).bind_partial(None, *args, **kwargs).arguments
        except TypeError:  # `__init__` will raise with a better message; unpickling passes no arguments
            given = ()
        layer.__dict__["_named"] = "name" in given or "name" in kwargs
        return layer

    def __init__(self, name: str, device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        self.name, self.device = name, get_device(device, name)
        self.dtype = require_dtype(name, dtype)
        self.takes: tuple[Device, ...] = (self.device,)
        self.gives: tuple[Device, ...] = (self.device,)
        self.reads: tuple[Device, ...] = (self.device,)
        self.params: dict[str, Array] = Parameters(self)
        self.grads: dict[str, Array] = Parameters(self, finite=False)
        self.buffers: dict[str, Array] = Parameters(self)
        self._waiting: tuple[np.random.Generator | None, dict[str, Init]] | None = None
        self.frozen = False
        self.prepared: dict[Any, Any] = {}
        self._cache: tuple[Any, ...] | None = None

    def __setattr__(self, key: str, value: Any) -> None:
        if key[0] != "_":
            kind, own = type(self), self.__dict__
            if key in kind.fixed and key in own and value is not own[key]:
                got = f"got an assignment of {show(value)}; {self.instead_of(key)}"
                raise ShapeError(f"{self.name}: {key} must be given when the layer is made, {got}")
            if (waiting := own.get("_waiting")) is not None and key in waiting[1]:
                self.require_built()
            for arrays in (own.get("params", {}), own.get("buffers", {})):
                if key in arrays:
                    arrays[key] = value
                    return
            if key in kind.checked:
                value = kind.checked[key](self.name, value)
        object.__setattr__(self, key, value)

    if not TYPE_CHECKING:  # otherwise a type checker would accept every misspelled attribute

        def __getattr__(self, key: str) -> Array:
            for arrays in (self.__dict__.get("params", {}), self.__dict__.get("buffers", {})):
                if key in arrays:
                    return arrays[key]
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {key!r}")

    def instead_of(self, key: str) -> str:
        """The remedy in the message that refuses an assignment to a `fixed` attribute."""
        return "make a new layer"

    def settle(self, **values: Any) -> None:
        """Set `fixed` attributes whose values the layer learns only when it is built."""
        self.__dict__.update(values)

    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """`layer(x)` is `layer.forward(x)`."""
        return self.forward(x, train=train)

    def begin(self, rng: np.random.Generator | None, **inits: Init) -> None:
        """Draw the parameters now if `rng` and all sizes are given, otherwise in `build`. Every `__init__` with parameters ends with this.

        inits: for each parameter its function (shape, rng) -> array; the parameters are drawn in this order.
        """
        for key, init in inits.items():
            if not callable(init):
                rule = f"{key}_init must be a function (shape, rng) -> array"
                raise ShapeError(f"{self.name}: {rule}, got {show(init)}; see tinyalex.init")
        self._waiting = rng, inits
        if rng is not None:
            require_rng(self.name, rng)
            self.build(None, rng)

    def param_shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        """The shape of each parameter by its name; None while the size of the input is unknown."""
        return {}

    def fit(self, in_shape: tuple[int, ...]) -> None:
        """Set the sizes that were not given, from the shape of one input. `build` calls this only if `param_shapes()` is None."""

    @property
    def unbuilt(self) -> bool:
        """Whether the parameters still have to be drawn."""
        return self._waiting is not None

    def build(self, in_shape: tuple[int, ...] | None = None, rng: np.random.Generator | int = 0) -> None:
        """Draw the parameters if they have not been drawn. `Sequential` calls this for each of its layers in order.

        in_shape: the shape of one input, without the batch axis; None if it is unknown. A layer that needs it then stays unbuilt.
        rng: used only if the layer was made without a `rng`: a generator, or a seed for `generator(seed, name)`.
        """
        if self._waiting is None:
            return
        if self.param_shapes() is None and in_shape is not None:
            self.fit(tuple(in_shape))
        shapes, (own, inits) = self.param_shapes(), self._waiting
        if shapes is None:
            return
        own = own or (rng if isinstance(rng, np.random.Generator) else generator(rng, self.name))
        for key, init in inits.items():
            value = self.device.draw(init, shapes[key], own)
            if getattr(value, "shape", None) != shapes[key]:
                raise ShapeError(f"{self.name}: {key}_init must return an array of shape {shapes[key]}, got {show(value)}")
            self.add_param(key, value)
        self._waiting = None

    def require_built(self) -> None:
        """Raise CallOrderError if the parameters still have to be drawn."""
        for leaf in self.leaves():
            if leaf._waiting is not None:
                use = "put it into Sequential([...], in_shape=...) or call its build(in_shape, rng)"
                raise CallOrderError(f"{leaf.name}: the parameters must be drawn before the layer is used, got an unbuilt layer; {use}")

    def forward(self, x: Array, *, train: bool = False) -> Array:
        """The layer's output for `x`. A layer never changes `x`. Between `Split` and `Gather` the input and the output are pairs.

        With train=True the layer may store `x` and the output: the caller must not change either of them before `backward`.
        """
        raise NotImplementedError

    def backward(self, dout: Array) -> Array | None:
        """The gradient of the loss with respect to `x`; `dout` is the one with respect to the output. Adds to `grads`."""
        raise NotImplementedError

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the output for one input of shape `in_shape`; both shapes have no batch axis. Computes no output."""
        return in_shape

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        """The facts about this layer for batches of n images of shape `in_shape`. The default keeps x and uses each weight once."""
        return Facts(macs=math.prod(self.params["weight"].shape) if "weight" in self.params else 0)

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        """Bytes of working memory for all blocks that `workers` threads compute at the same time; None counts one image on one GPU."""
        return bytes_of_blocks(3 * elements(in_shape) * self.dtype.itemsize, 0, n, workers)

    @property
    def runs_on(self) -> tuple[Device, ...]:
        """The devices that the layer computes on, each once, in the order of the towers."""
        return tuple(dict.fromkeys((*self.takes, *self.gives)))

    @property
    def gives_dx(self) -> bool:
        """Whether `backward` returns a gradient of x; with input_gradient=False it returns None."""
        return bool(getattr(self, "input_gradient", True))

    @property
    def maker(self) -> Layer:
        """The layer whose `forward` makes the output: this layer itself, or the last one inside of it."""
        return self

    def leaves(self) -> Iterator[Layer]:
        """The layers that compute: this layer itself, or, if it only holds other layers, the leaves of those."""
        yield self

    def inside(self, in_shape: Any = None) -> Iterator[tuple[Layer, Any]]:
        """The layers that this one is made of, each with the shape that it takes where `in_shape` is known; a layer of its own has none."""
        yield from ()

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        for leaf in self.leaves():
            with leaf.device.activate():
                for grad in leaf.grads.values():
                    grad.fill(0)

    def reset(self) -> None:
        """Set every gradient to zero and empty every slot. Needed after an error or Ctrl-C in the middle of a pass."""
        for leaf in self.leaves():
            leaf._cache = None
        self.zero_grad()

    def thaw(self) -> None:
        """Undo `freeze`."""
        self.freeze(False)

    def freeze(self, frozen: bool = True) -> None:
        """Make the parameters read-only until `thaw`. Arrays that depend on them alone, as Winograd's weights do, are then computed once.

        This saves time in inference on few images. While a layer is frozen, a step of SGD and the loading of weights raise.
        """
        for leaf in self.leaves():
            leaf.frozen = frozen
            leaf.prepared.clear()
            for array in (*leaf.params.values(), *leaf.buffers.values()):
                if isinstance(array, np.ndarray):  # arrays of a GPU cannot be read-only
                    array.flags.writeable = not frozen

    def add_param(self, key: str, value: np.ndarray[Any, Any]) -> None:
        """Add a parameter with these values and a gradient of zeros, both on the layer's device."""
        values = value if any(value.strides) else value[(slice(1),) * value.ndim]  # one element stands for all of a net that is counted
        if value.shape == () or not np.all(np.isfinite(values)):
            raise ShapeError(f"{self.name}: {key} must hold finite numbers only, got {show(value)} with NaN or infinity")
        try:
            made = self.device.filled(value, self.dtype), self.device.zeros(value.shape, self.dtype)
        except OutOfMemory as error:
            raise error.inside(self.name) from None
        for arrays, new in zip((self.params, self.grads), made, strict=True):
            assert isinstance(arrays, Parameters)
            arrays.add(key, new, self)

    def add_buffer(self, key: str, value: np.ndarray[Any, Any]) -> None:
        """Add a buffer with these values, on the layer's device."""
        assert isinstance(self.buffers, Parameters)
        try:
            self.buffers.add(key, self.device.filled(value, self.dtype), self)
        except OutOfMemory as error:
            raise error.inside(self.name) from None

    def check_x(self, x: Any, axes: str | None = None) -> None:
        """Raise unless `x` is on the layer's device, has the layer's dtype and the given axes ("N C H W"), and no axis of length 0."""
        if self._waiting is not None:
            self.require_built()
        check_owner(self, "x", x)
        check_dtype(self, x)
        if axes is not None and x.ndim != len(axes.split()):
            raise ShapeError(f"{self.name}: x must have {len(axes.split())} axes ({', '.join(axes.split())}), got {show(x)}")
        if x.ndim < 2 or math.prod(x.shape) == 0:
            raise ShapeError(f"{self.name}: x must have at least 2 axes and no axis of length 0, got {show(x)}")

    def add_grad(self, key: str, value: Array) -> None:
        """Add `value` to a gradient; `value` has as many elements as the parameter, in the same order."""
        with self.device.activate():
            grad = self.grads[key]
            grad += value.reshape(grad.shape)

    def keep(self, *cache: Any) -> None:
        """Fill the slot. `cache` begins with the shape of the output, if `backward` calls `take`."""
        self._cache = cache

    def take(self, dout: Any) -> tuple[Any, ...]:
        """Check `dout` against the shape that is the first entry of the slot, empty the slot, and return the other entries."""
        (shape, *cache) = self.kept()
        check_owner(self, "dout", dout)
        if dout.shape != shape or dout.dtype != self.dtype:
            raise ShapeError(f"{self.name}: dout must be a {self.dtype} array of shape {shape}, got {show(dout)}")
        self._cache = None
        return tuple(cache)

    def kept(self) -> tuple[Any, ...]:
        """The entries of the slot; raises CallOrderError if the slot is empty."""
        if self._cache is None:
            raise CallOrderError(f"{self.name}: backward must follow a forward(train=True) of its own, got none since the last backward")
        return self._cache

    def settings(self) -> str:
        """The text that `repr` shows between the name and the device."""
        return ""

    def __getstate__(self) -> dict[str, Any]:
        """What a copy and a pickle contain: everything except the slot and the arrays that a frozen layer prepared."""
        return self.__dict__ | {"_cache": None, "prepared": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for arrays in (state.get("params"), state.get("grads"), state.get("buffers")):
            if isinstance(arrays, Parameters):
                arrays.belong(self)
        if state.get("frozen"):  # a copy of a read-only array is not read-only
            self.freeze()

    def __repr__(self) -> str:
        parts = [repr(self.name), self.settings(), self.device.name]
        return f"{type(self).__name__}({', '.join(part for part in parts if part)})"
