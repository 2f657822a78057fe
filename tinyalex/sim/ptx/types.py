"""The types of PTX as NumPy's: u32 is uint32, f64 is float64, pred is bool. The b types are bits without a meaning."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyalex.errors import KernelError

Values = np.ndarray[Any, Any]  # of a register: one element a thread, or one element if all threads have the same
TYPES: dict[str, np.dtype[Any]] = {
    "pred": np.dtype(bool),
    "f16": np.dtype("f2"), "f32": np.dtype("f4"), "f64": np.dtype("f8"),
    "s8": np.dtype("i1"), "s16": np.dtype("i2"), "s32": np.dtype("i4"), "s64": np.dtype("i8"),
    "u8": np.dtype("u1"), "u16": np.dtype("u2"), "u32": np.dtype("u4"), "u64": np.dtype("u8"),
    "b8": np.dtype("u1"), "b16": np.dtype("u2"), "b32": np.dtype("u4"), "b64": np.dtype("u8"),
}  # fmt: skip
WIDER = {"s16": "s32", "u16": "u32", "s32": "s64", "u32": "u64"}  # of a product that keeps all bits


class Unknown(KernelError):  # noqa: N818 - it becomes a KernelError with the line
    """An instruction that the interpreter does not know. It is refused when the module is loaded, not in the middle of a launch."""


def type_of(parts: tuple[str, ...]) -> str:
    """The last type in an opcode: f32 of ("add", "rn", "f32")."""
    for part in reversed(parts):
        if part in TYPES:
            return part
    raise Unknown("no type")


def constant(text: str, dtype: np.dtype[Any]) -> Values:
    """A number in the text of PTX: 12, -0x7f, 0f3F800000 (the bits of a float32), 0d... (of a float64)."""
    if text[:2].lower() in ("0f", "0d"):
        size = 4 if text[1] in "fF" else 8
        value = np.array([int(text[2:], 16)], f"u{size}").view(f"f{size}")
        return value.view(dtype) if dtype.itemsize == size else value.astype(dtype)
    if dtype.kind == "f":
        return np.array([float(text)], dtype)
    if dtype.kind == "b":
        return np.array([int(text, 0) != 0])
    return np.array([int(text.rstrip("U"), 0) & ((1 << 8 * dtype.itemsize) - 1)], f"u{dtype.itemsize}").view(dtype)
