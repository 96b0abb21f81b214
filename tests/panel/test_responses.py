"""The cards of the responses: true numbers, reasons in words, and nothing at all where nothing is cached or compressed."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

import perfsuite.metrics
import perfsuite.responses
from perfsuite.panel.cards import responses
from perfsuite.panel.payload import RANGES, build
from perfsuite.responses.policy.storing import REASONS
from tests import servers
from tests.panel.conftest import record
from tests.responses.site import OURS, serving, text

pytestmark = pytest.mark.django_db(databases="__all__")

COMPRESSION = "perfsuite.responses.CompressionMiddleware"
# Where a word says why a response is not stored.
JUDGES = {
    "making.py": ("why_not", "_why_not", "_why_policy_forbids", "whose", "_user_has_changed"),
    "identity.py": ("why_not_everyones", "why_not_users", "why_not_repeatable", "_cookie_read"),
    "streaming.py": ("tee",),
}


def cards() -> dict[str, Any]:
    """Return the cards of the responses after a flush."""
    assert perfsuite.metrics.flush()
    made = build(RANGES["15m"], time.time())["cards"]
    return {card["id"]: card for card in made if card["id"].startswith("response-")}


def tile(found: dict[str, Any], name: str) -> dict[str, Any]:
    made: dict[str, Any] = next(each for each in found["response-figures"]["tiles"] if each["id"] == name)
    return made


def rows(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a table by the ids of its columns."""
    names = [column["id"] for column in card["columns"]]
    return [dict(zip(names, row, strict=True)) for row in card["rows"]]


def record_answers() -> None:
    """Measure 200 GETs, of which 140 run no view, and 50 POSTs."""
    for (outcome, reason), number in {
        ("hit", "fresh"): 120,
        ("stale", "stale-while-revalidate"): 10,
        ("collapsed", "collapsed"): 10,
        ("validated", "validated"): 4,
        ("miss", "miss"): 20,
        ("miss", "session"): 30,
        ("miss", "csrf"): 6,
        ("bypassed", "method"): 50,
    }.items():
        record("responses.cache", (outcome, reason), number)


def record_bodies() -> None:
    """Measure 4 MB that were sent as 1 MB of br, and 1 MB as 0.5 MB of gzip."""
    record("responses.bytes_before", ("br",), *[2 * 1024.0**2] * 2)
    record("responses.bytes_after", ("br",), *[0.5 * 1024**2] * 2)
    record("responses.bytes_before", ("gzip",), 1024.0**2)
    record("responses.bytes_after", ("gzip",), 0.5 * 1024**2)
    record("responses.compression", ("br",), 2_000.0, 4_000.0)


def test_there_is_no_card_without_the_middleware() -> None:
    assert cards() == {}


def test_a_cache_that_had_nothing_to_do_says_so() -> None:
    with override_settings(MIDDLEWARE=[OURS]):
        found = cards()
    assert set(found) == {"response-figures"}
    assert found["response-figures"]["type"] == "message"
    assert found["response-figures"]["text"] == "No requests through the response cache in this range yet."


@pytest.mark.parametrize(
    "section", [{"RESPONSES": {"CACHE_ENABLED": False}}, {"CACHING": {"ENABLED": False}}]
)
def test_a_cache_that_is_switched_off_says_how_to_switch_it_on(section: dict[str, Any]) -> None:
    with override_settings(MIDDLEWARE=[OURS], PERFSUITE=section):
        text = cards()["response-figures"]["text"]
    assert text.startswith("The response cache is switched off.")
    assert "PERFSUITE['RESPONSES']['CACHE_ENABLED']" in text


def test_the_figures_are_of_what_a_stored_response_could_have_answered() -> None:
    record_answers()
    record_bodies()
    found = cards()
    assert tile(found, "response_hit_rate")["value"] == 70
    assert tile(found, "response_hit_rate")["hint"] == "of 200 requests"
    assert tile(found, "response_stale")["value"] == 5
    assert tile(found, "response_collapsed")["value"] == 10
    assert tile(found, "response_not_stored")["value"] == 18
    saved = tile(found, "response_saved")
    assert (saved["value"], saved["unit"], saved["hint"]) == (3.5, "MB", "70 % of 5 MB")


