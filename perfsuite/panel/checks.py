"""System checks of the panel."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse

from perfsuite.panel.cards import load
from perfsuite.panel.conf import PanelSettings


@checks.register("perfsuite")
def check_panel(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report a missing admin (E001), admin URLs that are missing (W001) and cards that cannot be used (E002)."""
    found: list[checks.CheckMessage] = []
    if not apps.is_installed("django.contrib.admin"):
        message = (
            "perfsuite.panel is installed without 'django.contrib.admin', whose login and pages it uses."
        )
        hint = "Add 'django.contrib.admin' to INSTALLED_APPS, or remove 'perfsuite.panel'."
        found.append(checks.Error(message, hint=hint, id="perfsuite_panel.E001"))
    elif getattr(settings, "ROOT_URLCONF", None) and not _admin_has_urls():
        message = "The panel is an admin page, but the URLs of the admin are not in ROOT_URLCONF."
        hint = "Add path(\"admin/\", admin.site.urls) to urlpatterns, or remove 'perfsuite.panel' from INSTALLED_APPS."
        found.append(checks.Warning(message, hint=hint, id="perfsuite_panel.W001"))
    for path in PanelSettings.get().cards:
        try:
            load(path)
        except ImproperlyConfigured as exc:
            hint = (
                "Write in PERFSUITE['PANEL']['CARDS'] the dotted path of a class with id, title and data(view), "
                "such as 'perfsuite.panel.cards.routes.Routes'."
            )
            found.append(checks.Error(str(exc), hint=hint, id="perfsuite_panel.E002"))
    return found


def _admin_has_urls() -> bool:
    try:
        reverse("admin:index")
    except NoReverseMatch:
        return False
    return True
