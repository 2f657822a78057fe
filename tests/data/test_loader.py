"""The loader: the same bytes as without workers, bounded memory, and every way in which a worker, a source or the parent can end."""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.data import Batches, Crops, Loader, SubtractMean, TenViews
from tinyalex.data.color import IMAGENET_COLORS
from tinyalex.data.loader import _end_in_words
from tinyalex.data.loader_worker import Task
from tinyalex.errors import CallOrderError, DataError, LoaderError, ShapeError

ROOT = Path(__file__).parents[2]
METHODS = multiprocessing.get_all_start_methods()
IMAGES = np.random.default_rng(0).integers(0, 256, (37, 3, 12, 10), np.uint8)
LABELS = np.arange(37) % 5
CROPS = Crops(IMAGES.mean(axis=0), 8, color=IMAGENET_COLORS, noise_epochs=2)
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc and /dev/shm")


class Pictures:
    """A source that makes each image when it is read. Images in `bad` cannot be read: an exception is raised, or the process ends."""

    def __init__(self, bad=None, how=None):
        self.labels, self.image_shape, self.bad, self.how = LABELS.astype(np.int64), (3, 12, 10), bad, how

    def __len__(self):
        return len(LABELS)

    def read(self, indices):
        if self.bad in list(indices):
            self.fail()
        return IMAGES[np.asarray(indices)]

    def fail(self):
        if self.how == "data":
            raise DataError(f"pictures: picture{self.bad}.jpg must be a whole JPEG, got a truncated one")
        if self.how == "value":
            raise ValueError("no such picture")
        if self.how == "odd":
            raise OddError(1, 2)
        if self.how == "memory":
            raise MemoryError
        if self.how == "exit":
            os._exit(3)
        faulthandler.disable()  # it would write a trace to the tests' output
        os.kill(os.getpid(), self.how)

    def fingerprint(self):
        return "0123456789abcdef"

    def name_of(self, index):
        return f"picture{index}.jpg"


class OddError(Exception):
    """An exception that pickle cannot make again."""

    def __init__(self, one, two):
        super().__init__(f"odd {one} {two}")


class Small:
    """A preparation of another dtype, which cannot write into the caller's array."""

    def __call__(self, images, rng=None):
        return images[:, :1] / 3.0 + (0 if rng is None else rng.random())


class Broken:
    """A preparation whose result is not an array of the images' number, for more than one image."""

    def __init__(self, result):
        self.result = result

    def __call__(self, images, rng=None):
        return np.zeros((1, 2), np.float32) if len(images) == 1 else self.result


class Slow(Small):
    """A preparation that takes a while for more than one image."""

    def __init__(self, seconds=0.02):
        self.seconds = seconds

    def __call__(self, images, rng=None):
        time.sleep(self.seconds if len(images) > 1 else 0)
        return super().__call__(images, rng)


class Ends:
    """A preparation that ends the process for more than one image."""

    def __call__(self, images, rng=None):
        return images / 2 if len(images) == 1 else os._exit(4)


def same(found, wanted):
    found, wanted = list(found), list(wanted)
    assert len(found) == len(wanted)
    for (x, labels), (x_wanted, labels_wanted) in zip(found, wanted, strict=True):
        assert x.dtype == x_wanted.dtype and np.array_equal(x, x_wanted) and np.array_equal(labels, labels_wanted)
    return True


def batches_of(source=None, prepare=CROPS, **settings):
    return Batches(Pictures() if source is None else source, None, settings.pop("batch_size", 8), prepare=prepare, seed=3, **settings)


def names_in_shared_memory():
    """What this process has there; other processes may run tests too."""
    return {name for name in os.listdir("/dev/shm") if name.startswith(f"tinyalex-{os.getpid()}-")} if os.path.isdir("/dev/shm") else set()


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    gc.collect()
    assert not [child for child in multiprocessing.active_children() if child.name.startswith("tinyalex-loader")]
    assert names_in_shared_memory() == set()


@pytest.mark.parametrize("method", METHODS)
def test_batches_are_the_same_bytes_as_without_workers(method):
    train, val = batches_of(), batches_of(Pictures(), shuffle=False, batch_size=16)
    with Loader(train, val, workers=2, start=method) as loader:
        for epoch in (0, 1, 5):
            assert same(loader.of_epoch(epoch), train.of_epoch(epoch))
        assert same(loader.in_order(1), val.in_order()) and same(loader.in_order(), train.in_order())


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("prepare", [CROPS, SubtractMean.fit(IMAGES), TenViews(CROPS), Small()], ids=lambda p: type(p).__name__)
def test_every_preparation_and_number_of_workers_gives_the_same(workers, prepare):
    batches = Batches(IMAGES, LABELS, 8, prepare=prepare, seed=1)
    with Loader(batches, workers=workers) as loader:
        assert same(loader.of_epoch(1), batches.of_epoch(1)) and same(loader.in_order(), batches.in_order())


