"""Understands MongoDB's filters and pipelines as the same facts as SQL: values that fields are equal to, and joins. Pure.

A command is judged anew each time: reading the keys of a filter costs less than a fingerprint. Values are only looked at for what
kind they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from perfsuite.queries.tenant_guard.facts import Facts, Nodes, Restricted, common
from perfsuite.queries.tenant_guard.schema import FINE, NOT_UNDERSTOOD, Owned, Schema, Verdict
from perfsuite.queries.tenant_guard.tokens import NotUnderstood

MAX_DEPTH = 40
MAX_CONDITIONS = 2_000

_FILTERS = {
    "find": "filter",
    "count": "query",
    "distinct": "query",
    "findAndModify": "query",
    "mapReduce": "query",
}
_BATCHES = {"update": "updates", "delete": "deletes"}
# Behind these the documents are others, or gone.
_ENDS = frozenset(["$group", "$bucket", "$bucketAuto", "$count", "$sortByCount", "$out", "$merge", "$facet", "$project",
                   "$replaceRoot", "$replaceWith", "$collStats", "$indexStats"])  # fmt: skip
_OF_OTHERS = frozenset(["$lookup", "$graphLookup", "$unionWith", "$facet"])


def verdict_of_command(name: str, command: Mapping[str, Any], schema: Schema) -> Verdict:
    """Return what a command that pymongo is about to send comes to."""
    collection = str(command.get(name)).lower()
    owned = schema.owned.get(collection)
    if name == "aggregate":
        pipeline = command.get("pipeline") or ()
        if not _reads_others(pipeline) and (owned is None or _is_plainly_held(_first_match(pipeline), owned)):
            return FINE
        return verdict_of_pipeline(collection, pipeline, schema)
    if owned is None:
        return _verdict_of_bulk(command, schema) if name == "bulkWrite" else FINE
    if name in _FILTERS:
        condition = command.get(_FILTERS[name])
        return (
            FINE
            if _is_plainly_held(condition, owned)
            else verdict_of_filters(collection, [condition], schema)
        )
    if name in _BATCHES:
        batch = command.get(_BATCHES[name])
        filters = [each.get("q") for each in batch or () if isinstance(each, Mapping)]
        return verdict_of_filters(collection, filters, schema)
    return FINE


def _verdict_of_bulk(command: Mapping[str, Any], schema: Schema) -> Verdict:
    """Return what a bulk write of a client's comes to, which is about several collections: each filter has to hold."""
    filters: dict[str, list[Any]] = {}
    try:
        names = [each["ns"].partition(".")[2].lower() for each in command["nsInfo"]]
        for operation in command["ops"]:
            number = operation.get("update", operation.get("delete"))
            if number is not None and names[number] in schema.owned:
                filters.setdefault(names[number], []).append(operation.get("filter"))
    except (AttributeError, LookupError, TypeError):
        return NOT_UNDERSTOOD
    verdicts = [verdict_of_filters(name, filters[name], schema) for name in filters]
    if unscoped := tuple(owned for verdict in verdicts for owned in verdict.unscoped):
        return Verdict(unscoped)
    return FINE if all(verdict.understood for verdict in verdicts) else NOT_UNDERSTOOD


def verdict_of_filters(collection: str, filters: Iterable[Any], schema: Schema) -> Verdict:
    """Return what filters of one declared collection come to."""
    try:
        facts = Facts(schema)
        for condition in filters:
            stage = _Stages(facts, collection)
            stage.match(condition, stage.restricted)
        return _judged(facts)
    except (NotUnderstood, RecursionError):
        return NOT_UNDERSTOOD


def verdict_of_pipeline(collection: str, pipeline: Any, schema: Schema) -> Verdict:
    """Return what an aggregation comes to, with the collections that it looks up."""
    try:
        facts = Facts(schema)
        _Stages(facts, collection.lower()).read(pipeline)
        return _judged(facts)
    except (NotUnderstood, RecursionError):
        return NOT_UNDERSTOOD


def _reads_others(pipeline: Any) -> bool:
    return any(not _OF_OTHERS.isdisjoint(stage) for stage in pipeline if isinstance(stage, Mapping))


def _first_match(pipeline: Any) -> Any:
    first = next(iter(pipeline), None)
    return first.get("$match") if isinstance(first, Mapping) else None


def _is_plainly_held(condition: Any, owned: Owned) -> bool:
    """Tell whether a filter names the tenant at its top or in its first ``$and``, as most do: the quick way to say so."""
    if not isinstance(condition, Mapping):
        return False
    among = condition.get("$and", ())
    for each in (condition, *(among if isinstance(among, (list, tuple)) else ())):
        if (
            isinstance(each, Mapping)
            and (value := each.get(owned.column)) is not None
            and _is_equality(value)
        ):
            return True
    return False


def _judged(facts: Facts) -> Verdict:
    # What has no tenant of its own is held by what it is looked up with, or not at all; a filter alone cannot say it.
    unscoped: tuple[Owned, ...] = tuple(owned for owned in facts.unscoped() if owned.column)
    return Verdict(unscoped) if unscoped else FINE


