"""``manage.py`` in a process of its own, on the test's database, with declarations from its settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from django.db import connections

from tests import servers
from tests.indexes import world

_SETTINGS = """
from tests.settings import *

DATABASES["default"]["NAME"] = {database!r}
PERFSUITE = {{"INDEXES": {{"DECLARE": {{{table!r}: {indexes!r}}}}}}}
"""


def command(
    folder: Path, *arguments: str, indexes: list[str], database: str = "", **env: str
) -> subprocess.Popen[str]:
    """Start a command that has ``indexes``, each a field's name, declared for the table of leads."""
    database = database or str(connections["default"].settings_dict["NAME"])
    (folder / "indexing.py").write_text(
        _SETTINGS.format(database=database, table=world.LEADS, indexes=indexes)
    )
    path = os.pathsep.join((str(folder), str(servers.ROOT)))
    return subprocess.Popen(
        [sys.executable, "-m", "django", *arguments, "--settings=indexing"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_mind_ctrl_c,  # noqa: PLW1509 - takes no lock
    )


def _mind_ctrl_c() -> None:
    """Take SIGINT as a terminal's child does: a shell has those that it starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end of a command, and return its exit code and output."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
    """Return when ``condition()`` holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}"
        time.sleep(0.02)
