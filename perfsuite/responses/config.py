"""The settings as they are used, worked out once until one of them changes."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest
from django.utils.module_loading import import_string

from perfsuite.caching.conf import CachingSettings
from perfsuite.responses import identity
from perfsuite.responses.conf import ResponsesSettings
from perfsuite.responses.pages import DIRECTIVE_FIELD
from perfsuite.responses.policy import Policy
from perfsuite.responses.policy.cache_status import cache_status

OWNERS = ("perfsuite.", "django.")
MAX_HOSTS = 1_000
OURS = "ResponseCacheMiddleware"


class Config:
    """What the options come to, with what the order of MIDDLEWARE says."""

    def host_of(self, request: HttpRequest) -> str:
        """Return the host that a request is for, in lower case. DisallowedHost for one that is none of the site's."""
        written = request.META.get("HTTP_HOST")
        if written is None or self.trusts_proxy:
            return request.get_host().lower()
        known = self.hosts.get(written)
        if known is None:
            known = request.get_host().lower()
            if len(self.hosts) < MAX_HOSTS:
                self.hosts[written] = known
        return known

    def scheme_of(self, request: HttpRequest) -> str:
        """Return the scheme of a request, in Django's way, without its look at the settings where a proxy says nothing of it."""
        return (request.scheme if self.proxy_says_scheme else cast(Any, request)._get_scheme()) or ""  # noqa: SLF001

    def __init__(self, options: ResponsesSettings) -> None:
        self.options = options
        self.member = cache_status(options.name)  # of Cache-Status, without its parameters
        self.policy = _policy(options, shared=True)
        self.user_policy = _policy(options, shared=False)
        self.has_language = bool(settings.USE_I18N) and position("LocaleMiddleware") is not None
        ours, tenants = position(OURS), position("TenantMiddleware")
        compression = position("CompressionMiddleware")
        # Whether each hit would be compressed outside of the cache.
        self.compresses = (
            options.compression_enabled
            and None not in (ours, compression)
            and (compression or 0) < (ours or 0)
        )
        # A tenant that is known only inside cannot be in the key.
        self.hides_tenant = ours is not None and tenants is not None and tenants > ours
        self.own_cookies = identity.names_of_djangos_cookies(self.has_language)
        self.public_cookies = frozenset(options.public_cookies)
        # Without one of these fields a response is not stored, where no setting stands in for them.
        self.words = frozenset(
            {
                "cache-control",
                "etag",
                "last-modified",
                "expires",
                *(name.lower() for name in options.targeted),
            }
        )
        # Hosts that Django has accepted, as they were written; asking it each time costs as much as the look-up of a page.
        self.hosts: dict[str, str] = {}
        self.proxy_says_scheme = bool(settings.SECURE_PROXY_SSL_HEADER)
        self.trusts_proxy = bool(settings.USE_X_FORWARDED_HOST)
        self.needs_words = not (
            options.default_timeout_s or options.stale_while_revalidate_s or options.stale_if_error_s
        )
        self.allowed = frozenset(options.query_allowed)


def _policy(options: ResponsesSettings, shared: bool) -> Policy:
    return Policy(
        shared=shared,
        heuristic_fraction=options.heuristic_fraction,
        heuristic_max_s=float(options.heuristic_max_s),
        heuristic_default_s=float(options.heuristic_default_s),
        targeted=(DIRECTIVE_FIELD, *(name.lower() for name in options.targeted)),
        obey_requests=options.obey_requests,
        accept_stale=options.accept_stale,
        stale_while_revalidate_s=float(options.stale_while_revalidate_s),
        stale_if_error_s=float(options.stale_if_error_s),
        s_maxage_forbids_stale=options.s_maxage_forbids_stale,
        max_vary_names=options.max_vary_names,
    )


def position(name: str) -> int | None:
    """Return the position in MIDDLEWARE of ours or Django's middleware of that name, or of one that derives from it."""
    for place, path in enumerate(settings.MIDDLEWARE or ()):
        try:
            found = import_string(path)
        except Exception:  # noqa: BLE001, S112 - Django says it when it loads them
            continue
        if any(
            each.__name__ == name and each.__module__.startswith(OWNERS)
            for each in getattr(found, "__mro__", ())
        ):
            return place
    return None


_config: Config | None = None


def current_config() -> Config | None:
    """Return the configuration in force; None while the response cache is off."""
    options = ResponsesSettings.get()
    if not options.cache_enabled or not CachingSettings.get().enabled:
        return None
    global _config
    found = _config
    if found is None or found.options is not options:
        found = _config = Config(options)
    return found


def _follow_settings(*, setting: str, **kwargs: Any) -> None:
    global _config
    if setting in (
        "MIDDLEWARE",
        "ALLOWED_HOSTS",
        "DEBUG",
        "USE_X_FORWARDED_HOST",
        "SECURE_PROXY_SSL_HEADER",
        "USE_I18N",
        "SESSION_COOKIE_NAME",
        "CSRF_COOKIE_NAME",
        "LANGUAGE_COOKIE_NAME",
        "PERFSUITE",
    ):
        _config = None


setting_changed.connect(_follow_settings, dispatch_uid="perfsuite.responses.config")
