"""The app config of the panel."""

from __future__ import annotations

from django.apps import AppConfig


class PanelConfig(AppConfig):
    """Registers the panel's options and checks; the page itself comes with the admin's autodiscovery."""

    name = "perfsuite.panel"
    label = "perfsuite_panel"
    verbose_name = "perfsuite"

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.panel import checks as _checks  # noqa: F401 - registers them
        from perfsuite.panel.conf import PanelSettings

        conf.register(PanelSettings)
