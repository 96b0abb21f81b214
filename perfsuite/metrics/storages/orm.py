"""The storage that uses Django's ORM on one alias: append-only rows, range reads, range deletes.

It asks nothing of the database that SQLite, PostgreSQL, MySQL and MongoDB do not all have. Its own statements are never recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connections
from django.db.models import Max, Min, Q, Sum

from perfsuite.metrics.models import Bucket, Lease, Mark, Series
from perfsuite.metrics.storages import BucketRow, Cell, SeriesRow, Span
from perfsuite.metrics.storages.access import append, chunks, delete, insert_if_absent, store
from perfsuite.metrics.storages.alias import store_alias
from perfsuite.metrics.storages.orm_findings import FindingTables


class ORMStorage(FindingTables):
    """Keeps the rows in the tables of ``perfsuite.metrics.models`` on the store's alias."""

    def append(self, rows: Sequence[BucketRow], again: bool = False) -> None:
        append([Bucket(*row) for row in rows], again)  # type: ignore[misc] # positional: the fields have the same order

    def announce(self, series: Iterable[SeriesRow], day: int) -> None:
        described = {row.id: row for row in series}
        with store() as alias:
            for ids in chunks(list(described)):
                known = set(Series.objects.using(alias).filter(id__in=ids).values_list("id", flat=True))
                Series.objects.using(alias).filter(id__in=known, seen__lt=day).update(seen=day)
                for series_id in ids:
                    if series_id not in known:
                        insert_if_absent(alias, Series(*described[series_id], day))  # type: ignore[misc] # likewise

    def describe(self, ids: Sequence[str]) -> dict[str, SeriesRow]:
        found: dict[str, SeriesRow] = {}
        with store() as alias:
            for chunk in chunks(ids):
                for row in (
                    Series.objects.using(alias).filter(id__in=chunk).values_list("id", "kind", "labels")
                ):
                    found[row[0]] = SeriesRow(*row)
        return found

    def kinds(self) -> set[str]:
        with store() as alias:
            return set(Series.objects.using(alias).order_by().values_list("kind", flat=True).distinct())

    def cells(
        self, spans: Sequence[Span], kinds: Sequence[str] | None = None, series: Sequence[str] | None = None
    ) -> list[Cell]:
        if not spans:
            return []
        with store() as alias:
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
        with store() as alias:
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
        with store() as alias:
            chosen = Bucket.objects.using(alias).filter(resolution=resolution)
            if since is not None:
                chosen = chosen.filter(start__gte=since)
            return chosen.order_by("start").values_list("start", flat=True).first()

    def marks(self, names: Sequence[str]) -> dict[str, int]:
        with store() as alias:
            return dict(Mark.objects.using(alias).filter(name__in=names).values_list("name", "value"))

    def move_mark(self, name: str, old: int | None, new: int) -> bool:
        with store() as alias:
            if old is None:
                return insert_if_absent(alias, Mark(name=name, value=new))
            return Mark.objects.using(alias).filter(name=name, value=old).update(value=new) == 1

    def count_before(self, resolution: int, before: int) -> int:
        with store() as alias:
            return Bucket.objects.using(alias).filter(resolution=resolution, start__lt=before).count()

    def trim(self, resolution: int, before: int, limit: int) -> int:
        with store() as alias:
            old = Bucket.objects.using(alias).filter(resolution=resolution, start__lt=before)
            ids = list(old.order_by("start").values_list("id", flat=True)[:limit])
            for chunk in chunks(ids):
                delete(Bucket.objects.using(alias).filter(id__in=chunk))
            return len(ids)

    def trim_series(self, before: int, limit: int) -> int:
        with store() as alias:
            ids = list(
                Series.objects.using(alias).filter(seen__lt=before).values_list("id", flat=True)[:limit]
            )
            for chunk in chunks(ids):
                delete(Series.objects.using(alias).filter(id__in=chunk))
            return len(ids)

    def read_lease(self, name: str) -> tuple[str, int] | None:
        with store() as alias:
            return Lease.objects.using(alias).filter(name=name).values_list("owner", "beat").first()

    def move_lease(self, name: str, old: tuple[str, int] | None, new: tuple[str, int]) -> bool:
        with store() as alias:
            if old is None:
                return insert_if_absent(alias, Lease(name=name, owner=new[0], beat=new[1]))
            held = Lease.objects.using(alias).filter(name=name, owner=old[0], beat=old[1])
            return held.update(owner=new[0], beat=new[1]) == 1

    def close(self) -> None:
        connections[store_alias()].close_if_unusable_or_obsolete()


def _within(spans: Sequence[Span], kinds: Sequence[str] | None) -> Q:
    """Return the condition for rows of the spans. The kinds are repeated in each, so that each is a range of an index."""
    of_kinds = Q() if kinds is None else Q(kind=kinds[0]) if len(kinds) == 1 else Q(kind__in=kinds)
    chosen = Q()
    for span in spans:
        chosen |= of_kinds & Q(resolution=span.resolution, start__gte=span.start, start__lt=span.end)
    return chosen
