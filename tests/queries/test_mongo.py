"""MongoDB observed: every command of every client is counted once, for the request that sends it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext

from perfsuite.metrics import exemplars
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.request import MAX_HELD
from perfsuite.metrics.sightings import Sighting
from perfsuite.monitoring import RequestMetricsMiddleware
from perfsuite.queries import kinds, pools, statements, track
from perfsuite.queries.checks import check_clients
from tests.queries.corpus_rows.models import Topic
from tests.queries.test_sql import KINDS, author, in_a_request
from tests.recorded import Recorded
from tests.servers import ROOT
from tests.testapp.models import Author, Book

ENGINE = os.environ.get("TEST_DATABASE", "")
if ENGINE not in ("djongo", "mongodb"):
    pytest.skip("about MongoDB; runs in its lanes", allow_module_level=True)

import pymongo  # noqa: E402
from pymongo import monitoring  # noqa: E402

from perfsuite.queries import mongo  # noqa: E402

URL = os.environ["TEST_MONGODB_URL"]
NAME = "bare"


@pytest.fixture
def client() -> Iterator[Any]:
    """A client of the host's own."""
    with pymongo.MongoClient(URL) as made:
        yield made
        made.drop_database(NAME)


@pytest.fixture
def orders(client: Any) -> Any:
    """A collection of 250 documents, which come in three batches."""
    client[NAME].orders.insert_many([{"_id": number, "status": "x"} for number in range(250)])
    return client[NAME].orders


def in_route(route: str, work: Callable[[], object]) -> None:
    """Run ``work`` as the view of a route does."""

    def view(request: HttpRequest) -> HttpResponse:
        request.resolver_match = SimpleNamespace(route=route)  # type: ignore[assignment]
        work()
        return HttpResponse()

    RequestMetricsMiddleware(view)(RequestFactory().get("/"))


def fingerprints(recorded: Recorded, kind: str = kinds.FINGERPRINT) -> dict[str, int]:
    return {labels[0]: recorded.count(kind, *labels) for labels in recorded.labels(kind)}