def test_a_hit_rate_that_fell_is_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    record("responses.cache", ("hit", "fresh"), 100)
    monkeypatch.setattr(time, "time", lambda: now - 900 - RANGES["15m"].step)
    assert perfsuite.metrics.flush()
    monkeypatch.setattr(time, "time", lambda: now)
    record("responses.cache", ("hit", "fresh"), 50)
    record("responses.cache", ("miss", "miss"), 50)
    rate = tile(cards(), "response_hit_rate")
    assert (rate["value"], rate["delta"], rate["better"]) == (50, -0.5, "up")


def test_the_outcomes_are_shares_of_all_requests() -> None:
    record_answers()
    chart = cards()["response-outcomes"]
    latest = {
        line["id"]: next(value for value in reversed(line["values"]) if value is not None)
        for line in chart["series"]
    }
    assert latest == {"hit": 48, "stale": 4, "collapsed": 4, "validated": 1.6, "miss": 22.4, "bypassed": 20}
    assert (chart["stacked"], chart["unit"]) == (True, "%")
    assert chart["series"][0]["values"][0] is None


def test_the_reasons_are_said_in_words_and_ranked() -> None:
    record_answers()
    found = rows(cards()["response-reasons"])
    assert [(row["reason"], row["outcome"], row["requests"]) for row in found] == [
        ("Neither GET nor HEAD", "Bypassed", 50),
        ("Touches the session", "Not stored", 30),
        ("Not in the cache", "Stored", 20),
        ("Has a CSRF token", "Not stored", 6),
        ("Stale, the view said 304", "Validated", 4),
    ]
    assert found[0]["share"] == pytest.approx(100 * 50 / 110, abs=0.001)


def test_the_same_word_means_something_else_for_a_miss_and_for_a_bypass() -> None:
    record("responses.cache", ("miss", "method"), 2)
    record("responses.cache", ("bypassed", "method"), 1)
    assert [row["reason"] for row in rows(cards()["response-reasons"])] == [
        "HEAD, only GET is stored",
        "Neither GET nor HEAD",
    ]


def test_a_site_that_is_answered_from_the_cache_alone_has_no_reasons() -> None:
    record("responses.cache", ("hit", "fresh"), 3)
    card = cards()["response-reasons"]
    assert card["rows"] == []
    assert card["empty"] == "Every request in this range was answered from the cache."


def test_a_site_with_nothing_but_unsafe_requests_has_no_hit_rate_to_boast_of() -> None:
    record("responses.cache", ("bypassed", "method"), 3)
    found = cards()
    assert tile(found, "response_hit_rate")["value"] is None
    assert tile(found, "response_stale")["value"] is None


def test_what_this_version_does_not_know_is_shown_as_it_is_and_counted_nowhere_else() -> None:
    record("responses.cache", ("<other>", "<other>"), 5)
    assert cards() == {}
    record("responses.cache", ("miss", "full-moon"), 1)
    found = cards()
    assert [(row["reason"], row["outcome"]) for row in rows(found["response-reasons"])] == [
        ("full-moon", "Not stored")
    ]
    assert tile(found, "response_hit_rate")["hint"] == "of 1 request"


def _words_returned(file: str, functions: tuple[str, ...]) -> set[str]:
    source = Path(perfsuite.responses.__file__).with_name(file).read_text(encoding="utf-8")
    found = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    assert set(functions) <= set(found)
    return {
        each.value
        for name in functions
        for node in ast.walk(found[name])
        if isinstance(node, ast.Return) and node.value is not None
        for each in _results(node.value)
        if each.value
    }


def _results(value: ast.expr) -> list[Any]:
    """Return the strings that an expression can come to."""
    if isinstance(value, ast.IfExp):
        return [*_results(value.body), *_results(value.orelse)]
    if isinstance(value, ast.BoolOp):
        return [each for part in value.values for each in _results(part)]
    return [value] if isinstance(value, ast.Constant) and isinstance(value.value, str) else []


