"""The execute wrapper: sees every SQL statement of every alias and costs about a microsecond each.

It only notes the statement in the request's tally; the thinking (fingerprints, slow ones) is done once, when the request ends. It
times ``execute``, not the fetching of rows. Statements outside a request are not noted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.core.signals import setting_changed
from django.db import connections
from django.db.backends.signals import connection_created

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import MAX_HELD, Statement, Tally, current, on_fold
from perfsuite.queries import kinds
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.fingerprint import shape

logger = logging.getLogger("perfsuite.queries")

# The same slow statement is logged once in this long.
LOG_AGAIN_S = 60.0
MAX_LOGGED = 500

_guard = Guard("queries.sql")
_logged_at: dict[str, float] = {}


# Hot path: benchmarks/overhead.py
def note_statement(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a statement and note it in the tally of the request in hand, if there is one."""
    tally = current.get()
    if tally is None or tally.closed or not _guard.on:
        return execute(sql, params, many, context)
    failed = True
    started = perf_counter()
    try:
        result = execute(sql, params, many, context)
        failed = False
        return result
    finally:
        try:
            tally.held.append(Statement(sql, context["connection"].alias, perf_counter() - started, failed))
            if len(tally.held) >= MAX_HELD:
                fold_statements(tally, tally.route())
        except Exception as exc:
            _guard.failed(exc)


def fold_statements(tally: Tally, route: str) -> None:
    """Put the statements of a tally into the recorder, for the route that ran them. Never raises."""
    try:
        slow_s = QuerySettings.get().slow_query_ms / 1e3
        observations: list[Observation] = []
        is_mysql: dict[str, bool] = {}
        for sql, alias, seconds, failed in tally.take_held():
            if alias not in is_mysql:
                is_mysql[alias] = connections[alias].vendor == "mysql"
            fingerprint, operation = shape(sql if isinstance(sql, str) else str(sql), is_mysql[alias])
            us = seconds * 1e6
            labels = (fingerprint, alias, route)
            observations.append((kinds.ALL, (alias, operation), us))
            observations.append((kinds.FINGERPRINT, labels, us))
            if seconds >= slow_s:
                observations.append((kinds.SLOW, labels, us))
                _log_slow(fingerprint, alias, route, seconds, slow_s)
            if failed:
                observations.append((kinds.FAILED, labels, us))
        if observations:
            recorder.observe_many(observations)
    except Exception as exc:
        _guard.failed(exc)


def _log_slow(fingerprint: str, alias: str, route: str, seconds: float, slow_s: float) -> None:
    now = time.monotonic()
    if now - _logged_at.get(fingerprint, -LOG_AGAIN_S) < LOG_AGAIN_S:
        return
    if len(_logged_at) >= MAX_LOGGED:
        _logged_at.clear()
    _logged_at[fingerprint] = now
    logger.warning(
        "Slow query on %r in %s: %.0f ms (threshold %.0f ms): %s", alias, route, seconds * 1e3, slow_s * 1e3, fingerprint
    )


def install() -> None:
    """Put the wrapper on every open connection and on each that opens later. Idempotent."""
    on_fold(fold_statements)
    connection_created.connect(_on_connection, dispatch_uid="perfsuite.queries.sql")
    for connection in connections.all():
        _on_connection(None, connection)


def uninstall() -> None:
    """Take the wrapper off this thread's connections and put it on no further one."""
    connection_created.disconnect(dispatch_uid="perfsuite.queries.sql")
    for connection in connections.all():
        if note_statement in connection.execute_wrappers:
            connection.execute_wrappers.remove(note_statement)


def follow_settings() -> None:
    """Install the wrapper where monitoring is on, and take it off or put it on again when that setting changes."""
    setting_changed.connect(_on_setting_changed, dispatch_uid="perfsuite.queries.sql")
    _on_setting_changed(setting="PERFSUITE")


def _on_connection(sender: object, connection: Any, **kwargs: object) -> None:
    if note_statement not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, note_statement)


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "PERFSUITE":
        install() if MetricsSettings.get().enabled else uninstall()