COMMANDS: list[tuple[str, Callable[[Any], object], dict[str, int]]] = [
    ("find", lambda c: c.find_one({"_id": 3}), {"bare.orders.find{_id}": 1}),
    ("find_nothing", lambda c: list(c.find({"_id": {"$gt": 999}})), {"bare.orders.find{_id.$gt}": 0}),
    ("find_in_batches", lambda c: list(c.find(batch_size=100)), {"bare.orders.find{}": 250}),
    ("aggregate", lambda c: list(c.aggregate([{"$match": {"status": "x"}}, {"$limit": 2}])),
        {"bare.orders.aggregate[$match{status}, $limit]": 2}),
    ("insert", lambda c: c.insert_many([{"_id": n} for n in range(300, 310)]), {"bare.orders.insert": 10}),
    ("update", lambda c: c.update_many({"status": "x"}, {"$set": {"status": "y"}}), {"bare.orders.update{status}": 250}),
    ("update_in_vain", lambda c: c.update_many({"_id": 1}, {"$set": {"status": "x"}}), {"bare.orders.update{_id}": 1}),
    ("delete", lambda c: c.delete_many({"_id": {"$lt": 5}}), {"bare.orders.delete{_id.$lt}": 5}),
    ("distinct", lambda c: c.distinct("status", {"_id": 1}), {"bare.orders.distinct{_id}": 0}),
    ("modify", lambda c: c.find_one_and_update({"_id": 1}, {"$set": {"a": 1}}), {"bare.orders.findAndModify{_id}": 1}),
    ("modify_nothing", lambda c: c.find_one_and_delete({"_id": 999}), {"bare.orders.findAndModify{_id}": 0}),
    ("nobody_waits", lambda c: c.with_options(write_concern=pymongo.WriteConcern(0)).delete_one({"_id": 1}),
        {"bare.orders.delete{_id}": 0}),
    ("ping", lambda c: c.database.command("ping"), {"bare.ping": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "work", "expected"), COMMANDS, ids=[name for name, _, _ in COMMANDS])
def test_a_command_of_a_client_is_one_statement_with_its_shape_and_its_documents(
    recorded: Recorded, orders: Any, name: str, work: Callable[[Any], object], expected: dict[str, int]
) -> None:
    in_route("orders/", lambda: work(orders))

    assert fingerprints(recorded) == dict.fromkeys(expected, 1)
    assert recorded.labels(kinds.FINGERPRINT) == {(each, mongo.BARE, "/orders/") for each in expected}
    is_write = not {"insert", "update", "delete", "findAndModify"}.isdisjoint(recorded.operations())
    read, changed = recorded.sum(kinds.DOCUMENTS), recorded.sum(kinds.ROWS)
    assert (read, changed) == ((0, sum(expected.values())) if is_write else (sum(expected.values()), 0))
    assert recorded.count(kinds.ROWS) == (is_write and name != "nobody_waits")
    assert recorded.sum("requests.queries") == 1
    assert recorded.sum("requests.db") == pytest.approx(recorded.sum(kinds.ALL))
    assert recorded.sum(kinds.ALL) > 0
    assert recorded.count("self.failures") == 0


@pytest.mark.skipif(
    ENGINE == "djongo", reason="the raw batches of pymongo 3 are none that today's servers know"
)
def test_a_raw_batch_is_a_statement_whose_documents_nobody_has_counted(
    recorded: Recorded, orders: Any
) -> None:
    in_a_request(lambda: list(orders.find_raw_batches({"_id": 1})))

    assert fingerprints(recorded) == {"bare.orders.find{_id}": 1}
    assert recorded.count(kinds.DOCUMENTS) == 0


def test_the_time_of_further_batches_is_added_to_that_of_the_find(recorded: Recorded, orders: Any) -> None:
    took: list[int] = []

    class Clock(monitoring.CommandListener):
        def started(self, event: Any) -> None:
            pass

        def succeeded(self, event: Any) -> None:
            took.append(event.duration_micros)

        failed = succeeded

    with pymongo.MongoClient(URL, event_listeners=[Clock()]) as client:
        in_a_request(lambda: list(client[NAME].orders.find(batch_size=100)))

        assert len(took[:3]) == 3
        assert recorded.count(kinds.ALL) == 1
        assert recorded.sum(kinds.ALL) == pytest.approx(sum(took[:3]))


def test_a_cursor_that_another_request_reads_on_is_a_statement_of_that_too(
    recorded: Recorded, orders: Any
) -> None:
    cursor = orders.find(batch_size=100)
    in_route("one/", lambda: next(cursor))
    in_route("two/", lambda: list(cursor))

    found = {route: recorded.count(kinds.FINGERPRINT, shape, alias, route)
             for shape, alias, route in recorded.labels(kinds.FINGERPRINT)}  # fmt: skip
    assert fingerprints(recorded) == {"bare.orders.find{}": 2} or set(fingerprints(recorded)) == {
        "bare.orders.find{}"
    }
    assert found == {"/one/": 1, "/two/": 2}


def test_a_cursor_whose_find_was_folded_meanwhile_is_counted_by_its_batches(
    recorded: Recorded, orders: Any
) -> None:
    def work() -> None:
        cursor = orders.find(batch_size=100)
        next(cursor)
        for _ in range(MAX_HELD):
            orders.database.command("ping")
        list(cursor)

    in_a_request(work)

    assert fingerprints(recorded) == {"bare.orders.find{}": 3, "bare.ping": MAX_HELD}
    assert recorded.sum(kinds.DOCUMENTS) == 250


# With 250 documents, where 100 are many.
MANY: dict[str, tuple[Callable[[Any], object], int]] = {
    "all": (lambda c: list(c.find()), 250),
    "all in one batch": (lambda c: list(c.find(batch_size=1_000)), 250),
    "twice": (lambda c: [list(c.find({"_id": {"$gte": 99}})) for _ in range(2)], 151),
    "a pipeline": (lambda c: list(c.aggregate([{"$match": {"status": "x"}}])), 250),
    "few": (lambda c: list(c.find({"_id": {"$gte": 150}})), 0),
    "a limit": (lambda c: list(c.find(limit=200)), 0),
    "a limit in batches": (lambda c: list(c.find(limit=200, batch_size=50)), 0),
    "a limit in a pipeline": (lambda c: list(c.aggregate([{"$limit": 200}])), 0),
    "by keys": (lambda c: list(c.find({"_id": {"$in": list(range(200))}})), 0),
    "not read on": (lambda c: [next(c.find(batch_size=50)) for _ in range(3)], 0),
}


@pytest.mark.parametrize("name", MANY)
def test_more_documents_than_there_may_be_without_a_limit_are_a_finding_of_the_line_that_reads_them(
    recorded: Recorded, orders: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    found: list[Sighting] = []
    monkeypatch.setattr(statements, "sight", found.append)
    work, documents = MANY[name]
    with override_settings(PERFSUITE={"QUERIES": {"UNBOUNDED_ROWS": 100}}):
        in_route("orders/", lambda: work(orders))
        assert recorded.count("self.failures") == 0

    assert [each.evidence["rows"] for each in found] == ([documents] if documents else [])
    for each in found:
        assert (each.kind, each.alias, each.route) == ("unbounded", mongo.BARE, "/orders/")
        assert each.subject.startswith("bare.orders.")
        assert each.site.startswith("tests/queries/test_mongo.py:")
        assert each.evidence["about"] == "orders"
        assert each.evidence["times"] == (2 if name == "twice" else 1)
        assert f"{documents} documents came by a command without a limit" in each.evidence["sentence"]


@pytest.mark.django_db(transaction=True)
def test_where_there_are_no_transactions_none_is_long(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Sighting] = []
    monkeypatch.setattr(statements, "sight", found.append)

    def work() -> None:
        with transaction.atomic():
            Author.objects.create(name="x")

    with override_settings(PERFSUITE={"QUERIES": {"LONG_TRANSACTION_MS": 0}}):
        in_a_request(work)
        assert recorded.count(kinds.TRANSACTION) == 0
    assert found == []


def test_what_runs_outside_of_requests_may_read_everything(
    orders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Sighting] = []
    monkeypatch.setattr(statements, "sight", found.append)
    with override_settings(PERFSUITE={"QUERIES": {"UNBOUNDED_ROWS": 100}}), track("nightly"):
        list(orders.find())
    assert found == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"CAPTURE_PARAMS": True}, ["x", 7]),
        ({"CAPTURE_PARAMS": True, "MASK_PARAMS": f"{__name__}.stars"}, ["***", "***"]),
        ({"CAPTURE_PARAMS": True, "MASK_PARAMS": f"{__name__}.broken"}, None),
    ],
)
def test_the_values_of_a_remembered_command_are_kept_only_if_asked_for_and_then_as_the_mask_leaves_them(
    recorded: Recorded, orders: Any, settings: Any, options: dict[str, Any], expected: list[Any] | None
) -> None:
    exemplars.take("")
    settings.PERFSUITE = {"QUERIES": options}
    # Of one series, few are remembered in a minute.
    route = f"orders/{len(options)}/{options.get('MASK_PARAMS')}/"
    in_route(route, lambda: orders.find_one({"status": "x", "_id": {"$gt": 7}}))

    recorded.count("")
    (data,) = [json.loads(row.data) for row in exemplars.take("w")]
    assert data["command"] == "bare.orders.find{_id.$gt, status}"
    assert data.get("params") == expected
    assert recorded.count("self.failures") == ("broken" in str(options))


