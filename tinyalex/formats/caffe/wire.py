"""The binary form of Caffe's messages (caffemodel, binaryproto), read and written.

The elements of a blob are seen where they lie in the file's bytes and are not copied. The package `protobuf` copies them: with it the
244 MB of an AlexNet took 3 to 7 times as long as to read the bytes of the file, with this reader 1.2 times. A declared length is compared
with the bytes that are there before anything is allocated. Fields that Caffe does not have are passed over.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import CheckpointError, show
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.schema import BY_NAME, BY_NUMBER, ENUMS, Field
from tinyalex.formats.protobuf import FIXED32, FIXED64, LENGTH, VARINT, number_bytes, read_number

MOST = 250_000  # fields of a file; the largest of the known nets has ten times fewer
DEEPEST = 24  # messages in messages
LONGEST = 2**31 - 1  # bytes of a file
LARGEST = 2**31  # elements of a blob, the limit of Caffe
MOST_AXES = 32  # of a blob, the limit of Caffe
TYPES: Mapping[str, np.dtype[Any]] = {"floats": np.dtype("<f4"), "doubles": np.dtype("<f8"), "float": np.dtype("<f4")}
NAMES = {kind: {number: name for name, number in numbers.items()} for kind, numbers in ENUMS.items()}
Array = npt.NDArray[Any]


class Reader:
    """Turns bytes into messages. source: the file, for errors."""

    def __init__(self, data: bytes, source: str) -> None:
        self.data, self.source, self.count = memoryview(data), source, 0

    def fail(self, quantity: str, rule: str, got: object) -> CheckpointError:
        """The error that the bytes are not of this form."""
        return CheckpointError(f"{self.source}: {quantity} must be {rule}, got {got}; the file is truncated, altered or of another kind")

    def message(self, kind: str, begin: int, end: int, depth: int = 0) -> Message:
        """The message in the bytes from `begin` to `end`."""
        if depth > DEEPEST:
            raise self.fail("the depth of messages", f"at most {DEEPEST}", "more")
        found, fields, position = Message(kind), BY_NUMBER[kind], begin
        while position < end:
            self.count += 1
            if self.count > MOST:
                raise self.fail("the number of fields", f"at most {MOST:,}", "more")
            start = position
            tag, position = self.varint(position, end)
            number, form = tag >> 3, tag & 7
            field = fields.get(number)
            if form == VARINT:
                value, position = self.varint(position, end)
                if field is not None:
                    self._whole(found, field, [value], start)
            elif form in (FIXED32, FIXED64):
                size = 4 if form == FIXED32 else 8
                if end - position < size:
                    raise self.fail(f"the value at byte {start:,}", f"{size} bytes long", end - position)
                if field is not None and field.kind in ("floats", "doubles"):
                    position = self._unpacked(found, field, start, end, position - start, size)
                    continue
                if field is not None:
                    self._fixed(found, field, self.data[position : position + size], start)
                position += size
            elif form == LENGTH:
                length, position = self.varint(position, end)
                if length > end - position:
                    raise self.fail(f"the length at byte {start:,}", f"at most {end - position:,}, the bytes that follow", f"{length:,}")
                if field is not None:
                    self._long(found, field, position, position + length, start, depth)
                position += length
            else:
                raise self.fail(f"the type of the field at byte {start:,}", "0, 1, 2 or 5", form)
        return found

    def varint(self, position: int, end: int) -> tuple[int, int]:
        """A whole number, and the position behind it."""
        found = read_number(self.data, position, end)
        if found is not None:
            return found
        raise self.fail(f"the number at byte {position:,}", "at most 10 bytes long and complete", "more")

    def _whole(self, found: Message, field: Field, values: list[int], start: int) -> None:
        for value in values:
            signed = value - 2**64 if value >= 2**63 else value
            if field.kind == "bool":
                found.add(field.name, value != 0)
            elif field.kind in NAMES:
                if signed in NAMES[field.kind]:  # other programs have more types of layers, of which only the blobs may be wanted
                    found.add(field.name, NAMES[field.kind][signed])
            elif field.kind == "int":
                found.add(field.name, signed)
            elif field.kind != "any":
                raise self._other(field, start)

    def _fixed(self, found: Message, field: Field, piece: memoryview, start: int) -> None:
        if field.kind == "float" and len(piece) == 4:
            found.add(field.name, decimal(struct.unpack("<f", piece)[0]))
        elif field.kind != "any":
            raise self._other(field, start)

    def _long(self, found: Message, field: Field, begin: int, end: int, start: int, depth: int) -> None:
        """A field of a given length: a text, a message, or several numbers."""
        kind = field.kind
        if kind in BY_NUMBER:
            found.add(field.name, self.message(kind, begin, end, depth + 1))
        elif kind == "text":
            try:
                found.add(field.name, str(self.data[begin:end], "utf-8"))
            except UnicodeDecodeError:
                raise self.fail(f"{field.name} at byte {start:,}", "text in UTF-8", show(bytes(self.data[begin : begin + 20]))) from None
        elif kind in TYPES:
            if (end - begin) % TYPES[kind].itemsize:
                raise self.fail(f"the length at byte {start:,}", f"a multiple of {TYPES[kind].itemsize}", f"{end - begin:,}")
            values = np.frombuffer(self.data, TYPES[kind], (end - begin) // TYPES[kind].itemsize, begin)
            if kind != "float":
                found.add(field.name, values)
                return
            self._several(values.size)
            for value in values:
                found.add(field.name, decimal(value))
        elif kind in ("int", "bool") or kind in NAMES:
            self._several(end - begin)
            position = begin
            while position < end:
                value, position = self.varint(position, end)
                self._whole(found, field, [value], start)
        elif kind != "any":
            raise self._other(field, start)

    def _unpacked(self, found: Message, field: Field, start: int, end: int, tag: int, size: int) -> int:
        """The elements of a blob that stand one by one, each with its tag, as programs before 2014 wrote them. Returns the position."""
        kind = TYPES[field.kind]
        if size != kind.itemsize:
            raise self._other(field, start)
        pieces, position, step = np.dtype([("tag", "u1", tag), ("value", kind)]), start, 64
        own = np.frombuffer(self.data, pieces, 1, start)["tag"]
        while True:
            count = min(step, (end - position) // pieces.itemsize)
            run = np.frombuffer(self.data, pieces, count, position) if count else np.empty(0, pieces)
            same = (run["tag"] == own).all(axis=1) if count else np.empty(0, bool)
            length = count if same.all() else int(same.argmin())
            if length:
                found.add(field.name, run["value"][:length])
            position += length * pieces.itemsize
            if length < step:
                return position
            step *= 2

    def _several(self, count: int) -> None:
        self.count += count
        if self.count > MOST:
            raise self.fail("the number of fields", f"at most {MOST:,}", "more")

    def _other(self, field: Field, start: int) -> CheckpointError:
        return self.fail(f"{field.name} at byte {start:,}", f"of the kind {field.kind}", "another kind")


def read_wire(path: Path, kind: str) -> Message:
    """The message of this kind in a binary file. Raises CheckpointError: it cannot be read, or is not of this form."""
    data = whole_file(path)
    return Reader(data, str(path)).message(kind, 0, len(data))


def whole_file(path: Path) -> bytes:
    """The bytes of a file. CheckpointError: it cannot be read, or is larger than a message may be."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            if size > LONGEST:
                raise CheckpointError(f"{path}: the file must have at most {LONGEST:,} bytes, the limit of its form, got {size:,}")
            file.seek(0)
            return file.read(size)
    except OSError as error:
        raise CheckpointError(f"{path}: the file must be readable, got {error.strerror or error}") from None


