"""psycopg's pools, which Django has from 5.1 on, and what is recorded of any pool."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.db import DatabaseError, connections
from django.db.utils import ConnectionHandler

from perfsuite.metrics.recorder import recorder
from perfsuite.queries import kinds, pools
from perfsuite.queries.pools import MAX_POOLS, MAX_WAITS, Pool, pool_at
from tests.recorded import Recorded

POOL = "postgresql pooled"


@pytest.fixture(autouse=True)
def _no_pools() -> Iterator[None]:
    pools._after_fork()
    yield
    pools._after_fork()


def taken() -> dict[tuple[str, ...], tuple[int, float]]:
    return {(kind, *labels): (value.count, value.sum) for (kind, labels), value in recorder.take().items()}


def test_a_pool_that_does_nothing_is_not_recorded() -> None:
    assert not list(Pool("quiet").take())


def test_the_most_of_an_interval_is_recorded_and_the_next_begins_with_what_is() -> None:
    pool = Pool("busy")
    pool.limit, pool.open, pool.in_use, pool.most_in_use, pool.most_waiting = 5, 5, 1, 5, 3
    pool.waits_us, pool.failures = [1.0, 2.0], {"timeout": 2}

    assert list(pool.take()) == [
        (kinds.POOL_LIMIT, ("busy",), 5),
        (kinds.POOL_OPEN, ("busy",), 5),
        (kinds.POOL_IN_USE, ("busy",), 5),
        (kinds.POOL_WAITING, ("busy",), 3),
        (kinds.POOL_WAIT, ("busy",), [1.0, 2.0]),
        (kinds.POOL_FAILED, ("busy", "timeout"), 2),
    ]
    assert list(pool.take()) == [
        (kinds.POOL_LIMIT, ("busy",), 5),
        (kinds.POOL_OPEN, ("busy",), 5),
        (kinds.POOL_IN_USE, ("busy",), 1),
        (kinds.POOL_WAITING, ("busy",), 0),
    ]


def test_servers_beyond_the_cap_share_a_pool() -> None:
    found = {pool_at(("db.example.org", port)).name for port in range(MAX_POOLS + 20)}

    assert len(found) == MAX_POOLS + 1
    assert "<other>" in found
    assert len(pools._by_address) == MAX_POOLS + 1


def test_the_statistics_of_psycopg_are_told_by_interval() -> None:
    first = {"pool_max": 4, "pool_size": 4, "pool_available": 1, "requests_waiting": 2, "requests_num": 10,
             "requests_queued": 4, "requests_wait_ms": 80, "requests_errors": 1}  # fmt: skip
    second = {**first, "requests_num": 13, "requests_queued": 4, "requests_waiting": 0}
    renewed = {"pool_max": 4, "pool_size": 1, "pool_available": 1, "requests_num": 1}

    one, two, three = (pools._of_psycopg("pooled", stats) for stats in (first, second, renewed))
    assert (one.limit, one.open, one.in_use, one.most_waiting) == (4, 4, 3, 2)
    assert one.waits_us == [20_000.0] * 4 + [0.0] * 6
    assert one.failures == {"timeout": 1}
    assert (two.waits_us, two.failures) == ([0.0] * 3, {})
    assert three.waits_us == [0.0]
    assert len(pools._of_psycopg("other", {"requests_num": 10**9}).waits_us) == MAX_WAITS


def test_a_pool_whose_statistics_cannot_be_had_breaks_no_flush(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(pools, "_psycopg_pools", broken)
        assert recorded.sum("self.failures", "recorder") >= 1


@pytest.mark.skipif(
    os.environ.get("TEST_DATABASE") != "postgresql", reason="about PostgreSQL; runs in its lane"
)
@pytest.mark.skipif(django.VERSION < (5, 1), reason="pools came with Django 5.1")
@pytest.mark.django_db(transaction=True)
def test_a_pool_of_psycopgs_tells_its_limit_who_waited_and_what_could_not_be_had() -> None:
    settings = copy.deepcopy(connections["default"].settings_dict)
    settings["OPTIONS"] = {**settings["OPTIONS"], "pool": {"min_size": 1, "max_size": 2, "timeout": 0.2}}
    handler = ConnectionHandler({"default": settings, "pooled": settings})
    both_hold, go_on = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with handler["pooled"].cursor() as cursor:
            cursor.execute("SELECT 1")
            both_hold.wait(20)
            go_on.wait(20)
        handler["pooled"].close()

    threads = [threading.Thread(target=hold) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        both_hold.wait(20)
        with pytest.raises(DatabaseError):
            handler["pooled"].ensure_connection()
        found = taken()
        assert found["pools.limit", POOL] == (1, 2)
        assert found["pools.open", POOL] == (1, 2)
        assert found["pools.in_use", POOL] == (1, 2)
        assert found["pools.failed", POOL, "timeout"] == (1, 1)
        go_on.set()
        for thread in threads:
            thread.join()
        handler["pooled"].ensure_connection()
        handler["pooled"].close()
        assert taken()["pools.wait", POOL][0] == 1
    finally:
        go_on.set()
        handler["pooled"].close_pool()