def stars(command: str, params: list[Any]) -> list[str]:
    assert command == "bare.orders.find{_id.$gt, status}"
    return ["***" for _ in params]


def broken(command: str, params: list[Any]) -> list[str]:
    raise LookupError("secret")


def test_cursors_that_are_left_unread_are_remembered_within_bounds(
    orders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo, "MAX_CURSORS", 3)
    listener = mongo._listeners[0]
    in_a_request(lambda: [next(orders.find(batch_size=100)) for _ in range(9)])

    assert len(listener._cursors) <= 3
    assert not listener._running


def test_a_command_that_fails_is_counted_as_failed(recorded: Recorded, orders: Any) -> None:
    def work() -> None:
        with pytest.raises(pymongo.errors.OperationFailure):
            list(orders.find({"a": {"$nonsense": 1}}))

    in_a_request(work)

    assert fingerprints(recorded, kinds.FAILED) == {"bare.orders.find{a.$nonsense}": 1}
    assert fingerprints(recorded) == {"bare.orders.find{a.$nonsense}": 1}


def test_a_slow_command_is_counted_and_logged_by_its_shape(
    recorded: Recorded, orders: Any, caplog: pytest.LogCaptureFixture
) -> None:
    in_route("orders/", lambda: list(orders.find({"_id": 1, "$where": "sleep(150) || true"})))

    (line,) = [record.getMessage() for record in caplog.records if record.name == "perfsuite.queries"]
    assert line.startswith("Slow query on 'mongodb' in /orders/: ")
    assert line.endswith("(threshold 100 ms): bare.orders.find{$where, _id}")
    assert recorded.count(kinds.SLOW) == 1


