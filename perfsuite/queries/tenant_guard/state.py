"""What the guard is set to in this process: what is declared, what it does, and where it says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from django.db.models import Model

from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.tenant_guard.declared import Declaration, read_declaration
from perfsuite.queries.tenant_guard.hands import Rows, is_in_hand
from perfsuite.queries.tenant_guard.schema import Owned, Schema, Verdict
from perfsuite.tenancy.current import current_reason, current_tenant

OBSERVE, WARN, RAISE, OFF = "observe", "warn", "raise", "off"
MODES = (OBSERVE, WARN, RAISE, OFF)
# Different statements whose verdict is remembered.
MAX_VERDICTS = 1_000


# The tables that a statement reaches without their tenant, its fingerprint, the alias and the call site.
Collect = Callable[[Sequence[Owned], str, str, str], None]


class Collecting:
    """Whom statements are told to for the moment, whatever the settings say; ``always`` as the setting of that name."""

    collect: Collect | None = None
    always = False


collecting = Collecting()


@dataclass(frozen=True)
class State:
    """The guard while something is declared."""

    schema: Schema
    names: re.Pattern[str]
    attributes: Mapping[type[Model], str]
    mode: str
    always: bool
    allowed: re.Pattern[str] | None
    # The verdict on a text without its values.
    verdict: Callable[[str], Verdict]
    # Whom a statement is told to that is not in order, at once and in place of all that is done else; for tests.
    collect: Collect | None = None

    def is_judged(self) -> bool:
        """Tell whether the caller's statement is judged: for a tenant, not ``across_tenants``, and not about a row in hand."""
        tenant = current_tenant()
        if (tenant is None and not self.always) or current_reason() is not None:
            return False
        return not is_in_hand(Rows(self.attributes, tenant))

    def allows(self, route: str) -> bool:
        """Tell whether the statements of a route are not judged."""
        return self.allowed is not None and self.allowed.match(route) is not None


def mode_in_force() -> str:
    """Return what the guard does; a mode that there is not is a check, and read as ``observe``."""
    mode = QuerySettings.get().tenant_guard
    return mode if mode in MODES else OBSERVE


def declaration() -> Declaration:
    """Read what the settings and the models declare."""
    return read_declaration(QuerySettings.get().tenant_owned)


def read_state() -> State | None:
    """Return the guard as the settings and the models have it, or None when it has nothing to do."""
    settings, mode = QuerySettings.get(), mode_in_force()
    collect = collecting.collect
    if collect is not None:
        mode = OBSERVE
    if mode == OFF:
        return None
    declared = declaration()
    schema, names = declared.schema, declared.schema.pattern()
    if names is None:
        return None
    routes = "|".join(translate(route) for route in settings.tenant_allowed_routes)
    return State(
        schema,
        names,
        declared.attributes,
        mode,
        collecting.always if collect is not None else settings.tenant_guard_always,
        re.compile(routes) if routes else None,
        lru_cache(maxsize=MAX_VERDICTS)(lambda text: _verdict_of(text, schema)),
        collect,
    )


def _verdict_of(text: str, schema: Schema) -> Verdict:
    # What reads SQL is loaded by who has declared something to look for.
    from perfsuite.queries.tenant_guard.reading import verdict_of

    return verdict_of(text, schema)
