"""`tinyalex doctor`."""

from __future__ import annotations

import json
import shutil
import sys
import types

import pytest

from tests.devices import cupy_stub
from tests.sim.ptx_text import needs_nvrtc
from tinyalex import cli
from tinyalex.commands import doctor
from tinyalex.devices.blas import OneBlasThread
from tinyalex.devices.sim import SimDevice
from tinyalex.errors import CompileError
from tinyalex.gradcheck import compare, table
from tinyalex.gradcheck.builders import Case, rng

GIB = 2**30
BEST_TIME = doctor.best_time  # as shipped


@pytest.fixture(autouse=True)
def no_timing(monkeypatch):
    monkeypatch.setattr(doctor, "best_time", lambda work: work() is None or 0.1)


def found(look):
    return {finding.topic: finding for finding in look()}


def test_tells_what_is_there_and_exits_0_without_a_gpu(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "why_no_cuda", lambda: "cupy is not installed; pip install 'tinyalex[cuda12]'")
    assert cli.main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == "looks at this machine and tests the engine; about 5 s\n"
    for topic in ("tinyalex", "numpy", "blas", "cores", "memory", "device cpu", "device sim:0", "data", "disk", "self-test", "speed"):
        assert f" {topic} " in out
    assert "ok       device cuda:0  none: cupy is not installed; pip install 'tinyalex[cuda12]'" in out
    assert out.endswith("next: tinyalex gradcheck\n")


def test_json_is_one_document(capsys):
    assert cli.main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is True
    assert document["problems"] == sum(finding["remedy"] is not None for finding in document["findings"])
    assert {"topic", "found", "remedy", "failed"} == set(document["findings"][0])


def test_failed_self_test_exits_1(capsys, monkeypatch):
    case = Case("ReLU", "broken", lambda device, classes: [compare("x", rng().random(3), rng(1).random(3))])
    monkeypatch.setattr(table, "CASES", (case, *table.CASES[1:]))
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "wrong: ReLU x" in out and "-> run tinyalex gradcheck --device cpu" in out
    assert out.endswith("the self-test failed: do not trust results from this machine before it is mended\n")


@pytest.fixture
def cupy(monkeypatch):
    """Two GPUs of a stand-in for CuPy."""
    monkeypatch.setenv("TINYALEX_KERNELS", "0")
    yield cupy_stub.install(room=80 * GIB)
    cupy_stub.remove()


def test_gpus_are_named_with_all_that_matters_and_their_gradients_are_checked(cupy, monkeypatch, capsys):
    monkeypatch.setattr("tinyalex.devices.cards.wheels", lambda: {"cupy-cuda12x": "14.2.0"})
    monkeypatch.setattr("tinyalex.devices._devices", {})
    relu = [case for case in table.CASES if case.layer == "ReLU"]
    monkeypatch.setattr(table, "CASES", relu)
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "ok       cupy           14.2.0 (cupy-cuda12x), driver for CUDA 13.1, runtime 12.9, compiler 12.9\n" in out
    for number in range(2):
        line = f"ok       device cuda:{number}  NVIDIA Stand-in, 80.00 GiB, compute capability 9.0; a kernel compiles and runs\n"
        assert line in out
    assert "ok       peer access    cuda:0 reads cuda:1, cuda:1 reads cuda:0\n" in out
    assert "ok       self-test      gradients on cuda:0: 1 layers, worst error " in out


def test_gpus_that_do_not_read_each_other_copy_through_the_host(cupy):
    cupy.cuda.runtime.deviceCanAccessPeer = lambda a, b: 0
    assert found(doctor.gpus)["peer access"].found == "none: copies between two GPUs go through the memory of the host"
    cupy.cuda.runtime.getDeviceCount = lambda: 1
    assert set(found(doctor.gpus)) == {"cupy", "device cuda:0"} and found(doctor.gpus)["cupy"].found.startswith("14.2.0, driver")


def raises(error):
    def raising(*args, **keywords):
        raise error

    return raising


def test_gpu_on_which_a_kernel_fails_is_a_problem(cupy):
    cupy.matmul = raises(ImportError("libcublas"))
    finding = found(doctor.gpus)["device cuda:0"]
    assert finding.found.endswith("compute capability 9.0; cuBLAS must multiply, got ImportError: libcublas")
    assert finding.remedy == "install CuPy anew with its toolkit, such as pip install --force-reinstall 'cupy-cuda12x[ctk]'"


