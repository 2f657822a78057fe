"""How all tests run: what Hypothesis draws, how many processes share the tests, and how often BLAS is set to one thread."""

import os

import pytest
import threadpoolctl
from hypothesis import settings

from tinyalex.devices.blas import ONE_BLAS_THREAD
from tinyalex.devices.workers import cores

MOST_PROCESSES = 4  # a process takes up to 0.9 GiB, and the one that checks the gradients of the whole net 3.7 GiB

settings.register_profile("tinyalex", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("tinyalex")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """With `-n auto`: a process for each core, but no more than fit into the memory of a laptop."""
    return min(cores(), MOST_PROCESSES)


def pytest_configure(config):
    """Each of several processes has one BLAS thread, as threads that wait for their next product would take cores from the others."""
    if hasattr(config, "workerinput"):
        threadpoolctl.threadpool_limits(1, user_api="blas")


@pytest.fixture
def one_blas_thread():
    """BLAS has one thread for the whole test: to set it at each call of a device takes longer than a small call does."""
    with ONE_BLAS_THREAD.hold():
        yield
