"""A MongoDB server of a test's own: with options, and one that is killed and started again on its data."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

from tests import servers
from tests.mongod import mongod_program


class OwnMongod:
    """Runs ``mongod`` from the start of the block, with ``options``; the port stays the same after each start."""

    def __init__(self, *options: str) -> None:
        self.options = options

    def __enter__(self) -> OwnMongod:
        self.folder = Path(tempfile.mkdtemp(prefix="perfsuite-mongod-"))
        (self.folder / "data").mkdir()
        self.port = servers.free_port()
        self.start()
        return self

    def start(self) -> None:
        """Start the server on its data."""
        data, port = str(self.folder / "data"), str(self.port)
        command = [str(mongod_program()), "--dbpath", data, "--port", port, "--bind_ip", "127.0.0.1"]
        command += ["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", *self.options]
        self.server = servers.start(command, self.port, self.folder / "log", cwd=self.folder)
        self.server.wait_until_listening()

    def kill(self) -> None:
        """End the server as a power cut would."""
        self.server.stop(signal.SIGKILL)

    def url(self, name: str = "ix_own", **options: str) -> str:
        """Return the address of a database."""
        query = "&".join(f"{key}={value}" for key, value in {"directConnection": "true", **options}.items())
        return f"mongodb://127.0.0.1:{self.port}/{name}?{query}"

    def __exit__(self, *exc: Any) -> None:
        self.server.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
