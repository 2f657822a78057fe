"""The two ways in which kernels run without a card: as C++ of the host under sanitizers, and as PTX in the interpreter."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.fast.cuda import host
from tinyalex.devices.sim import SimDevice


def why_no_ptx() -> str | None:
    """The reason why no kernel can be interpreted here; None if it can."""
    return None if SimDevice(0).raw_module is not None else "NVRTC's wheel is not installed; pip install 'tinyalex[kernels]'"


@cache
def device(way: str, memory: int = 1 << 30) -> Any:
    """A device whose kernels run this way, with so many bytes of memory."""
    return host.HostDevice(9, memory) if way == "host" else SimDevice(9, memory)


REASONS = {"host": host.why_not(), "ptx": why_no_ptx()}
WAYS = [
    pytest.param(way, marks=pytest.mark.skipif(reason is not None, reason=f"kernels as {way}: {reason}")) for way, reason in REASONS.items()
]
EVERY_WAY = pytest.mark.parametrize("way", WAYS)