@pytest.mark.parametrize(
    "reason, found_text, remedy",
    [
        ("CuPy finds no driver; install NVIDIA's driver (CuPy: why)", "none: CuPy finds no driver", "install NVIDIA's driver (CuPy: why)"),
        ("CuPy finds 0 GPUs and can use none", "none: CuPy finds 0 GPUs and can use none", doctor.REINSTALL),
    ],
)
def test_cupy_that_can_use_no_gpu_is_a_problem_and_no_cupy_is_none(monkeypatch, reason, found_text, remedy):
    monkeypatch.setattr(doctor, "why_no_cuda", lambda: reason)
    monkeypatch.setattr(doctor, "wheels", lambda: {"cupy-cuda12x": "14.2.0"})
    assert found(doctor.gpus) == {"device cuda:0": doctor.Finding("device cuda:0", found_text, remedy)}
    monkeypatch.setattr(doctor, "wheels", dict)
    assert found(doctor.gpus) == {"device cuda:0": doctor.Finding("device cuda:0", f"none: {reason}")}


def test_kernels_on_the_simulated_gpu_are_tried(monkeypatch):
    monkeypatch.delenv("TINYALEX_KERNELS", raising=False)
    module = None
    monkeypatch.setattr(SimDevice, "raw_module", property(lambda self: module))
    missing = "the simulated GPU runs none: NVRTC is not installed, or does not load; pip install 'tinyalex[kernels]'"
    assert doctor.kernels() == doctor.Finding("kernels", missing)
    module = raises(CompileError("kernel.cu: the kernels must compile, got no log"))
    assert doctor.kernels() == doctor.Finding("kernels", "kernel.cu: the kernels must compile, got no log", doctor.REINSTALL_NVRTC, True)
    for by, failed in ((2, False), (3, True)):
        twice = types.SimpleNamespace(get_function=lambda name, by=by: lambda grid, block, args: args[0].__imul__(by))
        module = lambda code, twice=twice: twice  # noqa: E731
        finding, words = doctor.kernels(), "for twice 0, 1, 2, 3" if failed else "runs one; TINYALEX_KERNELS is auto"
        assert finding.failed == failed and finding.found.endswith(words)


@needs_nvrtc
def test_the_kernel_that_is_tried_runs():
    assert doctor.kernels().remedy is None and "compiles and runs one" in doctor.kernels().found


def test_a_wrong_setting_of_the_kernels_is_a_problem_and_not_the_end(monkeypatch, capsys):
    monkeypatch.setenv("TINYALEX_KERNELS", "2")
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "problem  kernels        kernels: TINYALEX_KERNELS must be 0, auto or 1, got '2'" in out
    assert "-> correct TINYALEX_KERNELS, or unset it" in out and "not run: kernels: TINYALEX_KERNELS must be" in out


def test_what_decided_the_workers_is_named(monkeypatch):
    monkeypatch.setenv("TINYALEX_WORKERS", "3")
    finding = found(doctor.devices)["device cpu"]
    assert finding.found == "3 workers, decided by TINYALEX_WORKERS; TINYALEX_WORKERS sets another number" and finding.remedy is None
    monkeypatch.delenv("TINYALEX_WORKERS")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("tinyalex.devices.workers.processors", lambda: 8)
    monkeypatch.setattr("tinyalex.devices.workers.cpu_quota", lambda: None)
    assert found(doctor.devices)["device cpu"].found.startswith("1 workers, decided by OMP_NUM_THREADS;")


def test_bad_number_of_workers_is_reported_and_exits_1(monkeypatch, capsys):
    monkeypatch.setenv("TINYALEX_WORKERS", "many")
    monkeypatch.setattr("tinyalex.devices._devices", {})
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "TINYALEX_WORKERS must be an integer from 1 to 1,024, got 'many'" in out and "-> correct TINYALEX_WORKERS, or unset it" in out
    assert "not run: get_device: cpu: TINYALEX_WORKERS" in out


def test_missing_library_has_a_remedy(monkeypatch):
    monkeypatch.setattr(doctor, "LIBRARIES", ("no-such-library",))
    assert found(doctor.software)["no-such-library"] == doctor.Finding("no-such-library", "not installed", "pip install no-such-library")


