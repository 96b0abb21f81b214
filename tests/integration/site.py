"""A site of its own for one test: a folder, a migrated database, servers to run it, and a look into its store.

The store is read by plain SQL, not by perfsuite's own read side, so that the two cannot be wrong together.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests import servers

SETTINGS = "tests.integration.settings"
ENGINE = os.environ.get("TEST_DATABASE", "sqlite")
ON_POSTGRESQL = ENGINE == "postgresql"
ON_MONGODB = ENGINE in ("djongo", "mongodb")
WAIT_S = 60.0

Totals = dict[tuple[str, ...], tuple[int, float]]


def wait_until(
    condition: Callable[[], object], what: str | Callable[[], str], timeout_s: float = WAIT_S
) -> None:
    """Return when ``condition()`` is true; fail the test if it never is, and say ``what`` was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        expired = time.monotonic() >= deadline
        assert not expired, f"not within {timeout_s:g} s: {what() if callable(what) else what}"
        time.sleep(0.05)


@dataclasses.dataclass(frozen=True)
class MongoDatabase:
    """A database of a MongoDB server, and through what the site reaches it: ``djongo`` or ``mongodb``."""

    engine: str
    url: str
    name: str

    @property
    def setting(self) -> dict[str, Any]:
        """The entry of ``DATABASES``."""
        if self.engine == "djongo":
            return {"ENGINE": "djongo", "NAME": self.name, "CLIENT": {"host": self.url}, "CONN_MAX_AGE": None}
        return {"ENGINE": "django_mongodb_backend", "NAME": self.name, "HOST": self.url}

    @property
    def env(self) -> dict[str, str]:
        return {
            "TEST_DATABASE": self.engine,
            "TEST_MONGODB_URL": self.url,
            "TEST_MONGODB_NAME": self.name,
        }

    @contextlib.contextmanager
    def open(self) -> Iterator[Any]:
        import pymongo

        with pymongo.MongoClient(self.url, serverSelectionTimeoutMS=3_000) as client:
            yield client[self.name]

    def copy_to(self, other: MongoDatabase) -> None:
        """Copy all collections with their indexes into another database of the server."""
        with self.open() as here, other.open() as there:
            for name in here.list_collection_names():
                if documents := list(here[name].find()):
                    there[name].insert_many(documents)
                else:
                    there.create_collection(name)
                for index, details in here[name].index_information().items():
                    if index != "_id_":
                        there[name].create_index(
                            details["key"], name=index, unique=details.get("unique", False)
                        )

    def drop(self) -> None:
        with self.open() as database:
            database.client.drop_database(self.name)


