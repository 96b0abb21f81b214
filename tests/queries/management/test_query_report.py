"""``manage.py query_report``: the figures, the places and the findings of the most expensive statements."""

from __future__ import annotations

import json
import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from perfsuite.metrics import flush, query
from perfsuite.metrics.exemplars import remember
from perfsuite.metrics.flusher import flusher
from perfsuite.metrics.models import Finding
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.sightings import Sighting, sight
from perfsuite.metrics.storages import presence
from perfsuite.queries.ranking import Chosen
from perfsuite.queries.report import report
from perfsuite.queries.short_id import short_id

stored = pytest.mark.django_db(databases="__all__")
BOOKS = 'SELECT "book"."id", "book"."title" FROM "book" WHERE "book"."author_id" = ?'
LEADS = "lead.find({status: ?})"
SITE = "shop/views.py:12 in listing"


@pytest.fixture
def recorded() -> None:
    """Record two statements, one of them on two routes."""
    flusher._reset()  # what it has described of another test is gone
    query._described.clear()
    recorder.take()
    for route, us in (("/a/", 1_000.0), ("/a/", 3_000.0), ("/b/", 2_000.0)):
        recorder.observe("queries.fingerprint", (BOOKS, "default", route), us)
        recorder.observe("queries.rows", (BOOKS, "default", route), 4)
        remember("queries.fingerprint", (BOOKS, "default", route), us, {"site": f"{SITE} {us:.0f}"})
    recorder.observe("queries.slow", (BOOKS, "default", "/a/"), 1)
    for us in (200_000.0, 300_000.0):
        recorder.observe("queries.fingerprint", (LEADS, "other", "/c/"), us)
    recorder.observe("queries.failed", (LEADS, "other", "/c/"), 1)
    evidence = {"sentence": 'Add .select_related("author").'}
    sight(Sighting("n_plus_one", BOOKS, "default", "/a/", SITE, 900.0, evidence))
    sight(Sighting("slow", BOOKS, "other", "/a/", SITE, 900.0, {"sentence": "Of another database."}))
    assert flush()


def ran(*args: str) -> list[str]:
    out = StringIO()
    call_command("query_report", *args, stdout=out)
    return out.getvalue().splitlines()


def records(*args: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran(*args, "--format", "json")]


@stored
@pytest.mark.usefixtures("recorded")
def test_the_most_expensive_stands_first_with_where_it_runs_and_what_is_found() -> None:
    head, columns, *lines = ran("--since", "30m")
    assert head == "Statements of the last 30m by total: 5 calls in 0.5 s. All are shown."
    assert " ".join(columns.split()) == ("calls avg ms p95 ms p99 ms total ms share rows/call errors slow")
    figures = lines[0].split()
    assert (figures[0], figures[1], *figures[4:]) == ("2", "250.0", "500.0", "99%", "-", "1", "0")
    assert lines[1:3] == [f"    {LEADS}", f"    {short_id(LEADS)}, on other, /c/"]
    figures = lines[3].split()
    assert (figures[0], figures[1], *figures[4:]) == ("3", "2.00", "6.00", "1%", "4.0", "0", "1")
    assert lines[4:] == [
        f"    {BOOKS}",
        f"    {short_id(BOOKS)}, on default, /a/ and 1 other route, at {SITE} 3000",
        '    n_plus_one on /a/: Add .select_related("author").',
    ]
    assert len(columns) == len(lines[0]) == len(lines[3]) <= 80


@stored
@pytest.mark.usefixtures("recorded")
def test_json_has_one_statement_a_line() -> None:
    leads, books = records()
    assert (leads["fingerprint"], leads["rows_per_call"], leads["site"], leads["findings"]) == (
        LEADS,
        None,
        "",
        [],
    )
    (found,) = books.pop("findings")
    assert (found["kind"], found["sentence"]) == ("n_plus_one", 'Add .select_related("author").')
    assert books.pop("p95_us") == pytest.approx(3_000, rel=0.05)
    assert books.pop("p99_us") == pytest.approx(3_000, rel=0.05)
    assert books == {
        "short_id": short_id(BOOKS), "fingerprint": BOOKS, "alias": "default", "operation": "SELECT", "count": 3,
        "total_us": 6_000.0, "avg_us": 2_000.0, "max_us": 3_000.0, "rows_per_call": 4.0, "errors": 0, "slow": 1,
        "routes": ["/a/", "/b/"], "site": f"{SITE} 3000",
    }  # fmt: skip


@stored
@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--sort", "count"], [(BOOKS, 3), (LEADS, 2)]),
        (["--sort", "p95"], [(LEADS, 2), (BOOKS, 3)]),
        (["--sort", "errors"], [(LEADS, 2)]),
        (["--limit", "1"], [(LEADS, 2)]),
        (["--database", "default"], [(BOOKS, 3)]),
        (["--route", "/a/"], [(BOOKS, 2)]),
    ],
)
def test_it_is_sorted_and_narrowed_as_asked(args: list[str], expected: list[tuple[str, int]]) -> None:
    assert [(each["fingerprint"], each["count"]) for each in records(*args)] == expected


@stored
@pytest.mark.usefixtures("recorded")
def test_the_largest_p95_is_not_the_largest_total() -> None:
    often = "SELECT often FROM book"
    recorder.observe_many(
        (("queries.fingerprint", (often, "default", "/a/"), [10_000.0] * 99 + [290_000.0]),)
    )
    assert flush()
    assert [each["fingerprint"] for each in records()] == [often, LEADS, BOOKS]
    assert [each["fingerprint"] for each in records("--sort", "p95")] == [LEADS, often, BOOKS]


