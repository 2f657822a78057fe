"""`tinyalex doctor`: what this machine has, what is missing, and a self-test."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex import Conv2d, __version__
from tinyalex.commands.shared import tell_expected
from tinyalex.devices import get_device
from tinyalex.devices.cards import DOUBLE, describe, wheels, why_no_cuda, why_no_kernel
from tinyalex.devices.workers import VARIABLE, allowed, processors
from tinyalex.errors import DeviceError, TinyalexError
from tinyalex.fast.cuda.loader import VARIABLE as KERNELS, setting
from tinyalex.gradcheck import table
from tinyalex.units import bytes_in_words

HELP = "say what this machine has, what is missing, and how to mend it"
EXAMPLE = "tinyalex doctor --json"

LIBRARIES = ("pillow", "matplotlib", "tqdm", "safetensors", "threadpoolctl")
SLOW_KERNELS = ("Katmai", "Northwood", "Prescott", "Core2")  # the kernels that OpenBLAS chooses for a processor that it does not know
REINSTALL = "install CuPy anew with its toolkit, such as pip install --force-reinstall 'cupy-cuda12x[ctk]'"
INSTALL_NVRTC = "pip install 'tinyalex[kernels]'"
REINSTALL_NVRTC = "pip install --force-reinstall 'tinyalex[kernels]'"
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One fact about the machine.

    topic: what was looked at. found: the fact. remedy: what the user should do, None if there is no problem. failed: whether the
    exit code becomes 1.
    """

    topic: str
    found: str
    remedy: str | None = None
    failed: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the list")


def run(args: argparse.Namespace) -> int:
    """Print all findings. Return 1 if the self-test failed, else 0."""
    tell_expected("looks at this machine and tests the engine", 5)
    findings = []
    for look in (software, hardware, devices, data, disk, self_test):
        for finding in look():
            findings.append(finding)
            if not args.json:
                print(f"{'ok' if finding.remedy is None else 'problem':<8} {finding.topic:<14} {finding.found}")
                if finding.remedy is not None:
                    print(f"{'':<8} {'':<14} -> {finding.remedy}")
    problems, failed = sum(finding.remedy is not None for finding in findings), any(finding.failed for finding in findings)
    if args.json:
        print(json.dumps({"passed": not failed, "problems": problems, "findings": [asdict(finding) for finding in findings]}, indent=1))
    elif failed:
        print("the self-test failed: do not trust results from this machine before it is mended")
    else:
        print("no problems" if problems == 0 else f"{problems} to mend, but the engine works", end="; next: tinyalex gradcheck\n")
    return 1 if failed else 0


