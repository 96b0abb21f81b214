"""What to change about a repeated statement: from its table and columns, and its call site, to the model, the field and the call.

The statement tells which table is read by which column. The call site tells what SQL cannot: that ``book.editor`` was read and
not ``book.author``, whose statements are the same. Reads the app registry; no database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from django.apps import apps
from django.db.models import Field, Model

from perfsuite.queries.callsite import MAKING
from perfsuite.queries.fingerprint import Shape
from perfsuite.queries.repeats import CHATTY, READS, Found, Site, written_table

Column = tuple[str, str]


@dataclass(frozen=True)
class Advice:
    """What to do: ``about`` is the model and field, ``shop.Book.author``, or a table of no model's; ``code`` is what to write."""

    about: str
    code: str
    sentence: str


class Reading(NamedTuple):
    """What a statement reads: its table, the columns that a value is compared with, how many conditions, and what it computes."""

    table: str
    columns: tuple[Column, ...]
    conditions: int
    computes: str
    computed: str


def advise(found: Found) -> Advice:
    """Return what to do about a finding."""
    if found.kind == CHATTY:
        return Advice(
            "",
            "fewer statements",
            f"This request ran {found.count} different statements; it should need fewer.",
        )
    return _advice(found.kind, found.shape, found.site)


@lru_cache(maxsize=1_000)
def _advice(kind: str, shape: Shape, site: Site) -> Advice:
    about, code = _about(kind, shape, site)
    return Advice(about, code, _sentence(kind, about, code))


def _about(kind: str, shape: Shape, site: Site) -> tuple[str, str]:
    if kind == "duplicate":
        if site.relation and not site.by:  # of different rows that refer to the same one
            return site.relation, _code_of_field(site)
        return label_of(reading_of(shape).table), "hoist or cache"
    if shape.operation not in READS:
        return label_of(written_table(shape)), _code_of_writes(shape)
    if site.relation:
        return site.relation, _code_of_field(site)
    reading = reading_of(shape)
    if site.one_owner:
        reading, site = _without_owner(reading, site.owner), site._replace(owner="")
    elif site.fixed and (not site.owner or site.act in MAKING):
        reading = _without_fixed(reading, site.fixed)
    act = reading.computes or (site.act if site.act in ("count", "exists", "aggregate") else "")
    model = models().get(reading.table)
    by_generic = model is not None and _generic_field(reading, model) and not _generic_sources(model, reading)
    is_plain = site.by != "raw" and site.act not in MAKING and not by_generic
    if is_plain and (related := _relation(reading, model, site.owner)):
        label, accessor, name, own = related
        return f"{label}.{accessor}", _code_of_relation(accessor, name, act, reading, own)
    return _code_of_lookup(reading, model, act, site)


def _code_of_writes(shape: Shape) -> str:
    operation = shape.operation.upper()
    if operation in ("INSERT", "REPLACE"):
        return "bulk_create()"
    return "filter(pk__in=[...]).delete()" if operation == "DELETE" else "bulk_update()"


def _code_of_field(site: Site) -> str:
    name = site.relation.rpartition(".")[2]
    if site.by == "deferred":
        return f'leave "{name}" out of defer()'
    return f'prefetch_related("{name}")' if site.by == "generic" else f'select_related("{name}")'


def _code_of_relation(accessor: str, name: str, act: str, reading: Reading, own: int) -> str:
    """Return how the rows of a relation come with those they belong to; ``own`` conditions are the relation's.

    What is computed names the relation as filters do, which is another name where it has no ``related_name``.
    """
    if act == "count":
        return f'annotate(Count("{name}"))'
    if act == "exists":
        return "annotate(Exists(...))"
    if act in ("sum", "avg", "min", "max"):
        return f'annotate({act.capitalize()}("{name}__{reading.computed}"))'
    if act == "aggregate":
        return f'annotate(...("{name}"))'
    if reading.conditions > own:
        return f'prefetch_related(Prefetch("{accessor}", queryset=...))'
    return f'prefetch_related("{accessor}")'


def _code_of_lookup(reading: Reading, model: type[Model] | None, act: str, site: Site) -> tuple[str, str]:
    column = next((each[1] for each in reading.columns if each[0] == reading.table), "")
    if model is not None and (field := _generic_field(reading, model)):
        return f"{model._meta.label}.{field.name}", f"filter({field.fk_field}__in=[...])"
    if model is None:
        return ".".join(filter(None, (reading.table, column))), f"WHERE {column or '...'} IN (...)"
    field = _field_of(model, column)
    name = field.name if field is not None else column
    about = ".".join(filter(None, (model._meta.label, name)))
    if site.by == "raw":
        return about, f"WHERE {column or '...'} IN (...)"
    if act == "count":
        shown = f'"{name}"' if name else "..."
        return about, f'values({shown}).annotate(Count("pk"))'
    if field is not None and field.primary_key:
        return about, "in_bulk()"
    return about, f"filter({name or '...'}__in=[...])"


