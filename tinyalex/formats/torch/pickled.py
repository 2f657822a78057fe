"""What the pickle of a PyTorch file may contain: texts, numbers, dicts, and tensors, which are views of storages outside of the pickle.

A tensor is pickled as a call of `torch._utils._rebuild_tensor_v2` with its storage, offset, shape and strides, and a storage as a
persistent id: its type, its key and its length. So the pickle holds no numbers of a weight. A model that was pickled as a whole needs the
classes of its program, and is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyalex.errors import CheckpointError
from tinyalex.files.pickle_machine import Allowed, Function, Global, Machine, Unfinished

REMEDY = "save the state dict and not the model, torch.save(model.state_dict(), 'weights.pth'), where the model's program is"
MOST_AXES = 16
LARGEST = 2**62
BFLOAT16 = "bfloat16"  # NumPy has no such type: the upper half of a float32

TYPES: Mapping[str, str] = {  # the classes of storages, and NumPy's codes
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class StorageType:
    """The type of the elements of a storage. code: that of NumPy, or "bfloat16"."""

    code: str

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return 2 if self.code == BFLOAT16 else np.dtype(self.code).itemsize


@dataclass(frozen=True)
class Storage:
    """Elements in a row that one or more tensors look at.

    key: its name in the file. numel: how many elements the part has that this view sees, from the element `begin` on.
    """

    type: StorageType
    key: str
    numel: int
    begin: int = 0
    whole: int = 0  # the elements of the storage, of which this is a view


@dataclass(frozen=True)
class Tensor:
    """A view of a storage: element (i, j, ...) is the element offset + i strides[0] + j strides[1] + ... of the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class StateDict(dict[Any, Any], Unfinished):
    """An OrderedDict. `meta` are its attributes, such as `_metadata` of a state dict."""

    meta: Mapping[Any, Any] = {}

    def finish(self, machine: Machine, state: Any) -> StateDict:
        """Keep the attributes."""
        if not isinstance(state, dict):
            machine.fail("the state of an OrderedDict must be a dict", f"a {type(state).__name__}")
        self.meta = state
        return self


def _ordered_dict(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> StateDict:
    """`OrderedDict()`, or with a list of pairs as Python 2 wrote it."""
    found = StateDict()
    if len(arguments) > 1 or (arguments and not isinstance(arguments[0], list)):
        machine.fail("the arguments of OrderedDict must be none or a list of pairs", "others")
    for item in machine.copied(arguments[0]) if arguments else ():
        if not isinstance(item, (list, tuple)) or len(item) != 2:
            machine.fail("the arguments of OrderedDict must be none or a list of pairs", "others")
        found[machine.checked_key(item[0])] = item[1]
    return found


def _tensor(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> Tensor:
    """`_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`; the older `_rebuild_tensor` has the first four."""
    if len(arguments) < 4 or not isinstance(arguments[0], Storage):
        machine.fail(f"the arguments of {function} must be a storage, an offset, a shape and strides", "others")
    storage, offset, shape, strides = arguments[:4]
    if not _counts((offset,)) or not _counts(shape) or not _counts(strides) or len(shape) != len(strides) or len(shape) > MOST_AXES:
        machine.fail(f"offset, shape and strides of a tensor must be whole numbers, at most {MOST_AXES} axes", "others")
    count = math.prod(shape)
    reach = offset + 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) if count else 0
    if max(reach, count) > storage.numel:
        got = f"{reach:,}" if reach > storage.numel else f"a tensor of {count:,}"
        machine.fail(f"a tensor must stay within the {storage.numel:,} elements of its storage", got)
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> Tensor:
    """`_rebuild_parameter(tensor, requires_grad, hooks)`."""
    if not arguments or not isinstance(arguments[0], Tensor):
        machine.fail(f"the first argument of {function} must be a tensor", "another")
    return arguments[0]


def _size(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> tuple[int, ...]:
    """`torch.Size([...])`."""
    if len(arguments) != 1 or not isinstance(arguments[0], (list, tuple)) or not _counts(tuple(machine.copied(arguments[0]))):
        machine.fail(f"the argument of {function} must be whole numbers", "others")
    return tuple(arguments[0])


def _only_named(machine: Machine, function: Global, arguments: tuple[Any, ...]) -> Any:
    machine.fail(f"{function} must be named and not called", "a call")


def _counts(values: Any) -> bool:
    return isinstance(values, tuple) and all(type(value) is int and 0 <= value < LARGEST for value in values)


def _storage(machine: Machine, pid: Any) -> Storage:
    """The storage of a persistent id ("storage", type, key, device, length). Older files add a view: None or (key, begin, length)."""
    if isinstance(pid, tuple) and pid[:1] == ("module",):
        machine.fail("the file must hold a state dict", "a model that was pickled as a whole", REMEDY)
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or not isinstance(pid[0], str) or pid[0] != "storage":
        machine.fail("a persistent id must be that of a storage", "another")
    named, key, numel = pid[1], pid[2], pid[4]
    code = TYPES.get(named.name) if isinstance(named, Global) else None
    if code is None or not isinstance(key, str) or not _counts((numel,)):
        machine.fail("a storage must have a type, a key and a length", "others")
    if len(pid) == 5 or pid[5] is None:
        return Storage(StorageType(code), key, numel, 0, numel)
    view = pid[5]
    if not isinstance(view, tuple) or len(view) != 3 or not _counts(view[1:]) or view[1] + view[2] > numel:
        machine.fail("a view of a storage must stay within it", "another")
    return Storage(StorageType(code), key, view[2], view[1], numel)


GLOBALS: dict[Global, Function] = {
    Global("collections", "OrderedDict"): _ordered_dict,
    Global("torch._utils", "_rebuild_tensor"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_parameter"): _parameter,
    Global("torch", "Size"): _size,
    **{Global(module, name): _only_named for name in TYPES for module in ("torch", "torch.cuda")},
}


def state_dict(seen: dict[str, int]) -> Allowed:
    """What the pickle of a state dict may contain. seen: gets the bytes of an element of each storage that the pickle names."""

    def persistent(machine: Machine, pid: Any) -> Storage:
        storage = _storage(machine, pid)
        if seen.setdefault(storage.key, storage.type.itemsize) != storage.type.itemsize:
            machine.fail("a storage must have elements of one size", "two")
        return storage

    return Allowed(GLOBALS, "those of a state dict", REMEDY, CheckpointError, persistent)


Raw = Callable[[Storage], "np.ndarray[Any, Any]"]


def array_of(tensor: Tensor, raw: Raw) -> np.ndarray[Any, Any]:
    """The elements of a tensor, which `_tensor` has checked: a read-only view. raw: the elements of a whole storage."""
    elements = raw(tensor.storage)
    first = tensor.storage.begin + tensor.offset
    if math.prod(tensor.shape) == 0:
        return np.empty(tensor.shape, elements.dtype)
    # An axis of length 1 needs no stride, and a file may say any.
    strides = [stride * elements.itemsize if size > 1 else 0 for size, stride in zip(tensor.shape, tensor.strides, strict=True)]
    return np.lib.stride_tricks.as_strided(elements[first:], tensor.shape, strides, writeable=False)
