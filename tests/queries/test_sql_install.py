"""Putting the execute wrapper on and taking it off: idempotent, and the host's own wrappers stay as they are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created
from django.test import override_settings

from perfsuite.metrics import request as tally_of_request
from perfsuite.queries import kinds, sql
from tests.queries.test_sql import in_a_request
from tests.recorded import Recorded
from tests.testapp.views import count_statements

OFF = {"METRICS": {"ENABLED": False}}
Wrapper = Callable[..., Any]


def host_wrapper(execute: Wrapper, statement: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    return execute(statement, params, many, context)


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    yield
    sql.install()


def places() -> int:
    return connection.execute_wrappers.count(sql.note_statement)


@pytest.mark.django_db
def test_installing_and_uninstalling_twice_is_the_same_as_once(recorded: Recorded) -> None:
    connection.ensure_connection()
    folds = list(tally_of_request._folds)
    receivers = len(connection_created.receivers)
    for _ in range(2):
        sql.install()
        assert places() == 1
        assert tally_of_request._folds == folds
        assert len(connection_created.receivers) == receivers
    for _ in range(2):
        sql.uninstall()
        assert places() == 0
        assert len(connection_created.receivers) == receivers - 1
    in_a_request(lambda: count_statements(2))
    assert recorded.count(kinds.ALL) == 0
    sql.install()
    in_a_request(lambda: count_statements(2))
    assert recorded.count(kinds.ALL) == 2


@pytest.mark.django_db
def test_the_hosts_own_wrappers_are_kept_and_run_inside_ours(recorded: Recorded) -> None:
    seen: list[str] = []

    def watching(execute: Wrapper, statement: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        seen.append(statement)
        return execute(statement, params, many, context)

    with connection.execute_wrapper(watching):
        sql.uninstall()
        assert connection.execute_wrappers == [watching]
        sql.install()
        assert connection.execute_wrappers == [sql.note_statement, watching]
        in_a_request(lambda: count_statements(2))

    assert len(seen) == 2
    assert recorded.count(kinds.ALL) == 2
    assert connection.execute_wrappers == [sql.note_statement]


@pytest.mark.django_db
def test_the_setting_takes_it_off_and_puts_it_on_again(recorded: Recorded) -> None:
    connection.ensure_connection()
    with connection.execute_wrapper(host_wrapper):
        with override_settings(PERFSUITE=OFF):
            assert connection.execute_wrappers == [host_wrapper]
        assert connection.execute_wrappers == [sql.note_statement, host_wrapper]
    with override_settings(TIME_ZONE="Europe/Berlin"):
        assert places() == 1


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_opens_later_in_any_thread_gets_it_once(recorded: Recorded) -> None:
    seen: list[int] = []

    def work() -> None:
        try:
            for _ in range(2):
                in_a_request(lambda: count_statements(1))
                seen.append(places())
                connection.close()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert seen == [1, 1]
    assert recorded.count(kinds.ALL) == 2


def test_installing_makes_no_connection_whose_driver_may_be_missing(recorded: Recorded) -> None:
    connections.databases["elsewhere"] = {"ENGINE": "no.such.backend"}
    try:
        sql.install()
        sql.uninstall()
    finally:
        del connections.databases["elsewhere"]


def test_before_django_4_1_all_connections_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "all", lambda: [connection])
    sql.uninstall()
    assert places() == 0
    sql.install()
    assert places() == 1
