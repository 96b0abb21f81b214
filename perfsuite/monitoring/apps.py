"""The app config of the monitoring app."""

from __future__ import annotations

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    """Registers the options and the checks; the measuring itself is the middleware's."""

    name = "perfsuite.monitoring"
    label = "perfsuite_monitoring"
    verbose_name = "Performance monitoring"

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.monitoring import checks as _checks  # noqa: F401 - registers them
        from perfsuite.monitoring.conf import MonitoringSettings

        conf.register(MonitoringSettings)
