"""From fields to columns: what a declaration means on one database, before that database is asked anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, models, router

from perfsuite.indexes.databases import aliases
from perfsuite.indexes.errors import DeclarationError, did_you_mean
from perfsuite.indexes.naming import default_name, shortened
from perfsuite.indexes.registry import Declaration, app_of, model_of, target_name
from perfsuite.indexes.spec import Index


@dataclass(frozen=True)
class Resolved:
    """A declaration with its table, its columns by field, and its name, as a database takes it."""

    table: str
    name: str
    index: Index
    columns: Mapping[str, str]
    fields: Mapping[str, Any]  # Django's fields by name; empty for a bare table
    source: str
    app: str


@dataclass(frozen=True)
class Terms:
    """What a database's kind means for declarations: whether it has paths into documents, and how it takes names."""

    documents: bool = False
    name_limit: int | None = None
    names_per_table: bool = False


def resolve(declarations: list[Declaration], alias: str, terms: Terms, app: str = "") -> list[Resolved]:
    """Return what ``alias`` should have, of one ``app`` where given. Raises ``DeclarationError``, a line for each mistake.

    An unknown model or database is a mistake for every alias, an unknown field for those that the declaration is for.
    """
    problems: dict[str, None] = {}
    found: list[Resolved] = []
    for declaration in declarations:
        try:
            _require_database(declaration)
            model = model_of(declaration)
            owner = app_of(declaration)
            if _is_for(declaration, model, alias) and app in ("", owner):
                found.append(_resolved(declaration, model, owner, terms))
        except DeclarationError as exc:
            problems[str(exc)] = None
    if problems:
        raise DeclarationError("\n".join(problems))
    _require_onemeaning(found, terms)
    return found


def _require_database(declaration: Declaration) -> None:
    if declaration.database and declaration.database not in aliases():
        raise DeclarationError(
            f"{declaration.source} registers {target_name(declaration.target)!r} for the database "
            f"{declaration.database!r}, which there is not; {did_you_mean(declaration.database, aliases())}"
        )


def _is_for(declaration: Declaration, model: type[models.Model] | None, alias: str) -> bool:
    if declaration.database:
        return declaration.database == alias
    return router.allow_migrate_model(alias, model) if model else alias == DEFAULT_DB_ALIAS


def _resolved(
    declaration: Declaration,
    model: type[models.Model] | None,
    app: str,
    terms: Terms,
) -> Resolved:
    index = declaration.index
    if model is None:
        table, fields = target_name(declaration.target), {}
        columns = {name: name for name in index.fields}
    else:
        table = model._meta.db_table
        fields = {name: field_of(model, name, declaration, terms.documents) for name in index.fields}
        columns = {name: _column(field, name) for name, field in fields.items()}
    name = shortened(index.name or default_name(table, index, columns), terms.name_limit)
    return Resolved(table, name, index, columns, fields, declaration.source, app)


def field_of(model: type[models.Model], name: str, declaration: Declaration, documents: bool) -> Any:
    """Return the field that ``name`` means: its name, its column's (``tenant_id``), ``pk``, or the first part of a path."""
    first, _, rest = name.partition(".")
    meta = model._meta
    if first == "pk":
        return meta.pk
    by_name: dict[str, Any] = {each.name: each for each in meta.get_fields() if getattr(each, "column", None)}
    field = by_name.get(first) or next((each for each in by_name.values() if each.attname == first), None)
    if field is None:
        known = [name for each in by_name.values() for name in (each.name, each.attname)]
        raise DeclarationError(
            f"{declaration.source} declares an index on {name!r} of {meta.label}, which has no such field; "
            f"{did_you_mean(first, set(known))}"
        )
    if field not in meta.local_fields and field.model._meta.db_table != meta.db_table:
        parent = field.model._meta.label
        raise DeclarationError(
            f"{declaration.source} declares an index on {name!r} of {meta.label}, whose column is in the table of "
            f"{parent}; register it for {parent!r}."
        )
    if rest and not documents:
        raise DeclarationError(
            f"{declaration.source} declares an index on {name!r} of {meta.label}, a path into documents, which only "
            "MongoDB has; register it with database= of a MongoDB database."
        )
    return field


def _column(field: Any, name: str) -> str:
    _, dot, rest = name.partition(".")
    return f"{field.column}{dot}{rest}"


def _require_onemeaning(found: list[Resolved], terms: Terms) -> None:
    """Raise ``DeclarationError`` where one name stands for two indexes."""
    by_name: dict[tuple[str, str], Resolved] = {}
    for each in found:
        other = by_name.setdefault((each.table if terms.names_per_table else "", each.name), each)
        if (other.table, meaning(other)) != (each.table, meaning(each)):
            raise DeclarationError(
                f"Two indexes are declared with the name {each.name!r}, ({other.index}) on {other.table} in "
                f"{other.source} and ({each.index}) on {each.table} in {each.source}; give one another name."
            )


def meaning(resolved: Resolved) -> tuple[Any, ...]:
    """Return what an index does, in which two declarations of the same compare equal, whatever they are called."""
    index = resolved.index
    keys = [(resolved.columns[key.field], key.order, key.function) for key in index.keys]
    where = [(resolved.columns[each.field], each.operator, each.value) for each in index.where]
    options = (
        index.unique,
        index.sparse,
        index.expire_after_s,
        index.collation,
        index.language,
        index.opclass,
    )
    return keys, where, [resolved.columns[name] for name in index.include], options
