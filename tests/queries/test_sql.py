"""The execute wrapper: every statement of every kind is counted exactly once, for the request that runs it."""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.db.models import Count, Prefetch
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext

from perfsuite.metrics import exemplars
from perfsuite.metrics import request as tally_of_request
from perfsuite.metrics.request import MAX_HELD, Tally, current
from perfsuite.monitoring import RequestMetricsMiddleware
from perfsuite.queries import dialects, fingerprint, kinds, sql
from tests.recorded import Recorded
from tests.testapp.models import Author, Book

# What Django writes into its log of queries without executing it through a cursor.
UNSEEN = {"BEGIN", "COMMIT", "ROLLBACK"}


def in_a_request(work: Callable[[], object]) -> None:
    """Run ``work`` as a view does."""

    def view(request: HttpRequest) -> HttpResponse:
        work()
        return HttpResponse()

    RequestMetricsMiddleware(view)(RequestFactory().get("/"))


def author(name: str = "someone") -> Author:
    return Author.objects.create(name=name)


def bulk_update() -> None:
    books = Book.objects.bulk_create([Book(author=author(), title=str(n)) for n in range(5)])
    for book in books:
        book.pages = 9
    Book.objects.bulk_update(books, ["pages"], batch_size=2)


def get_or_create() -> None:
    Author.objects.get_or_create(name="new")
    Author.objects.get_or_create(name="new")
    Author.objects.update_or_create(name="new", defaults={"name": "newer"})


def prefetch() -> None:
    Book.objects.create(author=author(), title="a")
    list(Author.objects.prefetch_related("books"))
    list(Author.objects.prefetch_related(Prefetch("books", queryset=Book.objects.select_related("author"))))


def savepoints() -> None:
    with transaction.atomic():
        author()
        try:
            with transaction.atomic():
                author()
                raise LookupError
        except LookupError:
            author()


def raw_cursor() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM testapp_book WHERE title = %s", ["x"])
        cursor.fetchall()
        cursor.execute("SELECT 1")
        cursor.executemany("UPDATE testapp_book SET pages = %s WHERE title = %s", [(2, "1"), (3, "2")])
        cursor.executemany("DELETE FROM testapp_book WHERE title = %s", [("1",)])


def failing() -> None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table WHERE a = 'x'")
    except DatabaseError:
        pass
    one = author()
    try:
        with transaction.atomic():
            Author(pk=one.pk, name="again").save(force_insert=True)
    except IntegrityError:
        pass


