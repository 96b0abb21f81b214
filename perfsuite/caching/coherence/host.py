"""The channel between the processes of one host: an append-only file, and a counter in shared memory that says it has grown.

Who changes something appends a line and then puts a value that was never there before into the counter; who reads compares
the counter with the value it saw last, which costs a tenth of a microsecond, and reads on in the file only if it differs. The
values need no order, so two writers at once need no lock: whichever writes last, no reader has seen that value.

The file is closed at a size and followed by another of the next number (the epoch, beside the counter). A writer looks at the
epoch again after it has appended: if it moved meanwhile, its line may have come too late, and it appends it to the new file too.
A reader that is more than one file behind has missed something and is told so. A writer that is killed in the middle of a line
leaves a torn one, which reads as "something was missed" too; what it was about never returned.

A process that is alone writes nothing: whoever comes later begins with an empty cache. Each holds a shared lock on a third file,
so that one can tell whether there are others, and counts itself into the page when it comes.

The files belong to one user (mode 0600) and contain keys and tags, never values.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count
from math import inf
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from perfsuite.caching.coherence import Message

logger = logging.getLogger("perfsuite.caching")

PAGE_BYTES = 4096
MAX_LOG_BYTES = 1 << 20
LOOK_EVERY_WRITES = 64
LOOK_EVERY_S = 1.0
_COUNTER, _EPOCH, ARRIVALS = 0, 1, 2


class ChannelUnusable(Exception):
    """The channel's files cannot be made or written here."""


