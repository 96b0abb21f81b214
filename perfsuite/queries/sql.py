"""The execute wrapper: sees every SQL statement of every alias, and costs a few microseconds each.

It only notes the statement in the tally of the request, or of what runs outside of one (outside.py). It times ``execute``,
not the fetching of rows. djongo's have a wrapper of their own (translation.py).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.core.signals import setting_changed
from django.db import connections
from django.db.backends.signals import connection_created

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.request import MAX_HELD, Tally, in_hand, on_fold, prompt
from perfsuite.queries import connecting, loading, outside
from perfsuite.queries.callsite import NEARER, STEADY, UNLOOKED, Seen, _getframe
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.findings import REPEATED
from perfsuite.queries.fingerprint import MAX_CACHED, MAX_CACHED_CHARS, MAX_SQL_CHARS
from perfsuite.queries.limits import limits
from perfsuite.queries.outside import tally_of
from perfsuite.queries.parameters import kept, key_of
from perfsuite.queries.rows import UNKNOWN, forget_texts, look_closer, watch_text, watched
from perfsuite.queries.rows import guard as rows_guard
from perfsuite.queries.statements import began, fold_statements, guard
from perfsuite.queries.tracing import FROM, capture, settled, third, trace
from perfsuite.queries.tracing import guard as tracing_guard
from perfsuite.queries.translation import note_djongo_statement

# What is there with the wrapper, and not without it.
HOOKS = (connecting, loading, outside)

# With so many, the next statement has them folded.
ALMOST_FULL = MAX_HELD - 1

# Django writes each statement anew; one that came before is held as the text that it was then, so that the new one's memory
# is free again at once. That halves what noting a statement costs.
_texts: dict[str, str] = {}


# Hot path: benchmarks/overhead.py
def note_statement(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Run a statement and note it in the tally of the request in hand, if there is one."""
    tally = in_hand()
    if (tally is None or tally.closed or not guard.on) and (tally := tally_of(tally)) is None:
        return execute(sql, params, many, context)
    started = perf_counter()
    try:
        result = execute(sql, params, many, context)
    except BaseException:
        _note(tally, sql, params, many, context, perf_counter() - started, failed=True)
        raise
    seconds = perf_counter() - started
    try:
        held = tally.held
        came = tally.seen.get(sql) if params.__class__ is tuple and params and not many else None
        # The short way of what a loop runs, which comes from where it came from before, and that of what comes alone.
        if came.__class__ is Seen and 0 < len(held) < ALMOST_FULL:
            if not came.sure and came.near and len(params) == 1 and tracing_guard.on:
                frame = _getframe(came.near)
                if frame.f_code is came.code and frame.f_lasti == came.instruction:
                    came.same += 1
                    came.sure = 1 + UNLOOKED if came.same > STEADY else 1
            if came.sure:
                alias, rows = context["connection"].alias, UNKNOWN
                if came.silent_on == alias or (rows := context["cursor"].cursor.rowcount) <= limits.rows:
                    key = params if len(params) == 1 and type(params[0]) is int else key_of(params)
                    own = (params if key is params else kept(params)) if capture.on else None
                    held.append((came.what, alias, seconds, False, key, came.site, own, rows))
                    came.sure -= 1
                    return result
        elif sql in settled and _note_settled(tally, sql, params, many, context, seconds):
            return result
    except Exception:  # noqa: BLE001, S110 - a shorter stack, or what the long way meets again and counts
        pass
    _note(tally, sql, params, many, context, seconds, failed=False)
    return result


# Hot path: benchmarks/overhead.py
def _note_settled(
    tally: Tally, sql: Any, params: Any, many: bool, context: dict[str, Any], seconds: float
) -> bool:
    """Note what its request runs for the first to third time, if nothing is to be looked at; return whether it is noted.

    Of a third one that is that it comes from the line from which it came in an earlier request.
    """
    held, came = tally.held, tally.seen.get(sql, 0)
    if params.__class__ is not tuple or not params or many or came.__class__ is not int:
        return False
    rows = context["cursor"].cursor.rowcount
    if rows > limits.rows or seconds >= prompt.from_s or len(held) >= ALMOST_FULL or not tracing_guard.on:
        return False
    text = _texts[sql]
    if text in watched:
        return False
    site = None
    if came == FROM - 1:
        if len(params) > 1 or (seen := third(text, is_short=True)).code is None or not seen.is_simple:
            return False
        frame = _getframe(seen.depth - NEARER + 1)
        if frame.f_code is not seen.code or frame.f_lasti != seen.instruction:
            return False
        tally.seen[text], tally.seen[REPEATED] = seen, 1
        seen.near = seen.depth - NEARER
        site = seen.stays()
    else:
        tally.seen[text] = came + 1
    key = params if len(params) == 1 and type(params[0]) is int else key_of(params)
    own = (params if key is params else kept(params)) if capture.on else None
    if not held:
        began(tally)
    held.append((text, context["connection"].alias, seconds, False, key, site, own, rows))
    return True


