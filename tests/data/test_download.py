"""The download, against a server on this machine that stalls, cuts off and lies."""

import errno
import hashlib
import io
import os
import shutil
import tarfile
from collections import namedtuple

import pytest

from tests.contract import refuses
from tests.data.servers import TIMEOUT, serving
from tests.data.test_cifar10 import write_bin
from tinyalex.data import download, mirrors
from tinyalex.data.cifar10 import BIN, read_cifar10
from tinyalex.data.download import Archive, download_cifar10
from tinyalex.errors import DataError, DiskFull, ShapeError
from tinyalex.files.atomic import alone_in

UNPACKED = 60_000


def packed(members):
    """A tar.gz of (TarInfo, bytes) pairs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def entry(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def files(folder):
    """The entries of a good archive."""
    yield entry(BIN.folder, tarfile.DIRTYPE), b""
    yield entry(f"{BIN.folder}/readme.html"), b"<html>"
    for path in sorted(folder.iterdir()):
        yield entry(f"{BIN.folder}/{path.name}"), path.read_bytes()


def archive_of(content, unpacked=UNPACKED):
    return Archive(BIN, "cifar-10-binary.tar.gz", len(content), hashlib.md5(content).hexdigest(), unpacked, images_a_file=2)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return packed(files(write_bin(tmp_path_factory.mktemp("source") / BIN.folder)))


@pytest.fixture
def server(content):
    with serving(content) as server:
        yield server


@pytest.fixture
def get(server, tmp_path):
    """Downloads from the mirrors that behave in the given ways."""

    def fetch(*ways, **settings):
        mirrors = [server.mirror(way) for way in ways]
        return download_cifar10(tmp_path, mirrors=mirrors, timeout=TIMEOUT, _archive=archive_of(server.content), **settings)

    return fetch


def whole(place):
    return read_cifar10(place, images_a_file=2).train_labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]


def part_file(tmp_path):
    return tmp_path / "cifar-10-binary.tar.gz.part"


def test_good_server_fills_the_folder_and_nothing_else_stays(get, server, tmp_path):
    place = get("good")
    assert place == tmp_path / BIN.folder and whole(place) and os.listdir(tmp_path) == [BIN.folder]
    assert server.requests == [("good", "cifar-10-binary.tar.gz", 0)]


def test_whole_data_is_left_alone(get, server):
    place = get("good")
    assert get("broken") == place and len(server.requests) == 1


def test_damaged_data_is_set_aside_and_replaced(get, tmp_path):
    place = get("good")
    for number in ("", "1"):
        (place / "mine.txt").write_text("kept")
        (place / "test_batch.bin").write_bytes(b"damaged")
        assert whole(get("good")) and not (place / "mine.txt").exists()
        assert (tmp_path / f"{BIN.folder}.damaged{number}" / "mine.txt").read_text() == "kept"


def test_progress_goes_from_start_to_end(get, content):
    calls = []
    get("good", progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls) and calls[-1] == (len(content), len(content))


REASONS = {
    "stall": "it stalled",
    "silent": "it stalled",
    "drip": r"it sent only \d+ bytes in 0\.\d s",
    "cut_at_once": r"it cut off after 0 of [\d,]+ bytes",
    "wrong_bytes": "the archive's md5 is wrong",
    "wrong_length": r"it offers 26 bytes instead of [\d,]+",
    "broken": "it answered 500",
    "gone": "it answered 404",
    "garbage": "not http|Bad|status",
}


@pytest.mark.parametrize("way", REASONS)
def test_bad_server_is_left_for_the_next_one(get, server, way):
    assert whole(get(way, "good"))
    assert [request[0] for request in server.requests] == [way, "good"]


@pytest.mark.parametrize("way", REASONS)
def test_bad_server_alone_is_named_with_the_reason(get, way, tmp_path):
    with pytest.raises(DataError, match=REASONS[way]) as caught:
        get(way)
    assert f"/{way}/: " in str(caught.value) and "try again later to go on, or unpack cifar-10-binary.tar.gz" in str(caught.value)
    assert not (tmp_path / BIN.folder).exists()


def test_slow_server_is_left_while_there_are_others_and_asked_again_where_there_is_none(get, server):
    assert whole(get("leisurely"))
    assert [request[0] for request in server.requests] == ["leisurely", "leisurely"]
    assert server.requests[1][2] > 0  # it went on with what had arrived


def test_slow_server_is_left_for_a_quick_one(get, server):
    assert whole(get("leisurely", "good"))
    assert [request[0] for request in server.requests] == ["leisurely", "good"]


def test_all_mirrors_are_named_in_one_sentence(get):
    with refuses(DataError, "download_cifar10: one of 2 mirrors must deliver cifar-10-binary.tar.gz, got http://127.0.0.1:"):
        get("broken", "gone")
    with pytest.raises(DataError, match="broken/: it answered 500; http.*gone/: it answered 404; try again"):
        get("broken", "gone")


def test_nobody_listening_is_a_reason(tmp_path, content):
    with serving(content) as server:
        mirror = server.mirror("good")
    with pytest.raises(DataError, match="refused"):
        download_cifar10(tmp_path, mirrors=[mirror], timeout=TIMEOUT, _archive=archive_of(content))


def test_no_mirrors_and_other_addresses_raise(tmp_path):
    with refuses(DataError, "one of 0 mirrors must deliver cifar-10-binary.tar.gz, got no mirror"):
        download_cifar10(tmp_path, mirrors=[])
    with refuses(DataError, "mirrors must begin with http:// or https://, got 'file:///etc/'"):
        download_cifar10(tmp_path, mirrors=["file:///etc/"])
    with refuses(ShapeError, "layout must be bin or py, got 'mat'"):
        download_cifar10(tmp_path, "mat")


def test_server_that_cuts_off_is_asked_for_the_rest(get, server, content):
    assert whole(get("cut"))
    starts = [start for _, _, start in server.requests]
    assert starts == [0, 1 + len(content) // 3, 2 * (1 + len(content) // 3)]


def test_next_call_goes_on_where_the_last_one_ended(get, server, tmp_path, content):
    with pytest.raises(DataError, match="it stalled"):
        get("stall")
    assert part_file(tmp_path).read_bytes() == content[: len(content) // 3]
    assert whole(get("good")) and server.requests[-1][2] == len(content) // 3
    assert not part_file(tmp_path).exists()


@pytest.mark.parametrize("way", ["good", "no_range", "no_length", "endless", "refuses_range"])
def test_goes_on_or_restarts_as_the_server_can(get, way, tmp_path, content):
    part_file(tmp_path).write_bytes(content[:1000])
    assert whole(get(way))


def test_wrong_bytes_of_an_earlier_attempt_cost_one_restart(get, server, tmp_path, content):
    part_file(tmp_path).write_bytes(b"wrong" + content[5:1000])
    assert whole(get("good"))
    assert [start for _, _, start in server.requests] == [1000, 0]


@pytest.mark.parametrize("length", [0, 10])
def test_part_that_is_too_long_or_complete_but_wrong_is_fetched_anew(get, server, tmp_path, content, length):
    part_file(tmp_path).write_bytes(bytes(len(content) + length))
    assert whole(get("good")) and server.requests[0][2] == 0


def test_complete_part_needs_no_server(get, server, tmp_path, content):
    part_file(tmp_path).write_bytes(content)
    assert whole(get("broken")) and server.requests == []


def test_another_range_than_asked_for_is_refused_and_spoils_nothing(get, tmp_path, content):
    part_file(tmp_path).write_bytes(content[:1000])
    with pytest.raises(DataError, match="it sent another part than the one from byte 1,000"):
        get("other_range")
    with pytest.raises(DataError, match="it offers 26 bytes"):
        get("wrong_length")
    assert part_file(tmp_path).read_bytes() == content[:1000]


def fetch_packed(members, tmp_path, unpacked=UNPACKED):
    content = members if isinstance(members, bytes) else packed(members)
    with serving(content) as server:
        return download_cifar10(tmp_path / "data", mirrors=[server.mirror("good")], timeout=TIMEOUT, _archive=archive_of(content, unpacked))


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (entry("../escaped"), "got the file '../escaped'"),
        (entry(f"{BIN.folder}/../../escaped"), "got the file 'cifar-10-batches-bin/../../escaped'"),
        (entry("/tmp/escaped"), "got the file '/tmp/escaped'"),
        (entry(f"{BIN.folder}/escaped"), "got the file 'cifar-10-batches-bin/escaped'"),
        (entry("escaped", tarfile.DIRTYPE), "got the folder 'escaped'"),
        (entry(f"{BIN.folder}/test_batch.bin", tarfile.SYMTYPE, "../../escaped"), "got the link or device 'cifar-10-batches-bin/test"),
        (entry(f"{BIN.folder}/test_batch.bin", tarfile.LNKTYPE, "../../escaped"), "got the link or device"),
        (entry(BIN.folder, tarfile.SYMTYPE, ".."), "got the link or device 'cifar-10-batches-bin'"),
        (entry(f"{BIN.folder}/test_batch.bin", tarfile.FIFOTYPE), "got the link or device"),
        (entry(f"{BIN.folder}/test_batch.bin", tarfile.CHRTYPE), "got the link or device"),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_archive_with_other_entries_is_refused_and_leaves_nothing(tmp_path, member, message, last):
    good = list(files(write_bin(tmp_path / "source")))
    with refuses(DataError, f"entries of the archive must be the files of this layout, {message}"):
        fetch_packed([*good, (member, b"")] if last else [(member, b""), *good], tmp_path)
    assert os.listdir(tmp_path / "data") == [] and sorted(os.listdir(tmp_path)) == ["data", "source"]


def test_archive_that_lacks_a_file_is_refused(tmp_path):
    good = [pair for pair in files(write_bin(tmp_path / "source")) if "test_batch" not in pair[0].name]
    with refuses(DataError, "the archive must hold cifar-10-batches-bin/test_batch.bin, got none of that name"):
        fetch_packed(good, tmp_path)
    assert os.listdir(tmp_path / "data") == []


def test_archive_that_swells_is_refused(tmp_path):
    bomb = [(entry(f"{BIN.folder}/test_batch.bin"), bytes(10_000_000))]
    with refuses(DataError, "cifar-10-binary.tar.gz: the files must hold at most 60,000 bytes, got more"):
        fetch_packed(bomb, tmp_path)
    assert os.listdir(tmp_path / "data") == []


@pytest.mark.parametrize("damage", ["cut", "text"])
def test_archive_that_is_no_whole_tar_is_refused(tmp_path, content, damage):
    with refuses(DataError, "cifar-10-binary.tar.gz: the archive must be a whole tar.gz, got"):
        fetch_packed({"cut": content[:20_000], "text": b"<html>"}[damage], tmp_path)
    assert os.listdir(tmp_path / "data") == []


def test_full_disk_is_told_before_anything_is_fetched(get, server, monkeypatch, content):
    needed = len(content) + UNPACKED + download.SPARE
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("usage", "free")(needed - 1))
    with refuses(DiskFull, f"the disk must have {needed:,} bytes free, got {needed - 1:,}; make room and run the same command again"):
        get("good")
    assert server.requests == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("usage", "free")(needed))
    assert whole(get("good"))


class FullDisk(io.BytesIO):
    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_disk_that_fills_up_meanwhile_is_told_and_keeps_the_part(get, tmp_path, monkeypatch, content):
    part_file(tmp_path).write_bytes(content[:1000])
    monkeypatch.setattr(mirrors, "open", lambda path, mode: FullDisk(), raising=False)
    with refuses(DiskFull, "bytes free, got"):
        get("good")
    assert part_file(tmp_path).read_bytes() == content[:1000]


def test_other_errors_of_the_disk_are_not_called_full(get, monkeypatch):
    def failing(path, mode):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(mirrors, "open", failing, raising=False)
    with pytest.raises(OSError, match="Input/output error"):
        get("good")


def test_every_file_is_forced_to_the_disk_before_the_folder_gets_its_name(get, tmp_path, monkeypatch):
    there, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: there.append((tmp_path / BIN.folder).exists()) or fsync(handle))
    place = get("good")
    assert there.count(False) >= len(list(place.glob("*.bin"))) == 6


def test_folder_that_can_not_be_made_raises(tmp_path, content):
    (tmp_path / "file").touch()
    with refuses(DataError, f"{tmp_path / 'file' / 'data'}: the data folder must be one that can be made, got Not a directory"):
        download_cifar10(tmp_path / "file" / "data", mirrors=[], _archive=archive_of(content))


def test_interruption_keeps_what_has_arrived(get, tmp_path, content):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get("stall", progress=interrupt)
    assert content.startswith(part_file(tmp_path).read_bytes()) and part_file(tmp_path).stat().st_size > 0


def test_official_archives_and_mirrors_are_stated():
    assert {name: (archive.size, archive.md5) for name, archive in download.ARCHIVES.items()} == {
        "bin": (170_052_171, "c32a1d4ab5d03f1284b67883e8d87530"),
        "py": (170_498_071, "c58f30108f718f92721af3b95e74349a"),
    }
    assert all(archive.unpacked == 190_000_000 for archive in download.ARCHIVES.values()) and download.SPARE == 16 * 2**20
    assert download.MIRRORS[0] == "https://www.cs.toronto.edu/~kriz/" and len(download.MIRRORS) >= 3


def test_second_download_into_the_same_folder_is_refused_and_spoils_nothing(get, server, tmp_path, content):
    part_file(tmp_path).write_bytes(content[:1000])
    with alone_in(tmp_path), refuses(DataError, f"{tmp_path}: processes that write in it must be one, got a second; wait for the first"):
        get("good")
    assert part_file(tmp_path).read_bytes() == content[:1000] and server.requests == []
    assert whole(get("good"))


def test_all_of_the_mirrors_reasons_belong_to_the_sentence(get):
    with pytest.raises(DataError) as caught:
        get("broken", "gone")
    assert "gone/: it answered 404" in caught.value.sentence and caught.value.remedy.startswith("try again later to go on")


def test_tilde_is_the_home_folder(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    place = download_cifar10("~/mine", mirrors=[server.mirror("good")], timeout=TIMEOUT, _archive=archive_of(server.content))
    assert place == tmp_path / "mine" / BIN.folder and whole(place)


def test_files_that_are_too_large_only_together_are_refused(tmp_path):
    swelling = [(entry(f"{BIN.folder}/{name}"), bytes(25_000)) for name in (*BIN.train[:2], BIN.test)]
    with refuses(DataError, "cifar-10-binary.tar.gz: the files must hold at most 60,000 bytes, got more"):
        fetch_packed(swelling, tmp_path)
    assert os.listdir(tmp_path / "data") == []


def test_only_the_part_that_is_missing_needs_room(get, server, tmp_path, monkeypatch, content):
    part_file(tmp_path).write_bytes(content[:1000])
    needed = len(content) - 1000 + UNPACKED + download.SPARE
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("usage", "free")(needed - 1))
    with refuses(DiskFull, f"the disk must have {needed:,} bytes free, got {needed - 1:,}"):
        get("good")
    assert server.requests == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("usage", "free")(needed))
    with monkeypatch.context() as patch, refuses(DiskFull, f"the disk must have {needed:,} bytes free"):  # it fills up meanwhile
        patch.setattr(mirrors, "open", lambda path, mode: FullDisk(), raising=False)
        get("good")
    assert whole(get("good"))
