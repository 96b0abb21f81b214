"""What a loop runs is noted in a short way: nothing may tell it from the long one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.test import override_settings

from perfsuite.metrics.guard import disabled_hooks
from perfsuite.metrics.request import MAX_HELD, Tally, current, prompt
from perfsuite.queries import callsite, rows, sql, tracing
from perfsuite.queries.callsite import STEADY, UNLOOKED, Seen
from perfsuite.queries.fingerprint import MAX_SQL_CHARS
from perfsuite.queries.following import Block, Followed
from perfsuite.queries.limits import limits
from perfsuite.queries.rows import UNKNOWN
from perfsuite.queries.tracing import FROM
from tests.testapp.models import Author, Book

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        connection.vendor in ("djongo", "mongodb"), reason="sees statements by another wrapper"
    ),
]

LONG = 3 * (STEADY + UNLOOKED)


def one_line() -> None:
    for number in range(LONG):
        Author.objects.filter(name=f"{number % 7}").exists()


def by_number() -> None:
    for number in range(LONG):
        Book.objects.filter(pages=number).only("title")[:3]._fetch_all()


def from_another_line_in_between() -> None:
    for number in range(LONG):
        if number % 5:
            Author.objects.filter(name=f"{number}").exists()
        else:
            Author.objects.filter(name=f"{number}").exists()


def one_line_then_another() -> None:
    for number in range(STEADY):
        Author.objects.filter(name=f"{number}").exists()
    for number in range(LONG):
        Author.objects.filter(name=f"{number}").exists()


def deeper() -> None:
    Author.objects.filter(name="deeper").exists()


def from_another_depth() -> None:
    for number in range(LONG):
        Author.objects.filter(name=f"{number}").exists()
        if number > STEADY + 3:
            deeper()


def relations() -> None:
    for book in Book.objects.all():
        assert book.author.name


def owners() -> None:
    for author in Author.objects.all():
        author.books.filter(pages=1).exists()


def one_owner() -> None:
    author = Author.objects.all()[0]
    for number in range(LONG):
        author.books.filter(pages=number).exists()


def rows_of_owners() -> None:
    for author in Author.objects.all():
        author.books.all()[:2]._fetch_all()


def rows_of_one_owner() -> None:
    author = Author.objects.all()[0]
    for _ in range(LONG):
        author.books.all()[:2]._fetch_all()


def counted() -> None:
    for number in range(LONG):
        Book.objects.filter(pages=number).count()


def without_a_limit() -> None:
    for number in range(LONG):
        list(Book.objects.filter(pages=number))


def changed() -> None:
    for number in range(LONG):
        Book.objects.filter(pages=number).update(title="changed")


def by_hand() -> None:
    with connection.cursor() as cursor:
        for number in range(LONG):
            cursor.execute("SELECT name FROM testapp_author WHERE name = %s", [f"{number}"])
            cursor.execute("SELECT title FROM testapp_book WHERE pages = %s", (number,))
            cursor.execute("SELECT title FROM testapp_book WHERE pages = 1")
            cursor.executemany("UPDATE testapp_book SET title = %s WHERE pages = %s", [("x", number)] * 2)
            cursor.execute("UPDATE testapp_book SET title = %s WHERE pages = %s", ("y", number))


def a_few_of_each() -> None:
    for times in (1, 2, 3):
        for number in range(times):
            Book.objects.filter(pages=number, title=f"{times}")[:times]._fetch_all()
            Book.objects.filter(pages=number)[: times + 3]._fetch_all()
            Book.objects.filter(pages=number).count()
            Book.objects.filter(pages=number).update(title="changed")
            list(Book.objects.filter(pages=number))


turns = count()


def now_here_now_there() -> None:
    is_here = next(turns) % 2
    for number in range(STEADY):
        if is_here:
            Book.objects.filter(pages=number)[:3]._fetch_all()
        else:
            Book.objects.filter(pages=number)[:3]._fetch_all()


def failing() -> None:
    with connection.cursor() as cursor:
        for number in range(LONG):
            cursor.execute("SELECT title FROM testapp_book WHERE pages = %s", (number,))
            with suppress(OverflowError):
                cursor.execute("SELECT title FROM testapp_book WHERE pages = %s", (2**70,))


LOOPS: list[Callable[[], object]] = [
    one_line, by_number, from_another_line_in_between, one_line_then_another, from_another_depth, relations, owners, one_owner,
    counted, without_a_limit, changed, by_hand, a_few_of_each, now_here_now_there, rows_of_owners,
    rows_of_one_owner,
]  # fmt: skip
if connection.vendor == "sqlite":  # elsewhere a failure ends the test's transaction
    LOOPS.append(failing)


@pytest.fixture(autouse=True)
def some_rows() -> None:
    authors = [Author.objects.create(name=f"{number}") for number in range(LONG)]
    Book.objects.bulk_create([Book(author=author, title="a", pages=n) for n, author in enumerate(authors)])


@pytest.fixture
def afresh() -> Iterator[Callable[[], None]]:
    """Forget what earlier requests have taught, as a new process would."""

    def forget() -> None:
        sql._texts.clear()
        rows.forget_texts()
        tracing._start_afresh()
        callsite._known.clear()

    forget()
    yield forget
    forget()
    assert not disabled_hooks


class Short:
    """Counts the statements that are noted in the long way, which alone asks whether their text is known; adds no frame to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.long = 0
        ways = self

        class Texts(dict[str, str]):
            def get(self, *args: Any) -> Any:
                ways.long += 1
                return super().get(*args)

        monkeypatch.setattr(sql, "_texts", Texts(sql._texts))


