"""What every layer is: parameters, their gradients, and one slot that forward fills and backward takes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device, get_device
from tinyalex.errors import CallOrderError, OutOfMemory, ShapeError, TinyalexError, show
from tinyalex.fast.sharing import bytes_of_blocks
from tinyalex.init import Init
from tinyalex.layers.facts import Facts, elements
from tinyalex.parameters import Parameters, check_owner, generator, require_dtype, require_rng


@cache
def _signature(make: Callable[..., None]) -> inspect.Signature:
    return inspect.signature(make)


class Layer:
    """A function of one array with parameters, and its hand-derived derivative.

    `forward(x, train=True)` keeps in `_cache` what `backward` needs; `backward` takes it out again, so each backward
    belongs to exactly one forward. With `train=False` nothing is kept. The mode is an argument of each call.

    Parameters
    ----------
    name: what messages, parameter names and dropout masks call the layer; unique in its network. A layer that was made
        without a name may get a number from the first Sequential that holds it, see there.
    device: a name for `get_device`, or a Device. Fixed: a layer never moves data between devices.
    dtype: float32, or float64 for gradient checks.

    Attributes
    ----------
    params, grads: arrays by "weight" and "bias", allocated once and kept for life, see `Parameters`. `backward` adds into `grads`.
        `layer.weight = w` is `layer.params["weight"] = w`, and copies.
    takes, gives: where the input must be and where the output is: one device, or two of which each holds half.
    needs_dout: whether `backward` reads its argument.
    frozen: see `freeze`. made: what a frozen layer has made of its parameters alone.
    unbuilt: whether the parameters are still to be drawn, see `begin`.
    fixed: of the class: names of attributes that are read only when the layer is made; an assignment later raises.
    checked: of the class: for attributes that every call reads, (who, value) -> the value to keep, or an error.

    A layer without a `rng`, or without the size of its input, draws its parameters when a Sequential builds it. Such a class writes
    `param_shapes` and, where it may be made without a size, `fit`; its `__init__` ends with `begin`.
    """

    needs_dout = True
    fixed: ClassVar[frozenset[str]] = frozenset({"name", "device", "dtype", "params", "grads"})
    checked: ClassVar[Mapping[str, Callable[[str, Any], Any]]] = {}
    _named = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        layer = super().__new__(cls)
        try:
            given: Iterable[str] = _signature(cls.__init__).bind_partial(None, *args, **kwargs).arguments
        except TypeError:  # `__init__` says what is wrong; unpickling passes nothing
            given = ()
        layer.__dict__["_named"] = "name" in given or "name" in kwargs
        return layer

    def __init__(self, name: str, device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        self.name, self.device = name, get_device(device, name)
        self.dtype = require_dtype(name, dtype)
        self.takes: tuple[Device, ...] = (self.device,)
        self.gives: tuple[Device, ...] = (self.device,)
        self.params: dict[str, Array] = Parameters(self)
        self.grads: dict[str, Array] = Parameters(self, finite=False)
        self._waiting: tuple[np.random.Generator | None, dict[str, Init]] | None = None
        self.frozen = False
        self.made: dict[Any, Any] = {}
        self._cache: tuple[Any, ...] | None = None

    def __setattr__(self, key: str, value: Any) -> None:
        if key[0] != "_":
            kind, own = type(self), self.__dict__
            if key in kind.fixed and key in own and value is not own[key]:
                got = f"got an assignment of {show(value)}; {self.instead_of(key)}"
                raise ShapeError(f"{self.name}: {key} must be given when the layer is made, {got}")
            if (waiting := own.get("_waiting")) is not None and key in waiting[1]:
                self.require_built()
            if key in own.get("params", ()):
                self.params[key] = value
                return
            if key in kind.checked:
                value = kind.checked[key](self.name, value)
        object.__setattr__(self, key, value)

    if not TYPE_CHECKING:  # for a type checker every misspelled attribute would exist

        def __getattr__(self, key: str) -> Array:
            params = self.__dict__.get("params", ())
            if key in params:
                return params[key]
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {key!r}")

    def instead_of(self, key: str) -> str:
        """What to do in place of an assignment to an attribute that is `fixed`."""
        return "make a new layer"

    def settle(self, **values: Any) -> None:
        """Set attributes although they are `fixed`: what the layer learns when it is built."""
        self.__dict__.update(values)

    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """`layer(x)` is `layer.forward(x)`."""
        return self.forward(x, train=train)

    def begin(self, rng: np.random.Generator | None, **inits: Init) -> None:
        """The end of a layer's `__init__`: draw the parameters now if a generator and all sizes are there, else when built.

        inits: by parameter, the function (shape, rng) -> array; drawn in this order.
        """
        for key, init in inits.items():
            if not callable(init):
                rule = f"{key}_init must be a function (shape, rng) -> array"
                raise ShapeError(f"{self.name}: {rule}, got {show(init)}; see tinyalex.init")
        if rng is not None:
            require_rng(self.name, rng)
        self._waiting = rng, inits
        if rng is not None:
            self.build(None, rng)

    def param_shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        """By parameter, its shape; None while the size of the input is not known."""
        return {}

    def fit(self, in_shape: tuple[int, ...]) -> None:
        """Take the sizes that were not given from the shape of one input; called only where `param_shapes` is None."""

    @property
    def unbuilt(self) -> bool:
        """Whether the parameters are still to be drawn."""
        return self._waiting is not None

    def build(self, in_shape: tuple[int, ...] | None = None, rng: np.random.Generator | int = 0) -> None:
        """Draw the parameters, unless they are there; Sequential calls it for each layer in turn.

        in_shape: of one input, without the batch axis; None where it is not known, and then a layer that needs it stays unbuilt.
        rng: for a layer that was made without one: a generator, or a seed. From a seed a layer draws by `generator(seed, name)`.
        """
        if self._waiting is None:
            return
        if self.param_shapes() is None and in_shape is not None:
            self.fit(tuple(in_shape))
        shapes, (own, inits) = self.param_shapes(), self._waiting
        if shapes is None:
            return
        if own is None:
            own = rng if isinstance(rng, np.random.Generator) else generator(rng, self.name)
        for key, init in inits.items():
            self.draw_param(key, shapes[key], init, own)
        self._waiting = None

    def require_built(self) -> None:
        """Raise while the parameters are still to be drawn."""
        for leaf in self.leaves():
            if leaf._waiting is not None:
                use = "put it into Sequential([...], in_shape=...) or call its build(in_shape, rng)"
                raise CallOrderError(f"{leaf.name}: the parameters must be drawn before the layer is used, got none so far; {use}")

    def forward(self, x: Array, *, train: bool = False) -> Array:
        """The layer's output for `x`, which is never written on. Between `Split` and `Gather` both are pairs.

        With train=True the layer may keep `x` and the output for `backward`: until then the caller must write on neither.
        """
        raise NotImplementedError

    def backward(self, dout: Array) -> Array | None:
        """The gradient of the loss with respect to `x`, from that with respect to the output; adds into `grads`."""
        raise NotImplementedError

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the output for one input of `in_shape`, both without the batch axis; computes nothing."""
        return in_shape

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        """What the layer tells of itself for images of `in_shape` in batches of n; by default: it keeps x, and uses each weight once."""
        return Facts(macs=math.prod(self.params["weight"].shape) if "weight" in self.params else 0)

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        """Bytes of working memory of the blocks that `workers` threads work on together; None: of a block of one image on a card."""
        return bytes_of_blocks(3 * elements(in_shape) * self.dtype.itemsize, 0, n, workers)

    @property
    def places(self) -> tuple[Device, ...]:
        """The devices that the layer computes on, in the order of the towers."""
        return tuple(dict.fromkeys((*self.takes, *self.gives)))

    @property
    def gives_dx(self) -> bool:
        """Whether `backward` returns a gradient: not with input_gradient=False."""
        return getattr(self, "input_gradient", True) is not False  # in LocalResponseNorm a method

    def leaves(self) -> Iterator[Layer]:
        """The layers with mathematics of their own: this one, or those inside it."""
        yield self

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        for leaf in self.leaves():
            with leaf.device.activate():
                for grad in leaf.grads.values():
                    grad.fill(0)

    def reset(self) -> None:
        """Set every gradient to zero and forget every forward: what to do after a pass that an error or Ctrl-C cut off."""
        for leaf in self.leaves():
            leaf._cache = None
        self.zero_grad()

    def freeze(self) -> None:
        """Make the parameters read-only until `thaw`: what a layer makes of them alone, such as Winograd's weights, it then makes once.

        For inference on few images, where that is a good part of the work. A step of SGD and the loading of weights raise meanwhile.
        """
        self._freeze(True)

    def thaw(self) -> None:
        """The end of `freeze`."""
        self._freeze(False)

    def _freeze(self, frozen: bool) -> None:
        for leaf in self.leaves():
            leaf.frozen = frozen
            leaf.made.clear()
            for array in leaf.params.values():
                if isinstance(array, np.ndarray):  # a GPU's arrays are never read-only
                    array.flags.writeable = not frozen

    def add_param(self, key: str, value: np.ndarray[Any, Any]) -> None:
        """Place a parameter, and a gradient of zeros beside it, on the device."""
        if value.shape == () or not np.all(np.isfinite(value)):
            raise ShapeError(f"{self.name}: {key} must hold finite numbers only, got {show(value)} with others")
        array = self.device.empty(value.shape, self.dtype)
        with self.device.activate():
            array[...] = self.device.asarray(value, self.dtype)
        for arrays, new in ((self.params, array), (self.grads, self.device.zeros(value.shape, self.dtype))):
            assert isinstance(arrays, Parameters)
            arrays.place(key, new, self)

    def check_x(self, x: Any, axes: str | None = None) -> None:
        """Raise unless `x` lives here, is of the layer's type, is not empty and has the axes, such as "N C H W"."""
        if self._waiting is not None:
            self.require_built()
        check_owner(self, "x", x)
        self.check_dtype(x)
        if axes is not None and x.ndim != len(axes.split()):
            raise ShapeError(f"{self.name}: x must have {len(axes.split())} axes ({', '.join(axes.split())}), got {show(x)}")
        if x.ndim < 2 or math.prod(x.shape) == 0:
            raise ShapeError(f"{self.name}: x must hold at least one image on its first axis and be nowhere empty, got {show(x)}")

    def check_dtype(self, x: Array) -> None:
        """Raise unless `x` is of the layer's type."""
        if x.dtype != self.dtype:
            bytes_ = x.dtype == np.uint8  # as they are, pixels from 0 to 255 are far too large for the initial weights
            use = "prepare images first, see tinyalex.data" if bytes_ else f"use x.astype({str(self.dtype)!r})"
            raise ShapeError(f"{self.name}: x must be {self.dtype}, got {show(x)}; {use}")

    def add_grad(self, key: str, value: Array) -> None:
        """Add to a gradient; `value` has as many elements as the parameter, in its order."""
        with self.device.activate():
            grad = self.grads[key]
            grad += value.reshape(grad.shape)

    def draw_param(self, key: str, shape: tuple[int, ...], init: Init, rng: np.random.Generator) -> None:
        """Add a parameter of `shape` with the initial values that `init` draws from `rng`."""
        require_rng(self.name, rng)
        if not callable(init):
            raise ShapeError(f"{self.name}: {key}_init must be a function (shape, rng) -> array, got {show(init)}; see tinyalex.init")
        value = self.device.draw(init, shape, rng)
        if getattr(value, "shape", None) != shape:
            raise ShapeError(f"{self.name}: {key}_init must return an array of shape {shape}, got {show(value)}")
        self.add_param(key, value)

    def keep(self, *cache: Any) -> None:
        """Fill the slot for backward."""
        self._cache = cache

    def take(self, dout: Any) -> tuple[Any, ...]:
        """Empty the slot; its first entry is the shape that `dout` must have."""
        (shape, *cache) = self.kept()
        check_owner(self, "dout", dout)
        if dout.shape != shape or dout.dtype != self.dtype:
            raise ShapeError(f"{self.name}: dout must be a {self.dtype} array of shape {shape}, got {show(dout)}")
        self._cache = None
        return tuple(cache)

    def kept(self) -> tuple[Any, ...]:
        """What is in the slot; raises where it is empty."""
        if self._cache is None:
            raise CallOrderError(f"{self.name}: backward must follow a forward(train=True) of its own, got none since the last backward")
        return self._cache

    def settings(self) -> str:
        """What `repr` shows between name and device."""
        return ""

    def __getstate__(self) -> dict[str, Any]:
        """What a copy and a pickle hold: all but the slot for backward and what a frozen layer has made."""
        return self.__dict__ | {"_cache": None, "made": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for arrays in (state.get("params"), state.get("grads")):
            if isinstance(arrays, Parameters):
                arrays.belong(self)
        if state.get("frozen") and "params" in state:  # a copy of a read-only array is not read-only
            for array in dict.values(state["params"]):
                if isinstance(array, np.ndarray):
                    array.flags.writeable = False

    def __repr__(self) -> str:
        parts = [repr(self.name), self.settings(), self.device.name]
        return f"{type(self).__name__}({', '.join(part for part in parts if part)})"


def cut_off(error: BaseException) -> bool:
    """Whether an error may strike in the middle of a layer: not where a layer refuses its input, before it does anything."""
    return isinstance(error, OutOfMemory) or not isinstance(error, TinyalexError)


def parts_of(layer: Layer) -> Iterator[Layer]:
    """The layers that are attributes of a layer, or stand in a list, tuple or dict that is one."""
    for value in vars(layer).values():
        if isinstance(value, Layer):
            yield value
        elif isinstance(value, (list, tuple, dict)) and not isinstance(value, Parameters):
            yield from (part for part in (value.values() if isinstance(value, dict) else value) if isinstance(part, Layer))


def require_leaves(who: str, layer: Layer, seen: frozenset[int] = frozenset()) -> None:
    """Raise if a layer holds another that its `leaves()` does not give: nobody would train that one's parameters."""
    if id(layer) in seen:
        return
    listed = {id(leaf) for leaf in layer.leaves()}
    for part in parts_of(layer):
        if any(id(leaf) not in listed for leaf in part.leaves()):
            rule = f"leaves() of {layer.name!r} must give the layers inside it"
            use = "write `def leaves(self): yield from self.PART.leaves()` for each part"
            raise ShapeError(f"{who}: {rule}, got none for its part {part.name!r}, which would not be trained; {use}")
        require_leaves(who, part, seen | {id(layer)})
