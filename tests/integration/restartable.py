"""Database servers of a test's own that it may stop and start again, whose rights it may take and whose disk it may fill."""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

from tests import servers
from tests.integration.site import MongoDatabase, new_database
from tests.mongod import mongod_program


class RestartablePostgreSQL:
    """Runs from the start of the block; ``there`` is how to reach it, the same after each start. Its data is below ``place``."""

    options: tuple[str, ...] = ()

    def __init__(self, place: Path | None = None) -> None:
        self.place = place

    def __enter__(self) -> RestartablePostgreSQL:
        programs = servers.postgresql_programs()
        assert programs is not None, "PostgreSQL is missing"
        self.folder = Path(tempfile.mkdtemp(prefix="perfsuite-pg-", dir=self.place))
        self.user = servers._unprivileged_user()
        if self.user:
            programs = servers._reachable(programs, self.folder)
            shutil.chown(self.folder, self.user)
        self.programs = programs
        self.there = servers.PostgreSQL(
            "127.0.0.1", servers.free_port(), "perfsuite", secrets.token_hex(8), "postgres"
        )
        self.server: servers.Server | None = None
        try:
            servers._initdb(programs, self.folder, self.there, self.user)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self) -> None:
        data, port = str(self.folder / "data"), str(self.there.port)
        command = [
            str(self.programs / "postgres"),
            "-D",
            data,
            "-h",
            self.there.host,
            "-p",
            port,
            "-k",
            "",
            "-c",
            "fsync=off",
        ]
        self.server = servers.start(
            command, self.there.port, self.folder / "log", cwd=self.folder, user=self.user
        )
        self.server.wait_until_listening()
        servers._wait_until_ready(self.server)

    def new_database(self, name: str) -> servers.PostgreSQL:
        """Return a new database, for a user who owns it and is no superuser."""
        import psycopg

        made = new_database(self.there, name)
        user = servers.PostgreSQL(made.host, made.port, f"owner_of_{name}", "secret", name)
        with psycopg.connect(**self._as_superuser("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {user.user} LOGIN PASSWORD 'secret'")
            connection.execute(f"GRANT CREATE ON DATABASE {name} TO {user.user}")
        with psycopg.connect(**self._as_superuser(name), autocommit=True) as connection:
            connection.execute(f"GRANT ALL ON SCHEMA public TO {user.user}")
        return user

    def allow_writing(self, database: servers.PostgreSQL, allowed: bool) -> None:
        """Give the user the right to change the tables, or take it."""
        import psycopg

        verb = f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {database.user}"
        if not allowed:
            verb = f"REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM {database.user}"
        with psycopg.connect(**self._as_superuser(database.dbname), autocommit=True) as connection:
            connection.execute(verb)

    def _as_superuser(self, dbname: str) -> dict[str, Any]:
        here = self.there
        return {
            "host": here.host,
            "port": here.port,
            "user": here.user,
            "password": here.password,
            "dbname": dbname,
        }

    def stop(self) -> None:
        """Stop it as an operator does who does not wait for clients."""
        if self.server is not None:
            self.server.stop(signal.SIGINT)

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class RestartableMongoDB:
    """Runs from the start of the block, and knows its users: an admin, and one for each new database."""

    def __init__(self, engine: str, place: Path | None = None, *options: str) -> None:
        self.engine = engine
        self.place = place
        self.options = ("--auth", *options)
        self.port = servers.free_port()
        self.server: servers.Server | None = None

    def __enter__(self) -> RestartableMongoDB:
        self.folder = Path(tempfile.mkdtemp(prefix="perfsuite-mongod-", dir=self.place))
        (self.folder / "data").mkdir()
        try:
            self.start()
            self._admin(
                "createUser", "admin", pwd="secret", roles=["root"], url=f"mongodb://127.0.0.1:{self.port}/"
            )
            self.stop()
            self.start(*self.options)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, *options: str) -> None:
        program = mongod_program()
        assert program is not None, "MongoDB is missing"
        command = [str(program), "--dbpath", str(self.folder / "data"), "--port", str(self.port)]
        command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", *options]
        self.server = servers.start(command, self.port, self.folder / "log", cwd=self.folder)
        self.server.wait_until_listening()

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop(signal.SIGTERM)

    def new_database(self, name: str) -> MongoDatabase:
        """Return a new database, for a user who may read and write there."""
        self._admin("createUser", f"user_of_{name}", pwd="secret", roles=[{"role": "readWrite", "db": name}])
        return MongoDatabase(self.engine, self._url(f"user_of_{name}"), name)

    def allow_writing(self, database: MongoDatabase, allowed: bool) -> None:
        """Give the user the right to change the collections, or leave the right to read."""
        roles = [{"role": "readWrite" if allowed else "read", "db": database.name}]
        self._admin("updateUser", f"user_of_{database.name}", roles=roles)

    def _url(self, user: str) -> str:
        return f"mongodb://{user}:secret@127.0.0.1:{self.port}/?authSource=admin"

    def _admin(self, command: str, user: str, *, url: str = "", **details: Any) -> None:
        import pymongo

        with pymongo.MongoClient(url or self._url("admin")) as client:
            client.admin.command(command, user, **details)

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
