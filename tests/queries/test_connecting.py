"""How long connections take to open, how many come and go, and how long transactions are held; and the patches behind it."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from perfsuite.metrics import sightings
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.request import suppress
from perfsuite.queries import connecting, kinds, pools, track
from tests.recorded import Recorded

pytestmark = [
    pytest.mark.skipif(
        connection.vendor not in ("sqlite", "postgresql"), reason="MongoDB's pools have listeners"
    ),
    pytest.mark.django_db(transaction=True),
]
POOL = f"{connection.vendor} default"


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    connection.close()
    recorder.take()
    connecting._after_fork()
    with track("test"):
        yield
    connecting._after_fork()


def ask() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def open_now() -> int:
    (value,) = [
        value for kind, labels, value in pools.observations() if (kind, labels) == (kinds.POOL_OPEN, (POOL,))
    ] or [0]
    return int(value) if not isinstance(value, list) else -1


def in_a_thread(work: Any) -> None:
    thread = threading.Thread(target=track("thread")(work))
    thread.start()
    thread.join()


def test_a_connection_that_is_opened_and_closed_is_counted_and_timed(recorded: Recorded) -> None:
    ask()
    assert recorded.count(kinds.CONNECT, "default") == 1
    assert recorded.sum(kinds.CONNECT, "default") > 0
    assert recorded.sum(kinds.POOL_OPENED, POOL) == 1
    assert open_now() == 1
    assert recorded.count(kinds.POOL_WAIT, POOL) == 1

    ask()  # by the same connection
    connection.close()
    connection.close()
    assert recorded.sum(kinds.POOL_OPENED, POOL) == 1
    assert recorded.sum(kinds.POOL_CLOSED, POOL) == 1
    assert open_now() == 0
    assert not recorded.labels(kinds.POOL_LIMIT)


def test_a_thread_that_ends_without_closing_leaves_no_open_connection_behind(recorded: Recorded) -> None:
    in_a_thread(ask)
    assert recorded.sum(kinds.POOL_OPENED, POOL) == 1
    gc.collect()
    assert open_now() == 0


def test_a_connection_that_cannot_be_had_is_a_failure(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(params: object) -> None:
        raise OperationalError("no more connections")

    monkeypatch.setattr(connection, "get_new_connection", refuse)
    with pytest.raises(OperationalError):
        ask()
    assert recorded.sum(kinds.POOL_FAILED, POOL, "connectionError") == 1
    assert recorded.count(kinds.CONNECT) == 0


def test_what_no_request_and_no_task_opens_is_not_counted(recorded: Recorded) -> None:
    def ask_alone() -> None:
        ask()
        with transaction.atomic():
            ask()

    thread = threading.Thread(target=ask_alone)
    thread.start()
    thread.join()
    assert recorded.count(kinds.CONNECT) + recorded.count(kinds.TRANSACTION) == 0


def test_what_is_suppressed_opens_no_connection_that_counts(recorded: Recorded) -> None:
    with suppress():
        ask()
        with transaction.atomic():
            ask()
    assert recorded.count(kinds.CONNECT) + recorded.count(kinds.TRANSACTION) == 0


def test_each_outermost_transaction_is_timed_and_what_runs_after_its_commit_is_not_in_it(
    recorded: Recorded,
) -> None:
    def hold() -> None:
        assert not connection.in_atomic_block
        threading.Event().wait(0.05)

    with transaction.atomic():
        with transaction.atomic():
            ask()
        transaction.on_commit(hold)
    with pytest.raises(LookupError), transaction.atomic():
        raise LookupError

    assert recorded.count(kinds.TRANSACTION, "default") == 2
    assert recorded.sum(kinds.TRANSACTION, "default") < 50_000


@pytest.mark.urls("tests.monitoring.views")
def test_with_atomic_requests_the_transaction_of_a_long_request_is_found_and_the_route_is_its_place(
    recorded: Recorded, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PERFSUITE = {"QUERIES": {"LONG_TRANSACTION_MS": 30}}
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    sightings.take("")

    assert Client().get("/sleep/40/").status_code == 200
    assert Client().get("/zero/").status_code == 200

    assert recorded.count(kinds.TRANSACTION, "default") == 2
    assert recorded.sum(kinds.TRANSACTION, "default") >= 40_000
    (found,) = sightings.take("w")
    kind, subject, alias, route, site = json.loads(found.about)
    assert (kind, subject, alias, route) == (
        "long_transaction",
        "/sleep/<int:ms>/",
        "default",
        "/sleep/<int:ms>/",
    )
    assert "views.py" not in site, "no line of the view began it"
    assert json.loads(found.evidence)["ms"] >= 40


def test_a_transaction_that_its_connection_took_with_it_is_none(recorded: Recorded) -> None:
    transaction.set_autocommit(False)
    connection.close()
    ask()
    assert recorded.count(kinds.TRANSACTION) == 0


def test_the_patches_can_be_taken_back_and_put_on_again(recorded: Recorded) -> None:
    patched = [vars(BaseDatabaseWrapper)[patch.name] for patch in connecting.PATCHES]
    connecting.uninstall()
    try:
        assert [vars(BaseDatabaseWrapper)[patch.name] for patch in connecting.PATCHES] == [
            each.__wrapped__ for each in patched
        ]
        ask()
        connection.close()
        assert recorded.count(kinds.CONNECT) + recorded.count(kinds.POOL_OPENED) == 0
    finally:
        connecting.install()
        connecting.install()
    ask()
    assert recorded.count(kinds.CONNECT) == 1


def test_hooks_that_throw_leave_connections_and_transactions_alone(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(connecting, "of_alias", broken)
    monkeypatch.setattr(connecting, "in_hand", None)
    connecting.guard.on = True
    with transaction.atomic():
        ask()
    connections["default"].close()
    assert recorded.sum("self.failures") > 0
