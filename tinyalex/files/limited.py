"""Reads a file that must be small."""

from __future__ import annotations

from pathlib import Path

from tinyalex.errors import DataError


def read_limited(path: Path, most: int, remedy: str) -> bytes:
    """The bytes of a file that has at most `most`; a larger one is refused before it is read whole, with this remedy.

    Raises
    ------
    DataError: it cannot be read, or is larger.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise DataError(f"{path}: the file must be readable, got {error.strerror or error}") from None
    if len(data) > most:
        raise DataError(f"{path}: the file must have at most {most:,} bytes, got more; {remedy}")
    return data
