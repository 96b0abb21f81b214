"""The assertions: what they count, what they fail for, and what they let pass."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection, connections, transaction
from django.test import AsyncClient, Client, TestCase, modify_settings, override_settings

from perfsuite.metrics.request import current
from perfsuite.queries import sql, tracing, track
from perfsuite.testing import QueryAssertions
from perfsuite.testing import assert_no_repeats as no_repeats
from perfsuite.testing import query_budget as budget
from tests.recorded import Recorded
from tests.testapp.models import Author
from tests.testing.work import LINE, failure, make_books, names_joined, names_of_authors

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.testing.work")]

OFF = {"METRICS": {"ENABLED": False}}
ADVICE = 'N+1: testapp.Book.author is read row by row: add .select_related("author") to the queryset'


@pytest.fixture(params=["measured", "METRICS off"])
def site(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Return a client, once where perfsuite measures and once where it is switched off."""
    if request.param == "measured":
        yield Client()
        return
    with override_settings(PERFSUITE=OFF):
        yield Client()


PLACES: dict[str, Callable[[Client], object]] = {
    "plain code": lambda site: names_of_authors(),
    "a request": lambda site: site.get("/listing/"),
    "an asynchronous view": lambda site: site.get("/listing-async/"),
}


@pytest.mark.parametrize("place", PLACES)
def test_statements_are_counted_and_their_repetitions_found_in(place: str, site: Client) -> None:
    make_books(3)
    assert failure(budget(max=4), lambda: PLACES[place](site)) == ""
    said = failure(budget(max=3), lambda: PLACES[place](site))
    assert said.startswith("4 statements ran, and the budget is 3.\n")
    assert "    3 x " in said
    assert "    1 x " in said
    assert f"at {LINE} in " in said
    assert ADVICE in said
    said = failure(no_repeats(), lambda: PLACES[place](site))
    assert said.startswith("One statement is repeated.\n")
    assert ADVICE in said


def test_what_is_joined_repeats_nothing(site: Client) -> None:
    make_books(3)
    assert failure(no_repeats(), lambda: site.get("/joined/")) == ""
    assert failure(budget(max=1), names_joined) == ""


def test_two_requests_that_read_the_same_repeat_nothing(site: Client) -> None:
    def work() -> None:
        site.get("/joined/")
        site.get("/joined/")
        names_joined()

    assert failure(no_repeats(), work) == ""
    assert failure(budget(max=2), work).startswith("3 statements ran, and the budget is 2.\n")


def test_reading_again_with_the_same_parameters_is_a_repetition_and_a_write_in_between_makes_it_none() -> (
    None
):
    author = Author.objects.create(name="someone")

    def read() -> None:
        assert Author.objects.filter(pk=author.pk).first()

    def read_twice() -> None:
        read()
        read()

    def read_write_read() -> None:
        read()
        Author.objects.filter(pk=author.pk).update(name="other")
        read()

    said = failure(no_repeats(), read_twice)
    assert "Duplicate: testapp.Author is read again with the same parameters" in said
    assert failure(no_repeats(times=3), read_twice) == ""
    assert failure(no_repeats(), read_write_read) == ""


def test_a_budget_of_time_counts_the_time_of_the_statements() -> None:
    said = failure(budget(max_ms=0), Author.objects.count)
    assert said.startswith("1 statement took ")
    assert " ms, and the budget is 0 ms.\n" in said
    with budget(max_ms=60_000) as spent:
        Author.objects.count()
    assert spent.count == 1
    assert 0 < spent.ms < 60_000


def test_what_a_block_raises_is_what_the_test_fails_with() -> None:
    def work() -> None:
        Author.objects.count()
        raise LookupError("the test's own")

    with pytest.raises(LookupError, match="the test's own"):
        failure(budget(max=0), work)
    assert current.get() is None


def test_a_block_in_a_block_counts_for_both() -> None:
    with budget(max=2) as outer:
        Author.objects.count()
        with budget(max=1) as inner:
            Author.objects.count()
    assert (outer.count, inner.count) == (2, 1)
    with budget(max=1) as outer, budget(max=1) as inner:
        Client().get("/joined/")
    assert (outer.count, inner.count) == (1, 1)


@pytest.mark.relational
def test_statements_that_fail_are_counted() -> None:
    with budget(max=2) as spent:
        Author.objects.count()
        with pytest.raises(DatabaseError), transaction.atomic():
            Author.objects.extra(where=["nothing = 1"]).count()
    assert spent.count == 2


def test_tasks_and_commands_in_a_block_are_counted() -> None:
    with budget(max=2) as spent:
        with track("nightly"):
            Author.objects.count()
        call_command("dumpdata", "testapp.Author", stdout=io.StringIO())
    assert spent.count == 2


