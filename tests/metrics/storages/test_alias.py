"""The store's alias: a file of its own on a SQLite host, made and mended without an extra step."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import signals
from django.db.utils import ConnectionHandler
from django.test import override_settings

from perfsuite.metrics.storages import alias as alias_module
from perfsuite.metrics.storages.alias import (
    AUTOMATIC_ALIAS,
    SQLITE,
    beside,
    forget_prepared,
    prepare,
    register_automatic_store,
    store_alias,
    store_is_automatic,
)
from tests.metrics.conftest import run_host, start_host

# Python 3.12 warns of what these tests are about.
pytestmark = [
    pytest.mark.relational,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

TABLES = {"bucket", "series", "mark", "lease", "exemplar", "finding", "sighting"}


@pytest.fixture(autouse=True)
def _own_databases(monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any) -> Iterator[None]:
    """Let a test open the files that it makes; none of this run's own databases is used."""
    monkeypatch.setattr(alias_module, "_ready", set())
    with django_db_blocker.unblock():
        yield


def host(**databases: dict[str, Any]) -> ConnectionHandler:
    """Return the connections of a host with these databases, as Django makes them, after the app is ready."""
    handler = ConnectionHandler(databases)
    for name in handler:
        handler[name]  # Django 3.1 fills in defaults only then
    return handler


@pytest.fixture
def sqlite_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionHandler]:
    name = tmp_path / "site.sqlite3"
    handler = host(default={"ENGINE": SQLITE, "NAME": name, "ATOMIC_REQUESTS": True, "CONN_MAX_AGE": 600})
    monkeypatch.setattr(alias_module, "connections", handler)
    register_automatic_store()
    # Django's migration recorder looks the alias up among the process's connections.
    monkeypatch.setitem(connections.databases, AUTOMATIC_ALIAS, handler.databases[AUTOMATIC_ALIAS])
    before = getattr(connections._connections, AUTOMATIC_ALIAS, None)
    connections[AUTOMATIC_ALIAS] = handler[AUTOMATIC_ALIAS]
    yield handler
    handler.close_all()
    del connections[AUTOMATIC_ALIAS]
    if before is not None:
        connections[AUTOMATIC_ALIAS] = before


def tables_of(path: Path) -> set[str]:
    with sqlite3.connect(path) as file:
        found = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    file.close()
    return {name for (name,) in found}


def metrics_tables_of(path: Path) -> set[str]:
    return {
        name.removeprefix("perfsuite_metrics_")
        for name in tables_of(path)
        if name.startswith("perfsuite_metrics_")
    }


# Its name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/srv/site.sqlite3", "/srv/site.perfsuite.sqlite3"),
        (Path("/srv/db.sqlite3"), "/srv/db.perfsuite.sqlite3"),
        ("/srv/site", "/srv/site.perfsuite"),
        ("/srv/my.site.db", "/srv/my.site.perfsuite.db"),
        ("site.db", "site.perfsuite.db"),
        ("file:/srv/site.db?cache=shared", "file:/srv/site.perfsuite.db?cache=shared"),
    ],
)
def test_the_file_lies_beside_the_host_s_with_its_ending(name: object, expected: str) -> None:
    assert beside(name) == expected


@pytest.mark.parametrize("name", ["", ":memory:", "file:x?mode=memory&cache=shared"])
def test_a_host_in_memory_has_its_store_in_memory(name: str) -> None:
    assert "mode=memory" in beside(name)


# Its registration


def test_a_sqlite_host_gets_an_alias_of_its_own(sqlite_host: ConnectionHandler, tmp_path: Path) -> None:
    store = sqlite_host.databases[AUTOMATIC_ALIAS]
    assert store["NAME"] == str(tmp_path / "site.perfsuite.sqlite3")
    assert store["ATOMIC_REQUESTS"] is False
    assert store["CONN_MAX_AGE"] == 0
    assert store["TEST"]["MIGRATE"] is False
    assert store_alias() == AUTOMATIC_ALIAS
    assert store_is_automatic()
    assert sqlite_host.databases["default"]["ATOMIC_REQUESTS"] is True


def test_registering_again_changes_nothing(sqlite_host: ConnectionHandler) -> None:
    store = sqlite_host.databases[AUTOMATIC_ALIAS]
    register_automatic_store()
    assert sqlite_host.databases[AUTOMATIC_ALIAS] is store


