"""The storage that uses Django's ORM on one alias: append-only rows, range reads, range deletes.

It asks nothing of the database that SQLite, PostgreSQL, MySQL and MongoDB do not all have: no upsert (concurrent upserts
deadlock), no RETURNING, no advisory locks. Its own statements are never recorded.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connections, transaction
from django.db.models import Max, Min, Model, Q, QuerySet, Sum
from django.db.utils import ConnectionDoesNotExist  # type: ignore[attr-defined] # where Django 3.1 has it

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.models import Bucket, Lease, Mark, Series
from perfsuite.metrics.request import suppress
from perfsuite.metrics.storages import BucketRow, Cell, SeriesRow, Span
from perfsuite.metrics.storages.alias import forget_prepared, prepare, store_alias
from perfsuite.metrics.storages.patience import patience

T = TypeVar("T")

# Rows in one INSERT, and ids in one IN list: small enough for the parameter limit of every engine.
BATCH = 90
# Compaction closes a minute a minute late; an append that took longer than this is rolled back and tried again.
MAX_APPEND_S = 30.0


class ORMStorage:
    """Keeps the rows in the tables of ``perfsuite.metrics.models`` on the store's alias."""

    def append(self, rows: Sequence[BucketRow], again: bool = False) -> None:
        started = time.monotonic()
        with _store() as alias:
            if (
                again
            ):  # before the transaction: SQLite refuses one that reads first and then finds another writer
                there = _existing(alias, [row.id for row in rows])
                rows = [row for row in rows if row.id not in there]
            with _atomic(alias):
                _insert(alias, [Bucket(*row) for row in rows])  # type: ignore[misc] # positional: the fields have the same order
                if time.monotonic() - started > MAX_APPEND_S:
                    raise DatabaseError(f"writing took over {MAX_APPEND_S:.0f} s")

    def announce(self, series: Iterable[SeriesRow], day: int) -> None:
        described = {row.id: row for row in series}
        with _store() as alias:
            for ids in _chunks(list(described)):
                known = set(Series.objects.using(alias).filter(id__in=ids).values_list("id", flat=True))
                Series.objects.using(alias).filter(id__in=known, seen__lt=day).update(seen=day)
                for series_id in ids:
                    if series_id not in known:
                        _insert_if_absent(alias, Series(*described[series_id], day))  # type: ignore[misc] # likewise

    def describe(self, ids: Sequence[str]) -> dict[str, SeriesRow]:
        found: dict[str, SeriesRow] = {}
        with _store() as alias:
            for chunk in _chunks(ids):
                for row in (
                    Series.objects.using(alias).filter(id__in=chunk).values_list("id", "kind", "labels")
                ):
                    found[row[0]] = SeriesRow(*row)
        return found

    def cells(
        self, spans: Sequence[Span], kinds: Sequence[str] | None = None, series: Sequence[str] | None = None
    ) -> list[Cell]:
        if not spans:
            return []
        with _store() as alias:
            chosen = Bucket.objects.using(alias).filter(_within(spans, kinds))
            if series is not None:
                chosen = chosen.filter(series__in=series)
            columns = chosen.values_list("start", "kind", "series", "count", "sum", "min", "max", "histogram")
            # SQLite gives bytes, PostgreSQL a memoryview of them.
            return [
                Cell._make(row if type(row[7]) is bytes else (*row[:7], bytes(row[7]))) for row in columns
            ]

    def sums(
        self, spans: Sequence[Span], kind: str, series: Sequence[str] | None = None
    ) -> list[tuple[str, int, float, float, float]]:
        if not spans:
            return []
        with _store() as alias:
            chosen = Bucket.objects.using(alias).filter(_within(spans, (kind,)))
            if series is not None:
                chosen = chosen.filter(series__in=series)
            grouped = chosen.values("series")
            return list(
                grouped.annotate(n=Sum("count"), total=Sum("sum"), least=Min("min"), most=Max("max"))
                .order_by()
                .values_list("series", "n", "total", "least", "most")
            )

    def first_start(self, resolution: int, since: int | None) -> int | None:
        with _store() as alias:
            chosen = Bucket.objects.using(alias).filter(resolution=resolution)
            if since is not None:
                chosen = chosen.filter(start__gte=since)
            return chosen.order_by("start").values_list("start", flat=True).first()

    def marks(self, names: Sequence[str]) -> dict[str, int]:
        with _store() as alias:
            return dict(Mark.objects.using(alias).filter(name__in=names).values_list("name", "value"))

    def move_mark(self, name: str, old: int | None, new: int) -> bool:
        with _store() as alias:
            if old is None:
                return _insert_if_absent(alias, Mark(name=name, value=new))
            return Mark.objects.using(alias).filter(name=name, value=old).update(value=new) == 1

    def count_before(self, resolution: int, before: int) -> int:
        with _store() as alias:
            return Bucket.objects.using(alias).filter(resolution=resolution, start__lt=before).count()

    def trim(self, resolution: int, before: int, limit: int) -> int:
        with _store() as alias:
            old = Bucket.objects.using(alias).filter(resolution=resolution, start__lt=before)
            ids = list(old.order_by("start").values_list("id", flat=True)[:limit])
            for chunk in _chunks(ids):
                _delete(Bucket.objects.using(alias).filter(id__in=chunk))
            return len(ids)

    def trim_series(self, before: int, limit: int) -> int:
        with _store() as alias:
            ids = list(
                Series.objects.using(alias).filter(seen__lt=before).values_list("id", flat=True)[:limit]
            )
            for chunk in _chunks(ids):
                _delete(Series.objects.using(alias).filter(id__in=chunk))
            return len(ids)

    def read_lease(self, name: str) -> tuple[str, int] | None:
        with _store() as alias:
            return Lease.objects.using(alias).filter(name=name).values_list("owner", "beat").first()

    def move_lease(self, name: str, old: tuple[str, int] | None, new: tuple[str, int]) -> bool:
        with _store() as alias:
            if old is None:
                return _insert_if_absent(alias, Lease(name=name, owner=new[0], beat=new[1]))
            held = Lease.objects.using(alias).filter(name=name, owner=old[0], beat=old[1])
            return held.update(owner=new[0], beat=new[1]) == 1

    def close(self) -> None:
        connections[store_alias()].close_if_unusable_or_obsolete()


