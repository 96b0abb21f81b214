"""What can be known before anything is installed: the Python, the numbers given, the port, the disk."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping

from sampleproject.demo.processes import ROOT, DemoError, no_space

OLDEST_PYTHON = (3, 11)
MAX_MINUTES = 120.0


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


def check_disk(needed_mb: int) -> None:
    """Refuse to start on a disk that the installation would fill."""
    if shutil.disk_usage(ROOT).free < needed_mb * 1_000_000:
        raise DemoError(no_space(needed_mb))