@stored
@pytest.mark.usefixtures("recorded")
def test_of_one_route_the_findings_of_others_are_none() -> None:
    assert [len(each["findings"]) for each in records("--route", "/a/")] == [1]
    assert [len(each["findings"]) for each in records("--route", "/b/")] == [0]


@stored
@pytest.mark.usefixtures("recorded")
def test_what_is_found_about_whole_requests_stands_below() -> None:
    sight(Sighting("chatty", "/a/", "", "/a/", "", 100.0, {"sentence": "Fewer."}))
    sight(Sighting("long_transaction", "/b/", "other", "/b/", SITE, 50.0, {"ms": 1}))
    assert flush()

    assert ran()[-3:] == ["Whole requests", "    chatty on /a/: Fewer.", "    long_transaction on /b/"]
    *_, chatty, held = records()
    assert (chatty["alias"], chatty["routes"], chatty["findings"][0]["kind"]) == ("", ["/a/"], "chatty")
    assert (held["alias"], held["site"], "fingerprint" in held) == ("other", SITE, False)
    assert [each["routes"] for each in records("--route", "/b/")] == [["/b/"], ["/b/"]]
    assert [each["routes"] for each in records("--database", "other")] == [["/c/"], ["/b/"]]
    assert "Whole requests" not in ran("--database", "default")
    later = query.Window.last(60, time.time() + 3_600)
    assert report(later, Chosen(), 5).requests == []


@stored
@pytest.mark.usefixtures("recorded")
def test_what_connections_and_transactions_took_stands_last_by_database() -> None:
    for us in (1_000.0, 3_000.0):
        recorder.observe("queries.connect", ("default",), us)
        recorder.observe("queries.transaction", ("default",), 10 * us)
    recorder.observe("queries.transaction", ("other",), 500.0)
    assert flush()

    *_, heading, opened, held, of_other = ran()
    assert heading == "Connections and transactions"
    assert opened.startswith("    default, connections opened: 2, 2.00 ms on average, p95 2.9")
    assert held.startswith("    default, transactions held: 2, 20.0 ms on average, p95 30.0 ms")
    assert of_other.startswith("    other, transactions held: 1, 0.50 ms on average, p95 0.5")
    *_, default, other = records()
    assert default["alias"] == "default"
    assert default["transactions"] == {
        "count": 2, "avg_us": 20_000.0, "p95_us": pytest.approx(30_000, rel=0.05),
    }  # fmt: skip
    assert (default["connections"]["count"], default["connections"]["avg_us"]) == (2, 2_000.0)
    assert other["connections"] == {"count": 0, "avg_us": 0.0, "p95_us": 0.0}
    assert "transactions" not in str(records("--route", "/a/"))  # they are of no route
    assert ran("--database", "other")[-2:] == [heading, of_other]


@stored
@pytest.mark.usefixtures("recorded")
def test_a_limit_says_how_many_there_are() -> None:
    assert ran("--limit", "1")[0].endswith("1 of 2 are shown.")


@stored
@pytest.mark.usefixtures("recorded")
def test_a_long_statement_keeps_its_beginning_and_its_end() -> None:
    text = "SELECT " + ", ".join(f"column_{number}" for number in range(200)) + " FROM book WHERE title = ?"
    recorder.observe("queries.fingerprint", (text, "default", "/a/"), 9e9)
    assert flush()
    _, _, _, *lines = ran()
    lines = lines[: next(place for place, line in enumerate(lines) if ", on default, " in line)]
    assert all(line.startswith("    ") and len(line) <= 100 for line in lines)
    whole = " ".join(line.strip() for line in lines)
    assert len(whole) == 320
    assert whole.startswith("SELECT column_0, ")
    assert whole.endswith(" FROM book WHERE title = ?")


@stored
def test_nothing_recorded_is_one_sentence() -> None:
    assert ran() == [
        "No statement was recorded in the last 1h; let the site answer some requests, or ask for longer: --since 24h"
    ]
    assert ran("--since", "1d") == [
        "No statement was recorded in the last 1d; let the site answer some requests."
    ]
    assert records() == []


@stored
@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--database", "nine"], "No statement was recorded on 'nine' in the last 1h; there are some on default, other."),
        (["--route", "/z/"], "No statement was recorded for the route '/z/' in the last 1h; there are some for /a/, /b/, /c/."),
        (["--sort", "errors", "--route", "/a/"], "No statement failed in the last 1h."),
    ],
)  # fmt: skip
def test_what_leaves_nothing_over_is_said(args: list[str], sentence: str) -> None:
    assert ran(*args) == [sentence]


@stored
@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            ["--since", "yesterday"],
            "A duration is a number with s, m, h or d behind it, not 'yesterday'; write 1h.",
        ),
        (["--limit", "0"], "a number from 1 to 500, not '0'"),
        (["--sort", "worst"], "invalid choice: 'worst'"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(args: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as raised:
        ran(*args)
    assert sentence in str(raised.value)


@stored
def test_a_store_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Finding._meta, "db_table", "perfsuite_metrics_nowhere")
    monkeypatch.setattr(presence, "store_is_automatic", lambda: False)
    with pytest.raises(
        CommandError, match=r"metrics tables are missing on the database .*; type: python manage\.py migrate"
    ):
        ran()
