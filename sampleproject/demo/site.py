"""The site itself: its tables and content, its server, its visitors."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NoReturn

from sampleproject.demo.environment import Environment
from sampleproject.demo.prerequisites import check_port
from sampleproject.demo.processes import VAR, Children, DemoError, tail

READY_TIMEOUT_S = 60


def fill(environment: Environment, children: Children) -> None:
    """Create the tables, the content and the static files. Quick when they are there."""
    print("Preparing the database.", flush=True)
    children.finish(
        manage(environment, "migrate", "--verbosity=0"),
        "the tables could not be made; see DB in sampleproject/README.md.",
    )
    children.finish(manage(environment, "seed_demo"), "the content could not be written.", shown=True)
    children.finish(
        manage(environment, "collectstatic", "--noinput", "--verbosity=0"),
        "the static files could not be collected.",
    )
    children.finish(
        manage(environment, "compress", "--verbosity=0"), "the static files could not be compressed."
    )


def manage(environment: Environment, *arguments: str) -> list[str]:
    """Return the command line of a Django command."""
    return [str(environment.python), "manage.py", *arguments]


def serve(environment: Environment, children: Children, port: int, minutes: float) -> NoReturn:
    """Run the server and the visitors until the server ends or a signal comes."""
    check_port(port)  # the steps before may have taken a minute
    log = VAR / "gunicorn.log"
    gunicorn = [
        *(str(environment.python), "-m", "gunicorn"),
        *("--config", "sampleproject/gunicorn_conf.py", "sampleproject.wsgi"),
    ]
    children.environ["PORT"] = str(port)
    server = children.start(gunicorn, log)
    wait_until_ready(server, port, log)
    print(WELCOME.format(url=f"http://127.0.0.1:{port}", log=log), flush=True)
    if minutes:
        print(f"Visitors browse it for {minutes:g} min. Press Ctrl-C to stop everything.", flush=True)
        visitors = [sys.executable, "sampleproject/visitors.py", f"--port={port}", f"--minutes={minutes:g}"]
        children.start([*visitors, f"--parent={os.getpid()}"], VAR / "visitors.log")
    else:
        print("No visitors were asked for. Press Ctrl-C to stop it.", flush=True)
    status = server.wait()
    raise DemoError(
        f"the server ended with status {status}; the end of {log} says why:\n{tail(log.read_text())}"
    )


WELCOME = """
The sample site is running.

  Performance panel  {url}/performance/?range=15m
  Site               {url}/
  Log in as          admin, password admin
  Server's log       {log}
"""


def wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when the site answers; raise when it never will."""
    problem = "it did not answer"
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                return
        except urllib.error.HTTPError as exc:
            problem = f"it answered with status {exc.code}"
            break
        except OSError:
            time.sleep(0.1)
    else:
        if server.poll() is not None:
            problem = f"it ended with status {server.returncode}"
    raise DemoError(f"the server did not start: {problem}. The end of {log}:\n{tail(log.read_text())}")
