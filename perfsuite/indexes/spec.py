"""What an index is, as a host declares it: fields in the notation of MongoDB, and options. Imports no Django.

Nothing here knows a database. A declaration may say what no engine or only one can do; the plan says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from perfsuite.indexes.errors import DeclarationError, did_you_mean

KINDS = ("btree", "text", "hashed", "gin", "ttl")
ORDERS: Mapping[Any, str] = {1: "asc", -1: "desc", "text": "text", "hashed": "hashed", "gin": "gin"}
OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$exists")
MAX_EXPIRE_AFTER_S = 2_147_483_647  # what MongoDB takes

_KEY = re.compile(
    r"(?P<desc>-?)(?:(?P<function>[A-Za-z_]\w*)\((?P<inner>[^()\s]+)\)|(?P<field>[^()\s-][^()\s]*))"
)


@dataclass(frozen=True)
class Key:
    """One field of an index: ``order`` is asc, desc, text, hashed or gin; ``function`` what is applied to it, if anything."""

    field: str
    order: str = "asc"
    function: str = ""

    def __str__(self) -> str:
        name = f"{self.function}({self.field})" if self.function else self.field
        return {"asc": name, "desc": f"-{name}"}.get(self.order, f"{name}: {self.order}")


@dataclass(frozen=True)
class Condition:
    """One part of a partial index's filter; all parts must hold."""

    field: str
    operator: str
    value: Any


