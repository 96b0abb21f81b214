"""Invalidating tags in every tiered cache of the project, at once or when the transaction is committed."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.dispatch import Signal
from django.utils.module_loading import import_string

from perfsuite.caching.tags import checked_tags
from perfsuite.caching.tiered import TieredCache

logger = logging.getLogger("perfsuite.caching")

# Sent after ``invalidate_tags`` in the process that called it, once the caches know: for what else depends on tags, such as
# a CDN. With ``tags`` (a tuple), ``mode`` and ``cache`` (None: all). A receiver that raises is logged and hurts nobody.
tags_invalidated = Signal()


def tiered_aliases() -> list[str]:
    """Return the aliases in ``CACHES`` whose backend is ``TieredCache`` or derives from it. No cache is made for that."""
    return [alias for alias, params in settings.CACHES.items() if is_tiered(params)]


def is_tiered(params: Any) -> bool:
    """Tell whether an entry of ``CACHES`` names a tiered cache."""
    try:
        found = import_string(params["BACKEND"])
    except (ImportError, KeyError, TypeError, AttributeError):
        return False  # Django says what is wrong with it
    return inspect.isclass(found) and issubclass(found, TieredCache)


def tiered(alias: str, what: str) -> TieredCache:
    """Return the tiered cache of an alias; ImproperlyConfigured says that ``what`` needs one."""
    found = caches[alias]
    if not isinstance(found, TieredCache):
        raise ImproperlyConfigured(
            f"The cache {alias!r} is no TieredCache, which {what} need; "
            f"write 'BACKEND': 'perfsuite.caching.TieredCache' in CACHES[{alias!r}]."
        )
    return found


def invalidate_tags(*tags: str, mode: str = "expire", cache: str | None = None) -> None:
    """Make everything that carries one of the tags a miss, at once, in all tiered caches or in ``cache`` alone.

    Inside a transaction use ``invalidate_on_commit``: until the commit the others still read, and store, what was before.
    """
    for alias in tiered_aliases() if cache is None else [cache]:
        tiered(alias, "tags").invalidate_tags(*tags, mode=mode)
    for receiver, failure in tags_invalidated.send_robust(
        sender=None, tags=checked_tags(tags), mode=mode, cache=cache
    ):
        if isinstance(failure, Exception):
            logger.error("%r failed when it was told of invalidated tags.", receiver, exc_info=failure)


def invalidate_on_commit(
    *tags: str, using: str | None = None, cache: str | None = None, mode: str = "expire"
) -> None:
    """Do it when the transaction of ``using`` is committed, not at all if it is rolled back, and at once outside of one."""
    on_commit(checked_tags(tags), lambda names: invalidate_tags(*names, mode=mode, cache=cache), using)


class _Pending:
    """Tags that a transaction invalidates when it is committed. Savings that follow each other share one."""

    def __init__(self, invalidate: Callable[[Iterable[str]], None]) -> None:
        self.invalidate = invalidate
        self.tags: dict[str, None] = {}

    def __call__(self) -> None:
        self.invalidate(self.tags)


def on_commit(
    tags: Iterable[str], invalidate: Callable[[Iterable[str]], None], using: str | None = None
) -> None:
    """Call ``invalidate(tags)`` on commit. A transaction that saves ten thousand rows in a row calls it once."""
    connection = connections[using or DEFAULT_DB_ALIAS]
    waiting = getattr(connection, "run_on_commit", None)
    if waiting and connection.in_atomic_block:
        savepoints, last = waiting[-1][0], waiting[-1][1]
        if (
            isinstance(last, _Pending)
            and last.invalidate is invalidate
            and savepoints == set(connection.savepoint_ids)
        ):
            last.tags.update(dict.fromkeys(tags))
            return
    pending = _Pending(invalidate)
    pending.tags.update(dict.fromkeys(tags))
    if not connection.in_atomic_block and not connection.get_autocommit():
        pending()  # Django calls nothing back from a transaction that is managed by hand
        return
    transaction.on_commit(pending, using=using)
