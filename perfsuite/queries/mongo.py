"""The listener that sees every MongoDB command, whoever sends it: django-mongodb-backend, djongo or the host's own clients.

Imports pymongo, so it is itself imported only where that is installed. A client takes over the listeners that are registered when
it is made and no later ones; hence ``register`` runs before any ``models.py`` is imported, and a check finds older clients.

pymongo calls a listener in the thread or task that sends the command, before it and after. The command is not a copy: its keys
are read at once, its values never, and nothing of it is kept.
"""

from __future__ import annotations

import gc
import re
from typing import Any

import pymongo
from django.db import connections
from pymongo import monitoring

from perfsuite.metrics.guard import Guard
from perfsuite.metrics.request import Tally, in_hand
from perfsuite.queries.fingerprint import Shape
from perfsuite.queries.limits import limits
from perfsuite.queries.mongo_many import site_of_many
from perfsuite.queries.mongo_pools import PoolTimes
from perfsuite.queries.mongo_shape import shape
from perfsuite.queries.outside import tally_of
from perfsuite.queries.repeats import WRITES
from perfsuite.queries.rows import UNKNOWN
from perfsuite.queries.statements import Command, Entry, note
from perfsuite.queries.tenant_guard.guard import in_force
from perfsuite.queries.tenant_guard.listening import judge_command
from perfsuite.queries.tracing import UNTRACED, Traced, trace_command
from perfsuite.queries.translation import READS, Translated, statement_of

# The alias of commands to a database that is none of DATABASES: those of a client of the host's own.
BARE = "mongodb"
# What pymongo does in its own time, in whatever request that falls.
HOUSEKEEPING = frozenset(["endSessions"])
# Commands that never end and cursors that are never read to their end would otherwise be remembered for good.
MAX_RUNNING = 10_000
MAX_CURSORS = 1_000
MAX_ALIASES = 1_000
# What djongo makes of the SQL that changes rows.
OF_SQL = frozenset(["insert", "update", "delete"])

_guard = Guard("queries.mongo")
_aliases: dict[str, str] = {}

# A command on its way: the tally of the request that sent it, its shape, its alias, the entry that it adds to, if any, the
# cursor that it reads on from, if any, what trace_command tells of it, and whether it says how many documents may come.
Running = tuple[Tally, Shape, str, "Entry | None", Any, Traced, bool]


