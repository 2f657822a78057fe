"""Devices by name: "cpu", "cpu:1", "sim:0", "cuda:0"."""

from __future__ import annotations

import threading

from tinyalex.devices.base import NEW_ARRAYS, Array, Device, Scratch, Transfer
from tinyalex.devices.cpu import CpuDevice, cores
from tinyalex.errors import DeviceError

__all__ = ["NEW_ARRAYS", "Array", "CpuDevice", "Device", "Scratch", "Transfer", "get_device"]

_devices: dict[str, Device] = {}
_lock = threading.Lock()


def get_device(device: str | Device = "cpu", who: str = "get_device") -> Device:
    """The device of that name; the same object at every call, so its workers and memory are shared.

    "cpu" works with all cores, "cpu:0", "cpu:1" ... with half of them each; "sim:0", "sim:1" ... are simulated GPUs
    of 3 GiB; "cuda:0" ... are GPUs through CuPy. For other workers or memory make a `CpuDevice` or `SimDevice`
    yourself and pass that. `who` asks: an error begins with it.

    Raises
    ------
    DeviceError: no such device, with the reason; there is no silent fall-back to the CPU.
    """
    if isinstance(device, Device):
        return device
    kind, colon, number = str(device).partition(":")
    if kind not in ("cpu", "sim", "cuda") or (colon and not (number.isascii() and number.isdecimal())) or (kind != "cpu" and not colon):
        raise DeviceError(f"{who}: device must be 'cpu', 'cpu:K', 'sim:K' or 'cuda:K' with K = 0, 1, ..., got {device!r}")
    name = f"{kind}:{int(number)}" if colon else kind  # "sim:00" is "sim:0"
    with _lock:
        if name not in _devices:
            try:
                _devices[name] = _make(kind, name, int(number or 0))
            except DeviceError as error:
                raise DeviceError(f"{who}: {error}") from None
        return _devices[name]


def _make(kind: str, name: str, number: int) -> Device:
    if kind == "cpu":
        return CpuDevice(name, workers=max(1, cores() // 2) if ":" in name else None)
    if kind == "sim":
        from tinyalex.devices.sim import SimDevice

        return SimDevice(number)
    from tinyalex.devices.cuda import CudaDevice

    return CudaDevice(number)