# Hot path: benchmarks/overhead.py
def _note(
    tally: Tally, sql: Any, params: Any, many: bool, context: dict[str, Any], seconds: float, failed: bool
) -> None:
    """Note a statement that has run, whatever it is. Never raises."""
    try:
        text = (_texts.get(sql) if type(sql) is str else None) or _first(sql, context)
        alias, held = context["connection"].alias, tally.held
        if not held:
            began(tally)
        try:
            # What a cursor says of a statement that failed is about the one before.
            rows = UNKNOWN if failed else context["cursor"].cursor.rowcount
            if text in watched or rows > limits.rows:
                rows = look_closer(context, text, rows, seconds)
        except Exception as exc:  # noqa: BLE001 - the guard's
            rows = UNKNOWN
            rows_guard.failed(exc)
        key, site, own = trace(tally, text, alias, params, many, seconds, failed)
        held.append((text, alias, seconds, failed, key, site, own, rows))
        if len(held) >= MAX_HELD:
            fold_statements((tally,), tally.route())
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def _first(sql: Any, context: dict[str, Any]) -> str:
    """Return a statement that did not come before as text, and remember it unless it is long."""
    text = text_of(sql, context["connection"])
    if type(sql) is str and len(sql) <= MAX_CACHED_CHARS:
        if len(_texts) >= MAX_CACHED:
            _texts.clear()
            forget_texts()
        _texts[sql] = text
        watch_text(text, context["connection"])
    return text


def text_of(sql: Any, connection: Any) -> str:
    """Return a statement as text, cut to what fingerprints look at, so that a request that holds many long ones stays small."""
    if isinstance(sql, bytes):
        return sql[:MAX_SQL_CHARS].decode(errors="replace")
    if isinstance(sql, str):
        return sql[:MAX_SQL_CHARS]
    # psycopg's composed statements: their repr shows values in quotes that are not SQL's.
    as_string = getattr(sql, "as_string", None)
    return str(as_string(connection.connection))[:MAX_SQL_CHARS] if as_string else type(sql).__name__


def install() -> None:
    """Put the wrapper on this thread's connections and on each that opens later, in any thread. Idempotent."""
    on_fold(fold_statements)
    connection_created.connect(_on_connection, dispatch_uid="perfsuite.queries.sql")
    for connection in _made_connections():
        put_on(connection)
    for each in HOOKS:
        each.install()


def uninstall() -> None:
    """Take the wrapper off this thread's connections and put it on no further one."""
    connection_created.disconnect(dispatch_uid="perfsuite.queries.sql")
    for connection in _made_connections():
        take_off(connection)
    for each in HOOKS:
        each.uninstall()


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
    put_on(connection)


def put_on(connection: Any) -> bool:
    """Put the wrapper on one connection; return whether it was not there yet."""
    wrapper = _wrapper_for(connection)
    if wrapper in connection.execute_wrappers:
        return False
    connection.execute_wrappers.insert(0, wrapper)
    return True


def take_off(connection: Any) -> None:
    """Take the wrapper off one connection, if it is there."""
    if (wrapper := _wrapper_for(connection)) in connection.execute_wrappers:
        connection.execute_wrappers.remove(wrapper)


def _wrapper_for(connection: Any) -> Callable[..., Any]:
    return note_djongo_statement if connection.vendor == "djongo" else note_statement


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "PERFSUITE":
        options = QuerySettings.get()
        # No statement of a shorter request can be slow.
        prompt.from_s = options.slow_query_ms / 1e3
        limits.follow(options)
        capture.on = options.capture_params
        install() if MetricsSettings.get().enabled else uninstall()
