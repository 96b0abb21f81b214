"""Which of the indexes that are there belong to Django's migrations: those are never touched.

Names that a model gives are compared as they are. Those that Django makes up end in a hash; such an index belongs to the model
that would have one on the same columns.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from django.apps import apps

from perfsuite.indexes.compare import DJANGO, Present

# Django's own: columns, a hash of eight digits, and what for.
_MADE_UP = re.compile(r"_[0-9a-f]{8}(_like|_uniq|_idx|_pk|_fk.*)?$|__unique|_uniq$")


def owner_of(found: list[Present]) -> list[Present]:
    """Return the indexes with those marked ``django`` that migrations of the installed models make."""
    names, columns = _of_models()
    marked = []
    for each in found:
        if not each.owner and _is_djangos(each, names, columns):
            marked.append(replace(each, owner=DJANGO))
        else:
            marked.append(each)
    return marked


def declared_in_models() -> dict[str, set[tuple[str, ...]]]:
    """Return the column lists that models have indexed or unique, by table."""
    return _of_models()[1]


def _is_djangos(
    present: Present, names: set[tuple[str, str]], columns: dict[str, set[tuple[str, ...]]]
) -> bool:
    if (present.table, present.name) in names:
        return True
    on = tuple(column.name for column in present.definition.columns)
    if on not in columns.get(present.table, set()):
        return False
    # djongo leaves the name of a unique one to the server: email_1.
    return present.definition.unique or bool(_MADE_UP.search(present.name))


def _of_models() -> tuple[set[tuple[str, str]], dict[str, set[tuple[str, ...]]]]:
    names: set[tuple[str, str]] = set()
    columns: dict[str, set[tuple[str, ...]]] = {}
    for model in apps.get_models(include_auto_created=True):
        meta: Any = model._meta
        on = columns.setdefault(meta.db_table, set())
        names |= {(meta.db_table, each.name) for each in (*meta.indexes, *meta.constraints)}
        on |= {(field.column,) for field in meta.local_fields if field.db_index or field.unique}
        together = [*meta.unique_together, *getattr(meta, "index_together", ())]
        together += [
            each.fields for each in (*meta.indexes, *meta.constraints) if getattr(each, "fields", ())
        ]
        for group in together:
            on.add(tuple(meta.get_field(name.lstrip("-")).column for name in group))
    return names, columns
