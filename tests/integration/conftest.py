"""Sites for the integration tests, on the database of the lane."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.site import MongoDatabase, Site, new_database, new_site
from tests.servers import PostgreSQL

ENGINE = os.environ.get("TEST_DATABASE", "sqlite")
ON_POSTGRESQL = ENGINE == "postgresql"
ON_MONGODB = ENGINE in ("djongo", "mongodb")


def _new_mongo_database(name: str) -> MongoDatabase:
    return MongoDatabase(ENGINE, os.environ["TEST_MONGODB_URL"], f"{name}_{os.urandom(4).hex()}")


@pytest.fixture(scope="session")
def empty_template(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Site:
    """A site without any table."""
    folder = tmp_path_factory.mktemp("empty")
    if ON_MONGODB:
        return Site(folder, mongodb=_new_mongo_database("empty"))
    if not ON_POSTGRESQL:
        return Site(folder)
    server: PostgreSQL = request.getfixturevalue("postgresql_server")
    return Site(folder, new_database(server, f"empty_{os.urandom(4).hex()}"))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Site:
    """A site that ``manage.py migrate`` has made."""
    folder = tmp_path_factory.mktemp("template")
    postgresql = None
    if ON_MONGODB:
        made = Site(folder, mongodb=_new_mongo_database("template"))
        made.migrate()
        return made
    if ON_POSTGRESQL:
        server: PostgreSQL = request.getfixturevalue("postgresql_server")
        postgresql = new_database(server, f"template_{os.urandom(4).hex()}")
    made = Site(folder, postgresql)
    made.migrate()
    return made


@pytest.fixture
def site(tmp_path: Path, template: Site) -> Iterator[Site]:
    """A migrated site of the test's own."""
    with new_site(tmp_path, template) as made:
        yield made


@pytest.fixture
def empty_site(tmp_path: Path, empty_template: Site) -> Iterator[Site]:
    """A site that was never migrated."""
    with new_site(tmp_path, empty_template) as made:
        yield made
