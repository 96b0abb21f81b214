"""No table: an unmanaged model, so that the panel has a permission and a place in the admin's index."""

from __future__ import annotations

from django.db import models


class Dashboard(models.Model):
    """The panel itself. Who has ``perfsuite_panel.view_dashboard`` may look at it.

    With ``explain_query`` they may also ask for plans, with ``change_findings`` ignore, resolve and open findings.
    """

    id = models.CharField(primary_key=True, max_length=36)

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [
            ("view_dashboard", "Can view the performance panel"),
            ("explain_query", "Can ask the database for the plan of a statement"),
            ("change_findings", "Can ignore, resolve and open findings"),
        ]
        verbose_name = "performance panel"
        verbose_name_plural = "Performance"

    def __str__(self) -> str:
        return "Performance"
