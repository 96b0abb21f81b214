"""The database of the store: making it ready, what its errors mean, and the few writing statements that all databases have.

No upsert (concurrent upserts deadlock), no RETURNING, no advisory locks. Nothing that runs here is recorded, and no signal of
Django's reaches the host's receivers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connections, transaction
from django.db.models import Model, QuerySet
from django.db.utils import ConnectionDoesNotExist  # type: ignore[attr-defined] # where Django 3.1 has it

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.request import suppress
from perfsuite.metrics.storages.alias import forget_prepared, prepare, store_alias
from perfsuite.metrics.storages.patience import patience

T = TypeVar("T")

# Rows in one INSERT, and ids in one IN list: small enough for the parameter limit of every engine.
BATCH = 90
# Compaction closes a minute a minute late; an append that took longer than this is rolled back and tried again.
MAX_APPEND_S = 30.0


@contextmanager
def store() -> Iterator[str]:
    """Give the alias of a store that is ready, unrecorded, and turn what the database says into ``StoreUnavailable``.

    Inside a transaction of the host's it is a savepoint, so that what fails here does not break that transaction.
    """
    alias = store_alias()
    with suppress(), explaining(alias):
        connection = connections[alias]
        prepare(connection)
        with (
            patience(connection),
            transaction.atomic(using=alias) if connection.in_atomic_block else nullcontext(),
        ):
            yield alias


@contextmanager
def explaining(alias: str) -> Iterator[None]:
    """Turn what the database says into ``StoreUnavailable``, but for what it says of the rows."""
    try:
        yield
    except (DataError, IntegrityError):
        raise  # the store works, and refuses these rows
    except (DatabaseError, InterfaceError, ConnectionDoesNotExist, ImproperlyConfigured) as exc:
        if refused := _refused_by_mongodb(exc):
            raise DataError(str(refused)) from exc
        forget_prepared()
        raise StoreUnavailable(explain(alias, exc)) from exc


def explain(alias: str, exc: Exception) -> str:
    """Say in one sentence what keeps the store from working and what to type."""
    said = next((text for each in _causes(exc) if (text := _first_line(each))), "")
    if (
        any(words in said for words in ("no such table", "does not exist", "doesn't exist"))
        and "perfsuite_metrics_" in said
    ):
        return f"The metrics tables are missing on the database {alias!r}; type: python manage.py migrate --database {alias}"
    return f"The metrics store on the database {alias!r} cannot be used ({type(exc).__name__}: {said})."


# What pymongo raises where the server works and refuses what it was given; djongo makes a DatabaseError of everything.
_REFUSALS = frozenset(
    (
        "BulkWriteError",
        "DocumentTooLarge",
        "DuplicateKeyError",
        "InvalidDocument",
        "OverflowError",
        "WriteError",
    )
)


def _refused_by_mongodb(exc: BaseException) -> BaseException | None:
    return next((each for each in _causes(exc) if type(each).__name__ in _REFUSALS), None)


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__


def _first_line(exc: BaseException) -> str:
    """Return what an exception says, without the servers that pymongo lists or the command that MongoDB repeats, and its values.

    djongo's own exceptions repeat only the SQL; what they come from says what is wrong.
    """
    said = (str(exc).strip().splitlines() or [""])[0]
    if said.startswith("Keyword: "):
        return ""
    for more in (" (configured timeouts:", ", Timeout:", " to execute command {", ", full error:"):
        said = said.partition(more)[0]
    return said


def append(rows: Sequence[Model], again: bool) -> None:
    """Insert rows of one model, all or none. With ``again``, rows whose key is already there are left as they are."""
    started = time.monotonic()
    with store() as alias:
        if again:  # before the transaction: SQLite refuses one that reads first and then finds another writer
            there = _existing(alias, rows)
            rows = [row for row in rows if row.pk not in there]
        with atomic(alias):
            insert(alias, rows)
            if time.monotonic() - started > MAX_APPEND_S:
                raise DatabaseError(f"writing took over {MAX_APPEND_S:.0f} s")


def _existing(alias: str, rows: Sequence[Model]) -> set[Any]:
    there: set[Any] = set()
    for chunk in chunks([row.pk for row in rows]):
        there.update(
            type(rows[0])._default_manager.using(alias).filter(pk__in=chunk).values_list("pk", flat=True)
        )
    return there


def insert_if_absent(alias: str, row: Model) -> bool:
    """Insert a row unless another process just did. djongo says DatabaseError where others say IntegrityError."""
    try:
        with atomic(alias):
            insert(alias, [row])
    except DatabaseError:
        if type(row)._default_manager.using(alias).filter(pk=row.pk).exists():
            return False
        raise
    return True


def atomic(alias: str) -> AbstractContextManager[None]:
    """Return a block whose statements all succeed or all fail, where the database can do that.

    djongo cannot roll back. Django then closes its client, which the host's threads use too; used again at once, it may not find
    its server for ten seconds.
    """
    return nullcontext() if is_djongo(alias) else transaction.atomic(using=alias)


def insert(alias: str, rows: Sequence[Model]) -> None:
    """Insert rows of one model. Unlike ``save``, this sends no signal to the host's receivers."""
    if not rows:
        return
    model = type(rows[0])
    chosen: Any = model._default_manager.using(alias)
    if not is_djongo(alias):
        chosen.bulk_create(rows, batch_size=BATCH)
        return
    for start in range(0, len(rows), BATCH):  # as bulk_create does, but not in a transaction
        chosen._insert(rows[start : start + BATCH], fields=model._meta.concrete_fields, using=alias)  # noqa: SLF001


def is_djongo(alias: str) -> bool:
    """Tell whether the store is in MongoDB by way of djongo, which has no transactions."""
    return connections[alias].vendor == "djongo"


def delete(rows: QuerySet[Any]) -> None:
    """Delete rows by one statement; ``delete`` would load each row for a host that listens to the signals of all models."""
    rows._raw_delete(rows.db)  # noqa: SLF001 - the same in all Djangos that we run on


def chunks(ids: Sequence[T]) -> Iterator[list[T]]:
    """Yield the ids in lists that fit into one statement."""
    for start in range(0, len(ids), BATCH):
        yield list(ids[start : start + BATCH])
