"""System checks of the queries app."""

from __future__ import annotations

from typing import Any

from django.core import checks

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.optional import available


@checks.register("perfsuite")
def check_clients(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report clients of MongoDB that were made too early to be observed (W001)."""
    if not available("pymongo") or not MetricsSettings.get().enabled:
        return []
    from perfsuite.queries.mongo import unobserved_clients

    hint = (
        "Make it after Django is set up, in a function or in an app's ready(); or, where it is made, write "
        "MongoClient(..., event_listeners=perfsuite.queries.mongo.event_listeners())."
    )
    return [
        checks.Warning(
            f"{client} was made before perfsuite was loaded; its commands are not measured.",
            hint=hint,
            id="perfsuite_queries.W001",
        )
        for client in unobserved_clients()
    ]
