"""The panel at a URL of the host's choice: ``path("performance/", include("perfsuite.panel.urls"))``."""

from __future__ import annotations

from django.urls import path

from perfsuite.panel import views
from perfsuite.panel.pages.answers import at_own_url
from perfsuite.panel.pages.routes import PAGES

app_name = "perfsuite_panel"
urlpatterns = [
    path("", views.index, name="index"),
    path("data/", views.data, name="data"),
    *(path(route, at_own_url(page, methods), name=name) for name, route, page, methods in PAGES),
]
