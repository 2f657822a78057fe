"""The integers in the binary form of protobuf, which Caffe and ONNX share.

Each byte has seven bits, the lowest first. The highest bit says whether another byte follows.
"""

from __future__ import annotations

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # the kinds of fields: a number, eight bytes, a length and so many bytes, four bytes
LONGEST_NUMBER = 10  # bytes: 64 bits


def read_number(data: memoryview, at: int, end: int) -> tuple[int, int] | None:
    """The integer at the place `at`, from 0 to 2**64 - 1, and the place behind it; None if it is longer than 10 bytes or reaches `end`."""
    value = shift = 0
    for place in range(at, min(end, at + LONGEST_NUMBER)):
        byte = data[place]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2**64 - 1), place + 1
        shift += 7
    return None


def number_bytes(value: int) -> bytes:
    """The bytes of an integer; a negative one is written as value + 2**64.

    Example
    -------
    >>> number_bytes(300), read_number(memoryview(number_bytes(300)), 0, 2)
    (b'\\xac\\x02', (300, 2))
    """
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
