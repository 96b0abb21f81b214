"""The execute wrapper that judges SQL, djongo's too; put on connections only while something is declared.

A statement that came before and was in order costs one look-up. In ``raise`` a verdict is made before the statement runs; else
the wrapper only notes where a statement came from, and what it comes to is worked out when the request is folded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from perfsuite.metrics.guard import Guard
from perfsuite.metrics.request import Tally, in_hand
from perfsuite.queries.callsite import call_site
from perfsuite.queries.dialects import dialect_of
from perfsuite.queries.fingerprint import MAX_CACHED_CHARS
from perfsuite.queries.tenant_guard.reports import exception, not_understood, report
from perfsuite.queries.tenant_guard.schema import NOT_UNDERSTOOD, Owned, Verdict
from perfsuite.queries.tenant_guard.state import RAISE, State

# Texts of statements that are in order, for longer ones and more than so many are judged anew.
MAX_IN_ORDER = 2_000
# A request that notes more has them worked out while it runs.
MAX_NOTES = 200
MAX_NOTED_CHARS = 100_000

guard = Guard("queries.tenants")

# The text, the alias and the call site; or of MongoDB's what it came to already. Nothing, where only the beginning of a text is
# kept, which may come to anything.
Note = tuple[str, str, str, "tuple[Owned, ...] | None"]

# What databases read differently (dialects.py): such a text is not remembered, since it may come to another of them.
_READ_DIFFERENTLY = re.compile(r"/\*.*/\*|/\*M?!|--|\|\||&&|[\r#\\]", re.DOTALL)


class Current:
    """The guard that is in force; None while nothing is declared."""

    state: State | None = None


in_force = Current()
_in_order: set[str] = set()


def forget() -> None:
    """Forget all verdicts, since something else is declared."""
    _in_order.clear()


# Hot path: benchmarks/tenant_guard.py
def judge_statement(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Run a statement unless it is to be raised for."""
    if type(sql) is not str or sql not in _in_order:
        _look(sql, context)
    return execute(sql, params, many, context)


def _look(sql: Any, context: dict[str, Any]) -> None:
    state = in_force.state
    if state is None or not guard.on:
        return
    error: Exception | None = None
    try:
        connection = context["connection"]
        text = _text_of(sql, connection)
        if state.names.search(text) is None:
            _remember(sql)
        elif state.is_judged():
            error = _judge(state, sql, text, connection.alias)
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)
    if error is not None:
        raise error


def _judge(state: State, sql: Any, text: str, alias: str) -> Exception | None:
    """Note a statement of the tenant in hand for later, or judge it now if it may have to be raised for."""
    tally = in_hand()
    if tally is not None and tally.closed:
        tally = None
    if state.mode != RAISE and state.collect is None and tally is not None:
        is_kept = len(text) <= MAX_NOTED_CHARS
        note(
            tally, (text if is_kept else text[:MAX_CACHED_CHARS], alias, call_site(), None if is_kept else ())
        )
        return None
    verdict = _verdict(state, text, alias)
    if verdict.understood and not verdict.unscoped:
        _remember(sql)
        return None
    route, site = tally.route() if tally is not None else "", call_site()
    return settle(state, verdict, text, alias, route, site)


def settle(state: State, verdict: Verdict, text: str, alias: str, route: str, site: str) -> Exception | None:
    """Report what is not in order; in ``raise``, return what to raise for it."""
    if state.allows(route):
        return None
    fingerprint, operation = dialect_of(alias).shape(text)
    if not verdict.understood:
        not_understood(fingerprint, alias, route, site, state.mode)
        return None
    if state.collect is not None:
        state.collect(verdict.unscoped, fingerprint, alias, site)
        return None
    report(verdict.unscoped, fingerprint, operation, alias, route, site, state.mode)
    return exception(verdict.unscoped, site) if state.mode == RAISE else None


def note(tally: Tally, noted: Note) -> None:
    """Put a statement aside until the request is folded."""
    notes = tally.tenant_notes
    if notes is None:
        notes = tally.tenant_notes = []
    notes.append(noted)
    tally.remark(noted)
    if len(notes) >= MAX_NOTES:
        fold_notes((tally,), tally.route())


def fold_notes(tallies: Sequence[Tally], route: str) -> None:
    """Judge what requests of a route have noted. Never raises."""
    state = in_force.state
    for tally in tallies:
        if tally.tenant_notes is None:
            continue
        notes, tally.tenant_notes = tally.tenant_notes, None
        try:
            if state is not None:
                _fold(state, notes, route)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)


def unscoped_in(notes: Iterable[Note], route: str) -> Iterator[tuple[str, str, str, Sequence[Owned]]]:
    """Yield what of a request's notes is without its tenant: fingerprint, alias, call site and tables. Reports nothing."""
    state = in_force.state
    if state is None or state.allows(route):
        return
    for text, alias, site, told in notes:
        unscoped = _verdict(state, text, alias).unscoped if told is None else told
        if unscoped:
            # Of MongoDB's, the text is the fingerprint.
            yield text if told else dialect_of(alias).shape(text).fingerprint, alias, site, unscoped


def _fold(state: State, notes: list[Note], route: str) -> None:
    for text, alias, site, unscoped in dict.fromkeys(notes):
        if unscoped:
            if not state.allows(route):
                report(unscoped, text, "", alias, route, site, state.mode)
            continue
        verdict = _verdict(state, text, alias) if unscoped is None else NOT_UNDERSTOOD
        if verdict.understood and not verdict.unscoped:
            _remember(text)
        else:
            settle(state, verdict, text, alias, route, site)


def _verdict(state: State, text: str, alias: str) -> Verdict:
    blank = dialect_of(alias).blank(text)
    return state.verdict(blank) if blank is not None else NOT_UNDERSTOOD


def _remember(sql: Any) -> None:
    if type(sql) is str and len(sql) <= MAX_CACHED_CHARS and not _READ_DIFFERENTLY.search(sql):
        if len(_in_order) >= MAX_IN_ORDER:
            _in_order.clear()
        _in_order.add(sql)


def _text_of(sql: Any, connection: Any) -> str:
    if type(sql) is str:
        return sql
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    as_string = getattr(sql, "as_string", None)  # psycopg's composed statements
    return str(as_string(connection.connection)) if as_string else str(sql)
