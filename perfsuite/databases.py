"""Connection pools from environment variables, for a settings file: how many connections, how long they wait, how long they idle.

    DATABASES = {"default": with_pool({"ENGINE": "django.db.backends.postgresql", "NAME": "shop"})}

Needs no apps and no settings. The surprising rule: what an engine cannot honour is left out in silence here, because a settings
file has nobody to tell; a system check of the queries app says it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import django
from django.core.exceptions import ImproperlyConfigured

from perfsuite.optional import available

POSTGRESQL, MONGODB, DJONGO, OTHER = "postgresql", "mongodb", "djongo", "other"
_FAMILIES = {
    "postgresql": POSTGRESQL,
    "postgis": POSTGRESQL,
    "django_mongodb_backend": MONGODB,
    "djongo": DJONGO,
}
# Where an engine takes options of its driver.
_DRIVERS_OPTIONS = {POSTGRESQL: "OPTIONS", MONGODB: "OPTIONS", DJONGO: "CLIENT", OTHER: "OPTIONS"}
_MS_PER_S = 1_000


@dataclass(frozen=True)
class Variable:
    """An environment variable: its default, and the least that makes sense. Times are in milliseconds."""

    name: str
    default: int
    minimum: int


SIZE = Variable("DB_POOL_SIZE", 20, 1)
MIN = Variable("DB_POOL_MIN", 2, 0)
IDLE = Variable("DB_IDLE_TIMEOUT", 10_000, 1)
ACQUIRE = Variable("DB_ACQUIRE_TIMEOUT", 60_000, 1)
VARIABLES = (SIZE, MIN, IDLE, ACQUIRE)


def pool_options(engine: str) -> dict[str, Any]:
    """Return what an entry of ``DATABASES`` with this ``ENGINE`` takes to have its connections pooled as the environment says.

    All figures are per process. ``OPTIONS`` (``CLIENT`` for djongo) is among the keys: an entry that has its own merges the two,
    or uses ``with_pool``. Raises ``ImproperlyConfigured`` for a variable that cannot be meant.
    """
    size, least, idle_ms, acquire_ms = map(_number, VARIABLES)
    if least > size and os.environ.get(MIN.name):
        raise ImproperlyConfigured(
            f"The environment variable {MIN.name} is {least}, more than {SIZE.name}, {size}; "
            f"write {size} at most, or raise {SIZE.name}."
        )
    least = min(least, size)
    family = _family(engine)
    if family in (MONGODB, DJONGO):
        client = {
            "maxPoolSize": size,
            "minPoolSize": least,
            "maxIdleTimeMS": idle_ms,
            "waitQueueTimeoutMS": acquire_ms,
        }
        # djongo closes its client with the connection, and with it the pool of all threads.
        return {"CLIENT": client, "CONN_MAX_AGE": None} if family == DJONGO else {"OPTIONS": client}
    if family == POSTGRESQL and _can_pool():
        pool = {
            "min_size": least,
            "max_size": size,
            "timeout": acquire_ms / _MS_PER_S,
            "max_idle": idle_ms / _MS_PER_S,
        }
        # Django refuses connections that are kept beside a pool.
        return {"OPTIONS": {"pool": pool}, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}
    return {"CONN_MAX_AGE": max(1, idle_ms // _MS_PER_S), "CONN_HEALTH_CHECKS": True}


def with_pool(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of ``DATABASES`` with the pool of its engine. What the entry says itself stays as it is.

    Raises ``ImproperlyConfigured`` as ``pool_options`` does, and for an entry that keeps connections beside psycopg's pool.
    """
    engine = str(entry.get("ENGINE", ""))
    pooled = pool_options(engine)
    options = _DRIVERS_OPTIONS[_family(engine)]
    merged = {**pooled.get(options, {}), **entry.get(options, {})}
    made = {**pooled, **entry}
    if merged:
        made[options] = merged
    if merged.get("pool") and made["CONN_MAX_AGE"] != 0:
        raise ImproperlyConfigured(
            f"CONN_MAX_AGE is {made['CONN_MAX_AGE']!r} beside a pool, which Django does not take; remove CONN_MAX_AGE, "
            "or write 'OPTIONS': {'pool': False} to keep connections without a pool."
        )
    return made


def asked_for() -> list[str]:
    """Return the names of the variables that the environment sets."""
    return [each.name for each in VARIABLES if os.environ.get(each.name)]


def not_honoured(engine: str) -> tuple[str, ...]:
    """Return the names of the variables that do nothing for an engine."""
    if _family(engine) in (MONGODB, DJONGO) or (_family(engine) == POSTGRESQL and _can_pool()):
        return ()
    return (SIZE.name, MIN.name, ACQUIRE.name)


def why_not(engine: str) -> tuple[str, str]:
    """Return why an engine does not honour all variables, and what to type."""
    if _family(engine) != POSTGRESQL:
        return "Django keeps one connection for each thread of it", "Bound the threads of the server instead."
    if django.VERSION < (5, 1):
        return (
            "Django has pools from 5.1 on",
            "Update Django, or put a pooler such as PgBouncer before the database.",
        )
    return "psycopg_pool is not installed", "Type: pip install 'psycopg[pool]'"


def _family(engine: str) -> str:
    return _FAMILIES.get(engine.rpartition(".")[2], OTHER)


def _can_pool() -> bool:
    return django.VERSION >= (5, 1) and available("psycopg") and available("psycopg_pool")


def _number(variable: Variable) -> int:
    text = os.environ.get(variable.name, "")
    if not text:
        return variable.default
    try:
        number = int(text)
    except ValueError:
        number = variable.minimum - 1
    if number < variable.minimum:
        unit = " (milliseconds)" if variable in (IDLE, ACQUIRE) else ""
        raise ImproperlyConfigured(
            f"The environment variable {variable.name} is {text[:60]!r}; "
            f"write a whole number of at least {variable.minimum}{unit}."
        )
    return number
