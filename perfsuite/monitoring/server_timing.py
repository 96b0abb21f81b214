"""The Server-Timing header (W3C Server Timing), shown by the browser's own network panel.

It tells a stranger how long the site's queries take, so it is sent only with DEBUG on, or to a staff user. Whether the user is
staff is read only where the view itself has loaded the user: asking from outside would add statements.
"""

from __future__ import annotations

import re
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import LazyObject, empty

from perfsuite.metrics.request import Tally
from perfsuite.monitoring.conf import MonitoringSettings

# What a name in the header must not hold (RFC 9110, section 5.6.2).
NOT_OF_TOKENS = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")


def add_server_timing(response: HttpResponseBase, tally: Tally, seconds: float) -> None:
    """Add ``total`` and ``db`` in milliseconds to a response that may carry them, beside what the view has put there.

    Where more than one database was used, ``db-<alias>`` follows for each of them.
    """
    if (
        tally.request is None
        or not (settings.DEBUG or _is_known_staff(tally.request))
        or not MonitoringSettings.get().server_timing
    ):
        return
    queries, db_s = tally.statements()
    ours = f'total;dur={seconds * 1e3:.1f}, db;dur={db_s * 1e3:.1f};desc="{queries} queries"'
    ours += _by_alias(tally)
    headers = cast(Any, response)
    headers["Server-Timing"] = f"{headers['Server-Timing']}, {ours}" if "Server-Timing" in headers else ours


def _by_alias(tally: Tally) -> str:
    """Return an entry for each alias if there are several; none once some statements are folded, whose alias is not held."""
    if tally.folded_count:
        return ""
    by_alias: dict[str, list[float]] = {}
    for statement in tally.held.copy():  # another thread may append meanwhile
        by_alias.setdefault(statement[1], []).append(statement[2])
    if len(by_alias) < 2:
        return ""
    entries, names = "", set[str]()
    for alias, seconds in sorted(by_alias.items()):
        name = base = f"db-{NOT_OF_TOKENS.sub('_', alias)}"
        number = 1
        while name in names:
            number += 1
            name = f"{base}-{number}"
        names.add(name)
        entries += f', {name};dur={sum(seconds) * 1e3:.1f};desc="{len(seconds)} queries"'
    return entries


def _is_known_staff(request: HttpRequest) -> bool:
    """Tell whether the user was loaded already and is staff, without loading anything.

    Only what the object itself holds is looked at: a deferred field, or a property of the host's own user model, could ask
    the database.
    """
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject):
        # Around the object's own look-up of attributes, which is slow.
        user = object.__getattribute__(user, "__dict__").get("_wrapped", empty)
        if user is empty:
            user = request.__dict__.get("_acached_user")
    if user is None:
        return False
    held = getattr(user, "__dict__", {})
    return held.get("is_staff") is True and held.get("is_active", True) is True
