"""The Django app of the site."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save

from sampleproject import tenants


class PortalConfig(AppConfig):
    """Keeps the directory of tenants fresh when one of them is edited in this process."""

    name = "sampleproject.portal"
    verbose_name = "Documentation portals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the signals."""
        model = self.get_model("Tenant")
        post_save.connect(tenants.forget, sender=model)
        post_delete.connect(tenants.forget, sender=model)
