"""The two ways in which kernels run without a card: as C++ of the host under sanitizers, and as PTX in the interpreter."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.fast.cuda import host
from tinyalex import sim
from tinyalex.devices.sim import SimDevice


class PtxDevice(SimDevice):
    """A simulated GPU whose kernels are compiled by NVRTC and interpreted."""

    raw_module = sim.RawModule


@cache
def device(way: str) -> Any:
    """A device whose kernels run this way."""
    return host.HostDevice(9) if way == "host" else PtxDevice(9)


REASONS = {"host": host.why_not(), "ptx": sim.why_no_nvrtc()}
WAYS = [
    pytest.param(way, marks=pytest.mark.skipif(reason is not None, reason=f"kernels as {way}: {reason}")) for way, reason in REASONS.items()
]
EVERY_WAY = pytest.mark.parametrize("way", WAYS)
