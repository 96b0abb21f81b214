"""Changes in bulk invalidate too, through the queryset that says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, models
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from perfsuite.caching import invalidation, querysets
from perfsuite.caching.querysets import InvalidatingQuerySet
from perfsuite.metrics.guard import take_failures
from tests.caching.conftest import NewCaches
from tests.caching.test_invalidation import SETTING, invalidates, shelf
from tests.testapp.models import Author, Book

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _configured(settings: Any, new_caches: NewCaches) -> Iterator[None]:
    new_caches()
    settings.PERFSUITE = SETTING
    take_failures()
    yield
    assert take_failures() == {}
    invalidation.guard.reset()


def books() -> InvalidatingQuerySet[Book]:
    return InvalidatingQuerySet(Book)


@pytest.fixture
def authors() -> list[Author]:
    return [Author.objects.create(name=name) for name in "ABC"]


@pytest.fixture
def made(authors: list[Author]) -> list[Book]:
    return [Book.objects.create(author=author, title=author.name) for author in authors]


def test_an_update_invalidates_the_rows_that_it_changes(authors: list[Author], made: list[Book]) -> None:
    with invalidates(
        f"book:{made[0].pk}", shelf(authors[0]), among=(f"book:{made[1].pk}", shelf(authors[1]), "shelves")
    ):
        assert books().filter(title="A").update(pages=3) == 1


def test_an_update_that_moves_rows_invalidates_where_they_were_and_where_they_are(
    authors: list[Author], made: list[Book]
) -> None:
    with invalidates(shelf(authors[0]), shelf(authors[2]), among=(shelf(authors[1]),)):
        books().filter(title="A").update(author=authors[2])


@pytest.mark.relational
def test_an_update_by_an_expression_is_not_known_and_takes_the_wide_tag(
    authors: list[Author], made: list[Book]
) -> None:
    with invalidates(shelf(authors[0]), "shelves", among=(shelf(authors[1]),)):
        books().filter(title="A").update(author_id=F("author_id"))


def test_an_update_reads_once_and_one_of_too_many_rows_takes_the_wide_tags(
    monkeypatch: pytest.MonkeyPatch, authors: list[Author], made: list[Book]
) -> None:
    monkeypatch.setattr(querysets, "MAX_ROWS", 2)
    with CaptureQueriesContext(connection) as captured, invalidates("shelves", among=(shelf(authors[0]),)):
        books().filter(pages__gte=0).update(pages=3)
    assert len(captured) <= 2
    assert set(Book.objects.values_list("pages", flat=True)) == {3}


def test_an_update_without_a_rule_or_without_fields_reads_nothing(settings: Any, made: list[Book]) -> None:
    for rules in ({}, {"testapp.Book": ["books"]}):
        settings.PERFSUITE = {"CACHING": {"INVALIDATE": rules}}
        with CaptureQueriesContext(connection) as captured, invalidates(*(["books"] if rules else [])):
            books().filter(pages__gte=0).update(pages=4)
        assert len(captured) == 1


def test_bulk_create_invalidates_by_the_objects(authors: list[Author]) -> None:
    fresh = [Book(author=authors[0], title="1"), Book(author=authors[1], title="2")]
    with invalidates(shelf(authors[0]), shelf(authors[1]), among=(shelf(authors[2]), "shelves")):
        books().bulk_create(fresh)


@pytest.mark.relational  # djongo does not know the SQL of bulk_update
def test_bulk_update_invalidates_by_what_was_and_what_is(authors: list[Author], made: list[Book]) -> None:
    loaded = list(books().filter(title="A"))
    loaded[0].author = authors[2]
    with (
        CaptureQueriesContext(connection) as captured,
        invalidates(shelf(authors[0]), shelf(authors[2]), f"book:{loaded[0].pk}", among=(shelf(authors[1]),)),
    ):
        books().bulk_update(loaded, ["author"])
    assert not any(query["sql"].startswith("SELECT") for query in captured)


def test_a_deletion_invalidates_each_row(authors: list[Author], made: list[Book]) -> None:
    with invalidates(f"book:{made[0].pk}", f"book:{made[1].pk}", among=(f"book:{made[2].pk}",)):
        books().exclude(title="C").delete()


def test_it_makes_a_manager() -> None:
    manager = InvalidatingQuerySet.as_manager()
    manager.model = Book
    assert isinstance(manager.all(), InvalidatingQuerySet)
    assert issubclass(querysets.InvalidatingManager, models.Manager)


def test_an_update_survives_a_failure(monkeypatch: pytest.MonkeyPatch, made: list[Book]) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise LookupError

    monkeypatch.setattr(invalidation, "rules_of", fail)
    assert books().filter(pages__gte=0).update(pages=5) == 3
    assert take_failures() == {"caching.invalidation": 2}
