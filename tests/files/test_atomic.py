"""Atomic writing: the old file or the new one, never a part, and no litter."""

import json
import os
import stat
import threading

import pytest

from tests.contract import refuses
from tinyalex.errors import CheckpointError, DiskFull
from tinyalex.files.atomic import (
    TEMPORARY,
    make_folder,
    remove_strays,
    require_folder,
    require_path,
    write_atomically,
    write_bytes,
    write_json,
    write_picture,
)


def test_pieces_are_joined_and_replace_the_old_file(tmp_path):
    path = tmp_path / "f"
    for pieces in ([b"old"], [b"new", memoryview(b" and whole")]):
        write_atomically(path, pieces, 20)
    assert path.read_bytes() == b"new and whole" and os.listdir(tmp_path) == ["f"]


def test_file_and_folder_are_synced_around_the_rename(tmp_path, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace

    def noted_fsync(handle):
        order.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def noted_replace(source, destination):
        order.append("rename")
        replace(source, destination)

    monkeypatch.setattr("os.fsync", noted_fsync)
    monkeypatch.setattr("os.replace", noted_replace)
    write_atomically(tmp_path / "f", [b"x"], 1)
    assert order == ["file", "rename", "folder"]


def test_temporary_file_lies_in_the_same_folder(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("os.replace", lambda source, destination: seen.append(source))
    write_atomically(tmp_path / "f", [b"x"], 1)
    assert seen[0].parent == tmp_path and seen[0].name.startswith(".") and seen[0].name.endswith(TEMPORARY)


def test_error_in_a_piece_leaves_the_old_file(tmp_path):
    def pieces():
        yield b"half"
        raise ZeroDivisionError

    write_atomically(tmp_path / "f", [b"old"], 3)
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "f", pieces(), 8)
    assert (tmp_path / "f").read_bytes() == b"old" and os.listdir(tmp_path) == ["f"]


def test_more_than_the_disk_has_is_refused_at_once(tmp_path):
    with refuses(DiskFull, f"the disk must have {2**70:,} bytes free"):
        write_atomically(tmp_path / "f", [b"x"], 2**70)
    assert os.listdir(tmp_path) == []


def test_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with refuses(CheckpointError, "the file must be writable, got "):
        write_atomically(tmp_path / "file" / "f", [b"x"], 1)
    with refuses(CheckpointError, "the folder must be one that can be made, got File exists"):
        make_folder(tmp_path / "file")


@pytest.mark.parametrize("path", ["", ".", "/", "a\0b", None, 5, b"f"])
def test_path_that_names_no_file_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = f"file: path must be a str or a Path that ends in the name of a file, got {path!r}"
    with refuses(CheckpointError, text):
        write_atomically(path, [b"x"], 1)
    assert os.listdir(tmp_path) == []


def test_path_may_be_a_str(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("f", [b"x"], 1)
    assert (tmp_path / "f").read_bytes() == b"x"


def test_what_is_no_plain_file_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name, kind in (("folder", "folder"), ("pipe", "device"), ("link", "device")):
        with refuses(CheckpointError, f"{name}: the file must be a new or a plain one, got a {kind}"):
            write_atomically(tmp_path / name, [b"x"], 1)
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode) and sorted(os.listdir(tmp_path)) == ["folder", "link", "pipe"]


def test_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "f")
    for text in (b"old", b"new"):
        write_atomically(tmp_path / "link", [text], 3)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder" / "f").read_bytes() == b"new"
    assert os.listdir(tmp_path / "folder") == ["f"]


def test_only_strays_of_ours_are_removed(tmp_path):
    for name in (f".a.1{TEMPORARY}", ".hidden", "a"):
        (tmp_path / name).touch()
    remove_strays(tmp_path)
    remove_strays(tmp_path / "nowhere")
    assert sorted(os.listdir(tmp_path)) == [".hidden", "a"]


def test_bytes_a_document_and_a_picture_are_written_whole(tmp_path):
    write_bytes(tmp_path / "b", b"some")
    write_json(tmp_path / "j", {"a": [1, None]})
    write_picture(tmp_path / "p", lambda file: file.write(b"pixels"))
    assert (tmp_path / "b").read_bytes() == b"some" and (tmp_path / "p").read_bytes() == b"pixels"
    assert json.loads((tmp_path / "j").read_text()) == {"a": [1, None]} and (tmp_path / "j").read_bytes().endswith(b"}\n")
    assert sorted(os.listdir(tmp_path)) == ["b", "j", "p"]


def test_picture_that_cannot_be_drawn_and_number_that_json_lacks_leave_the_old_file(tmp_path):
    def fail(file):
        file.write(b"half")
        raise ZeroDivisionError

    write_bytes(tmp_path / "f", b"old")
    with pytest.raises(ZeroDivisionError):
        write_picture(tmp_path / "f", fail)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "f", {"a": float("inf")})
    assert (tmp_path / "f").read_bytes() == b"old" and os.listdir(tmp_path) == ["f"]


def test_threads_that_write_one_file_leave_one_of_their_texts_and_no_litter(tmp_path):
    path, failed, texts = tmp_path / "f", [], [bytes([65 + number]) * 5000 for number in range(4)]

    def save(text):
        try:
            for _ in range(20):
                write_atomically(path, [text[:2500], text[2500:]], len(text))
                assert path.read_bytes() in texts
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=save, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and os.listdir(tmp_path) == ["f"]


def test_temporary_names_differ_where_process_and_thread_have_the_same_numbers(tmp_path, monkeypatch):
    seen = set()
    monkeypatch.setattr("os.replace", lambda source, destination: seen.add(source.name))
    for _ in range(3):
        write_atomically(tmp_path / "f", [b"x"], 1)
    assert len(seen) == 3 and all(f".{os.getpid()}.{threading.get_ident()}." in name for name in seen)


def test_long_name_leaves_room_for_that_of_the_temporary_file(tmp_path):
    path = tmp_path / ("\u00e9" * 127)  # 254 bytes
    write_atomically(path, [b"x"], 1)
    assert path.read_bytes() == b"x"


def test_tilde_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert require_path("~/f") == require_folder("~/f") == tmp_path / "f" and require_folder("~") == tmp_path
    make_folder("~/run")
    write_bytes("~/run/f", b"x")
    assert (tmp_path / "run" / "f").read_bytes() == b"x" and os.listdir(tmp_path) == ["run"]
    with refuses(CheckpointError, "~nobody-of-this-name/f: ~ must stand for the home of a user, got '~nobody-of-this-name'"):
        require_path("~nobody-of-this-name/f")


@pytest.mark.parametrize("folder", ["", 5, None, b"f", "a\0b"])
def test_what_names_no_folder_is_refused(folder):
    with refuses(CheckpointError, f"folder: path must be a str or a Path, got {folder!r}"):
        require_folder(folder)
