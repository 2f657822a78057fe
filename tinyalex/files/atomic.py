"""Writing files atomically: after a kill, a crash, a power failure or a full disk the old file is still there, unchanged."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tinyalex.errors import CheckpointError, DiskFull, TinyalexError, show

TEMPORARY = ".tinyalex-tmp"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def require_path(path: Any) -> Path:
    """`path`, a str or a Path, as the Path of a file, where a first ~ stands for the user's home. Raises CheckpointError."""
    if isinstance(path, (str, Path)) and Path(path).name and "\0" not in str(path):
        return _at_home(Path(path))
    raise CheckpointError(f"file: path must be a str or a Path that ends in the name of a file, got {show(path)}")


def require_folder(folder: Any) -> Path:
    """`folder`, a str or a Path, as a Path, where a first ~ stands for the user's home. Raises CheckpointError."""
    if isinstance(folder, (str, Path)) and str(folder) and "\0" not in str(folder):
        return _at_home(Path(folder))
    raise CheckpointError(f"folder: path must be a str or a Path, got {show(folder)}")


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user, or the user has no home
        raise CheckpointError(f"{path}: ~ must stand for the home of a user, got {path.parts[0]!r}; write the path out") from None


def _temporary(target: Path) -> Path:
    """The path of a temporary file in the folder of `target`, which no other thread, process or machine uses."""
    own = f"{os.getpid()}.{threading.get_ident()}.{secrets.token_hex(8)}"
    return target.with_name(f".{target.name[:40]}.{own}{TEMPORARY}")  # file systems allow at most 255 bytes


def write_atomically(path: Path | str, pieces: Iterable[Any], nbytes: int) -> None:
    """Write `pieces`, which are bytes-like and have `nbytes` together, to the file `path`, and replace an existing file.

    The bytes are written to a temporary file in the same folder, and this file is flushed to the disk and renamed. Other programs see
    either the old or the new file. If `path` is a link, the file to which it points is replaced.

    Raises DiskFull if there are fewer than `nbytes` bytes free, and CheckpointError if `path` is not the path of a file or the system
    refuses to write for another reason.
    """
    path = require_path(path)
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    try:
        if target.exists() and not target.is_file():
            raise CheckpointError(f"{path}: the file must be a new or a plain one, got a {'folder' if target.is_dir() else 'device'}")
        free = free_bytes(target.parent)
        if free < nbytes:
            raise DiskFull(_no_room(path, nbytes, free))
        with open(temporary, "xb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        sync_folder(target.parent)
    except TinyalexError:
        raise
    except OSError as error:
        _discard(temporary)  # before the message counts the free bytes
        raise write_error(path, nbytes, error) from None
    except BaseException:
        _discard(temporary)
        raise


def write_bytes(path: Path | str, data: Any) -> None:
    """Write `data`, which is bytes-like, to the file `path` atomically."""
    write_atomically(path, [data], len(data))


def write_json(path: Path | str, document: dict[str, Any]) -> None:
    """Write `document` atomically as a JSON file with indentation."""
    write_bytes(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())


def write_picture(path: Path | str, save: Callable[[io.BytesIO], object]) -> None:
    """Write a picture atomically. `save` is called with a file in memory, to which it writes the picture."""
    picture = io.BytesIO()
    save(picture)
    write_bytes(path, picture.getbuffer())


def write_error(path: Path, nbytes: int, error: OSError) -> TinyalexError:
    """The error to raise after `error` in writing `nbytes` bytes to `path`."""
    if error.errno in NO_ROOM:
        return DiskFull(_no_room(path, nbytes, free_bytes(path.parent)))
    return CheckpointError(f"{path}: the file must be writable, got {error.strerror or error}; choose another place")


def free_bytes(folder: Path) -> int:
    """The bytes that are free on the disk of a folder."""
    import shutil  # here, because it loads three compressors, half a megabyte that a net in memory never needs

    return shutil.disk_usage(folder).free


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk; otherwise a power failure may undo a rename."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if they do not exist. Raises CheckpointError."""
    folder = require_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        got = error.strerror or error
        raise CheckpointError(f"{folder}: the folder must be one that can be made, got {got}; choose another place") from None


@contextlib.contextmanager
def alone_in(folder: Path | None) -> Iterator[None]:
    """Create a folder and lock it until the block or the process ends. None locks nothing.

    On Windows, and on file systems without locks, there is no lock.

    Raises
    ------
    CheckpointError: another process has locked the folder.
    """
    if folder is not None:
        folder = require_folder(folder)
        make_folder(folder)
    if folder is None or os.name != "posix":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CheckpointError(f"{folder}: processes that train in it must be one, got a second; wait for the first") from None
        yield
    finally:
        os.close(handle)


def remove_strays(folder: Path) -> None:
    """Delete the temporary files in a folder that remain after a process was killed."""
    if folder.is_dir():
        for stray in folder.glob(f".*{TEMPORARY}"):
            _discard(stray)


def _discard(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()


def _no_room(path: Path, nbytes: int, free: int) -> str:
    return f"{path}: the disk must have {nbytes:,} bytes free, got {free:,}; make room and run the same command again"
