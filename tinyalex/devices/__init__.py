"""Devices by name: "cpu", "cpu:1", "sim:0", "cuda:0"."""

from __future__ import annotations

import threading
import weakref
from collections import deque

from tinyalex.devices.base import KINDS, NEW_ARRAYS, Array, Device, Scratch, Transfer
from tinyalex.devices.cpu import CpuDevice
from tinyalex.devices.workers import cores
from tinyalex.errors import DeviceError, did_you_mean

__all__ = ["NEW_ARRAYS", "Array", "CpuDevice", "Device", "Scratch", "Transfer", "get_device"]

KEPT = 16  # devices that are kept, with their threads and memory, although no object uses them
_devices: weakref.WeakValueDictionary[str, Device] = weakref.WeakValueDictionary()
_latest: deque[Device] = deque(maxlen=KEPT)  # the devices that were asked for last, the newest at the end
_lock = threading.Lock()


def get_device(device: str | Device = "cpu", who: str = "get_device") -> Device:
    """The device called `device`. Every call with the same name returns the same object, whose workers and memory are shared.

    "cpu" uses all cores (`tinyalex.devices.workers` counts them); "cpu:0", "cpu:1", ... use half of the cores each. "sim:0",
    "sim:1", ... are simulated GPUs of 3 GiB. "cuda:0", ... are GPUs that are used through CuPy. For another number of workers
    or bytes of memory, make a `CpuDevice` or `SimDevice` and pass it instead of a name. Errors begin with `who`. The last 16
    devices are kept, with their threads and memory, although no object uses them.

    Raises
    ------
    DeviceError: there is no such device, with the reason. The CPU is never used in its place.
    """
    if isinstance(device, Device):
        return device
    kind, colon, number = str(device).partition(":")
    if kind not in KINDS or (colon and not (number.isascii() and number.isdecimal())) or (kind != "cpu" and not colon):
        rule = f"{who}: device must be 'cpu', 'cpu:K', 'sim:K' or 'cuda:K' with K = 0, 1, ..., got {device!r}"
        raise DeviceError(rule, did_you_mean(str(device).casefold().replace("gpu", "cuda"), ("cpu", "cpu:0", "sim:0", "cuda:0")))
    name = f"{kind}:{int(number)}" if colon else kind  # "sim:00" is "sim:0"
    with _lock:
        made = _devices.get(name)
        if made is None:
            try:
                made = _make(kind, name, int(number or 0))
            except DeviceError as error:
                raise DeviceError(f"{who}: {error}") from None
            made.made_by_name = True
            _devices[name] = made
        if made in _latest:
            _latest.remove(made)
        _latest.append(made)
        return made


def _make(kind: str, name: str, number: int) -> Device:
    if kind == "cpu":
        return CpuDevice(name, workers=max(1, cores() // 2) if ":" in name else None)
    if kind == "sim":
        from tinyalex.devices.sim import SimDevice

        return SimDevice(number)
    from tinyalex.devices.cuda import CudaDevice

    return CudaDevice(number)