def test_segments_are_cut_into_the_same_batches():
    batches = batches_of(segment=20)
    with Loader(batches, workers=1) as loader:
        assert same(loader.of_epoch(1, 2), batches.of_epoch(1, 2)) and same(loader.in_order(), batches.in_order())


@pytest.mark.parametrize("start", range(6))
def test_an_epoch_goes_on_from_any_batch(start):
    batches = batches_of()
    with Loader(batches, workers=2) as loader:
        assert same(loader.of_epoch(2, start), batches.of_epoch(2, start))


@pytest.mark.parametrize("ahead", [1, 2, 9])
def test_memory_is_bounded_by_ahead(ahead):
    batches = batches_of(batch_size=2)
    with Loader(batches, workers=2, ahead=ahead) as loader:
        memory = loader._memory
        assert memory.slots == ahead + 1
        for _ in loader.of_epoch(0):
            waiting = len(loader._ready) + sum(len(worker.tasks) for worker in loader._workers)
            assert waiting <= ahead and waiting + len(memory.free) <= ahead + 1
        assert sorted(memory.free + [slot for slot, *_ in loader._ready.values()]) != [] and not loader._ready


def test_arrays_may_be_kept_and_outlive_the_loader():
    batches = batches_of(batch_size=4)
    with Loader(batches, workers=2, ahead=2) as loader:
        kept = [x for x, _ in loader.of_epoch(0)]
        views = [x[1:, :, ::2] for x, _ in loader.of_epoch(1)]
        again = [x for x, _ in loader.of_epoch(1)]
    assert all(np.array_equal(*pair) for pair in zip(kept, [x for x, _ in batches.of_epoch(0)], strict=True))
    second = [x for x, _ in batches.of_epoch(1)]
    assert all(np.array_equal(*pair) for pair in zip(again, second, strict=True))
    assert all(np.array_equal(view, x[1:, :, ::2]) for view, x in zip(views, second, strict=True))


def test_a_worker_in_the_middle_of_a_batch_does_not_keep_the_loader_from_closing():
    with Loader(batches_of(prepare=Slow(60)), workers=1, ahead=1) as loader:
        loader._send(Task(0, 0, 0, 0, True, 0, np.arange(8)))
        process = loader._workers[0].process
        time.sleep(0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 30
    with pytest.raises(ValueError, match="closed"):
        process.is_alive()


def test_a_slot_is_used_again_when_its_array_is_gone():
    with Loader(batches_of(batch_size=2), workers=1, ahead=1) as loader:
        free = loader._memory.free
        loop = loader.of_epoch(0)
        x, _ = next(loop)
        view = x[0]
        del x
        assert free == []  # one slot is in use, the other one is being filled
        del view
        assert len(free) == 1


def test_no_array_of_the_training_lies_outside_shared_memory_while_slots_are_free():
    with Loader(batches_of(), workers=2) as loader:
        for x, _ in loader.of_epoch(0):
            assert not x.flags.owndata and type(x) is np.ndarray and x.flags.writeable
            del x


def test_a_loop_that_is_left_early_does_not_disturb_the_next():
    batches = batches_of(batch_size=4)
    with Loader(batches, workers=2) as loader:
        for _ in range(3):
            next(loader.of_epoch(0))
            loop = loader.of_epoch(1, 3)
            next(loop)
        assert same(loader.of_epoch(2), batches.of_epoch(2))
        with refuses(CallOrderError, "loader: a loader must be entered, and gives the batches of one loop at a time, got another loop"):
            next(loop)
        last = loader.of_epoch(0)
    with refuses(CallOrderError, "or a loader that is closed"):
        next(last)


def test_batches_that_an_earlier_loop_asked_for_are_not_taken_for_those_of_the_next():
    batches = batches_of(prepare=Slow(), batch_size=4)
    with Loader(batches, workers=1) as loader:
        next(loader.of_epoch(0))
        assert sum(len(worker.tasks) for worker in loader._workers) > 1  # still to come, and of the wrong epoch
        assert same(loader.of_epoch(1), batches.of_epoch(1))


def test_an_image_that_cannot_be_read_raises_the_sources_own_error_in_its_turn():
    batches = batches_of(Pictures(20, "data"))
    at = int(np.flatnonzero(batches.order(0) == 20)[0]) // 8
    given = []
    with Loader(batches, workers=2) as loader, refuses(DataError, "pictures: picture20.jpg must be a whole JPEG") as caught:
        for _, labels in loader.of_epoch(0):
            given.append(labels)
    del caught
    assert len(given) == at  # the batches before it were given


def test_an_exception_says_in_notes_where_it_was_raised():
    with Loader(batches_of(Pictures(20, "value")), workers=2) as loader, pytest.raises(ValueError, match="no such picture") as caught:
        list(loader.of_epoch(4))
    assert "in tinyalex-loader-" in caught.value.__notes__[0] and "of epoch 5" in caught.value.__notes__[0]
    assert 'raise ValueError("no such picture")' in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("odd", "loader: a worker must be able to prepare batch 2 of an evaluation, got OddError: odd 1 2"),
        ("memory", "a worker must have the memory for batch 2 of an evaluation, got MemoryError(); use fewer workers, or workers=0"),
        ("exit", "must live as long as the loop, got exit code 3 in batch 2 of an evaluation, reading picture20.jpg (image 20); use fewer"),
        (signal.SIGKILL, "got signal 9 (SIGKILL) in batch 2 of an evaluation, reading picture20.jpg (image 20); the system kills"),
        (signal.SIGSEGV, "got signal 11 (SIGSEGV) in batch 2 of an evaluation, reading picture20.jpg (image 20)"),
    ],
)
def test_a_worker_that_ends_or_fails_is_named_with_its_batch_and_picture(how, text):
    with Loader(batches_of(Pictures(20, how)), workers=2) as loader, refuses(LoaderError, text) as caught:
        list(loader.in_order())
    del caught
    assert LoaderError.exit_code == 1


