"""Random changes of the bytes of a file, for the tests that read damaged files."""

from __future__ import annotations

import numpy as np


def changed_bytes(data: bytes, draw: np.random.Generator) -> bytes:
    """One to three places with bytes flipped, replaced, cut, doubled, exchanged, or a number made huge, or the end cut off."""
    made = bytearray(data)
    for _ in range(draw.integers(1, 4)):
        at, size, kind = int(draw.integers(len(made))), int(draw.integers(1, 9)), draw.integers(7)
        if kind == 0:
            made[at] ^= 1 << int(draw.integers(8))
        elif kind == 1:
            made[at] = int(draw.integers(256))
        elif kind == 2:
            del made[at : at + size]
        elif kind == 3:
            made[at:at] = made[at : at + 16 * size]
        elif kind == 4:
            made[at : at + size] = b"\xff" * size
        elif kind == 5:
            del made[at:]
        else:
            other = int(draw.integers(len(made)))
            made[at : at + size], made[other : other + size] = made[other : other + size], made[at : at + size]
        made = made or bytearray(b"\x80")
    return bytes(made)
