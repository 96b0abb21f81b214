"""URLs of the test host: the admin, the panel, and views that do one measurable thing each."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("performance/", include("perfsuite.panel.urls")),
    path("", include("tests.testapp.urls")),
]
