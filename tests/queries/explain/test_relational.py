"""Plans that SQLite and PostgreSQL really give, and that asking for them changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.backends.signals import connection_created
from django.db.models import Exists, OuterRef, QuerySet

from perfsuite.metrics.request import Tally, current
from perfsuite.queries.explain import NotExplainable, Plan
from perfsuite.queries.explain.connections import own_cursor
from perfsuite.queries.explain.relational import GENERIC_PLAN_FROM, RAN, UNKNOWN, explain_sql
from tests.testapp.models import Author, Book

pytestmark = [pytest.mark.relational, pytest.mark.django_db(transaction=True)]

TIMEOUT_MS = 20_000
IS_SQLITE = connection.vendor == "sqlite"
IS_POSTGRESQL = connection.vendor == "postgresql"
BOOKS = 2_000


@pytest.fixture
def books() -> None:
    author = Author.objects.create(name="a")
    Book.objects.bulk_create(Book(author=author, title=str(n), pages=n) for n in range(BOOKS))
    if IS_POSTGRESQL:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


@pytest.fixture
def index_on_title() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute('CREATE INDEX "of_this_test" ON "testapp_book" ("title")')
        if IS_POSTGRESQL:
            cursor.execute("ANALYZE")
    yield
    with connection.cursor() as cursor:
        cursor.execute('DROP INDEX "of_this_test"')


def plan_of(rows: QuerySet[Any], **options: Any) -> Plan:
    sql, params = rows.query.sql_with_params()
    return explain_sql("default", sql, [str(each) for each in params], timeout_ms=TIMEOUT_MS, **options)


def gives_generic_plans() -> bool:
    connection.ensure_connection()
    return IS_SQLITE or connection.connection.info.server_version >= GENERIC_PLAN_FROM


@pytest.mark.usefixtures("books")
def test_a_filter_without_an_index_reads_the_table_whole() -> None:
    plan = plan_of(Book.objects.filter(title="7").order_by("pages"))

    scan, order = plan.findings
    assert (scan.kind, scan.table, scan.columns, scan.rows, scan.is_served) == (
        "scan", "testapp_book", ("title",), BOOKS, False,
    )  # fmt: skip
    assert (order.kind, order.table, order.columns) == ("sort", "testapp_book", ("pages",))
    assert [fact.table for fact in plan.missing_indexes(BOOKS)] == ["testapp_book"]
    assert next(node.text for _, node in plan.root.walk() if node.is_costly).endswith("testapp_book")
    assert (plan.examined, plan.returned, plan.notes) == (None, None, ())


@pytest.mark.usefixtures("books", "index_on_title")
def test_with_an_index_it_does_not() -> None:
    plan = plan_of(Book.objects.filter(title="7"))

    assert plan.findings == ()
    assert "of_this_test" in plan.as_text()


@pytest.mark.usefixtures("books")
def test_without_the_values_the_plan_is_for_unknown_ones_where_the_database_can() -> None:
    sql, _ = Book.objects.filter(title="7", pages__in=[1, 2]).query.sql_with_params()

    if not gives_generic_plans():
        with pytest.raises(NotExplainable, match=r"PostgreSQL before 16 .*CAPTURE_PARAMS\W+ = True"):
            explain_sql("default", sql, timeout_ms=TIMEOUT_MS)
        return
    plan = explain_sql("default", sql, timeout_ms=TIMEOUT_MS)

    assert plan.notes == (UNKNOWN,)
    assert set(plan.findings[0].columns) == {"title", "pages"}


@pytest.mark.usefixtures("books")
def test_a_list_that_was_cut_makes_the_values_unknown_and_not_wrong() -> None:
    if not gives_generic_plans():
        pytest.skip("PostgreSQL before 16")
    sql = 'SELECT 1 FROM "testapp_book" WHERE "testapp_book"."pages" IN (…) AND "testapp_book"."title" = ?'

    assert explain_sql("default", sql, [1, 2, 3], timeout_ms=TIMEOUT_MS).notes == (UNKNOWN,)


@pytest.mark.usefixtures("books")
def test_a_subquery_for_each_row_a_search_in_a_text_and_a_percent_sign_are_explained() -> None:
    inner = Book.objects.filter(author_id=OuterRef("id"), title="7")
    assert plan_of(Author.objects.filter(Exists(inner))).findings[0].table in (
        "testapp_author",
        "testapp_book",
    )

    search = plan_of(Book.objects.filter(title__icontains="5%5"))
    assert search.findings[0].patterns == ("title",)

    sql = 'SELECT 1 FROM "testapp_book" WHERE "testapp_book"."title" LIKE \'x%y\' AND "testapp_book"."pages" % 2 = 1'
    assert explain_sql("default", sql, timeout_ms=TIMEOUT_MS).findings[0].table == "testapp_book"


@pytest.mark.usefixtures("books")
def test_only_postgresql_runs_the_statement_and_only_when_told() -> None:
    plan = plan_of(Book.objects.filter(title="7"), analyze=True)

    assert (plan.examined, plan.returned) == ((BOOKS, 1) if IS_POSTGRESQL else (None, None))
    assert plan.notes == ((RAN,) if IS_POSTGRESQL else ())


# Safety

# Each is refused by us; were it not, the database would, as the tests below show.
REFUSED = [
    "DELETE FROM testapp_author",
    "SELECT 1; DELETE FROM testapp_author",
    "SELECT 1; COMMIT; DELETE FROM testapp_author",
    "WITH x AS (DELETE FROM testapp_author RETURNING 1) SELECT * FROM x",
    "WITH x AS (SELECT 1) DELETE FROM testapp_author",
    "SELECT * INTO copied FROM testapp_author",
    "SELECT * FROM testapp_author FOR UPDATE",
    "CREATE TABLE copied (a int)",
]


@pytest.mark.parametrize("sql", REFUSED)
@pytest.mark.parametrize("analyze", [False, True])
def test_what_writes_is_refused_and_leaves_the_database_as_it_is(sql: str, analyze: bool) -> None:
    Author.objects.create(name="kept")
    tables = connection.introspection.table_names()

    with pytest.raises(NotExplainable):
        explain_sql("default", sql, timeout_ms=TIMEOUT_MS, analyze=analyze)

    assert Author.objects.count() == 1
    assert connection.introspection.table_names() == tables


WRITES = [
    "DELETE FROM testapp_author",
    "INSERT INTO testapp_author (id, name) VALUES ('00000000000000000000000000000000', 'x')",
    "CREATE TABLE copied (a int)",
]


@pytest.mark.parametrize("sql", WRITES)
def test_the_connection_itself_can_only_read(sql: str) -> None:
    Author.objects.create(name="kept")

    with pytest.raises(NotExplainable, match=r"read-?only"), own_cursor("default", TIMEOUT_MS) as cursor:
        cursor.execute(sql)

    assert Author.objects.count() == 1


@pytest.mark.skipif(not IS_POSTGRESQL, reason="a function that writes is PostgreSQL's")
def test_a_function_that_writes_is_not_called_and_with_analyze_cannot_write() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE of_this_test")
        cursor.execute("SELECT nextval('of_this_test')")
    try:
        assert explain_sql("default", "SELECT nextval('of_this_test')", timeout_ms=TIMEOUT_MS).findings == ()
        with pytest.raises(NotExplainable, match="read-only"):
            explain_sql("default", "SELECT nextval('of_this_test')", timeout_ms=TIMEOUT_MS, analyze=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT last_value FROM of_this_test")
            assert cursor.fetchone() == (1,)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP SEQUENCE of_this_test")


# The first counts without end.
SLOW = {
    "sqlite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c",
    "postgresql": "SELECT pg_sleep(600)",
}


def test_a_statement_that_takes_longer_than_it_may_is_stopped_by_the_database() -> None:
    with (
        pytest.raises(NotExplainable, match=r"^The database 'default' gave no plan within 50 ms\.$"),
        own_cursor("default", 50) as cursor,
    ):
        cursor.execute(SLOW[connection.vendor])


@pytest.mark.skipif(not IS_POSTGRESQL, reason="SQLite never runs what it explains")
def test_a_plan_by_running_the_statement_is_stopped_too() -> None:
    with pytest.raises(NotExplainable, match="within 50 ms"):
        explain_sql("default", SLOW["postgresql"], timeout_ms=50, analyze=True)


def test_the_callers_transaction_is_untouched_and_its_rows_are_not_seen() -> None:
    connection.ensure_connection()
    before = connections["default"].connection
    with transaction.atomic():
        Author.objects.create(name="not committed")
        in_block, savepoints = connection.in_atomic_block, list(connection.savepoint_ids)

        plan = plan_of(Author.objects.filter(name="x")) if not IS_SQLITE else None
        with pytest.raises(NotExplainable):
            explain_sql("default", "SELECT * FROM nowhere", timeout_ms=TIMEOUT_MS)

        assert (connection.in_atomic_block, list(connection.savepoint_ids)) == (in_block, savepoints)
        assert not connection.needs_rollback
        assert Author.objects.count() == 1
    assert Author.objects.count() == 1
    assert before is connections["default"].connection
    assert plan is None or plan.findings[0].rows in (0, None)


def test_the_connection_is_another_one_and_is_closed_after_also_when_it_fails() -> None:
    made: list[Any] = []

    def note(sender: object, connection: Any, **kwargs: object) -> None:
        made.append(connection)

    connection.ensure_connection()
    connection_created.connect(note)
    try:
        explain_sql("default", "SELECT 1", timeout_ms=TIMEOUT_MS)
        with pytest.raises(NotExplainable):
            explain_sql("default", "SELECT nothing", timeout_ms=TIMEOUT_MS)
    finally:
        connection_created.disconnect(note)

    assert len(made) == 2
    assert connections["default"] not in made
    assert [each.connection for each in made] == [None, None]


@pytest.mark.usefixtures("books")
def test_nothing_of_it_is_recorded_for_the_request_in_hand() -> None:
    tally = Tally()
    token = current.set(tally)
    try:
        plan_of(Book.objects.filter(title="7"))
        assert current.get() is tally
    finally:
        current.reset(token)

    assert tally.statements()[0] == 0


@pytest.mark.skipif(not IS_POSTGRESQL, reason="SQLite has no pool")
def test_a_connection_of_the_hosts_pool_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    options = connections["default"].settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "pool", {"min_size": 0, "max_size": 1})

    assert explain_sql("default", "SELECT 1", timeout_ms=TIMEOUT_MS).root.text == "Result"
    assert options["pool"] == {"min_size": 0, "max_size": 1}
    assert not getattr(connections["default"], "_connection_pools", {})


@pytest.mark.skipif(not IS_SQLITE, reason="PostgreSQL's readers wait for no writer")
def test_a_database_that_is_locked_is_told_in_a_sentence() -> None:
    locked, ready = threading.Event(), threading.Event()

    def hold() -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("BEGIN EXCLUSIVE")
            ready.set()
            locked.wait(30)
            cursor.execute("ROLLBACK")
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert ready.wait(30)
        with pytest.raises(NotExplainable, match="gave no plan: database is locked"):
            explain_sql("default", 'SELECT * FROM "testapp_book"', timeout_ms=50)
    finally:
        locked.set()
        thread.join()


BAD: list[tuple[Callable[[], Plan], str]] = [
    (lambda: explain_sql("nowhere", "SELECT 1", timeout_ms=TIMEOUT_MS), "'nowhere' is not in DATABASES; write one of default"),
    (lambda: explain_sql("default", "SELECT FROM WHERE", timeout_ms=TIMEOUT_MS), "The database 'default' gave no plan: "),
    (lambda: explain_sql("default", "SELECT * FROM nowhere", timeout_ms=TIMEOUT_MS), "nowhere"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "said"), BAD)
def test_what_the_database_refuses_is_one_sentence(ask: Callable[[], Plan], said: str) -> None:
    with pytest.raises(NotExplainable) as caught:
        ask()

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
