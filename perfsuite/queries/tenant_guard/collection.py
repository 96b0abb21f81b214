"""A collection of pymongo's that looks at each filter before it is sent, for ``raise`` on django-mongodb-backend.

Imports pymongo, so it is itself imported only where that is installed. What raises is the judgement alone; should the guard
itself fail, the command is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pymongo import DeleteMany, DeleteOne
from pymongo.collection import Collection

from perfsuite.queries.mongo_shape import shape
from perfsuite.queries.tenant_guard.documents import verdict_of_filters, verdict_of_pipeline
from perfsuite.queries.tenant_guard.guard import guard, in_force
from perfsuite.queries.tenant_guard.listening import settle_command
from perfsuite.queries.tenant_guard.schema import Verdict
from perfsuite.queries.tenant_guard.state import State

Judge = Callable[["GuardedCollection", State, Any], Verdict]


def guarded(collection: Any, alias: str) -> Any:
    """Return a collection that is guarded; one that the backend has wrapped for its log of queries stays in that."""
    if type(collection) is Collection:
        return GuardedCollection.of(collection, alias)
    inner = getattr(collection, "collection", None)
    if type(inner) is Collection:
        collection.collection = collection.wrapped = GuardedCollection.of(inner, alias)
    return collection


class GuardedCollection(Collection):  # type: ignore[type-arg]  # pymongo 3 has no type arguments
    """Raises UnscopedStatement in place of sending what reaches documents without their tenant."""

    _alias = ""

    @classmethod
    def of(cls, collection: Any, alias: str) -> GuardedCollection:
        """Return the same collection, guarded."""
        made = cls(
            collection.database,
            collection.name,
            codec_options=collection.codec_options,
            read_preference=collection.read_preference,
            write_concern=collection.write_concern,
            read_concern=collection.read_concern,
        )
        made._alias = alias
        return made

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        """Return the same collection with other options, guarded too."""
        return GuardedCollection.of(super().with_options(*args, **kwargs), self._alias)

    def aggregate(self, pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        """Judge the pipeline first."""
        self._judge("aggregate", {"aggregate": self.name, "pipeline": pipeline}, pipeline)
        return super().aggregate(pipeline, *args, **kwargs)

    def aggregate_raw_batches(self, pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        """Judge the pipeline first."""
        self._judge("aggregate", {"aggregate": self.name, "pipeline": pipeline}, pipeline)
        return super().aggregate_raw_batches(pipeline, *args, **kwargs)

    def bulk_write(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
        """Judge the filter of each update and each deletion first; where one is not in order, none of them is sent."""
        state = in_force.state
        if state is not None and self.name.lower() in state.schema.owned and isinstance(requests, list):
            for command in ("update", "delete"):
                filters = [
                    request._filter  # noqa: SLF001 - pymongo has no public name for it
                    for request in requests
                    if _command_of(request) == command and hasattr(request, "_filter")
                ]
                self._judge(command, _as_command(self.name, command, *filters), filters)
        return super().bulk_write(requests, *args, **kwargs)

    def _judge(self, name: str, command: Any, condition: Any) -> None:
        state = in_force.state
        if state is None or not guard.on:
            return
        error: Exception | None = None
        try:
            if name == "aggregate":
                verdict = verdict_of_pipeline(self.name, condition, state.schema)
            else:
                verdict = verdict_of_filters(self.name.lower(), condition, state.schema)
            if (verdict.unscoped or not verdict.understood) and state.is_judged():
                what = shape(self.database.name, name, command)
                error = settle_command(state, verdict, what, self._alias)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)
        if error is not None:
            raise error


def _filtered(method: str, command: str, at: int = 0) -> Callable[..., Any]:
    """Return a method of pymongo's whose filter is its argument ``at``, with the filter judged first."""
    original = getattr(Collection, method)

    def judged(self: GuardedCollection, *args: Any, **kwargs: Any) -> Any:
        state = in_force.state
        if state is not None and self.name.lower() in state.schema.owned:
            condition = args[at] if len(args) > at else kwargs.get("filter")
            self._judge(command, _as_command(self.name, command, condition), [condition])
        return original(self, *args, **kwargs)

    judged.__name__, judged.__doc__ = method, original.__doc__
    return judged


def _command_of(request: Any) -> str:
    """Return the command that an operation of a bulk write is sent by."""
    return "delete" if isinstance(request, (DeleteMany, DeleteOne)) else "update"


def _as_command(collection: str, command: str, *conditions: Any) -> dict[str, Any]:
    key = {"find": "filter", "update": "updates", "delete": "deletes"}.get(command, "query")
    if command in ("update", "delete"):
        return {command: collection, key: [{"q": condition} for condition in conditions]}
    return {command: collection, key: conditions[0]}


_METHODS: Iterable[tuple[str, str, int]] = (
    ("find", "find", 0),
    ("find_raw_batches", "find", 0),
    ("count_documents", "count", 0),
    ("estimated_document_count", "count", 1),  # which takes none
    ("distinct", "distinct", 1),
    ("update_one", "update", 0),
    ("update_many", "update", 0),
    ("replace_one", "update", 0),
    ("delete_one", "delete", 0),
    ("delete_many", "delete", 0),
    ("find_one_and_delete", "findAndModify", 0),
    ("find_one_and_replace", "findAndModify", 0),
    ("find_one_and_update", "findAndModify", 0),
)
for _method, _command, _at in _METHODS:  # find_one is a find
    setattr(GuardedCollection, _method, _filtered(_method, _command, _at))
