"""A change of a model makes outdated what the setting says, when it is committed, and never costs the host anything."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group, User, update_last_login
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models.signals import post_delete, post_init, post_save
from django.test.utils import CaptureQueriesContext

from perfsuite.caching import invalidation
from perfsuite.metrics.guard import take_failures
from tests.caching.conftest import NewCaches
from tests.testapp.models import Author, Book, PaperBook

pytestmark = pytest.mark.django_db(transaction=True)

SETTING = {
    "CACHING": {
        "DATA_CLASSES": {"shelf_data": {"tags": ["author:{author_id}", "shelves"]}},
        "INVALIDATE": {
            "testapp.Book": ["shelf_data", "book:{id}"],
            "testapp.Author": ["author:{pk}"],
            "auth.User": ["user:{id}", "users"],
            "auth.Group": ["group:{pk}", "groups"],
        },
    }
}
Check = Callable[..., Any]


@pytest.fixture(autouse=True)
def _configured(settings: Any, new_caches: NewCaches) -> Iterator[None]:
    new_caches()
    settings.PERFSUITE = SETTING
    invalidation._told.clear()
    take_failures()
    yield
    invalidation.guard.reset()


@contextmanager
def invalidates(*expected: str, among: tuple[str, ...] = ()) -> Iterator[None]:
    """Check that the block makes exactly the expected tags' entries misses, of them and of ``among``."""
    tags = {*expected, *among}
    for tag in tags:
        cache.set(f"of {tag}".replace(" ", "-"), 1, 60, tags=[tag])
    yield
    assert {tag for tag in tags if cache.get(f"of-{tag}") is None} == set(expected)


def shelf(author: Author) -> str:
    return f"author:{author.pk}/shelves"


@pytest.fixture
def author() -> Author:
    return Author.objects.create(name="A")


@pytest.fixture
def other() -> Author:
    return Author.objects.create(name="B")


@pytest.fixture
def book(author: Author) -> Book:
    return Book.objects.create(author=author, title="T")


def test_a_save_invalidates_its_own_and_leaves_what_belongs_to_others(
    author: Author, other: Author, book: Book
) -> None:
    wide = ("shelves", f"author:{author.pk}", shelf(other), "book:0")
    with invalidates(shelf(author), f"book:{book.pk}", among=wide):
        book.save()
    with invalidates(shelf(author), among=wide):
        made = Book.objects.create(author=author, title="N")
    with invalidates(shelf(author), f"book:{made.pk}", among=wide):
        made.delete()


def test_a_row_that_moves_invalidates_where_it_was_and_where_it_is(
    author: Author, other: Author, book: Book
) -> None:
    moved = Book.objects.get(pk=book.pk)
    moved.author = other
    with invalidates(shelf(author), shelf(other)):
        moved.save()
    with invalidates(shelf(other), among=(shelf(author),)):
        moved.save()
    moved.author = author
    with invalidates(shelf(author), shelf(other)):
        moved.save(update_fields=["author"])


def test_a_row_that_moves_as_a_copy_or_out_of_a_pickle_remembers_too(
    author: Author, other: Author, book: Book
) -> None:
    loaded = Book.objects.get(pk=book.pk)
    for moved in (copy.copy(loaded), pickle.loads(pickle.dumps(loaded))):
        moved.author_id = other.pk
        with invalidates(shelf(author), shelf(other)):
            moved.save()


def test_what_a_save_left_out_is_still_where_it_was(author: Author, other: Author, book: Book) -> None:
    book.author = other
    book.save(update_fields=["title"])
    with invalidates(shelf(author), shelf(other)):
        book.save()


@pytest.mark.relational
def test_a_move_that_is_rolled_back_has_not_happened(author: Author, other: Author, book: Book) -> None:
    third = Author.objects.create(name="C")
    with transaction.atomic():
        book.author = other
        book.save()
        transaction.set_rollback(True)
    book.author = third
    with invalidates(shelf(author), shelf(third), among=(shelf(other),)):
        book.save()


@pytest.mark.relational
def test_nothing_is_invalidated_before_the_commit(author: Author, book: Book) -> None:
    with invalidates(shelf(author)), transaction.atomic(), invalidates(among=(shelf(author),)):
        book.save()
    with invalidates(among=(shelf(author),)), transaction.atomic():
        book.save()
        transaction.set_rollback(True)


def test_what_is_not_loaded_is_not_fetched_and_the_wide_tag_goes_instead(author: Author, book: Book) -> None:
    partly = Book.objects.only("title").get(pk=book.pk)
    with (
        CaptureQueriesContext(connection) as captured,
        invalidates(f"book:{book.pk}", "shelves", among=(shelf(author),)),
    ):
        partly.save()
    assert len(captured) <= 2  # Django itself: the update, and a transaction of its own where it makes one
    assert not any("SELECT" in query["sql"] for query in captured)


