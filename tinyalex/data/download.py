"""Downloads CIFAR-10: continues where the last attempt ended, checks the archive, and unpacks it."""

from __future__ import annotations

import contextlib
import errno
import gzip
import itertools
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tinyalex.data.cifar10 import Layout, read_cifar10
from tinyalex.data.mirrors import ARCHIVES, MIRRORS, TIMEOUT, Archive, Progress, fetch, size_of
from tinyalex.errors import CheckpointError, DataError, DiskFull, require_choice
from tinyalex.files.atomic import alone_in

__all__ = ["ARCHIVES", "MIRRORS", "Archive", "download_cifar10"]

SPARE = 2**24  # bytes of the disk that stay free


def download_cifar10(
    folder: Path,
    layout: str = "bin",
    mirrors: Sequence[str] = MIRRORS,
    progress: Progress | None = None,
    *,
    timeout: float = TIMEOUT,
    _archive: Archive | None = None,
) -> Path:
    """Download CIFAR-10 into a folder, and return the folder of its batches.

    If the data is already there and complete, nothing is done. If it is damaged, its folder is renamed to `NAME.damaged`.
    A download that was interrupted leaves a file `.part`, and the next call continues that file.

    Parameters
    ----------
    folder : where the folder `cifar-10-batches-bin` or `cifar-10-batches-py` is made. `~` is the home folder.
    layout : "bin" or "py".
    mirrors : addresses, http or https, to which the name of the archive is appended. They are tried in order. The next one is
        tried when one sends less than 200,000 bytes a second; if none is faster, the slow ones are asked again.
    progress : called with the number of bytes that have arrived and the number of bytes of the archive.
    timeout : a mirror is given up after so many seconds without an answer, or with fewer than 1,024 bytes a second.

    Raises
    ------
    DataError : no mirror delivered the archive (the message has the reason of each), the archive has unexpected contents, or
        another process is downloading into the folder.
    DiskFull : the disk has no room. This is checked before the download.
    """
    require_choice("download_cifar10", "layout", layout, tuple(ARCHIVES))
    archive, folder = _archive or ARCHIVES[layout], Path(os.path.expanduser(folder))
    target, part = folder / archive.layout.folder, folder / f"{archive.name}.part"
    if _is_whole(target, archive):
        return target
    for mirror in mirrors:
        if not mirror.startswith(("http://", "https://")):
            raise DataError(f"download_cifar10: mirrors must begin with http:// or https://, got {mirror!r}")
    _make_folder(folder)
    with _alone_in(folder):
        return _download(folder, target, part, archive, mirrors, progress, timeout)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Lock the folder, because two downloads that append to one `.part` file would damage it."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(alone_in(folder))
        except CheckpointError as error:
            raise DataError(f"{folder}: processes that write in it must be one, got a second", error.remedy) from None
        yield


def _download(
    folder: Path, target: Path, part: Path, archive: Archive, mirrors: Sequence[str], progress: Progress | None, timeout: float
) -> Path:
    """Fetch, check and unpack the archive into a folder that is locked for this process."""
    needed = archive.size - size_of(part) + archive.unpacked + SPARE
    if shutil.disk_usage(folder).free < needed:
        raise _no_room(folder, needed)
    try:
        reasons = fetch(mirrors, part, archive, progress, timeout)
        if reasons is not None:
            raise DataError(
                f"download_cifar10: one of {len(mirrors)} mirrors must deliver {archive.name}, got {reasons or 'no mirror'}",
                f"try again later to go on, or unpack {archive.name} in {folder} yourself",
            )
        _place(part, target, archive)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_room(folder, archive.size - size_of(part) + archive.unpacked + SPARE) from None
        raise
    part.unlink(missing_ok=True)
    return target


def _is_whole(target: Path, archive: Archive) -> bool:
    """Whether the data is there and complete. All files are read, because a damaged copy must be replaced."""
    if not target.is_dir():
        return False
    try:
        read_cifar10(target, images_a_file=archive.images_a_file)
    except DataError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: the data folder must be one that can be made, got {error.strerror or error}") from None


def _no_room(folder: Path, needed: int) -> DiskFull:
    free = shutil.disk_usage(folder).free
    return DiskFull(f"{folder}: the disk must have {needed:,} bytes free, got {free:,}; make room and run the same command again")


def _place(part: Path, target: Path, archive: Archive) -> None:
    """Unpack beside the target, then rename the new folder, so that no reader ever sees a part of the files."""
    with tempfile.TemporaryDirectory(prefix=".cifar10-", dir=target.parent) as temporary:
        try:
            _unpack(part, Path(temporary), archive)
        except DataError:
            part.unlink()
            raise
        if target.exists():
            os.rename(target, _aside(target))
        os.rename(Path(temporary) / archive.layout.folder, target)


def _aside(target: Path) -> Path:
    """A free name for a damaged folder."""
    names = (target.with_name(f"{target.name}.damaged{number or ''}") for number in itertools.count())
    return next(name for name in names if not name.exists())


def _unpack(part: Path, folder: Path, archive: Archive) -> None:
    """Unpack the files of the layout. Every entry of the archive is checked before it is written."""
    layout, unpacked = archive.layout, 0
    needed = {f"{layout.folder}/{name}" for name in (*layout.train, layout.test, layout.meta)}
    missing = set(needed)
    try:
        with tarfile.open(part, "r:gz") as tar:
            for member in tar:
                _check_member(member, layout, needed)
                unpacked += member.size
                if unpacked > archive.unpacked:
                    raise DataError(f"{archive.name}: the files must hold at most {archive.unpacked:,} bytes, got more")
                tar.extract(member, folder, filter="data")
                if member.isreg():
                    missing.discard(member.name)
                    _sync(folder / member.name)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{archive.name}: the archive must be a whole tar.gz, got {error}") from None
    if missing:
        raise DataError(f"{archive.name}: the archive must hold {min(missing)}, got none of that name")


def _check_member(member: tarfile.TarInfo, layout: Layout, needed: set[str]) -> None:
    folder = member.isdir() and member.name == layout.folder
    file = member.isreg() and member.name in needed | {f"{layout.folder}/readme.html"}
    if not (folder or file):
        kind = "folder" if member.isdir() else "file" if member.isreg() else "link or device"
        raise DataError(f"{layout.folder}: entries of the archive must be the files of this layout, got the {kind} {member.name[:100]!r}")


def _sync(path: Path) -> None:
    """Force a file to the disk. Otherwise it may be empty after a power failure, although it has its final name."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
