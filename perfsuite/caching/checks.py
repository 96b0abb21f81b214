"""System checks of the caching app. Only ``check_servers`` talks to a server, with ``--deploy --database``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from perfsuite.caching import classes, rules
from perfsuite.caching.conf import CachingSettings
from perfsuite.caching.functions import is_tiered
from perfsuite.caching.options import CacheOptions, read
from perfsuite.optional import available, require

Messages = list[checks.CheckMessage]
REDIS_TIER = '"OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}}'
CACHE_SESSIONS = (
    "django.contrib.sessions.backends.cache",
    "django.contrib.sessions.backends.cached_db",
)
SHARED_ALIAS = (
    '"shared": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:6379/1", '
    '"OPTIONS": {"SOCKET_TIMEOUT": 1, "SOCKET_CONNECT_TIMEOUT": 1}}'
)


@checks.register("perfsuite")
def check_caches(**kwargs: Any) -> Messages:
    """Report options that cannot be meant (E001), tiers that cannot work (E002) and some that work badly (W001-W003)."""
    found: Messages = []
    for alias in settings.CACHES:
        if not is_tiered(settings.CACHES[alias]):
            continue
        try:
            options = read(settings.CACHES[alias].get("OPTIONS", {}))
        except (ImproperlyConfigured, AttributeError, TypeError) as exc:
            hint = "Change the options as the message says."
            found.append(checks.Error(f"CACHES[{alias!r}]: {exc}", hint=hint, id="perfsuite_caching.E001"))
            continue
        found += _check_memory(alias, options)
        if options.shared is not None:
            found += _check_shared(alias, options.shared.alias)
    return found


def _check_memory(alias: str, options: CacheOptions) -> Iterator[checks.CheckMessage]:
    sizes = [(tier.name, tier.max_bytes) for tier in options.memory]
    for name, max_bytes in sizes:
        if max_bytes == 0:
            yield checks.Warning(
                f"The tier {name!r} of CACHES[{alias!r}] has 0 bytes, so nothing is ever in it.",
                hint=f"Write TIERS: {{{name!r}: None}} to leave it out, or give it MAX_BYTES.",
                id="perfsuite_caching.W001",
            )
    for (upper, above), (lower, below) in pairwise(sizes):
        if 0 < below < above:
            yield checks.Warning(
                f"The tier {lower!r} of CACHES[{alias!r}] has {below} bytes, less than {upper!r} above it with {above}; "
                "what leaves the upper one finds no room there.",
                hint=f"Give {lower!r} the larger MAX_BYTES.",
                id="perfsuite_caching.W002",
            )
    params = settings.CACHES[alias]
    if options.shared is not None and "MAX_ENTRIES" in {
        str(key).upper() for key in params.get("OPTIONS", {})
    }:
        yield checks.Warning(
            f"MAX_ENTRIES of CACHES[{alias!r}] bounds only the memory tiers; the one in Redis is not counted.",
            hint="Remove MAX_ENTRIES, and bound the server with its own maxmemory.",
            id="perfsuite_caching.W003",
        )


def _check_shared(alias: str, shared: str) -> Iterator[checks.CheckMessage]:
    params = settings.CACHES.get(shared)
    where = f"The shared tier of CACHES[{alias!r}] is {shared!r}, which is"
    if params is None:
        hint = f"Add it to CACHES: {SHARED_ALIAS}."
        yield checks.Error(f"{where} not in CACHES.", hint=hint, id="perfsuite_caching.E002")
    elif not available("django_redis"):
        hint = "Type: pip install 'django-perfsuite[redis]'"
        message = f"{where} in Redis, and django-redis is not installed."
        yield checks.Error(message, hint=hint, id="perfsuite_caching.E002")
    elif not _is_django_redis(params):
        hint = f"Write it as a cache of django-redis: {SHARED_ALIAS}."
        message = f"{where} {params.get('BACKEND')!r} and no cache of django-redis."
        yield checks.Error(message, hint=hint, id="perfsuite_caching.E002")


def _is_django_redis(params: Mapping[str, Any]) -> bool:
    redis_cache = require("django_redis.cache", extra="redis").RedisCache
    try:
        found = import_string(params["BACKEND"])
    except (ImportError, KeyError, TypeError):
        return False
    return isinstance(found, type) and issubclass(found, redis_cache)


def _shared_aliases() -> Iterator[tuple[str, str]]:
    """Yield each tiered cache with the alias of its shared tier."""
    for alias, params in settings.CACHES.items():
        if is_tiered(params):
            try:
                options = read(params.get("OPTIONS", {}))
            except (ImproperlyConfigured, AttributeError, TypeError):
                continue
            if options.shared is not None:
                yield alias, options.shared.alias


@checks.register("perfsuite")
def check_invalidation(**kwargs: Any) -> Messages:
    """Report DATA_CLASSES (E003) and INVALIDATE (E004) that cannot be meant, and a tag that may be a misspelt class (W006)."""
    hint = "Write it as {'tags': ['tenant:{tenant_id}', 'pages'], 'tier': 'warm'}."
    found: Messages = [checks.Error(p, hint=hint, id="perfsuite_caching.E003") for p in classes.problems()]
    for message, what_to_write in rules.read_all()[1]:
        said = f"PERFSUITE['CACHING']: {message}"
        found.append(checks.Error(said, hint=what_to_write, id="perfsuite_caching.E004"))
    for label, tag, meant in rules.suspects():
        message = f"INVALIDATE[{label!r}] has the tag {tag!r}, which reads like the data class {meant!r}."
        hint = f"Write {meant!r}, or give the tag another name."
        found.append(checks.Warning(message, hint=hint, id="perfsuite_caching.W006"))
    return found


@checks.register("perfsuite", deploy=True)
def check_memory_only(**kwargs: Any) -> Messages:
    """Report what needs data that processes share, on a cache that lives in each one's memory (W007, W008)."""
    found: Messages = []
    alias = getattr(settings, "SESSION_CACHE_ALIAS", "default")
    if settings.SESSION_ENGINE in CACHE_SESSIONS and is_in_memory(alias):
        lasting = "log everybody out" if CACHE_SESSIONS[0] == settings.SESSION_ENGINE else "cost a statement"
        found.append(
            checks.Warning(
                f"Sessions are kept in CACHES[{alias!r}], which is in the memory of each process: coherent copies are not "
                f"shared data, so other processes and restarts {lasting}.",
                hint=f"Put Redis behind it, {REDIS_TIER}, or write SESSION_ENGINE = "
                '"django.contrib.sessions.backends.db".',
                id="perfsuite_caching.W007",
            )
        )
    if is_in_memory("default") and _counts_in_the_cache():
        found.append(
            checks.Warning(
                "CACHES['default'] is in the memory of each process, and throttles count in it: each process counts for "
                "itself, and so does add() used as a lock.",
                hint=f"Put Redis behind it: {REDIS_TIER}.",
                id="perfsuite_caching.W008",
            )
        )
    return found


