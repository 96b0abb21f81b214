"""A queryset whose changes in bulk, which send no signals, invalidate as ``PERFSUITE["CACHING"]["INVALIDATE"]`` says.

``objects = InvalidatingQuerySet.as_manager()``. The surprising rule: ``update`` first reads, in one statement, the fields that
the templates need of the rows that it is about to change; without such fields, and for all else, there is no further statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from django.db import models

from perfsuite.caching import invalidation, rules
from perfsuite.caching.templates import MISSING

M = TypeVar("M", bound=models.Model)

# An update of more rows than this invalidates the tags of data classes that have no field, without reading further.
MAX_ROWS = 1_000


class InvalidatingQuerySet(models.QuerySet[M]):
    """Changes in bulk invalidate when they are committed; ``delete`` does so by the signals that it sends."""

    def update(self, **kwargs: Any) -> int:
        """Change the rows, and invalidate by what they were before and by what they are now."""
        self._for_write = True  # read them where they are changed
        before = self._rows_before()
        changed = super().update(**kwargs)
        if before:
            new = _attributes(self.model, kwargs)
            lookups = [rules.of_values(self.model, row) for row in before]
            lookups += [rules.of_values(self.model, {**row, **new}) for row in before]
            invalidation.invalidate_rows(self.model, lookups, self.db)
        return changed

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:
        """Insert the objects and invalidate by them."""
        made = super().bulk_create(objs, *args, **kwargs)
        self._changed(made)
        return made

    def bulk_update(self, objs: Iterable[M], fields: Iterable[str], *args: Any, **kwargs: Any) -> int:
        """Write fields of the objects, and invalidate by what they were when they were loaded and by what they are now."""
        objects = list(objs)
        self._for_write = True
        # Not by this class's own update, which would read the rows that are known here.
        plain: models.QuerySet[M] = models.QuerySet(self.model, self.query.chain(), self.db)
        changed = plain.bulk_update(objects, list(fields), *args, **kwargs)
        self._changed(objects)
        return changed or 0  # None before Django 4.0

    def _changed(self, objects: Sequence[M]) -> None:
        lookups = []
        for each in objects:
            lookups.append(rules.of_instance(each))
            if before := invalidation.remembered(each):
                lookups.append(rules.of_instance(each, before))
        invalidation.invalidate_rows(self.model, lookups, self.db)

    def _rows_before(self) -> list[dict[str, Any]]:
        """Return what the templates need of the rows, each combination once; one row of unknowns where they are too many."""
        try:
            return self._read_before()
        except Exception as exc:  # noqa: BLE001 - the update must not fail by this
            invalidation.guard.failed(exc)
            return [{}]

    def _read_before(self) -> list[dict[str, Any]]:
        found = invalidation.rules_of(self.model)
        names = {
            field.attname: None
            for rule in found
            for target in rule.targets
            for path in target.paths
            if (field := rules.column(self.model, path.partition(".")[0])) is not None
        }
        if not names:
            return [{}] if found else []
        reading = self.order_by()
        reading.query.select_for_update = False  # not together with DISTINCT
        rows = list(reading.values(*names).distinct()[: MAX_ROWS + 1])
        return rows if len(rows) <= MAX_ROWS else [{}]


def _attributes(model: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Return what an update sets, by attribute; an expression is not known."""
    found = {}
    for name, value in values.items():
        field = rules.column(model, name)
        if field is not None:
            is_known = not hasattr(value, "resolve_expression")
            found[field.attname] = getattr(value, "pk", value) if is_known else MISSING
    return found


InvalidatingManager = models.Manager.from_queryset(InvalidatingQuerySet)
