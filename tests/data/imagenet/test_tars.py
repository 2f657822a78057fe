"""Pictures of tars by their offsets."""

import gzip

import pytest

from tests.contract import refuses
from tests.data.imagenet.making import tar_of
from tinyalex.data.imagenet.tars import members_of
from tinyalex.errors import DataError

FILES = [("a.JPEG", b"first"), ("folder/b.JPEG", b"x" * 2000), ("c.JPEG", b"")]
LONG = "n" * 150 + "/" + "m" * 99 + ".JPEG"


def written(tmp_path, data):
    (tmp_path / "some.tar").write_bytes(data)
    return tmp_path / "some.tar"


def contents(path, member):
    return path.read_bytes()[member.offset : member.offset + member.size]


def test_offsets_of_a_tar_and_of_tars_in_it(tmp_path):
    nested = tar_of([("n1.tar", tar_of(FILES)), ("loose.JPEG", b"loose"), ("train/n2.tar", tar_of([("d.JPEG", b"fourth")]))])
    path = written(tmp_path, nested)
    found = list(members_of(path))
    assert [(one.inner, one.name) for one in found] == [
        ("n1", "a.JPEG"), ("n1", "folder/b.JPEG"), ("n1", "c.JPEG"), ("", "loose.JPEG"), ("n2", "d.JPEG"),
    ]  # fmt: skip
    assert [contents(path, one) for one in found] == [b"first", b"x" * 2000, b"", b"loose", b"fourth"]


def test_long_names_of_every_kind_of_tar(tmp_path):
    import io
    import tarfile

    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as tar:
            info = tarfile.TarInfo(LONG)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
        path = written(tmp_path, out.getvalue())
        (one,) = members_of(path)
        assert one.name == LONG and contents(path, one) == b"abc"


def test_tar_of_nothing(tmp_path):
    assert list(members_of(written(tmp_path, bytes(10240)))) == []


@pytest.mark.parametrize("nested", [False, True])
def test_tar_that_is_cut_anywhere_is_refused(tmp_path, nested):
    """Each cut but those in the blocks of zeros behind the last file."""
    data = tar_of([("n1.tar", tar_of(FILES))] if nested else FILES)
    end = len(data.rstrip(b"\0")) + 512
    for length in [*range(1, end - 1024, 373), *range(512, end - 1024, 512)]:
        with pytest.raises(DataError, match="some.tar.*must be (whole|a tar), got"):
            list(members_of(written(tmp_path, data[:length])))


def test_message_names_the_place(tmp_path):
    with refuses(
        DataError, "some.tar: the tar must be whole, got one of 2,200 bytes that stops inside of folder/b.JPEG; finish its download"
    ):
        list(members_of(written(tmp_path, tar_of(FILES)[:2200])))
    with refuses(DataError, "some.tar: n1.tar: the tar must be whole, got one of "):
        list(members_of(written(tmp_path, tar_of([("n1.tar", tar_of(FILES)[:2100])]))))


def test_damaged_header_in_the_middle_is_not_taken_for_the_end(tmp_path):
    data = bytearray(tar_of(FILES))
    data[1024 + 148 : 1024 + 154] = b"999999"  # the checksum of the second header
    with refuses(DataError, "that stops with a damaged header at byte 1,024"):
        list(members_of(written(tmp_path, bytes(data))))


def test_other_files_are_refused(tmp_path):
    with refuses(DataError, "some.tar: the tar must be uncompressed, got a compressed one; unpack it first"):
        list(members_of(written(tmp_path, gzip.compress(tar_of(FILES)))))
    for data in (b"", b"hello" * 300):
        with refuses(DataError, "some.tar: the "):
            list(members_of(written(tmp_path, data)))


def test_link_has_no_contents(tmp_path):
    import io
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("n1/a.JPEG")
        info.type, info.linkname = tarfile.LNKTYPE, "n1/b.JPEG"
        tar.addfile(info)
    (one,) = members_of(written(tmp_path, out.getvalue()))
    assert (one.name, one.size) == ("n1/a.JPEG", 0)
