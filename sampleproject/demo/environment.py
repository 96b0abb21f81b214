"""The environments that the site runs in: one for each set of packages that cannot be installed together."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sampleproject.demo.prerequisites import OLDEST_PYTHON
from sampleproject.demo.processes import ROOT, Children, DemoError


@dataclass(frozen=True)
class Environment:
    """What one value of `DB` runs in: its folder, what is installed into it, and the server that it needs."""

    db: str
    folder: Path
    requirements: tuple[str, ...]
    server: str = ""
    newest_python: tuple[int, int] | None = None
    needs_mb: int = 300

    @property
    def python(self) -> Path:
        """The Python of the environment."""
        return self.folder / "bin" / "python"


# fmt: off
ENVIRONMENTS = {
    each.db: each
    for each in (
        Environment("sqlite", ROOT / ".venv", ("--editable", ".[demo]")),
        Environment("postgresql", ROOT / ".venv", ("--editable", ".[demo]"), "postgresql"),
        Environment(
            "djongo", ROOT / ".venv-djongo", ("--editable", ".[demo,djongo]"), "mongodb",
            newest_python=(3, 11), needs_mb=1000,
        ),
        Environment(
            "mongodb", ROOT / ".venv-mongodb", ("--editable", ".[demo,mongodb]", "Django>=5.2,<5.3"), "mongodb",
            needs_mb=1000,
        ),
    )
}
# fmt: on


def chosen(environ: Mapping[str, str]) -> Environment:
    """Return the environment of the database that `DB` names."""
    db = environ.get("DB") or "sqlite"
    if db not in ENVIRONMENTS:
        names = "|".join(ENVIRONMENTS)
        raise DemoError(f"DB is {db!r}; type `make demo DB={names}`.")
    found = ENVIRONMENTS[db]
    if found.newest_python and sys.version_info[:2] > found.newest_python:
        newest = ".".join(map(str, found.newest_python))
        raise DemoError(
            f"{db} needs Python {newest}; install it and type `make demo DB={db} PYTHON=python{newest}`."
        )
    return found


def install(environment: Environment, children: Children, more: tuple[str, ...] = ()) -> None:
    """Create the environment and install the project and `more` packages, unless all is there and up to date."""
    stamp = environment.folder / "demo-installed"
    requirements = (*environment.requirements, *more)
    wanted = fingerprint(*requirements)
    if environment.python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    if not works(environment.python):
        make(environment, children)
    print("Installing what the site needs; the first time this takes a minute.", flush=True)
    pip = [str(environment.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    children.finish([*pip, *requirements], "pip could not install the project; is the network there?")
    stamp.write_text(wanted)


def make(environment: Environment, children: Children) -> None:
    """Create the virtual environment, anew when there is a broken one."""
    try:
        import ensurepip  # noqa: F401 - Debian keeps it in a package of its own
        import venv  # noqa: F401
    except ImportError as exc:
        raise DemoError(
            "Python cannot make an environment here; type `apt install python3-venv` as root."
        ) from exc
    name = environment.folder.name
    print(f"Creating the environment {name}.", flush=True)
    command = [sys.executable, "-m", "venv", "--clear", str(environment.folder)]
    children.finish(command, f"the environment {name} could not be made.")


def works(python: Path) -> bool:
    """Tell whether the environment's Python runs, has pip and is new enough."""
    code = f"import sys, pip; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    return (
        python.exists()
        and subprocess.run([str(python), "-c", code], capture_output=True, check=False).returncode == 0
    )


def fingerprint(*requirements: str) -> str:
    """Return what changes when the installation must be done again."""
    parts = [str(ROOT).encode(), sys.version.encode(), *(each.encode() for each in requirements)]
    parts += [(ROOT / name).read_bytes() for name in ("pyproject.toml", "setup.cfg")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
