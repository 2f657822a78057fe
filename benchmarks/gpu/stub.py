"""NumPy in the place of CuPy, so that the stages run from end to end on a machine without a card. Its times mean nothing."""

from __future__ import annotations

import os
from typing import Any

PRELUDE = "from benchmarks.gpu.stub import install; install(); "  # for `python -c`


def install() -> Any:
    """Put the stand-in of the tests into the place of CuPy. It fails where an operation does not wait for another that it needs."""
    import threadpoolctl

    from tests.devices import cupy_stub
    from tinyalex.fast.cuda.loader import VARIABLE

    os.environ.setdefault(VARIABLE, "0")  # NumPy runs no kernels
    threadpoolctl.threadpool_limits(1, user_api="blas")  # the products are small, and threads would wait for each other
    return cupy_stub.install()
