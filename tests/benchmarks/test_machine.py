"""What the machine says of itself."""

import numpy as np

from benchmarks import machine
from benchmarks.child import run


def test_peak_rss_is_read_from_the_system(tmp_path):
    status = tmp_path / "status"
    status.write_text("VmPeak:\t 900 kB\nVmHWM:\t  300 kB\n")
    assert machine.peak_rss(str(status)) == 300 * 1024
    assert machine.peak_rss(str(tmp_path / "absent")) is None


def test_forget_peak_asks_the_system_and_bears_that_it_cannot(tmp_path):
    refs = tmp_path / "clear_refs"
    machine.forget_peak(str(refs))
    assert refs.read_text() == "5"
    machine.forget_peak(str(tmp_path / "absent" / "clear_refs"))


def test_cpu_name_is_the_processors_own(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fine Processor\n")
    assert machine.cpu_name(str(info)) == "Fine Processor"
    assert machine.cpu_name(str(tmp_path / "absent"))


def test_sgemm_and_copy_do_their_work():
    for job in (machine.sgemm(8), machine.copy(4096, 2), machine.copy(4096, 3)):
        assert run(job, 2) > 0
    assert np.array_equal(machine.copy(4096, 2).answer()["copy"], np.ones(1024, np.float32))
    assert machine.copy_size(False) > machine.copy_size(True) and machine.sgemm_size(False) > machine.sgemm_size(True)