def test_hostile_filters_are_answered_as_ever_and_take_little_room(recorded: Recorded, orders: Any) -> None:
    deep: dict[str, Any] = {"_id": 1}
    for _ in range(50):  # the server's own limit is a hundred levels, two for each of these
        deep = {"$and": [deep]}
    wide = {f"key_{number}": None for number in range(10_000)}
    found: list[Any] = []
    in_a_request(lambda: found.append((orders.find_one(deep), orders.find_one({"_id": 2, **wide}))))

    assert [each["_id"] for each in found[0]] == [1, 2]
    assert recorded.count(kinds.ALL) == 2
    assert max(map(len, fingerprints(recorded))) <= 2_000
    assert recorded.count("self.failures") == 0


def test_nothing_is_noted_outside_a_request_nor_in_a_thread_that_knows_of_none(
    recorded: Recorded, orders: Any
) -> None:
    orders.find_one()

    def work() -> None:
        thread = threading.Thread(target=orders.find_one)
        thread.start()
        thread.join()

    in_a_request(work)

    assert recorded.count(kinds.ALL) == 0
    assert not mongo._listeners[0]._running


def test_the_end_of_a_command_may_be_told_in_another_thread_but_not_after_its_request(
    recorded: Recorded,
) -> None:
    listener = mongo._listeners[0]

    def started(number: int) -> Any:
        command = {"find": "orders", "filter": {"_id": 1}}
        listener.started(
            SimpleNamespace(
                command=command,
                database_name=NAME,
                command_name="find",
                request_id=number,
                connection_id=("x", 1),
            )
        )
        reply = {"cursor": {"id": 0, "firstBatch": [{}]}, "ok": 1}
        return SimpleNamespace(request_id=number, duration_micros=500, reply=reply, connection_id=("x", 1))

    ended: list[Any] = []
    of_the_request: list[Context] = []

    def in_another_thread(work: Callable[[Any], object], event: Any) -> None:
        thread = threading.Thread(target=work, args=[event])
        thread.start()
        thread.join()

    def work() -> None:
        in_another_thread(listener.succeeded, started(-1))
        ended.extend(started(number) for number in (-2, -3, -4))
        of_the_request.append(copy_context())

    in_a_request(work)
    listener.succeeded(ended[0])
    listener.failed(ended[0])
    in_another_thread(listener.succeeded, ended[1])
    in_another_thread(listener.failed, ended[2])
    in_another_thread(listener.succeeded, SimpleNamespace(request_id=-5))
    in_another_thread(lambda number: of_the_request[0].run(started, number), -6)

    assert recorded.count(kinds.ALL) == 1
    assert recorded.count("self.failures") == 0
    assert not listener._running


