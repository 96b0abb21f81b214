"""The app config of the caching app. The backend itself works without it."""

from __future__ import annotations

from django.apps import AppConfig


class CachingConfig(AppConfig):
    """Registers the options and the checks, connects the models that make cached data outdated, and finds the warmers."""

    name = "perfsuite.caching"
    label = "perfsuite_caching"
    verbose_name = "Caching"

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.caching import checks, invalidation, warming  # noqa: F401 - checks register themselves
        from perfsuite.caching.conf import CachingSettings

        conf.register(CachingSettings)
        invalidation.follow_settings()
        warming.discover()