def test_each_reason_for_which_a_response_is_not_stored_has_words() -> None:
    reasons = set(REASONS) - {"ok"} | {"size"}
    for file, functions in JUDGES.items():
        words = _words_returned(file, functions)
        assert words
        reasons |= words
    assert reasons == set(responses.NOT_STORED)


def test_words_are_short_and_each_is_used_once() -> None:
    words = [*responses.STORED.values(), *responses.NOT_STORED.values(), *responses.BYPASSED.values()]
    assert len(set(words)) == len(words)
    assert max(map(len, words)) <= 40


def test_routes_are_ranked_by_the_time_that_was_missed() -> None:
    record("responses.missed", ("/pages/<slug>/",), 10_000, 30_000)
    record("responses.missed", ("/slow/",), 60_000)
    for number in range(12):
        record("responses.missed", (f"/{number}/",), 10)
    found = rows(cards()["response-missed"])
    assert len(found) == 10
    slow, pages = found[:2]
    assert (slow["route"], slow["misses"], slow["total"]) == ("/slow/", 1, 60)
    assert (pages["route"], pages["misses"], pages["avg"], pages["total"]) == ("/pages/<slug>/", 2, 20, 40)
    assert slow["share"] == pytest.approx(100 * 60_000 / 100_120, abs=0.001)


def test_compression_is_shown_by_coding() -> None:
    record_bodies()
    found = cards()
    assert set(found) == {"response-compression"}
    br, gzip = rows(found["response-compression"])
    assert (br["coding"], br["bodies"], br["before"], br["after"], br["saved"]) == (
        "br",
        2,
        4 * 1024**2,
        1024**2,
        75,
    )
    assert br["avg"] == pytest.approx(3)
    assert br["p95"] == pytest.approx(4, rel=0.02)
    assert (gzip["coding"], gzip["saved"], gzip["avg"], gzip["p95"]) == ("gzip", 50, None, None)


def test_a_host_without_the_responses_app_has_no_card_of_them() -> None:
    code = """
import django
from django.conf import settings
import perfsuite
apps = [app for app in perfsuite.APPS if app != "perfsuite.responses"]
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", *apps], SECRET_KEY="x",
                   DATABASES={}, MIDDLEWARE=["perfsuite.monitoring.RequestMetricsMiddleware"])
django.setup()
from perfsuite.metrics.query import Window
from perfsuite.panel.cards import CardContext, load
from perfsuite.panel.cards.reader import EmptyReader
from perfsuite.panel.conf import DEFAULT_CARDS
view = CardContext(Window(0, 900), Window(-900, 0), 10, "15m", 900.0, EmptyReader())
ours = [path for path in DEFAULT_CARDS if ".responses." in path or ".compression." in path]
print(len(ours), [load(path).data(view) for path in ours])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=servers.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "5 [None, None, None, None, None]"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_a_site_does_is_what_its_cards_say(kind: str) -> None:
    views = {
        "page/": lambda request: text("again and again " * 500),
        "private/": lambda request: text("mine", cache_control="private"),
    }
    with serving(kind, views, middleware=(COMPRESSION, OURS)) as site:
        for path in ("/page/", "/page/", "/page/", "/private/", "/nowhere/"):
            site.get(path, accept_encoding="gzip")
        site.head("/private/")
        site.post("/page/")
    found = cards()
    assert tile(found, "response_hit_rate")["value"] == pytest.approx(100 * 2 / 6, abs=0.001)
    reasons = rows(found["response-reasons"])
    assert {(row["reason"], row["outcome"]): row["requests"] for row in reasons} == {
        ("Not in the cache", "Stored"): 1,
        ("private in the response", "Not stored"): 1,
        ("States no lifetime", "Not stored"): 1,
        ("HEAD, only GET is stored", "Not stored"): 1,
        ("Neither GET nor HEAD", "Bypassed"): 1,
    }
    assert {row["route"] for row in rows(found["response-missed"])} == {"/page/", "/private/", "<not found>"}
    (gzip,) = rows(found["response-compression"])
    assert (gzip["coding"], gzip["bodies"], gzip["before"]) == ("gzip", 3, 3 * 16 * 500)
    assert gzip["saved"] > 90
