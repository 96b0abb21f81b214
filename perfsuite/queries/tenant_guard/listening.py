"""Judges MongoDB's commands where the listener sees them: for ``observe`` and ``warn``, and of the host's own clients.

pymongo swallows what a listener raises, so nothing is raised here; in ``raise`` what a client of the host's own sends is logged.
A command is judged when it is sent, since nothing of it is kept; only those on a declared collection, and aggregations, pay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfsuite.metrics.request import Tally, in_hand
from perfsuite.queries.callsite import call_site
from perfsuite.queries.fingerprint import Shape
from perfsuite.queries.tenant_guard.documents import verdict_of_command
from perfsuite.queries.tenant_guard.guard import guard, in_force, note
from perfsuite.queries.tenant_guard.reports import exception, not_understood, report
from perfsuite.queries.tenant_guard.schema import Verdict
from perfsuite.queries.tenant_guard.state import State


# Hot path: benchmarks/tenant_guard.py
def judge_command(tally: Tally, name: str, command: Mapping[str, Any], what: Shape, alias: str) -> None:
    """Note a command of a request that reaches documents without their tenant. Never raises."""
    state = in_force.state
    if state is None or not guard.on:
        return
    try:
        verdict = verdict_of_command(name, command, state.schema)
        if (not verdict.unscoped and verdict.understood) or not state.is_judged():
            return
        if verdict.understood and state.collect is None:
            note(tally, (what.fingerprint, alias, call_site(), verdict.unscoped))
        else:
            settle_command(state, verdict, what, alias)
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def settle_command(state: State, verdict: Verdict, what: Shape, alias: str) -> Exception | None:
    """Report a command that is not in order, and return what to raise for it."""
    tally, site = in_hand(), call_site()
    route = tally.route() if tally is not None and not tally.closed else ""
    if state.allows(route):
        return None
    if not verdict.understood:
        not_understood(what.fingerprint, alias, route, site, state.mode)
        return None
    if state.collect is not None:
        state.collect(verdict.unscoped, what.fingerprint, alias, site)
        return None
    report(verdict.unscoped, what.fingerprint, what.operation, alias, route, site, state.mode)
    return exception(verdict.unscoped, site)
