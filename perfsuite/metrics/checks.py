"""System checks of the metrics app."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.storages import get_storage
from perfsuite.metrics.storages.alias import SQLITE


@checks.register("perfsuite")
def check_store(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report a store that cannot work (E001, E002) and one that hurts its host (W001)."""
    settings = MetricsSettings.get()
    found: list[checks.CheckMessage] = []
    if settings.database and settings.database not in connections.databases:
        message = f"PERFSUITE['METRICS']['DATABASE'] is {settings.database!r}, which is not in DATABASES."
        hint = f"Write one of {', '.join(sorted(connections.databases))}, or leave it empty."
        found.append(checks.Error(message, hint=hint, id="perfsuite_metrics.E001"))
    elif settings.database and _shares_a_sqlite_file(settings.database):
        message = (
            f"The metrics store shares the SQLite file of {DEFAULT_DB_ALIAS!r}; "
            "transactions will fail with 'database is locked'."
        )
        hint = "Remove PERFSUITE['METRICS']['DATABASE'], and the store gets a file of its own."
        found.append(checks.Warning(message, hint=hint, id="perfsuite_metrics.W001"))
    try:
        get_storage()
    except StoreUnavailable as exc:
        hint = "Write the dotted path of a storage class, or remove the option."
        found.append(checks.Error(str(exc), hint=hint, id="perfsuite_metrics.E002"))
    return found


def _shares_a_sqlite_file(alias: str) -> bool:
    store, host = connections.databases[alias], connections.databases[DEFAULT_DB_ALIAS]
    return store.get("ENGINE") == SQLITE == host.get("ENGINE") and str(store.get("NAME")) == str(
        host.get("NAME")
    )
