"""Connection pools from the environment, in words for each engine and on the servers themselves."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from django.db.utils import ConnectionHandler

from perfsuite import databases
from perfsuite.databases import pool_options, with_pool
from perfsuite.queries.checks import check_pools
from tests import servers

DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
POSTGRESQL, SQLITE = "django.db.backends.postgresql", "django.db.backends.sqlite3"
MONGO = {"maxPoolSize": 20, "minPoolSize": 2, "maxIdleTimeMS": 10_000, "waitQueueTimeoutMS": 60_000}
POOL = {"min_size": 2, "max_size": 20, "timeout": 60.0, "max_idle": 10.0}
has_pools = pytest.mark.skipif(django.VERSION < (5, 1), reason="pools came with Django 5.1")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in databases.VARIABLES:
        monkeypatch.delenv(each.name, raising=False)


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        pytest.param(
            POSTGRESQL,
            {"OPTIONS": {"pool": POOL}, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True},
            marks=has_pools,
        ),
        pytest.param(
            "django.contrib.gis.db.backends.postgis",
            {"OPTIONS": {"pool": POOL}, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True},
            marks=has_pools,
        ),
        ("django_mongodb_backend", {"OPTIONS": MONGO}),
        ("djongo", {"CLIENT": MONGO, "CONN_MAX_AGE": None}),
        (SQLITE, {"CONN_MAX_AGE": 10, "CONN_HEALTH_CHECKS": True}),
        ("django.db.backends.mysql", {"CONN_MAX_AGE": 10, "CONN_HEALTH_CHECKS": True}),
    ],
)
def test_each_engine_gets_what_it_takes(engine: str, options: dict[str, Any]) -> None:
    assert pool_options(engine) == options


def test_the_environment_sets_all_four(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(
        ("DB_POOL_SIZE", "DB_POOL_MIN", "DB_IDLE_TIMEOUT", "DB_ACQUIRE_TIMEOUT"),
        ["7", "3", "4000", "250"],
        strict=True,
    ):
        monkeypatch.setenv(name, value)

    assert pool_options("django_mongodb_backend")["OPTIONS"] == {
        "maxPoolSize": 7,
        "minPoolSize": 3,
        "maxIdleTimeMS": 4_000,
        "waitQueueTimeoutMS": 250,
    }
    assert pool_options(SQLITE)["CONN_MAX_AGE"] == 4
    if django.VERSION >= (5, 1):
        pool = pool_options(POSTGRESQL)["OPTIONS"]["pool"]
        assert pool == {"min_size": 3, "max_size": 7, "timeout": 0.25, "max_idle": 4.0}


def test_a_pool_of_one_needs_no_other_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_POOL_SIZE", "1")
    assert pool_options("djongo")["CLIENT"]["minPoolSize"] == 1


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DB_POOL_SIZE", "many", "DB_POOL_SIZE is 'many'; write a whole number of at least 1."),
        ("DB_POOL_SIZE", "0", "DB_POOL_SIZE is '0'; write a whole number of at least 1."),
        ("DB_POOL_MIN", "-1", "DB_POOL_MIN is '-1'; write a whole number of at least 0."),
        ("DB_POOL_MIN", "21", "DB_POOL_MIN is 21, more than DB_POOL_SIZE, 20; write 20 at most, or raise"),
        (
            "DB_IDLE_TIMEOUT",
            "1.5",
            "DB_IDLE_TIMEOUT is '1.5'; write a whole number of at least 1 (milliseconds).",
        ),
        (
            "DB_ACQUIRE_TIMEOUT",
            "0",
            "DB_ACQUIRE_TIMEOUT is '0'; write a whole number of at least 1 (milliseconds).",
        ),
    ],
)
def test_a_value_that_cannot_be_meant_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as raised:
        pool_options(SQLITE)
    assert sentence in str(raised.value)
    assert str(raised.value).startswith("The environment variable ")


def test_what_an_entry_says_itself_stays() -> None:
    mongo = with_pool(
        {"ENGINE": "django_mongodb_backend", "NAME": "shop", "OPTIONS": {"maxPoolSize": 5, "tls": True}}
    )
    assert mongo["OPTIONS"] == {**MONGO, "maxPoolSize": 5, "tls": True}
    assert mongo["NAME"] == "shop"

    sqlite = with_pool({"ENGINE": SQLITE, "OPTIONS": {"timeout": 20}, "CONN_MAX_AGE": 600})
    assert (sqlite["OPTIONS"], sqlite["CONN_MAX_AGE"]) == ({"timeout": 20}, 600)
    assert "OPTIONS" not in with_pool({"ENGINE": SQLITE})
    assert with_pool({"ENGINE": "djongo", "CLIENT": {"host": "h"}})["CLIENT"] == {**MONGO, "host": "h"}


@has_pools
def test_connections_that_are_kept_beside_a_pool_are_refused_in_one_sentence() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"CONN_MAX_AGE is 60 beside a pool.*remove CONN_MAX_AGE"):
        with_pool({"ENGINE": POSTGRESQL, "CONN_MAX_AGE": 60})
    kept = with_pool({"ENGINE": POSTGRESQL, "CONN_MAX_AGE": 60, "OPTIONS": {"pool": False}})
    assert kept["CONN_MAX_AGE"] == 60


def test_without_psycopgs_pool_connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "available", lambda module: module != "psycopg_pool")

    assert pool_options(POSTGRESQL) == {"CONN_MAX_AGE": 10, "CONN_HEALTH_CHECKS": True}
    assert databases.not_honoured(POSTGRESQL) == ("DB_POOL_SIZE", "DB_POOL_MIN", "DB_ACQUIRE_TIMEOUT")
    why, hint = databases.why_not(POSTGRESQL)
    if django.VERSION >= (5, 1):
        assert (why, hint) == ("psycopg_pool is not installed", "Type: pip install 'psycopg[pool]'")
    else:
        assert why == "Django has pools from 5.1 on"


def test_a_check_says_what_an_engine_cannot_honour(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"default": {"ENGINE": SQLITE}, "documents": {"ENGINE": "django_mongodb_backend"}}
    monkeypatch.setattr(settings, "DATABASES", entries)
    assert check_pools() == []

    monkeypatch.setenv("DB_IDLE_TIMEOUT", "5000")
    assert check_pools() == []

    monkeypatch.setenv("DB_POOL_SIZE", "5")
    monkeypatch.setenv("DB_ACQUIRE_TIMEOUT", "100")
    (found,) = check_pools()
    assert found.id == "perfsuite_queries.W020"
    assert found.msg == (
        "The database 'default' does not honour DB_POOL_SIZE, DB_ACQUIRE_TIMEOUT: "
        "Django keeps one connection for each thread of it."
    )
    assert found.hint == "Bound the threads of the server instead."


def test_a_settings_file_can_import_it_before_anything_is_set_up() -> None:
    code = "from perfsuite.databases import with_pool; print(with_pool({'ENGINE': 'djongo'})['CLIENT']['maxPoolSize'])"
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=servers.ROOT,
        env={**environment, "DB_POOL_SIZE": "9"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "9"


@pytest.fixture
def pooled(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Iterator[ConnectionHandler]:
    """Return a handler with the alias ``pooled``: at most two connections to this lane's database, a fifth of a second's wait."""
    monkeypatch.setenv("DB_POOL_SIZE", "2")
    monkeypatch.setenv("DB_POOL_MIN", "1")
    monkeypatch.setenv("DB_ACQUIRE_TIMEOUT", "200")
    entry = copy.deepcopy(connections["default"].settings_dict)
    for name in ("CONN_MAX_AGE", "CONN_HEALTH_CHECKS"):  # Django has filled these in
        entry.pop(name, None)
    handler = ConnectionHandler({"default": entry, "pooled": with_pool(_named(entry))})
    yield handler
    wrapper: Any = handler["pooled"]
    getattr(wrapper, "close_pool", wrapper.close)()


def _named(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the entry with a name by which the server knows its connections."""
    if DATABASE == "postgresql":
        entry["OPTIONS"] = {**entry.get("OPTIONS", {}), "application_name": "pooled"}
    elif DATABASE == "mongodb":
        entry["OPTIONS"] = {**entry.get("OPTIONS", {}), "appname": "pooled"}
    else:  # djongo keeps its clients by the name of the database
        entry["CLIENT"] = {**entry["CLIENT"], "appname": "pooled"}
        entry["NAME"] = "pooled"
    return entry


