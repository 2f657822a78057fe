"""A simulated card that runs CUDA kernels without a card: NVRTC's wheel compiles them, NumPy runs them.

`RawModule` and `RawKernel` have CuPy's calls. What a real card leaves undefined is an error with the line of the source and the
thread: an access outside of an array, a race, a barrier that not all threads reach. docs/SIM.md shows it.
"""

from tinyalex.devices.sim import SimDevice
from tinyalex.errors import CompileError, KernelError
from tinyalex.sim.module import RawKernel, RawModule
from tinyalex.sim.nvrtc import available, compile_cubin, compile_ptx, why_no_nvrtc
from tinyalex.sim.ptx.count import Profile
from tinyalex.sim.settings import profile, races

__all__ = [
    "CompileError",
    "KernelError",
    "Profile",
    "RawKernel",
    "RawModule",
    "SimDevice",
    "available",
    "compile_cubin",
    "compile_ptx",
    "profile",
    "races",
    "why_no_nvrtc",
]