_SENTENCES = {
    "select_related": "{about} is read row by row: add .{code} to the queryset that the loop goes over.",
    "prefetch_related": "{about} is read row by row: add .{code} to the queryset that the loop goes over.",
    "annotate": "{about} is computed row by row: add .{code} to the queryset that the loop goes over.",
    "leave": "The deferred field {about} is loaded row by row: {code}, or name it in only().",
    "in_bulk": "{about} is looked up row by row: fetch all rows before the loop with {code}.",
    "filter": "{about} is looked up row by row: do it once for all, with {code}.",
    "values": "{about} is counted value by value: count all of them at once with {code}.",
    "WHERE": "{about} is looked up row by row: do it in one statement, with {code}.",
    "bulk_create": "Rows of {about} are inserted one by one: collect them and insert them with {code}.",
    "bulk_update": "Rows of {about} are updated one by one: use one update(), or {code}.",
}


def _sentence(kind: str, about: str, code: str) -> str:
    about = about or "The database"
    if kind == "duplicate" and code.startswith("select_related"):
        return f"{about} is read for each row, the same each time: add .{code} to the queryset of these rows, or read it once."
    if kind == "duplicate":
        return f"{about} is read again with the same parameters: read it once and pass it on, or cache it."
    return _SENTENCES[re.split(r"[ (]", code, maxsplit=1)[0]].format(about=about, code=code)


# From tables and columns to models and fields


@lru_cache(maxsize=1)
def models() -> dict[str, type[Model]]:
    """Return the models by their tables."""
    made: dict[str, type[Model]] = {}
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.proxy:
            made.setdefault(model._meta.db_table, model)
    return made


def label_of(table: str) -> str:
    """Return the label of a table's model, else the table."""
    model = models().get(table)
    return model._meta.label if model is not None else table


def _field_of(model: type[Model], column: str) -> Field[Any, Any] | None:
    return next(
        (field for field in model._meta.concrete_fields if column in (field.column, field.attname)), None
    )


def _relation(reading: Reading, model: type[Model] | None, owner: str) -> tuple[str, str, str, int] | None:
    """Return the model of the relation whose rows are read, its names as an attribute and in filters, and how many conditions are
    the relation's own."""
    if model is None:
        return None
    for source in (*_generic_sources(model, reading), *_sources(reading, owner)):
        fields = sorted(source._meta.get_fields(), key=lambda field: bool(field.many_to_many))
        for field in fields:
            own = _conditions_of(field, model, reading)
            if own:
                accessor = field.get_accessor_name() if hasattr(field, "get_accessor_name") else field.name
                if accessor and not str(accessor).endswith("+"):
                    return source._meta.label, str(accessor), field.name, own
    return None


def _without_owner(reading: Reading, owner: str) -> Reading:
    """Return what is compared beside the owner, which is the same row each time: the repetitions go over something else.

    The manager's own condition is the first one, where two keys lead to its model.
    """
    columns, found = [], False
    for table, column in reading.columns:
        model = models().get(table)
        field = _field_of(model, column) if model is not None else None
        related = getattr(field, "related_model", None)
        is_owner = related is not None and not isinstance(related, str) and related._meta.label == owner
        if found or not is_owner:
            columns.append((table, column))
        found = found or is_owner
    return reading._replace(columns=tuple(columns))


def _without_fixed(reading: Reading, fixed: tuple[str, ...]) -> Reading:
    """Return what is compared with other values each time, as far as that is known."""
    columns = tuple(each for each in reading.columns if ".".join(each) not in fixed)
    return reading._replace(columns=columns) if columns else reading


def _column(model: type[Model], name: str) -> str:
    return str(getattr(model._meta.get_field(name), "column", ""))


def _generic_field(reading: Reading, model: type[Model]) -> Any:
    """Return the generic foreign key both of whose columns are compared: the rows of one object of any model are read."""
    columns = [column for table, column in reading.columns if table == reading.table]
    for field in model._meta.private_fields:
        if hasattr(field, "fk_field") and field.related_model is None:
            parts = (_column(model, name) for name in (field.ct_field, field.fk_field))
            if all(part in columns for part in parts):
                return field
    return None


def _generic_sources(model: type[Model], reading: Reading) -> list[type[Model]]:
    """Return the model that has a generic relation to this one, which its statements do not tell, if only one has."""
    found = [
        other
        for other in models().values()
        for field in other._meta.private_fields
        if field.one_to_many and field.related_model is model and _conditions_of(field, model, reading)
    ]
    return found if len(found) == 1 else []