class _Stages:
    """One pipeline: the documents of a collection, and what was looked up into them."""

    def __init__(self, facts: Facts, collection: str, depth: int = 0) -> None:
        if depth > MAX_DEPTH:
            raise NotUnderstood
        self.facts = facts
        self.depth = depth
        self.number = facts.occurrence(collection)
        self.restricted: Restricted = {self.number}
        self.looked_up: dict[str, int] = {}
        # Of a pipeline that is looked up: the fields around it that its variables stand for, and what its conditions leave out
        # there, which is nothing as long as documents of which nothing is found stay.
        self.variables: dict[str, Nodes] = {}
        self.around: Restricted = set()
        self._below: dict[str, _Stages] = {}
        self._kept: set[str] = set()
        # The field whose values it makes one list of, in place of documents.
        self.collected: Nodes = ()
        self.ended = False
        self._conditions = 0
        self._in_or = False

    def read(self, pipeline: Any) -> None:
        if not isinstance(pipeline, (list, tuple)):
            raise NotUnderstood
        for stage in pipeline:
            if not isinstance(stage, Mapping) or len(stage) != 1:
                raise NotUnderstood
            ((name, value),) = stage.items()
            self._read_stage(name, value)

    def _read_stage(self, name: str, value: Any) -> None:
        if name == "$match" and not self.ended:
            self.match(value, self.restricted)
        elif name == "$geoNear" and isinstance(value, Mapping):
            self.match(value.get("query"), self.restricted)
        elif name == "$lookup" and isinstance(value, Mapping):
            self._look_up(value)
        elif name == "$graphLookup" and isinstance(value, Mapping):
            self._look_up_graph(value)
        elif name == "$unionWith":
            self._unite(value)
        elif name == "$facet" and isinstance(value, Mapping):
            self._read_facets(value)
        elif name in ("$addFields", "$set") and isinstance(value, Mapping):
            self._set({str(key) for key in value})
        elif name == "$unwind":
            self._unwind(value)
        self.ended |= name in _ENDS

    def _set(self, fields: set[str]) -> None:
        """Note fields that are no longer what they were; what was looked up may now be there where nothing was found."""
        owned = self.facts.schema.owned.get(self.facts.tables[self.number])
        self.ended |= owned is not None and owned.column in {field.lower() for field in fields}
        self._kept |= fields

    def _look_up_graph(self, value: Mapping[str, Any]) -> None:
        below = _Stages(self.facts, str(value.get("from")).lower(), self.depth + 1)
        below.match(value.get("restrictSearchWithMatch"), below.restricted)

    def _unwind(self, value: Any) -> None:
        """Note that documents of which nothing was found are gone."""
        is_kept = isinstance(value, Mapping) and value.get("preserveNullAndEmptyArrays")
        path = value.get("path") if isinstance(value, Mapping) else value
        if isinstance(path, str) and not is_kept and path[1:] not in self._kept:
            self._is_found(path[1:])

    def _is_found(self, alias: str) -> None:
        if (below := self._below.get(alias)) is not None:
            below.around |= self.restricted

    def _read_facets(self, value: Mapping[str, Any]) -> None:
        for pipeline in value.values():
            self._facet(pipeline)
        if len(value) == 1:
            self._collect(*value.values())

    def _facet(self, pipeline: Any) -> None:
        """Read a pipeline over the same documents: what holds before holds in it, and not the other way round."""
        collection = self.facts.tables[self.number]
        below = _Stages(self.facts, collection, self.depth + 1)
        owned = self.facts.schema.owned.get(collection)
        if owned is not None and owned.column:
            of_this = ((self.number, owned.column),)
            self.facts.joined.append((of_this, (below.number, owned.column), below.restricted))
        below.read(pipeline)

    def _collect(self, pipeline: Any) -> None:
        """Note the field of which a pipeline makes a list, as django-mongodb-backend does of ``IN (SELECT ...)``."""
        match pipeline:
            case [{"$group": {"_id": None, **others}}] if len(others) == 1 and not self.ended:
                (made,) = others.values()
                if isinstance(made, Mapping) and isinstance(path := made.get("$addToSet"), str):
                    self.collected = self.field(path[1:])

    def _unite(self, value: Any) -> None:
        is_mapping = isinstance(value, Mapping)
        below = _Stages(self.facts, str(value.get("coll") if is_mapping else value).lower(), self.depth + 1)
        if is_mapping:
            below.read(value.get("pipeline") or ())

    def _look_up(self, value: Mapping[str, Any]) -> None:
        below = _Stages(self.facts, str(value.get("from")).lower(), self.depth + 1)
        let, pipeline = value.get("let"), value.get("pipeline")
        if isinstance(let, Mapping):
            below.variables = {
                str(name): self.field(field[1:])
                for name, field in let.items()
                if isinstance(field, str) and field[:1] == "$"
            }
        if pipeline:
            below.read(pipeline)
        local, foreign = value.get("localField"), value.get("foreignField")
        if isinstance(local, str) and isinstance(foreign, str):
            below.join(self.field(local), ((below.number, foreign.lower()),))
        alias = str(value.get("as"))
        self.looked_up[alias], self._below[alias] = below.number, below
        self._kept.discard(alias)
        self.restricted |= below.restricted

    def join(self, around: Nodes, mine: Nodes) -> None:
        """Note that a field around a pipeline that is looked up is equal to one in it."""
        self.facts.joined += [(around, node, self.restricted) for node in mine]
        self.facts.joined += [(mine, node, self.around) for node in around]

    def field(self, path: str) -> Nodes:
        """Return the field that a path is, of the collection or of what was looked up."""
        first, _, rest = path.partition(".")
        if rest and first in self.looked_up:
            return ((self.looked_up[first], rest.lower()),)
        return ((self.number, path.lower()),)

    def match(self, condition: Any, restricted: Restricted) -> None:
        """Note what a filter says of all documents that it lets pass."""
        if condition is None:
            return
        if not isinstance(condition, Mapping):
            raise NotUnderstood
        self._conditions += len(condition)
        if self._conditions > MAX_CONDITIONS:
            raise NotUnderstood
        for key, value in condition.items():
            if key == "$and":
                for each in _listed(value):
                    self.match(each, restricted)
            elif key == "$or":
                self._match_or([lambda each=each: self.match(each, restricted) for each in _listed(value)])
            elif key == "$expr":
                self._expression(value, restricted)
            elif isinstance(key, str) and key[:1] != "$" and _is_equality(value):
                self._bind(key, restricted)

    def _bind(self, key: str, restricted: Restricted) -> None:
        self.facts.bind(self.field(key), restricted)
        if not self._in_or:
            self._is_found(key.partition(".")[0])

    def _match_or(self, branches: list[Any]) -> None:
        facts, said, outer = self.facts, [], self._in_or
        self._in_or = True
        for read in branches:
            held = facts.bound, facts.joined
            facts.bound, facts.joined = [], []
            try:
                read()
                said.append(Facts(facts.schema, facts.tables, facts.bound, facts.joined))
            finally:
                facts.bound, facts.joined = held
        self._in_or = outer
        if said:
            common(said, facts)

    def _expression(self, value: Any, restricted: Restricted) -> None:
        if not isinstance(value, Mapping) or len(value) != 1:
            return
        ((operator, operands),) = value.items()
        if operator == "$and":
            for each in _listed(operands):
                self._expression(each, restricted)
        elif operator == "$or":
            self._match_or(
                [lambda each=each: self._expression(each, restricted) for each in _listed(operands)]
            )
        elif operator in ("$eq", "$in") and isinstance(operands, (list, tuple)) and len(operands) == 2:
            self._equality(operator, operands[0], operands[1], restricted)

    def _equality(self, operator: str, left: Any, right: Any, restricted: Restricted) -> None:
        (ours, left_around), (theirs, right_around) = self._operand(left), self._operand(right)
        if ours and theirs:
            if operator == "$eq" and left_around != right_around:
                self.join(*((ours, theirs) if left_around else (theirs, ours)))
            elif operator == "$eq":
                self.facts.join(ours, theirs, self.around if left_around else restricted)
            elif not left_around and (listed := self._below.get(right[1:].partition(".")[0])) is not None:
                self.facts.join(ours, listed.collected, restricted)
        elif ours and _is_constant(right):
            self.facts.bind(ours, self.around if left_around else restricted)
        elif theirs and operator == "$eq" and _is_constant(left):
            self.facts.bind(theirs, self.around if right_around else restricted)

    def _operand(self, value: Any) -> tuple[Nodes, bool]:
        """Return the field that an operand is, if it is one, and whether it is one of the pipeline around this."""
        if not isinstance(value, str) or value[:1] != "$":
            return (), False
        if value[:2] == "$$":
            return self.variables.get(value[2:], ()), True
        return self.field(value[1:]), False


def _listed(value: Any) -> Iterable[Any]:
    if not isinstance(value, (list, tuple)):
        raise NotUnderstood
    return value


def _is_equality(value: Any) -> bool:
    """Tell whether a field is held to a value, or to one of several."""
    if isinstance(value, Mapping):
        if not value or not str(next(iter(value))).startswith("$"):
            return bool(value)  # a document
        if "$in" in value:
            return isinstance(value["$in"], (list, tuple)) and not any(map(_is_open, value["$in"]))
        return "$eq" in value and not _is_open(value["$eq"])
    return not _is_open(value)


def _is_open(value: Any) -> bool:
    """Tell whether a value stands for many: null for all that have none, a pattern for all that are like it."""
    return value is None or isinstance(value, re.Pattern) or type(value).__name__ == "Regex"


def _is_constant(value: Any) -> bool:
    """Tell whether an operand of an expression is a value and no field."""
    if isinstance(value, str):
        return value[:1] != "$"
    if isinstance(value, Mapping):
        return set(value) == {"$literal"}
    if isinstance(value, (list, tuple)):
        return all(map(_is_constant, value))
    return value is not None
