"""The app config of the caching app. The backend itself works without it."""

from __future__ import annotations

from django.apps import AppConfig


class CachingConfig(AppConfig):
    """Registers the options and the checks, what is recorded, the models that make cached data outdated, and the warmers."""

    name = "perfsuite.caching"
    label = "perfsuite_caching"
    verbose_name = "Caching"

    def ready(self) -> None:
        from perfsuite import conf

        # The checks register themselves.
        from perfsuite.caching import checks, counting, invalidation, stats, warming  # noqa: F401
        from perfsuite.caching.conf import CachingSettings

        conf.register(CachingSettings)
        stats.follow_settings()
        counting.follow_settings()
        invalidation.follow_settings()
        warming.discover()