KINDS: dict[str, Callable[[], object]] = {
    "select": lambda: list(Author.objects.all()),
    "select_related": lambda: list(Book.objects.select_related("author")),
    "aggregate": lambda: Author.objects.annotate(n=Count("books")).aggregate(Count("n")),
    "iterator": lambda: list(Author.objects.iterator(chunk_size=2)),
    "raw": lambda: list(Author.objects.raw("SELECT id, name FROM testapp_author WHERE name = %s", ["x"])),
    "in_list": lambda: list(Author.objects.filter(pk__in=[uuid.uuid4() for _ in range(30)])),
    "create": author,
    "save": lambda: author().save(),
    "update": lambda: Author.objects.filter(name="x").update(name="y"),
    "delete": lambda: author().delete(),
    "delete_many": lambda: Author.objects.filter(name="x").delete(),
    "bulk_create": lambda: Author.objects.bulk_create([Author(name="x") for _ in range(700)], batch_size=100),
    "bulk_update": bulk_update,
    "get_or_create": get_or_create,
    "prefetch": prefetch,
    "savepoints": savepoints,
    "raw_cursor": raw_cursor,
    "failing": failing,
}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_statement_is_counted_as_django_counts_it(recorded: Recorded, kind: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        in_a_request(KINDS[kind])

    assert len(captured) > 0
    assert recorded.sum("requests.queries") == len(captured)
    assert recorded.count(kinds.ALL) == len(captured)
    assert recorded.count(kinds.FINGERPRINT) == len(captured)
    assert recorded.operations() == Counter(first_word(query["sql"]) for query in captured)
    assert recorded.count("self.failures") == 0


def first_word(logged: str) -> str:
    """Return the operation of what Django has logged: "3 times: ..." is executemany, DECLARE a SELECT by a named cursor."""
    word = logged.rpartition(" times: ")[2].split()[0]
    return "SELECT" if word == "DECLARE" else word


@pytest.mark.django_db(transaction=True)
def test_statements_in_a_transaction_are_counted_and_its_begin_is_none_where_no_cursor_runs_it(
    recorded: Recorded,
) -> None:
    with CaptureQueriesContext(connection) as captured:
        in_a_request(savepoints)

    seen = Counter(first_word(query["sql"]) for query in captured)
    counted = recorded.operations()
    assert {name: n for name, n in counted.items() if name not in UNSEEN} == {
        name: n for name, n in seen.items() if name not in UNSEEN
    }
    assert recorded.sum("requests.queries") == sum(counted.values())


@pytest.mark.django_db
def test_the_view_that_runs_every_kind_is_counted_by_operation(recorded: Recorded) -> None:
    Client().get("/every-kind/")

    counted = recorded.operations()
    savepoints = {name: counted.pop(name, 0) for name in ("SAVEPOINT", "RELEASE")}
    assert counted == {"INSERT": 3, "SELECT": 4, "UPDATE": 2, "DELETE": 1}
    assert recorded.sum("requests.queries", "/every-kind/") == 10 + sum(savepoints.values())


@pytest.mark.django_db
def test_a_statement_is_charged_to_its_alias_its_route_and_its_fingerprint(recorded: Recorded) -> None:
    Client().get("/queries/3/")

    ((shape, alias, route),) = recorded.labels(kinds.FINGERPRINT)
    assert (alias, route) == ("default", "/queries/<int:n>/")
    assert shape.startswith("SELECT ")
    assert "nobody" not in shape
    assert recorded.count(kinds.FINGERPRINT) == 3
    assert recorded.labels(kinds.ALL) == {("default", "SELECT")}
    assert recorded.sum(kinds.ALL) == pytest.approx(recorded.sum("requests.db"))


@pytest.fixture
def second(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """Return the alias of a further connection to the test's database, beside a default one in autocommit."""
    connections.databases["second"] = connections.databases["default"]
    with django_db_blocker.unblock():
        yield "second"
    connections["default"].close()
    connections["second"].close()
    del connections["second"]
    del connections.databases["second"]


def test_every_alias_is_seen_under_its_own_name(recorded: Recorded, second: str) -> None:
    def work() -> None:
        for alias, times in (("default", 1), (second, 2)):
            for _ in range(times):
                with connections[alias].cursor() as cursor:
                    cursor.execute("SELECT 1")

    in_a_request(work)

    assert recorded.count(kinds.ALL, "default", "SELECT") == 1
    assert recorded.count(kinds.ALL, second, "SELECT") == 2
    assert recorded.sum("requests.queries") == 3


def test_a_request_over_two_databases_tells_the_browser_the_time_of_each(
    recorded: Recorded, second: str
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        for alias, times in (("default", 1), (second, 2)):
            for _ in range(times):
                with connections[alias].cursor() as cursor:
                    cursor.execute("SELECT 1")
        return HttpResponse()

    with override_settings(DEBUG=True):
        response: Any = RequestMetricsMiddleware(view)(RequestFactory().get("/"))

    entries = [
        r'{};dur=(\d+\.\d);desc="{} queries"'.format(*each)
        for each in (("db", 3), ("db-default", 1), ("db-second", 2))
    ]
    found = re.fullmatch(r"total;dur=\d+\.\d, " + ", ".join(entries), response["Server-Timing"])
    assert found is not None, response["Server-Timing"]
    whole, *each = map(float, found.groups())
    assert sum(each) == pytest.approx(whole, abs=0.16), "each is rounded to a tenth"


@pytest.mark.django_db
def test_a_statement_that_fails_is_counted_as_failed_and_its_exception_goes_on(recorded: Recorded) -> None:
    def work() -> None:
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table WHERE a = 'secret'")

    in_a_request(work)

    (labels,) = recorded.labels(kinds.FAILED)
    assert labels == ("SELECT * FROM no_such_table WHERE a = ?", "default", "<middleware>")
    assert recorded.count(kinds.FAILED) == 1
    assert recorded.count(kinds.FINGERPRINT, *labels) == 1


@pytest.mark.django_db
def test_statements_outside_a_request_are_not_noted(recorded: Recorded) -> None:
    list(Author.objects.all())
    with tally_of_request.suppress():
        list(Author.objects.all())

    assert recorded.count(kinds.ALL) == 0
    assert current.get() is None


@pytest.mark.django_db
def test_suppressed_statements_inside_a_request_are_not_noted(recorded: Recorded) -> None:
    def work() -> None:
        list(Author.objects.all())
        with tally_of_request.suppress():
            list(Author.objects.all())

    in_a_request(work)
    assert recorded.count(kinds.ALL) == 1


@pytest.mark.django_db
def test_what_a_statement_returns_reaches_the_caller_unchanged(recorded: Recorded) -> None:
    def work() -> None:
        one = author("kept")
        assert Author.objects.get(pk=one.pk).name == "kept"
        assert Author.objects.filter(pk=one.pk).update(name="changed") == 1
        assert Author.objects.filter(pk=one.pk).delete() == (1, {"testapp.Author": 1})

    in_a_request(work)


@pytest.mark.django_db
def test_a_request_with_very_many_statements_keeps_few_and_counts_all(recorded: Recorded) -> None:
    most = 0
    total = 2 * MAX_HELD + 345

    def work() -> None:
        nonlocal most
        tally = current.get()
        assert tally is not None
        with connection.cursor() as cursor:
            for number in range(total):
                cursor.execute(f"SELECT {number}")
                most = max(most, len(tally.held))

    in_a_request(work)

    assert most < MAX_HELD
    assert recorded.sum("requests.queries") == total
    assert recorded.count(kinds.ALL, "default", "SELECT") == total
    assert recorded.labels(kinds.FINGERPRINT) == {("SELECT ?", "default", "<middleware>")}
    assert recorded.count(kinds.FINGERPRINT) == total
    assert recorded.sum(kinds.ALL) == pytest.approx(recorded.sum("requests.db"))


@pytest.mark.django_db
def test_long_statements_are_held_cut_to_what_is_looked_at(recorded: Recorded) -> None:
    tally = Tally()

    def work() -> None:
        nonlocal tally
        tally = current.get()  # type: ignore[assignment]
        with connection.cursor() as cursor:
            for _ in range(3):
                cursor.execute("SELECT '" + "x" * 200_000 + "'")
        assert sum(sys.getsizeof(text) for text, *_ in tally.held) < 4 * fingerprint.MAX_SQL_CHARS

    in_a_request(work)
    assert recorded.labels(kinds.FINGERPRINT) == {("SELECT ?", "default", "<middleware>")}


class Fragment(str):
    """A string of a host's own class, as Django's safe strings are."""

    __slots__ = ()


class Opaque:
    """Something that a database's driver takes for a statement."""


@pytest.mark.parametrize(
    ("statement", "shape"),
    [
        (b"SELECT 'secret', \xff", "SELECT ?, �"),
        (Fragment("SELECT 'secret'"), "SELECT ?"),
        (Opaque(), "Opaque"),
    ],
)
def test_statements_that_are_no_plain_text_are_noted_without_their_values(
    recorded: Recorded, statement: Any, shape: str
) -> None:
    def work() -> None:
        context = {"connection": connection, "cursor": SimpleNamespace(cursor=SimpleNamespace(rowcount=-1))}
        assert sql.note_statement(lambda *args: "result", statement, None, False, context) == "result"

    in_a_request(work)
    assert recorded.labels(kinds.FINGERPRINT) == {(shape, "default", "<middleware>")}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="psycopg's composed statements need PostgreSQL")
@pytest.mark.django_db
def test_a_statement_composed_by_psycopg_is_noted_without_its_values(recorded: Recorded) -> None:
    from psycopg.sql import SQL, Identifier, Literal

    composed = SQL("SELECT * FROM {} WHERE name = {} AND name <> 'it' AND name <> {}").format(
        Identifier("testapp_author"), Literal("it's a secret"), Literal('"secret"')
    )

    def work() -> None:
        with connection.cursor() as cursor:
            cursor.execute(composed)
            cursor.execute(SQL("SELECT 'secret'"))

    in_a_request(work)
    assert {labels[0] for labels in recorded.labels(kinds.FINGERPRINT)} == {
        'SELECT * FROM "testapp_author" WHERE name = ? AND name <> ? AND name <> ?',
        "SELECT ?",
    }
    assert recorded.count("self.failures") == 0


def test_folding_needs_no_connection_of_the_thread_that_folds(recorded: Recorded) -> None:
    tally = Tally()
    tally.held.extend(
        [("SELECT 1", "default", 0.001, False, 0, None), ("SELECT 2", "default", 0.002, True, 0, None)]
    )
    sql.fold_statements((tally,), "/route/")
    sql.fold_statements((tally,), "/route/")

    assert tally.statements() == (2, pytest.approx(0.003))
    assert recorded.count(kinds.FINGERPRINT, "SELECT ?", "default", "/route/") == 2
    assert recorded.sum(kinds.FAILED) == pytest.approx(2_000)


def test_an_alias_of_mysql_is_read_in_its_way(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dialects._known, "of_mysql", dialects.MYSQL)
    exemplars.take("")
    tally = Tally()
    tally.held.append(('SELECT "secret"', "of_mysql", 0.001, False, 0, None))
    sql.fold_statements((tally,), "/route/")

    of_mysql = {labels for labels in recorded.labels(kinds.FINGERPRINT) if labels[1] == "of_mysql"}
    assert of_mysql == {("SELECT ?", "of_mysql", "/route/")}
    (kept,) = [json.loads(row.data)["sql"] for row in exemplars.take("w")]
    assert kept == "SELECT ?"
