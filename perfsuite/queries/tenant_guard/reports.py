"""What becomes of a statement that reaches a tenant's table without the tenant: a finding, a line in the log, an exception."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from perfsuite.exceptions import UnscopedStatement
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.sightings import Sighting, sight
from perfsuite.queries import kinds
from perfsuite.queries.tenant_guard.schema import Owned
from perfsuite.queries.tenant_guard.state import OBSERVE

logger = logging.getLogger("perfsuite.queries")

# The same line is logged once in this long.
LOG_AGAIN_S = 60.0
MAX_LOGGED = 500

_logged_at: dict[tuple[str, str], float] = {}
_lock = threading.Lock()


def report(
    unscoped: Sequence[Owned], fingerprint: str, operation: str, alias: str, route: str, site: str, mode: str
) -> None:
    """Count a statement without its tenant, and make it a finding; in the other modes than ``observe``, log it."""
    for owned in unscoped:
        recorder.observe(kinds.UNSCOPED, (owned.table, route), 1)
    sight(
        Sighting(
            kind="tenant",
            subject=fingerprint,
            alias=alias,
            route=route,
            site=site,
            saving_us=0.0,
            evidence={
                "tables": [{"table": owned.table, "column": owned.shown} for owned in unscoped],
                "operation": operation,
                "about": ", ".join(owned.table for owned in unscoped),
            },
        )
    )
    if mode != OBSERVE and _is_due(fingerprint, site):
        logger.warning("%s", message(unscoped[0], site or route))


def not_understood(fingerprint: str, alias: str, route: str, site: str, mode: str) -> None:
    """Count a statement on a tenant's table that the guard cannot read, and log it where somebody waits for its word."""
    recorder.observe(kinds.UNJUDGED, (fingerprint, alias, route), 1)
    if mode != OBSERVE and _is_due(fingerprint, site):
        logger.warning(
            "The tenant guard does not understand a statement of %s and let it pass: %s",
            site or route or "an unknown place",
            fingerprint,
        )


def message(owned: Owned, site: str) -> str:
    """Return the one sentence about a statement without its tenant."""
    return (
        f"A statement of {site or 'an unknown place'} reaches {owned.table!r} without its tenant column {owned.shown!r}; "
        'filter by the tenant, or run it in "with across_tenants(reason):" if it is meant for all.'
    )


def exception(unscoped: Sequence[Owned], site: str) -> UnscopedStatement:
    """Return what is raised in place of running the statement."""
    owned = unscoped[0]
    return UnscopedStatement(message(owned, site), table=owned.table, column=owned.shown, site=site)


def _is_due(fingerprint: str, site: str) -> bool:
    now, key = time.monotonic(), (fingerprint, site)
    with _lock:
        if now - _logged_at.get(key, -LOG_AGAIN_S) < LOG_AGAIN_S:
            return False
        if len(_logged_at) >= MAX_LOGGED:
            _logged_at.clear()
        _logged_at[key] = now
    return True
