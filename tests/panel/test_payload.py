"""The JSON of the panel: true numbers, and a page that stands while cards or the store fall."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
from django.test import Client, override_settings

import perfsuite.metrics
from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import guard
from perfsuite.metrics.query import Window
from perfsuite.panel import payload as module
from perfsuite.panel.cards import Card, CardContext, CardData, table, tiles
from perfsuite.panel.cards.base import Column, Tile
from perfsuite.panel.cards.reader import EmptyReader, StoreReader
from perfsuite.panel.payload import RANGES, build
from tests.panel.conftest import record, record_requests

pytestmark = pytest.mark.django_db(databases="__all__")

HOSTILE = "</script><img src=x onerror=alert(1)>"


class Broken:
    """A card that fails."""

    id = "broken"
    title = "Broken"

    def data(self, view: CardContext) -> CardData:
        raise ZeroDivisionError("secret detail")


class ThirdParty:
    """A card of a third party, with no JavaScript of its own."""

    id = "third"
    title = "Third"

    def data(self, view: CardContext) -> CardData:
        return tiles(self, [Tile("range", "Range", float(view.window.seconds), target=10)])


class ReadsByItself:
    """A card that goes to the store past the reader it is given."""

    id = "itself"
    title = "Itself"

    def data(self, view: CardContext) -> CardData:
        raise StoreUnavailable("The store is away, says the card itself.")


def build_now(chosen: str = "15m") -> dict[str, Any]:
    return build(RANGES[chosen], time.time())


def cards(payload: dict[str, Any]) -> dict[str, Any]:
    return {card["id"]: card for card in payload["cards"]}


def tile(payload: dict[str, Any], name: str, card: str = "overview") -> dict[str, Any]:
    return next(tile for tile in cards(payload)[card]["tiles"] if tile["id"] == name)


def with_cards(*names: str) -> override_settings:
    return override_settings(PERFSUITE={"PANEL": {"CARDS": [f"{__name__}.{name}" for name in names]}})


def test_the_answer_has_the_documented_shape(permitted: Client) -> None:
    record_requests()
    answer = permitted.get("/performance/data/?range=6h").json()
    assert list(answer) == ["generated_at", "range", "ranges", "poll_s", "window", "notices", "cards"]
    assert answer["range"] == "6h"
    assert answer["ranges"] == ["15m", "1h", "6h", "24h", "7d"]
    assert answer["poll_s"] == 5
    assert answer["window"]["step"] == 300
    assert answer["window"]["end"] - answer["window"]["start"] == 6 * 3_600
    assert {card["type"] for card in answer["cards"]} == {"tiles", "chart", "table"}
    for card in answer["cards"]:
        assert {"id", "title", "hint"} <= set(card)


@pytest.mark.parametrize("chosen", list(RANGES))
def test_every_range_ends_with_the_running_step_and_has_one_point_for_each(chosen: str) -> None:
    now = time.time()
    payload = build(RANGES[chosen], now)
    step, window = RANGES[chosen].step, payload["window"]
    assert window["start"] % step == 0
    assert 0 < window["end"] - now <= step
    latency = cards(payload)["latency"]
    assert len(latency["x"]) == RANGES[chosen].seconds // step
    assert all(len(line["values"]) == len(latency["x"]) for line in latency["series"])


def test_the_figures_are_those_that_were_measured() -> None:
    record_requests()
    payload = build_now()
    assert tile(payload, "avg")["value"] == pytest.approx((19 * 10 + 400) / 20)
    assert tile(payload, "p95")["value"] == pytest.approx(10, rel=0.02)
    assert tile(payload, "p95")["status"] == "ok"
    assert tile(payload, "p99")["value"] == pytest.approx(400, rel=0.02)
    assert tile(payload, "error_rate")["value"] == 5
    assert tile(payload, "error_rate")["status"] == "ok"
    assert tile(payload, "queries_per_request")["value"] == 3
    assert tile(payload, "db_p95")["value"] == pytest.approx(2, rel=0.02)
    assert tile(payload, "db_share")["value"] == pytest.approx(100 * 120 / 590, abs=0.01)
    # Nothing was measured before, so the rate is that of the ten seconds in which these came.
    assert tile(payload, "requests_per_minute")["value"] >= 20 * 60 / 20


def test_a_figure_over_its_target_says_so() -> None:
    record_requests()
    with override_settings(PERFSUITE={"PANEL": {"P95_TARGET_MS": 5.0, "ERROR_TARGET_PERCENT": 4.0}}):
        payload = build_now()
    assert tile(payload, "p95")["status"] == "warn"
    assert tile(payload, "error_rate")["status"] == "warn"
    assert cards(payload)["latency"]["threshold"] == {"value": 5, "label": "p95 target 5 ms"}


@pytest.mark.parametrize(
    ("better", "value", "status"),
    [
        ("up", 96.0, "ok"), ("up", 95.0, "ok"), ("up", 94.9, "warn"), ("up", None, "none"),
        ("down", 96.0, "warn"), ("down", 95.0, "ok"), ("neutral", 96.0, "warn"), ("neutral", 94.0, "ok"),
    ],
)  # fmt: skip
def test_a_target_is_the_least_where_more_is_better_and_else_the_most(
    better: Any, value: float | None, status: str
) -> None:
    assert Tile("rate", "Rate", value, better=better, target=95.0).status == status


def measure_before_and_now(monkeypatch: pytest.MonkeyPatch, before: int) -> dict[str, Any]:
    """Build the page after ``before`` requests of 10 ms a quarter of an hour ago and 40 of 15 ms now."""
    now = time.time()
    record("requests.status", ("2xx",), *[10_000.0] * before)
    monkeypatch.setattr(time, "time", lambda: now - 900 - RANGES["15m"].step)
    assert perfsuite.metrics.flush()
    monkeypatch.setattr(time, "time", lambda: now)
    record("requests.status", ("2xx",), *[15_000.0] * 40)
    assert perfsuite.metrics.flush()
    return build(RANGES["15m"], now)


def test_the_change_is_against_the_same_time_before(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = measure_before_and_now(monkeypatch, before=20)
    assert tile(payload, "avg")["delta"] == pytest.approx(0.5)
    assert tile(payload, "requests_per_minute")["delta"] == pytest.approx(1, abs=0.05)
    assert tile(payload, "requests_per_minute")["value"] == pytest.approx(40 / 15, rel=0.02)


def test_too_little_before_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = measure_before_and_now(monkeypatch, before=19)
    assert tile(payload, "avg")["delta"] is None
    assert tile(payload, "requests_per_minute")["delta"] is None


def test_the_tables_name_route_and_statement_with_their_cost() -> None:
    record_requests()
    payload = build_now()
    (row,) = cards(payload)["routes"]["rows"]
    columns = [column["id"] for column in cards(payload)["routes"]["columns"]]
    route = dict(zip(columns, row, strict=True))
    assert route["route"] == "/pages/<slug>/"
    assert (route["requests"], route["errors"], route["queries"]) == (20, 5, 3)
    assert route["total"] == 590
    assert route["share"] == 100
    for name in ("expensive-queries", "slowest-queries"):
        card = cards(payload)[name]
        (row,) = card["rows"]
        query = dict(zip([column["id"] for column in card["columns"]], row, strict=True))
        assert (query["fingerprint"], query["route"], query["calls"]) == (
            "SELECT a FROM t",
            "/pages/<slug>/",
            60,
        )
        assert query["total"] == 120


def test_the_database_is_named_only_where_there_are_several() -> None:
    record_requests()
    columns = cards(build_now())["expensive-queries"]["columns"]
    assert "alias" not in [column["id"] for column in columns]
    record("queries.fingerprint", ("SELECT b FROM u", "replica", "/pages/<slug>/"), 1_000)
    assert perfsuite.metrics.flush()
    card = cards(build_now())["expensive-queries"]
    assert [column["id"] for column in card["columns"]][2] == "alias"
    assert {row[2] for row in card["rows"]} == {"default", "replica"}


def test_operations_appear_once_there_are_some() -> None:
    assert "operations" not in cards(build_now())
    record("operations", ("import", "ok"), *[20_000.0] * 3)
    record("operations", ("import", "error"), 60_000)
    assert perfsuite.metrics.flush()
    (row,) = cards(build_now())["operations"]["rows"]
    assert row[:2] == ["import", 4]
    assert row[5:] == [25, 120]


def test_throughput_is_split_by_status_and_leaves_the_running_step_open() -> None:
    record_requests()
    in_the_next_step = time.time() // 10 * 10 + 15
    chart = cards(build(RANGES["15m"], in_the_next_step))["throughput"]
    assert [line["id"] for line in chart["series"]] == ["2xx", "5xx"]
    assert chart["stacked"] is True
    assert chart["series"][0]["values"][-1] is None
    # 19 requests over the three flush intervals that a rate is taken over.
    assert max(value for value in chart["series"][0]["values"] if value is not None) == pytest.approx(38)


def test_an_empty_store_says_when_the_first_numbers_come() -> None:
    payload = build_now()
    assert payload["notices"] == [
        {
            "level": "info",
            "text": "No requests in this range yet. The first numbers come about 10 seconds after the first request.",
        }
    ]
    assert tile(payload, "p95")["value"] is None
    assert cards(payload)["routes"]["rows"] == []


def test_a_store_that_is_away_is_one_notice_and_empty_cards(
    permitted: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def away(*args: object) -> None:
        asked.append(args)
        raise StoreUnavailable("The metrics store 'perfsuite' cannot be read: no such table.")

    for name in ("totals", "totals_by", "series", "top"):
        monkeypatch.setattr(f"perfsuite.panel.cards.reader.query.{name}", away)
    response = permitted.get("/performance/data/")
    assert response.status_code == 200
    answer = response.json()
    assert answer["notices"] == [
        {"level": "error", "text": "The metrics store 'perfsuite' cannot be read: no such table."}
    ]
    assert cards(answer)["overview"]["tiles"]
    assert cards(answer)["latency"]["x"]
    assert len(asked) == 1
    assert permitted.get("/performance/").status_code == 200


def test_a_card_that_reads_the_store_by_itself_keeps_its_place_while_it_is_away() -> None:
    with with_cards("ReadsByItself", "ThirdParty"):
        payload = build_now()
    assert cards(payload)["itself"]["type"] == "message"
    assert payload["notices"][0] == {"level": "error", "text": "The store is away, says the card itself."}
    assert cards(payload)["third"]["type"] == "tiles"


def test_a_card_that_fails_says_so_in_its_place_and_once_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with with_cards("Broken", "ThirdParty"), caplog.at_level(logging.ERROR, "perfsuite.panel"):
        payload = build_now()
        build_now()
    broken = cards(payload)["broken"]
    assert (broken["type"], broken["level"]) == ("message", "error")
    assert broken["text"] == "Card Broken failed: ZeroDivisionError, see the log of perfsuite.panel."
    assert cards(payload)["third"]["tiles"][0]["value"] == 900
    (logged,) = [entry for entry in caplog.records if entry.name == "perfsuite.panel"]
    assert "secret detail" in str(logged.exc_info)


def test_a_card_that_cannot_be_loaded_says_so_in_its_place() -> None:
    with with_cards("Missing", "ThirdParty"):
        payload = build_now()
    missing = payload["cards"][0]
    assert (missing["type"], missing["title"]) == ("message", "Missing")
    assert f"{__name__}.Missing" in missing["text"]
    assert cards(payload)["third"]


def test_failures_and_hooks_that_are_off_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(guard.disabled_hooks, "statements", "The hook statements is off in this process.")
    record("self.failures", ("requests",), 3)
    record_requests()
    notices = build_now()["notices"]
    assert notices[0] == {"level": "error", "text": "The hook statements is off in this process."}
    assert notices[1]["level"] == "warning"
    assert "requests failed 3 times" in notices[1]["text"]
    assert tile(build_now(), "failures", "health")["status"] == "warn"


def test_a_monitor_that_is_switched_off_says_so() -> None:
    with override_settings(PERFSUITE={"METRICS": {"ENABLED": False}}):
        notices = build_now()["notices"]
    assert "Measuring is switched off" in notices[0]["text"]


def test_admins_who_look_at_the_same_time_share_one_answer(
    permitted: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []

    def counting(*args: Any) -> dict[str, Any]:
        built.append(args)
        return {"n": len(built)}

    monkeypatch.setattr(module, "build", counting)
    for _ in range(3):
        assert permitted.get("/performance/data/").json() == {"n": 1}
    assert permitted.get("/performance/data/?range=15m").json() == {"n": 2}
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock + 2.1)
    assert permitted.get("/performance/data/").json() == {"n": 3}


def test_a_changed_setting_is_seen_at_once(permitted: Client) -> None:
    assert permitted.get("/performance/data/").json()["poll_s"] == 5
    with override_settings(PERFSUITE={"PANEL": {"POLL_S": 9}}):
        assert permitted.get("/performance/data/").json()["poll_s"] == 9
        assert 'data-poll-s="9"' in permitted.get("/performance/").content.decode()
    assert permitted.get("/performance/data/").json()["poll_s"] == 5


def test_hostile_names_stay_json_strings(permitted: Client) -> None:
    record("requests.status", ("2xx",), 1_000)
    record("requests.route", (HOSTILE, "GET", "2xx"), 1_000)
    record("queries.fingerprint", (HOSTILE, "default", HOSTILE), 1_000)
    assert perfsuite.metrics.flush()
    response = permitted.get("/performance/data/")
    assert response["Content-Type"] == "application/json"
    assert json.loads(response.content)["cards"]
    assert HOSTILE in [row[0] for row in cards(response.json())["routes"]["rows"]]


def test_the_panel_leaves_itself_out_of_the_figures(permitted: Client) -> None:
    permitted.get("/zero/")
    for url in ("/performance/", "/performance/data/", "/admin/perfsuite_panel/dashboard/"):
        permitted.get(url)
    assert perfsuite.metrics.flush()
    now = int(time.time())
    reader = StoreReader()
    rows = reader.top("requests.route", Window(now - 60, now + 60), ("route",))
    assert [row.labels["route"] for row in rows] == ["/zero/"]


def test_the_empty_reader_answers_as_an_empty_store_does() -> None:
    now = int(time.time())
    window = Window(now - 600, now)
    empty, store = EmptyReader(), StoreReader()
    assert empty.totals("queries", window).count == store.totals("queries", window).count == 0
    assert empty.totals_by("queries", window, "alias") == store.totals_by("queries", window, "alias") == {}
    assert len(empty.series("queries", window, 60)) == len(store.series("queries", window, 60)) == 10
    assert empty.top("queries", window, ("alias",)) == store.top("queries", window, ("alias",)) == []


def test_a_table_needs_no_order_and_a_card_is_what_has_the_three_names() -> None:
    card: Card = ThirdParty()
    made = table(card, [Column("a", "A", "text")], [["x"]], empty="None.")
    assert "sort" not in made
    assert made["columns"] == [{"id": "a", "label": "A", "kind": "text", "align": "left"}]


def test_the_time_of_routes_is_shown_by_its_parts_and_no_part_that_none_has() -> None:
    for route, us in (("/pages/<slug>/", 10_000.0), ("/", 4_000.0)):
        record("requests.route", (route, "GET", "2xx"), us, us)
        record("requests.status", ("2xx",), us, us)
    record("requests.time", ("/pages/<slug>/", "sql"), 6_000.0, 6_000.0)
    record("requests.time", ("/pages/<slug>/", "cache"), 1_000.0, 1_000.0)
    record("requests.time", ("/pages/<slug>/", "python"), 3_000.0, 3_000.0)
    record("requests.time", ("/", "python"), 4_000.0, 4_000.0)
    assert perfsuite.metrics.flush()

    shown = cards(build_now())["time-split"]
    assert [column["id"] for column in shown["columns"]] == [
        "route",
        "avg",
        "sql",
        "cache",
        "python",
        "total",
    ]
    assert shown["rows"] == [
        ["/pages/<slug>/", 10, 60, 10, 30, 20],
        ["/", 4, 0, 0, 100, 8],
    ]


def test_connection_pools_are_shown_once_there_are_any() -> None:
    record_requests()
    assert "pools" not in cards(build_now())
    for pool, wait_us in (("postgresql default", 2_000.0), ("mongodb db:27017", 50_000.0)):
        record("pools.limit", (pool,), 20, 20)
        record("pools.open", (pool,), 4, 6)
        record("pools.in_use", (pool,), 3, 5)
        record("pools.waiting", (pool,), 0, 2)
        record("pools.wait", (pool,), *[wait_us] * 4)
    record("pools.failed", ("mongodb db:27017", "timeout"), 3)
    record("pools.limit", ("unlimited",), 0)
    # What Django keeps without a pool: it tells only what is open, and what opening took.
    record("pools.open", ("sqlite default",), 2)
    record("pools.opened", ("sqlite default",), 30, 30)
    record("pools.closed", ("sqlite default",), 15)
    record("pools.wait", ("sqlite default",), 1_000.0)
    assert perfsuite.metrics.flush()

    shown = cards(build_now())["pools"]
    assert [column["id"] for column in shown["columns"]][:5] == ["pool", "limit", "open", "in_use", "used"]
    assert [row[:10] for row in shown["rows"]] == [
        ["mongodb db:27017", 20, 6, 5, 25, 2, 4, 50, pytest.approx(50, rel=0.02), 3],
        ["postgresql default", 20, 6, 5, 25, 2, 4, 2, pytest.approx(2, rel=0.02), 0],
        ["sqlite default", None, 2, None, None, None, 1, 1, pytest.approx(1, rel=0.02), 0],
        ["unlimited", None, 0, None, None, None, 0, None, None, 0],
    ]
    opened, closed = shown["rows"][2][10:]
    assert opened == pytest.approx(4 * closed, rel=0.1)


def test_what_connections_and_transactions_take_is_shown_by_database() -> None:
    record_requests()
    assert "databases" not in cards(build_now())
    record("queries.connect", ("quiet",), 9_000.0)
    record("queries.connect", ("default",), *[2_000.0] * 18, *[40_000.0] * 2)
    record("queries.transaction", ("default",), *[1_000.0] * 19, 600_000.0)
    record("queries.transaction", ("other",), 5_000.0)
    assert perfsuite.metrics.flush()

    shown = cards(build_now())["databases"]
    assert [column["id"] for column in shown["columns"]] == [
        "alias", "connections", "connect", "connect_p95", "transactions", "held", "held_p95", "held_total",
    ]  # fmt: skip
    assert shown["rows"] == [
        ["default", 20, 5.8, pytest.approx(40, rel=0.02), 20, 30.95, pytest.approx(1, rel=0.02), 619],
        ["other", 0, None, None, 1, 5, pytest.approx(5, rel=0.02), 5],
        ["quiet", 1, 9, pytest.approx(9, rel=0.02), 0, None, None, None],
    ]
