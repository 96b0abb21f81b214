"""Plans that MongoDB really gives, under django-mongodb-backend, under djongo and for the host's own clients."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

from perfsuite.metrics import findings, flush, leader, merging
from perfsuite.metrics.exemplars import remember
from perfsuite.metrics.request import Tally, current
from perfsuite.queries import kinds
from perfsuite.queries.explain import NotExplainable, Plan
from perfsuite.queries.explain.asking_mongodb import BARE, FILTER_ONLY, UNKNOWN, explain_command, own_database
from perfsuite.queries.explain.daily import explain_slow, latest
from perfsuite.queries.explain.recorded import explain

if os.environ.get("TEST_DATABASE") not in ("djongo", "mongodb"):
    pytest.skip("about MongoDB; runs in its lanes", allow_module_level=True)

import pymongo

from tests.queries.explain.test_recorded import record
from tests.queries.test_sql import in_a_request
from tests.testapp.models import Author, Book

pytestmark = pytest.mark.django_db(transaction=True)

URL = os.environ.get("TEST_MONGODB_URL", "")
TIMEOUT_MS = 20_000
BOOKS = 2_000


@pytest.fixture
def database() -> Iterator[Any]:
    """Return the database of "default", with books of which only the pages have an index."""
    with pymongo.MongoClient(URL) as client:
        there = client[connections["default"].settings_dict["NAME"]]
        there.of_this_test.insert_many([{"title": str(n), "pages": n} for n in range(BOOKS)])
        there.of_this_test.create_index("pages")
        yield there
        there.drop_collection("of_this_test")


def plan_of(command: Any, **options: Any) -> Plan:
    return explain_command("default", "", command, **{"timeout_ms": TIMEOUT_MS, **options})


FIND = {
    "find": "of_this_test",
    "filter": {"title": "7"},
    "sort": {"author": 1},
    "$db": "x",
    "lsid": {"id": 1},
}


def test_without_an_index_the_collection_is_read_whole_and_what_was_examined_is_told(database: Any) -> None:
    plan = plan_of(FIND)

    scan, order = plan.findings
    assert (scan.table, scan.columns, scan.rows, scan.is_served) == ("of_this_test", ("title",), BOOKS, False)
    assert (order.kind, order.columns) == ("sort", ("author",))
    assert (plan.examined, plan.returned, plan.notes) == (BOOKS, 1, ())
    assert "=>   COLLSCAN of_this_test" in plan.as_text()
    assert plan.missing_indexes(BOOKS) == [scan]


def test_with_an_index_it_is_not(database: Any) -> None:
    plan = plan_of({"find": "of_this_test", "filter": {"pages": {"$gt": BOOKS - 10}}})

    assert plan.findings == ()
    assert (plan.examined, plan.returned) == (9, 9)
    assert "IXSCAN pages_1 on of_this_test" in plan.as_text()


OTHERS: list[dict[str, Any]] = [
    {"aggregate": "of_this_test", "pipeline": [{"$match": {"title": "7"}}, {"$group": {"_id": "$pages"}}]},
    {
        "aggregate": "of_this_test",
        "pipeline": [{"$match": {"$expr": {"$eq": ["$title", "7"]}}}, {"$facet": {"a": [{"$limit": 1}]}}],
    },
    {"count": "of_this_test", "query": {"title": "7"}},
    {"distinct": "of_this_test", "key": "pages", "query": {"title": "7"}},
    {"find": "of_this_test", "filter": {"title": {"$regex": "^7$"}}},
]  # fmt: skip


@pytest.mark.parametrize("command", OTHERS, ids=str)
def test_every_command_that_reads_is_explained(database: Any, command: dict[str, Any]) -> None:
    plan = plan_of(command)

    assert [(fact.kind, fact.columns) for fact in plan.findings] == [("scan", ("title",))]
    assert plan.examined == BOOKS


def test_extended_json_stands_for_what_it_says(database: Any) -> None:
    kept = database.of_this_test.find_one({"title": "7"})
    command = json.dumps({"find": "of_this_test", "filter": {"_id": {"$oid": str(kept["_id"])}}})

    assert plan_of(command).returned == 1


@pytest.mark.parametrize(
    ("command", "note"),
    [
        ({"find": "of_this_test", "filter": {"title": "?", "x": {"$regex": "?"}}, "limit": "?"}, UNKNOWN),
        ("shop.of_this_test.find{title, x.$in}", FILTER_ONLY),
        ("shop.of_this_test.aggregate[$match{$expr.$eq.$title}, $sort]", FILTER_ONLY),
    ],
)
def test_where_values_are_unknown_the_command_is_not_run(database: Any, command: Any, note: str) -> None:
    plan = plan_of(command)

    assert plan.findings[0].columns[0] == "title"
    assert (plan.examined, plan.returned, plan.notes) == (None, None, (note,))


# Safety

REFUSED: list[dict[str, Any]] = [
    {"delete": "of_this_test", "deletes": [{"q": {}, "limit": 0}]},
    {"insert": "of_this_test", "documents": [{}]},
    {"drop": "of_this_test"},
    {"aggregate": "of_this_test", "pipeline": [{"$match": {}}, {"$out": "copied"}]},
    {"aggregate": "of_this_test", "pipeline": [{"$merge": {"into": "copied"}}]},
    {"find": "of_this_test", "filter": {"$where": "while (true) {}"}},
]


@pytest.mark.parametrize("command", REFUSED, ids=str)
def test_what_writes_or_runs_code_is_refused_and_leaves_the_database_as_it_is(
    database: Any, command: dict[str, Any]
) -> None:
    before = set(database.list_collection_names())

    with pytest.raises(NotExplainable, match="This statement is not explained"):
        plan_of(command)

    assert set(database.list_collection_names()) == before
    assert database.of_this_test.count_documents({}) == BOOKS


def test_explaining_changes_no_document(database: Any) -> None:
    before = database.command("dbHash")["collections"]["of_this_test"]

    plan_of(FIND)

    assert database.command("dbHash")["collections"]["of_this_test"] == before


# For each document, all documents, and for each of these all again.
INNER = [
    {"$lookup": {
        "from": "of_this_test", "let": {"b": "$y"}, "as": "c", "pipeline": [{"$match": {"$expr": {"$lt": ["$$b", "$z"]}}}],
    }},
    {"$match": {"$expr": {"$lt": ["$$a", "$c"]}}},
]  # fmt: skip
ENDLESS = {
    "aggregate": "of_this_test",
    "pipeline": [{"$lookup": {"from": "of_this_test", "let": {"a": "$x"}, "pipeline": INNER, "as": "d"}}],
}


def test_a_command_that_takes_longer_than_it_may_is_stopped_and_its_plan_is_told_without_figures(
    database: Any,
) -> None:
    plan = plan_of(ENDLESS, timeout_ms=100)

    assert plan.notes == ("It was not done within 100 ms, so what it examines is not known.",)
    assert plan.examined is None
    assert plan.findings[0].table == "of_this_test"


def test_nothing_of_it_is_recorded_for_the_request_in_hand(database: Any) -> None:
    tally = Tally()
    token = current.set(tally)
    try:
        plan_of(FIND)
    finally:
        current.reset(token)

    assert tally.statements()[0] == 0


def test_the_client_is_another_one_and_is_closed_after() -> None:
    connections["default"].ensure_connection()
    with own_database("default", "", TIMEOUT_MS) as there:
        client = there.client
        assert there.name == connections["default"].settings_dict["NAME"]
        assert client is not getattr(
            connections["default"].connection, "client", connections["default"].connection
        )

    if int(pymongo.version_tuple[0]) >= 4:
        with pytest.raises(pymongo.errors.InvalidOperation):
            client.admin.command("ping")
    else:  # it would open anew
        assert not client._topology._opened


BAD: list[tuple[Any, str]] = [
    (
        {"find": "of_this_test", "filter": {"$bad": 1}},
        "The database 'default' gave no plan: unknown top level operator",
    ),
    ("not JSON", "What is kept of this command cannot be read"),
    ("[1]", "What is kept of this command is no command."),
    (
        {"find": "of_this_test", "filter": {"_id": {"$oid": "no id"}}},
        "What is kept of this command cannot be read",
    ),
]


@pytest.mark.parametrize(("command", "said"), BAD)
def test_what_cannot_be_asked_is_one_sentence(command: Any, said: str) -> None:
    with pytest.raises(NotExplainable) as caught:
        plan_of(command)

    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


# Recorded commands

SHAPE = "shop.of_this_test.find{title}"


def test_a_recorded_command_is_explained_by_its_fingerprint_alone(database: Any) -> None:
    record(SHAPE, "default")

    plan = explain(SHAPE, "default")

    assert plan.findings[0].columns == ("title",)
    assert plan.notes == (FILTER_ONLY,)


def test_djongos_sql_is_explained_by_the_command_that_it_became(database: Any) -> None:
    fingerprint = (
        f'SELECT "of_this_test"."title" FROM "of_this_test" WHERE "of_this_test"."title" = ? → {SHAPE}'
    )
    record(fingerprint, "default")

    assert explain(fingerprint, "default").findings[0].columns == ("title",)


def test_a_remembered_command_is_explained_as_it_was_sent(database: Any) -> None:
    remember(kinds.FINGERPRINT, (SHAPE, "default", "/"), 5.0, {"command": json.dumps(FIND)})
    record(SHAPE, "default")

    plan = explain(SHAPE, "default")

    assert (plan.examined, plan.returned, plan.notes) == (BOOKS, 1, ())


def test_a_command_of_a_client_of_the_hosts_own_needs_its_server(database: Any) -> None:
    shape = f"{database.name}.of_this_test.find{{title}}"
    record(shape, BARE)

    with pytest.raises(NotExplainable, match=r"EXPLAIN_MONGODB_URL"):
        explain(shape, BARE)
    with override_settings(PERFSUITE={"QUERIES": {"EXPLAIN_MONGODB_URL": URL}}):
        assert explain(shape, BARE).findings[0].rows == BOOKS


def test_the_command_prints_the_plan_and_says_in_a_sentence_what_is_refused(database: Any) -> None:
    write = "shop.of_this_test.insert"
    record(SHAPE, "default")
    record(write, "default")
    out = StringIO()

    call_command("explain_query", SHAPE, stdout=out)

    assert "=> COLLSCAN of_this_test" in out.getvalue()
    with pytest.raises(CommandError, match="it is 'insert'"):
        call_command("explain_query", write)


# The leader's job


@pytest.fixture
def _leads() -> Iterator[None]:
    leader._reset()
    leader.candidate.renew()
    yield
    leader._reset()


@pytest.mark.usefixtures("_leads")
@override_settings(
    PERFSUITE={"QUERIES": {"EXPLAIN_DAILY": True, "EXPLAIN_SCAN_ROWS": 300, "SLOW_QUERY_MS": 0}}
)
def test_a_slow_statement_is_explained_once_a_day_and_the_index_that_it_misses_is_a_finding() -> None:
    author = Author.objects.create(name="a")
    Book.objects.bulk_create(Book(author=author, title=str(n), pages=n) for n in range(300))
    in_a_request(lambda: list(Book.objects.filter(title="7")))
    flush()

    assert explain_slow() == 1
    assert explain_slow() == 0
    flush()
    merging.merge()

    (found,) = findings.findings(kind="missing_index")
    last = found.evidence["last"]
    assert (last["table"], last["columns"], last["rows"]) == ("testapp_book", ["title"], 300)
    assert (found.alias, found.route, last["engine"]) == ("default", "<middleware>", "mongodb")
    kept = latest(found.subject, "default")
    assert kept is not None
    assert kept.data["plan"]["findings"][0]["table"] == "testapp_book"
    assert "COLLSCAN testapp_book" in kept.data["text"]