@has_pools
@pytest.mark.skipif(DATABASE != "postgresql", reason="about PostgreSQL; runs in its lane")
def test_the_server_sees_no_more_connections_of_psycopgs_pool(pooled: ConnectionHandler) -> None:
    held, go_on = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with pooled["pooled"].cursor() as cursor:
            cursor.execute("SELECT 1")
            held.wait(20)
            go_on.wait(20)
        pooled["pooled"].close()

    threads = [threading.Thread(target=hold, daemon=True) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        held.wait(20)
        with pytest.raises(DatabaseError):  # the third, after DB_ACQUIRE_TIMEOUT
            pooled["pooled"].ensure_connection()
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pooled'")
            assert cursor.fetchone() == (2,)
    finally:
        go_on.set()
        for thread in threads:
            thread.join(20)


@pytest.mark.skipif(DATABASE not in ("mongodb", "djongo"), reason="about MongoDB; runs in its lanes")
def test_the_server_runs_no_more_at_once_than_pymongos_pool_has_connections(
    pooled: ConnectionHandler,
) -> None:
    from pymongo.errors import PyMongoError

    database = _pymongos(pooled["pooled"])
    database["slow"].delete_many({})
    database["slow"].insert_many([{"n": n} for n in range(5)])
    start, refused = threading.Barrier(6), []

    def ask() -> None:
        mine = _pymongos(pooled["pooled"])
        start.wait(20)
        try:  # each document takes a fifth of a second of the server, far longer than DB_ACQUIRE_TIMEOUT in all
            mine.command("find", "slow", filter={"$where": "sleep(200); return true;"})
        except PyMongoError as exc:
            refused.append(exc)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(5)]
    for thread in threads:
        thread.start()
    start.wait(20)
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, _running_on("slow"))
    assert most == 2
    assert len(refused) == 3
    database["slow"].drop()


def _pymongos(connection: Any) -> Any:
    connection.ensure_connection()
    return connection.connection if connection.vendor == "djongo" else connection.database


def _running_on(collection: str) -> int:
    """Return how many statements the server runs on a collection now."""
    admin = _pymongos(connections["default"]).client.admin
    stages = [{"$currentOp": {}}, {"$match": {"op": "query", "ns": {"$regex": rf"\.{collection}$"}}}]
    return len(list(admin.aggregate(stages)))
