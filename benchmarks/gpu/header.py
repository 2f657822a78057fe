"""The facts that belong to every measurement on a card: date, card, driver, versions. Whatever cannot be asked says why."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from benchmarks.machine import machine

STUB = "stub, no card"  # marks every result that NumPy computed in the place of a card
PACKAGES = ("tinyalex", "numpy", "cupy", "cupy-cuda12x", "cupy-cuda13x", "torch", "nvidia-cuda-nvrtc-cu12", "nvidia-cuda-nvrtc")


def header(stub: bool) -> dict[str, Any]:
    """Date, machine, cards, driver, toolkit and versions."""
    facts: dict[str, Any] = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "card": STUB, "stub": stub}
    if not stub:
        facts |= cards()
    return facts | {"machine": machine(), "versions": versions()}


def cards() -> dict[str, Any]:
    """What CuPy says of the cards and of the driver."""
    import cupy

    runtime = cupy.cuda.runtime
    n = runtime.getDeviceCount()
    found = [asked(lambda i=i: card(runtime.getDeviceProperties(i))) for i in range(n)]
    return {
        "card": found[0]["name"] if isinstance(found[0], dict) else "unknown card",
        "cards": found,
        "driver": asked(runtime.driverGetVersion),
        "runtime": asked(runtime.runtimeGetVersion),
        "peer_access": asked(lambda: [[bool(runtime.deviceCanAccessPeer(i, j)) for j in range(n) if j != i] for i in range(n)]),
    }


def card(properties: dict[str, Any]) -> dict[str, Any]:
    """The facts of one card."""
    name = properties["name"]
    return {
        "name": name.decode() if isinstance(name, bytes) else str(name),
        "compute": f"{properties['major']}.{properties['minor']}",
        "memory": int(properties["totalGlobalMem"]),
        "processors": int(properties["multiProcessorCount"]),
    }


def asked(question: Callable[[], Any]) -> Any:
    """The answer, or why there is none."""
    try:
        return question()
    except Exception as error:  # whatever a driver raises must not end a measurement
        return f"not told: {type(error).__name__}: {error}"


def versions() -> dict[str, str]:
    """The versions of the installed packages."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if "tinyalex" not in found:
        found["tinyalex"] = importlib.import_module("tinyalex").__version__
    return found