def test_what_was_loaded_later_counts_as_unknown_before(author: Author, other: Author, book: Book) -> None:
    partly = Book.objects.only("title").get(pk=book.pk)
    assert partly.author_id == author.pk
    partly.author = other
    with invalidates(f"book:{book.pk}", "shelves", shelf(other)):
        partly.save()


@pytest.mark.relational
def test_it_costs_no_further_statement(settings: Any, author: Author, book: Book) -> None:
    def statements() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            loaded = Book.objects.get(pk=book.pk)
            loaded.title = "X"
            loaded.save()
            Book.objects.create(author=author, title="Y").delete()
        # Django deletes a row that has receivers in a transaction, and a row without any by itself.
        return [sql for query in captured if (sql := query["sql"].split()[0]) not in ("BEGIN", "COMMIT")]

    with_rules = statements()
    settings.PERFSUITE = {}
    assert with_rules == statements()
    assert with_rules.count("SELECT") == 1


def test_a_cascade_and_a_delete_of_many_invalidate_each(author: Author, other: Author, book: Book) -> None:
    second = Book.objects.create(author=other, title="T2")
    with invalidates(f"book:{book.pk}", f"author:{author.pk}", shelf(author), among=(shelf(other),)):
        author.delete()
    with invalidates(f"book:{second.pk}", shelf(other)):
        Book.objects.all().delete()


def test_a_proxy_counts_as_its_model(author: Author, book: Book) -> None:
    with invalidates(f"book:{book.pk}", shelf(author)):
        PaperBook.objects.get(pk=book.pk).save()


# Many-to-many


@pytest.fixture
def user() -> User:
    return User.objects.create(username="u")


@pytest.fixture
def group() -> Group:
    return Group.objects.create(name="g")


def test_both_sides_of_a_relation_are_invalidated(user: User, group: Group) -> None:
    both = (f"user:{user.pk}", f"group:{group.pk}", "users", "groups")
    with invalidates(*both):
        user.groups.add(group)
    with invalidates(among=both):
        user.groups.add(group)  # it is there already
    with invalidates(*both):
        user.groups.remove(group)
    with invalidates(*both):
        group.user_set.add(user)


def test_clearing_a_relation_tells_no_keys_and_leaves_a_word_in_the_log(
    user: User, group: Group, caplog: pytest.LogCaptureFixture
) -> None:
    user.groups.add(group)
    caplog.set_level(logging.WARNING, "perfsuite.caching")
    with invalidates(f"user:{user.pk}", "users", "groups", among=(f"group:{group.pk}",)):
        user.groups.clear()
    assert "A auth.Group was changed without the fields of 'group:{pk}' being loaded" in caplog.text


def test_a_login_is_no_change(user: User) -> None:
    with invalidates(among=("users", f"user:{user.pk}")):
        update_last_login(None, user)
    with invalidates("users", f"user:{user.pk}"):
        user.save()


# Paths


def test_a_path_is_followed_only_to_what_is_loaded(
    settings: Any, author: Author, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PERFSUITE = {
        "CACHING": {"INVALIDATE": {"testapp.Book": ["named:{author.name}", "by:{author.pk}"]}}
    }
    with invalidates("named:A", f"by:{author.pk}"):
        Book.objects.select_related("author").get(pk=book.pk).save()
    with invalidates(f"by:{author.pk}", among=("named:A",)):
        Book.objects.get(pk=book.pk).save()
    assert "'named:{author.name}'" in caplog.text


# The host comes first


class Broken(Exception):
    pass


def _fail(*args: Any, **kwargs: Any) -> None:
    raise Broken


HOOKS = [("rules.of_instance", 1), ("invalidate_tags", 1), ("on_commit", 1)]


@pytest.mark.parametrize(("hook", "failures"), HOOKS)
def test_what_fails_inside_stays_inside_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, book: Book, hook: str, failures: int
) -> None:
    monkeypatch.setattr(f"perfsuite.caching.invalidation.{hook}", _fail)
    book.title = "saved all the same"
    book.save()
    assert Book.objects.get(pk=book.pk).title == "saved all the same"
    assert take_failures() == {"caching.invalidation": failures}
    assert "caching.invalidation failed; the site is not affected" in caplog.text


def test_loading_and_deleting_survive_a_failure_too(
    monkeypatch: pytest.MonkeyPatch, book: Book, user: User
) -> None:
    monkeypatch.setattr("perfsuite.caching.invalidation._remembered", {})
    loaded = Book.objects.get(pk=book.pk)
    monkeypatch.setattr("perfsuite.caching.invalidation.rules.of_instance", _fail)
    loaded.delete()
    user.groups.add(Group.objects.create(name="g"))
    assert Book.objects.count() == 0
    assert take_failures()["caching.invalidation"] >= 3
    assert invalidation.guard.on  # one that is off would leave what is outdated


def test_without_the_setting_nothing_is_connected(settings: Any) -> None:
    assert post_init.has_listeners(Book)
    settings.PERFSUITE = {}
    for signal in (post_init, post_save, post_delete):
        assert not signal.has_listeners(Book)
        assert not signal.has_listeners(PaperBook)
