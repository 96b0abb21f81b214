"""MongoDB: a collection of its own beside the host's, filled by the server and dropped at the end.

What a run that was killed has left is dropped by the next one, an hour later: another run may be using a younger one.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from perfsuite.indexes.suggesting.figures import Keys
from perfsuite.indexes.suggesting.probing import LIMIT, Probe, Proof, values_for
from perfsuite.indexes.suggesting.statistics import at_path
from perfsuite.indexes.suggesting.verifying.sql import timed
from perfsuite.queries.explain.mongodb import plan_of

PREFIX = "perfsuite_verify_"
LEFT_AFTER_S = 3_600
_OPERATORS = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}


def prove(engine: Any, probe: Probe, keys: Keys, max_rows: int) -> Proof:
    """Copy, measure, make the index, measure again."""
    with engine.session():
        database = engine.database
        _drop_left(database)
        name = f"{PREFIX}{int(time.time())}_{uuid.uuid4().hex[:8]}"
        try:
            _copy(database, probe.table, name, max_rows)
            return _measured(database, database[name], probe, keys)
        finally:
            database.drop_collection(name)


def _drop_left(database: Any) -> None:
    for name in database.list_collection_names():
        if name.startswith(PREFIX):
            made = name[len(PREFIX) :].partition("_")[0]
            if made.isdigit() and int(made) < time.time() - LEFT_AFTER_S:
                database.drop_collection(name)


def _copy(database: Any, table: str, name: str, max_rows: int) -> None:
    source = database[table]
    stages: list[dict[str, Any]] = []
    if source.estimated_document_count() > max_rows:
        stages.append({"$sample": {"size": max_rows}})
    list(source.aggregate([*stages, {"$out": name}], allowDiskUse=True))
    for spec in source.list_indexes():
        if all(value in (1, -1) for value in spec["key"].values()) and "expireAfterSeconds" not in spec:
            with suppress(Exception):  # one that cannot be copied is left out
                database[name].create_index(list(spec["key"].items()))


def _measured(database: Any, copy: Any, probe: Probe, keys: Keys) -> Proof:
    names = list(probe.needed)
    rows = [{name: at_path(each, name) for name in names} for each in copy.find({}).limit(5_000)]
    command = _command(probe, values_for(probe, rows))

    def plan() -> tuple[str, ...]:
        answer = database.command("explain", {"find": copy.name, **command}, verbosity="executionStats")
        made = plan_of(answer, probe.table, lambda name: None)
        return tuple(line.rstrip() for line in made.as_text().splitlines() if line.strip())

    def run() -> object:
        cursor = copy.find(command["filter"])
        cursor = cursor.sort(list(command["sort"].items())) if command.get("sort") else cursor
        return list(cursor.limit(command.get("limit", 0)))

    before, ms_before = plan(), timed(run)
    copy.create_index([(key.column, -1 if key.descends else 1) for key in keys])
    shown = json.dumps({"find": probe.table, **_blank(command)})
    return Proof(copy.estimated_document_count(), shown, before, plan(), ms_before, timed(run))


def _command(probe: Probe, values: Mapping[str, Any]) -> dict[str, Any]:
    condition: dict[str, Any] = {name: values[name] for name in probe.equals}
    for name, operator in probe.bounds:
        condition.setdefault(name, {})[_OPERATORS[operator]] = values[f"{name} {operator}"]
    command: dict[str, Any] = {"filter": condition}
    if probe.order:
        command["sort"] = {name: -1 if down else 1 for name, down in probe.order}
    if probe.has_limit:
        command["limit"] = LIMIT
    return command


def _blank(command: Mapping[str, Any]) -> dict[str, Any]:
    condition = {
        name: dict.fromkeys(value, "?") if isinstance(value, Mapping) else "?"
        for name, value in command["filter"].items()
    }
    return {**command, "filter": condition}