class CommandTimes(monitoring.CommandListener):
    """Notes each command in the tally of the request that sent it; a ``getMore`` belongs to its ``find``."""

    def __init__(self) -> None:
        self._running: dict[int, Running] = {}
        self._cursors: dict[Any, tuple[Tally, Entry, Shape, bool]] = {}

    # Hot path: benchmarks/mongodb.py
    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Remember a command that a request sends."""
        tally = in_hand()
        if tally is None or tally.closed or not _guard.on:
            tally = tally_of(tally) if _guard.on else None
            if tally is None:
                return
        try:
            name, database, command = event.command_name, event.database_name, event.command
            if name in HOUSEKEEPING:
                return
            alias = _aliases.get(database) or _alias_of(database)
            if name == "getMore":
                running = self._more(tally, event, alias)
            else:
                what = shape(database, name, command)
                entry = statement_of(tally, name, command.get(name))
                if entry is not None:
                    entry[0].became(what)
                traced = UNTRACED
                if entry is None:
                    traced = trace_command(tally, what, name, command)
                    if in_force.state is not None:  # of djongo's, the SQL is judged
                        judge_command(tally, name, command, what, alias)
                running = (tally, what, alias, entry, None, traced, "limit" in command)
            if len(self._running) >= MAX_RUNNING:
                self._running.clear()
            self._running[event.request_id] = running
        except Exception as exc:  # noqa: BLE001 - the guard's
            _guard.failed(exc)

    # Hot path: benchmarks/mongodb.py
    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Note a command, and how many documents came or were changed."""
        running = self._running.pop(event.request_id, None)
        if running is None:
            return
        tally, what, alias, entry, more_of, traced, _ = running
        if tally.closed:
            return
        try:
            cursor = event.reply.get("cursor")
            if entry is not None or more_of is not None or (cursor is not None and cursor.get("id")):
                self._ended(event, running, False, cursor)
                return
            # Nothing will be added to it.
            documents = UNKNOWN
            if cursor is not None:
                if what.operation in READS:
                    documents = _documents(cursor.get("firstBatch") or ())
                    if documents > limits.rows:
                        self._ended(event, running, False, cursor)
                        return
            elif what.operation in WRITES:
                documents = _changed(event.reply)
            note(tally, (what, alias, event.duration_micros / 1e6, False, *traced, documents))
        except Exception as exc:  # noqa: BLE001 - the guard's
            _guard.failed(exc)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Note a command that failed."""
        running = self._running.pop(event.request_id, None)
        if running is None or running[0].closed:
            return
        try:
            self._ended(event, running, True, None)
        except Exception as exc:  # noqa: BLE001 - the guard's
            _guard.failed(exc)

    def _ended(self, event: Any, running: Running, failed: bool, cursor: Any) -> None:
        tally, what, alias, entry, _, traced, _ = running
        seconds = event.duration_micros / 1e6
        is_new = entry is None or entry[0].folded
        if entry is None or is_new:
            entry = [Command(what), alias, seconds, failed, *traced]
        elif not _is_executing(entry):  # there, the wrapper takes the time, and djongo says whether it failed
            entry[2] += seconds
            entry[3] |= failed
        if cursor is not None:
            self._read(event, cursor, running, entry)
        # Of djongo's; with findAndModify it counts its keys, and nothing of the statement's.
        elif what.operation in OF_SQL and not failed and (changed := _changed(event.reply)) != UNKNOWN:
            entry[0].counted(changed)
        if is_new:
            note(tally, entry)

    def _more(self, tally: Tally, event: Any, alias: str) -> Running:
        """Return what a ``getMore`` adds to: the entry of its find, if that is of the same request."""
        command = event.command
        cursor = event.connection_id, command["getMore"]
        found = self._cursors.get(cursor)
        if found is None:
            what = shape(event.database_name, "getMore", {"getMore": command.get("collection")})
            return tally, what, alias, None, cursor, UNTRACED, True
        of, entry, what, is_limited = found
        return tally, what, alias, entry if of is tally else None, cursor, UNTRACED, is_limited

    def _read(self, event: Any, reply: Any, running: Running, entry: Entry) -> None:
        """Count the documents of a reply, and remember its cursor while there is more to come."""
        batch = reply.get("firstBatch")
        is_first = batch is not None
        if not is_first:
            batch = reply.get("nextBatch") or ()
        if running[1].operation in READS and (documents := _documents(batch)) != UNKNOWN:
            entry[0].counted(documents)
            if entry[0].documents > limits.rows and not running[6] and not entry[0].site:
                entry[0].site = site_of_many(running[1])
        if not reply.get("id"):
            if not is_first:
                self._cursors.pop(running[4], None)
        elif is_first:
            while len(self._cursors) >= MAX_CURSORS:
                self._cursors.pop(next(iter(self._cursors)), None)
            self._cursors[event.connection_id, reply["id"]] = running[0], entry, running[1], running[6]


def _documents(batch: Any) -> int:
    """Return how many documents a batch has; a raw one is bytes in one piece, and not known."""
    return len(batch) if not batch or isinstance(batch[0], dict) else UNKNOWN


def _changed(reply: Any) -> int:
    """Return how many documents a command has inserted, deleted or found to update; not known where nobody waits for it."""
    changed = reply.get("lastErrorObject", reply).get("n")
    return changed if isinstance(changed, int) else UNKNOWN


def _is_executing(entry: Entry) -> bool:
    """Tell whether an execute wrapper is timing this already."""
    return isinstance(entry[0], Translated) and entry[0].executing


def _alias_of(database: str) -> str:
    """Return the alias whose database that is, and remember it."""
    if len(_aliases) >= MAX_ALIASES:
        _aliases.clear()
    for alias, settings in connections.databases.items():
        engine = settings.get("ENGINE", "")
        if settings.get("NAME") == database and ("mongo" in engine or engine == "djongo"):
            return _aliases.setdefault(database, alias)
    return _aliases.setdefault(database, BARE)


_listeners: list[Any] = [CommandTimes(), PoolTimes()]
_is_registered = False


def register() -> None:
    """Have every client that is made from now on observed. Idempotent; pymongo has no way back."""
    global _is_registered
    if not _is_registered:
        _is_registered = True
        for listener in _listeners:
            monitoring.register(listener)


def event_listeners() -> list[Any]:
    """Return the ``event_listeners`` for a client that is made before Django is set up; empty once every client is observed."""
    return [] if _is_registered else list(_listeners)


def unobserved_clients() -> list[str]:
    """Return what each living client is known by that was made before ``register``. Looks at all objects of the process."""
    classes = tuple(
        getattr(pymongo, name) for name in ("MongoClient", "AsyncMongoClient") if hasattr(pymongo, name)
    )
    clients = [each for each in gc.get_objects() if issubclass(type(each), classes)]
    return sorted(_shown(client) for client in clients if _listeners[0] not in _listeners_of(client))


def _shown(client: Any) -> str:
    """Return what a client is known by: its class and its hosts, without its options."""
    hosts = re.search(r"host=\[(.*?)\]", repr(client))
    return f"{type(client).__name__}({hosts.group(1) if hosts else ''})"


def _listeners_of(client: Any) -> list[Any]:
    if int(pymongo.version_tuple[0]) >= 4:
        return list(client.options.event_listeners)
    return [listener for group in client.event_listeners() for listener in group]
