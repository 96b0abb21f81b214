"""Sites for the integration tests, on the database of the lane, and a database server that a test may stop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.restartable import RestartableMongoDB, RestartablePostgreSQL
from tests.integration.site import ENGINE, ON_POSTGRESQL, Site, new_site, new_template


@pytest.fixture(scope="session")
def empty_template(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Site:
    """A site without any table."""
    server = request.getfixturevalue("postgresql_server") if ON_POSTGRESQL else None
    return new_template(tmp_path_factory.mktemp("empty"), server)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Site:
    """A site that ``manage.py migrate`` has made."""
    server = request.getfixturevalue("postgresql_server") if ON_POSTGRESQL else None
    made = new_template(tmp_path_factory.mktemp("template"), server)
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


@pytest.fixture
def database_server() -> Iterator[RestartablePostgreSQL | RestartableMongoDB]:
    """The server of a store beside the host's own database."""
    with RestartablePostgreSQL() if ON_POSTGRESQL else RestartableMongoDB(ENGINE) as server:
        yield server
