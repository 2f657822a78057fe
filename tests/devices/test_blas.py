"""Every product of every layer is made by one BLAS thread: several would wait for the next one without sleeping, and take a core."""

import threading

import numpy as np
import pytest
import threadpoolctl

import tinyalex as ta
from tests.contract import ROWS
from tinyalex.devices.blas import ONE_BLAS_THREAD, OneBlasThread, Use

PRODUCTS = ("dot", "matmul")


@pytest.fixture
def threads_of_products(monkeypatch):
    """A list of (product, its BLAS threads), filled as layers call NumPy, which has two threads outside."""
    seen, blas = [], threadpoolctl.ThreadpoolController().select(user_api="blas")

    def watched(name, product):
        def call(*operands, **keywords):
            seen.extend((name, library["num_threads"]) for library in blas.info())
            return product(*operands, **keywords)

        return call

    for name in PRODUCTS:
        monkeypatch.setattr(np, name, watched(name, getattr(np, name)))
    with blas.limit(limits=2):
        yield seen


def there_and_back(layer, x):
    out = layer.forward(x, train=True)
    layer.backward(np.ones_like(out))


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.parametrize("n", [1, 19])
def test_layers_multiply_on_one_blas_thread(threads_of_products, row, n):
    layer, x = row.build(device=ta.CpuDevice(workers=2)), row.x(n)
    there_and_back(layer, x)
    layer.freeze()
    layer.forward(x)
    assert {threads for _, threads in threads_of_products} <= {1}
    averages = isinstance(layer, ta.AvgPool2d) and layer.algorithm != "plain"  # which adds
    matrices = any(array.ndim > 1 for array in layer.params.values())  # normalization has a number for each channel, and no product
    multiplies = matrices or averages or isinstance(layer, ta.SpatialResponseNorm)
    assert threads_of_products or not multiplies


@pytest.mark.parametrize("n", [1, 32])
def test_winograd_multiplies_on_one_blas_thread(threads_of_products, n):
    conv = ta.Conv2d(16, 16, 3, padding=1, rng=np.random.default_rng(0), algorithm="winograd", device=ta.CpuDevice(workers=2))
    there_and_back(conv, np.ones((n, 16, 13, 13), np.float32))
    assert {threads for _, threads in threads_of_products} == {1}


def test_the_callers_blas_threads_are_back_after_a_pass(threads_of_products):
    net = ta.Sequential([ta.Linear(4, 3, rng=np.random.default_rng(0), device=ta.CpuDevice(workers=2))])
    there_and_back(net, np.ones((2, 4), np.float32))
    np.dot(np.ones(2), np.ones(2))
    assert threads_of_products[-1] == ("dot", 2) and ("dot", 1) in threads_of_products


@pytest.fixture
def blas():
    """BLAS on two threads: a function that tells how many it has."""
    controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
    with controller.limit(limits=2):
        yield lambda: {library["num_threads"] for library in controller.info()}


def test_an_exit_that_ctrl_c_kept_from_running_is_made_up_for(blas, monkeypatch):
    device, exit_ = ta.CpuDevice(workers=2), Use.__exit__

    def interrupted(use, *error):
        monkeypatch.setattr(Use, "__exit__", exit_)
        raise KeyboardInterrupt

    monkeypatch.setattr(Use, "__exit__", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:  # it holds the frames, as a notebook does
        device.map_blocks(lambda rows, scratch: None, 4, size=1)
    with device.activate(), device.activate():
        assert blas() == {1}
    assert blas() == {2} and caught.value is not None and ONE_BLAS_THREAD._uses == []


def test_another_thread_may_set_blas_after_a_use(blas):
    used, done = threading.Event(), threading.Event()

    def elsewhere():
        with ONE_BLAS_THREAD.hold():
            pass
        used.set()
        done.wait(30)  # a thread that has ended is in nobody's way

    thread = threading.Thread(target=elsewhere)
    thread.start()
    assert used.wait(30)
    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        found = blas()
    done.set()
    thread.join()
    assert found == {1} and blas() == {2}


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("before", [True, False])
def test_ctrl_c_while_blas_is_set_loses_nothing(blas, monkeypatch, number, before):
    one, calls = OneBlasThread(), []
    with one.hold():
        (library, *_) = one._libraries
    set_num_threads = library.set_num_threads

    def interrupted(threads):
        calls.append(threads)
        if len(calls) == number + 1 and before:
            raise KeyboardInterrupt
        set_num_threads(threads)
        if len(calls) == number + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(library, "set_num_threads", interrupted)
    for _ in range(4):
        try:
            with one.hold():
                assert blas() == {1}
        except KeyboardInterrupt:
            continue
        assert blas() == {2}
    assert len(calls) > number and blas() == {2}


def test_a_forked_child_gets_an_open_lock_and_forgets_other_threads(blas):
    one = OneBlasThread()
    with one.hold():
        other = Use(one)
        other.thread = -1
        one._uses.append(other)
        closed = one._lock
        closed.acquire()
        one.after_fork()
        opened = one._lock is not closed
        closed.release()
        assert opened and other not in one._uses and blas() == {1}
    assert blas() == {2}
    one._uses.append(other)
    one.after_fork()
    assert one._uses == [] and blas() == {2}


def test_uses_of_other_threads_and_of_suspended_generators_go_on(blas):
    def batches():
        with ONE_BLAS_THREAD.hold():
            yield blas()
            yield blas()

    def here():
        with ONE_BLAS_THREAD.hold():
            assert blas() == {1}

    generator, inside, done = batches(), threading.Event(), threading.Event()

    def elsewhere():
        with ONE_BLAS_THREAD.hold():
            inside.set()
            done.wait(30)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    assert inside.wait(30) and next(generator) == {1}
    here()
    done.set()
    thread.join()
    here()
    assert next(generator) == {1}
    generator.close()
    assert blas() == {2}


def test_underflow_is_no_error_within_the_outermost_use_and_what_it_was_after_it():
    blas = OneBlasThread()
    with np.errstate(under="raise"):
        with blas.hold():
            assert np.geterr()["under"] == "ignore"
            with blas.hold():
                assert np.geterr()["under"] == "ignore"
            assert np.geterr()["under"] == "ignore"
        assert np.geterr()["under"] == "raise"