def noted(work: Callable[[], object]) -> list[tuple[Any, ...]]:
    """Return what is noted of each statement, without its time; a count is told of by an object."""
    tally = Tally()
    token = current.set(tally)
    try:
        work()
    finally:
        current.reset(token)
    told = []
    for text, alias, seconds, failed, key, site, kept, of_rows in tally.held:
        assert seconds > 0
        if isinstance(of_rows, rows.Fetched):
            of_rows = of_rows.rows, of_rows.count  # noqa: PLW2901
        told.append((text, alias, failed, key, site, kept, of_rows))
    return told


@pytest.mark.parametrize("captured", [False, True], ids=["plain", "captured"])
@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_the_short_way_notes_what_the_long_one_notes(
    loop: Callable[[], object],
    captured: bool,
    afresh: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with override_settings(PERFSUITE={"QUERIES": {"CAPTURE_PARAMS": captured}}):
        short = noted(loop), noted(loop)  # the second request knows the place
        afresh()
        monkeypatch.setattr(sql, "Seen", None)  # then nothing is noted shortly
        monkeypatch.setattr(sql, "settled", set())
        assert short == (noted(loop), noted(loop))


@pytest.mark.parametrize("loop", [one_line, by_number, changed], ids=lambda loop: loop.__name__)
def test_most_of_a_loop_is_noted_shortly(
    loop: Callable[[], object], afresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = Short(monkeypatch)
    statements = noted(loop)
    assert ways.long < len(statements) / 2


def test_what_came_in_another_request_is_noted_shortly_from_the_first_time_on(
    afresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def once() -> None:
        for limit in range(1, LONG):
            Author.objects.filter(name=f"{limit}")[:limit]._fetch_all()

    def each_anew() -> None:
        once()
        once()

    ways, began = Short(monkeypatch), list[Tally]()
    first = noted(each_anew)
    assert ways.long == len(first)
    monkeypatch.setattr(sql, "began", began.append)
    second = noted(each_anew)
    assert len(began) == 1
    assert ways.long == len(first)
    assert [each[:4] for each in second] == [each[:4] for each in first]
    assert {each[4] for each in second} == {None}
    tracing._start_afresh()  # what a flush does: the line of each is looked up once more
    assert noted(each_anew) == first


def test_a_loop_that_an_earlier_request_ran_is_noted_shortly_altogether(
    afresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = Short(monkeypatch)
    first = noted(by_number)
    assert ways.long == FROM + 1
    assert noted(by_number)[FROM:] == first[FROM:]
    assert ways.long == FROM + 1


def test_texts_with_values_of_their_own_are_not_remembered_by_themselves(afresh: Callable[[], None]) -> None:
    def work() -> None:
        with connection.cursor() as cursor:
            for number in range(LONG):
                cursor.execute(f"SELECT title FROM testapp_book WHERE pages = {number} LIMIT 1")

    noted(work)
    assert not tracing.settled


COUNT = 'SELECT COUNT(*) AS "__count" FROM "x" WHERE "x"."y" = %s'


@pytest.mark.parametrize("forgotten", [False, True], ids=["never seen here", "forgotten"])
def test_what_another_wrapper_has_met_is_looked_at_here_too(
    forgotten: bool, afresh: Callable[[], None]
) -> None:
    if forgotten:
        noted(lambda: note(0, COUNT))
        rows.watched.clear()  # another thread, between a text's being known and its being traced
    for _ in range(2):
        tracing.trace(Tally(), COUNT, "default", (1,), False, 0.001, False)
    assert COUNT in tracing.settled
    rows.watched.update([COUNT] if forgotten else [])
    rows._counts.update([COUNT] if forgotten else [])

    def counted() -> None:
        on = SimpleNamespace(alias="default", vendor="sqlite")
        cursor = CursorWrapper(SimpleNamespace(rowcount=-1, fetchone=lambda: (3,)), connection)
        sql.note_statement(lambda *_: None, COUNT, (1,), False, {"connection": on, "cursor": cursor})
        cursor.fetchone()

    assert noted(counted)[0][-1] == (-1, 3)


@pytest.mark.parametrize("why", ["slow", "many rows", "guard off", "almost full", "many", "a list", "again"])
def test_what_came_in_another_request_is_noted_in_the_long_way_where_there_is_something_to_look_at(
    why: str, afresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted(lambda: [note(number) for number in range(2)])
    ways = Short(monkeypatch)
    noted(lambda: note(0))
    assert ways.long == 0
    rowcount, params, many = -1, (0,), False
    if why == "slow":
        monkeypatch.setattr(prompt, "from_s", 0.0)
    elif why == "many rows":
        rowcount = limits.rows + 1
    elif why == "guard off":
        monkeypatch.setattr(tracing.guard, "on", False)
    elif why == "almost full":
        monkeypatch.setattr(sql, "ALMOST_FULL", 0)
    elif why == "many":
        many = True
    elif why == "a list":
        params = [0]  # type: ignore[assignment]

    def work() -> None:
        for _ in range(2 if why == "again" else 0):
            note(0)
        context = {
            "connection": SimpleNamespace(alias="default", vendor="sqlite"),
            "cursor": Cursor(rowcount),
        }
        sql.note_statement(lambda *_: None, TEXT, params, many, context)

    last = noted(work)[-1]
    assert ways.long == 1
    assert (last[4] is None) == (why not in ("slow", "again"))
    assert (last[3] is None) == (why in ("guard off", "many"))


def test_of_a_number_that_no_database_takes_nothing_is_held(afresh: Callable[[], None]) -> None:
    def refuse(*args: Any) -> None:
        raise OverflowError

    def work() -> None:
        context = {"connection": connection, "cursor": Cursor()}
        for number in (7, 2**100_000):
            with suppress(OverflowError):
                sql.note_statement(refuse, TEXT, (number,), False, context)

    assert [type(each[3]) for each in noted(work)] == [tuple, int]


# PostgreSQL's driver knows after ``execute`` how many rows there are.
COUNTED = [counted] if connection.vendor == "postgresql" else [counted, without_a_limit]


@pytest.mark.parametrize("loop", COUNTED, ids=lambda loop: loop.__name__)
def test_what_is_counted_while_it_is_fetched_is_never_noted_shortly(
    loop: Callable[[], object], afresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = Short(monkeypatch)
    assert len(noted(loop)) == ways.long


def test_more_rows_than_there_may_be_are_noted_in_the_long_way(
    afresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "rows", 3)

    def many() -> None:
        with connection.cursor() as cursor:
            for number in range(LONG):
                pages = 2 if number % 3 else LONG
                cursor.execute("UPDATE testapp_book SET title = title WHERE pages < %s", (pages,))

    ways = Short(monkeypatch)
    told = noted(many)
    assert [each[-1] for each in told] == [2 if number % 3 else LONG for number in range(LONG)]
    assert LONG / 3 <= ways.long < LONG


TEXT = "SELECT a FROM b WHERE c = %s LIMIT 1"


class Cursor:
    """What a driver tells after a statement."""

    def __init__(self, rowcount: int = -1) -> None:
        self.cursor = SimpleNamespace(rowcount=rowcount)


def note(number: int, text: str = TEXT, alias: str = "default", rowcount: int = -1) -> None:
    """Note a statement that no database runs."""
    on = SimpleNamespace(alias=alias, vendor="sqlite" if rowcount < 0 else "postgresql")
    context = {"connection": on, "cursor": Cursor(rowcount)}
    sql.note_statement(lambda *_: None, text, (number,), False, context)


@pytest.mark.parametrize("texts", [1, 60, 100])
def test_a_long_loop_is_folded_while_it_runs(texts: int, afresh: Callable[[], None]) -> None:
    tally = Tally()
    largest = 0
    token = current.set(tally)
    try:
        for number in range(3 * MAX_HELD):
            note(number, f"SELECT a FROM b{number % texts} WHERE c = %s LIMIT 1")
            largest = max(largest, len(tally.held))
    finally:
        current.reset(token)
    assert largest < MAX_HELD
    assert tally.folded_count + len(tally.held) == 3 * MAX_HELD
    assert tally.folded_count >= MAX_HELD


def test_a_cursor_that_tells_nothing_is_met_in_the_long_way(
    afresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[BaseException] = []
    monkeypatch.setattr(sql.rows_guard, "failed", failures.append)
    monkeypatch.setattr(tracing, "silent", {})

    class Dumb(CursorWrapper):
        cursor = property(lambda self: 1 / 0, lambda self, value: None)

    def note(number: int) -> None:
        context = {"connection": connection, "cursor": Dumb.__new__(Dumb)}
        sql.note_statement(lambda *_: None, TEXT, (number,), False, context)

    told = noted(lambda: [note(number) for number in range(LONG)])
    assert [each[-1] for each in told] == [UNKNOWN] * LONG
    assert len(failures) == LONG


def test_where_one_database_says_nothing_of_rows_another_may(afresh: Callable[[], None]) -> None:
    def both() -> None:
        for number in range(LONG):
            note(number)
            note(number, TEXT, "replica", 1)

    assert [each[-1] for each in noted(both)] == [UNKNOWN, 1] * LONG


@pytest.mark.skipif(connection.vendor != "sqlite", reason="counts rows while they are fetched")
def test_a_text_that_looks_like_the_shape_of_others_is_still_counted(afresh: Callable[[], None]) -> None:
    def work() -> None:
        with connection.cursor() as cursor:
            for number in range(6):
                cursor.execute(f"SELECT title FROM testapp_book WHERE pages = {number}")
            for number in range(LONG):
                cursor.execute("SELECT title FROM testapp_book WHERE pages = ?", (number,))
                cursor.fetchall()

    assert [each[-1] for each in noted(work)[6:]] == [(1, None)] * LONG


def test_a_run_is_counted_again_that_was_folded_between_two_statements(
    afresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[Tally] = []
    monkeypatch.setattr(sql, "began", began.append)
    tally = Tally()
    token = current.set(tally)
    try:
        for number in range(LONG):
            note(number)
        tally.take_held()  # the flusher's thread, which has not come to forget what was seen
        for number in range(LONG):
            note(number)
    finally:
        current.reset(token)
    assert len(began) == 2


def test_nothing_is_looked_at_any_more_where_that_has_failed_too_often(
    afresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        for number in range(STEADY):
            note(number)
        monkeypatch.setattr(tracing.guard, "on", False)
        for number in range(LONG):
            note(number)

    told = noted(work)
    assert {each[3:6] for each in told[STEADY:]} == {tracing.UNTRACED}


def test_what_is_followed_keeps_no_long_texts(afresh: Callable[[], None]) -> None:
    block = Block(Followed())
    block.begin()
    try:
        tally = current.get()
        assert tally is not None
        for number in range(STEADY):
            note(number, f"SELECT '{'x' * 1_000_000}' FROM b WHERE c = %s -- {number}")
        assert max(map(len, tally.seen)) <= MAX_SQL_CHARS
    finally:
        block.end()


def test_threads_that_share_a_request_lose_nothing(
    afresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tally, ways = Tally(), Short(monkeypatch)

    def work() -> None:
        token = current.set(tally)
        try:
            for number in range(100):
                note(number)
        finally:
            current.reset(token)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(8)]:
            done.result()
    assert len(tally.held) == 800
    assert type(tally.seen[TEXT]) is Seen
    assert ways.long < 800
