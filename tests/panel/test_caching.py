"""The cards of the caches: true numbers, the right target, and nothing at all without a cache."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import override_settings

import perfsuite.metrics
from perfsuite.panel.payload import RANGES, build
from tests.panel.conftest import record

pytestmark = pytest.mark.django_db(databases="__all__")

IDS = {"cache-breaker", "cache-figures", "cache-answers", "cache-prefixes", "cache-memory", "caches"}


def cards() -> dict[str, Any]:
    """Return the cards of the caches after a flush."""
    assert perfsuite.metrics.flush()
    return {card["id"]: card for card in build(RANGES["15m"], time.time())["cards"] if card["id"] in IDS}


def tile(found: dict[str, Any], name: str) -> dict[str, Any]:
    made: dict[str, Any] = next(each for each in found["cache-figures"]["tiles"] if each["id"] == name)
    return made


def rows(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a table by the ids of its columns."""
    names = [column["id"] for column in card["columns"]]
    return [dict(zip(names, row, strict=True)) for row in card["rows"]]


def record_reads() -> None:
    """Measure a tiered cache that answers 96 of 100 reads, and LocMem for sessions, which answers 30 of 50."""
    for answer, number in {"hot": 60, "warm": 25, "cold": 10, "stale": 1, "miss": 4}.items():
        record("cache.reads", ("default", answer), number)
    record("cache.reads", ("sessions", "found"), 30)
    record("cache.reads", ("sessions", "absent"), 20)
    record("cache.sets", ("default",), 5)
    record("cache.deletes", ("sessions",), 2)
    record("cache.time", ("default", "get"), 2.0, 4.0)
    record("cache.time", ("sessions", "get"), 30.0)
    record("cache.events", ("default", "coalesced"), 3)
    record("cache.events", ("sessions", "failed"), 1)


def test_there_is_no_card_without_a_cache() -> None:
    assert cards() == {}


def test_the_hit_rate_is_held_to_the_least_that_it_should_be() -> None:
    record_reads()
    found = cards()
    rate = tile(found, "cache_hit_rate")
    assert rate["value"] == pytest.approx(100 * 126 / 150, abs=0.001)
    assert (rate["target"], rate["better"], rate["status"]) == (95, "up", "warn")
    with override_settings(PERFSUITE={"PANEL": {"CACHE_HIT_RATE_TARGET_PERCENT": 84.0}}):
        assert tile(cards(), "cache_hit_rate")["status"] == "ok"
    assert tile(found, "cache_coalesced")["value"] == 3
    assert tile(found, "cache_stale")["value"] == pytest.approx(100 / 150, abs=0.001)
    assert tile(found, "cache_reads")["hint"] == "150 in this range"
    assert tile(found, "cache_read_p95")["value"] == pytest.approx(30, rel=0.02)


def test_a_hit_rate_that_fell_is_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    record("cache.reads", ("default", "hot"), 100)
    monkeypatch.setattr(time, "time", lambda: now - 900 - RANGES["15m"].step)
    assert perfsuite.metrics.flush()
    monkeypatch.setattr(time, "time", lambda: now)
    record("cache.reads", ("default", "hot"), 50)
    record("cache.reads", ("default", "miss"), 50)
    rate = tile(cards(), "cache_hit_rate")
    assert (rate["value"], rate["delta"], rate["better"]) == (50, -0.5, "up")


def test_the_answers_are_shares_of_the_tiered_caches_alone() -> None:
    record_reads()
    chart = cards()["cache-answers"]
    latest = {
        line["id"]: next(value for value in reversed(line["values"]) if value is not None)
        for line in chart["series"]
    }
    assert latest == {"hot": 60, "warm": 25, "cold": 10, "stale": 1, "miss": 4}
    assert (chart["stacked"], chart["unit"]) == (True, "%")
    assert chart["series"][0]["values"][0] is None


def test_a_site_without_a_tiered_cache_has_no_tiers_to_show() -> None:
    record("cache.reads", ("sessions", "found"), 30)
    found = cards()
    assert set(found) == {"cache-figures", "caches"}
    assert rows(found["caches"])[0]["deletes"] == 0
    assert tile(found, "cache_read_p95")["value"] is None


def test_every_cache_has_a_line() -> None:
    record_reads()
    default, sessions = rows(cards()["caches"])
    assert (default["cache"], default["reads"], default["hit_rate"], default["sets"]) == (
        "default",
        100,
        96,
        5,
    )
    assert default["avg"] == pytest.approx(0.003)
    assert default["deletes"] is None  # a tiered cache does not count them
    assert (sessions["cache"], sessions["reads"], sessions["hit_rate"]) == ("sessions", 50, 60)
    assert (sessions["deletes"], sessions["failed"], sessions["sets"]) == (2, 1, 0)


def test_memory_is_shown_against_its_budget() -> None:
    for tier, held in (("cold", 10.0), ("hot", 50.0)):
        record("cache.bytes", ("default", tier), held - 5, held)
        record("cache.budget", ("default", tier), 100.0, 100.0)
        record("cache.entries", ("default", tier), 1.0, 2.0)
    record("cache.evictions", ("default", "hot", "bytes"), 7)
    record("cache.evictions", ("default", "hot", "expiry"), 3)
    record("cache.rejected", ("default", "cold"), 1)
    hot, cold = rows(cards()["cache-memory"])
    assert (hot["tier"], hot["bytes"], hot["budget"], hot["full"], hot["entries"]) == (
        "L1 hot",
        50,
        100,
        50,
        2,
    )
    assert (hot["evicted"], hot["expired"], hot["rejected"]) == (7, 3, 0)
    assert (cold["tier"], cold["evicted"], cold["rejected"]) == ("L3 cold", 0, 1)
    assert "cache" not in hot
    for kind in ("bytes", "budget", "entries"):
        record(f"cache.{kind}", ("leads", "warm"), 1.0)
    assert [row["cache"] for row in rows(cards()["cache-memory"])] == ["default", "default", "leads"]


def test_prefixes_are_ranked_by_their_share_of_the_reads() -> None:
    record("cache.prefixes", ("default", "page", "hit"), 6)
    record("cache.prefixes", ("default", "page", "miss"), 2)
    record("cache.prefixes", ("sessions", "page", "hit"), 1)
    record("cache.prefixes", ("default", "<other>", "miss"), 1)
    page, other = rows(cards()["cache-prefixes"])
    assert (page["prefix"], page["hit_rate"], page["share"]) == ("page", pytest.approx(77.778), 90)
    assert (other["prefix"], other["hit_rate"], other["share"]) == ("<other>", 0, 10)


def test_a_server_that_is_away_is_said_in_plain_words() -> None:
    record("cache.events", ("default", "server failure"), 4)
    record("cache.events", ("default", "breaker opened"), 1)
    record("cache.breaker_open", ("default",), 1)
    card = cards()["cache-breaker"]
    assert (card["type"], card["level"]) == ("message", "error")
    assert card["text"].startswith(
        "The server behind the cache default does not answer (4 failed calls in this range)."
    )


def test_a_server_that_was_away_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    record("cache.events", ("default", "server failure"), 1)
    record("cache.events", ("default", "breaker opened"), 2)
    record("cache.breaker_open", ("default",), 1)
    monkeypatch.setattr(time, "time", lambda: now - 300)
    assert perfsuite.metrics.flush()
    monkeypatch.setattr(time, "time", lambda: now)
    record("cache.breaker_open", ("default",), 0)
    card = cards()["cache-breaker"]
    assert card["level"] == "warning"
    assert card["text"] == (
        "The server behind the cache default was away 2 times (1 failed call in this range) and answers again."
    )
