"""Asks MongoDB for plans, for commands of django-mongodb-backend, of djongo and of the host's own clients."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import connections

from perfsuite.metrics.request import suppress as unrecorded
from perfsuite.optional import require
from perfsuite.queries.explain import from_shape, mongodb
from perfsuite.queries.explain.connections import CONNECT_TIMEOUT_S, wrapper_of
from perfsuite.queries.explain.errors import NotExplainable
from perfsuite.queries.explain.plans import Plan, Table

# The alias of commands that none of DATABASES sent.
BARE = "mongodb"
VENDORS = ("mongodb", "djongo")
UNKNOWN = (
    "The plan is for unknown values, so the command was not run: those of the command are not kept "
    "(PERFSUITE['QUERIES']['CAPTURE_PARAMS'])."
)

FILTER_ONLY = "The plan is for the filter alone, and for unknown values: nothing else of the command is kept. It was not run."


def explain_command(
    alias: str, database: str, command: Mapping[str, Any] | str, *, timeout_ms: int, url: str = ""
) -> Plan:
    """Return the plan of one command that reads; raise ``NotExplainable`` for anything else, and where MongoDB gives none.

    Where its values are known the server runs it, for at most ``timeout_ms``, and tells what it examined. ``command`` may be the
    text of its shape, of which the filter is explained. ``url`` is the server of the host's own clients, whose ``alias`` is
    ``mongodb``.
    """
    if is_shape := isinstance(command, str) and from_shape.is_shape(command):
        command = from_shape.command_of(str(command))
    name, kept = mongodb.one_read(_read(command))
    kept, is_known = mongodb.filled(kept)
    kept = _decoded(kept)
    with own_database(alias, database, timeout_ms, url) as there:
        tables = _Tables(there, timeout_ms)
        notes: tuple[str, ...] = () if is_known else (UNKNOWN,)
        if is_shape:
            is_known, notes = False, (FILTER_ONLY,)
        answer = None
        if is_known:
            answer = _run(there, kept, timeout_ms)
            if answer is None:
                notes = (f"It was not done within {timeout_ms:,} ms, so what it examines is not known.",)
        if answer is None:
            answer = there.command("explain", kept, verbosity="queryPlanner", maxTimeMS=timeout_ms)
        return replace(mongodb.plan_of(answer, str(kept[name]), tables), notes=notes)


def _read(command: Any) -> dict[str, Any]:
    """Return a command that was kept as a JSON text or as its parts."""
    try:
        made = json.loads(command) if isinstance(command, str) else command
    except ValueError as exc:
        raise NotExplainable(f"What is kept of this command cannot be read: {exc}.") from exc
    if not isinstance(made, Mapping):
        raise NotExplainable("What is kept of this command is no command.")
    return dict(made)


def _decoded(command: dict[str, Any]) -> dict[str, Any]:
    """Return a command with the values that MongoDB's extended JSON stands for, such as ``{"$oid": "..."}``."""
    json_util: Any = require("bson.json_util", extra="mongodb")
    bson_errors: Any = require("bson.errors", extra="mongodb")
    try:
        return json_util.loads(json.dumps(command, default=json_util.default))  # type: ignore[no-any-return] # imported late
    except (TypeError, ValueError, bson_errors.BSONError) as exc:
        raise NotExplainable(f"What is kept of this command cannot be read: {exc}.") from exc


@contextmanager
def own_database(alias: str, database: str, timeout_ms: int, url: str = "") -> Iterator[Any]:
    """Yield a database by a client of its own, which is closed after; what the server refuses is ``NotExplainable``."""
    params, name = _place(alias, database, url)
    pymongo = require("pymongo", extra="mongodb")
    errors: Any = require("pymongo.errors", extra="mongodb")
    bson_errors: Any = require("bson.errors", extra="mongodb")
    params.update(
        serverSelectionTimeoutMS=CONNECT_TIMEOUT_S * 1_000,
        socketTimeoutMS=timeout_ms + CONNECT_TIMEOUT_S * 1_000,
    )
    with unrecorded():
        try:
            client = pymongo.MongoClient(**params)
            try:
                yield client[name]
            finally:
                client.close()
        except (errors.PyMongoError, bson_errors.BSONError) as exc:
            said = str(exc).partition(", full error:")[0].partition(", Timeout:")[0].rstrip(".")
            raise NotExplainable(f"The database {alias!r} gave no plan: {said}.") from exc


def _place(alias: str, database: str, url: str) -> tuple[dict[str, Any], str]:
    """Return the client's parameters and the name of the database."""
    if url and alias == BARE:
        return {"host": url}, database
    if alias == BARE and alias not in aliases():
        raise NotExplainable(
            "This command came from a client of your own; write its server in "
            "PERFSUITE['QUERIES']['EXPLAIN_MONGODB_URL'] to have such commands explained."
        )
    wrapper = wrapper_of(alias)
    if wrapper.vendor == "djongo":
        return dict(wrapper.settings_dict.get("CLIENT", {})), wrapper.settings_dict["NAME"]
    return dict(wrapper.get_connection_params()), wrapper.settings_dict["NAME"]


def aliases() -> list[str]:
    """Return the aliases in DATABASES."""
    return list(connections)


def _run(database: Any, command: dict[str, Any], timeout_ms: int) -> Any:
    """Return the plan with what the run examined, or None if there was not the time for it."""
    errors: Any = require("pymongo.errors", extra="mongodb")
    try:
        return database.command("explain", command, verbosity="executionStats", maxTimeMS=timeout_ms)
    except errors.ExecutionTimeout:
        return None


class _Tables:
    """What the server says of each collection that a plan reads whole."""

    def __init__(self, database: Any, timeout_ms: int) -> None:
        self._database, self._timeout_ms = database, timeout_ms

    def __call__(self, name: str) -> Table | None:
        """Return how many documents there are, by the collection's own count, and the fields that its indexes begin with."""
        counted = self._database.command("count", name, maxTimeMS=self._timeout_ms)
        leading = {next(iter(index["key"]), "") for index in self._database[name].list_indexes()}
        return Table(int(counted["n"]), frozenset(leading))
