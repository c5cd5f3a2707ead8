"""OTLP requests in, files of a private directory out: oldest first, and bounded in bytes."""

from __future__ import annotations

import os
import secrets
import stat
import sys
import time
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from lc_otel._errand import call_in_child

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 256 * 1024 * 1024
"""What a spool holds at most, unless told otherwise."""

_HALF_WRITTEN = 60.0  # seconds after which whoever was writing a file is gone


class Entry(NamedTuple):
    """One request on disk; its file's name tells what it holds."""

    path: Path
    spans: int
    checksum: str
    size: int
    """In bytes."""


class CorruptEntryError(Exception):
    """A file does not hold what its name says."""


class Spool:
    """A directory of undelivered requests, which several processes may share.

    A request is one file, written aside and renamed, so that it is there whole or not at all
    (docs/adr/0010-a-spool-is-a-directory-of-requests.md).

    Args:
        path: The directory; made for its user alone where it is missing.
        max_bytes: What all its files may hold together.

    Raises:
        OSError: The directory cannot be made or written.
        PermissionError: Every user of the machine may write to it.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._last_ns = 0
        self._lock: int | None = None
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32" and stat.S_IMODE(path.stat().st_mode) & stat.S_IWOTH:
            raise PermissionError(0, "every user of this machine may write to it")
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(0, "this user may not read and write it")
        call_in_child(self._let_go)

    def put(self, request: bytes, spans: int) -> tuple[Path, list[Entry]]:
        """Keep a request; its file, and the entries that had to make room.

        Raises:
            OSError: The disk is full or broken, or the request is larger than the spool.
        """
        evicted = self._make_room(len(request))
        # a clock set back must not turn the order round
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        checksum = _checksum(request)
        name = f"{self._last_ns:020d}-{spans}-{checksum}-{secrets.token_hex(4)}"
        part, path = self.path / f"{name}.part", self.path / f"{name}.otlp"
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(request)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return path, evicted

    def entries(self) -> list[Entry]:
        """What is kept, oldest first."""
        return [entry for path in self._files(".otlp") if (entry := _entry(path))]

    def is_empty(self) -> bool:
        """Whether nothing waits to be delivered."""
        return not self._files(".otlp")

    def read(self, entry: Entry) -> bytes:
        """The request of an entry.

        Raises:
            CorruptEntryError: It is not what was written.
            OSError: It cannot be read; FileNotFoundError where another process delivered it.
        """
        request = entry.path.read_bytes()
        if _checksum(request) != entry.checksum:
            raise CorruptEntryError
        return request

    def set_aside(self, path: Path) -> Path:
        """Rename a file that is of no use, so that nobody looks at it again."""
        return path.rename(path.with_suffix(".corrupt"))

    def half_written(self) -> list[Path]:
        """What processes that were killed left unfinished."""
        limit = time.time() - _HALF_WRITTEN
        return [path for path in self._files(".part") if _modified(path) < limit]

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether it is this process's turn to deliver; only one process has it at a time.

        It falls to the others when its holder ends, however that happens.
        """
        self._lock = os.open(self.path / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            yield _try_lock(self._lock)
        finally:
            _unlock(self._lock)
            os.close(self._lock)
            self._lock = None

    def _let_go(self) -> None:
        """In a forked child: keep no part in the parent's lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _files(self, suffix: str) -> list[Path]:
        return sorted(path for path in self.path.iterdir() if path.suffix == suffix)

    def _make_room(self, size: int) -> list[Entry]:
        """Delete what is of no use, then the oldest entries, until a request fits."""
        if size > self._max_bytes:
            raise OSError(0, f"its {size:,} bytes are more than the spool's {self._max_bytes:,}")
        entries = self.entries()
        aside = self._files(".corrupt")
        total = size + sum(entry.size for entry in entries) + sum(map(_size, aside))
        for path in aside:
            if total <= self._max_bytes:
                break
            total -= _size(path)
            path.unlink(missing_ok=True)
        evicted = []
        for entry in entries:
            if total <= self._max_bytes:
                break
            total -= entry.size
            entry.path.unlink(missing_ok=True)
            evicted.append(entry)
        return evicted


def _entry(path: Path) -> Entry | None:
    """Read a file's name; one that is not ours, or gone meanwhile, is none."""
    match path.stem.split("-"):
        case [_, spans, checksum, _] if spans.isdecimal() and path.exists():
            return Entry(path, int(spans), checksum, _size(path))
    return None


def _checksum(request: bytes) -> str:
    return f"{zlib.crc32(request):08x}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


if sys.platform == "win32":

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        """Closing the file gives the lock up."""

else:

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        # said outright, since a child forked meanwhile has the file open too
        fcntl.flock(descriptor, fcntl.LOCK_UN)
