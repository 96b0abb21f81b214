"""A small disk of a test's own, which the test can fill."""

from __future__ import annotations

import contextlib
import errno
import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MB = 1 << 20


class Disk:
    """A file system that holds little, mounted on ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave not a byte of it free."""
        with self._filler.open("ab", buffering=0) as filler:
            for size in (MB, 4_096, 1):
                while self._has_room_for(filler, bytes(size)):
                    pass

    def _has_room_for(self, file: io.FileIO, data: bytes) -> bool:
        try:
            file.write(data)
        except OSError as exc:
            if exc.errno == errno.ENOSPC:
                return False
            raise
        return True

    def make_room(self) -> None:
        """Free what ``fill`` took."""
        self._filler.unlink()


@contextlib.contextmanager
def small_disk(mb: int) -> Iterator[Disk]:
    """Mount a disk of so many MB in memory until the block ends. Only root may mount one; for others the test is skipped."""
    folder = tempfile.mkdtemp(prefix="perfsuite-disk-")
    try:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={mb}m,mode=755", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("fills a small disk, and only root may mount one")
        try:
            # PostgreSQL does not run as root, and must get there.
            Path(folder).chmod(0o755)
            yield Disk(Path(folder))
        finally:
            # Lazily, should a process that is just ending still have a file open.
            subprocess.run(["umount", "--lazy", folder], check=True)
    finally:
        shutil.rmtree(folder)