class HostChannel:
    """This process's end of the channel called ``name``. Called with the lock of its cache held, but for ``counter``."""

    counter: memoryview

    def __init__(self, name: str, directory: str = "") -> None:
        self.folder = run_folder(directory)
        self.path = self.folder / f"{name}.page"
        self.name = name
        self._values = count(1)
        self._looked_at = 0.0
        self._start_of_values()
        self._attach()

    # Hot path: benchmarks/caching.py
    def is_alone(self) -> bool:
        """Tell whether there is nobody to be told."""
        return self.alone_since == self.counter[ARRIVALS]

    # Hot path: benchmarks/caching.py
    def publish(self, op: str, key: str = "", digest: int = 0, expires: float = 0.0) -> int | None:
        """Tell the other processes. If that fails they are told to forget everything, which the page alone can say.

        Return the value that the counter has if nobody else has written since the last ``read``, so that there is nothing to
        read; else None.
        """
        page = self.counter
        if "\\" in key or "\n" in key:
            key = key.replace("\\", "\\\\").replace("\n", "\\n")
        instant = "" if expires == inf else f"{int(expires * 1_000):x}"
        line = f"\n{op}{self._me}{digest:x} {instant} {key}\n".encode("utf-8", "surrogatepass")
        try:
            self._append(line)
        except OSError as exc:
            logger.warning("The cache's channel %s cannot be written: %s", self.path, exc)
            with contextlib.suppress(OSError), self._locked_page():
                page[_EPOCH] += 2
                self._open_for_writing(page[_EPOCH], create=True)
        value = page[_COUNTER] = self._salt | next(self._values)
        # After the counter: whoever appends from now on changes it once more.
        end = os.lseek(self._read_fd, 0, os.SEEK_END)
        is_alone = end == self._offset + len(line) and self._read_epoch == self._write_epoch
        if is_alone:
            self._offset = end
        self._writes += 1
        if self._writes % LOOK_EVERY_WRITES == 0 and os.fstat(self._write_fd).st_size > MAX_LOG_BYTES:
            self._begin_next_log()
            return None
        return value if is_alone else None

    def _append(self, line: bytes) -> None:
        page = self.counter
        while True:
            epoch = page[_EPOCH]
            try:
                if epoch != self._write_epoch:
                    self._open_for_writing(epoch)
            except FileNotFoundError:
                if page[_EPOCH] == epoch:
                    raise
                continue
            if os.write(self._write_fd, line) != len(line):
                raise OSError("a line was cut off")
            if page[_EPOCH] == epoch:
                return

    def read(self) -> list[Message] | None:
        """Return what was written since the last call, in its order; None where something was missed."""
        messages, is_whole = self._read_on()
        while (epoch := self.counter[_EPOCH]) != self._read_epoch:
            # Once more: a line may have come between reading and looking at the epoch. None that counts comes later.
            more, ok = self._read_on()
            messages, is_whole = messages + more, is_whole and ok
            is_next = epoch == self._read_epoch + 1
            try:
                self._open_for_reading(epoch, from_start=is_whole and is_next)
            except OSError:
                # It is followed by another already, or nobody could make it; what it said is lost.
                is_whole = False
                if self.counter[_EPOCH] == epoch:
                    return None
                continue
            more, ok = self._read_on()
            messages, is_whole = messages + more, is_whole and is_next and ok
        return messages if is_whole else None

    def is_current(self, now: float) -> bool:
        """Tell, at most once a second, whether the files are still those that a new process would find; if not, find them."""
        if now - self._looked_at < LOOK_EVERY_S and now >= self._looked_at:
            return True
        self._looked_at = now
        with contextlib.suppress(OSError):
            found = os.stat(self.path)
            if (found.st_ino, found.st_dev) == self._identity:
                if not self.is_alone():
                    with self._locked_page(wait=False):
                        self._find_others()
                return True
        self._attach()
        return False

    def after_fork(self) -> None:
        """Become a process of its own."""
        self._start_of_values()
        self.alone_since = 0
        with contextlib.suppress(OSError), self._locked_page():
            self._arrive()

    def _start_of_values(self) -> None:
        self._salt = secrets.randbits(31) << 33
        self._me = f"{secrets.randbits(48):012x}"
        self._writes = 0

    # Files

    def _attach(self) -> None:
        """Open the page and the log, made if they are missing, and begin at the log's end."""
        self.close()
        try:
            with self._locked_page() as fd:
                if os.fstat(fd).st_size < PAGE_BYTES:
                    os.posix_fallocate(fd, 0, PAGE_BYTES)
                found = os.fstat(fd)
                self._identity = found.st_ino, found.st_dev
                self.counter = memoryview(mmap.mmap(fd, PAGE_BYTES)).cast("Q")
                if self.counter[_EPOCH] == 0:
                    self.counter[_EPOCH] = time.time_ns()
                epoch = self.counter[_EPOCH]
                self._open_for_writing(epoch, create=True)
                self._open_for_reading(epoch, from_start=False)
                self._arrive()
        except OSError as exc:
            raise ChannelUnusable(f"{self.path}: {exc}") from exc
        self._looked_at = time.time()

    @contextlib.contextmanager
    def _locked_page(self, wait: bool = True) -> Iterator[int]:
        """Open the page's file and hold its lock; BlockingIOError where somebody else has it and there is no time to wait."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                yield fd
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)  # a map keeps the file open, and the lock with it
        finally:
            os.close(fd)

    def _arrive(self) -> None:
        """Hold the lock that says that this process is here, and have the others notice. Called with the page locked."""
        fd = os.open(
            self.folder / f"{self.name}.here", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        if self._here_fd >= 0:
            os.close(self._here_fd)
        self._here_fd = fd
        fcntl.flock(fd, fcntl.LOCK_SH)
        self.counter[ARRIVALS] += 1
        self._find_others()

    def _find_others(self) -> None:
        """Find out whether this process is alone, which it then is until somebody arrives. Called with the page locked.

        Without that, two who try at once would each let go of their own lock for a moment, and each find nobody.
        """
        arrivals = self.counter[ARRIVALS]
        self.alone_since = 0
        try:
            fcntl.flock(self._here_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.alone_since = arrivals
        except OSError:
            pass
        fcntl.flock(self._here_fd, fcntl.LOCK_SH)

    def _log(self, epoch: int) -> Path:
        return self.folder / f"{self.name}.{epoch}.log"

    def _open(self, epoch: int, create: bool) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._log(epoch), flags | os.O_CREAT if create else flags, 0o600)

    def _open_for_writing(self, epoch: int, create: bool = False) -> None:
        """Open the log of an epoch. Only who holds the page's lock makes one: else a log that is gone would come back empty."""
        fd = self._open(epoch, create)
        if self._write_fd >= 0:
            os.close(self._write_fd)
        self._write_fd, self._write_epoch = fd, epoch

    def _open_for_reading(self, epoch: int, from_start: bool) -> None:
        fd = self._open(epoch, create=False)
        if self._read_fd >= 0:
            os.close(self._read_fd)
        self._read_fd, self._read_epoch, self._rest = fd, epoch, b""
        self._offset = 0 if from_start else os.fstat(fd).st_size

    def _begin_next_log(self) -> None:
        """Have the log followed by another, unless somebody else is at it."""
        with contextlib.suppress(OSError), self._locked_page(wait=False):
            old = self._write_epoch
            if self.counter[_EPOCH] == old:
                self._open_for_writing(old + 1, create=True)
                self.counter[_EPOCH] = old + 1
                self.counter[_COUNTER] = self._salt | next(self._values)
                for log in self.folder.glob(f"{self.name}.*.log"):
                    if log != self._log(old + 1):
                        log.unlink()  # all who are attached have it open

    def _read_on(self) -> tuple[list[Message], bool]:
        """Return the messages up to the end of the log that is open, and whether all of it could be read."""
        messages: list[Message] = []
        is_whole = True
        while data := os.pread(self._read_fd, 1 << 16, self._offset):
            self._offset += len(data)
            lines = (self._rest + data).split(b"\n")
            self._rest = lines.pop()
            for line in filter(None, lines):
                message = self._parsed(line)
                if message is None:
                    is_whole = False
                else:
                    messages.append(message)
        return messages, is_whole

    def _parsed(self, line: bytes) -> Message | None:
        try:
            text = line.decode("utf-8", "surrogatepass")
            op, writer, rest = text[0], text[1:13], text[13:]
            digest, expires, key = rest.split(" ", 2)
            if "\\" in key:
                key = key.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
            return Message(
                op, writer == self._me, key, int(digest, 16), int(expires, 16) / 1_000 if expires else inf
            )
        except (ValueError, IndexError):
            return None

    _write_fd = _read_fd = _here_fd = -1
    _write_epoch = _read_epoch = _offset = 0
    _rest = b""
    alone_since = 0  # the arrivals when it was found to be alone; never 0 in the page

    def close(self) -> None:
        """Let go of the files. The page stays mapped while somebody still looks at its counter."""
        for fd in (self._write_fd, self._read_fd, self._here_fd):
            if fd >= 0:
                os.close(fd)
        self._write_fd = self._read_fd = self._here_fd = -1