@pytest.mark.parametrize("platform, remedy", [("emscripten", None), ("linux", "pip install safetensors")])
def test_safetensors_is_missed_only_outside_of_a_browser(monkeypatch, platform, remedy):
    def version(name):
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor.sys, "platform", platform)
    assert found(doctor.software)["safetensors"].remedy == remedy


@pytest.mark.parametrize(("kernel", "mended"), [("Prescott", False), ("SkylakeX", True)])
def test_kernel_for_an_unknown_processor_is_a_problem(monkeypatch, kernel, mended):
    pool = {"user_api": "blas", "internal_api": "openblas", "version": "0.3", "architecture": kernel, "num_threads": 2}
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: [{"user_api": "openmp"}, pool])
    finding = found(doctor.software)["blas"]
    assert finding.found == f"openblas 0.3, kernel {kernel}, 2 threads"
    assert (finding.remedy is None) == mended


def test_blas_that_tells_nothing_is_named_from_the_build(monkeypatch):
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: [])
    assert "whose threads can't be set" in found(doctor.software)["blas"].found


@pytest.mark.parametrize(("free", "text", "mended"), [(None, "unknown", True), (GIB, "1.0 GiB", False), (4 * GIB, "4.0 GiB", True)])
def test_little_memory_is_a_problem(monkeypatch, free, text, mended):
    monkeypatch.setattr(doctor, "free_memory", lambda: free)
    finding = found(doctor.hardware)["memory"]
    assert finding.found.startswith(text) and (finding.remedy is None) == mended


def test_free_memory_is_what_the_system_calls_available(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9 kB\nMemAvailable:    2048 kB\n")
    assert doctor.free_memory(str(meminfo)) == 2 << 20
    assert doctor.free_memory(str(tmp_path / "none")) is None


def test_full_disk_has_a_remedy(monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=GIB // 2))
    assert found(doctor.disk)["disk"].remedy is not None


def test_data_folder_that_does_not_exist_has_a_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYALEX_DATA", str(tmp_path / "none"))
    assert found(doctor.data)["data"].remedy == "correct TINYALEX_DATA, or unset it"


def test_folders_searched_for_data_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYALEX_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    finding = found(doctor.data)["data"]
    assert finding.remedy is None and f"no CIFAR-10 in {tmp_path} and {tmp_path / 'cache' / 'tinyalex'}" in finding.found


def test_data_that_is_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYALEX_DATA", str(tmp_path))
    monkeypatch.setattr("tinyalex.data.cifar10.find_cifar10", lambda folder: folder / "cifar-10-batches-bin")
    assert found(doctor.data)["data"].found == f"CIFAR-10 in {tmp_path / 'cifar-10-batches-bin'}"


def test_library_that_is_missing_is_reported(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr("tinyalex.devices.cpu.ONE_BLAS_THREAD", OneBlasThread())
    assert cli.main(["doctor"]) == 1
    assert "not run: import of threadpoolctl halted" in capsys.readouterr().out


def test_time_is_the_fastest_of_three_rounds_after_one_that_warms_up(monkeypatch):
    clock = iter([0.0, 0.1, 1.0, 3.0, 4.0, 4.5, 5.0, 8.0])  # rounds of 0.1, 2, 0.5 and 3 seconds
    monkeypatch.setattr(doctor.time, "perf_counter", lambda: next(clock))
    assert BEST_TIME(lambda: None) == 0.5
    assert next(clock, None) is None


def test_speed_counts_a_multiplication_and_an_addition_as_two():
    assert doctor.matmul_rate(100) == 2 * 100**3 / 1e9 / 0.1  # each call takes 0.1 s here
    assert doctor.conv_rate(1) == 2 * 27 * 27 * 256 * 48 * 25 / 1e9 / 0.1


@pytest.mark.parametrize(("problems", "last"), [(0, "no problems"), (1, "1 to mend, but the engine works"), (2, "2 to mend, but the")])
def test_last_line_counts_what_is_to_mend(problems, last, monkeypatch, capsys):
    for look in ("software", "hardware", "devices", "data", "self_test"):
        monkeypatch.setattr(doctor, look, lambda: iter([doctor.Finding("fine", "there")]))
    monkeypatch.setattr(doctor, "disk", lambda: iter([doctor.Finding("bad", "gone", "mend it")] * problems))
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(last)