def software() -> Iterator[Finding]:
    """The versions of all libraries, and the kernel that BLAS, the matrix library, chose for this processor."""
    yield Finding("tinyalex", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    yield Finding("numpy", np.__version__)
    yield _blas()
    for name in LIBRARIES:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            if name == "safetensors" and sys.platform == "emscripten":
                yield Finding(name, "not installed; in a browser tinyalex reads its format itself")
            else:
                yield Finding(name, "not installed", f"pip install {name}")


def _blas() -> Finding:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return Finding("blas", "unknown without threadpoolctl")

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    if not pools:
        built: Any = np.show_config(mode="dicts")
        name = built.get("Build Dependencies", {}).get("blas", {}).get("name", "none")
        return Finding("blas", f"{name}, whose threads can't be set")
    pool = pools[0]
    kernel = pool.get("architecture", "unknown")
    found = f"{pool['internal_api']} {pool['version']}, kernel {kernel}, {pool['num_threads']} threads"
    if kernel in SLOW_KERNELS:
        return Finding("blas", found, "the kernel is of the year 2006 or before; on a processor with AVX2 set OPENBLAS_CORETYPE=Haswell")
    return Finding("blas", found)


def hardware() -> Iterator[Finding]:
    """Cores and memory."""
    yield Finding("cores", f"{processors()} for this process, {os.cpu_count()} in the machine")
    free = free_memory()
    if free is None:
        yield Finding("memory", "unknown on this system")
    elif free < 2 * GIB:
        yield Finding("memory", f"{free / GIB:.1f} GiB free", "AlexNet needs 2 GiB to train on small batches: end other programs")
    else:
        yield Finding("memory", f"{free / GIB:.1f} GiB free")


def free_memory(meminfo: str = "/proc/meminfo") -> int | None:
    """Bytes of memory that a new program can use; None if the system does not say."""
    try:
        lines = Path(meminfo).read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def devices() -> Iterator[Finding]:
    """The devices that --device accepts here."""
    try:
        limit = allowed()
        yield Finding("device cpu", f"{limit.workers} workers, decided by {limit.by}; {VARIABLE} sets another number")
    except DeviceError as error:
        yield Finding("device cpu", str(error), f"correct {VARIABLE}, or unset it")
    yield Finding("device sim:0", "a simulated GPU of 3 GiB")
    yield from gpus()
    yield kernels()


def kernels() -> Finding:
    """Whether the simulated GPU can compile and run kernels, and whether TINYALEX_KERNELS has a value that it may have."""
    try:
        chosen = setting()
    except TinyalexError as error:
        return Finding("kernels", error.sentence, f"correct {KERNELS}, or unset it")
    device = get_device("sim:0")
    module, x = device.raw_module, device.asarray(np.arange(4, dtype=np.float32))
    if module is None:
        return Finding("kernels", f"the simulated GPU runs none: NVRTC is not installed, or does not load; {INSTALL_NVRTC}")
    try:
        module(code=DOUBLE).get_function("twice")((1,), (4,), (x,))
    except TinyalexError as error:
        return Finding("kernels", error.sentence, REINSTALL_NVRTC, failed=True)
    found = device.to_numpy(x).tolist()
    if found != [0, 2, 4, 6]:
        return Finding("kernels", f"the simulated GPU computes {found} for twice 0, 1, 2, 3", REINSTALL_NVRTC, failed=True)
    return Finding("kernels", f"the simulated GPU compiles and runs one; {KERNELS} is {chosen}")


def gpus() -> Iterator[Finding]:
    """CuPy, the driver, the toolkit and each GPU, on which a kernel is compiled and run. No CuPy is no problem: nothing needs it."""
    reason = why_no_cuda()
    if reason is not None:
        error = DeviceError(f"none: {reason}")
        yield Finding("device cuda:0", error.sentence, error.remedy or REINSTALL) if wheels() else Finding("device cuda:0", str(error))
        return
    about = describe()
    wheel = f" ({about['wheel']})" if about["wheel"] else ""
    versions = f"driver for CUDA {about['driver']}, runtime {about['runtime']}, compiler {about['nvrtc']}"
    yield Finding("cupy", f"{about['cupy']}{wheel}, {versions}")
    for number, card in enumerate(about["cards"]):
        found = f"{card['name']}, {bytes_in_words(card['memory'])}, compute capability {card['capability']}"
        fault = why_no_kernel(number)
        if fault is None:
            yield Finding(f"device {card['device']}", f"{found}; a kernel compiles and runs")
        else:
            yield Finding(f"device {card['device']}", f"{found}; {fault}", REINSTALL)
    if len(about["cards"]) > 1:
        yield Finding("peer access", ", ".join(about["peers"]) or "none: copies between two GPUs go through the memory of the host")


def data() -> Iterator[Finding]:
    """The folders in which data is looked for, and whether CIFAR-10 is there. No file is read."""
    from tinyalex.data.cifar10 import find_cifar10
    from tinyalex.data.find import default_data_folder

    named, default = os.path.expanduser(os.environ.get("TINYALEX_DATA", "")), default_data_folder()
    if named and not Path(named).is_dir():
        yield Finding("data", f"TINYALEX_DATA names {named}, which is no folder", "correct TINYALEX_DATA, or unset it")
        return
    folders = [Path(named), default] if named else [default]
    found = next(filter(None, map(find_cifar10, folders)), None)
    searched = " and ".join(map(str, folders))
    yield Finding("data", f"CIFAR-10 in {found}" if found else f"synthetic only; no CIFAR-10 in {searched} (tinyalex data cifar10 gets it)")


def disk() -> Iterator[Finding]:
    """The free space of the current folder, in which runs are written."""
    free = shutil.disk_usage(".").free
    found = f"{free / GIB:.1f} GiB free in {Path.cwd()}"
    yield Finding("disk", found, "a checkpoint of AlexNet takes 0.5 GiB: make room, or run elsewhere" if free < GIB else None)


def self_test() -> Iterator[Finding]:
    """The first gradient check of every layer on each kind of device that is there; the speed of a convolution and of a matrix product."""
    first = list({case.layer: case for case in reversed(table.CASES) if case.layer != "network"}.values())
    for name in ("cpu", "sim:0", *(["cuda:0"] if why_no_cuda() is None else [])):
        try:
            device = get_device(name)
            checks = [(case, check) for case in first for check in case.run(device)]
        except ImportError as error:
            yield Finding("self-test", f"not run: {error}", "pip install --force-reinstall tinyalex", failed=True)
            return
        except TinyalexError as error:
            yield Finding("self-test", f"not run: {error}", "mend the device first", failed=True)
            return
        wrong = [f"{case.layer} {check.what}" for case, check in checks if not check.passed]
        worst = max(check.error for _, check in checks)
        found = f"gradients on {name}: {len(first)} layers, worst error {worst:.1e}"
        if wrong:
            remedy = f"run tinyalex gradcheck --device {name} to see where; then reinstall tinyalex and NumPy"
            yield Finding("self-test", f"{found}, wrong: {', '.join(wrong)}", remedy, failed=True)
        else:
            yield Finding("self-test", found)
    yield Finding("speed", f"conv2 of AlexNet {conv_rate():.0f} GFLOP/s, plain matrix product {matmul_rate():.0f} GFLOP/s")


def conv_rate(n: int = 16) -> float:
    """GFLOP/s of the forward pass of conv2 on n images, on all cores; a multiplication and an addition count as two operations."""
    conv2 = Conv2d(96, 256, 5, padding=2, groups=2, rng=np.random.default_rng(0), name="conv2")
    x = np.ones((n, 96, 27, 27), np.float32)
    flops = 2 * n * 27 * 27 * conv2.params["weight"].size
    return flops / 1e9 / best_time(lambda: conv2.forward(x))


def matmul_rate(size: int = 1536) -> float:
    """GFLOP/s of the product of two square matrices, on as many threads as BLAS uses by default."""
    a = np.ones((size, size), np.float32)
    return 2 * size**3 / 1e9 / best_time(lambda: a @ a)


def best_time(work: Callable[[], Any], rounds: int = 3) -> float:
    """Seconds of the fastest of `rounds` calls of `work`, after one call to warm up."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])
