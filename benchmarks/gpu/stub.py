"""NumPy in the place of CuPy, so that the stages run from end to end on a machine without a card. Its times mean nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

PRELUDE = "from benchmarks.gpu.stub import install; install(); "  # for `python -c`


def install(kernels: bool = False) -> Any:
    """Put the stand-in of the tests into the place of CuPy. It fails where an operation does not wait for another that it needs.

    kernels: whether the kernels run too, in the interpreter of `tinyalex.sim`; where NVRTC is missing the array functions compute.
    """
    import threadpoolctl

    from tests.devices import cupy_stub
    from tinyalex import sim
    from tinyalex.fast.cuda.loader import VARIABLE

    threadpoolctl.threadpool_limits(1, user_api="blas")  # the products are small, and threads would wait for each other
    stub = cupy_stub.install()
    if kernels and sim.why_no_nvrtc() is None:
        stub.RawModule = Interpreted
    else:
        os.environ.setdefault(VARIABLE, "0")
    return stub


class Interpreted:
    """`cupy.RawModule` for the stand-in: a launch is work of the current stream, and the interpreter does it on the arrays' memory."""

    def __init__(self, code: str, options: tuple[str, ...] = ()) -> None:
        from tinyalex import sim

        self.code, self.module = code, sim.RawModule(code=code, options=tuple(options))

    def get_function(self, name: str) -> Callable[..., None]:
        """The kernel of this name."""
        from tests.devices import cupy_stub

        kernel, constant = self.module.get_function(name), constants(self.code, name)

        def launch(grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], shared_mem: int = 0) -> None:
            arrays = {i: value for i, value in enumerate(args) if isinstance(value, cupy_stub.StubArray)}
            assert all(array.card == cupy_stub.card_now() for array in arrays.values()), f"{name}: an array of another card"
            written = [array.memory for i, array in arrays.items() if not constant[i]]
            cupy_stub.stream_now().work([array.memory for array in arrays.values()], written, name)
            kernel(grid, block, tuple(simulated(value) if i in arrays else value for i, value in enumerate(args)), shared_mem=shared_mem)

        return launch


def constants(code: str, name: str) -> list[bool]:
    """For each parameter of a kernel, whether the kernel only reads it."""
    found = re.search(rf"\b{name}\s*\(([^)]*)\)", code)
    assert found is not None
    return ["const" in parameter.split() for parameter in found[1].split(",")]


def simulated(array: Any) -> Any:
    """The same memory as an array of a simulated card."""
    from tinyalex.devices import get_device
    from tinyalex.devices.sim_array import Block, SimArray

    device: Any = get_device(f"sim:{array.card}")
    return SimArray(array.a, device, Block(device, 0))
