"""The app config of the caching app. The backend itself works without it."""

from __future__ import annotations

from django.apps import AppConfig


class CachingConfig(AppConfig):
    """Registers the options, and what is recorded of every cache."""

    name = "perfsuite.caching"
    label = "perfsuite_caching"
    verbose_name = "Caching"

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.caching import counting, stats
        from perfsuite.caching.conf import CachingSettings

        conf.register(CachingSettings)
        stats.follow_settings()
        counting.follow_settings()
