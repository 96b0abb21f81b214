"""The guard on real databases: what is seen, logged or raised, and what Django does with rows that are in hand."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Iterator

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import Count, Exists, OuterRef, Subquery, prefetch_related_objects
from django.db.models.signals import post_save

from perfsuite.exceptions import UnscopedStatement
from perfsuite.queries import kinds
from perfsuite.queries.tenant_guard import guard as guard_module
from perfsuite.queries.tenant_guard import state
from perfsuite.queries.tenant_guard.guard import guard, judge_statement
from perfsuite.tenancy import across_tenants, tenant
from tests.queries.tenant_guard.conftest import Seen, in_a_request
from tests.recorded import Recorded
from tests.testapp.models import Author, Book, PaperBook

pytestmark = pytest.mark.django_db
ENGINE = os.environ.get("TEST_DATABASE", "sqlite")
HAS_SQL = ENGINE != "mongodb"
Guarding = Callable[..., None]
Take = Callable[[], list[Seen]]


@pytest.fixture
def mine() -> Author:
    """The tenant, with two books; another one has a third."""
    made = Author.objects.create(name="mine")
    for title in ("one", "two"):
        Book.objects.create(author=made, title=title)
    Book.objects.create(author=Author.objects.create(name="other"), title="three")
    return made


@pytest.fixture
def as_mine(mine: Author) -> Iterator[Author]:
    with tenant(str(mine.pk)):
        yield mine


LEAKS: dict[str, Callable[[], object]] = {
    "all": lambda: list(Book.objects.all()),
    "by_key": lambda: Book.objects.filter(pk=uuid.uuid4()).first(),
    "get": lambda: Book.objects.get(title="three"),
    "count": lambda: Book.objects.filter(title="one").count(),
    "exists": lambda: Book.objects.filter(title="one").exists(),
    "aggregate": lambda: Book.objects.aggregate(n=Count("title")),
    "values": lambda: list(Book.objects.values_list("title", flat=True)),
    "exclude": lambda: list(Book.objects.exclude(author_id=uuid.uuid4())),
    "update": lambda: Book.objects.filter(title="one").update(pages=3),
    "delete": lambda: Book.objects.filter(title="one").delete(),
    "proxy": lambda: list(PaperBook.objects.all()),
    "iterator": lambda: list(Book.objects.iterator()),
    "with_its_tenant": lambda: list(Book.objects.select_related("author").filter(title="one")),
}
OF_THE_AUTHOR = Book.objects.filter(author=OuterRef("pk"))
if ENGINE != "djongo":  # which cannot run them
    LEAKS["in_a_subquery"] = lambda: list(
        Author.objects.filter(pk__in=Book.objects.filter(title="one").values("author"))
    )
    LEAKS["exists_in_a_subquery"] = lambda: list(Author.objects.filter(Exists(OF_THE_AUTHOR)))
    LEAKS["a_subquery"] = lambda: list(
        Author.objects.annotate(first=Subquery(OF_THE_AUTHOR.order_by("title").values("title")[:1]))
    )
    LEAKS["joined"] = lambda: list(
        Author.objects.filter(books__title="one").values_list("name", "books__title")
    )


@pytest.mark.parametrize("name", LEAKS)
def test_raise_does_not_run_what_reaches_the_rows_of_all(
    guarding: Guarding, seen: Take, as_mine: Author, name: str
) -> None:
    guarding("raise")

    message = r"'testapp_book' without its tenant column 'author_id'"
    with pytest.raises(UnscopedStatement, match=message) as raised, transaction.atomic():
        in_a_request(LEAKS[name])

    assert raised.value.table == "testapp_book"
    assert "test_guarded.py" in raised.value.site
    assert raised.value.site in str(raised.value)
    (one,) = seen()
    assert one["site"] == raised.value.site
    assert Book.objects.filter(author=as_mine, pages=0).count() == 2


@pytest.mark.parametrize("name", LEAKS)
def test_observe_runs_it_and_makes_it_a_finding(
    guarding: Guarding,
    seen: Take,
    recorded: Recorded,
    as_mine: Author,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    guarding("observe")
    for _ in range(2):
        in_a_request(LEAKS[name] if name not in ("get",) else LEAKS["all"])

    first, *others = seen()
    assert first["tables"] == [{"table": "testapp_book", "column": "author_id"}]
    assert first["about"] == "testapp_book"
    assert first["alias"] == "default"
    assert first["count"] == 2
    assert "test_guarded.py" in first["site"]
    assert others == []
    assert recorded.sum(kinds.UNSCOPED, "testapp_book", "<middleware>") == 2
    assert recorded.count("self.failures") == 0
    assert caplog.records == []


def test_warn_logs_a_line_of_the_same_place_once_a_minute(
    guarding: Guarding, seen: Take, as_mine: Author, caplog: pytest.LogCaptureFixture
) -> None:
    guarding("warn")
    for _ in range(3):
        in_a_request(LEAKS["all"])
    assert [one["count"] for one in seen()] == [3]

    (record,) = [record for record in caplog.records if record.name == "perfsuite.queries"]
    assert record.levelno == logging.WARNING
    assert "reaches 'testapp_book' without its tenant column 'author_id'" in record.getMessage()
    assert "test_guarded.py" in record.getMessage()


IN_ORDER: dict[str, Callable[[Author], object]] = {
    "filter": lambda mine: list(Book.objects.filter(author=mine)),
    "by_key": lambda mine: Book.objects.get(author=mine, title="one"),
    "in": lambda mine: list(Book.objects.filter(author__in=[mine])),
    "manager": lambda mine: list(mine.books.all()),
    "manager_count": lambda mine: mine.books.filter(pages=0).count(),
    "update": lambda mine: mine.books.update(pages=0),
    "delete": lambda mine: mine.books.filter(title="none").delete(),
    "create": lambda mine: mine.books.create(title="new", pages=1).delete(),
    "save": lambda mine: mine.books.get(title="one").save(),
    "save_fields": lambda mine: mine.books.get(title="one").save(update_fields=["title"]),
    "bulk_create": lambda mine: Book.objects.bulk_create([Book(author=mine, title="new", pages=1)]),
    "refresh": lambda mine: mine.books.get(title="one").refresh_from_db(),
    "deferred": lambda mine: [book.title for book in mine.books.only("pages")],
    "instance_delete": lambda mine: mine.books.create(title="gone", pages=1).delete(),
    "clean": lambda mine: mine.books.get(title="one").full_clean(),
    "prefetch": lambda mine: list(Author.objects.filter(pk=mine.pk).prefetch_related("books")),
    "forward": lambda mine: [book.author.name for book in mine.books.all()],
    "prefetch_forward": lambda mine: prefetch_related_objects(list(mine.books.all()), "author"),
    "aggregate": lambda mine: mine.books.aggregate(n=Count("title")),
    "get_or_create": lambda mine: Book.objects.get_or_create(author=mine, title="one"),
    "others": lambda mine: list(Author.objects.all()),
}
if ENGINE != "djongo":  # which cannot run them
    IN_ORDER["in_a_subquery"] = lambda mine: list(
        Author.objects.filter(pk__in=mine.books.filter(title="one").values("author"))
    )
    IN_ORDER["by_keys_of_a_subquery"] = lambda mine: list(
        Book.objects.filter(pk__in=mine.books.filter(title="one").values("pk"))
    )
    IN_ORDER["by_the_tenant_of_a_subquery"] = lambda mine: list(
        Book.objects.filter(author__in=Author.objects.filter(pk=mine.pk, name="mine"))
    )
    IN_ORDER["exists"] = lambda mine: list(Author.objects.filter(Exists(OF_THE_AUTHOR), pk=mine.pk))
    IN_ORDER["a_subquery"] = lambda mine: list(
        Author.objects.filter(pk=mine.pk).annotate(
            first=Subquery(OF_THE_AUTHOR.order_by("title").values("title")[:1])
        )
    )
    IN_ORDER["bulk_update"] = lambda mine: Book.objects.bulk_update(list(mine.books.all()), ["pages"])
    IN_ORDER["select_related"] = lambda mine: list(Book.objects.select_related("author").filter(author=mine))
    IN_ORDER["through_the_tenant"] = lambda mine: list(
        Book.objects.filter(author__pk=mine.pk, author__name="mine")
    )
    IN_ORDER["joined"] = lambda mine: list(Author.objects.filter(pk=mine.pk, books__title="one"))
    IN_ORDER["annotated"] = lambda mine: list(Author.objects.filter(pk=mine.pk).annotate(n=Count("books")))


@pytest.mark.parametrize("name", IN_ORDER)
def test_what_is_held_to_the_tenant_or_in_hand_is_nobodys_business(
    guarding: Guarding, seen: Take, recorded: Recorded, as_mine: Author, name: str
) -> None:
    guarding("raise")
    in_a_request(lambda: IN_ORDER[name](as_mine))
    guarding("observe")
    in_a_request(lambda: IN_ORDER[name](as_mine))

    assert seen() == []
    assert recorded.sum(kinds.UNSCOPED) == 0
    assert recorded.sum(kinds.UNJUDGED) == 0
    assert recorded.count("self.failures") == 0


def test_a_row_of_another_tenant_is_not_in_hand(guarding: Guarding, as_mine: Author) -> None:
    with across_tenants("the test"):
        others = Book.objects.get(title="three")
    guarding("raise")

    for work in (others.save, others.refresh_from_db, others.delete):
        with pytest.raises(UnscopedStatement):
            work()


def test_saving_a_row_that_was_made_with_somebodys_key_is_not_in_order(
    guarding: Guarding, as_mine: Author
) -> None:
    stolen = Book.objects.get(title="three").pk
    guarding("raise")
    book = Book(author=as_mine, title="mine now")
    book.pk = stolen

    with pytest.raises(UnscopedStatement):
        book.save_base(raw=True, force_update=True)  # save() itself inserts, since the key has a default


def test_deleting_what_was_not_loaded_is_no_deletion_of_rows_in_hand(
    guarding: Guarding, as_mine: Author
) -> None:
    guarding("raise")
    with pytest.raises(UnscopedStatement):
        Book.objects.filter(pk=uuid.uuid4()).delete()


def test_deleting_the_tenant_deletes_what_is_its_own(guarding: Guarding, as_mine: Author) -> None:
    guarding("raise", TENANT_OWNED={"testapp.Book": "author", "testapp.Author": "pk"})
    Author.objects.get(pk=as_mine.pk).delete()
    assert not Author.objects.filter(pk=as_mine.pk).exists()


def test_a_receiver_of_a_save_is_not_the_save(guarding: Guarding, as_mine: Author) -> None:
    def look_around(**kwargs: object) -> None:
        list(Book.objects.all())

    guarding("raise")
    book = as_mine.books.get(title="one")
    post_save.connect(look_around, sender=Book)
    try:
        with pytest.raises(UnscopedStatement) as raised:
            book.save()
    finally:
        post_save.disconnect(look_around, sender=Book)
    assert raised.value.site.endswith("in look_around")


def test_what_belongs_to_no_tenants_request_is_judged_only_if_asked_for(
    guarding: Guarding, seen: Take, mine: Author
) -> None:
    guarding("raise")
    in_a_request(LEAKS["all"])
    with tenant(None):
        LEAKS["all"]()
    assert seen() == []

    guarding("raise", TENANT_GUARD_ALWAYS=True)
    with pytest.raises(UnscopedStatement):
        LEAKS["all"]()


def test_across_tenants_is_a_way_out_that_ends(guarding: Guarding, seen: Take, as_mine: Author) -> None:
    guarding("raise")
    with across_tenants("nightly report"):
        with across_tenants("a part of it"):
            LEAKS["all"]()
        LEAKS["all"]()
    assert seen() == []
    with pytest.raises(UnscopedStatement):
        LEAKS["all"]()


@pytest.mark.relational
@pytest.mark.django_db(transaction=True)
def test_across_tenants_is_each_tasks_own(guarding: Guarding, mine: Author) -> None:
    guarding("raise")
    raised: list[bool] = []

    async def ask(is_across: bool, ready: asyncio.Barrier) -> None:
        with tenant(str(mine.pk)):
            if is_across:
                with across_tenants("the test"):
                    await ready.wait()
                    await sync_to_async(LEAKS["all"])()
            else:
                await ready.wait()
                try:
                    await sync_to_async(LEAKS["all"])()
                except UnscopedStatement:
                    raised.append(True)

    async def main() -> None:
        ready = asyncio.Barrier(20)
        await asyncio.gather(*(ask(bool(n % 2), ready) for n in range(20)))
        await sync_to_async(connections.close_all)()

    asyncio.run(main())
    assert len(raised) == 10


def test_routes_that_are_allowed_are_let_alone(guarding: Guarding, seen: Take, as_mine: Author) -> None:
    guarding("raise", TENANT_ALLOWED_ROUTES=["/admin/*", "<midd*"])
    in_a_request(LEAKS["all"])
    assert seen() == []

    guarding("raise", TENANT_ALLOWED_ROUTES=["/admin/*"])
    with pytest.raises(UnscopedStatement):
        in_a_request(LEAKS["all"])


def test_off_and_nothing_declared_leave_nothing_behind(
    guarding: Guarding, seen: Take, as_mine: Author
) -> None:
    guarding("raise")
    assert judge_statement in connection.execute_wrappers
    guarding("off")
    assert judge_statement not in connection.execute_wrappers
    guarding("raise", TENANT_OWNED={})
    assert judge_statement not in connection.execute_wrappers
    LEAKS["all"]()
    assert seen() == []


@pytest.mark.parametrize("mode", ["observe", "warn", "raise"])
def test_a_guard_that_fails_lets_the_statement_run(
    guarding: Guarding, recorded: Recorded, as_mine: Author, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    def broken(rows: object) -> bool:
        raise ZeroDivisionError

    guarding(mode)
    monkeypatch.setattr(state, "is_in_hand", broken)
    in_a_request(LEAKS["all"])

    assert guard.failures > 0
    assert len(Book.objects.all()) == 3


@pytest.mark.skipif(not HAS_SQL, reason="about SQL")
@pytest.mark.parametrize("mode", ["observe", "warn", "raise"])
def test_what_is_not_understood_runs_and_is_counted(
    guarding: Guarding,
    seen: Take,
    recorded: Recorded,
    as_mine: Author,
    caplog: pytest.LogCaptureFixture,
    mode: str,
) -> None:
    def work() -> None:
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("GIBBERISH testapp_book")

    guarding(mode)
    in_a_request(work)

    assert recorded.sum(kinds.UNJUDGED) == 1
    logged = [record for record in caplog.records if "does not understand" in record.getMessage()]
    assert len(logged) == (0 if mode == "observe" else 1)


@pytest.mark.skipif(not HAS_SQL, reason="about SQL")
def test_a_cursors_own_sql_is_judged_too(guarding: Guarding, as_mine: Author) -> None:
    guarding("raise")
    with connection.cursor() as cursor:
        with pytest.raises(UnscopedStatement):
            cursor.execute("SELECT title FROM testapp_book WHERE title = 'author_id = 1'")
        cursor.execute("SELECT title FROM testapp_book WHERE author_id = %s", [as_mine.pk.hex])


@pytest.mark.skipif(not HAS_SQL, reason="about SQL")
def test_a_statement_that_came_before_and_was_in_order_is_not_read_again(
    guarding: Guarding, as_mine: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarding("raise")
    list(as_mine.books.all())
    looks: list[object] = []
    monkeypatch.setattr(guard_module, "_look", lambda sql, context: looks.append(sql))
    list(as_mine.books.all())
    assert looks == []


SQL_DATABASES = ("sqlite", "postgresql", "mysql")


@pytest.mark.skipif(ENGINE not in SQL_DATABASES, reason="about what a database itself reads")
def test_nested_comments_are_judged_as_the_database_reads_them(
    guarding: Guarding, seen: Take, as_mine: Author
) -> None:
    mine = f"author_id = '{as_mine.pk.hex}'"
    hidden_by_nesting = f"SELECT title FROM testapp_book /* a /* b */ WHERE {mine} -- */"
    hidden_else = f"SELECT title FROM testapp_book /* a /* b */ -- */ WHERE {mine}"
    leaks, is_in_order = hidden_else, hidden_by_nesting
    if ENGINE == "postgresql":
        leaks, is_in_order = is_in_order, leaks

    def titles(sql: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return len(cursor.fetchall())

    guarding("raise")
    assert titles(is_in_order) == 2
    with pytest.raises(UnscopedStatement):
        titles(leaks)
    seen()
    guarding("observe")
    in_a_request(lambda: (titles(leaks), titles(is_in_order)))
    (found,) = seen()
    assert found["count"] == 1
    guarding("off")
    assert titles(leaks) == 3, "the database itself says so"


@pytest.mark.skipif(not HAS_SQL, reason="about SQL")
@pytest.mark.parametrize("end", ["'", "*/"])
def test_a_text_that_is_too_long_to_be_kept_is_not_judged_by_its_beginning(
    guarding: Guarding, seen: Take, recorded: Recorded, as_mine: Author, end: str
) -> None:
    begin = {"'": "= '", "*/": "/* "}[end]
    text = f"SELECT title FROM testapp_book WHERE title {begin}{'x' * guard_module.MAX_NOTED_CHARS}{end}"
    guarding()
    in_a_request(lambda: judge_statement(lambda *args: None, text, None, False, {"connection": connection}))

    assert seen() == []
    assert recorded.sum(kinds.UNJUDGED) == 1
