"""Slow statements: told by time, counted each, and logged at most once a minute without any value."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from django.db import connection

from perfsuite import conf
from perfsuite.metrics.request import Tally
from perfsuite.queries import kinds, statements
from tests.queries.test_sql import in_a_request
from tests.recorded import Recorded
from tests.testapp.views import SLOW_SQL, count_statements

MANY_ROWS = 200_000
LOGGER = "perfsuite.queries"


def slow_statement() -> None:
    """Take well over the threshold in the database."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_sleep(0.3), %s", ["mary@example.org"])
        else:
            cursor.execute(SLOW_SQL, [MANY_ROWS])
        cursor.fetchall()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.name == LOGGER]


def fold(text: str, seconds: float) -> None:
    tally = Tally()
    tally.held.append((text, "default", seconds, False, 0, None))
    statements.fold_statements((tally,), "/pages/<slug>/")


@pytest.mark.django_db
def test_a_statement_over_the_threshold_is_counted_and_logged_and_one_below_is_not(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    def work() -> None:
        count_statements(1)
        slow_statement()

    # On a busy machine anything may take a while, but not a minute.
    settings.PERFSUITE = {"QUERIES": {"SLOW_QUERY_MS": 60_000}}
    in_a_request(work)
    assert recorded.count(kinds.SLOW) == 0
    assert lines(caplog) == []

    threshold_ms = 200.0 if connection.vendor == "postgresql" else 20.0
    settings.PERFSUITE = {"QUERIES": {"SLOW_QUERY_MS": threshold_ms}}
    in_a_request(slow_statement)

    ((shape, alias, route),) = recorded.labels(kinds.SLOW)
    assert (alias, route) == ("default", "<middleware>")
    assert shape.startswith("SELECT pg_sleep(?" if connection.vendor == "postgresql" else "WITH RECURSIVE")
    assert recorded.sum(kinds.SLOW) >= threshold_ms * 1_000
    (line,) = lines(caplog)
    assert line.startswith("Slow query on 'default' in <middleware>: ")
    assert line.endswith(f" ms (threshold {threshold_ms:.0f} ms): {shape}")
    assert "mary" not in line
    assert str(MANY_ROWS) not in line


@pytest.mark.django_db
def test_by_default_a_tenth_of_a_second_is_slow(recorded: Recorded) -> None:
    fold("SELECT 1", 0.0999)
    assert recorded.count(kinds.SLOW) == 0
    fold("SELECT 1", 0.1)
    assert recorded.count(kinds.SLOW) == 1


def test_each_is_counted_and_one_a_minute_is_logged(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(statements.time, "monotonic", lambda: now)
    for second in range(0, 120, 5):
        now = 1_000.0 + second
        fold(f"SELECT {second}", 0.5)
        fold("SELECT a FROM t WHERE name = 'mary'", 0.25)

    assert recorded.count(kinds.SLOW) == 48
    assert recorded.sum(kinds.SLOW) == pytest.approx(24 * 750_000)
    said = [
        "Slow query on 'default' in /pages/<slug>/: 500 ms (threshold 100 ms): SELECT ?",
        "Slow query on 'default' in /pages/<slug>/: 250 ms (threshold 100 ms): SELECT a FROM t WHERE name = ?",
    ]
    assert lines(caplog) == said * 2
    assert {line.levelno for line in caplog.records} == {logging.WARNING}


def test_what_was_logged_is_remembered_within_bounds(recorded: Recorded) -> None:
    for number in range(statements.MAX_LOGGED + 5):
        fold(f"SELECT column_{number}", 0.5)

    assert len(statements._logged_at) <= statements.MAX_LOGGED


def test_the_environment_sets_the_threshold(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW_QUERY_THRESHOLD", "2000")
    conf.reset()
    try:
        fold("SELECT 1", 1.9)
        assert recorded.count(kinds.SLOW) == 0
        fold("SELECT 1", 2.1)
        assert recorded.count(kinds.SLOW) == 1
    finally:
        monkeypatch.undo()
        conf.reset()


def test_a_threshold_of_nothing_makes_every_statement_slow(recorded: Recorded, settings: Any) -> None:
    settings.PERFSUITE = {"QUERIES": {"SLOW_QUERY_MS": 0}}
    fold("SELECT 1", 0.0)

    assert recorded.count(kinds.SLOW) == 1


@pytest.mark.django_db
def test_the_time_is_that_of_the_statement(recorded: Recorded) -> None:
    started = time.perf_counter()
    in_a_request(slow_statement)
    taken_us = (time.perf_counter() - started) * 1e6

    assert 1_000 < recorded.sum(kinds.ALL) <= taken_us