def run_folder(directory: str = "") -> Path:
    """Return the folder for what the processes of one user share, made if it is missing: 0700, and nobody else's."""
    user = os.getuid()
    # Not XDG_RUNTIME_DIR: a server has none where the same user's shell has one, and the two must meet.
    folder = Path(directory) if directory else Path(tempfile.gettempdir()) / f"perfsuite-{user}"
    try:
        folder.mkdir(mode=0o700, parents=bool(directory), exist_ok=True)
        found = folder.lstat()
    except OSError as exc:
        raise ChannelUnusable(f"{folder}: {exc}") from exc
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or (not directory and found.st_mode & 0o077):
        raise ChannelUnusable(f"{folder} is not a folder of this user's alone")
    return folder


def channel_name(cache: str) -> str:
    """Return the name of a cache's files: the cache's own, and a hash that keeps two projects of one user apart.

    The workers of a parallel test run are kept apart too: with Django's own backends each has a cache of its own.
    """
    try:
        project = settings.SECRET_KEY
    except ImproperlyConfigured:
        project = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    readable = "".join(char if char.isalnum() or char in "-_" else "-" for char in cache)[:40].strip("-")
    digest = blake2b(
        f"{project}\0{cache}\0{_test_worker()}".encode("utf-8", "surrogatepass"), digest_size=8
    ).hexdigest()
    return f"{readable or 'cache'}-{digest}"


def _test_worker() -> str:
    """Return which worker of a parallel test run this process is: one of pytest-xdist's, or of ``manage.py test --parallel``."""
    runner = sys.modules.get("django.test.runner")
    return os.environ.get("PYTEST_XDIST_WORKER", "") or str(getattr(runner, "_worker_id", 0) or "")
