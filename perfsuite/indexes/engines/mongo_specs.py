"""Indexes as MongoDB writes them, to and from definitions. Uses no driver."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

from perfsuite.indexes.compare import CONSTRAINT, Column, Definition, Present
from perfsuite.indexes.errors import DeclarationError
from perfsuite.indexes.resolve import Resolved
from perfsuite.indexes.spec import Index

_KEYS = ("_id_", "__primary_key__")  # the server's, and djongo's
_ORDERS = {"asc": 1, "desc": -1}
_LOCALE = re.compile(r"simple$|[a-z]{2,3}(?:[_@]|$)")
# A server completes a collation with these; what differs by locale is told by the server alone.
_COLLATION_DEFAULTS = {
    "caseLevel": False, "caseFirst": "off", "strength": 3, "numericOrdering": False, "alternate": "non-ignorable",
    "maxVariable": "punct", "normalization": False, "backwards": False,
}  # fmt: skip


def specification(resolved: Resolved, connection: Any) -> tuple[dict[str, Any], str]:
    """Return an index as ``createIndexes`` takes it, and what is to be said of it."""
    index, columns = resolved.index, resolved.columns
    key: dict[str, Any] = {
        f"{each.function}({columns[each.field]})" if each.function else columns[each.field]: _ORDERS.get(
            each.order, each.order
        )
        for each in index.keys
    }
    note = ""
    if index.include and not index.unique:
        key.update({columns[name]: 1 for name in index.include})
        note = "MongoDB has no include: these fields follow the keys"
    spec: dict[str, Any] = {"key": key, "name": resolved.name}
    if index.unique:
        spec["unique"] = True
    if index.sparse:
        spec["sparse"] = True
    if index.where:
        spec["partialFilterExpression"] = _filter(resolved, connection)
    if index.expire_after_s is not None:
        spec["expireAfterSeconds"] = index.expire_after_s
    if collation := _collation(index):
        spec["collation"] = collation
    if index.kind == "text":
        spec["default_language"] = index.language
    return spec, note


def definition(spec: Mapping[str, Any]) -> Definition:
    """Return what an index does, from what ``createIndexes`` takes or ``listIndexes`` returns."""
    where = "sparse" if spec.get("sparse") else ""
    if "partialFilterExpression" in spec:
        where = _as_text(_plain_equality(spec["partialFilterExpression"]))
    options = []
    if "expireAfterSeconds" in spec:
        options.append(("expire_after_s", str(int(spec["expireAfterSeconds"]))))
    columns = _columns(spec)
    if any(column.order == "text" for column in columns):
        if (language := spec.get("default_language", "english")) != "english":
            options.append(("language", language))
        weights = {name: weight for name, weight in spec.get("weights", {}).items() if weight != 1}
        if weights:
            options.append(("weights", _as_text(weights)))
    collation = {
        name: value
        for name, value in spec.get("collation", {}).items()
        if name != "version" and _COLLATION_DEFAULTS.get(name) != value
    }
    return Definition(
        columns,
        bool(spec.get("unique")),
        where=where,
        collation=_as_text(collation) if collation else "",
        options=tuple(options),
    )


def present(table: str, document: Mapping[str, Any], size: int | None, accesses: Any) -> Present:
    """Return an index that is there, from what ``listIndexes``, ``collStats`` and ``$indexStats`` say of it."""
    return Present(
        table=table,
        name=document["name"],
        definition=definition(document),
        owner=CONSTRAINT if document["name"] in _KEYS else "",
        hidden=bool(document.get("hidden")),
        size=size,
        uses=int(accesses["ops"]) if accesses else None,
        since=accesses["since"] if accesses else None,
    )


def in_mongosh(table: str, spec: Mapping[str, Any]) -> str:
    """Return the line that one would type."""
    options = {name: value for name, value in spec.items() if name != "key"}
    return f"db.getCollection({json.dumps(table)}).createIndex({_typed(spec['key'])}, {_typed(options)})"


def cannot(index: Index) -> str:  # noqa: PLR0911 - one sentence each
    """Return what of the declaration MongoDB does not have, or the empty string."""
    if any(key.function for key in index.keys):
        return (
            "MongoDB has no index on an expression; keep the value in a field of its own, or for lower() give the "
            "index the collation {'locale': 'en', 'strength': 2}"
        )
    if index.kind == "gin":
        return "MongoDB has no GIN index; one without kind covers each element of an array"
    if index.include and index.unique:
        return "MongoDB has no include, and fields behind the keys would change what is unique"
    if index.opclass:
        return "MongoDB has no operator classes"
    if index.collation and not _collation(index):
        return (
            "the collation is another database's; add 'mongodb' to it, such as {'mongodb': {'locale': 'en'}}"
        )
    if not _LOCALE.match(str(_collation(index).get("locale", "simple"))):
        return (
            f"{index.collation!r} is no locale of MongoDB; write 'en', or {{'mongodb': {{'locale': 'en'}}}}"
        )
    if _collation(index) and index.kind in ("text", "hashed"):
        return f"a {index.kind} index of MongoDB takes no collation"
    for each in index.where:
        if each.operator == "$ne" or (each.operator == "$exists" and not each.value):
            return f"the filter of a partial index of MongoDB knows no {each.operator}: {each.value!r}"
    return ""


def _columns(spec: Mapping[str, Any]) -> tuple[Column, ...]:
    columns: list[Column] = []
    for name, direction in spec["key"].items():
        if name == "_fts":  # what the server keeps of the text fields, which stand in the weights
            columns += [Column(each, "text") for each in sorted(spec["weights"])]
        elif name != "_ftsx":
            number = isinstance(direction, (int, float))
            columns.append(Column(name, ("asc" if direction > 0 else "desc") if number else str(direction)))
    texts = sorted((each for each in columns if each.order == "text"), key=lambda each: each.name)
    return tuple(texts.pop(0) if each.order == "text" else each for each in columns)


def _filter(resolved: Resolved, connection: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in resolved.index.where:
        tests = found.setdefault(resolved.columns[each.field], {})
        values = [_value(resolved, each.field, one, connection) for one in _as_tuple(each.value)]
        tests[each.operator] = values if isinstance(each.value, tuple) else values[0]
    return {field: _simple(tests) for field, tests in found.items()}


def _value(resolved: Resolved, name: str, value: Any, connection: Any) -> Any:
    """Return a value as the field stores it."""
    field = resolved.fields.get(name)
    if field is None or value is None or isinstance(value, bool) or "." in name:
        return value
    field = field.target_field if field.is_relation else field
    try:
        value = field.to_python(value)
        return (
            field.get_prep_value(value) if connection is None else field.get_db_prep_value(value, connection)
        )
    except Exception as exc:
        raise DeclarationError(
            f"{resolved.source} compares {name!r} in where with {value!r}, which is no value of it: {exc}."
        ) from exc


def _collation(index: Index) -> dict[str, Any]:
    given = index.collation
    if isinstance(given, Mapping) and "locale" not in given:
        given = given.get("mongodb", {})
    return {"locale": given} if given and isinstance(given, str) else dict(given or {})


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _simple(tests: dict[str, Any]) -> Any:
    return tests["$eq"] if set(tests) == {"$eq"} else tests


def _plain_equality(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        field: _simple(dict(tests)) if isinstance(tests, Mapping) else tests for field, tests in given.items()
    }


def _as_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=_stored)


def _stored(value: Any) -> str:
    """Return a value that JSON does not know as text; a time as the server keeps it: in UTC, to the millisecond."""
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return aware.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return str(value)


def _typed(value: Any) -> str:
    return json.dumps(value, default=_stored)
