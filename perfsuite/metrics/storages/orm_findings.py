"""The part of the ORM's storage that keeps sightings, findings and exemplars."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Count

from perfsuite.metrics.models import Exemplar, Finding, Sighting
from perfsuite.metrics.storages import StoredExemplar, StoredFinding, StoredSighting
from perfsuite.metrics.storages.access import append, chunks, delete, insert_if_absent, store

# One trim deletes at most this many exemplars that are too old; the next one goes on.
TRIM_ROWS = 5_000


class FindingTables:
    """Keeps the rows in the tables of ``perfsuite.metrics.models`` on the store's alias."""

    def append_sightings(self, rows: Sequence[StoredSighting], again: bool = False) -> None:
        append([Sighting(*row) for row in rows], again)  # type: ignore[misc] # positional: the fields have the same order

    def sightings(self, start: int, end: int | None) -> list[StoredSighting]:
        with store() as alias:
            chosen = Sighting.objects.using(alias).filter(start__gte=start)
            if end is not None:
                chosen = chosen.filter(start__lt=end)
            return [StoredSighting(*row) for row in chosen.values_list(*StoredSighting._fields)]

    def first_sighting(self, since: int | None) -> int | None:
        with store() as alias:
            chosen = Sighting.objects.using(alias)
            if since is not None:
                chosen = chosen.filter(start__gte=since)
            return chosen.order_by("start").values_list("start", flat=True).first()

    def trim_sightings(self, before: int, limit: int) -> int:
        with store() as alias:
            old = Sighting.objects.using(alias).filter(start__lt=before)
            ids = list(old.order_by("start").values_list("id", flat=True)[:limit])
            for chunk in chunks(ids):
                delete(Sighting.objects.using(alias).filter(id__in=chunk))
            return len(ids)

    def findings(
        self, ids: Sequence[str] | None = None, states: Sequence[str] | None = None, since: int | None = None
    ) -> list[StoredFinding]:
        found: list[StoredFinding] = []
        with store() as alias:
            for chunk in [None] if ids is None else chunks(ids):
                chosen = Finding.objects.using(alias).all()
                if chunk is not None:
                    chosen = chosen.filter(id__in=chunk)
                if states is not None:
                    chosen = chosen.filter(state__in=states)
                if since is not None:
                    chosen = chosen.filter(last_seen__gte=since)
                found += [StoredFinding(*row) for row in chosen.values_list(*StoredFinding._fields)]
        return found

    def move_finding(self, old: StoredFinding | None, new: StoredFinding) -> bool:
        with store() as alias:
            if old is None:
                return insert_if_absent(alias, Finding(**new._asdict()))
            held = Finding.objects.using(alias).filter(
                id=old.id, merged_to=old.merged_to, state=old.state, state_at=old.state_at
            )
            changed = {
                name: value
                for name, value in new._asdict().items()
                if name != "id" and value != getattr(old, name)
            }
            return not changed or held.update(**changed) == 1

    def trim_findings(self, state: str, before: int, limit: int) -> int:
        with store() as alias:
            old = Finding.objects.using(alias).filter(state=state, last_seen__lt=before)
            ids = list(old.order_by("last_seen").values_list("id", flat=True)[:limit])
            for chunk in chunks(ids):
                # Not one that has come back since it was looked for.
                delete(Finding.objects.using(alias).filter(id__in=chunk, state=state))
            return len(ids)

    def append_exemplars(self, rows: Sequence[StoredExemplar], again: bool = False) -> None:
        append([Exemplar(*row) for row in rows], again)  # type: ignore[misc] # positional: the fields have the same order

    def exemplars(self, *series: str) -> list[StoredExemplar]:
        with store() as alias:
            chosen = Exemplar.objects.using(alias).filter(series__in=series)
            return [StoredExemplar(*row) for row in chosen.values_list(*StoredExemplar._fields)]

    def trim_exemplars(self, before: int, slowest: int, recent: int) -> int:
        with store() as alias:
            old = list(
                Exemplar.objects.using(alias).filter(at__lt=before).values_list("id", flat=True)[:TRIM_ROWS]
            )
            counted = Exemplar.objects.using(alias).values("series").annotate(n=Count("id")).order_by()
            many = [series for series, n in counted.values_list("series", "n") if n > slowest + recent]
            for chunk in chunks(many):
                kept: dict[str, list[tuple[float, int, object]]] = {}
                rows = Exemplar.objects.using(alias).filter(series__in=chunk)
                for series, value, at, key in rows.values_list("series", "value", "at", "id"):
                    kept.setdefault(series, []).append((value, at, key))
                for of_series in kept.values():
                    old += _superfluous(of_series, slowest, recent)
            gone = list(dict.fromkeys(old))
            for ids in chunks(gone):
                delete(Exemplar.objects.using(alias).filter(id__in=ids))
            return len(gone)


def _superfluous(rows: list[tuple[float, int, object]], slowest: int, recent: int) -> list[object]:
    by_value = sorted(rows, key=lambda row: (row[0], row[1]), reverse=True)
    by_time = sorted(rows, key=lambda row: row[1], reverse=True)
    kept = {row[2] for row in by_value[:slowest]} | {row[2] for row in by_time[:recent]}
    return [row[2] for row in rows if row[2] not in kept]
