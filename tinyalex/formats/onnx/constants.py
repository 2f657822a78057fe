"""Operators whose inputs are all constants, such as the shape of a reshape or a weight that is transposed: computed while reading."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.formats.onnx.model import DTYPES, MOST_ELEMENTS
from tinyalex.formats.onnx.operator import Op

Tensor = npt.NDArray[Any]
Inputs = Sequence[Tensor]


def whole_numbers(op: Op, what: str, array: Tensor, most: int = 64) -> tuple[int, ...]:
    """The elements of a short constant as integers."""
    if array.dtype.kind not in "iu" or array.size > most:
        op.refuse(what, f"at most {most} whole numbers", array)
    return tuple(int(value) for value in array.reshape(-1))


def axis_of(op: Op, axis: int, rank: int, what: str = "axis") -> int:
    """An axis, which may be counted from the end, as a number from 0 on."""
    if not -rank <= axis < rank:
        op.refuse(what, f"from {-rank} to {rank - 1}", axis)
    return axis % rank


def axes_of(op: Op, rank: int, given: tuple[int, ...]) -> tuple[int, ...]:
    """Several different axes, sorted."""
    axes = tuple(sorted(axis_of(op, axis, rank, "axes") for axis in given))
    if len(set(axes)) != len(axes):
        op.refuse("axes", "different", given)
    return axes


def new_shape(op: Op, target: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that Reshape gives: 0 stands for the size that was there, one -1 for what is left."""
    if not op.whole("allowzero", 0):
        if any(size == 0 and i >= len(shape) for i, size in enumerate(target)):
            op.refuse("shape", "with 0 only where the input has an axis", target)
        target = tuple(shape[i] if size == 0 else size for i, size in enumerate(target))
    total, given = math.prod(shape), math.prod(size for size in target if size != -1)
    if target.count(-1) == 1 and given > 0 and total % given == 0:
        target = tuple(total // given if size == -1 else size for size in target)
    if min(target, default=1) < 0 or math.prod(target) != total:
        op.refuse("shape", f"one of {total:,} elements", target)
    return target


def _shaped(op: Op, a: Tensor, shape: tuple[int, ...]) -> Tensor:
    if not a.flags.c_contiguous:
        op.take(a.nbytes)
    return a.reshape(shape)


def _reshape(op: Op, inputs: Inputs) -> Tensor:
    a = inputs[0]
    target = whole_numbers(op, "shape", inputs[1]) if len(inputs) > 1 else op.wholes("shape", ())
    return _shaped(op, a, new_shape(op, target, a.shape))


def squeezed(op: Op, shape: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    """A shape without these axes of size 1, or without all of size 1."""
    gone = tuple(i for i, size in enumerate(shape) if size == 1) if axes is None else axes_of(op, len(shape), axes)
    if any(shape[i] != 1 for i in gone):
        op.refuse("the axes to remove", "of size 1", shape)
    return tuple(size for i, size in enumerate(shape) if i not in gone)


def unsqueezed(op: Op, shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with new axes of size 1 at these places of the result."""
    places = axes_of(op, len(shape) + len(axes), axes)
    sizes = iter(shape)
    return tuple(1 if i in places else next(sizes) for i in range(len(shape) + len(axes)))


def axes_given(op: Op, inputs: Sequence[Any]) -> tuple[int, ...] | None:
    """The axes that a node names in its second input, as new files have it, or in an attribute; None if it names none."""
    if len(inputs) > 1 and inputs[1] is not None:
        return whole_numbers(op, "axes", inputs[1])
    return op.wholes("axes", ()) if op.has("axes") else None


def _concat(op: Op, inputs: Inputs) -> Tensor:
    op.take(sum(a.nbytes for a in inputs))
    return np.concatenate([*inputs], axis_of(op, op.whole("axis", 1), inputs[0].ndim))


def _gather(op: Op, inputs: Inputs) -> Tensor:
    a, indices = inputs
    axis = axis_of(op, op.whole("axis", 0), a.ndim)
    op.take(a.nbytes // max(1, a.shape[axis]) * indices.size + indices.size)
    if indices.dtype.kind not in "iu" or (indices.size and not -a.shape[axis] <= indices.min() <= indices.max() < a.shape[axis]):
        op.refuse("indices", f"whole numbers below {a.shape[axis]}", indices)
    return np.take(a, indices, axis)


def slices(op: Op, inputs: Sequence[Any], rank: int) -> tuple[slice, ...]:
    """What a Slice takes of each axis. Old files have the bounds in attributes."""
    if len(inputs) > 1:
        names = ("starts", "ends", "axes", "steps")
        given = {name: whole_numbers(op, name, a) for name, a in zip(names, inputs[1:], strict=False) if a is not None}
    else:
        given = {name: op.wholes(name, ()) for name in ("starts", "ends", "axes") if op.has(name)}
    starts, ends = given.get("starts", ()), given.get("ends", ())
    axes, steps = given.get("axes", tuple(range(len(starts)))), given.get("steps", (1,) * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        op.refuse("its bounds", "as many starts as ends, axes and steps, and no step 0", given)
    taken = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        taken[axis_of(op, axis, rank, "axes")] = slice(start, end, step)
    return tuple(taken)


def _arithmetic(function: Callable[..., Any]) -> Callable[[Op, Inputs], Tensor]:
    def compute(op: Op, inputs: Inputs) -> Tensor:
        shape = np.broadcast_shapes(*(a.shape for a in inputs))
        op.take(math.prod(shape) * 8)
        result: Tensor = np.asarray(function(*inputs))
        return result if result.dtype.kind == "b" else result.astype(inputs[0].dtype, copy=False)

    return compute


def _divide(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype.kind in "iu":  # ONNX rounds towards 0
        return np.trunc(a / b)
    return a / b


def _cast(op: Op, inputs: Inputs) -> Tensor:
    to = op.whole("to", 0) if op.opset >= 6 else {"FLOAT": 1, "INT32": 6, "INT64": 7, "DOUBLE": 11}.get(op.text("to", ""), 0)
    if to not in DTYPES:
        op.refuse("to", "a type of ordinary numbers", to)
    op.take(inputs[0].size * 8)
    return inputs[0].astype(DTYPES[to])


def _constant(op: Op, inputs: Inputs) -> Tensor:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if op.has(name):
            if name == "value":
                return op.tensor(name)
            found = op.attribute(name)
            return np.array(found, np.float32 if "float" in name else np.int64)
    op.refuse("its value", "numbers", "none")


def _of_shape(op: Op, inputs: Inputs) -> Tensor:
    shape = whole_numbers(op, "its input", inputs[0])
    value = op.tensor("value") if op.has("value") else np.zeros(1, np.float32)
    if min(shape, default=0) < 0 or math.prod(shape) > MOST_ELEMENTS or value.size != 1:
        op.refuse("its shape", f"at most {MOST_ELEMENTS:,} elements, with one value", shape)
    return np.broadcast_to(value.reshape(()), shape)  # no memory, however large


def _expand(op: Op, inputs: Inputs) -> Tensor:
    shape = np.broadcast_shapes(inputs[0].shape, whole_numbers(op, "shape", inputs[1]))
    return np.broadcast_to(inputs[0], shape)


def _where(op: Op, inputs: Inputs) -> Tensor:
    op.take(math.prod(np.broadcast_shapes(*(a.shape for a in inputs))) * 8)
    return np.where(*inputs)


def _transpose(op: Op, inputs: Inputs) -> Tensor:
    a = inputs[0]
    return a.transpose(axes_in_order(op, op.wholes("perm", tuple(reversed(range(a.ndim)))), a.ndim))


def axes_in_order(op: Op, permutation: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """A permutation of all axes."""
    if sorted(permutation) != list(range(rank)):
        op.refuse("perm", f"the numbers from 0 to {rank - 1}, in another order", permutation)
    return permutation


def _flatten(op: Op, inputs: Inputs) -> Tensor:
    a = inputs[0]
    axis = op.whole("axis", 1)
    axis = a.ndim if axis == a.ndim else axis_of(op, axis, a.ndim)
    return _shaped(op, a, (math.prod(a.shape[:axis]), math.prod(a.shape[axis:])))


def _product(op: Op, inputs: Inputs) -> Tensor:
    a, keep = inputs[0], bool(op.whole("keepdims", 1))
    axes = axes_given(op, inputs)
    op.take(a.nbytes)
    result: Tensor = np.asarray(np.prod(a, None if axes is None else axes_of(op, a.ndim, axes), keepdims=keep))
    return result.astype(a.dtype)


def _unsqueeze(op: Op, inputs: Inputs) -> Tensor:
    return _shaped(op, inputs[0], unsqueezed(op, inputs[0].shape, axes_given(op, inputs) or ()))


FOLDED: Mapping[str, Callable[[Op, Inputs], Tensor]] = {
    "Add": _arithmetic(np.add),
    "Cast": _cast,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _of_shape,
    "Div": _arithmetic(_divide),
    "Equal": _arithmetic(np.equal),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": lambda op, inputs: inputs[0],
    "Mul": _arithmetic(np.multiply),
    "Neg": _arithmetic(np.negative),
    "Pow": _arithmetic(np.power),
    "ReduceProd": _product,
    "Reshape": _reshape,
    "Shape": lambda op, inputs: np.array(inputs[0].shape[op.whole("start", 0) : op.whole("end", 64)], np.int64),
    "Slice": lambda op, inputs: inputs[0][slices(op, inputs, inputs[0].ndim)],
    "Sqrt": _arithmetic(np.sqrt),
    "Squeeze": lambda op, inputs: _shaped(op, inputs[0], squeezed(op, inputs[0].shape, axes_given(op, inputs))),
    "Sub": _arithmetic(np.subtract),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
