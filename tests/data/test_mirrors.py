"""One answer of one server: where it begins, how quick it must be, and whether it is asked again."""

import io
from types import SimpleNamespace

import pytest

from tinyalex.data import mirrors


@pytest.mark.parametrize("first", [999, 1001])
def test_answer_that_begins_elsewhere_is_refused(first):
    response = SimpleNamespace(status=206, headers={"Content-Range": f"bytes {first}-5000/5001"})
    with pytest.raises(mirrors.MirrorError, match="it sent another part than the one from byte 1,000"):
        mirrors._start(response, 1000)


@pytest.mark.parametrize(("received", "size", "worth"), [(0, 10, False), (1, 10, True), (1, 64, True), (1, 128, False), (2, 128, True)])
def test_server_that_cuts_off_is_asked_again_for_a_64th_and_never_for_nothing(received, size, worth):
    assert mirrors._worth(received, size) is worth


def copied(sent, start, size, slowest, monkeypatch):
    """Copy what a server sends, a list of (seconds, bytes or an error), and return how many bytes arrived."""
    clock, left, file = [0.0], iter(sent), io.BytesIO()

    def read1(most):
        seconds, piece = next(left)
        clock[0] += seconds
        if isinstance(piece, Exception):
            raise piece
        return bytes(piece)

    monkeypatch.setattr(mirrors.time, "monotonic", lambda: clock[0])
    mirrors._copy(SimpleNamespace(read1=read1), file, start, size, None, 1.0, slowest)
    return len(file.getvalue())


def test_speed_is_that_of_the_last_seconds_and_of_what_this_server_sent(monkeypatch):
    assert copied([(0.5, 600)] * 4, 0, 2400, 1000, monkeypatch) == 2400
    assert copied([(0.5, 500)] * 4, 0, 2000, 1000, monkeypatch) == 2000  # exactly the least speed
    with pytest.raises(mirrors.MirrorError, match=r"it sent only 200 bytes in 1\.0 s"):
        copied([(0.5, 100)] * 4, 50_000, 60_000, 1000, monkeypatch)  # what another server sent is not its own
    with pytest.raises(mirrors.MirrorError, match=r"it sent only 200 bytes in 1\.0 s"):
        copied([(1.0, 50_000), *[(0.5, 100)] * 4], 0, 60_000, 1000, monkeypatch)  # quick at first


@pytest.mark.parametrize(
    ("error", "again"), [(ConnectionResetError("reset"), True), (TimeoutError("timed out"), False)], ids=["reset", "stalled"]
)
def test_broken_connection_is_made_again_where_enough_came_and_a_stalled_one_is_not(error, again, monkeypatch):
    for received, more in ((100, again), (10, False)):
        with pytest.raises(mirrors.MirrorError) as caught:
            copied([(0.1, received), (0.1, error)], 0, 6400, 1, monkeypatch)
        assert caught.value.again is more


def test_server_that_always_cuts_off_is_left_after_so_many_requests(tmp_path, monkeypatch):
    asked = []

    def cut_off(url, *_):
        asked.append(url)
        raise mirrors.MirrorError("it cut off", again=True)

    monkeypatch.setattr(mirrors, "_request", cut_off)
    archive = mirrors.ARCHIVES["bin"]
    assert mirrors.fetch(["http://a/"], tmp_path / "part", archive, None, 1.0) == "http://a/: cut off 128 times"
    assert asked == ["http://a/cifar-10-binary.tar.gz"] * 128


def test_slow_servers_are_asked_twice_first_for_200_000_then_for_1024_bytes_a_second(tmp_path, monkeypatch):
    asked = []

    def too_slow(url, part, have, size, progress, timeout, slowest):
        asked.append((url[:9], slowest))
        raise mirrors.MirrorError("it sent only 7 bytes", slow=url[7] == "b")

    monkeypatch.setattr(mirrors, "_request", too_slow)
    reasons = mirrors.fetch(["http://a/", "http://b/"], tmp_path / "part", mirrors.ARCHIVES["bin"], None, 1.0)
    assert asked == [("http://a/", 200_000), ("http://b/", 200_000), ("http://b/", 1024)]
    assert reasons == "http://a/: it sent only 7 bytes; http://b/: it sent only 7 bytes"


def test_progress_is_the_bytes_that_are_there_and_those_of_the_archive():
    told, left = [], iter([b"abc", b"de"])
    mirrors._copy(SimpleNamespace(read1=lambda most: next(left)), io.BytesIO(), 5, 10, lambda *bytes_: told.append(bytes_), 9.0, 1)
    assert told == [(8, 10), (10, 10)]


@pytest.mark.parametrize(("sent", "slow"), [(1024, True), (1023, False)])
def test_server_that_is_worth_a_longer_wait_sends_at_least_1024_bytes_a_second(sent, slow, monkeypatch):
    with pytest.raises(mirrors.MirrorError) as caught:
        copied([(1.0, sent)], 0, 10_000, 5000, monkeypatch)
    assert caught.value.slow is slow