def is_in_memory(alias: str) -> bool:
    """Tell whether a cache is a tiered one without a tier that processes share."""
    params = settings.CACHES.get(alias)
    return params is not None and is_tiered(params) and alias not in dict(_shared_aliases())


def _counts_in_the_cache() -> bool:
    """Tell whether the host throttles by Django REST framework, or uses a package that locks and counts in the cache."""
    framework = getattr(settings, "REST_FRAMEWORK", {})
    throttles = isinstance(framework, Mapping) and framework.get("DEFAULT_THROTTLE_CLASSES")
    return (
        bool(throttles) or "axes" in settings.INSTALLED_APPS or "django_ratelimit" in settings.INSTALLED_APPS
    )


@checks.register("perfsuite", deploy=True)
def check_enabled(**kwargs: Any) -> Messages:
    """Report that computed values are switched off (W009)."""
    if CachingSettings.get().enabled:
        return []
    message = "CACHE_ENABLED is false: @cached and get_or_set compute each time."
    hint = "Remove CACHE_ENABLED from the environment and ENABLED from PERFSUITE['CACHING'] once the reason for it is gone."
    return [checks.Warning(message, hint=hint, id="perfsuite_caching.W009")]


@checks.register("perfsuite", deploy=True)
def check_servers(databases: Any = None, **kwargs: Any) -> Messages:
    """Report a server that may evict the tokens of tags (W010) or that does not answer (W011).

    ``check --deploy --database default``: from Django 6.1 on, each ``check`` gets the databases.
    """
    if not databases:
        return []
    found: Messages = []
    for alias in dict.fromkeys(shared for _, shared in _shared_aliases()):
        if (
            alias in settings.CACHES
            and available("django_redis")
            and _is_django_redis(settings.CACHES[alias])
        ):
            found += _check_server(alias)
    return found


def _check_server(alias: str) -> Iterator[checks.CheckMessage]:
    try:
        cache: Any = caches[alias]
        told = cache.client.get_client(write=True).config_get("maxmemory*")
    except Exception as exc:  # noqa: BLE001 - a server that fails in whatever way is what is reported
        message = (
            f"The server of CACHES[{alias!r}] does not tell its maxmemory-policy: {type(exc).__name__}: {exc}"
        )
        hint = "See that it runs and that LOCATION is right; a hosted one may forbid CONFIG, then ask its console."
        yield checks.Warning(message, hint=hint, id="perfsuite_caching.W011")
        return
    policy = str(told.get("maxmemory-policy", ""))
    if policy.startswith("allkeys-") and str(told.get("maxmemory", "0")) != "0":
        yield checks.Warning(
            f"The server of CACHES[{alias!r}] has maxmemory-policy {policy!r}, which may drop the tokens of tags and the stream "
            "of changes when it is full; what depends on them is a miss then.",
            hint="Type on the server: CONFIG SET maxmemory-policy volatile-lru.",
            id="perfsuite_caching.W010",
        )