def test_commands_of_many_threads_count_for_their_own_requests(recorded: Recorded, orders: Any) -> None:
    def visit(number: int) -> None:
        for _ in range(20):
            in_route(f"{number}/", lambda: [orders.find_one({"_id": number}) for _ in range(number)])

    threads = [threading.Thread(target=visit, args=[number]) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for number in range(1, 7):
        assert recorded.sum("requests.queries", f"/{number}/") == 20 * number
        assert (
            recorded.count(kinds.FINGERPRINT, "bare.orders.find{_id}", mongo.BARE, f"/{number}/")
            == 20 * number
        )


@pytest.mark.skipif(ENGINE == "djongo", reason="pymongo has an asynchronous client from 4.9 on")
def test_commands_of_many_tasks_count_for_their_own_requests(recorded: Recorded, orders: Any) -> None:
    async def visit(collection: Any, number: int) -> None:
        async def view(request: HttpRequest) -> HttpResponse:
            request.resolver_match = SimpleNamespace(route=f"{number}/")  # type: ignore[assignment]
            for _ in range(number):
                await collection.find_one({"_id": number})
            return HttpResponse()

        await RequestMetricsMiddleware(view)(RequestFactory().get("/"))  # type: ignore[misc]

    async def visit_all() -> None:
        async with pymongo.AsyncMongoClient(URL) as client:
            await asyncio.gather(*(visit(client[NAME].orders, number % 7) for number in range(140)))

    copy_context().run(asyncio.run, visit_all())

    for number in range(1, 7):
        assert recorded.sum("requests.queries", f"/{number}/") == 20 * number


class Counting(monitoring.CommandListener):
    """Counts commands, independently of what is tested."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: Any) -> None:
        self.count += event.command_name not in ("getMore", "endSessions")

    def succeeded(self, event: Any) -> None:
        pass

    failed = succeeded


def many_rows() -> None:
    one = author()
    Book.objects.bulk_create([Book(author=one, title=str(number)) for number in range(250)])
    assert len(Book.objects.all()) == 250


ORM = {name: KINDS[name] for name in (
    "select", "select_related", "iterator", "in_list", "create", "save", "update", "delete", "delete_many", "get_or_create",
    "prefetch",
)} | {"many_rows": many_rows}  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ORM)
def test_a_statement_of_the_orm_is_counted_once(recorded: Recorded, name: str) -> None:
    if ENGINE == "djongo":
        with CaptureQueriesContext(connection) as captured:
            in_a_request(ORM[name])
        expected = len(captured)
    else:
        counting = Counting()
        connection.ensure_connection()
        listeners = connection.connection._event_listeners._EventListeners__command_listeners
        listeners.append(counting)
        try:
            in_a_request(ORM[name])
        finally:
            listeners.remove(counting)
        expected = counting.count

    assert expected > 0
    assert recorded.sum("requests.queries") == expected
    assert recorded.count(kinds.ALL) == recorded.count(kinds.FINGERPRINT) == expected
    assert {alias for _, alias, _ in recorded.labels(kinds.FINGERPRINT)} == {"default"}
    assert recorded.count("self.failures") == 0


@pytest.mark.django_db(transaction=True)
def test_what_the_orm_writes_is_counted_as_the_rows_that_its_statements_changed(recorded: Recorded) -> None:
    def work() -> None:
        Topic.objects.bulk_create(
            [Topic(name=name) for name in "abc"]
        )  # djongo counts their keys beside them
        Topic.objects.filter(name__in=["a", "b"]).update(name="c")
        Topic.objects.filter(name="c").update(name="d")
        Topic.objects.filter(name="d")._raw_delete("default")

    in_a_request(work)

    rows: dict[str, float] = {}
    for labels in recorded.labels(kinds.ROWS):
        command = labels[0].rpartition("corpus_rows_topic.")[2].partition("{")[0]
        rows[command] = rows.get(command, 0) + recorded.sum(kinds.ROWS, *labels)
    assert rows == {"insert": 3, "update": 5, "delete": 3}
    assert recorded.sum(kinds.DOCUMENTS) == 0


@pytest.mark.skipif(ENGINE != "djongo", reason="about djongo; runs in its lane")
@pytest.mark.django_db(transaction=True)
def test_djongos_sql_and_its_command_are_shown_together_with_the_time_of_both(recorded: Recorded) -> None:
    Author.objects.bulk_create([Author(name="x") for _ in range(150)])
    took: list[float] = []

    def work() -> None:
        for name in ("x", "y"):
            list(Author.objects.filter(name=name))
        Author.objects.filter(name="y").update(name="z")

    listener = mongo._listeners[0]
    succeeded = listener.succeeded
    listener.succeeded = lambda event: (took.append(event.duration_micros), succeeded(event))
    try:
        in_route("authors/", work)
    finally:
        del listener.succeeded
    place = f"{connection.settings_dict['NAME']}.testapp_author"
    select = 'SELECT "testapp_author"."id", "testapp_author"."name" FROM "testapp_author" WHERE "testapp_author"."name" = ?'
    update = 'UPDATE "testapp_author" SET "name" = ? WHERE "testapp_author"."name" = ?'

    found = fingerprints(recorded)
    assert found == {f"{select} → {place}.find{{name.$eq}}": 2, f"{update} → {place}.update{{name.$eq}}": 1}
    assert recorded.operations() == {"SELECT": 2, "UPDATE": 1}
    assert recorded.sum(kinds.DOCUMENTS) == 150
    assert recorded.sum(kinds.ALL) >= sum(took)  # and the time that djongo needs to read the SQL


@pytest.mark.skipif(ENGINE != "djongo", reason="about djongo; runs in its lane")
@pytest.mark.django_db(transaction=True)
def test_the_hosts_own_commands_between_djongos_are_not_taken_for_them(
    recorded: Recorded, orders: Any
) -> None:
    Author.objects.create(name="x")

    def work() -> None:
        rows = Author.objects.filter(name="x").iterator()
        orders.find_one()
        list(rows)
        orders.database.testapp_author.find_one()

    in_a_request(work)

    assert len(fingerprints(recorded)) == 3
    assert {"bare.orders.find{}", "bare.testapp_author.find{}"} < set(fingerprints(recorded))


def test_a_listener_that_fails_never_breaks_a_command_and_is_switched_off(
    recorded: Recorded, orders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = MetricsSettings.get().hook_failure_limit

    def broken(*args: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(mongo, "shape", broken)
        in_a_request(lambda: [orders.find_one({"_id": 1})["_id"] for _ in range(limit + 5)])

    assert recorded.sum("self.failures", "queries.mongo") == limit
    assert recorded.sum("requests.queries") == 0
    in_a_request(orders.find_one)
    assert recorded.sum("requests.queries") == 0


def test_a_pool_tells_its_limit_who_waits_and_what_could_not_be_had(recorded: Recorded) -> None:
    host, port = URL.removeprefix("mongodb://").strip("/").split(":")
    pool = f"mongodb {host}:{port}"
    with pymongo.MongoClient(URL) as client:
        client[NAME].things.insert_one({})
    pools._by_address.clear()
    with pymongo.MongoClient(URL, maxPoolSize=1, waitQueueTimeoutMS=100) as client:
        slow = threading.Thread(
            target=lambda: list(client[NAME].things.find({"$where": "sleep(500) || true"}))
        )
        state = pools.pool_at((host, int(port)))
        slow.start()
        while state.in_use == 0:
            assert slow.is_alive()
        if ENGINE == "djongo":  # pymongo 3 asks again
            client[NAME].things.find_one()
        else:
            with pytest.raises(pymongo.errors.WaitQueueTimeoutError):
                client[NAME].things.find_one()
        slow.join()
        taken = dict(recorder.take())
        gauges = (kinds.POOL_LIMIT, kinds.POOL_OPEN, kinds.POOL_IN_USE)
        assert {kind: taken[kind, (pool,)].sum for kind in gauges} == dict.fromkeys(gauges, 1)
        assert taken[kinds.POOL_WAITING, (pool,)].sum >= 1
        assert taken[kinds.POOL_WAIT, (pool,)].count >= 1
        assert taken[kinds.POOL_FAILED, (pool, "timeout")].sum >= 1
    assert (state.in_use, state.open, state.limit, state.asking) == (0, 0, int(ENGINE == "djongo"), 0)


def test_connections_that_are_opened_and_closed_are_counted_once(recorded: Recorded) -> None:
    pool = f"mongodb {URL.removeprefix('mongodb://').strip('/')}"

    def counted() -> dict[str, float]:
        taken = recorder.take()
        return {
            kind: value.sum for (kind, labels), value in taken.items() if kind in of and labels == (pool,)
        }

    of = (kinds.POOL_OPENED, kinds.POOL_CLOSED)
    pools._by_address.clear()
    with pymongo.MongoClient(URL) as client:
        for _ in range(3):
            client[NAME].things.find_one()
        assert counted() == {kinds.POOL_OPENED: 1}
        assert counted() == {}
    assert counted() == {kinds.POOL_CLOSED: 1}


def test_a_client_made_too_early_is_reported_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    before = check_clients()
    with monkeypatch.context() as patch:
        patch.setattr(monitoring, "_LISTENERS", type(monitoring._LISTENERS)([], [], [], [], []))
        early = pymongo.MongoClient("mongodb://jane:secret@db.example.org:1/", connect=False)
    try:
        (found,) = [each for each in check_clients() if each not in before]
    finally:
        early.close()

    assert found.id == "perfsuite_queries.W001"
    assert found.msg.startswith("MongoClient('db.example.org:1') was made before perfsuite was loaded")
    assert "secret" not in found.msg + str(found.hint)
    assert "event_listeners" in str(found.hint)


def test_a_client_that_the_settings_make_is_observed_if_it_is_given_the_listeners() -> None:
    code = (
        "import pymongo\n"
        "from perfsuite.queries.mongo import event_listeners\n"
        f"early = pymongo.MongoClient({URL!r})\n"
        f"given = pymongo.MongoClient({URL!r}, event_listeners=event_listeners())\n"
        "import django; django.setup()\n"
        f"late = pymongo.MongoClient({URL!r}, event_listeners=event_listeners())\n"
        "from django.http import HttpResponse\n"
        "from django.test import RequestFactory\n"
        "from perfsuite.metrics.recorder import recorder\n"
        "from perfsuite.monitoring import RequestMetricsMiddleware\n"
        "from perfsuite.queries.mongo import unobserved_clients\n"
        "recorder.on_first = None\n"
        "for client in (early, given, late):\n"
        "    view = lambda request: HttpResponse(str(client.shop.orders.find_one()))\n"
        "    RequestMetricsMiddleware(view)(RequestFactory().get('/'))\n"
        "    print(sum(value.sum for key, value in recorder.take().items() if key[0] == 'requests.queries'))\n"
        "print(len(unobserved_clients()))\n"
    )
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["0.0", "1.0", "1.0", "1"]
