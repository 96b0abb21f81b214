"""The database server that `make demo` starts: it keeps its data, tells the site where it is, and ends with the demo."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampleproject.demo import environment
from sampleproject.demo import servers as database_servers
from sampleproject.demo.processes import Children
from tests import mongod, servers

ON_MONGODB = os.environ.get("TEST_DATABASE") in mongod.DATABASES


@pytest.fixture
def var(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of generated files, one that PostgreSQL's user may look into when this is root."""
    folder = Path(tempfile.mkdtemp(prefix="sampleproject-var-"))
    folder.chmod(0o755)
    monkeypatch.setattr(database_servers, "VAR", folder)
    for name in database_servers.NAMED_BY.values():
        monkeypatch.delenv(name, raising=False)
    yield folder
    shutil.rmtree(folder)


def end(children: Children) -> list[int]:
    """Stop the processes in the way that `Children.stop` does, which is for a process that ends itself."""
    for process in reversed(children.running):
        process.terminate()
    return [process.wait(30) for process in reversed(children.running)]


@pytest.mark.integration
def test_postgresql_keeps_what_was_written_until_the_next_demo(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setattr(
        database_servers, "programs_of_the_machine", lambda server: servers.postgresql_programs()
    )
    seen = []
    for statement in ("CREATE TABLE kept AS SELECT 7 AS number", "SELECT 1"):
        children = Children()
        database_servers.start(environment.ENVIRONMENTS["postgresql"], children)
        there = children.environ
        login = {"host": there["PGHOST"], "port": there["PGPORT"], "user": there["PGUSER"]}
        database = {"password": there["PGPASSWORD"], "dbname": there["PGDATABASE"]}
        with psycopg.connect(**login, **database) as connection:  # type: ignore[arg-type]
            connection.execute(statement)
            seen.append(connection.execute("SELECT number FROM kept").fetchone())
        assert end(children) == [0]
    assert seen == [(7,), (7,)]
    assert (var / "postgresql" / "password").stat().st_mode & 0o077 == 0


@pytest.mark.integration
@pytest.mark.skipif(not ON_MONGODB, reason="about MongoDB; runs in its lanes")
def test_mongodb_keeps_what_was_written_until_the_next_demo(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pymongo

    program = mongod.mongod_program()
    assert program is not None
    monkeypatch.setattr(database_servers, "programs_of_the_machine", lambda server: program.parent)
    for number in (1, 2):
        children = Children()
        database_servers.start(environment.ENVIRONMENTS["mongodb"], children)
        with pymongo.MongoClient(children.environ["MONGODB_URL"]) as client:
            client.kept.rows.insert_one({"number": number})
            assert client.kept.rows.count_documents({}) == number
        assert end(children) == [0]
