"""A PostgreSQL of a test's own that it may stop and start again."""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
from pathlib import Path

from tests import servers


class RestartablePostgreSQL:
    """Runs from the start of the block; ``there`` is how to reach it, the same after each start."""

    def __enter__(self) -> RestartablePostgreSQL:
        programs = servers.postgresql_programs()
        assert programs is not None, "PostgreSQL is missing"
        self.folder = Path(tempfile.mkdtemp(prefix="perfsuite-pg-"))
        self.user = servers._unprivileged_user()
        if self.user:
            programs = servers._reachable(programs, self.folder)
            shutil.chown(self.folder, self.user)
        self.programs = programs
        self.there = servers.PostgreSQL(
            "127.0.0.1", servers.free_port(), "perfsuite", secrets.token_hex(8), "postgres"
        )
        self.server: servers.Server | None = None
        try:
            servers._initdb(programs, self.folder, self.there, self.user)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self) -> None:
        data, port = str(self.folder / "data"), str(self.there.port)
        command = [
            str(self.programs / "postgres"),
            "-D",
            data,
            "-h",
            self.there.host,
            "-p",
            port,
            "-k",
            "",
            "-c",
            "fsync=off",
        ]
        self.server = servers.start(
            command, self.there.port, self.folder / "log", cwd=self.folder, user=self.user
        )
        self.server.wait_until_listening()
        servers._wait_until_ready(self.server)

    def stop(self) -> None:
        """Stop it as an operator does who does not wait for clients."""
        if self.server is not None:
            self.server.stop(signal.SIGINT)

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
