"""A hot standby of the PostgreSQL that the tests run on: a copy that follows it, and can be read."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import servers
from tests.indexes import processes


@contextmanager
def hot_standby() -> Iterator[servers.PostgreSQL]:
    """Run one until the block ends, and yield how to reach it."""
    primary, programs = servers.PostgreSQL.from_environment(), servers.postgresql_programs()
    assert primary is not None
    assert programs is not None
    user = servers._unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="perfsuite-standby-"))
    try:
        if user:
            programs = servers._reachable(programs, folder)
            shutil.chown(folder, user)
        # fmt: off
        copy = [
            str(programs / "pg_basebackup"), "-D", str(folder / "data"), "--checkpoint=fast", "--no-sync",
            "--write-recovery-conf",
        ]
        # fmt: on
        subprocess.run(
            copy, cwd=folder, env=primary.env, capture_output=True, check=True, **servers._as_user(user)
        )
        here = dataclasses.replace(primary, port=servers.free_port())
        # It refuses to start with fewer connections than its primary allows.
        command = [str(programs / "postgres"), "-D", str(folder / "data"), "-h", here.host, "-k", ""]
        command += ["-p", str(here.port), "-c", "fsync=off", "-c", "max_connections=200"]
        server = servers.start(command, here.port, folder / "log", cwd=folder, user=user)
        try:
            processes.wait_for(
                lambda: "ready to accept read-only connections" in server.output(), "it follows"
            )
            yield here
        finally:
            server.stop(signal.SIGINT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
