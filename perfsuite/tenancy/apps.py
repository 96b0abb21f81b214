"""The app config of the tenancy app."""

from __future__ import annotations

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    """Registers the options and the checks."""

    name = "perfsuite.tenancy"
    label = "perfsuite_tenancy"
    verbose_name = "Tenancy"

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.tenancy import checks as _checks  # noqa: F401 - registers them
        from perfsuite.tenancy.conf import TenancySettings

        conf.register(TenancySettings)
