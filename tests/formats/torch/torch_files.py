"""Makes files as torch.save does, without torch: the instructions of a pickle, by hand, around NumPy arrays."""

import io
import struct
import zipfile
from dataclasses import dataclass, field

import numpy as np

NAMES = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage", "i4": "IntStorage", "i2": "ShortStorage",
         "i1": "CharStorage", "u1": "ByteStorage", "b1": "BoolStorage"}  # fmt: skip
ORDERED = b"ccollections\nOrderedDict\n)R"


@dataclass
class Storage:
    """Elements in a row. type: the class in torch, None for that of the elements."""

    key: str
    elements: np.ndarray
    type: str = ""
    numel: int | None = None
    view: tuple | None = None
    location: str = "cpu"


@dataclass
class Tensor:
    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


@dataclass
class Raw:
    """Instructions as they are."""

    code: bytes


@dataclass
class Pickle:
    """Writes an object. older: whether persistent ids have the sixth element of before 1.6."""

    older: bool = False
    seen: dict = field(default_factory=dict)

    def code(self, value):
        if isinstance(value, Raw):
            return value.code
        if isinstance(value, Tensor):
            arguments = b"".join(map(self.code, (value.offset, value.shape, value.strides, False)))
            return b"ctorch._utils\n_rebuild_tensor_v2\n(" + self.storage(value.storage) + arguments + ORDERED + b"tR"
        if isinstance(value, dict):
            return ORDERED + b"(" + b"".join(self.code(each) for pair in value.items() for each in pair) + b"u"
        if isinstance(value, (tuple, list)):
            inside = b"".join(map(self.code, value))
            return b"(" + inside + b"t" if isinstance(value, tuple) else b"](" + inside + b"e"
        if isinstance(value, bool):
            return b"\x88" if value else b"\x89"
        if value is None:
            return b"N"
        if isinstance(value, int):
            return b"\x8a\x0a" + value.to_bytes(10, "little", signed=True)
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text

    def storage(self, storage):
        self.seen.setdefault(storage.key, storage)
        kind = storage.type or NAMES[storage.elements.dtype.str[1:]]
        numel = len(storage.elements) if storage.numel is None else storage.numel
        own = (storage.key, storage.location, numel, *((storage.view,) if self.older else ()))
        return b"(" + self.code("storage") + b"ctorch\n" + kind.encode() + b"\n" + b"".join(map(self.code, own)) + b"tQ"


def tensor(array, key="0"):
    """A tensor that owns its storage."""
    strides = tuple(step // array.itemsize for step in array.strides)
    return Tensor(Storage(key, array.reshape(-1, order="A")), 0, array.shape, strides)


def state(**arrays):
    return {name.replace("__", "."): tensor(array, str(i)) for i, (name, array) in enumerate(arrays.items())}


def dumps(value, pickle=None):
    return b"\x80\x02" + (pickle or Pickle()).code(value) + b"."


def legacy(value, version=1001, magic=0x1950A86A20F9469CFC6C, keys=None, tail=b""):
    """The form of before 1.6."""
    pickle = Pickle(older=True)
    body = dumps(value, pickle)
    storages = list(pickle.seen.values())
    keys = [storage.key for storage in storages] if keys is None else keys
    data = b"".join(struct.pack("<q", len(storage.elements)) + storage.elements.tobytes() for storage in storages)
    return b"".join([dumps(magic), dumps(version), dumps({"little_endian": True}), body, dumps(keys), data, tail])


def archive(value, folder="weights", order=b"little", method=zipfile.ZIP_STORED, more=(), storages=None, body=None):
    """The form since 1.6. more: further files. storages: the bytes of storages by key, in the place of their own."""
    pickle, out = Pickle(), io.BytesIO()
    body = dumps(value, pickle) if body is None else body
    with zipfile.ZipFile(out, "w", method) as zipped:
        zipped.writestr(f"{folder}/data.pkl", body)
        if order is not None:
            zipped.writestr(f"{folder}/byteorder", order)
        for key, storage in pickle.seen.items():
            elements = storage.elements.byteswap() if order == b"big" else storage.elements
            zipped.writestr(f"{folder}/data/{key}", (storages or {}).get(key, elements.tobytes()))
        for name, data in more:
            zipped.writestr(name, data)
        zipped.writestr(f"{folder}/version", b"3\n")
    return out.getvalue()