def test_a_worker_that_ends_in_the_preparation_has_read_all_images():
    with Loader(batches_of(prepare=Ends()), workers=1) as loader:
        with refuses(LoaderError, "got exit code 4 in batch 0 of epoch 1, with all images read; use fewer workers, or workers=0"):
            next(loader.of_epoch(0))


def test_a_worker_that_is_killed_while_it_waits_is_named():
    batches = batches_of()
    with Loader(batches, workers=2) as loader:
        list(loader.of_epoch(0))
        os.kill(loader._workers[1].process.pid, signal.SIGKILL)
        loader._workers[1].process.join()
        with refuses(LoaderError, "loader: worker 2 of 2 must live as long as the loop, got signal 9 (SIGKILL)"):
            list(loader.of_epoch(1))
    with Loader(batches, workers=2) as loader:  # a new loader starts from where the other stopped
        assert same(loader.of_epoch(1, 2), batches.of_epoch(1, 2))


def test_ends_are_said_in_words():
    assert [_end_in_words(code) for code in (3, None, -9, -2000)] == ["exit code 3", "exit code None", "signal 9 (SIGKILL)", "signal 2000"]


@pytest.mark.parametrize("result", [np.zeros((8, 2000), np.float32), [1.0], np.array(["a", None])], ids=["large", "list", "objects"])
def test_a_result_that_does_not_fit_is_refused(result):
    with Loader(batches_of(prepare=Broken(result)), workers=1) as loader:
        with refuses(DataError, "loader: prepare must give a plain array of at most 4,096 bytes for a batch, got "):
            next(loader.of_epoch(0))


def test_what_cannot_be_pickled_is_refused_unless_workers_are_forked():
    batches = batches_of(prepare=lambda images, rng=None: images.astype(np.float32))
    with refuses(DataError, "loader: source and prepare must be picklable where workers start with 'spawn', got ") as caught:
        with Loader(batches, workers=1, start="spawn"):
            pass
    del caught
    if "fork" in METHODS:
        with Loader(batches, workers=1, start="fork") as loader:
            assert same(loader.of_epoch(0), batches.of_epoch(0))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"workers": -1}, "loader: workers must be an integer of at least 0, got -1"),
        ({"workers": 33}, "loader: workers must be at most 32, got 33; use fewer"),
        ({"ahead": 0}, "loader: ahead must be an integer of at least 1, got 0"),
        ({"start": "forks"}, "loader: start must be "),
    ],
)
def test_bad_settings_are_refused(settings, text):
    with refuses(ShapeError, text):
        Loader(batches_of(), **settings)


def test_bad_epochs_are_refused_at_once():
    with Loader(batches_of(), workers=1) as loader:
        with refuses(ShapeError, "batches: epoch must be an integer of at least 0, got -1"):
            loader.of_epoch(-1)
        with refuses(DataError, "batches: start must be at most 5"):
            loader.of_epoch(0, 6)


