"""Real servers for the tests, started on free loopback ports and stopped by their own process id.

Uses the standard library only, so that a runner without Django can use it too:
``python -m tests.servers postgresql -- COMMAND`` runs COMMAND with a PostgreSQL of its own, which ``PGHOST``,
``PGPORT`` and so on name; ``djongo`` and ``mongodb`` in its place run it with a MongoDB, which ``TEST_MONGODB_URL`` names.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import glob
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class ServerDidNotStart(Exception):
    """A server ended or stayed silent instead of listening; the message carries the end of its log."""


@dataclasses.dataclass
class Server:
    """A server process of this run: its port on 127.0.0.1 and where its output goes."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def pid(self) -> int:
        """The process id of the server's first process."""
        return self.process.pid

    @property
    def url(self) -> str:
        """The address without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        """Return what the server has printed so far."""
        return self.log.read_text(errors="replace")

    def wait_until_listening(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Return when the port accepts connections; raise ``ServerDidNotStart`` if the process ends first."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerDidNotStart(f"exit code {self.process.returncode}:\n{self.output()[-4000:]}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise ServerDidNotStart(f"not listening after {timeout_s:g} s:\n{self.output()[-4000:]}")

    def stop(self, with_signal: int = signal.SIGTERM, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Send ``with_signal``, wait for the end and return the exit code; SIGKILL after ``timeout_s``."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def start(
    command: Sequence[str],
    port: int,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    user: str | None = None,
) -> Server:
    """Start ``command``, as ``user`` when given, with ``env`` added to this process's environment."""
    # The log belongs to this process; the server only inherits the open file.
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the tests, which then stop their servers
            preexec_fn=_end_with_the_tests if sys.platform == "linux" else None,  # noqa: PLW1509 - takes no lock
            **_as_user(user),
        )
    return Server(process, port, log)


def new_host(folder: Path, **env: str) -> dict[str, str]:
    """Migrate a test host with a SQLite database of its own in ``folder``; return the environment of its servers."""
    env = {**env, "PERFSUITE_TEST_DIR": str(folder), "TEST_DATABASE": "sqlite"}
    command = [sys.executable, "-m", "django", "migrate", "--settings=tests.settings", "--verbosity=0"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=True)
    return env


@contextlib.contextmanager
def gunicorn(*options: str, app: str = "tests.wsgi:application", **env: str) -> Iterator[Server]:
    """Run ``app`` under gunicorn with the environment variables ``env`` until the block ends."""
    port = free_port()
    # gunicorn's control socket lies in the home folder and would be shared by all servers of a run.
    command = [sys.executable, "-m", "gunicorn", app, "--no-control-socket"]
    # A worker that was forked a moment ago has its master's handler still and misses the signal to end. The master kills it then,
    # which must be sooner than a test gives up on the master.
    command += ["--graceful-timeout", f"{STOP_TIMEOUT_S // 3:.0f}"]
    command += ["--bind", f"127.0.0.1:{port}", *options]
    with _running(command, port, env) as server:
        yield server


@contextlib.contextmanager
def uvicorn(*options: str, app: str = "tests.asgi:application", **env: str) -> Iterator[Server]:
    """Run ``app`` under uvicorn with the environment variables ``env`` until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "warning", *options]
    with _running(command, port, env) as server:
        yield server


@contextlib.contextmanager
def _running(command: Sequence[str], port: int, env: Mapping[str, str]) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="perfsuite-server-") as folder:
        server = start(command, port, Path(folder) / "log", env)
        try:
            server.wait_until_listening()
            yield server
        finally:
            server.stop()


def _end_with_the_tests() -> None:
    """Have this new process told to stop when the tests end without doing it, killed or stuck for too long."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


# PostgreSQL


@dataclasses.dataclass(frozen=True)
class PostgreSQL:
    """How to reach a PostgreSQL server."""

    host: str
    port: int
    user: str
    password: str
    dbname: str

    @property
    def env(self) -> dict[str, str]:
        """The environment by which libpq, and so psycopg, finds the server."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.dbname,
        }

    @property
    def setting(self) -> dict[str, object]:
        """The entry of Django's ``DATABASES``."""
        place = {"HOST": self.host, "PORT": str(self.port), "USER": self.user, "PASSWORD": self.password}
        return {"ENGINE": "django.db.backends.postgresql", "NAME": self.dbname, **place}

    @classmethod
    def from_environment(cls) -> PostgreSQL | None:
        """Return the server of a run with ``TEST_DATABASE=postgresql``, or None in another run."""
        if os.environ.get("TEST_DATABASE") != "postgresql" or "PGHOST" not in os.environ:
            return None
        get = os.environ.get
        return cls(
            os.environ["PGHOST"],
            int(get("PGPORT", "5432")),
            get("PGUSER", "postgres"),
            get("PGPASSWORD", ""),
            get("PGDATABASE", "postgres"),
        )


