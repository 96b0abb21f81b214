"""What the host has declared: ``PERFSUITE["QUERIES"]["TENANT_OWNED"]``, and models with ``perfsuite_tenant = "field"``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

from perfsuite.queries.tenant_guard.schema import Owned, Schema

ATTRIBUTE = "perfsuite_tenant"


@dataclass(frozen=True)
class Problem:
    """What cannot be meant in a declaration: the check's id, what is so, and what to type."""

    id: str
    message: str
    hint: str


@dataclass
class Declaration:
    """The tables that belong to tenants, and of each declared model the attribute that holds the tenant's key."""

    schema: Schema
    attributes: Mapping[type[Model], str]
    problems: list[Problem] = field(default_factory=list)


class _Reader:
    def __init__(self) -> None:
        self.owned: dict[str, Owned] = {}
        self.tenants: dict[str, frozenset[str]] = {}
        self.attributes: dict[type[Model], str] = {}
        self.problems: list[Problem] = []
        self.without: set[type[Model]] = set()

    def read(self, name: str, value: object) -> None:
        """Read one entry of ``TENANT_OWNED``."""
        where = f"PERFSUITE['QUERIES']['TENANT_OWNED'][{name!r}]"
        if value is not None and not (isinstance(value, str) and value):
            hint = "Write the name of the field or column that says whose a row is, or None for none."
            self.problems.append(
                Problem(
                    id="perfsuite_queries.E010",
                    message=f"{where} is {value!r}, not the name of a field.",
                    hint=hint,
                )
            )
        elif "." in name:
            self._read_model(where, name, value)
        elif value is not None:
            self._read_table(where, name, str(value))

    def _read_model(self, where: str, label: str, value: object) -> None:
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError):
            known = {model._meta.label.lower(): model._meta.label for model in apps.get_models()}
            message = f"{where} names a model that does not exist."
            self.problems.append(
                Problem(id="perfsuite_queries.E010", message=message, hint=_did_you_mean(label, known))
            )
            return
        if value is None:
            self.without.add(model._meta.concrete_model or model)
        else:
            self.add(where, model, str(value))

    def _read_table(self, where: str, table: str, column: str) -> None:
        known = {
            model._meta.db_table.lower(): model._meta.db_table
            for model in apps.get_models(include_auto_created=True)
        }
        close = difflib.get_close_matches(table.lower(), list(known), n=1, cutoff=0.85)
        if table.lower() not in known and close:
            message = f"{where} names a table of no model, and {known[close[0]]!r} is one."
            hint = f"Did you mean {known[close[0]]!r}? If the table is right, silence this check."
            self.problems.append(Problem(id="perfsuite_queries.W010", message=message, hint=hint))
        self.owned[table.lower()] = Owned(table.lower(), column.lower(), column)

    def add(self, where: str, model: type[Model], path: str) -> None:
        """Declare a model by the field that names its tenant, or by the path to one."""
        meta = model._meta
        first, _, further = path.partition("__")
        try:
            named = meta.pk if path == "pk" else meta.get_field(first)
        except FieldDoesNotExist:
            known = {each.name: each.name for each in meta.get_fields() if hasattr(each, "attname")}
            message = f"{where} is {path!r}, but {meta.label} has no field {first!r}."
            self.problems.append(
                Problem(id="perfsuite_queries.E010", message=message, hint=_did_you_mean(first, known))
            )
            return
        column = getattr(named, "column", None)
        if not column:
            hint = "Write the name of a field that is a column of the model's table."
            self.problems.append(
                Problem(
                    id="perfsuite_queries.E010",
                    message=f"{where} is {path!r}, which is no column.",
                    hint=hint,
                )
            )
            return
        holder = named.model._meta  # of a field that is inherited, the parent
        concrete = meta.concrete_model or model
        self.attributes[concrete] = "" if further else str(getattr(named, "attname", ""))
        if holder.db_table != meta.db_table or further:
            self._own(meta.db_table, "", path)
        if not further:
            self._own(holder.db_table, column, path if named.is_relation else column)
            target = getattr(named.remote_field, "model", None)
            if target is not None:
                unique = (each.column for each in target._meta.concrete_fields if each.unique and each.column)
                self.tenants[target._meta.db_table.lower()] = frozenset(name.lower() for name in unique)

    def _own(self, table: str, column: str, shown: str) -> None:
        self.owned[table.lower()] = Owned(table.lower(), column.lower(), column or shown)


def read_declaration(entries: Mapping[str, Any]) -> Declaration:
    """Return what is declared; entries that cannot be meant are left out, and among the problems. Django must be set up."""
    reader = _Reader()
    for name, value in entries.items():
        reader.read(str(name), value)
    for model, path in _by_attribute():
        concrete = model._meta.concrete_model or model
        if concrete not in reader.attributes and concrete not in reader.without:
            reader.add(f"{model._meta.label}.{ATTRIBUTE}", model, path)
    keys = {}
    for model in apps.get_models(include_auto_created=True):
        key = getattr(model._meta.pk, "column", None)
        keys[model._meta.db_table.lower()] = frozenset([key.lower()] if key else [])
    return Declaration(Schema(reader.owned, reader.tenants, keys), reader.attributes, reader.problems)


def _by_attribute() -> Iterator[tuple[type[Model], str]]:
    for model in apps.get_models():
        path = getattr(model, ATTRIBUTE, None)
        if isinstance(path, str) and path and not model._meta.proxy:
            yield model, path


def _did_you_mean(word: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.5)
    return (
        f"Did you mean {known[close[0]]!r}?" if close else f"Known are: {', '.join(sorted(known.values()))}."
    )
