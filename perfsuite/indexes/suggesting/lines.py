"""The lines that make an index: for an app's ``indexes.py``, for a model's ``Meta``, and for mongosh."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Model

from perfsuite.indexes.suggesting.figures import Keys
from perfsuite.queries.advice import models


def label_of(table: str) -> str:
    """Return the label of a table's model, or the empty string."""
    model = models().get(table)
    return str(model._meta.label) if model is not None and not model._meta.auto_created else ""


def register_line(table: str, keys: Keys) -> str:
    """Return the declaration for an app's ``indexes.py``."""
    label = label_of(table)
    target = json.dumps(label or table) if label or "." not in table else f"Table({json.dumps(table)})"
    names = ", ".join(json.dumps(each) for each in _fields(table, keys))
    return f"register({target}, Index({names}))"


def meta_line(table: str, keys: Keys) -> str:
    """Return the entry of the model's ``Meta.indexes``; empty for a table without a model, and for paths into documents."""
    if not label_of(table) or any("." in key.column for key in keys):
        return ""
    names = ", ".join(json.dumps(each) for each in _fields(table, keys))
    return f"models.Index(fields=[{names}])"


def mongosh_line(table: str, keys: Keys) -> str:
    """Return the statement for MongoDB's shell."""
    place = f"db.{table}" if table.isidentifier() else f"db.getCollection({json.dumps(table)})"
    spec = {key.column: -1 if key.descends else 1 for key in keys}
    return f"{place}.createIndex({json.dumps(spec)})"


def field_of(table: str, column: str) -> str:
    """Return a column as a declaration names it."""
    return _field(models().get(table), column)


def _fields(table: str, keys: Keys) -> list[str]:
    """Return the keys as a declaration names them: fields of the model, where there is one."""
    model = models().get(table)
    return [f"{'-' if key.descends else ''}{_field(model, key.column)}" for key in keys]


def _field(model: type[Model] | None, column: str) -> str:
    first, dot, rest = column.partition(".")
    if model is None:
        return column
    fields: list[Any] = list(model._meta.concrete_fields)
    found = next((each for each in fields if each.column == first), None)
    if found is None:
        return "pk" if first == "_id" else column
    return f"{found.name}{dot}{rest}"