def postgresql_programs() -> Path | None:
    """Return the folder that holds ``initdb`` and ``postgres``, or None where there is none.

    Looks at ``PERFSUITE_TEST_POSTGRES_BIN``, the PATH, Debian's folders (newest first), the ``pgserver`` wheel.
    """
    candidates = [os.environ.get("PERFSUITE_TEST_POSTGRES_BIN", "")]
    if on_path := shutil.which("initdb"):
        candidates.append(str(Path(on_path).resolve().parent))
    debian = glob.glob("/usr/lib/postgresql/*/bin")
    candidates += sorted(debian, key=lambda folder: float(Path(folder).parent.name), reverse=True)
    found = (Path(folder) for folder in candidates if folder and _is_whole(Path(folder)))
    return next(found, None) or postgresql_of_wheel()


def postgresql_of_wheel() -> Path | None:
    """Return the folder of the programs in the ``pgserver`` wheel, which are those of PostgreSQL 16, or None without it."""
    wheel = importlib.util.find_spec("pgserver")
    folder = Path(wheel.origin).parent / "pginstall" / "bin" if wheel and wheel.origin else None
    return folder if folder and _is_whole(folder) else None


def _is_whole(folder: Path) -> bool:
    return (folder / "initdb").exists() and (folder / "postgres").exists()


@contextlib.contextmanager
def postgresql(programs: Path | None = None) -> Iterator[PostgreSQL]:
    """Run a new, empty PostgreSQL until the block ends, that of ``programs`` or the one that is found.

    Its data is never synced to the disk, and then removed.
    """
    programs = programs or postgresql_programs()
    if programs is None:
        raise ServerDidNotStart(
            "PostgreSQL is missing; type: apt-get install postgresql, or: pip install pgserver"
        )
    user = _unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="perfsuite-pg-"))
    try:
        if user:
            programs = _reachable(programs, folder)
            shutil.chown(folder, user)
        here = PostgreSQL("127.0.0.1", free_port(), "perfsuite", secrets.token_hex(8), "postgres")
        _initdb(programs, folder, here, user)
        # fmt: off
        command = [
            str(programs / "postgres"), "-D", str(folder / "data"),
            "-h", here.host, "-p", str(here.port), "-k", "",
            "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
            "-c", "max_connections=200", "-c", "timezone=UTC",
        ]
        # fmt: on
        server = start(command, here.port, folder / "log", cwd=folder, user=user)
        try:
            server.wait_until_listening()
            _wait_until_ready(server)
            yield here
        finally:
            server.stop(signal.SIGINT)  # "fast shutdown": does not wait for clients
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initdb(programs: Path, folder: Path, here: PostgreSQL, user: str | None) -> None:
    password_file = folder / "password"
    password_file.write_text(here.password)
    if user:
        shutil.chown(password_file, user)
    # fmt: off
    done = subprocess.run(
        [
            str(programs / "initdb"), "-D", str(folder / "data"), "-U", here.user,
            "--pwfile", str(password_file), "--auth", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C",
        ],
        cwd=folder, capture_output=True, text=True, check=False, **_as_user(user),
    )
    # fmt: on
    if done.returncode:
        raise ServerDidNotStart(f"initdb failed:\n{done.stdout}\n{done.stderr}")


def _wait_until_ready(server: Server) -> None:
    """Wait for the log's own word: the port accepts connections while the server still starts up."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while "ready to accept connections" not in server.output():
        if time.monotonic() > deadline or server.process.poll() is not None:
            raise ServerDidNotStart(server.output()[-4000:])
        time.sleep(0.02)


def _unprivileged_user() -> str | None:
    """Return who runs the server when this process is root, which PostgreSQL refuses to be; else None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise ServerDidNotStart(
        "PostgreSQL does not run as root and there is no user 'nobody'; run the tests as a user."
    )


def _as_user(user: str | None) -> dict[str, object]:
    if user is None:
        return {}
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _reachable(programs: Path, folder: Path) -> Path:
    """Return ``programs``, or a copy under ``folder`` when other users cannot look into a folder above them."""
    if all(above.stat().st_mode & 0o001 for above in programs.resolve().parents):
        return programs
    copied = folder / "wheel" / "pgserver" / "pginstall"
    shutil.copytree(programs.parent, copied, symlinks=True)
    libraries = programs.parent.parent.with_name(
        "pgserver.libs"
    )  # found by their place relative to the programs
    if libraries.exists():
        shutil.copytree(libraries, folder / "wheel" / libraries.name, symlinks=True)
    return copied / programs.name


def main(arguments: Sequence[str]) -> int:
    """Run a command with a server of its own and return its exit code."""
    from tests import mongod  # it uses this module

    start_server = {"postgresql": postgresql, **dict.fromkeys(mongod.DATABASES, mongod.mongodb)}
    if len(arguments) < 3 or arguments[0] not in start_server or arguments[1] != "--":
        print(
            f"usage: python -m tests.servers {'|'.join(start_server)} -- COMMAND [ARGUMENT ...]",
            file=sys.stderr,
        )
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with start_server[arguments[0]]() as server:
        env = {**os.environ, **server.env, "TEST_DATABASE": arguments[0]}
        return subprocess.run(list(arguments[2:]), env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
