"""The facts that belong to every measurement on a card: date, cards, driver, toolkit, versions."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import tinyalex as ta
from benchmarks.machine import machine
from tinyalex.devices.cards import describe

STUB = "stub, no card"  # marks every result that NumPy computed in the place of a card
PACKAGES = ("numpy", "cupy", "cupy-cuda12x", "cupy-cuda13x", "torch", "nvidia-cuda-nvrtc-cu12", "nvidia-cuda-nvrtc")


def header(stub: bool) -> dict[str, Any]:
    """Date, machine, cards, driver, toolkit and versions."""
    facts: dict[str, Any] = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "card": STUB, "stub": stub}
    if not stub:
        facts |= describe()
        facts["card"] = facts["cards"][0]["name"]
    return facts | {"machine": machine(), "versions": versions()}


def versions() -> dict[str, str]:
    """The versions of this package and of the others that are installed."""
    found = {"tinyalex": ta.__version__}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
