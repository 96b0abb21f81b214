"""The app config of the metrics app."""

from __future__ import annotations

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    """Registers the store of its own on SQLite hosts, the router, the options and the checks."""

    name = "perfsuite.metrics"
    label = "perfsuite_metrics"
    verbose_name = "Performance metrics"

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.metrics import checks as _checks  # noqa: F401 - registers them
        from perfsuite.metrics import compaction, flusher, merging, router
        from perfsuite.metrics.conf import MetricsSettings
        from perfsuite.metrics.storages.alias import register_automatic_store

        conf.register(MetricsSettings)
        register_automatic_store()
        router.install()
        compaction.register_jobs()
        merging.register_jobs()
        flusher.install()