@linux
def test_too_little_shared_memory_is_said_before_it_is_used(monkeypatch):
    room = os.statvfs_result((4096, 4096, 100, 1, 1, 1, 1, 1, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda place: room)
    with refuses(LoaderError, "loader: shared memory must have room for ") as caught:
        with Loader(batches_of(), workers=2):
            pass
    del caught


@linux
def test_memory_has_no_name_while_the_loader_works():
    with Loader(batches_of(), workers=2) as loader:
        next(loader.of_epoch(0))
        assert names_in_shared_memory() == set()


def test_workers_have_one_blas_thread_and_ignore_signals():
    batches = batches_of(prepare=Looks())
    with Loader(batches, workers=1) as loader:
        x, _ = next(loader.of_epoch(0))
        assert x[0].tolist() == [1, 1, 1]


class Looks:
    """A preparation that says of its process: the most BLAS threads, whether Ctrl-C and SIGTERM are ignored."""

    def __call__(self, images, rng=None):
        import threadpoolctl

        threads = max(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas")
        ignored = [signal.getsignal(number) == signal.SIG_IGN for number in (signal.SIGINT, signal.SIGTERM)]
        return np.broadcast_to(np.float32([threads, *ignored]), (len(images), 3))


SCRIPT = """
    import os, sys, time
    import numpy as np
    from tests.data.test_loader import batches_of, Pictures
    from tinyalex.data.loader import Loader

    def main(method):
        loader = Loader(batches_of(), workers=2, start=method).__enter__()
        loop = loader.of_epoch(0)
        next(loop)
        print(*(worker.process.pid for worker in loader._workers), flush=True)
        DO

    GUARD
"""


def script(tmp_path, do, guard='if __name__ == "__main__": main(sys.argv[1])'):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT).replace("DO", textwrap.indent(textwrap.dedent(do), "    ").strip()).replace("GUARD", guard))
    return path


def start(path, method, **settings):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, str(path), method], env=environment, cwd=path.parent, **pipes, **settings)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@linux
@pytest.mark.parametrize(("method", "number"), [*((method, signal.SIGKILL) for method in METHODS), ("fork", signal.SIGTERM)])
def test_workers_end_with_the_parent(tmp_path, method, number):
    process = start(script(tmp_path, "time.sleep(60)"), method)
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2 and all(map(alive, pids))
    process.send_signal(number)
    process.wait(30)
    until = time.monotonic() + 30
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, pids))
    process.communicate()
    assert not [name for name in os.listdir("/dev/shm") if name.startswith(f"tinyalex-{process.pid}-")]


@linux
@pytest.mark.parametrize("method", METHODS[:2])
def test_a_program_that_forgets_to_close_the_loader_ends(tmp_path, method):
    process = start(script(tmp_path, "globals().update(kept=(loader, loop))"), method)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "") and not any(alive(int(pid)) for pid in out.split())


@linux
@pytest.mark.parametrize("method", METHODS[:2])
def test_ctrl_c_reaches_only_the_parent(tmp_path, method):
    do = """
        try:
            print("waits", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            print(sum(1 for _ in loop))
            loader.close()"""
    process = start(script(tmp_path, do), method, start_new_session=True)
    assert process.stdout.readline() and process.stdout.readline() == "waits\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == ("4\n", "")


@pytest.mark.parametrize("method", [method for method in METHODS if method != "fork"])
def test_a_script_without_the_guard_gets_one_sentence(tmp_path, method):
    process = start(script(tmp_path, "loader.close()", "main(sys.argv[1])"), method)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and out == ""
    assert err.count("LoaderError: loader: a script that uses workers with") == 1, err
    assert 'must have the line `if __name__ == "__main__":`, got one that starts them when it is imported; put the code that' in err


def test_a_class_that_a_worker_cannot_find_gets_one_sentence(monkeypatch):
    module = type(sys)("a_notebook")
    exec("class Prepare:\n    def __call__(self, images, rng=None):\n        return images / 2", vars(module))
    monkeypatch.setitem(sys.modules, "a_notebook", module)
    with refuses(DataError, "loader: source and prepare must be readable in a worker, got ModuleNotFoundError: No module named"):
        with Loader(batches_of(prepare=module.Prepare()), workers=1, start="spawn"):
            pass


def test_errors_keep_their_remedy_over_pickle():
    error = pickle.loads(pickle.dumps(DataError("a: b must be c, got d", "do e")))
    assert (error.sentence, error.remedy) == ("a: b must be c, got d", "do e")


@pytest.mark.parametrize("module", ["multiprocessing.shared_memory", "multiprocessing.connection"])
def test_where_no_process_starts_zero_workers_work_and_more_are_refused(monkeypatch, module):
    """As in WebAssembly, whose multiprocessing lacks these parts."""
    monkeypatch.setitem(sys.modules, module, None)
    batches = Batches(IMAGES, LABELS, 16, prepare=SubtractMean.fit(IMAGES))
    with Loader(batches, workers=0) as loader:
        assert [len(labels) for _, labels in loader.of_epoch(0)] == [16, 16, 5]
    with refuses(LoaderError, "loader: workers must be 0 where the system starts no processes, got 2; use workers=0"):
        Loader(batches, workers=2)