def array_of(blob: Message, who: str) -> Array:
    """The elements of a blob in its shape; they are seen where they lie. CheckpointError: as many as the shape says are not there."""
    if any(blob.has(name) for name in ("num", "channels", "height", "width")):
        shape = tuple(blob.one(name, 0) for name in ("num", "channels", "height", "width"))
    else:
        shape = tuple(blob.part("shape", "Shape").all("dim"))
    pieces = blob.all("double_data") or blob.all("data")
    count = sum(piece.size for piece in pieces)
    few = len(shape) <= MOST_AXES  # the product of more sizes could take minutes
    empty = few and count == 0 and math.prod(side for side in shape if side) > LARGEST  # NumPy refuses it, though it has no element
    if not few or min(shape, default=0) < 0 or math.prod(shape) != count or empty:
        got = f"the shape {show(shape)}"
        raise CheckpointError(f"{who}: the shape of a blob must have {count:,} elements, as many as are there, got {got}")
    if not pieces:
        return np.empty(shape, np.float32)
    return (pieces[0] if len(pieces) == 1 else np.concatenate(pieces)).reshape(shape)


def decimal(value: Any) -> float:
    """The float32 as the shortest decimal number that it stands for: 0.0001, not 0.00009999999747."""
    return float(str(np.float32(value)))


def write_wire(message: Message) -> Iterator[bytes | memoryview]:
    """The bytes of a message, in pieces; arrays in it are not copied. Fields of the kind `any` are left out."""
    fields = BY_NAME[message.kind]
    for name, values in message.values.items():
        field = fields[name]
        for value, _ in values if field.kind != "any" else ():
            if isinstance(value, Message):
                pieces = list(write_wire(value))
                yield number_bytes(field.number << 3 | LENGTH) + number_bytes(sum(len(piece) for piece in pieces))
                yield from pieces
            elif isinstance(value, np.ndarray):
                data = np.ascontiguousarray(value, TYPES[field.kind]).reshape(-1).view(np.uint8).data
                yield number_bytes(field.number << 3 | LENGTH) + number_bytes(len(data))
                yield data
            elif field.kind == "text":
                encoded = value.encode()
                yield number_bytes(field.number << 3 | LENGTH) + number_bytes(len(encoded)) + encoded
            elif field.kind == "float":
                yield number_bytes(field.number << 3 | FIXED32) + struct.pack("<f", value)
            else:
                number = ENUMS[field.kind][value] if field.kind in ENUMS else int(value)
                yield number_bytes(field.number << 3 | VARINT) + number_bytes(number)
