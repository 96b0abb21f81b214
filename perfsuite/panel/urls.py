"""The panel at a URL of the host's choice: ``path("performance/", include("perfsuite.panel.urls"))``."""

from __future__ import annotations

from django.urls import path

from perfsuite.panel import views

app_name = "perfsuite_panel"
urlpatterns = [
    path("", views.index, name="index"),
    path("data/", views.data, name="data"),
]
