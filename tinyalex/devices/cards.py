"""What is known of the GPUs of this machine: whether CuPy can use them, and if not, why. `tinyalex doctor` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

WHEELS = ("cupy-cuda12x", "cupy-cuda13x", "cupy-cuda11x", "cupy")  # each installs the package `cupy`, so two spoil each other
INSTALL = "pip install 'tinyalex[cuda12]'"
DOUBLE = "extern \"C\" __global__ void twice(float* x) { x[threadIdx.x] *= 2; }"


def wheels() -> dict[str, str]:
    """The packages of CuPy that are installed, each with its version."""
    found = {}
    for name in WHEELS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def why_no_cuda() -> str | None:
    """The reason why no CUDA device can be used here, with the remedy; None if one can be used."""
    installed = wheels()
    if len(installed) > 1:
        names = " ".join(installed)
        return f"two packages have written the same files, {' and '.join(installed)}; pip uninstall -y {names}, then {INSTALL}"
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            return f"CuPy does not import: {error}"
        return f"cupy is not installed; {INSTALL}"
    except ImportError as error:  # installed, but one of its libraries does not load
        return f"CuPy does not import: {error}"
    if cupy.is_available():
        return _without_compiler(cupy, next(iter(installed), "cupy-cuda12x"))
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:  # CUDARuntimeError is one
        return _without_driver(cupy, error)
    return f"CuPy finds {count} GPUs and can use none"


def _without_driver(cupy: Any, error: RuntimeError) -> str:
    """CuPy gives one error for no driver and for an old one; the driver's own number tells them apart."""
    driver = _number(cupy.cuda.runtime.driverGetVersion)
    if driver:
        needs = _number(cupy.cuda.runtime.runtimeGetVersion)
        use = "install a newer driver, or a CuPy for an older CUDA"
        return f"the driver knows CUDA {_shown(driver)}, and this CuPy needs CUDA {_shown(needs)}; {use} (CuPy: {error})"
    return f"CuPy finds no driver; install NVIDIA's driver, and see that `nvidia-smi` lists a GPU (CuPy: {error})"


def _without_compiler(cupy: Any, wheel: str) -> str | None:
    try:
        cupy.cuda.nvrtc.getVersion()
    except Exception as error:  # its class is of another package, cuda-pathfinder
        first = str(error).strip().partition("\n")[0]
        return f"CuPy finds no toolkit, whose compiler makes its kernels; pip install '{wheel}[ctk]' (CuPy: {first})"
    return None


def _number(ask: Any) -> int:
    try:
        return int(ask())
    except Exception:  # whatever this machine's libraries raise: the number is not known
        return 0


def _shown(number: int) -> str:
    """A version of CUDA: 12090 is 12.9."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else "unknown"


def describe() -> dict[str, Any]:
    """All that can be said in JSON about CuPy, the driver, the toolkit and the GPUs. There must be a GPU, see `why_no_cuda`."""
    import cupy

    runtime = cupy.cuda.runtime
    major, minor = cupy.cuda.nvrtc.getVersion()
    return {
        "cupy": cupy.__version__,
        "wheel": next(iter(wheels()), None),
        "driver": _shown(_number(runtime.driverGetVersion)),
        "runtime": _shown(_number(runtime.runtimeGetVersion)),
        "nvrtc": f"{major}.{minor}",
        "cards": [_card(runtime, number) for number in range(runtime.getDeviceCount())],
        "peers": [f"cuda:{a} reads cuda:{b}" for a, b in _pairs(runtime) if runtime.deviceCanAccessPeer(a, b)],
    }


def _card(runtime: Any, number: int) -> dict[str, Any]:
    about = runtime.getDeviceProperties(number)
    name = about["name"]
    return {
        "device": f"cuda:{number}",
        "name": name.decode() if isinstance(name, bytes) else str(name),
        "capability": f"{about['major']}.{about['minor']}",
        "memory": int(about["totalGlobalMem"]),
        "multiprocessors": int(about["multiProcessorCount"]),
    }


def _pairs(runtime: Any) -> Iterator[tuple[int, int]]:
    numbers = range(runtime.getDeviceCount())
    return ((a, b) for a in numbers for b in numbers if a != b)


def why_no_kernel(number: int) -> str | None:
    """Compile a kernel, run it and multiply two matrices on GPU `number`. The reason why one of them fails; None if they work."""
    import cupy

    part = "a kernel must compile"
    try:
        with cupy.cuda.Device(number):
            kernel = cupy.RawModule(code=DOUBLE).get_function("twice")
            part = "a kernel must run"
            x = cupy.asarray(np.arange(4, dtype=np.float32))
            kernel((1,), (4,), (x,))
            if cupy.asnumpy(x).tolist() != [0, 2, 4, 6]:
                return f"{part}, got {cupy.asnumpy(x).tolist()} for twice 0, 1, 2, 3"
            part = "cuBLAS must multiply"
            product = cupy.asnumpy(cupy.matmul(x.reshape(2, 2), x.reshape(2, 2)))
            if product.tolist() != [[8, 12], [24, 44]]:
                return f"{part}, got {product.tolist()} for a product of two matrices"
    except Exception as error:  # the many classes of CuPy, its compiler and its libraries
        first = str(error).strip().partition("\n")[0]
        return f"{part}, got {type(error).__name__}: {first}"
    return None