@dataclasses.dataclass
class Site:
    """A host in ``folder``. ``options`` are its ``PERFSUITE`` settings."""

    folder: Path
    postgresql: servers.PostgreSQL | None = None
    mongodb: MongoDatabase | None = None
    store: servers.PostgreSQL | MongoDatabase | None = (
        None  # under the alias "metrics"; else that of the host
    )
    options: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment that makes a process this site's."""
        env: dict[str, str] = {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "PERFSUITE_TEST_DIR": str(self.folder),
            "PERFSUITE_TEST_OPTIONS": json.dumps(self.options),
            "TEST_DATABASE": "postgresql" if self.postgresql else "sqlite",
        }
        if self.store:
            env["PERFSUITE_TEST_STORE"] = json.dumps(self.store.setting)
        if self.mongodb:
            return {**env, **self.mongodb.env}
        return {**env, **self.postgresql.env} if self.postgresql else env

    @property
    def host_file(self) -> Path:
        return self.folder / "host.sqlite3"

    @property
    def store_file(self) -> Path:
        """The store of a SQLite host that names no database for it."""
        return self.folder / "host.perfsuite.sqlite3"

    def run(
        self, *arguments: str, timeout_s: float = 120, measured: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with ``arguments`` as this site; its exit code is not checked. ``measured``: without coverage's costs."""
        env = {**os.environ, **self.env}
        if measured:
            env = {name: value for name, value in env.items() if not name.startswith("COVERAGE_PROCESS")}
        return subprocess.run(
            [sys.executable, *arguments],
            env=env,
            cwd=servers.ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def manage(self, *arguments: str) -> str:
        """Run a management command, which must succeed, and return what it printed."""
        done = self.run("-m", "django", *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def migrate(self) -> None:
        """Make the tables."""
        # Those of Django's own apps have no migrations on django-mongodb-backend.
        self.manage("migrate", "--run-syncdb", "--verbosity", "0")
        if self.store:
            self.manage("migrate", "--run-syncdb", "--database", "metrics", "--verbosity", "0")

    def gunicorn(
        self, *options: str, app: str = "tests.wsgi:application", **env: str
    ) -> contextlib.AbstractContextManager[servers.Server]:
        return servers.gunicorn(*options, app=app, **self.env, **env)

    def uvicorn(
        self, *options: str, app: str = "tests.asgi:application"
    ) -> contextlib.AbstractContextManager[servers.Server]:
        return servers.uvicorn(*options, app=app, **self.env)

    # The store

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query on the store; nothing where the store is not made yet."""
        here = self.store or self.postgresql
        if isinstance(here, servers.PostgreSQL):
            import psycopg

            with psycopg.connect(
                host=here.host, port=here.port, user=here.user, password=here.password, dbname=here.dbname
            ) as connection:
                return connection.execute(sql).fetchall()
        named = self.options.get("METRICS", {}).get("DATABASE")
        file = self.host_file if named == "default" else self.store_file
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(sql).fetchall()

    def totals(self, kind: str, resolution: int = 10) -> Totals:
        """Return count and sum of each series of a kind, over what the processes have written, or over a coarser resolution."""
        sql = (
            "SELECT series.labels, SUM(bucket.count), SUM(bucket.sum) FROM perfsuite_metrics_bucket bucket "
            "JOIN perfsuite_metrics_series series ON series.id = bucket.series "
            f"WHERE bucket.kind = '{kind}' AND bucket.resolution = {resolution} GROUP BY series.labels"
        )
        store = self.store or self.mongodb
        if isinstance(store, MongoDatabase):
            return self._totals_in_mongodb(store, kind, resolution)
        try:
            found = self.query(sql)
        except sqlite3.OperationalError:  # no file, no table yet, or no whole one
            return {}
        return {tuple(json.loads(labels)): (int(count), float(total)) for labels, count, total in found}

    def _totals_in_mongodb(self, here: MongoDatabase, kind: str, resolution: int) -> Totals:
        grouped = {"_id": "$series", "count": {"$sum": "$count"}, "sum": {"$sum": "$sum"}}
        chosen = {"kind": kind, "resolution": resolution}
        with here.open() as database:
            rows = list(
                database.perfsuite_metrics_bucket.aggregate([{"$match": chosen}, {"$group": grouped}])
            )
            labels = {
                row["id"]: row["labels"] for row in database.perfsuite_metrics_series.find({"kind": kind})
            }
        return {tuple(json.loads(labels[row["_id"]])): (int(row["count"]), float(row["sum"])) for row in rows}

    def count(self, kind: str = "requests.status", resolution: int = 10) -> int:
        return sum(count for count, _ in self.totals(kind, resolution).values())

    def sum(self, kind: str) -> float:
        return sum(total for _, total in self.totals(kind).values())

    def wait_for(self, requests: int, timeout_s: float = WAIT_S) -> None:
        """Return when the store has at least so many requests."""
        wait_until(lambda: self.count() >= requests, f"{requests} requests in the store", timeout_s)


@dataclasses.dataclass
class Answer:
    """What the server sent, and when the last byte was there."""

    path: str
    status: int
    headers: dict[str, str]
    body: bytes
    at: float


def get(server: servers.Server, path: str, headers: dict[str, str] | None = None) -> Answer:
    """Ask for ``path`` over a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("GET", path, headers={"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        body = response.read()
        return Answer(path, response.status, dict(response.getheaders()), body, time.monotonic())


class Visitors:
    """Threads that ask for the paths in turn until they have all been answered, or until ``stop``."""

    def __init__(self, server: servers.Server, paths: Sequence[str], threads: int = 4) -> None:
        self.answers: list[Answer] = []
        self.errors: list[BaseException] = []
        self._server = server
        self._paths = list(reversed(paths))
        self._threads = [threading.Thread(target=self._visit) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _visit(self) -> None:
        while True:
            try:
                path = self._paths.pop()
            except IndexError:
                return
            try:
                self.answers.append(get(self._server, path))
            except (OSError, http.client.HTTPException) as exc:
                self.errors.append(exc)

    def finish(self) -> list[Answer]:
        """Wait until all are answered and return the answers; an unanswered request fails the test."""
        for thread in self._threads:
            thread.join(WAIT_S * 2)
            assert not thread.is_alive(), "a visitor hangs"
        assert not self.errors, self.errors[:3]
        return self.answers

    def stop(self) -> list[Answer]:
        """Ask for nothing more and return what was answered; the server may be gone by now."""
        self._paths.clear()
        for thread in self._threads:
            thread.join(WAIT_S)
        return self.answers


def visit(server: servers.Server, paths: Sequence[str], threads: int = 4) -> list[Answer]:
    """Ask for all paths from several threads at once; each must be answered with 200."""
    answers = Visitors(server, paths, threads).finish()
    assert len(answers) == len(paths)
    assert {answer.status for answer in answers} == {200}
    return answers


# Templates, so that a site need not be migrated for each test.


@contextlib.contextmanager
def new_site(folder: Path, template: Site) -> Iterator[Site]:
    """Make a site whose database is a copy of the template's."""
    if template.mongodb:
        made = dataclasses.replace(template.mongodb, name=f"site_{os.urandom(6).hex()}")
        template.mongodb.copy_to(made)
        try:
            yield Site(folder, mongodb=made)
        finally:
            made.drop()
        return
    if template.postgresql is None:
        if template.host_file.exists():
            shutil.copy(template.host_file, folder / "host.sqlite3")
        yield Site(folder)
        return
    name = f"site_{os.urandom(6).hex()}"
    _on_server(template.postgresql, f'CREATE DATABASE {name} TEMPLATE "{template.postgresql.dbname}"')
    try:
        yield Site(folder, dataclasses.replace(template.postgresql, dbname=name))
    finally:
        _on_server(template.postgresql, f"DROP DATABASE {name} WITH (FORCE)")


def new_template(folder: Path, postgresql: servers.PostgreSQL | None = None) -> Site:
    """Make a site without any table on the database of the lane; ``postgresql`` is its server, where that is one."""
    name = f"template_{os.urandom(4).hex()}"
    if ON_MONGODB:
        return Site(folder, mongodb=MongoDatabase(ENGINE, os.environ["TEST_MONGODB_URL"], name))
    if ON_POSTGRESQL:
        server = postgresql or servers.PostgreSQL.from_environment()
        assert server is not None, "PGHOST is not set"
        return Site(folder, new_database(server, name))
    return Site(folder)


def new_database(server: servers.PostgreSQL, name: str) -> servers.PostgreSQL:
    """Make an empty database on the server."""
    _on_server(server, f"CREATE DATABASE {name}")
    return dataclasses.replace(server, dbname=name)


def _on_server(here: servers.PostgreSQL, sql: str) -> None:
    import psycopg

    with psycopg.connect(
        host=here.host,
        port=here.port,
        user=here.user,
        password=here.password,
        dbname="postgres",
        autocommit=True,
    ) as connection:
        connection.execute(sql)
