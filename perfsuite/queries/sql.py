"""The execute wrapper: sees every SQL statement of every alias and costs about a microsecond each.

It only notes the statement in the request's tally; the thinking (fingerprints, slow ones) is done once, when the request ends. It
times ``execute``, not the fetching of rows. Statements outside a request are not noted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

from django.core.signals import setting_changed
from django.db import connections
from django.db.backends.signals import connection_created

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import MAX_HELD, Tally, current, on_fold, prompt
from perfsuite.queries import kinds
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.fingerprint import MAX_CACHED, MAX_CACHED_CHARS, MAX_SQL_CHARS, Shape, shape

logger = logging.getLogger("perfsuite.queries")

# The same slow statement is logged once in this long.
LOG_AGAIN_S = 60.0
MAX_LOGGED = 500

_guard = Guard("queries.sql")
_logged_at: dict[str, float] = {}
_is_mysql: dict[str, bool] = {}
# Django writes each statement anew; one that came before is held as the text that it was then, so that the new one's memory
# is free again at once. That halves what noting a statement costs.
_texts: dict[str, str] = {}


# Hot path: benchmarks/overhead.py
def note_statement(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
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
            seconds = perf_counter() - started
            text = (_texts.get(sql) if type(sql) is str else None) or _first(sql, context)
            held = tally.held
            held.append((text, context["connection"].alias, seconds, failed))
            if len(held) >= MAX_HELD:
                fold_statements((tally,), tally.route())
        except Exception as exc:  # noqa: BLE001 - the guard's
            _guard.failed(exc)


# Hot path: benchmarks/overhead.py
def fold_statements(tallies: Sequence[Tally], route: str) -> None:
    """Put the statements of tallies into the recorder, for the route that ran them. Never raises."""
    try:
        statements = [statement for tally in tallies if tally.held for statement in tally.take_held()]
        if not statements:
            return
        slow_s = QuerySettings.get().slow_query_ms / 1e3
        # A text that comes again, as in N+1 queries, is looked at once.
        us_by_text: dict[tuple[str, str], list[float]] = {}
        observations: list[Observation] = []
        for text, alias, seconds, failed in statements:
            values = us_by_text.get((text, alias))
            if values is None:
                values = us_by_text[text, alias] = []
            values.append(seconds * 1e6)
            if failed or seconds >= slow_s:
                labels = (_shape(text, alias).fingerprint, alias, route)
                observations += _remarkable(labels, seconds, failed, slow_s)
        for (text, alias), values in us_by_text.items():
            fingerprint, operation = _shape(text, alias)
            observations.append((kinds.ALL, (alias, operation), values))
            observations.append((kinds.FINGERPRINT, (fingerprint, alias, route), values))
        recorder.observe_many(tuple(observations))
    except Exception as exc:  # noqa: BLE001 - the guard's
        _guard.failed(exc)


def _first(sql: Any, context: dict[str, Any]) -> str:
    """Return a statement that did not come before as text, and remember it unless it is long."""
    text = _text(sql, context["connection"])
    if type(sql) is str and len(sql) <= MAX_CACHED_CHARS:
        if len(_texts) >= MAX_CACHED:
            _texts.clear()
        _texts[sql] = text
    return text


def _text(sql: Any, connection: Any) -> str:
    """Return a statement as text, cut to what fingerprints look at, so that a request that holds many long ones stays small."""
    if isinstance(sql, bytes):
        return sql[:MAX_SQL_CHARS].decode(errors="replace")
    if isinstance(sql, str):
        return sql[:MAX_SQL_CHARS]
    # psycopg's composed statements: their repr shows values in quotes that are not SQL's.
    as_string = getattr(sql, "as_string", None)
    return str(as_string(connection.connection))[:MAX_SQL_CHARS] if as_string else type(sql).__name__


def _shape(text: str, alias: str) -> Shape:
    if alias not in _is_mysql:
        _is_mysql[alias] = connections[alias].vendor == "mysql"
    return shape(text, _is_mysql[alias])


def _remarkable(
    labels: tuple[str, str, str], seconds: float, failed: bool, slow_s: float
) -> Iterator[Observation]:
    """Yield what is counted of a slow or failed statement, and log a slow one."""
    if seconds >= slow_s:
        yield kinds.SLOW, labels, seconds * 1e6
        _log_slow(*labels, seconds, slow_s)
    if failed:
        yield kinds.FAILED, labels, seconds * 1e6


def _log_slow(fingerprint: str, alias: str, route: str, seconds: float, slow_s: float) -> None:
    now = time.monotonic()
    if now - _logged_at.get(fingerprint, -LOG_AGAIN_S) < LOG_AGAIN_S:
        return
    if len(_logged_at) >= MAX_LOGGED:
        _logged_at.clear()
    _logged_at[fingerprint] = now
    logger.warning(
        "Slow query on %r in %s: %.0f ms (threshold %.0f ms): %s",
        alias,
        route,
        seconds * 1e3,
        slow_s * 1e3,
        fingerprint,
    )


def install() -> None:
    """Put the wrapper on this thread's connections and on each that opens later, in any thread. Idempotent."""
    on_fold(fold_statements)
    connection_created.connect(_on_connection, dispatch_uid="perfsuite.queries.sql")
    for connection in _made_connections():
        _on_connection(None, connection)


def uninstall() -> None:
    """Take the wrapper off this thread's connections and put it on no further one."""
    connection_created.disconnect(dispatch_uid="perfsuite.queries.sql")
    for connection in _made_connections():
        if note_statement in connection.execute_wrappers:
            connection.execute_wrappers.remove(note_statement)


def follow_settings() -> None:
    """Install the wrapper where monitoring is on, and take it off or put it on again when that setting changes."""
    setting_changed.connect(_on_setting_changed, dispatch_uid="perfsuite.queries.sql")
    _on_setting_changed(setting="PERFSUITE")


def _made_connections() -> list[Any]:
    """Return the connections that this thread has made; making the others would load drivers that it may never need."""
    try:
        return list(connections.all(initialized_only=True))
    except TypeError:  # Django before 4.1
        return list(connections.all())


def _on_connection(sender: object, connection: Any, **kwargs: object) -> None:
    if note_statement not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, note_statement)


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "PERFSUITE":
        # No statement of a shorter request can be slow.
        prompt.from_s = QuerySettings.get().slow_query_ms / 1e3
        install() if MetricsSettings.get().enabled else uninstall()
