"""`make demo`: install, fill and run the sample site, with visitors, and stop all of it on Ctrl-C.

Runs on a bare Python with nothing installed. What goes wrong is told in one sentence that says what to do.
Environment: PORT (8000), DEMO_MINUTES that the visitors stay (5), DATABASE and the rest of `settings.py`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
VAR = Path(os.environ.get("SAMPLEPROJECT_VAR", ROOT / "sampleproject" / "var"))
OLDEST_PYTHON = (3, 11)
MIN_FREE_MB = 300
MAX_MINUTES = 120.0
READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10


class DemoError(Exception):
    """One sentence for the person who typed `make demo`, with what to do."""


def main() -> int:
    """Run the demo until it is interrupted; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup stays what it is
            signal.signal(number, _interrupt)
    children = Children()
    try:
        run(children)
    except DemoError as exc:
        print(f"make demo: {exc}", file=sys.stderr)
        return 1
    except OSError as exc:
        print(f"make demo: {no_space() if exc.errno == errno.ENOSPC else f'{exc}.'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopping.", flush=True)
    finally:
        children.stop()
    return 0


def run(children: Children) -> None:
    """Do one thing after the other. Ends only by an exception."""
    check_python(sys.version_info[:2])
    port = number_from(os.environ, "PORT", default=8000, highest=65535)
    minutes = number_from(os.environ, "DEMO_MINUTES", default=5, highest=MAX_MINUTES)
    check_port(int(port))
    check_disk()
    install(children)
    fill(children)
    serve(children, int(port), minutes)


# What can be known before anything is installed


def check_python(version: tuple[int, ...]) -> None:
    """Refuse a Python that the project does not run on."""
    if version < OLDEST_PYTHON:
        found, needed = (".".join(map(str, each)) for each in (version, OLDEST_PYTHON))
        raise DemoError(
            f"this is Python {found}; install {needed} or newer and type `make demo PYTHON=python{needed}`."
        )


def number_from(environ: Mapping[str, str], name: str, *, default: float, highest: float) -> float:
    """Return the number that the environment variable `name` holds."""
    text = environ.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= highest or (name == "PORT" and not 1 <= number == int(number)):
        raise DemoError(
            f"{name} is {text!r}; give a number up to {highest:g}, such as `{name}={default:g} make demo`."
        )
    return number


def check_port(port: int) -> None:
    """Refuse a port that cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as exc:
            raise DemoError(f"port {port} is for the administrator; type `PORT=8001 make demo`.") from exc
        except OSError as exc:
            other = port + 1 if port < 65535 else 8000
            raise DemoError(
                f"port {port} is in use; stop what listens there or type `PORT={other} make demo`."
            ) from exc


def check_disk() -> None:
    """Refuse to start on a disk that the installation would fill."""
    if shutil.disk_usage(ROOT).free < MIN_FREE_MB * 1_000_000:
        raise DemoError(no_space())


def no_space() -> str:
    """Say what is needed when the disk is full."""
    return f"the disk of {ROOT} is full; free {MIN_FREE_MB} MB and type `make demo` again."


# The steps


def install(children: Children) -> None:
    """Create the environment and install the project, unless both are there and up to date."""
    stamp = VENV / "demo-installed"
    wanted = fingerprint()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    if not works(PYTHON):
        make_environment(children)
    print("Installing what the site needs; the first time this takes a minute.", flush=True)
    pip = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--editable",
        ".[demo]",
    ]
    children.finish(pip, "pip could not install the project; is the network there?")
    stamp.write_text(wanted)


def make_environment(children: Children) -> None:
    """Create the virtual environment, anew when there is a broken one."""
    try:
        import ensurepip  # noqa: F401 - Debian keeps it in a package of its own
        import venv  # noqa: F401
    except ImportError as exc:
        raise DemoError(
            "Python cannot make an environment here; type `apt install python3-venv` as root."
        ) from exc
    print("Creating the environment .venv.", flush=True)
    children.finish(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], "the environment .venv could not be made."
    )


def works(python: Path) -> bool:
    """Tell whether the environment's Python runs, has pip and is new enough."""
    code = f"import sys, pip; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    return (
        python.exists()
        and subprocess.run([str(python), "-c", code], capture_output=True, check=False).returncode == 0
    )


def fingerprint() -> str:
    """Return what changes when the installation must be done again."""
    parts = [str(ROOT).encode(), sys.version.encode()]
    parts += [(ROOT / name).read_bytes() for name in ("pyproject.toml", "setup.cfg")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def fill(children: Children) -> None:
    """Create the tables, the content and the static files. Quick when they are there."""
    print("Preparing the database.", flush=True)
    children.finish(
        manage("migrate", "--verbosity=0"),
        "the tables could not be made; see DATABASE in sampleproject/README.md.",
    )
    children.finish(manage("seed_demo"), "the content could not be written.", shown=True)
    children.finish(
        manage("collectstatic", "--noinput", "--verbosity=0"), "the static files could not be collected."
    )
    children.finish(manage("compress", "--verbosity=0"), "the static files could not be compressed.")


def manage(*arguments: str) -> list[str]:
    """Return the command line of a Django command."""
    return [str(PYTHON), "manage.py", *arguments]


def serve(children: Children, port: int, minutes: float) -> NoReturn:
    """Run the server and the visitors until the server ends or a signal comes."""
    check_port(port)  # the steps before may have taken a minute
    log = VAR / "gunicorn.log"
    gunicorn = [
        str(PYTHON),
        "-m",
        "gunicorn",
        "--config",
        "sampleproject/gunicorn_conf.py",
        "sampleproject.wsgi",
    ]
    server = children.start(gunicorn, log, PORT=str(port))
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


def tail(text: str, lines: int = 15) -> str:
    """Return the last lines of `text`, indented."""
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:])


def gist(output: str) -> str:
    """Return the end of what a failed command said; of a traceback only the error itself."""
    lines = output.strip().splitlines()
    tracebacks = [index for index, line in enumerate(lines) if line.startswith("Traceback ")]
    if tracebacks:
        after = lines[tracebacks[-1] + 1 :]
        lines = after[next((index for index, line in enumerate(after) if not line.startswith(" ")), 0) :]
    return tail("\n".join(lines), lines=5)


# The processes


class Children:
    """The processes that the demo started, each in a group of its own, so that nothing else is ever stopped."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []

    def finish(self, command: list[str], failure: str, *, shown: bool = False) -> None:
        """Run `command` to its end; when it fails, raise `failure` with the last lines of what it said."""
        process = self._start(command, None if shown else subprocess.PIPE, {})
        output = (process.communicate()[0] or b"").decode(errors="replace")
        self.running.remove(process)
        if process.returncode:
            if "No space left on device" in output:
                raise DemoError(no_space())
            raise DemoError(f"{failure}\n{gist(output)}".rstrip())

    def start(self, command: list[str], log: Path, **environ: str) -> subprocess.Popen[bytes]:
        """Start `command`, which writes to `log`, and leave it running."""
        with log.open("wb") as output:
            return self._start(command, output.fileno(), environ)

    def _start(
        self, command: list[str], output: int | None, environ: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "sampleproject.settings", "DEBUG": "", **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def stop(self) -> None:
        """End all of them, politely first. Further signals wait until that is done."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for process in self.running:
            self._signal(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in self.running:
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                self._signal(process, signal.SIGKILL)
                process.wait()

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        """Signal the whole group of `process`, as long as it has not been waited for."""
        if process.poll() is None:
            os.killpg(process.pid, number)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