@dataclass(frozen=True, init=False)
class Index:
    """Declare an index: ``Index("tenant_id", "-created_at")``, or as a mapping, ``Index({"tenant_id": 1, "created_at": -1})``.

    A name begins with ``-`` to descend, and may be ``function(field)``. The options, each on the engines that have it:

    - ``kind``: ``"text"``, ``"hashed"``, ``"gin"``; ``"ttl"`` is what ``expire_after_s`` makes it.
    - ``where``: a partial index, ``{"status": "new", "amount": {"$gt": 5}}``, with ``$eq $ne $gt $gte $lt $lte $in $exists``.
    - ``sparse``: leave out what has none of the fields.
    - ``include``: fields that the index carries without being ordered by them, so that a query need not go to the table.
    - ``expire_after_s``: seconds after the time in the field at which the server deletes a document.
    - ``collation``: the engine's name for one, or MongoDB's mapping; for several engines ``{"sqlite": ..., "mongodb": ...}``.
    - ``language``: of a text index. ``opclass``: of PostgreSQL, such as ``"gin_trgm_ops"``.
    - ``name``: else it follows from table, fields and options.

    Raises ``DeclarationError``.
    """

    keys: tuple[Key, ...]
    name: str
    kind: str
    unique: bool
    sparse: bool
    where: tuple[Condition, ...]
    include: tuple[str, ...]
    expire_after_s: int | None
    collation: str | Mapping[str, Any]
    language: str
    opclass: str

    def __init__(  # noqa: PLR0913 - each is an option that a user types
        self,
        *fields: str | Mapping[str, Any],
        name: str = "",
        kind: str = "",
        unique: bool = False,
        sparse: bool = False,
        where: Mapping[str, Any] | None = None,
        include: Iterable[str] = (),
        expire_after_s: int | None = None,
        collation: str | Mapping[str, Any] = "",
        language: str = "english",
        opclass: str = "",
    ) -> None:
        shown = f"Index({', '.join(map(repr, fields))})"
        if kind and kind not in KINDS:
            raise DeclarationError(f"{shown} has the unknown kind {kind!r}; {did_you_mean(str(kind), KINDS)}")
        if isinstance(include, str):
            raise DeclarationError(f"{shown} has include={include!r}; write include=({include!r},).")
        keys = tuple(_keys(fields, kind, shown))
        values = {
            "keys": keys,
            "name": str(name),
            "kind": _kind(keys, expire_after_s),
            "unique": unique,
            "sparse": sparse,
            "where": _conditions(where or {}, shown),
            "include": tuple(include),
            "expire_after_s": expire_after_s,
            "collation": collation,
            "language": language,
            "opclass": opclass,
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)
        if problem := _problem(self, kind):
            raise DeclarationError(f"{shown} {problem}")

    @classmethod
    def of(cls, value: Any) -> Index:
        """Return ``value`` as an index: one already, a field's name, a mapping, or a sequence of these."""
        if isinstance(value, Index):
            return value
        if isinstance(value, (str, Mapping)):
            return cls(value)
        if isinstance(value, Iterable):
            return cls(*value)
        raise DeclarationError(f"{value!r} is no index; write Index('tenant_id', '-created_at').")

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the index names, each once."""
        named = [*(key.field for key in self.keys), *(each.field for each in self.where), *self.include]
        return tuple(dict.fromkeys(named))

    def __str__(self) -> str:
        return ", ".join(map(str, self.keys))

    def __hash__(self) -> int:
        return hash((self.keys, self.name))


def _keys(fields: tuple[Any, ...], kind: str, shown: str) -> Iterable[Key]:
    order = kind if kind in ("text", "hashed", "gin") else "asc"
    for given in fields:
        if isinstance(given, str):
            yield _key(given, order, shown)
        elif isinstance(given, Mapping) and all(isinstance(name, str) for name in given):
            for name, direction in given.items():
                if isinstance(direction, bool) or direction not in ORDERS:
                    raise DeclarationError(
                        f"{shown} gives {name!r} the direction {direction!r}; write 1, -1, 'text', 'hashed' or 'gin'."
                    )
                key = _key(name, order, shown)
                yield Key(key.field, order if direction == 1 else ORDERS[direction], key.function)
        else:
            raise DeclarationError(f"{shown} has {given!r}, which is no field's name; write it as a string.")


def _key(text: str, order: str, shown: str) -> Key:
    matched = _KEY.fullmatch(text)
    if matched is None:
        raise DeclarationError(
            f"{shown} has {text!r}, which is no field; write 'field', '-field' or 'lower(field)'."
        )
    if matched["desc"]:
        if order != "asc":
            raise DeclarationError(
                f"{shown} cannot descend: a {order} index has no order; write {text[1:]!r}."
            )
        order = "desc"
    return Key(matched["inner"] or matched["field"], order, (matched["function"] or "").lower())


def _kind(keys: tuple[Key, ...], expire_after_s: object) -> str:
    if expire_after_s is not None:
        return "ttl"
    return next((key.order for key in keys if key.order not in ("asc", "desc")), "btree")


def _conditions(where: Any, shown: str) -> tuple[Condition, ...]:
    if not isinstance(where, Mapping):
        raise DeclarationError(f"{shown} has where={where!r}; write a mapping such as {{'status': 'new'}}.")
    found = []
    for field, given in where.items():
        tests = given if isinstance(given, Mapping) else {"$eq": given}
        for operator, value in tests.items():
            if operator not in OPERATORS:
                raise DeclarationError(
                    f"{shown} has the unknown operator {operator!r} in where; {did_you_mean(str(operator), OPERATORS)}"
                )
            if operator == "$in" and (isinstance(value, str) or not isinstance(value, Iterable) or not value):
                raise DeclarationError(f"{shown} has {{'$in': {value!r}}} in where; write a list of values.")
            if operator not in ("$eq", "$ne", "$exists") and value is None:
                raise DeclarationError(f"{shown} compares {field!r} with None; write {{'$exists': True}}.")
            found.append(Condition(field, operator, tuple(value) if operator == "$in" else value))
    return tuple(found)


def _problem(index: Index, kind: str) -> str:  # noqa: PLR0911 - one sentence each
    """Return what is wrong with the options together, or the empty string."""
    names = [(key.function, key.field) for key in index.keys]
    if not index.keys:
        return "has no fields; write Index('tenant_id', '-created_at')."
    if len(set(names)) < len(names):
        return f"names {next(n for n in names if names.count(n) > 1)[1]!r} twice."
    if not index.name.isprintable():
        return f"has the name {index.name!r}, which is not printable text."
    if kind == "ttl" and index.expire_after_s is None:
        return "expires nothing; write expire_after_s=86400, in seconds."
    if index.expire_after_s is not None:
        return _problem_of_ttl(index, kind)
    if index.unique and index.kind != "btree":
        return f"cannot be unique: a {index.kind} index has no order."
    if index.sparse and index.where:
        return "is sparse and has a where; write {'$exists': True} in where instead."
    if index.kind != "btree" and index.include:
        return f"cannot include fields: a {index.kind} index carries none."
    if sum(key.order == "hashed" for key in index.keys) > 1:
        return "has several hashed fields; an index takes one."
    return ""


def _problem_of_ttl(index: Index, kind: str) -> str:
    seconds = index.expire_after_s
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= MAX_EXPIRE_AFTER_S:
        return f"has expire_after_s={seconds!r}; write whole seconds from 0 to {MAX_EXPIRE_AFTER_S}."
    if kind not in ("", "btree", "ttl") or len(index.keys) != 1 or index.keys[0].order not in ("asc", "desc"):
        return "has expire_after_s, which takes exactly one field, the time to count from."
    return ""
