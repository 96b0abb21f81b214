"""The visitors: bounded in number and time, and gone by themselves."""

from __future__ import annotations

import re
import subprocess
import sys
import time

from tests import servers
from tests.sampleproject.conftest import Site

SCRIPT = servers.ROOT / "sampleproject" / "visitors.py"


def visit(*arguments: str) -> tuple[str, float]:
    started = time.monotonic()
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, time.monotonic() - started


def test_they_browse_the_whole_site_within_their_bounds(own_site: Site) -> None:
    with servers.gunicorn("--threads=4", app="sampleproject.wsgi", **own_site.env) as server:
        said, seconds = visit(f"--port={server.port}", "--minutes=0.06")
    assert seconds < 30
    answers = {int(status): int(count) for count, status in re.findall(r"(\d+) with (\d+)", said)}
    assert 5 < sum(answers.values()) <= 3.6 * 15
    assert answers.keys() <= {200, 302, 404}


def test_they_leave_a_site_that_does_not_answer() -> None:
    said, seconds = visit(f"--port={servers.free_port()}", "--minutes=5")
    assert said.endswith(": none.\n")
    assert seconds < 30


def test_they_leave_when_the_one_who_sent_them_is_gone() -> None:
    said, seconds = visit(f"--port={servers.free_port()}", "--minutes=5", "--parent=1")
    assert said.endswith(": none.\n")
    assert seconds < 5