def _sources(reading: Reading, owner: str) -> Iterator[type[Model]]:
    """Yield the models where the relation may start: that of the row whose manager is asked, else all that are compared with."""
    if owner:
        try:
            yield apps.get_model(owner)
        except (LookupError, ValueError):
            return
        return
    for table, column in reading.columns:
        model = models().get(table)
        field = _field_of(model, column) if model is not None else None
        if field is not None and field.related_model is not None and not isinstance(field.related_model, str):
            yield field.related_model


def _conditions_of(field: Any, model: type[Model], reading: Reading) -> int:
    """Return how many conditions a relation has if it leads to the model by the compared columns, else 0."""
    target = field.related_model
    if target is None or isinstance(target, str):
        return 0
    columns = reading.columns
    if field.many_to_many:
        forward = field.field if field.auto_created else field
        through = (field.through if field.auto_created else field.remote_field.through)._meta.db_table
        column = forward.m2m_reverse_name() if field.auto_created else forward.m2m_column_name()
        return int((through, column) in columns and reading.table in (target._meta.db_table, through))
    if target._meta.db_table != reading.table:
        return 0
    if field.one_to_many and field.auto_created:
        return int((reading.table, field.field.column) in columns)
    if field.one_to_many and hasattr(field, "object_id_field_name"):
        return 2 * int((reading.table, _column(model, field.object_id_field_name)) in columns)
    return 0


# From a statement to tables and columns

_FROM = re.compile(r"""\bFROM ["`]?([\w.]+)["`]?""", re.IGNORECASE)
_TABLES = re.compile(
    r"""\b(?:FROM|JOIN) ["`]?([\w.]+)["`]?(?: (?:AS )?["`]?([TUVW]\d+)["`]?)?""", re.IGNORECASE
)
_WHERE = re.compile(r" WHERE (.*?)(?: ORDER BY | GROUP BY | LIMIT |\Z)", re.IGNORECASE)
_COMPARED = re.compile(r"""(?:["`]?(\w+)["`]?\.)?["`]?(\w+)["`]?(?:::\w+)? (?:= \(?\?|IN \()""")
_OPERATOR = re.compile(r" AND | OR |\bNOT ", re.IGNORECASE)
_AGGREGATE = re.compile(
    r"""SELECT (COUNT|SUM|AVG|MIN|MAX)\((?:DISTINCT )?(?:["`]?\w+["`]?\.)?["`]?(\w*)""", re.IGNORECASE
)
_EXISTS = re.compile(r"SELECT (?:TOP )?(?:\?|\(\?\)) AS ", re.IGNORECASE)
_OPERATORS = re.compile(
    r"\$(?:expr|and|or|nor|not|eq|ne|gte?|lte?|in|nin|exists|regex|regexMatch|elemMatch|type|size|cond|ifNull)|…"
)
_NAMED_BY_WITH = re.compile(
    r"""(?:\bWITH|\bRECURSIVE|,) ["`]?(\w+)["`]?(?: ?\([^()]*\))? AS \(""", re.IGNORECASE
)
_BRACES = re.compile(r"(?<!sort)\{([^{}]*)\}")


@lru_cache(maxsize=1_000)
def reading_of(shape: Shape) -> Reading:
    """Return what a statement reads, as far as its text tells."""
    text = shape.fingerprint
    if not shape.operation.isupper():
        return _reading_of_command(text)
    text = text.split(" → ", 1)[0]  # djongo's SQL, before what became of it
    found = _FROM.search(text)
    table = found.group(1) if found else ""
    if table in _NAMED_BY_WITH.findall(text):
        table = ""
    names = {alias or name: name for name, alias in _TABLES.findall(text)}
    where = _WHERE.search(text)
    condition = where.group(1) if where else ""
    columns = tuple(
        (names.get(owner, owner) or table, column) for owner, column in _COMPARED.findall(condition)
    )
    computed = _AGGREGATE.match(text)
    computes = "exists" if _EXISTS.match(text) else computed.group(1).lower() if computed else ""
    return Reading(
        table,
        columns,
        len(_OPERATOR.findall(condition)) + bool(condition),
        computes,
        computed.group(2) if computed else "",
    )


def _reading_of_command(text: str) -> Reading:
    table = text.split(".")[1] if text.count(".") > 1 else ""
    keys = _BRACES.search(text)
    paths = keys.group(1).split(", ") if keys and keys.group(1) else []
    columns = []
    for path in paths:
        parts = [part.lstrip("$") for part in path.split(".") if not _OPERATORS.fullmatch(part)]
        if len(parts) > 1 and parts[0] in models():  # joined by $lookup
            columns.append((parts[0], parts[1]))
        elif parts:
            columns.append((table, parts[0] if parts[0] != "_id" else _key_column(table)))
    return Reading(table, tuple(columns), len(paths), "", "")


def _key_column(table: str) -> str:
    """Return the column of a collection's key; django-mongodb-backend keeps it as ``_id``."""
    model = models().get(table)
    return _column(model, model._meta.pk.name) if model is not None and model._meta.pk is not None else "_id"
