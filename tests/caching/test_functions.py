"""Invalidating by function: which caches, and when."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction

from perfsuite.caching import functions, invalidate_on_commit, invalidate_tags
from tests.caching.conftest import TIERED, NewCaches

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


def other(name: str) -> dict[str, Any]:
    return {"BACKEND": TIERED, "LOCATION": f"other-{name}", "OPTIONS": {"CHANNEL": "none"}}


def test_all_tiered_caches_are_invalidated_and_others_left_alone(new_caches: NewCaches) -> None:
    made = new_caches(second=other("a"), plain=LOCMEM, broken={"BACKEND": "no.such.Cache"})
    assert made.keys() == {"default", "second", "plain", "broken"}
    assert functions.tiered_aliases() == ["default", "second"]
    for alias in ("default", "second"):
        caches[alias].set("key", 1, tags=["t"])
    invalidate_tags("t")
    assert [caches[alias].get("key") for alias in ("default", "second")] == [None, None]


def test_one_cache_can_be_named(new_caches: NewCaches) -> None:
    new_caches(second=other("b"), plain=LOCMEM)
    for alias in ("default", "second"):
        caches[alias].set("key", 1, tags=["t"])
    invalidate_tags("t", cache="second")
    assert [caches[alias].get("key") for alias in ("default", "second")] == [1, None]
    with pytest.raises(ImproperlyConfigured, match=r"'plain' is no TieredCache.*write 'BACKEND'"):
        invalidate_tags("t", cache="plain")


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_it_happens_at_once(new_caches: NewCaches) -> None:
    new_caches()
    cache.set("key", 1, tags=["t"])
    invalidate_on_commit("t")
    assert cache.get("key") is None


@pytest.mark.relational
@pytest.mark.django_db(transaction=True)
def test_in_a_transaction_it_happens_with_the_commit(new_caches: NewCaches) -> None:
    new_caches()
    cache.set("key", 1, tags=["t"])
    with transaction.atomic():
        invalidate_on_commit("t")
        assert cache.get("key") == 1
    assert cache.get("key") is None


@pytest.mark.relational
@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_invalidates_nothing(new_caches: NewCaches) -> None:
    new_caches()
    cache.set("key", 1, tags=["t"])
    with transaction.atomic():
        invalidate_on_commit("t")
        transaction.set_rollback(True)
    assert cache.get("key") == 1


@pytest.mark.relational
@pytest.mark.django_db(transaction=True)
def test_many_in_a_row_are_one_and_a_savepoint_that_is_rolled_back_takes_its_own_along() -> None:
    done: list[list[str]] = []

    def note(tags: Any) -> None:
        done.append(sorted(tags))

    with transaction.atomic():
        functions.on_commit(["a"], note)
        functions.on_commit(["b"], note)
        try:
            with transaction.atomic():
                functions.on_commit(["c"], note)
                raise RuntimeError
        except RuntimeError:
            pass
        functions.on_commit(["d"], note)
        with transaction.atomic():
            functions.on_commit(["e"], note)
            functions.on_commit(["f"], note)
    assert [tag for tags in done for tag in tags] == ["a", "b", "d", "e", "f"]
    assert len(done) < 5


@pytest.mark.relational
@pytest.mark.django_db(transaction=True)
def test_in_a_transaction_that_is_managed_by_hand_it_happens_at_once(new_caches: NewCaches) -> None:
    new_caches()
    cache.set("key", 1, tags=["t"])
    connection.set_autocommit(False)
    try:
        invalidate_on_commit("t")
        assert cache.get("key") is None
    finally:
        connection.rollback()
        connection.set_autocommit(True)
