"""NumPy in the place of CuPy, so that the stages run from end to end on a machine without a card. Its times mean nothing."""

from __future__ import annotations

import sys
from typing import Any

PRELUDE = "from benchmarks.gpu.stub import install; install(); "  # for `python -c`


def install() -> Any:
    """Put the stand-in of the tests into the place of CuPy, with every function of NumPy and two cards."""
    import numpy as np
    import threadpoolctl

    from tests.devices.test_cuda import make_cupy
    from tests.devices.test_cuda_towers import OneCard

    threadpoolctl.threadpool_limits(1, user_api="blas")  # the products are small, and threads would wait for each other
    stub = make_cupy()
    stub.free = 1 << 32

    def other(name: str) -> Any:
        value = getattr(np, name)
        return OneCard(value) if callable(value) and not isinstance(value, type) else value

    floats = stub.empty
    stub.empty = lambda shape, dtype=float: (floats if np.dtype(dtype).kind == "f" else stub.zeros)(shape, dtype)
    stub.__getattr__ = other
    for name in ("add", "matmul", "multiply"):
        setattr(stub, name, OneCard(getattr(np, name)))
    sys.modules["cupy"] = stub
    return stub