@contextmanager
def _store() -> Iterator[str]:
    """Give the alias of a store that is ready, unrecorded, and turn what the database says into ``StoreUnavailable``.

    Inside a transaction of the host's it is a savepoint, so that what fails here does not break that transaction.
    """
    alias = store_alias()
    with suppress():
        try:
            connection = connections[alias]
            prepare(connection)
            with (
                patience(connection),
                transaction.atomic(using=alias) if connection.in_atomic_block else nullcontext(),
            ):
                yield alias
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


def _within(spans: Sequence[Span], kinds: Sequence[str] | None) -> Q:
    """Return the condition for rows of the spans. The kinds are repeated in each, so that each is a range of an index."""
    of_kinds = Q() if kinds is None else Q(kind=kinds[0]) if len(kinds) == 1 else Q(kind__in=kinds)
    chosen = Q()
    for span in spans:
        chosen |= of_kinds & Q(resolution=span.resolution, start__gte=span.start, start__lt=span.end)
    return chosen


def _existing(alias: str, ids: Sequence[UUID]) -> set[UUID]:
    there: set[UUID] = set()
    for chunk in _chunks(ids):
        there.update(Bucket.objects.using(alias).filter(id__in=chunk).values_list("id", flat=True))
    return there


def _insert_if_absent(alias: str, row: Model) -> bool:
    """Insert a row unless another process just did. djongo says DatabaseError where others say IntegrityError."""
    try:
        with _atomic(alias):
            _insert(alias, [row])
    except DatabaseError:
        if type(row)._default_manager.using(alias).filter(pk=row.pk).exists():
            return False
        raise
    return True


def _atomic(alias: str) -> AbstractContextManager[None]:
    """Return a block whose statements all succeed or all fail, where the database can do that.

    djongo cannot roll back. Django then closes its client, which the host's threads use too; used again at once, it may not find
    its server for ten seconds.
    """
    return nullcontext() if _is_djongo(alias) else transaction.atomic(using=alias)


def _insert(alias: str, rows: Sequence[Model]) -> None:
    """Insert rows of one model. Unlike ``save``, this sends no signal to the host's receivers."""
    if not rows:
        return
    model = type(rows[0])
    chosen: Any = model._default_manager.using(alias)
    if not _is_djongo(alias):
        chosen.bulk_create(rows, batch_size=BATCH)
        return
    for start in range(0, len(rows), BATCH):  # as bulk_create does, but not in a transaction
        chosen._insert(rows[start : start + BATCH], fields=model._meta.concrete_fields, using=alias)  # noqa: SLF001


def _is_djongo(alias: str) -> bool:
    return connections[alias].vendor == "djongo"


def _delete(rows: QuerySet[Any]) -> None:
    """Delete rows by one statement; ``delete`` would load each row for a host that listens to the signals of all models."""
    rows._raw_delete(rows.db)  # noqa: SLF001 - the same in all Djangos that we run on


def _chunks(ids: Sequence[T]) -> Iterator[list[T]]:
    for start in range(0, len(ids), BATCH):
        yield list(ids[start : start + BATCH])
