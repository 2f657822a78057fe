"""How many workers there are by default: the variable that is meant for it, else the least that anybody allows."""

import os
import re

import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex import devices
from tinyalex.devices import workers as module
from tinyalex.devices.workers import Allowed, allowed, cores, cpu_quota, processors


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine of 8 processors without a quota; no variable is set."""
    for variable in (module.VARIABLE, *module.OTHER_VARIABLES):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(module, "processors", lambda: 8)
    monkeypatch.setattr(module, "cpu_quota", lambda: None)


def test_processors_decide_where_nothing_else_is_set():
    assert allowed() == Allowed(8, "the processors this process may use") and cores() == 8


def test_more_processors_than_workers_can_be_are_not_all_used(monkeypatch):
    monkeypatch.setattr(module, "processors", lambda: 5000)
    assert cores() == 1024


@pytest.mark.parametrize("number", [1, 3, 64, 1024])
def test_variable_decides_alone_and_may_be_more_than_the_processors(monkeypatch, number):
    monkeypatch.setattr(module, "cpu_quota", lambda: 2.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TINYALEX_WORKERS", f" {number} ")
    assert allowed() == Allowed(number, "TINYALEX_WORKERS")
    assert ta.CpuDevice().workers == number and ta.CpuDevice(workers=5).workers == 5


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1025", "99999999999", "٣"])
def test_bad_variable_raises(monkeypatch, value):
    monkeypatch.setenv("TINYALEX_WORKERS", value)
    with refuses(ta.DeviceError, f"cpu: TINYALEX_WORKERS must be an integer from 1 to 1,024, got {value!r}; correct it or unset it"):
        ta.CpuDevice()
    assert ta.CpuDevice(workers=2).workers == 2


def test_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("TINYALEX_WORKERS", " ")
    assert cores() == 8


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "PYTHON_CPU_COUNT"])
@pytest.mark.parametrize(
    "value, workers", [("3", 3), ("3,2,1", 3), ("1", 1), ("8", 8), ("12", 8), ("0", 8), ("", 8), ("default", 8), ("-2", 8), ("2.5", 8)]
)
def test_other_variables_only_lessen(monkeypatch, variable, value, workers):
    monkeypatch.setenv(variable, value)
    assert allowed() == Allowed(workers, variable if workers < 8 else "the processors this process may use")


def test_the_least_decides_and_of_equal_ones_the_first(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("PYTHON_CPU_COUNT", "4")
    assert allowed().by == "OMP_NUM_THREADS"
    monkeypatch.setenv("PYTHON_CPU_COUNT", "3")
    assert allowed() == Allowed(3, "PYTHON_CPU_COUNT")
    monkeypatch.setattr(module, "cpu_quota", lambda: 2.5)
    assert allowed() == Allowed(3, "the container's quota of 2.5 CPUs")


@pytest.mark.parametrize("quota, workers", [(0.3, 1), (1.0, 1), (1.5, 2), (7.99, 8), (100.0, 8)])
def test_a_quota_is_rounded_up(monkeypatch, quota, workers):
    monkeypatch.setattr(module, "cpu_quota", lambda: quota)
    assert cores() == workers


def groups(folder, own, files):
    """Control groups as the system shows them: the file that names this process's, and the files in the groups' folders."""
    (folder / "own").write_text(own)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return cpu_quota(folder, folder / "own")


@pytest.mark.parametrize(
    "own, files, quota",
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "2 1\n"}, 2),
        ("0::/\n", {"cpu.max": "0 100000\n"}, None),  # no process could run
        ("0::/\n", {}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "200000 100000\n", "cpu.max": "max 100000\n"}, 2),
        ("0::/docker/0123\n", {"cpu.max": "50000 100000\n"}, 0.5),  # the container sees its own group as the root
        ("0::/\n", {"cpu.max": "garbage\n"}, None),
        ("5:cpu,cpuacct:/a\n4:memory:/b\n0::/\n", {"cpu/a/cpu.cfs_quota_us": "300000", "cpu/a/cpu.cfs_period_us": "100000"}, 3),
        ("5:cpu,cpuacct:/a\n", {"cpu,cpuacct/a/cpu.cfs_quota_us": "50000", "cpu,cpuacct/a/cpu.cfs_period_us": "200000"}, 0.25),
        ("5:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("4:memory:/\n3:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("1:cpu:/\n0::/a\n", {"unified/a/cpu.max": "100000 100000\n"}, 1),  # both versions at once
    ],
)
def test_quota_is_the_least_of_the_groups_around_the_process(tmp_path, own, files, quota):
    assert groups(tmp_path, own, files) == quota


def test_no_control_groups_are_no_quota(tmp_path):
    assert cpu_quota(tmp_path, tmp_path / "none") is None


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_processors_are_those_of_the_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7})
    assert processors() == 3


@pytest.mark.parametrize("count, expected", [(6, 6), (None, 1)])
def test_processors_of_a_system_without_affinity_are_those_it_counts(monkeypatch, count, expected):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert processors() == expected


@pytest.mark.parametrize("processors, whole, half", [(8, 8, 4), (3, 3, 1), (1, 1, 1)])
def test_a_numbered_cpu_has_half_of_the_cores(monkeypatch, processors, whole, half):
    monkeypatch.setattr(module, "processors", lambda: processors)
    assert [devices._make("cpu", name, 0).workers for name in ("cpu", "cpu:0", "cpu:1")] == [whole, half, half]


def test_every_rule_of_the_page_is_a_name_in_the_code():
    named = set(re.findall(r"`([A-Z_]+)`", module.__doc__))
    assert named == {module.VARIABLE, *module.OTHER_VARIABLES}