@pytest.mark.relational
def test_how_transactions_are_kept_is_not_counted() -> None:
    with budget(max=1) as spent, transaction.atomic(), transaction.atomic():
        Author.objects.create(name="one")
    assert spent.count == 1


@pytest.mark.relational
def test_an_assertion_of_pytest_djangos_counts_beside_it(
    django_assert_num_queries: Any, query_budget: Any, assert_no_repeats: Any
) -> None:
    make_books(2)
    with django_assert_num_queries(1), query_budget(max=1), assert_no_repeats():
        names_joined()
    with query_budget(max=1), django_assert_num_queries(1):
        names_joined()


def test_nothing_of_a_block_outside_of_requests_is_recorded(recorded: Recorded) -> None:
    with budget(max=1):
        Author.objects.count()
    assert recorded.count("queries") == 0
    with budget(max=1):
        Client().get("/joined/")
    assert recorded.count("queries") == 1


@pytest.mark.relational
def test_a_connection_of_another_thread_that_is_older_than_the_block_is_followed_where_nothing_is_measured() -> (
    None
):
    with ThreadPoolExecutor(1) as pool:
        try:
            with override_settings(PERFSUITE=OFF):
                pool.submit(_select_one).result()
                with budget(max=1) as spent:
                    pool.submit(copy_context().run, _select_one).result()
                pool.submit(_select_one).result()
            assert spent.count == 1
        finally:
            pool.submit(connections.close_all).result()


def _select_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()


@pytest.mark.relational
def test_the_wrapper_is_gone_again_after_a_block_where_nothing_is_measured() -> None:
    with override_settings(PERFSUITE=OFF):
        before = list(connection.execute_wrappers)
        with budget(max=1):
            Author.objects.count()
        assert connection.execute_wrappers == before
        assert sql.note_statement not in before


def test_a_block_in_which_a_hook_fails_does_not_pass(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise ZeroDivisionError

    for name in ("key_of", "key_of_command"):
        monkeypatch.setattr(tracing, name, broken)
    with (
        pytest.raises(RuntimeError, match=r"The hook queries\.tracing failed, so statements may be missing"),
        budget(max=5),
    ):
        Author.objects.count()


def test_a_project_without_perfsuite_is_told_what_to_write() -> None:
    with (
        modify_settings(INSTALLED_APPS={"remove": ["perfsuite.queries"]}),
        pytest.raises(ImproperlyConfigured, match=r"'perfsuite.queries' is not in INSTALLED_APPS; write "),
    ):
        budget(max=1).__enter__()
    assert current.get() is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (budget, r"A budget is missing; write query_budget\(max=3\)"),
        (lambda: budget(max=-1), "max is a number from 0 on, not -1"),
        (lambda: budget(max=True), "max is a number from 0 on, not True"),
        (lambda: budget(max=1.5), "max is a number from 0 on, not 1.5"),
        (lambda: budget(max_ms="1"), "max_ms is a number from 0 on, not '1'"),
        (lambda: no_repeats(times=1), "times is a whole number from 2 on, not 1"),
    ],
)
def test_senseless_arguments_are_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        make()


def test_one_block_cannot_begin_twice_at_once() -> None:
    block = budget(max=1)
    with pytest.raises(RuntimeError, match=r"query_budget\(\) is in use; make another"), block:
        block.__enter__()
    with block:
        Author.objects.count()
    assert block.count == 1


class Methods(QueryAssertions, TestCase):
    """The same as methods of a test case, and in asynchronous tests."""

    @classmethod
    def setUpTestData(cls) -> None:
        make_books(3)

    def test_the_methods_fail_as_the_blocks_do(self) -> None:
        with (
            pytest.raises(AssertionError, match="4 statements ran, and the budget is 3"),
            self.query_budget(max=3),
        ):
            names_of_authors()
        with pytest.raises(AssertionError, match="One statement is repeated"), self.assert_no_repeats():
            names_of_authors()
        with self.query_budget(max=1, max_ms=60_000), self.assert_no_repeats(times=2):
            names_joined()

    async def test_statements_of_an_asynchronous_test_are_counted(self) -> None:
        with pytest.raises(AssertionError, match="3 x "), self.query_budget(max=3):
            await sync_to_async(names_of_authors)()
        with self.query_budget(max=1) as spent:
            await sync_to_async(names_joined)()
        assert spent.count == 1

    async def test_statements_of_an_asynchronous_client_are_counted(self) -> None:
        for path in ("/listing/", "/listing-async/"):
            with (
                pytest.raises(AssertionError, match="One statement is repeated"),
                self.assert_no_repeats(),
            ):
                await AsyncClient().get(path)
        with override_settings(PERFSUITE=OFF), self.query_budget(max=4) as spent:
            await AsyncClient().get("/listing-async/")
        assert spent.count == 4