def test_another_engine_gets_none_and_keeps_the_numbers_in_default(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = ConnectionHandler({"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "site"}})
    monkeypatch.setattr(alias_module, "connections", handler)
    register_automatic_store()
    assert AUTOMATIC_ALIAS not in handler.databases
    assert store_alias() == "default"
    assert not store_is_automatic()


def test_a_host_that_names_an_alias_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = host(
        default={"ENGINE": SQLITE, "NAME": ":memory:"}, other={"ENGINE": SQLITE, "NAME": ":memory:"}
    )
    monkeypatch.setattr(alias_module, "connections", handler)
    with override_settings(PERFSUITE={"METRICS": {"DATABASE": "other"}}):
        register_automatic_store()
        assert AUTOMATIC_ALIAS not in handler.databases
        assert store_alias() == "other"
        assert not store_is_automatic()


def test_an_alias_of_the_host_s_own_by_that_name_is_used_and_never_migrated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = {"ENGINE": SQLITE, "NAME": str(tmp_path / "own.db")}
    handler = host(default={"ENGINE": SQLITE, "NAME": ":memory:"}, perfsuite=own)
    monkeypatch.setattr(alias_module, "connections", handler)
    register_automatic_store()
    assert store_alias() == "perfsuite"
    assert not store_is_automatic()
    prepare(handler["perfsuite"])
    assert not (tmp_path / "own.db").exists()


def test_a_host_without_a_default_database_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = ConnectionHandler({})
    monkeypatch.setattr(alias_module, "connections", handler)
    register_automatic_store()
    assert AUTOMATIC_ALIAS not in handler.databases


# Its making


def test_the_first_use_makes_the_tables_and_nothing_of_the_host_s(
    sqlite_host: ConnectionHandler, tmp_path: Path
) -> None:
    prepare(sqlite_host[AUTOMATIC_ALIAS])
    store = tmp_path / "site.perfsuite.sqlite3"
    assert metrics_tables_of(store) == TABLES
    assert tables_of(store) - {"sqlite_sequence", "django_migrations"} == {
        f"perfsuite_metrics_{t}" for t in TABLES
    }
    assert not (tmp_path / "site.sqlite3").exists()


def test_the_file_is_in_wal_mode_so_that_readers_and_the_writer_do_not_wait(
    sqlite_host: ConnectionHandler, tmp_path: Path
) -> None:
    prepare(sqlite_host[AUTOMATIC_ALIAS])
    with sqlite3.connect(tmp_path / "site.perfsuite.sqlite3") as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()
    with sqlite_host[AUTOMATIC_ALIAS].cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (1,)  # NORMAL


def test_a_prepared_store_costs_nothing_more(sqlite_host: ConnectionHandler) -> None:
    connection = sqlite_host[AUTOMATIC_ALIAS]
    prepare(connection)
    statements: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        prepare(connection)
        assert statements == []
        forget_prepared()
        prepare(connection)
        assert 0 < len(statements) < 10
    assert not any("CREATE" in sql for sql in statements)


def test_a_store_that_is_up_to_date_is_recognised_without_loading_the_migrations_of_the_host(
    sqlite_host: ConnectionHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(sqlite_host[AUTOMATIC_ALIAS])
    forget_prepared()

    def loaded(self: object, *args: object, **kwargs: object) -> None:
        raise AssertionError("the loader imports the migrations of all apps")

    monkeypatch.setattr("django.db.migrations.loader.MigrationLoader.__init__", loaded)
    prepare(sqlite_host[AUTOMATIC_ALIAS])


def test_the_host_s_receivers_of_the_migrate_signals_hear_nothing(sqlite_host: ConnectionHandler) -> None:
    heard: list[object] = []

    def listen(sender: object, **kwargs: object) -> None:
        heard.append(sender)

    signals.pre_migrate.connect(listen)
    signals.post_migrate.connect(listen)
    try:
        prepare(sqlite_host[AUTOMATIC_ALIAS])
    finally:
        signals.pre_migrate.disconnect(listen)
        signals.post_migrate.disconnect(listen)
    assert heard == []


@pytest.mark.parametrize("noted", ["0000", "0001_initial"])
def test_a_process_killed_between_making_the_tables_and_noting_so_leaves_a_store_that_works(
    sqlite_host: ConnectionHandler, noted: str
) -> None:
    prepare(sqlite_host[AUTOMATIC_ALIAS])
    with sqlite_host[AUTOMATIC_ALIAS].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE name > %s", [noted])
    forget_prepared()
    prepare(sqlite_host[AUTOMATIC_ALIAS])
    with sqlite_host[AUTOMATIC_ALIAS].cursor() as cursor:
        cursor.execute("SELECT name FROM django_migrations WHERE app = 'perfsuite_metrics' ORDER BY name")
        assert cursor.fetchall() == [("0001_initial",), ("0002_findings",)]


def test_a_store_of_an_earlier_version_is_brought_to_its_schema_and_keeps_its_rows(
    sqlite_host: ConnectionHandler,
) -> None:
    connection = sqlite_host[AUTOMATIC_ALIAS]
    executor = MigrationExecutor(connection)
    executor.migrate([("perfsuite_metrics", "0001_initial")])
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO perfsuite_metrics_mark VALUES ('m', 5)")
        cursor.execute(
            "INSERT INTO perfsuite_metrics_finding VALUES ('f', 'slow', 's', '{}', 'ignored', 1, 2)"
        )
    prepare(connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM perfsuite_metrics_mark")
        assert cursor.fetchall() == [(5,)]
        cursor.execute("SELECT route, merged_to FROM perfsuite_metrics_finding")
        assert cursor.fetchall() == []
        cursor.execute("SELECT * FROM perfsuite_metrics_sighting")
        assert cursor.fetchall() == []


def test_a_folder_that_cannot_be_written_raises_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    handler = host(default={"ENGINE": SQLITE, "NAME": tmp_path / "no-such-folder" / "site.db"})
    monkeypatch.setattr(alias_module, "connections", handler)
    register_automatic_store()
    started = time.monotonic()
    with pytest.raises(OperationalError):
        prepare(handler[AUTOMATIC_ALIAS])
    assert time.monotonic() - started < alias_module.PREPARE_S / 2


def test_a_file_that_stays_locked_is_given_up_after_a_while(
    sqlite_host: ConnectionHandler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alias_module, "PREPARE_S", 0.2)
    sqlite_host.databases[AUTOMATIC_ALIAS]["OPTIONS"]["timeout"] = 0
    other = sqlite3.connect(tmp_path / "site.perfsuite.sqlite3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(OperationalError, match="locked"):
            prepare(sqlite_host[AUTOMATIC_ALIAS])
        other.execute("COMMIT")
        prepare(sqlite_host[AUTOMATIC_ALIAS])
    finally:
        other.close()


def test_many_threads_prepare_once(sqlite_host: ConnectionHandler, tmp_path: Path) -> None:
    begin, failed = threading.Barrier(6), []

    def attempt() -> None:
        begin.wait()
        try:
            prepare(sqlite_host[AUTOMATIC_ALIAS])
        except DatabaseError as exc:
            failed.append(exc)
        finally:
            sqlite_host[AUTOMATIC_ALIAS].close()
            connections[AUTOMATIC_ALIAS].close()

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert metrics_tables_of(tmp_path / "site.perfsuite.sqlite3") == TABLES


def test_a_child_forked_while_another_thread_prepares_does_not_wait_for_it(
    sqlite_host: ConnectionHandler,
) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with alias_module._preparing:
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        free = alias_module._preparing.acquire(timeout=5)
        os._exit(0 if free else 1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


RACE = """
from perfsuite.metrics.storages import alias
from django.db import connections
for line in sys.stdin:
    connections["perfsuite"].close()
    connections.databases["perfsuite"]["NAME"] = line.strip()
    connections["perfsuite"].settings_dict["NAME"] = line.strip()
    try:
        alias.prepare(connections["perfsuite"])
        print("made", flush=True)
    except DatabaseError as exc:
        print(repr(exc), flush=True)
"""


@pytest.mark.alike
def test_processes_that_prepare_one_file_at_once_all_end_well(tmp_path: Path) -> None:
    processes = [start_host(RACE, tmp_path) for _ in range(3)]
    try:
        for n in range(12):
            name = tmp_path / f"race{n}.db"
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(f"{name}\n")
                process.stdin.flush()
            answers = [process.stdout.readline().strip() for process in processes if process.stdout]
            assert answers == ["made"] * 3
            assert metrics_tables_of(name) == TABLES
    finally:
        for process in processes:
            process.communicate(timeout=20)


# Its life


@pytest.mark.alike
def test_a_file_moved_away_from_a_running_process_is_made_anew_and_nothing_is_lost(tmp_path: Path) -> None:
    script = """
    from perfsuite.metrics.storages.alias import store_alias
    name = django.db.connections.databases[store_alias()]["NAME"]
    def written():
        return query.totals_by("requests.status", Window.last(600), "status")
    from django.db import connections
    recorder.observe("requests.status", ("2xx",), 1)
    print(flush(), {label: h.count for label, h in written().items()})
    connections.close_all()
    os.rename(name, name + ".old")
    recorder.observe("requests.status", ("2xx",), 2)
    recorder.observe("requests.status", ("5xx",), 3)
    print(flush())
    connections.close_all()
    print(flush(), {label: h.count for label, h in sorted(written().items())})
    """
    printed = run_host(script, tmp_path).splitlines()
    assert printed == ["True {'2xx': 1}", "False", "True {'2xx': 1, '5xx': 1}"]


@pytest.mark.alike
def test_reading_a_store_that_was_moved_away_makes_it_anew(tmp_path: Path) -> None:
    script = """
    from django.db import connections
    from perfsuite.exceptions import StoreUnavailable
    from perfsuite.metrics.storages.alias import store_alias
    name = connections.databases[store_alias()]["NAME"]
    print(query.totals("requests.status", Window.last(600)).count)
    connections.close_all()
    os.remove(name)
    try:
        query.totals("requests.status", Window.last(600))
    except StoreUnavailable as exc:
        print(exc)
    connections.close_all()
    print(query.totals("requests.status", Window.last(600)).count)
    """
    printed = run_host(script, tmp_path).splitlines()
    assert [printed[0], printed[-1]] == ["0", "0"]
    assert printed[1].startswith("The metrics tables are missing")


@pytest.mark.alike
def test_an_upgrade_of_the_host_s_files_in_place_needs_no_extra_command(tmp_path: Path) -> None:
    """``migrate --database perfsuite`` is allowed and gives the same file that the first use would."""
    run_host(
        "from django.core.management import call_command; call_command('migrate', database='perfsuite', verbosity=0)",
        tmp_path,
    )
    assert metrics_tables_of(tmp_path / "host.perfsuite.sqlite3") == TABLES
    assert tables_of(tmp_path / "host.perfsuite.sqlite3") - {"sqlite_sequence"} == {
        "django_migrations",
        *(f"perfsuite_metrics_{name}" for name in TABLES),
    }
    script = "recorder.observe('requests.status', ('2xx',), 1); print(flush())"
    assert run_host(script, tmp_path) == "True"


@pytest.mark.alike
def test_migrating_a_sqlite_host_puts_no_table_of_the_store_into_its_own_file(tmp_path: Path) -> None:
    run_host(
        "from django.core.management import call_command; call_command('migrate', verbosity=0)", tmp_path
    )
    assert metrics_tables_of(tmp_path / "host.sqlite3") == set()
    assert "testapp_book" in tables_of(tmp_path / "host.sqlite3")


@pytest.mark.alike
def test_a_host_in_memory_flushes_and_reads_in_one_process(tmp_path: Path) -> None:
    script = """
    from django.db import connections
    recorder.observe("requests.status", ("2xx",), 1)
    print(flush(), query.totals("requests.status", Window.last(600)).count)
    print(connections["perfsuite"].settings_dict["NAME"])
    """
    printed = run_host(
        script, tmp_path, DJANGO_SETTINGS_MODULE="tests.metrics.settings_in_memory"
    ).splitlines()
    assert printed[0] == "True 1"
    assert "mode=memory" in printed[1]


@pytest.mark.django_db(databases="__all__")
def test_the_models_have_no_changes_that_a_migration_lacks() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_this_run_s_own_store_is_the_automatic_one_on_sqlite_only() -> None:
    is_sqlite = connections.databases["default"]["ENGINE"] == SQLITE
    assert (store_alias() == AUTOMATIC_ALIAS) is is_sqlite
    assert store_is_automatic() is is_sqlite
