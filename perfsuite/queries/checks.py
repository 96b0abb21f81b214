"""System checks of the queries app."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from perfsuite import databases
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.storages.alias import store_alias, store_is_automatic
from perfsuite.optional import available
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.tenant_guard.state import MODES, declaration


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


@checks.register("perfsuite")
def check_djongo(**kwargs: Any) -> list[checks.CheckMessage]:
    """Warn hosts on djongo that nobody mends the Django that it needs (W002)."""
    return [
        checks.Warning(
            f"The database {alias!r} is reached through djongo, which needs Django 3.1: no security fixes any more.",
            hint='Move to django-mongodb-backend: read docs/howto/leave-djongo.md and type "manage.py check_djongo_move".',
            id="perfsuite_queries.W002",
        )
        for alias, entry in settings.DATABASES.items()
        if entry.get("ENGINE") == "djongo"
    ]


@checks.register("perfsuite")
def check_pools(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report what the environment asks of connection pools that an engine cannot honour (W020)."""
    found: list[checks.CheckMessage] = []
    asked = databases.asked_for()
    for alias, entry in settings.DATABASES.items():
        if store_is_automatic() and alias == store_alias():
            continue  # perfsuite's own, which the host's settings do not have
        engine = str(entry.get("ENGINE", ""))
        if names := [name for name in databases.not_honoured(engine) if name in asked]:
            why, hint = databases.why_not(engine)
            message = f"The database {alias!r} does not honour {', '.join(names)}: {why}."
            found.append(checks.Warning(message, hint=hint, id="perfsuite_queries.W020"))
    return found


@checks.register("perfsuite")
def check_tenant_guard(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report declarations that cannot be meant (E010), a mode that there is not (E011), and a table that is none (W010)."""
    found: list[checks.CheckMessage] = []
    for problem in declaration().problems:
        level = checks.Error if problem.id.endswith("E010") else checks.Warning
        found.append(level(problem.message, hint=problem.hint, id=problem.id))
    mode = QuerySettings.get().tenant_guard
    if mode not in MODES:
        message = f"PERFSUITE['QUERIES']['TENANT_GUARD'] is {mode!r}, so the guard only observes."
        hint = f"Write one of {', '.join(map(repr, MODES))}."
        found.append(checks.Error(message, hint=hint, id="perfsuite_queries.E011"))
    return found


@checks.register("perfsuite")
def check_mask(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report a mask of parameters that cannot be used (E001)."""
    path = QuerySettings.get().mask_params
    try:
        usable = not path or callable(import_string(path))
    except ImportError:
        usable = False
    if usable:
        return []
    return [
        checks.Error(
            f"PERFSUITE['QUERIES']['MASK_PARAMS'] is {path!r}, which is no function; no parameters are kept.",
            hint='Name one that takes a statement and a list of parameters: "shop.privacy.mask".',
            id="perfsuite_queries.E001",
        )
    ]
