"""What all tests share: Hypothesis's two sizes, marks by folder, and servers that start once, when asked for."""

from __future__ import annotations

import contextvars
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from tests import servers
from tests.measuring import measure_if_short

# ci: the same examples in every run. full (make prove): many, and others in every run.
hypothesis.settings.register_profile("ci", max_examples=100, derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("full", max_examples=5000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

HERE = Path(__file__).resolve().parent
MARKS = {  # of a file, or of all below a folder
    "browser": pytest.mark.browser,
    "integration": pytest.mark.integration,
    "sampleproject": pytest.mark.sample,
    "test_packaging.py": pytest.mark.packaging,
    # Of this repository.
    "test_docs.py": pytest.mark.once,
    "test_lanes.py": pytest.mark.once,
    "panel/test_frontend_build.py": pytest.mark.once,
    "responses/policy/test_reference.py": pytest.mark.once,
    # Long, and about nothing that a Django or a database has to do with.
    "integration/test_compaction_killed.py": pytest.mark.once,
    "integration/test_memory.py": pytest.mark.once,
    "integration/test_outside.py": pytest.mark.once,
    "integration/test_turns.py": pytest.mark.once,
    "integration/test_valkey_faults.py": pytest.mark.once,
    "caching/coherence": pytest.mark.once,
    "caching/tiers/test_failover.py": pytest.mark.once,
    "caching/tiers/test_pending.py": pytest.mark.once,
    "caching/tiers/test_races.py": pytest.mark.once,
    "caching/tiers/test_shared_away.py": pytest.mark.once,
    "sampleproject/test_demo.py": pytest.mark.once,
    "sampleproject/test_seed_demo.py": pytest.mark.once,
    # What a store goes through.
    "integration/test_clocks.py": pytest.mark.by_database,
    "integration/test_disk_full.py": pytest.mark.by_database,
    "integration/test_gunicorn.py": pytest.mark.by_database,
    "integration/test_leader.py": pytest.mark.by_database,
    "integration/test_sqlite_host.py": pytest.mark.by_database,
    "integration/test_store_faults.py": pytest.mark.by_database,
    "integration/test_writers.py": pytest.mark.by_database,
    "indexes/test_collecting.py": pytest.mark.by_database,
    "metrics/storages/test_alias.py": pytest.mark.by_database,
    # What a body goes through on its way out.
    "integration/test_compression.py": pytest.mark.alike,
    # Modules that import no Django.
    "indexes/test_canonical.py": pytest.mark.alike,
    "indexes/test_compare.py": pytest.mark.alike,
    "indexes/test_naming.py": pytest.mark.alike,
    "indexes/test_spec.py": pytest.mark.alike,
    "metrics/test_histogram.py": pytest.mark.alike,
    "metrics/test_plain.py": pytest.mark.alike,
    "metrics/test_tiling.py": pytest.mark.alike,
    "queries/explain/test_conditions.py": pytest.mark.alike,
    "queries/explain/test_from_shape.py": pytest.mark.alike,
    "queries/explain/test_mongodb.py": pytest.mark.alike,
    "queries/explain/test_plans.py": pytest.mark.alike,
    "queries/explain/test_postgresql.py": pytest.mark.alike,
    "queries/explain/test_sql_text.py": pytest.mark.alike,
    "queries/explain/test_sqlite.py": pytest.mark.alike,
    "queries/test_fingerprint.py": pytest.mark.alike,
    "queries/test_mongo_shape.py": pytest.mark.alike,
    "queries/tenant_guard/test_django_sql.py": pytest.mark.alike,
    "queries/tenant_guard/test_documents.py": pytest.mark.alike,
    "queries/tenant_guard/test_reading.py": pytest.mark.alike,
    "responses/policy": pytest.mark.alike,
    "responses/test_codings.py": pytest.mark.alike,
    "responses/test_negotiation.py": pytest.mark.alike,
    "test_timing.py": pytest.mark.alike,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need more than a database, so that a lane can leave them to another."""
    for item in items:
        place = item.path.relative_to(HERE)
        for path in (place, *place.parents):
            if mark := MARKS.get(path.as_posix()):
                item.add_marker(mark)
        if place.parts[0] in ("caching", "responses") and item.get_closest_marker("django_db") is None:
            item.add_marker(pytest.mark.no_database)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run each test in a context of its own.

    Django makes a context variable for the caches of each ``override_settings``, which stays in the context. After a
    thousand tests a request of an asynchronous client, which copies them all several times, takes five times as long.
    """
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    measure_if_short(item)
    contextvars.copy_context().run(runtestprotocol, item, nextitem=nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.fixture(autouse=True)
def _nothing_is_remembered_of_another_test() -> None:
    """Forget what was sighted and remembered, and what of it this process has written to a store that is empty again."""
    for module, held in (("sightings", "_sightings"), ("exemplars", "_exemplars")):
        if loaded := sys.modules.get(f"perfsuite.metrics.{module}"):
            getattr(loaded, held)._reset()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[servers.PostgreSQL]:
    """Return a running PostgreSQL: the one that the run already uses, else a new one."""
    if running := servers.PostgreSQL.from_environment():
        yield running
        return
    with servers.postgresql() as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def _databases_are_emptied_quickly() -> Iterator[None]:
    from django.test import TransactionTestCase

    from tests import emptying

    on_mongodb = os.environ.get("TEST_DATABASE") in ("djongo", "mongodb")
    with pytest.MonkeyPatch.context() as patch:
        empty = emptying.empty_the_collections if on_mongodb else emptying.empty_the_tables
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        if on_mongodb:
            # A client that djongo closes waits for a quarter of a second when it is used again.
            patch.setattr(TransactionTestCase, "_should_reload_connections", lambda test: False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_commit_waits_for_the_disk() -> Iterator[None]:
    """SQLite's files of this process's tests are gone when it ends, so none need outlive the machine."""
    from django.db.backends.signals import connection_created

    def hurry(connection: Any, **kwargs: Any) -> None:
        if connection.vendor == "sqlite" and connection.alias == "default":
            connection.connection.execute("PRAGMA synchronous = OFF")

    connection_created.connect(hurry)
    yield
    connection_created.disconnect(hurry)
