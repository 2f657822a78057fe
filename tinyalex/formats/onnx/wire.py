"""The bytes of an ONNX file, with the large arrays cut out, so that no array is copied.

An ONNX file is a protobuf message, in which a field is a key (its number and its kind), and, for texts, bytes and inner messages, a length
and so many bytes. Parsing a file of 240 MB by the protobuf library copies every array twice. `cut` goes through the levels that lead to
arrays, takes these out as views of the file's bytes, and leaves a small message, in which a mark of ours stands for each array.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tinyalex.errors import DataError
from tinyalex.formats.protobuf import FIXED32, FIXED64, LENGTH, VARINT, number_bytes, read_number

LEAST = 1024  # bytes: a smaller array stays in the message
RAW, FLOATS = 9, 4  # the fields of a TensorProto with its elements as bytes, and as packed float32, which are the same bytes
TENSOR: Mapping[int, Any] = {RAW: None, FLOATS: None}
LEVELS: Mapping[int, Any] = {7: {5: TENSOR, 1: {5: {5: TENSOR}}}}  # graph: initializer; graph: node: attribute: tensor


@dataclass(frozen=True)
class Cut:
    """A file without its large arrays.

    Parameters
    ----------
    message: what is left. mark: the first bytes of each mark, which no file can know, because they are drawn for each reading.
    views: the arrays that were cut out, by the number that stands behind the mark.
    """

    message: bytes
    mark: bytes
    views: list[memoryview] = field(default_factory=list)

    def find(self, raw: bytes) -> memoryview:
        """The bytes of an array, by what stands in the message in its place."""
        if raw.startswith(self.mark):
            return self.views[int.from_bytes(raw[len(self.mark) :], "little")]
        return memoryview(raw)


def cut(who: str, data: bytes) -> Cut:
    """Take the arrays of at least 1 KiB out of the bytes of a file. DataError: a length reaches beyond the end."""
    found = Cut(b"", secrets.token_bytes(16))
    return Cut(_without(who, memoryview(data), LEVELS, found), found.mark, found.views)


def _without(who: str, data: memoryview, levels: Mapping[int, Any], found: Cut) -> bytes:
    """The bytes of one message, in which a mark stands for each large array."""
    spans = list(_spans(who, data))
    if levels is TENSOR and sum(span.number in TENSOR for span in spans) != 1:
        return bytes(data)  # elements in several pieces, which the library joins
    pieces: list[bytes | memoryview] = []
    kept = 0  # what is before this place was copied
    for span in spans:
        if span.number not in levels or span.kind != LENGTH or span.end - span.start < LEAST:
            continue
        number, inside = span.number, data[span.start : span.end]
        if levels is TENSOR:
            number, inner = RAW, found.mark + len(found.views).to_bytes(8, "little")
            found.views.append(inside)
        else:
            inner = _without(who, inside, levels[number], found)
        pieces += [data[kept : span.begin], number_bytes(number << 3 | LENGTH), number_bytes(len(inner)), inner]
        kept = span.end
    return b"".join([*pieces, data[kept:]])


class _Span(NamedTuple):
    """One field: its number and kind, where its key begins, and where its bytes start and end."""

    number: int
    kind: int
    begin: int
    start: int
    end: int


def _spans(who: str, data: memoryview) -> Iterator[_Span]:
    at, size = 0, len(data)
    while at < size:
        begin = at
        key, at = _number(who, data, at)
        number, kind = key >> 3, key & 7
        if kind == LENGTH:
            length, at = _number(who, data, at)
            start, at = at, at + length
        elif kind == VARINT:
            start, (_, at) = at, _number(who, data, at)
        elif kind in (FIXED64, FIXED32):
            start, at = at, at + (8 if kind == FIXED64 else 4)
        else:
            raise DataError(f"{who}: the kind of a field must be one of those of protobuf, got {kind}; the file is another or altered")
        if at > size:
            rule = "every length in the file must end within the bytes around it"
            raise DataError(f"{who}: {rule}, got one that is {at - size:,} bytes too long; the file is truncated or altered")
        yield _Span(number, kind, begin, start, at)


def _number(who: str, data: memoryview, at: int) -> tuple[int, int]:
    """The integer at a place, and the place behind it."""
    found = read_number(data, at, len(data))
    if found is None:
        got = f"another at byte {at:,} of a message of {len(data):,} bytes; the file is truncated or altered"
        raise DataError(f"{who}: every number in the file must be whole and of at most 10 bytes, got {got}")
    return found
