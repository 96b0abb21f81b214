"""Puts the guard on while something is declared, and takes it off again."""

from __future__ import annotations

from typing import Any

from django.core.signals import setting_changed
from django.db import connections
from django.db.backends.signals import connection_created

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.request import on_fold
from perfsuite.queries.tenant_guard import backend
from perfsuite.queries.tenant_guard.guard import fold_notes, forget, guard, in_force, judge_statement
from perfsuite.queries.tenant_guard.state import RAISE, read_state

_UID = "perfsuite.queries.tenant_guard"


def install() -> None:
    """Judge statements as the settings say, from now on: this thread's connections and all that open later. Idempotent."""
    forget()
    state = in_force.state = read_state()
    if state is None:
        uninstall()
        return
    on_fold(fold_notes)
    connection_created.connect(_on_connection, dispatch_uid=_UID)
    for connection in _made_connections():
        put_on(connection)
    backend.install() if state.mode == RAISE else backend.uninstall()


def uninstall() -> None:
    """Judge nothing any more. What other threads' connections have then costs one look-up a statement."""
    in_force.state = None
    backend.uninstall()
    connection_created.disconnect(dispatch_uid=_UID)
    for connection in _made_connections():
        if judge_statement in connection.execute_wrappers:
            connection.execute_wrappers.remove(judge_statement)


def follow_settings() -> None:
    """Install the guard where it has something to do, now and when that setting changes."""
    setting_changed.connect(_on_setting_changed, dispatch_uid=_UID)
    _on_setting_changed(setting="PERFSUITE")


def _made_connections() -> list[Any]:
    try:
        return list(connections.all(initialized_only=True))
    except TypeError:  # Django before 4.1
        return list(connections.all())


def _on_connection(sender: object, connection: Any, **kwargs: object) -> None:
    put_on(connection)


def put_on(connection: Any) -> None:
    """Have the statements of one connection judged."""
    # Outermost, so that what is not run is not counted as a statement.
    if judge_statement not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, judge_statement)


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "PERFSUITE":
        refresh()


def refresh() -> None:
    """Install the guard as the settings have it now, or take it off."""
    try:
        install() if MetricsSettings.get().enabled else uninstall()
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)
